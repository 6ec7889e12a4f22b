package pbxtest

import "callplane/app/pbx"

// roomCases are about who hears whom.
var roomCases = map[string]func(*check){
	"two talk and no one else": func(c *check) {
		a, b, x, y := c.caller(), c.agent(), c.caller(), c.agent()
		c.join(c.room(), a, b)
		c.join(c.room(), x, y)
		a.hears(b)
		b.hears(a)
		x.hears(y)
		y.hears(x)
		a.peer.Hangup()
		a.ended(pbx.NormalClearing, false)
		b.hears() // and stays
		b.never(pbx.Ended)
	},
	"three confer": func(c *check) {
		a, b, d, room := c.caller(), c.agent(), c.caller(), c.room()
		c.join(room, a, b)
		a.hears(b)
		c.join(room, d)
		a.hears(b, d)
		b.hears(a, d)
		d.hears(a, b)
		b.hangup()
		a.hears(d)
		d.hears(a)
	},
	"from room to room": func(c *check) {
		a, b, d := c.caller(), c.agent(), c.caller()
		one, two := c.room(), c.room()
		c.join(one, a, b)
		a.hears(b)
		c.join(two, d, b) // b leaves the first by itself
		a.hears()
		b.hears(d)
		d.hears(b)
	},
	"leave and close": func(c *check) {
		a, b, room := c.caller(), c.agent(), c.room()
		c.join(room, a, b)
		a.hears(b)
		c.ok(c.s.sw.Leave(c.ctx(), b.id))
		a.hears()
		b.hears()
		c.join(room, b)
		a.hears(b)
		c.ok(c.s.sw.Close(c.ctx(), room))
		a.hears()
		b.hears()
		a.never(pbx.Ended)
		b.never(pbx.Ended)
		c.join(room, a, b) // a closed room can be made again
		a.hears(b)
		b.hears(a)
	},
	"mute": func(c *check) {
		a, b := c.caller(), c.agent()
		c.join(c.room(), a, b)
		a.hears(b)
		c.ok(c.s.sw.Mute(c.ctx(), b.id, true))
		a.hears()
		b.hears(a)
		c.ok(c.s.sw.Mute(c.ctx(), b.id, false))
		a.hears(b)
	},
	"park": func(c *check) {
		a, b := c.caller(), c.agent()
		c.ok(c.s.sw.Park(c.ctx(), a.id, ""))
		a.hears("music:default")
		c.ok(c.s.sw.Park(c.ctx(), b.id, "default"))
		a.hears("music:default") // each hears music, not the other
		b.hears("music:default")
		c.ok(c.s.sw.Park(c.ctx(), a.id, "jazz"))
		a.hears("music:jazz")
		c.join(c.room(), a, b)
		a.hears(b)
		b.hears(a)
		c.ok(c.s.sw.Park(c.ctx(), a.id, ""))
		a.hears("music:default")
		b.hears()
		c.ok(c.s.sw.Leave(c.ctx(), a.id))
		a.hears()
	},
	"no one moves when one is gone": func(c *check) {
		a, b, dead := c.caller(), c.agent(), c.caller()
		dead.hangup()
		c.ok(c.s.sw.Park(c.ctx(), a.id, ""))
		a.hears("music:default")
		c.is(c.s.sw.Join(c.ctx(), c.room(), a.id, b.id, dead.id), pbx.ErrNoLeg)
		a.hears("music:default")
		b.hears()
	},
}

// spyCases are about supervisors.
var spyCases = map[string]func(*check){
	"listen whisper barge": func(c *check) {
		in, a, ear := c.caller(), c.agent(), c.agent()
		c.join(c.room(), in, a)
		in.hears(a)
		c.ok(c.s.sw.Spy(c.ctx(), ear.id, a.id, pbx.Listen))
		ear.hears(in, a)
		in.hears(a)
		a.hears(in)
		if !c.s.sw.Features().Whisper {
			c.is(c.s.sw.Spy(c.ctx(), ear.id, a.id, pbx.Whisper), pbx.ErrUnsupported)
			return
		}
		c.ok(c.s.sw.Spy(c.ctx(), ear.id, a.id, pbx.Whisper))
		a.hears(in, ear)
		in.hears(a)
		ear.hears(in, a)
		c.ok(c.s.sw.Spy(c.ctx(), ear.id, a.id, pbx.Barge))
		a.hears(in, ear)
		in.hears(a, ear)
		ear.hears(in, a)
		c.ok(c.s.sw.Spy(c.ctx(), ear.id, a.id, pbx.Listen))
		a.hears(in)
		in.hears(a)
		ear.hears(in, a)
		ear.never(pbx.Ended)
	},
	"spying ends with the target": func(c *check) {
		in, a, ear := c.caller(), c.agent(), c.agent()
		c.join(c.room(), in, a)
		c.ok(c.s.sw.Spy(c.ctx(), ear.id, a.id, pbx.Listen))
		ear.hears(in, a)
		a.hangup()
		ear.hears()
		in.hears()
		ear.never(pbx.Ended)
	},
	"spying ends with the ear": func(c *check) {
		in, a, ear := c.caller(), c.agent(), c.agent()
		c.join(c.room(), in, a)
		c.ok(c.s.sw.Spy(c.ctx(), ear.id, a.id, pbx.Listen))
		ear.hears(in, a)
		ear.hangup()
		in.hears(a)
		a.hears(in)
		in.never(pbx.Ended)
		a.never(pbx.Ended)
	},
	"an ear takes over": func(c *check) {
		in, a, ear, room := c.caller(), c.agent(), c.agent(), c.room()
		c.join(room, in, a)
		c.ok(c.s.sw.Spy(c.ctx(), ear.id, a.id, pbx.Listen))
		ear.hears(in, a)
		c.join(room, ear)
		in.hears(a, ear)
		a.hears(in, ear)
		ear.hears(in, a)
		a.hangup()
		in.hears(ear)
		ear.hears(in)
	},
	"an ear goes elsewhere": func(c *check) {
		in, a, ear := c.caller(), c.agent(), c.agent()
		c.join(c.room(), in, a)
		for _, away := range []func(){
			func() { c.ok(c.s.sw.Park(c.ctx(), ear.id, "")); ear.hears("music:default") },
			func() { c.ok(c.s.sw.Leave(c.ctx(), ear.id)); ear.hears() },
		} {
			c.ok(c.s.sw.Spy(c.ctx(), ear.id, a.id, pbx.Listen))
			ear.hears(in, a)
			away()
			in.hears(a)
			a.hears(in)
		}
	},
	"from target to target": func(c *check) {
		x, y, ear := c.caller(), c.caller(), c.agent()
		c.ok(c.s.sw.Spy(c.ctx(), ear.id, x.id, pbx.Listen))
		ear.hears(x)
		c.ok(c.s.sw.Spy(c.ctx(), ear.id, y.id, pbx.Listen))
		ear.hears(y)
	},
}
