package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callplane/app/kernel/bus"
)

// Run does jobs until ctx is done; then it waits for those that run, whose contexts end too.
func (j *Jobs) Run(ctx context.Context) error {
	j.mu.Lock()
	kinds := make([]*kind, 0, len(j.kinds))
	for _, k := range j.kinds {
		kinds = append(kinds, k)
	}
	j.mu.Unlock()
	var wg sync.WaitGroup
	for _, k := range kinds {
		wg.Go(func() { j.runKind(ctx, k) })
	}
	wg.Wait()
	return nil
}

// runKind makes the kind's consumer and its workers, and waits for them.
func (j *Jobs) runKind(ctx context.Context, k *kind) {
	var cons jetstream.Consumer
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		s, err := j.open(ctx)
		if err == nil {
			cons, err = s.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
				Durable: "job_" + bus.Token(k.name), FilterSubject: subjectNow + bus.Token(k.name) + ".*",
				AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1, MaxAckPending: 100_000, MaxWaiting: 4096,
			})
		}
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		j.log.Warn("jobs wait for the bus", "kind", k.name, "error", err)
		pause(ctx, wait)
	}
	k.cons.Store(&cons)
	var wg sync.WaitGroup
	for range k.opts.Parallel {
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := j.one(ctx, k, cons); err != nil && ctx.Err() == nil {
					j.log.Debug("no job to be had", "kind", k.name, "error", err)
					pause(ctx, 500*time.Millisecond)
				}
			}
		})
	}
	wg.Wait()
}

// one waits for a job, up to 30 s, and does it.
func (j *Jobs) one(ctx context.Context, k *kind, cons jetstream.Consumer) error {
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	batch, err := cons.Fetch(1, jetstream.FetchContext(wait))
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		j.do(ctx, k, m)
	}
	if err := batch.Error(); err != nil && wait.Err() == nil {
		return err
	}
	return nil
}

// do does one job and says what became of it.
func (j *Jobs) do(ctx context.Context, k *kind, m jetstream.Msg) {
	var job Job
	if err := json.Unmarshal(m.Data(), &job); err != nil {
		j.log.Error("job is not JSON; left out", "subject", m.Subject(), "error", err)
		_ = m.Term()
		return
	}
	job.Attempt = 1
	if meta, err := m.Metadata(); err == nil {
		job.Attempt = int(meta.NumDelivered)
	}
	key := job.Kind + "/" + job.ID
	if _, err := j.bus.KV("jobs_done").Get(ctx, key); err == nil {
		_ = m.Ack()
		return
	} else if !errors.Is(err, bus.ErrNoKey) {
		_ = m.NakWithDelay(time.Second)
		return
	}
	k.running.Add(1)
	err := j.attempt(ctx, k, job, m)
	k.running.Add(-1)
	switch l, _ := errors.AsType[*later](err); {
	case err == nil:
		k.done.Add(1)
		j.bus.KV("jobs_done").PutFor(key, nil, doneFor)
		if err := j.bus.Flush(ctx); err != nil { // first: once acknowledged, the same job may be added again
			j.log.Debug("job is done, and that is not stored yet", "kind", job.Kind, "job", job.ID, "error", err)
		}
		_ = m.Ack()
	case ctx.Err() != nil: // we are ending: another node may have it at once
		_ = m.Nak()
	case isFail(err) || job.Attempt >= k.opts.Attempts:
		k.failed.Add(1)
		j.log.Error("job failed for good", "kind", job.Kind, "job", job.ID, "attempts", job.Attempt, "error", err)
		raw, _ := json.Marshal(FailedJob{Job: job, Error: err.Error(), At: time.Now().UTC()})
		j.bus.KV("jobs_failed").Put(key, raw)
		_ = m.Term()
	default:
		k.retried.Add(1)
		wait := backoff(k.opts, job.Attempt)
		if l != nil {
			wait = max(l.wait, 0)
		}
		j.log.Warn("job failed; trying again", "kind", job.Kind, "job", job.ID, "attempt", job.Attempt, "in", wait.Round(time.Millisecond), "error", err)
		_ = m.NakWithDelay(wait)
	}
}

// attempt calls the handler, and tells JetStream meanwhile that the job is in good hands.
func (j *Jobs) attempt(ctx context.Context, k *kind, job Job, m jetstream.Msg) (err error) {
	ctx, cancel := context.WithTimeout(ctx, k.opts.Timeout)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		for pause(ctx, ackWait/3) {
			_ = m.InProgress()
		}
	})
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			j.log.Error("job panicked", "kind", job.Kind, "job", job.ID, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return k.handle(ctx, job)
}

// backoff is how long to wait after an attempt: doubling from MinBackoff to MaxBackoff, spread from a half to the whole.
func backoff(o Options, attempt int) time.Duration {
	d := o.MaxBackoff
	if attempt < 32 {
		if x := o.MinBackoff << (attempt - 1); x > 0 && x < d {
			d = x
		}
	}
	return d/2 + rand.N(d/2+1)
}

func isFail(err error) bool {
	_, ok := errors.AsType[*fail](err)
	return ok
}

// FailedJob is a job that failed for good.
type FailedJob struct {
	Job
	Error string    `json:"error"` // of the last attempt
	At    time.Time `json:"at"`
}

// Failed lists the jobs that failed for good, the newest first.
func (j *Jobs) Failed(ctx context.Context) ([]FailedJob, error) {
	all, err := j.bus.KV("jobs_failed").All(ctx)
	if err != nil {
		return nil, fmt.Errorf("failed jobs: %w", err)
	}
	out := make([]FailedJob, 0, len(all))
	for _, e := range all {
		var f FailedJob
		if err := json.Unmarshal(e.Value, &f); err != nil {
			return nil, fmt.Errorf("failed job %s: %w", e.Key, err)
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b FailedJob) int { return b.At.Compare(a.At) })
	return out, nil
}

// Retry gives a failed job all its attempts again. id is the job's id, or kind/id if kinds share ids. Error: ErrNoJob.
func (j *Jobs) Retry(ctx context.Context, id string) error {
	f, err := j.find(ctx, id)
	if err != nil {
		return err
	}
	f.Due = time.Time{}
	if err := j.store(ctx, f.Job); err != nil {
		return err
	}
	j.bus.KV("jobs_failed").Delete(f.Kind + "/" + f.ID)
	return j.bus.Flush(ctx)
}

// Forget takes a failed job off the list. Error: ErrNoJob.
func (j *Jobs) Forget(ctx context.Context, id string) error {
	f, err := j.find(ctx, id)
	if err != nil {
		return err
	}
	j.bus.KV("jobs_failed").Delete(f.Kind + "/" + f.ID)
	return j.bus.Flush(ctx)
}

func (j *Jobs) find(ctx context.Context, id string) (FailedJob, error) {
	all, err := j.Failed(ctx)
	if err != nil {
		return FailedJob{}, err
	}
	for _, f := range all {
		if f.ID == id || strings.TrimPrefix(id, f.Kind+"/") == f.ID {
			return f, nil
		}
	}
	return FailedJob{}, ErrNoJob.With("No failed job has the id %s.", id)
}

// Stats is how one kind of job is doing.
type Stats struct {
	Kind                  string
	Waiting               int64 // in the stream, on all nodes; -1 if it cannot be asked
	Running               int64 // on this node
	Done, Retried, Failed int64 // on this node, since its start
}

// Stats describes all kinds with a handler.
func (j *Jobs) Stats(ctx context.Context) []Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Stats, 0, len(j.kinds))
	for _, k := range j.kinds {
		s := Stats{Kind: k.name, Waiting: -1, Running: k.running.Load(), Done: k.done.Load(), Retried: k.retried.Load(), Failed: k.failed.Load()}
		if c, ok := k.cons.Load().(*jetstream.Consumer); ok {
			if info, err := (*c).Info(ctx); err == nil {
				s.Waiting = int64(info.NumPending) + int64(info.NumAckPending) - s.Running
			}
		}
		out = append(out, s)
	}
	return out
}

// pause waits, and tells whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
