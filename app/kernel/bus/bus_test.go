package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/bus/bustest"
)

// quiet drops log lines.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// open opens a bus in dir that the test closes itself.
func open(t testing.TB, dir string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: dir, Log: quiet()})
	require.NoError(t, err)
	return b
}

// take reads n events from a channel.
func take(t testing.TB, ch <-chan bus.Event, n int) (got []bus.Event) {
	t.Helper()
	end := time.After(20 * time.Second)
	for len(got) < n {
		select {
		case e, ok := <-ch:
			if !ok {
				t.Fatalf("the stream ended after %d of %d events", len(got), n)
			}
			got = append(got, e)
		case <-end:
			t.Fatalf("got %d of %d events", len(got), n)
		}
	}
	return got
}

func TestEventsComeInOrder(t *testing.T) {
	b := bustest.New(t)
	all, err := b.Tail(t.Context(), 0)
	require.NoError(t, err)
	calls, err := b.Tail(t.Context(), 0, "call.>")
	require.NoError(t, err)
	for i := range 3000 {
		typ := "call.talked"
		if i%3 == 0 {
			typ = "agent.ready"
		}
		b.Publish(bus.NewEvent(typ, "k", i).For("u1", "/root/u1/"))
	}
	var seq uint64
	for i, e := range take(t, all, 3000) {
		require.Equal(t, fmt.Sprint(i), string(e.Data))
		require.Greater(t, e.Seq, seq)
		require.Equal(t, "/root/u1/", e.UnitPath)
		seq = e.Seq
	}
	for _, e := range take(t, calls, 2000) {
		require.Equal(t, "call.talked", e.Type)
	}
	require.NoError(t, b.Flush(t.Context()))
	last, err := b.LastSeq(t.Context())
	require.NoError(t, err)
	require.Equal(t, seq, last)
	again, err := b.Tail(t.Context(), seq-10)
	require.NoError(t, err)
	require.Equal(t, seq-9, take(t, again, 10)[0].Seq)
	_, err = b.Tail(t.Context(), seq+1)
	require.ErrorIs(t, err, bus.ErrGone)
}

func TestSameIDIsStoredOnce(t *testing.T) {
	b := bustest.New(t)
	e := bus.NewEvent("call.ended", "c1", nil)
	b.Publish(e, e)
	require.NoError(t, b.Flush(t.Context()))
	require.NoError(t, b.Store(t.Context(), e))
	last, err := b.LastSeq(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, last)
	found, err := b.Stored(t.Context(), time.Now().Add(-time.Minute), e.ID, "other")
	require.NoError(t, err)
	require.Equal(t, map[string]bool{e.ID: true}, found)
}

func TestTooLargeIsDroppedAndTheRestGoesOn(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Log: quiet()})
	require.NoError(t, err)
	defer func() { _ = b.Close() }()
	b.Publish(bus.NewEvent("a.big", "", strings.Repeat("x", 9<<20)), bus.NewEvent("a.small", "", 1))
	require.NoError(t, b.Flush(t.Context()))
	last, err := b.LastSeq(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, last)
	require.EqualValues(t, 1, b.Stats().Dropped)
}

func TestKV(t *testing.T) {
	b := bustest.New(t)
	kv := b.KV("calls")
	keys := []string{"plain", "1700000000.42", ".dots..", "äöü * > 空", "", "a=b"}
	for _, k := range keys {
		kv.Put(k, []byte("old"))
		kv.Put(k, []byte("v:"+k))
	}
	require.NoError(t, b.Flush(t.Context()))
	for _, k := range keys {
		e, err := kv.Get(t.Context(), k)
		require.NoError(t, err, k)
		require.Equal(t, "v:"+k, string(e.Value))
		require.Equal(t, k, e.Key)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changes, err := kv.Watch(ctx)
	require.NoError(t, err)
	for range keys {
		require.False(t, (<-changes).Synced)
	}
	require.True(t, (<-changes).Synced)
	kv.Delete("plain")
	gone := <-changes
	require.True(t, gone.Deleted)
	require.Equal(t, "plain", gone.Key)
	cancel()
	for range changes {
	}
	_, err = kv.Get(t.Context(), "plain")
	require.ErrorIs(t, err, bus.ErrNoKey)
	all, err := kv.All(t.Context())
	require.NoError(t, err)
	require.Len(t, all, len(keys)-1)
}

// Who reads an event finds state at least as new as when the event was published.
func TestStateIsNotOlderThanEvents(t *testing.T) {
	b := bustest.New(t)
	tail, err := b.Tail(t.Context(), 0)
	require.NoError(t, err)
	kv := b.KV("n")
	go func() {
		for i := range 2000 {
			kv.Put("n", fmt.Append(nil, i))
			b.Publish(bus.NewEvent("n.set", "n", i))
		}
	}()
	for range 2000 {
		ev := take(t, tail, 1)[0]
		if ev.Seq%20 != 0 {
			continue
		}
		e, err := kv.Get(t.Context(), "n")
		require.NoError(t, err)
		var want, have int
		require.NoError(t, ev.Into(&want))
		require.NoError(t, json.Unmarshal(e.Value, &have))
		require.GreaterOrEqual(t, have, want)
	}
}

func TestConsume(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	for i := range 500 {
		b.Publish(bus.NewEvent("call.ended", "c", i))
		b.Publish(bus.NewEvent("agent.ready", "a", i))
	}
	require.NoError(t, b.Flush(t.Context()))
	var got []int
	away := 3 // the database is away for the first attempts
	run := func(b *bus.Bus, until int) {
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, b.Consume(ctx, bus.Consumer{Name: "history", Types: []string{"call.>"}, Batch: 50,
			Handle: func(_ context.Context, events []bus.Event) error {
				if away > 0 {
					away--
					if away == 1 {
						panic("a fault in the projector")
					}
					return errors.New("database is away")
				}
				require.LessOrEqual(t, len(events), 50)
				for _, e := range events {
					var n int
					require.NoError(t, e.Into(&n))
					got = append(got, n)
				}
				if len(got) == until {
					cancel()
				}
				return nil
			}}))
		cancel()
	}
	run(b, 500)
	require.Equal(t, 500, len(got))
	require.NoError(t, b.Close())

	// A new process goes on where this one stopped.
	b = open(t, dir)
	defer func() { _ = b.Close() }()
	lag, err := b.Lag(t.Context(), "history")
	require.NoError(t, err)
	require.LessOrEqual(t, lag, uint64(1), "only the other type's last event is behind it")
	for i := range 10 {
		b.Publish(bus.NewEvent("call.ended", "c", 500+i))
	}
	run(b, 510)
	for i, n := range got {
		require.Equal(t, i, n, "in order, none twice")
	}
}

func TestConsumeFromNew(t *testing.T) {
	b := bustest.New(t)
	b.Publish(bus.NewEvent("a.old", "", nil))
	require.NoError(t, b.Flush(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan string, 10)
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = b.Consume(ctx, bus.Consumer{Name: "n", From: bus.New, Handle: func(_ context.Context, ev []bus.Event) error {
			for _, e := range ev {
				got <- e.Type
			}
			return nil
		}})
	})
	require.Eventually(t, func() bool { _, err := b.KV("positions").Get(t.Context(), "n"); return err == nil }, 10*time.Second, 5*time.Millisecond)
	b.Publish(bus.NewEvent("a.new", "", nil))
	require.Equal(t, "a.new", <-got)
	cancel()
	wg.Wait()
}

func TestLeaseHasOneHolder(t *testing.T) {
	b := bustest.New(t)
	var holders, most atomic.Int32
	var token atomic.Uint64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				l, err := b.Lease(t.Context(), "switch", 2*time.Second)
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n > most.Load() {
					most.Store(n)
				}
				if l.Token() <= token.Swap(l.Token()) {
					t.Error("a later holder has a smaller token")
				}
				holders.Add(-1)
				l.Release()
				<-l.Lost()
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, most.Load())
}

func TestLeaseIsRenewedAndEnds(t *testing.T) {
	b := bustest.New(t)
	l, err := b.Lease(t.Context(), "x", time.Second)
	require.NoError(t, err)
	node, err := b.Holder(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, b.Node(), node)
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	_, err = b.Lease(ctx, "x", time.Second)
	require.ErrorIs(t, err, context.DeadlineExceeded, "the holder renews")
	select {
	case <-l.Lost():
		t.Fatal("lost")
	default:
	}
	b.KV("leases").Put("x", []byte(`{"node":"other","instance":"other"}`)) // another node took it
	<-l.Lost()
	l.Release()
}

func TestLeaseOfTheDead(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	_, err := b.Lease(t.Context(), "x", 30*time.Second) // never released
	require.NoError(t, err)
	require.NoError(t, b.Close())
	b = open(t, dir)
	defer func() { _ = b.Close() }()
	begin := time.Now()
	l, err := b.Lease(t.Context(), "x", 30*time.Second)
	require.NoError(t, err)
	require.Less(t, time.Since(begin), 3*time.Second, "a node takes over from its own last process at once")
	l.Release()

	b.KV("leases").Put("y", []byte(`{"node":"other","instance":"other"}`))
	require.NoError(t, b.Flush(t.Context()))
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	_, err = b.Lease(ctx, "y", time.Second)
	require.Error(t, err, "another node's lease is waited for")
}

func TestOneProcessForOneFolder(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	_, err := bus.Open(t.Context(), bus.Config{Dir: dir})
	require.ErrorContains(t, err, "in use")
	require.NoError(t, b.Close())
	require.NoError(t, b.Close())
}

func TestRetention(t *testing.T) {
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), MaxBytes: 64 << 10, Log: quiet()})
	require.NoError(t, err)
	defer func() { _ = b.Close() }()
	for i := range 2000 {
		b.Publish(bus.NewEvent("a.b", "", i))
	}
	require.NoError(t, b.Flush(t.Context()))
	first, err := b.FirstSeq(t.Context())
	require.NoError(t, err)
	require.Greater(t, first, uint64(1000))
	_, err = b.Tail(t.Context(), 1)
	require.ErrorIs(t, err, bus.ErrGone)
}

// cpu is the processor time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkPublish(b *testing.B) { bench(b, func(x *bus.Bus, e bus.Event) { x.Publish(e) }) }

func BenchmarkPutAndPublish(b *testing.B) {
	value := []byte(strings.Repeat("v", 500))
	bench(b, func(x *bus.Bus, e bus.Event) {
		x.KV("calls").Put(e.Key, value)
		x.Publish(e)
	})
}

// bench measures until all is stored; cpu-us/op counts everything, the embedded server included.
func bench(b *testing.B, f func(*bus.Bus, bus.Event)) {
	x := open(b, b.TempDir())
	defer func() { _ = x.Close() }()
	data := map[string]any{"queue": "sales", "agent": "a17", "seconds": 42, "reason": "caller_gave_up"}
	f(x, bus.NewEvent("call.ended", "c0", data))
	require.NoError(b, x.Flush(b.Context()))
	b.ResetTimer()
	begin := cpu()
	var call time.Duration
	for i := range b.N {
		e := bus.NewEvent("call.ended", fmt.Sprint("c", i%1000), data)
		start := time.Now()
		f(x, e)
		call += time.Since(start)
	}
	if err := x.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu()-begin).Microseconds())/float64(b.N), "cpu-us/op")
	b.ReportMetric(float64(call.Nanoseconds())/float64(b.N), "caller-ns/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
}

func BenchmarkLatency(b *testing.B) {
	x := open(b, b.TempDir())
	defer func() { _ = x.Close() }()
	begin := cpu()
	for b.Loop() {
		x.Publish(bus.NewEvent("call.ended", "c", nil))
		if err := x.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpu()-begin).Microseconds())/float64(b.N), "cpu-us/op")
}
