package webhook

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/kerneltest"
	"callplane/app/kernel/outbox"
)

type tree map[auth.UnitID]string

func (t tree) Path(u auth.UnitID) string { return t[u] }

var units = tree{"root": "/root/", "team": "/root/team/", "else": "/else/"}

// kitOn is a kit on a given database, whose stream has begun.
func kitOn(t testing.TB, d *gorm.DB) *kernel.Kit {
	t.Helper()
	k := kerneltest.New(t)
	if d != nil {
		k.DB = d
		k.Outbox = outbox.New(d, k.Bus)
		k.Jobs = jobs.New(k.Bus, k.Outbox)
	}
	k.Bus.Publish(bus.NewEvent("test.begin", "", nil))
	if err := k.Bus.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return k
}

// quick is a configuration for tests: all on this machine, and soon.
var quick = Config{AllowPrivate: true, Backoff: 20 * time.Millisecond, Probe: 50 * time.Millisecond, Flush: 20 * time.Millisecond, Timeout: 5 * time.Second}

// got is a request that a sink accepted.
type got struct {
	id, key, body string
	at            time.Time
	late          time.Duration
}

// sink is a receiver that checks signatures.
type sink struct {
	t      testing.TB
	srv    *httptest.Server
	secret string

	mu     sync.Mutex
	got    []got
	asked  int
	answer func(n int, p Payload) (status int, header http.Header) // nil accepts all
	news   chan struct{}
}

func newSink(t testing.TB) *sink {
	s := &sink{t: t, news: make(chan struct{}, 1)}
	s.srv = httptest.NewServer(s)
	t.Cleanup(s.srv.Close)
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	var p Payload
	wh, err := standardwebhooks.NewWebhook(s.secret)
	if err == nil {
		err = wh.Verify(body, r.Header)
	}
	if err2 := (bus.Event{Data: body}).Into(&p); err != nil || err2 != nil || p.ID != r.Header.Get("webhook-id") {
		s.t.Errorf("request %s: %v %v", body, err, err2)
	}
	if s.answer != nil {
		if status, header := s.answer(s.asked, p); status != 200 {
			for k, v := range header {
				w.Header()[k] = v
			}
			w.WriteHeader(status)
			fmt.Fprint(w, "no")
			return
		}
	}
	s.got = append(s.got, got{p.ID, p.Key, string(body), time.Now(), time.Since(p.At)})
	select {
	case s.news <- struct{}{}:
	default:
	}
}

func (s *sink) set(answer func(n int, p Payload) (int, http.Header)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// wait waits until so many requests were accepted.
func (s *sink) wait(n int) []got {
	s.t.Helper()
	limit := time.After(30 * time.Second)
	for {
		s.mu.Lock()
		have := slices.Clone(s.got)
		s.mu.Unlock()
		if len(have) >= n {
			return have
		}
		select {
		case <-s.news:
		case <-limit:
			s.t.Fatalf("%d of %d requests came", len(have), n)
		}
	}
}

// until polls until f is true.
func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for range 600 {
		if f() {
			return
		}
		<-time.After(25 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// start runs the service until stop is called, or the test ends.
func start(t testing.TB, s *Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func system(t testing.TB) context.Context { return auth.System(t.Context()) }

// open makes an endpoint for a sink.
func open(t testing.TB, s *Service, to *sink, types ...string) Endpoint {
	t.Helper()
	e, err := s.Create(system(t), Endpoint{UnitID: "root", Name: "crm", URL: to.srv.URL + "/hook", Types: types, Active: true})
	if err != nil {
		t.Fatal(err)
	}
	to.mu.Lock()
	to.secret = e.Secret
	to.mu.Unlock()
	return e.Endpoint
}

// happen publishes n events of each of so many calls, in turn.
func happen(k *kernel.Kit, calls, n int) (ids []string) {
	for i := range n {
		for c := range calls {
			e := bus.NewEvent("call.talking", fmt.Sprintf("call-%d", c), map[string]int{"n": i}).For("team", "/root/team/")
			ids = append(ids, e.ID)
			k.Bus.Publish(e)
		}
	}
	return ids
}

// inOrder tells whether the events of each key came in the order of their ids, each once.
func inOrder(t testing.TB, all []got, want []string) {
	t.Helper()
	last := map[string]string{}
	seen := map[string]int{}
	for _, g := range all {
		if seen[g.id]++; seen[g.id] > 1 {
			t.Errorf("event %s came %d times", g.id, seen[g.id])
			continue
		}
		if g.id <= last[g.key] {
			t.Errorf("key %s: %s after %s", g.key, g.id, last[g.key])
		}
		last[g.key] = g.id
	}
	for _, id := range want {
		if seen[id] == 0 {
			t.Errorf("event %s never came", id)
		}
	}
}
