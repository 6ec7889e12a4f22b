package pbxtest

import (
	"context"
	"time"

	"callplane/app/pbx"
)

// callCases are about calls that arrive, and about what any leg can do.
var callCases = map[string]func(*check){
	"arrives with number name and trunk": func(c *check) {
		l := c.arrival(Inbound{From: "13800138000", Name: "Li Lei"})
		c.equal("From", l.arrival.From, "13800138000")
		c.equal("FromName", l.arrival.FromName, "Li Lei")
		c.equal("Trunk", l.arrival.Trunk, c.s.rig.Trunk().Name)
		c.equal("Phone", l.arrival.Phone, "")
		c.equal("Withheld", l.arrival.Withheld, false)
		l.never(pbx.Answered)
	},
	"arrives with a withheld number": func(c *check) {
		l := c.arrival(Inbound{From: "13800138001", Withheld: true})
		c.equal("From", l.arrival.From, "")
		c.equal("Withheld", l.arrival.Withheld, true)
	},
	"arrives from a phone": func(c *check) {
		ph := c.phone(RingForever())
		to := c.s.unique()
		l := c.arrived(to, ph.CallOut(c, to))
		c.equal("Phone", l.arrival.Phone, ph.spec.Name)
		c.equal("Trunk", l.arrival.Trunk, "")
		c.equal("From", l.arrival.From, ph.spec.Name)
		c.ok(c.s.sw.Answer(c.ctx(), l.id))
		l.await(pbx.Answered)
		l.hears()
		l.hangup()
		l.farEnd(pbx.NormalClearing, true)
	},
	"ring and answer": func(c *check) {
		l := c.callIn()
		c.ok(c.s.sw.Ring(c.ctx(), l.id))
		c.eventually("the caller is told that it rings", l.peer.Rang)
		l.never(pbx.Answered)
		c.ok(c.s.sw.Answer(c.ctx(), l.id))
		l.await(pbx.Answered)
		l.wait("the caller is answered", l.peer.Answered())
		l.hears()
		c.ok(c.s.sw.Answer(c.ctx(), l.id)) // again: no error, and no second Answered, which finish checks
	},
	"a refused caller is told why": func(c *check) {
		for _, why := range []pbx.Cause{pbx.Busy, pbx.Congestion, pbx.Declined, pbx.NoAnswer, pbx.Unallocated} {
			l := c.callIn()
			c.ok(c.s.sw.Hangup(c.ctx(), l.id, why))
			l.ended(why, true)
			l.farEnd(why, true)
		}
	},
	"a caller gives up": func(c *check) {
		l := c.callIn()
		l.peer.Hangup()
		c.equal("ByUs", l.await(pbx.Ended).ByUs, false)
	},
	"we hang up": func(c *check) {
		l := c.caller()
		l.hangup()
		l.farEnd(pbx.NormalClearing, true)
	},
	"the party hangs up": func(c *check) {
		l := c.caller()
		l.peer.Hangup()
		l.ended(pbx.NormalClearing, false)
		a := c.agent()
		a.peer.Hangup()
		a.ended(pbx.NormalClearing, false)
	},
	"the party presses keys": func(c *check) {
		const keys = "159*#0"
		for _, l := range []*leg{c.caller(), c.agent()} {
			l.peer.Press(keys)
			got := ""
			for range keys {
				got += l.await(pbx.Digit).Digit
			}
			c.equal("digits of "+string(l.id), got, keys)
		}
	},
	"we send keys": func(c *check) {
		l := c.dialTrunk(Answer(), pbx.Dial{})
		l.ring(func() Peer { return c.s.rig.Called(l.to) }).await(pbx.Answered)
		c.ok(c.s.sw.SendDigits(c.ctx(), l.id, "42#"))
		c.eventually("the party gets 42#", func() bool { return l.peer.Digits() == "42#" })
	},
	"hold and take back": func(c *check) {
		in, a, room := c.caller(), c.agent(), c.room()
		c.join(room, in, a)
		in.hears(a)
		a.peer.Hold()
		a.await(pbx.Held)
		a.peer.Unhold()
		a.await(pbx.Unheld)
		in.hears(a)
		a.hears(in)
	},
	"a transfer is asked for and done": func(c *check) {
		in, a, room := c.caller(), c.agent(), c.room()
		c.join(room, in, a)
		in.hears(a)
		a.peer.Refer("4711")
		c.equal("To", a.await(pbx.TransferAsked).To, "4711")
		in.hears(a) // nothing has moved
		a.hears(in)
		c.ok(c.s.sw.Referred(c.ctx(), a.id, true))
		c.eventually("the phone is told", func() bool { done, told := a.peer.Transferred(); return done && told })
		c.equal("ByUs", a.await(pbx.Ended).ByUs, false)
		in.hears()
		in.never(pbx.Ended)
	},
	"a transfer is refused": func(c *check) {
		a := c.agent()
		a.peer.Refer("4711")
		a.await(pbx.TransferAsked)
		c.ok(c.s.sw.Referred(c.ctx(), a.id, false))
		c.eventually("the phone is told", func() bool { done, told := a.peer.Transferred(); return !done && told })
		a.never(pbx.Ended)
	},
	"a leg that is gone": func(c *check) {
		l, other := c.caller(), c.caller()
		l.hangup()
		sw, id := c.s.sw, l.id
		c.is(sw.Ring(c.ctx(), id), pbx.ErrNoLeg)
		c.is(sw.Answer(c.ctx(), id), pbx.ErrNoLeg)
		c.is(sw.Hangup(c.ctx(), id, pbx.Busy), pbx.ErrNoLeg)
		c.is(sw.Park(c.ctx(), id, ""), pbx.ErrNoLeg)
		c.is(sw.Join(c.ctx(), c.room(), id), pbx.ErrNoLeg)
		c.is(sw.Leave(c.ctx(), id), pbx.ErrNoLeg)
		c.is(sw.Play(c.ctx(), id, "gone", c.s.rig.Prompt("hello", time.Second)), pbx.ErrNoLeg)
		c.is(sw.SendDigits(c.ctx(), id, "1"), pbx.ErrNoLeg)
		c.is(sw.Mute(c.ctx(), id, true), pbx.ErrNoLeg)
		c.is(sw.Record(c.ctx(), id, pbx.RecordingID("gone/"+id), time.Minute), pbx.ErrNoLeg)
		c.is(sw.Spy(c.ctx(), id, other.id, pbx.Listen), pbx.ErrNoLeg)
		c.is(sw.Spy(c.ctx(), other.id, id, pbx.Listen), pbx.ErrNoLeg)
		c.is(sw.Referred(c.ctx(), id, true), pbx.ErrNoLeg)
		c.is(sw.Hangup(c.ctx(), "never-was", pbx.Busy), pbx.ErrNoLeg)
	},
	"what is over already is no error": func(c *check) {
		l, sw := c.caller(), c.s.sw
		c.ok(sw.Leave(c.ctx(), l.id))
		c.ok(sw.Close(c.ctx(), "no-such-room"))
		c.ok(sw.StopPlay(c.ctx(), l.id, "no-such-play"))
		c.ok(sw.StopRecord(c.ctx(), "no/such-recording"))
		c.ok(sw.DropRecording(c.ctx(), "no/such-recording"))
		c.ok(sw.Mute(c.ctx(), l.id, false))
		c.ok(sw.Park(c.ctx(), l.id, ""))
		c.ok(sw.Park(c.ctx(), l.id, ""))
		room := c.room()
		c.join(room, l)
		c.join(room, l)
		c.ok(sw.Close(c.ctx(), room))
		c.ok(sw.Close(c.ctx(), room))
		c.ok(sw.Leave(c.ctx(), l.id))
		_, err := sw.FetchRecording(c.ctx(), "no/such-recording")
		c.is(err, pbx.ErrNoRecording)
	},
	"a command whose time is over": func(c *check) {
		l := c.callIn()
		ctx, cancel := context.WithCancel(c.Context())
		cancel()
		c.is(c.s.sw.Answer(ctx, l.id), pbx.ErrUnreachable)
		_, err := c.s.sw.Snapshot(ctx)
		c.is(err, pbx.ErrUnreachable)
	},
}

// dialCases are about calls we make.
var dialCases = map[string]func(*check){
	"a phone answers": func(c *check) {
		ph := c.phone(AnswerAfter(500 * time.Millisecond))
		l := c.dial(ph, pbx.Dial{
			CallerNumber: "13800138000", CallerName: "Han Mei", Headers: map[string]string{"X-Call": "c-17"},
		}).ring(ph.Call)
		shown := l.peer.Dialled()
		c.equal("number shown", shown.CallerNumber, "13800138000")
		c.equal("name shown", shown.CallerName, "Han Mei")
		c.equal("header", shown.Headers["X-Call"], "c-17")
		c.equal("auto answer", shown.AutoAnswer, false)
		l.await(pbx.Answered)
		l.hears()
		for _, e := range l.events() {
			c.equal("a dialled leg arrives", e.Kind == pbx.Arrived, false)
		}
	},
	"a phone is asked to answer by itself": func(c *check) {
		ph := c.phone(Answer())
		l := c.dial(ph, pbx.Dial{AutoAnswer: true})
		l.await(pbx.Answered)
		l.peer = ph.Call()
		c.equal("auto answer", l.peer.Dialled().AutoAnswer, true)
	},
	"a number answers and hangs up": func(c *check) {
		l := c.dialTrunk(AnswerAfter(300*time.Millisecond).HangupAfter(500*time.Millisecond), pbx.Dial{CallerNumber: "4001"})
		l.ring(func() Peer { return c.s.rig.Called(l.to) })
		c.equal("number shown", l.peer.Dialled().CallerNumber, "4001")
		l.await(pbx.Answered)
		l.ended(pbx.NormalClearing, false)
	},
	"a number refuses": func(c *check) {
		for _, why := range []pbx.Cause{
			pbx.Busy, pbx.Congestion, pbx.Declined, pbx.Unallocated, pbx.NoAnswer, pbx.BearerIncompatible,
		} {
			l := c.dialTrunk(RejectWith(why), pbx.Dial{})
			l.ended(why, false)
			for _, e := range l.events() {
				c.equal("refused leg was answered", e.Kind == pbx.Answered, false)
			}
		}
	},
	"a phone declines after ringing": func(c *check) {
		ph := c.phone(RejectAfter(300*time.Millisecond, pbx.Declined))
		l := c.dial(ph, pbx.Dial{})
		l.await(pbx.Ringing)
		l.ended(pbx.Declined, false)
	},
	"a phone rings out": func(c *check) {
		ph := c.phone(RingForever())
		start := time.Now()
		l := c.dial(ph, pbx.Dial{Timeout: time.Second}).ring(ph.Call)
		l.ended(pbx.NoAnswer, false)
		if d := time.Since(start); d < 800*time.Millisecond || d > 3*time.Second {
			c.Errorf("rang for %v, want 1s", d)
		}
		l.wait("the phone stops ringing", l.peer.Ended())
	},
	"we give up": func(c *check) {
		ph := c.phone(RingForever())
		l := c.dial(ph, pbx.Dial{}).ring(ph.Call)
		l.hangup()
		l.wait("the phone stops ringing", l.peer.Ended())
		c.is(c.s.sw.Hangup(c.ctx(), l.id, pbx.NormalClearing), pbx.ErrNoLeg)
	},
	"answered elsewhere": func(c *check) {
		ph := c.phone(RingForever())
		l := c.dial(ph, pbx.Dial{}).ring(ph.Call)
		c.ok(c.s.sw.Hangup(c.ctx(), l.id, pbx.AnsweredElsewhere))
		l.ended(pbx.AnsweredElsewhere, true)
		l.farEnd(pbx.AnsweredElsewhere, true)
	},
	"early media": func(c *check) {
		l := c.dialTrunk(AnswerAfter(500*time.Millisecond).EarlyMedia(), pbx.Dial{})
		l.await(pbx.Progress)
		l.await(pbx.Answered)
	},
	"no such line": func(c *check) {
		for _, d := range []pbx.Dial{{Phone: "nobody"}, {Trunk: "nowhere", Number: "123"}} {
			l := &leg{c: c, id: c.newLeg()}
			c.is(c.s.sw.Dial(c.ctx(), l.id, d), pbx.ErrNoLine)
			if _, some := l.next(settle, func(pbx.Event) bool { return true }); some {
				c.Errorf("%+v: events of a leg that never was:\n%s", d, story(l.events()))
			}
		}
	},
	"an id is used once": func(c *check) {
		ph := c.phone(Answer())
		l := c.dial(ph, pbx.Dial{}).ring(ph.Call)
		l.await(pbx.Answered)
		if c.s.sw.Dial(c.ctx(), l.id, pbx.Dial{Phone: ph.spec.Name}) == nil {
			c.Error("a second leg with the id of a live one was accepted")
		}
		l.never(pbx.Ended)
	},
}
