package recording

import (
	"slices"
	"time"

	"callplane/app/call"
	"callplane/app/pbx"
	"callplane/app/recording/wav"
)

// ID names a recording. There is one for each call, so it is the call's id.
type ID string

// State is whether a recording is whole.
type State string

// The states of a recording.
const (
	OK        State = "ok"
	Truncated State = "truncated" // more than a second of somebody is missing
	Failed    State = "failed"    // there is no audio at all
)

// slack is how much may be missing from a track before the recording counts as truncated.
const slack = time.Second

// Recording is what was said in one call, from the first talk to the last.
type Recording struct {
	ID         ID             `json:"id" gorm:"primaryKey;size:36"`
	UnitID     string         `json:"unit" gorm:"size:36"`
	CallID     call.ID        `json:"call" gorm:"size:36"`
	QueueID    string         `json:"queue,omitempty" gorm:"size:36"`
	AgentID    string         `json:"agent,omitempty" gorm:"size:36" doc:"Who talked last"`
	Agents     []string       `json:"agents" gorm:"serializer:json" doc:"All who talked, supervisors who barged in included"`
	Direction  call.Direction `json:"direction" gorm:"size:20"`
	FromNumber string         `json:"from,omitempty" gorm:"size:40"`
	ToNumber   string         `json:"to,omitempty" gorm:"size:40"`
	StartedAt  time.Time      `json:"started"`
	LengthMS   int64          `json:"length_ms" gorm:"column:length_ms" doc:"Of the file, in milliseconds"`
	ExpectedMS int64          `json:"expected_ms" gorm:"column:expected_ms" doc:"From the first talk to the last, in milliseconds"`
	MissingMS  int64          `json:"missing_ms" gorm:"column:missing_ms" doc:"What the track that lacks most lacks, in milliseconds; 0 unless truncated or failed"`
	Bytes      int64          `json:"bytes"`
	SHA256     string         `json:"sha256,omitempty" gorm:"column:sha256;size:64" doc:"Digest of the file when it was stored"`
	File       string         `json:"-" gorm:"size:255"`
	State      State          `json:"state" gorm:"size:20" enum:"ok,truncated,failed"`
	Error      string         `json:"error,omitempty" gorm:"size:500"`
	Peaks      []byte         `json:"-" gorm:"not null"`
	CreatedAt  time.Time      `json:"created_at"`
	UpdatedAt  time.Time      `json:"updated_at"`
}

// TableName is the table of recordings.
func (Recording) TableName() string { return "recording_recordings" }

// Party is an agent in a recording, for finding an agent's recordings.
type Party struct {
	RecordingID ID     `gorm:"primaryKey;size:36"`
	AgentID     string `gorm:"primaryKey;size:36"`
}

// TableName is the table of agents in recordings.
func (Party) TableName() string { return "recording_parties" }

// Models is every table of the module.
func Models() []any { return []any{Recording{}, Party{}} }

// Work is what there is to fetch of one call: it is the job's payload, and enough to make the recording without asking anyone
// but the switch.
type Work struct {
	Call      call.ID        `json:"call"`
	Unit      string         `json:"unit"`
	UnitPath  string         `json:"unit_path"`
	Node      string         `json:"node"`
	Queue     string         `json:"queue"`
	Agent     string         `json:"agent"`
	Agents    []string       `json:"agents"`
	Direction call.Direction `json:"direction"`
	From      string         `json:"from"`
	To        string         `json:"to"`
	Tracks    []Track        `json:"tracks"`
}

// Track is one recording on the switch: of one leg, from one time to another.
type Track struct {
	ID       pbx.RecordingID `json:"id"`
	Customer bool            `json:"customer"` // left; else right
	Started  time.Time       `json:"started"`
	Until    time.Time       `json:"until"`             // when its party was gone, or recording was switched off: so long it should be
	Refused  bool            `json:"refused,omitempty"` // the switch would not record, so there is nothing to wait for
}

// Expected is how long the track should be.
func (t Track) Expected() time.Duration { return max(0, t.Until.Sub(t.Started)) }

// expected tells whether the switch should have the track, so that it is worth waiting for.
func (t Track) expected() bool { return !t.Refused && t.Expected() > slack }

// WorkOf tells what there is to fetch of a call that has ended; false when nothing of its talk was recorded. limit is how
// long a recording may be on the switch.
//
// The end that a track reports is not believed, since a full disk ends it early: its party's leg says how long it should be.
func WorkOf(rec call.Record, limit time.Duration) (w Work, ok bool) {
	w = Work{
		Call: rec.ID, Unit: rec.Unit, UnitPath: rec.UnitPath, Node: rec.Node, Queue: rec.Queue, Agent: rec.Agent,
		Direction: rec.Direction, From: clip(rec.From, 40), To: clip(rec.To, 40), Agents: []string{},
	}
	for i, t := range rec.Tracks {
		if t.Side == "message" {
			continue
		}
		w.Tracks = append(w.Tracks, Track{ID: t.ID, Customer: t.Side == "customer", Started: t.Started.UTC(), Until: until(rec, i, limit), Refused: t.Ended.Equal(t.Started)})
		if t.Agent != "" && !slices.Contains(w.Agents, t.Agent) {
			w.Agents = append(w.Agents, t.Agent)
		}
		if w.Queue == "" {
			w.Queue = t.Queue
		}
	}
	if w.Agent != "" && !slices.Contains(w.Agents, w.Agent) {
		w.Agents = append(w.Agents, w.Agent)
	}
	slices.SortStableFunc(w.Tracks, func(a, b Track) int { return a.Started.Compare(b.Started) })
	return w, len(w.Tracks) > 0
}

// until is when track i should have ended.
func until(rec call.Record, i int, limit time.Duration) time.Time {
	t := rec.Tracks[i]
	end := rec.Ended
	for _, l := range rec.Legs {
		if l.ID == t.Leg && !l.Ended.IsZero() {
			end = l.Ended
		}
	}
	for _, m := range rec.Timeline {
		if on, known := m.Data["on"].(bool); m.What == "recording" && known && !on && m.At.After(t.Started) && m.At.Before(end) {
			end = m.At
		}
	}
	for _, next := range rec.Tracks[i+1:] { // recorded anew
		if next.Leg == t.Leg && next.Side == t.Side && next.Started.Before(end) {
			end = next.Started
		}
	}
	if limit > 0 && end.Sub(t.Started) > limit {
		end = t.Started.Add(limit)
	}
	return end.UTC()
}

// Tracks that start within together of each other were asked for at one moment, and are taken to start at one. All others
// start on a grid, which is the length of a telephone's packet.
const (
	together = 40 * time.Millisecond
	grid     = 20 * time.Millisecond
)

// places tells where on the time line tracks begin, in samples from the first one's start. They must be sorted by their start.
func places(tracks []Track) []int64 {
	at := make([]int64, len(tracks))
	var group time.Time // the first start of those that count as one
	for i, t := range tracks {
		if i == 0 || t.Started.Sub(group) > together {
			group = t.Started
			at[i] = wav.Samples(group.Sub(tracks[0].Started).Round(grid))
			continue
		}
		at[i] = at[i-1]
	}
	return at
}

// span is the time from the first start to the last end.
func (w Work) span() time.Duration {
	var d time.Duration
	for _, t := range w.Tracks {
		d = max(d, t.Until.Sub(w.Tracks[0].Started))
	}
	return d
}

// Stored is what the events of this module carry.
type Stored struct {
	ID       ID        `json:"id"`
	Call     call.ID   `json:"call"`
	Unit     string    `json:"unit"`
	Queue    string    `json:"queue,omitempty"`
	Agent    string    `json:"agent,omitempty"`
	Agents   []string  `json:"agents"`
	Started  time.Time `json:"started"`
	State    State     `json:"state"`
	Actual   float64   `json:"actual_seconds" doc:"Length of the file"`
	Expected float64   `json:"expected_seconds" doc:"From the first talk to the last"`
	Missing  float64   `json:"missing_seconds" doc:"What the track that lacks most lacks"`
	Error    string    `json:"error,omitempty"`
}

// Told is the recording as events tell it.
func (r Recording) Told() Stored {
	seconds := func(ms int64) float64 { return float64(ms) / 1000 }
	return Stored{
		ID: r.ID, Call: r.CallID, Unit: r.UnitID, Queue: r.QueueID, Agent: r.AgentID, Agents: r.Agents, Started: r.StartedAt, State: r.State,
		Actual: seconds(r.LengthMS), Expected: seconds(r.ExpectedMS), Missing: seconds(r.MissingMS), Error: r.Error,
	}
}

// clip cuts text that came from outside to what its column holds, in characters.
func clip(text string, most int) string {
	for i := range text {
		if most--; most < 0 {
			return text[:i]
		}
	}
	return text
}
