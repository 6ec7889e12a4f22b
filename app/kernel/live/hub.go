// Package live is the event stream to browsers and programs, as Server-Sent Events and as WebSocket.
//
// A client names the last event it has seen and gets all since then, of those it may see. One reader of the bus serves
// all clients of a node: each event is encoded once and kept in a ring of the newest, and each client reads from the
// ring at its own pace. A client that asks for older events is fed from the stream until it has caught up. One that
// falls behind the ring is disconnected and comes back with the last event it has seen.
//
// Two events are not the bus's. "hello" comes first and has the position from which the client is told everything; a
// client that now reads state by REST misses nothing. "reset" says that the events asked for are no longer kept: read
// all state again.
package live

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"callplane/app/kernel/bus"
)

const (
	ringSize     = 8192     // newest events kept for clients, at most
	ringBytes    = 64 << 20 // and how much room they may take
	heartbeat    = 15 * time.Second
	writeTimeout = 10 * time.Second // a client that takes nothing for so long is disconnected
	chunk        = 256              // events a client takes at once
)

// frame is an event as it goes out. It is encoded when the first client asks for it.
type frame struct {
	event bus.Event
	size  int // in bytes, about
	once  sync.Once
	body  []byte
	line  []byte
}

// Hub serves the event stream of one node.
type Hub struct {
	bus *bus.Bus
	log *slog.Logger

	mu    sync.Mutex
	ring  []*frame // in order of Seq
	bytes int
	from  uint64        // the ring holds all events after this position
	last  uint64        // and up to this
	news  chan struct{} // closed when the ring has grown
	open  chan struct{} // closed when the ring is in use
	done  chan struct{} // closed when Run ends

	clients, sent, slow atomic.Int64
}

// New makes a hub; Run feeds it.
func New(b *bus.Bus) *Hub {
	return &Hub{bus: b, log: slog.Default().With("module", "live"), news: make(chan struct{}), open: make(chan struct{}), done: make(chan struct{})}
}

// Run reads the bus until ctx is done, once. Clients that are connected then are disconnected; they come back, to another
// node perhaps.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.done)
	for ctx.Err() == nil {
		if err := h.feed(ctx); err != nil && ctx.Err() == nil {
			h.log.Warn("live stream waits for the bus", "error", err)
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// feed fills the ring until ctx is done or the stream ends.
func (h *Hub) feed(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	h.mu.Lock()
	after := h.last
	h.mu.Unlock()
	if after == 0 {
		last, err := h.bus.LastSeq(ctx)
		if err != nil {
			return err
		}
		after = last
		h.mu.Lock()
		h.from, h.last = after, after
		h.mu.Unlock()
	}
	events, err := h.bus.TailAfter(ctx, after)
	if errors.Is(err, bus.ErrGone) { // we were away for longer than events are kept
		h.mu.Lock()
		h.ring, h.bytes, h.last = nil, 0, 0
		h.mu.Unlock()
		return nil
	}
	if err != nil {
		return err
	}
	select {
	case <-h.open:
	default:
		close(h.open)
	}
	timer := time.NewTimer(0)
	<-timer.C
	armed := false
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return ctx.Err()
			}
			h.add(e)
			if !armed {
				armed = true
				timer.Reset(h.gather())
			}
		case <-timer.C:
			armed = false
			h.mu.Lock()
			close(h.news)
			h.news = make(chan struct{})
			h.mu.Unlock()
		}
	}
}

// gather is how long to collect events before the clients are woken: the more clients, the dearer it is. From 5 ms to
// 50 ms, which a thousand clients reach.
func (h *Hub) gather() time.Duration {
	return min(5*time.Millisecond+time.Duration(h.clients.Load())*45*time.Microsecond, 50*time.Millisecond)
}

// add puts an event into the ring.
func (h *Hub) add(e bus.Event) {
	f := encode(e)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ring = append(h.ring, f)
	h.bytes += f.size
	h.last = e.Seq
	drop := 0
	for len(h.ring)-drop > ringSize || h.bytes > ringBytes && drop < len(h.ring)-1 {
		h.bytes -= h.ring[drop].size
		h.from = h.ring[drop].event.Seq
		drop++
	}
	if drop > 0 {
		clear(h.ring[:drop]) // the array behind is shared until append moves it
		h.ring = h.ring[drop:]
	}
}

// since returns the events after a position, at most chunk of them, and the channel that closes when there are more.
// gone means that the ring no longer reaches back that far.
func (h *Hub) since(after uint64, buf []*frame) (frames []*frame, news <-chan struct{}, gone bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if after < h.from {
		return nil, nil, true
	}
	i := sort.Search(len(h.ring), func(i int) bool { return h.ring[i].event.Seq > after })
	return append(buf[:0], h.ring[i:min(len(h.ring), i+chunk)]...), h.news, false
}

// position is the newest event's, and whether the ring reaches back to after.
func (h *Hub) position(after uint64) (last uint64, inRing bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last, after >= h.from
}

// wire is an event as clients see it.
type wire struct {
	Seq  uint64          `json:"seq"`
	Type string          `json:"type"`
	At   time.Time       `json:"at,omitzero"`
	Key  string          `json:"key,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
}

// encode makes the frame of an event.
func encode(e bus.Event) *frame { return &frame{event: e, size: 2*len(e.Data) + 400} }

// ws is the frame as a WebSocket message.
func (f *frame) ws() []byte {
	f.write()
	return f.body
}

// sse is the frame as a server-sent event.
func (f *frame) sse() []byte {
	f.write()
	return f.line
}

// write encodes for both kinds of clients, once for all of them.
func (f *frame) write() {
	f.once.Do(func() {
		e := f.event
		body, err := json.Marshal(wire{e.Seq, e.Type, e.At, e.Key, e.Data})
		if err != nil { // the bus has read it as JSON
			body = []byte(`{}`)
		}
		f.body, f.line = body, sseFrame(e.Seq, e.Type, body)
	})
}

func sseFrame(seq uint64, typ string, body []byte) []byte {
	out := make([]byte, 0, len(body)+len(typ)+48)
	out = append(out, "id: "...)
	out = strconv.AppendUint(out, seq, 10)
	out = append(out, "\nevent: "...)
	out = append(out, typ...)
	out = append(out, "\ndata: "...)
	out = append(out, body...)
	return append(out, "\n\n"...)
}

// note is one of the hub's own events: hello or reset.
func note(typ string, seq uint64) *frame { return encode(bus.Event{Type: typ, Seq: seq}) }

// Stats is how the hub is doing.
type Stats struct {
	Clients int64
	Sent    int64 // events written to clients since the start
	Slow    int64 // clients disconnected because they were too slow, since the start
}

// Stats tells how many clients there are.
func (h *Hub) Stats() Stats { return Stats{h.clients.Load(), h.sent.Load(), h.slow.Load()} }
