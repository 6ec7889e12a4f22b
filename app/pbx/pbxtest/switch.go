package pbxtest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"callplane/app/pbx"
)

// Switch is a telephone switch in memory. Its verbs are those of its first [Link]; the rest is for tests.
type Switch struct {
	*Link // the first control plane's connection

	opts options

	mu       sync.Mutex
	link     *Link // the connection in force; nil when the control plane is gone
	legs     map[pbx.LegID]*Party
	rooms    map[pbx.RoomID]*room
	recs     map[pbx.RecordingID]*recording
	lines    map[string]*line
	phones   map[string]*Phone
	trunks   map[string]*Trunk
	arrivals int // how many legs arrived: numbers their ids
	tones    int // how many legs there were: gives each its tone
	writes   int // lines created, changed or removed by Provision
	full     bool
	fail     map[Verb][]error
	delay    map[Verb]time.Duration
	log      []string
}

// options are what Option functions set.
type options struct {
	features     pbx.Features
	media        func(pbx.Media) (time.Duration, bool)
	mediaTimeout time.Duration
	lean         bool
}

// Option changes a new Switch.
type Option func(*options)

// WithMedia tells how long each http(s) media URL plays, and whether it can be played at all. By default each plays for
// a second.
func WithMedia(length func(pbx.Media) (time.Duration, bool)) Option {
	return func(o *options) { o.media = length }
}

// WithFeatures changes what the switch can do.
func WithFeatures(change func(*pbx.Features)) Option {
	return func(o *options) { change(&o.features) }
}

// WithMediaTimeout sets how long a leg lives on after its party vanished; 60 s by default.
func WithMediaTimeout(d time.Duration) Option {
	return func(o *options) { o.mediaTimeout = d }
}

// Lean keeps no command log and no record of what parties heard: for benchmarks.
func Lean() Option { return func(o *options) { o.lean = true } }

// New makes a switch that knows no phones and no trunks. It is connected at once: what happens before Run is buffered.
func New(opts ...Option) *Switch {
	sw := &Switch{
		opts: options{
			features:     pbx.Features{Kind: "memory", Version: "1", Whisper: true, EarlyMedia: true},
			media:        func(pbx.Media) (time.Duration, bool) { return time.Second, true },
			mediaTimeout: time.Minute,
		},
		legs:   map[pbx.LegID]*Party{},
		rooms:  map[pbx.RoomID]*room{},
		recs:   map[pbx.RecordingID]*recording{},
		lines:  map[string]*line{},
		phones: map[string]*Phone{},
		trunks: map[string]*Trunk{},
		fail:   map[Verb][]error{},
		delay:  map[Verb]time.Duration{},
	}
	for _, o := range opts {
		o(&sw.opts)
	}
	sw.Link = newLink(sw)
	sw.link = sw.Link
	return sw
}

// Link is one control plane's connection to a Switch: it is a pbx.Switch. See [Switch.Attach].
type Link struct {
	sw     *Switch
	events chan pbx.Event
	wake   chan struct{} // has one element when queue is not empty

	// Guarded by sw.mu.
	queue []pbx.Event
	cut   bool // the network between control plane and switch is broken
	dead  bool // the control plane is gone; commands have no effect
	ran   bool
}

var _ pbx.Switch = (*Link)(nil)

func newLink(sw *Switch) *Link {
	return &Link{sw: sw, events: make(chan pbx.Event, 64), wake: make(chan struct{}, 1)}
}

// Run feeds Events, beginning with Resync, until ctx is done. A Link runs once.
func (l *Link) Run(ctx context.Context) error {
	l.sw.mu.Lock()
	if l.ran {
		l.sw.mu.Unlock()
		panic("pbxtest: a Link runs once; use Attach for the next control plane")
	}
	l.ran = true
	l.queue = slices.Insert(l.queue, 0, pbx.Event{Kind: pbx.Resync, At: time.Now()})
	l.poke()
	l.sw.mu.Unlock()

	defer close(l.events)
	defer l.drop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		}
		l.sw.mu.Lock()
		batch := l.queue
		l.queue = nil
		l.sw.mu.Unlock()
		for _, e := range batch {
			select {
			case l.events <- e:
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// drop takes the link out of force: the control plane ended.
func (l *Link) drop() {
	l.sw.mu.Lock()
	defer l.sw.mu.Unlock()
	l.dead, l.queue = true, nil
	if l.sw.link == l {
		l.sw.link = nil
	}
}

// Events is the stream of what happens; see [pbx.Switch].
func (l *Link) Events() <-chan pbx.Event { return l.events }

// Features tells what the memory switch can do: everything, unless WithFeatures took it away.
func (l *Link) Features() pbx.Features { return l.sw.opts.features }

// put queues an event. The caller holds sw.mu.
func (l *Link) put(e pbx.Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	l.queue = append(l.queue, e)
	l.poke()
}

func (l *Link) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// emit tells the control plane, if one is connected; otherwise the event is lost, as on a real switch. The caller holds
// sw.mu.
func (sw *Switch) emit(e pbx.Event) {
	if sw.connected() {
		sw.link.put(e)
	}
}

// connected says whether a control plane is there and reachable. The caller holds sw.mu.
func (sw *Switch) connected() bool { return sw.link != nil && !sw.link.cut }

// Snapshot tells what is on the switch now, oldest leg first.
func (l *Link) Snapshot(ctx context.Context) (pbx.Snapshot, error) {
	if err := l.enter(ctx, VerbSnapshot); err != nil {
		return pbx.Snapshot{}, err
	}
	sw := l.sw
	defer sw.mu.Unlock()
	s := pbx.Snapshot{
		At:    time.Now(),
		Legs:  make([]pbx.LegState, 0, len(sw.legs)),
		Lines: make(map[string]pbx.LineState, len(sw.lines)),
	}
	for _, p := range sw.legs {
		state := pbx.LegState{
			ID: p.id, Answered: p.state == up, Inbound: p.dial == nil, Parked: p.parked,
			From: p.from, To: p.to, Since: p.since,
		}
		if p.dial == nil {
			state.Trunk, state.Phone = p.trunk, p.phone
		}
		if p.room != nil {
			state.Room = p.room.id
		}
		if p.dial != nil {
			state.Tag = p.dial.Tag
		}
		s.Legs = append(s.Legs, state)
	}
	slices.SortFunc(s.Legs, func(a, b pbx.LegState) int {
		return cmp.Or(a.Since.Compare(b.Since), strings.Compare(string(a.ID), string(b.ID)))
	})
	for name, ln := range sw.lines {
		s.Lines[name] = sw.state(ln)
	}
	for id, r := range sw.recs {
		if r.leg != nil {
			s.Recordings = append(s.Recordings, id)
		}
	}
	slices.Sort(s.Recordings)
	return s, nil
}
