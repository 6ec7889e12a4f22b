package ari

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"callplane/app/pbx"
)

// How long we wait for what Asterisk should send at once.
const (
	destroyGrace = 2 * time.Second // ChannelDestroyed after StasisEnd
	recordGrace  = 2 * time.Second // RecordingFinished after the end of the leg
	doneFor      = time.Minute     // how long an ended leg is remembered, so that nothing more is said of it
)

// memory is what we remember. It serves the translation of events; commands work without it, so that they also do
// after a restart of ours. Switch.mu guards it.
type memory struct {
	legs  map[pbx.LegID]*leg
	dying map[pbx.LegID]*leg // those of legs whose last event waits for something
	done  map[pbx.LegID]time.Time
	recs  map[pbx.RecordingID]*recording
	spies map[pbx.LegID]*spy    // by ear
	waits map[string]chan error // snoops whose StasisStart somebody waits for
	rooms map[string]bool       // bridges that we know are there
	parks map[string]park       // by bridge
	lines map[string]pbx.LineState
	news  map[string]time.Time // when a line's last event came, by our clock
}

func newMemory() memory {
	return memory{
		legs:  map[pbx.LegID]*leg{},
		dying: map[pbx.LegID]*leg{},
		done:  map[pbx.LegID]time.Time{},
		recs:  map[pbx.RecordingID]*recording{},
		spies: map[pbx.LegID]*spy{},
		waits: map[string]chan error{},
		rooms: map[string]bool{},
		parks: map[string]park{},
		lines: map[string]pbx.LineState{},
		news:  map[string]time.Time{},
	}
}

// leg is one party's channel.
type leg struct {
	id       pbx.LegID
	dialled  bool // by us; else it arrived
	before   bool // it was there when we came: what it did earlier is unknown
	arrived  bool // Arrived is told, or nothing to tell
	answered bool // the same for Answered
	rang     bool
	progress bool
	phone    bool
	referred time.Time // when its party asked for a transfer, by our clock

	asked   bool      // we want it hung up
	why     pbx.Cause // and say so
	party   bool      // its party hung up first
	cause   pbx.Cause // the last one heard of
	outcome string    // Dial's last word: BUSY, CONGESTION, …

	key   string // the last one pressed, and when
	keyAt time.Time

	place string // the bridge it is in
	plays map[pbx.PlayID]*playing
	recs  map[pbx.RecordingID]bool

	last *pbx.Event // Ended, once known; told when the recordings are finished
	due  time.Time  // in dying: when we stop waiting
}

// leaving tells that somebody has hung up.
func (l *leg) leaving() bool {
	return l.asked || l.party || l.cause != 0 || l.last != nil || !l.due.IsZero()
}

// newLeg remembers a leg.
func (s *Switch) newLeg(id pbx.LegID) *leg {
	l := &leg{id: id, plays: map[pbx.PlayID]*playing{}, recs: map[pbx.RecordingID]bool{}}
	s.legs[id] = l
	return l
}

// tell puts an event where its reader finds it.
func (s *Switch) tell(e pbx.Event) { s.box.Put(e) }

// helper tells whether a channel or bridge is a tool of this driver: its id begins with a sign that no leg of ours and no
// channel of Asterisk's own has.
func helper(id string) bool { return strings.HasPrefix(id, "~") }

// end closes all that hangs on a leg, then the leg: at once, or when its recordings are finished.
func (s *Switch) end(l *leg, at time.Time) {
	if l.last != nil {
		return
	}
	for id := range l.plays {
		s.tell(pbx.Event{Kind: pbx.PlayEnded, Leg: l.id, At: at, Play: id})
	}
	clear(l.plays)
	e := pbx.Event{Kind: pbx.Ended, Leg: l.id, At: at, Cause: l.cause}
	switch {
	case l.asked && !l.party:
		e.ByUs = true
		if l.why != pbx.CauseUnknown {
			e.Cause = l.why
		}
	case e.Cause == pbx.CauseUnknown && l.outcome != "":
		e.Cause = outcomes[l.outcome]
	}
	if e.Cause == pbx.CauseUnknown && l.party { // a BYE or CANCEL gives no reason as a rule
		e.Cause = pbx.NormalClearing
	}
	l.last = &e
	if len(l.recs) > 0 {
		l.due = time.Now().Add(recordGrace)
		s.dying[l.id] = l
		return
	}
	s.bury(l)
}

// outcomes are the causes for Dial's words, where Asterisk tells no number.
var outcomes = map[string]pbx.Cause{
	"BUSY": pbx.Busy, "NOANSWER": pbx.NoAnswer, "CONGESTION": pbx.Congestion, "CHANUNAVAIL": pbx.OutOfOrder,
	"CANCEL": pbx.NormalClearing,
}

// bury tells the last event of a leg.
func (s *Switch) bury(l *leg) {
	s.put(l, "")
	delete(s.legs, l.id)
	delete(s.dying, l.id)
	s.done[l.id] = time.Now()
	s.tell(*l.last)
	s.spyLost(l.id)
}

// sweep ends the legs for which Asterisk's last word is overdue, and forgets those that ended long ago.
func (s *Switch) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.dying {
		if now.Before(l.due) {
			continue
		}
		s.metrics.late.Inc()
		if l.last == nil { // StasisEnd without ChannelDestroyed
			delete(s.dying, l.id)
			s.end(l, now)
			continue
		}
		for id := range l.recs {
			s.log.Warn("asterisk has not ended a recording", "channel_id", l.id, "recording", id)
			s.tell(pbx.Event{Kind: pbx.RecordEnded, Leg: l.id, At: now, Recording: id})
			s.dropRecording(id, l.id) // the last one buries the leg
		}
	}
	for id, at := range s.done {
		if now.Sub(at) > doneFor {
			delete(s.done, id)
		}
	}
}

// failWaits lets go of those who wait for a snoop: no event will come.
func (s *Switch) failWaits() {
	for id, c := range s.waits {
		c <- unreachable("snoop", errors.New("the event link broke"))
		delete(s.waits, id)
	}
}

// isOver tells whether the leg's Ended is told. Asterisk may list it, and take commands for it, a little longer.
func (s *Switch) isOver(id pbx.LegID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, over := s.done[id]
	return over && s.legs[id] == nil
}

// present is ErrNoLeg if one of the legs is over.
func (s *Switch) present(ids ...pbx.LegID) error {
	for _, id := range ids {
		if s.isOver(id) {
			return fmt.Errorf("leg %s: %w", id, pbx.ErrNoLeg)
		}
	}
	return nil
}

// legError says what a refusal means for a command to a leg: with 404 it is gone, with 409 and 412 it is leaving us; or
// it is one we dial, and not answered yet. Also are further codes that say the same.
func (s *Switch) legError(id pbx.LegID, err error, also ...int) error {
	code := status(err)
	match := code == http.StatusNotFound || code == http.StatusConflict || code == http.StatusPreconditionFailed
	for _, c := range also {
		match = match || c == code
	}
	if !match {
		return err
	}
	s.mu.Lock()
	l := s.legs[id]
	early := l != nil && l.dialled && !l.answered && code != http.StatusNotFound
	s.mu.Unlock()
	if early {
		return fmt.Errorf("leg %s is not answered yet: %w", id, err)
	}
	return fmt.Errorf("leg %s: %w (%w)", id, pbx.ErrNoLeg, err)
}
