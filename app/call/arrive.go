package call

import (
	"context"

	"callplane/app/agent"
	"callplane/app/pbx"
	"callplane/app/route"
)

// arrive makes a call of a leg that came in.
func (s *Service) arrive(ev pbx.Event) {
	s.mu.Lock()
	_, known := s.legs[ev.Leg]
	s.mu.Unlock()
	if known {
		return
	}
	c := s.newCall(Record{
		Direction: Inbound, FromRaw: ev.From, FromName: ev.FromName, Withheld: ev.Withheld, To: ev.To, ToRaw: ev.To, Trunk: ev.Trunk,
		Customer: ev.Leg, Legs: []Leg{{ID: ev.Leg, Kind: LegCustomer, Phone: ev.Phone, Trunk: ev.Trunk, Number: ev.From, Started: ev.At.UTC()}},
	})
	s.claim(ev.Leg, c)
	s.start(c, func(c *Call) { c.begin(ev) })
}

// begin decides where an arriving call goes.
func (c *Call) begin(ev pbx.Event) {
	asked := route.Asked{To: ev.To, From: ev.From, FromName: ev.FromName, Withheld: ev.Withheld, Trunk: ev.Trunk, Phone: ev.Phone, At: ev.At}
	in, err := c.s.router.Inbound(asked)
	c.rec.Unit, c.rec.UnitPath = in.Unit, in.UnitPath
	c.rec.From, c.rec.Number, c.rec.Service, c.rec.Why = in.From, in.NumberID, in.Service, in.Why
	if in.Number != "" {
		c.rec.To = in.Number
	}
	c.rec.Language = in.Language
	if ev.Phone != "" {
		c.rec.Direction = Internal
		if p, ok := c.s.agents.OnPhone(ev.Phone); ok && err != nil {
			c.dialledOnPhone(p, ev)
			return
		}
	}
	c.mark("arrived", ev.Leg, map[string]any{"from": c.rec.From, "to": c.rec.To, "trunk": ev.Trunk, "phone": ev.Phone, "service": in.Service})
	if err != nil {
		c.must(Stop, ending{NoSuchNumber, BySystem, pbx.Unallocated})
		return
	}
	if ev.Trunk != "" {
		release, err := c.s.router.Seize(ev.Trunk)
		if err != nil {
			c.log.Info("no channel", "trunk", ev.Trunk, "error", err)
			c.must(Stop, ending{TrunkFull, BySystem, pbx.Busy})
			return
		}
		c.seats = append(c.seats, seat{"", release})
	}
	c.must(Enter, enter{flow: in.Flow})
}

// dialledOnPhone makes an outbound call of what an agent dialled on their phone.
func (c *Call) dialledOnPhone(p agent.Presence, ev pbx.Event) {
	c.rec.Unit, c.rec.UnitPath = p.Unit, p.UnitPath
	out, release, err := c.s.reach(route.Wanted{User: string(p.Agent), Unit: p.Unit, UnitPath: p.UnitPath, To: ev.To, Classes: classes(p)})
	c.rec.Legs[0].Kind, c.rec.Legs[0].Agent, c.rec.Customer = LegAgent, string(p.Agent), ""
	c.rec.Direction = Outbound
	if err == nil {
		c.outbound(out)
		c.seats = append(c.seats, seat{"", release})
		_, err = c.s.agents.Dial(p.Agent, string(c.rec.ID))
	}
	c.mark("arrived", ev.Leg, map[string]any{"from": ev.Phone, "to": ev.To, "agent": string(p.Agent)})
	if err != nil {
		c.mark("refused", ev.Leg, map[string]any{"error": err.Error()})
		c.must(Stop, ending{NotAllowed, BySystem, pbx.Declined})
		return
	}
	if err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Answer(ctx, ev.Leg) }); err != nil {
		c.agents("release", string(p.Agent), func(a *agent.Service, id agent.ID) error {
			_, err := a.Release(id, string(c.rec.ID))
			return err
		})
		c.must(Stop, ending{AgentCancelled, ByAgent, pbx.NormalClearing})
		return
	}
	c.agents("accept", string(p.Agent), func(a *agent.Service, id agent.ID) error {
		_, err := a.Accept(id, string(c.rec.ID))
		return err
	})
	c.must(Seek, own{agent: p, leg: ev.Leg})
}

// classes is what an agent may dial on the phone.
func classes(p agent.Presence) []route.Class {
	if p.Dials == nil {
		return nil
	}
	list := make([]route.Class, len(p.Dials))
	for i, c := range p.Dials {
		list[i] = route.Class(c)
	}
	return list
}

// outbound writes down where an outbound call goes.
func (c *Call) outbound(out route.Outbound) {
	c.rec.To, c.rec.ToRaw, c.rec.Trunk, c.rec.Why = out.To, out.Dial, out.Trunk, out.Why
	c.rec.From, c.rec.FromName, c.rec.FromRaw = out.CallerNumber, out.CallerName, out.CallerNumber
	c.callerID(out.CallerNumber, out.CallerName)
}
