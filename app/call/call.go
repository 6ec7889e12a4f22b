package call

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/mailbox"
	"callplane/app/pbx"
)

// Call is one conversation, from its arrival or first dial to its end. Only its goroutine, Run, touches the fields.
type Call struct {
	s    *Service
	log  *slog.Logger
	box  *mailbox.Box[input]
	done chan struct{} // closed when Run returns
	live atomic.Pointer[Live]

	rec     Record
	flow    Flow
	playing *playing
	keys    *keying
	timers  map[timer]*time.Timer
	gen     map[timer]int // tells a stale timer from the one that counts
	todo    []func()
	changed bool
	events  []bus.Event
	seats   []seat         // channels taken on trunks
	work    sync.WaitGroup // commands under way beside the goroutine
	unsure  atomic.Bool    // the switch did not answer a command

	ahead     *ahead // the last command for which the call did not wait, until catchUp
	answering *ahead // the answer among them, if there is one
}

// input is one thing that happens to a call.
type input struct {
	event *pbx.Event
	timer timer
	gen   int
	do    func(*Call) error
	gone  func() // in place of do, when the call has ended before it came to it; may be nil
	reply chan error
}

// timer names a timer of a call.
type timer string

const (
	timerRing     timer = "ring"
	timerInput    timer = "input"
	timerComfort  timer = "comfort"
	timerAnnounce timer = "announce"
	timerMusic    timer = "music"
	timerMaxWait  timer = "max_wait"
	timerMessage  timer = "message"
	timerAwait    timer = "await"
)

// playing is the prompt that a leg hears.
type playing struct {
	leg  pbx.LegID
	id   pbx.PlayID
	then func(ok bool) // nil when nothing follows
}

// Run is the call's whole life, or until ctx is done, which leaves it as it is. Service.start starts it, Service.Run waits for it.
func (c *Call) Run(ctx context.Context, first func(*Call)) {
	defer close(c.done)
	defer c.quit()
	if first != nil {
		first(c)
		c.settle()
	}
	for c.rec.State != Ended {
		select {
		case <-c.box.Ready():
			for _, in := range c.box.Take() {
				c.handle(in)
			}
		case <-ctx.Done():
			return
		}
	}
}

// quit stops what runs beside the call and answers whoever still asks it.
func (c *Call) quit() {
	for _, t := range c.timers {
		t.Stop()
	}
	for _, in := range c.box.Close() {
		if in.gone != nil && c.rec.State == Ended {
			in.gone()
		}
		if in.reply != nil {
			in.reply <- ErrGone
		}
	}
	c.work.Wait()
}

// handle does one input and everything that follows from it.
func (c *Call) handle(in input) {
	var err error
	switch {
	case c.rec.State == Ended:
		err = ErrGone
		if in.gone != nil {
			in.gone()
		}
	case in.event != nil:
		c.heard(*in.event)
	case in.timer != "":
		if c.gen[in.timer] == in.gen {
			delete(c.rec.Due, in.timer)
			c.expired(in.timer)
		}
	case in.do != nil:
		err = in.do(c)
	}
	c.settle()
	if in.reply != nil {
		in.reply <- err
	}
}

// settle does what steps left for later, then writes down what changed.
func (c *Call) settle() {
	for len(c.todo) > 0 {
		next := c.todo[0]
		c.todo = c.todo[1:]
		if c.rec.State == Ended {
			continue
		}
		next()
	}
	if c.changed {
		c.changed = false
		c.checkpoint()
	}
}

// later leaves something to be done when the transition under way is complete.
func (c *Call) later(f func()) { c.todo = append(c.todo, f) }

// must fires a transition that cannot be refused by those who asked; if it is, the call ends rather than hang.
func (c *Call) must(on Event, in any) {
	err := c.fire(on, in)
	if err == nil {
		return
	}
	if errors.Is(err, pbx.ErrNoLeg) || errors.Is(err, pbx.ErrUnreachable) {
		c.log.Debug("leg is gone", "event", on, "error", err)
		return // its end is on the way, or comes with the next Resync
	}
	c.log.Error("call cannot go on", "state", c.rec.State, "event", on, "error", err)
	if c.rec.State != Ended && on != Stop {
		c.must(Stop, ending{PlatformFault, BySystem, 0})
	}
}

// checkpoint writes the record to the live store and the events behind it to the stream, in this order, waiting for neither.
func (c *Call) checkpoint() {
	live := c.rec.live()
	c.live.Store(&live)
	if c.rec.State == Ended {
		c.s.journal.Publish(append(c.events, c.rec.event())...)
		c.s.journal.Delete(string(c.rec.ID)) // after the record: a crash between the two sends it twice, under one id
	} else {
		c.rec.Playing = nil
		if p := c.playing; p != nil {
			c.rec.Playing = &Playing{p.leg, p.id}
		}
		value, err := json.Marshal(&c.rec)
		if err != nil {
			c.log.Error("record cannot be written", "error", err)
			return
		}
		c.s.journal.Put(string(c.rec.ID), value)
		c.s.journal.Publish(c.events...)
	}
	c.events = nil
}

// mark adds to the timeline and tells the event stream.
func (c *Call) mark(what string, leg pbx.LegID, data map[string]any) {
	c.markAt(time.Now(), what, leg, data)
}

func (c *Call) markAt(at time.Time, what string, leg pbx.LegID, data map[string]any) {
	at = at.UTC()
	c.rec.Timeline = append(c.rec.Timeline, Mark{At: at, What: what, Leg: leg, Data: data})
	e := bus.NewEvent("call."+what, string(c.rec.ID), Told{Live: c.rec.live(), At: at, Leg: leg, Data: data})
	e.At, e.Unit, e.UnitPath, e.Perm, e.Owner = at, c.rec.Unit, c.rec.UnitPath, string(permRead), c.rec.owner()
	c.events = append(c.events, e)
	c.changed = true
}

// serial makes an id that nothing else has: the call's, and a number.
func (c *Call) serial() string {
	c.rec.Serial++
	return fmt.Sprintf("%s-%d", c.rec.ID, c.rec.Serial)
}

// newLeg adds a leg that we are about to dial.
func (c *Call) newLeg(l Leg) pbx.LegID {
	l.ID = pbx.LegID(c.serial())
	l.Dialled, l.Started = true, time.Now().UTC()
	c.rec.Legs = append(c.rec.Legs, l)
	c.s.claim(l.ID, c)
	return l.ID
}

// leg finds a leg of the call, or nil.
func (c *Call) leg(id pbx.LegID) *Leg {
	for i := range c.rec.Legs {
		if c.rec.Legs[i].ID == id {
			return &c.rec.Legs[i]
		}
	}
	return nil
}

// hangup ends a leg if it is still there.
func (c *Call) hangup(id pbx.LegID, why pbx.Cause) {
	l := c.leg(id)
	if l == nil || !l.Ended.IsZero() {
		return
	}
	l.Ended, l.Cause, l.ByUs = time.Now().UTC(), why, true
	c.s.condemn(id)
	c.leaveSeat(id)
	c.beside("hang up", func(ctx context.Context) error {
		err := c.s.sw.Hangup(ctx, id, why)
		if errors.Is(err, pbx.ErrNoLeg) {
			c.s.absolve(id)
		}
		return err
	})
}

// beside gives the switch a command without waiting for its answer. Run waits for it before it returns.
func (c *Call) beside(what string, f func(context.Context) error) {
	before := c.ahead
	c.work.Go(func() {
		if before != nil {
			<-before.done
		}
		ctx, cancel := context.WithTimeout(context.Background(), c.s.limits.Command)
		defer cancel()
		if err := c.doubt(f(ctx)); err != nil && !errors.Is(err, pbx.ErrNoLeg) {
			c.log.Warn("switch refused", "what", what, "error", err)
		}
	})
}

// command gives the switch a command and waits for its answer.
func (c *Call) command(f func(context.Context, pbx.Switch) error) error {
	c.catchUp()
	return c.dial(f)
}

// arm starts a timer; an earlier one of its name no longer counts.
func (c *Call) arm(t timer, d time.Duration) {
	c.armAt(t, time.Now().Add(d))
}

func (c *Call) armAt(t timer, at time.Time) {
	c.disarm(t)
	if c.rec.Due == nil {
		c.rec.Due = map[timer]time.Time{}
	}
	c.rec.Due[t] = at.UTC()
	gen := c.gen[t]
	c.timers[t] = time.AfterFunc(max(time.Until(at), 0), func() { c.box.Put(input{timer: t, gen: gen}) })
}

func (c *Call) disarm(names ...timer) {
	for _, t := range names {
		if running := c.timers[t]; running != nil {
			running.Stop()
			delete(c.timers, t)
		}
		c.gen[t]++
		delete(c.rec.Due, t)
	}
}

// segment begins a part of the call and ends the one before.
func (c *Call) segment(kind string, s Segment) {
	now := time.Now().UTC()
	c.endSegment(now)
	s.Kind, s.Started = kind, now
	c.rec.Segments = append(c.rec.Segments, s)
}

func (c *Call) endSegment(now time.Time) {
	if n := len(c.rec.Segments); n > 0 && c.rec.Segments[n-1].Ended.IsZero() {
		c.rec.Segments[n-1].Ended = now
	}
}

// play plays prompts to a leg, in place of what it hears from us, and then calls then. Prompts that cannot be had are left out.
func (c *Call) play(leg pbx.LegID, prompts []Prompt, then func(ok bool)) {
	c.hush()
	media := c.media(prompts)
	if len(media) == 0 {
		if then != nil {
			c.later(func() { then(false) })
		}
		return
	}
	p := &playing{leg: leg, id: pbx.PlayID(c.serial()), then: then}
	err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.Play(ctx, leg, p.id, media...) })
	if err != nil {
		c.log.Warn("prompt not played", "leg", leg, "media", media, "error", err)
		if then != nil && !errors.Is(err, pbx.ErrNoLeg) && !errors.Is(err, pbx.ErrUnreachable) {
			c.later(func() { then(false) })
		}
		return
	}
	c.playing = p
}

func (c *Call) media(prompts []Prompt) []pbx.Media {
	media := make([]pbx.Media, 0, len(prompts))
	for _, p := range prompts {
		lang := p.Language
		if lang == "" {
			lang = c.rec.Language
		}
		m, err := c.s.voice.Media(lang, p)
		if err != nil {
			c.log.Warn("prompt left out", "prompt", p.Key, "language", lang, "error", err)
			continue
		}
		media = append(media, m)
	}
	return media
}

// hush stops what is being played; nothing follows from its end.
func (c *Call) hush() {
	p := c.playing
	if p == nil {
		return
	}
	c.playing = nil
	if err := c.command(func(ctx context.Context, sw pbx.Switch) error { return sw.StopPlay(ctx, p.leg, p.id) }); err != nil {
		c.log.Debug("prompt not stopped", "error", err)
	}
}
