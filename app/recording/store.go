package recording

import (
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"callplane/app/kernel/api"
	"callplane/app/kernel/problem"
)

// store is the module's tables, on a connection or in a transaction.
type store struct{ db *gorm.DB }

// recording is one recording, or problem.ErrNotFound.
func (s store) recording(id ID) (r Recording, err error) {
	if err = s.db.Where("id = ?", id).Take(&r).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		err = problem.ErrNotFound.With("There is no recording %s.", id)
	}
	return r, err
}

// save writes a recording and its agents, in place of one without audio.
func (s store) save(r Recording) error {
	if err := s.db.Clauses(clause.OnConflict{UpdateAll: true}).Create(&r).Error; err != nil {
		return err
	}
	parties := make([]Party, len(r.Agents))
	for i, a := range r.Agents {
		parties[i] = Party{r.ID, a}
	}
	if len(parties) == 0 {
		return nil
	}
	return s.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&parties).Error
}

// Filter says which recordings to list. Empty fields match all.
type Filter struct {
	Call   string    `query:"call" required:"false" maxLength:"36"`
	Agent  string    `query:"agent" required:"false" maxLength:"36" doc:"One of those who talked"`
	Queue  string    `query:"queue" required:"false" maxLength:"36"`
	Number string    `query:"number" required:"false" maxLength:"40" doc:"Of either side, exactly"`
	State  string    `query:"state" required:"false" enum:"ok,truncated,failed"`
	From   time.Time `query:"from" required:"false" doc:"Started not before"`
	To     time.Time `query:"to" required:"false" doc:"Started before"`
}

// list lists recordings without their peaks, the latest first.
func (s store) list(f Filter, p api.Paging) (api.Page[Recording], error) {
	q := s.db.Model(&Recording{}).Omit("peaks")
	for column, value := range map[string]string{"call_id": f.Call, "queue_id": f.Queue, "state": f.State} {
		if value != "" {
			q = q.Where(clause.Eq{Column: clause.Column{Name: column}, Value: value})
		}
	}
	if f.Agent != "" {
		q = q.Where("id IN (SELECT recording_id FROM recording_parties WHERE agent_id = ?)", f.Agent)
	}
	if f.Number != "" {
		q = q.Where("(from_number = ? OR to_number = ?)", f.Number, f.Number)
	}
	if !f.From.IsZero() {
		q = q.Where("started_at >= ?", f.From.UTC())
	}
	if !f.To.IsZero() {
		q = q.Where("started_at < ?", f.To.UTC())
	}
	return api.List(q, p,
		api.Key[Recording]{Column: "started_at", Desc: true, Value: func(r Recording) any { return r.StartedAt }},
		api.Key[Recording]{Column: "id", Desc: true, Value: func(r Recording) any { return string(r.ID) }})
}
