package call

import (
	"encoding/json"
	"errors"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/db"
)

// Row is a call that has ended, as history keeps it.
type Row struct {
	ID         ID         `json:"id" gorm:"primaryKey;size:36"`
	UnitID     string     `json:"unit" gorm:"size:36"`
	Node       string     `json:"node" gorm:"size:60"`
	Direction  Direction  `json:"direction" gorm:"size:20"`
	FromNumber string     `json:"from" gorm:"size:60" doc:"E.164; empty when withheld"`
	FromRaw    string     `json:"from_raw" gorm:"size:120"`
	FromName   string     `json:"from_name" gorm:"size:120"`
	Withheld   bool       `json:"withheld"`
	ToNumber   string     `json:"to" gorm:"size:60"`
	ToRaw      string     `json:"to_raw" gorm:"size:120"`
	NumberID   string     `json:"number" gorm:"size:36"`
	Service    string     `json:"service" gorm:"size:120"`
	Trunk      string     `json:"trunk" gorm:"size:60"`
	FlowID     string     `json:"flow" gorm:"size:36"`
	Path       string     `json:"path" gorm:"size:200" doc:"Keys pressed, joined by >"`
	Language   string     `json:"language" gorm:"size:20"`
	CustomerID string     `json:"customer" gorm:"size:36"`
	QueueID    string     `json:"queue" gorm:"size:36" doc:"The last queue"`
	QueueName  string     `json:"queue_name" gorm:"size:60"`
	AgentID    string     `json:"agent" gorm:"size:36" doc:"Who talked last"`
	AgentName  string     `json:"agent_name" gorm:"size:120"`
	StartedAt  time.Time  `json:"started_at"`
	AnsweredAt *time.Time `json:"answered_at"`
	TalkedAt   *time.Time `json:"talked_at" doc:"When a person was first reached"`
	EndedAt    time.Time  `json:"ended_at"`
	WaitMs     int64      `json:"wait_ms" doc:"In queues, altogether"`
	TalkMs     int64      `json:"talk_ms" doc:"With persons, holds included"`
	HoldMs     int64      `json:"hold_ms"`

	EndClass   Class  `json:"end_class" gorm:"size:20"`
	EndReason  string `json:"end_reason" gorm:"size:60"`
	ReleasedBy Party  `json:"released_by" gorm:"size:20"`
	Cause      int    `json:"cause" doc:"Q.850"`
	Dropped    bool   `json:"dropped" doc:"Cut by a technical fault"`
	Recorded   bool   `json:"recorded"`

	Summary     string `json:"summary" gorm:"type:text"`
	Disposition string `json:"disposition" gorm:"size:60"`
	Resolved    *bool  `json:"resolved"`
	Rating      *int   `json:"rating" doc:"1 to 5, by the customer"`
	Ticket      string `json:"ticket" gorm:"size:60"`
	Version     int    `json:"-"`
}

// TableName is the table of calls.
func (Row) TableName() string { return "call_calls" }

// LegRow is a leg in history.
type LegRow struct {
	ID         string     `json:"id" gorm:"primaryKey;size:120"`
	CallID     ID         `json:"-" gorm:"size:36"`
	UnitID     string     `json:"-" gorm:"size:36"`
	Kind       LegKind    `json:"kind" gorm:"size:20"`
	AgentID    string     `json:"agent" gorm:"size:36"`
	Phone      string     `json:"phone" gorm:"size:60"`
	Trunk      string     `json:"trunk" gorm:"size:60"`
	Number     string     `json:"number" gorm:"size:60"`
	Dialled    bool       `json:"dialled"`
	StartedAt  time.Time  `json:"started_at"`
	RingingAt  *time.Time `json:"ringing_at"`
	AnsweredAt *time.Time `json:"answered_at"`
	EndedAt    *time.Time `json:"ended_at"`
	Cause      int        `json:"cause"`
	ByUs       bool       `json:"by_us"`
}

// TableName is the table of legs.
func (LegRow) TableName() string { return "call_legs" }

// SegmentRow is a segment in history.
type SegmentRow struct {
	CallID    ID        `json:"-" gorm:"primaryKey;size:36"`
	No        int       `json:"no" gorm:"primaryKey"`
	UnitID    string    `json:"-" gorm:"size:36"`
	Kind      string    `json:"kind" gorm:"size:20"`
	AgentID   string    `json:"agent" gorm:"size:36"`
	QueueID   string    `json:"queue" gorm:"size:36"`
	Number    string    `json:"number" gorm:"size:60"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
}

// TableName is the table of segments.
func (SegmentRow) TableName() string { return "call_segments" }

// EntryRow is a stay in a queue, in history.
type EntryRow struct {
	CallID       ID         `json:"call" gorm:"primaryKey;size:36"`
	No           int        `json:"no" gorm:"primaryKey"`
	UnitID       string     `json:"-" gorm:"size:36"`
	QueueID      string     `json:"queue" gorm:"size:36"`
	QueueName    string     `json:"queue_name" gorm:"size:60"`
	JoinedAt     time.Time  `json:"joined_at"`
	LeftAt       time.Time  `json:"left_at"`
	WaitMs       int64      `json:"wait_ms"`
	Position     int        `json:"position" doc:"When it left"`
	Result       string     `json:"result" gorm:"size:20"`
	Short        bool       `json:"short"`
	AgentID      string     `json:"agent" gorm:"size:36"`
	Priority     int        `json:"priority"`
	CalledBackAt *time.Time `json:"called_back_at" doc:"When somebody called back after it was abandoned"`
	CalledBackBy string     `json:"called_back_by" gorm:"size:36"`
}

// TableName is the table of stays in queues.
func (EntryRow) TableName() string { return "call_queue_entries" }

// OfferRow is an offer in history.
type OfferRow struct {
	CallID    ID                       `json:"call" gorm:"primaryKey;size:36"`
	No        int                      `json:"no" gorm:"primaryKey"`
	UnitID    string                   `json:"-" gorm:"size:36"`
	QueueID   string                   `json:"queue" gorm:"size:36"`
	AgentID   string                   `json:"agent" gorm:"size:36"`
	AgentName string                   `json:"agent_name" gorm:"size:120"`
	Phone     string                   `json:"phone" gorm:"size:60"`
	Kind      string                   `json:"kind" gorm:"size:20"`
	OfferedAt time.Time                `json:"offered_at"`
	RingingAt *time.Time               `json:"ringing_at"`
	EndedAt   time.Time                `json:"ended_at"`
	RingMs    int64                    `json:"ring_ms"`
	Result    string                   `json:"result" gorm:"size:20"`
	Why       db.JSON[json.RawMessage] `json:"why"`
}

// TableName is the table of offers.
func (OfferRow) TableName() string { return "call_offers" }

// HoldRow is a hold in history.
type HoldRow struct {
	CallID    ID        `json:"-" gorm:"primaryKey;size:36"`
	No        int       `json:"no" gorm:"primaryKey"`
	UnitID    string    `json:"-" gorm:"size:36"`
	AgentID   string    `json:"agent" gorm:"size:36"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
}

// TableName is the table of holds.
func (HoldRow) TableName() string { return "call_holds" }

// TimelineRow is the timeline of a call, as one document.
type TimelineRow struct {
	CallID ID     `gorm:"primaryKey;size:36"`
	UnitID string `gorm:"size:36"`
	Body   string `gorm:"type:text"` // JSON of []Mark
}

// TableName is the table of timelines.
func (TimelineRow) TableName() string { return "call_timelines" }

// Models is every table of the module.
func Models() []any {
	return []any{Row{}, LegRow{}, SegmentRow{}, EntryRow{}, OfferRow{}, HoldRow{}, TimelineRow{}}
}

// outside is the number of the outside party, if it can be anybody's.
func (r *Record) outside() string {
	number := r.From
	if r.Direction == Outbound {
		number = r.To
	}
	if r.Direction == Internal || len(number) < 7 {
		return ""
	}
	return number
}

func (r *Record) row() Row {
	row := Row{
		ID: r.ID, UnitID: r.Unit, Node: r.Node, Direction: r.Direction, FromNumber: cut(r.From, 60), FromRaw: cut(r.FromRaw, 120), FromName: cut(r.FromName, 120),
		Withheld: r.Withheld, ToNumber: cut(r.To, 60), ToRaw: cut(r.ToRaw, 120), NumberID: r.Number, Service: r.Service, Trunk: r.Trunk,
		FlowID: r.Entered, Path: cut(r.Path, 200), Language: r.Language, QueueID: r.Queue, QueueName: r.QueueName, AgentID: r.Agent, AgentName: r.AgentName,
		StartedAt: stored(r.Started), AnsweredAt: maybe(r.Answered), TalkedAt: maybe(r.Talked), EndedAt: stored(r.Ended),
		EndClass: r.Class, EndReason: r.Reason, ReleasedBy: r.Released, Cause: int(r.Cause), Dropped: r.Class == ClassDropped,
	}
	r.Note.apply(&row)
	for _, e := range r.Entries {
		row.WaitMs += span(e.Joined, e.Left, r.Ended).Milliseconds()
	}
	for _, h := range r.Holds {
		row.HoldMs += span(h.Started, h.Ended, r.Ended).Milliseconds()
	}
	for _, s := range r.Segments {
		if s.Kind == "agent" || s.Kind == "outside" {
			row.TalkMs += span(s.Started, s.Ended, r.Ended).Milliseconds()
		}
	}
	for _, t := range r.Tracks {
		row.Recorded = row.Recorded || t.Side != "message"
	}
	return row
}

// parts is the rows that go with a call's own.
func (r *Record) parts() (parts []any) {
	var legs []LegRow
	for _, l := range r.Legs {
		legs = append(legs, LegRow{
			ID: string(l.ID), CallID: r.ID, UnitID: r.Unit, Kind: l.Kind, AgentID: l.Agent, Phone: l.Phone, Trunk: l.Trunk, Number: cut(l.Number, 60),
			Dialled: l.Dialled, StartedAt: stored(l.Started), RingingAt: maybe(l.Ringing), AnsweredAt: maybe(l.Answered), EndedAt: maybe(l.Ended),
			Cause: int(l.Cause), ByUs: l.ByUs,
		})
	}
	var segments []SegmentRow
	for i, s := range r.Segments {
		segments = append(segments, SegmentRow{
			CallID: r.ID, No: i, UnitID: r.Unit, Kind: s.Kind, AgentID: s.Agent, QueueID: s.Queue, Number: cut(s.Number, 60),
			StartedAt: stored(s.Started), EndedAt: stored(closed(s.Ended, r.Ended)),
		})
	}
	var entries []EntryRow
	for i, e := range r.Entries {
		entries = append(entries, EntryRow{
			CallID: r.ID, No: i, UnitID: r.Unit, QueueID: e.Queue, QueueName: e.Name, JoinedAt: stored(e.Joined), LeftAt: stored(closed(e.Left, r.Ended)),
			WaitMs: span(e.Joined, e.Left, r.Ended).Milliseconds(), Position: e.Position, Result: e.Result, Short: e.Short, AgentID: e.Agent, Priority: e.Priority,
		})
	}
	var offers []OfferRow
	for i, o := range r.Offers {
		why := o.Why
		if len(why) == 0 {
			why = json.RawMessage("null")
		}
		offers = append(offers, OfferRow{
			CallID: r.ID, No: i, UnitID: r.Unit, QueueID: o.Queue, AgentID: o.Agent, AgentName: o.Name, Phone: o.Phone, Kind: o.Kind,
			OfferedAt: stored(o.Started), RingingAt: maybe(o.Ringing), EndedAt: stored(closed(o.Ended, r.Ended)),
			RingMs: span(o.Started, o.Ended, r.Ended).Milliseconds(), Result: o.Result, Why: db.AsJSON(why),
		})
	}
	var holds []HoldRow
	for i, h := range r.Holds {
		holds = append(holds, HoldRow{
			CallID: r.ID, No: i, UnitID: r.Unit, AgentID: h.Agent, StartedAt: stored(h.Started), EndedAt: stored(closed(h.Ended, r.Ended)),
		})
	}
	if body, err := json.Marshal(r.Timeline); err == nil {
		parts = append(parts, &TimelineRow{CallID: r.ID, UnitID: r.Unit, Body: string(body)})
	}
	if len(legs) > 0 {
		parts = append(parts, &legs)
	}
	if len(segments) > 0 {
		parts = append(parts, &segments)
	}
	if len(entries) > 0 {
		parts = append(parts, &entries)
	}
	if len(offers) > 0 {
		parts = append(parts, &offers)
	}
	if len(holds) > 0 {
		parts = append(parts, &holds)
	}
	return parts
}

func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func maybe(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = stored(t)
	return &t
}

func closed(t, end time.Time) time.Time {
	if t.IsZero() {
		return end
	}
	return t
}

func span(from, to, end time.Time) time.Duration { return max(closed(to, end).Sub(from), 0) }

// cut shortens what the outside world sent to what a column holds, in characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

type store struct{ db *gorm.DB }

func (s store) call(id ID) (row Row, err error) {
	err = s.db.Where("id = ?", id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = ErrNoCall.With("There is no call %s.", id)
	}
	return row, err
}
