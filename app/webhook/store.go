package webhook

import (
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"callplane/app/kernel/api"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// store is the module's tables, on a connection or in a transaction.
type store struct{ db *gorm.DB }

// endpoint is one endpoint, or problem.ErrNotFound.
func (s store) endpoint(id ID) (e Endpoint, err error) {
	if err = s.db.Where("id = ?", id).Take(&e).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		err = problem.ErrNotFound.With("There is no webhook %s.", id)
	}
	return e, err
}

// active lists the endpoints that are on.
func (s store) active() (list []Endpoint, err error) {
	return list, s.db.Where("active = ?", true).Order("id").Find(&list).Error
}

// endpoints lists endpoints by name.
func (s store) endpoints(p api.Paging) (api.Page[Endpoint], error) {
	return api.List(s.db.Model(&Endpoint{}), p,
		api.Key[Endpoint]{Column: "name", Value: func(e Endpoint) any { return e.Name }},
		api.Key[Endpoint]{Column: "id", Value: func(e Endpoint) any { return string(e.ID) }})
}

func (s store) create(e *Endpoint) error { return s.db.Create(e).Error }

// update writes what a person may change. The time of change always moves on, for couriers compare it.
func (s store) update(e *Endpoint) error {
	if now := db.Now(); now.After(e.UpdatedAt) {
		e.UpdatedAt = now
	} else {
		e.UpdatedAt = e.UpdatedAt.Add(time.Microsecond)
	}
	return s.db.Model(e).Select("name", "url", "types", "secret", "active", "why_off", "failing_since", "updated_at").UpdateColumns(e).Error
}

// switchOff switches an endpoint off and reports whether it was on.
func (s store) switchOff(id ID, why string) (bool, error) {
	res := s.db.Model(&Endpoint{}).Where("id = ? AND active = ?", id, true).Updates(map[string]any{"active": false, "why_off": clip(why, 300)})
	return res.Error == nil && res.RowsAffected > 0, res.Error
}

// failing notes since when nothing was delivered; nil is that it works.
func (s store) failing(id ID, since *time.Time) error {
	return s.db.Model(&Endpoint{}).Where("id = ?", id).UpdateColumn("failing_since", since).Error
}

// remove deletes an endpoint and what belongs to it.
func (s store) remove(id ID) error {
	for _, m := range []any{&waiting{}, &Attempt{}} {
		if err := s.db.Where("endpoint_id = ?", id).Delete(m).Error; err != nil {
			return err
		}
	}
	return s.db.Where("id = ?", id).Delete(&Endpoint{}).Error
}

// waiting lists the events that wait for an endpoint, in order.
func (s store) waiting(id ID) (list []waiting, err error) {
	return list, s.db.Where("endpoint_id = ?", id).Order("seq").Find(&list).Error
}

// wait keeps events for after a crash.
func (s store) wait(rows []waiting) error {
	return s.db.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, 100).Error
}

// erase forgets waiting events.
func (s store) erase(id ID, seqs []int64) error {
	for len(seqs) > 0 {
		n := min(len(seqs), 500)
		if err := s.db.Where("endpoint_id = ? AND seq IN ?", id, seqs[:n]).Delete(&waiting{}).Error; err != nil {
			return err
		}
		seqs = seqs[n:]
	}
	return nil
}

// log adds attempts and keeps the latest.
func (s store) log(id ID, rows []Attempt) error {
	if len(rows) == 0 {
		return nil
	}
	if err := s.db.Create(&rows).Error; err != nil {
		return err
	}
	return s.db.Exec("DELETE FROM webhook_attempts WHERE endpoint_id = ? AND id NOT IN (SELECT id FROM "+
		"(SELECT id FROM webhook_attempts WHERE endpoint_id = ? ORDER BY id DESC LIMIT ?) latest)", id, id, kept).Error
}

// attempts lists the log, the latest first.
func (s store) attempts(id ID, p api.Paging) (api.Page[Attempt], error) {
	return api.List(s.db.Model(&Attempt{}).Where("endpoint_id = ?", id), p,
		api.Key[Attempt]{Column: "id", Desc: true, Value: func(a Attempt) any { return a.ID }})
}
