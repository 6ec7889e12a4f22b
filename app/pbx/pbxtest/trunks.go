package pbxtest

import (
	"fmt"
	"time"

	"callplane/app/pbx"
)

// Trunk is the world behind a trunk.
type Trunk struct {
	sw   *Switch
	name string

	// Guarded by sw.mu.
	down   bool
	onCall func(number string) Behaviour
}

// trunk finds or makes the far end. The caller holds sw.mu.
func (sw *Switch) trunk(name string) *Trunk {
	t := sw.trunks[name]
	if t == nil {
		t = &Trunk{sw: sw, name: name}
		sw.trunks[name] = t
	}
	return t
}

// Trunk is the world behind the trunk of this name.
func (sw *Switch) Trunk(name string) *Trunk {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	return sw.trunk(name)
}

// AddTrunk makes a trunk known by hand; Provision leaves it alone.
func (sw *Switch) AddTrunk(name string) *Trunk {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	return sw.addTrunk(name)
}

func (sw *Switch) addTrunk(name string) *Trunk {
	if sw.lines[name] == nil {
		sw.lines[name] = &line{name: name, trunk: true}
		sw.lineChanged(sw.lines[name])
	}
	return sw.trunk(name)
}

// OnCall tells what called numbers do; without it they ring for ever.
func (t *Trunk) OnCall(f func(number string) Behaviour) *Trunk {
	t.sw.mu.Lock()
	defer t.sw.mu.Unlock()
	t.onCall = f
	return t
}

// Always makes every called number behave alike.
func Always(b Behaviour) func(number string) Behaviour {
	return func(string) Behaviour { return b }
}

// behaviour is what a called number does. The caller holds sw.mu.
func (t *Trunk) behaviour(number string) Behaviour {
	if t.onCall == nil {
		return RingForever()
	}
	return t.onCall(number)
}

// Up and Down make the far end answer OPTIONS, or not.
func (t *Trunk) Up() { t.setDown(false) }

// Down makes the trunk unreachable. Calls in progress go on.
func (t *Trunk) Down() { t.setDown(true) }

func (t *Trunk) setDown(down bool) {
	t.sw.mu.Lock()
	defer t.sw.mu.Unlock()
	if t.down != down {
		t.down = down
		if ln := t.sw.lines[t.name]; ln != nil && ln.trunk {
			t.sw.lineChanged(ln)
		}
	}
}

// Calls are the live legs on the trunk, both ways.
func (t *Trunk) Calls() []*Party {
	return t.sw.where(func(p *Party) bool { return p.trunk == t.name })
}

// Call is the newest live leg from or to a number, or nil.
func (t *Trunk) Call(number string) *Party {
	return newest(t.sw.where(func(p *Party) bool { return p.trunk == t.name && p.name == number }))
}

// where finds live legs.
func (sw *Switch) where(match func(*Party) bool) []*Party {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	var out []*Party
	for _, p := range sw.legs {
		if match(p) {
			out = append(out, p)
		}
	}
	return out
}

func newest(parties []*Party) *Party {
	var n *Party
	for _, p := range parties {
		if n == nil || p.since.After(n.since) || p.since.Equal(n.since) && p.id > n.id {
			n = p
		}
	}
	return n
}

// Inbound is a call from outside.
type Inbound struct {
	From, Name string // calling number and name; no number is a withheld one
	To         string // the number dialled
	Trunk      string // "" is the only trunk, or a new one called "carrier" if there is none
	Withheld   bool   // the caller asks for privacy
	Headers    map[string]string
}

// CallIn is a call from outside. A trunk that the switch does not know is refused.
func (sw *Switch) CallIn(in Inbound) *Party {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if in.Trunk == "" {
		in.Trunk = sw.onlyTrunk()
	}
	ln := sw.lines[in.Trunk]
	p := &Party{
		sw: sw, name: in.From, trunk: in.Trunk, from: in.From, to: in.To, since: time.Now(), hertz: sw.tone(),
		headers: in.Headers,
	}
	e := pbx.Event{From: in.From, FromName: in.Name, Trunk: in.Trunk, Headers: in.Headers}
	if in.Withheld || in.From == "" {
		e.From, e.FromName, e.Withheld, p.from = "", "", true, ""
	}
	if p.name == "" {
		p.name = "withheld"
	}
	sw.arrive(p, ln != nil && ln.trunk, e)
	return p
}

func (sw *Switch) onlyTrunk() string {
	only := ""
	for name, ln := range sw.lines {
		if ln.trunk && (only == "" || name < only) {
			only = name
		}
	}
	if only == "" {
		only = "carrier"
		sw.addTrunk(only)
	}
	return only
}

// arrive brings a call to the control plane. Without one the switch refuses it. The caller holds sw.mu.
func (sw *Switch) arrive(p *Party, known bool, e pbx.Event) {
	sw.arrivals++
	p.id = pbx.LegID(fmt.Sprintf("in-%d", sw.arrivals))
	switch {
	case !known:
		p.state, p.cause = gone, pbx.Declined
		return
	case !sw.connected():
		p.state, p.cause = gone, pbx.SwitchCongestion
		return
	}
	sw.legs[p.id] = p
	e.Kind, e.To = pbx.Arrived, p.to
	p.emit(e)
}
