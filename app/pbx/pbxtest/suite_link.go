package pbxtest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"callplane/app/pbx"
)

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
		trunk := c.s.rig.Trunk().Name
		desk := c.phone(RingForever())
		to := c.s.unique()
		out := c.arrived(to, desk.CallOut(c, to))
		want := map[pbx.LegID]pbx.LegState{
			waiting.id: {Inbound: true, Trunk: trunk, From: "13900000001", To: waiting.to},
			parked.id: {Inbound: true, Trunk: trunk, Answered: true, Parked: true, From: parked.arrival.From,
				To: parked.to},
			talking.id: {Inbound: true, Trunk: trunk, Answered: true, Room: room, From: talking.arrival.From,
				To: talking.to},
			out.id:     {Inbound: true, Phone: desk.spec.Name, From: desk.spec.Name, To: to},
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
		defer c.s.rig.Restore() // should the story end early
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

// takeoverCases are about one control plane after another.
var takeoverCases = map[string]func(*check){
	"another control plane takes over": func(c *check) {
		in, agent, parked, room := c.caller(), c.agent(), c.caller(), c.room()
		c.join(room, in, agent)
		c.ok(c.s.sw.Park(c.ctx(), parked.id, ""))
		ph := c.phone(RingForever())
		ringing := c.dial(ph, pbx.Dial{Tag: "call-9"}).ring(ph.Call)
		rec := in.record(time.Minute)
		in.hears(agent)
		parked.hears("music:default")

		old, mark := c.s.sw, c.mark()
		c.attach(c.s.rig.Another())
		c.since(mark, "Replaced", func(e pbx.Event) bool { return e.Kind == pbx.Replaced })
		c.is(old.Hangup(c.ctx(), in.id, pbx.NormalClearing), pbx.ErrUnreachable)
		snap, err := c.s.sw.Snapshot(c.ctx())
		c.ok(err)
		got := map[pbx.LegID]pbx.LegState{}
		for _, l := range snap.Legs {
			got[l.ID] = l
		}
		c.equal("legs", len(got), 4)
		c.equal("caller's room", got[in.id].Room, room)
		c.equal("agent's room", got[agent.id].Room, room)
		c.equal("parked", got[parked.id].Parked, true)
		c.equal("tag", got[ringing.id].Tag, "call-9")
		c.equal("recordings", fmt.Sprint(snap.Recordings), fmt.Sprint([]pbx.RecordingID{rec}))
		in.hears(agent) // nobody has noticed
		agent.hears(in)
		parked.hears("music:default")

		in.peer.Press("5")
		c.equal("digit", in.await(pbx.Digit).Digit, "5")
		c.ok(c.s.sw.StopRecord(c.ctx(), rec))
		in.await(pbx.RecordEnded)
		if len(c.fetch(rec)) == 0 {
			c.Error("the recording is empty")
		}
		c.ok(c.s.sw.DropRecording(c.ctx(), rec))
		c.ok(c.s.sw.Hangup(c.ctx(), ringing.id, pbx.NormalClearing))
		ringing.ended(pbx.NormalClearing, true)
		agent.peer.Hangup()
		agent.ended(pbx.NormalClearing, false)
		c.join(room, parked)
		in.hears(parked)
		parked.hears(in)
		in.hangup()
		parked.peer.Hangup()
		parked.ended(pbx.NormalClearing, false)
		c.ok(c.s.sw.Provision(c.ctx(), c.s.lines()))
		c.callIn().hangup()
	},
}
