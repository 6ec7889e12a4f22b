//go:build it

package ari

import (
	"fmt"
	"testing"
	"time"

	"callplane/app/pbx"
)

func TestITHangupAtOnce(t *testing.T) {
	w := newWorld(t)
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	for i := range 60 {
		o, e := w.call(fmt.Sprint(5000 + i))
		w.ok(w.sw.Answer(w.Context(), e.Leg))
		c, err := o.Wait(t.Context())
		w.ok(err)
		time.Sleep(time.Duration(i%6) * 5 * time.Millisecond)
		w.ok(c.Hangup(t.Context()))
		w.await(e.Leg, pbx.Ended)
	}
}
