package call

import (
	"encoding/json"
	"time"

	"callplane/app/agent"
	"callplane/app/pbx"
)

// heard does what follows from an event of the switch.
func (c *Call) heard(ev pbx.Event) {
	l := c.leg(ev.Leg)
	if l == nil {
		return
	}
	switch ev.Kind {
	case pbx.Ringing, pbx.Progress:
		c.rings(l, ev)
	case pbx.Answered:
		c.answered(l, ev.At)
	case pbx.Ended:
		if !l.Ended.IsZero() && l.ByUs {
			return // we hung it up, and have gone on
		}
		l.Ended, l.Cause, l.ByUs = ev.At.UTC(), ev.Cause, ev.ByUs
		c.changed = true
		c.leaveSeat(l.ID)
		c.legEnded(l, ev)
	case pbx.Digit:
		if l.Kind == LegCustomer {
			c.pressed(ev.Digit)
		}
	case pbx.PlayEnded:
		if p := c.playing; p != nil && p.id == ev.Play {
			c.playing = nil
			if p.then != nil {
				p.then(ev.OK)
			}
		}
	case pbx.RecordStarted:
		if t := c.track(ev.Recording); t != nil {
			t.Started = ev.At.UTC()
			c.changed = true
		}
	case pbx.RecordEnded:
		if t := c.track(ev.Recording); t != nil && t.Ended.IsZero() {
			t.Ended = ev.At.UTC()
			c.changed = true
			c.messageEnded(t)
		}
	case pbx.Held:
		if l.ID == c.rec.Partner && c.rec.State == Talking {
			c.tried(HoldOn)
		}
	case pbx.Unheld:
		if l.ID == c.rec.Partner && c.rec.State == OnHold {
			c.tried(HoldOff)
		}
	case pbx.TransferAsked:
		c.transferAsked(l, ev.To)
	}
}

// tried fires what a phone's key asks for; if it does not work, the call goes on as it was.
func (c *Call) tried(on Event) {
	if err := c.fire(on, nil); err != nil {
		c.log.Warn("phone's key had no effect", "event", on, "error", err)
	}
}

// rings notes that a dialled party rings.
func (c *Call) rings(l *Leg, ev pbx.Event) {
	if !l.Ringing.IsZero() {
		return
	}
	l.Ringing = ev.At.UTC()
	r := c.rec.Ring
	if r == nil || r.Leg != l.ID {
		return
	}
	if r.Offer >= 0 {
		c.rec.Offers[r.Offer].Ringing = l.Ringing
	}
	c.markAt(ev.At, "ringing", l.ID, map[string]any{"agent": r.Agent, "name": r.Name, "number": r.Number})
	if r.Kind == RingCallee && c.playing == nil {
		c.playTone(c.rec.Partner, "tone:ring")
	}
}

// answered does what follows when a leg is up.
func (c *Call) answered(l *Leg, at time.Time) {
	if l.Answered.IsZero() {
		l.Answered = at.UTC()
		c.changed = true
	}
	if l.Kind == LegSupervisor {
		c.spy(l.ID)
		return
	}
	r := c.rec.Ring
	if r == nil || r.Leg != l.ID {
		return
	}
	if r.Kind == RingOwn {
		c.ownAnswered(l)
		return
	}
	c.must(Accept, nil)
}

// legEnded does what follows when a leg is gone.
func (c *Call) legEnded(l *Leg, ev pbx.Event) {
	r := c.rec.Ring
	switch {
	case l.ID == c.rec.Customer && !(r != nil && r.Leg == l.ID):
		c.catchUp()
		reason, by := c.customerLeft(ev.Cause)
		c.must(CustomerGone, ending{reason, by, ev.Cause})
	case r != nil && r.Leg == l.ID:
		c.ringEnded(r, ev.Cause)
	case l.ID == c.rec.Partner && c.rec.State == Calling:
		c.must(Stop, ending{AgentCancelled, ByAgent, ev.Cause})
	case l.ID == c.rec.Partner:
		c.partnerLeft(l, ev.Cause)
	case l.Kind == LegSupervisor:
		c.markAt(ev.At, "spy_ended", l.ID, map[string]any{"agent": l.Agent})
	}
}

// customerLeft is the reason when the outside party is gone.
func (c *Call) customerLeft(cause pbx.Cause) (Reason, Party) {
	if reason, bad := technical(cause); bad {
		return reason, ByNetwork
	}
	switch c.rec.State {
	case Queued:
		return CallerLeftQueue, ByCaller
	case Offered:
		if c.rec.Ring != nil && c.rec.Ring.Kind != RingQueue {
			return CallerLeftTransfer, ByCaller
		}
		return CallerLeftQueue, ByCaller
	case InFlow:
		if c.messageTaken() {
			return MessageLeft, ByCaller
		}
		if c.rec.Flow == closingFlowID {
			var p closingPlace
			if err := json.Unmarshal(c.rec.Place, &p); err == nil {
				return p.reason(), ByCaller // the centre did not take the call, whether it was heard out or not
			}
		}
		if c.rec.Answered.IsZero() {
			return CallerLeftEarly, ByCaller
		}
		return CallerLeftMenu, ByCaller
	}
	return CallerHungUp, ByCaller
}

// partnerLeft ends the call when the agent or third party hangs up. If the agent's phone failed, the caller goes back to
// the front of the queue instead: they have done nothing wrong.
func (c *Call) partnerLeft(l *Leg, cause pbx.Cause) {
	reason, bad := technical(cause)
	if bad && l.Kind == LegAgent && c.rec.Plan != nil && c.rec.Direction == Inbound {
		entry := c.lastEntry()
		c.mark("agent_lost", l.ID, map[string]any{"agent": l.Agent, "cause": int(cause)})
		c.must(Wait, join{queue: entry.Queue, since: entry.place(), priority: entry.Priority, skills: entry.Skills, why: "agent_lost"})
		return
	}
	switch {
	case bad:
		c.must(PartnerGone, ending{reason, ByNetwork, cause})
	case l.Kind == LegAgent:
		c.must(PartnerGone, ending{AgentHungUp, ByAgent, cause})
	default:
		c.must(PartnerGone, ending{TransferredOut, ByCaller, cause})
	}
}

// ringEnded does what follows when the phone that rang is gone, unanswered.
func (c *Call) ringEnded(r *Ring, cause pbx.Cause) {
	result, why := "missed", agent.ReasonMissed
	switch cause {
	case pbx.NoAnswer, pbx.NoResponse:
	case pbx.Busy, pbx.Declined, pbx.NormalClearing:
		result, why = "rejected", agent.ReasonRejected
	default:
		result, why = "failed", agent.ReasonPhoneDead
	}
	in := refusal{result, why, cause}
	switch r.Kind {
	case RingQueue:
		c.must(Missed, in)
	case RingTransfer, RingReturn:
		c.must(Unreached, in)
	case RingOwn:
		c.closeOffer(result)
		reason := AgentNoAnswer
		if result == "rejected" {
			reason = AgentCancelled
		}
		c.agents("miss", r.Agent, func(a *agent.Service, id agent.ID) (err error) {
			if reason == AgentCancelled { // who changes their mind is still there
				_, err = a.Release(id, string(c.rec.ID))
			} else {
				_, err = a.Miss(id, string(c.rec.ID), why)
			}
			return err
		})
		c.must(Stop, ending{reason, ByAgent, cause})
	case RingCallee:
		c.must(Stop, ending{unreached(cause), ByNetwork, cause})
	}
}

// expired does what a timer was for.
func (c *Call) expired(t timer) {
	switch t {
	case timerRing:
		if r := c.rec.Ring; r != nil {
			c.hangup(r.Leg, pbx.NoAnswer)
			c.ringEnded(r, pbx.NoAnswer)
		}
	case timerInput:
		c.inputOver()
	case timerComfort:
		c.comfort()
	case timerAnnounce:
		c.announce()
	case timerMusic:
		if c.rec.State&waiting != 0 {
			c.park(c.music())
		}
	case timerMaxWait:
		if c.rec.Plan != nil && c.rec.State == Queued {
			c.must(TurnedAway, c.rec.Plan.Timeout)
		}
	case timerMessage:
		c.stopMessage()
	case timerAwait:
		c.next(Outcome{Kind: TimedOut})
	}
	c.changed = true
}
