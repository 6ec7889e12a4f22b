package voicemail

import (
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"callplane/app/kernel/api"
	"callplane/app/kernel/problem"
)

// store is the module's tables, on a connection or in a transaction.
type store struct{ db *gorm.DB }

// message is one message, or problem.ErrNotFound.
func (s store) message(id MessageID) (m Message, err error) {
	if err = s.db.Where("id = ?", id).Take(&m).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		err = problem.ErrNotFound.With("There is no message %s.", id)
	}
	return m, err
}

// task is one task, or problem.ErrNotFound.
func (s store) task(id TaskID) (t Task, err error) {
	if err = s.db.Where("id = ?", id).Take(&t).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		err = problem.ErrNotFound.With("There is no task %s.", id)
	}
	return t, err
}

// addMessage stores a message unless it is there, and reports whether it was not.
func (s store) addMessage(m *Message) (bool, error) { return fresh(s.db.Create(m).Error) }

// addTask stores a task unless it is there, and reports whether it was not.
func (s store) addTask(t *Task) (bool, error) { return fresh(s.db.Create(t).Error) }

func fresh(err error) (bool, error) {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return false, nil
	}
	return err == nil, err
}

// keep notes where a message's audio is. The first to do so wins.
func (s store) keep(a Audio) (bool, error) {
	state := Kept
	if a.File == "" {
		state = Lost
	}
	return won(s.db.Model(&Message{}).Where("id = ? AND state = ?", a.Message, Pending).Updates(map[string]any{
		"state": state, "file": a.File, "sha256": a.SHA256, "bytes": a.Bytes, "length_ms": a.Length.Milliseconds(),
	}))
}

// heard notes who played a message first.
func (s store) heard(id MessageID, at time.Time, by string) (bool, error) {
	return won(s.db.Model(&Message{}).Where("id = ? AND heard_at IS NULL", id).Updates(map[string]any{"heard_at": at, "heard_by": by}))
}

// markOverdue notes the alarm, once, while the task is not done.
func (s store) markOverdue(id TaskID, at time.Time) (bool, error) {
	return won(s.db.Model(&Task{}).Where("id = ? AND overdue_at IS NULL AND state <> ?", id, Done).Update("overdue_at", at))
}

// claim makes a task the owner's if it is nobody's or theirs.
func (s store) claim(t Task, owner string) (bool, error) {
	return won(s.db.Model(&Task{}).Where("id = ? AND state <> ? AND owner_id IN ('', ?)", t.ID, Done, owner).
		Updates(map[string]any{"state": t.State, "owner_id": t.OwnerID, "claimed_at": t.ClaimedAt}))
}

// release takes a task from its owner.
func (s store) release(t Task, was string) (bool, error) {
	return won(s.db.Model(&Task{}).Where("id = ? AND state <> ? AND owner_id = ?", t.ID, Done, was).
		Updates(map[string]any{"state": t.State, "owner_id": "", "claimed_at": nil}))
}

// finish ends a task, if nobody claimed or finished it meanwhile.
func (s store) finish(t Task) (bool, error) {
	return won(s.db.Model(&Task{}).Where("id = ? AND state <> ? AND owner_id = ?", t.ID, Done, t.OwnerID).
		Updates(map[string]any{"state": t.State, "done_at": t.DoneAt, "done_by": t.DoneBy, "note": t.Note}))
}

func won(res *gorm.DB) (bool, error) { return res.Error == nil && res.RowsAffected > 0, res.Error }

// MessageFilter says which messages to list. Empty fields match all.
type MessageFilter struct {
	Call  string    `query:"call" required:"false" maxLength:"36"`
	Queue string    `query:"queue" required:"false" maxLength:"36"`
	Heard string    `query:"heard" required:"false" enum:"true,false"`
	From  time.Time `query:"from" required:"false" doc:"Not before"`
	To    time.Time `query:"to" required:"false" doc:"Before"`
}

// messages lists messages, the latest first.
func (s store) messages(f MessageFilter, p api.Paging) (api.Page[Message], error) {
	q := equal(equal(s.db.Model(&Message{}), "call_id", f.Call), "queue_id", f.Queue)
	switch f.Heard {
	case "true":
		q = q.Where("heard_at IS NOT NULL")
	case "false":
		q = q.Where("heard_at IS NULL")
	}
	q = between(q, "started_at", f.From, f.To)
	return api.List(q, p,
		api.Key[Message]{Column: "started_at", Desc: true, Value: func(m Message) any { return m.StartedAt }},
		api.Key[Message]{Column: "id", Desc: true, Value: func(m Message) any { return string(m.ID) }})
}

// TaskFilter says which tasks to list. Empty fields match all.
type TaskFilter struct {
	State   string `query:"state" required:"false" enum:"open,claimed,done,undone" doc:"undone is open or claimed"`
	Queue   string `query:"queue" required:"false" maxLength:"36"`
	Call    string `query:"call" required:"false" maxLength:"36"`
	Owner   string `query:"owner" required:"false" maxLength:"36"`
	Kind    string `query:"kind" required:"false" enum:"message,callback,follow_up"`
	Overdue string `query:"overdue" required:"false" enum:"true" doc:"Only those whose alarm was raised"`
}

// tasks lists tasks, what is due first first.
func (s store) tasks(f TaskFilter, p api.Paging) (api.Page[Task], error) {
	q := equal(equal(equal(equal(s.db.Model(&Task{}), "queue_id", f.Queue), "call_id", f.Call), "owner_id", f.Owner), "kind", f.Kind)
	if f.State == "undone" {
		q = q.Where("state IN ?", []TaskState{Open, Claimed})
	} else {
		q = equal(q, "state", f.State)
	}
	if f.Overdue == "true" {
		q = q.Where("overdue_at IS NOT NULL")
	}
	return api.List(q, p,
		api.Key[Task]{Column: "due_at", Value: func(t Task) any { return t.DueAt }},
		api.Key[Task]{Column: "id", Value: func(t Task) any { return string(t.ID) }})
}

func equal(q *gorm.DB, column, value string) *gorm.DB {
	if value == "" {
		return q
	}
	return q.Where(clause.Eq{Column: clause.Column{Name: column}, Value: value})
}

func between(q *gorm.DB, column string, from, to time.Time) *gorm.DB {
	if !from.IsZero() {
		q = q.Where(clause.Gte{Column: clause.Column{Name: column}, Value: from.UTC()})
	}
	if !to.IsZero() {
		q = q.Where(clause.Lt{Column: clause.Column{Name: column}, Value: to.UTC()})
	}
	return q
}
