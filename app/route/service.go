package route

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/mailbox"
	"callplane/app/kernel/outbox"
	"callplane/app/pbx"
)

// Permissions. The four for dialling say which classes of numbers a person may call; their scope has no meaning.
var (
	PermRead   = auth.Define("route:read", "see trunks, numbers and barred numbers", auth.Supervisor.At(auth.All), auth.Auditor, auth.Integrator)
	PermManage = auth.Define("route:manage", "create and change trunks, numbers, phones, barred numbers and shared speed dials", auth.Integrator)
	PermUse    = auth.Define("route:use", "see phones, use speed dials, and keep one's own",
		auth.Supervisor.At(auth.All), auth.Agent.At(auth.All), auth.QA.At(auth.All), auth.Dispatcher.At(auth.All))

	dialPerms = map[Class]auth.Permission{
		Local:        auth.Define("route:dial_local", "call local numbers and service codes", auth.Supervisor, auth.Agent, auth.Dispatcher),
		Mobile:       auth.Define("route:dial_mobile", "call mobile phones", auth.Supervisor, auth.Agent, auth.Dispatcher),
		LongDistance: auth.Define("route:dial_long_distance", "call other areas of the country", auth.Supervisor, auth.Agent, auth.Dispatcher),
		International: auth.Define("route:dial_international", "call other countries",
			auth.Supervisor),
	}
)

// AllowedClasses is which classes of numbers the asker may call, for Wanted.Classes. Never nil.
func AllowedClasses(p *auth.Principal) []Class {
	allowed := []Class{}
	for _, c := range Classes {
		if p.Can(dialPerms[c]) {
			allowed = append(allowed, c)
		}
	}
	return allowed
}

// Config is the settings of routing.
type Config struct {
	Country string `koanf:"country"` // ISO code of numbers without a country code. Default CN
	Area    string `koanf:"area"`    // own area code without its leading 0, such as 10: decides local or long distance. Default none
}

// Service answers where calls go and keeps the switch provisioned. Its answers come from memory.
type Service struct {
	log     *slog.Logger
	db      *gorm.DB
	outbox  *outbox.Outbox
	stream  stream
	tree    auth.Tree
	hours   Hours
	sw      pbx.Switch
	config  Numbering
	metrics *metrics

	tables   atomic.Pointer[Tables]
	channels channels
	lines    lines
	resync   atomic.Bool   // read back the lines' states after the next provisioning
	changed  chan struct{} // there is something to provision
	refused  *mailbox.Box[refusal]

	mu     sync.RWMutex // guards rows and phones
	rows   Rows
	phones map[string]Phone // by name
	loads  sync.Mutex       // one load at a time, so that an older one never replaces a newer one
}

// stream is what routing needs of the event stream.
type stream interface {
	Publish(events ...bus.Event)
	LastSeq(ctx context.Context) (uint64, error)
	Tail(ctx context.Context, afterSeq uint64, types ...string) (<-chan bus.Event, error)
}

// New makes the service, with empty tables until Load. sw is what it provisions.
func New(kit *kernel.Kit, tree auth.Tree, h Hours, sw pbx.Switch, c Config) *Service {
	s := newService(kit.Log, tree, h, sw, c)
	s.db, s.outbox, s.stream = kit.DB, kit.Outbox, kit.Bus
	s.metrics = s.register(kit.Metrics)
	return s
}

// newService makes a service that has no database and no stream.
func newService(log *slog.Logger, tree auth.Tree, h Hours, sw pbx.Switch, c Config) *Service {
	if c.Country == "" {
		c.Country = "CN"
	}
	s := &Service{
		log: log.With("module", "route"), tree: tree, hours: h, sw: sw, config: Numbering(c),
		changed: make(chan struct{}, 1), refused: mailbox.New[refusal](), phones: map[string]Phone{},
	}
	s.rebuild()
	return s
}

// rebuild makes tables of the rows. s.mu is held, or nobody else has s.
func (s *Service) rebuild() { s.tables.Store(NewTables(s.config, s.rows, s.path)) }

// path is the unit's way from the root, "" for a unit that is gone.
func (s *Service) path(unit string) string {
	if unit == "" {
		return ""
	}
	return s.tree.Path(auth.UnitID(unit))
}

// Load reads everything from the database. Run does it too; called before Run, the first call finds full tables.
func (s *Service) Load(ctx context.Context) error {
	return s.load(ctx, kinds...)
}

// load reads some kinds of rows and makes tables of them.
func (s *Service) load(ctx context.Context, what ...string) error {
	s.loads.Lock()
	defer s.loads.Unlock()
	st := store{s.db.WithContext(ctx)}
	var rows Rows
	var phones map[string]Phone
	for _, kind := range what {
		var err error
		switch kind {
		case kindTrunk:
			rows.Trunks, err = all[Trunk](st)
		case kindNumber:
			rows.Numbers, err = all[Number](st)
		case kindBarred:
			rows.Barred, err = all[Barred](st)
		case kindPhone:
			phones, err = st.phones()
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range what {
		switch kind {
		case kindTrunk:
			s.forgetChanged(s.rows.Trunks, rows.Trunks)
			s.rows.Trunks = rows.Trunks
		case kindNumber:
			s.rows.Numbers = rows.Numbers
		case kindBarred:
			s.rows.Barred = rows.Barred
		case kindPhone:
			s.phones = phones
		}
	}
	s.rebuild()
	s.kick()
	return nil
}

// forgetChanged forgets the state of trunks that are reached differently from now on, or not at all: what was down may be up.
func (s *Service) forgetChanged(was, now []Trunk) {
	current := make(map[string]Trunk, len(now))
	for _, t := range now {
		current[t.Name] = t
	}
	for _, t := range was {
		n := current[t.Name]
		if n.Enabled != t.Enabled || !reflect.DeepEqual(n.line(), t.line()) {
			s.lines.forget(t.Name)
			s.resync.Store(true) // the switch tells it only when it changes, so ask
		}
	}
}

// Run follows changes made on other nodes, keeps the switch provisioned, and writes refusals into the audit log, until ctx is
// done. It waits for the goroutines it starts.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { s.keepProvisioned(ctx) })
	wg.Go(func() { s.writeRefusals(ctx) })
	s.follow(ctx)
	wg.Wait()
	return nil
}

// follow loads everything at start, and again what changed, soon after it changed. While the stream or the database cannot be
// read, it tries again; the tables stay as they were.
func (s *Service) follow(ctx context.Context) {
	retry := retryMin
	for ctx.Err() == nil {
		err := s.followOnce(ctx, func() { retry = retryMin })
		if ctx.Err() != nil {
			return
		}
		s.log.Warn("cannot follow changes; trying again", "error", err, "in", retry)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
		retry = min(2*retry, retryMax)
	}
}

func (s *Service) followOnce(ctx context.Context, works func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	seq, err := s.stream.LastSeq(ctx)
	if err != nil {
		return err
	}
	news, err := s.stream.Tail(ctx, seq, changeTypes...)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.Load(ctx); err != nil {
		return err
	}
	works()
	took := time.Since(began)
	for {
		changed := map[string]bool{}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-news:
			if !ok {
				return errors.New("the event stream ended")
			}
			changed[kindOf(e.Type)] = true
		}
		// More may follow at once; and loading must not become all we do.
		wait := time.After(max(settle, 5*took))
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-wait:
				waiting = false
			case e, ok := <-news:
				if !ok {
					return errors.New("the event stream ended")
				}
				changed[kindOf(e.Type)] = true
			}
		}
		began = time.Now()
		for kind := range changed {
			if err := s.load(ctx, kind); err != nil {
				return err
			}
		}
		took = time.Since(began)
	}
}

// Inbound finds where an arriving call goes. Errors: ErrNoNumber when nothing answers that number here, ErrTrunkDisabled.
func (s *Service) Inbound(a Asked) (Inbound, error) {
	in, err := s.tables.Load().Inbound(a, s.hours)
	s.metrics.refuse("in", err)
	return in, err
}

// Outbound finds how a call leaves. Errors, each with what is wrong: ErrBadNumber, ErrBarred, ErrNotAllowed, ErrCallerIdentity
// (also written into the audit log), ErrTrunkFull, ErrNoTrunk. Between Outbound and Seize another call may take the last
// channel: then ask again, with the trunk in Wanted.Not.
func (s *Service) Outbound(w Wanted) (Outbound, error) {
	out, err := s.tables.Load().Outbound(w, s)
	s.metrics.refuse("out", err)
	if errors.Is(err, ErrCallerIdentity) {
		s.refused.Put(refusal{w, err.Error()})
	}
	return out, err
}

// Up is false when the trunk is known not to answer.
func (s *Service) Up(trunk string) bool { return s.lines.get(trunk) != pbx.LineDown }

// Full says that no channel of the trunk is free.
func (s *Service) Full(trunk string) bool {
	t := s.tables.Load().byName[trunk]
	return t != nil && t.ChannelLimit > 0 && s.channels.live(trunk) >= t.ChannelLimit
}

// Channels is how many calls the trunk carries now.
func (s *Service) Channels(trunk string) int { return s.channels.live(trunk) }

// Seize takes a channel of the trunk for a call, in or out; release gives it back, and may be called twice. A trunk that we do not
// keep (written into the switch's own files) has no limit. Errors: ErrTrunkFull, ErrTrunkDisabled.
func (s *Service) Seize(trunk string) (release func(), err error) {
	limit := 0
	if t := s.tables.Load().byName[trunk]; t != nil {
		if !t.Enabled {
			return nil, ErrTrunkDisabled.With("Trunk %s is disabled.", trunk)
		}
		limit = t.ChannelLimit
	}
	release, ok := s.channels.seize(trunk, limit)
	if !ok {
		err = ErrTrunkFull.With("All %d channels of %s are taken.", limit, trunk)
		s.metrics.refuse("seize", err)
		return nil, err
	}
	return release, nil
}

// Resume takes a channel for a call that is already on the trunk, after a restart: also beyond the limit, also on a disabled
// trunk.
func (s *Service) Resume(trunk string) (release func()) {
	release, _ = s.channels.seize(trunk, 0)
	return release
}

// Normalise is the number in E.164, as sent on the trunk ("" for none) and read in the country ("" for the trunk's, or the
// platform's). ok is false for short, internal and withheld numbers, which stay as they are.
func (s *Service) Normalise(raw, country, trunk string) (e164 string, ok bool) {
	return s.tables.Load().Normalise(raw, country, trunk)
}

// refusal is a call that was refused because of its calling number.
type refusal struct {
	w   Wanted
	why string
}

// writeRefusals writes refused calling numbers into the audit log; the call does not wait for it.
func (s *Service) writeRefusals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.refused.Ready():
		}
		for _, r := range s.refused.Take() {
			e := audit.Entry{
				Action: "route.outbound.refused", Object: "route.number", ObjectID: r.w.From, Unit: auth.UnitID(r.w.Unit),
				Detail: map[string]string{"rule": r.why, "to": r.w.To, "from": r.w.From},
			}
			if r.w.User != "" {
				e.Actor = "user:" + r.w.User
			}
			if err := audit.Add(auth.System(ctx), s.db, e); err != nil && ctx.Err() == nil {
				s.log.Error("refused call is not in the audit log", "from", r.w.From, "user_id", r.w.User, "error", err)
			}
		}
	}
}
