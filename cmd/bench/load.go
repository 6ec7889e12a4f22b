package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// talk is how long an agent talks in the load figures.
const talk = 3 * time.Second

// slow is the p95 of a caller's way to an agent beyond which a rate does not count as held: calls pile up.
const slow = time.Second

// load is what came of calls at a steady rate.
type load struct {
	rate      float64 // asked for, a second
	offered   int     // calls begun
	complete  int     // begun, answered by an agent, talked through, ended
	recorded  int     // of them, those with a record
	took      sample  // caller's INVITE to the agent's
	ours      time.Duration
	asterisk  time.Duration
	firstFail error
}

// held says that nothing was lost and nothing piled up.
func (l load) held() bool {
	return l.offered > 0 && l.complete == l.offered && l.recorded == l.offered && *l.took.at(.95, time.Millisecond) < float64(slow/time.Millisecond)
}

// String is for people.
func (l load) String() string {
	s := fmt.Sprintf("%.1f/s: %d of %d calls complete, %d recorded, entry %v; asterisk %.1f ms", l.rate, l.complete, l.offered, l.recorded, l.took,
		float64(l.asterisk)/1e6/float64(max(l.offered, 1)))
	if l.ours > 0 {
		s += fmt.Sprintf(", callplane %.2f ms a call", float64(l.ours)/1e6/float64(max(l.offered, 1)))
	}
	if l.firstFail != nil {
		s += fmt.Sprintf(" (%v)", l.firstFail)
	}
	return s
}

// at runs calls at a steady rate for so long, and waits until the last has ended and is recorded.
func (c *centre) at(ctx context.Context, rate float64, length time.Duration) (l load, err error) {
	var mu sync.Mutex
	sent := map[string]time.Time{}
	l.rate = rate
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if l.firstFail == nil {
			l.firstFail = err
		}
	}
	c.now.Store(&conduct{
		talk: func() time.Duration { return talk },
		invited: func(_ *desk, from string, at time.Time) {
			mu.Lock()
			defer mu.Unlock()
			if t, ok := sent[from]; ok {
				l.took = append(l.took, at.Sub(t))
				delete(sent, from)
			}
		},
		left:   func(*desk, time.Time, bool) {},
		failed: func(d *desk, _, what string, err error) { fail(fmt.Errorf("%s: %s: %w", d.user, what, err)) },
	})
	defer c.now.Store(nil)
	before, err := c.spent()
	if err != nil {
		return l, err
	}
	began := time.Now()
	var all sync.WaitGroup
	for n := 0; ctx.Err() == nil; n++ {
		due := began.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if due.Sub(began) >= length {
			break
		}
		time.Sleep(time.Until(due))
		l.offered++
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			err := c.dial(ctx, c.long, func(from string, at time.Time) {
				mu.Lock()
				sent[from] = at
				mu.Unlock()
			})
			if err != nil {
				fail(err)
				return
			}
			mu.Lock()
			l.complete++
			mu.Unlock()
		})
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return l, err
	}
	mu.Lock()
	defer mu.Unlock()
	l.complete -= len(sent) // ended, and no agent was ever called
	time.Sleep(time.Second) // for the last records; asking for them is not to count
	after, err := c.spent()
	if err != nil {
		return l, err
	}
	l.ours, l.asterisk = after[0]-before[0], after[1]-before[1]
	return l, c.records(ctx, began, &l)
}

// spent is the processor time of the server, 0 for the reference, and of Asterisk.
func (c *centre) spent() (t [2]time.Duration, err error) {
	if c.server != nil {
		if t[0], err = c.server.cpu(); err != nil {
			return t, err
		}
	}
	t[1], err = c.ast.CPUTime()
	return t, err
}

// records waits until the records of all complete calls are in SQL, and counts them. The reference keeps none.
func (c *centre) records(ctx context.Context, since time.Time, l *load) error {
	l.recorded = l.complete
	if c.server == nil {
		return nil
	}
	var fault error
	_ = until(ctx, 10*time.Second, func() error {
		l.recorded, fault = 0, nil
		for cursor := ""; ; {
			var page struct {
				Items []struct {
					EndReason string `json:"end_reason"`
				}
				Next string
			}
			q := url.Values{"limit": {"200"}, "from": {since.UTC().Format(time.RFC3339Nano)}}
			if cursor != "" {
				q.Set("cursor", cursor)
			}
			if fault = c.server.do(ctx, http.MethodGet, "/call/calls?"+q.Encode(), nil, &page); fault != nil {
				return fault
			}
			for _, call := range page.Items {
				if call.EndReason == "agent_hung_up" {
					l.recorded++
				}
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		if l.recorded < l.complete {
			return fmt.Errorf("%d records of %d", l.recorded, l.complete)
		}
		return nil
	})
	return fault
}

// processor compares the processor time of Callplane with Asterisk's for the same calls, at a rate that both carry easily.
func processor(ctx context.Context, o options, p *pair) error {
	length := o.length(30*time.Second, 10*time.Second)
	const perSecond = 15
	for _, c := range []*centre{p.ours, p.ref} { // until every customer has called once
		if _, err := c.at(ctx, 2*perSecond, customers/(2*perSecond)*time.Second); err != nil {
			return err
		}
	}
	if o.profile != "" {
		go p.ours.server.profile(ctx, o.profile, "cpu", length)
	}
	ours, err := p.ours.at(ctx, perSecond, length)
	if err != nil {
		return err
	}
	say("callplane %v", ours)
	ref, err := p.ref.at(ctx, perSecond, length)
	if err != nil {
		return err
	}
	say("app_queue %v", ref)
	each := func(d time.Duration, l load) *float64 { return three(float64(d) / 1e6 / float64(l.offered)) }
	f := figure{Bench: "cpu", Unit: "ms/call", Value: each(ours.ours, ours), N: ours.offered, Reference: "asterisk, same calls", RefValue: each(ours.asterisk, ours),
		Budget: "ratio <= 0.25", More: map[string]float64{"app_queue_ms": *each(ref.asterisk, ref), "complete": float64(ours.complete), "calls_per_second": perSecond}}
	f.Within = ours.complete == ours.offered && *f.Value <= .25**f.RefValue
	f.print()
	return nil
}

// rate looks for the highest rate of complete calls that is held, in steps, and confirms it for longer.
func rate(ctx context.Context, o options, p *pair) error {
	full := o.length(60*time.Second, 15*time.Second)
	ref, err := p.ref.highest(ctx, o, full)
	if err != nil {
		return err
	}
	ours, err := p.ours.highest(ctx, o, full)
	if err != nil {
		return err
	}
	f := figure{Bench: "cps", Unit: "calls/s", Value: three(ours.rate), N: ours.offered, Reference: "app_queue", RefValue: three(ref.rate), RefN: ref.offered,
		P50: ours.took.at(.5, time.Millisecond), P95: ours.took.at(.95, time.Millisecond), RefP50: ref.took.at(.5, time.Millisecond), RefP95: ref.took.at(.95, time.Millisecond),
		Budget: "ratio >= 0.9", Within: ours.rate >= .9*ref.rate}
	f.print()
	return nil
}

// highest searches: up by a third as long as it is held, then between the last two, then a confirmation that goes down
// until it is held. The whole takes some four minutes at most.
func (c *centre) highest(ctx context.Context, o options, full time.Duration) (load, error) {
	step := o.length(12*time.Second, 6*time.Second)
	most := float64(o.agents) / (talk.Seconds() + .5) // more the agents cannot take
	try := func(rate float64, length time.Duration) (load, error) {
		l, err := c.at(ctx, rate, length)
		say("%s %v", c.name, l)
		if quiet := c.quiet(ctx); err == nil {
			err = quiet
		}
		time.Sleep(2 * time.Second)
		return l, err
	}
	good, bad := 0., 0.
	for rate := 12.; rate <= most && bad == 0; rate *= 1.33 {
		l, err := try(rate, step)
		if err != nil {
			return l, err
		}
		if l.held() {
			good = rate
		} else {
			bad = rate
		}
	}
	for range 2 {
		if bad == 0 || good == 0 {
			break
		}
		l, err := try((good+bad)/2, step)
		if err != nil {
			return l, err
		}
		if l.held() {
			good = l.rate
		} else {
			bad = l.rate
		}
	}
	if good == 0 {
		good = 9
	}
	for range 4 {
		l, err := try(good, full)
		if err != nil || l.held() {
			return l, err
		}
		good *= .9
	}
	return load{}, fmt.Errorf("%s holds no rate near %.1f/s", c.name, good)
}
