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

// dialIn calls a number from outside.
func (c *centre) dialIn(to string) *pbxtest.Party {
	return c.sw.CallIn(pbxtest.Inbound{From: "+8613800138000", To: to, Trunk: "carrier"})
}

// hears checks what a party hears now.
func (c *centre) hears(who string, p *pbxtest.Party, want ...string) {
	c.t.Helper()
	synctest.Wait()
	if got := p.Hears(); !slices.Equal(got, want) {
		c.t.Errorf("%s hears %v, want %v", who, got, want)
	}
}

// last is the record of the call that ended last.
func (c *centre) last() call.Record {
	c.t.Helper()
	synctest.Wait()
	all := c.live.records(c.t)
	if len(all) == 0 {
		c.t.Fatal("no call has ended")
	}
	return all[len(all)-1]
}

func (c *centre) mustBe(name string, want agent.State) {
	c.t.Helper()
	if got := c.state(name); got != want {
		c.t.Errorf("%s is %s, want %s", name, got, want)
	}
}

func story(t *testing.T, f func(t *testing.T, c *centre)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newCentre(t, nil)) })
}

// hold gives the caller music, silence to the agent, and a row with both times.
func TestHold(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		id := c.only(t.Context()).ID
		if err := c.calls.Hold(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		c.hears("caller", caller, "music:default")
		c.hears("anna", anna.Call(), pbxtest.Silence)
		c.mustBe("anna", agent.OnHold)
		wait(10 * time.Second)
		if err := c.calls.Unhold(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		c.hears("caller", caller, "anna")
		c.mustBe("anna", agent.Talking)
		caller.Hangup()
		r := c.last()
		if len(r.Holds) != 1 || r.Holds[0].Ended.Sub(r.Holds[0].Started) != 10*time.Second {
			t.Errorf("holds %+v", r.Holds)
		}
	})
}

// the hold key of a desk phone does the same.
func TestHoldOnThePhone(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		anna.Call().Hold()
		c.hears("caller", caller, "music:default")
		c.mustBe("anna", agent.OnHold)
		anna.Call().Unhold()
		c.hears("caller", caller, "anna")
		caller.Hangup()
		wait(time.Second)
		c.mustBe("anna", agent.Ready)
	})
}

// blind transfer to an agent, one record with both segments.
func TestTransferToAgent(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		wait(time.Second)
		c.signIn("bob", pbxtest.AnswerAfter(2*time.Second), nil)
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		id := c.only(t.Context()).ID
		if err := c.calls.Transfer(t.Context(), id, call.Target{Agent: "bob"}); err != nil {
			t.Fatal(err)
		}
		c.hears("caller", caller, "music:default")
		c.mustBe("anna", agent.Ready) // no wrap-up in this queue
		wait(3 * time.Second)
		c.hears("caller", caller, "bob")
		caller.Hangup()
		r := c.last()
		var agents []string
		for _, s := range r.Segments {
			if s.Kind == "agent" {
				agents = append(agents, s.Agent)
			}
		}
		if !slices.Equal(agents, []string{"anna", "bob"}) || r.Reason != "caller_hung_up" {
			t.Errorf("segments %+v, ended %s", r.Segments, r.Reason)
		}
	})
}

// a transfer to somebody who is busy is refused, and nothing has changed.
func TestTransferRefused(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		id := c.only(t.Context()).ID
		for name, to := range map[string]call.Target{
			"nobody": {}, "not signed in": {Agent: "bob"}, "no such queue": {Queue: "nothing"}, "no such flow": {Flow: "nothing"},
		} {
			if err := c.calls.Transfer(t.Context(), id, to); err == nil {
				t.Errorf("%s: not refused", name)
			}
			c.hears("caller", caller, "anna")
			c.mustBe("anna", agent.Talking)
		}
	})
}

// when the one a caller is transferred to does not answer, the agent who transferred is rung again.
func TestTransferComesBack(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		wait(time.Second)
		c.signIn("bob", pbxtest.RejectWith(pbx.Busy), nil)
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		if err := c.calls.Transfer(t.Context(), c.only(t.Context()).ID, call.Target{Agent: "bob"}); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Second)
		c.hears("caller", caller, "anna")
		c.mustBe("anna", agent.Talking)
		c.mustBe("bob", agent.NotReady)
		caller.Hangup()
		if w := whats(c.last()); !slices.Contains(w, "transfer_failed") || !slices.Contains(w, "returned") {
			t.Errorf("timeline %v", w)
		}
	})
}

// to a queue, to an outside number, and back into a flow.
func TestTransferElsewhere(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.sw.Trunk("carrier").OnCall(pbxtest.Always(pbxtest.AnswerAfter(time.Second)))
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		c.signIn("carl", pbxtest.AnswerAfter(time.Second), nil)
		id := c.only(t.Context()).ID
		if err := c.calls.Transfer(t.Context(), id, call.Target{Queue: "support"}); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Second)
		c.hears("caller", caller, "carl")
		if err := c.calls.Transfer(t.Context(), id, call.Target{Flow: "4001"}); err != nil {
			t.Fatal(err)
		}
		wait(200 * time.Millisecond)
		if got := c.only(t.Context()).State; got != call.InFlow {
			t.Errorf("state %s, want in_flow", got)
		}
		caller.Press("1") // interrupts the welcome
		wait(200 * time.Millisecond)
		caller.Press("1")
		wait(2 * time.Second)
		c.hears("caller", caller, "anna")
		if err := c.calls.Transfer(t.Context(), id, call.Target{Number: "+8610123456"}); err != nil {
			t.Fatal(err)
		}
		wait(2 * time.Second)
		if got := caller.Hears(); len(got) != 1 || got[0] == "anna" || strings.HasPrefix(got[0], "music") {
			t.Errorf("caller hears %v, want the outside party", got)
		}
		caller.Hangup()
		r := c.last()
		if len(r.Entries) != 3 || r.Entries[1].Name != "support" || r.Segments[len(r.Segments)-1].Kind != "outside" {
			t.Errorf("entries %+v, segments %+v", r.Entries, r.Segments)
		}
	})
}

// the transfer key of a desk phone.
func TestRefer(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		wait(time.Second)
		c.signIn("bob", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		anna.Call().Refer("bob")
		wait(2 * time.Second)
		c.hears("caller", caller, "bob")
		c.mustBe("anna", agent.Ready)
	})
}

// the agent's phone rings first, then the other party's; both hear each other.
func TestClickToDial(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.sw.Trunk("carrier").OnCall(pbxtest.Always(pbxtest.AnswerAfter(3 * time.Second)))
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		live, err := c.calls.Dial(t.Context(), "anna", route.Wanted{Unit: "root", UnitPath: tenant, To: "+8613900139000"})
		if err != nil {
			t.Fatal(err)
		}
		c.mustBe("anna", agent.Ringing)
		wait(2 * time.Second)
		c.mustBe("anna", agent.Talking)
		c.hears("anna", anna.Call(), "play:tone:ring")
		wait(3 * time.Second)
		if got := anna.Call().Hears(); len(got) != 1 || strings.HasPrefix(got[0], "play") || got[0] == pbxtest.Silence {
			t.Errorf("anna hears %v, want the called party", got)
		}
		if err := c.calls.Hangup(t.Context(), live.ID, true); err != nil {
			t.Fatal(err)
		}
		r := c.last()
		if r.Reason != "agent_hung_up" || r.Released != call.ByAgent || r.Direction != call.Outbound || r.To != "+8613900139000" || len(r.Tracks) != 2 {
			t.Errorf("record %+v", r)
		}
		c.mustBe("anna", agent.WrapUp)
		wait(call.DefaultLimits.WrapUp)
		c.mustBe("anna", agent.Ready)
	})
}

// each way in which a called party does not answer has its reason.
func TestOutboundOutcomes(t *testing.T) {
	for name, tt := range map[string]struct {
		does pbxtest.Behaviour
		want call.Reason
	}{
		"busy":       {pbxtest.RejectWith(pbx.Busy), call.CalleeBusy},
		"declined":   {pbxtest.RejectAfter(time.Second, pbx.Declined), call.CalleeDeclined},
		"no number":  {pbxtest.RejectWith(pbx.Unallocated), call.NumberInvalid},
		"congestion": {pbxtest.RejectWith(pbx.Congestion), call.TrunkCongested},
		"rings":      {pbxtest.RingForever(), call.CalleeNoAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, c *centre) {
				c.sw.Trunk("carrier").OnCall(pbxtest.Always(tt.does))
				c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
				if _, err := c.calls.Dial(t.Context(), "anna", route.Wanted{Unit: "root", UnitPath: tenant, To: "+8613900139000"}); err != nil {
					t.Fatal(err)
				}
				wait(2 * time.Minute)
				if r := c.last(); r.Reason != tt.want.String() {
					t.Errorf("ended %s, want %s", r.Reason, tt.want)
				}
				c.mustBe("anna", agent.Ready)
			})
		})
	}
}

// nobody is signed in: the queue's action at once, and a message.
func TestEmptyQueue(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		caller := c.dialIn("4002")
		wait(500 * time.Millisecond)
		if got := caller.Heard(); len(got) == 0 || got[len(got)-1].What != "play:http://voice/zh-CN/queue/no-agents.wav" {
			t.Fatalf("heard %v", got)
		}
		wait(10 * time.Second) // prompt, then "leave a message", then the beep
		caller.Press("#")
		wait(5 * time.Second)
		r := c.last()
		if r.Reason != "message_left" || len(r.Tracks) != 1 || r.Tracks[0].Side != "message" || r.Entries[0].Result != "empty" {
			t.Errorf("ended %s with tracks %+v, entries %+v, heard %v", r.Reason, r.Tracks, r.Entries, caller.Heard())
		}
	})
}

// the last agent signs out while callers wait.
func TestQueueEmpties(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		if _, err := c.agents.Set("anna", agent.Break, "lunch"); err != nil {
			t.Fatal(err)
		}
		caller := c.dialIn("4002")
		wait(3 * time.Second)
		if _, err := c.agents.Set("anna", agent.LoggedOut, ""); err != nil {
			t.Fatal(err)
		}
		wait(500 * time.Millisecond)
		if got := caller.Heard(); got[len(got)-1].What != "play:http://voice/zh-CN/queue/no-agents.wav" {
			t.Errorf("heard %v", got)
		}
	})
}

// R-099 R-037: who gives up is recorded with wait and position, short ones apart.
func TestAbandoned(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		if _, err := c.agents.Set("anna", agent.Break, ""); err != nil {
			t.Fatal(err)
		}
		first := c.dialIn("4002")
		wait(100 * time.Millisecond)
		second := c.dialIn("4002")
		wait(3 * time.Second)
		second.Hangup()
		wait(22 * time.Second)
		first.Hangup()
		wait(time.Second)
		recs := c.live.records(t)
		if e := recs[0].Entries[0]; e.Result != "abandoned" || !e.Short || e.Position != 2 || recs[0].Released != call.ByCaller {
			t.Errorf("second: %+v", e)
		}
		if e := recs[1].Entries[0]; e.Result != "abandoned" || e.Short || e.Position != 1 || recs[1].Reason != "caller_hung_up_in_queue" {
			t.Errorf("first: %+v", e)
		}
	})
}

// R-101 R-078: music, position, and comfort messages in their order.
func TestWaiting(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		if _, err := c.agents.Set("anna", agent.Break, ""); err != nil {
			t.Fatal(err)
		}
		c.dialIn("4002")
		wait(time.Second)
		caller := c.dialIn("4002")
		wait(95 * time.Second)
		var prompts []string
		music := false
		for _, h := range caller.Heard() {
			music = music || h.What == "music:default"
			if p, ok := strings.CutPrefix(h.What, "play:http://voice/zh-CN/"); ok && strings.HasPrefix(p, "queue/") || strings.HasPrefix(p, "position") {
				prompts = append(prompts, p)
			}
		}
		want := []string{"position-2.wav", "queue/comfort-1.wav", "queue/comfort-2.wav", "position-2.wav", "queue/comfort-3.wav"}
		slices.Sort(prompts)
		slices.Sort(want)
		if !music || !slices.Equal(prompts, want) {
			t.Errorf("heard %v, want %v", prompts, want)
		}
		c.hears("caller", caller, "music:default")
	})
}

// only an agent with the skill and level is rung, although others are free; when the requirement is relaxed, they are too.
func TestSkills(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.queue("support", func(s *acd.Settings) { s.Skills = []acd.Requirement{{Skill: "broadband", Level: 3, RelaxSeconds: 30}} }, "anna", "bob", "carl")
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), map[string]int{"broadband": 2})
		c.signIn("bob", pbxtest.AnswerAfter(time.Second), nil)
		c.signIn("carl", pbxtest.AnswerAfter(time.Second), map[string]int{"broadband": 5})
		c.flow("4003", "name: s\nthen: {queue: support}\n")
		first := c.dialIn("4003")
		wait(2 * time.Second)
		c.hears("first", first, "carl")
		second := c.dialIn("4003")
		wait(20 * time.Second)
		c.hears("second", second, "music:default")
		wait(13 * time.Second)
		if got := second.Hears(); !slices.Equal(got, []string{"anna"}) && !slices.Equal(got, []string{"bob"}) {
			t.Errorf("after relaxing, second hears %v", got)
		}
		second.Hangup()
		r := c.last()
		if !strings.Contains(string(r.Offers[0].Why), `"relaxed":["broadband"]`) {
			t.Errorf("why %s", r.Offers[0].Why)
		}
	})
}

// An agent's phone dies in mid-call: the caller has done nothing wrong and goes back to the front of the queue.
func TestAgentLost(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		anna := c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.dialIn("4002")
		wait(2 * time.Second)
		later := c.dialIn("4002")
		wait(time.Second)
		anna.Crash()
		wait(61 * time.Second)
		c.mustBe("anna", agent.NotReady)
		c.signIn("bob", pbxtest.AnswerAfter(time.Second), nil)
		wait(2 * time.Second)
		c.hears("caller", caller, "bob")
		c.hears("later", later, "music:default")
	})
}

// The link to the switch breaks and comes back: what happened meanwhile is found out, and nothing is offered twice.
func TestLinkCut(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		talking := c.dialIn("4002")
		wait(time.Second)
		waits, gone := c.dialIn("4002"), c.dialIn("4002")
		wait(2 * time.Second)
		c.hears("talking", talking, "anna")
		c.sw.Cut()
		wait(time.Second)
		gone.Hangup()
		wait(5 * time.Second)
		c.sw.Restore()
		wait(2 * time.Second)
		c.hears("talking", talking, "anna")
		c.hears("waits", waits, "music:default")
		if n := c.calls.Count(); n != 2 {
			t.Errorf("%d calls live, want 2", n)
		}
		talking.Hangup()
		wait(2 * time.Second)
		c.hears("waits", waits, "anna")
		waits.Hangup()
		r := c.last()
		if len(r.Offers) != 1 {
			t.Errorf("offers %+v", r.Offers)
		}
	})
}

// The switch restarts: all calls end as lost, and agents are not left talking to nobody.
func TestSwitchRestarts(t *testing.T) {
	story(t, func(t *testing.T, c *centre) {
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		c.dialIn("4002")
		c.dialIn("4002")
		wait(3 * time.Second)
		c.sw.Restart()
		wait(5 * time.Second)
		if n := c.calls.Count(); n != 0 {
			t.Errorf("%d calls live, want none", n)
		}
		for _, r := range c.live.records(t) {
			if r.Reason != "lost" || r.Class != call.ClassDropped {
				t.Errorf("ended %s, want lost", r.Reason)
			}
		}
		if got := c.state("anna"); got.Busy() {
			t.Errorf("anna is %s", got)
		}
	})
}
