//go:build it

package ari

import (
	"testing"
	"time"

	"callplane/app/pbx"
	"callplane/app/sandbox/sipphone"
)

// A trunk's far end moves, again and again: each time it can be called at its new place, and not at the old one.
func TestITATrunkMoves(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.ok(w.sw.Provision(t.Context(), w.lines()))
		leg := pbx.LegID("moved-" + string(rune('a'+i)))
		w.ok(w.sw.Dial(t.Context(), leg, pbx.Dial{Trunk: "carrier", Number: "1"}))
		select {
		case in := <-w.carrier.Incoming():
			w.ok(in.Reject(486, 17))
		case <-time.After(3 * time.Second):
			t.Fatal("the call does not get there")
		}
		w.equal("cause", w.await(leg, pbx.Ended).Cause, pbx.Busy)
		w.carrier.Close()
		w.carrier = w.phone(sipphone.Config{Addr: "127.0.0.2", User: "carrier"})
	}
}

// A trunk's calls come from several networks; then from one less.
func TestITNetworks(t *testing.T) {
	w := newWorld(t)
	lines := w.lines()
	lines.Trunks[0].From = []string{"127.0.0.4", "127.0.0.2/32", "127.0.0.5/32"}
	w.ok(w.sw.Provision(t.Context(), lines))
	arrives := func(addr, to string) bool {
		p := w.phone(sipphone.Config{Addr: addr, User: "x"})
		defer p.Close()
		o, err := p.Start(to)
		w.ok(err)
		select {
		case <-o.Done(): // refused
			return false
		case <-time.After(500 * time.Millisecond):
			o.Cancel()
			return true
		}
	}
	for _, addr := range []string{"127.0.0.4", "127.0.0.2", "127.0.0.5"} {
		w.equal("from "+addr, arrives(addr, "1"), true)
	}
	lines.Trunks[0].From = []string{"127.0.0.4"}
	w.sw.provision.mu.Lock()
	clear(w.sw.provision.known) // as after a restart of ours
	w.sw.provision.mu.Unlock()
	w.ok(w.sw.Provision(t.Context(), lines))
	w.equal("from 127.0.0.4", arrives("127.0.0.4", "2"), true)
	w.equal("from 127.0.0.5", arrives("127.0.0.5", "2"), false)
}
