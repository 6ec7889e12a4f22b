package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// codes of JetStream's answers.
const (
	codeBatchDuplicate = 10201 // an atomic batch holds an id that is stored already
	codeTooLarge       = 10054
)

// newEntry prepares an event for the writer.
func newEntry(e Event, now time.Time) *entry {
	if e.ID == "" {
		e.ID = uuid.Must(uuid.NewV7()).String()
	}
	if e.At.IsZero() {
		e.At = now.UTC().Truncate(time.Microsecond)
	}
	return &entry{kind: kindEvent, at: now, subject: eventSubject + e.Type, id: e.ID, event: &e}
}

// Store stores events and waits for it, for those who must know. It takes no place in the writer's order. An id that
// was stored in the last two minutes is not stored again. Error: not all are known to be stored; trying again is safe.
func (b *Bus) Store(ctx context.Context, events ...Event) error {
	entries := make([]*entry, len(events))
	for i, e := range events {
		x := newEntry(e, time.Now())
		data, err := json.Marshal(x.event)
		if err != nil {
			return fmt.Errorf("bus: event %s: %w", e.Type, err)
		}
		x.data, x.event = data, nil
		entries[i] = x
	}
	if err := b.storeEvents(ctx, entries); err != nil {
		return fmt.Errorf("bus: %w", err)
	}
	return nil
}

// storeOnce stores a batch: the newest value of each key, then the events. doubt means that some of it may be stored
// already, longer ago than JetStream remembers.
func (b *Bus) storeOnce(ctx context.Context, batch []*entry, doubt bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*ackTimeout)
	defer cancel()
	var values, events []*entry
	for _, e := range batch {
		if e.kind == kindEvent {
			events = append(events, e)
		}
	}
	if len(events) < len(batch) {
		newest := make(map[string]int, len(batch)-len(events))
		for i, e := range batch {
			if e.kind != kindEvent {
				newest[e.subject] = i
			}
		}
		for i, e := range batch {
			if e.kind != kindEvent && newest[e.subject] == i {
				values = append(values, e)
			}
		}
		if err := b.storeValues(ctx, values); err != nil {
			return err
		}
	}
	if len(events) == 0 {
		return nil
	}
	if doubt {
		stored, err := b.stored(ctx, events)
		if err != nil {
			return err
		}
		left := events[:0:0]
		for _, e := range events {
			if !stored[e.id] {
				left = append(left, e)
			}
		}
		if events = left; len(events) == 0 {
			return nil
		}
	}
	return b.storeEvents(ctx, events)
}

// storeValues puts and deletes values. Values that another process left are put only if the bucket has no newer ones:
// another node may have taken the thing over.
func (b *Bus) storeValues(ctx context.Context, values []*entry) error {
	futures := make([]jetstream.PubAckFuture, 0, len(values))
	sent := make([]*entry, 0, len(values))
	for _, e := range values {
		kv := b.KV(e.bucket)
		if _, err := kv.open(ctx); err != nil {
			return err
		}
		if e.old {
			have, err := kv.newest(ctx, e.subject)
			if err != nil {
				return err
			}
			if have != nil && have.Time.After(e.at) && have.Sequence != b.replayed[e.subject] {
				continue
			}
		}
		m := &nats.Msg{Subject: e.subject, Data: e.data}
		if e.id != "" {
			m.Header = nats.Header{"Nats-TTL": {e.id}}
		}
		if e.kind == kindDelete {
			m.Header = nats.Header{"KV-Operation": {"DEL"}, "Nats-TTL": {ttl(markerTTL)}}
		}
		f, err := b.js.PublishMsgAsync(m)
		if err != nil {
			if b.drop(e, err) {
				continue
			}
			return err
		}
		futures, sent = append(futures, f), append(sent, e)
	}
	return b.await(ctx, futures, sent)
}

// storeEvents stores events in order. On one server they follow each other in one connection; with replicas, where the
// leader may change in between, they are one atomic batch.
func (b *Bus) storeEvents(ctx context.Context, events []*entry) error {
	if b.cfg.Replicas > 1 && len(events) > 1 {
		err := b.storeAtomic(ctx, events)
		if api, ok := errors.AsType[*jetstream.APIError](err); !ok || api.ErrorCode != codeBatchDuplicate {
			return err
		}
		for _, e := range events { // some are stored already: one by one, JetStream leaves those out
			if _, err := b.js.PublishMsg(ctx, message(e)); err != nil {
				return err
			}
		}
		return nil
	}
	breaks := b.breaks.Load()
	futures := make([]jetstream.PubAckFuture, 0, len(events))
	sent := make([]*entry, 0, len(events))
	for _, e := range events {
		if b.breaks.Load() != breaks {
			return errors.New("disconnected between events")
		}
		f, err := b.js.PublishMsgAsync(message(e))
		if err != nil {
			if b.drop(e, err) {
				continue
			}
			return err
		}
		futures, sent = append(futures, f), append(sent, e)
	}
	return b.await(ctx, futures, sent)
}

// await waits for acknowledgements and returns the first fault.
func (b *Bus) await(ctx context.Context, futures []jetstream.PubAckFuture, sent []*entry) error {
	var fault error
	for i, f := range futures {
		select {
		case ack := <-f.Ok():
			if e := sent[i]; e.old && e.kind != kindEvent {
				b.replayed[e.subject] = ack.Sequence
			}
		case err := <-f.Err():
			if b.drop(sent[i], err) {
				continue
			}
			if fault == nil {
				fault = err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fault
}

// drop gives up an entry that can never be stored, because it is too large.
func (b *Bus) drop(e *entry, err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !errors.Is(err, nats.ErrMaxPayload) && (!ok || api.ErrorCode != codeTooLarge) {
		return false
	}
	if b.w != nil {
		b.w.dropped.Add(1)
	}
	b.log.Error("too large for the bus; dropped", "subject", e.subject, "id", e.id, "bytes", len(e.data), "error", err)
	return true
}

// storeAtomic stores all events or none.
func (b *Bus) storeAtomic(ctx context.Context, events []*entry) error {
	batch := uuid.NewString()
	for i, e := range events[:len(events)-1] {
		m := message(e)
		m.Header["Nats-Batch-Id"] = []string{batch}
		m.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(i + 1)}
		if err := b.nc.PublishMsg(m); err != nil {
			return err
		}
	}
	m := message(events[len(events)-1])
	m.Header["Nats-Batch-Id"] = []string{batch}
	m.Header["Nats-Batch-Sequence"] = []string{strconv.Itoa(len(events))}
	m.Header["Nats-Batch-Commit"] = []string{"1"}
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	answer, err := b.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return err
	}
	var ack struct {
		Error *jetstream.APIError `json:"error"`
		Seq   uint64              `json:"seq"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return fmt.Errorf("acknowledgement %q: %w", answer.Data, err)
	}
	if ack.Error != nil {
		return ack.Error
	}
	if ack.Seq == 0 {
		return fmt.Errorf("acknowledgement without a place: %q", answer.Data)
	}
	return nil
}

func message(e *entry) *nats.Msg {
	return &nats.Msg{Subject: e.subject, Data: e.data, Header: nats.Header{"Nats-Msg-Id": {e.id}}}
}

// stored looks which of the events are in the stream already, from the time the first was given to us on.
func (b *Bus) stored(ctx context.Context, events []*entry) (map[string]bool, error) {
	want := make(map[string]bool, len(events))
	since := events[0].at
	for _, e := range events {
		want[e.id] = true
		if e.at.Before(since) {
			since = e.at
		}
	}
	return b.storedSince(ctx, since, want)
}

// storedSince returns those of the ids that were stored since a time. The servers' clocks may differ from ours by 5 s.
func (b *Bus) storedSince(ctx context.Context, since time.Time, ids map[string]bool) (map[string]bool, error) {
	found := map[string]bool{}
	last, err := b.LastSeq(ctx)
	if err != nil || last == 0 {
		return found, err
	}
	since = since.Add(-5 * time.Second)
	c, err := b.events.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return nil, err
	}
	if info.NumPending == 0 {
		return found, nil
	}
	it, err := c.Messages()
	if err != nil {
		return nil, err
	}
	defer it.Stop()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		if id := m.Headers().Get("Nats-Msg-Id"); ids[id] {
			found[id] = true
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if meta.Sequence.Stream >= last || len(found) == len(ids) || meta.NumPending == 0 {
			return found, nil
		}
	}
}

// Stored tells which of the event ids were stored since a time, for those who must not repeat what they did before a
// crash. Its cost grows with the number of events since then.
func (b *Bus) Stored(ctx context.Context, since time.Time, ids ...string) (map[string]bool, error) {
	want := make(map[string]bool, len(ids))
	for _, id := range ids {
		want[id] = true
	}
	found, err := b.storedSince(ctx, since, want)
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	return found, nil
}

// ttl writes a time to live for JetStream: whole seconds, at least one.
func ttl(d time.Duration) string {
	return strconv.Itoa(max(1, int(d.Round(time.Second)/time.Second))) + "s"
}
