package sipphone

import (
	"context"

	"github.com/emiago/sipgo/sip"
)

// Hold puts the other side on hold: re-INVITE with a=sendonly, and silence instead of our tone.
func (c *Call) Hold(ctx context.Context) error { return c.modify(ctx, sendOnly) }

// Resume takes the other side back from hold: re-INVITE with a=sendrecv.
func (c *Call) Resume(ctx context.Context) error { return c.modify(ctx, sendRecv) }

// modify sends a re-INVITE that asks for a direction. A refusal is a *Rejected; 491 means that both sides asked at
// once.
func (c *Call) modify(ctx context.Context, dir direction) error {
	select {
	case c.modifying <- struct{}{}:
		defer func() { <-c.modifying }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !c.isUp() {
		return ErrEnded
	}
	answer, err := c.phone.invite(ctx, c.as, inviting{build: func() *sip.Request {
		req := c.next(sip.INVITE)
		req.AppendHeader(sip.NewHeader("Allow", allow))
		sdpBody(req, c.offer(dir))
		return req
	}})
	if err != nil {
		return err
	}
	c.refresh(answer.res.Contact())
	c.confirmed(answer)
	c.mu.Lock()
	c.own = dir
	c.mu.Unlock()
	c.media.mute(dir == sendOnly)
	return c.takeAnswer(answer.res)
}

// confirmed sends the ACK for a 2xx, now and for each repetition of it.
func (c *Call) confirmed(a answered) {
	ack := c.request(sip.ACK, a.req.CSeq().SeqNo)
	again := ack.Clone()
	a.tx.OnRetransmission(func(*sip.Response) { c.phone.write(again.Clone()) })
	c.phone.write(ack)
}

// reinvited answers a re-INVITE of the other side: hold, resume, or another media address.
func (c *Call) reinvited(req *sip.Request, tx *sip.ServerTx) {
	select {
	case c.modifying <- struct{}{}:
	default: // both at once
		_ = tx.Respond(c.phone.newResponse(req, 491, ""))
		return
	}
	defer func() { <-c.modifying }()
	if !c.isUp() {
		_ = tx.Respond(c.phone.newResponse(req, 481, ""))
		return
	}
	res := c.phone.newResponse(req, 200, "")
	delayed := len(req.Body()) == 0
	if delayed {
		c.mu.Lock()
		own := c.own
		c.mu.Unlock()
		sdpBody(res, c.offer(own))
	} else {
		s, err := parseSDP(req.Body())
		if err != nil {
			_ = tx.Respond(c.phone.newResponse(req, 488, ""))
			return
		}
		sdpBody(res, c.accept(&s))
	}
	c.refresh(req.Contact())
	ack, err := c.confirm(tx, res, c.expectAck(req.CSeq().SeqNo))
	if ack != nil && delayed {
		err = c.takeAnswer(ack)
	}
	if err != nil && c.isUp() {
		c.fail(err)
	}
}
