package sipphone_test

import (
	"context"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"callplane/app/sandbox/sipphone"
)

// TestAsteriskHundredPhones has 50 calls with audio through a real Asterisk at the same time.
func TestAsteriskHundredPhones(t *testing.T) {
	ast := pbx(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const pairs = 50
	phones := make([]*sipphone.Phone, 2*pairs)
	for i := range phones {
		cfg := sipphone.Config{}
		if i >= pairs {
			cfg.AutoAnswer = time.Millisecond
		}
		phones[i] = extension(t, ast, 1000+i, cfg)
		ok(t, phones[i].Register(ctx, 10*time.Minute))
	}
	var all sync.WaitGroup
	calls := make([]*sipphone.Call, 2*pairs)
	begun := time.Now()
	for i := range pairs {
		all.Go(func() {
			x, err := phones[i].Call(ctx, fmt.Sprint(1000+pairs+i))
			if err != nil {
				t.Error(err)
				return
			}
			y, err := (<-phones[pairs+i].Incoming()).Call(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			calls[i], calls[pairs+i] = x, y
		})
	}
	all.Wait()
	if t.Failed() {
		return
	}
	setup := time.Since(begun)
	own := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	ours, since := own(), time.Now()
	theirs, err := ast.CPUTime()
	ok(t, err)
	for i, c := range calls {
		other := 1000 + (i+pairs)%(2*pairs)
		all.Go(func() {
			if _, err := c.Ear().WaitTone(ctx, tone(other), 5*time.Second); err != nil {
				t.Errorf("phone %d: %v", 1000+i, err)
			}
		})
	}
	all.Wait()
	took := time.Since(since)
	used, err := ast.CPUTime()
	ok(t, err)
	lost, gap := 0, time.Duration(0)
	for _, c := range calls {
		s := c.Stats()
		lost, gap = lost+s.Lost, max(gap, s.MaxGap)
	}
	t.Logf("%d calls set up in %v; then for %v: phones %.0f%% of one core, Asterisk %.0f%%; lost packets %d, longest gap %v",
		pairs, setup, took.Round(time.Millisecond), 100*float64(own()-ours)/float64(took), 100*float64(used-theirs)/float64(took), lost, gap)
}
