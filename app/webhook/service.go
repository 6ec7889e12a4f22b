package webhook

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strconv"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/problem"
)

// Permissions of this module.
var (
	Read   = auth.Define("webhook:read", "see webhooks and their deliveries", auth.Integrator, auth.Auditor)
	Manage = auth.Define("webhook:manage", "create, change, replay and remove webhooks", auth.Integrator)
)

// Types of this module's events. Endpoints do not get them.
const (
	EventChanged = "webhook.endpoint_changed" // made, changed or removed; the key is its id
	EventOff     = "webhook.endpoint_off"     // switched off by the platform; data is an Endpoint
	EventGivenUp = "webhook.given_up"         // an event could not be delivered in 24 h; data is an Attempt
)

// Config is what is set for the module.
type Config struct {
	Timeout      time.Duration  // for one request; default 10 s
	GiveUp       time.Duration  // how long an event is tried, and an endpoint at which nothing succeeds; default 24 h
	Parallel     int            // requests at once to one endpoint; default 16
	Waiting      int            // events on their way to one endpoint, before the rest waits in the stream; default 2000
	Backoff      time.Duration  // wait after the first failure; default 1 s
	Probe        time.Duration  // how often a host that is down is asked; default 10 s
	Flush        time.Duration  // how often the log of deliveries is written; default 1 s
	AllowPrivate bool           // events may go to any address, those of private networks and of this machine included
	Allow        []netip.Prefix // or to these private ones
}

func (c *Config) defaults() {
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.GiveUp <= 0 {
		c.GiveUp = 24 * time.Hour
	}
	if c.Parallel <= 0 {
		c.Parallel = 16
	}
	if c.Waiting <= 0 {
		c.Waiting = 2000
	}
	if c.Backoff <= 0 {
		c.Backoff = time.Second
	}
	if c.Probe <= 0 {
		c.Probe = 10 * time.Second
	}
	if c.Flush <= 0 {
		c.Flush = time.Second
	}
}

// Service keeps endpoints and runs their couriers.
type Service struct {
	log     *slog.Logger
	kit     *kernel.Kit
	tree    auth.Tree
	cfg     Config
	poster  *poster
	metrics *metrics
}

// New makes the service. tree tells where units stand.
func New(kit *kernel.Kit, tree auth.Tree, cfg Config) *Service {
	cfg.defaults()
	s := &Service{log: kit.Log.With("module", "webhook"), kit: kit, tree: tree, cfg: cfg, poster: newPoster(cfg), metrics: newMetrics(kit.Metrics)}
	kit.Jobs.Handle(replayJob, jobs.Options{Parallel: 2, Attempts: 100, MinBackoff: time.Second, MaxBackoff: 15 * time.Minute, Timeout: time.Hour}, s.replay)
	return s
}

// reloads is how often endpoints are looked at when no event says that one has changed.
const reloads = time.Minute

// Run delivers to every endpoint that is on, until ctx is done. It waits for all couriers.
func (s *Service) Run(ctx context.Context) error {
	couriers := couriers{}
	defer couriers.stopAll()
	for ctx.Err() == nil {
		if err := s.follow(ctx, couriers); err != nil && ctx.Err() == nil {
			s.log.Warn("endpoints cannot be read", "error", err)
		}
		pause(ctx, time.Second)
	}
	return nil
}

// follow keeps couriers as the endpoints are, until the stream or the database fails.
func (s *Service) follow(ctx context.Context, couriers couriers) error {
	changes, err := s.kit.Bus.Tail(ctx, 0, EventChanged)
	if err != nil {
		return err
	}
	for {
		list, err := store{s.kit.DB.WithContext(ctx)}.active()
		if err != nil {
			return err
		}
		couriers.reload(ctx, s, list)
		select {
		case _, ok := <-changes:
			if !ok {
				return errors.New("the event stream ended")
			}
		case <-time.After(reloads):
		case <-ctx.Done():
			return nil
		}
	}
}

// running is a courier at work.
type running struct {
	endpoint Endpoint
	cancel   context.CancelFunc
	ended    chan struct{}
}

// couriers are those at work, by endpoint.
type couriers map[ID]*running

// reload starts and stops couriers so that there is one for each endpoint of the list, as it is now.
func (cs couriers) reload(ctx context.Context, s *Service, list []Endpoint) {
	on := map[ID]bool{}
	for _, e := range list {
		on[e.ID] = true
	}
	for id := range cs {
		if !on[id] {
			cs.stop(id)
		}
	}
	for _, e := range list {
		if old := cs[e.ID]; old != nil {
			if old.endpoint.UpdatedAt.Equal(e.UpdatedAt) {
				continue
			}
			cs.stop(e.ID)
		}
		hold, cancel := context.WithCancel(ctx)
		r := &running{e, cancel, make(chan struct{})}
		cs[e.ID] = r
		go func() { // stop waits for it
			defer close(r.ended)
			s.newCourier(e, false).run(hold)
		}()
	}
}

func (cs couriers) stop(id ID) {
	cs[id].cancel()
	<-cs[id].ended
	delete(cs, id)
}

func (cs couriers) stopAll() {
	for _, r := range cs {
		r.cancel()
	}
	for id := range cs {
		cs.stop(id)
	}
}

// positions is the bucket of the endpoints' places in the stream.
const positions = "webhook"

// position is how far an endpoint has got.
func (s *Service) position(ctx context.Context, e Endpoint) (uint64, error) {
	if err := s.kit.Bus.Flush(ctx); err != nil { // our own last position may be on its way
		return 0, err
	}
	v, err := s.kit.Bus.KV(positions).Get(ctx, string(e.ID))
	switch {
	case err == nil:
		return strconv.ParseUint(string(v.Value), 10, 64)
	case errors.Is(err, bus.ErrNoKey):
		return uint64(e.FromSeq), nil
	}
	return 0, err
}

func (s *Service) setPosition(id ID, seq uint64) {
	s.kit.Bus.KV(positions).Put(string(id), strconv.AppendUint(nil, seq, 10))
}

// tail reads the stream after a position. Events that are no longer kept are left out.
func (s *Service) tail(ctx context.Context, after uint64, types []string) (<-chan bus.Event, error) {
	events, err := s.kit.Bus.Tail(ctx, after, types...)
	if !errors.Is(err, bus.ErrGone) {
		return events, err
	}
	first, err := s.kit.Bus.FirstSeq(ctx)
	if err != nil {
		return nil, err
	}
	s.log.Warn("events are no longer kept", "after", after, "first", first)
	return s.kit.Bus.Tail(ctx, max(first, 2)-1, types...)
}

// Secret is an endpoint with its signing secret, which is shown this one time.
type Secret struct {
	Endpoint
	Secret string `json:"secret" doc:"For checking signatures. It is not shown again"`
}

// Create makes an endpoint, which gets what happens from now on. An empty unit is the asker's. Errors: ErrURL, ErrPrivate, ErrTypes.
func (s *Service) Create(ctx context.Context, e Endpoint) (Secret, error) {
	who := auth.From(ctx)
	if e.UnitID == "" {
		e.UnitID = string(who.UnitID)
	}
	if !auth.MayUse(ctx, Manage, e.UnitID, "") {
		return Secret{}, problem.ErrNotFound.With("There is no unit %s.", e.UnitID)
	}
	if err := s.check(&e); err != nil {
		return Secret{}, err
	}
	seq, err := s.kit.Bus.LastSeq(ctx)
	if err != nil {
		return Secret{}, err
	}
	e.ID, e.Secret, e.FromSeq, e.CreatedBy, e.WhyOff, e.FailingSince = ID(db.ID()), newSecret(), int64(seq), string(who.UserID), "", nil
	err = db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		if err := (store{tx}).create(&e); err != nil {
			return err
		}
		return s.changed(ctx, tx, "create", nil, e)
	})
	return Secret{e, e.Secret}, err
}

// check tidies what a person wrote.
func (s *Service) check(e *Endpoint) (err error) {
	if err := s.cfg.checkURL(e.URL); err != nil {
		return err
	}
	e.Types, err = tidyTypes(e.Types)
	return err
}

// Change is what to change of an endpoint; nil fields stay.
type Change struct {
	Name   *string   `json:"name,omitempty" minLength:"1" maxLength:"120"`
	URL    *string   `json:"url,omitempty" maxLength:"2000"`
	Types  *[]string `json:"types,omitempty" maxItems:"100"`
	Active *bool     `json:"active,omitempty" doc:"Switched on, it gets what happened while it was off, as far as it is kept"`
}

// Update changes an endpoint.
func (s *Service) Update(ctx context.Context, id ID, ch Change) (Endpoint, error) {
	return s.update(ctx, id, "update", func(e *Endpoint) error {
		if ch.Name != nil {
			e.Name = *ch.Name
		}
		if ch.URL != nil {
			e.URL = *ch.URL
		}
		if ch.Types != nil {
			e.Types = *ch.Types
		}
		if ch.Active != nil {
			if e.Active = *ch.Active; e.Active {
				e.WhyOff, e.FailingSince = "", nil
			}
		}
		return s.check(e)
	})
}

// NewSecret gives an endpoint another signing secret; the old one ends at once.
func (s *Service) NewSecret(ctx context.Context, id ID) (Secret, error) {
	e, err := s.update(ctx, id, "secret", func(e *Endpoint) error {
		e.Secret = newSecret()
		return nil
	})
	return Secret{e, e.Secret}, err
}

func (s *Service) update(ctx context.Context, id ID, what string, change func(*Endpoint) error) (e Endpoint, err error) {
	err = db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		if e, err = (store{auth.Visible(ctx, tx, Manage, "unit_id", "")}).endpoint(id); err != nil {
			return err
		}
		was := e
		if err := change(&e); err != nil {
			return err
		}
		if err := (store{tx}).update(&e); err != nil {
			return err
		}
		return s.changed(ctx, tx, what, was, e)
	})
	return e, err
}

// Delete removes an endpoint, with what waits for it and its log.
func (s *Service) Delete(ctx context.Context, id ID) error {
	return db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		e, err := (store{auth.Visible(ctx, tx, Manage, "unit_id", "")}).endpoint(id)
		if err != nil {
			return err
		}
		if err := (store{tx}).remove(id); err != nil {
			return err
		}
		db.AfterCommit(tx, func() { s.kit.Bus.KV(positions).Delete(string(id)) })
		return s.changed(ctx, tx, "delete", e, nil)
	})
}

// changed tells all nodes that an endpoint is not what it was, and writes down who did it.
func (s *Service) changed(ctx context.Context, tx *gorm.DB, what string, before, after any) error {
	e, ok := after.(Endpoint)
	if !ok {
		e, _ = before.(Endpoint)
	}
	if err := s.tell(tx, EventChanged, e, nil); err != nil {
		return err
	}
	return audit.Add(ctx, tx, audit.Entry{
		Action: "webhook." + what, Object: "webhook.endpoint", ObjectID: string(e.ID), Unit: auth.UnitID(e.UnitID), Before: before, After: after,
	})
}

func (s *Service) event(typ string, e Endpoint, data any) bus.Event {
	ev := bus.NewEvent(typ, string(e.ID), data).For(e.UnitID, s.tree.Path(auth.UnitID(e.UnitID)))
	ev.Perm = string(Read)
	return ev
}

func (s *Service) tell(tx *gorm.DB, typ string, e Endpoint, data any) error {
	return s.kit.Outbox.Add(tx, s.event(typ, e, data))
}

// switchOff ends the deliveries to an endpoint, for a reason of the platform's own.
func (s *Service) switchOff(ctx context.Context, e Endpoint, why string) {
	err := db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		off, err := (store{tx}).switchOff(e.ID, why)
		if err != nil || !off {
			return err
		}
		s.log.Error("webhook switched off", "endpoint", string(e.ID), "name", e.Name, "why", why)
		e.Active, e.WhyOff = false, why
		if err := s.tell(tx, EventOff, e, e); err != nil {
			return err
		}
		return s.changed(auth.System(ctx), tx, "switch_off", nil, e)
	})
	if err != nil && ctx.Err() == nil {
		s.log.Error("webhook cannot be switched off", "endpoint", string(e.ID), "error", err)
	}
}

// tellGivenUp says that an event was not delivered in time.
func (s *Service) tellGivenUp(e Endpoint, ev bus.Event, a answer) {
	s.kit.Bus.Publish(s.event(EventGivenUp, e, Attempt{
		EndpointID: e.ID, EventID: ev.ID, EventType: ev.Type, EventKey: ev.Key, Seq: int64(ev.Seq), At: db.Now(), Status: a.status, Error: clip(a.err.Error(), 500),
	}))
}
