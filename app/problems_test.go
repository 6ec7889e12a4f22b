package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var varies = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// What people and programs get when something is wrong, from every kind of cause: one shape, stable names, a sentence. UPDATE=1
// writes the file anew.
//
//
func TestProblems(t *testing.T) {
	c := newCentre(t, nil)
	f := newFirm(c, "scarlet", 2100)
	nobody := c.nobody()
	hires := f.admin.post("/api/user/roles", object{"name": "hires", "grants": object{"user:manage": "below", "user:read": "below"}}).str("id")
	reads := f.admin.post("/api/user/roles", object{"name": "reads", "grants": object{"call:read": "team"}}).str("id")
	hr := c.person(f.dept, "scarlet-hr", hires)
	gone := "01a00000-0000-7000-8000-000000000000"
	var b strings.Builder
	for _, q := range []struct {
		what         string
		who          *client
		method, path string
		body         any
	}{
		{"not signed in", nobody, "GET", "/api/call/calls", nil},
		{"a bad password", nobody, "POST", "/api/user/login", object{"login": "scarlet-ann", "password": "no"}},
		{"without the permission", f.ann, "POST", "/api/acd/queues", object{"name": "x"}},
		{"not there", f.admin, "GET", "/api/acd/queues/" + gone, nil},
		{"a call that is not there", f.admin, "POST", "/api/call/calls/" + gone + "/hangup", nil},
		{"a recording that is not there", f.admin, "GET", "/api/recording/recordings/" + gone + "/audio", nil},
		{"no such address", f.admin, "GET", "/api/nothing", nil},
		{"no such method", f.admin, "DELETE", "/api/acd/queues", nil},
		{"faulty fields", f.admin, "POST", "/api/acd/queues", object{"name": "", "ring_seconds": 1, "strategy": "random", "colour": "red"}},
		{"a faulty rule", f.admin, "POST", "/api/route/numbers", object{"number": "01021000009", "service": "x", "flow": gone, "trunk": "none"}},
		{"a flow with faults", f.admin, "POST", "/api/ivr/flows", object{"document": "name: x\nmenu:\n  prompt: main\n  keys: {\"1\": {queu: Sales}}\n"}},
		{"a flow that cannot work", f.admin, "POST", "/api/ivr/flows", object{"document": "name: x\nmenu:\n  keys: {}\n"}},
		{"a name that is taken", f.admin, "POST", "/api/ivr/flows", object{"unit": f.team, "document": "name: scarlet flow\nthen: {hangup: true}\n"}},
		{"a weak password", f.admin, "POST", "/api/user/users", object{"login": "bo", "name": "Bo", "unit_id": f.team, "password": "password"}},
		{"more than one has", hr, "POST", "/api/user/users", object{"login": "bo", "name": "Bo", "unit_id": f.team, "roles": []string{reads}}},
		{"not signed in on a phone", f.lead, "POST", "/api/call/calls", object{"to": "13800138000"}},
		{"no number", f.ann, "POST", "/api/call/calls", object{"to": "hello"}},
		{"a barred number", f.ann, "POST", "/api/call/calls", object{"to": "087121000001"}},
		{"a class one may not dial", f.ann, "POST", "/api/call/calls", object{"to": "0014155550123"}},
		{"a foreign cursor", f.admin, "GET", "/api/call/calls?cursor=xyz", nil},
		{"an unknown filter", f.admin, "GET", "/api/call/calls?colour=red", nil},
		{"a webhook to nowhere", f.admin, "POST", "/api/webhook/endpoints", object{"name": "x", "url": "ftp://x"}},
		{"no JSON", f.admin, "POST", "/api/acd/queues", "{"},
	} {
		a := q.who.do(q.method, q.path, q.body)
		if a.header.Get("Content-Type") != "application/problem+json" || a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %d %s %s", q.what, a.status, a.header.Get("Content-Type"), a.body)
			continue
		}
		pretty, err := json.MarshalIndent(a.json(), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "# %s: %s %s\n%d %s\n\n", q.what, q.method, varies.ReplaceAllString(q.path, "…"), a.status, varies.ReplaceAll(pretty, []byte("…")))
	}
	golden(t, "problems.txt", b.String())
}

// golden compares with testdata/<name>; UPDATE=1 writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s (%v) is not:\n%s", file, err, got)
	}
}

// A platform that nobody may stop over HTTP says how it is: alive always; ready while the switch answers; its metrics to those who
// may read them.
func TestProbes(t *testing.T) {
	cfg := testConfig(t)
	cfg.Switches = []Switch{{Name: "main", Kind: "asterisk", URL: "http://127.0.0.1:9/ari"}} // a name; the switch is in memory
	c := startCentre(t, cfg, kitOn(t, nil))
	_, admin := c.tenant("acme")
	p := c.nobody()
	if a := p.get("/healthz"); string(a.body) != "ok\n" {
		t.Errorf("/healthz: %s", a.body)
	}
	if a := p.get("/readyz"); string(a.body) != "ready\n" {
		t.Errorf("/readyz: %s", a.body)
	}
	c.sw.Cut()
	if a := p.refused(http.StatusServiceUnavailable, "GET", "/readyz", nil); a.problem() != "not_ready" {
		t.Errorf("/readyz without the switch: %s", a.body)
	}
	p.get("/healthz")
	c.sw.Restore()
	p.get("/readyz")
	p.refused(http.StatusUnauthorized, "GET", "/metrics", nil)
	a := admin.get("/metrics")
	for _, want := range []string{"cc_http_requests_total{", `route="/readyz"`, "cc_webhook_delay_seconds"} {
		if !strings.Contains(string(a.body), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for line := range strings.Lines(string(a.body)) {
		name, _, _ := strings.Cut(line, "{")
		if varies.MatchString(line) || !strings.HasPrefix(line, "#") && !strings.HasPrefix(name, "cc_") && !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			t.Errorf("metric with an id, or not ours: %s", line)
		}
	}
}
