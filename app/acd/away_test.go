package acd_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callplane/app/agent"
	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
)

// The stories below are of a switch or a platform that is away for a while.

// While the switch does not answer at all, offers are not made in a circle.
func TestDialUnreachableForLong(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		for range 20 {
			c.sw.FailNext(pbxtest.VerbDial, pbx.ErrUnreachable)
		}
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(5 * time.Second)
		caller.Hangup()
		if n := len(c.last().Offers); n < 1 || n > 10 {
			t.Errorf("%d offers in five seconds", n)
		}
		c.mustBe("anna", agent.Ready)
	})
}

// forgetful carries out the first dial and says that it did not answer.
type forgetful struct {
	pbx.Switch
	once sync.Once
}

func (f *forgetful) Dial(ctx context.Context, leg pbx.LegID, d pbx.Dial) (err error) {
	err = f.Switch.Dial(ctx, leg, d)
	f.once.Do(func() { err = pbx.ErrUnreachable })
	return err
}

// A command that was given up may have been carried out all the same: the phone that rings for nothing is hung up.
func TestDialledAfterAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCentre(t, nil, func(s *setup) { s.wrap = func(sw pbx.Switch) pbx.Switch { return &forgetful{Switch: sw} } })
		anna := c.signIn("anna", pbxtest.RingForever(), nil)
		c.dialIn("4002")
		wait(500 * time.Millisecond)
		if n := len(anna.Calls()); n != 0 {
			t.Errorf("anna's phone has %d calls", n)
		}
	})
}

// The process dies between reserving an agent and writing the offer: the agent is free again, and is offered the call.
func TestReservedWhenKilled(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.away("anna")
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		id := c.only(t.Context()).ID
		c.stop()
		c.sw.Detach()
		var p agent.Presence
		if err := json.Unmarshal(c.people.saved()["anna"], &p); err != nil {
			t.Fatal(err)
		}
		p.State, p.Reason, p.Call, p.Queue = agent.Ringing, "", string(id), "sales"
		value, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		c.people.Put("anna", value)
		newCentre(t, c)
		wait(3 * time.Second)
		c.hears("caller", caller, "anna")
	})
}

// The process dies while an agent's phone rings, and it stops ringing before anybody looks: nobody is to blame.
func TestRingEndsWhileAway(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		anna := c.signIn("anna", pbxtest.RingForever(), nil)
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		c.stop()
		c.sw.Detach()
		anna.Call().Reject(pbx.TemporaryFailure)
		anna.OnCall(pbxtest.AnswerAfter(time.Second))
		d := newCentre(t, c)
		wait(3 * time.Second)
		d.mustBe("anna", agent.Talking)
		d.hears("caller", caller, "anna")
	})
}

// The process dies just after a dial, before it is written down: the next dial does not use the same id again.
func TestIDsAfterTakeOver(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.away("anna")
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		before := c.live.saved()
		c.ready("anna")
		wait(200 * time.Millisecond)
		c.mustBe("anna", agent.Ringing)
		c.stop()
		c.sw.Detach()
		for key, value := range before {
			c.live.Put(key, value)
		}
		d := newCentre(t, c)
		wait(5 * time.Second)
		d.hears("caller", caller, "anna")
		if p, _ := d.agents.Get("anna"); p.Missed != 0 {
			t.Errorf("anna %+v", p)
		}
	})
}

// A recovered call whose flow was deleted meanwhile does not sit in silence.
func TestFlowGone(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		caller := c.dialIn("4001")
		wait(500 * time.Millisecond)
		c.stop()
		c.sw.Detach()
		d := newCentre(t, c, func(s *setup) { s.first = func(c *centre) { c.flows.Drop("4001") } })
		wait(time.Second)
		if caller.Alive() {
			t.Error("the caller is still there")
		}
		if r := d.last(); r.Reason != "flow_failed" {
			t.Errorf("ended %s", r.Reason)
		}
	})
}

// The switch is back but does not answer at first when asked what is there: offers go on as soon as it does.
func TestSnapshotLate(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.away("anna")
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		c.sw.Cut()
		wait(time.Second)
		for range 12 {
			c.sw.FailNext(pbxtest.VerbSnapshot, pbx.ErrUnreachable)
		}
		c.sw.Restore()
		wait(time.Minute)
		c.ready("anna")
		wait(3 * time.Second)
		c.hears("caller", caller, "anna")
	})
}

// A call is ended while the switch is away: its legs go when the switch is back, and do not become another call.
func TestEndedWhileAway(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.away("anna")
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		id := c.only(t.Context()).ID
		c.sw.Cut()
		wait(time.Second)
		if err := c.calls.Hangup(t.Context(), id, false); err != nil {
			t.Fatal(err)
		}
		wait(time.Second)
		c.sw.Restore()
		wait(2 * time.Second)
		if caller.Alive() || c.calls.Count() != 0 || len(c.live.records(t)) != 1 {
			t.Errorf("caller alive %v, %d calls, %d records", caller.Alive(), c.calls.Count(), len(c.live.records(t)))
		}
	})
}

// Who waits in a queue that was closed meanwhile goes on waiting, also over a restart.
func TestClosedQueueKeepsWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCentre(t, nil)
		c.away("anna")
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		shut := func(c *centre) {
			q, _ := c.queues.Queue("sales")
			q.Open = false
			c.queues.Set(q, map[agent.ID]int{"anna": 0})
		}
		shut(c)
		wait(time.Second)
		c.hears("caller", caller, "music:default")
		c.stop()
		c.sw.Detach()
		d := newCentre(t, c, func(s *setup) { s.first = shut })
		wait(time.Second)
		d.hears("caller", caller, "music:default")
		d.ready("anna")
		wait(2 * time.Second)
		d.hears("caller", caller, "anna")
	})
}
