package pbxtest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"callplane/app/pbx"
)

// state is how far a leg has come.
type state uint8

const (
	trying state = iota
	ringing
	early // the dialled party sends early media
	up
	gone
)

// Party is one far end and its leg: an outside caller, a called number, or a phone in a call. Its methods are what the
// person there can do and notice. They may be called at any time; on a leg that is gone they do nothing.
type Party struct {
	sw       *Switch
	id       pbx.LegID
	name     string // what others hear: the phone's name or the number
	trunk    string // the line it came in on or was dialled through
	phone    string // or the phone
	from, to string
	since    time.Time
	hertz    float64           // what it says
	dial     *pbx.Dial         // nil for a leg that arrived
	headers  map[string]string // of an arriving call

	// Guarded by sw.mu.
	state    state
	parked   bool
	muted    bool
	held     bool
	vanished bool
	ending   bool // end is at work: no new playback starts
	byUs     bool
	rang     bool
	wasUp    bool // was answered at some time
	cause    pbx.Cause
	refer    referState
	room     *room
	music    string
	plays    []*playback
	recs     []*recording
	spying   *spying  // when this leg is an ear
	ears     []*Party // those that spy on this leg
	timer    *time.Timer
	digits   []byte
	heard    []Heard
	answered chan struct{} // made on demand
	ended    chan struct{}
	then     []func(*Party)
}

// referState is what became of the party's last REFER.
type referState uint8

const (
	notReferred referState = iota
	referAsked
	referDone
	referFailed
)

// Heard is what a party began to hear from the switch at a moment: "play:<media>", or "music:<class>".
type Heard struct {
	At   time.Time
	What string
}

// ID is the leg's id.
func (p *Party) ID() pbx.LegID { return p.id }

// Name is what others hear of the party in Hears: the phone's name, or the number.
func (p *Party) Name() string { return p.name }

// Tone is what the party sends, in hertz; it is found in recordings of the leg.
func (p *Party) Tone() float64 { return p.hertz }

// Dialled is what the control plane asked for: caller id shown, headers, auto answer. Empty for a leg that arrived.
func (p *Party) Dialled() pbx.Dial {
	if p.dial == nil {
		return pbx.Dial{}
	}
	return *p.dial
}

// Answered is closed when the leg is answered.
func (p *Party) Answered() <-chan struct{} {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	if p.answered == nil {
		p.answered = make(chan struct{})
		if p.wasUp {
			close(p.answered)
		}
	}
	return p.answered
}

// Ended is closed when the leg is gone.
func (p *Party) Ended() <-chan struct{} {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	if p.ended == nil {
		p.ended = make(chan struct{})
		if p.state == gone {
			close(p.ended)
		}
	}
	return p.ended
}

// Cause is why the leg ended, and whether the control plane ended it.
func (p *Party) Cause() (cause pbx.Cause, byUs bool) {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	return p.cause, p.byUs
}

// Rang says whether a called party's phone rang, or a caller was told that the other side rings.
func (p *Party) Rang() bool {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	return p.rang
}

// Alive says whether the leg is still there.
func (p *Party) Alive() bool {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	return p.state != gone
}

// Digits are the DTMF digits that the control plane sent to the party.
func (p *Party) Digits() string {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	return string(p.digits)
}

// Hangup is the party hanging up, a caller giving up, or a called one declining.
func (p *Party) Hangup() {
	p.far(func() {
		if p.state != up && p.dial != nil {
			p.end(pbx.Declined, false)
			return
		}
		p.end(pbx.NormalClearing, false)
	})
}

// Reject refuses an incoming call with a cause.
func (p *Party) Reject(cause pbx.Cause) {
	p.far(func() {
		if p.dial != nil && p.state != up {
			p.end(cause, false)
		}
	})
}

// Ring makes a called phone ring. Behaviours do it by themselves.
func (p *Party) Ring() { p.far(p.ring) }

// EarlyMedia makes a called party send sound before it answers.
func (p *Party) EarlyMedia() {
	p.far(func() {
		if p.dial != nil && p.state < early {
			p.state = early
			p.emit(pbx.Event{Kind: pbx.Progress})
		}
	})
}

// Answer picks up a called phone.
func (p *Party) Answer() {
	p.far(func() {
		if p.dial != nil {
			p.answer()
		}
	})
}

// Press sends DTMF digits.
func (p *Party) Press(digits string) {
	p.far(func() {
		if p.dial != nil && p.state != up {
			return
		}
		for _, d := range strings.ToUpper(digits) {
			if strings.ContainsRune(keys, d) {
				p.emit(pbx.Event{Kind: pbx.Digit, Digit: string(d)})
			}
		}
	})
}

// keys are the DTMF keys.
const keys = "0123456789*#ABCD"

// Hold presses the phone's hold key: the party hears nothing, and the switch plays music to the other side.
func (p *Party) Hold() { p.setHold(true) }

// Unhold takes the call back.
func (p *Party) Unhold() { p.setHold(false) }

func (p *Party) setHold(on bool) {
	p.far(func() {
		if p.state != up || p.held == on {
			return
		}
		p.held = on
		p.quiet()
		p.emit(pbx.Event{Kind: pick(on, pbx.Held, pbx.Unheld)})
	})
}

// Refer asks by REFER to be transferred to a number.
func (p *Party) Refer(to string) {
	p.far(func() {
		if p.state == up {
			p.refer = referAsked
			p.emit(pbx.Event{Kind: pbx.TransferAsked, To: to})
		}
	})
}

// Transferred tells how the control plane answered Refer: told is false as long as it has not.
func (p *Party) Transferred() (done, told bool) {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	return p.refer == referDone, p.refer >= referDone
}

// Vanish breaks the party's connection without a word, as when a phone loses its network: the leg stays up until the
// media timeout ends it.
func (p *Party) Vanish() {
	p.far(func() {
		p.vanished = true
		time.AfterFunc(p.sw.opts.mediaTimeout, func() {
			p.sw.mu.Lock()
			defer p.sw.mu.Unlock()
			p.end(pbx.MediaTimeout, false)
		})
	})
}

// far runs what the far end does, if it still can do anything.
func (p *Party) far(do func()) {
	p.sw.mu.Lock()
	if p.state != gone && !p.vanished {
		do()
	}
	then := p.then
	if p.state != up {
		then = nil
	} else {
		p.then = nil
	}
	p.sw.mu.Unlock()
	for _, f := range then {
		f(p)
	}
}

// after lets the far end do something later.
func (p *Party) after(d time.Duration, do func()) {
	time.AfterFunc(d, func() { p.far(do) })
}

// The rest is called with sw.mu held.

// emit sends an event of this leg.
func (p *Party) emit(e pbx.Event) {
	e.Leg = p.id
	p.sw.emit(e)
}

// ring is a called phone beginning to ring.
func (p *Party) ring() {
	if p.dial == nil || p.state != trying {
		return
	}
	p.state, p.rang = ringing, true
	p.emit(pbx.Event{Kind: pbx.Ringing})
}

// answer makes the leg an answered one.
func (p *Party) answer() {
	if p.state >= up {
		return
	}
	p.state, p.wasUp = up, true
	p.stopTimer()
	if p.answered != nil {
		close(p.answered)
	}
	p.emit(pbx.Event{Kind: pbx.Answered})
}

// end takes the leg off the switch: whatever hangs on it ends first, and Ended is the last event.
func (p *Party) end(cause pbx.Cause, byUs bool) {
	if p.state == gone {
		return
	}
	p.ending = true
	p.stopTimer()
	p.leave()
	for _, e := range slices.Clone(p.ears) {
		e.unspy()
	}
	for len(p.plays) > 0 {
		p.endPlay(p.plays[0], false)
	}
	for _, r := range slices.Clone(p.recs) {
		p.sw.endRecord(r)
	}
	p.state, p.cause, p.byUs, p.then = gone, cause, byUs, nil
	delete(p.sw.legs, p.id)
	if p.ended != nil {
		close(p.ended)
	}
	p.emit(pbx.Event{Kind: pbx.Ended, Cause: cause, ByUs: byUs})
}

func (p *Party) stopTimer() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// Party is the far end of a live leg, or nil.
func (sw *Switch) Party(id pbx.LegID) *Party {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	return sw.legs[id]
}

// Parties are the far ends of all live legs, in no order.
func (sw *Switch) Parties() []*Party {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	return slices.Collect(maps.Values(sw.legs))
}

func pick[T any](cond bool, yes, no T) T {
	if cond {
		return yes
	}
	return no
}
