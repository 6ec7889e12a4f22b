package live

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/problem"
)

// Authorize says which events the asker may see, or why none: a problem is answered as such, anything else as 500.
// filter is called for each event, in the client's goroutine; it must be quick.
type Authorize func(r *http.Request) (filter func(bus.Event) bool, err error)

// Why a client was disconnected by us.
var (
	errSlow   = errors.New("too slow") // it takes events more slowly than they come
	errEnding = errors.New("this node ends")
)

// follow writes events to one client until ctx is done or write fails. write gets what there is, in order, and must not
// keep it. seen is the last event the client has seen, if it says so; else it gets new ones. idle is called every 15 s.
func (h *Hub) follow(ctx context.Context, seen *uint64, filter func(bus.Event) bool, write func([]*frame) error, idle func() error) error {
	select {
	case <-h.open:
	case <-h.done:
		return errEnding
	case <-ctx.Done():
		return ctx.Err()
	}
	h.clients.Add(1)
	defer h.clients.Add(-1)
	var after uint64
	if seen != nil {
		after = *seen
	}
	last, inRing := h.position(after)
	first := note("hello", after)
	switch {
	case seen == nil:
		after = last
		first = note("hello", last)
	case after > last:
		// The node that served the client before was ahead of us, or the stream is another one.
		end, err := h.bus.LastSeq(ctx)
		if err != nil {
			return err
		}
		if after > end {
			after = last
			first = note("reset", last)
		}
	case !inRing:
		if err := write([]*frame{first}); err != nil {
			return err
		}
		first = nil
		var err error
		if after, err = h.catchUp(ctx, after, filter, write); errors.Is(err, bus.ErrGone) {
			after, _ = h.position(0)
			first = note("reset", after)
		} else if err != nil {
			return err
		}
	}
	if first != nil {
		if err := write([]*frame{first}); err != nil {
			return err
		}
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	var all, mine []*frame
	for {
		frames, news, gone := h.since(after, all)
		if gone {
			h.slow.Add(1)
			return errSlow
		}
		if all = frames; len(frames) > 0 {
			after = frames[len(frames)-1].event.Seq
			mine = mine[:0]
			for _, f := range frames {
				if filter(f.event) {
					mine = append(mine, f)
				}
			}
			if len(mine) > 0 {
				if err := write(mine); err != nil {
					return err
				}
				h.sent.Add(int64(len(mine)))
			}
			continue
		}
		select {
		case <-news:
		case <-beat.C:
			if err := idle(); err != nil {
				return err
			}
		case <-h.done:
			return errEnding
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp feeds a client from the stream until the ring takes over, and returns how far that was.
func (h *Hub) catchUp(ctx context.Context, after uint64, filter func(bus.Event) bool, write func([]*frame) error) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := h.bus.TailAfter(ctx, after)
	if err != nil {
		return after, err
	}
	var batch []*frame
	for e := range events {
		after = e.Seq
		if filter(e) {
			batch = append(batch, encode(e))
		}
		_, inRing := h.position(after)
		if len(batch) >= chunk || len(batch) > 0 && (inRing || len(events) == 0) {
			if err := write(batch); err != nil {
				return after, err
			}
			h.sent.Add(int64(len(batch)))
			batch = batch[:0]
		}
		if inRing {
			return after, nil
		}
	}
	return after, ctx.Err()
}

// lastSeen reads the position the client names: the header Last-Event-ID, which browsers send when they come back, or
// the query's "after". nil: it names none.
func lastSeen(r *http.Request) (*uint64, error) {
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = r.URL.Query().Get("after")
	}
	if id == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return nil, problem.ErrInvalid.At("after", "not_a_number", "%q is no event's id.", id)
	}
	return &n, nil
}

// begin checks who asks and what for. ok false means that it has answered.
func begin(w http.ResponseWriter, r *http.Request, auth Authorize) (seen *uint64, filter func(bus.Event) bool, ok bool) {
	filter, err := auth(r)
	if err == nil {
		seen, err = lastSeen(r)
	}
	if err == nil {
		return seen, filter, true
	}
	p, is := errors.AsType[*problem.Problem](err)
	if !is {
		p = problem.New(problem.Internal, "internal", "Something went wrong on our side")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(int(p.Kind))
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "/problems/" + p.Name, "title": p.Title, "status": int(p.Kind), "detail": p.Detail})
	return nil, nil, false
}

// SSE serves the stream as text/event-stream. Each event has its position as id, its type as event, and as data the
// JSON object {seq, type, at, key, data}.
func (h *Hub) SSE(auth Authorize) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen, filter, ok := begin(w, r, auth)
		if !ok {
			return
		}
		rc := http.NewResponseController(w)
		head := w.Header()
		head.Set("Content-Type", "text/event-stream")
		head.Set("Cache-Control", "no-store")
		head.Set("X-Accel-Buffering", "no") // nginx must pass each event on
		var buf []byte
		send := func(p []byte) error {
			_ = rc.SetWriteDeadline(time.Now().Add(writeTimeout)) // a server without deadlines has its own
			if _, err := w.Write(p); err != nil {
				return err
			}
			return rc.Flush()
		}
		if send([]byte("retry: 2000\n\n")) != nil {
			return
		}
		err := h.follow(r.Context(), seen, filter, func(frames []*frame) error {
			buf = buf[:0]
			for _, f := range frames {
				buf = append(buf, f.sse()...)
			}
			return send(buf)
		}, func() error { return send([]byte(": still here\n\n")) })
		h.log.Debug("live client left", "kind", "sse", "why", err)
	})
}

// WebSocket serves the stream as text messages, each the JSON object {seq, type, at, key, data}. The query's "after"
// names the last event seen. What the client sends is ignored. Browsers must be of the same origin.
func (h *Hub) WebSocket(auth Authorize) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen, filter, ok := begin(w, r, auth)
		if !ok {
			return
		}
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return // it has answered
		}
		defer func() { _ = c.CloseNow() }()
		ctx := c.CloseRead(r.Context())
		err = h.follow(ctx, seen, filter, func(frames []*frame) error {
			ctx, cancel := context.WithTimeout(ctx, writeTimeout)
			defer cancel()
			for _, f := range frames {
				if err := c.Write(ctx, websocket.MessageText, f.ws()); err != nil {
					return err
				}
			}
			return nil
		}, func() error {
			ctx, cancel := context.WithTimeout(ctx, writeTimeout)
			defer cancel()
			return c.Ping(ctx)
		})
		if errors.Is(err, errSlow) {
			_ = c.Close(websocket.StatusTryAgainLater, "too slow; come back with the last seq")
		} else {
			_ = c.Close(websocket.StatusGoingAway, "")
		}
		h.log.Debug("live client left", "kind", "websocket", "why", err)
	})
}
