package sipphone

import (
	"context"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
)

// inviting is an INVITE to send: how to build it, whom to tell of 1xx, and when to give up.
type inviting struct {
	build    func() *sip.Request
	progress func(*sip.Response) // nil: nobody
	cancel   <-chan struct{}     // nil: never
	reason   func() string       // Reason header of the CANCEL
}

// answered is an INVITE that got its 2xx. The transaction lives on (64 T1) and tells of repetitions.
type answered struct {
	tx  *sip.ClientTx
	req *sip.Request
	res *sip.Response
}

// invite sends an INVITE, with digest if asked, until its final answer. Whoever gets a 2xx owes the ACK.
func (p *Phone) invite(ctx context.Context, as login, in inviting) (answered, error) {
	var auth sip.Header
	for try := 0; ; try++ {
		req := in.build()
		if auth != nil {
			req.AppendHeader(auth)
		}
		tx, err := p.request(ctx, req)
		if err != nil {
			return answered{}, err
		}
		res, cancelled, err := p.await(ctx, tx, req, in)
		switch {
		case err != nil:
			tx.Terminate()
			return answered{}, err
		case res.IsSuccess():
			return answered{tx, req, res}, nil // tx stays to catch repetitions; timer M ends it
		case cancelled:
			return answered{}, ErrCancelled
		case !as.canAnswer(res, try):
			return answered{}, rejection(res) // tx stays to acknowledge repetitions; timer D ends it
		}
		if auth, err = as.answer(req, res); err != nil {
			return answered{}, err
		}
	}
}

// await reads the answers to an INVITE until the final one, and sends CANCEL when told.
func (p *Phone) await(ctx context.Context, tx *sip.ClientTx, req *sip.Request, in inviting) (res *sip.Response, cancelled bool, err error) {
	cancel, heard := in.cancel, false
	send := func() {
		c := cancelOf(p, req, in.reason())
		p.spawn(func() { _, _ = p.do(p.ctx, c) })
	}
	var giveUp <-chan time.Time
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, cancelled, nil
			}
			if in.progress != nil {
				in.progress(res)
			}
			if cancelled && !heard {
				send() // it may only go out after the first answer (RFC 3261, 9.1)
			}
			heard = true
		case <-cancel:
			cancel, cancelled = nil, true
			giveUp = time.After(64 * sip.T1) // the other side need not answer 487
			if heard {
				send()
			}
		case <-giveUp:
			return nil, true, ErrCancelled
		case <-tx.Done():
			return nil, cancelled, fmt.Errorf("INVITE: %w", p.txError(tx))
		case <-ctx.Done():
			if p.ctx.Err() != nil {
				return nil, cancelled, ErrClosed
			}
			return nil, cancelled, ctx.Err()
		}
	}
}
