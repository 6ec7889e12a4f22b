package pbxtest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"callplane/app/pbx"
)

// mark is a place in the events of no leg, to wait from.
func (c *check) mark() int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return len(c.s.events)
}

// since waits for an event after a mark.
func (c *check) since(mark int, what string, match func(pbx.Event) bool) {
	c.Helper()
	c.eventually(what, func() bool {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		return slices.ContainsFunc(c.s.events[mark:], match)
	})
}

// line waits for a line to have a state, as told by an event since mark and by the snapshot.
func (c *check) line(mark int, name string, state pbx.LineState) {
	c.Helper()
	c.since(mark, fmt.Sprintf("%s is %s", name, state), func(e pbx.Event) bool {
		return e.Kind == pbx.LineChanged && e.Line == name && e.LineState == state
	})
	c.eventually("the snapshot tells it too", func() bool {
		snap, err := c.s.sw.Snapshot(c.ctx())
		return err == nil && snap.Lines[name] == state
	})
}

// lineCases are about phones and trunks.
var lineCases = map[string]func(*check){
	"a phone is added changed and removed": func(c *check) {
		defer func() { c.ok(c.s.sw.Provision(context.Background(), c.s.lines())) }()
		spec := pbx.Phone{Name: "new-phone", Password: "first"}
		c.is(c.s.sw.Dial(c.ctx(), c.newLeg(), pbx.Dial{Phone: spec.Name}), pbx.ErrNoLine)
		lines := c.s.lines()
		lines.Phones = append(lines.Phones, spec)
		c.ok(c.s.sw.Provision(c.ctx(), lines))
		c.is(c.s.sw.Dial(c.ctx(), c.newLeg(), pbx.Dial{Phone: spec.Name}), pbx.ErrNoLine) // not registered
		mark := c.mark()
		ph := &phone{c.s.rig.Phone(c, spec), spec}
		c.line(mark, spec.Name, pbx.LineUp)
		ph.OnCall(Answer())
		l := c.dial(ph, pbx.Dial{}).ring(ph.Call)
		l.await(pbx.Answered)
		l.hangup()

		mark = c.mark()
		ph.Unregister(c)
		c.line(mark, spec.Name, pbx.LineDown)
		c.is(c.s.sw.Dial(c.ctx(), c.newLeg(), pbx.Dial{Phone: spec.Name}), pbx.ErrNoLine)

		spec.Password = "second"
		lines.Phones[len(lines.Phones)-1] = spec
		c.ok(c.s.sw.Provision(c.ctx(), lines))
		ph = &phone{c.s.rig.Phone(c, spec), spec} // registers with the new password
		ph.OnCall(Answer())
		l = c.dial(ph, pbx.Dial{}).ring(ph.Call)
		l.await(pbx.Answered)

		c.ok(c.s.sw.Provision(c.ctx(), c.s.lines()))
		l.never(pbx.Ended) // a call outlives its line
		l.hangup()
		c.is(c.s.sw.Dial(c.ctx(), c.newLeg(), pbx.Dial{Phone: spec.Name}), pbx.ErrNoLine)
		snap, err := c.s.sw.Snapshot(c.ctx())
		c.ok(err)
		if _, there := snap.Lines[spec.Name]; there {
			c.Errorf("the snapshot still has %s", spec.Name)
		}
	},
	"a trunk is removed and added": func(c *check) {
		trunk := c.s.rig.Trunk().Name
		defer func() { c.ok(c.s.sw.Provision(context.Background(), c.s.lines())) }()
		c.callIn().hangup()
		lines := c.s.lines()
		lines.Trunks = nil
		c.ok(c.s.sw.Provision(c.ctx(), lines))
		c.is(c.s.sw.Dial(c.ctx(), c.newLeg(), pbx.Dial{Trunk: trunk, Number: "123"}), pbx.ErrNoLine)
		to := c.s.unique()
		l := &leg{c: c, id: "refused", peer: c.s.rig.CallIn(c, Inbound{From: "1", To: to})}
		l.wait("a call from an unknown trunk is refused", l.peer.Ended())
		mark := c.mark()
		c.ok(c.s.sw.Provision(c.ctx(), c.s.lines()))
		c.line(mark, trunk, pbx.LineUp)
		c.callIn().hangup()
		c.dialTrunk(Answer(), pbx.Dial{}).await(pbx.Answered)
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		for _, e := range c.s.events {
			c.equal("the refused call arrived", e.Kind == pbx.Arrived && e.To == to, false)
		}
	},
	"the same lines again write nothing": func(c *check) {
		c.ok(c.s.sw.Provision(c.ctx(), c.s.lines()))
		counter, ok := c.s.rig.(interface{ Writes() int })
		if !ok {
			c.Skip("the rig does not count writes")
		}
		before := counter.Writes()
		if before < 0 {
			c.Skip("nobody counts writes")
		}
		c.ok(c.s.sw.Provision(c.ctx(), c.s.lines()))
		c.equal("writes", counter.Writes()-before, 0)
	},
	"a bad name is refused": func(c *check) {
		lines := c.s.lines()
		lines.Phones = append(lines.Phones, pbx.Phone{Name: "Über/phone", Password: "x"})
		if c.s.sw.Provision(c.ctx(), lines) == nil {
			c.Error("a phone called Über/phone was accepted")
		}
	},
}

// linkCases are about the whole switch and the link to it.
var linkCases = map[string]func(*check){
	"the snapshot tells what is there": func(c *check) {
		before := time.Now().Add(-time.Minute)
		waiting, parked, talking := c.arrival(Inbound{From: "13900000001"}), c.caller(), c.caller()
		ph := c.phone(Answer())
		agent := c.dial(ph, pbx.Dial{CallerNumber: "4001", Tag: "call-7/agent"}).ring(ph.Call)
		agent.await(pbx.Answered)
		ringing := c.dial(c.phone(RingForever()), pbx.Dial{Tag: "call-8"})
		ringing.await(pbx.Ringing)
		room := c.room()
		c.join(room, talking, agent)
		c.ok(c.s.sw.Park(c.ctx(), parked.id, ""))
		parked.hears("music:default")
		rec := talking.record(time.Minute)
		want := map[pbx.LegID]pbx.LegState{
			waiting.id: {Inbound: true, From: "13900000001", To: waiting.to},
			parked.id:  {Inbound: true, Answered: true, Parked: true, From: parked.arrival.From, To: parked.to},
			talking.id: {Inbound: true, Answered: true, Room: room, From: talking.arrival.From, To: talking.to},
			agent.id:   {Answered: true, Room: room, Tag: "call-7/agent", From: "4001", To: ph.spec.Name},
			ringing.id: {Tag: "call-8", To: ringing.to},
		}
		var snap pbx.Snapshot
		c.eventually("just these legs are left", func() (done bool) {
			var err error
			snap, err = c.s.sw.Snapshot(c.ctx())
			return err == nil && len(snap.Legs) == len(want)
		})
		for _, got := range snap.Legs {
			if got.Since.Before(before) || got.Since.After(time.Now().Add(time.Second)) {
				c.Errorf("leg %s exists since %v", got.ID, got.Since)
			}
			w, known := want[got.ID]
			w.ID, w.Since = got.ID, got.Since
			if !known || got != w {
				c.Errorf("leg in the snapshot:\n got %+v\nwant %+v", got, w)
			}
		}
		c.equal("recordings", fmt.Sprint(snap.Recordings), fmt.Sprint([]pbx.RecordingID{rec}))
		c.ok(c.s.sw.StopRecord(c.ctx(), rec))
		talking.await(pbx.RecordEnded)
		c.ok(c.s.sw.DropRecording(c.ctx(), rec))
		waiting.hangup()
		snap, err := c.s.sw.Snapshot(c.ctx())
		c.ok(err)
		for _, got := range snap.Legs {
			c.equal("a leg that ended is listed", got.ID == waiting.id, false)
		}
	},
	"the link breaks and comes back": func(c *check) {
		in, agent, parked, leaver := c.caller(), c.agent(), c.caller(), c.caller()
		c.join(c.room(), in, agent)
		in.hears(agent)
		c.ok(c.s.sw.Park(c.ctx(), parked.id, ""))
		mark := c.mark()
		c.s.rig.Cut()
		c.since(mark, "Lost", func(e pbx.Event) bool { return e.Kind == pbx.Lost })
		c.is(c.s.sw.Answer(c.ctx(), in.id), pbx.ErrUnreachable)
		c.is(c.s.sw.Dial(c.ctx(), c.newLeg(), pbx.Dial{Phone: "agent-1"}), pbx.ErrUnreachable)
		_, err := c.s.sw.Snapshot(c.ctx())
		c.is(err, pbx.ErrUnreachable)
		leaver.peer.Hangup()
		leaver.wait("the leaver's call ends", leaver.peer.Ended())
		in.hears(agent) // calls go on
		agent.hears(in)
		parked.hears("music:default")
		mark = c.mark()
		c.s.rig.Restore()
		c.since(mark, "Resync", func(e pbx.Event) bool { return e.Kind == pbx.Resync })
		snap, err := c.s.sw.Snapshot(c.ctx())
		c.ok(err)
		there := map[pbx.LegID]bool{}
		for _, l := range snap.Legs {
			there[l.ID] = true
		}
		c.equal("legs after the break", fmt.Sprint(there[in.id], there[agent.id], there[parked.id], there[leaver.id]),
			"true true true false")
		in.peer.Press("7")
		c.equal("digit after the break", in.await(pbx.Digit).Digit, "7")
		c.join(c.room(), parked, agent)
		parked.hears(agent)
		in.hears()
		agent.peer.Hangup()
		agent.ended(pbx.NormalClearing, false)
		c.callIn().hangup()
	},
	"fifty calls at once": func(c *check) {
		const calls = 50
		var wg sync.WaitGroup
		for range calls {
			wg.Go(func() {
				in := c.callIn()
				c.check(c.s.sw.Answer(c.ctx(), in.id))
				in.await(pbx.Answered)
				out := c.dialTrunk(Answer(), pbx.Dial{})
				out.await(pbx.Answered)
				c.check(c.s.sw.Join(c.ctx(), pbx.RoomID("room-"+out.id), in.id, out.id))
				in.peer.Press("1")
				in.await(pbx.Digit)
				c.check(c.s.sw.Hangup(c.ctx(), out.id, pbx.NormalClearing))
				out.await(pbx.Ended)
				c.check(c.s.sw.Hangup(c.ctx(), in.id, pbx.NormalClearing))
				in.await(pbx.Ended)
				order(c, in, pbx.Arrived, pbx.Answered, pbx.Digit, pbx.Ended)
				order(c, out, pbx.Ringing, pbx.Answered, pbx.Ended)
			})
		}
		wg.Wait()
	},
}

// check is ok for goroutines other than the test's.
func (c *check) check(err error) {
	c.Helper()
	if err != nil {
		c.Error(err)
	}
}

// order compares the kinds of all a leg's events.
func order(c *check, l *leg, want ...pbx.Kind) {
	var got []pbx.Kind
	for _, e := range l.events() {
		got = append(got, e.Kind)
	}
	if !slices.Equal(got, want) {
		c.Errorf("leg %s: events %v, want %v", l.id, got, want)
	}
}
