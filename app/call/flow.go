package call

import (
	"encoding/json"
	"time"

	"callplane/app/kernel/problem"
)

// Flow drives a call that no person is on: it says what to do first, and what to do next after each step. A flow must answer at once
// and keep nothing outside its place, so that it can go on after a restart.
type Flow interface {
	// Next tells the next step. at is what the flow last returned as its place, nil on entering. When got is Resumed the
	// step at this place is to be told again.
	Next(at json.RawMessage, got Outcome, c View) Move
}

// Flows finds flows by id. An unknown one is ErrNoFlow.
type Flows interface {
	// Flow finds a flow for a call of a unit. Those of other tenants are ErrNoFlow.
	Flow(unitPath, id string) (Flow, error)
}

// ErrNoFlow says that there is no such flow.
var ErrNoFlow = problem.New(problem.NotFound, "no_flow", "No such flow")

// View is what a flow may know of its call.
type View struct {
	ID       ID
	From, To string
	Language string
	Answered bool
	Vars     map[string]string
	Now      time.Time
}

// Move is a flow's answer.
type Move struct {
	Do       Step
	At       json.RawMessage   // the place, given back with the outcome of Do
	Node     string            // name of the node, for the timeline
	Key      string            // what led here, for the path: the key pressed
	Language string            // when set: speak it from now on
	Vars     map[string]string // when set: remember
}

// OutcomeKind is how a step ended.
type OutcomeKind string

// The ways a step ends.
const (
	Entered  OutcomeKind = "entered" // no step yet
	Done     OutcomeKind = "done"
	Keys     OutcomeKind = "keys"    // Collect got Digits
	TimedOut OutcomeKind = "timeout" // Collect got nothing, or too little
	Failed   OutcomeKind = "failed"
	Resumed  OutcomeKind = "resumed" // after a restart: tell the step again
)

// Outcome is how a step ended.
type Outcome struct {
	Kind   OutcomeKind
	Digits string
}

// Step is one thing a call does for a flow. The steps are below.
type Step interface{ step() }

type (
	// Answer takes the call. One that is answered already is no error.
	Answer struct{}
	// Play plays prompts. A key ends it early if Interrupt is set; the outcome then is Keys with that key.
	Play struct {
		Prompts   []Prompt
		Interrupt bool
	}
	// Collect plays prompts and reads keys: until Max of them, until Stop is pressed (not part of the digits), or until no key comes
	// for First (counted from the end of the prompts) or Between.
	Collect struct {
		Prompts   []Prompt
		Interrupt bool // keys during the prompts count and end them; otherwise they are dropped
		Max       int
		Stop      string
		First     time.Duration
		Between   time.Duration
	}
	// Enqueue puts the call into a queue. It has no outcome: the call comes back to the flow only when the queue does not
	// serve it, as the queue's own action says.
	Enqueue struct {
		Queue    string
		Priority int
		Skills   []Skill
	}
	// Message records what the caller says until they press #, hang up, or Limit is over.
	Message struct {
		Prompts []Prompt
		Limit   time.Duration
		Queue   string // whose task it becomes
	}
	// Await rings, or keeps an answered caller with music, until somebody takes the call over the API, or for so long.
	Await struct{ For time.Duration }
	// Hangup ends the call.
	Hangup struct{ Why Reason }
)

func (Answer) step()  {}
func (Play) step()    {}
func (Collect) step() {}
func (Enqueue) step() {}
func (Message) step() {}
func (Await) step()   {}
func (Hangup) step()  {}

// Skill is a skill that a call asks of an agent.
type Skill struct {
	Name  string `json:"name"`
	Level int    `json:"level"` // at least, 1 to 10
}

// Prompt is something to say: a prompt by key, a spoken value, or both languages' own.
type Prompt struct {
	Key      string        `json:"key,omitempty"`      // of the prompt library
	Text     string        `json:"text,omitempty"`     // free text, spoken by the engine
	Position int           `json:"position,omitempty"` // "you are number 3"
	Wait     time.Duration `json:"wait,omitempty"`     // "about two minutes"
	Language string        `json:"language,omitempty"` // other than the call's
}
