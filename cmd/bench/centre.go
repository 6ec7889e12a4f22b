package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
)

// few is how many agents serve the short queue, where single calls are timed.
const few = 5

// centre is a call centre under test: a switch, agents at their phones, and the carrier whose customers call. There are
// two, Callplane's and the reference, with the same phones.
type centre struct {
	name    string
	ast     *sandbox.Asterisk
	server  *server // nil for the reference
	carrier *sipphone.Phone
	desks   []*desk // the first few serve the short queue, the others the long one

	short   string // number that leads straight to the short queue
	waiting string // the same; the caller is answered before waiting
	long    string // number that leads straight to the long queue

	now    atomic.Pointer[conduct]
	caller atomic.Uint64
}

// conduct is how agents behave while something is measured.
type conduct struct {
	talk    func() time.Duration                               // how long they talk before they hang up
	invited func(d *desk, from string, at time.Time)           // a call has reached a phone
	left    func(d *desk, at time.Time, byAgent bool)          // a call has ended
	failed  func(d *desk, from string, what string, err error) // it went wrong
}

// desk is an agent's phone. It rings, answers at once, talks and hangs up.
type desk struct {
	*sipphone.Phone
	c    *centre
	no   int
	user string
}

// newDesk opens a phone and registers it, as soon as the switch knows it.
func (c *centre) newDesk(ctx context.Context, no int, user, password string) (*desk, error) {
	d := &desk{c: c, no: no, user: user}
	p, err := sipphone.New(ctx, sipphone.Config{Server: c.ast.SIP, User: user, Password: password, NoMedia: true, HearFor: 2 * time.Second, OnIncoming: d.take})
	if err != nil {
		return nil, err
	}
	d.Phone = p
	err = until(ctx, 60*time.Second, func() error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		return p.Register(ctx, time.Hour)
	})
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("register %s: %w", user, err)
	}
	return d, nil
}

// take is a whole call, as the agent has it.
func (d *desk) take(in *sipphone.Incoming) {
	how := d.c.now.Load()
	if how == nil { // nothing is being measured: a straggler
		_ = in.Reject(480, 0)
		return
	}
	how.invited(d, tail(in.From), in.At)
	_ = in.Ring()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	call, err := in.Answer(ctx)
	if err != nil {
		how.failed(d, tail(in.From), "answer", err)
		return
	}
	end := time.NewTimer(how.talk())
	defer end.Stop()
	select {
	case <-end.C:
	case <-call.Done():
	}
	if err := call.Hangup(ctx); err != nil {
		how.failed(d, tail(in.From), "hang up", err)
	}
	how.left(d, call.Times().Ended, call.EndedBy() == sipphone.Local)
}

// customers is how many different callers there are. All have called before, once the load figures are warm.
const customers = 400

// number is a caller's number that no other caller has now.
func (c *centre) number() string {
	return fmt.Sprintf("138%08d", 10000000+c.caller.Add(1)%customers)
}

// tail is what of a number is the same however it is written.
func tail(number string) string { return number[max(0, len(number)-8):] }

// dial has a customer call, and stay until the call ends. begun hears who calls and when.
func (c *centre) dial(ctx context.Context, to string, begun func(from string, at time.Time)) error {
	from := c.number()
	at := time.Now()
	if begun != nil {
		begun(tail(from), at)
	}
	out, err := c.carrier.Start(to, sipphone.From(from, ""))
	if err != nil {
		return err
	}
	call, err := out.Wait(ctx)
	if err != nil {
		return err
	}
	select {
	case <-call.Done():
		return nil
	case <-ctx.Done():
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		_ = call.Hangup(end)
		return ctx.Err()
	}
}

// quiet waits until nobody talks any more, on the phones and in the switch.
func (c *centre) quiet(ctx context.Context) error {
	return until(ctx, 30*time.Second, func() error {
		for _, d := range c.desks {
			if n := len(d.Calls()); n > 0 {
				return fmt.Errorf("%s: %s has a call", c.name, d.user)
			}
		}
		out, err := c.ast.CLI(ctx, "core show channels concise")
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "PJSIP/") { // not the music, which may play to nobody
				return fmt.Errorf("%s has channels left: %s", c.name, strings.TrimSpace(out))
			}
		}
		return err
	})
}

// close hangs up everything.
func (c *centre) close() {
	c.now.Store(nil)
	var all sync.WaitGroup
	for _, d := range c.desks {
		all.Go(d.Close)
	}
	if c.carrier != nil {
		all.Go(c.carrier.Close)
	}
	all.Wait()
	end, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if c.server != nil {
		c.server.stop()
	}
	if err := c.ast.Stop(end); err != nil {
		say("stop %s: %v", c.ast.Name, err)
	}
}

// pair is Callplane and the reference.
type pair struct {
	ours, ref *centre
}

// newPair starts both.
func newPair(ctx context.Context, o options) (_ *pair, err error) {
	n := few
	if o.wants("cps", "cpu") {
		n += o.agents
	}
	p := &pair{}
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	say("app_queue with %d agents …", n)
	if p.ref, err = newReference(ctx, n); err != nil {
		return p, fmt.Errorf("reference: %w", err)
	}
	say("Callplane with %d agents …", n)
	if p.ours, err = newOurs(ctx, o, n); err != nil {
		return p, fmt.Errorf("callplane: %w", err)
	}
	say("both are ready")
	return p, nil
}

func (p *pair) stop() {
	for _, c := range []*centre{p.ours, p.ref} {
		if c != nil {
			c.close()
		}
	}
}

// both measures one after the other, the reference first, several times in turn, so that neither has the quieter machine.
func (p *pair) both(rounds int, f func(*centre) error) error {
	for range rounds {
		for _, c := range []*centre{p.ref, p.ours} {
			if err := f(c); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}
