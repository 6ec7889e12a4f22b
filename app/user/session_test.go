package user

import (
	"strings"
	"testing"
	"time"

	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/problem"
)

// an agent who signs in elsewhere takes the session over; both addresses are in the log.
func TestTakeOver(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	w.person("amy", w.north, auth.Agent.Name)
	one, err := w.Login(w.from("192.0.2.7"), Credentials{Login: "amy", Password: goodPassword})
	w.ok(err)
	_, err = w.Authenticate(t.Context(), one.Token)
	w.ok(err)
	two, err := w.Login(w.from("192.0.2.8"), Credentials{Login: "amy", Password: goodPassword})
	w.ok(err)
	_, err = w.Authenticate(t.Context(), one.Token)
	is(t, err, ErrTakenOver)
	if !strings.Contains(err.Error(), "192.0.2.8") {
		t.Errorf("notice = %v", err)
	}
	_, err = w.Authenticate(t.Context(), two.Token)
	w.ok(err)
	var row audit.Row
	w.ok(w.db.Where("action = ?", "user.session_taken_over").Take(&row).Error)
	if d := string(row.Detail); !strings.Contains(d, "192.0.2.7") || !strings.Contains(d, "192.0.2.8") {
		t.Errorf("detail = %s", d)
	}
	told := 0
	for _, e := range w.told {
		if e.Type == "user.session_ended" && e.UnitPath == w.north.Path {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d events of the ended session", told)
	}
}

// sessions end when idle, at their limit, and when signed out of.
func TestSessionEnds(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	w.person("sam", w.north, auth.Supervisor.Name)
	open := func() string {
		in, err := w.login("sam", goodPassword)
		w.ok(err)
		return in.Token
	}
	idle := open()
	w.pass(4 * time.Hour)
	_, err := w.Authenticate(t.Context(), idle)
	is(t, err, ErrSessionEnded)
	busy := open()
	for range 15 {
		w.pass(time.Hour)
		_, err = w.Authenticate(t.Context(), busy)
		w.ok(err)
	}
	w.pass(time.Hour)
	_, err = w.Authenticate(t.Context(), busy)
	is(t, err, ErrSessionEnded)

	out, stays := open(), open()
	p, err := w.Authenticate(t.Context(), out)
	w.ok(err)
	list, err := w.Sessions(auth.With(w.from(""), p), p.UserID)
	if err != nil || len(list) != 2 {
		t.Fatalf("sessions = %v, %v", list, err)
	}
	w.ok(w.Logout(auth.With(w.from(""), p)))
	_, err = w.Authenticate(t.Context(), out)
	is(t, err, ErrSessionEnded)
	_, err = w.Authenticate(t.Context(), stays)
	w.ok(err)
	_, err = w.Authenticate(t.Context(), "cps_nonsense")
	is(t, err, auth.ErrUnauthorized)
}

func TestNobodyGivesMoreThanTheyHave(t *testing.T) {
	w := newWorld(t, dbtest.SQLite(t))
	lead, err := w.CreateRole(w.as("admin"), RoleData{Name: "Lead", Grants: auth.Grants{Manage: auth.Below, Read: auth.Below}})
	w.ok(err)
	w.person("lea", w.sales, string(lead.ID))
	other := w.person("zoe", w.root)
	ctx := w.as("lea")
	_, err = w.Create(ctx, NewUser{Login: "new", Name: "New", UnitID: w.north.ID, Roles: []string{auth.Admin.Name}})
	is(t, err, ErrTooMuch)
	_, err = w.Create(ctx, NewUser{Login: "new", Name: "New", UnitID: w.root.ID})
	is(t, err, problem.ErrNotFound)
	_, err = w.Create(ctx, NewUser{Login: "new", Name: "New", UnitID: w.north.ID, Roles: []string{string(lead.ID)}})
	w.ok(err)
	_, err = w.Reset(ctx, other.ID)
	is(t, err, problem.ErrNotFound)
	boss := w.person("boss", w.north, auth.Admin.Name)
	_, err = w.Reset(ctx, boss.ID)
	is(t, err, ErrTooMuch)
	me, err := store{w.db}.byLogin("", "lea")
	w.ok(err)
	roles := []string{auth.Admin.Name}
	_, err = w.Update(ctx, me.ID, Change{Roles: &roles})
	is(t, err, ErrOwnAccount)
	_, err = w.Create(w.as("admin"), NewUser{Login: "LEA", Name: "x", UnitID: w.root.ID})
	is(t, err, ErrLoginTaken)
	_, err = w.Create(w.as("admin"), NewUser{Login: "n", Name: " ", Email: "nope", UnitID: w.root.ID, Roles: []string{"nope"}})
	is(t, err, problem.ErrInvalid)
	is(t, w.DeleteRole(w.as("admin"), lead.ID), ErrRoleInUse)
}
