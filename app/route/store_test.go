package route

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/hours"
	"callplane/app/kernel"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/kerneltest"
	"callplane/app/kernel/outbox"
	"callplane/app/kernel/problem"
	"callplane/app/pbx/pbxtest"
)

// office is the whole module on a database.
type office struct {
	*Service
	hours *hours.Service
	kit   *kernel.Kit
	sw    *pbxtest.Switch
	db    *gorm.DB
}

func open(t *testing.T, d *gorm.DB) *office {
	t.Helper()
	k := kerneltest.New(t)
	k.DB, k.Outbox = d, outbox.New(d, k.Bus)
	kerneltest.Run(t, k)
	for unit, path := range paths {
		must(t, d.Exec("INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES (?, '', ?, 'unit', ?, ?, ?)",
			unit, unit, path, db.Now(), db.Now()).Error)
	}
	for _, flow := range strings.Fields("f f1 f2 f9 flow-0 flow-1 flow-2 flow-3 flow-4 flow-5 day night") {
		addFlow(t, d, "acme", flow)
	}
	addFlow(t, d, "other", "f3")
	for _, user := range []string{"u-1", "agent-team", "someone"} {
		must(t, d.Exec(`INSERT INTO user_users (id, tenant_id, unit_id, login, name, email, language, active, roles, password_hash, password_at, must_change,
			history, failed, totp_secret, totp_on, totp_step, recovery, last_address, created_at, updated_at)
			VALUES (?, 'acme', 'acme', ?, '', '', 'en', ?, '[]', '', ?, ?, '[]', 0, '', ?, 0, '[]', '', ?, ?)`,
			user, user, true, db.Now(), false, false, db.Now(), db.Now()).Error)
	}
	o := &office{kit: k, sw: pbxtest.New(), db: d, hours: hours.New(k, tree{})}
	o.Service = New(k, tree{}, o.hours, o.sw, Config{Area: "10"})
	must(t, o.hours.Load(t.Context()))
	must(t, o.Load(t.Context()))
	return o
}

func addFlow(t *testing.T, d *gorm.DB, unit, id string) {
	t.Helper()
	must(t, d.Exec("INSERT INTO ivr_flows (id, unit_id, name, document, version, created_at, updated_at) VALUES (?, ?, ?, '', 1, ?, ?)",
		id, unit, id, db.Now(), db.Now()).Error)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// as is a context in which somebody with a preset role in a unit asks.
func as(t *testing.T, role auth.Preset, unit string) context.Context {
	return auth.With(t.Context(), &auth.Principal{
		Kind: auth.User, UserID: auth.UserID(role.Name + "-" + unit), Login: role.Name, UnitID: auth.UnitID(unit), UnitPath: paths[unit],
		Grants: auth.PresetGrants(role.Name), Tree: tree{},
	})
}

func ptr[T any](v T) *T { return &v }

// fields is the faulty fields that an error names.
func fields(err error) (list []string) {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		for _, f := range p.Fields {
			list = append(list, f.Pointer)
		}
	}
	return list
}

func TestModels(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		dbtest.CheckModels(t, d, &Trunk{}, &Number{}, &Phone{}, &Barred{}, &SpeedDial{})
	})
}

// R-013 R-034: what is configured is in effect when the call returns, told once to the stream, and in the audit log without secrets.
func TestTrunkLife(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		o, admin := open(t, d), as(t, auth.Admin, "acme")
		tr, err := o.CreateTrunk(admin, TrunkEdit{
			Name: ptr("carrier"), Host: ptr("sip.example.com:5060"), User: ptr("acme"), Password: ptr("geheim123"), Register: ptr(true),
			Classes: []Class{Local, Mobile}, ChannelLimit: ptr(1), Codecs: []string{"alaw"}, Caller: ptr("010-6900 0001"),
			Formats: &Formats{CalledOut: []Rewrite{{Match: "+86.", Strip: 3, Prefix: "0"}}},
		})
		must(t, err)
		if tr.UnitID != "acme" || !tr.Enabled || tr.WhenFull != FullOverflow || tr.Caller != "+861069000001" {
			t.Errorf("created %+v", tr)
		}
		w := Wanted{UnitPath: paths["team"], To: "01069999888"}
		if out, err := o.Outbound(w); err != nil || out.Trunk != "carrier" || out.Dial != "01069999888" {
			t.Errorf("out %+v err %v", out, err)
		}
		if l := o.Lines(); len(l.Trunks) != 1 || l.Trunks[0].Password != "geheim123" || l.Trunks[0].Codecs[0] != "alaw" {
			t.Errorf("lines %+v", l)
		}
		tr, err = o.ChangeTrunk(admin, tr.ID, TrunkEdit{Enabled: ptr(false), Classes: []Class{}})
		must(t, err)
		if tr.Enabled || len(tr.Classes) != 0 || tr.Password != "geheim123" || len(tr.Formats.CalledOut) != 1 {
			t.Errorf("changed %+v", tr)
		}
		if _, err := o.Outbound(w); !errors.Is(err, ErrNoTrunk) {
			t.Errorf("out on a disabled trunk: %v", err)
		}
		_, err = o.CreateTrunk(admin, TrunkEdit{Name: ptr("carrier"), Host: ptr("other.example.com")})
		if !errors.Is(err, ErrTaken) {
			t.Errorf("same name: %v", err)
		}
		_, err = o.CreateTrunk(admin, TrunkEdit{
			Name: ptr("Bad Name"), Host: ptr("a b"), Addresses: []string{"10.0.0.0/8", "nonsense"}, Classes: []Class{"space"},
			Country: ptr("ZZ"), Formats: &Formats{CallerIn: []Rewrite{{Match: "."}, {Match: "?"}}}, Register: ptr(true),
		})
		want := []string{"body.addresses[1]", "body.classes[0]", "body.country", "body.formats.caller_in[1]", "body.host", "body.name", "body.register"}
		if got := fields(err); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
			t.Errorf("faults = %v", got)
		}
		_, err = o.CreateNumber(admin, NumberEdit{Number: ptr("95001"), Service: ptr("Sales"), Trunk: ptr("carrier"), Flow: ptr("f")})
		must(t, err)
		if err := o.DeleteTrunk(admin, tr.ID); !errors.Is(err, ErrInUse) {
			t.Errorf("delete a trunk in use: %v", err)
		}
		// Others' trunks are not there.
		for _, ctx := range []context.Context{as(t, auth.Admin, "other"), as(t, auth.Agent, "team")} {
			if _, err := o.ChangeTrunk(ctx, tr.ID, TrunkEdit{Label: ptr("x")}); !errors.Is(err, problem.ErrNotFound) {
				t.Errorf("change of others' trunk: %v", err)
			}
		}
		if _, err := o.ChangeTrunk(admin, tr.ID, TrunkEdit{Unit: ptr("other")}); !slices.Equal(fields(err), []string{"body.unit"}) {
			t.Errorf("given to another tenant: %v", err)
		}
		var actions []string
		must(t, d.Table("audit_entries").Where("object = 'route.trunk'").Order("seq").Pluck("action", &actions).Error)
		if !slices.Equal(actions, []string{"route.trunk.create", "route.trunk.update"}) {
			t.Errorf("audit = %v", actions)
		}
		var secrets int64
		must(t, d.Table("audit_entries").Where("detail LIKE '%geheim%'").Count(&secrets).Error)
		if secrets != 0 {
			t.Error("the audit log knows the password")
		}
	})
}

// R-019 R-034
func TestNumberLife(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		o, admin := open(t, d), as(t, auth.Admin, "acme")
		cal, err := o.hours.Create(admin, hours.Edit{Name: ptr("Always"), Plan: &hours.Plan{TimeZone: "UTC", Weekly: []hours.Window{
			{Days: []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, Span: hours.Span{From: "00:00", To: "24:00"}},
		}}})
		must(t, err)
		for i := range 6 { // six service codes on one trunk
			_, err := o.CreateNumber(admin, NumberEdit{
				Number: ptr(fmt.Sprintf("9500%d", i)), Service: ptr(fmt.Sprintf("Service %d", i)), Flow: ptr(fmt.Sprintf("flow-%d", i)), Unit: ptr("care"),
			})
			must(t, err)
		}
		n, err := o.CreateNumber(admin, NumberEdit{
			Number: ptr("010-6234 5678"), Service: ptr("Office"), Unit: ptr("sales"), CallerIdentity: ptr(true),
			Rules: []Rule{{Calendar: cal.ID, Flow: "day"}}, Flow: ptr("night"),
		})
		must(t, err)
		if n.Number != "+861062345678" || n.State != NumberActive {
			t.Errorf("created %+v", n)
		}
		if what, err := o.UsesCalendar(d, cal.ID); err != nil || what != "Number +861062345678 (Office)" {
			t.Errorf("the calendar is used by %q, %v", what, err)
		}
		if what, err := o.UnitHolds(t.Context(), "care"); err != nil || what != "6 numbers" {
			t.Errorf("care holds %q, %v", what, err)
		}
		for i := range 6 {
			in, err := o.Inbound(Asked{To: fmt.Sprintf("9500%d", i), From: "13800138000", Trunk: "t"})
			if err != nil || in.Flow != fmt.Sprintf("flow-%d", i) || in.Service != fmt.Sprintf("Service %d", i) || in.Unit != "care" {
				t.Errorf("95%d: %+v %v", i, in, err)
			}
		}
		in, err := o.Inbound(Asked{To: "0086 10 62345678", From: "anonymous"})
		if err != nil || in.Flow != "day" || in.NumberID != string(n.ID) {
			t.Errorf("in %+v err %v", in, err)
		}
		if _, err = o.CreateNumber(admin, NumberEdit{Number: ptr("+86 10 62345678"), Service: ptr("Again")}); !errors.Is(err, ErrTaken) {
			t.Errorf("same number in another notation: %v", err)
		}
		_, err = o.CreateNumber(admin, NumberEdit{Number: ptr("+86 10 62345679"), Service: ptr("x"), Trunk: ptr("none"), Rules: []Rule{{Calendar: "none", Flow: "f"}}})
		if got := fields(err); !slices.Equal(got, []string{"body.trunk", "body.rules[0].calendar"}) {
			t.Errorf("faults = %v (%v)", got, err)
		}
		_, err = o.CreateNumber(admin, NumberEdit{Number: ptr("alice"), State: ptr("lost")})
		if got := fields(err); !slices.Equal(got, []string{"body.number", "body.service", "body.state"}) {
			t.Errorf("faults = %v (%v)", got, err)
		}
		if _, err = o.ChangeNumber(admin, n.ID, NumberEdit{State: ptr(NumberSuspended)}); err != nil {
			t.Fatal(err)
		}
		if _, err = o.Inbound(Asked{To: "01062345678"}); !errors.Is(err, ErrNoNumber) {
			t.Errorf("suspended: %v", err)
		}
		must(t, o.DeleteNumber(admin, n.ID))
		if what, err := o.UsesCalendar(d, cal.ID); err != nil || what != "" {
			t.Errorf("the calendar is used by %q, %v", what, err)
		}
	})
}

// a refused calling number is in the audit log, with the rule.
func TestRefusedIdentityIsAudited(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		o := open(t, d)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- o.Run(ctx) }()
		_, err := o.Outbound(Wanted{User: "u-1", Unit: "team", UnitPath: paths["team"], To: "95588", From: "+861069999999"})
		if !errors.Is(err, ErrCallerIdentity) {
			t.Fatal(err)
		}
		eventually(t, "the audit entry", func() bool {
			var detail []string
			must(t, d.Table("audit_entries").Where("action = 'route.outbound.refused' AND actor = 'user:u-1'").Pluck("detail", &detail).Error)
			return len(detail) == 1 && strings.Contains(detail[0], "Rule assigned")
		})
		stop()
		must(t, <-done)
	})
}

// A change made on one node is in effect on another.
func TestOtherNodeFollows(t *testing.T) {
	d := dbtest.SQLite(t)
	o, admin := open(t, d), as(t, auth.Admin, "acme")
	k := *o.kit
	k.Metrics = nil
	second := New(&k, tree{}, o.hours, pbxtest.New(), Config{})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- second.Run(ctx) }()
	_, err := o.CreateNumber(admin, NumberEdit{Number: ptr("95001"), Service: ptr("Sales"), Flow: ptr("f")})
	must(t, err)
	p, err := o.CreatePhone(admin, PhoneEdit{Name: ptr("desk-1")})
	must(t, err)
	eventually(t, "the number", func() bool { _, err := second.Inbound(Asked{To: "95001"}); return err == nil })
	eventually(t, "the phone", func() bool { _, ok := second.Phone("desk-1"); return ok })
	must(t, o.DeletePhone(admin, p.ID))
	eventually(t, "the phone to go", func() bool { _, ok := second.Phone("desk-1"); return !ok })
	stop()
	must(t, <-done)
}

// eventually waits for what other goroutines do.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !f() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

//
func TestPhoneLife(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		o, admin := open(t, d), as(t, auth.Admin, "acme")
		p, err := o.CreatePhone(admin, PhoneEdit{Name: ptr("desk-1"), Label: ptr("Window"), Unit: ptr("sales")})
		must(t, err)
		if info, ok := o.Phone("desk-1"); !ok || info.UnitPath != "/acme/sales/" || info.Label != "Window" || len(p.Password) < 20 {
			t.Errorf("phone %+v", info)
		}
		again, err := o.ResetPhone(admin, p.ID)
		must(t, err)
		if secret, _ := o.PhonePassword("desk-1"); again.Password == p.Password || secret != again.Password {
			t.Error("the password stayed")
		}
		if _, err := o.CreateTrunk(admin, TrunkEdit{Name: ptr("desk-1"), Host: ptr("h")}); !errors.Is(err, ErrTaken) {
			t.Errorf("a trunk with a phone's name: %v", err)
		}
		if _, err := o.ChangePhone(admin, p.ID, PhoneEdit{Name: ptr("desk-2")}); !slices.Equal(fields(err), []string{"body.name"}) {
			t.Errorf("rename: %v", err)
		}
		_, err = o.ChangePhone(admin, p.ID, PhoneEdit{Owner: ptr("u-1"), WebRTC: ptr(true)})
		must(t, err)
		if info, _ := o.Phone("desk-1"); info.Owner != "u-1" || !info.WebRTC {
			t.Errorf("phone %+v", info)
		}
		must(t, o.DeletePhone(admin, p.ID))
		if _, ok := o.Phone("desk-1"); ok || len(o.Lines().Phones) != 0 {
			t.Error("the phone is still there")
		}
	})
}

//
func TestBarredLife(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		o, admin := open(t, d), as(t, auth.Admin, "acme")
		_, err := o.CreateTrunk(admin, TrunkEdit{Name: ptr("carrier"), Host: ptr("10.0.0.1")})
		must(t, err)
		for _, tt := range []struct {
			number string
			prefix bool
			kept   string
		}{{"0852", true, "+86852"}, {"00852", true, "+852"}, {"138 0013 8000", false, "+8613800138000"}, {"168", true, "168"}} {
			b, err := o.Bar(admin, "", tt.number, tt.prefix, "No.")
			must(t, err)
			if b.Number != tt.kept || b.UnitID != "acme" {
				t.Errorf("barred %+v", b)
			}
		}
		call := func(to string) error {
			_, err := o.Outbound(Wanted{UnitPath: paths["team"], To: to})
			return err
		}
		for _, to := range []string{"+852 2123 4567", "013800138000", "16812345"} {
			if err := call(to); !errors.Is(err, ErrBarred) {
				t.Errorf("%s: %v", to, err)
			}
		}
		must(t, call("13800138001"))
		if _, err := o.Bar(admin, "", "+8613800138000", false, "Again."); !errors.Is(err, ErrTaken) {
			t.Errorf("twice: %v", err)
		}
		if _, err := o.Bar(admin, "", "", true, ""); !slices.Equal(fields(err), []string{"body.number", "body.reason"}) {
			t.Errorf("nothing: %v", err)
		}
	})
}
