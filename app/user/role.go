package user

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// RoleID names one of the tenant's own roles, or a preset by its name.
type RoleID string

// Role is a set of grants to give to people.
type Role struct {
	ID           RoleID      `json:"id" gorm:"primaryKey;size:36"`
	TenantID     auth.UnitID `json:"-" gorm:"size:36"`
	Name         string      `json:"name" gorm:"size:60"`
	Doc          string      `json:"doc" gorm:"size:500" doc:"What it is for"`
	Grants       auth.Grants `json:"grants" gorm:"serializer:json" doc:"How far each permission reaches: own, team, below or all"`
	SecondFactor bool        `json:"second_factor" doc:"Whoever has it must sign in with a second factor"`
	Preset       bool        `json:"preset" gorm:"-" doc:"Ships with the platform and cannot be changed"`
	CreatedAt    time.Time   `json:"created_at"`
	UpdatedAt    time.Time   `json:"updated_at"`
}

// TableName is for gorm.
func (Role) TableName() string { return "user_roles" }

// Roles lists the presets and then the tenant's own roles by name.
func (s *Service) Roles(ctx context.Context) ([]Role, error) {
	var list, own []Role
	for _, p := range auth.Presets() {
		r := Role{ID: RoleID(p.Name), Name: p.Name, Doc: p.Doc, Grants: auth.PresetGrants(p.Name), Preset: true}
		for _, needs := range s.cfg.SecondFactor {
			r.SecondFactor = r.SecondFactor || needs == p.Name
		}
		list = append(list, r)
	}
	err := s.db.WithContext(ctx).Where("tenant_id = ?", auth.From(ctx).Tenant()).Order("name").Find(&own).Error
	return append(list, own...), err
}

// RoleData is what a role is made of.
type RoleData struct {
	Name         string      `json:"name" minLength:"1" maxLength:"60"`
	Doc          string      `json:"doc,omitempty" maxLength:"500"`
	Grants       auth.Grants `json:"grants" doc:"How far each permission reaches: own, team, below or all"`
	SecondFactor bool        `json:"second_factor,omitempty"`
}

func (d RoleData) check(asker *auth.Principal) error {
	bad := problem.ErrInvalid
	for perm, scope := range d.Grants {
		if !auth.Known(perm) {
			bad = bad.At("body.grants."+string(perm), "unknown", "There is no such permission.")
		} else if scope == auth.Nothing {
			bad = bad.At("body.grants."+string(perm), "not_allowed", "Leave a permission out instead.")
		}
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	if asker.Kind == auth.Platform {
		return nil
	}
	return tooMuch(d.Grants.Beyond(asker.Grants))
}

// CreateRole makes a role of the tenant. Nobody can put more into it than they hold (ErrTooMuch).
func (s *Service) CreateRole(ctx context.Context, in RoleData) (Role, error) {
	asker := auth.From(ctx)
	r := Role{
		ID: RoleID(db.ID()), TenantID: asker.Tenant(), Name: strings.TrimSpace(in.Name), Doc: in.Doc, Grants: in.Grants,
		SecondFactor: in.SecondFactor, CreatedAt: s.now(), UpdatedAt: s.now(),
	}
	if err := in.check(asker); err != nil {
		return r, err
	}
	err := db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		if err := named(tx.Create(&r).Error, r.Name); err != nil {
			return err
		}
		return s.recordRole(ctx, tx, "user.role.create", nil, &r)
	})
	return r, err
}

// UpdateRole changes a role for all who have it.
func (s *Service) UpdateRole(ctx context.Context, id RoleID, in RoleData) (r Role, err error) {
	if err := in.check(auth.From(ctx)); err != nil {
		return r, err
	}
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		if err := tx.Where("id = ? AND tenant_id = ?", id, auth.From(ctx).Tenant()).Take(&r).Error; err != nil {
			return err
		}
		was := r
		r.Name, r.Doc, r.Grants, r.SecondFactor, r.UpdatedAt = strings.TrimSpace(in.Name), in.Doc, in.Grants, in.SecondFactor, s.now()
		err := tx.Model(&Role{ID: id}).Select("name", "doc", "grants", "second_factor", "updated_at").Updates(&r).Error
		if err := named(err, r.Name); err != nil {
			return err
		}
		return s.recordRole(ctx, tx, "user.role.update", &was, &r)
	})
	return r, err
}

// DeleteRole removes a role that nobody has.
func (s *Service) DeleteRole(ctx context.Context, id RoleID) error {
	return db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		var r Role
		if err := tx.Where("id = ? AND tenant_id = ?", id, auth.From(ctx).Tenant()).Take(&r).Error; err != nil {
			return err
		}
		var n int64
		if err := tx.Model(&User{}).Where("tenant_id = ? AND roles LIKE ?", r.TenantID, `%"`+string(id)+`"%`).Count(&n).Error; err != nil {
			return err
		}
		if n > 0 {
			return ErrRoleInUse.With("%d people have it.", n)
		}
		if err := tx.Delete(&Role{ID: id}).Error; err != nil {
			return err
		}
		return s.recordRole(ctx, tx, "user.role.delete", &r, nil)
	})
}

func (s *Service) recordRole(ctx context.Context, tx *gorm.DB, action string, was, is *Role) error {
	e := audit.Entry{Action: action, Object: "user.role"}
	if was != nil {
		e.Before, e.ObjectID, e.Unit = was, string(was.ID), was.TenantID
	}
	if is != nil {
		e.After, e.ObjectID, e.Unit = is, string(is.ID), is.TenantID
	}
	db.AfterCommit(tx, s.known.clear)
	return audit.Add(ctx, tx, e)
}

func named(err error, name string) error {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrNameTaken.With("%s is taken.", name)
	}
	return err
}

// Key lets another system in.
type Key struct {
	ID          auth.KeyID        `json:"id" gorm:"primaryKey;size:36"`
	TenantID    auth.UnitID       `json:"-" gorm:"size:36"`
	UnitID      auth.UnitID       `json:"unit_id" gorm:"size:36" doc:"Its permissions reach this unit and all below"`
	Name        string            `json:"name" gorm:"size:120"`
	SecretHash  string            `json:"-" gorm:"size:64"`
	Hint        string            `json:"hint" gorm:"size:12" doc:"How the secret begins"`
	Permissions []auth.Permission `json:"permissions" gorm:"serializer:json"`
	PerSecond   float64           `json:"per_second" doc:"Requests a second; 0 means the server's default"`
	CreatedBy   auth.UserID       `json:"created_by" gorm:"size:36"`
	CreatedAt   time.Time         `json:"created_at"`
	ExpiresAt   *time.Time        `json:"expires_at" doc:"Null: never"`
	LastUsedAt  *time.Time        `json:"last_used_at" doc:"To the minute"`
	LastAddress string            `json:"last_address" gorm:"size:60"`
	RevokedAt   *time.Time        `json:"revoked_at"`
}

// TableName is for gorm.
func (Key) TableName() string { return "user_keys" }

// NewKey is a key to be made.
type NewKey struct {
	UnitID      auth.UnitID       `json:"unit_id"`
	Name        string            `json:"name" minLength:"1" maxLength:"120" doc:"Which system uses it"`
	Permissions []auth.Permission `json:"permissions" minItems:"1" maxItems:"200"`
	PerSecond   float64           `json:"per_second,omitempty" minimum:"0" maximum:"10000"`
	ExpiresAt   *time.Time        `json:"expires_at,omitempty"`
}

// KeyMade is a key with its secret, which is shown this one time.
type KeyMade struct {
	Key    Key    `json:"key"`
	Secret string `json:"secret" doc:"Shown once. Send it as a bearer token"`
}

// Keys lists the keys of the units that the asker manages keys of, revoked ones too.
func (s *Service) Keys(ctx context.Context) (list []Key, err error) {
	err = auth.Visible(ctx, s.db.WithContext(ctx), ManageKeys, "unit_id", "").Order("created_at DESC, id DESC").Find(&list).Error
	return list, err
}

// CreateKey makes a key. Nobody can give it more than they hold (ErrTooMuch).
func (s *Service) CreateKey(ctx context.Context, in NewKey) (KeyMade, error) {
	grants, bad := auth.Grants{}, problem.ErrInvalid
	for i, p := range in.Permissions {
		if !auth.Known(p) {
			bad = bad.At(fmt.Sprintf("body.permissions[%d]", i), "unknown", "There is no permission %s.", p)
		}
		grants[p] = auth.Below
	}
	if in.ExpiresAt != nil && !in.ExpiresAt.After(s.now()) {
		bad = bad.At("body.expires_at", "out_of_range", "It is in the past.")
	}
	if len(bad.Fields) > 0 {
		return KeyMade{}, bad
	}
	token := secret(keyPrefix)
	k := Key{
		ID: auth.KeyID(db.ID()), UnitID: in.UnitID, Name: strings.TrimSpace(in.Name), SecretHash: digest(token),
		Hint: token[:len(keyPrefix)+4], Permissions: in.Permissions, PerSecond: in.PerSecond, ExpiresAt: in.ExpiresAt,
		CreatedBy: auth.From(ctx).UserID, CreatedAt: s.now(),
	}
	err := db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		unit, err := store{tx}.manageableUnit(ctx, ManageKeys, in.UnitID)
		if err != nil {
			return err
		}
		if err := tooMuch(mayGive(auth.From(ctx), grants, unit.Path)); err != nil {
			return err
		}
		k.TenantID = unit.Tenant()
		if err := tx.Create(&k).Error; err != nil {
			return err
		}
		return audit.Add(ctx, tx, audit.Entry{Action: "user.key.create", Object: "user.key", ObjectID: string(k.ID), Unit: k.UnitID, After: k})
	})
	return KeyMade{k, token}, err
}

// RevokeKey ends a key for good. One that is revoked already is no error.
func (s *Service) RevokeKey(ctx context.Context, id auth.KeyID) error {
	return db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		var k Key
		if err := auth.Visible(ctx, tx, ManageKeys, "unit_id", "").Where("id = ?", id).Take(&k).Error; err != nil || k.RevokedAt != nil {
			return err
		}
		if err := tx.Model(&Key{ID: id}).Update("revoked_at", s.now()).Error; err != nil {
			return err
		}
		db.AfterCommit(tx, s.known.clear)
		return audit.Add(ctx, tx, audit.Entry{
			Action: "user.key.revoke", Object: "user.key", ObjectID: string(k.ID), Unit: k.UnitID, Detail: map[string]any{"name": k.Name},
		})
	})
}

func (s *Service) byKey(ctx context.Context, hash string) (*auth.Principal, error) {
	d := s.db.WithContext(ctx)
	var k Key
	err := d.Where("secret_hash = ?", hash).Take(&k).Error
	now := s.now()
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return nil, auth.ErrUnauthorized
	case err != nil:
		return nil, fmt.Errorf("load key: %w", err)
	case k.RevokedAt != nil, k.ExpiresAt != nil && !now.Before(*k.ExpiresAt):
		return nil, auth.ErrUnauthorized.With("The key was revoked or is too old.")
	}
	unit, err := store{d}.unit(k.UnitID)
	if err != nil {
		return nil, fmt.Errorf("unit of key %s: %w", k.ID, err)
	}
	reach := auth.Below
	if unit.ParentID == "" { // the tenant's own key reaches all of it
		reach = auth.All
	}
	grants := auth.Grants{}
	for _, p := range k.Permissions {
		if auth.Known(p) {
			grants[p] = reach
		}
	}
	if k.LastUsedAt == nil || now.Sub(*k.LastUsedAt) >= touchEvery {
		err := d.Model(&Key{ID: k.ID}).Updates(map[string]any{"last_used_at": now, "last_address": auth.RequestFrom(ctx).Address}).Error
		if err != nil {
			return nil, fmt.Errorf("touch key: %w", err)
		}
	}
	return &auth.Principal{
		Kind: auth.Key, KeyID: k.ID, Login: k.Name, Name: k.Name, Language: Languages[1], UnitID: k.UnitID, UnitPath: unit.Path,
		Grants: grants, Tree: s.tree, PerSecond: k.PerSecond,
	}, nil
}
