package call

import (
	"fmt"
	"strings"

	"callplane/app/kernel/problem"
)

// State is where a call is.
type State uint16

// The states. Each is one bit, so that a row of life can name several.
const (
	Fresh   State = 1 << iota // just made
	InFlow                    // a flow speaks with the caller
	Queued                    // waits, with music
	Offered                   // waits, while somebody's phone rings
	Calling                   // an outbound call: the agent's own phone rings, then the other party's
	Talking
	OnHold // the outside party hears music
	Ended

	waiting = Queued | Offered
	person  = Talking | OnHold
	alive   = InFlow | waiting | Calling | person
)

var stateNames = map[State]string{
	Fresh: "new", InFlow: "in_flow", Queued: "queued", Offered: "offered", Calling: "calling", Talking: "talking", OnHold: "on_hold", Ended: "ended",
}

// String is the state's name, or several joined by |.
func (s State) String() string {
	var names []string
	for b := Fresh; b <= Ended; b <<= 1 {
		if s&b != 0 {
			names = append(names, stateNames[b])
		}
	}
	return strings.Join(names, "|")
}

// MarshalText writes the name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name.
func (s *State) UnmarshalText(b []byte) error {
	for state, name := range stateNames {
		if name == string(b) {
			*s = state
			return nil
		}
	}
	return fmt.Errorf("%q is no state of a call", b)
}

// Event is something that happens to a call, in its own terms.
type Event string

// What can happen to a call.
const (
	Enter        Event = "enter a flow"
	Wait         Event = "join a queue"
	Offering     Event = "offered to an agent"
	Missed       Event = "agent did not take it"
	Seek         Event = "ring somebody for it"
	Unreached    Event = "who was rung did not take it"
	TurnedAway   Event = "queue does not serve it"
	Accept       Event = "answered by who was rung"
	HoldOn       Event = "put on hold"
	HoldOff      Event = "taken off hold"
	PartnerGone  Event = "agent or third party hung up"
	CustomerGone Event = "outside party hung up"
	Stop         Event = "ended by the platform or a user"
)

// ErrTransition refuses what a call's state does not allow.
var ErrTransition = problem.New(problem.Conflict, "call_state", "The call's state does not allow this")

// life is everything a call can go through; the rest is refused with ErrTransition. The step runs first; if it fails, the
// call stays where it was.
var life []row

// row is one line of life.
type row struct {
	from State
	on   Event
	to   State
	step func(*Call, any) error
}

func init() { // not in the declaration: the steps fire further rows
	life = []row{
		{Fresh | InFlow | waiting | person, Enter, InFlow, (*Call).enterFlow},
		{InFlow | waiting | person, Wait, Queued, (*Call).joinQueue},
		{Queued, Offering, Offered, (*Call).ringAgent},
		{Offered, Missed, Queued, (*Call).backToQueue},
		{InFlow | Queued | person, Seek, Offered, (*Call).ringParty},
		{Offered, Unreached, Offered, (*Call).ringBack},
		{waiting, TurnedAway, InFlow, (*Call).turnAway},
		{Offered, Accept, Talking, (*Call).connect},
		{Fresh, Seek, Calling, (*Call).ringOwn},
		{Calling, Accept, Talking, (*Call).connect},
		{Talking, HoldOn, OnHold, (*Call).hold},
		{OnHold, HoldOff, Talking, (*Call).unhold},
		{person, PartnerGone, Ended, (*Call).finish},
		{alive, CustomerGone, Ended, (*Call).finish},
		{Fresh | alive, Stop, Ended, (*Call).finish},
	}
}

// fire moves the call along life. What a step wants to happen next it leaves with later.
func (c *Call) fire(on Event, in any) error {
	for _, row := range life {
		if row.on != on || row.from&c.rec.State == 0 {
			continue
		}
		if err := row.step(c, in); err != nil {
			return err
		}
		c.rec.State = row.to
		c.changed = true
		return nil
	}
	return ErrTransition.With("A call that is %s cannot be: %s.", c.rec.State, on)
}
