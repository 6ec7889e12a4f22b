package agent

import (
	"time"

	"callplane/app/kernel/problem"
)

// ID names an agent: it is the id of the user.
type ID string

// State is what an agent is doing.
type State string

// The states. Ready is the only one in which calls are offered.
const (
	LoggedOut State = "logged_out"
	Ready     State = "ready"
	Ringing   State = "ringing" // reserved for a call: the phone rings
	Talking   State = "talking"
	OnHold    State = "hold" // in a call whose other party waits with music
	WrapUp    State = "wrap_up"
	Break     State = "break"     // away, with a reason
	NotReady  State = "not_ready" // signed in, takes no calls: just signed in, missed an offer, lost the phone
)

// States is all of them, in the order in which desktops list them.
var States = []State{LoggedOut, Ready, Ringing, Talking, OnHold, WrapUp, Break, NotReady}

// Busy says that the agent is with a call.
func (s State) Busy() bool { return s == Ringing || s == Talking || s == OnHold }

// Staffed says that the agent is signed in.
func (s State) Staffed() bool { return s != LoggedOut && s != "" }

// Reasons that the platform itself gives for a state.
const (
	ReasonSignedIn  = "signed_in"
	ReasonMissed    = "missed"         // did not answer an offer
	ReasonRejected  = "rejected"       // pressed reject
	ReasonPhoneLost = "phone_lost"     // the phone is no longer registered
	ReasonPhoneDead = "phone_failed"   // the switch could not ring the phone
	ReasonRestored  = "state_restored" // the call was gone after a restart
)

// Presence is one agent's state, as it is now.
type Presence struct {
	Agent    ID     `json:"agent"`
	Login    string `json:"login"`
	Name     string `json:"name"`
	Unit     string `json:"unit"`
	UnitPath string `json:"unit_path"`

	Phone   string `json:"phone,omitempty" doc:"Name of the phone the agent is signed in on"`
	PhoneUp bool   `json:"phone_up" doc:"Whether that phone is registered"`

	State  State     `json:"state"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since" doc:"When the state began"`

	Call      string    `json:"call,omitempty" doc:"The call the agent is busy with, or wraps up"`
	Queue     string    `json:"queue,omitempty" doc:"The queue the call came from"`
	WrapUntil time.Time `json:"wrap_until,omitzero" doc:"When wrap-up ends by itself"`
	Next      State     `json:"next,omitempty" doc:"The state to go to when the call and its wrap-up are over"`
	NextWhy   string    `json:"next_reason,omitempty"`

	FreeSince  time.Time      `json:"free_since,omitzero" doc:"End of the last call or the sign-in, whichever is later: longest idle counts from here"`
	SignedInAt time.Time      `json:"signed_in_at,omitzero"`
	Handled    int            `json:"handled" doc:"Calls since signing in"`
	Missed     int            `json:"missed" doc:"Offers not taken since signing in"`
	Skills     map[string]int `json:"skills,omitempty" doc:"Skill name to level, 1 to 10"`
	AutoAnswer bool           `json:"auto_answer,omitempty"`
	Dials      []string       `json:"dials" doc:"Classes of numbers that the agent may dial on the phone, as at the sign-in; null is all"`
}

// Errors.
var (
	ErrNoAgent    = problem.New(problem.NotFound, "no_agent", "No such agent")
	ErrNotSigned  = problem.New(problem.Conflict, "agent_not_signed_in", "The agent is not signed in")
	ErrBusy       = problem.New(problem.Conflict, "agent_busy", "The agent is with a call")
	ErrNotReady   = problem.New(problem.Conflict, "agent_not_ready", "The agent is not ready")
	ErrPhoneTaken = problem.New(problem.Conflict, "phone_taken", "Another agent is signed in on this phone")
	ErrNoPhone    = problem.New(problem.Conflict, "phone_unknown", "No such phone")
	ErrTransition = problem.New(problem.Conflict, "agent_state", "The agent's state does not allow this")
)

// Act is something that happens to an agent.
type Act string

// What can happen to an agent.
const (
	ActSignIn   Act = "sign_in"
	ActSignOut  Act = "sign_out"
	ActReady    Act = "ready"
	ActBreak    Act = "break"
	ActNotReady Act = "not_ready"
	ActReserve  Act = "reserve" // the queue offers a call
	ActDial     Act = "dial"    // the agent places a call, which also works from a break
	ActAccept   Act = "accept"
	ActMiss     Act = "miss"    // rang in vain, rejected, or could not be rung
	ActRelease  Act = "release" // the caller went away while the phone rang
	ActHold     Act = "hold"
	ActUnhold   Act = "unhold"
	ActFinish   Act = "finish" // the agent's part in the call is over
	ActWrapped  Act = "wrapped"
)

// life is everything an agent can go through; what is not here is refused with ErrTransition. Where to is empty the state
// is worked out: the one asked for meanwhile (Next), or Ready.
var life = []struct {
	from []State
	on   Act
	to   State
}{
	{[]State{LoggedOut}, ActSignIn, NotReady},
	{[]State{Ready, NotReady, Break, WrapUp}, ActSignIn, NotReady}, // on another phone
	{[]State{Ready, NotReady, Break, WrapUp}, ActSignOut, LoggedOut},
	{[]State{Ready, NotReady, Break, WrapUp}, ActReady, Ready},
	{[]State{Ready, NotReady, Break, WrapUp}, ActBreak, Break},
	{[]State{Ready, NotReady, Break, WrapUp}, ActNotReady, NotReady},
	{[]State{Ready}, ActReserve, Ringing},
	{[]State{Ready, NotReady, Break, WrapUp}, ActDial, Ringing},
	{[]State{Ringing}, ActAccept, Talking},
	{[]State{Ringing}, ActMiss, NotReady},
	{[]State{Ringing}, ActRelease, ""},
	{[]State{Talking}, ActHold, OnHold},
	{[]State{OnHold}, ActUnhold, Talking},
	{[]State{Ringing, Talking, OnHold}, ActFinish, WrapUp},
	{[]State{WrapUp}, ActWrapped, ""},
}

// after tells where an act leads from a state.
func after(from State, on Act) (State, bool) {
	for _, row := range life {
		if row.on != on {
			continue
		}
		for _, f := range row.from {
			if f == from {
				return row.to, true
			}
		}
	}
	return "", false
}

// deferred says that the act, asked for during a call, is remembered and done when the call is wrapped up.
func deferred(on Act) bool {
	return on == ActSignOut || on == ActReady || on == ActBreak || on == ActNotReady
}

// target is the state that a deferred act leads to.
func target(on Act) State {
	switch on {
	case ActSignOut:
		return LoggedOut
	case ActBreak:
		return Break
	case ActNotReady:
		return NotReady
	}
	return Ready
}
