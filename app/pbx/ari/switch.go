package ari

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/CyCoreSystems/ari/v6/client/native"
	"github.com/prometheus/client_golang/prometheus"

	"callplane/app/kernel/mailbox"
	"callplane/app/pbx"
)

// Config says which Asterisk to drive.
type Config struct {
	Name           string // of this switch, for logs and metrics
	URL            string // http://127.0.0.1:8088/ari
	User, Password string // as in ari.conf
	App            string // name of our application in Stasis(); empty means callplane

	Log     *slog.Logger          // nil is slog.Default
	Metrics prometheus.Registerer // nil keeps the numbers to ourselves
}

// Switch is one Asterisk, a pbx.Switch.
type Switch struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	trace   bool // log every event
	link    *link
	lib     *native.Client // the ARI library, on the same link; for what has no hurry
	forget  func()         // takes lib off the link

	box    *mailbox.Box[pbx.Event]
	events chan pbx.Event

	work sync.WaitGroup // what later started; Run waits for it

	provision provisioner

	mu       sync.Mutex // guards all below; events are put into the box under it, so their order is that of our memory
	up       bool       // the event link stands, and our memory is right
	replaced bool
	deaf     bool            // Asterisk has no line yet whose changes it could tell
	ctx      context.Context // of Run; nil before and after it
	version  string
	started  time.Time // when Asterisk was
	memory
}

var _ pbx.Switch = (*Switch)(nil)

// New makes a Switch. It does nothing before Run.
func New(cfg Config) *Switch {
	if cfg.App == "" {
		cfg.App = "callplane"
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Switch{
		cfg:     cfg,
		log:     cfg.Log.With("module", "ari", "switch", cfg.Name),
		metrics: newMetrics(cfg.Name, cfg.Metrics),
		box:     mailbox.New[pbx.Event](),
		events:  make(chan pbx.Event, 64),
		memory:  newMemory(),
	}
	s.trace = s.log.Enabled(context.Background(), slog.LevelDebug)
	s.link = newLink(cfg.URL, cfg.User, cfg.Password, s.metrics)
	s.lib, s.forget = newLibrary(s.link, cfg.App)
	s.provision.known = map[string]line{}
	return s
}

// Features tells what Asterisk can do beyond the verbs.
func (s *Switch) Features() pbx.Features {
	s.mu.Lock()
	defer s.mu.Unlock()
	return pbx.Features{Kind: "asterisk", Version: s.version, Whisper: true, EarlyMedia: true}
}

// Events delivers what happens. It is closed when Run ends.
func (s *Switch) Events() <-chan pbx.Event { return s.events }

// Run connects to Asterisk and stays connected until ctx is done. It may be called once.
func (s *Switch) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.ctx != nil {
		s.mu.Unlock()
		return errors.New("ari: Run was called before")
	}
	s.ctx = ctx
	s.mu.Unlock()

	var pump sync.WaitGroup
	pump.Go(func() { s.pump(ctx) })
	s.stayConnected(ctx)

	s.mu.Lock()
	s.up = false
	s.failWaits()
	s.mu.Unlock()
	s.work.Wait() // all of it watches ctx
	pump.Wait()
	close(s.events)
	s.forget()
	s.link.http.CloseIdleConnections()
	return nil
}

// pump hands events from the box to the reader, until ctx is done. Run waits for it.
func (s *Switch) pump(ctx context.Context) {
	for {
		select {
		case <-s.box.Ready():
		case <-ctx.Done():
			return
		}
		for batch := s.box.Take(); len(batch) > 0; batch = s.box.Take() {
			for i, e := range batch {
				s.metrics.queued.Set(float64(len(batch) - i + s.box.Len()))
				select {
				case s.events <- e:
				case <-ctx.Done():
					return
				}
			}
		}
		s.metrics.queued.Set(0)
	}
}

// do is a command: a request that is refused while the event link is down, for nobody would hear what comes of it.
func (s *Switch) do(ctx context.Context, a ask, out any) error {
	if err := s.ready(a.op); err != nil {
		return err
	}
	return s.link.do(ctx, a, out)
}

// ready is nil while commands are welcome.
func (s *Switch) ready(op string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.replaced:
		return unreachable(op, errors.New("another node drives this switch"))
	case !s.up:
		return unreachable(op, errors.New("the event link is down"))
	}
	return nil
}

// later runs a small job of our own, such as hanging up a snoop. Run waits for it. What names it for the log.
func (s *Switch) later(what string, job func(ctx context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.laterLocked(what, job)
}

// laterLocked is later for those who hold s.mu.
func (s *Switch) laterLocked(what string, job func(ctx context.Context) error) {
	ctx := s.ctx
	if ctx == nil || ctx.Err() != nil {
		return
	}
	s.work.Go(func() {
		if err := job(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("could not "+what, "error", err)
		}
	})
}
