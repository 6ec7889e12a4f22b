//go:build it

package ari

import (
	"testing"
	"time"

	"callplane/app/sandbox"
)

func TestITPark(t *testing.T) {
	w := newWorld(t)
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	c, leg := w.answered("4003")
	c2, leg2 := w.answered("4004")
	hears := func(hz float64) {
		t.Helper()
		start := c.Ear().Now()
		at, err := c.Ear().WaitToneFrom(t.Context(), start, hz, 100*time.Millisecond)
		t.Log(hz, (at - start).Round(time.Millisecond), err)
		if err != nil {
			t.Log(c.Ear().Tones(time.Second), c.Stats())
		}
	}
	w.ok(w.sw.Park(t.Context(), leg, ""))
	hears(sandbox.DefaultMusic.Tone())
	w.ok(w.sw.Park(t.Context(), leg2, ""))
	hears(sandbox.DefaultMusic.Tone())
	w.ok(w.sw.Park(t.Context(), leg, "jazz"))
	hears(sandbox.JazzMusic.Tone())
	w.ok(w.sw.Play(t.Context(), leg, "over", "http://127.0.0.1:1/x.wav", "silence:1000"))
	hears(sandbox.JazzMusic.Tone())
	_ = c2
}
