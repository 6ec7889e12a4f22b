package sipphone

import (
	"context"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Incoming is a call that rings here.
type Incoming struct {
	ID      string // Call-ID
	To      string // user part of the Request-URI: the number that was dialled
	From    string // user part of From: the caller's number, "anonymous" if withheld
	Display string // display name in From
	Source  string // "ip:port" the INVITE came from
	Headers textproto.MIMEHeader
	At      time.Time // when the INVITE came

	phone *Phone
	req   *sip.Request
	tx    *sip.ServerTx
	call  *Call
	offer *session // nil: the INVITE had no SDP, we offer and the ACK answers

	taken     atomic.Bool // somebody answers, rejects or cancels; the first wins
	verdict   chan verdict
	cancelled chan struct{}
	done      chan struct{}
	mu        sync.Mutex
	reason    Cause
}

// verdict is what Answer or Reject decided; the goroutine of the INVITE carries it out.
type verdict struct {
	res    *sip.Response
	answer bool
	result chan error
}

// invited deals with a new INVITE and stays until it has its final answer, and the ACK if that was a 200.
func (p *Phone) invited(req *sip.Request, tx *sip.ServerTx) {
	if p.cfg.ChallengeCalls {
		if _, ok := p.authorized(req, tx); !ok {
			return
		}
	}
	_ = tx.Respond(p.newResponse(req, 100, ""))
	tag := sip.GenerateTagN(16)
	req.To().Params.Add("tag", tag) // so every answer carries the same tag, the 487 too
	in := &Incoming{
		ID: req.CallID().Value(), To: req.Recipient.User, From: req.From().Address.User, Display: req.From().DisplayName,
		Source: req.Source(), Headers: headersOf(req.Headers()), At: time.Now(),
		phone: p, req: req, tx: tx,
		verdict: make(chan verdict, 1), cancelled: make(chan struct{}), done: make(chan struct{}),
	}
	defer close(in.done)
	if len(req.Body()) > 0 {
		s, err := parseSDP(req.Body())
		if err != nil {
			_ = tx.Respond(p.newResponse(req, 488, ""))
			return
		}
		in.offer = &s
	}
	call, err := p.newCall(dialogOf(req, tag), in.At)
	if err != nil {
		_ = tx.Respond(p.newResponse(req, 500, ""))
		return
	}
	in.call = call
	if !tx.OnCancel(in.cancel) {
		call.end(Remote, Cause{})
		call.forget()
		return
	}
	p.mu.Lock()
	closing := p.closing
	if !closing {
		p.ringing[in] = struct{}{}
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		delete(p.ringing, in)
		p.mu.Unlock()
	}()
	switch {
	case closing:
		in.judge(480, "", 0)
	case !in.present():
		in.judge(486, "", 0)
	}
	in.await()
}

// present hands the call to whoever deals with it. It is false when there is no room.
func (in *Incoming) present() bool {
	p := in.phone
	if p.cfg.OnIncoming != nil {
		return p.spawn(func() { p.cfg.OnIncoming(in) })
	}
	if p.cfg.AutoAnswer > 0 {
		p.spawn(func() {
			_ = in.Ring()
			wait := time.NewTimer(p.cfg.AutoAnswer)
			defer wait.Stop()
			select {
			case <-wait.C:
				_, _ = in.Answer(p.ctx)
			case <-in.done:
			}
		})
	}
	select {
	case p.incoming <- in:
		return true
	default:
		return p.cfg.AutoAnswer > 0
	}
}

// await carries out the verdict.
func (in *Incoming) await() {
	select {
	case v := <-in.verdict:
		if !v.answer {
			v.result <- in.tx.Respond(v.res)
			in.call.end(Local, Cause{SIP: v.res.StatusCode})
			in.call.forget()
			return
		}
		ack, err := in.call.confirm(in.tx, v.res, in.call.expectAck(in.req.CSeq().SeqNo))
		if ack != nil && in.offer == nil {
			err = in.call.takeAnswer(ack)
		}
		v.result <- err
		if err != nil {
			in.call.fail(err)
		}
	case <-in.cancelled: // the transaction has sent the 487
		in.call.end(Remote, in.CancelCause())
		in.call.forget()
	case <-in.phone.ctx.Done():
		in.taken.Store(true)
	}
}

// cancel runs when a CANCEL comes, inside the transaction's lock.
func (in *Incoming) cancel(req *sip.Request) {
	if !in.taken.CompareAndSwap(false, true) {
		return
	}
	in.mu.Lock()
	in.reason = causeOf(headersOf(req.Headers()))
	in.mu.Unlock()
	close(in.cancelled)
}

// Ring sends 180.
func (in *Incoming) Ring() error {
	if in.taken.Load() {
		return ErrTooLate
	}
	in.call.mark(func(t *Times) { t.Ringing = time.Now() })
	return in.tx.Respond(in.phone.newResponse(in.req, 180, ""))
}

// Progress sends 183 with SDP: from now on the caller hears our tone, before the answer.
func (in *Incoming) Progress() error {
	if in.taken.Load() || in.offer == nil {
		return ErrTooLate
	}
	res := in.phone.newResponse(in.req, 183, "")
	sdpBody(res, in.call.accept(in.offer))
	in.call.mark(func(t *Times) { t.EarlyMedia = time.Now() })
	return in.tx.Respond(res)
}

// Answer sends 200 and returns the call once the caller's ACK is here. If ctx ends first the call is hung up.
func (in *Incoming) Answer(ctx context.Context) (*Call, error) {
	if !in.taken.CompareAndSwap(false, true) {
		return nil, in.late()
	}
	c := in.call
	res := in.phone.newResponse(in.req, 200, "")
	if in.offer != nil {
		sdpBody(res, c.accept(in.offer))
	} else {
		sdpBody(res, c.offer(sendRecv))
	}
	c.establish()
	v := verdict{res: res, answer: true, result: make(chan error, 1)}
	in.verdict <- v
	select {
	case err := <-v.result:
		if err != nil {
			return nil, err
		}
		return c, nil
	case <-ctx.Done():
		c.fail(ctx.Err())
		return nil, ctx.Err()
	case <-in.phone.ctx.Done():
		return nil, ErrClosed
	}
}

// Reject turns the call down with a SIP code and, unless 0, a Q.850 cause in a Reason header.
func (in *Incoming) Reject(code, q850 int) error { return in.judge(code, "", q850) }

// Redirect answers 302 with this SIP URI as the Contact to try instead.
func (in *Incoming) Redirect(to string) error { return in.judge(302, to, 0) }

func (in *Incoming) judge(code int, contact string, q850 int) error {
	if !in.taken.CompareAndSwap(false, true) {
		return in.late()
	}
	res := in.phone.newResponse(in.req, code, "")
	if contact != "" {
		res.AppendHeader(sip.NewHeader("Contact", "<"+contact+">"))
	}
	if q850 != 0 {
		res.AppendHeader(sip.NewHeader("Reason", q850Header(q850)))
	}
	in.verdict <- verdict{res: res, result: make(chan error, 1)}
	return nil
}

func (in *Incoming) late() error {
	select {
	case <-in.cancelled:
		return ErrCancelled
	default:
		return ErrTooLate
	}
}

// Cancelled is closed when the caller gave up, or another phone took the call; CancelCause tells which.
func (in *Incoming) Cancelled() <-chan struct{} { return in.cancelled }

// CancelCause is what the CANCEL's Reason headers said.
func (in *Incoming) CancelCause() Cause {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.reason
}

// Done is closed when the call is answered (and the ACK is here), rejected, cancelled, or the phone closed.
func (in *Incoming) Done() <-chan struct{} { return in.done }

// Call waits until somebody, such as AutoAnswer, has answered, and returns the call. It is ErrCancelled or
// ErrEnded if that did not happen.
func (in *Incoming) Call(ctx context.Context) (*Call, error) {
	select {
	case <-in.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if in.late() == ErrCancelled {
		return nil, ErrCancelled
	}
	if in.call == nil || in.call.Times().Answered.IsZero() {
		return nil, ErrEnded
	}
	return in.call, nil
}
