package route

import (
	"context"
	"fmt"

	"gorm.io/gorm"

	"callplane/app/hours"
	"callplane/app/kernel/auth"
)

// UsesCalendar names the number whose rules ask the calendar, or "". It is for hours.Service.KeepCalendars.
func (s *Service) UsesCalendar(tx *gorm.DB, id hours.ID) (what string, err error) {
	numbers, err := all[Number](store{tx})
	if err != nil {
		return "", err
	}
	for _, n := range numbers {
		for _, r := range n.Rules {
			if r.Calendar == id {
				return fmt.Sprintf("Number %s (%s)", n.Number, n.Service), nil
			}
		}
	}
	return "", nil
}

// UnitHolds says which lines and numbers a unit still holds, or "". It is for user.Service.KeepUnits.
func (s *Service) UnitHolds(ctx context.Context, unit auth.UnitID) (what string, err error) {
	for _, table := range []struct {
		what string
		row  any
	}{{"trunks", &Trunk{}}, {"numbers", &Number{}}, {"phones", &Phone{}}, {"barred numbers", &Barred{}}} {
		var n int64
		if err := s.db.WithContext(ctx).Model(table.row).Where("unit_id = ?", unit).Count(&n).Error; err != nil {
			return "", err
		}
		if n > 0 {
			return fmt.Sprintf("%d %s", n, table.what), nil
		}
	}
	return "", nil
}
