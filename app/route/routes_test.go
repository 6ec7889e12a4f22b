package route

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/pbx"
)

// web is the module's routes, asked by people: the token is "role unit".
type web struct {
	t *testing.T
	h http.Handler
}

func serve(t *testing.T, o *office) web {
	roles := map[string]auth.Preset{}
	for _, p := range auth.Presets() {
		roles[p.Name] = p
	}
	r := api.New(api.Options{Log: slog.New(slog.DiscardHandler), Authenticate: func(_ context.Context, token string) (*auth.Principal, error) {
		role, unit, _ := strings.Cut(token, ".")
		return auth.From(as(t, roles[role], unit)), nil
	}})
	o.Routes(r)
	return web{t, r.Handler()}
}

// ask sends a request as somebody ("admin.acme") and decodes the answer.
func (w web) ask(who, method, path string, body, into any) int {
	w.t.Helper()
	raw, err := json.Marshal(body)
	must(w.t, err)
	req := httptest.NewRequest(method, "/api/route"+path, bytes.NewReader(raw))
	req.Header.Set("Authorization", "Bearer "+who)
	req.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, req)
	if strings.Contains(rec.Body.String(), "geheim") {
		w.t.Errorf("%s %s shows a password: %s", method, path, rec.Body)
	}
	if into != nil && rec.Body.Len() > 0 {
		if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
			w.t.Errorf("%s %s: %v in %s", method, path, err, rec.Body)
		}
	}
	if rec.Code >= 500 {
		w.t.Errorf("%s %s: %d %s", method, path, rec.Code, rec.Body)
	}
	return rec.Code
}

func (w web) want(code int, who, method, path string, body, into any) {
	w.t.Helper()
	if got := w.ask(who, method, path, body, into); got != code {
		w.t.Errorf("%s %s %s: %d, want %d", who, method, path, got, code)
	}
}

type m = map[string]any

// R-013 R-018 R-011
func TestTrunkRoutes(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	w := serve(t, o)
	var tr TrunkView
	w.want(201, "admin.acme", "POST", "/trunks", m{"name": "carrier", "host": "10.0.0.1", "password": "geheim", "channel_limit": 16}, &tr)
	release, err := o.Seize("carrier")
	must(t, err)
	o.LineChanged(pbx.Event{Kind: pbx.LineChanged, Line: "carrier", LineState: pbx.LineUp})
	var page api.Page[TrunkView]
	w.want(200, "supervisor.sales", "GET", "/trunks", nil, &page)
	if len(page.Items) != 1 || page.Items[0].State != pbx.LineUp || page.Items[0].Channels != 1 || !page.Items[0].HasPassword {
		t.Errorf("list %+v", page.Items)
	}
	release()
	w.want(200, "admin.acme", "PATCH", "/trunks/"+string(tr.ID), m{"enabled": false}, &tr)
	if tr.Enabled || tr.State != pbx.LineUnknown || tr.Channels != 0 || tr.ChannelLimit != 16 {
		t.Errorf("changed %+v", tr)
	}
	w.want(404, "admin.other", "GET", "/trunks/"+string(tr.ID), nil, nil)
	w.want(403, "agent.sales", "GET", "/trunks", nil, nil)
	w.want(403, "supervisor.sales", "POST", "/trunks", m{"name": "mine", "host": "10.0.0.1"}, nil)
	var fault struct {
		Errors []struct{ Pointer string }
	}
	w.want(422, "admin.acme", "POST", "/trunks", m{"name": "Mine!", "host": ""}, &fault)
	if len(fault.Errors) != 2 {
		t.Errorf("faults %+v", fault)
	}
	w.want(409, "admin.acme", "POST", "/trunks", m{"name": "carrier", "host": "10.0.0.1"}, nil)
	w.want(204, "admin.acme", "DELETE", "/trunks/"+string(tr.ID), nil, nil)
	w.want(404, "admin.acme", "GET", "/trunks/"+string(tr.ID), nil, nil)
}

// R-034 R-019: numbers over HTTP, and where a call would go and why.
func TestNumberRoutesAndTest(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	w := serve(t, o)
	var n Number
	w.want(201, "admin.acme", "POST", "/numbers", m{"number": "400-800-1234", "service": "Care", "flow": "f1", "rules": []m{{"caller": "withheld", "flow": "f2"}}}, &n)
	w.want(201, "admin.other", "POST", "/numbers", m{"number": "95001", "service": "Theirs", "flow": "f3"}, nil)
	var page api.Page[Number]
	w.want(200, "admin.acme", "GET", "/numbers?q=4008001234", nil, &page)
	if len(page.Items) != 1 || page.Items[0].Number != "+864008001234" {
		t.Errorf("found %+v", page.Items)
	}
	var v Verdict
	w.want(200, "admin.acme", "POST", "/test", m{"direction": "in", "to": "4008001234", "from": "13800138000"}, &v)
	if v.Inbound == nil || v.Inbound.Flow != "f1" || v.Inbound.Why == "" {
		t.Errorf("verdict %+v", v)
	}
	v = Verdict{}
	w.want(200, "admin.acme", "POST", "/test", m{"direction": "in", "to": "95001"}, &v)
	if v.Inbound != nil || v.Reason != "no_number" || strings.Contains(v.Detail, "Theirs") {
		t.Errorf("another tenant's number shows: %+v", v)
	}
	v = Verdict{}
	w.want(200, "supervisor.sales", "POST", "/test", m{"direction": "out", "to": "95588"}, &v)
	if v.Outbound != nil || v.Reason != "no_trunk" {
		t.Errorf("verdict %+v", v)
	}
	w.want(422, "supervisor.sales", "POST", "/test", m{"direction": "out", "to": "95588", "unit": "other"}, nil)
	w.want(200, "admin.acme", "PATCH", "/numbers/"+string(n.ID), m{"flow": "f9", "rules": []m{}}, &n)
	if n.Flow != "f9" || len(n.Rules) != 0 || n.Service != "Care" {
		t.Errorf("changed %+v", n)
	}
	w.want(204, "admin.acme", "DELETE", "/numbers/"+string(n.ID), nil, nil)
}

// a phone's password is shown when it is made, and not again.
func TestPhoneRoutes(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	w := serve(t, o)
	var made struct {
		ID       PhoneID
		Password string
	}
	w.want(201, "admin.acme", "POST", "/phones", m{"name": "desk-1", "unit": "sales"}, &made)
	first := made.Password
	if len(first) < 20 {
		t.Fatalf("password %q", first)
	}
	var seen m
	w.want(200, "agent.team", "GET", "/phones/"+string(made.ID), nil, &seen)
	if seen["password"] != nil || seen["name"] != "desk-1" || seen["state"] != "unknown" {
		t.Errorf("seen %v", seen)
	}
	w.want(403, "agent.team", "POST", "/phones/"+string(made.ID)+"/password", nil, nil)
	w.want(200, "admin.acme", "POST", "/phones/"+string(made.ID)+"/password", nil, &made)
	if made.Password == first || made.Password == "" {
		t.Error("the password stayed")
	}
	w.want(201, "admin.acme", "POST", "/phones", m{"name": "desk-2", "owner": "agent-team"}, nil)
	w.want(201, "admin.acme", "POST", "/phones", m{"name": "desk-3", "owner": "someone"}, nil)
	var page api.Page[PhoneView]
	w.want(200, "agent.team", "GET", "/phones?seating=mine", nil, &page)
	if len(page.Items) != 2 || page.Items[0].Name != "desk-1" || page.Items[1].Name != "desk-2" {
		t.Errorf("mine %+v", page.Items)
	}
	page = api.Page[PhoneView]{}
	w.want(200, "agent.other", "GET", "/phones", nil, &page)
	if len(page.Items) != 0 {
		t.Errorf("another tenant sees %+v", page.Items)
	}
	w.want(204, "admin.acme", "DELETE", "/phones/"+string(made.ID), nil, nil)
}

// everyone keeps their own speed dials; shared ones are for the unit and below, and kept by who manages it.
func TestSpeedDialRoutes(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	w := serve(t, o)
	var own, shared SpeedDial
	w.want(201, "agent.team", "POST", "/speed-dials", m{"key": "1", "label": "Mother", "number": "138 0013 8000"}, &own)
	w.want(409, "agent.team", "POST", "/speed-dials", m{"key": "1", "label": "Twice", "number": "desk-1"}, nil)
	w.want(422, "agent.team", "POST", "/speed-dials", m{"key": "2", "label": "?", "number": "?"}, nil)
	w.want(403, "agent.team", "POST", "/speed-dials", m{"shared": true, "key": "9", "number": "95588"}, nil)
	w.want(201, "admin.acme", "POST", "/speed-dials", m{"shared": true, "unit": "sales", "key": "9", "number": "95588"}, &shared)
	keys := func(who string) (keys string) {
		var page api.Page[SpeedDial]
		w.want(200, who, "GET", "/speed-dials", nil, &page)
		for _, d := range page.Items {
			keys += d.Key
		}
		return keys
	}
	for who, want := range map[string]string{"agent.team": "19", "agent.sales": "9", "agent.care": "", "admin.acme": "9", "admin.other": ""} {
		if got := keys(who); got != want {
			t.Errorf("%s sees %q, want %q", who, got, want)
		}
	}
	w.want(404, "admin.acme", "DELETE", "/speed-dials/"+string(own.ID), nil, nil)
	w.want(403, "agent.team", "DELETE", "/speed-dials/"+string(shared.ID), nil, nil)
	w.want(200, "agent.team", "PATCH", "/speed-dials/"+string(own.ID), m{"label": "Mum"}, &own)
	w.want(204, "agent.team", "DELETE", "/speed-dials/"+string(own.ID), nil, nil)
	w.want(204, "admin.acme", "DELETE", "/speed-dials/"+string(shared.ID), nil, nil)
}

//
func TestBarredRoutes(t *testing.T) {
	o := open(t, dbtest.SQLite(t))
	w := serve(t, o)
	var b Barred
	w.want(201, "admin.acme", "POST", "/barred", m{"number": "0086 168", "prefix": true, "reason": "Premium"}, &b)
	if b.Number != "+86168" {
		t.Errorf("barred %+v", b)
	}
	w.want(200, "admin.acme", "PATCH", "/barred/"+string(b.ID), m{"reason": "Costly"}, &b)
	w.want(422, "admin.acme", "PATCH", "/barred/"+string(b.ID), m{"number": "13800138000"}, nil)
	w.want(200, "supervisor.acme", "GET", "/barred/"+string(b.ID), nil, &b)
	if b.Reason != "Costly" {
		t.Errorf("changed %+v", b)
	}
	w.want(204, "admin.acme", "DELETE", "/barred/"+string(b.ID), nil, nil)
}

// what the preset roles may dial.
func TestAllowedClasses(t *testing.T) {
	for role, want := range map[string]int{"admin": 4, "supervisor": 4, "agent": 3, "auditor": 0} {
		got := AllowedClasses(&auth.Principal{Kind: auth.User, Grants: auth.PresetGrants(role)})
		if len(got) != want || got == nil {
			t.Errorf("%s may dial %v", role, got)
		}
	}
}
