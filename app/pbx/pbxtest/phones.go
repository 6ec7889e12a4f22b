package pbxtest

import (
	"time"

	"callplane/app/pbx"
)

// Behaviour is what a called party does. Make one with the functions below; the zero value rings for ever.
type Behaviour struct {
	NoRing  bool          // the far end does not even ring
	Early   bool          // it sends early media in place of ringing
	Answers bool          // it answers after Wait
	Cause   pbx.Cause     // or refuses with this after Wait
	Wait    time.Duration // from the call's arrival
	Talk    time.Duration // hangs up so long after answering; 0 means never
	Then    func(*Party)  // runs after the answer; it must not block
}

// RingForever rings until the caller gives up.
func RingForever() Behaviour { return Behaviour{} }

// Silent does not react at all.
func Silent() Behaviour { return Behaviour{NoRing: true} }

// Answer picks up at once.
func Answer() Behaviour { return Behaviour{Answers: true} }

// AnswerAfter rings and then picks up.
func AnswerAfter(d time.Duration) Behaviour { return Behaviour{Answers: true, Wait: d} }

// RejectWith refuses at once, without ringing.
func RejectWith(c pbx.Cause) Behaviour { return Behaviour{NoRing: true, Cause: c} }

// RejectAfter rings and then refuses.
func RejectAfter(d time.Duration, c pbx.Cause) Behaviour { return Behaviour{Cause: c, Wait: d} }

// EarlyMedia makes the party send early media in place of ringing.
func (b Behaviour) EarlyMedia() Behaviour { b.Early = true; return b }

// HangupAfter makes the party hang up so long after it answered.
func (b Behaviour) HangupAfter(d time.Duration) Behaviour { b.Talk = d; return b }

// ThenDo adds something to do after the answer.
func (b Behaviour) ThenDo(f func(*Party)) Behaviour { b.Then = f; return b }

// run lets the called party behave. It is called without sw.mu.
func (b Behaviour) run(p *Party) {
	p.far(func() {
		if b.Early {
			p.state = early
			p.emit(pbx.Event{Kind: pbx.Progress})
		} else if !b.NoRing {
			p.ring()
		}
		if b.Then != nil {
			p.then = append(p.then, b.Then)
		}
		final := func() {
			switch {
			case b.Answers:
				p.answer()
				if b.Talk > 0 {
					p.after(b.Talk, func() { p.end(pbx.NormalClearing, false) })
				}
			case b.Cause != pbx.CauseUnknown:
				p.end(b.Cause, false)
			}
		}
		switch {
		case !b.Answers && b.Cause == pbx.CauseUnknown:
		case b.Wait <= 0:
			final()
		default:
			p.after(b.Wait, func() {
				if p.state != up {
					final()
				}
			})
		}
	})
}

// line is a phone or trunk that the switch knows.
type line struct {
	name  string
	trunk bool
	byUs  bool // made by Provision, which may remove it again
	spec  any  // a pbx.Phone or pbx.Trunk as provisioned
}

// state is whether a line can be reached. The caller holds sw.mu.
func (sw *Switch) state(ln *line) pbx.LineState {
	ok := false
	if ln.trunk {
		ok = !sw.trunk(ln.name).down
	} else {
		ok = sw.phone(ln.name).on
	}
	return pick(ok, pbx.LineUp, pbx.LineDown)
}

// Phone is the far end of one of our phones, or rather the person who sits before it.
type Phone struct {
	sw   *Switch
	name string

	// Guarded by sw.mu.
	on    bool // switched on: it is registered as soon as the switch knows it
	turns []Behaviour
}

// phone finds or makes the far end. The caller holds sw.mu.
func (sw *Switch) phone(name string) *Phone {
	ph := sw.phones[name]
	if ph == nil {
		ph = &Phone{sw: sw, name: name}
		sw.phones[name] = ph
	}
	return ph
}

// Phone is the phone of this name. It need not be known to the switch yet.
func (sw *Switch) Phone(name string) *Phone {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	return sw.phone(name)
}

// AddPhone makes a phone known by hand, as a switch's own configuration does, and registers it. Provision leaves it
// alone.
func (sw *Switch) AddPhone(name string) *Phone {
	sw.mu.Lock()
	ph := sw.phone(name)
	if sw.lines[name] == nil {
		sw.lines[name] = &line{name: name}
	}
	sw.mu.Unlock()
	return ph.Register()
}

// Register switches the phone on: it registers as soon as the switch knows it.
func (sw *Switch) Register(name string) { sw.Phone(name).Register() }

// Unregister switches the phone off. Calls in progress go on.
func (sw *Switch) Unregister(name string) { sw.Phone(name).Unregister() }

// Register switches the phone on.
func (ph *Phone) Register() *Phone { return ph.setOn(true) }

// Unregister switches the phone off. Calls in progress go on.
func (ph *Phone) Unregister() *Phone { return ph.setOn(false) }

func (ph *Phone) setOn(on bool) *Phone {
	ph.sw.mu.Lock()
	defer ph.sw.mu.Unlock()
	if ph.on != on {
		ph.on = on
		if ln := ph.sw.lines[ph.name]; ln != nil && !ln.trunk {
			ph.sw.lineChanged(ln)
		}
	}
	return ph
}

// Crash takes the phone off the network in the middle of everything: it is no longer registered, and its calls vanish.
func (ph *Phone) Crash() {
	for _, p := range ph.Calls() {
		p.Vanish()
	}
	ph.Unregister()
}

// OnCall tells what the phone does when it is called. Of several behaviours the first call gets the first, and so on;
// the last one stays.
func (ph *Phone) OnCall(turns ...Behaviour) *Phone {
	ph.sw.mu.Lock()
	defer ph.sw.mu.Unlock()
	ph.turns = turns
	return ph
}

// behaviour is what the phone does with its next call. The caller holds sw.mu.
func (ph *Phone) behaviour(auto bool) Behaviour {
	b := RingForever()
	if auto {
		b = Answer()
	}
	if len(ph.turns) > 0 {
		b = ph.turns[0]
		if len(ph.turns) > 1 {
			ph.turns = ph.turns[1:]
		}
	}
	return b
}

// Calls are the phone's live legs.
func (ph *Phone) Calls() []*Party {
	return ph.sw.where(func(p *Party) bool { return p.phone == ph.name })
}

// Call is the phone's only or newest live leg, or nil.
func (ph *Phone) Call() *Party { return newest(ph.Calls()) }

// CallOut dials on the phone.
func (ph *Phone) CallOut(to string) *Party {
	sw := ph.sw
	sw.mu.Lock()
	defer sw.mu.Unlock()
	ln := sw.lines[ph.name]
	p := &Party{sw: sw, name: ph.name, phone: ph.name, from: ph.name, to: to, since: time.Now(), hertz: sw.tone()}
	sw.arrive(p, ln != nil && !ln.trunk, pbx.Event{From: ph.name, Phone: ph.name})
	return p
}

// lineChanged tells a line's state. The caller holds sw.mu.
func (sw *Switch) lineChanged(ln *line) {
	sw.emit(pbx.Event{Kind: pbx.LineChanged, Line: ln.name, LineState: sw.state(ln)})
}
