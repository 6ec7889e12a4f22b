package call

import (
	"context"
	"encoding/json"
	"time"

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
		c := s.newCall(rec)
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

// Reconcile compares all calls with what is on the switch: legs that are gone are closed, calls that came meanwhile are taken, and the
// rest goes on where it was.
func (s *Service) Reconcile(ctx context.Context) error {
	snap, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	there := make(map[pbx.LegID]pbx.LegState, len(snap.Legs))
	for _, l := range snap.Legs {
		there[l.ID] = l
	}
	live := map[string]bool{}
	var wait []chan error
	s.mu.Lock()
	calls := make([]*Call, 0, len(s.calls))
	for _, c := range s.calls {
		calls = append(calls, c)
	}
	s.mu.Unlock()
	for _, c := range calls {
		live[string(c.live.Load().ID)] = true
		reply := make(chan error, 1)
		if c.box.Put(input{reply: reply, do: func(c *Call) error { c.resume(snap, there); return nil }}) {
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
	for id := range live {
		if _, err := s.call(ID(id)); err != nil {
			delete(live, id)
		}
	}
	s.agents.Restore(live)
	for _, l := range snap.Legs {
		s.stray(l)
	}
	s.queues.Resume()
	s.log.Info("in control", "calls", len(live), "legs", len(snap.Legs))
	return nil
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
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.limits.Command)
		defer cancel()
		if err := s.sw.Hangup(ctx, l.ID, pbx.NormalClearing); err != nil {
			s.log.Debug("stray leg", "leg", l.ID, "error", err)
		}
	})
}

// resume puts a call back in step with the switch.
func (c *Call) resume(snap pbx.Snapshot, there map[pbx.LegID]pbx.LegState) {
	c.mark("resumed", "", map[string]any{"state": c.rec.State.String()})
	if !c.closeLost(snap, there) {
		return
	}
	if c.rec.Trunk != "" && len(c.seats) == 0 {
		c.seats = append(c.seats, c.s.router.Resume(c.rec.Trunk))
	}
	for t, at := range c.rec.Due {
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
		c.playing, c.keys = nil, nil
		if c.recordingMessage() {
			return
		}
		c.next(Outcome{Kind: Resumed})
	case Queued:
		c.rejoin(false)
		if !at.Parked {
			c.park(c.music())
		}
	case Offered:
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
	for i := range c.rec.Legs {
		l := &c.rec.Legs[i]
		if _, up := there[l.ID]; up || !l.Ended.IsZero() {
			continue
		}
		if l.Dialled && l.Started.After(snap.At) {
			continue // dialled after the switch was asked
		}
		l.Ended = snap.At.UTC()
		switch r := c.rec.Ring; {
		case r != nil && r.Leg == l.ID:
			c.ringEnded(r, pbx.NoAnswer)
		case l.ID == c.rec.Customer:
			c.must(CustomerGone, ending{Lost, ByNetwork, 0})
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

// rejoin tells the queue brain again that the call waits, with its first queue time.
func (c *Call) rejoin(offered bool) {
	e := c.lastEntry()
	if e == nil {
		return
	}
	w := Waiting{
		ID: c.rec.ID, UnitPath: c.rec.UnitPath, Queue: e.Queue, Joined: e.Joined, Priority: e.Priority, Skills: e.Skills, Language: c.rec.Language, Offered: offered,
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

// stillRecorded starts the recordings that ended without us.
func (c *Call) stillRecorded(snap pbx.Snapshot) {
	runs := map[pbx.RecordingID]bool{}
	for _, id := range snap.Recordings {
		runs[id] = true
	}
	again := false
	for i := range c.rec.Tracks {
		if t := &c.rec.Tracks[i]; t.Ended.IsZero() && !runs[t.ID] {
			t.Ended = snap.At.UTC()
			again = true
		}
	}
	if again {
		c.record()
	}
}
