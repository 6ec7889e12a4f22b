package acd_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/pbx/pbxtest"
)

// What `make chaos` has shown on a real switch, told again on the one in memory.

// restart is the process dying, and another taking over after a while in which things happen.
func restart(t *testing.T, c *centre, meanwhile func()) *centre {
	t.Helper()
	c.stop()
	c.sw.Detach()
	meanwhile()
	wait(2 * time.Second)
	d := newCentre(t, c)
	for _, p := range d.agents.All() { // as the switch tells of its lines
		d.agents.LineChanged(p.Phone, true)
	}
	wait(time.Second)
	return d
}

// An agent hangs up while nobody is in control. The caller's leg, which the switch still has, ends too, and does not come in as a
// call of its own.
//
//
func TestAgentLeavesWhileAway(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		c.hears("caller", caller, "anna")
		c.dialIn("4001") // to go on with this one takes longer than to end the other
		wait(time.Second)
		d := restart(t, c, func() {
			anna.Calls()[0].Hangup()
			c.sw.Delay(pbxtest.VerbPlay, 500*time.Millisecond)
		})
		if caller.Alive() || d.calls.Count() != 1 {
			t.Errorf("the caller is there: %v; %d calls", caller.Alive(), d.calls.Count())
		}
		if recs := d.live.records(t); len(recs) != 1 || recs[0].Reason != call.Lost.String() {
			t.Errorf("%d records: %+v", len(recs), recs)
		}
		if got := d.state("anna"); got != agent.Ready {
			t.Errorf("anna is %s, want ready", got)
		}
	})
}

// A phone that rang is not rung in vain, and its agent not to blame, when the switch dies under it.
func TestRingingWhenSwitchRestarts(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.RingForever(), nil)
		c.dialIn("4002")
		wait(3 * time.Second)
		c.sw.Restart()
		wait(5 * time.Second)
		if p, _ := c.agents.Get("anna"); p.State != agent.Ready || p.Missed != 0 {
			t.Errorf("anna is %s (%s), %d missed", p.State, p.Reason, p.Missed)
		}
		if r := c.last(); r.Reason != call.Lost.String() || r.Offers[0].Result != "withdrawn" {
			t.Errorf("ended %s, offers %+v", r.Reason, r.Offers)
		}
	})
}

// The menu is told anew after a restart, and the time for a key begins anew too.
func TestKeyTimeAfterTakeOver(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		more := func(c *centre) {
			c.flow("4003", "name: m\nmenu: {prompt: menu, timeout_seconds: 10, tries: 1, keys: {\"1\": {queue: sales}}, final: {hangup: true}}\n")
		}
		more(c)
		caller := c.dialIn("4003")
		wait(10 * time.Second) // the prompt is over, and nearly all of the time
		c.stop()
		c.sw.Detach()
		wait(2 * time.Second)
		d := newCentre(t, c, func(s *setup) { s.first = more })
		wait(5 * time.Second)
		if !caller.Alive() {
			t.Fatal("the caller was let go, as if there had been time for a key")
		}
		caller.Press("1")
		wait(3 * time.Second)
		d.hears("caller", caller, "anna")
	})
}

// An agent whose phone is lost and comes back is ready again; who was away for long is not, nor who went on a break.
func TestPhoneComesBack(t *testing.T) {
	for name, tt := range map[string]struct {
		away  time.Duration
		then  func(*centre)
		state agent.State
	}{
		"soon":       {time.Minute, func(*centre) {}, agent.Ready},
		"late":       {time.Hour, func(*centre) {}, agent.NotReady},
		"on a break": {time.Minute, func(c *centre) { _, _ = c.agents.Set("anna", agent.Break, "lunch") }, agent.Break},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, c *centre) {
				c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
				c.agents.LineChanged("anna", false)
				if p, _ := c.agents.Get("anna"); p.State != agent.NotReady || p.Reason != agent.ReasonPhoneLost {
					t.Errorf("with the phone lost anna is %s (%s)", p.State, p.Reason)
				}
				tt.then(c)
				wait(tt.away)
				c.agents.LineChanged("anna", true)
				if got := c.state("anna"); got != tt.state {
					t.Errorf("anna is %s, want %s", got, tt.state)
				}
			})
		})
	}
}

// A recording that could not be started because the link was away is started when it is back.
func TestRecordedAfterCut(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		for range 2 {
			c.sw.FailNext(pbxtest.VerbRecord, errors.New("no snoop"))
		}
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		c.sw.Cut()
		wait(time.Second)
		c.sw.Restore()
		wait(3 * time.Second)
		caller.Hangup()
		wait(time.Second)
		r := c.last()
		running := slices.DeleteFunc(slices.Clone(r.Tracks), func(k call.Track) bool { return k.Ended.Sub(k.Started) < time.Second })
		if len(running) != 2 {
			t.Errorf("tracks %+v", r.Tracks)
		}
	})
}
