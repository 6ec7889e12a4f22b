package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/api/apitest"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db/dbtest"
)

type thing struct {
	Name     string            `json:"name"`
	Seconds  int               `json:"ring_seconds"`
	Password string            `json:"password"`
	Inner    map[string]string `json:"inner"`
}

func asker(t *testing.T) context.Context {
	ctx := auth.WithRequest(t.Context(), &auth.Request{ID: "r1", Address: "192.0.2.9"})
	return auth.With(ctx, &auth.Principal{Kind: auth.User, UserID: "u1", Login: "ann", UnitID: "unit1", UnitPath: "/unit1/"})
}

func fill(t *testing.T, d *gorm.DB, n int) {
	t.Helper()
	for i := range n {
		err := Add(asker(t), d, Entry{Action: "acd.queue.open", Object: "acd.queue", ObjectID: fmt.Sprint(i), Detail: map[string]any{"n": i}})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// an entry that is changed, deleted, put in or moved is found, the last one included.
func TestChain(t *testing.T) {
	for name, tt := range map[string]struct {
		sql   string
		fault string
		at    int64
	}{
		"untouched":        {"", "", 0},
		"one deleted":      {"DELETE FROM audit_entries WHERE seq = 7", "missing", 7},
		"the first":        {"DELETE FROM audit_entries WHERE seq = 1", "missing", 1},
		"the last":         {"DELETE FROM audit_entries WHERE seq = 12", "missing", 12},
		"all":              {"DELETE FROM audit_entries", "missing", 1},
		"action changed":   {"UPDATE audit_entries SET action = 'x' WHERE seq = 5", "changed", 5},
		"time changed":     {"UPDATE audit_entries SET at = '2020-01-01 00:00:00' WHERE seq = 5", "changed", 5},
		"detail changed":   {"UPDATE audit_entries SET detail = '{}' WHERE seq = 12", "changed", 12},
		"hash changed":     {"UPDATE audit_entries SET hash = 'x' WHERE seq = 5", "changed", 5},
		"head moved back":  {"UPDATE audit_head SET seq = 11", "head", 11},
		"head lost":        {"DELETE FROM audit_head", "head", 0},
		"head's hash":      {"UPDATE audit_head SET hash = 'x'", "head", 12},
		"one put in":       {"INSERT INTO audit_entries SELECT 13, at, actor, actor_name, address, request_id, action, object, object_id, unit_id, detail, prev_hash, hash FROM audit_entries WHERE seq = 12", "added", 13},
		"two have swapped": {"UPDATE audit_entries SET object_id = CASE seq WHEN 3 THEN '3' ELSE '2' END WHERE seq IN (3, 4)", "changed", 3},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
				fill(t, d, 12)
				if tt.sql != "" {
					if err := d.Exec(tt.sql).Error; err != nil {
						t.Fatal(err)
					}
				}
				rep, err := New(d).Verify(t.Context())
				if err != nil || rep.OK != (tt.fault == "") || rep.Fault != tt.fault || rep.FaultAt != tt.at {
					t.Errorf("report = %+v, %v", rep, err)
				}
			})
		})
	}
}

// many at once make one chain without gaps, and what rolls back leaves nothing.
func TestChainOfManyAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		rolledBack := errors.New("no")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 10 {
					err := d.Transaction(func(tx *gorm.DB) error {
						if err := Add(asker(t), tx, Entry{Action: "a"}, Entry{Action: "b"}); err != nil {
							return err
						}
						if i%4 == 3 {
							return rolledBack
						}
						return nil
					})
					if err != nil && !errors.Is(err, rolledBack) {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		rep, err := New(d).Verify(t.Context())
		if err != nil || !rep.OK || rep.Checked != 6*10*2 {
			t.Errorf("report = %+v, %v", rep, err)
		}
	})
}

// an entry says who, from where, and what changed, without secrets and whatever the text.
func TestEntry(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		was := thing{"Sales", 20, "old secret", map[string]string{"api_key": "k", "city": "Köln"}}
		now := thing{"Sales", 25, "new secret", map[string]string{"api_key": "k2", "city": "Köln"}}
		err := Add(asker(t), d, Entry{Action: "acd.queue.update", Object: "acd.queue", ObjectID: "q\x00\xff 坐席🙂" + strings.Repeat("长", 300), Before: was, After: now})
		if err != nil {
			t.Fatal(err)
		}
		var r Row
		if err := d.Take(&r).Error; err != nil {
			t.Fatal(err)
		}
		if r.Actor != "user:u1" || r.ActorName != "ann" || r.Address != "192.0.2.9" || r.RequestID != "r1" || r.UnitID != "unit1" {
			t.Errorf("row = %+v", r)
		}
		want := `{"after":{"inner":{"api_key":"[secret]","city":"Köln"},"password":"[secret]","ring_seconds":25},` +
			`"before":{"inner":{"api_key":"[secret]","city":"Köln"},"password":"[secret]","ring_seconds":20}}`
		if string(r.Detail) != want {
			t.Errorf("detail = %s", r.Detail)
		}
		if rep, err := New(d).Verify(t.Context()); err != nil || !rep.OK {
			t.Errorf("report = %+v, %v", rep, err)
		}
		if err := Add(asker(t), d, Entry{Action: "big", Detail: strings.Repeat("x", maxDetail)}); err != nil {
			t.Fatal(err)
		}
	})
}

// the log can be searched, by those who may, where they may.
func TestSearch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		for _, sql := range []string{
			"INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES ('unit1', '', 'a', 'tenant', '/unit1/', '2026-01-01', '2026-01-01')",
		} {
			if err := d.Exec(sql).Error; err != nil {
				t.Fatal(err)
			}
		}
		fill(t, d, 5)
		if err := Add(auth.System(t.Context()), d, Entry{Action: "app.start"}); err != nil {
			t.Fatal(err)
		}
		s := New(d)
		auditor := auth.With(t.Context(), &auth.Principal{Kind: auth.User, UserID: "u2", UnitID: "unit1", UnitPath: "/unit1/", Grants: auth.PresetGrants("auditor")})
		count := func(ctx context.Context, f Filter) int {
			t.Helper()
			page, err := s.Search(ctx, f, api.Paging{})
			if err != nil {
				t.Fatal(err)
			}
			return len(page.Items)
		}
		for name, tt := range map[string]struct {
			f    Filter
			want int
		}{
			"all":       {Filter{}, 6},
			"actor":     {Filter{Actor: "ann"}, 5},
			"beginning": {Filter{Action: "acd.*"}, 5},
			"exactly":   {Filter{Action: "acd."}, 0},
			"object":    {Filter{Object: "acd.queue", ObjectID: "3"}, 1},
			"wildcards": {Filter{Action: "a%*"}, 0},
		} {
			if n := count(auditor, tt.f); n != tt.want {
				t.Errorf("%s: %d entries", name, n)
			}
		}
		if n := count(t.Context(), Filter{}); n != 0 {
			t.Errorf("nobody sees %d entries", n)
		}
		err := d.Exec("INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES ('unit2', '', 'b', 'tenant', '/unit2/', '2026-01-01', '2026-01-01')").Error
		if err != nil {
			t.Fatal(err)
		}
		if n := count(auditor, Filter{}); n != 5 {
			t.Errorf("with a second tenant, %d entries", n)
		}
	})
}

func TestGuards(t *testing.T) { apitest.CheckGuards(t, New(nil).Routes) }

func TestDetailIsJSON(t *testing.T) {
	if b, err := json.Marshal(Row{Detail: `{"a":1}`}); err != nil || !strings.Contains(string(b), `"detail":{"a":1}`) {
		t.Errorf("%s, %v", b, err)
	}
}
