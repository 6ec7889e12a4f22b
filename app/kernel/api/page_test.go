package api

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/db/dbtest"
)

type unitRow struct {
	ID        string
	ParentID  string
	Name      string
	Kind      string
	Path      string
	CreatedAt time.Time
	UpdatedAt time.Time
}

func (unitRow) TableName() string { return "user_units" }

// A list is read to its end without gaps or repeats, also where the first key is the same in many rows, and while rows
// are added.
func TestPaging(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		base := time.Date(2026, 1, 2, 3, 4, 5, 678000, time.UTC)
		add := func(i int) {
			id := fmt.Sprintf("u%02d", i)
			if err := d.Create(&unitRow{ID: id, Name: id, Path: "/" + id + "/", CreatedAt: base.Add(time.Duration(i/4) * time.Microsecond)}).Error; err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			add(i)
		}
		keys := []Key[unitRow]{
			{Column: "created_at", Desc: true, Value: func(u unitRow) any { return u.CreatedAt }},
			{Column: "user_units.id", Value: func(u unitRow) any { return u.ID }},
		}
		var got []string
		p := Paging{Limit: 3}
		for pages := 1; ; pages++ {
			// A filter with OR beside it must not get mixed up with the cursor.
			page, err := List(d.Where("(name <> ? OR name = ?)", "x", "x").Where("parent_id = ''"), p, keys...)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.Items {
				got = append(got, u.ID)
			}
			if page.Next == "" {
				if pages != 4 {
					t.Errorf("%d pages", pages)
				}
				break
			}
			p.Cursor = page.Next
			if pages == 1 {
				add(12) // sorts before what was read already
			}
		}
		want := []string{"u08", "u09", "u04", "u05", "u06", "u07", "u00", "u01", "u02", "u03"}
		if !slices.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		for _, bad := range []string{"x", Cursor("only one"), Cursor(1, 2), "!!!"} {
			if _, err := List(d, Paging{Cursor: bad}, keys...); !errors.Is(err, ErrCursor) {
				t.Errorf("cursor %q: %v", bad, err)
			}
		}
		if page, err := List(d.Where("id = ?", "none"), Paging{}, keys...); err != nil || page.Items == nil || page.Next != "" {
			t.Errorf("empty list = %+v, %v", page, err)
		}
	})
}
