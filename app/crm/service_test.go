package crm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

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

var paths = map[string]string{"acme": "/acme/", "sales": "/acme/sales/", "care": "/acme/care/", "other": "/other/"}

type tree struct{}

func (tree) Path(u auth.UnitID) string { return paths[string(u)] }

// normalise stands for package route's: spaces and a leading 0 mean nothing in these tests.
func normalise(raw string) (string, bool) {
	n := strings.ReplaceAll(raw, " ", "")
	if len(n) == 11 && n[0] == '1' {
		n = "+86" + n
	}
	return n, strings.HasPrefix(n, "+")
}

func open(t *testing.T, d *gorm.DB) (*Service, *kernel.Kit) {
	t.Helper()
	k := kerneltest.New(t)
	k.DB, k.Outbox = d, outbox.New(d, k.Bus)
	for unit, path := range paths {
		must(t, d.Exec("INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES (?, '', ?, 'unit', ?, ?, ?)",
			unit, unit, path, db.Now(), db.Now()).Error)
	}
	return New(k, tree{}, normalise), k
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

func TestModels(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) { dbtest.CheckModels(t, d, &Customer{}, &Number{}) })
}

// identify asks in a transaction of its own.
func identify(t *testing.T, s *Service, unit, number, name string) (id string) {
	t.Helper()
	must(t, db.Tx(t.Context(), s.db, func(tx *gorm.DB) (err error) {
		id, err = s.Identify(t.Context(), tx, unit, number, name)
		return err
	}))
	return id
}

func count(t *testing.T, d *gorm.DB, table string) (n int64) {
	t.Helper()
	must(t, d.Table(table).Count(&n).Error)
	return n
}

// one number is one customer in a tenant, whichever unit it calls; a withheld one is nobody.
func TestIdentify(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		s, _ := open(t, d)
		one := identify(t, s, "sales", "+8613800138000", "Zhang San")
		if one == "" || identify(t, s, "care", "+8613800138000", "Someone") != one {
			t.Error("the same number is another customer")
		}
		if identify(t, s, "other", "+8613800138000", "") == one {
			t.Error("two tenants share a customer")
		}
		for _, n := range []string{"", "alice", "+"} {
			if id := identify(t, s, "sales", n, "x"); id != "" {
				t.Errorf("%q is customer %s", n, id)
			}
		}
		if id := identify(t, s, "sales", "95588", "95588"); id == "" {
			t.Error("a service code is nobody")
		}
		c, err := s.Customer(as(t, auth.Agent, "care"), ID(one))
		must(t, err)
		if c.Name != "Zhang San" || c.UnitID != "sales" || !slices.Equal(c.Numbers, []string{"+8613800138000"}) {
			t.Errorf("customer %+v", c)
		}
		var events int64
		must(t, d.Table("kernel_outbox").Count(&events).Error)
		if events != 3 || count(t, d, "crm_customers") != 3 {
			t.Errorf("%d events, %d customers", events, count(t, d, "crm_customers"))
		}
		// What rolls back leaves nobody behind.
		fault := errors.New("no")
		err = s.db.Transaction(func(tx *gorm.DB) error {
			_, err := s.Identify(t.Context(), tx, "sales", "+8613900139000", "")
			return errors.Join(err, fault)
		})
		if !errors.Is(err, fault) || count(t, d, "crm_customers") != 3 || count(t, d, "crm_numbers") != 3 {
			t.Errorf("after a rollback: %v, %d customers", err, count(t, d, "crm_customers"))
		}
	})
}

// Many calls of a few unknown numbers at once: one customer each.
func TestIdentifyRace(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		s, _ := open(t, d)
		const numbers, callers = 5, 12
		ids := [numbers][callers]string{}
		var wg sync.WaitGroup
		for c := range callers {
			wg.Go(func() {
				for i := range numbers {
					n := (i + c) % numbers
					err := db.Tx(t.Context(), s.db, func(tx *gorm.DB) (err error) {
						ids[n][c], err = s.Identify(t.Context(), tx, "sales", fmt.Sprintf("+86138001380%02d", n), "")
						return err
					})
					if err != nil {
						t.Errorf("caller %d number %d: %v", c, n, err)
					}
				}
			})
		}
		wg.Wait()
		for n := range numbers {
			for c := range callers {
				if ids[n][c] == "" || ids[n][c] != ids[n][0] {
					t.Errorf("number %d, caller %d: %q and %q", n, c, ids[n][c], ids[n][0])
				}
			}
		}
		if got := count(t, d, "crm_customers"); got != numbers {
			t.Errorf("%d customers for %d numbers", got, numbers)
		}
	})
}

func TestCustomerLife(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		s, _ := open(t, d)
		agent := as(t, auth.Agent, "sales")
		c, err := s.Create(agent, Edit{Name: ptr(" Li Si "), Numbers: []string{"138 0013 8000", "95588", "13800138000"}, Grade: ptr("vip")})
		must(t, err)
		if c.Name != "Li Si" || c.UnitID != "sales" || !slices.Equal(c.Numbers, []string{"+8613800138000", "95588"}) {
			t.Errorf("created %+v", c)
		}
		if identify(t, s, "care", "+8613800138000", "") != string(c.ID) {
			t.Error("not found by number")
		}
		other := identify(t, s, "sales", "+8613900139000", "Wang Wu")
		_, err = s.Change(agent, c.ID, Edit{Numbers: []string{"13800138000", "13900139000"}})
		if p, ok := errors.AsType[*problem.Problem](err); !ok || !errors.Is(err, ErrNumberTaken) || p.Fields[0].Pointer != "body.numbers[1]" {
			t.Errorf("another's number: %v", err)
		}
		c, err = s.Change(agent, c.ID, Edit{Numbers: []string{"13700137000"}, Unit: ptr("care"), Notes: ptr("x")})
		must(t, err)
		if got, err := s.Customer(agent, c.ID); err != nil || !slices.Equal(got.Numbers, []string{"+8613700137000"}) || got.UnitID != "care" || got.Grade != "vip" {
			t.Errorf("changed %+v %v", got, err)
		}
		if identify(t, s, "sales", "+8613800138000", "") == string(c.ID) {
			t.Error("a number that was taken off still finds the customer")
		}
		if _, err := s.Customer(as(t, auth.Admin, "other"), c.ID); !errors.Is(err, problem.ErrNotFound) {
			t.Errorf("another tenant: %v", err)
		}
		if _, err := s.Create(agent, Edit{Numbers: []string{"95599", "nobody"}}); err == nil || !strings.Contains(err.Error(), "body.numbers[1]") {
			t.Errorf("no number: %v", err)
		}
		if _, err := s.Create(agent, Edit{Unit: ptr("other")}); !errors.Is(err, problem.ErrInvalid) {
			t.Errorf("another tenant's unit: %v", err)
		}
		for query, want := range map[Filter]string{
			{Query: "ang W"}:              other,
			{Query: "137 0013"}:           "",
			{Query: "+86137"}:             string(c.ID),
			{Number: "139 0013 9000"}:     other,
			{Grade: "vip"}:                string(c.ID),
			{Query: "%"}:                  "",
			{Unit: "care", Grade: "gold"}: "",
		} {
			page, err := s.Search(agent, query, api.Paging{})
			must(t, err)
			got := ""
			if len(page.Items) == 1 {
				got = string(page.Items[0].ID)
			}
			if got != want || len(page.Items) > 1 {
				t.Errorf("%+v finds %d", query, len(page.Items))
			}
		}
		if page, err := s.Search(as(t, auth.Admin, "other"), Filter{}, api.Paging{}); err != nil || len(page.Items) != 0 {
			t.Errorf("another tenant finds %d, %v", len(page.Items), err)
		}
	})
}

func TestRoutes(t *testing.T) {
	s, _ := open(t, dbtest.SQLite(t))
	r := api.New(api.Options{Log: slog.New(slog.DiscardHandler), Authenticate: func(_ context.Context, token string) (*auth.Principal, error) {
		return auth.From(as(t, auth.Agent, token)), nil
	}})
	s.Routes(r)
	ask := func(code int, unit, method, path string, body any, into any) {
		t.Helper()
		raw, err := json.Marshal(body)
		must(t, err)
		req := httptest.NewRequest(method, "/api/crm/customers"+path, bytes.NewReader(raw))
		req.Header.Set("Authorization", "Bearer "+unit)
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
	var c Customer
	ask(201, "sales", "POST", "", map[string]any{"name": "Li Si", "numbers": []string{"13800138000"}}, &c)
	ask(200, "care", "GET", "/"+string(c.ID), nil, &c)
	ask(404, "other", "GET", "/"+string(c.ID), nil, nil)
	ask(409, "care", "POST", "", map[string]any{"numbers": []string{"13800138000"}}, nil)
	ask(200, "care", "PATCH", "/"+string(c.ID), map[string]any{"language": "zh-CN"}, &c)
	var page api.Page[Customer]
	ask(200, "care", "GET", "?number=138%200013%208000", nil, &page)
	if len(page.Items) != 1 || page.Items[0].Language != "zh-CN" || page.Items[0].Numbers[0] != "+8613800138000" {
		t.Errorf("found %+v", page.Items)
	}
}
