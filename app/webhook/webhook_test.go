package webhook

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/kerneltest"
)

// signed, in order for each call, each once, and within 500 ms.
func TestDeliver(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		dbtest.CheckModels(t, d, Models()...)
		k := kitOn(t, d)
		s, to := New(k, units, quick), newSink(t)
		open(t, s, to, "call.>", "call.talking", "agent.state")
		kerneltest.Run(t, k)
		start(t, s)
		for _, e := range []bus.Event{ // none of these is for it
			bus.NewEvent("acd.queue", "q", nil).For("team", "/root/team/"),
			bus.NewEvent("call.talking", "x", nil).For("else", "/else/"),
			{Type: "call.secret", UnitPath: "/root/", Perm: private},
		} {
			k.Bus.Publish(e)
		}
		ids := happen(k, 1, 1)
		to.wait(1)
		ids = append(ids, happen(k, 100, 10)...)
		all := to.wait(len(ids))
		inOrder(t, all, ids)
		if len(all) != 1001 {
			t.Errorf("%d requests", len(all))
		}
		var one []time.Duration
		for range 100 { // one by one, as switch events come
			id := happen(k, 1, 1)
			all = to.wait(len(all) + 1)
			one = append(one, all[len(all)-1].late)
			inOrder(t, all[len(all)-1:], id)
		}
		slices.Sort(one)
		if one[94] > 500*time.Millisecond {
			t.Errorf("95 of 100 within %v", one[94])
		}
		t.Logf("p50 %v, p95 %v", one[49], one[94])
	})
}

// a receiver that is away for a while then gets everything, once and in order; a restart in the middle, and a crash,
// lose nothing.
func TestOutage(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		k := kitOn(t, d)
		s, to := New(k, units, quick), newSink(t)
		e := open(t, s, to)
		kerneltest.Run(t, k)
		stop := start(t, s)
		to.set(func(int, Payload) (int, http.Header) { return 503, nil })
		ids := happen(k, 50, 4)
		until(t, "events wait in the database", func() bool {
			rows, err := store{d}.waiting(e.ID)
			return err == nil && len(rows) == len(ids)
		})
		until(t, "it is known to fail", func() bool {
			now, err := store{d}.endpoint(e.ID)
			return err == nil && now.FailingSince != nil
		})
		stop()
		ids = append(ids, happen(k, 50, 2)...)
		start(t, &Service{log: s.log, kit: k, tree: units, cfg: s.cfg, poster: newPoster(s.cfg)}) // the next process
		to.set(nil)
		inOrder(t, to.wait(len(ids)), ids)
		until(t, "nothing waits, and it works", func() bool {
			rows, err := store{d}.waiting(e.ID)
			now, err2 := store{d}.endpoint(e.ID)
			return err == nil && err2 == nil && len(rows) == 0 && now.FailingSince == nil
		})
	})
}

// While a host is down it is asked by one request at a time, and not by everybody.
func TestProbe(t *testing.T) {
	k := kitOn(t, nil)
	s, to := New(k, units, quick), newSink(t)
	open(t, s, to)
	kerneltest.Run(t, k)
	start(t, s)
	to.set(func(int, Payload) (int, http.Header) { return 500, nil })
	ids := happen(k, 200, 1)
	until(t, "many probes", func() bool {
		to.mu.Lock()
		defer to.mu.Unlock()
		return to.asked > 30
	})
	to.mu.Lock()
	before := to.asked
	to.mu.Unlock()
	<-time.After(500 * time.Millisecond)
	to.mu.Lock()
	if n := to.asked - before; n > 15 {
		t.Errorf("%d requests in 500 ms, at one probe each 50 ms", n)
	}
	to.mu.Unlock()
	to.set(nil)
	inOrder(t, to.wait(len(ids)), ids)
}

// One event that is refused holds up its own call only; it is given up after a time, and that is told.
func TestPoison(t *testing.T) {
	k := kitOn(t, nil)
	cfg := quick
	cfg.GiveUp = 700 * time.Millisecond
	s, to := New(k, units, cfg), newSink(t)
	open(t, s, to, "call.>")
	kerneltest.Run(t, k)
	start(t, s)
	to.set(func(_ int, p Payload) (int, http.Header) {
		if p.Key == "call-1" && strings.Contains(string(p.Data), `"n":0`) {
			return 400, nil
		}
		return 200, nil
	})
	events, err := k.Bus.Tail(t.Context(), 0, EventGivenUp)
	if err != nil {
		t.Fatal(err)
	}
	ids := happen(k, 3, 2)
	all := to.wait(4)
	for _, g := range all[:4] {
		if g.key == "call-1" {
			t.Errorf("%s was sent before the one before it", g.body)
		}
	}
	go func() { // it works for others meanwhile
		for t.Context().Err() == nil {
			happen(k, 1, 1)
			pause(t.Context(), 50*time.Millisecond)
		}
	}()
	gave := <-events
	var a Attempt
	if err := gave.Into(&a); err != nil || a.EventID != ids[1] || a.Status != 400 {
		t.Errorf("given up: %+v, %v", a, err)
	}
	until(t, "the next of that call", func() bool {
		return slices.ContainsFunc(to.wait(5), func(g got) bool { return g.id == ids[4] })
	})
}

// Retry-After is kept to.
func TestRetryAfter(t *testing.T) {
	k := kitOn(t, nil)
	s, to := New(k, units, quick), newSink(t)
	open(t, s, to)
	kerneltest.Run(t, k)
	start(t, s)
	to.set(func(n int, _ Payload) (int, http.Header) {
		if n == 1 {
			return 429, http.Header{"Retry-After": {"1"}}
		}
		return 200, nil
	})
	happen(k, 1, 1)
	if g := to.wait(1); g[0].late < time.Second {
		t.Errorf("asked again after %v", g[0].late)
	}
	for header, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-3": 0, "99999999": time.Hour, "soon": 0,
		"Fri, 01 May 2026 09:00:30 GMT": 30 * time.Second, "Fri, 01 May 2026 08:00:00 GMT": 0} {
		if got := retryAfter(header, time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)); got != want {
			t.Errorf("%q is %v, want %v", header, got, want)
		}
	}
}

// An endpoint that never works is switched off; on again, it gets what it missed.
func TestSwitchedOff(t *testing.T) {
	k := kitOn(t, nil)
	cfg := quick
	cfg.GiveUp = 300 * time.Millisecond
	s, to := New(k, units, cfg), newSink(t)
	e := open(t, s, to)
	kerneltest.Run(t, k)
	start(t, s)
	to.set(func(int, Payload) (int, http.Header) { return 500, nil })
	ids := happen(k, 2, 2)
	off := func() bool {
		now, err := store{k.DB}.endpoint(e.ID)
		return err == nil && !now.Active && now.WhyOff != ""
	}
	until(t, "switched off", off)
	ids = append(ids, happen(k, 2, 2)...)
	to.set(nil)
	if _, err := s.Replay(system(t), e.ID, time.Time{}, 0); !errors.Is(err, ErrOff) {
		t.Errorf("replay while off: %v", err)
	}
	on := true
	if _, err := s.Update(system(t), e.ID, Change{Active: &on}); err != nil {
		t.Fatal(err)
	}
	inOrder(t, to.wait(len(ids)), ids)
	to.set(func(int, Payload) (int, http.Header) { return 410, nil })
	happen(k, 1, 1)
	until(t, "gone for good", off)
}

// replay from a position or a time, under the old ids.
func TestReplay(t *testing.T) {
	k := kitOn(t, nil)
	s, to := New(k, units, quick), newSink(t)
	e := open(t, s, to, "call.>")
	kerneltest.Run(t, k)
	start(t, s)
	ids := happen(k, 10, 15)
	k.Bus.Publish(bus.NewEvent("acd.queue", "q", nil).For("team", "/root/team/"))
	to.wait(len(ids))
	seq, err := k.Bus.LastSeq(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to.mu.Lock()
	to.got = nil
	to.mu.Unlock()
	if _, err := s.Replay(system(t), e.ID, time.Time{}, 0); err != nil {
		t.Fatal(err)
	}
	inOrder(t, to.wait(len(ids)), ids)
	if _, err := s.Replay(system(t), e.ID, time.Now(), 0); err != nil { // nothing happened since
		t.Fatal(err)
	}
	later := happen(k, 1, 1)
	all := to.wait(len(ids) + 1)
	if all[len(ids)].id != later[0] {
		t.Errorf("%s came", all[len(ids)].body)
	}
	if r, err := s.Replay(system(t), e.ID, time.Time{}, seq+1); err != nil || r.After != seq {
		t.Fatalf("%+v, %v", r, err)
	}
	if all = to.wait(len(ids) + 2); all[len(ids)+1].id != later[0] {
		t.Errorf("%s came", all[len(ids)+1].body)
	}
	until(t, "the log holds the last 100, replays among them", func() bool {
		var rows []Attempt
		err := k.DB.Order("id DESC").Find(&rows).Error
		return err == nil && len(rows) == 100 && rows[0].Replayed && rows[0].Delivered && rows[0].Status == 200
	})
}

// Events go nowhere inside, and follow no redirect.
func TestGuard(t *testing.T) {
	for ip, ok := range map[string]bool{
		"93.184.216.34": true, "2606:4700::1111": true, "127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false, "224.0.0.1": false, "255.255.255.255": false, "::1": false, "fe80::1": false,
		"fd00::1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false, "::": false, "::7f00:1": false, "2002:a00:1::": false,
	} {
		if got := (Config{}).mayDial(netip.MustParseAddr(ip)); got != ok {
			t.Errorf("%s may be dialled: %v", ip, got)
		}
	}
	some := Config{Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}}
	if !some.mayDial(netip.MustParseAddr("10.1.2.3")) || some.mayDial(netip.MustParseAddr("10.2.0.1")) {
		t.Error("the setting for private networks does not work")
	}
	for raw, want := range map[string]error{
		"https://crm.example.com/hook?x=1": nil, "http://crm.example.com": nil, "ftp://crm.example.com": ErrURL, "https://": ErrURL, "crm.example.com": ErrURL,
		"https://user:secret@crm.example.com": ErrURL, "https://crm.example.com/#x": ErrURL, "http://127.0.0.1:8088/ari": ErrPrivate, "http://[::1]/": ErrPrivate,
		"://": ErrURL,
	} {
		if err := (Config{}).checkURL(raw); !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%s: %v, want %v", raw, err, want)
		}
	}
	inside := newSink(t)
	cfg := Config{}
	cfg.defaults()
	p := newPoster(cfg)
	e := Endpoint{URL: strings.Replace(inside.srv.URL, "127.0.0.1", "localhost", 1), Secret: newSecret()}
	if a := p.post(t.Context(), e, bus.NewEvent("call.talking", "c", nil)); !errors.Is(a.err, ErrPrivate) || a.status != 0 {
		t.Errorf("a name that leads inside: %+v", a)
	}
	door := httptest.NewServer(http.RedirectHandler(inside.srv.URL, http.StatusTemporaryRedirect))
	defer door.Close()
	cfg.AllowPrivate = true
	e.URL = door.URL
	if a := newPoster(cfg).post(t.Context(), e, bus.NewEvent("call.talking", "c", nil)); !errors.Is(a.err, errStatus) || a.status != 307 || inside.asked != 0 {
		t.Errorf("redirect: %+v", a)
	}
}

func TestTidyTypes(t *testing.T) {
	for _, tt := range []struct{ in, want []string }{
		{nil, []string{}},
		{[]string{"call.>", "call.talking", "agent.state"}, []string{"call.>", "agent.state"}},
		{[]string{"call.talking", "call.talking"}, []string{"call.talking"}},
		{[]string{"call"}, []string{"call"}},
	} {
		if got, err := tidyTypes(tt.in); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%v: %v, %v", tt.in, got, err)
		}
	}
	for _, bad := range []string{"", ">", "*", "call.*", "call talking", "Call.x", ".call", "call.>.x", strings.Repeat("a", 200)} {
		if _, err := tidyTypes([]string{bad}); !errors.Is(err, ErrTypes) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
