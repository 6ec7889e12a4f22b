package acd_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
	"callplane/app/route"
)

// lanes is a router whose trunks have a number of channels.
type lanes struct {
	router
	mu    sync.Mutex
	free  map[string]int
	asked []route.Wanted
}

func (l *lanes) Outbound(w route.Wanted) (route.Outbound, error) {
	l.mu.Lock()
	l.asked = append(l.asked, w)
	l.mu.Unlock()
	for _, name := range []string{"carrier", "second"} {
		if !slices.Contains(w.Not, name) {
			return route.Outbound{Trunk: name, Dial: w.To, To: w.To, CallerNumber: "4001"}, nil
		}
	}
	return route.Outbound{}, route.ErrTrunkFull
}

func (l *lanes) Seize(trunk string) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free[trunk] == 0 {
		return nil, route.ErrTrunkFull
	}
	return l.take(trunk), nil
}

func (l *lanes) Resume(trunk string) func() {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take(trunk)
}

func (l *lanes) take(trunk string) func() {
	l.free[trunk]--
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.free[trunk]++
	})
}

func (l *lanes) left(trunk string) int {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.free[trunk]
}

// each leg on a trunk takes one channel for as long as it lives, and the next trunk is tried when one is full.
func TestChannels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{free: map[string]int{"carrier": 3, "second": 3}}
		c := newCentre(t, nil, func(s *setup) { s.routes = l })
		c.sw.AddTrunk("second")
		c.sw.Trunk("carrier").OnCall(pbxtest.Always(pbxtest.RejectWith(pbx.Busy)))
		c.sw.Trunk("second").OnCall(pbxtest.Always(pbxtest.AnswerAfter(time.Second)))
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		check := func(what string, carrier, second int) {
			t.Helper()
			if a, b := l.left("carrier"), l.left("second"); a != carrier || b != second {
				t.Errorf("%s: %d and %d channels are free, want %d and %d", what, a, b, carrier, second)
			}
		}
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		check("talking", 2, 3)
		id := c.only(t.Context()).ID
		for range 3 { // busy: comes back to anna each time
			if err := c.calls.Transfer(t.Context(), id, call.Target{Number: "+861012345678"}); err != nil {
				t.Fatal(err)
			}
			wait(3 * time.Second)
			c.hears("caller", caller, "anna")
			check("after a transfer that failed", 2, 3)
		}
		l.mu.Lock()
		l.free["carrier"] = 0
		l.mu.Unlock()
		if err := c.calls.Transfer(t.Context(), id, call.Target{Number: "+861012345678"}); err != nil {
			t.Fatal(err)
		}
		wait(3 * time.Second)
		c.hears("caller", caller, "+861012345678")
		check("transferred on the second trunk", 0, 2)
		c.stop()
		c.sw.Detach()
		l2 := &lanes{free: map[string]int{"carrier": 3, "second": 3}}
		d := newCentre(t, c, func(s *setup) { s.routes = l2 })
		l = l2
		wait(time.Second)
		check("taken over", 2, 2)
		caller.Hangup()
		wait(time.Second)
		check("over", 3, 3)
		l.mu.Lock()
		l.free["carrier"] = 0
		l.mu.Unlock()
		wait(time.Minute)
		d.ready("anna")
		if _, err := d.calls.Dial(t.Context(), "anna", wanted("+861012345678")); err != nil {
			t.Fatal(err)
		}
		wait(3 * time.Second)
		check("placed on the second trunk", 0, 2)
		anna.Call().Hangup()
		wait(time.Minute)
		check("over again", 0, 3)
		anna.CallOut("+861012345678")
		wait(3 * time.Second)
		check("dialled on the phone", 0, 2)
		d.hears("anna", anna.Call(), "+861012345678")
		anna.Call().Hangup()
		wait(time.Minute)
		check("the end", 0, 3)
	})
}

// An agent dials on the phone and is gone before the platform takes the call: the agent is free again.
func TestDialledAndGone(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		c.sw.FailNext(pbxtest.VerbAnswer, pbx.ErrNoLeg)
		anna.CallOut("+861012345678")
		wait(time.Second)
		c.mustBe("anna", agent.Ready)
	})
}

// An agent asks to sign out while the phone rings, and does not answer: the agent is signed out.
func TestSignOutWhileRinging(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.RingForever(), nil)
		c.dialIn("4002")
		wait(2 * time.Second)
		if _, err := c.agents.Set("anna", agent.LoggedOut, ""); err != nil {
			t.Fatal(err)
		}
		wait(30 * time.Second)
		c.mustBe("anna", agent.LoggedOut)
	})
}

// what an agent dials, or transfers to, on the phone is bound by what they may dial, as it is at the desktop.
func TestDialledOnPhoneWithinPermission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{free: map[string]int{"carrier": 9, "second": 9}}
		c := newCentre(t, nil, func(s *setup) { s.routes = l })
		c.sw.Trunk("carrier").OnCall(pbxtest.Always(pbxtest.AnswerAfter(time.Second)))
		anna := c.sw.AddPhone("anna")
		p := agent.Profile{Agent: "anna", Name: "anna", Unit: "root", UnitPath: tenant, Dials: []string{"local"}}
		if _, err := c.agents.SignIn(p, "anna"); err != nil {
			t.Fatal(err)
		}
		anna.CallOut("+861012345678")
		wait(2 * time.Second)
		anna.Call().Refer("+861012345679")
		wait(2 * time.Second)
		far := c.sw.Parties()
		for _, party := range far { // an outside party transfers nobody
			party.Refer("+861012345670")
		}
		wait(2 * time.Second)
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.asked) != 2 {
			t.Fatalf("the router was asked %+v", l.asked)
		}
		for _, w := range l.asked {
			if !slices.Equal(w.Classes, []route.Class{"local"}) {
				t.Errorf("%s: the router was told %v", w.To, w.Classes)
			}
		}
	})
}
