package crm

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/outbox"
	"callplane/app/kernel/problem"
)

// Permissions.
var (
	PermRead   = auth.Define("crm:read", "see customers", auth.Agent.At(auth.All), auth.Supervisor.At(auth.All), auth.QA, auth.Dispatcher.At(auth.All), auth.Auditor, auth.Integrator)
	PermManage = auth.Define("crm:manage", "create and change customers", auth.Agent.At(auth.All), auth.Supervisor.At(auth.All), auth.Dispatcher.At(auth.All), auth.Integrator)
)

// EventChanged is the type of the event that follows every change of a customer; its data is a Changed.
const EventChanged = "crm.customer_changed"

// Changed is what EventChanged carries.
type Changed struct {
	Change string `json:"change" enum:"created,updated"`
	Customer
}

// Service keeps customers.
type Service struct {
	log       *slog.Logger
	db        *gorm.DB
	outbox    *outbox.Outbox
	tree      auth.Tree
	normalise func(raw string) (number string, ok bool)
}

// New makes the service. normalise writes a number as it is kept; ok says that it is a public one.
func New(kit *kernel.Kit, tree auth.Tree, normalise func(raw string) (number string, ok bool)) *Service {
	return &Service{kit.Log.With("module", "crm"), kit.DB, kit.Outbox, tree, normalise}
}

// tenant is the root above the unit. A unit that is gone stands for itself.
func (s *Service) tenant(unit string) string {
	if root := strings.Trim(auth.RootPath(s.tree.Path(auth.UnitID(unit))), "/"); root != "" {
		return root
	}
	return unit
}

// Identify finds the customer of a number in the unit's tenant, or makes one in the unit, in the transaction tx. number is as route
// normalises it; for a withheld one, and for what is no number, the answer is "". name is what the caller's side sent, and used for
// a new customer only. Asked twice, or by two at once, it gives the same customer; it writes nothing when there is one.
func (s *Service) Identify(ctx context.Context, tx *gorm.DB, unit, number, name string) (customerID string, err error) {
	if !isNumber(number) {
		return "", nil
	}
	tx = tx.Session(&gorm.Session{NewDB: true, Context: ctx})
	st, tenant := store{tx}, s.tenant(unit)
	var known Number
	found := tx.Where("tenant_id = ? AND number = ?", tenant, number).Limit(1).Find(&known)
	if found.Error != nil || found.RowsAffected > 0 {
		return string(known.CustomerID), found.Error
	}
	c := Customer{ID: ID(db.ID()), UnitID: unit, Name: cut(name, number), Numbers: []string{number}, CreatedAt: db.Now(), UpdatedAt: db.Now()}
	owner, err := st.owner(tenant, unit, number, c.ID)
	if err != nil || owner != c.ID {
		return string(owner), err
	}
	if err := tx.Create(&c).Error; err != nil {
		return "", err
	}
	return string(c.ID), s.tell(tx, "created", c)
}

// cut is the name as it fits the column; a name that only repeats the number is none.
func cut(name, number string) string {
	name = strings.TrimSpace(strings.ToValidUTF8(name, ""))
	if isNumber(name) || name == number {
		return ""
	}
	if r := []rune(name); len(r) > 120 {
		return string(r[:120])
	}
	return name
}

func (s *Service) tell(tx *gorm.DB, change string, c Customer) error {
	e := bus.NewEvent(EventChanged, string(c.ID), Changed{change, c}).For(c.UnitID, s.tree.Path(auth.UnitID(c.UnitID)))
	e.Perm = string(PermRead)
	return s.outbox.Add(tx, e)
}

// Customer reads one. Error: problem.ErrNotFound.
func (s *Service) Customer(ctx context.Context, id ID) (Customer, error) {
	return store{s.db.WithContext(ctx)}.customer(ctx, id, PermRead)
}

// Create adds a customer. Errors: problem.ErrInvalid, ErrNumberTaken.
func (s *Service) Create(ctx context.Context, e Edit) (Customer, error) {
	c := Customer{ID: ID(db.ID()), UnitID: string(auth.From(ctx).UnitID), Numbers: []string{}, CreatedAt: db.Now()}
	err := db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		if err := s.edit(ctx, &c, e); err != nil {
			return err
		}
		if err := tx.Create(&c).Error; err != nil {
			return err
		}
		return s.save(ctx, tx, nil, c)
	})
	return c, err
}

// Change changes a customer. Errors: problem.ErrNotFound, problem.ErrInvalid, ErrNumberTaken.
func (s *Service) Change(ctx context.Context, id ID, e Edit) (c Customer, err error) {
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		was, err := store{tx}.customer(ctx, id, PermManage)
		if err != nil {
			return err
		}
		c = was
		if err := s.edit(ctx, &c, e); err != nil {
			return err
		}
		if s.tenant(c.UnitID) != s.tenant(was.UnitID) {
			return problem.ErrInvalid.At("body.unit", "invalid", "A customer cannot move to another tenant.")
		}
		if err := tx.Select("*").Omit("id", "created_at").Updates(&c).Error; err != nil {
			return err
		}
		return s.save(ctx, tx, &was, c)
	})
	return c, err
}

// edit puts the changes in and checks the outcome.
func (s *Service) edit(ctx context.Context, c *Customer, e Edit) error {
	if err := c.put(e, s.normalise); err != nil {
		return err
	}
	c.UpdatedAt = db.Now()
	if !auth.From(ctx).MayUse(PermManage, c.UnitID, "") {
		return problem.ErrInvalid.At("body.unit", "invalid", "There is no unit %q whose customers you manage.", c.UnitID)
	}
	return nil
}

// save writes the numbers, the event and the audit entry of a change.
func (s *Service) save(ctx context.Context, tx *gorm.DB, was *Customer, c Customer) error {
	change, before := "created", []string(nil)
	if was != nil {
		change, before = "updated", was.Numbers
	}
	if err := (store{tx}).setNumbers(s.tenant(c.UnitID), c, before); err != nil {
		return err
	}
	if err := s.tell(tx, change, c); err != nil {
		return err
	}
	entry := audit.Entry{
		Action: "crm.customer." + strings.TrimSuffix(change, "d"), Object: "crm.customer", ObjectID: string(c.ID),
		Unit: auth.UnitID(c.UnitID), After: c,
	}
	if was != nil {
		entry.Before = *was
	}
	return audit.Add(ctx, tx, entry)
}

// Filter says which customers to list. Empty fields match all.
type Filter struct {
	Query  string `query:"q" maxLength:"100" required:"false" doc:"Part of the name, or a number in any notation, or its start"`
	Number string `query:"number" maxLength:"40" required:"false" doc:"Exactly this number, in any notation"`
	Grade  string `query:"grade" maxLength:"20" required:"false"`
	Unit   string `query:"unit" maxLength:"36" required:"false"`
}

var likeText = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// Search lists customers that the asker may see, the latest first.
func (s *Service) Search(ctx context.Context, f Filter, p api.Paging) (api.Page[Customer], error) {
	d := s.db.WithContext(ctx)
	q := auth.Visible(ctx, d, PermRead, "unit_id", "")
	having := func(where string, args ...any) *gorm.DB {
		return d.Model(&Number{}).Select("customer_id").Where(where, args...)
	}
	if f.Number != "" {
		n, _ := s.normalise(f.Number)
		q = q.Where("id IN (?)", having("number = ?", n))
	}
	if text := strings.TrimSpace(f.Query); text != "" {
		name := "%" + likeText.Replace(text) + "%"
		if n, _ := s.normalise(text); isNumber(n) {
			q = q.Where("(name LIKE ? ESCAPE '!' OR id IN (?))", name, having("number LIKE ? ESCAPE '!'", likeText.Replace(n)+"%"))
		} else {
			q = q.Where("name LIKE ? ESCAPE '!'", name)
		}
	}
	if f.Grade != "" {
		q = q.Where("grade = ?", f.Grade)
	}
	if f.Unit != "" {
		q = q.Where("unit_id = ?", f.Unit)
	}
	page, err := api.List(q, p, api.Key[Customer]{Column: "id", Desc: true, Value: func(c Customer) any { return string(c.ID) }})
	if err != nil {
		return page, err
	}
	return page, store{d}.numbers(page.Items)
}

// UnitHolds says how many customers a unit still holds, or "". It is for user.Service.KeepUnits.
func (s *Service) UnitHolds(ctx context.Context, unit auth.UnitID) (what string, err error) {
	var n int64
	if err := s.db.WithContext(ctx).Model(&Customer{}).Where("unit_id = ?", unit).Count(&n).Error; err != nil || n == 0 {
		return "", err
	}
	return fmt.Sprintf("%d customers", n), nil
}
