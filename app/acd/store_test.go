package acd

import (
	"context"
	"errors"
	"testing"

	"gorm.io/gorm"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/kerneltest"
	"callplane/app/kernel/outbox"
	"callplane/app/kernel/problem"
)

var paths = map[string]string{"acme": "/acme/", "sales": "/acme/sales/", "other": "/other/"}

type tree struct{}

func (tree) Path(u auth.UnitID) string { return paths[string(u)] }

// idle stands for calls, agents and the stream, where nothing happens.
type idle struct{}

func (idle) Get(call.ID) (call.Live, error)      { return call.Live{}, call.ErrGone }
func (idle) Offer(call.ID, call.Proposal)        {}
func (idle) TurnAway(call.ID, call.Closing)      {}
func (idle) All() []agent.Presence               { return nil }
func (idle) Watch(func(was, now agent.Presence)) {}
func (idle) Publish(...bus.Event)                {}
func (idle) Reserve(agent.ID, string, string) (agent.Presence, error) {
	return agent.Presence{}, agent.ErrNotReady
}

// as is a context of a person with a preset role.
func as(t *testing.T, role auth.Preset, unit string) context.Context {
	return auth.With(t.Context(), &auth.Principal{
		Kind: auth.User, UserID: "boss", UnitID: auth.UnitID(unit), UnitPath: paths[unit], Grants: auth.PresetGrants(role.Name), Tree: tree{},
	})
}

// rooms is a service on a database with a few users.
func rooms(t *testing.T, d *gorm.DB) *Service {
	t.Helper()
	k := kerneltest.New(t)
	for unit, path := range paths {
		must(t, d.Exec("INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES (?, '', ?, 'unit', ?, ?, ?)",
			unit, unit, path, db.Now(), db.Now()).Error)
	}
	for user, unit := range map[string]string{"anna": "sales", "bob": "acme", "carl": "other"} {
		must(t, d.Exec(`INSERT INTO user_users (id, tenant_id, unit_id, login, name, email, language, active, roles, password_hash, password_at, must_change,
			history, failed, totp_secret, totp_on, totp_step, recovery, last_address, created_at, updated_at)
			VALUES (?, 't', ?, ?, ?, '', 'en', ?, '[]', '', ?, ?, '[]', 0, '', ?, 0, '[]', '', ?, ?)`,
			user, unit, user, user, true, db.Now(), false, false, db.Now(), db.Now()).Error)
	}
	return NewService(k.Log, d, outbox.New(d, k.Bus), tree{}, idle{}, idle{}, idle{})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestModels(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) { dbtest.CheckModels(t, d, Models()...) })
}

// a queue is made, changed, served, closed and removed; each step is in the audit log and on the stream.
func TestQueueLife(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		s := rooms(t, d)
		boss, stranger := as(t, auth.Supervisor, "acme"), as(t, auth.Supervisor, "other")
		q, err := s.Create(boss, Queue{Unit: "sales", Name: "Sales", Open: true, Settings: Defaults()}, []Member{{UserID: "anna", Priority: 3}})
		must(t, err)
		if _, err := s.Create(boss, Queue{Unit: "sales", Name: "Sales", Settings: Defaults()}, nil); !errors.Is(err, ErrQueueName) {
			t.Errorf("the same name: %v", err)
		}
		over, err := s.Create(boss, Queue{Name: "Overflow", Open: true, Settings: Defaults()}, nil)
		must(t, err)
		if over.Unit != "acme" || s.ByName("/acme/sales/", "Sales") != q.ID || s.ByName("/other/", "Sales") == q.ID {
			t.Errorf("%+v", over)
		}
		q, err = s.Change(boss, q.ID, func(q *Queue) {
			q.Name, q.RingSeconds, q.WrapUpSeconds = "Sales team", 7, 0
			q.Timeout = Action{Then: ThenQueue, Queue: over.ID}
		})
		must(t, err)
		must(t, s.SetMembers(boss, q.ID, []Member{{UserID: "bob"}, {UserID: "anna", Priority: 1}}))
		for what, err := range map[string]error{
			"change": fault(s.Change(stranger, q.ID, func(*Queue) {})), "members": s.SetMembers(stranger, q.ID, nil), "delete": s.Delete(stranger, q.ID),
			"a queue that is not": s.Delete(boss, "nothing"),
		} {
			if !errors.Is(err, ErrNoQueue) {
				t.Errorf("%s: %v", what, err)
			}
		}
		again := rooms2(s, d)
		must(t, again.Load(t.Context()))
		for _, x := range []*Service{s, again} {
			got, ok := x.Queue(q.ID)
			if !ok || got.Name != "Sales team" || got.RingSeconds != 7 || got.WrapUpSeconds != 0 || got.UnitPath != "/acme/sales/" || x.ByName("/acme/", "Sales team") != q.ID {
				t.Errorf("kept %+v", got)
			}
		}
		v, err := s.view(boss, q.ID)
		if err != nil || len(v.Members) != 2 || v.Members[0] != (Member{q.ID, "anna", 1}) {
			t.Errorf("members %+v, %v", v.Members, err)
		}
		must(t, s.Delete(boss, q.ID))
		if _, ok := s.Queue(q.ID); ok {
			t.Error("a deleted queue is still known")
		}
		if list, err := s.getQueues(boss, nil); err != nil || len(list) != 1 {
			t.Errorf("left %v, %v", list, err)
		}
		if list, err := s.getQueues(stranger, nil); err != nil || list == nil || len(list) != 0 {
			t.Errorf("a stranger sees %v, %v", list, err)
		}
		for table, column := range map[string]string{"audit_entries": "action", "kernel_outbox": "kind"} {
			var n int64
			q := d.Table(table)
			if column == "action" {
				q = q.Where("action LIKE ?", "acd.%")
			}
			must(t, q.Count(&n).Error)
			if n != 5 {
				t.Errorf("%d rows in %s, want 5", n, table)
			}
		}
	})
}

// rooms2 is another node on the same database.
func rooms2(s *Service, d *gorm.DB) *Service {
	return NewService(s.log, d, s.outbox, s.tree, idle{}, idle{}, idle{})
}

func fault(_ Queue, err error) error { return err }

// What is wrong with a queue is named, and nothing is written.
func TestQueueFaults(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		s := rooms(t, d)
		boss := as(t, auth.Supervisor, "acme")
		foreign, err := s.Create(as(t, auth.Supervisor, "other"), Queue{Name: "Theirs", Settings: Defaults()}, nil)
		must(t, err)
		for name, tt := range map[string]struct {
			edit    func(*Queue)
			members []Member
		}{
			"no name":            {func(q *Queue) { q.Name = " " }, nil},
			"no strategy":        {func(q *Queue) { q.Strategy = "dice" }, nil},
			"ring":               {func(q *Queue) { q.RingSeconds = 2 }, nil},
			"wrap-up":            {func(q *Queue) { q.WrapUpSeconds = -1 }, nil},
			"overflow nowhere":   {func(q *Queue) { q.Full = Action{Then: ThenQueue} }, nil},
			"overflow elsewhere": {func(q *Queue) { q.Full = Action{Then: ThenQueue, Queue: foreign.ID} }, nil},
			"share of nothing":   {func(q *Queue) { q.Recording = Policy{Mode: "share"} }, nil},
			"another's unit":     {func(q *Queue) { q.Unit = "other" }, nil},
			"a stranger":         {func(*Queue) {}, []Member{{UserID: "carl"}}},
			"nobody":             {func(*Queue) {}, []Member{{UserID: "nobody"}}},
			"twice":              {func(*Queue) {}, []Member{{UserID: "anna"}, {UserID: "anna", Priority: 1}}},
		} {
			q := Queue{Unit: "sales", Name: "Sales", Open: true, Settings: Defaults()}
			tt.edit(&q)
			if _, err := s.Create(boss, q, tt.members); !errors.Is(err, problem.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		var n int64
		must(t, d.Model(&QueueRow{}).Count(&n).Error)
		if n != 1 {
			t.Errorf("%d queues were written", n-1)
		}
	})
}
