package hours

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/problem"
)

// Row is a calendar as it is stored and sent.
type Row struct {
	ID        ID        `json:"id" gorm:"primaryKey;size:36"`
	UnitID    string    `json:"unit"`
	Name      string    `json:"name"`
	Plan      Plan      `json:"plan" gorm:"serializer:json"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TableName is the table of the calendars.
func (Row) TableName() string { return "hours_calendars" }

// Models is every table of the module.
func Models() []any { return []any{Row{}} }

// store holds the SQL. It works on a connection and in a transaction alike.
type store struct{ db *gorm.DB }

func (s store) all() (rows []Row, err error) {
	if err = s.db.Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("load calendars: %w", err)
	}
	return rows, nil
}

// manageable reads a calendar that the asker may change, or problem.ErrNotFound.
func (s store) manageable(ctx context.Context, id ID) (Row, error) {
	return take(auth.Visible(ctx, s.db, PermManage, "unit_id", ""), id)
}

// take reads one calendar, or problem.ErrNotFound.
func take(q *gorm.DB, id ID) (r Row, err error) {
	if err = q.Where("id = ?", id).Take(&r).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		err = problem.ErrNotFound
	}
	return r, err
}
