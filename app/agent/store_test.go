package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/problem"
)

var paths = map[string]string{"acme": "/acme/", "sales": "/acme/sales/", "other": "/other/"}

type tree struct{}

func (tree) Path(u auth.UnitID) string { return paths[string(u)] }

// as is a context of a person with a preset role.
func as(t *testing.T, role auth.Preset, user, unit string) context.Context {
	return auth.With(t.Context(), &auth.Principal{
		Kind: auth.User, UserID: auth.UserID(user), UnitID: auth.UnitID(unit), UnitPath: paths[unit], Grants: auth.PresetGrants(role.Name), Tree: tree{},
	})
}

// office is a service on a database with a few users.
func office(t *testing.T, d *gorm.DB) *desk {
	t.Helper()
	k := &desk{t: t, down: map[string]bool{}, values: map[string][]byte{}}
	k.Service = NewService(slog.New(slog.NewTextHandler(io.Discard, nil)), d, k, k)
	t.Cleanup(k.Close)
	exec := func(sql string, args ...any) {
		t.Helper()
		if err := d.Exec(sql, args...).Error; err != nil {
			t.Fatal(err)
		}
	}
	for unit, path := range paths {
		exec("INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES (?, '', ?, 'unit', ?, ?, ?)", unit, unit, path, db.Now(), db.Now())
	}
	for user, unit := range map[string]string{"anna": "sales", "bob": "acme", "carl": "other", "gone": "sales"} {
		exec(`INSERT INTO user_users (id, tenant_id, unit_id, login, name, email, language, active, roles, password_hash, password_at, must_change, history,
			failed, totp_secret, totp_on, totp_step, recovery, last_address, created_at, updated_at)
			VALUES (?, 't', ?, ?, ?, '', 'en', ?, '[]', '', ?, ?, '[]', 0, '', ?, 0, '[]', '', ?, ?)`,
			user, unit, user, "Name of "+user, user != "gone", db.Now(), false, false, db.Now(), db.Now())
	}
	return k
}

func TestModels(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) { dbtest.CheckModels(t, d, Models()...) })
}

// an agent's settings are kept, and skills count at once for who is signed in.
func TestProfile(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		k := office(t, d)
		boss := as(t, auth.Supervisor, "boss", "acme")
		p, err := k.profile(boss, "anna")
		if err != nil || p.Name != "Name of anna" || p.UnitPath != "/acme/sales/" || p.Skills == nil {
			t.Fatalf("without settings: %+v, %v", p, err)
		}
		for _, id := range []ID{"nobody", "gone", "carl"} {
			if _, err := k.SetProfile(boss, id, ProfileEdit{}); !errors.Is(err, ErrNoAgent) {
				t.Errorf("%s: %v", id, err)
			}
		}
		phone, foreign, auto := "1000", "8000", true
		for name, e := range map[string]ProfileEdit{
			"level": {Skills: map[string]int{"x": 11}}, "no level": {Skills: map[string]int{"x": 0}}, "no name": {Skills: map[string]int{"": 1}},
			"another tenant's phone": {Phone: &foreign},
		} {
			if _, err := k.SetProfile(boss, "anna", e); !errors.Is(err, problem.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		edit := func(e ProfileEdit) {
			t.Helper()
			if _, err := k.SetProfile(boss, "anna", e); err != nil {
				t.Fatal(err)
			}
		}
		edit(ProfileEdit{Phone: &phone, Skills: map[string]int{"english": 3, "billing": 5}})
		var first Agent
		if err := d.Take(&first, "user_id = ?", "anna").Error; err != nil {
			t.Fatal(err)
		}
		if p, err = k.profile(boss, "anna"); err != nil {
			t.Fatal(err)
		}
		if now := k.ok(k.SignIn(p, "")); now.Phone != "1000" || now.Skills["english"] != 3 {
			t.Errorf("signed in as %+v", now)
		}
		edit(ProfileEdit{AutoAnswer: &auto, Skills: map[string]int{"english": 7}})
		if now, _ := k.Get("anna"); now.Skills["english"] != 7 || len(now.Skills) != 1 {
			t.Errorf("skills are %v", now.Skills)
		}
		edit(ProfileEdit{})
		p, err = k.profile(boss, "anna")
		if err != nil || p.Phone != "1000" || !p.AutoAnswer || p.Skills["english"] != 7 || len(p.Skills) != 1 {
			t.Errorf("kept %+v, %v", p, err)
		}
		var last Agent
		if err := d.Take(&last, "user_id = ?", "anna").Error; err != nil || !last.CreatedAt.Equal(first.CreatedAt) {
			t.Errorf("made at %s and at %s, %v", first.CreatedAt, last.CreatedAt, err)
		}
		var audited int64
		d.Table("audit_entries").Where("action = ?", "agent.profile_changed").Count(&audited)
		if audited != 3 {
			t.Errorf("%d changes in the audit log, want 3", audited)
		}
	})
}

// intervals reach SQL once, however often the stream tells them.
func TestProject(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		k := office(t, d)
		k.in("anna", "1000")
		k.ok(k.Set("anna", Ready, ""))
		k.ok(k.Reserve("anna", "call", "queue"))
		k.ok(k.Accept("anna", "call"))
		k.ok(k.Finish("anna", "call", 0))
		k.ok(k.Set("anna", LoggedOut, ""))
		events := append(slices.Clone(k.events), bus.Event{ID: "broken", Data: []byte("{")})
		for range 2 {
			if err := k.Project(t.Context(), events); err != nil {
				t.Fatal(err)
			}
		}
		var rows []Interval
		if err := d.Order("started, id").Find(&rows).Error; err != nil {
			t.Fatal(err)
		}
		want := k.intervals()
		if len(rows) != len(want) || len(rows) != 5 {
			t.Fatalf("%d rows of %d intervals", len(rows), len(want))
		}
		for _, w := range want {
			i := slices.IndexFunc(rows, func(r Interval) bool { return r.ID == w.ID })
			if i < 0 || rows[i].State != w.State || rows[i].CallID != w.CallID || rows[i].QueueID != w.QueueID || rows[i].Ended.Sub(w.Ended).Abs() > time.Millisecond {
				t.Errorf("%+v is not among %+v", w, rows)
			}
		}
	})
}

// skills and break reasons belong to a tenant.
func TestLists(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		k := office(t, d)
		boss, stranger := as(t, auth.Supervisor, "boss", "acme"), as(t, auth.Supervisor, "them", "other")
		skill := func(ctx context.Context, name string) (Skill, error) {
			in := struct {
				Body struct {
					Name string `json:"name" minLength:"1" maxLength:"60"`
				}
			}{}
			in.Body.Name = name
			return k.postSkill(ctx, &in)
		}
		made, err := skill(boss, "english")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := skill(boss, "english"); !errors.Is(err, ErrTaken) {
			t.Errorf("twice: %v", err)
		}
		if _, err := skill(stranger, "english"); err != nil {
			t.Errorf("another tenant: %v", err)
		}
		del := func(ctx context.Context) error {
			_, err := k.deleteSkill(ctx, &struct {
				ID string `path:"id"`
			}{made.ID})
			return err
		}
		if err := del(stranger); !errors.Is(err, problem.ErrNotFound) {
			t.Errorf("deleted by another tenant: %v", err)
		}
		if err := del(boss); err != nil {
			t.Error(err)
		}
		if list, err := k.getSkills(boss, nil); err != nil || list == nil || len(list) != 0 {
			t.Errorf("skills %v, %v", list, err)
		}
		off := false
		r, err := k.postReason(boss, &struct{ Body reasonBody }{reasonBody{Code: "lunch", NameZh: "午餐", NameEn: "Lunch"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.checkReason(boss, "lunch"); err != nil {
			t.Error(err)
		}
		if err := k.checkReason(boss, "golf"); !errors.Is(err, problem.ErrInvalid) {
			t.Errorf("golf: %v", err)
		}
		change := struct {
			ID   string `path:"id"`
			Body reasonBody
		}{r.ID, reasonBody{Code: "lunch", NameZh: "午餐", NameEn: "Lunch", Active: &off}}
		for range 2 { // the same once more is no error
			if _, err := k.putReason(boss, &change); err != nil {
				t.Error(err)
			}
		}
		if _, err := k.putReason(stranger, &change); !errors.Is(err, problem.ErrNotFound) {
			t.Errorf("changed by another tenant: %v", err)
		}
	})
}
