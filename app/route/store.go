package route

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// Errors of configuration.
var (
	ErrTaken = problem.New(problem.Conflict, "route_name_taken", "The name or number is taken")
	ErrInUse = problem.New(problem.Conflict, "route_in_use", "Still in use")
)

// The kinds of rows, as events and the audit log name them.
const (
	kindTrunk     = "trunk"
	kindNumber    = "number"
	kindPhone     = "phone"
	kindBarred    = "barred"
	kindSpeedDial = "speed_dial"
)

// kinds is those that are kept in memory, and changeTypes the events after which they are read again.
var (
	kinds       = []string{kindTrunk, kindNumber, kindPhone, kindBarred}
	changeTypes = func() (types []string) {
		for _, k := range kinds {
			types = append(types, typeOf(k))
		}
		return types
	}()
)

// typeOf is the type of the event that follows every change of such a row: route.trunk_changed. Its data is a Changed.
func typeOf(kind string) string { return "route." + kind + "_changed" }

func kindOf(typ string) string {
	for _, k := range kinds {
		if typeOf(k) == typ {
			return k
		}
	}
	return ""
}

// Changed is what the events route.trunk_changed, route.number_changed, route.phone_changed, route.barred_changed and
// route.speed_dial_changed carry.
type Changed struct {
	Change string `json:"change" enum:"created,updated,deleted"`
	ID     string `json:"id"`
	Name   string `json:"name" doc:"The line's name, or the number"`
}

// store holds the SQL. It works on a connection and in a transaction alike.
type store struct{ db *gorm.DB }

// all reads a whole table.
func all[T any](s store) (rows []T, err error) {
	if err = s.db.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("load %T: %w", rows, err)
	}
	return rows, nil
}

// phones reads all phones, by name.
func (s store) phones() (map[string]Phone, error) {
	rows, err := all[Phone](s)
	if err != nil {
		return nil, err
	}
	m := make(map[string]Phone, len(rows))
	for _, p := range rows {
		m[p.Name] = p
	}
	return m, nil
}

// calendar says whether the asker's tenant has a calendar of that id.
func (s store) calendar(id string) (bool, error) { return s.has("hours_calendars", "id", id) }

// trunk says whether the asker's tenant has a trunk of that name.
func (s store) trunk(name string) (bool, error) { return s.has("route_trunks", "name", name) }

// flow says whether a number may lead to a flow: the platform's own, which begin with @, or one of the asker's tenant.
func (s store) flow(id string) (bool, error) {
	if strings.HasPrefix(id, "@") {
		return true, nil
	}
	return s.has("ivr_flows", "id", id)
}

// user says whether the asker's tenant has a user of that id.
func (s store) user(id string) (bool, error) { return s.has("user_users", "id", id) }

func (s store) has(table, column, value string) (bool, error) {
	var n int64
	err := auth.InTenant(s.db.Statement.Context, s.db.Table(table), "unit_id").Where(column+" = ?", value).Count(&n).Error
	return n > 0, err
}

// freeName is a fault when the switch has another line of that name: trunks and phones share one set of names there.
func (s store) freeName(other any, name string) error {
	var n int64
	if err := s.db.Model(other).Where("name = ?", name).Count(&n).Error; err != nil {
		return err
	}
	if n > 0 {
		return ErrTaken.With("%s is taken.", name)
	}
	return nil
}

// row is what the tables of this module have in common.
type row interface {
	tidy() // before Check
	Check() error
	about() about
}

// about is what events and the audit log say of a row.
type about struct{ kind, id, unit, owner, name string }

func (t *Trunk) about() about  { return about{kindTrunk, string(t.ID), t.UnitID, "", t.Name} }
func (n *Number) about() about { return about{kindNumber, string(n.ID), n.UnitID, "", n.Number} }
func (p *Phone) about() about  { return about{kindPhone, string(p.ID), p.UnitID, "", p.Name} }
func (b *Barred) about() about { return about{kindBarred, string(b.ID), b.UnitID, "", b.Number} }
func (d *SpeedDial) about() about {
	return about{kindSpeedDial, string(d.ID), d.UnitID, d.Owner, d.Key}
}

func (t *Trunk) tidy() {
	t.Addresses, t.Codecs, t.Classes, t.Callers = list(t.Addresses), list(t.Codecs), list(t.Classes), list(t.Callers)
}
func (n *Number) tidy() {
	n.Service, n.Rules = strings.TrimSpace(n.Service), list(n.Rules)
}
func (p *Phone) tidy()     { p.Codecs = list(p.Codecs) }
func (b *Barred) tidy()    { b.Reason = strings.TrimSpace(b.Reason) }
func (d *SpeedDial) tidy() { d.Label = strings.TrimSpace(d.Label) }

// list is an empty list in place of none, which a column cannot hold.
func list[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// rowOf is a pointer to a T that is a row.
type rowOf[T any] interface {
	*T
	row
}

// create adds a row of the asker's unit, or of the one it names. prepare fills it in and checks what is outside of it.
func create[T any, P rowOf[T]](ctx context.Context, s *Service, r P, prepare func(store) error) error {
	return s.change(ctx, func(st store) (deed, error) {
		if err := prepare(st); err != nil {
			return deed{}, err
		}
		a := r.about()
		if err := s.mayManage(ctx, a); err != nil {
			return deed{}, err
		}
		r.tidy()
		if err := r.Check(); err != nil {
			return deed{}, err
		}
		if err := st.db.Create(r).Error; err != nil {
			return deed{}, taken(a, err)
		}
		return deed{"created", a, nil, r}, nil
	})
}

// update changes one row that the asker may manage. edit changes it in place.
func update[T any, P rowOf[T]](ctx context.Context, s *Service, id string, edit func(store, P) error) (T, error) {
	var now T
	err := s.change(ctx, func(st store) (deed, error) {
		was, err := one[T](ctx, st, id, PermManage)
		if err != nil {
			return deed{}, err
		}
		if err := s.mayManage(ctx, P(&was).about()); err != nil {
			return deed{}, err
		}
		if now, err = one[T](ctx, st, id, PermManage); err != nil { // a copy that shares nothing
			return deed{}, err
		}
		if err := edit(st, P(&now)); err != nil {
			return deed{}, err
		}
		a := P(&now).about()
		if err := s.mayManage(ctx, a); err != nil {
			return deed{}, err
		}
		P(&now).tidy()
		if err := P(&now).Check(); err != nil {
			return deed{}, err
		}
		if err := st.db.Select("*").Omit("id", "created_at").Updates(&now).Error; err != nil {
			return deed{}, taken(a, err)
		}
		return deed{"updated", a, P(&was), P(&now)}, nil
	})
	return now, err
}

// remove deletes one row that the asker may manage. guard can refuse.
func remove[T any, P rowOf[T]](ctx context.Context, s *Service, id string, guard func(store, P) error) error {
	return s.change(ctx, func(st store) (deed, error) {
		was, err := one[T](ctx, st, id, PermManage)
		if err != nil {
			return deed{}, err
		}
		if err := s.mayManage(ctx, P(&was).about()); err != nil {
			return deed{}, err
		}
		if guard != nil {
			if err := guard(st, P(&was)); err != nil {
				return deed{}, err
			}
		}
		if err := st.db.Delete(&was).Error; err != nil {
			return deed{}, err
		}
		return deed{"deleted", P(&was).about(), P(&was), nil}, nil
	})
}

// one reads a row that the asker may see with the permission, or problem.ErrNotFound.
func one[T any](ctx context.Context, st store, id string, perm auth.Permission) (T, error) {
	var r T
	q := auth.Visible(ctx, st.db, perm, "unit_id", "")
	if _, ok := any(r).(SpeedDial); ok {
		q = visibleDials(ctx, st.db)
	}
	err := q.Where("id = ?", id).Take(&r).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return r, problem.ErrNotFound
	}
	return r, err
}

// mayManage says whether a row may stand in its unit. Everyone keeps their own speed dials.
func (s *Service) mayManage(ctx context.Context, a about) error {
	p := auth.From(ctx)
	if a.owner != "" && a.owner == string(p.UserID) && p.Can(PermUse) || p.MayUse(PermManage, a.unit, "") {
		return nil
	}
	if !p.Can(PermManage) {
		return problem.ErrForbidden.With("This needs the permission %s.", PermManage)
	}
	return problem.ErrInvalid.At("body.unit", "invalid", "There is no unit %q that you manage.", a.unit)
}

func taken(a about, err error) error {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrTaken.With("%s is taken.", a.name)
	}
	return fmt.Errorf("save %s %s: %w", a.kind, a.name, err)
}

// deed is a change that was made.
type deed struct {
	change string
	about
	was, now row // one of them may be nil
}

// change makes one change, with its event and its audit entry, and has it in effect here before it returns.
func (s *Service) change(ctx context.Context, f func(store) (deed, error)) error {
	var d deed
	err := db.Tx(ctx, s.db, func(tx *gorm.DB) (err error) {
		if d, err = f(store{tx}); err != nil {
			return err
		}
		e := bus.NewEvent(typeOf(d.kind), d.id, Changed{d.change, d.id, d.name}).For(d.unit, s.path(d.unit))
		e.Owner, e.Perm = d.owner, string(PermRead)
		if d.kind == kindPhone || d.kind == kindSpeedDial {
			e.Perm = string(PermUse)
		}
		if err := s.outbox.Add(tx, e); err != nil {
			return err
		}
		entry := audit.Entry{
			Action: "route." + d.kind + "." + map[string]string{"created": "create", "updated": "update", "deleted": "delete"}[d.change],
			Object: "route." + d.kind, ObjectID: d.id, Unit: auth.UnitID(d.unit),
		}
		if d.was != nil { // a nil row must stay a nil interface
			entry.Before = d.was
		}
		if d.now != nil {
			entry.After = d.now
		}
		if t, ok := d.was.(*Trunk); ok && d.now != nil && t.Password != d.now.(*Trunk).Password {
			entry.Detail = map[string]bool{"password_changed": true}
		}
		if p, ok := d.was.(*Phone); ok && d.now != nil && p.Password != d.now.(*Phone).Password {
			entry.Detail = map[string]bool{"password_changed": true}
		}
		return audit.Add(ctx, tx, entry)
	})
	if err != nil {
		return err
	}
	s.inEffect(context.WithoutCancel(ctx), d)
	return nil
}

// inEffect brings a change into the tables of this process, at once. If the database fails just now, the event brings it.
func (s *Service) inEffect(ctx context.Context, d deed) {
	if d.kind == kindPhone { // there may be very many
		s.mu.Lock()
		if p, ok := d.now.(*Phone); ok {
			s.phones[p.Name] = *p
		} else {
			delete(s.phones, d.name)
		}
		s.mu.Unlock()
		s.kick()
		return
	}
	if d.kind == kindSpeedDial {
		return
	}
	if err := s.load(ctx, d.kind); err != nil {
		s.log.Warn("a change is not in effect yet", "kind", d.kind, "id", d.id, "error", err)
	}
}
