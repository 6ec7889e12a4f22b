package acd

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"gorm.io/gorm"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/mailbox"
	"callplane/app/kernel/outbox"
)

// Calls is what the queue brain has done to calls. None of it waits.
type Calls interface {
	Get(id call.ID) (call.Live, error)
	Offer(id call.ID, p call.Proposal)
	TurnAway(id call.ID, c call.Closing)
}

// Agents is who serves.
type Agents interface {
	Reserve(id agent.ID, call, queue string) (agent.Presence, error)
	All() []agent.Presence
	Watch(func(was, now agent.Presence))
}

// Stream is where live figures of queues are told.
type Stream interface{ Publish(events ...bus.Event) }

// Service owns the Brain: Run is the only goroutine that touches it, everybody else puts what they want into its mailbox.
type Service struct {
	log    *slog.Logger
	db     *gorm.DB
	outbox *outbox.Outbox
	tree   auth.Tree
	calls  Calls
	agents Agents
	stream Stream

	box  *mailbox.Box[func(*Brain, time.Time) []Match]
	done chan struct{}

	// Only Run touches these.
	brain     *Brain
	suspended bool
	held      []Match // decided while suspended
	tick      *time.Timer

	editing sync.Mutex // what is in memory follows the database in one order

	mu     sync.Mutex
	queues map[QueueID]Queue // as configured, for those who ask without waiting
	byName map[string]QueueID
}

// NewService makes a service without queues. Run must run before calls can join.
func NewService(log *slog.Logger, db *gorm.DB, ob *outbox.Outbox, tree auth.Tree, calls Calls, agents Agents, stream Stream) *Service {
	s := &Service{
		log: log.With("module", "acd"), db: db, outbox: ob, tree: tree, calls: calls, agents: agents, stream: stream,
		box: mailbox.New[func(*Brain, time.Time) []Match](), done: make(chan struct{}), brain: NewBrain(), tick: time.NewTimer(time.Hour),
		queues: map[QueueID]Queue{}, byName: map[string]QueueID{},
	}
	agents.Watch(func(_, now agent.Presence) {
		s.post(func(b *Brain, t time.Time) []Match { return s.agent(b, now, t) })
	})
	return s
}

// Run owns the Brain until ctx is done.
func (s *Service) Run(ctx context.Context) error {
	defer close(s.done)
	defer s.tick.Stop()
	for _, p := range s.agents.All() {
		s.carry(s.agent(s.brain, p, time.Now()))
	}
	for {
		select {
		case <-s.box.Ready():
			for _, do := range s.box.Take() {
				s.carry(do(s.brain, time.Now()))
			}
		case <-s.tick.C:
			s.carry(s.brain.Tick(time.Now()))
		case <-ctx.Done():
			return nil
		}
		s.arm()
	}
}

// arm sets the timer to the next relaxation.
func (s *Service) arm() {
	next := time.Hour
	if at := s.brain.NextTick(); !at.IsZero() {
		next = max(time.Until(at), 0)
	}
	s.tick.Reset(next)
}

// post has Run do something, without waiting.
func (s *Service) post(do func(*Brain, time.Time) []Match) { s.box.Put(do) }

// ask has Run do something, and waits.
func (s *Service) ask(do func(*Brain, time.Time) []Match) {
	done := make(chan struct{})
	ok := s.box.Put(func(b *Brain, now time.Time) []Match {
		defer close(done)
		return do(b, now)
	})
	if !ok {
		return
	}
	select {
	case <-done:
	case <-s.done:
	}
}

func (s *Service) agent(b *Brain, p agent.Presence, now time.Time) []Match {
	matches, ejects := b.SetAgent(p, now)
	s.eject(ejects)
	return matches
}

func (s *Service) eject(ejects []Eject) {
	for _, e := range ejects {
		s.calls.TurnAway(call.ID(e.Contact), e.closing())
	}
}

func (e Eject) closing() call.Closing {
	return call.Closing{Why: e.Reason, Prompt: e.Action.Prompt, Then: string(e.Action.Then), Queue: string(e.Action.Queue)}
}

// carry reserves the agents of matches and has the calls ring them. While the switch is away matches are kept.
func (s *Service) carry(matches []Match) {
	for len(matches) > 0 {
		m := matches[0]
		matches = matches[1:]
		if s.suspended {
			s.held = append(s.held, m)
			continue
		}
		p, err := s.agents.Reserve(m.Agent, string(m.Contact), string(m.Queue))
		if err != nil {
			s.log.Debug("agent no longer free", "agent_id", m.Agent, "error", err)
			next, ejects := s.brain.Refused(m, time.Now())
			s.eject(ejects)
			matches = append(matches, next...)
			continue
		}
		why, err := json.Marshal(m.Why)
		if err != nil {
			s.log.Error("reasons cannot be written", "error", err)
		}
		s.calls.Offer(call.ID(m.Contact), call.Proposal{Agent: p, Queue: string(m.Queue), Ring: m.Ring, Why: why})
	}
}

// Join implements call.Queues.
func (s *Service) Join(w call.Waiting) (plan call.Plan, closing *call.Closing, err error) {
	q, ok := s.Queue(QueueID(w.Queue))
	if !ok || w.UnitPath != "" && auth.RootPath(w.UnitPath) != auth.RootPath(q.UnitPath) {
		return plan, nil, ErrNoQueue.With("There is no queue %s.", w.Queue)
	}
	c := Contact{ID: ContactID(w.ID), Queue: q.ID, Joined: w.Joined, Priority: w.Priority, Offered: w.Offered, Again: w.Again}
	for _, n := range w.Skills {
		c.Skills = append(c.Skills, Requirement{Skill: n.Name, Level: n.Level})
	}
	plan = q.plan()
	s.ask(func(b *Brain, now time.Time) []Match {
		matches, eject, e := b.Join(c, now)
		err = e
		if eject != nil {
			cl := eject.closing()
			closing = &cl
		}
		return matches
	})
	return plan, closing, err
}

// plan is how the queue treats one call.
func (q Queue) plan() call.Plan {
	record := true
	switch q.Recording.Mode {
	case "none", "on_demand":
		record = false
	case "share":
		record = rand.IntN(100) < q.Recording.Percent
	}
	return call.Plan{
		Queue: string(q.ID), Name: q.Name, Music: q.Music, Comfort: q.Comfort, ComfortEvery: seconds(q.ComfortSeconds),
		SayPosition: q.AnnouncePosition, SayWait: q.AnnounceWait, SayEvery: seconds(q.AnnounceSeconds),
		MaxWait: seconds(q.MaxWaitSeconds), Timeout: Eject{Reason: "timeout", Action: q.Timeout}.closing(),
		WrapUp: seconds(q.WrapUpSeconds), Short: seconds(q.ShortAbandonSeconds), Record: record,
	}
}

// Leave implements call.Queues.
func (s *Service) Leave(id call.ID) {
	s.post(func(b *Brain, _ time.Time) []Match {
		b.Leave(ContactID(id))
		return nil
	})
}

// NotTaken implements call.Queues.
func (s *Service) NotTaken(id call.ID) {
	s.post(func(b *Brain, now time.Time) []Match {
		matches, ejects := b.Return(ContactID(id), now)
		s.eject(ejects)
		return matches
	})
}

// Position implements call.Queues.
func (s *Service) Position(id call.ID) (position int, wait time.Duration, err error) {
	err = ErrNoContact
	s.ask(func(b *Brain, now time.Time) []Match {
		position, wait, err = b.Position(ContactID(id), now)
		return nil
	})
	return position, wait, err
}

// SetPriority changes the priority of a call that waits, on top of its queue's.
func (s *Service) SetPriority(id call.ID, priority int) (err error) {
	err = ErrNoContact
	s.ask(func(b *Brain, now time.Time) []Match {
		err = b.SetPriority(ContactID(id), priority)
		return nil
	})
	return err
}

// Suspend implements call.Queues: offers wait until Resume.
func (s *Service) Suspend() {
	s.post(func(*Brain, time.Time) []Match {
		s.suspended = true
		return nil
	})
}

// Resume implements call.Queues.
func (s *Service) Resume() {
	s.post(func(*Brain, time.Time) []Match {
		s.suspended = false
		held := s.held
		s.held = nil
		return held
	})
}

func (s *Service) live(id call.ID) (call.Live, error) { return s.calls.Get(id) }

// Queue is a queue as configured.
func (s *Service) Queue(id QueueID) (Queue, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.queues[id]
	return q, ok
}

// ByName is the id of a queue of a unit's tenant by its name, or the name itself when there is none, so that the fault shows where it is used.
func (s *Service) ByName(unitPath, name string) QueueID {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.byName[auth.RootPath(unitPath)+"\x00"+name]; ok {
		return id
	}
	return QueueID(name)
}

// Set makes a queue known, or changes its rules, and says who serves it.
func (s *Service) Set(q Queue, members map[agent.ID]int) {
	s.mu.Lock()
	if old, ok := s.queues[q.ID]; ok {
		delete(s.byName, auth.RootPath(old.UnitPath)+"\x00"+old.Name)
	}
	s.queues[q.ID] = q
	s.byName[auth.RootPath(q.UnitPath)+"\x00"+q.Name] = q.ID
	s.mu.Unlock()
	s.post(func(b *Brain, now time.Time) []Match {
		b.SetQueue(q)
		matches, ejects := b.SetMembers(q.ID, members, now)
		s.eject(ejects)
		return matches
	})
}

// Drop forgets a queue.
func (s *Service) Drop(id QueueID) {
	s.mu.Lock()
	if old, ok := s.queues[id]; ok {
		delete(s.byName, auth.RootPath(old.UnitPath)+"\x00"+old.Name)
	}
	delete(s.queues, id)
	s.mu.Unlock()
	s.post(func(b *Brain, _ time.Time) []Match {
		s.eject(b.DropQueue(id))
		return nil
	})
}

// Status is a queue as it is now.
type Status struct {
	Queue    QueueID   `json:"queue"`
	Name     string    `json:"name"`
	Open     bool      `json:"open"`
	Waiting  int       `json:"waiting" doc:"Callers who wait, those included for whom a phone rings"`
	Offered  int       `json:"offered" doc:"Of them, those for whom a phone rings"`
	Longest  time.Time `json:"longest_since,omitzero" doc:"Since when the longest waits"`
	Staffed  int       `json:"staffed" doc:"Members signed in"`
	Ready    int       `json:"ready" doc:"Members who are free"`
	Estimate int       `json:"estimate_seconds" doc:"Estimated wait of a caller who joins now"`
}

// Statuses is every queue as it is now, by id.
func (s *Service) Statuses() map[QueueID]Status {
	out := map[QueueID]Status{}
	s.ask(func(b *Brain, now time.Time) []Match {
		for id, l := range b.lines {
			out[id] = l.status(b, now)
		}
		return nil
	})
	return out
}

func (l *line) status(b *Brain, now time.Time) Status {
	st := Status{
		Queue: l.ID, Name: l.Name, Open: l.Open, Waiting: l.waiting(), Offered: len(l.offered), Staffed: l.staffed, Ready: len(l.ready),
	}
	for _, w := range l.all() {
		if st.Longest.IsZero() || w.Joined.Before(st.Longest) {
			st.Longest = w.Joined
		}
	}
	if st.Ready == 0 {
		st.Estimate = int(l.pace.estimate(st.Waiting+1, l.serving(b), now).Seconds())
	}
	return st
}
