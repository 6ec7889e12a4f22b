package user

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/problem"
)

// store holds the SQL of this module. It works on a connection and in a transaction alike.
type store struct{ db *gorm.DB }

// visibleUser is the person if the asker may see them with the permission, else problem.ErrNotFound.
func (s store) visibleUser(ctx context.Context, perm auth.Permission, id auth.UserID) (u User, err error) {
	err = auth.Visible(ctx, s.db, perm, "unit_id", "id").Where("id = ?", id).Take(&u).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return u, problem.ErrNotFound.With("No such user.")
	}
	return u, err
}

// manageableUser is a person whom the asker may change: within sight, and without any right that the asker lacks.
func (s store) manageableUser(ctx context.Context, id auth.UserID) (User, error) {
	u, err := s.visibleUser(ctx, Manage, id)
	if err != nil || u.ID == auth.From(ctx).UserID {
		return u, err
	}
	unit, err := s.unit(u.UnitID)
	if err != nil {
		return u, err
	}
	grants, err := s.grants(u.TenantID, u.Roles)
	if err != nil && !errors.Is(err, problem.ErrInvalid) { // a role that is gone gives nothing
		return u, err
	}
	return u, tooMuch(mayGive(auth.From(ctx), grants, unit.Path))
}

func (s store) user(id auth.UserID) (u User, err error) {
	err = s.db.Where("id = ?", id).Take(&u).Error
	return u, err
}

// byLogin finds a person; an empty tenant finds one only if no other tenant has the login too.
func (s store) byLogin(tenant auth.UnitID, login string) (User, error) {
	q := s.db.Where("login = ?", login)
	if tenant != "" {
		q = q.Where("tenant_id = ?", tenant)
	}
	var found []User
	if err := q.Limit(2).Find(&found).Error; err != nil {
		return User{}, fmt.Errorf("find login: %w", err)
	}
	if len(found) != 1 {
		return User{}, problem.ErrNotFound.With("No such user.")
	}
	return found[0], nil
}

func (s store) countUsers() (n int64, err error) {
	err = s.db.Model(&User{}).Count(&n).Error
	return n, err
}

func (s store) createUser(u *User) error {
	if u.History == nil {
		u.History = []string{}
	}
	if u.Recovery == nil {
		u.Recovery = []string{}
	}
	err := s.db.Create(u).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrLoginTaken.With("%s is taken.", u.Login)
	}
	return err
}

// save writes the named columns of a person.
func (s store) save(u *User, columns ...string) error {
	return s.db.Model(&User{ID: u.ID}).Select(columns).Updates(u).Error
}

// reserve counts an attempt to sign in before it is tried, so that many at once cannot outrun the count. The last one
// allowed locks the account at once; a good one unlocks it again. False: the account is locked.
func (s store) reserve(u *User, now time.Time, lockAfter int, lockFor time.Duration) (bool, error) {
	for range 20 {
		was := u.Failed
		if u.Locked(now) {
			return false, nil
		}
		if u.LockedUntil != nil || u.Failed >= lockAfter { // a lock that has ended
			u.Failed = 0
		}
		u.LockedUntil = nil
		if u.Failed++; u.Failed >= lockAfter {
			until := now.Add(lockFor)
			u.LockedUntil = &until
		}
		res := s.db.Model(&User{}).Where("id = ? AND failed = ?", u.ID, was).
			Updates(map[string]any{"failed": u.Failed, "locked_until": u.LockedUntil})
		if res.Error != nil || res.RowsAffected == 1 {
			return res.Error == nil, res.Error
		}
		fresh, err := s.user(u.ID)
		if err != nil {
			return false, err
		}
		*u = fresh
	}
	return false, nil // so many at once are an attack
}

// release takes back an attempt that was neither right nor wrong.
func (s store) release(id auth.UserID) error {
	return s.db.Model(&User{}).Where("id = ? AND failed > 0", id).
		Updates(map[string]any{"failed": gorm.Expr("failed - 1"), "locked_until": nil}).Error
}

// useStep marks a code's time step as used. False: it was used already.
func (s store) useStep(id auth.UserID, step int64) (bool, error) {
	res := s.db.Model(&User{}).Where("id = ? AND totp_step < ?", id, step).Update("totp_step", step)
	return res.RowsAffected == 1, res.Error
}

// grants joins what the roles hold. An unknown role is ErrInvalid; the grants of the others come with it.
func (s store) grants(tenant auth.UnitID, roles []string) (auth.Grants, error) {
	g := auth.Grants{}
	var own []string
	for _, name := range roles {
		if preset := auth.PresetGrants(name); preset != nil {
			g.Add(preset)
		} else {
			own = append(own, name)
		}
	}
	if len(own) == 0 {
		return g, nil
	}
	var found []Role
	if err := s.db.Where("tenant_id = ? AND id IN ?", tenant, own).Find(&found).Error; err != nil {
		return nil, fmt.Errorf("load roles: %w", err)
	}
	for _, r := range found {
		g.Add(r.Grants)
	}
	for _, id := range own {
		if !slices.ContainsFunc(found, func(r Role) bool { return string(r.ID) == id }) {
			return g, problem.ErrInvalid.At("body.roles", "unknown", "There is no role %s.", id)
		}
	}
	return g, nil
}

func (s store) unit(id auth.UnitID) (u Unit, err error) {
	err = s.db.Where("id = ?", id).Take(&u).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return u, problem.ErrNotFound.With("No such unit.")
	}
	return u, err
}

// manageableUnit is a unit within reach of the asker's permission, else problem.ErrNotFound.
func (s store) manageableUnit(ctx context.Context, perm auth.Permission, id auth.UnitID) (u Unit, err error) {
	err = auth.Visible(ctx, s.db, perm, "id", "").Where("id = ?", id).Take(&u).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return u, problem.ErrNotFound.With("No such unit.")
	}
	return u, err
}

// firstRoot is the oldest tenant, or an empty unit.
func (s store) firstRoot() (Unit, error) {
	var roots []Unit
	err := s.db.Where("parent_id = ''").Order("created_at, id").Limit(1).Find(&roots).Error
	if err != nil || len(roots) == 0 {
		return Unit{}, err
	}
	return roots[0], nil
}

func (s store) createUnit(u *Unit) error {
	err := s.db.Create(u).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrNameTaken.With("There is a unit %s there already.", u.Name)
	}
	return err
}

// moveUnits puts everything at the path from, and below, at the path to.
func (s store) moveUnits(from, to string, now time.Time) error {
	var list []Unit
	if err := s.db.Where("path LIKE ?", from+"%").Order("path").Find(&list).Error; err != nil {
		return err
	}
	for _, u := range list {
		path := to + strings.TrimPrefix(u.Path, from)
		if len(path) > maxPath {
			return problem.ErrInvalid.At("body.parent_id", "too_deep", "The tree would be too deep.")
		}
		if err := s.db.Model(&Unit{}).Where("id = ?", u.ID).Updates(map[string]any{"path": path, "updated_at": now}).Error; err != nil {
			return err
		}
	}
	return nil
}
