package sipphone

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// dtmfPT is the RTP payload type we offer for digits.
const dtmfPT = 101

// Times of a call; zero where it never came to that.
type Times struct {
	Invited    time.Time // INVITE sent, or received
	Ringing    time.Time // first 180 sent or received
	EarlyMedia time.Time // first 183 or 180 with SDP
	Answered   time.Time // 200 sent or received
	Ended      time.Time
}

// Call is one conversation of a phone.
type Call struct {
	*dialog
	media *media
	up    chan struct{} // closed once answered
	done  chan struct{} // closed once ended
	sdpID uint64

	modifying chan struct{} // holds one token: one re-INVITE of ours at a time

	mu       sync.Mutex
	times    Times
	own      direction // what we want: sendOnly while we hold
	held     bool      // the other side holds us
	version  int       // of our SDP
	ended    bool
	endedBy  Side
	cause    Cause
	acks     map[uint32]chan *sip.Request // by CSeq of the INVITE
	transfer *Transfer
}

// newCall makes a call with its media, known to the phone from now on.
func (p *Phone) newCall(d *dialog, invited time.Time) (*Call, error) {
	m, err := newMedia(p)
	if err != nil {
		return nil, err
	}
	d.phone = p
	c := &Call{
		dialog: d, media: m, up: make(chan struct{}), done: make(chan struct{}), sdpID: rand.Uint64() >> 2,
		modifying: make(chan struct{}, 1), own: sendRecv, times: Times{Invited: invited}, acks: map[uint32]chan *sip.Request{},
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		m.close()
		return nil, ErrClosed
	}
	p.calls[dialogKey(d.id, d.local.tag)] = c
	p.mu.Unlock()
	return c, nil
}

// ID is the SIP Call-ID.
func (c *Call) ID() string { return c.dialog.id }

// Remote is the user part of the other side's From or To: the number we talk to.
func (c *Call) Remote() string { return c.dialog.remote.uri.User }

// Times tells when the call did what.
func (c *Call) Times() Times {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.times
}

func (c *Call) mark(set func(*Times)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set(&c.times)
}

// Done is closed when the call has ended, by whom ever.
func (c *Call) Done() <-chan struct{} { return c.done }

// EndedBy tells who hung up; empty while the call lives.
func (c *Call) EndedBy() Side {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.endedBy
}

// Cause is what the BYE, received or sent, gave as reason. Zero while the call lives, or if it gave none.
func (c *Call) Cause() Cause {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Held says whether the other side has put us on hold.
func (c *Call) Held() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held
}

// Ear is what this call has heard.
func (c *Call) Ear() *Ear { return c.media.ear }

// Stats counts the RTP packets of the call.
func (c *Call) Stats() Stats { return c.media.snapshot() }

// SetTone changes what we send, in Hz (whole; 0 is silence).
func (c *Call) SetTone(hz float64) { c.media.setTone(hz) }

// Play sends these samples (8 kHz) instead of the tone, and returns when the last is sent.
func (c *Call) Play(ctx context.Context, pcm []int16) error { return c.media.play(ctx, pcm) }

// SendDTMF sends digits (0-9, *, #, A-D) as RFC 4733 events, each this long (0 means 100 ms, rounded to 20 ms) with
// 60 ms between them. It returns when the last is sent.
func (c *Call) SendDTMF(ctx context.Context, digits string, each time.Duration) error {
	return c.media.dial(ctx, digits, each)
}

// Digits is where received digits come out, once each. It holds 64; later ones are lost while nobody reads.
func (c *Call) Digits() <-chan Digit { return c.media.digits }

// Hangup sends BYE and waits for its answer. Hanging up an ended call is no error.
func (c *Call) Hangup(ctx context.Context) error { return c.HangupCause(ctx, 0) }

// HangupCause is Hangup with a Q.850 cause in the BYE; 0 gives none.
func (c *Call) HangupCause(ctx context.Context, q850 int) error {
	select {
	case <-c.up:
	default:
		return errors.New("hang up: not answered yet")
	}
	if !c.end(Local, Cause{Q850: q850}) {
		return nil
	}
	defer c.forget()
	res, err := c.phone.doAuth(ctx, c.as, func() *sip.Request {
		bye := c.next(sip.BYE)
		if q850 != 0 {
			bye.AppendHeader(sip.NewHeader("Reason", q850Header(q850)))
		}
		return bye
	})
	if err != nil {
		return err
	}
	if !res.IsSuccess() && res.StatusCode != 481 { // 481: our BYEs crossed
		return rejection(res)
	}
	return nil
}

// fail hangs up a call that could not be set up to the end, in the background.
func (c *Call) fail(why error) {
	if !c.end(Local, Cause{Text: why.Error()}) {
		return
	}
	c.phone.spawn(func() {
		defer c.forget()
		ctx, cancel := context.WithTimeout(c.phone.ctx, polite)
		defer cancel()
		_, _ = c.phone.doAuth(ctx, c.as, func() *sip.Request { return c.next(sip.BYE) })
	})
}

// establish notes the answer.
func (c *Call) establish() {
	c.mark(func(t *Times) { t.Answered = time.Now() })
	close(c.up)
}

func (c *Call) isUp() bool {
	select {
	case <-c.done:
		return false
	default:
	}
	select {
	case <-c.up:
		return true
	default:
		return false
	}
}

// end notes the end, once; only the first is true.
func (c *Call) end(by Side, cause Cause) bool {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return false
	}
	c.ended, c.endedBy, c.cause, c.times.Ended = true, by, cause, time.Now()
	c.mu.Unlock()
	c.media.close()
	close(c.done)
	return true
}

// forget ends what the phone knows of the call; later requests get 481.
func (c *Call) forget() {
	c.phone.mu.Lock()
	defer c.phone.mu.Unlock()
	delete(c.phone.calls, dialogKey(c.dialog.id, c.dialog.local.tag))
}

// offer writes our SDP with a direction.
func (c *Call) offer(dir direction) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
	at := netip.AddrPortFrom(c.phone.addr.Addr(), c.media.port)
	return writeSDP(at, c.sdpID, c.version, c.media.eventType(), dir)
}

// accept takes an offer and writes our answer.
func (c *Call) accept(s *session) []byte {
	c.mu.Lock()
	dir := s.dir.answer(c.own)
	c.held = !s.dir.receives()
	c.mu.Unlock()
	c.media.connect(*s, dir.sends())
	return c.offer(dir)
}

// takeAnswer takes the SDP that answers our offer.
func (c *Call) takeAnswer(m sip.Message) error {
	s, err := parseSDP(m.Body())
	if err != nil {
		return err
	}
	c.mu.Lock()
	dir := s.dir.answer(c.own)
	c.mu.Unlock()
	c.media.connect(s, dir.sends())
	return nil
}

// expectAck is where the ACK for a 2xx will arrive.
func (c *Call) expectAck(seq uint32) <-chan *sip.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	ack := make(chan *sip.Request, 1)
	c.acks[seq] = ack
	return ack
}

func (c *Call) acked(req *sip.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ack, ok := c.acks[req.CSeq().SeqNo]; ok {
		ack <- req
		delete(c.acks, req.CSeq().SeqNo)
	}
}
