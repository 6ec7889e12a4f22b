package acd_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callplane/app/acd"
	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
	"callplane/app/route"
)

// setup is what a story may want otherwise.
type setup struct {
	routes call.Router
	sw     []pbxtest.Option
	wrap   func(pbx.Switch) pbx.Switch
	first  func(*centre) // before anything runs
}

type option func(*setup)

// wanted is a call that an agent wants placed.
func wanted(to string) route.Wanted { return route.Wanted{Unit: "root", UnitPath: tenant, To: to} }

// away has an agent signed in, on a break: the queue is staffed, and nobody is offered anything.
func (c *centre) away(name string) {
	c.t.Helper()
	c.signIn(name, pbxtest.AnswerAfter(time.Second), nil)
	if _, err := c.agents.Set(agent.ID(name), agent.Break, "lunch"); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
}

func (c *centre) ready(name string) {
	c.t.Helper()
	if _, err := c.agents.Set(agent.ID(name), agent.Ready, ""); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
}

// said is the prompts that a party heard, without where they come from.
func said(p *pbxtest.Party) (out []string) {
	for _, h := range p.Heard() {
		if s, ok := strings.CutPrefix(h.What, "play:http://voice/"); ok {
			_, s, _ = strings.Cut(s, "/")
			out = append(out, strings.TrimSuffix(s, ".wav"))
		}
	}
	return out
}

// An agent places a call and does not pick up the own phone, or rejects it: the agent is not left ringing.
func TestOwnPhoneNotPickedUp(t *testing.T) {
	for name, tt := range map[string]struct {
		does   pbxtest.Behaviour
		state  agent.State
		reason call.Reason
	}{
		"rings on": {pbxtest.RingForever(), agent.NotReady, call.AgentNoAnswer},
		"rejects":  {pbxtest.RejectAfter(time.Second, pbx.Declined), agent.Ready, call.AgentCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, c *centre) {
				c.signIn("anna", tt.does, nil)
				if _, err := c.calls.Dial(t.Context(), "anna", wanted("+8613900139000")); err != nil {
					t.Fatal(err)
				}
				wait(time.Minute)
				c.mustBe("anna", tt.state)
				if r := c.last(); r.Reason != tt.reason.String() {
					t.Errorf("ended %s, want %s", r.Reason, tt.reason)
				}
			})
		})
	}
}

// The longest wait ends while a phone rings for the caller: the ring may still be answered, and if not, the caller is turned away.
func TestMaxWaitWhileRinging(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.queue("sales", func(s *acd.Settings) { s.MaxWaitSeconds, s.RingSeconds = 10, 20 }, "anna")
		c.signIn("anna", pbxtest.RingForever(), nil)
		caller := c.dialIn("4002")
		wait(15 * time.Second)
		c.mustBe("anna", agent.Ringing)
		wait(6 * time.Second)
		if got := said(caller); !slices.Contains(got, "queue/timeout") {
			t.Errorf("heard %v", got)
		}
		caller.Hangup()
		if e := c.last().Entries; len(e) != 1 || e[0].Result != "timeout" {
			t.Errorf("entries %+v", e)
		}
	})
}

// A caller who talked for longer than the longest wait loses the agent: the caller waits again in front, and is not turned away for
// the time spent talking. The record counts each wait once.
func TestAgentLostAfterLongTalk(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.queue("sales", func(s *acd.Settings) { s.MaxWaitSeconds = 120 }, "anna", "bob")
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		c.away("bob")
		caller := c.dialIn("4002")
		wait(10 * time.Minute)
		later := c.dialIn("4002")
		anna.Crash()
		wait(65 * time.Second)
		c.hears("caller", caller, "music:default")
		c.ready("bob")
		wait(2 * time.Second)
		c.hears("caller", caller, "bob")
		c.hears("later", later, "music:default")
		caller.Hangup()
		r := c.last()
		if len(r.Entries) != 2 || r.Entries[1].Joined.Before(r.Entries[0].Left) {
			t.Errorf("entries %+v", r.Entries)
		}
	})
}

// Prompts that last longer than the time between them do not silence each other for good.
func TestLongComfort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := pbxtest.WithMedia(func(pbx.Media) (time.Duration, bool) { return 6 * time.Second, true })
		c := newCentre(t, nil, func(s *setup) { s.sw = append(s.sw, long) })
		c.away("anna")
		caller := c.dialIn("4002")
		wait(5 * time.Minute)
		positions := 0
		for _, s := range said(caller) {
			if strings.HasPrefix(s, "position") {
				positions++
			}
		}
		if positions < 4 {
			t.Errorf("the position was told %d times in five minutes: %v", positions, said(caller))
		}
	})
}

// The link breaks while a prompt plays: its end is never told, and the caller still hears the prompts after it.
func TestPromptEndsWhileAway(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.away("anna")
		caller := c.dialIn("4002")
		wait(1600 * time.Millisecond) // the position is being told
		c.sw.Cut()
		wait(5 * time.Second)
		c.sw.Restore()
		wait(2 * time.Minute)
		if got := said(caller); !slices.Contains(got, "queue/comfort-1") {
			t.Errorf("heard %v", got)
		}
	})
}

// The process dies while the called party rings: the agent does not hear the ringing tone for ever.
func TestToneAfterTakeOver(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.sw.Trunk("carrier").OnCall(pbxtest.Always(pbxtest.AnswerAfter(10 * time.Second)))
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		if _, err := c.calls.Dial(t.Context(), "anna", wanted("+8613900139000")); err != nil {
			t.Fatal(err)
		}
		wait(3 * time.Second)
		c.hears("anna", anna.Call(), "play:tone:ring")
		c.stop()
		c.sw.Detach()
		d := newCentre(t, c)
		wait(10 * time.Second)
		d.hears("anna", anna.Call(), "+8613900139000")
		d.mustBe("anna", agent.Talking)
	})
}

// The switch does not answer a dial: that is not the agent's fault, and the agent gets the call a little later.
func TestDialUnreachable(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.sw.FailNext(pbxtest.VerbDial, pbx.ErrUnreachable)
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(500 * time.Millisecond)
		c.mustBe("anna", agent.Ready)
		wait(10 * time.Second)
		c.hears("caller", caller, "anna")
		if p, _ := c.agents.Get("anna"); p.Missed != 0 {
			t.Errorf("%d offers missed", p.Missed)
		}
	})
}

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

// Two closed queues that send their callers to each other do not keep a call going round for ever.
func TestOverflowInACircle(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		for name, to := range map[string]acd.QueueID{"sales": "support", "support": "sales"} {
			c.queue(name, func(s *acd.Settings) { s.Empty = acd.Action{Prompt: "p", Then: acd.ThenQueue, Queue: to} })
		}
		caller := c.dialIn("4002")
		wait(time.Hour)
		if caller.Alive() {
			t.Error("the caller still goes round")
		}
		if n := len(c.last().Entries); n > 50 {
			t.Errorf("%d entries", n)
		}
	})
}

// A transfer to a queue that takes nobody is refused, and the agent still talks.
func TestTransferToEmptyQueue(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		if err := c.calls.Transfer(t.Context(), c.only(t.Context()).ID, call.Target{Queue: "support"}); err == nil {
			t.Error("not refused")
		}
		c.hears("caller", caller, "anna")
		c.mustBe("anna", agent.Talking)
		caller.Hangup()
		if r := c.last(); len(r.Entries) != 1 || r.Entries[0].Result != "answered" {
			t.Errorf("entries %+v", r.Entries)
		}
	})
}

// A waiting call can be moved to another queue; to one that is not there it cannot, and keeps its place.
func TestMoveWaitingCall(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.away("anna")
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		id := c.only(t.Context()).ID
		if err := c.calls.Transfer(t.Context(), id, call.Target{Queue: "nothing"}); err == nil {
			t.Error("not refused")
		}
		if err := c.calls.Transfer(t.Context(), id, call.Target{Queue: "support"}); err == nil {
			t.Error("nobody serves support, and it was not refused")
		}
		if _, _, err := c.queues.Position(id); err != nil {
			t.Errorf("the call lost its place: %v", err)
		}
		c.signIn("carl", pbxtest.AnswerAfter(time.Second), nil)
		if err := c.calls.Transfer(t.Context(), id, call.Target{Queue: "support"}); err != nil {
			t.Error(err)
		}
		wait(2 * time.Second)
		c.hears("caller", caller, "carl")
		caller.Hangup()
		if e := c.last().Entries; len(e) != 2 || e[0].Result != "moved" || e[1].Result != "answered" {
			t.Errorf("entries %+v", e)
		}
	})
}

// lanes is a router whose trunks have a number of channels.
type lanes struct {
	router
	mu   sync.Mutex
	free map[string]int
}

func (l *lanes) Outbound(w route.Wanted) (route.Outbound, error) {
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
