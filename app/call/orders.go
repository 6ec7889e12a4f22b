package call

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"callplane/app/agent"
	"callplane/app/kernel/auth"
	"callplane/app/pbx"
	"callplane/app/route"
)

// Offer has a waiting call ring an agent whom the queue reserved for it. It does not wait. If the call has gone meanwhile the agent is
// released.
func (s *Service) Offer(id ID, p Proposal) {
	release := func() {
		if _, err := s.agents.Release(p.Agent.Agent, string(id)); err != nil {
			s.log.Warn("agent not released", "agent_id", p.Agent.Agent, "error", err)
		}
	}
	do := func(c *Call) error {
		if c.rec.State != Queued || c.rec.Queue != p.Queue {
			release()
			return nil
		}
		c.must(Offering, p)
		return nil
	}
	if c, err := s.call(id); err != nil || !c.box.Put(input{do: do, gone: release}) {
		release()
	}
}

// TurnAway has a waiting call leave its queue as the queue's action says.
func (s *Service) TurnAway(id ID, closing Closing) {
	s.tell(id, func(c *Call) error {
		if c.rec.State&waiting != 0 {
			c.must(TurnedAway, closing)
		}
		return nil
	})
}

// Dial places a call for an agent: the agent's phone rings first, then the other party's. Errors: those of the router, and
// agent.ErrNotReady.
func (s *Service) Dial(ctx context.Context, who agent.ID, w route.Wanted) (Live, error) {
	if !s.driving() {
		return Live{}, pbx.ErrUnreachable.With("This node does not drive the switch now.")
	}
	out, release, err := s.reach(w)
	if err != nil {
		return Live{}, err
	}
	c := s.newCall(Record{Direction: Outbound, Unit: w.Unit, UnitPath: w.UnitPath})
	c.seats = append(c.seats, seat{"", release})
	p, err := s.agents.Dial(who, string(c.rec.ID))
	if err != nil {
		c.leaveSeats()
		return Live{}, err
	}
	c.outbound(out)
	started := make(chan error, 1)
	s.start(c, func(c *Call) {
		c.mark("placed", "", map[string]any{"agent": string(who), "to": out.To, "trunk": out.Trunk, "why": out.Why})
		err := c.fire(Seek, own{agent: p})
		if err != nil {
			c.agents("miss", string(who), func(a *agent.Service, id agent.ID) error {
				return notRung(a, id, string(c.rec.ID), err)
			})
			c.must(Stop, ending{AgentNoAnswer, BySystem, pbx.OutOfOrder})
		}
		started <- err
	})
	select {
	case err := <-started:
		return *c.live.Load(), err
	case <-ctx.Done():
		return *c.live.Load(), ctx.Err()
	}
}

// notRung frees an agent whose phone could not be rung: not ready if the phone is to blame, ready if the switch is away.
func notRung(a *agent.Service, id agent.ID, call string, why error) (err error) {
	if errors.Is(why, pbx.ErrUnreachable) {
		_, err = a.Release(id, call)
	} else {
		_, err = a.Miss(id, call, agent.ReasonPhoneDead)
	}
	return err
}

// Hold gives the outside party music.
func (s *Service) Hold(ctx context.Context, id ID) error {
	return s.do(ctx, id, func(c *Call) error { return c.fire(HoldOn, nil) })
}

// Unhold lets the parties talk again.
func (s *Service) Unhold(ctx context.Context, id ID) error {
	return s.do(ctx, id, func(c *Call) error { return c.fire(HoldOff, nil) })
}

// Target is where a call is transferred to: one of the fields.
type Target struct {
	Agent  string `json:"agent,omitempty" doc:"Id of an agent who is ready"`
	Queue  string `json:"queue,omitempty" doc:"Id of a queue"`
	Flow   string `json:"flow,omitempty" doc:"Id of a flow: an IVR node"`
	Number string `json:"number,omitempty" doc:"A number: ours, an agent's phone, or outside"`
}

// Transfer hands the outside party over and lets the agent go. When it is refused nothing has changed, and the agent still talks.
// Outside numbers are only those of classes that the asker may dial.
func (s *Service) Transfer(ctx context.Context, id ID, to Target) error {
	var classes []route.Class // the platform's own transfers: all
	if p := auth.From(ctx); p.Kind == auth.User || p.Kind == auth.Key {
		classes = route.AllowedClasses(p)
	}
	return s.do(ctx, id, func(c *Call) error { return c.transfer(to, classes) })
}

// transfers is Transfer for the call itself.
func (s *Service) transfers(c *Call, number string, done func(error)) {
	p, _ := c.s.agents.Get(agent.ID(c.rec.Agent))
	done(c.transfer(Target{Number: number}, classes(p)))
}

func (c *Call) transfer(to Target, classes []route.Class) error {
	if c.rec.State&(person|InFlow|Queued) == 0 {
		return ErrTransition.With("A call that is %s cannot be transferred.", c.rec.State)
	}
	if named := slices.DeleteFunc([]string{to.Agent, to.Queue, to.Flow, to.Number}, func(s string) bool { return s == "" }); len(named) != 1 {
		return ErrTarget.With("Name one agent, queue, flow or number.")
	}
	if to.Number != "" {
		resolved, ok := c.resolve(to.Number)
		if !ok {
			return c.transferOut(to.Number, classes)
		}
		to = resolved
	}
	switch {
	case to.Agent != "":
		if a, ok := c.s.agents.Get(agent.ID(to.Agent)); ok && !c.sameTenant(a.UnitPath) {
			return agent.ErrNoAgent
		}
		p, err := c.s.agents.Reserve(agent.ID(to.Agent), string(c.rec.ID), c.rec.Queue)
		if err != nil {
			return err
		}
		err = c.fire(Seek, seek{
			ring: Ring{Kind: RingTransfer, Agent: string(p.Agent), Name: p.Name, Phone: p.Phone, For: c.s.limits.Ring}, auto: p.AutoAnswer,
		})
		if err != nil {
			c.agents("miss", to.Agent, func(a *agent.Service, id agent.ID) error {
				return notRung(a, id, string(c.rec.ID), err)
			})
		}
		return err
	case to.Queue != "":
		return c.fire(Wait, join{queue: to.Queue, why: "transfer"})
	case to.Flow != "":
		if err := c.fire(Enter, enter{flow: to.Flow}); err != nil {
			return err
		}
		if err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Leave(ctx, c.rec.Customer) }); err != nil {
			c.log.Debug("leg not taken out of the room", "error", err)
		}
		return nil
	}
	return ErrTarget.With("Name an agent, a queue, a flow or a number.")
}

// resolve says what a number means here: an agent on that phone, or one of our numbers; false is an outside party.
func (c *Call) resolve(number string) (Target, bool) {
	if p, ok := c.s.agents.OnPhone(number); ok && c.sameTenant(p.UnitPath) {
		return Target{Agent: string(p.Agent)}, true
	}
	if in, err := c.s.router.Inbound(route.Asked{To: number, From: c.rec.From, Withheld: c.rec.Withheld, At: time.Now()}); err == nil && in.Unit != "" && c.sameTenant(in.UnitPath) {
		return Target{Flow: in.Flow}, true
	}
	return Target{}, false
}

// sameTenant says that a unit belongs to the tenant of the call. A call of no unit is the platform's own.
func (c *Call) sameTenant(unitPath string) bool {
	return c.rec.UnitPath == "" || auth.RootPath(unitPath) == auth.RootPath(c.rec.UnitPath)
}

func (c *Call) transferOut(number string, classes []route.Class) error {
	out, release, err := c.s.reach(route.Wanted{User: c.rec.Agent, Unit: c.rec.Unit, UnitPath: c.rec.UnitPath, To: number, Classes: classes})
	if err != nil {
		return err
	}
	r := Ring{Kind: RingTransfer, Trunk: out.Trunk, Number: out.Dial, For: c.s.limits.Callee}
	if out.Trunk == "" {
		r.Phone, r.Number = out.Dial, ""
	}
	if err := c.fire(Seek, seek{ring: r, callerID: [2]string{out.CallerNumber, out.CallerName}, seat: release}); err != nil {
		release()
		return err
	}
	return nil
}

// Hangup ends a call for a user: an agent's own hang-up counts as the agent's.
func (s *Service) Hangup(ctx context.Context, id ID, byAgent bool) error {
	return s.do(ctx, id, func(c *Call) error {
		e := ending{StoppedByAPI, ByUser, pbx.NormalClearing}
		switch {
		case byAgent && c.rec.State&person != 0:
			e = ending{AgentHungUp, ByAgent, pbx.NormalClearing}
		case byAgent && c.rec.State == Calling:
			e = ending{AgentCancelled, ByAgent, pbx.NormalClearing}
		case c.rec.State&person == 0 && c.rec.Answered.IsZero() && c.rec.Direction != Outbound:
			e = ending{RejectedByAPI, ByUser, pbx.Declined}
		case c.rec.State&person == 0:
			e = ending{CancelledByAPI, ByUser, pbx.NormalClearing}
		}
		return c.fire(Stop, e)
	})
}

// SendDigits sends DTMF to the outside party.
func (s *Service) SendDigits(ctx context.Context, id ID, digits string) error {
	return s.do(ctx, id, func(c *Call) error {
		err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.SendDigits(ctx, c.rec.Customer, digits) })
		if err == nil {
			c.mark("digits_sent", c.rec.Customer, map[string]any{"count": len(digits)})
		}
		return err
	})
}

// AnswerLeg takes a call that rings for a program; it then waits with music for a transfer.
func (s *Service) AnswerLeg(ctx context.Context, id ID, leg pbx.LegID) error {
	return s.do(ctx, id, func(c *Call) error {
		l := c.leg(leg)
		if l == nil || !l.Ended.IsZero() {
			return pbx.ErrNoLeg
		}
		if leg != c.rec.Customer || !c.rec.Answered.IsZero() || c.rec.State != InFlow {
			return ErrTransition.With("This leg does not ring.")
		}
		if !c.answer() {
			return pbx.ErrNoLeg
		}
		c.next(Outcome{Kind: Done})
		return nil
	})
}

// RejectLeg refuses a call that rings.
func (s *Service) RejectLeg(ctx context.Context, id ID, leg pbx.LegID, busy bool) error {
	return s.do(ctx, id, func(c *Call) error {
		if c.leg(leg) == nil || leg != c.rec.Customer || !c.rec.Answered.IsZero() {
			return ErrTransition.With("This leg does not ring.")
		}
		cause := pbx.Declined
		if busy {
			cause = pbx.Busy
		}
		return c.fire(Stop, ending{RejectedByAPI, ByUser, cause})
	})
}

// HangupLeg ends one leg. The outside party's leg, or the agent's, ends the call.
func (s *Service) HangupLeg(ctx context.Context, id ID, leg pbx.LegID) error {
	return s.do(ctx, id, func(c *Call) error {
		l := c.leg(leg)
		if l == nil || !l.Ended.IsZero() {
			return pbx.ErrNoLeg
		}
		if leg == c.rec.Customer || leg == c.rec.Partner {
			e := ending{StoppedByAPI, ByUser, pbx.NormalClearing}
			if c.rec.State&person == 0 {
				e.why = CancelledByAPI
			}
			return c.fire(Stop, e)
		}
		return c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Hangup(ctx, leg, pbx.NormalClearing) })
	})
}

// SetRecording starts or stops the recording on demand.
func (s *Service) SetRecording(ctx context.Context, id ID, on bool) error {
	return s.do(ctx, id, func(c *Call) error {
		if c.rec.State&person == 0 {
			return ErrTransition.With("Nobody talks in this call.")
		}
		if c.rec.Vars == nil {
			c.rec.Vars = map[string]string{}
		}
		c.rec.Vars["record"] = map[bool]string{true: "on", false: "off"}[on]
		c.mark("recording", "", map[string]any{"on": on})
		if on {
			c.record()
			return nil
		}
		for i := range c.rec.Tracks {
			t := &c.rec.Tracks[i]
			if t.Ended.IsZero() {
				t.Ended = time.Now().UTC()
				c.beside("stop recording", func(ctx context.Context) error { return s.sw.StopRecord(ctx, t.ID) })
			}
		}
		return nil
	})
}

// Spy lets a supervisor's phone listen to the agent of a call, whisper to them, or speak to both; asked again with the same phone
// it changes the way without a redial.
func (s *Service) Spy(ctx context.Context, id ID, supervisor, phone string, mode pbx.SpyMode) error {
	return s.do(ctx, id, func(c *Call) error {
		if c.rec.State&person == 0 || c.rec.Partner == "" {
			return ErrTransition.With("Nobody talks in this call.")
		}
		if c.rec.Vars == nil {
			c.rec.Vars = map[string]string{}
		}
		c.rec.Vars["spy_"+phone] = string(mode)
		for i := range c.rec.Legs {
			l := &c.rec.Legs[i]
			if l.Kind == LegSupervisor && l.Phone == phone && l.Ended.IsZero() {
				if l.Answered.IsZero() {
					return nil // as soon as they answer
				}
				return c.spy(l.ID)
			}
		}
		leg := c.newLeg(Leg{Kind: LegSupervisor, Agent: supervisor, Phone: phone})
		d := pbx.Dial{
			Phone: phone, CallerNumber: c.rec.From, CallerName: "Callplane " + string(mode), Timeout: s.limits.Ring, AutoAnswer: true, Tag: string(c.rec.ID),
		}
		if err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Dial(ctx, leg, d) }); err != nil {
			c.leg(leg).Ended = time.Now().UTC()
			return err
		}
		c.mark("spy_rung", leg, map[string]any{"supervisor": supervisor, "mode": string(mode)})
		return nil
	})
}

// spy connects a supervisor's leg as it was asked for, and records it beside the agent once it can be heard.
func (c *Call) spy(ear pbx.LegID) error {
	l := c.leg(ear)
	mode := pbx.SpyMode(c.rec.Vars["spy_"+l.Phone])
	if c.rec.Partner == "" {
		c.hangup(ear, pbx.NormalClearing)
		return nil
	}
	target := c.rec.Partner
	if err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Spy(ctx, ear, target, mode) }); err != nil {
		return err
	}
	c.mark("spy", ear, map[string]any{"supervisor": l.Agent, "mode": string(mode)})
	if mode == pbx.Barge && c.recorded() {
		c.recordLeg(ear, "agent")
	}
	return nil
}

// Note writes about a live call; it goes into the row when the call ends.
func (s *Service) Note(ctx context.Context, id ID, n Note) (row Row, err error) {
	err = s.do(ctx, id, func(c *Call) error {
		c.rec.Note.merge(n)
		c.mark("noted", "", nil)
		row = c.rec.row()
		return nil
	})
	return row, err
}

// referred answers a phone's transfer key.
func (c *Call) referred(leg pbx.LegID, done bool) {
	c.beside("answer transfer", func(ctx context.Context) error { return c.s.sw.Referred(ctx, leg, done) })
}

// ManualFlow is the id of the flow for numbers whose calls a program answers over the API.
const ManualFlow = "@manual"

// manualFlow rings for a minute, and once answered keeps the caller with music for an hour.
type manualFlow struct{}

// Next implements Flow.
func (manualFlow) Next(at json.RawMessage, got Outcome, c View) Move {
	if got.Kind == TimedOut {
		return Move{Do: Hangup{NotAnswered}, At: at}
	}
	if !c.Answered {
		return Move{Do: Await{For: time.Minute}, At: at, Node: "ringing"}
	}
	return Move{Do: Await{For: time.Hour}, At: at, Node: "taken"}
}
