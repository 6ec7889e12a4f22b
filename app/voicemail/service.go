package voicemail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"callplane/app/call"
	"callplane/app/kernel"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/problem"
	"callplane/app/voicemail/playback"
)

// Permissions of this module. Agents see the tasks of the whole tenant, because callers leave messages for queues, and a queue's
// agents stand in many units.
var (
	Read   = auth.Define("voicemail:read", "hear messages, see the tasks that follow", auth.Supervisor, auth.Auditor, auth.Agent.At(auth.All))
	Work   = auth.Define("voicemail:work", "add, claim and finish tasks", auth.Supervisor, auth.Agent.At(auth.All))
	Manage = auth.Define("voicemail:manage", "finish and release tasks that others claimed", auth.Supervisor)
)

// Types of this module's events.
const (
	EventMessage = "voicemail.message"      // a message was left; data is a Message, perhaps without its audio yet
	EventStored  = "voicemail.stored"       // its audio can be played now; data is a Message
	EventHeard   = "voicemail.heard"        // it was played for the first time; data is a Message
	EventAdded   = "voicemail.task_added"   // data is a Task
	EventChanged = "voicemail.task_changed" // claimed, released or done; data is a Task
	EventOverdue = "voicemail.task_overdue" // open after its due time; data is a Task
)

// Config is what is set for the module.
type Config struct {
	Due time.Duration // how long after the call a task is due; default 4 h
}

// errNotDue says that a task was given more time since its alarm was set.
var errNotDue = errors.New("the task is not due yet")

// overdueJob raises the alarm of one task.
const overdueJob = "voicemail.overdue"

// Service keeps messages and tasks.
type Service struct {
	log    *slog.Logger
	kit    *kernel.Kit
	tree   auth.Tree
	cfg    Config
	player *playback.Player
}

// New makes the service. tree tells where units stand, for events.
func New(kit *kernel.Kit, tree auth.Tree, cfg Config) *Service {
	if cfg.Due <= 0 {
		cfg.Due = 4 * time.Hour
	}
	s := &Service{log: kit.Log.With("module", "voicemail"), kit: kit, tree: tree, cfg: cfg, player: playback.New(kit.DB, kit.Files)}
	kit.Jobs.Handle(overdueJob, jobs.Options{Parallel: 2, Attempts: 1000, MinBackoff: time.Second, MaxBackoff: time.Minute, Timeout: time.Minute}, s.overdue)
	return s
}

// Run turns calls that end into messages and tasks, until ctx is done.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.kit.Bus.Consume(ctx, bus.Consumer{Name: "voicemail", Types: []string{call.EventRecord}, Gather: 100 * time.Millisecond, Handle: s.ended})
	})
	return g.Wait()
}

// ended takes calls that have ended.
func (s *Service) ended(ctx context.Context, events []bus.Event) error {
	for _, e := range events {
		var rec call.Record
		if err := e.Into(&rec); err != nil {
			s.log.Error("call record cannot be read", "event", e.ID, "error", err)
			continue
		}
		messages, tasks := FromCall(rec, s.cfg.Due)
		if err := s.add(ctx, messages, tasks); err != nil {
			return fmt.Errorf("tasks of call %s: %w", rec.ID, err)
		}
	}
	return nil
}

// add stores what is not there yet, tells of it, and sets the alarms.
func (s *Service) add(ctx context.Context, messages []Message, tasks []Task) error {
	if len(messages)+len(tasks) == 0 {
		return nil
	}
	return db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		st := store{tx}
		for _, m := range messages {
			if fresh, err := st.addMessage(&m); err != nil || !fresh {
				if err != nil {
					return err
				}
				continue
			}
			if err := s.tell(tx, EventMessage, m.UnitID, string(m.ID), m); err != nil {
				return err
			}
		}
		for _, t := range tasks {
			if fresh, err := st.addTask(&t); err != nil || !fresh {
				if err != nil {
					return err
				}
				continue
			}
			if err := s.announce(tx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// announce tells of a new task and sets its alarm.
func (s *Service) announce(tx *gorm.DB, t Task) error {
	if err := s.tell(tx, EventAdded, t.UnitID, string(t.ID), t); err != nil {
		return err
	}
	return s.kit.Jobs.AddTx(tx, overdueJob, string(t.ID), t.ID, jobs.After(t.DueAt))
}

// tell publishes an event when tx commits.
func (s *Service) tell(tx *gorm.DB, typ, unit, key string, data any) error {
	e := bus.NewEvent(typ, key, data).For(unit, s.tree.Path(auth.UnitID(unit)))
	e.Perm = string(Read)
	return s.kit.Outbox.Add(tx, e)
}

// overdue raises the alarm of a task that is not done in time.
func (s *Service) overdue(ctx context.Context, j jobs.Job) error {
	var id TaskID
	if err := j.Into(&id); err != nil {
		return jobs.Fail(err)
	}
	t, err := store{s.kit.DB.WithContext(ctx)}.task(id)
	switch {
	case errors.Is(err, problem.ErrNotFound), err == nil && (t.State == Done || t.OverdueAt != nil):
		return nil
	case err != nil:
		return err
	}
	if wait := time.Until(t.DueAt); wait > 0 {
		return jobs.Later(wait, errNotDue)
	}
	return db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		now := db.Now()
		if fresh, err := (store{tx}).markOverdue(id, now); err != nil || !fresh {
			return err
		}
		t.OverdueAt = &now
		return s.tell(tx, EventOverdue, t.UnitID, string(t.ID), t)
	})
}

// Audio is the stored sound of a message, as package recording hands it over.
type Audio struct {
	Message MessageID
	File    string // key in the store of files; empty when the switch had none
	SHA256  string
	Bytes   int64
	Length  time.Duration
}

// Kept tells whether a message's audio has been handed over, so that it need not be fetched again.
func (s *Service) Kept(ctx context.Context, id MessageID) (bool, error) {
	m, err := store{s.kit.DB.WithContext(ctx)}.message(id)
	if errors.Is(err, problem.ErrNotFound) {
		return false, nil
	}
	return err == nil && m.State != Pending, err
}

// Keep takes the audio of a message of a call that has ended. Taken twice, it counts once. The message and its task are made if
// the call's own event has not come by yet.
func (s *Service) Keep(ctx context.Context, m Message, a Audio) error {
	m.ID, m.State = a.Message, Pending
	t := Task{
		ID: TaskID(made("task", string(m.ID))), UnitID: m.UnitID, Kind: HearMessage, CallID: m.CallID, MessageID: m.ID,
		QueueID: m.QueueID, QueueName: m.QueueName, Number: m.Caller, DueAt: db.Now().Add(s.cfg.Due), State: Open,
	}
	if err := s.add(ctx, []Message{m}, []Task{t}); err != nil {
		return err
	}
	return db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		st := store{tx}
		if fresh, err := st.keep(a); err != nil || !fresh {
			return err
		}
		m, err := st.message(a.Message)
		if err != nil {
			return err
		}
		return s.tell(tx, EventStored, m.UnitID, string(m.ID), m)
	})
}

// Heard notes that the asker has played a message. The first time counts.
func (s *Service) Heard(ctx context.Context, id MessageID) (m Message, err error) {
	if m, err = s.Message(ctx, id); err != nil || m.HeardAt != nil {
		return m, err
	}
	err = db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		now := db.Now()
		if fresh, err := (store{tx}).heard(id, now, string(auth.From(ctx).UserID)); err != nil || !fresh {
			return err
		}
		m.HeardAt, m.HeardBy = &now, string(auth.From(ctx).UserID)
		return s.tell(tx, EventHeard, m.UnitID, string(m.ID), m)
	})
	return m, err
}

// Message is one message that the asker may see.
func (s *Service) Message(ctx context.Context, id MessageID) (Message, error) {
	return store{auth.Visible(ctx, s.kit.DB.WithContext(ctx), Read, "unit_id", "")}.message(id)
}

// Task is one task that the asker may see.
func (s *Service) Task(ctx context.Context, id TaskID) (Task, error) {
	return store{auth.Visible(ctx, s.kit.DB.WithContext(ctx), Read, "unit_id", "owner_id")}.task(id)
}

// Add makes a follow-up task for people. A due time that is zero is the setting's.
func (s *Service) Add(ctx context.Context, t Task) (Task, error) {
	who := auth.From(ctx)
	if t.UnitID == "" {
		t.UnitID = string(who.UnitID)
	}
	if !auth.MayUse(ctx, Work, t.UnitID, "") {
		return t, problem.ErrNotFound.With("There is no unit %s.", t.UnitID)
	}
	t.ID, t.Kind, t.State = TaskID(db.ID()), FollowUp, Open
	if t.DueAt.IsZero() {
		t.DueAt = db.Now().Add(s.cfg.Due)
	}
	t.DueAt = t.DueAt.UTC().Truncate(time.Microsecond)
	err := db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		if _, err := (store{tx}).addTask(&t); err != nil {
			return err
		}
		if err := s.announce(tx, t); err != nil {
			return err
		}
		return audit.Add(ctx, tx, audit.Entry{Action: "voicemail.task.add", Object: "voicemail.task", ObjectID: string(t.ID), Unit: auth.UnitID(t.UnitID), After: t})
	})
	return t, err
}

// Claim makes the task the asker's. Of two who claim it, one gets ErrClaimed. Claiming one's own again is no error.
func (s *Service) Claim(ctx context.Context, id TaskID) (Task, error) {
	me := string(auth.From(ctx).UserID)
	return s.change(ctx, id, "claim", func(st store, t *Task) (bool, error) {
		if t.OwnerID != "" && t.OwnerID != me {
			return false, ErrClaimed
		}
		now := db.Now()
		t.State, t.OwnerID, t.ClaimedAt = Claimed, me, &now
		return st.claim(*t, me)
	})
}

// Release gives a claimed task back: one's own, or anyone's with the permission Manage.
func (s *Service) Release(ctx context.Context, id TaskID) (Task, error) {
	return s.change(ctx, id, "release", func(st store, t *Task) (bool, error) {
		was := t.OwnerID
		if err := s.mine(ctx, *t); err != nil {
			return false, err
		}
		t.State, t.OwnerID, t.ClaimedAt = Open, "", nil
		return st.release(*t, was)
	})
}

// Finish says that a task is done, with a note of what came of it. A task that somebody else claimed is ErrClaimed, unless the
// asker holds Manage.
func (s *Service) Finish(ctx context.Context, id TaskID, note string) (Task, error) {
	return s.change(ctx, id, "done", func(st store, t *Task) (bool, error) {
		if err := s.mine(ctx, *t); err != nil {
			return false, err
		}
		now := db.Now()
		t.State, t.DoneAt, t.DoneBy = Done, &now, string(auth.From(ctx).UserID)
		if note != "" {
			t.Note = note
		}
		return st.finish(*t)
	})
}

// mine is nil when the task is nobody's, the asker's, or the asker manages.
func (s *Service) mine(ctx context.Context, t Task) error {
	if t.OwnerID == "" || t.OwnerID == string(auth.From(ctx).UserID) || auth.MayUse(ctx, Manage, t.UnitID, "") {
		return nil
	}
	return ErrClaimed
}

// change does one step of a task, in a transaction, tells of it and writes it down. The step reports whether it won the race.
func (s *Service) change(ctx context.Context, id TaskID, what string, step func(store, *Task) (bool, error)) (t Task, err error) {
	err = db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		if t, err = (store{auth.Visible(ctx, tx, Work, "unit_id", "owner_id")}).task(id); err != nil {
			return err
		}
		if t.State == Done {
			return ErrDone
		}
		was := t
		won, err := step(store{tx}, &t)
		if err != nil {
			return err
		}
		if !won {
			return ErrClaimed
		}
		if err := s.tell(tx, EventChanged, t.UnitID, string(t.ID), t); err != nil {
			return err
		}
		return audit.Add(ctx, tx, audit.Entry{
			Action: "voicemail.task." + what, Object: "voicemail.task", ObjectID: string(id), Unit: auth.UnitID(t.UnitID), Before: was, After: t,
		})
	})
	return t, err
}
