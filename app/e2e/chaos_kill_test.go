//go:build e2e && chaos

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
)

// crowd is fifty live calls in all states.
type crowd struct {
	*Centre
	f *figures

	team, ringers, line []*Agent
	talking             []*pair // 20, of which the last held are on hold
	held                int
	inMenu, waiting     []*Party
	rung                []*Party
	rings               []*sipphone.Incoming // the phones that ring for them
	message             *Party
	own, calls          *Agent // who places a call: the own phone rings; the other party's does
	ownRings, farRings  *sipphone.Incoming
	joined              map[call.ID]time.Time
	menuText            []int16
	done                []call.ID // every call there was
	ownID, farID        call.ID
	farWith             *Party // the agent whose callee rings
	outside1, outside2  string
}

// R-098 R-401
func chaosKill(t *testing.T, f *figures) {
	s := chaosServer(t, realTime(t, sandbox.NewAsterisk(t, sandbox.AsteriskOptions{})), "", "call: {ring_agent: 60s, ring: 60s}\n")
	c := &crowd{Centre: newCentre(t, s), f: f, held: 4, outside1: "+861062340001", outside2: "+861062340002"}
	c.showCalls(t)
	c.fill()
	s.kill()
	f.most(t, "kill_in_control_s", s.again(t, 50).Seconds(), 3)
	c.afterFirst()
	c.whileAway()
	c.serveLine()
	c.endAll()
}

// fill sets up the fifty calls.
func (c *crowd) fill() {
	t := c.t
	c.team = c.agents(20, agentOptions{})
	c.ringers, c.line = make([]*Agent, 4), make([]*Agent, 2)
	for i := range c.ringers {
		c.ringers[i] = c.agent(fmt.Sprint("ringer", i), agentOptions{manual: true})
	}
	for i := range c.line {
		c.line[i] = c.agent(fmt.Sprint("line", i), agentOptions{})
		c.line[i].set(agent.Break, "lunch")
	}
	c.own, c.calls = c.agent("own", agentOptions{manual: true}), c.agent("dialler", agentOptions{})

	talkTo := c.straight(c.queue("talk", nil, c.team...))
	ringTo := c.straight(c.queue("ring", object{"ring_seconds": 60}, c.ringers...))
	line := c.queue("line", nil, c.line...)
	lineTo := c.straight(line)
	absent := c.agent("absent", agentOptions{signOut: true})
	messageTo := c.straight(c.queue("nobody", nil, absent))
	const menu = "请按一继续，或者请您稍候，我们会再说一遍这段话。"
	c.menuText = text(t, menu)
	menuTo := c.number(c.flow("menu", `
menu:
  text: `+menu+`
  tries: 9
  keys:
    "1": {queue: `+line.Name+`}
`), nil)

	c.talking = c.talks(talkTo, len(c.team), c.team)
	c.message = c.Centre.calls(messageTo)
	for range c.ringers {
		c.rung = append(c.rung, c.Centre.calls(ringTo))
	}
	for _, a := range c.ringers {
		in := a.rings(10 * time.Second)
		if err := in.Ring(); err != nil {
			t.Error(err)
		}
		c.rings = append(c.rings, in)
	}
	for range 15 { // one after the other: their order is what counts
		c.waiting = append(c.waiting, c.Centre.calls(lineTo))
	}
	for range 8 {
		c.inMenu = append(c.inMenu, c.Centre.calls(menuTo))
	}
	for _, p := range c.talking[len(c.talking)-c.held:] {
		c.must(p.who.API, p.caller.ID, "hold", nil)
	}
	c.ownID = post[call.Live](t, c.own.API, "/call/calls", object{"to": c.outside1}).ID
	c.ownRings = c.own.rings(10 * time.Second)
	if err := c.ownRings.Ring(); err != nil {
		t.Error(err)
	}
	rings := make(chan *sipphone.Incoming, 1)
	c.Far.when(c.outside2, func(in *sipphone.Incoming) {
		_ = in.Ring()
		rings <- in
	})
	c.farID = post[call.Live](t, c.calls.API, "/call/calls", object{"to": c.outside2}).ID
	c.farWith = c.calls.talk()
	select {
	case c.farRings = <-rings:
	case <-time.After(10 * time.Second):
		t.Fatal("the called party's phone does not ring")
	}
	c.Feed.call(t, c.message.ID, "call.message_started", 20*time.Second)
	for _, p := range c.talking[len(c.talking)-c.held:] {
		eventually(t, 10*time.Second, "music for "+p.caller.who, func() error {
			if !p.caller.Ear().Hears(sandbox.DefaultMusic.Tone()) {
				return errors.New("not heard")
			}
			return nil
		})
	}
	eventually(t, 10*time.Second, "ringing tone of the agent who dials", func() error {
		if loud := c.farWith.Ear().Level(); loud < -50 {
			return fmt.Errorf("%.0f dBFS", loud)
		}
		return nil
	})

	want := map[call.State]int{call.Talking: 16, call.OnHold: 4, call.InFlow: 9, call.Queued: 15, call.Offered: 4, call.Calling: 2}
	eventually(t, 10*time.Second, "fifty calls", func() error {
		return c.are(want)
	})
	_, by := c.states()
	c.joined = map[call.ID]time.Time{}
	for id, l := range by {
		c.done = append(c.done, id)
		c.joined[id] = l.Queued
	}
}

// are says whether so many calls are in each state.
func (c *crowd) are(want map[call.State]int) error {
	n, _ := c.states()
	for st, k := range want {
		if n[st] != k {
			return fmt.Errorf("%v, want %v", n, want)
		}
	}
	return nil
}

// parties is everybody who was there at the first kill.
func (c *crowd) parties() (list []*Party) {
	for _, p := range c.talking {
		list = append(list, p.caller, p.with)
	}
	return append(append(append(append(list, c.inMenu...), c.waiting...), c.rung...), c.message, c.farWith)
}

// afterFirst looks whether the first kill did any harm, and goes on with what rang and with the menu.
func (c *crowd) afterFirst() {
	t := c.t
	all := c.parties()
	c.f.exactly(t, "kill_dropped_legs", len(all)-alive(all...), 0)
	n, by := c.states()
	t.Logf("after the restart: %v", n)
	late := 0
	for id, at := range c.joined {
		if l, ok := by[id]; !ok || !l.Queued.Equal(at) {
			late++
			t.Errorf("call %s: first queue time %v, was %v", id, l.Queued, at)
		}
	}
	c.f.exactly(t, "kill_queue_times_lost", late, 0)
	for i, p := range c.talking {
		want := agent.Talking
		if i >= len(c.talking)-c.held {
			want = agent.OnHold
		}
		c.isAgent(p.who, want)
	}
	for _, a := range append(c.ringers, c.own) {
		c.isAgent(a, agent.Ringing)
	}
	for _, a := range c.line {
		c.isAgent(a, agent.Break)
	}
	for i, a := range c.ringers {
		c.takes(a.answer(c.rings[i]), a)
	}
	c.place(&c.ownRings, c.own, c.outside1)
	if p := c.answerFar(c.farRings); p != nil {
		p.ID = c.farID
		if pr := (&pair{caller: p, with: c.farWith, who: c.calls}).begin(t); pr != nil {
			c.talking = append(c.talking, pr)
		}
	}
	var wg sync.WaitGroup
	for i, p := range c.inMenu {
		wg.Go(func() {
			from := p.Ear().Now()
			if i%2 == 0 { // the others hear the menu to its end first
				finds(t, "the menu after the restart", p.Ear(), from-2*time.Second, c.menuText[:12000], 20*time.Second)
			}
			if err := p.SendDTMF(within(t, 5*time.Second), "1", 0); err != nil {
				t.Error(err)
			}
			c.Feed.call(t, p.ID, "call.queued", 10*time.Second)
		})
	}
	wg.Wait()
}

// takes notes that an agent has answered one of the callers who rang.
func (c *crowd) takes(with *Party, a *Agent) {
	c.t.Helper()
	if with == nil {
		c.t.Errorf("%s cannot answer after the restart", a.Login)
		return
	}
	for _, p := range c.rung {
		if _, err := p.Ear().WaitTone(within(c.t, 3*time.Second), with.tone, 200*time.Millisecond); err == nil {
			if pr := (&pair{caller: p, with: with, who: a}).begin(c.t); pr != nil {
				c.talking = append(c.talking, pr)
			}
			c.rung = slices.DeleteFunc(c.rung, func(o *Party) bool { return o == p })
			return
		}
	}
	c.t.Errorf("nobody hears %s", a.Login)
}

// place completes the call of the agent whose own phone rang.
func (c *crowd) place(in **sipphone.Incoming, a *Agent, number string) {
	with := a.answer(*in)
	if with == nil {
		c.t.Errorf("%s cannot answer their own phone after the restart", a.Login)
		return
	}
	far := c.Far.answered(number)
	far.ID = c.ownID
	if pr := (&pair{caller: far, with: with, who: a}).begin(c.t); pr != nil {
		c.talking = append(c.talking, pr)
	}
}

func (c *crowd) answerFar(in *sipphone.Incoming) *Party {
	cl, err := in.Answer(within(c.t, 10*time.Second))
	if err != nil {
		c.t.Errorf("the called party cannot answer after the restart: %v", err)
		return nil
	}
	n, tone := c.person()
	cl.SetTone(tone)
	return &Party{Call: cl, who: fmt.Sprintf("outside party %d", n), tone: tone}
}

// whileAway kills the process again, and lets things happen before it comes back.
func (c *crowd) whileAway() {
	t, s := c.t, c.Server
	ring := c.Centre.calls(c.straight(c.queue("ring again", object{"ring_seconds": 60}, c.ringers[0])))
	c.done = append(c.done, ring.ID)
	s.kill()
	var gone []*pair
	for i := range 4 {
		p := c.talking[i]
		gone = append(gone, p)
		end := p.caller
		if i%2 == 1 {
			end = p.with
		}
		if err := end.Hangup(within(t, 5*time.Second)); err != nil {
			t.Error(err)
		}
	}
	left := c.waiting[3]
	c.leaves(left)
	_, err := c.tryCallAway("01060000000")
	c.f.exactly(t, "kill_fallback_sip_code", refusedWith(err), 503)
	took := s.again(t, len(c.done)-5)
	c.f.most(t, "kill_in_control_again_s", took.Seconds(), 3)

	for _, p := range gone {
		d, _ := c.complete(p.caller.ID)
		if d.Call != nil && d.Call.EndReason != call.Lost.String() {
			t.Errorf("call %s, over while we were away, ended as %s", p.caller.ID, d.Call.EndReason)
		}
		waitFor(t, "end of the caller's leg", p.caller.Done())
		waitFor(t, "end of the agent's leg", p.with.Done())
		c.isAgent(p.who, agent.Ready)
	}
	d, _ := c.complete(left.ID)
	if d.Call != nil && (d.Call.EndReason != call.Lost.String() || len(d.Entries) != 1) {
		t.Errorf("who left the queue while we were away: %+v", d.Call)
	}
	c.waiting = slices.DeleteFunc(c.waiting, func(p *Party) bool { return p == left })
	c.leaves(ring)
	c.talking = c.talking[4:]
	var rest []*Party
	for _, p := range c.talking {
		rest = append(rest, p.caller, p.with)
	}
	rest = append(append(rest, c.waiting...), c.inMenu...)
	c.f.exactly(t, "kill_dropped_legs_again", len(rest)-alive(rest...), 0)
	for _, p := range gone {
		c.talking = append(c.talking, p) // their rows and recordings count too
	}
}

// tryCallAway is a call while nobody is in control.
func (c *crowd) tryCallAway(to string) (*sipphone.Call, error) {
	cl, err := c.Far.Call(within(c.t, 10*time.Second), to, sipphone.From("13900000000", ""))
	if err == nil {
		return cl, errors.New("it was answered")
	}
	return nil, err
}
