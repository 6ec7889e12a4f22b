package call

import (
	"context"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"callplane/app/kernel/bus"
)

// Identify finds or makes the customer behind a number.
type Identify func(ctx context.Context, tx *gorm.DB, unit, e164, name string) (customer string, err error)

// History makes rows of records that ended. It is the handler of a stream consumer, and idempotent: a call that is there
// already is left as it is.
type History struct {
	DB       *gorm.DB
	Identify Identify // nil identifies nobody
}

// Project writes a batch in one transaction.
func (h History) Project(ctx context.Context, events []bus.Event) error {
	return h.DB.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		there, err := store{tx}.there(events)
		if err != nil {
			return err
		}
		var s sheet
		for _, e := range events {
			var rec Record
			if err := e.Into(&rec); err != nil {
				return fmt.Errorf("call %s: %w", e.Key, err)
			}
			if there[rec.ID] {
				continue
			}
			there[rec.ID] = true
			if err := h.enter(ctx, tx, &rec, &s); err != nil {
				return fmt.Errorf("write call %s: %w", rec.ID, err)
			}
		}
		return s.write(tx)
	})
}

// enter adds the rows of a call.
func (h History) enter(ctx context.Context, tx *gorm.DB, r *Record, s *sheet) error {
	row := r.row()
	if number := r.outside(); h.Identify != nil && number != "" {
		id, err := h.Identify(ctx, tx, r.Unit, number, r.FromName)
		if err != nil {
			return err
		}
		row.CustomerID = id
	}
	s.calls = append(s.calls, row)
	for _, rows := range r.parts() {
		s.add(rows)
	}
	return nil
}

// sheet is the rows of several calls: one statement for each table costs far less than one for each call.
type sheet struct {
	calls     []Row
	timelines []TimelineRow
	legs      []LegRow
	segments  []SegmentRow
	entries   []EntryRow
	offers    []OfferRow
	holds     []HoldRow
}

// add takes one of a record's parts.
func (s *sheet) add(part any) {
	switch rows := part.(type) {
	case *TimelineRow:
		s.timelines = append(s.timelines, *rows)
	case *[]LegRow:
		s.legs = append(s.legs, *rows...)
	case *[]SegmentRow:
		s.segments = append(s.segments, *rows...)
	case *[]EntryRow:
		s.entries = append(s.entries, *rows...)
	case *[]OfferRow:
		s.offers = append(s.offers, *rows...)
	case *[]HoldRow:
		s.holds = append(s.holds, *rows...)
	}
}

// write inserts all rows. One that is there already is left as it is: no record may block those behind it.
func (s *sheet) write(tx *gorm.DB) error {
	tx = tx.Clauses(clause.OnConflict{DoNothing: true}).Session(&gorm.Session{})
	for _, t := range []struct {
		n    int
		rows any
	}{
		{len(s.calls), &s.calls}, {len(s.timelines), &s.timelines}, {len(s.legs), &s.legs}, {len(s.segments), &s.segments},
		{len(s.entries), &s.entries}, {len(s.offers), &s.offers}, {len(s.holds), &s.holds},
	} {
		if t.n == 0 {
			continue
		}
		if err := tx.Create(t.rows).Error; err != nil {
			return err
		}
	}
	return nil
}

// there is which of the calls that have ended are in the history already.
func (s store) there(events []bus.Event) (map[ID]bool, error) {
	ids := make([]string, len(events))
	for i, e := range events {
		ids[i] = e.Key
	}
	var found []ID
	err := s.db.Model(&Row{}).Where("id IN ?", ids).Pluck("id", &found).Error
	there := make(map[ID]bool, len(events))
	for _, id := range found {
		there[id] = true
	}
	return there, err
}
