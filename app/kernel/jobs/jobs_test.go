package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/bus/bustest"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/outbox"
)

// fast makes a test's retries quick.
var fast = jobs.Options{Attempts: 3, MinBackoff: time.Millisecond, MaxBackoff: 2 * time.Millisecond, Parallel: 4}

func run(t *testing.T, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = f(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

func newJobs(t *testing.T) (*jobs.Jobs, *bus.Bus, *gorm.DB, *outbox.Outbox) {
	d, b := dbtest.SQLite(t), bustest.New(t)
	o := outbox.New(d, b)
	return jobs.New(b, o), b, d, o
}

func TestJobsAreDoneOnce(t *testing.T) {
	j, _, _, _ := newJobs(t)
	var mu sync.Mutex
	done := map[string]int{}
	all := make(chan struct{})
	j.Handle("mail", fast, func(_ context.Context, job jobs.Job) error {
		var to string
		if err := job.Into(&to); err != nil {
			return jobs.Fail(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if done[job.ID+to]++; len(done) == 100 {
			select {
			case <-all:
			default:
				close(all)
			}
		}
		return nil
	})
	for i := range 100 {
		id := fmt.Sprintf("order.%d * x", i)
		require.NoError(t, j.Add(t.Context(), "mail", id, "bob"))
		require.NoError(t, j.Add(t.Context(), "mail", id, "bob"), "again")
	}
	stop := run(t, j.Run)
	<-all
	require.NoError(t, j.Add(t.Context(), "mail", "order.1 * x", "bob"), "again, after it is done")
	require.Eventually(t, func() bool {
		s := j.Stats(t.Context())[0]
		return s.Waiting == 0 && s.Running == 0
	}, 10*time.Second, 5*time.Millisecond)
	stop()
	for id, n := range done {
		require.Equal(t, 1, n, id)
	}
}

func TestRetryThenFail(t *testing.T) {
	j, _, _, _ := newJobs(t)
	var tries atomic.Int32
	mended := make(chan int, 1)
	var broken atomic.Bool
	broken.Store(true)
	j.Handle("hook", fast, func(_ context.Context, job jobs.Job) error {
		tries.Add(1)
		if !broken.Load() {
			mended <- job.Attempt
			return nil
		}
		if job.Attempt == 1 {
			panic("a fault")
		}
		return errors.New("503")
	})
	j.Handle("bad", fast, func(context.Context, jobs.Job) error {
		return fmt.Errorf("send: %w", jobs.Fail(errors.New("410 gone")))
	})
	require.NoError(t, j.Add(t.Context(), "hook", "a", nil))
	require.NoError(t, j.Add(t.Context(), "bad", "b", nil))
	run(t, j.Run)
	var failed []jobs.FailedJob
	require.Eventually(t, func() bool {
		var err error
		failed, err = j.Failed(t.Context())
		return err == nil && len(failed) == 2
	}, 20*time.Second, 5*time.Millisecond)
	require.EqualValues(t, 3, tries.Load())
	for _, f := range failed {
		if f.Kind == "bad" {
			require.Equal(t, 1, f.Attempt)
			require.Equal(t, "send: 410 gone", f.Error)
		}
	}
	broken.Store(false)
	require.NoError(t, j.Retry(t.Context(), "a"))
	require.Equal(t, 1, <-mended)
	require.NoError(t, j.Forget(t.Context(), "bad/b"))
	require.ErrorIs(t, j.Retry(t.Context(), "a"), jobs.ErrNoJob)
	failed, err := j.Failed(t.Context())
	require.NoError(t, err)
	require.Empty(t, failed)
}

func TestLaterAndAfter(t *testing.T) {
	j, _, _, _ := newJobs(t)
	type hit struct {
		id string
		at time.Time
	}
	hits := make(chan hit, 10)
	j.Handle("k", fast, func(_ context.Context, job jobs.Job) error {
		hits <- hit{job.ID, time.Now()}
		if job.ID == "later" && job.Attempt == 1 {
			return jobs.Later(1200*time.Millisecond, errors.New("429"))
		}
		return nil
	})
	run(t, j.Run)
	begin := time.Now()
	require.NoError(t, j.Add(t.Context(), "k", "after", nil, jobs.After(begin.Add(1500*time.Millisecond))))
	require.NoError(t, j.Add(t.Context(), "k", "after", nil, jobs.After(begin.Add(1500*time.Millisecond))), "twice")
	require.NoError(t, j.Add(t.Context(), "k", "later", nil))
	when := map[string][]time.Duration{}
	for range 3 {
		h := <-hits
		when[h.id] = append(when[h.id], h.at.Sub(begin))
	}
	require.GreaterOrEqual(t, when["after"][0], 1400*time.Millisecond)
	require.Less(t, when["after"][0], 4*time.Second)
	require.Less(t, when["later"][0], time.Second)
	require.GreaterOrEqual(t, when["later"][1], 1200*time.Millisecond)
}

func TestAddTx(t *testing.T) {
	j, _, d, o := newJobs(t)
	got := make(chan string, 10)
	j.Handle("k", fast, func(_ context.Context, job jobs.Job) error { got <- job.ID; return nil })
	run(t, j.Run)
	run(t, o.Run)
	_ = d.Transaction(func(tx *gorm.DB) error {
		require.NoError(t, j.AddTx(tx, "k", "rolled-back", nil))
		return errors.New("no")
	})
	require.NoError(t, d.Transaction(func(tx *gorm.DB) error { return j.AddTx(tx, "k", "committed", nil) }))
	require.Equal(t, "committed", <-got)
}

// A job whose node ends in the middle is done by the next: at once when it could still be given back, else when JetStream misses
// the acknowledgement, after 30 s.
func TestNodeEndsInTheMiddle(t *testing.T) {
	j, b, _, o := newJobs(t)
	begun := make(chan struct{})
	j.Handle("k", fast, func(ctx context.Context, _ jobs.Job) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	})
	require.NoError(t, j.Add(t.Context(), "k", "a", nil))
	stop := run(t, j.Run)
	<-begun
	stop()
	next := jobs.New(b, o)
	done := make(chan int, 1)
	next.Handle("k", fast, func(_ context.Context, job jobs.Job) error { done <- job.Attempt; return nil })
	run(t, next.Run)
	select {
	case n := <-done:
		require.GreaterOrEqual(t, n, 2) // given back and taken again while it was ending counts, too
	case <-time.After(45 * time.Second):
		t.Fatal("the job is lost")
	}
}

func BenchmarkJobs(b *testing.B) {
	d, x := dbtest.SQLite(b), bustest.New(b)
	j := jobs.New(x, outbox.New(d, x))
	var wg sync.WaitGroup
	wg.Add(b.N)
	j.Handle("k", jobs.Options{Parallel: 8}, func(context.Context, jobs.Job) error { wg.Done(); return nil })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = j.Run(ctx) }()
	for i := range b.N {
		if err := j.Add(ctx, "k", fmt.Sprint(i), nil); err != nil {
			b.Fatal(err)
		}
	}
	wg.Wait()
}
