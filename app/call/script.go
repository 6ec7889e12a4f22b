package call

import (
	"context"
	"encoding/json"
	"maps"
	"time"

	"callplane/app/pbx"
)

// enter sends a call into a flow.
type enter struct {
	flow string
	at   json.RawMessage // where to begin; nil is the beginning
}

// enterFlow lets a flow take over.
func (c *Call) enterFlow(in any) error {
	e := in.(enter)
	flow, err := c.s.flow(c.rec.UnitPath, e.flow)
	if err != nil {
		return err
	}
	c.leaveQueue("moved", "")
	c.leavePartner()
	c.flow, c.rec.Flow, c.rec.Place = flow, e.flow, e.at
	if c.rec.Entered == "" {
		c.rec.Entered = e.flow
	}
	c.segment("auto", Segment{})
	c.later(func() { c.next(Outcome{Kind: Entered}) })
	return nil
}

// maxSteps is how many steps a flow may take without waiting for anything, before it counts as a loop.
const maxSteps = 100

// next asks the flow what to do, and does it, until it has to wait for something.
func (c *Call) next(got Outcome) {
	for range maxSteps {
		if c.rec.State != InFlow || c.flow == nil {
			return
		}
		move := c.flow.Next(c.rec.Place, got, View{
			ID: c.rec.ID, From: c.rec.From, To: c.rec.To, Language: c.rec.Language,
			Answered: !c.rec.Answered.IsZero(), Vars: c.rec.Vars, Now: time.Now(),
		})
		c.rec.Place = move.At
		if move.Language != "" {
			c.rec.Language = move.Language
		}
		if len(move.Vars) > 0 {
			c.rec.Vars = maps.Clone(c.rec.Vars)
			if c.rec.Vars == nil {
				c.rec.Vars = map[string]string{}
			}
			maps.Copy(c.rec.Vars, move.Vars)
		}
		if move.Key != "" {
			if c.rec.Path != "" {
				c.rec.Path += ">"
			}
			c.rec.Path += move.Key
		}
		if move.Node != "" && got.Kind != Resumed {
			c.mark("node", "", map[string]any{"node": move.Node, "got": string(got.Kind), "key": move.Key})
		}
		c.changed = true
		var waits bool
		if got, waits = c.do(move.Do); waits {
			return
		}
	}
	c.log.Error("flow runs in a circle", "flow", c.rec.Flow)
	c.must(Stop, ending{FlowFailed, BySystem, 0})
}

// do carries out a step. It returns the outcome, or that something has to happen first.
func (c *Call) do(s Step) (got Outcome, waits bool) {
	switch s := s.(type) {
	case Answer:
		return Outcome{Kind: Done}, !c.answer()
	case Play:
		c.keys = nil
		if s.Interrupt {
			c.keys = &keying{Collect: Collect{Interrupt: true, Max: 1}, playOnly: true}
		}
		c.play(c.rec.Customer, s.Prompts, func(bool) {
			c.keys = nil
			c.next(Outcome{Kind: Done})
		})
	case Collect:
		c.keys = &keying{Collect: s}
		c.play(c.rec.Customer, s.Prompts, func(bool) { c.awaitKeys() })
	case Enqueue:
		c.later(func() {
			c.must(Wait, join{queue: s.Queue, priority: s.Priority, skills: s.Skills, why: "flow"})
		})
	case Message:
		c.takeMessage(s)
	case Await:
		c.await(s)
	case Hangup:
		c.later(func() { c.must(Stop, ending{s.Why, BySystem, pbx.NormalClearing}) })
	default:
		c.later(func() { c.must(Stop, ending{FlowFailed, BySystem, 0}) })
	}
	return Outcome{}, true
}

// answer takes the call if it is not up yet, without waiting for the switch; false if the caller is gone.
func (c *Call) answer() bool {
	if !c.rec.Answered.IsZero() {
		return true
	}
	l := c.leg(c.rec.Customer)
	if l == nil || !l.Ended.IsZero() {
		return false
	}
	leg := l.ID
	c.answering = c.soon("answer", func(ctx context.Context) error { return c.s.sw.Answer(ctx, leg) })
	c.rec.Answered = time.Now().UTC()
	l.Answered = c.rec.Answered
	c.mark("answered", c.rec.Customer, nil)
	return true
}

// await rings, or keeps the caller with music, until somebody takes the call over the API.
func (c *Call) await(s Await) {
	c.arm(timerAwait, s.For)
	if c.rec.Answered.IsZero() {
		leg := c.rec.Customer
		c.beside("ring", func(ctx context.Context) error { return c.s.sw.Ring(ctx, leg) })
		return
	}
	c.park(c.music())
}

// keying is a Collect, or an interruptible Play, under way.
type keying struct {
	Collect
	playOnly bool
	got      string
	heard    bool // the prompts are over
}

// pressed takes a key from the outside party.
func (c *Call) pressed(key string) {
	if c.recordingMessage() {
		if key == "#" {
			c.stopMessage()
		}
		return
	}
	k := c.keys
	if k == nil || (!k.heard && !k.Interrupt) {
		return
	}
	if !k.heard {
		c.hush()
		k.heard = true
	}
	if k.playOnly {
		c.keys = nil
		c.next(Outcome{Kind: Keys, Digits: key})
		return
	}
	if key == k.Stop {
		c.keysDone()
		return
	}
	k.got += key
	if len(k.got) >= k.Max && k.Max > 0 {
		c.keysDone()
		return
	}
	c.arm(timerInput, k.Between)
}

// awaitKeys starts the wait for the first key, once the prompts are over.
func (c *Call) awaitKeys() {
	if k := c.keys; k != nil && !k.heard {
		k.heard = true
		c.arm(timerInput, k.First)
	}
}

func (c *Call) keysDone() {
	got := Outcome{Kind: Keys, Digits: c.keys.got}
	c.keys = nil
	c.disarm(timerInput)
	c.next(got)
}

// inputOver is the end of the time for a key.
func (c *Call) inputOver() {
	if c.keys == nil {
		return
	}
	if c.keys.got != "" {
		c.keysDone()
		return
	}
	c.keys = nil
	c.next(Outcome{Kind: TimedOut})
}

// takeMessage plays prompts and a beep, and records.
func (c *Call) takeMessage(s Message) {
	if s.Limit <= 0 {
		s.Limit = 2 * time.Minute
	}
	if !c.answer() {
		return
	}
	c.segment("message", Segment{Queue: s.Queue})
	c.play(c.rec.Customer, s.Prompts, func(bool) {
		c.play(c.rec.Customer, []Prompt{{Key: "tone/beep"}}, func(bool) {
			id := pbx.RecordingID(string(c.rec.ID) + "/message-" + c.serial())
			err := c.command(func(ctx context.Context, sw pbx.Switch) error {
				return sw.Record(ctx, c.rec.Customer, id, s.Limit+time.Minute)
			})
			if err != nil {
				c.log.Warn("message not recorded", "error", err)
				c.next(Outcome{Kind: Failed})
				return
			}
			c.rec.Tracks = append(c.rec.Tracks, Track{
				ID: id, Leg: c.rec.Customer, Side: "message", Queue: s.Queue, Started: time.Now().UTC(),
			})
			c.mark("message_started", c.rec.Customer, nil)
			c.arm(timerMessage, s.Limit)
		})
	})
}

// recordingMessage says that the caller is speaking a message now.
func (c *Call) recordingMessage() bool {
	n := len(c.rec.Tracks)
	return n > 0 && c.rec.Tracks[n-1].Side == "message" && c.rec.Tracks[n-1].Ended.IsZero()
}

// messageTaken says that the caller spoke a message, ended or not.
func (c *Call) messageTaken() bool {
	n := len(c.rec.Tracks)
	return n > 0 && c.rec.Tracks[n-1].Side == "message"
}

// stopMessage ends the message that is being recorded; messageEnded follows.
func (c *Call) stopMessage() {
	if !c.recordingMessage() {
		return
	}
	t := &c.rec.Tracks[len(c.rec.Tracks)-1]
	err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.StopRecord(ctx, t.ID) })
	if err != nil {
		c.log.Warn("message not stopped", "error", err)
	}
	t.Ended = time.Now().UTC()
	c.messageEnded(t)
}

// messageEnded goes on with the flow when a message is complete.
func (c *Call) messageEnded(t *Track) {
	if t.Side != "message" || c.rec.State != InFlow {
		return
	}
	c.disarm(timerMessage)
	c.mark("message_left", c.rec.Customer, map[string]any{"recording": string(t.ID), "queue": t.Queue})
	c.next(Outcome{Kind: Done})
}

// park gives the outside party music.
func (c *Call) park(music string) {
	leg := c.rec.Customer
	c.soon("park", func(ctx context.Context) error { return c.s.sw.Park(ctx, leg, music) })
}

// music is the class that the caller's queue plays.
func (c *Call) music() string {
	if c.rec.Plan != nil && c.rec.Plan.Music != "" {
		return c.rec.Plan.Music
	}
	return "default"
}

// playTone plays a tone to a leg until something else is heard there.
func (c *Call) playTone(leg pbx.LegID, tone pbx.Media) {
	c.hush()
	p := &playing{leg: leg, id: pbx.PlayID(c.serial())}
	if err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Play(ctx, leg, p.id, tone) }); err == nil {
		c.playing = p
	}
}
