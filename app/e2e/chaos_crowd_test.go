//go:build e2e && chaos

package e2e

import (
	"slices"
	"sync"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/recording"
)

// serveLine has two agents serve all who wait, and looks at the order.
func (c *crowd) serveLine() {
	t := c.t
	mark := c.Feed.mark()
	all := append(slices.Clone(c.waiting), c.inMenu...)
	for _, a := range c.line {
		a.set(agent.Ready, "")
	}
	wait := map[call.ID]*Party{}
	for _, p := range all {
		wait[p.ID] = p
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, a := range c.line {
		wg.Go(func() {
			for {
				mu.Lock()
				left := len(wait)
				mu.Unlock()
				if left == 0 {
					return
				}
				select {
				case with := <-a.talks:
					e, ok := c.Feed.find(mark, 10*time.Second, func(e Event) bool {
						mu.Lock()
						defer mu.Unlock()
						return e.Type == "call.talking" && e.told().Agent == a.ID && wait[call.ID(e.Key)] != nil
					})
					if !ok {
						t.Errorf("%s talks with nobody", a.Login)
						return
					}
					mu.Lock()
					p := wait[call.ID(e.Key)]
					delete(wait, p.ID)
					mu.Unlock()
					pr := (&pair{caller: p, with: with, who: a}).begin(t)
					if err := p.Ear().WaitUntil(within(t, 5*time.Second), p.Ear().Now()+time.Second); err != nil {
						t.Error(err)
					}
					if err := p.Hangup(within(t, 5*time.Second)); err != nil {
						t.Error(err)
					}
					if pr != nil {
						mu.Lock()
						c.talking = append(c.talking, pr)
						mu.Unlock()
					}
				case <-time.After(15 * time.Second):
					t.Errorf("%s gets no more calls, and %d wait", a.Login, left)
					return
				}
			}
		})
	}
	wg.Wait()
	var served []string
	for _, e := range c.Feed.since(mark) {
		if e.Type == "call.offered" {
			served = append(served, e.Key)
		}
	}
	wrong := 0
	for i, p := range all {
		if at := slices.Index(served, string(p.ID)); i < len(c.waiting) && (at < 0 || max(at-i, i-at) > 1) { // two agents serve at once
			wrong++
		}
	}
	c.f.exactly(t, "kill_served_out_of_order", wrong, 0)
}

// endAll ends what lives, and looks at the records and recordings of all.
func (c *crowd) endAll() {
	t := c.t
	worst := time.Duration(0)
	for i, p := range c.talking {
		if i < 12 { // talking since before the first kill, and not on hold
			worst = max(worst, p.gap())
		}
	}
	for _, hz := range []float64{440, 450, 480} { // of the agent who dialled, as long as they talked
		for _, p := range c.talking {
			if p.with == c.farWith && power(p.with.Ear().Since(p.from[1]), hz) > 1e-4 {
				t.Errorf("the agent still hears the ringing tone, %g Hz, while they talk", hz)
			}
		}
	}
	c.f.most(t, "kill_longest_talk_gap_ms", float64(worst.Milliseconds()), talkGap)
	for _, p := range c.talking {
		if alive(p.caller) == 0 {
			continue
		}
		if l, err := c.liveNow(p.caller.ID); err == nil && l.State == call.OnHold {
			c.must(p.who.API, p.caller.ID, "unhold", nil)
			talk(t, p.caller, p.with)
		}
		c.leaves(p.caller)
	}
	c.leaves(c.message)
	complete, recorded := 0, 0
	for _, id := range c.done {
		if _, ok := c.complete(id); ok {
			complete++
		}
	}
	c.f.exactly(t, "kill_complete_records", complete, 51)
	for _, p := range c.talking {
		if d, ok := c.complete(p.caller.ID); ok && c.whole(d, p) {
			recorded++
		}
	}
	c.f.exactly(t, "kill_whole_recordings", recorded, 20+4+2+14+8)
}

func (c *crowd) liveNow(id call.ID) (l call.Live, err error) {
	return l, c.Admin.try("GET", "/call/live/"+string(id), nil, &l)
}

// whole says that a call is recorded from the first talk to the last, each on their own side.
func (c *Centre) whole(d call.Detail, p *pair) bool {
	left, right, r := c.stereo(d.Call.ID)
	took, ok := time.Duration(d.Call.TalkMs)*time.Millisecond, true
	// A machine that has much to do keeps the telephones from sending all they should; what they did not send cannot be there.
	sent := min(p.caller.sent(), p.with.sent())
	want := time.Duration(float64(took)*sent) - time.Second
	if length(left) < want || length(left) > took+time.Second || r.State != recording.OK && sent > 0.99 {
		c.t.Errorf("call %s (%s): %s recorded (%s, %s), %s talked, %.3f of it sent", d.Call.ID, d.Call.EndReason, length(left), r.State, r.Error, took, sent)
		ok = false
	}
	for _, side := range []struct {
		pcm       []int16
		is, isNot float64
	}{{left, p.caller.tone, p.with.tone}, {right, p.with.tone, p.caller.tone}} {
		mid := side.pcm[len(side.pcm)/4 : len(side.pcm)*3/4]
		if has, not := power(mid, side.is), power(mid, side.isNot); has < 0.01 || not > has/100 && side.is != side.isNot {
			c.t.Errorf("call %s: %g Hz with %.4f and %g Hz with %.4f", d.Call.ID, side.is, has, side.isNot, not)
			ok = false
		}
	}
	return ok
}

// sent is which part of a call's time its telephone has filled with packets, and unsent the time that it has not.
func (p *Party) sent() float64 {
	return 1 - p.unsent().Seconds()/p.lasted().Seconds()
}

func (p *Party) unsent() time.Duration {
	return max(0, p.lasted()-time.Duration(p.Stats().Out)*20*time.Millisecond)
}

func (p *Party) lasted() time.Duration {
	end := p.Times().Ended
	if end.IsZero() {
		end = time.Now()
	}
	return end.Sub(p.Stats().FirstOut)
}
