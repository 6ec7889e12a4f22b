package pbxtest

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"callplane/app/pbx"
)

// loadCalls is how many calls of two legs TestTenThousandCalls has at once.
const loadCalls = 10_000

// A call here is a caller and an agent in a room, both recorded. It all must fit into little memory, without goroutines.
func TestTenThousandCalls(t *testing.T) {
	sw := New(Lean())
	sw.AddPhone("1001").OnCall(Answer())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go sw.Run(ctx)
	kinds := map[pbx.Kind]int{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range sw.Events() {
			kinds[e.Kind]++
			if kinds[pbx.Ended] == 2*loadCalls {
				cancel()
			}
		}
	}()
	before, goroutines := heap(), runtime.NumGoroutine()
	start := time.Now()
	for i := range loadCalls {
		in := sw.CallIn(Inbound{From: "13800138000", To: "4001"}).ID()
		out := pbx.LegID(fmt.Sprintf("out-%d", i))
		ok(t, sw.Answer(ctx, in))
		ok(t, sw.Park(ctx, in, ""))
		ok(t, sw.Dial(ctx, out, pbx.Dial{Phone: "1001"}))
		ok(t, sw.Join(ctx, pbx.RoomID(out), in, out))
		ok(t, sw.Record(ctx, in, pbx.RecordingID("a/"+out), time.Hour))
		ok(t, sw.Record(ctx, out, pbx.RecordingID("b/"+out), time.Hour))
	}
	perCall := (heap() - before) / loadCalls
	t.Logf("%d calls in %v, %d bytes each", loadCalls, time.Since(start), perCall)
	if perCall > 4096 {
		t.Errorf("a call takes %d bytes", perCall)
	}
	if n := runtime.NumGoroutine(); n > goroutines+2 {
		t.Errorf("%d goroutines, before the calls %d", n, goroutines)
	}
	snap, err := sw.Snapshot(ctx)
	ok(t, err)
	want(t, "legs", len(snap.Legs), 2*loadCalls)
	want(t, "recordings", len(snap.Recordings), 2*loadCalls)
	for _, l := range snap.Legs {
		if err := sw.Hangup(context.Background(), l.ID, pbx.NormalClearing); err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
	}
	<-done
	for kind, n := range map[pbx.Kind]int{
		pbx.Arrived: 1, pbx.Ringing: 1, pbx.Answered: 2, pbx.RecordStarted: 2, pbx.RecordEnded: 2, pbx.Ended: 2,
	} {
		want(t, kind.String(), kinds[kind], n*loadCalls)
	}
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func BenchmarkCall(b *testing.B) {
	sw := New(Lean())
	sw.AddPhone("1001").OnCall(Answer())
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	go sw.Run(ctx)
	go func() {
		for range sw.Events() {
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		in := sw.CallIn(Inbound{From: "13800138000", To: "4001"}).ID()
		_ = sw.Answer(ctx, in)
		_ = sw.Dial(ctx, "out", pbx.Dial{Phone: "1001"})
		_ = sw.Join(ctx, "room", in, "out")
		_ = sw.Hangup(ctx, in, pbx.NormalClearing)
		_ = sw.Hangup(ctx, "out", pbx.NormalClearing)
	}
}
