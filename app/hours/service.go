package hours

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/outbox"
	"callplane/app/kernel/problem"
)

// Permissions. Everybody of a tenant who holds hours:read sees all its calendars, because units use those of others.
var (
	PermRead   = auth.Define("hours:read", "see opening hours", auth.Supervisor, auth.Agent, auth.QA, auth.Dispatcher, auth.Auditor, auth.Integrator)
	PermManage = auth.Define("hours:manage", "create and change opening hours", auth.Supervisor, auth.Integrator)
)

// Errors.
var (
	ErrTaken = problem.New(problem.Conflict, "calendar_name_taken", "The unit has a calendar of this name")
	ErrInUse = problem.New(problem.Conflict, "calendar_in_use", "Something follows this calendar")
)

// EventChanged is the type of the event that follows every change of a calendar; its data is a Changed.
const EventChanged = "hours.calendar_changed"

// Changed is what EventChanged carries.
type Changed struct {
	Change string `json:"change" enum:"created,updated,deleted"`
	ID     ID     `json:"id"`
	Name   string `json:"name"`
}

// entry is a calendar in memory.
type entry struct {
	unit     string
	name     string
	calendar *Calendar
}

// Service keeps all calendars in memory and answers from there.
type Service struct {
	log    *slog.Logger
	db     *gorm.DB
	outbox *outbox.Outbox
	bus    *bus.Bus
	tree   auth.Tree
	inUse  []func(tx *gorm.DB, id ID) (what string, err error)

	loads sync.Mutex // one load at a time
	mu    sync.RWMutex
	all   map[ID]entry
}

// New makes the service, without calendars until Load.
func New(kit *kernel.Kit, tree auth.Tree) *Service {
	return &Service{log: kit.Log.With("module", "hours"), db: kit.DB, outbox: kit.Outbox, bus: kit.Bus, tree: tree}
}

// KeepCalendars has f asked before a calendar is removed: if it names what follows the calendar ("number 4001"), the calendar
// stays. It is called while the platform is put together.
func (s *Service) KeepCalendars(f func(tx *gorm.DB, id ID) (what string, err error)) {
	s.inUse = append(s.inUse, f)
}

// Open reports whether a calendar is open at that time, and its name; ok is false when there is no such calendar.
func (s *Service) Open(id ID, at time.Time) (open bool, name string, ok bool) {
	e, ok := s.find(id)
	return ok && e.calendar.Open(at), e.name, ok
}

// Next is when the calendar opens or closes next after that time; ok is false when there is no such calendar or it never changes.
func (s *Service) Next(id ID, after time.Time) (at time.Time, open, ok bool) {
	e, ok := s.find(id)
	if !ok {
		return time.Time{}, false, false
	}
	return e.calendar.Next(after)
}

// Named finds the calendar of a name, or id, that counts in a unit: the unit's own, or that of the nearest unit above it.
func (s *Service) Named(unitPath, name string) (found ID, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	nearest := -1
	for id, e := range s.all {
		if at := strings.Index(unitPath, "/"+e.unit+"/"); at > nearest && (e.name == name || string(id) == name) {
			found, nearest = id, at
		}
	}
	return found, nearest >= 0
}

func (s *Service) find(id ID) (entry, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	e, ok := s.all[id]
	return e, ok
}

// Load reads all calendars. Run does it too; called before Run, the first question finds them.
func (s *Service) Load(ctx context.Context) error {
	s.loads.Lock()
	defer s.loads.Unlock()
	rows, err := store{s.db.WithContext(ctx)}.all()
	if err != nil {
		return err
	}
	all := make(map[ID]entry, len(rows))
	for _, r := range rows {
		c, err := NewCalendar(r.Plan)
		if err != nil {
			s.log.Error("calendar cannot be read", "calendar_id", r.ID, "error", err)
			continue
		}
		all[r.ID] = entry{r.UnitID, r.Name, c}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = all
	return nil
}

// Run follows changes made on other nodes until ctx is done. While the stream or the database cannot be read, it tries again; the
// calendars stay as they were.
func (s *Service) Run(ctx context.Context) error {
	for retry := time.Second; ctx.Err() == nil; retry = min(2*retry, time.Minute) {
		err := s.follow(ctx, func() { retry = time.Second })
		if ctx.Err() != nil {
			break
		}
		s.log.Warn("cannot follow changes; trying again", "error", err, "in", retry)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
	return nil
}

func (s *Service) follow(ctx context.Context, works func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seq, err := s.bus.LastSeq(ctx)
	if err != nil {
		return err
	}
	news, err := s.bus.Tail(ctx, seq, EventChanged)
	if err != nil {
		return err
	}
	for {
		if err := s.Load(ctx); err != nil {
			return err
		}
		works()
		if _, ok := <-news; !ok {
			return errors.New("the event stream ended")
		}
	}
}

// Edit is a new calendar, or what is to change of one: what is not sent stays as it is.
type Edit struct {
	Unit *string `json:"unit,omitempty" maxLength:"36" doc:"The unit it belongs to; without it, your own"`
	Name *string `json:"name,omitempty" maxLength:"100" doc:"Needed for a new one"`
	Plan *Plan   `json:"plan,omitempty" doc:"Needed for a new one; it is replaced as a whole"`
}

// Create adds a calendar. Errors: problem.ErrInvalid, ErrTaken.
func (s *Service) Create(ctx context.Context, e Edit) (Row, error) {
	r := Row{ID: ID(db.ID()), UnitID: string(auth.From(ctx).UnitID), CreatedAt: db.Now()}
	err := s.change(ctx, "created", func(st store) (was, now *Row, err error) {
		if err := r.edit(ctx, e); err != nil {
			return nil, nil, err
		}
		return nil, &r, taken(r, st.db.Create(&r).Error)
	})
	return r, err
}

// Change changes a calendar. Errors: problem.ErrNotFound, problem.ErrInvalid, ErrTaken.
func (s *Service) Change(ctx context.Context, id ID, e Edit) (r Row, err error) {
	err = s.change(ctx, "updated", func(st store) (*Row, *Row, error) {
		was, err := st.manageable(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		r = was
		if err := r.edit(ctx, e); err != nil {
			return nil, nil, err
		}
		return &was, &r, taken(r, st.db.Select("*").Omit("id", "created_at").Updates(&r).Error)
	})
	return r, err
}

// Delete removes a calendar. Errors: problem.ErrNotFound; ErrInUse while something follows it.
func (s *Service) Delete(ctx context.Context, id ID) error {
	return s.change(ctx, "deleted", func(st store) (*Row, *Row, error) {
		was, err := st.manageable(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range s.inUse {
			if what, err := f(st.db, id); err != nil {
				return nil, nil, err
			} else if what != "" {
				return nil, nil, ErrInUse.With("%s follows %s.", what, was.Name)
			}
		}
		return &was, nil, st.db.Delete(&was).Error
	})
}

// edit puts the changes in and checks the outcome.
func (r *Row) edit(ctx context.Context, e Edit) error {
	if e.Unit != nil {
		r.UnitID = *e.Unit
	}
	if e.Name != nil {
		r.Name = strings.TrimSpace(*e.Name)
	}
	if e.Plan != nil {
		r.Plan = *e.Plan
	}
	r.UpdatedAt = db.Now()
	faults := problem.ErrInvalid
	if !auth.From(ctx).MayUse(PermManage, r.UnitID, "") {
		faults = faults.At("body.unit", "invalid", "There is no unit %q that you manage.", r.UnitID)
	}
	if r.Name == "" {
		faults = faults.At("body.name", "required", "Give it a name.")
	}
	if _, err := NewCalendar(r.Plan); err != nil {
		if p, ok := errors.AsType[*problem.Problem](err); ok {
			for _, f := range p.Fields {
				faults = faults.At(f.Pointer, f.Name, "%s", f.Detail)
			}
		}
	}
	if len(faults.Fields) > 0 {
		return faults
	}
	return nil
}

func taken(r Row, err error) error {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrTaken.With("The unit has a calendar %s already.", r.Name)
	}
	if err != nil {
		return fmt.Errorf("save calendar %s: %w", r.Name, err)
	}
	return nil
}

// change makes one change, with its event and its audit entry, and has it in effect here before it returns.
func (s *Service) change(ctx context.Context, verb string, f func(store) (was, now *Row, err error)) error {
	err := db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		was, now, err := f(store{tx})
		if err != nil {
			return err
		}
		r := now
		entry := audit.Entry{Action: "hours.calendar." + strings.TrimSuffix(verb, "d"), Object: "hours.calendar"}
		if was != nil {
			entry.Before = was
		}
		if now != nil {
			entry.After = now
		} else {
			r = was
		}
		entry.ObjectID, entry.Unit = string(r.ID), auth.UnitID(r.UnitID)
		e := bus.NewEvent(EventChanged, string(r.ID), Changed{verb, r.ID, r.Name}).For(r.UnitID, s.tree.Path(auth.UnitID(r.UnitID)))
		e.Perm = string(PermRead)
		if err := s.outbox.Add(tx, e); err != nil {
			return err
		}
		return audit.Add(ctx, tx, entry)
	})
	if err != nil {
		return err
	}
	if err := s.Load(context.WithoutCancel(ctx)); err != nil {
		s.log.Warn("a change of a calendar is not in effect yet", "error", err)
	}
	return nil
}

// UnitHolds says how many calendars a unit still holds, or "". It is for user.Service.KeepUnits.
func (s *Service) UnitHolds(ctx context.Context, unit auth.UnitID) (what string, err error) {
	var n int64
	if err := s.db.WithContext(ctx).Model(&Row{}).Where("unit_id = ?", unit).Count(&n).Error; err != nil || n == 0 {
		return "", err
	}
	return fmt.Sprintf("%d calendars", n), nil
}
