package voicemail

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"callplane/app/call"
	"callplane/app/kernel/problem"
)

// MessageID names a message.
type MessageID string

// TaskID names a task.
type TaskID string

// MessageState is how far a message's audio is.
type MessageState string

// The states of a message.
const (
	Pending MessageState = "pending" // the audio is still on the switch
	Kept    MessageState = "kept"
	Lost    MessageState = "lost" // the switch has no audio of it
)

// Message is what a caller said.
type Message struct {
	ID         MessageID    `json:"id" gorm:"primaryKey;size:36"`
	UnitID     string       `json:"unit" gorm:"size:36"`
	CallID     call.ID      `json:"call" gorm:"size:36"`
	QueueID    string       `json:"queue,omitempty" gorm:"size:36"`
	QueueName  string       `json:"queue_name,omitempty" gorm:"size:120"`
	Caller     string       `json:"caller,omitempty" gorm:"size:40" doc:"Number; empty when withheld"`
	CallerName string       `json:"caller_name,omitempty" gorm:"size:120"`
	StartedAt  time.Time    `json:"started"`
	LengthMS   int64        `json:"length_ms" gorm:"column:length_ms" doc:"Milliseconds"`
	Bytes      int64        `json:"bytes"`
	SHA256     string       `json:"sha256,omitempty" gorm:"column:sha256;size:64"`
	File       string       `json:"-" gorm:"size:255"`
	State      MessageState `json:"state" gorm:"size:20" enum:"pending,kept,lost"`
	HeardAt    *time.Time   `json:"heard,omitempty" doc:"When it was first played"`
	HeardBy    string       `json:"heard_by,omitempty" gorm:"size:36"`
	CreatedAt  time.Time    `json:"created_at"`
	UpdatedAt  time.Time    `json:"updated_at"`
}

// TableName is the table of messages.
func (Message) TableName() string { return "voicemail_messages" }

// Kind is what there is to do.
type Kind string

// The kinds of task.
const (
	HearMessage Kind = "message"
	CallBack    Kind = "callback"
	FollowUp    Kind = "follow_up" // added by a person
)

// TaskState is how far a task is.
type TaskState string

// The states of a task.
const (
	Open    TaskState = "open"
	Claimed TaskState = "claimed" // somebody works on it
	Done    TaskState = "done"
)

// Task is something to do after a call.
type Task struct {
	ID        TaskID     `json:"id" gorm:"primaryKey;size:36"`
	UnitID    string     `json:"unit" gorm:"size:36"`
	Kind      Kind       `json:"kind" gorm:"size:20" enum:"message,callback,follow_up"`
	CallID    call.ID    `json:"call,omitempty" gorm:"size:36"`
	MessageID MessageID  `json:"message,omitempty" gorm:"size:36"`
	QueueID   string     `json:"queue,omitempty" gorm:"size:36"`
	QueueName string     `json:"queue_name,omitempty" gorm:"size:120"`
	Number    string     `json:"number,omitempty" gorm:"size:40" doc:"Whom to call"`
	Note      string     `json:"note,omitempty" gorm:"size:1000"`
	DueAt     time.Time  `json:"due"`
	OverdueAt *time.Time `json:"overdue,omitempty" doc:"When the alarm was raised"`
	State     TaskState  `json:"state" gorm:"size:20" enum:"open,claimed,done"`
	OwnerID   string     `json:"owner,omitempty" gorm:"size:36" doc:"Who claimed it"`
	ClaimedAt *time.Time `json:"claimed,omitempty"`
	DoneAt    *time.Time `json:"done,omitempty"`
	DoneBy    string     `json:"done_by,omitempty" gorm:"size:36"`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
}

// TableName is the table of tasks.
func (Task) TableName() string { return "voicemail_tasks" }

// Models is every table of the module.
func Models() []any { return []any{Message{}, Task{}} }

// Problems of this module.
var (
	ErrClaimed = problem.New(problem.Conflict, "task_claimed", "Somebody else works on this task")
	ErrDone    = problem.New(problem.Conflict, "task_done", "The task is done")
	ErrNoAudio = problem.New(problem.Conflict, "message_pending", "The message's audio is not here yet")
)

// shortest is how long a message must be to count as one: less is a caller who hung up at the beep.
const shortest = time.Second

// made is an id that the same things always get, so that making something twice makes it once.
func made(parts ...string) string {
	var name []byte
	for _, p := range parts {
		name = fmt.Appendf(name, "%d:%s", len(p), p)
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, append([]byte("callplane voicemail "), name...)).String()
}

// IDOf is the id of the message in a track of a call.
func IDOf(id call.ID, t call.Track) MessageID { return MessageID(made(string(id), string(t.ID))) }

// FromCall tells what a call that has ended leaves to be done, within due: a message to hear for each one spoken; or, if the
// caller was asked for a message, spoke none, was not served afterwards and left a number, a call back.
func FromCall(rec call.Record, due time.Duration) (messages []Message, tasks []Task) {
	for _, t := range rec.Tracks {
		if t.Side != "message" || !t.Ended.IsZero() && t.Ended.Sub(t.Started) < shortest {
			continue
		}
		queue, name := queueOf(rec, t.Queue)
		m := Message{
			ID: IDOf(rec.ID, t), UnitID: rec.Unit, CallID: rec.ID, QueueID: queue, QueueName: name,
			Caller: clip(rec.From, 40), CallerName: clip(rec.FromName, 120), StartedAt: t.Started.UTC(), State: Pending,
		}
		messages = append(messages, m)
		tasks = append(tasks, Task{
			ID: TaskID(made("task", string(m.ID))), UnitID: rec.Unit, Kind: HearMessage, CallID: rec.ID, MessageID: m.ID,
			QueueID: queue, QueueName: name, Number: clip(rec.From, 40), DueAt: rec.Ended.Add(due).UTC(), State: Open,
		})
	}
	if len(messages) > 0 || rec.From == "" {
		return messages, tasks
	}
	var offered *call.Segment
	for i, s := range rec.Segments {
		switch s.Kind {
		case "message":
			offered = &rec.Segments[i]
		case "agent", "outside":
			offered = nil
		}
	}
	if offered == nil {
		return nil, nil
	}
	queue, name := queueOf(rec, offered.Queue)
	return nil, []Task{{
		ID: TaskID(made("callback", string(rec.ID))), UnitID: rec.Unit, Kind: CallBack, CallID: rec.ID,
		QueueID: queue, QueueName: name, Number: clip(rec.From, 40), DueAt: rec.Ended.Add(due).UTC(), State: Open,
	}}
}

// queueOf is the queue that a message was left for, and its name: the queue the caller was last in, if none was named.
func queueOf(rec call.Record, queue string) (id, name string) {
	if queue == "" {
		queue = rec.Queue
	}
	if queue == rec.Queue {
		return queue, clip(rec.QueueName, 120)
	}
	for _, e := range rec.Entries {
		if e.Queue == queue {
			name = clip(e.Name, 120)
		}
	}
	return queue, name
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
