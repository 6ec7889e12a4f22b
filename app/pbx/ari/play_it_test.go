//go:build it

package ari

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"callplane/app/pbx"
	"callplane/app/sandbox/sipphone"
)

// answered is a caller from the carrier who is answered.
func (w *world) answered(to string, opts ...sipphone.CallOption) (*sipphone.Call, pbx.LegID) {
	w.Helper()
	o, e := w.call(to, opts...)
	w.ok(w.sw.Answer(w.Context(), e.Leg))
	w.await(e.Leg, pbx.Answered)
	c, err := o.Wait(w.Context())
	w.ok(err)
	w.Cleanup(func() { w.sw.Hangup(w.Context(), e.Leg, pbx.NormalClearing) })
	return c, e.Leg
}

func TestITRawPlay(t *testing.T) {
	w := newWorld(t)
	w.ok(w.sw.Provision(t.Context(), w.lines()))
	_, leg := w.answered("4002")
	raw := func(n int, q string) {
		play := pbx.PlayID(fmt.Sprintf("raw-%d", n))
		v, _ := url.ParseQuery(q)
		w.sw.mu.Lock()
		w.sw.legs[leg].plays[play] = &playing{parts: 1, left: 1}
		w.sw.mu.Unlock()
		start := time.Now()
		w.ok(w.sw.do(t.Context(), ask{op: "play", method: http.MethodPost, path: path("channels", string(leg), "play", string(play)), query: v}, nil))
		e := w.await(leg, pbx.PlayEnded)
		t.Logf("%s: %v ok=%v", q, time.Since(start).Round(time.Millisecond), e.OK)
	}
	for i, q := range []string{"media=sound:silence/1", "media=sound:silence/2&offsetms=1500", "media=sound:silence/10&offsetms=9500", "media=sound:beep", "media=sound:beep,sound:silence/1",
		"media=sound:nosuch", "media=sound:nosuch,sound:beep", "media=sound:beep,sound:nosuch,sound:beep", "media=sound:beep,sound:nosuch", "media=sound:silence/5&skipms=4000"} {
		raw(i, q)
	}
	w.ok(w.sw.Park(t.Context(), leg, ""))
	for i, q := range []string{"media=sound:silence/1", "media=sound:silence/2&offsetms=1500", "media=sound:beep"} {
		raw(10+i, q)
	}
	w.ok(w.sw.Join(t.Context(), "room-raw", leg))
	for i, q := range []string{"media=sound:silence/1", "media=sound:silence/2&offsetms=1500", "media=sound:beep"} {
		raw(20+i, q)
	}
}
