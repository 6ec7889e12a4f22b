package acd_test

import (
	"slices"
	"strings"
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
