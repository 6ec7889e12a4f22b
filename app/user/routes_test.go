package user

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/api/apitest"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/problem"
)

// every route refuses who is not signed in, and every preset that lacks its permission.
func TestGuards(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	apitest.CheckGuards(t, w.Routes, "POST /api/user/login")
}

func logins(t *testing.T, body []byte) (list []string) {
	t.Helper()
	var page struct{ Items []User }
	if err := json.Unmarshal(body, &page); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	for _, u := range page.Items {
		list = append(list, u.Login)
	}
	return list
}

// each sees exactly their scope, in a tree of four levels, and other tenants not at all.
func TestScopes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		w := newWorld(t, d)
		ctx := w.as("admin")
		south, err := w.CreateUnit(ctx, NewUnit{ParentID: w.sales.ID, Name: "South"})
		w.ok(err)
		seat, err := w.CreateUnit(ctx, NewUnit{ParentID: w.north.ID, Name: "Desk 4"})
		w.ok(err)
		if w.sales.Kind != "department" || w.north.Kind != "team" || seat.Kind != "seat" {
			t.Errorf("kinds = %s, %s, %s", w.sales.Kind, w.north.Kind, seat.Kind)
		}
		team, err := w.CreateRole(ctx, RoleData{Name: "Team", Grants: auth.Grants{Read: auth.Team}})
		w.ok(err)
		w.person("dept", w.sales, auth.Supervisor.Name)
		w.person("lead", w.north, auth.Supervisor.Name)
		w.person("mate", w.north, string(team.ID))
		w.person("seat", seat, auth.Agent.Name)
		w.person("south", south, auth.Agent.Name)
		w.person("audit", w.north, auth.Auditor.Name)
		w.person("none", w.north)
		foreign, err := w.CreateTenant(auth.System(t.Context()), "Other company")
		w.ok(err)
		_, err = w.Create(auth.System(t.Context()), NewUser{Login: "alien", Name: "A", UnitID: foreign.ID, Roles: []string{"admin"}})
		w.ok(err)

		_, h := handler(w)
		for login, want := range map[string][]string{
			"dept":  {"audit", "dept", "lead", "mate", "none", "seat", "south"},
			"lead":  {"audit", "lead", "mate", "none", "seat"},
			"mate":  {"audit", "lead", "mate", "none"},
			"seat":  {"seat"},
			"audit": {"admin", "audit", "dept", "lead", "mate", "none", "seat", "south"},
		} {
			in, err := w.login(login, goodPassword)
			w.ok(err)
			rec := ask(h, "GET", "/api/user/users", in.Token, "")
			if got := logins(t, rec.Body.Bytes()); !slices.Equal(got, want) {
				t.Errorf("%s sees %v, want %v", login, got, want)
			}
			// What memory says must agree with what SQL says.
			p, err := w.Authenticate(t.Context(), in.Token)
			w.ok(err)
			var all []User
			w.ok(d.Find(&all).Error)
			for _, u := range all {
				if got := p.MayUse(Read, string(u.UnitID), string(u.ID)); got != slices.Contains(want, u.Login) {
					t.Errorf("%s may see %s in memory: %v", login, u.Login, got)
				}
				if got := p.MayUse(Read, w.Tree().Path(u.UnitID), string(u.ID)); got != slices.Contains(want, u.Login) {
					t.Errorf("%s may see %s in memory by path: %v", login, u.Login, got)
				}
			}
		}
		in, err := w.login("none", goodPassword)
		w.ok(err)
		if rec := ask(h, "GET", "/api/user/users", in.Token, ""); rec.Code != http.StatusForbidden {
			t.Errorf("none: %d", rec.Code)
		}
		// A unit that moves takes its people along, at once.
		in, err = w.login("lead", goodPassword)
		w.ok(err)
		to := south.ID
		_, err = w.UpdateUnit(ctx, w.north.ID, UnitChange{ParentID: &to})
		w.ok(err)
		_, err = w.UpdateUnit(ctx, south.ID, UnitChange{ParentID: &seat.ID})
		is(t, err, ErrUnitCycle)
		p, err := w.Authenticate(t.Context(), in.Token)
		if err != nil || !strings.HasPrefix(p.UnitPath, south.Path) {
			t.Errorf("path after the move = %v, %v", p, err)
		}
		is(t, w.DeleteUnit(ctx, south.ID), ErrUnitInUse)
	})
}

// a key does what its permissions say where its unit is, until it is revoked or too old.
func TestKeys(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	_, h := handler(w)
	ctx := w.as("admin")
	soon := w.now().Add(time.Hour)
	made, err := w.CreateKey(ctx, NewKey{UnitID: w.sales.ID, Name: "CRM", Permissions: []auth.Permission{Read}, ExpiresAt: &soon})
	w.ok(err)
	w.person("in", w.north)
	w.person("out", w.root)
	rec := ask(h, "GET", "/api/user/users", made.Secret, "")
	if got := logins(t, rec.Body.Bytes()); !slices.Equal(got, []string{"in"}) {
		t.Errorf("key sees %v", got)
	}
	if rec := ask(h, "GET", "/api/user/keys", made.Secret, ""); rec.Code != http.StatusForbidden {
		t.Errorf("beyond its permissions: %d", rec.Code)
	}
	if rec := ask(h, "POST", "/api/user/password", made.Secret, `{"old":"x","new":"y"}`); rec.Code != http.StatusUnauthorized {
		t.Errorf("a key changing a password: %d %s", rec.Code, rec.Body)
	}
	var stored Key
	w.ok(w.db.Take(&stored).Error)
	if stored.LastUsedAt == nil || strings.Contains(stored.SecretHash, made.Secret) {
		t.Errorf("stored = %+v", stored)
	}
	w.pass(time.Hour)
	_, err = w.Authenticate(t.Context(), made.Secret)
	is(t, err, auth.ErrUnauthorized)
	made, err = w.CreateKey(ctx, NewKey{UnitID: w.sales.ID, Name: "CRM", Permissions: []auth.Permission{Read}})
	w.ok(err)
	_, err = w.Authenticate(t.Context(), made.Secret)
	w.ok(err)
	w.ok(w.RevokeKey(ctx, made.Key.ID))
	_, err = w.Authenticate(t.Context(), made.Secret)
	is(t, err, auth.ErrUnauthorized)
	_, err = w.CreateKey(ctx, NewKey{UnitID: w.sales.ID, Name: "CRM", Permissions: []auth.Permission{"nope:nope"}})
	is(t, err, problem.ErrInvalid)
}

// what people do over HTTP is in the log, with before and after, and without secrets.
func TestEveryChangeIsAudited(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	_, h := handler(w)
	w.ok(w.db.Model(&User{ID: w.admin.ID}).Update("must_change", false).Error)
	in, err := w.login("admin", w.password)
	w.ok(err)
	do := func(method, path, body string, want int) []byte {
		t.Helper()
		rec := ask(h, method, path, in.Token, body)
		if rec.Code != want {
			t.Fatalf("%s %s: %d %s", method, path, rec.Code, rec.Body)
		}
		return rec.Body.Bytes()
	}
	var made Password
	w.ok(json.Unmarshal(do("POST", "/api/user/users", `{"login":"kim","name":"Kim","unit_id":"`+string(w.north.ID)+`","roles":["agent"]}`, 201), &made))
	do("PATCH", "/api/user/users/"+string(made.User.ID), `{"name":"Kim Lee"}`, 200)
	do("POST", "/api/user/users/"+string(made.User.ID)+"/reset", "", 200)
	do("GET", "/api/audit/verify", "", 200)
	do("POST", "/api/user/logout", "", 204)
	got := strings.Join(w.actions(), " ")
	if want := "user.create user.update user.reset_password audit.verify user.logout"; !strings.HasSuffix(got, want) {
		t.Errorf("log = %s, want it to end with %s", got, want)
	}
	in, err = w.login("admin", w.password)
	w.ok(err)
	page := string(do("GET", "/api/audit/entries?action=user.up*", "", 200))
	if !strings.Contains(page, `"before":{"name":"Kim"`) || !strings.Contains(page, `"actor_name":"admin"`) {
		t.Errorf("entry = %s", page)
	}
	if all := string(do("GET", "/api/audit/entries?limit=200", "", 200)); strings.Contains(all, made.Password) || strings.Contains(all, "argon2id") {
		t.Error("a secret is in the log")
	}
	do("GET", "/api/audit/entries?actions=typo", "", 422)
}
