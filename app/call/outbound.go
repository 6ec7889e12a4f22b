package call

import (
	"strings"
	"time"

	"callplane/app/agent"
	"callplane/app/pbx"
)

// own rings the phone of the agent who places a call, or takes the phone's own leg when the agent dialled there.
type own struct {
	agent agent.Presence
	leg   pbx.LegID // already up, when dialled on the phone
}

// ringOwn begins an outbound call with the agent's own phone.
func (c *Call) ringOwn(in any) error {
	o := in.(own)
	c.rec.Agent, c.rec.AgentName = string(o.agent.Agent), o.agent.Name
	if o.leg != "" {
		c.later(func() { c.dialCallee(o.leg) })
		return nil
	}
	c.rec.Offers = append(c.rec.Offers, Offer{
		Agent: c.rec.Agent, Name: o.agent.Name, Phone: o.agent.Phone, Kind: string(RingOwn), Started: time.Now().UTC(),
	})
	c.segment("ring", Segment{Agent: c.rec.Agent})
	r := &Ring{Kind: RingOwn, Agent: c.rec.Agent, Name: o.agent.Name, Phone: o.agent.Phone, For: c.s.limits.Ring, Offer: len(c.rec.Offers) - 1}
	if err := c.ring(r, o.agent.AutoAnswer); err != nil {
		c.closeOffer("failed")
		return err
	}
	c.mark("dialling", r.Leg, map[string]any{"agent": c.rec.Agent, "to": c.rec.To})
	return nil
}

// ownAnswered goes on to the called party when the agent has picked up.
func (c *Call) ownAnswered(l *Leg) {
	c.closeOffer("answered")
	c.agents("accept", l.Agent, func(a *agent.Service, id agent.ID) error {
		_, err := a.Accept(id, string(c.rec.ID))
		return err
	})
	c.dialCallee(l.ID)
}

// dialCallee rings the called party, while the agent hears it ring.
func (c *Call) dialCallee(agentLeg pbx.LegID) {
	c.rec.Partner = agentLeg
	r := &Ring{Kind: RingCallee, Trunk: c.rec.Trunk, Number: c.rec.ToRaw, For: c.s.limits.Callee, Offer: -1}
	if c.rec.Trunk == "" {
		r.Phone, r.Number = c.rec.ToRaw, ""
	}
	if err := c.ring(r, false); err != nil {
		c.closeOffer("")
		c.must(Stop, ending{CalleeUnreachable, BySystem, pbx.OutOfOrder})
		return
	}
	l := c.leg(r.Leg)
	l.Kind = LegCustomer
	c.segment("ring", Segment{Number: c.rec.To})
	c.mark("callee_dialled", r.Leg, map[string]any{"number": c.rec.To, "trunk": c.rec.Trunk, "why": c.rec.Why})
}

// transferAsked answers the transfer key of a phone.
func (c *Call) transferAsked(l *Leg, to string) {
	if l.ID != c.rec.Partner || l.Kind != LegAgent || c.rec.State&person == 0 {
		c.referred(l.ID, false)
		return
	}
	to, _, _ = strings.Cut(strings.TrimPrefix(to, "sip:"), "@")
	leg := l.ID
	c.s.transfers(c, to, func(err error) {
		if err != nil {
			c.mark("transfer_refused", leg, map[string]any{"to": to, "error": err.Error()})
		}
		c.referred(leg, err == nil)
	})
}
