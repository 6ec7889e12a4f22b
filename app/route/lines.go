package route

import (
	"cmp"
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"callplane/app/kernel/bus"
	"callplane/app/pbx"
)

// EventLine is the type of the event that follows every change of a line's state; its data is a LineState.
const EventLine = "route.line_changed"

// LineState is what EventLine carries.
type LineState struct {
	Line  string        `json:"line"`
	Kind  string        `json:"kind" enum:"phone,trunk"`
	State pbx.LineState `json:"state"`
	Was   pbx.LineState `json:"was"`
}

// Provisioning waits until changes pause, so that a hundred new phones are one visit to the switch.
const (
	settle    = 200 * time.Millisecond // no change for so long
	settleMax = 2 * time.Second        // but no longer than this
	retryMin  = time.Second            // after a failure, doubling
	retryMax  = time.Minute
)

// lines is the state of every phone and trunk, and who wants to hear of it.
type lines struct {
	order sync.Mutex // held while a change is made and told, so that all hear changes in order
	watch []func(line string, st pbx.LineState)

	mu    sync.RWMutex
	state map[string]lineAt
}

type lineAt struct {
	state pbx.LineState
	at    time.Time
}

func (l *lines) get(line string) pbx.LineState {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return cmp.Or(l.state[line].state, pbx.LineUnknown)
}

// set notes a state. It returns what it was.
func (l *lines) set(line string, st pbx.LineState, at time.Time) pbx.LineState {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := cmp.Or(l.state[line].state, pbx.LineUnknown)
	if l.state == nil {
		l.state = map[string]lineAt{}
	}
	l.state[line] = lineAt{st, at}
	return was
}

// forget makes the state unknown: the line is gone, or is about to be another.
func (l *lines) forget(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.state, line)
}

// since says that the state of the line was told at or after t.
func (l *lines) since(line string, t time.Time) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return !l.state[line].at.Before(t)
}

// OnLine has f called after every change of a line's state, in order, from the goroutine that brings the news. f must be
// quick and must not call LineChanged. Register before calls run.
func (s *Service) OnLine(f func(line string, st pbx.LineState)) {
	s.lines.watch = append(s.lines.watch, f)
}

// LineChanged takes the switch's news about lines, and Resync, after which the switch is provisioned again and asked for the state
// of every line. Other events are ignored. When the link is Lost the last states stay: the calls go on too. It does not block.
func (s *Service) LineChanged(ev pbx.Event) {
	switch ev.Kind {
	case pbx.LineChanged:
		s.line(ev.Line, ev.LineState, time.Time{})
	case pbx.Resync:
		s.resync.Store(true)
		s.kick()
	}
}

// line notes the state of a line and tells it. asOf is when the switch was asked; news that came since then is newer and stays.
// Zero is news.
func (s *Service) line(line string, st pbx.LineState, asOf time.Time) {
	s.lines.order.Lock()
	defer s.lines.order.Unlock()
	if !asOf.IsZero() && s.lines.since(line, asOf) {
		return
	}
	was := s.lines.set(line, st, time.Now())
	if was == st {
		return
	}
	for _, f := range s.lines.watch {
		f(line, st)
	}
	news := LineState{Line: line, State: st, Was: was}
	unit := ""
	if p, ok := s.phone(line); ok {
		news.Kind, unit = "phone", p.UnitID
	} else if t := s.tables.Load().byName[line]; t != nil {
		news.Kind, unit = "trunk", t.UnitID
	} else {
		return // not one of ours, or removed meanwhile
	}
	e := bus.NewEvent(EventLine, line, news).For(unit, s.path(unit))
	e.Perm = string(PermUse)
	s.stream.Publish(e)
}

// LineState is whether a phone or trunk can be reached.
func (s *Service) LineState(name string) pbx.LineState { return s.lines.get(name) }

// PhoneUp reports whether the phone is registered now.
func (s *Service) PhoneUp(name string) bool { return s.lines.get(name) == pbx.LineUp }

// PhoneOwner is the user who alone may sign in on the phone, or "" for free seating.
func (s *Service) PhoneOwner(name string) string {
	p, _ := s.phone(name)
	return p.Owner
}

// PhoneUnit is the unit path of a phone, or false when there is no such phone.
func (s *Service) PhoneUnit(name string) (unitPath string, ok bool) {
	p, ok := s.Phone(name)
	return p.UnitPath, ok
}

// PhoneInfo is what others may know of a phone.
type PhoneInfo struct {
	Name, Label    string
	Unit, UnitPath string
	WebRTC         bool
	Owner          string // user id; empty is free seating
	State          pbx.LineState
}

// Phone finds a phone by its name.
func (s *Service) Phone(name string) (PhoneInfo, bool) {
	p, ok := s.phone(name)
	if !ok {
		return PhoneInfo{}, false
	}
	return PhoneInfo{p.Name, p.Label, p.UnitID, s.path(p.UnitID), p.WebRTC, p.Owner, s.lines.get(name)}, true
}

// PhonePassword is the secret with which a phone registers, for the browser of the agent who signs in on it.
func (s *Service) PhonePassword(name string) (string, bool) {
	p, ok := s.phone(name)
	return p.Password, ok
}

func (s *Service) phone(name string) (Phone, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	p, ok := s.phones[name]
	return p, ok
}

// Lines is what the switch should have: the enabled trunks and all phones, in order of name. Their names are one set on the
// switch; a phone that has a trunk's name, against the rules, is left out.
func (s *Service) Lines() pbx.Lines {
	var l pbx.Lines
	tables := s.tables.Load()
	for _, t := range tables.trunks {
		if t.Enabled {
			l.Trunks = append(l.Trunks, t.line())
		}
	}
	slices.SortFunc(l.Trunks, func(a, b pbx.Trunk) int { return cmp.Compare(a.Name, b.Name) })
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(s.phones)) {
		if p := s.phones[name]; tables.byName[name] == nil {
			l.Phones = append(l.Phones, p.line())
		}
	}
	return l
}

// kick asks for provisioning.
func (s *Service) kick() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// keepProvisioned makes the switch know our lines at start, after every change, and after Resync; after a failure it tries again.
// Run starts it and waits for it.
func (s *Service) keepProvisioned(ctx context.Context) {
	var has *pbx.Lines // what the switch was last told
	retry := retryMin
	s.resync.Store(true)
	for {
		want, ask := s.Lines(), s.resync.Swap(false)
		var failed <-chan time.Time
		if ask || has == nil || !reflect.DeepEqual(*has, want) {
			if err := s.provisionNow(ctx, want, ask); err != nil {
				if ctx.Err() != nil {
					return
				}
				s.log.Warn("provisioning failed; trying again", "error", err, "in", retry)
				has = nil
				if ask {
					s.resync.Store(true)
				}
				failed, retry = time.After(retry), min(2*retry, retryMax)
			} else {
				has, retry = &want, retryMin
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-failed:
		case <-s.changed:
			s.settle(ctx)
		}
	}
}

// settle returns when no more changes come.
func (s *Service) settle(ctx context.Context) {
	end := time.After(settleMax)
	for {
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-time.After(settle):
			return
		case <-s.changed:
		}
	}
}

// provisionNow tells the switch its lines and, if asked to, reads back their states.
func (s *Service) provisionNow(ctx context.Context, want pbx.Lines, ask bool) error {
	if err := s.sw.Provision(ctx, want); err != nil {
		return err
	}
	s.log.Info("switch provisioned", "phones", len(want.Phones), "trunks", len(want.Trunks))
	if !ask {
		return nil
	}
	asOf := time.Now()
	snap, err := s.sw.Snapshot(ctx)
	if err != nil {
		return err
	}
	for line, st := range snap.Lines {
		s.line(line, st, asOf)
	}
	return nil
}
