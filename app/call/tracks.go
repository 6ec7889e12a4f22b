package call

import (
	"context"
	"errors"
	"time"

	"callplane/app/pbx"
)

// record starts to record both sides if the call is to be recorded. A leg that is recorded already goes on, whatever the call went
// through: hold and transfer leave no gap. Talk does not wait for it.
func (c *Call) record() {
	if !c.recorded() {
		return
	}
	c.recordLeg(c.rec.Customer, "customer")
	c.recordLeg(c.rec.Partner, "agent")
}

// recorded says whether the call is to be recorded.
func (c *Call) recorded() bool {
	switch c.rec.Vars["record"] {
	case "on":
		return true
	case "off":
		return false
	}
	if c.rec.Plan != nil {
		return c.rec.Plan.Record
	}
	return c.rec.Direction == Outbound && c.s.limits.RecordOutbound
}

func (c *Call) recordLeg(leg pbx.LegID, side string) {
	l := c.leg(leg)
	if l == nil || !l.Ended.IsZero() {
		return
	}
	for _, t := range c.rec.Tracks {
		if t.Leg == leg && t.Side == side && t.Ended.IsZero() {
			return
		}
	}
	id := pbx.RecordingID(string(c.rec.ID) + "/" + side + "-" + c.serial())
	c.rec.Tracks = append(c.rec.Tracks, Track{ID: id, Leg: leg, Side: side, Agent: l.Agent, Queue: c.rec.Queue, Started: time.Now().UTC()})
	box := c.box
	c.beside("record", func(ctx context.Context) error {
		err := c.s.sw.Record(ctx, leg, id, c.s.limits.Recording)
		if err == nil || errors.Is(err, pbx.ErrNoLeg) {
			return err
		}
		box.Put(input{do: func(c *Call) error {
			if t := c.track(id); t != nil {
				t.Ended = t.Started
			}
			c.mark("recording_failed", leg, map[string]any{"side": side, "error": err.Error()})
			return nil
		}})
		return err
	})
}

// track finds a recording of the call, or nil.
func (c *Call) track(id pbx.RecordingID) *Track {
	for i := range c.rec.Tracks {
		if c.rec.Tracks[i].ID == id {
			return &c.rec.Tracks[i]
		}
	}
	return nil
}
