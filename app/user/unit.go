package user

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// Unit is a node of the organisation tree. A root is a tenant. By default tenants have departments, departments have
// teams and teams have seats, but any depth and any word for a kind will do.
type Unit struct {
	ID        auth.UnitID `json:"id" gorm:"primaryKey;size:36"`
	ParentID  auth.UnitID `json:"parent_id" gorm:"size:36" doc:"Empty for a tenant"`
	Name      string      `json:"name" gorm:"size:120" doc:"Unique below its parent"`
	Kind      string      `json:"kind" gorm:"size:20" doc:"tenant, department, team, seat, or a word of your own"`
	Path      string      `json:"path" gorm:"size:700" doc:"The ids from the root to here: /root/dept/team/"`
	CreatedAt time.Time   `json:"created_at"`
	UpdatedAt time.Time   `json:"updated_at"`
}

// TableName is for gorm.
func (Unit) TableName() string { return "user_units" }

// Models is every table of the module.
func Models() []any { return []any{User{}, Unit{}, Role{}, Key{}, Session{}} }

// Tenant is the root above it, or itself.
func (u Unit) Tenant() auth.UnitID { return auth.UnitID(strings.Trim(auth.RootPath(u.Path), "/")) }

// maxPath is how long a path may be: 63 levels.
const maxPath = 700

// newUnit makes a unit below the parent; below an empty one, a tenant.
func newUnit(parent Unit, name, kind string, now time.Time) Unit {
	id := strings.ToLower(rand.Text()[:10]) // 50 bits; the primary key catches the rest
	path := parent.Path
	if path == "" {
		path = "/"
	}
	return Unit{
		ID: auth.UnitID(id), ParentID: parent.ID, Name: strings.TrimSpace(name), Kind: kind, Path: path + id + "/",
		CreatedAt: now, UpdatedAt: now,
	}
}

// kindBelow is the usual kind of a unit below another.
func kindBelow(kind string) string {
	switch kind {
	case "tenant":
		return "department"
	case "department":
		return "team"
	}
	return "seat"
}

// Units lists the units that the asker may see, each after its parent.
func (s *Service) Units(ctx context.Context) (list []Unit, err error) {
	err = auth.Visible(ctx, s.db.WithContext(ctx), Read, "id", "").Order("path").Find(&list).Error
	return list, err
}

// NewUnit is a unit to be made.
type NewUnit struct {
	ParentID auth.UnitID `json:"parent_id"`
	Name     string      `json:"name" minLength:"1" maxLength:"120"`
	Kind     string      `json:"kind,omitempty" maxLength:"20" doc:"Default: what usually stands below the parent"`
}

// CreateUnit makes a unit below one that the asker manages.
func (s *Service) CreateUnit(ctx context.Context, in NewUnit) (u Unit, err error) {
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		parent, err := store{tx}.manageableUnit(ctx, ManageUnits, in.ParentID)
		if err != nil {
			return err
		}
		if in.Kind == "" {
			in.Kind = kindBelow(parent.Kind)
		}
		u = newUnit(parent, in.Name, in.Kind, s.now())
		if len(u.Path) > maxPath {
			return problem.ErrInvalid.At("body.parent_id", "too_deep", "The tree would be too deep.")
		}
		if err := (store{tx}).createUnit(&u); err != nil {
			return err
		}
		return s.recordUnit(ctx, tx, "user.unit.create", nil, &u)
	})
	return u, err
}

// CreateTenant makes a root unit. Only the platform itself may: it is for the command line.
func (s *Service) CreateTenant(ctx context.Context, name string) (u Unit, err error) {
	if auth.From(ctx).Kind != auth.Platform {
		return u, problem.ErrForbidden
	}
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		u = newUnit(Unit{}, name, "tenant", s.now())
		if err := (store{tx}).createUnit(&u); err != nil {
			return err
		}
		return s.recordUnit(ctx, tx, "user.unit.create", nil, &u)
	})
	return u, err
}

// UnitChange is what to change of a unit; nil fields stay.
type UnitChange struct {
	Name     *string      `json:"name,omitempty" minLength:"1" maxLength:"120"`
	Kind     *string      `json:"kind,omitempty" maxLength:"20"`
	ParentID *auth.UnitID `json:"parent_id,omitempty" doc:"Moves the unit, and all below it, there"`
}

// UpdateUnit renames or moves a unit. A tenant cannot be moved, nothing can be moved to another tenant, and nobody can
// move the unit they stand in. Errors: ErrUnitCycle, ErrNameTaken.
func (s *Service) UpdateUnit(ctx context.Context, id auth.UnitID, c UnitChange) (u Unit, err error) {
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		st := store{tx}
		was, err := st.manageableUnit(ctx, ManageUnits, id)
		if err != nil {
			return err
		}
		u = was
		set(&u.Name, c.Name)
		set(&u.Kind, c.Kind)
		u.Name, u.UpdatedAt = strings.TrimSpace(u.Name), s.now()
		if c.ParentID != nil && *c.ParentID != was.ParentID {
			parent, err := st.manageableUnit(ctx, ManageUnits, *c.ParentID)
			switch {
			case err != nil:
				return err
			case strings.HasPrefix(parent.Path, was.Path):
				return ErrUnitCycle
			case was.ParentID == "" || parent.Tenant() != was.Tenant():
				return problem.ErrNotFound.With("No such unit in this tenant.")
			case strings.HasPrefix(auth.From(ctx).UnitPath, was.Path):
				return ErrOwnAccount.With("Nobody can move the unit they stand in.")
			}
			u.ParentID, u.Path = parent.ID, parent.Path+string(u.ID)+"/"
			if err := st.moveUnits(was.Path, u.Path, s.now()); err != nil {
				return err
			}
		}
		err = tx.Model(&Unit{ID: id}).Select("name", "kind", "parent_id", "updated_at").Updates(&u).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return ErrNameTaken.With("There is a unit %s there already.", u.Name)
		}
		if err != nil {
			return err
		}
		return s.recordUnit(ctx, tx, "user.unit.update", &was, &u)
	})
	return u, err
}

// DeleteUnit removes a unit that holds nothing: no units, people, keys, nor anything of other modules.
func (s *Service) DeleteUnit(ctx context.Context, id auth.UnitID) error {
	s.mu.Lock()
	asks := s.inUse
	s.mu.Unlock()
	for _, ask := range asks {
		if what, err := ask(ctx, id); err != nil {
			return err
		} else if what != "" {
			return ErrUnitInUse.With("It still holds %s.", what)
		}
	}
	return db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		u, err := store{tx}.manageableUnit(ctx, ManageUnits, id)
		if err != nil {
			return err
		}
		for what, q := range map[string]*gorm.DB{
			"units":    tx.Model(&Unit{}).Where("parent_id = ?", id),
			"people":   tx.Model(&User{}).Where("unit_id = ?", id),
			"API keys": tx.Model(&Key{}).Where("unit_id = ? AND revoked_at IS NULL", id),
		} {
			var n int64
			if err := q.Count(&n).Error; err != nil {
				return err
			}
			if n > 0 || u.ParentID == "" {
				return ErrUnitInUse.With("It still holds %s.", what)
			}
		}
		if err := tx.Delete(&Unit{ID: id}).Error; err != nil {
			return err
		}
		return s.recordUnit(ctx, tx, "user.unit.delete", &u, nil)
	})
}

func (s *Service) recordUnit(ctx context.Context, tx *gorm.DB, action string, was, is *Unit) error {
	entry := audit.Entry{Action: action, Object: "user.unit"}
	about := is
	if was != nil {
		entry.Before = was
		about = was
	}
	if is != nil {
		entry.After = is
		about = is
	}
	entry.ObjectID, entry.Unit = string(about.ID), about.ID
	if is == nil {
		entry.Unit = about.ParentID
	}
	e := bus.NewEvent("user.unit_changed", string(about.ID), about).For(string(about.ID), about.Path)
	if err := s.outbox.Add(tx, e); err != nil {
		return err
	}
	db.AfterCommit(tx, func() {
		s.tree.forget()
		s.known.clear()
	})
	return audit.Add(ctx, tx, entry)
}

// tree keeps the paths of all units in memory, for at most staleness.
type tree struct {
	db  *gorm.DB
	now func() time.Time

	mu    sync.Mutex
	paths map[auth.UnitID]string
	at    time.Time
}

// Path is where the unit stands; empty if it is unknown. If the database is down, it is what was known before.
func (t *tree) Path(id auth.UnitID) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.now().Sub(t.at) >= staleness {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if fresh, err := t.load(ctx); err == nil {
			t.paths = fresh
		}
		t.at = t.now()
	}
	return t.paths[id]
}

func (t *tree) load(ctx context.Context) (map[auth.UnitID]string, error) {
	var list []Unit
	if err := t.db.WithContext(ctx).Select("id", "path").Find(&list).Error; err != nil {
		return nil, fmt.Errorf("load units: %w", err)
	}
	paths := make(map[auth.UnitID]string, len(list))
	for _, u := range list {
		paths[u.ID] = u.Path
	}
	return paths, nil
}

func (t *tree) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = time.Time{}
}
