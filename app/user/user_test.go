package user

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db/dbtest"
)

// world is a service with a tenant, departments and people, and a clock to set.
type world struct {
	*Service
	t     *testing.T
	clock time.Time
	mu    sync.Mutex
	told  []bus.Event

	root, sales, north Unit
	admin              User
	password           string // of admin
}

func (w *world) Add(_ *gorm.DB, events ...bus.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told = append(w.told, events...)
	return nil
}

func newWorld(t *testing.T, d *gorm.DB, change ...func(*Config)) *world {
	t.Helper()
	cfg := DefaultConfig()
	cfg.HashMemoryMiB = 1
	for _, f := range change {
		f(&cfg)
	}
	w := &world{t: t, clock: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	w.Service = newService(d, w, slog.New(slog.NewTextHandler(io.Discard, nil)), cfg)
	w.now = func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.clock
	}
	login, password, created, err := w.EnsureAdmin(t.Context())
	if err != nil || !created || login != "admin" {
		t.Fatalf("EnsureAdmin = %q, %v, %v", login, created, err)
	}
	w.password = password
	w.admin, err = store{d}.byLogin("", "admin")
	w.ok(err)
	w.root, err = store{d}.unit(w.admin.UnitID)
	w.ok(err)
	ctx := w.as("admin")
	w.sales, err = w.CreateUnit(ctx, NewUnit{ParentID: w.root.ID, Name: "Sales"})
	w.ok(err)
	w.north, err = w.CreateUnit(ctx, NewUnit{ParentID: w.sales.ID, Name: "North"})
	w.ok(err)
	return w
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// as is a context in which that person asks, without any duty.
func (w *world) as(login string) context.Context {
	w.t.Helper()
	u, err := store{w.db}.byLogin("", login)
	w.ok(err)
	p, err := w.principal(w.db, &u)
	w.ok(err)
	p.Must = auth.NoDuty
	return auth.With(w.from("192.0.2.1"), p)
}

func (w *world) from(address string) context.Context {
	return auth.WithRequest(w.t.Context(), &auth.Request{ID: "test-request", Address: address})
}

// person makes somebody whose password needs no change.
func (w *world) person(login string, unit Unit, roles ...string) User {
	w.t.Helper()
	made, err := w.Create(w.as("admin"), NewUser{Login: login, Name: login, UnitID: unit.ID, Roles: roles, Password: "good " + "violet horse"})
	w.ok(err)
	w.ok(w.db.Model(&User{ID: made.User.ID}).Update("must_change", false).Error)
	return made.User
}

const goodPassword = "good violet horse"

func (w *world) login(login, password string, code ...string) (SignedIn, error) {
	in := Credentials{Login: login, Password: password}
	if len(code) > 0 {
		in.Code = code[0]
	}
	return w.Login(w.from("192.0.2.1"), in)
}

func (w *world) actions() (list []string) {
	w.t.Helper()
	w.ok(w.db.Model(&audit.Row{}).Order("seq").Pluck("action", &list).Error)
	return list
}

func is(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error = %v, want %v", err, want)
	}
}

func TestModels(t *testing.T) {
	dbtest.CheckModels(t, dbtest.SQLite(t), &User{}, &Unit{}, &Role{}, &Key{}, &Session{}, &audit.Row{})
}

// a weak password is refused, and says why.
func TestPasswordPolicy(t *testing.T) {
	cfg := DefaultConfig()
	for password, want := range map[string]string{
		"short":                     "too_short",
		"xx-marylou-7-elephants":    "contains_login",
		"Password123!":              "common",
		"P@ssw0rd2024":              "common",
		"1234567890":                "common",
		"qwertyuiop":                "common",
		"abcdefghijk":               "common",
		"aaaaaaaaaaaa":              "common",
		"abababababab":              "common",
		"welcome2026":               "common",
		strings.Repeat("ab1!", 60):  "too_long",
		"violet horse 7 umbrella":   "",
		"correct horse battery":     "",
		"数据中心的紫色雨伞在唱歌":              "",
		"tr0ub4dor&3-and-some-more": "",
	} {
		if got, _ := cfg.weak(password, "marylou"); got != want {
			t.Errorf("weak(%q) = %q, want %q", password, got, want)
		}
	}
}

// five wrong attempts lock, the lock ends by itself and by an administrator, and the stored hash is argon2id.
func TestLockout(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		w := newWorld(t, d)
		u := w.person("bob", w.north, auth.Agent.Name)
		for range 5 {
			_, err := w.login("bob", "wrong")
			is(t, err, ErrBadLogin)
		}
		_, err := w.login("bob", goodPassword)
		is(t, err, ErrLocked)
		w.pass(15*time.Minute + time.Second)
		if _, err := w.login("bob", goodPassword); err != nil {
			t.Fatalf("after the lock: %v", err)
		}
		for range 5 {
			_, err = w.login("bob", "wrong")
			is(t, err, ErrBadLogin)
		}
		_, err = w.login("BOB ", goodPassword)
		is(t, err, ErrLocked)
		_, err = w.Unlock(w.as("admin"), u.ID)
		w.ok(err)
		if _, err := w.login("BOB ", goodPassword); err != nil {
			t.Fatalf("after unlock: %v", err)
		}
		stored, err := store{d}.user(u.ID)
		w.ok(err)
		if !strings.HasPrefix(stored.PasswordHash, "$argon2id$") || strings.Contains(stored.PasswordHash, "violet") {
			t.Errorf("hash = %s", stored.PasswordHash)
		}
		// every attempt is in the log, and the chain holds.
		got := strings.Join(w.actions(), " ")
		for action, n := range map[string]int{"user.login_failed": 10, "user.login_locked": 2, "user.login ": 2, "user.unlock": 1} {
			if c := strings.Count(got+" ", action); c != n {
				t.Errorf("%d of %s in %s, want %d", c, action, got, n)
			}
		}
		if rep, err := audit.New(d).Verify(t.Context()); err != nil || !rep.OK {
			t.Errorf("audit chain: %+v, %v", rep, err)
		}
	})
}

// a login that does not exist cannot be told from one that does.
func TestUnknownLogin(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	for range 5 {
		_, err := w.login("ghost", "wrong")
		is(t, err, ErrBadLogin)
	}
	_, err := w.login("ghost", "wrong")
	is(t, err, ErrLocked)
	w.pass(16 * time.Minute)
	_, err = w.login("ghost", "wrong")
	is(t, err, ErrBadLogin)
	gone := w.person("gone", w.north)
	no := false
	_, err = w.Update(w.as("admin"), gone.ID, Change{Active: &no})
	w.ok(err)
	_, err = w.login("gone", goodPassword)
	is(t, err, ErrBadLogin)
}

// many at once do not get more than five attempts.
func TestParallelAttempts(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), func(c *Config) { c.LoginPerMinute = 1000 })
	w.person("bob", w.north)
	var wg sync.WaitGroup
	var mu sync.Mutex
	bad := 0
	for range 30 {
		wg.Go(func() {
			if _, err := w.login("bob", "wrong"); errors.Is(err, ErrBadLogin) {
				mu.Lock()
				bad++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if bad > 5 {
		t.Errorf("%d attempts were tried, want at most 5", bad)
	}
}

// wrong attempts from one address are slowed down, whatever the login.
func TestAddressLimit(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), func(c *Config) { c.LoginPerMinute = 3 })
	for _, login := range []string{"a1", "b2", "c3"} {
		_, err := w.login(login, "wrong")
		is(t, err, ErrBadLogin)
	}
	_, err := w.login("d4", "wrong")
	is(t, err, ErrTooManyLogins)
	w.pass(21 * time.Second)
	_, err = w.login("d4", "wrong")
	is(t, err, ErrBadLogin)
}

// the first sign-in and a reset force a change, and the last three passwords do not come back.
func TestForcedChangeAndHistory(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	in, err := w.login("admin", w.password)
	w.ok(err)
	if in.Must != auth.ChangePassword {
		t.Fatalf("must = %q", in.Must)
	}
	p, err := w.Authenticate(t.Context(), in.Token)
	w.ok(err)
	ctx := auth.With(w.from("192.0.2.1"), p)
	is(t, auth.Can(Read).Allow(ctx), auth.ErrChangePassword)
	w.ok(auth.Limited().Allow(ctx))
	list := []string{w.password, "first umbrella song", "second umbrella song", "third umbrella song"}
	for i := 1; i < len(list); i++ {
		w.ok(w.ChangePassword(ctx, list[i-1], list[i]))
	}
	is(t, w.ChangePassword(ctx, "nonsense", "fourth umbrella song"), ErrWrongPassword)
	for _, old := range list[1:] {
		is(t, w.ChangePassword(ctx, list[3], old), ErrWeakPassword)
	}
	p, err = w.Authenticate(t.Context(), in.Token)
	if err != nil || p.Must != auth.NoDuty {
		t.Fatalf("after the change: %+v, %v", p, err)
	}
	made, err := w.ResetPassword(t.Context(), "admin")
	w.ok(err)
	_, err = w.Authenticate(t.Context(), in.Token)
	is(t, err, ErrSessionEnded)
	again, err := w.login("admin", made)
	if err != nil || again.Must != auth.ChangePassword {
		t.Fatalf("after reset: %+v, %v", again, err)
	}
}

// the second factor is needed when set, and a code is good once.
func TestSecondFactor(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t), func(c *Config) { c.SecondFactor = []string{auth.Auditor.Name} })
	w.person("eve", w.root, auth.Auditor.Name)
	in, err := w.login("eve", goodPassword)
	w.ok(err)
	if in.Must != auth.EnrolTOTP {
		t.Fatalf("must = %q", in.Must)
	}
	p, err := w.Authenticate(t.Context(), in.Token)
	w.ok(err)
	ctx := auth.With(w.from("192.0.2.1"), p)
	is(t, auth.Can(Read).Allow(ctx), auth.ErrEnrolTOTP)
	key, err := w.EnrolTOTP(ctx, goodPassword)
	w.ok(err)
	_, err = w.ConfirmTOTP(ctx, "000000")
	is(t, err, ErrWrongCode)
	code := func() string {
		c, err := totp.GenerateCode(key.Secret, w.now())
		w.ok(err)
		return c
	}
	recovery, err := w.ConfirmTOTP(ctx, code())
	w.ok(err)
	is(t, w.RemoveTOTP(ctx, goodPassword), ErrCodeRequired)

	_, err = w.login("eve", goodPassword)
	is(t, err, ErrCodeNeeded)
	_, err = w.login("eve", goodPassword, code())
	is(t, err, ErrBadLogin) // used at enrolment
	w.pass(30 * time.Second)
	in, err = w.login("eve", goodPassword, code())
	if err != nil || in.Must != auth.NoDuty {
		t.Fatalf("with code: %+v, %v", in, err)
	}
	_, err = w.login("eve", goodPassword, code())
	is(t, err, ErrBadLogin)
	if _, err = w.login("eve", goodPassword, recovery[3]); err != nil {
		t.Fatalf("with recovery code: %v", err)
	}
	_, err = w.login("eve", goodPassword, recovery[3])
	is(t, err, ErrBadLogin)
	w.ok(w.DropTOTP(w.as("admin"), p.UserID))
	if in, err = w.login("eve", goodPassword); err != nil || in.Must != auth.EnrolTOTP {
		t.Fatalf("after drop: %+v, %v", in, err)
	}
}

func handler(w *world) (*api.Router, http.Handler) {
	trail := audit.New(w.db)
	r := api.New(api.Options{Authenticate: w.Authenticate, Audit: trail.Record, PerSecond: 1e6,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	w.Routes(r)
	trail.Routes(r)
	return r, r.Handler()
}

func ask(h http.Handler, method, path, token, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}
