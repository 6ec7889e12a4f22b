package call

import (
	"time"

	"callplane/app/kernel/bus"
	"callplane/app/pbx"
)

// EventRecord is the type of the event that carries the complete Record of a call that has ended. Its id is the call's, so
// that it counts once however often it is sent.
const EventRecord = "call_record.complete"

// Told is what every event about a live call carries: the call as it is now, and what happened. The types are "call." and the
// name of the timeline mark.
type Told struct {
	Live
	At   time.Time      `json:"at" doc:"When it happened; by the switch's clock where the switch told it"`
	Leg  pbx.LegID      `json:"leg,omitempty"`
	Data map[string]any `json:"data,omitempty"`
}

// Live is a call as boards and desktops show it.
type Live struct {
	ID        ID        `json:"id"`
	Unit      string    `json:"unit"`
	UnitPath  string    `json:"unit_path"`
	Direction Direction `json:"direction"`
	State     State     `json:"state"`
	From      string    `json:"from"`
	FromName  string    `json:"from_name,omitempty"`
	Withheld  bool      `json:"withheld,omitempty"`
	To        string    `json:"to"`
	Service   string    `json:"service,omitempty"`
	Queue     string    `json:"queue,omitempty"`
	QueueName string    `json:"queue_name,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	AgentName string    `json:"agent_name,omitempty"`
	Ringing   string    `json:"ringing,omitempty" doc:"The agent whose phone rings"`
	Path      string    `json:"path,omitempty"`
	Language  string    `json:"language,omitempty"`
	Trunk     string    `json:"trunk,omitempty"`
	Customer  pbx.LegID `json:"customer_leg"`
	Partner   pbx.LegID `json:"partner_leg,omitempty"`
	Started   time.Time `json:"started"`
	Queued    time.Time `json:"queued,omitzero" doc:"First queue time"`
	Talked    time.Time `json:"talked,omitzero"`
	Recorded  bool      `json:"recorded"`
	Reason    string    `json:"end_reason,omitempty"`
}

func (r *Record) live() Live {
	l := Live{
		ID: r.ID, Unit: r.Unit, UnitPath: r.UnitPath, Direction: r.Direction, State: r.State, From: r.From, FromName: r.FromName, Withheld: r.Withheld,
		To: r.To, Service: r.Service, Queue: r.Queue, QueueName: r.QueueName, Agent: r.Agent, AgentName: r.AgentName, Path: r.Path,
		Language: r.Language, Trunk: r.Trunk, Customer: r.Customer, Partner: r.Partner, Started: r.Started, Talked: r.Talked, Reason: r.Reason,
	}
	if r.Ring != nil {
		l.Ringing = r.Ring.Agent
	}
	if n := len(r.Entries); n > 0 {
		l.Queued = r.Entries[n-1].Joined
	}
	for _, t := range r.Tracks {
		l.Recorded = l.Recorded || t.Ended.IsZero()
	}
	return l
}

// event makes the event of a complete record.
func (r *Record) event() bus.Event {
	e := bus.NewEvent(EventRecord, string(r.ID), r)
	e.ID = string(r.ID)
	e.At, e.Unit, e.UnitPath, e.Perm = r.Ended, r.Unit, r.UnitPath, permNobody
	return e
}

// permNobody is a permission that nobody has: such events are for the platform's own consumers.
const permNobody = "-"
