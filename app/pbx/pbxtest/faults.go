package pbxtest

import (
	"maps"
	"slices"
	"time"

	"callplane/app/pbx"
)

// Cut breaks the network between control plane and switch: Lost, then no events and no commands. Calls go on; what
// happens meanwhile is not told later, and new calls are refused.
func (sw *Switch) Cut() {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if l := sw.link; l != nil && !l.cut {
		l.put(pbx.Event{Kind: pbx.Lost})
		l.cut = true
	}
}

// Restore mends what Cut broke: Resync.
func (sw *Switch) Restore() {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if l := sw.link; l != nil && l.cut {
		l.cut = false
		l.put(pbx.Event{Kind: pbx.Resync})
	}
}

// Restart is the switch dying and starting again: all legs are gone without an Ended, recordings that ran are kept as
// far as they came, and the control plane sees Lost and Resync.
func (sw *Switch) Restart() {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	l := sw.link
	if sw.connected() {
		l.put(pbx.Event{Kind: pbx.Lost})
	}
	sw.link = nil // so that nothing is told
	for _, p := range slices.Collect(maps.Values(sw.legs)) {
		p.end(pbx.NetworkOutOfOrder, false)
	}
	sw.link = l
	if sw.connected() {
		l.put(pbx.Event{Kind: pbx.Resync})
	}
}

// Detach kills the control plane: its commands fail and no events reach it. Calls go on; Attach brings the next one.
func (sw *Switch) Detach() {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if l := sw.link; l != nil {
		l.dead, l.queue, sw.link = true, nil, nil
	}
}

// Attach connects a new control plane, which gets events from now on, once it runs its Switch. One that is still
// connected gets Replaced and nothing more, and its commands fail.
func (sw *Switch) Attach() pbx.Switch {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	if sw.link != nil {
		sw.link.put(pbx.Event{Kind: pbx.Replaced})
		sw.link.dead = true
	}
	sw.link = newLink(sw)
	return sw.link
}

// FailNext makes the next command of this kind fail without effect. Several add up.
func (sw *Switch) FailNext(verb Verb, err error) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.fail[verb] = append(sw.fail[verb], err)
}

// Delay makes commands of this kind (or AnyVerb) take so long before they have effect.
func (sw *Switch) Delay(verb Verb, d time.Duration) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.delay[verb] = d
}

// DiskFull ends all recordings, with what they have, as Asterisk does; new ones end at once. Nothing says that
// something is missing but the length.
func (sw *Switch) DiskFull(full bool) {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.full = full
	if full {
		for _, r := range sw.recs {
			sw.endRecord(r)
		}
	}
}
