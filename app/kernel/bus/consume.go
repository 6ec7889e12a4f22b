package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callplane/app/kernel/problem"
)

// ErrGone says that events after the position asked for are no longer kept.
var ErrGone = problem.New(problem.Conflict, "events_gone", "These events are no longer kept")

// From is where a consumer that has never run begins.
type From int

// The beginnings.
const (
	All From = iota // with the oldest event that is kept
	New             // with what is published from then on
)

// Consumer is work that must see each event. See [Bus.Consume].
type Consumer struct {
	// Name keeps its place in the stream over restarts. It must not change.
	Name string
	// Types filters: "call.>" is all of module call, "call.ended" one type. Empty is all.
	Types []string
	// Batch is the most events for one Handle. Default 100.
	Batch int
	// Gather is how long Handle waits for more events after the first: for work that costs less in batches and has no hurry.
	// Default not at all.
	Gather time.Duration
	// From is where to begin the first time.
	From From
	// Handle takes events in order. While it fails, it is called again with the same events, forever, every 100 ms to
	// 5 s: so it must accept events it cannot use. After a crash it may see a batch again: the event's ID is the key.
	Handle func(ctx context.Context, events []Event) error
}

// lag is how far a consumer is.
type lag struct {
	mu   sync.Mutex
	seq  uint64 // handled up to here
	idle bool   // and there was nothing after it
}

// Consume runs a consumer until ctx is done, and returns nil then. Of all nodes, one runs it at a time (it holds a
// lease); another takes over within 10 seconds. An error means that the consumer is set up wrong.
func (b *Bus) Consume(ctx context.Context, c Consumer) error {
	if c.Name == "" || c.Handle == nil {
		return errors.New("bus: a consumer needs a name and Handle")
	}
	if c.Batch <= 0 {
		c.Batch = 100
	}
	for ctx.Err() == nil {
		lease, err := b.Lease(ctx, "consume."+c.Name, 10*time.Second)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		hold, cancel := lease.Context(ctx)
		if err := b.consume(hold, c); err != nil && hold.Err() == nil {
			b.log.Warn("consumer stopped; starting again", "consumer", c.Name, "error", err)
			pause(ctx, time.Second)
		}
		cancel()
		lease.Release()
	}
	return nil
}

// consume reads and handles until ctx is done or reading fails.
func (b *Bus) consume(ctx context.Context, c Consumer) error {
	after, err := b.position(ctx, c)
	if err != nil {
		return err
	}
	first, err := b.FirstSeq(ctx)
	if err != nil {
		return err
	}
	if after+1 < first {
		if after > 0 {
			b.log.Error("consumer was away for longer than events are kept", "consumer", c.Name, "lost", first-1-after)
		}
		after = first - 1
	}
	state := &lag{seq: after}
	b.mu.Lock()
	b.lags[c.Name] = state
	b.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan read, 2*c.Batch)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { b.read(ctx, after, c.Types, events) })
	batch := make([]Event, 0, c.Batch)
	for r := range events {
		if c.Gather > 0 && len(events) < c.Batch-1 {
			pause(ctx, c.Gather)
		}
		batch = append(batch[:0], r.event)
		for len(batch) < c.Batch && len(events) > 0 {
			r = <-events
			batch = append(batch, r.event)
		}
		state.busy()
		if !b.handle(ctx, c, batch) {
			return ctx.Err()
		}
		seq := batch[len(batch)-1].Seq
		b.KV("positions").Put(c.Name, strconv.AppendUint(nil, seq, 10))
		state.at(seq, r.pending == 0 && len(events) == 0)
	}
	return ctx.Err()
}

// handle calls Handle until it succeeds; false means that ctx is done.
func (b *Bus) handle(ctx context.Context, c Consumer, batch []Event) bool {
	said := time.Time{}
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := safely(func() error { return c.Handle(ctx, batch) })
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if time.Since(said) > time.Minute {
			said = time.Now()
			b.log.Error("consumer cannot handle events; trying again", "consumer", c.Name, "first", batch[0].Seq, "type", batch[0].Type, "events", len(batch), "error", err)
		}
		if !pause(ctx, wait/2+rand.N(wait)) {
			return false
		}
	}
}

// position is the sequence up to which a consumer has handled events.
func (b *Bus) position(ctx context.Context, c Consumer) (uint64, error) {
	if err := b.Flush(ctx); err != nil { // our own last position may be on its way
		return 0, err
	}
	e, err := b.KV("positions").Get(ctx, c.Name)
	switch {
	case err == nil:
		return strconv.ParseUint(string(e.Value), 10, 64)
	case !errors.Is(err, ErrNoKey):
		return 0, err
	case c.From == All:
		return 0, nil
	}
	last, err := b.LastSeq(ctx)
	if err == nil {
		b.KV("positions").Put(c.Name, strconv.AppendUint(nil, last, 10))
	}
	return last, err
}

// Lag is how many events, at most, a consumer has still to handle. A consumer that has not run on this node counts by
// its stored position.
func (b *Bus) Lag(ctx context.Context, name string) (uint64, error) {
	last, err := b.LastSeq(ctx)
	if err != nil {
		return 0, err
	}
	b.mu.Lock()
	state := b.lags[name]
	b.mu.Unlock()
	var seq uint64
	if state != nil {
		state.mu.Lock()
		defer state.mu.Unlock()
		if state.idle {
			return 0, nil
		}
		seq = state.seq
	} else {
		switch e, err := b.KV("positions").Get(ctx, name); {
		case err == nil:
			if seq, err = strconv.ParseUint(string(e.Value), 10, 64); err != nil {
				return 0, fmt.Errorf("bus: position of %s: %w", name, err)
			}
		case !errors.Is(err, ErrNoKey):
			return 0, err
		}
	}
	return last - min(last, seq), nil
}

// Consumers names the consumers that run or ran on this node.
func (b *Bus) Consumers() (names []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name := range b.lags {
		names = append(names, name)
	}
	return names
}

func (l *lag) busy() {
	l.mu.Lock()
	l.idle = false
	l.mu.Unlock()
}

func (l *lag) at(seq uint64, idle bool) {
	l.mu.Lock()
	l.seq, l.idle = seq, idle
	l.mu.Unlock()
}

// read is an event and how many more of the same filter the stream held behind it.
type read struct {
	event   Event
	pending uint64
}

// read delivers the events after a position, in order, and closes out when ctx is done. It survives outages.
func (b *Bus) read(ctx context.Context, after uint64, types []string, out chan<- read) {
	defer close(out)
	var subjects []string
	for _, t := range types {
		subjects = append(subjects, eventSubject+strings.TrimPrefix(t, eventSubject))
	}
	for ctx.Err() == nil {
		err := b.readOn(ctx, &after, subjects, out)
		if ctx.Err() != nil {
			return
		}
		b.log.Debug("reading events again", "after", after, "error", err)
		pause(ctx, 250*time.Millisecond)
	}
}

func (b *Bus) readOn(ctx context.Context, after *uint64, subjects []string, out chan<- read) error {
	c, err := b.js.OrderedConsumer(ctx, eventStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: *after + 1})
	if err != nil {
		return err
	}
	it, err := c.Messages(jetstream.PullMaxMessages(500))
	if err != nil {
		return err
	}
	defer it.Stop()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Stream <= *after {
			continue
		}
		*after = meta.Sequence.Stream
		r := read{pending: meta.NumPending}
		if err := json.Unmarshal(m.Data(), &r.event); err != nil {
			b.log.Error("event is not JSON; left out", "seq", *after, "subject", m.Subject(), "error", err)
			continue
		}
		r.event.Seq = *after
		select {
		case out <- r:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Tail delivers the events after a position, in order, and goes on with what comes, until ctx is done; then the channel
// is closed. afterSeq 0 means only new ones. types filters as in Consumer. It keeps no place and waits for a slow
// reader. Errors: ErrGone when events after afterSeq are no longer kept or never were, or an outage.
func (b *Bus) Tail(ctx context.Context, afterSeq uint64, types ...string) (<-chan Event, error) {
	if afterSeq == 0 {
		last, err := b.LastSeq(ctx)
		if err != nil {
			return nil, err
		}
		afterSeq = last
	}
	return b.TailAfter(ctx, afterSeq, types...)
}

// TailAfter is Tail where 0 means what it says: from the first event there ever was.
func (b *Bus) TailAfter(ctx context.Context, afterSeq uint64, types ...string) (<-chan Event, error) {
	info, err := b.events.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("bus: tail: %w", err)
	}
	if last := info.State.LastSeq; afterSeq > last || afterSeq+1 < info.State.FirstSeq {
		return nil, ErrGone.With("The stream has events %d to %d; asked for those after %d.", info.State.FirstSeq, last, afterSeq)
	}
	in, out := make(chan read, 64), make(chan Event, 256)
	go b.read(ctx, afterSeq, types, in) // ends with ctx
	go func() {                         // ends with read
		defer close(out)
		for r := range in {
			select {
			case out <- r.event:
			case <-ctx.Done():
			}
		}
	}()
	return out, nil
}

// pause waits, and tells whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// safely turns a panic into an error.
func safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f()
}
