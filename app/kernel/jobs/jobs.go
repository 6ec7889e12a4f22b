// Package jobs is work that must happen even after a crash: webhooks, mails, exports, conversions.
//
// A job has a kind, which says who does it, and an id, which says what is to be done: adding a job whose id is waiting,
// running, or was done in the last 24 hours does nothing. A job is done at least once; a node that dies in the middle
// leaves it to another after 30 seconds. What fails is tried again, later and later, and kept in a list once it has
// failed for good.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"gorm.io/gorm"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/outbox"
	"callplane/app/kernel/problem"
)

// ErrNoJob says that no failed job has that id.
var ErrNoJob = problem.New(problem.NotFound, "job_not_found", "No such failed job")

const (
	stream       = "CC_JOBS"
	subjectNow   = "cc.job."
	subjectLater = "cc.later."
	carrier      = "job" // in the outbox
	doneFor      = 24 * time.Hour
	ackWait      = 30 * time.Second
)

// codes of JetStream's answers.
const codeWrongSeq = 10071

// Options say how jobs of a kind are done.
type Options struct {
	// Parallel is how many run at once on each node. Default 4.
	Parallel int
	// Attempts is how often a job is tried before it has failed. Default 10.
	Attempts int
	// MinBackoff and MaxBackoff bound the wait before the next attempt, which doubles each time and is spread by a
	// half. Defaults 1 s and 10 min.
	MinBackoff, MaxBackoff time.Duration
	// Timeout ends the context of one attempt. Default 1 min.
	Timeout time.Duration
}

// Job is one piece of work.
type Job struct {
	Kind    string          `json:"kind"`
	ID      string          `json:"id"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Added   time.Time       `json:"added"`
	Due     time.Time       `json:"due,omitzero"` // not before then; zero: at once
	Attempt int             `json:"attempt"`      // 1 for the first; attempts that a crash ended count
}

// Into decodes the payload.
func (j Job) Into(v any) error {
	if err := json.Unmarshal(j.Payload, v); err != nil {
		return fmt.Errorf("payload of job %s %s: %w", j.Kind, j.ID, err)
	}
	return nil
}

// Option changes one job.
type Option func(*Job)

// After keeps a job waiting until t.
func After(t time.Time) Option { return func(j *Job) { j.Due = t.UTC() } }

// Later says that an attempt failed and when to try again, as a Retry-After asks. It counts as an attempt.
func Later(d time.Duration, err error) error { return &later{d, err} }

// Fail says that trying again is of no use.
func Fail(err error) error { return &fail{err} }

type later struct {
	wait time.Duration
	err  error
}

func (l *later) Error() string { return l.err.Error() }
func (l *later) Unwrap() error { return l.err }

type fail struct{ err error }

func (f *fail) Error() string { return f.err.Error() }
func (f *fail) Unwrap() error { return f.err }

// Jobs takes jobs in and does those whose kind it has been given a handler for.
type Jobs struct {
	bus    *bus.Bus
	outbox *outbox.Outbox
	log    *slog.Logger

	mu    sync.Mutex
	kinds map[string]*kind
	ready jetstream.Stream // nil until the stream is known to be there
}

// kind is the handler of one kind of job.
type kind struct {
	name   string
	opts   Options
	handle func(context.Context, Job) error
	cons   atomic.Value // jetstream.Consumer, once Run made it

	running, done, retried, failed atomic.Int64
}

// New makes the jobs of a node. Handlers come with Handle; Run does the work.
func New(b *bus.Bus, o *outbox.Outbox) *Jobs {
	j := &Jobs{bus: b, outbox: o, log: slog.Default().With("module", "jobs"), kinds: map[string]*kind{}}
	o.Carry(carrier, func(ctx context.Context, it outbox.Item) error {
		var job Job
		if err := json.Unmarshal(it.Payload, &job); err != nil {
			j.log.Error("outbox item is no job; left out", "id", it.ID, "error", err)
			return nil
		}
		return j.store(ctx, job)
	})
	return j
}

// Handle says who does jobs of a kind, before Run. f must be able to do the same job twice. It gets nil, an error to be
// tried again, Later or Fail back.
func (j *Jobs) Handle(name string, o Options, f func(ctx context.Context, job Job) error) {
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.Attempts <= 0 {
		o.Attempts = 10
	}
	if o.MinBackoff <= 0 {
		o.MinBackoff = time.Second
	}
	if o.MaxBackoff < o.MinBackoff {
		o.MaxBackoff = max(o.MinBackoff, 10*time.Minute)
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.kinds[name] != nil {
		panic("jobs: two handlers for " + name)
	}
	j.kinds[name] = &kind{name: name, opts: o, handle: f}
}

// Add stores a job and waits for it. payload becomes JSON and may be nil. Error: it is not known to be stored; adding it
// again is safe.
func (j *Jobs) Add(ctx context.Context, name, id string, payload any, opts ...Option) error {
	job, err := newJob(name, id, payload, opts)
	if err != nil {
		return err
	}
	return j.store(ctx, job)
}

// AddTx adds a job if and only if the transaction tx commits.
func (j *Jobs) AddTx(tx *gorm.DB, name, id string, payload any, opts ...Option) error {
	job, err := newJob(name, id, payload, opts)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("job %s %s: %w", name, id, err)
	}
	return j.outbox.AddItem(tx, carrier, outbox.Item{ID: name + "/" + id, Payload: raw})
}

func newJob(name, id string, payload any, opts []Option) (Job, error) {
	if name == "" || id == "" {
		return Job{}, errors.New("jobs: a job needs a kind and an id")
	}
	job := Job{Kind: name, ID: id, Added: time.Now().UTC().Truncate(time.Microsecond)}
	if payload != nil {
		raw, err := json.Marshal(payload)
		if err != nil {
			return Job{}, fmt.Errorf("job %s %s: %w", name, id, err)
		}
		job.Payload = raw
	}
	for _, o := range opts {
		o(&job)
	}
	return job, nil
}

// open makes sure that the stream is there.
func (j *Jobs) open(ctx context.Context) (jetstream.Stream, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ready != nil {
		return j.ready, nil
	}
	s, err := j.bus.JetStream().CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: stream, Description: "Work to be done", Subjects: []string{subjectNow + ">", subjectLater + ">"},
		Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage, Replicas: j.bus.Replicas(),
		AllowDirect: true, AllowRollup: true, AllowMsgSchedules: true, AllowMsgTTL: true, Duplicates: time.Second,
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	j.ready = s
	return s, nil
}

// store puts a job into the stream, unless it is there.
func (j *Jobs) store(ctx context.Context, job Job) error {
	if _, err := j.open(ctx); err != nil {
		return err
	}
	raw, err := json.Marshal(job)
	if err != nil {
		return fmt.Errorf("job %s %s: %w", job.Kind, job.ID, err)
	}
	name := bus.Token(job.Kind) + "." + bus.Token(job.ID)
	m := &nats.Msg{Subject: subjectNow + name, Data: raw, Header: nats.Header{}}
	if time.Until(job.Due) > 0 {
		m.Subject = subjectLater + name
		m.Header.Set("Nats-Schedule", "@at "+job.Due.Format(time.RFC3339Nano))
		m.Header.Set("Nats-Schedule-Target", subjectNow+name)
	}
	_, err = j.bus.JetStream().PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(0))
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == codeWrongSeq {
		return nil // it waits or runs already
	}
	if err != nil {
		return fmt.Errorf("store job %s %s: %w", job.Kind, job.ID, err)
	}
	return nil
}
