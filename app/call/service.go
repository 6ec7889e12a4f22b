package call

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"callplane/app/agent"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/mailbox"
	"callplane/app/kernel/problem"
	"callplane/app/pbx"
	"callplane/app/route"
)

// Journal is where calls are written: checkpoints to the live store, events to the stream. Neither blocks, and what is given is
// stored in order.
type Journal interface {
	Publish(events ...bus.Event)
	Put(key string, value []byte)
	Delete(key string)
}

// Voice turns prompts into what the switch can play.
type Voice interface {
	Media(language string, p Prompt) (pbx.Media, error)
}

// Router says where calls go, from memory.
type Router interface {
	Inbound(route.Asked) (route.Inbound, error)
	Outbound(route.Wanted) (route.Outbound, error)
	Seize(trunk string) (release func(), err error)
	Resume(trunk string) (release func())
	LineChanged(pbx.Event)
}

// Limits are times that bound what a call does.
type Limits struct {
	Command        time.Duration // for one command to the switch; default 5 s
	Ring           time.Duration // of an agent's phone where no queue says otherwise; default 20 s
	Callee         time.Duration // of a called party; default 60 s
	WrapUp         time.Duration // after a call that came through no queue; default 15 s
	Recording      time.Duration // longest recording; default 4 h
	RecordOutbound bool          // record calls that agents place
}

// DefaultLimits are the defaults.
var DefaultLimits = Limits{
	Command: 5 * time.Second, Ring: 20 * time.Second, Callee: 60 * time.Second, WrapUp: 15 * time.Second, Recording: 4 * time.Hour, RecordOutbound: true,
}

// Errors.
var (
	ErrNoCall = problem.New(problem.NotFound, "no_call", "No such call")
	ErrGone   = problem.New(problem.Conflict, "call_gone", "The call has ended")
	// ErrNotServed says that a queue would only turn the caller away.
	ErrNotServed = problem.New(problem.Conflict, "queue_not_served", "The queue takes no calls now")
	ErrTarget    = problem.New(problem.Invalid, "transfer_target", "This is nowhere to transfer to")
)

// Service runs all live calls of one switch.
type Service struct {
	log     *slog.Logger
	sw      pbx.Switch
	node    string
	journal Journal
	voice   Voice
	router  Router
	agents  *agent.Service
	queues  Queues
	flows   Flows
	limits  Limits

	mu    sync.Mutex
	calls map[ID]*Call
	legs  map[pbx.LegID]*Call
	doom  map[pbx.LegID]bool // legs that we have hung up and that are not known to be gone

	ctx     context.Context // of Run
	running sync.WaitGroup
	doubts  chan struct{} // for Run: a command was lost
}

// Parts is what a Service is made of.
type Parts struct {
	Log     *slog.Logger
	Switch  pbx.Switch
	Node    string
	Journal Journal
	Voice   Voice
	Router  Router
	Agents  *agent.Service
	Limits  Limits
}

// New makes a service. Use must name queues and flows before Run.
func New(p Parts) *Service {
	return &Service{
		log: p.Log.With("module", "call"), sw: p.Switch, node: p.Node, journal: p.Journal, voice: p.Voice, router: p.Router,
		agents: p.Agents, limits: p.Limits, calls: map[ID]*Call{}, legs: map[pbx.LegID]*Call{}, doom: map[pbx.LegID]bool{},
		doubts: make(chan struct{}, 1),
	}
}

// Use names what calls are handed to: both live above this package.
func (s *Service) Use(queues Queues, flows Flows) { s.queues, s.flows = queues, flows }

// Run passes the switch's events on to the calls they belong to, until ctx is done; live calls then stay as they are, in the
// switch. It waits for every call's goroutine.
func (s *Service) Run(ctx context.Context) error {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	defer s.running.Wait()
	var again <-chan time.Time // when to ask the switch what is there
	all := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.doubts:
			if again == nil {
				again = time.After(doubtPause)
			}
		case <-again:
			if again = nil; s.reconcile(ctx, all) != nil {
				again = time.After(doubtPause)
			}
		case ev, ok := <-s.sw.Events():
			if !ok {
				return nil
			}
			switch ev.Kind {
			case pbx.Lost, pbx.Replaced:
				again = nil // Resync will come
			case pbx.Resync:
				all = false
			}
			if err := s.pass(ctx, ev); err != nil {
				s.log.Error("calls not compared with the switch; trying again", "error", err)
				again, all = time.After(doubtPause), true
			}
		}
	}
}

// doubtPause is how long after a command was lost the switch is asked what came of it.
const doubtPause = time.Second

// doubt notes that the switch did not answer: nothing is offered until we have asked what is there. A command may have been
// carried out, or not.
func (c *Call) doubt(err error) error {
	if errors.Is(err, pbx.ErrUnreachable) {
		c.unsure.Store(true)
		c.s.queues.Suspend()
		select {
		case c.s.doubts <- struct{}{}:
		default:
		}
	}
	return err
}

// pass gives an event to whom it concerns.
func (s *Service) pass(ctx context.Context, ev pbx.Event) error {
	switch ev.Kind {
	case pbx.LineChanged:
		s.router.LineChanged(ev)
		return nil
	case pbx.Lost, pbx.Replaced:
		s.log.Warn("switch is out of reach", "kind", ev.Kind)
		s.queues.Suspend()
		return nil
	case pbx.Resync:
		s.router.LineChanged(ev)
		return s.Reconcile(ctx)
	case pbx.Arrived:
		s.arrive(ev)
		return nil
	}
	s.mu.Lock()
	c := s.legs[ev.Leg]
	if ev.Kind == pbx.Ended {
		delete(s.legs, ev.Leg)
		delete(s.doom, ev.Leg)
	}
	s.mu.Unlock()
	if c != nil {
		c.box.Put(input{event: &ev})
	}
	return nil
}

// driving says that Run passes events on now: without it a call would be placed and never looked after.
func (s *Service) driving() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ctx != nil && s.ctx.Err() == nil
}

// newCall makes a call that does not run yet.
func (s *Service) newCall(rec Record) *Call {
	if rec.ID == "" {
		rec.ID = ID(db.ID())
		rec.Node, rec.State, rec.Started = s.node, Fresh, time.Now().UTC()
	}
	return &Call{
		s: s, log: s.log.With("call_id", string(rec.ID)), box: mailbox.New[input](), done: make(chan struct{}), rec: rec,
		timers: map[timer]*time.Timer{}, gen: map[timer]int{},
	}
}

// start runs a call; first is done before it reads its mailbox.
func (s *Service) start(c *Call, first func(*Call)) {
	live := c.rec.live()
	c.live.Store(&live)
	s.mu.Lock()
	ctx := s.ctx
	if ctx == nil {
		ctx = context.Background()
	}
	s.calls[c.rec.ID] = c
	s.mu.Unlock()
	id := c.rec.ID
	s.running.Go(func() {
		c.Run(ctx, first)
		if c.rec.State == Ended {
			s.forget(id, c)
		}
	})
}

func (s *Service) forget(id ID, c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, id)
	for i := range c.rec.Legs {
		delete(s.legs, c.rec.Legs[i].ID)
	}
}

// claim makes a leg's events go to a call.
func (s *Service) claim(leg pbx.LegID, c *Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.legs[leg] = c
}

// condemn notes that a leg is hung up, so that it is not taken for a new call if the switch still has it when we ask.
func (s *Service) condemn(leg pbx.LegID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doom[leg] = true
}

// absolve notes that a leg is gone.
func (s *Service) absolve(leg pbx.LegID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.doom, leg)
}

// flow finds a flow, the platform's own ones included.
func (s *Service) flow(unitPath, id string) (Flow, error) {
	switch id {
	case closingFlowID:
		return closingFlow{}, nil
	case ManualFlow:
		return manualFlow{}, nil
	}
	return s.flows.Flow(unitPath, id)
}

// Calls is every live call, oldest first.
func (s *Service) Calls() []Live {
	s.mu.Lock()
	all := make([]Live, 0, len(s.calls))
	for _, c := range s.calls {
		all = append(all, *c.live.Load())
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b Live) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return all
}

// Count is how many calls live.
func (s *Service) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.calls)
}

// Get is one live call, or ErrGone.
func (s *Service) Get(id ID) (Live, error) {
	c, err := s.call(id)
	if err != nil {
		return Live{}, err
	}
	return *c.live.Load(), nil
}

// Record is a copy of the whole record of a live call, or ErrGone.
func (s *Service) Record(ctx context.Context, id ID) (rec Record, err error) {
	err = s.do(ctx, id, func(c *Call) error {
		value, err := json.Marshal(&c.rec)
		if err != nil {
			return err
		}
		return json.Unmarshal(value, &rec)
	})
	return rec, err
}

func (s *Service) call(id ID) (*Call, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.calls[id]; c != nil {
		return c, nil
	}
	return nil, ErrGone.With("Call %s has ended.", id)
}

// do has a call do something in its own goroutine, and waits for the answer.
func (s *Service) do(ctx context.Context, id ID, f func(*Call) error) error {
	c, err := s.call(id)
	if err != nil {
		return err
	}
	reply := make(chan error, 1)
	if !c.box.Put(input{do: f, reply: reply}) {
		return ErrGone
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return fmt.Errorf("call %s: %w", id, ctx.Err())
	}
}

// tell has a call do something, and does not wait.
func (s *Service) tell(id ID, f func(*Call) error) bool {
	c, err := s.call(id)
	return err == nil && c.box.Put(input{do: f})
}
