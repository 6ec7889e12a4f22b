package acd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"callplane/app/agent"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// QueueRow is a queue in the database.
type QueueRow struct {
	ID        QueueID           `gorm:"primaryKey;size:36"`
	UnitID    string            `gorm:"size:36"`
	Name      string            `gorm:"size:60"` // unique in the unit
	Open      bool              //
	Settings  db.JSON[Settings] //
	CreatedAt time.Time
	UpdatedAt time.Time
}

// TableName is the table of queues.
func (QueueRow) TableName() string { return "acd_queues" }

// Member is an agent who serves a queue.
type Member struct {
	QueueID  QueueID  `json:"-" gorm:"primaryKey;size:36"`
	UserID   agent.ID `json:"agent" gorm:"primaryKey;size:36"`
	Priority int      `json:"priority" required:"false" doc:"Queues of higher priority are served first by this agent"`
}

// TableName is the table of members.
func (Member) TableName() string { return "acd_members" }

// Models is every table of the module.
func Models() []any { return []any{QueueRow{}, Member{}} }

type store struct{ db *gorm.DB }

// row finds a queue that the asker may use with the permission.
func (s store) row(ctx context.Context, id QueueID, perm auth.Permission) (row QueueRow, err error) {
	err = auth.Visible(ctx, s.db, perm, "unit_id", "").Where("id = ?", id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		err = ErrNoQueue
	}
	return row, err
}

func (s store) members(id QueueID) (rows []Member, err error) {
	err = s.db.Where("queue_id = ?", id).Order("user_id").Find(&rows).Error
	return rows, err
}

// setMembers replaces who serves a queue.
func (s store) setMembers(id QueueID, members []Member) error {
	if err := s.db.Where("queue_id = ?", id).Delete(&Member{}).Error; err != nil {
		return err
	}
	for _, m := range members {
		m.QueueID = id
		if err := s.db.Create(&m).Error; err != nil {
			return err
		}
	}
	return nil
}

// strangers makes a fault of each member who is nobody in the tenant, or is named twice.
func (s store) strangers(tenant string, members []Member) error {
	ids := make([]agent.ID, len(members))
	for i, m := range members {
		ids[i] = m.UserID
	}
	var known []agent.ID
	err := s.db.Table("user_users u").Joins("JOIN user_units n ON n.id = u.unit_id").Where("u.id IN ? AND n.path LIKE ?", ids, tenant+"%").
		Pluck("u.id", &known).Error
	if err != nil {
		return err
	}
	p := problem.ErrInvalid
	for i, id := range ids {
		if !slices.Contains(known, id) {
			p = p.At(fmt.Sprintf("body.members[%d].agent", i), "unknown", "There is no agent %s.", id)
		}
		if slices.Contains(ids[:i], id) {
			p = p.At(fmt.Sprintf("body.members[%d].agent", i), "twice", "Agent %s is named twice.", id)
		}
	}
	if len(p.Fields) > 0 {
		return p
	}
	return nil
}

// reach makes a fault of each queue that this one sends callers to and that is not the tenant's.
func (s *Service) reach(q Queue) error {
	p := problem.ErrInvalid
	for _, a := range []struct {
		field string
		Action
	}{{"closed", q.Closed}, {"empty", q.Empty}, {"full", q.Full}, {"timeout", q.Timeout}} {
		if a.Then != ThenQueue {
			continue
		}
		if next, ok := s.Queue(a.Queue); !ok || auth.RootPath(next.UnitPath) != auth.RootPath(q.UnitPath) {
			p = p.At("body."+a.field+".queue", "unknown", "There is no queue %s.", a.Queue)
		}
	}
	if len(p.Fields) > 0 {
		return p
	}
	return nil
}

// Load reads all queues and makes them known.
func (s *Service) Load(ctx context.Context) error {
	st := store{s.db.WithContext(ctx)}
	var rows []QueueRow
	if err := st.db.Find(&rows).Error; err != nil {
		return err
	}
	for _, row := range rows {
		members, err := st.members(row.ID)
		if err != nil {
			return err
		}
		s.Set(s.queue(row), byAgent(members))
	}
	return nil
}

func byAgent(members []Member) map[agent.ID]int {
	m := make(map[agent.ID]int, len(members))
	for _, x := range members {
		m[x.UserID] = x.Priority
	}
	return m
}

func (s *Service) queue(row QueueRow) Queue {
	return Queue{
		ID: row.ID, Unit: row.UnitID, UnitPath: s.tree.Path(auth.UnitID(row.UnitID)), Name: row.Name, Open: row.Open, Settings: row.Settings.V,
	}
}

// Create adds a queue to a unit. Errors: problem.ErrInvalid, ErrQueueName.
func (s *Service) Create(ctx context.Context, q Queue, members []Member) (Queue, error) {
	s.editing.Lock()
	defer s.editing.Unlock()
	q.ID = QueueID(db.ID())
	if q.Unit == "" {
		q.Unit = string(auth.From(ctx).UnitID)
	}
	if err := q.Check(); err != nil {
		return q, err
	}
	if !auth.MayUse(ctx, PermManage, q.Unit, "") {
		return q, problem.ErrInvalid.At("body.unit", "unknown", "There is no such unit.")
	}
	q.UnitPath = s.tree.Path(auth.UnitID(q.Unit))
	if err := s.reach(q); err != nil {
		return q, err
	}
	if err := (store{s.db.WithContext(ctx)}).strangers(auth.RootPath(q.UnitPath), members); err != nil {
		return q, err
	}
	row := QueueRow{ID: q.ID, UnitID: q.Unit, Name: q.Name, Open: q.Open, Settings: db.AsJSON(q.Settings), CreatedAt: db.Now(), UpdatedAt: db.Now()}
	err := s.change(ctx, "acd.queue_created", nil, row, func(tx *gorm.DB) error {
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
		return store{tx}.setMembers(q.ID, members)
	})
	if err != nil {
		return q, err
	}
	q = s.queue(row)
	s.Set(q, byAgent(members))
	return q, nil
}

// Change changes a queue's rules, name, or whether it is open. Callers who wait stay where they are.
func (s *Service) Change(ctx context.Context, id QueueID, edit func(*Queue)) (q Queue, err error) {
	s.editing.Lock()
	defer s.editing.Unlock()
	st := store{s.db.WithContext(ctx)}
	was, err := st.row(ctx, id, PermManage)
	if err != nil {
		return q, err
	}
	q = s.queue(was)
	edit(&q)
	q.ID, q.Unit = was.ID, was.UnitID
	if err := q.Check(); err != nil {
		return q, err
	}
	if err := s.reach(q); err != nil {
		return q, err
	}
	row := was
	row.Name, row.Open, row.Settings, row.UpdatedAt = q.Name, q.Open, db.AsJSON(q.Settings), db.Now()
	err = s.change(ctx, "acd.queue_changed", was, row, func(tx *gorm.DB) error {
		return tx.Model(&QueueRow{}).Where("id = ?", id).Select("name", "open", "settings", "updated_at").Updates(&row).Error
	})
	if err != nil {
		return q, err
	}
	members, err := st.members(id)
	if err != nil {
		return q, err
	}
	s.Set(q, byAgent(members))
	return q, nil
}

// SetMembers says who serves a queue; the next call knows.
func (s *Service) SetMembers(ctx context.Context, id QueueID, members []Member) error {
	s.editing.Lock()
	defer s.editing.Unlock()
	st := store{s.db.WithContext(ctx)}
	row, err := st.row(ctx, id, PermManage)
	if err != nil {
		return err
	}
	if err := st.strangers(auth.RootPath(s.tree.Path(auth.UnitID(row.UnitID))), members); err != nil {
		return err
	}
	was, err := st.members(id)
	if err != nil {
		return err
	}
	err = s.change(ctx, "acd.members_changed", map[string]any{"members": was}, map[string]any{"members": members}, func(tx *gorm.DB) error {
		return store{tx}.setMembers(id, members)
	}, row)
	if err == nil {
		s.Set(s.queue(row), byAgent(members))
	}
	return err
}

// Delete removes a queue. Callers who wait in it get its closed action.
func (s *Service) Delete(ctx context.Context, id QueueID) error {
	s.editing.Lock()
	defer s.editing.Unlock()
	row, err := (store{s.db.WithContext(ctx)}).row(ctx, id, PermManage)
	if err != nil {
		return err
	}
	err = s.change(ctx, "acd.queue_deleted", row, nil, func(tx *gorm.DB) error {
		if err := (store{tx}).setMembers(id, nil); err != nil {
			return err
		}
		return tx.Delete(&QueueRow{}, "id = ?", id).Error
	}, row)
	if err == nil {
		s.Drop(id)
	}
	return err
}

// change does something to a queue in one transaction with its event and audit entry. The queue is in after, or is given.
func (s *Service) change(ctx context.Context, what string, was, is any, do func(*gorm.DB) error, of ...QueueRow) error {
	row, ok := is.(QueueRow)
	if !ok {
		row = of[0]
	}
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := do(tx); err != nil {
			return err
		}
		e := bus.NewEvent(what, string(row.ID), map[string]any{"queue": row.ID, "name": row.Name, "open": row.Open})
		e.Unit, e.UnitPath, e.Perm = row.UnitID, s.tree.Path(auth.UnitID(row.UnitID)), string(PermRead)
		if err := s.outbox.Add(tx, e); err != nil {
			return err
		}
		return audit.Add(ctx, tx, audit.Entry{
			Action: what, Object: "acd.queue", ObjectID: string(row.ID), Unit: auth.UnitID(row.UnitID), Before: was, After: is,
		})
	})
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrQueueName.With("There is a queue %q already.", row.Name)
	}
	return err
}
