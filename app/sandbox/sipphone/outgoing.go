package sipphone

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// CallOption changes one INVITE.
type CallOption func(*Outgoing)

// From sets user and display name of the From header; empty keeps the phone's.
func From(user, display string) CallOption {
	return func(o *Outgoing) {
		if user != "" {
			o.call.local.uri.User = user
		}
		if display != "" {
			o.call.local.display = display
		}
	}
}

// Header adds a header to the INVITE.
func Header(name, value string) CallOption {
	return func(o *Outgoing) { o.headers = append(o.headers, sip.NewHeader(name, value)) }
}

// Asserted adds P-Asserted-Identity with this user at the phone's address, as a trunk does.
func Asserted(user, display string) CallOption {
	return func(o *Outgoing) {
		value := fmt.Sprintf("<sip:%s@%s>", user, o.phone.addr.Addr())
		if display != "" {
			value = fmt.Sprintf("%q %s", display, value)
		}
		o.headers = append(o.headers, sip.NewHeader("P-Asserted-Identity", value))
	}
}

// Anonymous withholds the number: From is anonymous@anonymous.invalid, and Privacy is id.
func Anonymous() CallOption {
	return func(o *Outgoing) {
		o.call.local.display = "Anonymous"
		o.call.local.uri = sip.Uri{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}
		o.headers = append(o.headers, sip.NewHeader("Privacy", "id"))
	}
}

// Auth sets name and password for this call's digest; otherwise it is the phone's.
func Auth(user, password string) CallOption {
	return func(o *Outgoing) { o.call.as = login{user, password} }
}

// Outgoing is a call that is being set up.
type Outgoing struct {
	phone   *Phone
	call    *Call
	to      sip.Uri
	headers []sip.Header

	ringing, early, final chan struct{}
	onceRing, onceEarly   sync.Once
	err                   error // valid once final is closed

	mu        sync.Mutex
	reason    string // of the CANCEL
	cancelled bool
	cancel    chan struct{}
}

// Call calls a number (on Config.Server) or a sip: URI, and returns once it is answered. A refusal is a *Rejected.
// When ctx ends the call is cancelled.
func (p *Phone) Call(ctx context.Context, to string, opts ...CallOption) (*Call, error) {
	o, err := p.Start(to, opts...)
	if err != nil {
		return nil, err
	}
	return o.Wait(ctx)
}

// Start is Call without waiting. The call goes on until it is answered, refused or cancelled; Close of the phone
// cancels it.
func (p *Phone) Start(to string, opts ...CallOption) (*Outgoing, error) {
	target, err := p.target(to)
	if err != nil {
		return nil, err
	}
	host, port := p.addr.Addr().String(), int(p.addr.Port())
	if p.cfg.Server != "" {
		var home sip.Uri
		if err := sip.ParseUri("sip:"+p.cfg.Server, &home); err == nil {
			host, port = home.Host, 0
		}
	}
	c, err := p.newCall(&dialog{
		id: newID(), as: login{p.cfg.AuthUser, p.cfg.Password},
		local:  party{p.cfg.Display, sip.Uri{Scheme: "sip", User: p.cfg.User, Host: host, Port: port}, sip.GenerateTagN(16)},
		remote: party{uri: target}, target: target,
	}, time.Now())
	if err != nil {
		return nil, err
	}
	o := &Outgoing{
		phone: p, call: c, to: target,
		ringing: make(chan struct{}), early: make(chan struct{}), final: make(chan struct{}), cancel: make(chan struct{}),
	}
	for _, opt := range opts {
		opt(o)
	}
	p.mu.Lock()
	p.dialing[o] = struct{}{}
	p.mu.Unlock()
	if !p.spawn(o.run) {
		c.end(Local, Cause{})
		return nil, ErrClosed
	}
	return o, nil
}

// ID is the SIP Call-ID.
func (o *Outgoing) ID() string { return o.call.ID() }

// Ringing is closed at the first 180.
func (o *Outgoing) Ringing() <-chan struct{} { return o.ringing }

// EarlyMedia is closed at the first 1xx with SDP: Ear hears, and our tone is sent.
func (o *Outgoing) EarlyMedia() <-chan struct{} { return o.early }

// Ear is what the call hears, early media included.
func (o *Outgoing) Ear() *Ear { return o.call.Ear() }

// Cancel gives up: CANCEL as soon as the other side has answered at all, BYE if its 200 was faster. It does not
// wait; Wait will return ErrCancelled.
func (o *Outgoing) Cancel() { o.CancelWith("") }

// CancelWith is Cancel with a Reason header, such as `SIP;cause=200;text="Call completed elsewhere"`.
func (o *Outgoing) CancelWith(reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.cancelled {
		o.cancelled, o.reason = true, reason
		close(o.cancel)
	}
}

// Done is closed when Wait has a result.
func (o *Outgoing) Done() <-chan struct{} { return o.final }

// Wait returns the call once it is answered. A refusal is a *Rejected. When ctx ends the call is cancelled.
func (o *Outgoing) Wait(ctx context.Context) (*Call, error) {
	select {
	case <-o.final:
	case <-ctx.Done():
		o.Cancel()
		return nil, fmt.Errorf("call %s: %w", o.to.User, ctx.Err())
	}
	if o.err != nil {
		return nil, o.err
	}
	return o.call, nil
}

// run is the whole set-up. Start starts it, Close waits for it.
func (o *Outgoing) run() {
	o.err = o.dial()
	if o.err != nil {
		by, cause := Remote, Cause{}
		if r := (*Rejected)(nil); errors.As(o.err, &r) {
			cause = r.Cause
		} else {
			by = Local
		}
		if !o.call.isUp() {
			o.call.end(by, cause)
			o.call.forget()
		}
	}
	o.phone.mu.Lock()
	delete(o.phone.dialing, o)
	o.phone.mu.Unlock()
	close(o.final)
}

func (o *Outgoing) dial() error {
	c := o.call
	a, err := o.phone.invite(o.phone.ctx, c.as, inviting{build: o.invite, progress: o.progress, cancel: o.cancel, reason: func() string {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.reason
	}})
	if err != nil {
		return err
	}
	c.answeredBy(a.res)
	c.confirmed(a)
	c.establish()
	o.mu.Lock()
	cancelled := o.cancelled
	o.mu.Unlock()
	if cancelled {
		c.fail(ErrCancelled)
		return ErrCancelled
	}
	if err := c.takeAnswer(a.res); err != nil {
		c.fail(err)
		return fmt.Errorf("answer to %s: %w", o.to.User, err)
	}
	return nil
}

// invite builds the INVITE, again after a challenge.
func (o *Outgoing) invite() *sip.Request {
	req := o.call.next(sip.INVITE)
	req.AppendHeader(sip.NewHeader("Allow", allow))
	for _, h := range o.headers {
		req.AppendHeader(h)
	}
	sdpBody(req, o.call.offer(sendRecv))
	return req
}

// progress takes a 1xx.
func (o *Outgoing) progress(res *sip.Response) {
	if res.StatusCode == 180 {
		o.onceRing.Do(func() {
			o.call.mark(func(t *Times) { t.Ringing = time.Now() })
			close(o.ringing)
		})
	}
	if len(res.Body()) > 0 && o.call.takeAnswer(res) == nil {
		o.onceEarly.Do(func() {
			o.call.mark(func(t *Times) { t.EarlyMedia = time.Now() })
			close(o.early)
		})
	}
}
