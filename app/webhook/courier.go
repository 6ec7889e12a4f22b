package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
)

// courier delivers to one endpoint. Each key has a lane, in which events wait for each other.
type courier struct {
	s      *Service
	log    *slog.Logger
	e      Endpoint
	gate   *gate
	replay bool           // nothing is written to the table of waiting events
	slots  chan struct{}  // requests under way
	room   chan struct{}  // receives when an item is finished
	moving sync.WaitGroup // lanes that run

	mu      sync.Mutex
	lanes   map[string][]*item
	count   int
	log100  []Attempt // not written yet, at most kept
	erase   []int64   // waiting events that are delivered and not erased yet
	failing *time.Time
	dirty   bool // failing is not written yet
}

// item is one event on its way.
type item struct {
	ev    bus.Event
	since time.Time
	done  chan struct{} // closed when delivered or given up

	// guarded by courier.mu
	finished bool
	stored   bool // in the table of waiting events
}

func (s *Service) newCourier(e Endpoint, replay bool) *courier {
	host := e.URL
	if u, err := url.Parse(e.URL); err == nil {
		host = u.Host
	}
	return &courier{
		s: s, log: s.log.With("endpoint", string(e.ID), "name", e.Name), e: e, gate: s.poster.gate(host), replay: replay,
		slots: make(chan struct{}, s.cfg.Parallel), room: make(chan struct{}, 1), lanes: map[string][]*item{}, failing: e.FailingSince,
	}
}

// run delivers until ctx is done. Of all nodes one does it. Service.reload starts it, and waits for it.
func (c *courier) run(ctx context.Context) {
	for ctx.Err() == nil {
		lease, err := c.s.kit.Bus.Lease(ctx, "webhook."+string(c.e.ID), 10*time.Second)
		if err != nil {
			return
		}
		hold, cancel := lease.Context(ctx)
		if err := c.work(hold); err != nil && hold.Err() == nil {
			c.log.Warn("courier begins again", "error", err)
			pause(ctx, time.Second)
		}
		cancel()
		lease.Release()
	}
}

// work delivers what waits, then what comes, until ctx is done or the stream cannot be read. What is under way then is finished
// or written to the database.
func (c *courier) work(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.lanes, c.count = map[string][]*item{}, 0
	flushed := c.keepFlushing()
	defer flushed()
	seq, err := c.s.position(ctx, c.e)
	if err != nil {
		return err
	}
	left, err := (store{c.s.kit.DB.WithContext(ctx)}).waiting(c.e.ID)
	if err != nil {
		return err
	}
	defer c.moving.Wait()
	defer cancel()
	for _, w := range left {
		var ev bus.Event
		if err := json.Unmarshal([]byte(w.Event), &ev); err != nil {
			c.log.Error("waiting event cannot be read", "seq", w.Seq, "error", err)
			continue
		}
		ev.Seq = uint64(w.Seq)
		c.add(ctx, &item{ev: ev, since: w.Since, stored: true, done: make(chan struct{})})
		seq = max(seq, ev.Seq) // what was in one batch with it is delivered, or waits as well
	}
	events, err := c.s.tail(ctx, seq, c.e.Types)
	if err != nil {
		return err
	}
	for {
		batch, ok := next(events, batchSize)
		if !ok {
			return errors.New("the event stream ended")
		}
		items, seq := c.start(ctx, batch)
		if !c.await(ctx, items) {
			c.moving.Wait()
		}
		if err := c.save(ctx, items); err != nil {
			return err
		}
		if seq > 0 {
			c.s.setPosition(c.e.ID, seq)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

const (
	batchSize = 100
	// moment is how long a batch is waited for before what is under way is written to the database.
	moment = 200 * time.Millisecond
)

// next waits for events and takes what is there, up to most; false when there will be no more.
func next(events <-chan bus.Event, most int) (batch []bus.Event, ok bool) {
	ev, ok := <-events
	for ok {
		if batch = append(batch, ev); len(batch) == most {
			return batch, true
		}
		select {
		case ev, ok = <-events:
		default:
			return batch, true
		}
	}
	return batch, len(batch) > 0
}

// await gives items a moment to be delivered; false when ctx ended.
func (c *courier) await(ctx context.Context, items []*item) bool {
	timer := time.NewTimer(moment)
	defer timer.Stop()
	for _, it := range items {
		select {
		case <-it.done:
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// start puts the events that the endpoint wants into their lanes, and returns the position of the last it looked at. It waits
// while too many are on their way, and stops early when ctx ends.
func (c *courier) start(ctx context.Context, batch []bus.Event) (items []*item, seq uint64) {
	path := c.s.tree.Path(auth.UnitID(c.e.UnitID))
	for _, ev := range batch {
		if wants(ev, path) {
			for !c.hasRoom() {
				select {
				case <-c.room:
				case <-ctx.Done():
					return items, seq
				}
			}
			it := &item{ev: ev, since: time.Now(), done: make(chan struct{})}
			items = append(items, it)
			c.add(ctx, it)
		}
		seq = ev.Seq
	}
	return items, seq
}

func (c *courier) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.count < c.s.cfg.Waiting
}

// save writes the items that are not finished to the database, trying until it is done. Once ctx has ended it tries for a
// moment more.
func (c *courier) save(ctx context.Context, items []*item) error {
	var rows []waiting
	c.mu.Lock()
	for _, it := range items {
		if it.finished || it.stored {
			continue
		}
		raw, err := json.Marshal(it.ev)
		if err != nil {
			c.mu.Unlock()
			return err
		}
		rows = append(rows, waiting{c.e.ID, int64(it.ev.Seq), string(raw), it.since.UTC()})
	}
	c.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	write := func() error {
		call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return store{c.s.kit.DB.WithContext(call)}.wait(rows)
	}
	for {
		err := write()
		if err == nil {
			break
		}
		c.log.Warn("waiting events cannot be written down", "events", len(rows), "error", err)
		if !pause(ctx, time.Second) {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, it := range items {
		if it.stored {
			continue
		}
		if it.stored = true; it.finished { // while we wrote
			c.erase = append(c.erase, int64(it.ev.Seq))
		}
	}
	return nil
}

// kept is how many attempts the log keeps for each endpoint.
const kept = 100

// note remembers an attempt for the log, and whether the endpoint works.
func (c *courier) note(it *item, attempt int, a answer) {
	now := db.Now()
	row := Attempt{
		ID: db.ID(), EndpointID: c.e.ID, EventID: clip(it.ev.ID, 200), EventType: clip(it.ev.Type, 100), EventKey: clip(it.ev.Key, 200),
		Seq: int64(it.ev.Seq), Attempt: attempt, Replayed: c.replay, At: now, Millis: a.took.Milliseconds(), Status: a.status,
		Delivered: a.err == nil, Answer: a.body,
	}
	if a.err != nil {
		row.Error = clip(a.err.Error(), 500)
	}
	c.s.metrics.attempt(a, now.Sub(it.ev.At), attempt)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.log100 = append(c.log100, row); len(c.log100) > kept {
		c.log100 = c.log100[len(c.log100)-kept:]
	}
	switch {
	case a.err == nil && c.failing != nil:
		c.failing, c.dirty = nil, true
	case a.err != nil && c.failing == nil:
		c.failing, c.dirty = &now, true
	}
}

func (c *courier) failingFor() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing == nil {
		return 0
	}
	return time.Since(*c.failing)
}

// keepFlushing writes the log and erases what is delivered, every second. The function it returns ends that, flushes once more
// and waits for it.
func (c *courier) keepFlushing() (end func()) {
	stop := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(c.s.cfg.Flush)
		defer tick.Stop()
		for open := true; open; {
			select {
			case <-tick.C:
			case <-stop:
				open = false
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			c.flush(ctx)
			cancel()
		}
	})
	return func() {
		close(stop)
		ended.Wait()
	}
}

func (c *courier) flush(ctx context.Context) {
	c.mu.Lock()
	rows, erase, failing, dirty := c.log100, c.erase, c.failing, c.dirty
	c.log100, c.erase, c.dirty = nil, nil, false
	c.mu.Unlock()
	st := store{c.s.kit.DB.WithContext(ctx)}
	err := st.erase(c.e.ID, erase)
	if err != nil {
		c.mu.Lock()
		c.erase = append(c.erase, erase...)
		c.mu.Unlock()
	}
	if err2 := st.log(c.e.ID, rows); err == nil {
		err = err2
	}
	if dirty && !c.replay {
		if err2 := st.failing(c.e.ID, failing); err == nil {
			err = err2
		}
	}
	if err != nil {
		c.log.Warn("log of deliveries not written", "error", err)
	}
}

// pause waits, and tells whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
