package agent

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

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
		lose(true) // soon
		d.is("anna", Ready, "")
		lose(false)
		time.Sleep(phoneBack)
		lose(true) // late: perhaps nobody is there any more
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
