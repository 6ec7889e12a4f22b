package pbxtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"callplane/app/pbx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape runs a link in a synctest bubble and keeps all its events.
type tape struct {
	t      *testing.T
	sw     pbx.Switch
	stop   func()
	events []pbx.Event
}

func run(t *testing.T, sw pbx.Switch) *tape {
	ctx, cancel := context.WithCancel(t.Context())
	tp := &tape{t: t, sw: sw}
	done := make(chan struct{})
	go sw.Run(ctx)
	go func() {
		defer close(done)
		for e := range sw.Events() {
			tp.events = append(tp.events, e)
		}
	}()
	tp.stop = func() { cancel(); <-done }
	t.Cleanup(tp.stop)
	synctest.Wait()
	return tp
}

// story is the kinds of a leg's events (or of those without a leg), in order.
func (tp *tape) story(leg pbx.LegID) string {
	synctest.Wait()
	var out []string
	for _, e := range tp.events {
		if e.Leg == leg {
			s := e.Kind.String()
			switch e.Kind {
			case pbx.Ended:
				s += fmt.Sprintf("(%v,%v)", e.Cause, e.ByUs)
			case pbx.Digit:
				s += e.Digit
			case pbx.PlayEnded, pbx.RecordEnded:
				s += fmt.Sprintf("(%v)", e.OK)
			case pbx.LineChanged:
				s += fmt.Sprintf("(%s,%s)", e.Line, e.LineState)
			}
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func hears(t *testing.T, p *Party, want ...string) {
	t.Helper()
	if got := p.Hears(); !slices.Equal(got, want) {
		t.Errorf("%s hears %q, want %q", p.Name(), got, want)
	}
}

func TestCallThroughQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		sw := New()
		sw.AddPhone("1001").OnCall(AnswerAfter(2*time.Second), RejectWith(pbx.Busy))
		tp := run(t, sw)
		caller := sw.CallIn(Inbound{From: "13800138000", Name: "Li", To: "4001"})
		in := caller.ID()
		ok(t, sw.Ring(ctx, in))
		hears(t, caller, "ringing")
		ok(t, sw.Answer(ctx, in))
		ok(t, sw.Park(ctx, in, "jazz"))
		hears(t, caller, "music:jazz")
		ok(t, sw.Play(ctx, in, "p1", "http://x/a.wav", "silence:500", "http://x/b.wav"))
		hears(t, caller, "play:http://x/a.wav")
		time.Sleep(1200 * time.Millisecond)
		hears(t, caller, Silence)
		time.Sleep(time.Second)
		hears(t, caller, "play:http://x/b.wav")
		time.Sleep(time.Second)
		hears(t, caller, "music:jazz")
		want(t, "heard", len(caller.Heard()), 4)

		ok(t, sw.Dial(ctx, "out-1", pbx.Dial{Phone: "1001", CallerNumber: "13800138000", Tag: "c1"}))
		phone := sw.Phone("1001").Call()
		want(t, "rang", phone.Rang(), true)
		time.Sleep(3 * time.Second)
		ok(t, sw.Join(ctx, "r", in, "out-1"))
		hears(t, caller, "1001")
		hears(t, phone, "13800138000")
		ok(t, sw.Mute(ctx, in, true))
		hears(t, phone, Silence)
		ok(t, sw.Mute(ctx, in, false))
		phone.Hold()
		hears(t, caller, "music:default")
		hears(t, phone, Silence)
		phone.Unhold()
		caller.Press("1#")
		snap, err := sw.Snapshot(ctx)
		ok(t, err)
		want(t, "legs", len(snap.Legs), 2)
		phone.Refer("1002")
		ok(t, sw.Referred(ctx, "out-1", true))
		ok(t, sw.Hangup(ctx, in, pbx.NormalClearing))
		if err := sw.Hangup(ctx, in, pbx.NormalClearing); !errors.Is(err, pbx.ErrNoLeg) {
			t.Error(err)
		}
		want(t, "caller", tp.story(in), "Arrived Answered PlayEnded(true) Digit1 Digit# Ended(normal_clearing,true)")
		want(t, "phone", tp.story("out-1"),
			"Ringing Answered Held Unheld TransferAsked Ended(normal_clearing,false)")
		want(t, "first log line", sw.Log()[0], "Ring in-1")

		ok(t, sw.Dial(ctx, "out-2", pbx.Dial{Phone: "1001"}))
		want(t, "second call", tp.story("out-2"), "Ended(busy,false)")
	})
}
