package ari

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

const dynamic = "/asterisk/config/dynamic/res_pjsip/"

// writes are the objects written and deleted, in order.
func (f *fake) writes() (list []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.asked {
		for _, m := range []string{"PUT ", "DELETE "} {
			if o, ok := strings.CutPrefix(a, m+dynamic); ok {
				list = append(list, m+o)
			}
		}
	}
	return list
}

func (f *fake) field(object, name string) string {
	fields, _ := f.body("PUT " + dynamic + object)["fields"].([]any)
	for _, v := range fields {
		if m, _ := v.(map[string]any); m["attribute"] == name {
			return fmt.Sprint(m["value"])
		}
	}
	return ""
}

func testLines() pbx.Lines {
	return pbx.Lines{
		Phones: []pbx.Phone{{Name: "a1", Password: "p1"}, {Name: "web", Password: "p2", WebRTC: true}},
		Trunks: []pbx.Trunk{{Name: "c", Host: "sip.example.com:5070", From: []string{"192.0.2.0/24", "198.51.100.7"}, User: "me", Password: "pw", Register: true}},
	}
}

func TestProvision(t *testing.T) {
	f := newFake(t).run()
	f.ok(f.sw.Provision(t.Context(), testLines()))
	f.equal("written in this order", f.writes(), []string{
		"PUT auth/cp-a1", "PUT aor/cp-a1", "PUT endpoint/cp-a1",
		"PUT auth/cp-c", "PUT aor/cp-c", "PUT endpoint/cp-c", "PUT identify/cp-c", "PUT identify/cp-c.1", "PUT registration/cp-c",
		"PUT auth/cp-web", "PUT aor/cp-web", "PUT endpoint/cp-web",
	})
	for _, tt := range []struct{ object, field, want string }{
		{"auth/cp-a1", "username", "cp-a1"}, {"auth/cp-a1", "password", "p1"},
		{"endpoint/cp-a1", "context", "callplane-phone"}, {"endpoint/cp-a1", "rtp_timeout", "60"}, {"endpoint/cp-a1", "webrtc", "no"},
		{"endpoint/cp-a1", "callerid", "cp"}, // else astdb makes every caller "unknown"
		{"endpoint/cp-web", "webrtc", "yes"}, {"endpoint/cp-web", "allow", "opus,ulaw,alaw"}, {"aor/cp-web", "max_contacts", "1"},
		{"endpoint/cp-c", "context", "callplane-trunk"}, {"endpoint/cp-c", "trust_id_inbound", "yes"}, {"endpoint/cp-c", "outbound_auth", "cp-c"},
		{"aor/cp-c", "contact", "sip:sip.example.com:5070"}, {"identify/cp-c", "match", "192.0.2.0/24"}, {"identify/cp-c.1", "match", "198.51.100.7"}, // astdb would keep the last of them alone

		{"registration/cp-c", "max_random_initial_delay", "0"}, {"registration/cp-c", "client_uri", "sip:me@sip.example.com:5070"},
	} {
		f.equal(tt.object+" "+tt.field, f.field(tt.object, tt.field), tt.want)
	}
	n := len(f.writes())
	f.ok(f.sw.Provision(t.Context(), testLines()))
	f.equal("writes of the same again", len(f.writes())-n, 0)

	lines := testLines()
	lines.Phones[0].Password = "new"
	f.ok(f.sw.Provision(t.Context(), lines))
	f.equal("a new password", f.writes()[n:], []string{"PUT auth/cp-a1", "PUT aor/cp-a1", "PUT endpoint/cp-a1"})

	n = len(f.writes())
	lines.Phones = lines.Phones[1:]
	f.ok(f.sw.Provision(t.Context(), lines))
	f.equal("a phone less", f.writes()[n:], []string{"DELETE endpoint/cp-a1", "DELETE aor/cp-a1", "DELETE auth/cp-a1"})
}

func TestARegistrationIsMadeAnew(t *testing.T) {
	f := newFake(t).run()
	lines := pbx.Lines{Trunks: testLines().Trunks}
	lines.Trunks[0].From = nil
	f.ok(f.sw.Provision(t.Context(), lines))
	n := len(f.writes())
	lines.Trunks[0].User = "other"
	start := time.Now()
	f.ok(f.sw.Provision(t.Context(), lines))
	f.equal("writes", f.writes()[n:], []string{"DELETE registration/cp-c", "PUT auth/cp-c", "PUT aor/cp-c", "PUT endpoint/cp-c", "PUT identify/cp-c", "PUT registration/cp-c"})
	if time.Since(start) < registerPause {
		t.Error("without a pause Asterisk does not register again")
	}
	n = len(f.writes())
	lines.Trunks[0].Register, lines.Trunks[0].User = false, ""
	f.ok(f.sw.Provision(t.Context(), lines))
	f.equal("no account any more", f.writes()[n:], []string{"DELETE registration/cp-c", "DELETE auth/cp-c", "PUT aor/cp-c", "PUT endpoint/cp-c", "PUT identify/cp-c"})
}

// Of two contacts astdb keeps one, and it may be the old one: the far end would stay where it was.
func TestATrunkMoves(t *testing.T) {
	f := newFake(t).run()
	lines := pbx.Lines{Trunks: testLines().Trunks}
	lines.Trunks[0].Register = false
	f.ok(f.sw.Provision(t.Context(), lines))
	n := len(f.writes())
	lines.Trunks[0].Host, lines.Trunks[0].From = "192.0.2.9", lines.Trunks[0].From[:1]
	f.ok(f.sw.Provision(t.Context(), lines))
	f.equal("writes", f.writes()[n:], []string{"DELETE identify/cp-c.1", "DELETE aor/cp-c",
		"PUT auth/cp-c", "PUT aor/cp-c", "PUT endpoint/cp-c", "PUT identify/cp-c"})
}

// After a restart of ours the digest in the endpoint tells whether a line is as it shall be.
func TestWhatWasWrittenBeforeIsLeftAlone(t *testing.T) {
	f := newFake(t).run()
	f.ok(f.sw.Provision(t.Context(), testLines()))
	digest := f.field("endpoint/cp-a1", "callerid_tag")

	g := newFake(t).run()
	g.answer("GET /endpoints/PJSIP", 200, `[{"technology":"PJSIP","resource":"cp-a1"},{"technology":"PJSIP","resource":"cp-web"},{"technology":"PJSIP","resource":"cp-old"},{"technology":"PJSIP","resource":"isdn"}]`)
	g.answer("GET "+dynamic+"endpoint/cp-a1", 200, `[{"attribute":"allow","value":"x"},{"attribute":"callerid_tag","value":"`+digest+`"}]`)
	g.answer("GET "+dynamic+"endpoint/cp-web", 200, `[{"attribute":"callerid_tag","value":"something else"}]`)
	g.answer("DELETE "+dynamic+"endpoint/cp-old", 404, `{}`)
	g.answer("DELETE "+dynamic+"identify/cp-old.1", 404, `{}`)
	g.answer("DELETE "+dynamic+"identify/cp-web.1", 404, `{}`)
	lines := testLines()
	lines.Trunks = nil
	g.ok(g.sw.Provision(t.Context(), lines))
	w := g.writes()
	if slices.ContainsFunc(w, func(s string) bool { return strings.Contains(s, "cp-a1") || strings.Contains(s, "isdn") }) {
		t.Errorf("written: %v", w)
	}
	f.equal("removed, though half gone", strings.Count(strings.Join(w, " "), "cp-old"), 6)
	f.equal("changed", slices.Contains(w, "PUT endpoint/cp-web"), true)
}

func TestAfterARestartOfAsteriskEverythingIsWrittenAgain(t *testing.T) {
	f := newFake(t).run()
	lines := pbx.Lines{Phones: testLines().Phones}
	f.ok(f.sw.Provision(t.Context(), lines))
	n := len(f.writes())
	digest := f.field("endpoint/cp-a1", "callerid_tag")
	f.answer("GET /asterisk/info", 200, `{"system":{"version":"22.10.1"},"status":{"startup_time":"2026-11-22T05:30:00.000+0000"}}`)
	f.answer("GET /endpoints/PJSIP", 200, `[{"technology":"PJSIP","resource":"cp-a1"}]`) // some are left out
	f.answer("GET "+dynamic+"endpoint/cp-a1", 200, `[{"attribute":"callerid_tag","value":"`+digest+`"}]`)
	f.conn.CloseNow()
	f.until("all written", func() bool { return len(f.writes()) == n+6 })
}

func TestARefusedWriteDoesNotStopTheOthers(t *testing.T) {
	f := newFake(t).run()
	f.answer("PUT "+dynamic+"aor/cp-a1", 400, `{"message":"failed field value validation"}`)
	err := f.sw.Provision(t.Context(), testLines())
	if err == nil || !strings.Contains(err.Error(), "failed field value validation") || !strings.Contains(err.Error(), "a1") {
		t.Errorf("error is %v", err)
	}
	f.equal("the others", slices.Contains(f.writes(), "PUT endpoint/cp-web"), true)
	f.equal("half a phone", slices.Contains(f.writes(), "PUT endpoint/cp-a1"), false)
	f.answer("PUT "+dynamic+"aor/cp-a1", 200, `[]`)
	n := len(f.writes())
	f.ok(f.sw.Provision(t.Context(), testLines()))
	f.equal("made good", f.writes()[n:], []string{"PUT auth/cp-a1", "PUT aor/cp-a1", "PUT endpoint/cp-a1"})
}

func TestWritesArePaced(t *testing.T) {
	f := newFake(t).run()
	var lines pbx.Lines
	for i := range 20 {
		lines.Phones = append(lines.Phones, pbx.Phone{Name: fmt.Sprint("a", i), Password: "x"})
	}
	start := time.Now()
	f.ok(f.sw.Provision(t.Context(), lines))
	if d := time.Since(start); d < 59*writeEvery {
		t.Errorf("60 writes took %v", d)
	}
}

func TestTheEngineersObjectsAreLeftAlone(t *testing.T) {
	f := newFake(t).run()
	f.answer("GET /endpoints/PJSIP", 200, `[{"technology":"PJSIP","resource":"cp-mine"}]`)
	f.rule("DELETE *", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	})
	f.ok(f.sw.Provision(t.Context(), pbx.Lines{}))
}

// Asterisk takes most wrong values without a word.
func TestBadLines(t *testing.T) {
	good := testLines
	for name, spoil := range map[string]func(*pbx.Lines){
		"name with a slash":         func(l *pbx.Lines) { l.Phones[0].Name = "a/b" },
		"name in capitals":          func(l *pbx.Lines) { l.Phones[0].Name = "Alice" },
		"no name":                   func(l *pbx.Lines) { l.Phones[0].Name = "" },
		"no password":               func(l *pbx.Lines) { l.Phones[0].Password = "" },
		"password with a newline":   func(l *pbx.Lines) { l.Phones[0].Password = "a\nb" },
		"password with space":       func(l *pbx.Lines) { l.Phones[0].Password = " a" },
		"unknown codec":             func(l *pbx.Lines) { l.Phones[0].Codecs = []string{"mp3"} },
		"codec list in one":         func(l *pbx.Lines) { l.Phones[0].Codecs = []string{"ulaw,all"} },
		"twice the same":            func(l *pbx.Lines) { l.Phones[1].Name = "a1" },
		"a trunk called as a phone": func(l *pbx.Lines) { l.Trunks[0].Name = "a1" },
		"no host":                   func(l *pbx.Lines) { l.Trunks[0].Host = "" },
		"host with parameters":      func(l *pbx.Lines) { l.Trunks[0].Host = "a;transport=tcp" },
		"host with a user":          func(l *pbx.Lines) { l.Trunks[0].Host = "me@a" },
		"port 0":                    func(l *pbx.Lines) { l.Trunks[0].Host = "a:0" },
		"port by name":              func(l *pbx.Lines) { l.Trunks[0].Host = "a:sip" },
		"from a host":               func(l *pbx.Lines) { l.Trunks[0].From = []string{"example.com"} },
		"registers without user":    func(l *pbx.Lines) { l.Trunks[0].User = "" },
		"user with a bracket":       func(l *pbx.Lines) { l.Trunks[0].User = "a>b" },
		"too many networks":         func(l *pbx.Lines) { l.Trunks[0].From = slices.Repeat([]string{"192.0.2.1"}, 101) },
		"qualify below 0":           func(l *pbx.Lines) { l.Trunks[0].QualifySeconds = -1 },
	} {
		l := good()
		spoil(&l)
		_, err := makeLines(l)
		var p *problem.Problem
		if !errors.As(err, &p) || len(p.Fields) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, host := range []string{"192.0.2.1", "192.0.2.1:5060", "sip.example.com", "[2001:db8::1]:5060", "2001:db8::1"} {
		l := good()
		l.Trunks[0].Host = host
		if _, err := makeLines(l); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestARemovedLineIsNotListed(t *testing.T) {
	f := newFake(t).run()
	f.ok(f.sw.Provision(t.Context(), testLines()))
	f.answer("GET /endpoints/PJSIP", 200, `[{"technology":"PJSIP","resource":"cp-a1","state":"online"},{"technology":"PJSIP","resource":"cp-gone","state":"online"}]`)
	snap, err := f.sw.Snapshot(t.Context())
	f.ok(err)
	f.equal("lines", snap.Lines, "map[a1:up]") // a call of the other one goes on, so Asterisk still lists it
}

func TestCheck(t *testing.T) {
	f := newFake(t)
	f.answer("GET /asterisk/modules", 200, `[{"name":"res_stasis_snoop.so","status":"Not Running"}]`)
	f.answer("POST /bridges/x", 200, `{}`)
	f.answer("PUT "+dynamic+"identify/cp_check", 400, `{"message":"no"}`)
	f.rule("POST *", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/record") {
			w.WriteHeader(500)
		}
	})
	bad := map[string]bool{}
	for _, c := range f.sw.Check(t.Context()) {
		if !c.OK {
			bad[c.What] = true
		}
	}
	f.equal("bad", bad, map[string]bool{"modules": true, "lines": true, "recording": true})
	for version, ok := range map[string]bool{"22.10.1+dfsg+~cs6": true, "20.5.0": false, "22.1.0": true, "certified/20.7-cert1": false, "23.0.0": true} {
		f.equal(version, checkVersion(version).OK, ok)
	}
	if !strings.Contains(checkVersion("22.10.1+dfsg").Detail, "lock up") || strings.Contains(checkVersion("22.10.12").Detail, "lock up") {
		t.Error("the trouble of 22.10.1 is not told, or that of another")
	}
	f.srv.Close()
	f.equal("unreachable", f.sw.Check(t.Context())[0].What, "reachable")
	f.sw.forget()
}

func TestResolve(t *testing.T) {
	lines := resolve(t.Context(), pbx.Lines{Trunks: []pbx.Trunk{{Host: "localhost:5060"}, {Host: "192.0.2.1"}, {Host: "no.such.host.invalid"},
		{Host: "localhost", From: []string{"192.0.2.1"}}}})
	if f := lines.Trunks[0].From; !slices.Contains(f, "127.0.0.1") {
		t.Errorf("localhost is %v", f)
	}
	if len(lines.Trunks[1].From)+len(lines.Trunks[2].From) != 0 || len(lines.Trunks[3].From) != 1 {
		t.Errorf("got %+v", lines.Trunks)
	}
}
