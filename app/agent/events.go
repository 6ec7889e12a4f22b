package agent

import (
	"time"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
)

// EventState is the type of the event that follows every change of a Presence; its data is a Changed.
const EventState = "agent.state"

// Changed is what EventState carries.
type Changed struct {
	Presence
	// Ended is the interval that the change closed, if the state or its reason changed.
	Ended *Interval `json:"ended,omitempty"`
}

// Interval is a time that an agent spent in one state: a row of the state history.
type Interval struct {
	ID      string    `json:"id" gorm:"primaryKey;size:36"`
	UnitID  string    `json:"unit" gorm:"size:36"`
	UserID  ID        `json:"agent" gorm:"size:36"`
	State   State     `json:"state" gorm:"size:20"`
	Reason  string    `json:"reason,omitempty" gorm:"size:60"`
	CallID  string    `json:"call,omitempty" gorm:"size:36"`
	QueueID string    `json:"queue,omitempty" gorm:"size:36"`
	Phone   string    `json:"phone,omitempty" gorm:"size:60"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
}

// TableName is the table of the state history.
func (Interval) TableName() string { return "agent_intervals" }

// changed makes the event of a change.
func changed(was, now Presence) bus.Event {
	c := Changed{Presence: now}
	if was.State != now.State || was.Reason != now.Reason || was.Phone != now.Phone && was.State.Staffed() {
		if !was.Since.IsZero() && was.State.Staffed() {
			c.Ended = &Interval{
				ID: db.ID(), UnitID: now.Unit, UserID: now.Agent, State: was.State, Reason: was.Reason,
				CallID: was.Call, QueueID: was.Queue, Phone: was.Phone, Started: was.Since.UTC(), Ended: now.Since.UTC(),
			}
		}
	}
	e := bus.NewEvent(EventState, string(now.Agent), c)
	e.Unit, e.UnitPath, e.Owner, e.Perm = now.Unit, now.UnitPath, string(now.Agent), string(PermRead)
	return e
}
