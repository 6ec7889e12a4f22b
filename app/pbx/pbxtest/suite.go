package pbxtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"callplane/app/pbx"
)

// cases are the promises of the port, one story each. A story uses legs of its own, and may run beside others.
var cases = map[string]func(*check){}

// alone are the stories that need the switch for themselves.
var alone = map[string]func(*check){}

// last are those after which the driver is of no more use.
var last = map[string]func(*check){}

func init() {
	maps.Copy(cases, callCases)
	maps.Copy(cases, dialCases)
	maps.Copy(cases, roomCases)
	maps.Copy(cases, spyCases)
	maps.Copy(cases, playCases)
	maps.Copy(cases, recordCases)
	maps.Copy(alone, lineCases)
	maps.Copy(alone, linkCases)
	maps.Copy(last, takeoverCases)
}

// Run tests a driver against the contract in package pbx. The stories about calls run beside each
// other, as many as -test.parallel allows, up to six.
func Run(t *testing.T, rig Rig) {
	s := start(t, rig)
	t.Run("calls", func(t *testing.T) {
		for _, name := range slices.Sorted(maps.Keys(cases)) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s.run(t, cases[name])
			})
		}
	})
	for _, name := range slices.Sorted(maps.Keys(alone)) {
		t.Run(name, func(t *testing.T) { s.run(t, alone[name]) })
	}
	for _, name := range slices.Sorted(maps.Keys(last)) {
		t.Run(name, func(t *testing.T) { s.run(t, last[name]) })
	}
	s.finish(t)
}

// Cases are the names of the stories, for RunCase.
func Cases() []string {
	var names []string
	for _, group := range []map[string]func(*check){cases, alone, last} {
		names = append(names, slices.Sorted(maps.Keys(group))...)
	}
	return names
}

// RunCase tells one story on a switch of its own. A rig in memory may run in a synctest bubble, where Run cannot.
func RunCase(t *testing.T, rig Rig, name string) {
	s := start(t, rig)
	for _, group := range []map[string]func(*check){cases, alone, last} {
		if story := group[name]; story != nil {
			s.run(t, story)
		}
	}
	s.finish(t)
}

// patience is how long a story waits for something that must happen, settle for something that must not.
const (
	patience = 8 * time.Second
	settle   = 300 * time.Millisecond
)

// phones is how many phones the suite provisions; a story takes up to three and gives them back. So many stories as
// slots says run at once, and none waits for a phone.
const (
	phones = 3 * slots
	slots  = 6
)

// suite is one run of the driver, with all that it told.
type suite struct {
	rig  Rig
	sw   pbx.Switch
	ctx  context.Context
	stop func()
	wg   sync.WaitGroup // of Run and of those who read Events; stop waits for it
	idle chan *phone
	slot chan struct{}
	all  []*phone

	mu     sync.Mutex
	legs   map[pbx.LegID][]pbx.Event
	events []pbx.Event
	news   chan struct{} // closed and made anew with each event
	taken  map[pbx.LegID]bool
	serial int
}

// phone is one of the suite's phones.
type phone struct {
	RigPhone
	spec pbx.Phone
}

func start(t *testing.T, rig Rig) *suite {
	ctx, cancel := context.WithCancel(context.Background())
	s := &suite{
		rig: rig, sw: rig.Switch(), idle: make(chan *phone, phones), slot: make(chan struct{}, slots),
		legs: map[pbx.LegID][]pbx.Event{}, news: make(chan struct{}), taken: map[pbx.LegID]bool{},
	}
	s.ctx = ctx
	s.stop = func() { cancel(); s.wg.Wait() }
	t.Cleanup(s.stop)
	c := &check{t, s}
	c.attach(s.sw)
	c.equal("first event", s.events[0].Kind, pbx.Resync)
	c.ok(s.sw.Provision(t.Context(), s.lines()))
	for i := range phones {
		spec := s.lines().Phones[i]
		ph := &phone{rig.Phone(t, spec), spec}
		s.all = append(s.all, ph)
		s.idle <- ph
	}
	c.eventually("all lines are up", func() bool {
		snap, err := s.sw.Snapshot(t.Context())
		up := 0
		for _, state := range snap.Lines {
			if state == pbx.LineUp {
				up++
			}
		}
		return err == nil && up > phones // and the trunk
	})
	return s
}

// attach runs a driver, and waits until it is connected.
func (c *check) attach(sw pbx.Switch) {
	c.Helper()
	mark := c.mark()
	c.s.wg.Go(func() {
		if err := sw.Run(c.s.ctx); err != nil {
			c.Errorf("Run: %v", err)
		}
	})
	c.s.wg.Go(func() {
		for e := range sw.Events() {
			c.s.take(e)
		}
	})
	c.since(mark, "Resync", func(e pbx.Event) bool { return e.Kind == pbx.Resync })
	c.s.sw = sw
}

// lines is what the suite provisions.
func (s *suite) lines() pbx.Lines {
	l := pbx.Lines{Trunks: []pbx.Trunk{s.rig.Trunk()}}
	for i := range phones {
		name := fmt.Sprintf("agent-%d", i+1)
		l.Phones = append(l.Phones, pbx.Phone{Name: name, Password: "secret-" + name})
	}
	return l
}

func (s *suite) run(t *testing.T, story func(*check)) {
	s.slot <- struct{}{}
	t.Cleanup(func() { <-s.slot })
	story(&check{t, s})
}

func (s *suite) take(e pbx.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	if e.Leg != "" {
		s.legs[e.Leg] = append(s.legs[e.Leg], e)
	}
	close(s.news)
	s.news = make(chan struct{})
}

// unique makes a number that no other story uses.
func (s *suite) unique() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return fmt.Sprintf("%d", 700000+s.serial)
}

// finish hangs up what stories left, ends the driver, and checks what must be true of every leg's events.
func (s *suite) finish(t *testing.T) {
	snap, err := s.sw.Snapshot(t.Context())
	if err != nil {
		t.Errorf("last snapshot: %v", err)
	}
	for _, l := range snap.Legs {
		s.sw.Hangup(t.Context(), l.ID, pbx.NormalClearing)
	}
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for leg, events := range s.legs {
		if faults := audit(events); len(faults) > 0 {
			t.Errorf("leg %s: %s\n%s", leg, strings.Join(faults, "; "), story(events))
		}
	}
	for _, e := range s.events {
		switch e.Kind {
		case pbx.LineChanged, pbx.Lost, pbx.Resync, pbx.Replaced:
			if e.Leg != "" {
				t.Errorf("%v has a leg: %+v", e.Kind, e)
			}
		default:
			if e.Leg == "" {
				t.Errorf("%v has no leg: %+v", e.Kind, e)
			}
		}
		if e.At.IsZero() {
			t.Errorf("%v has no time: %+v", e.Kind, e)
		}
	}
}

// audit finds what is wrong in one leg's events. A leg may lack an end: the link may have been cut.
func audit(events []pbx.Event) []string {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	count := map[string]int{}
	for i, e := range events {
		switch e.Kind {
		case pbx.Arrived, pbx.Ringing, pbx.Answered, pbx.Ended:
			count[e.Kind.String()]++
		case pbx.PlayEnded:
			count["end of play "+string(e.Play)]++
		case pbx.RecordStarted:
			count["start of recording "+string(e.Recording)]++
		case pbx.RecordEnded:
			count["end of recording "+string(e.Recording)]++
			if count["start of recording "+string(e.Recording)] == 0 {
				fault("recording %s ended before it started", e.Recording)
			}
		}
		if e.Kind == pbx.Arrived && i > 0 {
			fault("Arrived is event %d", i)
		}
		if e.Kind == pbx.Ended && i < len(events)-1 {
			fault("%d events after Ended", len(events)-1-i)
		}
	}
	for what, n := range count {
		if n > 1 {
			fault("%d times %s", n, what)
		}
	}
	return faults
}

// story is a leg's events in words.
func story(events []pbx.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "  %s %v", e.At.Format("05.000"), e.Kind)
		switch e.Kind {
		case pbx.Ended:
			fmt.Fprintf(&b, " cause=%v byus=%v", e.Cause, e.ByUs)
		case pbx.Digit:
			fmt.Fprintf(&b, " %s", e.Digit)
		case pbx.PlayEnded:
			fmt.Fprintf(&b, " %s ok=%v", e.Play, e.OK)
		case pbx.RecordStarted, pbx.RecordEnded:
			fmt.Fprintf(&b, " %s ok=%v %v", e.Recording, e.OK, e.Length)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
