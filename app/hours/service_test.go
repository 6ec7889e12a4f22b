package hours

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/kerneltest"
	"callplane/app/kernel/outbox"
	"callplane/app/kernel/problem"
)

var paths = map[string]string{"acme": "/acme/", "sales": "/acme/sales/", "other": "/other/"}

type tree struct{}

func (tree) Path(u auth.UnitID) string { return paths[string(u)] }

func open(t *testing.T, d *gorm.DB) (*Service, *kernel.Kit) {
	t.Helper()
	k := kerneltest.New(t)
	k.DB, k.Outbox = d, outbox.New(d, k.Bus)
	kerneltest.Run(t, k)
	for unit, path := range paths {
		must(t, d.Exec("INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES (?, '', ?, 'unit', ?, ?, ?)",
			unit, unit, path, db.Now(), db.Now()).Error)
	}
	s := New(k, tree{})
	must(t, s.Load(t.Context()))
	return s, k
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func as(t *testing.T, role auth.Preset, unit string) context.Context {
	return auth.With(t.Context(), &auth.Principal{
		Kind: auth.User, UserID: "u", UnitID: auth.UnitID(unit), UnitPath: paths[unit], Grants: auth.PresetGrants(role.Name), Tree: tree{},
	})
}

func ptr[T any](v T) *T { return &v }

func plan(t *testing.T) *Plan {
	var p Plan
	must(t, json.Unmarshal([]byte(shop), &p))
	return &p
}

func TestModels(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) { dbtest.CheckModels(t, d, &Row{}) })
}

// what is configured counts when the call returns.
func TestCalendarLife(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		s, _ := open(t, d)
		admin := as(t, auth.Admin, "acme")
		r, err := s.Create(admin, Edit{Name: ptr("Shop"), Plan: plan(t), Unit: ptr("sales")})
		must(t, err)
		monday := time.Date(2026, 3, 2, 2, 0, 0, 0, time.UTC) // 10:00 in Shanghai
		if open, name, ok := s.Open(r.ID, monday); !open || name != "Shop" || !ok {
			t.Errorf("open %v %q %v", open, name, ok)
		}
		if at, open, ok := s.Next(r.ID, monday); !ok || open || !at.Equal(monday.Add(2*time.Hour)) {
			t.Errorf("next %v %v %v", at, open, ok)
		}
		again := Row{}
		must(t, d.Take(&again, "id = ?", r.ID).Error)
		if len(again.Plan.Special) != 4 || again.Plan.Weekly[0].From != "09:00" {
			t.Errorf("stored %+v", again.Plan)
		}
		_, err = s.Change(admin, r.ID, Edit{Plan: &Plan{TimeZone: "UTC"}})
		must(t, err)
		if open, _, _ := s.Open(r.ID, monday); open {
			t.Error("still open")
		}
		if _, err := s.Create(admin, Edit{Name: ptr("Shop"), Plan: plan(t), Unit: ptr("sales")}); !errors.Is(err, ErrTaken) {
			t.Errorf("same name: %v", err)
		}
		_, err = s.Create(admin, Edit{Unit: ptr("other"), Plan: &Plan{}})
		var got []string
		if p, ok := errors.AsType[*problem.Problem](err); ok {
			for _, f := range p.Fields {
				got = append(got, f.Pointer)
			}
		}
		if !slices.Equal(got, []string{"body.unit", "body.name", "body.plan.time_zone"}) {
			t.Errorf("faults = %v", got)
		}
		if _, err := s.Change(as(t, auth.Admin, "other"), r.ID, Edit{Name: ptr("Mine")}); !errors.Is(err, problem.ErrNotFound) {
			t.Errorf("another tenant: %v", err)
		}
		used := "Number 4001"
		s.KeepCalendars(func(*gorm.DB, ID) (string, error) { return used, nil })
		if err := s.Delete(admin, r.ID); !errors.Is(err, ErrInUse) {
			t.Errorf("delete in use: %v", err)
		}
		used = ""
		must(t, s.Delete(admin, r.ID))
		if _, _, ok := s.Open(r.ID, monday); ok {
			t.Error("still there")
		}
	})
}

// A change made on one node counts on another.
func TestOtherNodeFollows(t *testing.T) {
	s, k := open(t, dbtest.SQLite(t))
	second := New(k, tree{})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- second.Run(ctx) }()
	r, err := s.Create(as(t, auth.Admin, "acme"), Edit{Name: ptr("Shop"), Plan: plan(t)})
	must(t, err)
	tick, end := time.NewTicker(10*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for _, _, ok := second.Open(r.ID, time.Now()); !ok; _, _, ok = second.Open(r.ID, time.Now()) {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("the other node does not know the calendar")
		}
	}
	stop()
	must(t, <-done)
}

func TestRoutes(t *testing.T) {
	s, _ := open(t, dbtest.SQLite(t))
	r := api.New(api.Options{Log: slog.New(slog.DiscardHandler), Authenticate: func(_ context.Context, token string) (*auth.Principal, error) {
		role, unit, _ := strings.Cut(token, ".")
		return auth.From(as(t, map[string]auth.Preset{"admin": auth.Admin, "agent": auth.Agent}[role], unit)), nil
	}})
	s.Routes(r)
	ask := func(code int, who, method, path string, body any, into any) {
		t.Helper()
		raw, err := json.Marshal(body)
		must(t, err)
		req := httptest.NewRequest(method, "/api/hours/calendars"+path, bytes.NewReader(raw))
		req.Header.Set("Authorization", "Bearer "+who)
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		r.Handler().ServeHTTP(rec, req)
		if rec.Code != code {
			t.Errorf("%s %s: %d, want %d: %s", method, path, rec.Code, code, rec.Body)
		}
		if into != nil {
			must(t, json.Unmarshal(rec.Body.Bytes(), into))
		}
	}
	var v View
	ask(http.StatusCreated, "admin.acme", "POST", "", map[string]any{"name": "Shop", "plan": plan(t)}, &v)
	id := "/" + string(v.ID)
	ask(http.StatusOK, "agent.sales", "GET", id+"?at=2026-10-03T04:00:00Z", nil, &v)
	if v.Open || v.Special != "National Day" || v.Next.Format(time.RFC3339) != "2026-10-08T01:00:00Z" {
		t.Errorf("view %+v", v)
	}
	var page api.Page[View]
	ask(http.StatusOK, "agent.sales", "GET", "", nil, &page)
	if len(page.Items) != 1 {
		t.Errorf("list %+v", page)
	}
	ask(http.StatusNotFound, "admin.other", "GET", id, nil, nil)
	ask(http.StatusForbidden, "agent.sales", "DELETE", id, nil, nil)
	ask(http.StatusUnprocessableEntity, "admin.acme", "PATCH", id, map[string]any{"plan": map[string]any{"time_zone": "Mars"}}, nil)
	ask(http.StatusOK, "admin.acme", "PATCH", id, map[string]any{"name": "Shop 2"}, &v)
	ask(http.StatusNoContent, "admin.acme", "DELETE", id, nil, nil)
}

// A name means the calendar of the unit itself or of the nearest unit above it, never one of another tenant.
//
// R-019 R-383
func TestNamed(t *testing.T) {
	s, _ := open(t, dbtest.SQLite(t))
	made := map[string]ID{}
	for _, unit := range []string{"acme", "sales", "other"} {
		r, err := s.Create(as(t, auth.Admin, unit), Edit{Name: ptr("Office"), Plan: plan(t)})
		must(t, err)
		made[unit] = r.ID
	}
	for _, tt := range []struct{ path, name, want string }{
		{"/acme/sales/", "Office", "sales"}, {"/acme/sales/team/", "Office", "sales"}, {"/acme/care/", "Office", "acme"}, {"/other/", "Office", "other"},
		{"/acme/care/", string(made["acme"]), "acme"}, {"/acme/care/", string(made["other"]), ""}, {"/acme/", "Shop", ""}, {"", "Office", ""},
	} {
		if id, ok := s.Named(tt.path, tt.name); id != made[tt.want] || ok != (tt.want != "") {
			t.Errorf("%q in %s: %s %v, want that of %q", tt.name, tt.path, id, ok, tt.want)
		}
	}
}
