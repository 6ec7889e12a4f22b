//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"callplane/app/call"
)

// Event is one event as a desktop gets it.
type Event struct {
	Seq  uint64          `json:"seq"`
	Type string          `json:"type"`
	At   time.Time       `json:"at"` // when it happened
	Key  string          `json:"key"`
	Data json.RawMessage `json:"data"`

	Got time.Time `json:"-"` // when it came here
}

// told reads the event of a call.
func (e Event) told() (t call.Told) {
	if err := json.Unmarshal(e.Data, &t); err != nil {
		panic(fmt.Sprintf("event %s: %v", e.Type, err))
	}
	return t
}

// Feed is a client of the event stream that remembers all it heard. It connects again when the server comes back, and
// misses nothing.
type Feed struct {
	mu    sync.Mutex
	list  []Event
	grown chan struct{}
}

// newFeed connects, and returns once the stream has begun.
func newFeed(ctx context.Context, url, token string) *Feed {
	f := &Feed{grown: make(chan struct{})}
	ready := make(chan struct{})
	go f.run(ctx, "ws"+strings.TrimPrefix(url, "http")+"/api/events/ws", token, sync.OnceFunc(func() { close(ready) }))
	select {
	case <-ready:
	case <-time.After(20 * time.Second):
	}
	return f
}

func (f *Feed) run(ctx context.Context, url, token string, ready func()) {
	var seen uint64
	for ctx.Err() == nil {
		at := url
		if seen > 0 {
			at += fmt.Sprintf("?after=%d", seen)
		}
		c, _, err := websocket.Dial(ctx, at, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
		if err != nil {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		c.SetReadLimit(1 << 20)
		for {
			_, b, err := c.Read(ctx)
			if err != nil {
				break
			}
			e := Event{Got: time.Now()}
			if json.Unmarshal(b, &e) != nil {
				continue
			}
			seen = max(seen, e.Seq)
			if e.Type == "hello" {
				ready()
			}
			f.add(e)
		}
		_ = c.CloseNow()
	}
}

func (f *Feed) add(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, e)
	close(f.grown)
	f.grown = make(chan struct{})
}

// mark is a place in the feed: now.
func (f *Feed) mark() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.list)
}

// since is all events from a place on.
func (f *Feed) since(from int) []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list[from:len(f.list):len(f.list)]
}

// find waits for the first event from a place on that fits.
func (f *Feed) find(from int, d time.Duration, fits func(Event) bool) (Event, bool) {
	end := time.NewTimer(d)
	defer end.Stop()
	for {
		f.mu.Lock()
		list, grown := f.list[from:], f.grown
		f.mu.Unlock()
		for _, e := range list {
			if fits(e) {
				return e, true
			}
		}
		from += len(list)
		select {
		case <-grown:
		case <-end.C:
			return Event{}, false
		}
	}
}

// wait is find for what must come.
func (f *Feed) wait(t *testing.T, from int, d time.Duration, what string, fits func(Event) bool) Event {
	t.Helper()
	e, ok := f.find(from, d, fits)
	if !ok {
		t.Fatalf("no event within %s: %s", d, what)
	}
	return e
}

// call waits for an event of a call.
func (f *Feed) call(t *testing.T, id call.ID, typ string, d time.Duration) call.Told {
	t.Helper()
	return f.wait(t, 0, d, typ+" of call "+string(id), func(e Event) bool { return e.Key == string(id) && e.Type == typ }).told()
}

// of is all events of a call so far, in order.
func (f *Feed) of(id call.ID) (list []Event) {
	for _, e := range f.since(0) {
		if e.Key == string(id) && strings.HasPrefix(e.Type, "call.") {
			list = append(list, e)
		}
	}
	return list
}

// showCalls shows what happened to the calls of a test, if it fails.
func (c *Centre) showCalls(t *testing.T) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		var b strings.Builder
		for _, e := range c.Feed.since(0) {
			if strings.HasPrefix(e.Type, "call.") {
				if said := e.told(); said.Unit == c.Unit || said.Trunk == c.Line.Name {
					fmt.Fprintf(&b, "%s %s %s %s %.200v\n", e.At.Format("05.000"), e.Key[len(e.Key)-4:], e.Type, said.From, said.Data)
				}
			}
		}
		t.Logf("what happened:\n%s", b.String())
	})
}
