package sipphone

import (
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
)

// handle takes every request that is not a repetition. The transaction layer gives each its own goroutine.
func (p *Phone) handle(req *sip.Request, tx *sip.ServerTx) {
	if !p.begin() {
		tx.Terminate()
		return
	}
	defer p.wg.Done()
	p.serve(req, tx)
	tx.TerminateGracefully()
}

func (p *Phone) serve(req *sip.Request, tx *sip.ServerTx) {
	if req.Via() == nil || req.From() == nil || req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		_ = tx.Respond(p.newResponse(req, 400, ""))
		return
	}
	if tag := tagOf(req.To().Params); tag != "" {
		p.serveDialog(req, tx, tag)
		return
	}
	switch req.Method {
	case sip.INVITE:
		p.invited(req, tx)
	case sip.OPTIONS, sip.NOTIFY, sip.MESSAGE, sip.INFO:
		_ = tx.Respond(p.newResponse(req, 200, ""))
	case sip.REGISTER:
		p.registered(req, tx)
	case sip.ACK:
	case sip.CANCEL, sip.BYE:
		_ = tx.Respond(p.newResponse(req, 481, ""))
	default:
		res := p.newResponse(req, 405, "")
		res.AppendHeader(sip.NewHeader("Allow", allow))
		_ = tx.Respond(res)
	}
}

// serveDialog takes a request that names our tag.
func (p *Phone) serveDialog(req *sip.Request, tx *sip.ServerTx, tag string) {
	p.mu.Lock()
	c := p.calls[dialogKey(req.CallID().Value(), tag)]
	p.mu.Unlock()
	switch {
	case req.Method == sip.ACK:
		if c != nil {
			c.acked(req)
		}
		return
	case c == nil:
		_ = tx.Respond(p.newResponse(req, 481, ""))
		return
	case req.Method == sip.BYE:
		_ = tx.Respond(p.newResponse(req, 200, ""))
		c.end(Remote, causeOf(headersOf(req.Headers())))
		c.forget()
		return
	}
	select { // a quick peer may ask before we have dealt with its 200
	case <-c.up:
	case <-c.done:
	case <-p.ctx.Done():
		return
	}
	switch req.Method {
	case sip.INVITE:
		c.reinvited(req, tx)
	case sip.NOTIFY:
		c.notified(req) // before the answer: the next NOTIFY may come right after it
		_ = tx.Respond(p.newResponse(req, 200, ""))
	case sip.REFER:
		c.referred(req, tx)
	case sip.OPTIONS, sip.INFO, sip.MESSAGE:
		_ = tx.Respond(p.newResponse(req, 200, ""))
	default:
		_ = tx.Respond(p.newResponse(req, 405, ""))
	}
}

// confirm sends a 2xx to an INVITE and repeats it until the ACK comes (RFC 3261, 13.3.1.4). It is ErrNoAnswer after
// 64 T1 (32 s). If the call ends first, for a BYE may overtake the ACK, there is neither ACK nor error.
func (c *Call) confirm(tx *sip.ServerTx, res *sip.Response, ack <-chan *sip.Request) (*sip.Request, error) {
	if err := tx.Respond(res); err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	wait := sip.T1
	again := time.NewTimer(wait)
	defer again.Stop()
	giveUp := time.NewTimer(64 * sip.T1)
	defer giveUp.Stop()
	for {
		select {
		case req := <-ack:
			return req, nil
		case req := <-tx.Acks(): // an ACK with the branch of the INVITE, as in RFC 2543
			return req, nil
		case <-again.C:
			if err := tx.Respond(res); err != nil {
				return nil, fmt.Errorf("answer: %w", err)
			}
			wait = min(2*wait, sip.T2)
			again.Reset(wait)
		case <-giveUp.C:
			return nil, fmt.Errorf("wait for ACK: %w", ErrNoAnswer)
		case <-c.done:
			return nil, nil
		case <-c.phone.ctx.Done():
			return nil, ErrClosed
		}
	}
}
