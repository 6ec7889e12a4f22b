package call

import (
	"context"
	"errors"
	"time"

	"callplane/app/pbx"
)

// ahead is a command under way for which the call does not wait.
type ahead struct {
	done chan struct{} // closed when the switch has answered; then err is valid
	err  error
}

// soon gives the switch a command about the outside party's leg and does not wait for its answer, so that an agent's
// phone can be called meanwhile. Commands given so go one behind the other; command and beside come behind all of them.
func (c *Call) soon(what string, f func(context.Context) error) *ahead {
	before, a := c.ahead, &ahead{done: make(chan struct{})}
	c.ahead = a
	c.work.Go(func() {
		defer close(a.done)
		if before != nil {
			<-before.done
		}
		ctx, cancel := context.WithTimeout(context.Background(), c.s.limits.Command)
		defer cancel()
		if a.err = c.doubt(f(ctx)); a.err != nil && !errors.Is(a.err, pbx.ErrNoLeg) {
			c.log.Warn("switch refused", "what", what, "error", a.err)
		}
	})
	return a
}

// catchUp waits until what was given by soon is done. A caller whom we could not answer was not answered.
func (c *Call) catchUp() {
	if c.ahead == nil {
		return
	}
	<-c.ahead.done
	c.ahead = nil
	if a := c.answering; a != nil && a.err != nil {
		c.rec.Answered = time.Time{}
		if l := c.leg(c.rec.Customer); l != nil {
			l.Answered = time.Time{}
		}
	}
	c.answering = nil
}

// dial gives the switch a command that concerns no leg we have yet, at once.
func (c *Call) dial(f func(context.Context, pbx.Switch) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.s.limits.Command)
	defer cancel()
	return c.doubt(f(ctx, c.s.sw))
}
