package sipphone

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func phone(t *testing.T, cfg Config) *Phone {
	t.Helper()
	p, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wait[T any](t *testing.T, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s in 10 s", what)
		panic("unreachable")
	}
}

// talk sets up a call from a to b and returns both ends.
func talk(t *testing.T, a, b *Phone, opts ...CallOption) (caller, callee *Call) {
	t.Helper()
	ctx := within(t, 10*time.Second)
	o, err := a.Start(b.URI(), opts...)
	must(t, err)
	in := wait(t, b.Incoming(), "call")
	must(t, in.Ring())
	wait(t, o.Ringing(), "ringing")
	callee, err = in.Answer(ctx)
	must(t, err)
	caller, err = o.Wait(ctx)
	must(t, err)
	return caller, callee
}

func TestTalk(t *testing.T) {
	a, b := phone(t, Config{User: "ann", Display: "Ann", Tone: 440}), phone(t, Config{User: "bob", Tone: 1000})
	x, y := talk(t, a, b)
	ctx := within(t, 10*time.Second)
	_, err := x.Ear().WaitTone(ctx, 1000, 300*time.Millisecond)
	must(t, err)
	_, err = y.Ear().WaitTone(ctx, 440, 300*time.Millisecond)
	must(t, err)
	if !x.Ear().Hears(1000) || x.Ear().Hears(440) || x.Ear().Hears(1050) || x.Ear().Hears(950) {
		t.Errorf("caller hears %v, want 1000 Hz alone", x.Ear().Tones(glance))
	}
	y.SetTone(1050)
	_, err = x.Ear().WaitTone(ctx, 1050, 200*time.Millisecond)
	must(t, err)
	if x.Ear().Hears(1000) {
		t.Error("the old tone is still heard")
	}
	if x.ID() != y.ID() || y.Remote() != "ann" || x.Remote() != "bob" {
		t.Errorf("ids %q %q, remotes %q %q", x.ID(), y.ID(), x.Remote(), y.Remote())
	}

	must(t, y.HangupCause(ctx, 16))
	wait(t, x.Done(), "end at the caller")
	if x.EndedBy() != Remote || y.EndedBy() != Local || x.Cause().Q850 != 16 {
		t.Errorf("ended by %s and %s, cause %+v", x.EndedBy(), y.EndedBy(), x.Cause())
	}
	s, at := x.Stats(), x.Times()
	if s.In < 20 || s.Out < 20 || s.Lost != 0 || s.FirstIn.IsZero() {
		t.Errorf("stats %+v", s)
	}
	if !(at.Invited.Before(at.Ringing) && at.Ringing.Before(at.Answered) && at.Answered.Before(at.Ended)) {
		t.Errorf("times %+v", at)
	}
	must(t, x.Hangup(ctx)) // again is fine
}

func TestBothHangUp(t *testing.T) {
	x, y := talk(t, phone(t, Config{}), phone(t, Config{}))
	ctx := within(t, 10*time.Second)
	ends := make(chan error, 2)
	go func() { ends <- x.Hangup(ctx) }()
	go func() { ends <- y.Hangup(ctx) }()
	must(t, wait(t, ends, "hangup"))
	must(t, wait(t, ends, "hangup"))
}

func TestDTMF(t *testing.T) {
	x, y := talk(t, phone(t, Config{Tone: 440}), phone(t, Config{}))
	const digits = "0159*#D55"
	must(t, x.SendDTMF(within(t, 10*time.Second), digits, 80*time.Millisecond))
	for _, want := range digits {
		got := wait(t, y.Digits(), "digit")
		if got.Key != want || got.For != 80*time.Millisecond {
			t.Errorf("heard %c for %v, want %c for 80 ms", got.Key, got.For, want)
		}
	}
	select {
	case d := <-y.Digits():
		t.Errorf("one more digit: %c", d.Key)
	default:
	}
	if err := x.SendDTMF(t.Context(), "7x", 0); err == nil {
		t.Error("x passed as a key")
	}
}

func TestHold(t *testing.T) {
	x, y := talk(t, phone(t, Config{Tone: 440}), phone(t, Config{Tone: 1000}))
	ctx := within(t, 10*time.Second)
	_, err := x.Ear().WaitTone(ctx, 1000, 100*time.Millisecond)
	must(t, err)
	must(t, x.Hold(ctx))
	if !y.Held() || x.Held() {
		t.Errorf("held: %v %v, want the callee held", x.Held(), y.Held())
	}
	_, err = x.Ear().WaitSilence(ctx, 300*time.Millisecond)
	must(t, err)
	_, err = y.Ear().WaitSilence(ctx, 300*time.Millisecond)
	must(t, err)
	must(t, x.Resume(ctx))
	_, err = x.Ear().WaitTone(ctx, 1000, 200*time.Millisecond)
	must(t, err)
	_, err = y.Ear().WaitTone(ctx, 440, 200*time.Millisecond)
	must(t, err)
	if y.Held() {
		t.Error("still held")
	}
	must(t, y.Hold(ctx)) // the other way round
	if !x.Held() {
		t.Error("the caller is not held")
	}
}

func TestRefer(t *testing.T) {
	c := phone(t, Config{User: "carl", Tone: 1700})
	targets := make(chan string, 1)
	a := phone(t, Config{Tone: 440, OnRefer: func(_ *Call, target string) int {
		targets <- target
		return 200
	}})
	x, y := talk(t, a, phone(t, Config{}))
	ctx := within(t, 10*time.Second)
	tr, err := y.Refer(ctx, c.URI())
	must(t, err)
	code, err := tr.Wait(ctx)
	must(t, err)
	if first := wait(t, tr.Progress(), "progress"); code != 200 || first != 100 {
		t.Errorf("transfer: %d, then %d", first, code)
	}
	if got := wait(t, targets, "target"); got != c.URI() {
		t.Errorf("target %q, want %q", got, c.URI())
	}
	if _, err := x.Refer(ctx, c.URI()); codeOf(err) != 603 {
		t.Errorf("refer to a phone that takes none: %v", err)
	}
}

func codeOf(err error) int {
	if r := (*Rejected)(nil); errors.As(err, &r) {
		return r.Code
	}
	return 0
}

func TestVanish(t *testing.T) {
	a, b := phone(t, Config{Tone: 440}), phone(t, Config{Tone: 1000})
	x, y := talk(t, a, b)
	ctx := within(t, 10*time.Second)
	_, err := x.Ear().WaitTone(ctx, 1000, 100*time.Millisecond)
	must(t, err)
	b.Vanish(true)
	_, err = x.Ear().WaitSilence(ctx, 300*time.Millisecond)
	must(t, err)
	b.Close()
	if y.EndedBy() != Local {
		t.Errorf("ended by %q", y.EndedBy())
	}
	select {
	case <-x.Done():
		t.Error("a vanished phone said goodbye")
	default:
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := x.Hangup(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang up to nobody: %v", err)
	}
}

func TestCloseHangsUp(t *testing.T) {
	a, b := phone(t, Config{}), phone(t, Config{})
	x, _ := talk(t, a, b)
	o, err := b.Start(a.URI())
	must(t, err)
	in := wait(t, a.Incoming(), "call")
	b.Close()
	wait(t, x.Done(), "BYE")
	wait(t, in.Cancelled(), "CANCEL")
	if _, err := o.Wait(t.Context()); !errors.Is(err, ErrCancelled) {
		t.Errorf("outgoing call of a closed phone: %v", err)
	}
	if _, err := b.Start(a.URI()); !errors.Is(err, ErrClosed) {
		t.Errorf("call from a closed phone: %v", err)
	}
	if x.EndedBy() != Remote {
		t.Errorf("ended by %q", x.EndedBy())
	}
}
