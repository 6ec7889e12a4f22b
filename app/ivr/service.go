package ivr

import (
	"context"
	"log/slog"
	"sync"

	"gorm.io/gorm"

	"callplane/app/call"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/outbox"
)

// FlowID names a flow.
type FlowID string

// Queues finds a queue of a unit's tenant by name.
type Queues interface {
	ByName(unitPath, name string) string
}

// Service keeps the flows, compiled, in memory.
type Service struct {
	log       *slog.Logger
	db        *gorm.DB
	outbox    *outbox.Outbox
	tree      auth.Tree
	queues    Queues
	calendars Calendars

	mu    sync.RWMutex
	trees map[FlowID]*Tree
}

// NewService makes a service without flows; Load reads them.
func NewService(log *slog.Logger, db *gorm.DB, ob *outbox.Outbox, tree auth.Tree, queues Queues, calendars Calendars) *Service {
	return &Service{
		log: log.With("module", "ivr"), db: db, outbox: ob, tree: tree, queues: queues, calendars: calendars, trees: map[FlowID]*Tree{},
	}
}

// Flow implements call.Flows.
func (s *Service) Flow(unitPath, id string) (call.Flow, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.trees[FlowID(id)]; t != nil && (unitPath == "" || auth.RootPath(t.path) == auth.RootPath(unitPath)) {
		return t, nil
	}
	return nil, call.ErrNoFlow.With("There is no flow %s.", id)
}

// Set makes a flow known, or changes it for the calls that enter from now on.
func (s *Service) Set(id FlowID, unit, unitPath string, doc *Document) {
	t := &Tree{doc: doc, unit: unit, path: unitPath, calendars: s.calendars, queue: func(name string) string { return s.queues.ByName(unitPath, name) }}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trees[id] = t
}

// Drop forgets a flow. Calls that are in it go on.
func (s *Service) Drop(id FlowID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.trees, id)
}

// Load reads all flows. One that has faults is logged and left out.
func (s *Service) Load(ctx context.Context) error {
	var rows []Flow
	if err := s.db.WithContext(ctx).Find(&rows).Error; err != nil {
		return err
	}
	for _, row := range rows {
		doc, err := Parse([]byte(row.Document))
		if err != nil {
			s.log.Error("flow has faults", "flow", row.ID, "name", row.Name, "error", err)
			continue
		}
		s.Set(row.ID, row.UnitID, s.tree.Path(auth.UnitID(row.UnitID)), doc)
	}
	return nil
}
