package crm

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// store holds the SQL. It works on a connection and in a transaction alike.
type store struct{ db *gorm.DB }

// customer reads a customer that the asker may see with the permission, with numbers, or problem.ErrNotFound.
func (s store) customer(ctx context.Context, id ID, perm auth.Permission) (c Customer, err error) {
	err = auth.Visible(ctx, s.db, perm, "unit_id", "").Where("id = ?", id).Take(&c).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return c, problem.ErrNotFound
	}
	if err != nil {
		return c, fmt.Errorf("load customer %s: %w", id, err)
	}
	list := []Customer{c}
	err = s.numbers(list)
	return list[0], err
}

// numbers fills in the customers' numbers, in the order in which they were added.
func (s store) numbers(list []Customer) error {
	if len(list) == 0 {
		return nil
	}
	ids := make([]ID, len(list))
	for i, c := range list {
		ids[i] = c.ID
	}
	var rows []Number
	if err := s.db.Where("customer_id IN ?", ids).Order("created_at, number").Find(&rows).Error; err != nil {
		return fmt.Errorf("load customers' numbers: %w", err)
	}
	of := map[ID][]string{}
	for _, r := range rows {
		of[r.CustomerID] = append(of[r.CustomerID], r.Number)
	}
	for i, c := range list {
		list[i].Numbers = append([]string{}, of[c.ID]...)
	}
	return nil
}

// owner takes the number for the customer unless it is someone's, and returns whose it is then. Of several who ask at once
// one is first, and the others wait until its transaction ends.
func (s store) owner(tenant, unit, number string, id ID) (ID, error) {
	row := Number{TenantID: tenant, Number: number, CustomerID: id, UnitID: unit, CreatedAt: db.Now()}
	if err := s.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
		return "", fmt.Errorf("take number: %w", err)
	}
	q := s.db
	if db.IsMySQL(s.db) {
		q = q.Clauses(clause.Locking{Strength: "SHARE"}) // the newest row, also one committed after this transaction began
	}
	var has Number
	if err := q.Where("tenant_id = ? AND number = ?", tenant, number).Take(&has).Error; err != nil {
		return "", fmt.Errorf("find number's customer: %w", err)
	}
	return has.CustomerID, nil
}

// setNumbers makes these the customer's numbers. ErrNumberTaken if one is somebody else's.
func (s store) setNumbers(tenant string, c Customer, was []string) error {
	for i, n := range c.Numbers {
		owner, err := s.owner(tenant, c.UnitID, n, c.ID)
		if err != nil {
			return err
		}
		if owner != c.ID {
			return ErrNumberTaken.With("%s belongs to another customer.", n).
				At(fmt.Sprintf("body.numbers[%d]", i), "taken", "%s belongs to another customer.", n)
		}
	}
	for _, n := range was {
		if !slices.Contains(c.Numbers, n) {
			if err := s.db.Where("tenant_id = ? AND number = ? AND customer_id = ?", tenant, n, c.ID).Delete(&Number{}).Error; err != nil {
				return err
			}
		}
	}
	return s.db.Model(&Number{}).Where("customer_id = ?", c.ID).Update("unit_id", c.UnitID).Error
}
