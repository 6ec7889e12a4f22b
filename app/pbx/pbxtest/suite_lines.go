package pbxtest

import (
	"context"
	"fmt"
	"slices"

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
