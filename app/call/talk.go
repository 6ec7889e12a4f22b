package call

import (
	"context"
	"time"

	"callplane/app/agent"
	"callplane/app/pbx"
)

// connect joins the outside party and whoever answered.
func (c *Call) connect(any) error {
	r := c.rec.Ring
	customer, partner := c.rec.Customer, r.Leg
	if r.Kind == RingCallee {
		customer, partner = r.Leg, c.rec.Partner
	}
	c.hush()
	c.catchUp()
	if r.Kind != RingCallee && c.rec.Direction == Inbound && !c.answer() {
		return pbx.ErrNoLeg
	}
	room := pbx.RoomID(string(c.rec.ID) + "-room")
	if err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Join(ctx, room, customer, partner) }); err != nil {
		return err
	}
	now := time.Now().UTC()
	c.rec.Customer, c.rec.Partner, c.rec.Room = customer, partner, room
	if c.rec.Talked.IsZero() {
		c.rec.Talked = now
	}
	if c.rec.Answered.IsZero() {
		c.rec.Answered = now
	}
	if r.Agent != "" && r.Kind != RingCallee {
		c.agents("accept", r.Agent, func(a *agent.Service, id agent.ID) error {
			_, err := a.Accept(id, string(c.rec.ID))
			return err
		})
		c.rec.Agent, c.rec.AgentName = r.Agent, r.Name
	}
	if r.Kind == RingQueue {
		c.leaveQueue("answered", r.Agent)
	}
	c.closeOffer("answered")
	kind := "agent"
	if c.leg(partner).Kind == LegOutside {
		kind = "outside"
	}
	c.segment(kind, Segment{Agent: c.leg(partner).Agent, Queue: c.rec.Queue, Number: c.leg(partner).Number})
	c.mark("talking", partner, map[string]any{"agent": c.leg(partner).Agent, "name": r.Name, "number": r.Number, "how": string(r.Kind)})
	c.record()
	return nil
}

// hold gives the outside party music; the agent hears nothing.
func (c *Call) hold(any) error {
	err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Park(ctx, c.rec.Customer, c.music()) })
	if err != nil {
		return err
	}
	c.rec.Holds = append(c.rec.Holds, Hold{Agent: c.rec.Agent, Started: time.Now().UTC()})
	c.agents("hold", c.rec.Agent, func(a *agent.Service, id agent.ID) error {
		_, err := a.Hold(id, string(c.rec.ID))
		return err
	})
	c.mark("held", c.rec.Customer, map[string]any{"agent": c.rec.Agent})
	return nil
}

// unhold lets them talk again.
func (c *Call) unhold(any) error {
	err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Join(ctx, c.rec.Room, c.rec.Customer) })
	if err != nil {
		return err
	}
	c.endHold()
	c.agents("unhold", c.rec.Agent, func(a *agent.Service, id agent.ID) error {
		_, err := a.Unhold(id, string(c.rec.ID))
		return err
	})
	c.mark("unheld", c.rec.Customer, map[string]any{"agent": c.rec.Agent})
	return nil
}

func (c *Call) endHold() {
	if n := len(c.rec.Holds); n > 0 && c.rec.Holds[n-1].Ended.IsZero() {
		c.rec.Holds[n-1].Ended = time.Now().UTC()
	}
}

// seek rings somebody in place of the partner.
type seek struct {
	ring     Ring
	auto     bool
	callerID [2]string // number and name shown on a trunk
	seat     func()    // gives back the channel on the trunk
}

// ringParty rings somebody for a caller who is in a flow, waits, or is transferred. When the switch refuses, nothing has changed.
func (c *Call) ringParty(in any) error {
	s := in.(seek)
	if c.rec.State == InFlow && !c.answer() {
		return pbx.ErrNoLeg
	}
	if s.ring.Trunk != "" {
		c.callerID(s.callerID[0], s.callerID[1])
	}
	r := s.ring
	r.Offer = -1
	if r.Agent != "" {
		c.rec.Offers = append(c.rec.Offers, Offer{
			Agent: r.Agent, Name: r.Name, Phone: r.Phone, Kind: string(r.Kind), Started: time.Now().UTC(),
		})
		r.Offer = len(c.rec.Offers) - 1
	}
	r.From = c.rec.Agent
	if err := c.ring(&r, s.auto); err != nil {
		c.closeOffer("failed")
		return err
	}
	ring := c.rec.Ring
	if s.seat != nil {
		c.seats = append(c.seats, seat{ring.Leg, s.seat})
	}
	c.rec.Ring = nil // leaveQueue must not withdraw it
	c.leaveQueue("moved", "")
	c.rec.Ring = ring
	c.hush()
	c.park(c.music())
	c.leavePartner()
	c.flow, c.rec.Flow, c.rec.Place = nil, "", nil
	c.segment("ring", Segment{Agent: r.Agent, Number: r.Number})
	c.mark("transferring", ring.Leg, map[string]any{"from": r.From, "agent": r.Agent, "name": r.Name, "number": r.Number})
	return nil
}

// callerID notes what a dialled trunk is told of the caller.
func (c *Call) callerID(number, name string) {
	if c.rec.Vars == nil {
		c.rec.Vars = map[string]string{}
	}
	c.rec.Vars["caller_number"], c.rec.Vars["caller_name"] = number, name
}

// ringBack is what follows when the one a caller was transferred to does not take it: the agent who transferred is rung; if
// that is no use either, the caller goes back to the queue, or hears why and is let go.
func (c *Call) ringBack(in any) error {
	f := in.(refusal)
	r := c.closeOffer(f.result)
	c.hangup(r.Leg, pbx.NoAnswer)
	c.notTaken(r.Agent, f)
	c.mark("transfer_failed", r.Leg, map[string]any{"agent": r.Agent, "number": r.Number, "result": f.result, "cause": int(f.cause)})
	if r.Kind == RingTransfer && r.From != "" && r.From != r.Agent {
		if p, err := c.s.agents.Dial(agent.ID(r.From), string(c.rec.ID)); err == nil {
			c.rec.Offers = append(c.rec.Offers, Offer{
				Agent: r.From, Name: p.Name, Phone: p.Phone, Kind: string(RingReturn), Started: time.Now().UTC(),
			})
			back := &Ring{Kind: RingReturn, Agent: r.From, Name: p.Name, Phone: p.Phone, For: c.s.limits.Ring, Offer: len(c.rec.Offers) - 1}
			if err := c.ring(back, p.AutoAnswer); err == nil {
				c.mark("returned", back.Leg, map[string]any{"agent": r.From})
				return nil
			}
			c.closeOffer("failed")
			c.agents("release", r.From, func(a *agent.Service, id agent.ID) error {
				_, err := a.Release(id, string(c.rec.ID))
				return err
			})
		}
	}
	c.later(func() {
		if e := c.lastEntry(); e != nil {
			c.must(Wait, join{queue: e.Queue, since: e.place(), priority: e.Priority, skills: e.Skills, why: "transfer_failed"})
			return
		}
		c.rec.Plan = nil
		c.must(TurnedAway, Closing{Why: "transfer_failed", Prompt: "transfer/failed", Then: "hangup"})
	})
	return nil
}

// leavePartner ends the part of whoever the outside party talks with, if anyone.
func (c *Call) leavePartner() {
	leg := c.rec.Partner
	if leg == "" {
		return
	}
	c.rec.Partner = ""
	c.endHold()
	l := c.leg(leg)
	c.hangup(leg, pbx.NormalClearing)
	if l.Kind == LegAgent {
		c.agents("finish", l.Agent, func(a *agent.Service, id agent.ID) error {
			_, err := a.Finish(id, string(c.rec.ID), c.wrapUp())
			return err
		})
	}
}

// wrapUp is the time an agent has after this call.
func (c *Call) wrapUp() time.Duration {
	if c.rec.Plan != nil {
		return c.rec.Plan.WrapUp
	}
	return c.s.limits.WrapUp
}

// ending is why a call ends, who ended it, and the cause its legs get or gave.
type ending struct {
	why   Reason
	by    Party
	cause pbx.Cause
}

// finish ends the call: everybody is let go, everything is closed, and the record is complete.
func (c *Call) finish(in any) error {
	e := in.(ending)
	now := time.Now().UTC()
	result := "ended"
	if e.why.class == ClassAbandoned {
		result = "abandoned"
	}
	c.leaveQueue(result, "")
	if r := c.closeOffer("withdrawn"); r != nil { // an outbound call that was given up while somebody rang
		c.hangup(r.Leg, pbx.NormalClearing)
		if r.Kind == RingOwn {
			c.agents("release", r.Agent, func(a *agent.Service, id agent.ID) error {
				_, err := a.Release(id, string(c.rec.ID))
				return err
			})
		}
	}
	c.leavePartner()
	give := e.cause
	if give == 0 || e.by == ByAgent {
		give = pbx.NormalClearing
	}
	for i := range c.rec.Legs {
		c.hangup(c.rec.Legs[i].ID, give)
	}
	if c.rec.Room != "" {
		room := c.rec.Room
		c.beside("close room", func(ctx context.Context) error { return c.s.sw.Close(ctx, room) })
	}
	c.endHold()
	c.endSegment(now)
	for i := range c.rec.Tracks {
		if c.rec.Tracks[i].Ended.IsZero() {
			c.rec.Tracks[i].Ended = now
		}
	}
	for _, t := range c.timers {
		t.Stop()
	}
	c.leaveSeats()
	c.rec.Ended, c.rec.Class, c.rec.Reason, c.rec.Released, c.rec.Cause = now, e.why.class, e.why.name, e.by, e.cause
	c.rec.Due, c.rec.Place, c.rec.State = nil, nil, Ended
	c.mark("ended", "", map[string]any{"reason": e.why.name, "class": string(e.why.class), "released_by": string(e.by), "cause": int(e.cause)})
	return nil
}
