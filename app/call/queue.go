package call

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"callplane/app/agent"
	"callplane/app/pbx"
)

// Queues is the queue brain, as a call sees it.
type Queues interface {
	// Join makes a call wait. It returns how the queue treats it, or why the queue does not take it.
	Join(w Waiting) (Plan, *Closing, error)
	// Leave says that a call no longer waits.
	Leave(id ID)
	// NotTaken says that an offer came to nothing: the call is back at its place.
	NotTaken(id ID)
	// Position is the place in the queue from 1, and the estimated wait.
	Position(id ID) (int, time.Duration, error)
	// Suspend stops all offers while the switch is away, and Resume lets them go on.
	Suspend()
	Resume()
}

// Waiting is a call that wants to wait in a queue.
type Waiting struct {
	ID       ID
	UnitPath string // of the call: queues of other tenants do not take it
	Queue    string
	Joined   time.Time
	Priority int
	Skills   []Skill
	Language string
	Offered  bool // after a restart: an agent is being rung for it
	Again    bool // it waited before, or lost its agent: a queue that was closed or filled up meanwhile keeps it
}

// Offering of a call to an agent whom the queue has reserved for it.
type Proposal struct {
	Agent agent.Presence
	Queue string
	Ring  time.Duration
	Why   json.RawMessage
}

// join sends a call into a queue.
type join struct {
	queue    string
	since    time.Time // the place in the queue counts from here; zero is now
	priority int
	skills   []Skill
	why      string
}

// refusal is how an offer came to nothing.
type refusal struct {
	result string // missed, rejected, failed, withdrawn
	why    string // the reason that the agent's state shows
	cause  pbx.Cause
}

// joinQueue makes the caller wait with music.
func (c *Call) joinQueue(in any) error {
	j := in.(join)
	if !c.answer() {
		return pbx.ErrNoLeg
	}
	now, again := time.Now().UTC(), !j.since.IsZero()
	if j.since.IsZero() {
		j.since = now
	}
	position := c.position()
	w := Waiting{ID: c.rec.ID, UnitPath: c.rec.UnitPath, Queue: j.queue, Joined: j.since, Priority: j.priority, Skills: j.skills, Language: c.rec.Language, Again: again}
	plan, closing, err := c.s.queues.Join(w)
	if err != nil {
		return err
	}
	if closing != nil && j.why == "transfer" {
		return ErrNotServed.With("Queue %s takes no calls now: %s.", plan.Name, closing.Why)
	}
	c.leftQueue("moved", "", position)
	c.leavePartner()
	c.disarm(timerAwait)
	c.keys = nil
	c.flow, c.rec.Flow, c.rec.Place = nil, "", nil
	c.rec.Queue, c.rec.QueueName, c.rec.Plan, c.rec.Comfort = plan.Queue, plan.Name, &plan, 0
	c.rec.Entries = append(c.rec.Entries, Entry{
		Queue: plan.Queue, Name: plan.Name, Joined: now, Since: j.since.UTC(), Priority: j.priority, Skills: j.skills,
	})
	c.segment("queue", Segment{Queue: plan.Queue})
	c.mark("queued", "", map[string]any{"queue": plan.Queue, "name": plan.Name, "priority": j.priority, "skills": j.skills, "why": j.why})
	if closing != nil {
		c.later(func() { c.must(TurnedAway, *closing) })
		return nil
	}
	c.hush()
	if c.rec.State == InFlow {
		c.arm(timerMusic, musicAfter)
	} else {
		c.park(plan.Music)
	}
	c.armWaiting(plan, now)
	return nil
}

// armWaiting starts the timers of a waiting caller.
func (c *Call) armWaiting(plan Plan, joined time.Time) {
	if plan.MaxWait > 0 {
		c.armAt(timerMaxWait, joined.Add(plan.MaxWait))
	}
	if (plan.SayPosition || plan.SayWait) && plan.SayEvery > 0 {
		c.arm(timerAnnounce, announceFirst)
	}
	if len(plan.Comfort) > 0 && plan.ComfortEvery > 0 {
		c.arm(timerComfort, plan.ComfortEvery)
	}
}

// announceFirst is how long after joining the position is first told: who is served at once hears none of it.
const announceFirst = 1500 * time.Millisecond

// postponed is how long a message waits that would be said over another.
const postponed = 2 * time.Second

// musicAfter is how long after joining the music begins: for who is served at once it would be two steps of the switch for nothing.
const musicAfter = 250 * time.Millisecond

// comfort plays the next comfort message; the last one repeats.
func (c *Call) comfort() {
	plan := c.rec.Plan
	if plan == nil || c.rec.State&waiting == 0 {
		return
	}
	if c.playing != nil {
		c.arm(timerComfort, postponed)
		return
	}
	c.arm(timerComfort, plan.ComfortEvery)
	n := min(c.rec.Comfort, len(plan.Comfort)-1)
	c.rec.Comfort++
	c.mark("comfort", "", map[string]any{"prompt": plan.Comfort[n]})
	c.play(c.rec.Customer, []Prompt{{Key: plan.Comfort[n]}}, nil)
}

// announce tells the position and the estimated wait.
func (c *Call) announce() {
	plan := c.rec.Plan
	if plan == nil || c.rec.State&waiting == 0 {
		return
	}
	if c.playing != nil {
		c.arm(timerAnnounce, postponed)
		return
	}
	c.arm(timerAnnounce, plan.SayEvery)
	position, wait, err := c.s.queues.Position(c.rec.ID)
	if err != nil {
		return
	}
	var prompts []Prompt
	if plan.SayPosition {
		prompts = append(prompts, Prompt{Position: position})
	}
	if plan.SayWait && wait >= 10*time.Second {
		prompts = append(prompts, Prompt{Wait: wait})
	}
	if len(prompts) == 0 {
		return
	}
	c.mark("announced", "", map[string]any{"position": position, "wait_seconds": int(wait.Seconds())})
	c.play(c.rec.Customer, prompts, nil)
}

// ringAgent rings the agent whom the queue chose.
func (c *Call) ringAgent(in any) error {
	p := in.(Proposal)
	c.rec.Offers = append(c.rec.Offers, Offer{
		Queue: p.Queue, Agent: string(p.Agent.Agent), Name: p.Agent.Name, Phone: p.Agent.Phone, Kind: string(RingQueue),
		Started: time.Now().UTC(), Why: p.Why,
	})
	r := &Ring{
		Kind: RingQueue, Agent: string(p.Agent.Agent), Name: p.Agent.Name, Phone: p.Agent.Phone, For: p.Ring, Offer: len(c.rec.Offers) - 1,
	}
	if err := c.ring(r, p.Agent.AutoAnswer); err != nil {
		in := refusal{"failed", agent.ReasonPhoneDead, 0}
		if errors.Is(err, pbx.ErrUnreachable) { // the switch is away, which is no fault of the agent
			in = refusal{"withdrawn", "", 0}
		}
		c.later(func() { c.must(Missed, in) })
	}
	c.mark("offered", r.Leg, map[string]any{"agent": r.Agent, "name": r.Name, "queue": p.Queue, "why": p.Why})
	return nil
}

// ring dials somebody and starts the ring time. Whoever is rung is in rec.Ring, also when the switch refused.
func (c *Call) ring(r *Ring, autoAnswer bool) error {
	kind := LegAgent
	if r.Phone == "" {
		kind = LegOutside
	}
	r.Leg = c.newLeg(Leg{Kind: kind, Agent: r.Agent, Phone: r.Phone, Trunk: r.Trunk, Number: r.Number})
	c.rec.Ring = r
	d := pbx.Dial{
		Phone: r.Phone, Trunk: r.Trunk, Number: r.Number, CallerNumber: c.rec.From, CallerName: c.rec.FromName,
		Timeout: r.For + 5*time.Second, AutoAnswer: autoAnswer, Tag: string(c.rec.ID),
		Headers: map[string]string{"X-Callplane-Call": string(c.rec.ID)},
	}
	if c.rec.Direction == Outbound && r.Kind == RingOwn {
		d.CallerNumber, d.CallerName = c.rec.To, c.rec.To
	}
	if r.Trunk != "" {
		d.CallerNumber, d.CallerName = c.rec.Vars["caller_number"], c.rec.Vars["caller_name"]
	}
	if err := c.dial(func(ctx context.Context, sw pbx.Switch) error { return sw.Dial(ctx, r.Leg, d) }); err != nil {
		if errors.Is(err, pbx.ErrUnreachable) { // perhaps it rings all the same
			c.hangup(r.Leg, pbx.NoAnswer)
		}
		l := c.leg(r.Leg)
		l.Ended, l.Cause = time.Now().UTC(), pbx.OutOfOrder
		c.log.Info("cannot ring", "phone", r.Phone, "trunk", r.Trunk, "error", err)
		return err
	}
	c.arm(timerRing, r.For)
	return nil
}

// closeOffer writes how the offer under way ended, and who is rung is nobody.
func (c *Call) closeOffer(result string) *Ring {
	r := c.rec.Ring
	c.rec.Ring = nil
	c.disarm(timerRing)
	if r != nil && r.Offer >= 0 {
		o := &c.rec.Offers[r.Offer]
		o.Ended, o.Result = time.Now().UTC(), result
	}
	return r
}

// backToQueue ends an offer that nobody took; the caller is at the front again.
func (c *Call) backToQueue(in any) error {
	f := in.(refusal)
	r := c.closeOffer(f.result)
	c.hangup(r.Leg, pbx.NoAnswer)
	c.notTaken(r.Agent, f)
	c.mark("missed", r.Leg, map[string]any{"agent": r.Agent, "name": r.Name, "result": f.result, "cause": int(f.cause)})
	c.later(func() {
		if c.overdue() {
			c.must(TurnedAway, c.rec.Plan.Timeout)
			return
		}
		c.s.queues.NotTaken(c.rec.ID)
	})
	return nil
}

// notTaken frees an agent who did not take an offer: ready if it was withdrawn.
func (c *Call) notTaken(id string, f refusal) {
	if f.result == "withdrawn" {
		c.agents("release", id, func(a *agent.Service, id agent.ID) error {
			_, err := a.Release(id, string(c.rec.ID))
			return err
		})
		return
	}
	c.agents("miss", id, func(a *agent.Service, id agent.ID) error {
		_, err := a.Miss(id, string(c.rec.ID), f.why)
		return err
	})
}

// overdue says that the caller has waited for as long as the queue allows: perhaps while a phone rang.
func (c *Call) overdue() bool {
	e := c.lastEntry()
	return e != nil && c.rec.Plan != nil && c.rec.Plan.MaxWait > 0 && time.Since(e.Joined) >= c.rec.Plan.MaxWait
}

// maxEntries is how many queues a caller may go through. Queues that send their callers to each other end there.
const maxEntries = 20

// turnAway sends a caller whom the queue does not serve where the queue says.
func (c *Call) turnAway(in any) error {
	closing := in.(Closing)
	c.leaveQueue(closing.Why, "")
	c.mark("turned_away", "", map[string]any{"why": closing.Why, "then": closing.Then, "queue": c.rec.QueueName})
	if closing.Queue == "" {
		closing.Queue = c.rec.Queue
	}
	if closing.Then == "queue" && len(c.rec.Entries) >= maxEntries {
		closing.Then = "hangup"
	}
	at, err := json.Marshal(closing)
	if err != nil {
		return err
	}
	c.flow, c.rec.Flow, c.rec.Place = closingFlow{}, closingFlowID, at
	c.segment("auto", Segment{})
	if err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Leave(ctx, c.rec.Customer) }); err != nil {
		c.log.Debug("leg not taken out of the music", "error", err)
	}
	c.later(func() { c.next(Outcome{Kind: Entered}) })
	return nil
}

// leaveQueue ends a wait, if there is one: the entry gets its result, timers and prompts stop, and who is rung is released.
func (c *Call) leaveQueue(result, byAgent string) {
	position := c.position()
	if c.rec.State&waiting != 0 {
		c.s.queues.Leave(c.rec.ID)
	}
	c.leftQueue(result, byAgent, position)
}

// position is the place in the queue, or 0.
func (c *Call) position() int {
	if e := c.lastEntry(); c.rec.State&waiting == 0 || e == nil || !e.Left.IsZero() {
		return 0
	}
	position, _, err := c.s.queues.Position(c.rec.ID)
	if err != nil {
		return 0
	}
	return position
}

// leftQueue is the call's own part of leaveQueue.
func (c *Call) leftQueue(result, byAgent string, position int) {
	if c.rec.State&waiting == 0 {
		c.hush()
		c.disarm(timerInput, timerMessage, timerAwait)
		c.keys = nil
		return
	}
	now := time.Now().UTC()
	if e := c.lastEntry(); e != nil && e.Left.IsZero() {
		if position > 0 {
			e.Position = position
		}
		e.Left, e.Result, e.Agent = now, result, byAgent
		if result == "abandoned" && c.rec.Plan != nil {
			e.Short = now.Sub(e.Joined) < c.rec.Plan.Short
		}
	}
	c.disarm(timerComfort, timerAnnounce, timerMaxWait, timerMusic)
	c.hush()
	if r := c.rec.Ring; r != nil && byAgent == "" {
		c.closeOffer("withdrawn")
		c.hangup(r.Leg, pbx.NormalClearing)
		if r.Agent != "" {
			c.agents("release", r.Agent, func(a *agent.Service, id agent.ID) error {
				_, err := a.Release(id, string(c.rec.ID))
				return err
			})
		}
	}
}

func (c *Call) lastEntry() *Entry {
	if n := len(c.rec.Entries); n > 0 {
		return &c.rec.Entries[n-1]
	}
	return nil
}

// agents tells the agents' service what happened to one of them; that it thinks otherwise is logged, not fatal to the call.
func (c *Call) agents(what, id string, f func(*agent.Service, agent.ID) error) {
	if id == "" {
		return
	}
	if err := f(c.s.agents, agent.ID(id)); err != nil {
		c.log.Warn("agent's state does not fit", "what", what, "agent_id", id, "error", err)
	}
}
