package sipphone

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/emiago/sipgo/sip"
)

// Transfer is a REFER that was accepted; the NOTIFYs tell how it goes.
type Transfer struct {
	codes chan int
	final chan int
	call  *Call
}

// Refer asks the other side to call target (a number on Config.Server, or a sip: URI) in our place: a blind
// transfer. It returns when the REFER is accepted. We still have the call and hang up ourselves.
func (c *Call) Refer(ctx context.Context, target string) (*Transfer, error) {
	uri, err := c.phone.target(target)
	if err != nil {
		return nil, err
	}
	return c.refer(ctx, "<"+uri.String()+">")
}

// ReferTo asks the other side to take the place of other, a second call of ours: an attended transfer.
func (c *Call) ReferTo(ctx context.Context, other *Call) (*Transfer, error) {
	other.dialog.mu.Lock()
	replaces := fmt.Sprintf("%s;to-tag=%s;from-tag=%s", other.dialog.id, other.dialog.remote.tag, other.dialog.local.tag)
	to := other.dialog.remote.uri.Addr()
	other.dialog.mu.Unlock()
	return c.refer(ctx, "<"+to+"?Replaces="+url.QueryEscape(replaces)+">")
}

func (c *Call) refer(ctx context.Context, to string) (*Transfer, error) {
	if !c.isUp() {
		return nil, ErrEnded
	}
	t := &Transfer{codes: make(chan int, 32), final: make(chan int, 1), call: c}
	c.mu.Lock()
	c.transfer = t // before the REFER: its NOTIFY may be faster than the 202
	c.mu.Unlock()
	res, err := c.phone.doAuth(ctx, c.as, func() *sip.Request {
		req := c.next(sip.REFER)
		req.AppendHeader(sip.NewHeader("Refer-To", to))
		req.AppendHeader(sip.NewHeader("Referred-By", "<"+c.dialog.local.uri.Addr()+">"))
		return req
	})
	if err != nil {
		return nil, err
	}
	if !res.IsSuccess() {
		return nil, rejection(res)
	}
	return t, nil
}

// Progress gives the SIP codes of the NOTIFYs as they come, the last included. It holds 32 and is never closed.
func (t *Transfer) Progress() <-chan int { return t.codes }

// Wait returns the final code, 200 for a transfer that worked. It is ErrEnded if the call ends before.
func (t *Transfer) Wait(ctx context.Context) (int, error) {
	select {
	case code := <-t.final:
		return code, nil
	case <-t.call.done:
		select {
		case code := <-t.final:
			return code, nil
		default:
			return 0, ErrEnded
		}
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// notified takes the NOTIFY of our REFER; its body is the first line of a SIP answer.
func (c *Call) notified(req *sip.Request) {
	f := bytes.Fields(req.Body())
	if len(f) < 2 || !bytes.HasPrefix(f[0], []byte("SIP/2.0")) {
		return
	}
	code, _ := strconv.Atoi(string(f[1]))
	c.mu.Lock()
	t := c.transfer
	c.mu.Unlock()
	if t == nil {
		return
	}
	select {
	case t.codes <- code:
	default:
	}
	if code >= 200 {
		select {
		case t.final <- code:
		default:
		}
	}
}

// referred answers a REFER: 202 or 603, then NOTIFYs with what Config.OnRefer made of it.
func (c *Call) referred(req *sip.Request, tx *sip.ServerTx) {
	h := req.GetHeader("Refer-To")
	if h == nil || c.phone.cfg.OnRefer == nil {
		_ = tx.Respond(c.phone.newResponse(req, 603, ""))
		return
	}
	var to sip.Uri
	var params sip.HeaderParams
	if _, err := sip.ParseAddressValue(h.Value(), &to, &params); err != nil {
		_ = tx.Respond(c.phone.newResponse(req, 400, ""))
		return
	}
	_ = tx.Respond(c.phone.newResponse(req, 202, ""))
	c.phone.spawn(func() {
		c.notify(100, "active;expires=60")
		code := c.phone.cfg.OnRefer(c, to.String())
		c.notify(code, "terminated;reason=noresource")
	})
}

func (c *Call) notify(code int, state string) {
	ctx, cancel := context.WithTimeout(c.phone.ctx, polite)
	defer cancel()
	_, _ = c.phone.doAuth(ctx, c.as, func() *sip.Request {
		req := c.next(sip.NOTIFY)
		req.AppendHeader(sip.NewHeader("Event", "refer"))
		req.AppendHeader(sip.NewHeader("Subscription-State", state))
		req.AppendHeader(sip.NewHeader("Content-Type", "message/sipfrag;version=2.0"))
		req.SetBody(fmt.Appendf(nil, "SIP/2.0 %d %s\r\n", code, phrases[code]))
		return req
	})
}
