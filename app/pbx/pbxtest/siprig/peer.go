package siprig

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
	"callplane/app/sandbox/sipphone"
)

// limit is how long a far end waits for a SIP answer.
const limit = 10 * time.Second

// peer is a far end in a call.
type peer struct {
	rig  *Rig
	name string
	hz   float64
	out  *sipphone.Outgoing // the call it makes; nil when it was called

	answered, ended chan struct{}

	mu       sync.Mutex
	call     *sipphone.Call // once answered
	ear      *sipphone.Ear
	in       *sipphone.Incoming
	dialled  pbx.Dial
	rang     bool
	digits   []byte
	cause    pbx.Cause
	byUs     bool
	gaveUp   bool
	referred int // the final answer to a REFER, 0 before
}

var _ pbxtest.Peer = (*peer)(nil)

func (r *Rig) newPeer(name string) *peer {
	p := &peer{rig: r, name: name, answered: make(chan struct{}), ended: make(chan struct{})}
	p.hz = r.tones.take(name)
	return p
}

// callOut is the life of a call that the peer makes. Rig.New's cleanup waits for it.
func (p *peer) callOut() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	rang := make(chan struct{})
	go func() {
		defer close(rang)
		select {
		case <-p.out.Ringing():
			p.mu.Lock()
			p.rang = true
			p.mu.Unlock()
		case <-p.out.Done():
		}
	}()
	call, err := p.out.Wait(ctx)
	<-rang
	if err != nil {
		if r, ok := errors.AsType[*sipphone.Rejected](err); ok {
			p.over(pbx.CauseOfSIP(r.Code), true)
		} else {
			p.over(pbx.NormalClearing, false)
		}
		return
	}
	p.talk(call)
}

// takeCall is the life of a call to the peer.
func (p *peer) takeCall(in *sipphone.Incoming, b pbxtest.Behaviour) {
	p.mu.Lock()
	p.in = in
	p.dialled = pbx.Dial{CallerNumber: in.From, CallerName: in.Display, Headers: map[string]string{}}
	for k, v := range in.Headers {
		if strings.HasPrefix(k, "X-") {
			p.dialled.Headers[k] = v[0]
		}
	}
	auto := strings.ToLower(in.Headers.Get("Call-Info") + in.Headers.Get("Alert-Info"))
	p.dialled.AutoAnswer = strings.Contains(auto, "answer-after=0") || strings.Contains(auto, "auto")
	p.rang = !b.NoRing && !b.Early
	p.mu.Unlock()
	switch {
	case b.Early:
		_ = in.Progress()
	case !b.NoRing:
		_ = in.Ring()
	}
	if b.Answers || b.Cause != pbx.CauseUnknown {
		wait := time.NewTimer(b.Wait)
		select {
		case <-wait.C:
			if !b.Answers {
				_ = in.Reject(b.Cause.SIPStatus(), 0)
				<-in.Done()
				p.over(b.Cause, false)
				return
			}
			ctx, cancel := context.WithTimeout(context.Background(), limit)
			call, err := in.Answer(ctx)
			cancel()
			if err == nil {
				if b.Talk > 0 {
					hangup := time.AfterFunc(b.Talk, p.Hangup)
					defer hangup.Stop()
				}
				p.talk(call)
				return
			}
		case <-in.Done():
			wait.Stop()
		}
	}
	<-in.Done()
	cause := pbx.NormalClearing
	if c := in.CancelCause(); c.Elsewhere() {
		cause = pbx.AnsweredElsewhere
	} else if c.Q850 != 0 {
		cause = pbx.Cause(c.Q850)
	}
	p.over(cause, true)
}

// talk is an answered call until its end.
func (p *peer) talk(call *sipphone.Call) {
	call.SetTone(p.hz)
	p.mu.Lock()
	p.call, p.ear = call, call.Ear()
	gaveUp := p.gaveUp
	p.mu.Unlock()
	close(p.answered)
	if gaveUp { // it came too late for a CANCEL
		p.Hangup()
	}
	for {
		select {
		case d := <-call.Digits():
			p.mu.Lock()
			p.digits = append(p.digits, string(d.Key)...)
			p.mu.Unlock()
		case <-call.Done():
			cause := pbx.Cause(call.Cause().Q850)
			if cause == pbx.CauseUnknown {
				cause = pbx.NormalClearing
			}
			p.over(cause, call.EndedBy() == sipphone.Remote)
			return
		}
	}
}

// over ends the peer.
func (p *peer) over(cause pbx.Cause, byUs bool) {
	p.mu.Lock()
	p.cause, p.byUs = cause, byUs
	p.mu.Unlock()
	p.rig.tones.giveBack(p.hz)
	close(p.ended)
}

func (p *peer) isOver() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *peer) Name() string              { return p.name }
func (p *peer) Tone() float64             { return p.hz }
func (p *peer) Answered() <-chan struct{} { return p.answered }
func (p *peer) Ended() <-chan struct{}    { return p.ended }

func (p *peer) Rang() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rang
}

func (p *peer) Cause() (cause pbx.Cause, byUs bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cause, p.byUs
}

func (p *peer) Digits() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.digits)
}

func (p *peer) Dialled() pbx.Dial {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dialled
}

// live is the answered call, or nil.
func (p *peer) live() *sipphone.Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.call
}

// do does something with the answered call. The switch may know of the answer a little earlier than the far end.
func (p *peer) do(f func(ctx context.Context, c *sipphone.Call) error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	select {
	case <-p.answered:
		_ = f(ctx, p.live())
	case <-p.ended:
	case <-ctx.Done():
	}
}

func (p *peer) Press(digits string) {
	p.do(func(ctx context.Context, c *sipphone.Call) error { return c.SendDTMF(ctx, digits, 0) })
}
func (p *peer) Hold() {
	p.do(func(ctx context.Context, c *sipphone.Call) error { return c.Hold(ctx) })
}
func (p *peer) Unhold() {
	p.do(func(ctx context.Context, c *sipphone.Call) error { return c.Resume(ctx) })
}

func (p *peer) Hangup() {
	p.mu.Lock()
	call := p.call
	p.gaveUp = true
	p.mu.Unlock()
	switch {
	case call != nil:
		p.do(func(ctx context.Context, c *sipphone.Call) error { return c.Hangup(ctx) })
	case p.out != nil:
		p.out.Cancel()
	case p.in != nil:
		_ = p.in.Reject(pbx.Declined.SIPStatus(), 0)
	}
}

// Refer asks for a transfer and hangs up when it is told that it worked.
func (p *peer) Refer(to string) {
	p.do(func(ctx context.Context, c *sipphone.Call) error {
		t, err := c.Refer(ctx, to)
		if err != nil {
			return err
		}
		p.rig.wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			code, err := t.Wait(ctx)
			if err != nil {
				return
			}
			p.mu.Lock()
			p.referred = code
			p.mu.Unlock()
			if code/100 == 2 {
				p.Hangup()
			}
		})
		return nil
	})
}

func (p *peer) Transferred() (done, told bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.referred/100 == 2, p.referred != 0
}
