package agent

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callplane/app/kernel/bus"
)

// desk is a service whose phones and journal are in memory.
type desk struct {
	*Service
	t      *testing.T
	mu     sync.Mutex
	down   map[string]bool
	values map[string][]byte
	events []bus.Event
	told   []Presence // to a watcher
}

func newDesk(t *testing.T, saved map[string][]byte) *desk {
	d := &desk{t: t, down: map[string]bool{}, values: map[string][]byte{}}
	d.Service = NewService(slog.New(slog.NewTextHandler(io.Discard, nil)), nil, d, d)
	d.Watch(func(_, now Presence) { d.told = append(d.told, now) })
	d.Load(saved)
	t.Cleanup(d.Close)
	return d
}

func (d *desk) Publish(events ...bus.Event) {
	d.mu.Lock()
	d.events = append(d.events, events...)
	d.mu.Unlock()
}
func (d *desk) Put(key string, value []byte) { d.mu.Lock(); d.values[key] = value; d.mu.Unlock() }

func (d *desk) PhoneUnit(name string) (string, bool) {
	if name == "9999" {
		return "", false
	}
	if name[0] == '8' {
		return "/other/", true
	}
	return "/acme/", true
}

func (d *desk) PhoneUp(name string) bool { return !d.down[name] }

func (d *desk) saved() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.values)
}

// intervals is every interval that was closed, in order.
func (d *desk) intervals() (out []Interval) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		var c Changed
		if err := json.Unmarshal(e.Data, &c); err != nil {
			d.t.Fatal(err)
		}
		if c.Ended != nil {
			out = append(out, *c.Ended)
		}
	}
	return out
}

func (d *desk) in(name, phone string) {
	d.t.Helper()
	d.ok(d.SignIn(Profile{Agent: ID(name), Name: name, Unit: "acme", UnitPath: "/acme/", Phone: "1000"}, phone))
}

// ok fails the test if an act was refused.
func (d *desk) ok(p Presence, err error) Presence {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// is checks an agent's state.
func (d *desk) is(name string, want State, reason string) Presence {
	d.t.Helper()
	synctest.Wait()
	p, _ := d.Get(ID(name))
	if p.State != want || p.Reason != reason {
		d.t.Errorf("%s is %s (%s), want %s (%s)", name, p.State, p.Reason, want, reason)
	}
	return p
}

func desks(t *testing.T, f func(d *desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newDesk(t, nil)) })
}

// who signs in where.
func TestSignIn(t *testing.T) {
	desks(t, func(d *desk) {
		anna := Profile{Agent: "anna", Name: "Anna", UnitPath: "/acme/", Phone: "1000"}
		for phone, want := range map[string]error{"9999": ErrNoPhone, "8000": ErrNoPhone, "": nil} {
			if _, err := d.SignIn(anna, phone); !errors.Is(err, want) {
				t.Errorf("on %q: %v, want %v", phone, err, want)
			}
		}
		if p, ok := d.OnPhone("1000"); !ok || p.Agent != "anna" {
			t.Errorf("on the usual phone is %+v", p)
		}
		if _, err := d.SignIn(Profile{Agent: "bob", UnitPath: "/acme/"}, "1000"); !errors.Is(err, ErrPhoneTaken) {
			t.Errorf("two on one phone: %v", err)
		}
		d.in("anna", "1001")
		if _, ok := d.OnPhone("1000"); ok {
			t.Error("anna has moved, and is still on the old phone")
		}
		d.ok(d.Set("anna", Ready, ""))
		d.ok(d.Reserve("anna", "c1", "q"))
		if _, err := d.SignIn(anna, "1000"); !errors.Is(err, ErrBusy) {
			t.Errorf("moved during a call: %v", err)
		}
		d.ok(d.Release("anna", "c1"))
		d.ok(d.Set("anna", LoggedOut, ""))
		if p := d.is("anna", LoggedOut, ""); p.Phone != "" || p.PhoneUp {
			t.Errorf("signed out: %+v", p)
		}
		if _, err := d.Set("anna", Ready, ""); !errors.Is(err, ErrNotSigned) {
			t.Errorf("ready when signed out: %v", err)
		}
		d.in("bob", "1001")
	})
}

// what is asked for during a call is done when it is wrapped up, or at once when there is no wrap-up.
func TestAskedDuringACall(t *testing.T) {
	for name, tt := range map[string]struct {
		ask    State
		wrap   time.Duration
		want   State
		reason string
	}{
		"nothing":             {"", 10 * time.Second, Ready, ""},
		"break":               {Break, 10 * time.Second, Break, "lunch"},
		"break, no wrap-up":   {Break, 0, Break, "lunch"},
		"signed out":          {LoggedOut, 10 * time.Second, LoggedOut, "lunch"},
		"not ready":           {NotReady, 0, NotReady, "lunch"},
		"ready takes it back": {Ready, 10 * time.Second, Ready, "lunch"},
	} {
		t.Run(name, func(t *testing.T) {
			desks(t, func(d *desk) {
				d.in("anna", "1000")
				d.ok(d.Set("anna", Ready, ""))
				d.ok(d.Reserve("anna", "c1", "q"))
				d.ok(d.Accept("anna", "c1"))
				if tt.ask == Ready {
					d.ok(d.Set("anna", Break, "lunch"))
				}
				if tt.ask != "" {
					d.ok(d.Set("anna", tt.ask, "lunch"))
				}
				d.is("anna", Talking, "")
				d.ok(d.Finish("anna", "c1", tt.wrap))
				if tt.wrap > 0 {
					d.is("anna", WrapUp, "")
				}
				time.Sleep(tt.wrap)
				p := d.is("anna", tt.want, tt.reason)
				if p.Call != "" || p.Next != "" || !p.WrapUntil.IsZero() {
					t.Errorf("left over: %+v", p)
				}
			})
		})
	}
}

// Who did not take an offer is not ready, unless they asked for something else meanwhile; who was let go is as before.
func TestOfferNotTaken(t *testing.T) {
	for name, tt := range map[string]struct {
		ask    State
		missed bool
		want   State
		reason string
	}{
		"missed":                     {"", true, NotReady, ReasonMissed},
		"missed, wanted to be ready": {Ready, true, NotReady, ReasonMissed},
		"missed, wanted to go":       {LoggedOut, true, LoggedOut, "home"},
		"missed, wanted a break":     {Break, true, Break, "home"},
		"withdrawn":                  {"", false, Ready, ""},
		"withdrawn, wanted a break":  {Break, false, Break, "home"},
	} {
		t.Run(name, func(t *testing.T) {
			desks(t, func(d *desk) {
				d.in("anna", "1000")
				d.ok(d.Set("anna", Ready, ""))
				d.ok(d.Reserve("anna", "c1", "q"))
				if tt.ask != "" {
					d.ok(d.Set("anna", tt.ask, "home"))
				}
				if tt.missed {
					d.ok(d.Miss("anna", "c1", ReasonMissed))
				} else {
					d.ok(d.Release("anna", "c1"))
				}
				p := d.is("anna", tt.want, tt.reason)
				if want := map[bool]int{true: 1}[tt.missed]; p.Missed != want || p.Call != "" {
					t.Errorf("%+v", p)
				}
			})
		})
	}
}

// Only who is free is reserved, and only the call that has an agent may move them.
func TestGuards(t *testing.T) {
	desks(t, func(d *desk) {
		d.in("anna", "1000")
		if _, err := d.Reserve("anna", "c1", "q"); !errors.Is(err, ErrNotReady) {
			t.Errorf("reserved when not ready: %v", err)
		}
		d.ok(d.Set("anna", Ready, ""))
		d.ok(d.Reserve("anna", "c1", "q"))
		for what, err := range map[string]error{
			"reserve twice":    second(d.Reserve("anna", "c2", "q")),
			"dial":             second(d.Dial("anna", "c2")),
			"accept another":   second(d.Accept("anna", "c2")),
			"miss another":     second(d.Miss("anna", "c2", ReasonMissed)),
			"release another":  second(d.Release("anna", "c2")),
			"finish another":   second(d.Finish("anna", "c2", 0)),
			"hold while rung":  second(d.Hold("anna", "c1")),
			"wrapped":          second(d.Wrapped("anna")),
			"extend":           second(d.ExtendWrap("anna", time.Second)),
			"a state unknown":  second(d.Set("anna", Talking, "")),
			"nobody":           second(d.Accept("carl", "c1")),
			"nobody is missed": second(d.Miss("carl", "c1", "")),
		} {
			if err == nil {
				t.Errorf("%s was not refused", what)
			}
		}
		d.is("anna", Ringing, "")
		d.ok(d.Accept("anna", "c1"))
		if second(d.Miss("anna", "c1", ReasonMissed)) == nil || second(d.Release("anna", "c1")) == nil {
			t.Error("an offer that was answered was missed or withdrawn")
		}
		if p := d.is("anna", Talking, ""); p.Call != "c1" || p.Missed != 0 || p.Handled != 1 {
			t.Errorf("%+v", p)
		}
		d.ok(d.Finish("anna", "c1", time.Minute))
		free, _ := d.Get("anna")
		time.Sleep(time.Second)
		if second(d.Finish("anna", "c1", time.Hour)) == nil {
			t.Error("a call ended twice for the agent")
		}
		if p, _ := d.Get("anna"); !p.WrapUntil.Equal(free.WrapUntil) || !p.FreeSince.Equal(free.FreeSince) {
			t.Errorf("a second end changed %+v to %+v", free, p)
		}
	})
}

func second(_ Presence, err error) error { return err }

// wrap-up ends by itself to the second, can be made longer, and ended early.
func TestWrapUp(t *testing.T) {
	desks(t, func(d *desk) {
		talk := func(call string) {
			t.Helper()
			d.ok(d.Reserve("anna", call, "q"))
			d.ok(d.Accept("anna", call))
			d.ok(d.Finish("anna", call, 30*time.Second))
		}
		d.in("anna", "1000")
		d.ok(d.Set("anna", Ready, ""))
		talk("c1")
		time.Sleep(29 * time.Second)
		d.is("anna", WrapUp, "")
		d.ok(d.ExtendWrap("anna", time.Minute))
		time.Sleep(60 * time.Second)
		d.is("anna", WrapUp, "")
		time.Sleep(time.Second)
		d.is("anna", Ready, "")
		talk("c2")
		d.ok(d.Wrapped("anna"))
		d.is("anna", Ready, "")
		talk("c3") // its wrap-up began just now: the end of the one before does not count
		time.Sleep(29 * time.Second)
		d.is("anna", WrapUp, "")
		d.ok(d.Dial("anna", "c4"))
		time.Sleep(time.Minute)
		d.is("anna", Ringing, "")
		d.ok(d.Release("anna", "c4"))
		talk("c5")
		d.ok(d.Set("anna", Break, "tea"))
		time.Sleep(time.Minute)
		d.is("anna", Break, "tea")
		d.ok(d.Dial("anna", "c6"))
		d.ok(d.Accept("anna", "c6"))
		d.ok(d.Finish("anna", "c6", 0))
		d.is("anna", Break, "tea")
	})
}

// A phone that is lost takes its agent out of the queue, unless in a call; then afterwards.
func TestPhoneLost(t *testing.T) {
	desks(t, func(d *desk) {
		lose := func(up bool) {
			d.down["1000"] = !up
			d.LineChanged("1000", up)
		}
		d.in("anna", "1000")
		d.ok(d.Set("anna", Ready, ""))
		lose(false)
		d.is("anna", NotReady, ReasonPhoneLost)
		if _, err := d.Set("anna", Ready, ""); !errors.Is(err, ErrNotReady) {
			t.Errorf("ready without a phone: %v", err)
		}
		lose(true)
		d.is("anna", NotReady, ReasonPhoneLost)
		d.ok(d.Set("anna", Ready, ""))
		d.ok(d.Reserve("anna", "c1", "q"))
		d.ok(d.Accept("anna", "c1"))
		lose(false)
		d.is("anna", Talking, "")
		d.ok(d.Finish("anna", "c1", 10*time.Second))
		time.Sleep(10 * time.Second)
		d.is("anna", NotReady, ReasonPhoneLost)
		lose(true)
		d.ok(d.Set("anna", Break, "tea"))
		lose(false)
		d.is("anna", Break, "tea")
		d.LineChanged("7777", false) // nobody's
	})
}

// the intervals of a day cover it without gap and overlap, and each names its phone, call and queue.
func TestIntervals(t *testing.T) {
	desks(t, func(d *desk) {
		began := time.Now().UTC()
		d.in("anna", "1000")
		step := func(seconds int, p Presence, err error) {
			t.Helper()
			time.Sleep(time.Duration(seconds) * time.Second)
			d.ok(p, err)
		}
		after := func(seconds int, f func() (Presence, error)) {
			t.Helper()
			time.Sleep(time.Duration(seconds) * time.Second)
			p, err := f()
			step(0, p, err)
		}
		after(1, func() (Presence, error) { return d.Set("anna", Ready, "") })
		after(2, func() (Presence, error) { return d.Set("anna", Ready, "") }) // once more: nothing changes
		after(1, func() (Presence, error) { return d.Reserve("anna", "c1", "q") })
		after(4, func() (Presence, error) { return d.Accept("anna", "c1") })
		after(5, func() (Presence, error) { return d.Hold("anna", "c1") })
		after(6, func() (Presence, error) { return d.Unhold("anna", "c1") })
		after(7, func() (Presence, error) { return d.Finish("anna", "c1", 8*time.Second) })
		time.Sleep(8 * time.Second)
		synctest.Wait()
		after(9, func() (Presence, error) { return d.Reserve("anna", "c2", "q") })
		after(1, func() (Presence, error) { return d.Accept("anna", "c2") })
		after(2, func() (Presence, error) { return d.Finish("anna", "c2", 0) })
		after(3, func() (Presence, error) { return d.Set("anna", Break, "tea") })
		after(4, func() (Presence, error) { return d.Set("anna", Break, "tea") })
		after(5, func() (Presence, error) { return d.Set("anna", Break, "lunch") })
		time.Sleep(6 * time.Second)
		d.in("anna", "1001")
		time.Sleep(7 * time.Second)
		d.in("anna", "1002")
		after(8, func() (Presence, error) { return d.Set("anna", LoggedOut, "") })

		type row struct {
			state                      State
			reason, call, queue, phone string
			seconds                    int
		}
		want := []row{
			{NotReady, ReasonSignedIn, "", "", "1000", 1}, {Ready, "", "", "", "1000", 3}, {Ringing, "", "c1", "q", "1000", 4},
			{Talking, "", "c1", "q", "1000", 5}, {OnHold, "", "c1", "q", "1000", 6}, {Talking, "", "c1", "q", "1000", 7},
			{WrapUp, "", "c1", "q", "1000", 8}, {Ready, "", "", "", "1000", 9}, {Ringing, "", "c2", "q", "1000", 1},
			{Talking, "", "c2", "q", "1000", 2}, {Ready, "", "", "", "1000", 3}, {Break, "tea", "", "", "1000", 9},
			{Break, "lunch", "", "", "1000", 6}, {NotReady, ReasonSignedIn, "", "", "1001", 7}, {NotReady, ReasonSignedIn, "", "", "1002", 8},
		}
		got := d.intervals()
		at := began
		for i, iv := range got {
			if !iv.Started.Equal(at) {
				t.Errorf("interval %d begins at %s, the one before ended at %s", i, iv.Started, at)
			}
			at = iv.Ended
			r := row{iv.State, iv.Reason, iv.CallID, iv.QueueID, iv.Phone, int(iv.Ended.Sub(iv.Started).Seconds())}
			if i >= len(want) || r != want[i] {
				t.Errorf("interval %d is %+v", i, r)
			}
		}
		if len(got) != len(want) || !at.Equal(time.Now()) {
			t.Errorf("%d intervals up to %s, want %d up to %s", len(got), at, len(want), time.Now())
		}
	})
}

// after a restart everybody is where they were; wrap-ups that ran out meanwhile are over.
func TestLoad(t *testing.T) {
	desks(t, func(d *desk) {
		names := []string{"anna", "bob", "carl", "dora", "emil"}
		for i, name := range names {
			d.in(name, "100"+string(rune('0'+i)))
			d.ok(d.Set(ID(name), Ready, ""))
			d.ok(d.Reserve(ID(name), "call "+name, "q"))
			d.ok(d.Accept(ID(name), "call "+name))
		}
		d.ok(d.Finish("anna", "call anna", 10*time.Second))
		d.ok(d.Finish("bob", "call bob", time.Minute))
		d.ok(d.Finish("carl", "call carl", 0))
		d.ok(d.Set("dora", LoggedOut, ""))
		saved := d.saved()
		d.Close()
		saved["broken"] = []byte("{")
		time.Sleep(20 * time.Second)
		e := newDesk(t, saved)
		e.is("anna", Ready, "")
		e.is("bob", WrapUp, "")
		e.is("carl", Ready, "")
		e.is("emil", Talking, "")
		if p, ok := e.OnPhone("1003"); !ok || p.Agent != "dora" || p.Next != LoggedOut {
			t.Errorf("dora %+v", p)
		}
		if len(e.All()) != len(names) {
			t.Errorf("%d agents", len(e.All()))
		}
		time.Sleep(40 * time.Second)
		e.is("bob", Ready, "")
		e.ok(e.Finish("dora", "call dora", 0))
		e.is("dora", LoggedOut, "")
	})
}

// A phone that was lost while the process was away takes its agent out as soon as it is known.
func TestLoadWithoutPhone(t *testing.T) {
	desks(t, func(d *desk) {
		d.in("anna", "1000")
		d.ok(d.Set("anna", Ready, ""))
		e := newDesk(t, nil)
		e.down["1000"] = true
		e.Load(d.saved())
		e.LineChanged("1000", false)
		e.is("anna", NotReady, ReasonPhoneLost)
	})
}

// What the calls say counts, whatever was written down of the agents.
func TestRestore(t *testing.T) {
	desks(t, func(d *desk) {
		for i, name := range []string{"anna", "bob", "carl", "dora", "emil", "late"} {
			d.in(name, "100"+string(rune('0'+i)))
			d.ok(d.Set(ID(name), Ready, ""))
		}
		for _, id := range []ID{"anna", "bob", "carl"} {
			d.ok(d.Reserve(id, "c-"+string(id), "q"))
		}
		d.ok(d.Accept("anna", "c-anna")) // the call is over
		d.ok(d.Accept("carl", "c-carl")) // as it should be
		time.Sleep(time.Second)
		asOf := time.Now()
		d.ok(d.Dial("late", "c-late")) // a call that nobody has told of yet
		d.Restore(map[ID]Part{
			"carl": {Call: "c-carl", Queue: "q", State: Talking},
			"dora": {Call: "c-dora", Queue: "q", State: Talking}, // taken, and not written down
			"nora": {Call: "c-nora", State: Talking},
		}, asOf)
		d.is("anna", NotReady, ReasonRestored)
		d.is("bob", Ready, "") // rang for a call that has forgotten it
		d.is("carl", Talking, "")
		if p := d.is("dora", Talking, ""); p.Call != "c-dora" || p.Queue != "q" {
			t.Errorf("dora %+v", p)
		}
		d.is("emil", Ready, "")
		d.is("late", Ringing, "")
		d.ok(d.Finish("dora", "c-dora", 0))
	})
}

// Watchers hear of every change in order, and a change of skills counts at once.
func TestWatch(t *testing.T) {
	desks(t, func(d *desk) {
		d.in("anna", "1000")
		d.ok(d.Set("anna", Ready, ""))
		d.SetSkills("anna", map[string]int{"english": 3})
		d.SetSkills("nobody", nil)
		var states []State
		for _, p := range d.told {
			states = append(states, p.State)
		}
		if len(d.told) != 3 || d.told[2].Skills["english"] != 3 {
			t.Errorf("told %v, %+v", states, d.told[len(d.told)-1])
		}
	})
}
