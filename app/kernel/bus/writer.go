package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxBatch  = 512   // entries that are sent at once
	maxMemory = 20000 // entries that wait in memory; the rest waits in the journal

	// gather is how long a batch waits for more: what is stored together costs less, and of one key's values only the last is
	// stored. Nothing is at stake: the entries are in the journal.
	gather = 10 * time.Millisecond
)

// writer stores entries in order. Callers append to inbox; goroutine accept encodes and writes the journal; goroutine
// send stores. Both end with close.
type writer struct {
	b       *Bus
	wake    chan struct{} // for accept: there is something in inbox
	ready   chan struct{} // for send: there is something in queue
	hurry   chan struct{} // for send: somebody waits until all is stored
	stop    chan struct{}
	stopped sync.WaitGroup
	cancel  context.CancelFunc // of what send is doing

	in    sync.Mutex
	inbox []*entry
	added uint64 // entries ever given

	mu       sync.Mutex // guards what follows and the journal
	j        *journal
	queue    []*entry // in order; after them come those that are only in the journal, from readAt on
	readAt   int64
	onDisk   bool // there are entries in the journal after those in queue
	accepted uint64
	done     uint64 // entries ever stored
	waiters  []waiter
	fault    bool // the journal cannot be written; said once

	retries, dropped atomic.Uint64
	first            bool // the next batch may have been sent by the process before
}

type waiter struct {
	n  uint64
	ch chan struct{}
}

// openWriter opens the journal and starts the writer, which begins with what the last process left.
func openWriter(b *Bus) (*writer, error) {
	j, done, err := openJournal(b.cfg.Dir)
	if err != nil {
		return nil, err
	}
	w := &writer{b: b, j: j, wake: make(chan struct{}, 1), ready: make(chan struct{}, 1), hurry: make(chan struct{}, 1), stop: make(chan struct{}), readAt: done, first: true}
	left, err := j.read(done, maxMemory)
	if err != nil {
		b.log.Error("the journal is damaged; what follows the fault is left out", "error", err)
	}
	if w.queue = left; len(left) > 0 {
		w.readAt = left[len(left)-1].end
		b.log.Info("sending what the last process left", "entries", len(left))
	}
	w.onDisk = len(left) == maxMemory
	if !w.onDisk && w.readAt < j.size { // half an entry at the end
		if err := j.file.Truncate(w.readAt); err != nil {
			return nil, errors.Join(err, j.close())
		}
		j.size = w.readAt
	}
	w.added, w.accepted = uint64(len(left)), uint64(len(left))
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.stopped.Go(w.accept)
	w.stopped.Go(func() { w.send(ctx) })
	return w, nil
}

// put takes entries in. It never waits for more than a lock held for nanoseconds.
func (w *writer) put(entries ...*entry) {
	w.in.Lock()
	w.inbox = append(w.inbox, entries...)
	w.added += uint64(len(entries))
	w.in.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// accept moves entries from inbox through the journal to queue, until stop.
func (w *writer) accept() {
	for {
		select {
		case <-w.wake:
			w.take()
		case <-w.stop:
			w.take()
			return
		}
	}
}

// take handles what is in inbox now.
func (w *writer) take() {
	w.in.Lock()
	batch := w.inbox
	w.inbox = nil
	w.in.Unlock()
	if len(batch) == 0 {
		return
	}
	for _, e := range batch {
		if e.event != nil {
			data, err := json.Marshal(e.event)
			if err != nil { // Data that is no JSON, made by hand
				w.b.log.Error("event is not JSON; its data is left out", "type", e.event.Type, "id", e.event.ID, "error", err)
				e.event.Data = nil
				data, _ = json.Marshal(e.event)
			}
			e.data, e.event = data, nil
		}
	}
	w.mu.Lock()
	err := w.j.append(batch)
	switch {
	case err != nil && w.onDisk: // disk full, and older entries are only there: these wait where they came from
		w.in.Lock()
		w.inbox = append(batch, w.inbox...)
		w.in.Unlock()
		batch = nil
		time.AfterFunc(100*time.Millisecond, func() {
			select {
			case w.wake <- struct{}{}:
			default:
			}
		})
	case err != nil: // disk full: memory has to do
		w.queue = append(w.queue, batch...)
		for _, e := range batch {
			e.end = w.j.size
		}
	case w.onDisk || len(w.queue)+len(batch) > maxMemory:
		w.onDisk = true
	default:
		w.queue = append(w.queue, batch...)
		w.readAt = w.j.size
	}
	w.accepted += uint64(len(batch))
	fault := err != nil && !w.fault
	w.fault = err != nil
	w.mu.Unlock()
	if fault {
		w.b.log.Error("the journal cannot be written: what is not stored is only in memory", "error", err)
	}
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// send stores what is in queue, until ctx is done.
func (w *writer) send(ctx context.Context) {
	for {
		batch := w.next()
		if len(batch) == 0 {
			select {
			case <-w.ready:
				continue
			case <-ctx.Done():
				return
			}
		}
		if len(batch) < maxBatch && w.more(ctx) {
			batch = w.next()
		}
		if !w.storeBatch(ctx, batch) {
			return
		}
		w.finished(batch)
	}
}

// more waits for further entries, unless somebody is in a hurry.
func (w *writer) more(ctx context.Context) bool {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.hurry:
	case <-ctx.Done():
		return false
	}
	return true
}

// next is the entries to store next; they stay in queue until they are finished.
func (w *writer) next() []*entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 && w.onDisk {
		more, err := w.j.read(w.readAt, maxMemory)
		if err != nil || len(more) == 0 {
			w.b.log.Error("the journal is damaged; entries are lost", "error", err)
			w.readAt = w.j.size
			w.done = w.accepted
		} else {
			w.queue = more
			w.readAt = more[len(more)-1].end
		}
		w.onDisk = w.readAt < w.j.size
	}
	return w.queue[:min(len(w.queue), maxBatch)]
}

// finished takes stored entries off the queue.
func (w *writer) finished(batch []*entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.queue = w.queue[len(batch):]; len(w.queue) == 0 {
		w.queue = nil
	}
	w.done += uint64(len(batch))
	if err := w.j.stored(batch[len(batch)-1].end, len(w.queue) == 0 && !w.onDisk); err != nil && !w.fault {
		w.fault = true
		w.b.log.Error("the journal cannot be written", "error", err)
	}
	if w.j.size == 0 {
		w.readAt = 0
	}
	keep := w.waiters[:0]
	for _, x := range w.waiters {
		if w.done >= x.n {
			close(x.ch)
		} else {
			keep = append(keep, x)
		}
	}
	w.waiters = keep
}

// storeBatch stores a batch: first the newest value of each key, then the events. It tries until it succeeds; false
// means that ctx is done.
func (w *writer) storeBatch(ctx context.Context, batch []*entry) bool {
	begun := time.Now()
	doubt := w.first && batch[0].old
	w.first = false
	log := w.b.log
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := w.b.storeOnce(ctx, batch, doubt)
		if err == nil {
			if took := time.Since(begun); took > ackTimeout {
				log.Info("bus stores again", "after", took.Round(time.Millisecond), "queued", w.stats().Queued)
			}
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if w.retries.Add(1)%20 == 1 {
			log.Warn("bus cannot store; trying again", "error", err, "queued", w.stats().Queued)
		}
		doubt = doubt || time.Since(begun) > dedupe/2 // JetStream forgets ids: look for ourselves
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

// flush waits until all that was put before is stored.
func (w *writer) flush(ctx context.Context) error {
	w.in.Lock()
	n := w.added
	w.in.Unlock()
	w.mu.Lock()
	if w.done >= n {
		w.mu.Unlock()
		return nil
	}
	x := waiter{n, make(chan struct{})}
	w.waiters = append(w.waiters, x)
	w.mu.Unlock()
	select {
	case w.hurry <- struct{}{}:
	default:
	}
	select {
	case <-x.ch:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("bus: flush: %w", ctx.Err())
	case <-w.stop:
		return errors.New("bus: closed")
	}
}

func (w *writer) close() error {
	close(w.stop)
	w.cancel()
	w.stopped.Wait()
	return w.j.close()
}

// Stats is how the writer is doing.
type Stats struct {
	Queued  uint64 // accepted and not stored yet
	Stored  uint64 // since the start
	Retries uint64 // failed attempts to store a batch, since the start
	Dropped uint64 // refused by JetStream for good, such as too large, since the start
	Journal int64  // bytes
}

func (w *writer) stats() Stats {
	w.in.Lock()
	added := w.added
	w.in.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	return Stats{Queued: added - min(added, w.done), Stored: w.done, Retries: w.retries.Load(), Dropped: w.dropped.Load(), Journal: w.j.size}
}

// Stats tells how much waits to be stored.
func (b *Bus) Stats() Stats {
	if b.w == nil {
		return Stats{}
	}
	return b.w.stats()
}

// Publish gives events to the writer. It never waits; they are stored in order, soon. The event's At and ID are set if
// they are empty.
func (b *Bus) Publish(events ...Event) {
	entries := make([]*entry, len(events))
	now := time.Now()
	for i := range events {
		entries[i] = newEntry(events[i], now)
	}
	b.w.put(entries...)
}

// Flush waits until all that was published and put so far is stored. Error: ctx ended first.
func (b *Bus) Flush(ctx context.Context) error {
	if b.w == nil {
		return nil
	}
	return b.w.flush(ctx)
}
