package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// heard is one event as a client gets it.
type heard struct {
	Seq  uint64
	Type string
	Key  string
	Data json.RawMessage
}

// ear is a client of the event stream.
type ear struct {
	t    *testing.T
	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	list  []heard
	grown chan struct{}
}

// listen connects as somebody, by WebSocket or by server-sent events, and returns once the stream has begun. after is the last
// event seen; 0 is none.
func (p *client) listen(ws bool, after uint64) *ear {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := &ear{t: p.t, stop: cancel, done: make(chan struct{}), grown: make(chan struct{})}
	read := p.sse
	if ws {
		read = p.ws
	}
	next, err := read(ctx, after)
	if err != nil {
		cancel()
		p.t.Fatal(err)
	}
	go func() { // ends with ctx; stopped waits for it
		defer close(e.done)
		for {
			h, err := next()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.list = append(e.list, h)
			close(e.grown)
			e.grown = make(chan struct{})
			e.mu.Unlock()
		}
	}()
	p.t.Cleanup(func() { e.stopped() })
	e.wait("hello", func(h heard) bool { return h.Type == "hello" || h.Type == "reset" })
	return e
}

func (p *client) sse(ctx context.Context, after uint64) (func() (heard, error), error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/events", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.token)
	if after > 0 {
		req.Header.Set("Last-Event-ID", fmt.Sprint(after))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		return nil, fmt.Errorf("%s %s", res.Status, res.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return func() (h heard, err error) {
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				return h, json.Unmarshal([]byte(data), &h)
			}
		}
		return h, errors.Join(errors.New("the stream ended"), res.Body.Close())
	}, nil
}

func (p *client) ws(ctx context.Context, after uint64) (func() (heard, error), error) {
	url := "ws" + strings.TrimPrefix(p.url, "http") + "/api/events/ws"
	if after > 0 {
		url += fmt.Sprintf("?after=%d", after)
	}
	c, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + p.token}}})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(1 << 20)
	return func() (h heard, err error) {
		_, b, err := c.Read(ctx)
		if err != nil {
			return h, err
		}
		return h, json.Unmarshal(b, &h)
	}, nil
}

// stopped leaves the stream, and returns all that was heard.
func (e *ear) stopped() []heard {
	e.stop()
	<-e.done
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.list
}

// wait waits for an event that fits.
func (e *ear) wait(what string, fits func(heard) bool) heard {
	e.t.Helper()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	for {
		e.mu.Lock()
		list, grown := e.list, e.grown
		e.mu.Unlock()
		if i := slices.IndexFunc(list, fits); i >= 0 {
			return list[i]
		}
		select {
		case <-grown:
		case <-late.C:
			e.t.Fatalf("not heard: %s", what)
		}
	}
}

// of waits for an event of one thing.
func (e *ear) of(typ, key string) heard {
	e.t.Helper()
	return e.wait(typ+" of "+key, func(h heard) bool { return h.Type == typ && h.Key == key })
}

// ids is what a list of events names.
func idsHeard(list []heard) (ids []string) {
	for _, h := range list {
		ids = append(ids, idsIn([]byte(fmt.Sprintf("%q%s", h.Key, h.Data)))...)
	}
	return ids
}

// While two tenants make calls, each one's administrator hears all of their own and nothing of the other's; an agent hears only of
// their own calls, and a supervisor of another department nothing of this one's. All of it on both kinds of streams.
//
// R-383 R-385 R-006
func TestStreamsOfTenants(t *testing.T) {
	c := newCentre(t, nil)
	red, blue := newFirm(c, "scarlet", 2100), newFirm(c, "azure", 2200)
	away := red.unit(red.root.ID, "elsewhere")
	stranger := c.person(away, "scarlet-away", "supervisor")
	colleague := c.person(red.team, "scarlet-ben", "agent")
	for _, ws := range []bool{false, true} {
		ears := map[string]*ear{}
		for who, p := range map[string]*client{
			"red": red.admin, "blue": blue.admin, "lead": red.lead, "ann": red.ann, "colleague": colleague, "stranger": stranger,
		} {
			ears[who] = p.listen(ws, 0)
		}
		n := 10
		if ws {
			n = 20
		}
		mine, theirs := red.talk(n), blue.talk(n)
		red.admin.must(http.MethodPost, "/api/acd/queues/"+red.queue+"/close", nil)
		red.admin.must(http.MethodPost, "/api/acd/queues/"+red.queue+"/open", nil)
		for _, who := range []string{"red", "lead", "ann"} {
			for _, typ := range []string{"call.ringing", "call.talking", "call.ended"} {
				ears[who].of(typ, mine)
			}
		}
		ears["blue"].of("call.ended", theirs)
		for _, who := range []string{"red", "lead"} { // the queue comes after the call in the one order of the stream
			ears[who].of("acd.queue_changed", red.queue)
		}
		all := map[string][]heard{}
		for who, e := range ears {
			all[who] = e.stopped()
		}
		known := idsHeard(all["red"])
		if len(known) < 5 {
			t.Fatalf("red's administrator heard of %v", known)
		}
		for _, id := range idsHeard(all["blue"]) {
			if slices.Contains(known, id) {
				t.Errorf("both tenants hear of %s", id)
			}
		}
		for who, e := range all {
			for _, h := range e {
				own := strings.Contains(string(h.Data), mine) || h.Key == mine
				switch {
				case h.Type == "hello":
				case strings.Contains(string(h.Data), map[bool]string{true: "scarlet", false: "azure"}[who == "blue"]):
					t.Errorf("%s hears %s %s", who, h.Type, h.Data)
				case (who == "colleague" || who == "stranger") && strings.HasPrefix(h.Type, "call"), own && who == "stranger":
					t.Errorf("%s hears %s of somebody else's call", who, h.Type)
				case strings.HasPrefix(h.Type, "call_record"):
					t.Errorf("%s hears what is for the platform alone: %s", who, h.Type)
				}
			}
		}
	}
}

// Who comes back with the last event they saw gets what came since, once and in order, on both kinds of streams; who comes without
// one gets what is new.
//
// R-006 R-411
func TestStreamResumes(t *testing.T) {
	c := newCentre(t, nil)
	f := newFirm(c, "scarlet", 2100)
	for _, ws := range []bool{false, true} {
		whole := f.admin.listen(ws, 0)
		first := f.admin.listen(ws, 0)
		n := 10
		if ws {
			n = 20
		}
		one := f.talk(n)
		seen := first.of("call.talking", one).Seq
		first.stopped()
		two := f.talk(n + 1) // nobody listens
		again := f.admin.listen(ws, seen)
		again.of("call.ended", two)
		whole.of("call.ended", two)
		last := again.of("call.ended", two).Seq
		until := func(list []heard, after uint64) (seqs []uint64) {
			for _, h := range list {
				if h.Seq > after && h.Seq <= last && h.Type != "hello" {
					seqs = append(seqs, h.Seq)
				}
			}
			return seqs
		}
		want, got := until(whole.stopped(), seen), until(again.stopped(), seen)
		if len(want) < 5 || !slices.Equal(got, want) || !slices.IsSorted(got) {
			t.Errorf("after %d: got %v, want %v", seen, got, want)
		}
		if fresh := f.admin.listen(ws, 0); len(until(fresh.stopped(), 0)) != 0 {
			t.Error("a new client gets old events")
		}
	}
	if a := f.admin.do(http.MethodGet, "/api/events?after=x", nil); a.status != http.StatusUnprocessableEntity || a.problem() != "invalid" {
		t.Errorf("a position that is none: %d %s", a.status, a.body)
	}
	c.nobody().refused(http.StatusUnauthorized, http.MethodGet, "/api/events", nil)
}
