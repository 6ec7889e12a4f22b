package sipphone

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestHundredPhones has 100 phones in one process, 50 talking to 50, and each must hear the other without a gap.
func TestHundredPhones(t *testing.T) {
	const pairs = 50
	ctx := within(t, 30*time.Second)
	type pair struct{ x, y *Call }
	talking := make([]pair, pairs)
	var all sync.WaitGroup
	for i := range pairs {
		a := phone(t, Config{User: fmt.Sprint("a", i), Tone: float64(400 + 50*(i%30))})
		b := phone(t, Config{User: fmt.Sprint("b", i), Tone: float64(425 + 50*(i%30))})
		all.Go(func() {
			o, err := a.Start(b.URI())
			if err != nil {
				t.Error(err)
				return
			}
			y, err := (<-b.Incoming()).Answer(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			x, err := o.Wait(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			talking[i] = pair{x, y}
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	busy, since := cpu(), time.Now()
	for i, p := range talking {
		all.Go(func() {
			_, err1 := p.x.Ear().WaitTone(ctx, float64(425+50*(i%30)), 3*time.Second)
			_, err2 := p.y.Ear().WaitTone(ctx, float64(400+50*(i%30)), time.Second)
			if err1 != nil || err2 != nil {
				t.Error(err1, err2)
			}
		})
	}
	all.Wait()
	t.Logf("%d phones talking and listening: %.0f%% of one core (%d cores)", 2*pairs,
		100*float64(cpu()-busy)/float64(time.Since(since)), runtime.NumCPU())
	var lost int
	var gap time.Duration
	for _, p := range talking {
		for _, c := range []*Call{p.x, p.y} {
			s := c.Stats()
			lost, gap = lost+s.Lost, max(gap, s.MaxGap)
		}
	}
	t.Logf("lost packets %d, longest gap %v", lost, gap)
	if lost > 0 {
		t.Errorf("%d packets lost", lost)
	}
}

func BenchmarkMedia(b *testing.B) {
	for _, n := range []int{100, 400} {
		b.Run(fmt.Sprint(n, " phones"), func(b *testing.B) { benchmarkMedia(b, n/2) })
	}
}

// benchmarkMedia reports the CPU that talking alone takes: b.N seconds of it.
func benchmarkMedia(b *testing.B, pairs int) {
	for i := range pairs {
		x, err := New(b.Context(), Config{Tone: 440})
		if err != nil {
			b.Fatal(err)
		}
		defer x.Close()
		y, err := New(b.Context(), Config{Tone: float64(500 + i), AutoAnswer: time.Nanosecond})
		if err != nil {
			b.Fatal(err)
		}
		defer y.Close()
		if _, err := x.Call(b.Context(), y.URI()); err != nil {
			b.Fatal(err)
		}
	}
	busy := cpu()
	b.ResetTimer()
	for range b.N {
		time.Sleep(time.Second)
	}
	b.StopTimer()
	b.ReportMetric(100*(cpu()-busy).Seconds()/b.Elapsed().Seconds(), "%core")
}

// BenchmarkCall sets up and ends signalling-only calls, 16 at a time, between two phones of one process.
func BenchmarkCall(b *testing.B) {
	x, err := New(b.Context(), Config{NoMedia: true})
	if err != nil {
		b.Fatal(err)
	}
	defer x.Close()
	y, err := New(b.Context(), Config{NoMedia: true, OnIncoming: func(in *Incoming) { _, _ = in.Answer(context.Background()) }})
	if err != nil {
		b.Fatal(err)
	}
	defer y.Close()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c, err := x.Call(b.Context(), y.URI())
			if err != nil {
				b.Error(err)
				return
			}
			if err := c.Hangup(b.Context()); err != nil {
				b.Error(err)
			}
		}
	})
}
