package ari

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"
	"golang.org/x/sync/errgroup"

	"callplane/app/pbx"
)

// listing is what Asterisk has now, as far as it concerns us.
type listing struct {
	at        time.Time
	channels  []channel // in our application, or dialled for it; the helpers too
	bridges   []ari.BridgeData
	endpoints []ari.EndpointData
	waiting   map[string]bool // channels that are not in Stasis yet: we dial them
}

// list asks for everything, in four requests at once.
func (s *Switch) list(ctx context.Context) (*listing, error) {
	get := func(into any, parts ...string) error {
		return s.link.do(ctx, ask{op: "list " + parts[0], method: http.MethodGet, path: path(parts...)}, into)
	}
	l := &listing{at: time.Now(), waiting: map[string]bool{}}
	var app ari.ApplicationData
	var channels []channel
	var g errgroup.Group
	g.Go(func() error { return get(&app, "applications", s.cfg.App) })
	g.Go(func() error { return get(&channels, "channels") })
	g.Go(func() error { return get(&l.bridges, "bridges") })
	g.Go(func() error { return gone(get(&l.endpoints, "endpoints", "PJSIP")) }) // 404 when there is not one
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, c := range channels {
		switch {
		case s.ours(&c):
		case !c.up() && slices.Contains(app.ChannelIDs, c.ID):
			l.waiting[c.ID] = true
		default:
			continue
		}
		l.channels = append(l.channels, c)
	}
	return l, nil
}

// bridgeOf tells which bridge each channel is in.
func (l *listing) bridgeOf() map[string]string {
	in := map[string]string{}
	for _, b := range l.bridges {
		for _, c := range b.ChannelIDs {
			in[c] = b.ID
		}
	}
	return in
}

// words are what Stasis was told of a channel: "inbound,…", "dial,<to>,<tag>", "rec,<name>", "spy,<ear>,<target>,<mode>".
func (c *channel) words() []string {
	_, rest, _ := strings.Cut(c.Dialplan.AppData, ",")
	return strings.Split(rest, ",")
}

// Snapshot tells what is on the switch now.
func (s *Switch) Snapshot(ctx context.Context) (pbx.Snapshot, error) {
	if err := s.ready("snapshot"); err != nil {
		return pbx.Snapshot{}, err
	}
	l, err := s.list(ctx)
	if err != nil {
		return pbx.Snapshot{}, err
	}
	snap := pbx.Snapshot{At: l.at, Lines: map[string]pbx.LineState{}}
	for _, e := range l.endpoints {
		if name, ok := strings.CutPrefix(e.Resource, prefix); ok && s.provision.wanted(name) {
			snap.Lines[name] = lineState(e.State)
		}
	}
	in := l.bridgeOf()
	for _, c := range l.channels {
		if s.isOver(pbx.LegID(c.ID)) {
			continue // Asterisk still lists it, but its Ended is told
		}
		if !helper(c.ID) {
			snap.Legs = append(snap.Legs, s.legState(ctx, c, in[c.ID], l.waiting[c.ID]))
		} else if w := c.words(); w[0] == "rec" {
			rec := strings.Join(w[1:], ",")
			if s.isRecording(ctx, rec) {
				snap.Recordings = append(snap.Recordings, pbx.RecordingID(rec))
			}
		}
	}
	return snap, nil
}

// legState is one channel of a listing as a leg.
func (s *Switch) legState(ctx context.Context, c channel, bridge string, waiting bool) pbx.LegState {
	st := pbx.LegState{ID: pbx.LegID(c.ID), Answered: c.up(), Since: parseTime(c.CreationTime)}
	switch {
	case strings.HasPrefix(bridge, s.parkPrefix()):
		st.Parked = true
	case !helper(bridge):
		st.Room = pbx.RoomID(bridge)
	}
	words := c.words()
	switch {
	case waiting:
		st.To, st.Tag, _ = strings.Cut(s.variable(ctx, c.ID, tagVariable), ",")
		st.From = c.Caller.Number
	case words[0] == "dial":
		st.To, st.Tag, _ = strings.Cut(strings.Join(words[1:], ","), ",")
		st.From = c.Caller.Number
	default:
		st.Inbound = true
		var f frame
		f.Channel, f.Args = c, words
		e := arrival(&f)
		st.From, st.To, st.Trunk, st.Phone = e.From, e.To, e.Trunk, e.Phone
	}
	return st
}

// variable reads a channel's variable; empty when there is none.
func (s *Switch) variable(ctx context.Context, id, name string) string {
	var v struct{ Value string }
	_ = s.link.do(ctx, ask{op: "get variable", method: http.MethodGet, path: path("channels", id, "variable"),
		query: url.Values{"variable": {name}}}, &v)
	return v.Value
}

// isRecording tells whether a recording runs.
func (s *Switch) isRecording(ctx context.Context, rec string) bool {
	return s.link.do(ctx, ask{op: "live recording", method: http.MethodGet, path: path("recordings", "live", rec)}, nil) == nil
}

// remember brings our memory in line with what Asterisk has, after the event link was opened, and says Resync. Events
// that came since are read after it. Legs that have gone meanwhile are forgotten without a word: comparing with a
// Snapshot is the reader's part.
func (s *Switch) remember(ctx context.Context, info ari.AsteriskInfo) error {
	l, err := s.list(ctx)
	if err != nil {
		return err
	}
	live := map[string]bool{}
	for _, c := range l.channels {
		if w := c.words(); helper(c.ID) && w[0] == "rec" {
			live[c.ID] = s.isRecording(ctx, strings.Join(w[1:], ","))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	started := time.Time(info.StatusInfo.StartupTime)
	restarted := !s.started.IsZero() && !started.Equal(s.started)
	s.version, s.started = info.SystemInfo.Version, started

	old, recs := s.legs, s.recs
	lines := s.lines
	s.memory = newMemory()
	s.lines = lines
	in := l.bridgeOf()
	for _, b := range l.bridges {
		s.rooms[b.ID] = true
	}
	for _, c := range l.channels {
		if helper(c.ID) {
			continue
		}
		id := pbx.LegID(c.ID)
		g := old[id]
		if g == nil {
			g = s.newLeg(id)
			g.before, g.arrived = true, !l.waiting[c.ID]
			g.dialled = l.waiting[c.ID] || c.words()[0] == "dial"
		} else {
			g.before, g.last, g.due = true, nil, time.Time{}
			clear(g.recs)
			s.legs[id] = g
		}
		if !g.dialled || !l.waiting[c.ID] {
			g.answered = g.answered || c.up()
		}
		g.place = ""
		s.put(g, in[c.ID])
	}
	for _, c := range l.channels {
		if helper(c.ID) {
			s.rememberHelper(&c, live[c.ID], recs)
		}
	}
	for rec, r := range recs {
		if r.timer != nil && s.recs[rec] != r {
			r.timer.Stop()
		}
	}
	s.up = true
	s.metrics.connected.Set(1)
	s.log.Info("connected to asterisk", "version", s.version, "legs", len(s.legs), "lines", len(s.lines), "restarted", restarted)
	s.tell(pbx.Event{Kind: pbx.Resync, At: time.Now()})
	s.rememberLines(l)
	if restarted {
		s.provision.forgetAll()
		s.laterLocked("write phones and trunks again after a restart of asterisk", s.provisionAgain)
	}
	return nil
}

// rememberHelper finds out what a snoop from before is for, and hangs it up if it is for nothing.
func (s *Switch) rememberHelper(c *channel, live bool, recs map[pbx.RecordingID]*recording) {
	words := c.words()
	switch {
	case words[0] == "rec" && live:
		leg, ok := recSnoopLeg(c.ID)
		if g := s.legs[leg]; ok && g != nil {
			rec := pbx.RecordingID(strings.Join(words[1:], ","))
			r := recs[rec]
			if r == nil || r.leg != leg {
				r = &recording{leg: leg}
			}
			s.recs[rec] = r
			g.recs[rec] = true
			return
		}
	case words[0] == "spy" && len(words) == 4:
		sp := &spy{ear: pbx.LegID(words[1]), target: pbx.LegID(words[2]), mode: pbx.SpyMode(words[3]), snoop: c.ID}
		if ear := s.legs[sp.ear]; ear != nil && helper(ear.place) && s.spies[sp.ear] == nil {
			sp.bridge = ear.place
			s.spies[sp.ear] = sp
			return
		}
	}
	s.laterLocked("hang up a snoop", func(ctx context.Context) error { return s.hangupHelper(ctx, c.ID) })
}

// rememberLines takes over the states of lines, and tells of those that changed while we were away.
func (s *Switch) rememberLines(l *listing) {
	seen := map[string]bool{}
	for _, e := range l.endpoints {
		if name, ok := strings.CutPrefix(e.Resource, prefix); ok && s.provision.wanted(name) {
			seen[name] = true
			s.setLine(name, lineState(e.State), l.at)
		}
	}
	for name := range s.lines {
		if !seen[name] {
			s.setLine(name, pbx.LineUnknown, l.at)
			delete(s.lines, name)
		}
	}
}
