package call

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"callplane/app/agent"
	"callplane/app/pbx"
)

// Recover rebuilds the calls that lived when the process ended, from their checkpoints by call id, and starts them. They wait for the first
// Reconcile, which comes with the switch's first Resync. Call it before, or just after, Run with the same ctx.
func (s *Service) Recover(ctx context.Context, saved map[string][]byte) {
	s.mu.Lock()
	s.ctx = ctx
	s.mu.Unlock()
	for key, value := range saved {
		var rec Record
		if err := json.Unmarshal(value, &rec); err != nil || rec.ID == "" || rec.State == Ended {
			s.log.Error("checkpoint cannot be read", "call_id", key, "error", err)
			s.journal.Delete(key)
			continue
		}
		rec.Serial += unwritten
		c := s.newCall(rec)
		if p := rec.Playing; p != nil {
			c.playing = &playing{leg: p.Leg, id: p.ID}
		}
		for i := range c.rec.Legs {
			if c.rec.Legs[i].Ended.IsZero() {
				s.claim(c.rec.Legs[i].ID, c)
			}
		}
		if rec.Flow != "" {
			flow, err := s.flow(rec.UnitPath, rec.Flow)
			if err != nil {
				s.log.Error("flow of a recovered call is gone", "call_id", key, "flow", rec.Flow, "error", err)
			}
			c.flow = flow
		}
		s.start(c, nil)
	}
}

// unwritten is how many numbers are passed over after a restart: those that were given out and not written down any more.
const unwritten = 100

// Reconcile compares all calls with what is on the switch: legs that are gone are closed, calls that came meanwhile are taken, and the
// rest goes on where it was.
func (s *Service) Reconcile(ctx context.Context) error { return s.reconcile(ctx, true) }

// reconcile is Reconcile for all calls, or for those of which a command was lost while the event link stood.
func (s *Service) reconcile(ctx context.Context, all bool) error {
	begun := time.Now()
	s.mu.Lock()
	doom := maps.Clone(s.doom)
	s.mu.Unlock()
	snap, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	there := make(map[pbx.LegID]pbx.LegState, len(snap.Legs))
	for _, l := range snap.Legs {
		there[l.ID] = l
	}
	var mu sync.Mutex
	parts := map[agent.ID]agent.Part{}
	var wait []chan error
	s.mu.Lock()
	calls := make([]*Call, 0, len(s.calls))
	for _, c := range s.calls {
		calls = append(calls, c)
	}
	known := maps.Clone(s.legs) // a call that ends below forgets its legs, while the switch still hangs them up
	s.mu.Unlock()
	for _, c := range calls {
		reply := make(chan error, 1)
		if c.box.Put(input{reply: reply, do: func(c *Call) error {
			if c.unsure.Swap(false) || all {
				c.resume(snap, there)
			}
			mu.Lock()
			defer mu.Unlock()
			c.parts(parts)
			return nil
		}}) {
			wait = append(wait, reply)
		}
	}
	for _, reply := range wait {
		select {
		case <-reply:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.agents.Restore(parts, begun)
	s.mu.Lock()
	for id := range doom {
		if _, up := there[id]; !up {
			delete(s.doom, id)
		}
	}
	s.mu.Unlock()
	for _, l := range snap.Legs {
		switch {
		case doom[l.ID]:
			s.drop(l.ID)
		case known[l.ID] == nil:
			s.stray(l)
		}
	}
	s.queues.Resume()
	s.log.Info("in control", "calls", s.Count(), "legs", len(snap.Legs))
	return nil
}

// parts notes what agents do in the call.
func (c *Call) parts(into map[agent.ID]agent.Part) {
	if c.rec.State == Ended {
		return
	}
	part := agent.Part{Call: string(c.rec.ID), Queue: c.rec.Queue, State: agent.Ringing}
	if r := c.rec.Ring; r != nil && r.Agent != "" {
		if r.Kind != RingQueue {
			part.Queue = ""
		}
		into[agent.ID(r.Agent)] = part
	}
	if l := c.leg(c.rec.Partner); l != nil && l.Kind == LegAgent && l.Agent != "" {
		if part.State = agent.Talking; c.rec.State == OnHold {
			part.State = agent.OnHold
		}
		into[agent.ID(l.Agent)] = part
	}
}

// snapshot asks the switch, again and again while it does not answer.
func (s *Service) snapshot(ctx context.Context) (pbx.Snapshot, error) {
	for try := 0; ; try++ {
		snap, err := s.sw.Snapshot(ctx)
		if err == nil || try == 5 || ctx.Err() != nil {
			return snap, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// stray deals with a leg that no call knows: one that arrived while nobody looked becomes a call, one that we dialled is hung up.
func (s *Service) stray(l pbx.LegState) {
	s.mu.Lock()
	_, known := s.legs[l.ID]
	s.mu.Unlock()
	if known {
		return
	}
	if l.Inbound && l.Tag == "" {
		s.arrive(pbx.Event{
			Kind: pbx.Arrived, Leg: l.ID, At: l.Since, From: l.From, To: l.To, Trunk: l.Trunk, Phone: l.Phone, Withheld: l.From == "",
		})
		return
	}
	s.drop(l.ID)
}

// drop hangs up a leg that belongs to no call. Run waits for it.
func (s *Service) drop(leg pbx.LegID) {
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.limits.Command)
		defer cancel()
		if err := s.sw.Hangup(ctx, leg, pbx.NormalClearing); err != nil {
			s.log.Debug("stray leg", "leg", leg, "error", err)
		}
	})
}

// resume puts a call back in step with the switch.
func (c *Call) resume(snap pbx.Snapshot, there map[pbx.LegID]pbx.LegState) {
	c.mark("resumed", "", map[string]any{"state": c.rec.State.String()})
	if !c.closeLost(snap, there) {
		return
	}
	c.resumeSeats()
	for t, at := range maps.Clone(c.rec.Due) {
		c.armAt(t, at)
	}
	if r := c.rec.Ring; r != nil {
		if l := there[r.Leg]; l.Answered {
			if c.rec.State == Offered && r.Kind == RingQueue {
				c.rejoin(true)
			}
			c.answered(c.leg(r.Leg), snap.At)
			return
		}
	}
	at := there[c.rec.Customer]
	switch c.rec.State {
	case Fresh:
		c.must(Stop, ending{Lost, ByNetwork, 0})
	case InFlow:
		if c.flow == nil {
			c.must(Stop, ending{FlowFailed, BySystem, 0})
			return
		}
		if c.recordingMessage() {
			if t := &c.rec.Tracks[len(c.rec.Tracks)-1]; t.Started.Before(snap.At) && !slices.Contains(snap.Recordings, t.ID) {
				t.Ended = snap.At.UTC()
				c.messageEnded(t)
			}
			return
		}
		c.hush()
		c.keys = nil
		c.disarm(timerInput) // the place is told again, and its time begins anew
		c.next(Outcome{Kind: Resumed})
	case Queued:
		c.hush() // its end may not have been told
		c.rejoin(false)
		if !at.Parked && c.rec.State == Queued {
			c.park(c.music())
		}
	case Offered:
		c.hush()
		if c.rec.Ring != nil && c.rec.Ring.Kind == RingQueue {
			c.rejoin(true)
		}
		if !at.Parked {
			c.park(c.music())
		}
	case Talking:
		if at.Room != c.rec.Room || there[c.rec.Partner].Room != c.rec.Room {
			err := c.command(func(ctx context.Context, sw pbx.Switch) error {
				return sw.Join(ctx, c.rec.Room, c.rec.Customer, c.rec.Partner)
			})
			if err != nil {
				c.log.Warn("parties not joined again", "error", err)
			}
		}
		c.stillRecorded(snap)
	case OnHold:
		if !at.Parked {
			c.park(c.music())
		}
		c.stillRecorded(snap)
	}
}

// closeLost closes the legs that are gone, and reports whether the call goes on.
func (c *Call) closeLost(snap pbx.Snapshot, there map[pbx.LegID]pbx.LegState) bool {
	var gone []*Leg
	for i := range c.rec.Legs {
		l := &c.rec.Legs[i]
		if _, up := there[l.ID]; up || !l.Ended.IsZero() {
			continue
		}
		if l.Dialled && l.Started.After(snap.At) {
			continue // dialled after the switch was asked
		}
		l.Ended = snap.At.UTC()
		gone = append(gone, l)
	}
	slices.SortStableFunc(gone, func(a, b *Leg) int { // without the outside party there is nothing more to decide
		return btoi(b.ID == c.rec.Customer) - btoi(a.ID == c.rec.Customer)
	})
	for _, l := range gone {
		switch r := c.rec.Ring; {
		case l.ID == c.rec.Customer && !(r != nil && r.Leg == l.ID):
			c.must(CustomerGone, ending{Lost, ByNetwork, 0})
		case r != nil && r.Leg == l.ID:
			c.ringLost(r)
		case l.ID == c.rec.Partner && c.rec.State&person != 0:
			c.must(PartnerGone, ending{Lost, ByNetwork, 0})
		case l.ID == c.rec.Partner:
			c.must(Stop, ending{Lost, ByNetwork, 0})
		}
		if c.rec.State == Ended {
			return false
		}
	}
	return true
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ringLost is a phone that stopped ringing while nobody looked. Perhaps the agent even answered, and found nobody: it is
// not held against them.
func (c *Call) ringLost(r *Ring) {
	switch r.Kind {
	case RingQueue:
		c.must(Missed, refusal{"withdrawn", "", 0})
	case RingTransfer, RingReturn:
		c.must(Unreached, refusal{"withdrawn", "", 0})
	case RingOwn: // the end frees the agent
		c.must(Stop, ending{Lost, ByNetwork, 0})
	case RingCallee:
		c.must(Stop, ending{Lost, ByNetwork, 0})
	}
}

// rejoin tells the queue brain again that the call waits, with its first queue time.
func (c *Call) rejoin(offered bool) {
	e := c.lastEntry()
	if e == nil {
		return
	}
	if _, _, err := c.s.queues.Position(c.rec.ID); err == nil && !offered {
		return // it was not forgotten
	}
	w := Waiting{
		ID: c.rec.ID, UnitPath: c.rec.UnitPath, Queue: e.Queue, Joined: e.place(), Priority: e.Priority, Skills: e.Skills, Language: c.rec.Language, Offered: offered, Again: true,
	}
	_, closing, err := c.s.queues.Join(w)
	switch {
	case err != nil:
		c.log.Error("queue is gone", "queue_id", e.Queue, "error", err)
		c.must(TurnedAway, Closing{Why: "closed", Then: "hangup"})
	case closing != nil && !offered:
		c.must(TurnedAway, *closing)
	}
}

// stillRecorded starts the recordings that ended, or could not begin, without us.
func (c *Call) stillRecorded(snap pbx.Snapshot) {
	runs := map[pbx.RecordingID]bool{}
	for _, id := range snap.Recordings {
		runs[id] = true
	}
	for i := range c.rec.Tracks {
		if t := &c.rec.Tracks[i]; t.Ended.IsZero() && !runs[t.ID] && t.Started.Before(snap.At) {
			t.Ended = snap.At.UTC()
		}
	}
	c.record() // one that could not be started while the switch was away is started now
}
