package ari

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"callplane/app/pbx"
)

// afterAll ends what tests share.
var afterAll []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, end := range afterAll {
		end()
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// fake is an Asterisk that answers what a test wants it to, good or bad, and sends the events it is told to.
type fake struct {
	*testing.T
	srv *httptest.Server
	sw  *Switch

	mu     sync.Mutex
	conn   *websocket.Conn
	asked  []string                    // "POST /channels/x/answer?…"
	bodies map[string]string           // of requests, by "POST /channels"
	rules  map[string]http.HandlerFunc // by "POST /channels/x/answer"
	events []pbx.Event
	opened int // WebSockets so far
	stop   func()
}

func newFake(t *testing.T) *fake {
	f := &fake{T: t, bodies: map[string]string{}, rules: map[string]http.HandlerFunc{}}
	f.srv = httptest.NewServer(http.HandlerFunc(f.serve))
	f.answer("GET /asterisk/info", 200, `{"system":{"version":"22.10.1"},"status":{"startup_time":"2026-11-22T05:00:00.000+0000"}}`)
	f.answer("GET /applications/callplane", 200, `{"name":"callplane","channel_ids":[],"bridge_ids":[]}`)
	f.answer("GET /channels", 200, `[]`)
	f.answer("GET /bridges", 200, `[]`)
	f.answer("GET /endpoints/PJSIP", 404, `{"message":"No Endpoints found - invalid tech PJSIP"}`)
	f.sw = New(Config{Name: "fake", URL: f.srv.URL + "/ari", User: "u", Password: "p", Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	t.Cleanup(func() {
		f.srv.CloseClientConnections()
		f.srv.Close()
	})
	return f
}

// run starts the driver and waits until it is connected.
func (f *fake) run() *fake {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f.sw.Run(ctx); err != nil {
			f.Error(err)
		}
	})
	wg.Go(func() {
		for e := range f.sw.Events() {
			f.mu.Lock()
			f.events = append(f.events, e)
			f.mu.Unlock()
		}
	})
	f.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	f.Cleanup(f.stop)
	f.until("Resync", func() bool { return f.count(pbx.Resync, "") > 0 })
	return f
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/ari")
	if user, pass, _ := r.BasicAuth(); user != "u" || pass != "p" {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	if path == "/events" {
		f.socket(w, r)
		return
	}
	body, _ := io.ReadAll(r.Body)
	key := r.Method + " " + path
	full := key
	if r.URL.RawQuery != "" {
		full += "?" + r.URL.RawQuery
	}
	f.mu.Lock()
	f.asked = append(f.asked, full)
	f.bodies[key] = string(body)
	rule := f.rules[key]
	if rule == nil {
		rule = f.rules[r.Method+" *"]
	}
	f.mu.Unlock()
	if key == "PUT /applications/callplane/eventFilter" { // the driver may be faster than socket, which tells of the connection
		for n := f.was(key); ; time.Sleep(time.Millisecond) {
			f.mu.Lock()
			open := f.opened >= n
			f.mu.Unlock()
			if open || r.Context().Err() != nil {
				break
			}
		}
	}
	if rule != nil {
		rule(w, r)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (f *fake) socket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.conn = conn
	f.opened++
	f.mu.Unlock()
	for { // answers pings
		if _, _, err := conn.Read(context.Background()); err != nil {
			return
		}
	}
}

// rule sets what a request gets; answer is a rule with a fixed answer.
func (f *fake) rule(key string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules[key] = h
}

func (f *fake) answer(key string, status int, body string) {
	f.rule(key, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// send sends frames as they are.
func (f *fake) send(frames ...string) {
	f.Helper()
	f.mu.Lock()
	conn := f.conn
	f.mu.Unlock()
	for _, frame := range frames {
		if err := conn.Write(context.Background(), websocket.MessageText, []byte(frame)); err != nil {
			f.Fatal(err)
		}
	}
}

// event makes a frame of a channel; more are fields of the event.
func event(kind, channel, state string, more ...string) string {
	m := append(more, fmt.Sprintf(`"channel":{"id":%q,"state":%q,"caller":{"name":"Li Lei","number":"13800138000"}}`, channel, state))
	return fmt.Sprintf(`{"type":%q,"timestamp":"2026-11-22T06:00:00.123+0000","application":"callplane",%s}`, kind, strings.Join(m, ","))
}

// arrive is the StasisStart of a call.
func arrive(channel string) string {
	return event("StasisStart", channel, "Ring", `"args":["inbound","trunk","cp-carrier","4001"]`)
}

func (f *fake) until(what string, ok func() bool) {
	f.Helper()
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if ok() {
			return
		}
	}
	f.Fatalf("not in time: %s; events: %+v", what, f.events)
}

// count is how many events of a kind a leg had.
func (f *fake) count(kind pbx.Kind, leg pbx.LegID) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, e := range f.events {
		if e.Kind == kind && e.Leg == leg {
			n++
		}
	}
	return n
}

// await waits for the first event of a kind of a leg.
func (f *fake) await(kind pbx.Kind, leg pbx.LegID) pbx.Event {
	f.Helper()
	f.until(fmt.Sprint(kind, " of ", leg), func() bool { return f.count(kind, leg) > 0 })
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.events {
		if e.Kind == kind && e.Leg == leg {
			return e
		}
	}
	panic("unreachable")
}

// settle sends a call and waits for it: all frames before it have been acted on.
func (f *fake) settle() {
	f.Helper()
	id := fmt.Sprintf("settle-%d", time.Now().UnixNano())
	f.send(arrive(id))
	f.await(pbx.Arrived, pbx.LegID(id))
}

// kinds are the kinds of a leg's events, in order.
func (f *fake) kinds(leg pbx.LegID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, e := range f.events {
		if e.Leg == leg {
			list = append(list, e.Kind.String())
		}
	}
	return strings.Join(list, " ")
}

func (f *fake) equal(what string, got, want any) {
	f.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func (f *fake) is(err, want error) {
	f.Helper()
	if !errors.Is(err, want) {
		f.Errorf("error is %v, want %v", err, want)
	}
}

// was tells whether a request was made, and how often.
func (f *fake) was(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.asked {
		if strings.HasPrefix(a, prefix) {
			n++
		}
	}
	return n
}

// body is the last body of a request, decoded.
func (f *fake) body(key string) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := map[string]any{}
	_ = json.Unmarshal([]byte(f.bodies[key]), &m)
	return m
}
