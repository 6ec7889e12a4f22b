package call

import (
	"encoding/json"
	"time"

	"callplane/app/pbx"
)

// ID names a call.
type ID string

// Direction is where a call came from.
type Direction string

// The directions.
const (
	Inbound  Direction = "inbound"
	Outbound Direction = "outbound"
	Internal Direction = "internal"
)

// Record is everything about a call that outlives its goroutine: its checkpoint while it lives, its history afterwards.
type Record struct {
	ID        ID        `json:"id"`
	Unit      string    `json:"unit"`
	UnitPath  string    `json:"unit_path"`
	Node      string    `json:"node" doc:"Name of the switch"`
	Direction Direction `json:"direction"`
	State     State     `json:"state"`

	From     string `json:"from" doc:"Calling number in E.164, empty when withheld"`
	FromRaw  string `json:"from_raw" doc:"As it arrived"`
	FromName string `json:"from_name,omitempty"`
	Withheld bool   `json:"withheld,omitempty"`
	To       string `json:"to" doc:"Number called"`
	ToRaw    string `json:"to_raw,omitempty" doc:"As it arrived, or as it was sent on the trunk"`
	Number   string `json:"number,omitempty" doc:"Id of our number"`
	Service  string `json:"service,omitempty" doc:"Name of the service behind the number"`
	Trunk    string `json:"trunk,omitempty"`
	Why      string `json:"why,omitempty" doc:"Why it went this way"`

	Started  time.Time `json:"started"`
	Answered time.Time `json:"answered,omitzero" doc:"When the platform answered, or the called party did"`
	Talked   time.Time `json:"talked,omitzero" doc:"When a person was first reached"`
	Ended    time.Time `json:"ended,omitzero"`

	Flow     string            `json:"flow,omitempty"`
	Entered  string            `json:"entered_flow,omitempty" doc:"Id of the flow it entered first"`
	Place    json.RawMessage   `json:"place,omitempty"`
	Path     string            `json:"path,omitempty" doc:"Keys pressed, joined by >"`
	Language string            `json:"language,omitempty"`
	Vars     map[string]string `json:"vars,omitempty"`

	Queue     string              `json:"queue,omitempty" doc:"Id of the queue it waits in, or was last served by"`
	QueueName string              `json:"queue_name,omitempty"`
	Plan      *Plan               `json:"plan,omitempty"`
	Comfort   int                 `json:"comfort,omitempty"`
	Ring      *Ring               `json:"ring,omitempty"` // who is rung now
	Agent     string              `json:"agent,omitempty" doc:"Who talks, or talked last"`
	AgentName string              `json:"agent_name,omitempty"`
	Customer  pbx.LegID           `json:"customer"`          // the outside party's leg
	Partner   pbx.LegID           `json:"partner,omitempty"` // the leg the outside party talks with
	Room      pbx.RoomID          `json:"room,omitempty"`
	Due       map[timer]time.Time `json:"due,omitempty"`
	Playing   *Playing            `json:"playing,omitempty"` // what a leg hears from us, to be stopped by whoever takes over
	Serial    int                 `json:"serial"`            // last number given to a leg, playback or recording

	Legs     []Leg     `json:"legs"`
	Segments []Segment `json:"segments"`
	Entries  []Entry   `json:"queue_entries,omitempty"`
	Offers   []Offer   `json:"offers,omitempty"`
	Holds    []Hold    `json:"holds,omitempty"`
	Tracks   []Track   `json:"tracks,omitempty"`
	Timeline []Mark    `json:"timeline"`

	Note     Note      `json:"note,omitzero" doc:"What people wrote about it while it lived"`
	Class    Class     `json:"end_class,omitempty"`
	Reason   string    `json:"end_reason,omitempty"`
	Released Party     `json:"released_by,omitempty"`
	Cause    pbx.Cause `json:"cause,omitempty" doc:"Q.850"`
}

// owner is the agent whose call it is now: who is rung for it, or who talks.
func (r *Record) owner() string {
	if r.Ring != nil && r.Ring.Agent != "" {
		return r.Ring.Agent
	}
	return r.Agent
}

// Playing is a playback on a leg.
type Playing struct {
	Leg pbx.LegID  `json:"leg"`
	ID  pbx.PlayID `json:"id"`
}

// LegKind is whose leg it is.
type LegKind string

// The kinds of leg.
const (
	LegCustomer   LegKind = "customer"
	LegAgent      LegKind = "agent"
	LegOutside    LegKind = "outside" // a third party, by transfer
	LegSupervisor LegKind = "supervisor"
)

// Leg is one party's connection.
type Leg struct {
	ID       pbx.LegID `json:"id"`
	Kind     LegKind   `json:"kind"`
	Agent    string    `json:"agent,omitempty"`
	Phone    string    `json:"phone,omitempty"`
	Trunk    string    `json:"trunk,omitempty"`
	Number   string    `json:"number,omitempty"`
	Dialled  bool      `json:"dialled" doc:"We called it"`
	Started  time.Time `json:"started"`
	Ringing  time.Time `json:"ringing,omitzero"`
	Answered time.Time `json:"answered,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	Cause    pbx.Cause `json:"cause,omitempty"`
	ByUs     bool      `json:"by_us,omitempty" doc:"We hung it up"`
}

// Segment is a part of a call with one kind of service.
type Segment struct {
	Kind    string    `json:"kind" enum:"auto,queue,ring,agent,outside,message"`
	Agent   string    `json:"agent,omitempty"`
	Queue   string    `json:"queue,omitempty"`
	Number  string    `json:"number,omitempty"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
}

// Entry is one stay in a queue.
type Entry struct {
	Queue    string    `json:"queue"`
	Name     string    `json:"name"`
	Joined   time.Time `json:"joined" doc:"First queue time: kept over restarts and unanswered offers"`
	Since    time.Time `json:"since,omitzero" doc:"From when the place in the queue counts: earlier than joined for a caller who lost the agent"`
	Left     time.Time `json:"left,omitzero"`
	Position int       `json:"position,omitempty" doc:"When it left"`
	Result   string    `json:"result,omitempty" enum:"answered,abandoned,closed,empty,full,timeout,moved,ended"`
	Short    bool      `json:"short,omitempty" doc:"Abandoned sooner than the queue's limit"`
	Agent    string    `json:"agent,omitempty"`
	Priority int       `json:"priority,omitempty"`
	Skills   []Skill   `json:"skills,omitempty"`
}

// place is from when the place in the queue counts.
func (e *Entry) place() time.Time {
	if e.Since.IsZero() {
		return e.Joined
	}
	return e.Since
}

// Offer is one ring of an agent's phone for the call.
type Offer struct {
	Queue   string          `json:"queue,omitempty"`
	Agent   string          `json:"agent"`
	Name    string          `json:"name"`
	Phone   string          `json:"phone"`
	Kind    string          `json:"kind" enum:"queue,transfer,return,own"`
	Started time.Time       `json:"started"`
	Ringing time.Time       `json:"ringing,omitzero"`
	Ended   time.Time       `json:"ended,omitzero"`
	Result  string          `json:"result,omitempty" enum:"answered,missed,rejected,failed,withdrawn"`
	Why     json.RawMessage `json:"why,omitempty" doc:"Why this agent: candidates, scores, what each lacked"`
}

// Hold is one time that the outside party waited with music.
type Hold struct {
	Agent   string    `json:"agent"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
}

// Track is the recording of one leg.
type Track struct {
	ID      pbx.RecordingID `json:"id"`
	Leg     pbx.LegID       `json:"leg"`
	Side    string          `json:"side" enum:"customer,agent,message"`
	Agent   string          `json:"agent,omitempty"`
	Queue   string          `json:"queue,omitempty"`
	Started time.Time       `json:"started"`
	Ended   time.Time       `json:"ended,omitzero"`
}

// Mark is one entry of the timeline.
type Mark struct {
	At   time.Time      `json:"at"`
	What string         `json:"what"`
	Leg  pbx.LegID      `json:"leg,omitempty"`
	Data map[string]any `json:"data,omitempty"`
}

// Plan is how a queue treats those who wait in it.
type Plan struct {
	Queue        string        `json:"queue"`
	Name         string        `json:"name"`
	Music        string        `json:"music"`
	Comfort      []string      `json:"comfort,omitempty"`
	ComfortEvery time.Duration `json:"comfort_every"`
	SayPosition  bool          `json:"say_position"`
	SayWait      bool          `json:"say_wait"`
	SayEvery     time.Duration `json:"say_every"`
	MaxWait      time.Duration `json:"max_wait"`
	Timeout      Closing       `json:"timeout"`
	WrapUp       time.Duration `json:"wrap_up"`
	Short        time.Duration `json:"short"`
	Record       bool          `json:"record"` // as the queue's policy decided for this call
}

// Closing is what becomes of a caller whom a queue does not serve.
type Closing struct {
	Why    string `json:"why"` // closed, empty, full, timeout
	Prompt string `json:"prompt"`
	Then   string `json:"then"` // hangup, message, queue
	Queue  string `json:"queue,omitempty"`
}

// RingKind is why somebody is rung.
type RingKind string

// Why somebody is rung.
const (
	RingQueue    RingKind = "queue"    // the queue offers the call
	RingTransfer RingKind = "transfer" // an agent transferred it
	RingReturn   RingKind = "return"   // a transfer failed and goes back to the agent
	RingOwn      RingKind = "own"      // the agent's own phone, to place a call
	RingCallee   RingKind = "callee"   // the called party
)

// Ring is who is rung now.
type Ring struct {
	Kind   RingKind      `json:"kind"`
	Leg    pbx.LegID     `json:"leg"`
	Agent  string        `json:"agent,omitempty"`
	Name   string        `json:"name,omitempty"`
	Phone  string        `json:"phone,omitempty"`
	Trunk  string        `json:"trunk,omitempty"`
	Number string        `json:"number,omitempty"`
	For    time.Duration `json:"for"`
	From   string        `json:"from,omitempty"` // agent who transferred
	Offer  int           `json:"offer"`          // index in Offers, or -1
}
