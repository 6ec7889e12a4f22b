package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/problem"
)

var (
	testRead  = auth.Define("apitest:read", "for tests", auth.Agent)
	errClosed = problem.New(problem.Conflict, "door_open", "Door already open")
)

type door struct {
	ID    string   `json:"id"`
	Names []string `json:"names"`
	Open  bool     `json:"open"`
}

type doorIn struct {
	Body struct {
		Name    string   `json:"name" minLength:"2" maxLength:"20"`
		Seconds int      `json:"ring_seconds,omitempty" minimum:"1" maximum:"60"`
		Kind    string   `json:"kind,omitempty" enum:"wood,steel"`
		Keys    []string `json:"keys,omitempty" maxItems:"2"`
	}
}

// house is a router with some routes, and somebody named "ann" who may use them.
type house struct {
	*Router
	h       http.Handler
	log     *bytes.Buffer
	revoked atomic.Bool
	audit   []string
}

func build(o Options) *house {
	s := &house{log: &bytes.Buffer{}}
	o.Log = slog.New(slog.NewTextHandler(s.log, nil))
	o.Authenticate = func(_ context.Context, token string) (*auth.Principal, error) {
		if token != "ann" || s.revoked.Load() {
			return nil, auth.ErrUnauthorized
		}
		return &auth.Principal{Kind: auth.User, UserID: "ann", Login: "ann", UnitPath: "/r/", UnitID: "r",
			Grants: auth.Grants{testRead: auth.Own}}, nil
	}
	o.Audit = func(ctx context.Context, action, object, id string) error {
		s.audit = append(s.audit, strings.Join([]string{auth.From(ctx).Actor(), action, object, id}, "|"))
		return nil
	}
	r := New(o)
	s.Router, s.h = r, r.Handler()
	Get(r, "/house/doors", func(context.Context, *struct{ Paging }) (Page[door], error) {
		return Page[door]{Items: []door{{ID: "a"}}}, nil
	}, auth.Can(testRead))
	Post(r, "/house/doors", func(_ context.Context, in *doorIn) (door, error) {
		return door{ID: in.Body.Name}, nil
	}, auth.Can(testRead), Status(201))
	Post(r, "/house/doors/{id}/open", func(_ context.Context, in *struct {
		ID string `path:"id"`
	}) (None, error) {
		switch in.ID {
		case "front":
			return None{}, errClosed.With("%s is open already.", in.ID)
		case "cellar":
			return None{}, errors.New("secret dsn root:hunter2@db")
		case "trap":
			panic("it broke")
		case "late":
			return None{}, RetryAfter(ErrTooMany, 1500*time.Millisecond)
		}
		return None{}, nil
	}, auth.Can(testRead))
	Raw(r, "GET", "/house/sound/{name...}", func(w http.ResponseWriter, req *http.Request) error {
		if req.PathValue("name") == "none/at-all" {
			return problem.ErrNotFound
		}
		http.ServeContent(w, req, "x.wav", time.Time{}, strings.NewReader("0123456789"))
		return nil
	}, auth.SignedIn(), Audit("house.play"), Produces("audio/wav"))
	return s
}

func (s *house) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, "http://desk.example"+path, strings.NewReader(body))
	req.RemoteAddr = "192.0.2.1:4000"
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("X-Request-Id", "request-0001")
	req.Header.Set("Authorization", "Bearer ann")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	rec := httptest.NewRecorder()
	s.h.ServeHTTP(rec, req)
	return rec
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
		t.Errorf("%s (%v):\n%s", file, err, got)
	}
}

// every error has one shape.
func TestProblems(t *testing.T) {
	s := build(Options{PerSecond: 1e6})
	var b strings.Builder
	show := func(what string, rec *httptest.ResponseRecorder) {
		var v any
		if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
			t.Errorf("%s: %v: %s", what, err, rec.Body)
		}
		pretty, _ := json.MarshalIndent(v, "", "  ")
		fmt.Fprintf(&b, "# %s\n%d %s\n%s\n", what, rec.Code, rec.Header().Get("Content-Type"), pretty)
		for _, h := range []string{"Retry-After", "WWW-Authenticate"} {
			if v := rec.Header().Get(h); v != "" {
				fmt.Fprintf(&b, "%s: %s\n", h, v)
			}
		}
		b.WriteString("\n")
	}
	show("a problem of the module", s.ask("POST", "/api/house/doors/front/open", ""))
	show("an error nobody expected", s.ask("POST", "/api/house/doors/cellar/open", ""))
	show("a panic", s.ask("POST", "/api/house/doors/trap/open", ""))
	show("too many", s.ask("POST", "/api/house/doors/late/open", ""))
	show("not signed in", s.ask("GET", "/api/house/doors", "", "Authorization", ""))
	show("no such address", s.ask("GET", "/api/nothing", ""))
	show("no such method", s.ask("PUT", "/api/house/doors", ""))
	show("another version", s.ask("GET", "/api/house/doors", "", "Callplane-Api", "9"))
	show("faulty fields", s.ask("POST", "/api/house/doors", `{"ring_seconds":99,"kind":"glass","keys":["a","b","c"],"colour":"red"}`))
	show("wrong type", s.ask("POST", "/api/house/doors", `{"name":7}`))
	show("no JSON", s.ask("POST", "/api/house/doors", `{"name":`))
	show("no body", s.ask("POST", "/api/house/doors", ""))
	show("not JSON at all", s.ask("POST", "/api/house/doors", "name=x", "Content-Type", "application/x-www-form-urlencoded"))
	show("too large", s.ask("POST", "/api/house/doors", `{"name":"`+strings.Repeat("x", 2<<20)+`"}`))
	show("bad query", s.ask("GET", "/api/house/doors?limit=500&colour=red", ""))
	show("raw", s.ask("GET", "/api/house/sound/none/at-all", ""))
	golden(t, "problems.txt", b.String())
	log := s.log.String()
	if n := strings.Count(log, "hunter2"); n != 1 {
		t.Errorf("the unexpected error is logged %d times", n)
	}
	if !strings.Contains(log, "it broke") || !strings.Contains(log, "request_id=request-0001") {
		t.Errorf("log = %s", log)
	}
}

func TestListsAreNeverNull(t *testing.T) {
	s := build(Options{})
	if rec := s.ask("GET", "/api/house/doors", ""); rec.Body.String() != `{"items":[{"id":"a","names":[],"open":false}]}`+"\n" {
		t.Errorf("body = %s", rec.Body)
	}
	if rec := s.ask("POST", "/api/house/doors/side/open", ""); rec.Code != 204 || rec.Body.Len() != 0 {
		t.Errorf("none = %d %s", rec.Code, rec.Body)
	}
}

func TestRouteWithoutGuardDoesNotStart(t *testing.T) {
	h := func(context.Context, *struct{}) (None, error) { return None{}, nil }
	raw := func(http.ResponseWriter, *http.Request) error { return nil }
	type hidden struct{ ID string }
	for name, f := range map[string]func(r *Router){
		"typed":       func(r *Router) { Get(r, "/a", h) },
		"raw":         func(r *Router) { Raw(r, "GET", "/a", raw) },
		"two guards":  func(r *Router) { Get(r, "/a", h, Public(), SignedIn()) },
		"empty guard": func(r *Router) { Get(r, "/a", h, auth.Guard{}) },
		"unknown":     func(r *Router) { Get(r, "/a", h, auth.Can("no:such")) },
		"twice":       func(r *Router) { Get(r, "/a", h, Public()); Get(r, "/a", h, Public()) },
		"hidden embedding": func(r *Router) {
			Get(r, "/a", func(context.Context, *struct{ hidden }) (None, error) { return None{}, nil }, Public())
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it started")
				}
			}()
			f(New(Options{}))
		})
	}
}

func TestCrossSiteRequests(t *testing.T) {
	s := build(Options{Origins: []string{"https://crm.example"}})
	cookie := []string{"Authorization", "", "Cookie", "callplane_session=ann"}
	for name, tt := range map[string]struct {
		headers []string
		want    int
	}{
		"our own page":                {[]string{"Sec-Fetch-Site", "same-origin"}, 204},
		"our own page, older browser": {[]string{"Origin", "http://desk.example"}, 204},
		"another site":                {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		"another site, older browser": {[]string{"Origin", "https://evil.example"}, 403},
		"a neighbour":                 {[]string{"Sec-Fetch-Site", "same-site", "Origin", "https://blog.desk.example"}, 403},
		"a site we trust":             {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://crm.example"}, 204},
		"no browser":                  {nil, 204},
	} {
		t.Run(name, func(t *testing.T) {
			if rec := s.ask("POST", "/api/house/doors/side/open", "", append(cookie, tt.headers...)...); rec.Code != tt.want {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
		})
	}
	rec := s.ask("OPTIONS", "/api/house/doors", "", "Origin", "https://crm.example", "Access-Control-Request-Method", "POST")
	if rec.Header().Get("Access-Control-Allow-Origin") != "https://crm.example" {
		t.Errorf("preflight = %d %v", rec.Code, rec.Header())
	}
	for _, o := range []string{"*", "https://*.example", "https://crm.example/", "crm.example"} {
		if CheckOrigin(o) == nil {
			t.Errorf("%s passes as exact", o)
		}
	}
}

func TestCookieAndProxies(t *testing.T) {
	s := build(Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	Post(s.Router, "/house/enter", func(ctx context.Context, _ *struct{}) (None, error) {
		SetSession(ctx, "ann", time.Hour)
		return None{}, nil
	}, Public())
	tls := []string{"X-Forwarded-Proto", "https", "X-Forwarded-For", "198.51.100.9", "Authorization", ""}
	rec := s.ask("POST", "/api/house/enter", "", tls...)
	if c := rec.Header().Get("Set-Cookie"); c != "__Host-callplane_session=ann; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax" {
		t.Errorf("cookie = %s", c)
	}
	if rec.Header().Get("Strict-Transport-Security") == "" || !strings.Contains(s.log.String(), "address=198.51.100.9") {
		t.Errorf("headers = %v, log = %s", rec.Header(), s.log)
	}
	if rec := s.ask("GET", "/api/house/doors", "", append(tls, "Cookie", "__Host-callplane_session=ann")...); rec.Code != 200 {
		t.Errorf("with the cookie: %d", rec.Code)
	}
	if rec := s.ask("GET", "/api/house/doors", "", append(tls, "Cookie", "callplane_session=ann")...); rec.Code != 401 {
		t.Errorf("with a cookie that a neighbour host could have set: %d", rec.Code)
	}
	if rec := build(Options{}).ask("GET", "/api/house/doors", "", tls...); rec.Header().Get("Strict-Transport-Security") != "" {
		t.Error("a proxy that is not trusted is believed")
	}
}

func TestRateLimit(t *testing.T) {
	s := build(Options{PerSecond: 1, Burst: 3})
	now := time.Now()
	s.limits.now = func() time.Time { return now }
	for range 3 {
		if rec := s.ask("GET", "/api/house/doors", ""); rec.Code != 200 {
			t.Fatalf("%d", rec.Code)
		}
	}
	rec := s.ask("GET", "/api/house/doors", "")
	if rec.Code != 429 || rec.Header().Get("Retry-After") != "1" {
		t.Errorf("%d, Retry-After %s", rec.Code, rec.Header().Get("Retry-After"))
	}
	if rec := s.ask("GET", "/api/house/doors", "", "Authorization", "Bearer guess"); rec.Code != 401 {
		t.Errorf("another asker: %d", rec.Code)
	}
	now = now.Add(time.Second)
	if rec := s.ask("GET", "/api/house/doors", ""); rec.Code != 200 {
		t.Errorf("a second later: %d", rec.Code)
	}
	for range 5 {
		rec = s.ask("GET", "/api/house/doors", "", "Authorization", "Bearer guess")
	}
	if rec.Code != 429 {
		t.Errorf("guessing tokens: %d", rec.Code)
	}
}
