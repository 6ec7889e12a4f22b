package pbxtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"callplane/app/pbx"
)

// check is what a story is told with.
type check struct {
	*testing.T
	s *suite
}

func (c *check) ok(err error) {
	c.Helper()
	if err != nil {
		c.Fatalf("%v", err)
	}
}

func (c *check) is(err, want error) {
	c.Helper()
	if !errors.Is(err, want) {
		c.Errorf("error is %v, want %v", err, want)
	}
}

func (c *check) equal(what string, got, want any) {
	c.Helper()
	if got != want {
		c.Errorf("%s is %v, want %v", what, got, want)
	}
}

// ctx bounds one command.
func (c *check) ctx() context.Context {
	ctx, cancel := context.WithTimeout(c.Context(), patience)
	c.Cleanup(cancel)
	return ctx
}

// eventually polls until something is true.
func (c *check) eventually(what string, cond func() bool) {
	c.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// leg is one leg and its far end.
type leg struct {
	c    *check
	id   pbx.LegID
	peer Peer
	to   string
	read int // how many of its events were waited for

	arrival pbx.Event
}

// clean ends the leg with the story, however the story ends.
func (l *leg) clean() {
	l.c.Cleanup(func() {
		l.c.s.sw.Hangup(context.Background(), l.id, pbx.NormalClearing)
		if l.peer != nil {
			l.wait("the far end of "+string(l.id)+" has ended", l.peer.Ended())
		}
	})
}

// callIn is a caller who has arrived.
func (c *check) callIn() *leg {
	c.Helper()
	return c.arrival(Inbound{From: "139" + c.s.unique()})
}

// arrival calls in from outside and waits for the call to arrive.
func (c *check) arrival(in Inbound) *leg {
	c.Helper()
	if in.To == "" {
		in.To = c.s.unique()
	}
	peer := c.s.rig.CallIn(c, in)
	return c.arrived(in.To, peer)
}

// arrived waits for the call to a number that a story has chosen.
func (c *check) arrived(to string, peer Peer) *leg {
	c.Helper()
	var l *leg
	c.eventually("call to "+to+" arrives", func() bool {
		c.s.mu.Lock()
		defer c.s.mu.Unlock()
		for _, e := range c.s.events {
			if e.Kind == pbx.Arrived && e.To == to && !c.s.taken[e.Leg] {
				c.s.taken[e.Leg] = true
				l = &leg{c: c, id: e.Leg, peer: peer, to: to, arrival: e}
				return true
			}
		}
		return false
	})
	l.clean()
	return l
}

// caller is a caller who was answered.
func (c *check) caller() *leg {
	c.Helper()
	l := c.callIn()
	c.ok(c.s.sw.Answer(c.ctx(), l.id))
	l.await(pbx.Answered)
	return l
}

// phone takes one of the phones for the length of the story.
func (c *check) phone(b Behaviour) *phone {
	c.Helper()
	ph := <-c.s.idle
	ph.OnCall(b)
	c.Cleanup(func() { c.s.idle <- ph })
	return ph
}

// newLeg is an id of ours.
func (c *check) newLeg() pbx.LegID { return pbx.LegID("leg-" + c.s.unique()) }

// dial calls a phone, which may do what it likes.
func (c *check) dial(ph *phone, d pbx.Dial) *leg {
	c.Helper()
	d.Phone = ph.spec.Name
	return c.dialled(d)
}

// dialTrunk calls an outside number that behaves like this.
func (c *check) dialTrunk(b Behaviour, d pbx.Dial) *leg {
	c.Helper()
	d.Trunk, d.Number = c.s.rig.Trunk().Name, "138"+c.s.unique()
	c.s.rig.OnNumber(d.Number, b)
	return c.dialled(d)
}

func (c *check) dialled(d pbx.Dial) *leg {
	c.Helper()
	l := &leg{c: c, id: c.newLeg(), to: d.Phone + d.Number}
	l.clean()
	c.ok(c.s.sw.Dial(c.ctx(), l.id, d))
	return l
}

// ring waits until the leg rings, and finds its far end.
func (l *leg) ring(call func() Peer) *leg {
	l.c.Helper()
	l.await(pbx.Ringing)
	l.c.eventually("the far end knows of the call", func() bool { l.peer = call(); return l.peer != nil })
	return l
}

// agent is a phone that was dialled and has answered.
func (c *check) agent() *leg {
	c.Helper()
	ph := c.phone(Answer())
	l := c.dial(ph, pbx.Dial{CallerNumber: "4001"}).ring(ph.Call)
	l.await(pbx.Answered)
	return l
}

// room is an id of ours.
func (c *check) room() pbx.RoomID { return pbx.RoomID("room-" + c.s.unique()) }

// join puts legs into a room.
func (c *check) join(room pbx.RoomID, legs ...*leg) {
	c.Helper()
	ids := make([]pbx.LegID, len(legs))
	for i, l := range legs {
		ids[i] = l.id
	}
	c.ok(c.s.sw.Join(c.ctx(), room, ids...))
}

// await waits for the leg's next event of one kind; those between are skipped.
func (l *leg) await(kind pbx.Kind) pbx.Event {
	l.c.Helper()
	e, ok := l.next(patience, func(e pbx.Event) bool { return e.Kind == kind })
	if !ok {
		l.c.Fatalf("leg %s: no %v within %v; events:\n%s", l.id, kind, patience, story(l.events()))
	}
	return e
}

// never looks a while for an event that must not come.
func (l *leg) never(kind pbx.Kind) {
	l.c.Helper()
	read := l.read
	if e, ok := l.next(settle, func(e pbx.Event) bool { return e.Kind == kind }); ok {
		l.c.Errorf("leg %s: unexpected %+v", l.id, e)
	}
	l.read = read
}

// next waits for an event after those waited for so far.
func (l *leg) next(limit time.Duration, match func(pbx.Event) bool) (pbx.Event, bool) {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for {
		l.c.s.mu.Lock()
		events, news := l.c.s.legs[l.id], l.c.s.news
		l.c.s.mu.Unlock()
		for i := l.read; i < len(events); i++ {
			if match(events[i]) {
				l.read = i + 1
				return events[i], true
			}
		}
		select {
		case <-news:
		case <-timeout.C:
			return pbx.Event{}, false
		}
	}
}

// events are all of the leg's so far.
func (l *leg) events() []pbx.Event {
	l.c.s.mu.Lock()
	defer l.c.s.mu.Unlock()
	return slices.Clone(l.c.s.legs[l.id])
}

// ended waits for the leg's end and compares it.
func (l *leg) ended(cause pbx.Cause, byUs bool) {
	l.c.Helper()
	e := l.await(pbx.Ended)
	if e.Cause != cause || e.ByUs != byUs {
		l.c.Errorf("leg %s ended with %v byus=%v, want %v byus=%v", l.id, e.Cause, e.ByUs, cause, byUs)
	}
}

// farEnd waits until the far end has noticed its end.
func (l *leg) farEnd(cause pbx.Cause, byUs bool) {
	l.c.Helper()
	l.wait("the far end hears of the end", l.peer.Ended())
	if got, by := l.peer.Cause(); got != cause || by != byUs {
		l.c.Errorf("far end of %s ended with %v byus=%v, want %v byus=%v", l.id, got, by, cause, byUs)
	}
}

func (l *leg) wait(what string, ch <-chan struct{}) {
	l.c.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		l.c.Errorf("not within %v: %s", patience, what)
	}
}

// hangup ends the leg and waits for it.
func (l *leg) hangup() {
	l.c.Helper()
	l.c.ok(l.c.s.sw.Hangup(l.c.ctx(), l.id, pbx.NormalClearing))
	l.ended(pbx.NormalClearing, true)
}

// hears waits until the party hears exactly this: other legs, or words as in [Party.Hears].
func (l *leg) hears(what ...any) {
	l.c.Helper()
	names := []string{}
	for _, w := range what {
		if other, ok := w.(*leg); ok {
			w = other.peer.Name()
		}
		names = append(names, fmt.Sprint(w))
	}
	slices.Sort(names)
	if len(names) == 0 {
		names = []string{Silence}
	}
	var got []string
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if got = l.peer.Hears(); slices.Equal(got, names) {
			return
		}
		if time.Now().After(end) {
			l.c.Fatalf("%s hears %q, want %q; events:\n%s", l.peer.Name(), got, names, story(l.events()))
		}
	}
}
