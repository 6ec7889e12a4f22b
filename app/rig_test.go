package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/kerneltest"
	"callplane/app/kernel/outbox"
	"callplane/app/pbx/pbxtest"
	"callplane/app/user"
)

// object is a JSON object to send.
type object = map[string]any

// centre is the whole platform on a switch in memory, for one test.
type centre struct {
	*App
	t   *testing.T
	kit *kernel.Kit
	sw  *pbxtest.Switch
	url string // where it is served

	mu    sync.Mutex
	names int
}

// testConfig is fit for tests: quick hashes, no limits, no speech.
func testConfig(t *testing.T) Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c := Defaults()
	c.DataDir = t.TempDir()
	c.HTTP.Listen = l.Addr().String()
	c.HTTP.PerSecond, c.HTTP.Burst = 1e6, 1e6
	c.Speech.Engine = "none"
	c.User.HashMemoryMiB, c.User.LoginPerMinute = 8, 1e6
	c.Call.RingAgent, c.Call.WrapUp = 5*time.Second, 0
	c.Webhook.AllowPrivate = true
	return c
}

// kitOn is a kit on a database; nil is SQLite.
func kitOn(t *testing.T, d *gorm.DB) *kernel.Kit {
	t.Helper()
	k := kerneltest.New(t)
	if d != nil {
		k.DB = d
		k.Outbox = outbox.New(d, k.Bus)
		k.Jobs = jobs.New(k.Bus, k.Outbox)
	}
	return k
}

// newCentre puts the platform together, with nothing in it, and runs it until the end of the test.
func newCentre(t *testing.T, d *gorm.DB) *centre {
	t.Helper()
	return startCentre(t, testConfig(t), kitOn(t, d))
}

func startCentre(t *testing.T, cfg Config, kit *kernel.Kit) *centre {
	t.Helper()
	c := &centre{t: t, kit: kit, sw: pbxtest.New()}
	err := os.MkdirAll(cfg.tempDir(), 0o750)
	if err != nil {
		t.Fatal(err)
	}
	if c.App, err = New(t.Context(), cfg, kit, c.sw, "test"); err != nil {
		t.Fatal(err)
	}
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := c.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	srv := httptest.NewServer(c.API().Handler())
	c.url = srv.URL
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		srv.CloseClientConnections()
		srv.Close()
	})
	return c
}

// name makes a name that nothing else has.
func (c *centre) name(what string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.names++
	return fmt.Sprintf("%s-%d", what, c.names)
}

// tenant makes a tenant with an administrator.
func (c *centre) tenant(name string) (root user.Unit, admin *client) {
	c.t.Helper()
	root, err := c.Users.CreateTenant(auth.System(c.t.Context()), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return root, c.person(root.ID, name+"-admin", auth.Admin.Name)
}

const goodPassword = "Green-Apple-42"

// person makes somebody in a unit, who signs in.
func (c *centre) person(unit auth.UnitID, login string, roles ...string) *client {
	c.t.Helper()
	made, err := c.Users.Create(auth.System(c.t.Context()), user.NewUser{
		Login: login, Name: "Person " + login, UnitID: unit, Roles: roles, Password: goodPassword,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	p := &client{t: c.t, h: c.API().Handler(), url: c.url, id: string(made.User.ID), login: login, password: goodPassword}
	p.signIn()
	return p
}

// client asks as one person, or as nobody.
type client struct {
	t                   *testing.T
	h                   http.Handler
	url, token          string
	id, login, password string
}

// nobody is not signed in.
func (c *centre) nobody() *client { return &client{t: c.t, h: c.API().Handler(), url: c.url} }

// signIn opens a session, and does away with the first password.
func (p *client) signIn() {
	p.t.Helper()
	for range 2 {
		in := p.must(http.MethodPost, "/api/user/login", object{"login": p.login, "password": p.password})
		p.token = in.str("token")
		if in.str("must") != "change_password" {
			return
		}
		next := p.password + "-Pear"
		p.must(http.MethodPost, "/api/user/password", object{"old": p.password, "new": next})
		p.password = next
	}
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// do asks without a network. body may be nil, a string to send as it is, or something to send as JSON.
func (p *client) do(method, path string, body any) answer {
	p.t.Helper()
	var send io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		send = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			p.t.Fatal(err)
		}
		send = bytes.NewReader(raw)
	}
	req := httptest.NewRequestWithContext(p.t.Context(), method, path, send)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("X-Request-Id", "request-0001")
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	rec := httptest.NewRecorder()
	p.h.ServeHTTP(rec, req)
	return answer{p.t, rec.Code, rec.Header(), rec.Body.Bytes()}
}

// must is do for what has to work.
func (p *client) must(method, path string, body any) answer {
	p.t.Helper()
	a := p.do(method, path, body)
	if a.status >= 300 {
		p.t.Fatalf("%s %s as %s: %d %s", method, path, p.login, a.status, a.body)
	}
	return a
}

// refused asks for what must not work, and returns the problem.
func (p *client) refused(status int, method, path string, body any) answer {
	p.t.Helper()
	a := p.do(method, path, body)
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		p.t.Errorf("%s %s as %s: %d %s, want %d", method, path, p.login, a.status, a.body, status)
	}
	return a
}

func (p *client) get(path string) answer { p.t.Helper(); return p.must(http.MethodGet, path, nil) }
func (p *client) post(path string, body any) answer {
	p.t.Helper()
	return p.must(http.MethodPost, path, body)
}

// json is the body.
func (a answer) json() (v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// into reads the body.
func into[T any](a answer) (v T) {
	a.t.Helper()
	if err := json.Unmarshal(a.body, &v); err != nil {
		a.t.Fatalf("%v in %s", err, a.body)
	}
	return v
}

// str is a text of the body, by its path: "user.id". Empty if it is not there.
func (a answer) str(path string) string {
	v := a.json()
	for key := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	s, _ := v.(string)
	return s
}

// problem is the name of the problem.
func (a answer) problem() string { return strings.TrimPrefix(a.str("type"), "/problems/") }

// items is a list: the body itself, or its items.
func (a answer) items() []map[string]any {
	a.t.Helper()
	v := a.json()
	if m, ok := v.(map[string]any); ok {
		v = m["items"]
	}
	var out []map[string]any
	list, ok := v.([]any)
	if !ok {
		a.t.Fatalf("no list: %s", a.body)
	}
	for _, e := range list {
		m, _ := e.(map[string]any)
		out = append(out, m)
	}
	return out
}

// eventually asks again and again until there is no error, 10 s at most.
func eventually(t *testing.T, what string, f func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(10 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v", what, err)
		}
		<-tick.C
	}
}
