package sipphone

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// retryRegister is the pause after a refresh that failed.
const retryRegister = 2 * time.Second

// registration is the phone's own, at the switch.
type registration struct {
	turn    chan struct{} // holds one token: one REGISTER at a time
	id, tag string

	mu    sync.Mutex
	seq   uint32
	until time.Time
	stop  context.CancelFunc // ends the refreshing, nil if there is none
}

func (r *registration) init() {
	r.turn = make(chan struct{}, 1)
	r.turn <- struct{}{}
	r.id, r.tag = newID(), sip.GenerateTagN(16)
}

// Register registers at Config.Server for this long (whole seconds) and keeps it fresh, at four fifths of the time
// granted, until Unregister or Close. A refusal is a *Rejected. If a refresh fails it is tried again every 2 s.
func (p *Phone) Register(ctx context.Context, expires time.Duration) error {
	granted, err := p.register(ctx, expires)
	if err != nil {
		return err
	}
	p.reg.mu.Lock()
	defer p.reg.mu.Unlock()
	if p.reg.stop != nil {
		p.reg.stop()
	}
	fresh, stop := context.WithCancel(p.ctx)
	p.reg.stop = stop
	p.spawn(func() { p.refresh(fresh, expires, granted) })
	return nil
}

func (p *Phone) refresh(ctx context.Context, expires, granted time.Duration) {
	next := time.NewTimer(granted * 4 / 5)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		try, cancel := context.WithTimeout(ctx, max(granted/2, retryRegister))
		got, err := p.register(try, expires)
		cancel()
		if err != nil {
			next.Reset(retryRegister)
			continue
		}
		granted = got
		next.Reset(granted * 4 / 5)
	}
}

// Unregister takes the registration back.
func (p *Phone) Unregister(ctx context.Context) error {
	p.reg.mu.Lock()
	if p.reg.stop != nil {
		p.reg.stop()
		p.reg.stop = nil
	}
	p.reg.mu.Unlock()
	_, err := p.register(ctx, 0)
	return err
}

// Registered says whether the switch's grant has not run out.
func (p *Phone) Registered() bool {
	p.reg.mu.Lock()
	defer p.reg.mu.Unlock()
	return time.Now().Before(p.reg.until)
}

// register sends one REGISTER, with digest if asked, and returns the time granted.
func (p *Phone) register(ctx context.Context, expires time.Duration) (time.Duration, error) {
	if p.cfg.Server == "" {
		return 0, errors.New("register: no Config.Server")
	}
	var domain sip.Uri
	if err := sip.ParseUri("sip:"+p.cfg.Server, &domain); err != nil {
		return 0, err
	}
	me := domain
	me.User = p.cfg.User
	select {
	case <-p.reg.turn:
		defer func() { p.reg.turn <- struct{}{} }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	seconds := int(expires / time.Second)
	res, err := p.doAuth(ctx, login{p.cfg.AuthUser, p.cfg.Password}, func() *sip.Request {
		p.reg.mu.Lock()
		p.reg.seq++
		seq := p.reg.seq
		p.reg.mu.Unlock()
		req := p.newRequest(sip.REGISTER, domain, p.reg.id, seq, party{p.cfg.Display, me, p.reg.tag}, party{uri: me})
		req.AppendHeader(sip.NewHeader("Expires", strconv.Itoa(seconds)))
		return req
	})
	if err != nil {
		return 0, err
	}
	if !res.IsSuccess() {
		return 0, rejection(res)
	}
	granted := p.granted(res, seconds)
	p.reg.mu.Lock()
	p.reg.until = time.Now().Add(granted)
	p.reg.mu.Unlock()
	return granted, nil
}

// granted reads how long the registrar keeps our contact.
func (p *Phone) granted(res *sip.Response, asked int) time.Duration {
	if h := res.GetHeader("Expires"); h != nil {
		if n, err := strconv.Atoi(h.Value()); err == nil {
			asked = n
		}
	}
	for _, h := range res.GetHeaders("Contact") {
		var uri sip.Uri
		var params sip.HeaderParams
		if _, err := sip.ParseAddressValue(h.Value(), &uri, &params); err != nil || uri.Port != int(p.addr.Port()) {
			continue
		}
		if n, err := strconv.Atoi(params.GetOr("expires", "")); err == nil {
			asked = n
		}
	}
	return time.Duration(asked) * time.Second
}

func rejection(res *sip.Response) *Rejected {
	h := headersOf(res.Headers())
	return &Rejected{Code: res.StatusCode, Reason: res.Reason, Cause: causeOf(h), Headers: h}
}
