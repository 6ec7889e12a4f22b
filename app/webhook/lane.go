package webhook

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"callplane/app/kernel/bus"
)

// add puts an item at the end of its lane.
func (c *courier) add(ctx context.Context, it *item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := it.ev.Key
	if key == "" {
		key = "\x00" + it.ev.ID // waits for nobody
	}
	lane, running := c.lanes[key]
	c.lanes[key] = append(lane, it)
	c.count++
	if !running {
		c.moving.Go(func() { c.runLane(ctx, key) })
	}
}

// runLane delivers the items of a lane one after another, until it is empty. add starts it, work waits for it.
func (c *courier) runLane(ctx context.Context, key string) {
	for {
		c.mu.Lock()
		lane := c.lanes[key]
		if len(lane) == 0 || ctx.Err() != nil {
			delete(c.lanes, key)
			c.mu.Unlock()
			return
		}
		it := lane[0]
		c.mu.Unlock()
		if !c.deliver(ctx, it) {
			continue // ctx is done
		}
		c.mu.Lock()
		c.lanes[key] = c.lanes[key][1:]
		c.count--
		if it.finished = true; it.stored {
			c.erase = append(c.erase, int64(it.ev.Seq))
		}
		c.mu.Unlock()
		close(it.done)
		select {
		case c.room <- struct{}{}:
		default:
		}
	}
}

// deliver tries until the event is delivered or given up; false when ctx ended first.
func (c *courier) deliver(ctx context.Context, it *item) bool {
	for attempt := 1; ; attempt++ {
		a, ok := c.request(ctx, it)
		if !ok || errors.Is(a.err, context.Canceled) {
			return false
		}
		c.note(it, attempt, a)
		switch {
		case a.err == nil:
			return true
		case errors.Is(a.err, errGone):
			c.s.switchOff(ctx, c.e, errGone.Error())
		case c.failingFor() >= c.s.cfg.GiveUp:
			c.s.switchOff(ctx, c.e, "nothing could be delivered for "+c.s.cfg.GiveUp.String()+": "+clip(a.err.Error(), 200))
		case time.Since(it.since) >= c.s.cfg.GiveUp && !c.gate.down():
			c.log.Error("event given up", "event", it.ev.ID, "type", it.ev.Type, "error", a.err)
			c.s.tellGivenUp(c.e, it.ev, a)
			return true
		}
		if !pause(ctx, max(a.after, c.s.backoff(attempt))) {
			return false
		}
	}
}

// request makes one request as soon as the host takes it and a slot is free; false when ctx ended first.
func (c *courier) request(ctx context.Context, it *item) (a answer, ok bool) {
	for {
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return a, false
		}
		a, asked, wait := c.gate.try(func() answer { return c.post(ctx, it.ev) })
		<-c.slots
		if asked {
			return a, true
		}
		select {
		case <-wait:
		case <-time.After(c.s.cfg.Probe/2 + rand.N(c.s.cfg.Probe)):
		case <-ctx.Done():
			return a, false
		}
	}
}

// grace is how long a request may go on when the process ends, so that its event need not be sent twice.
const grace = 2 * time.Second

// post makes a request that ends a little later than ctx.
func (c *courier) post(ctx context.Context, ev bus.Event) answer {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		pause(longer, grace)
		cancel()
	})
	defer stop()
	return c.s.poster.post(longer, c.e, ev)
}

// backoff is the wait after a failed attempt: from a second, doubling, to 15 minutes, spread by a quarter.
func (s *Service) backoff(attempt int) time.Duration {
	d := min(s.cfg.Backoff<<min(attempt-1, 20), 15*time.Minute)
	return d - d/4 + rand.N(d/2+1)
}
