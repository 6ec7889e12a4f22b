package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// entry times a caller's way to an idle agent: from the caller's INVITE, just before it is sent, to the INVITE that reaches an
// agent's phone. One call at a time; the agent talks for a fifth of a second, and then everybody rests.
func entry(ctx context.Context, o options, p *pair) error {
	times := map[*centre]sample{}
	rounds := 4
	length := o.length(40*time.Second, 10*time.Second) / time.Duration(rounds)
	err := p.both(rounds, func(c *centre) error {
		s, err := c.entries(ctx, length)
		times[c] = append(times[c], s...)
		return err
	})
	if err != nil {
		return err
	}
	report("entry", times[p.ours], times[p.ref], 1.5)
	return nil
}

// report prints the line of a timed figure.
func report(name string, ours, ref sample, limit float64) {
	say("%s: callplane %s; app_queue %s", name, ours, ref)
	f := figure{Bench: name, Unit: "ms", N: len(ours), Reference: "app_queue", RefN: len(ref), Budget: fmt.Sprintf("ratio_p95 <= %g", limit),
		P50: ours.at(.5, time.Millisecond), P95: ours.at(.95, time.Millisecond), P99: ours.at(.99, time.Millisecond),
		RefP50: ref.at(.5, time.Millisecond), RefP95: ref.at(.95, time.Millisecond)}
	f.Within = len(ours) > 0 && len(ref) > 0 && *f.P95 <= limit**f.RefP95
	f.print()
}

// entries times single calls for so long.
func (c *centre) entries(ctx context.Context, length time.Duration) (times sample, err error) {
	type arrival struct {
		from string
		at   time.Time
	}
	arrived, faults := make(chan arrival, 16), make(chan error, 16)
	c.now.Store(&conduct{
		talk:    func() time.Duration { return 200 * time.Millisecond },
		invited: func(_ *desk, from string, at time.Time) { arrived <- arrival{from, at} },
		left:    func(*desk, time.Time, bool) {},
		failed:  func(d *desk, _, what string, err error) { faults <- fmt.Errorf("%s: %s: %w", d.user, what, err) },
	})
	defer c.now.Store(nil)
	for end := time.Now().Add(length); time.Now().Before(end) && ctx.Err() == nil; {
		var who string
		var sent time.Time
		call, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := c.dial(call, c.short, func(from string, at time.Time) { who, sent = from, at })
		cancel()
		if err != nil {
			return times, err
		}
		for found := false; !found && ctx.Err() == nil; {
			select {
			case a := <-arrived:
				if found = a.from == who; found { // the first, if on a busy machine the call was offered again
					times = append(times, a.at.Sub(sent))
				}
			case err := <-faults:
				return times, err
			case <-ctx.Done():
			}
		}
		time.Sleep(150*time.Millisecond + rand.N(50*time.Millisecond))
	}
	return times, c.quiet(ctx)
}

// handoff times how soon an agent has the next caller, while callers wait: from the BYE with which the agent's phone ends a call,
// just before it is sent, to the next INVITE that reaches this phone. 5 agents talk for one to two seconds; whenever a
// call ends another caller comes, so that about 20 always wait.
func handoff(ctx context.Context, o options, p *pair) error {
	times := map[*centre]sample{}
	rounds := 3
	length := o.length(45*time.Second, 12*time.Second) / time.Duration(rounds)
	err := p.both(rounds, func(c *centre) error {
		s, err := c.handoffs(ctx, length)
		times[c] = append(times[c], s...)
		return err
	})
	if err != nil {
		return err
	}
	report("handoff", times[p.ours], times[p.ref], .1)
	return nil
}

// handoffs times hand-offs for so long.
func (c *centre) handoffs(ctx context.Context, length time.Duration) (times sample, err error) {
	const callers = few + 20
	var mu sync.Mutex
	var fault error
	freed := map[*desk]time.Time{}
	steady := time.Now().Add(2 * time.Second) // all callers are there
	c.now.Store(&conduct{
		talk: func() time.Duration { return time.Second + rand.N(time.Second) },
		invited: func(d *desk, _ string, at time.Time) {
			mu.Lock()
			defer mu.Unlock()
			if since, ok := freed[d]; ok && since.After(steady) {
				times = append(times, at.Sub(since))
			}
			delete(freed, d)
		},
		left: func(d *desk, at time.Time, byAgent bool) {
			mu.Lock()
			defer mu.Unlock()
			if byAgent {
				freed[d] = at
			}
		},
		failed: func(d *desk, _, what string, err error) {
			mu.Lock()
			defer mu.Unlock()
			fault = fmt.Errorf("%s: %s: %w", d.user, what, err)
		},
	})
	defer c.now.Store(nil)
	call, hangUp := context.WithCancel(ctx)
	end := time.AfterFunc(2*time.Second+length, hangUp)
	defer end.Stop()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for call.Err() == nil {
				if err := c.dial(call, c.waiting, nil); err != nil && call.Err() == nil {
					mu.Lock()
					fault = err
					mu.Unlock()
					return
				}
			}
		})
	}
	all.Wait()
	hangUp()
	mu.Lock()
	s, f := times, fault
	mu.Unlock()
	if f != nil && len(s) == 0 {
		return nil, f
	}
	if f != nil {
		say("%s: %v", c.name, f)
	}
	return s, c.quiet(ctx)
}
