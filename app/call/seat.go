package call

import (
	"slices"

	"callplane/app/pbx"
	"callplane/app/route"
)

// seat is a channel taken on a trunk for a leg, or, without one, for as long as the call lives.
type seat struct {
	leg     pbx.LegID
	release func()
}

// reach finds how a call leaves and takes a channel for it, on the next trunk if one has just filled up.
func (s *Service) reach(w route.Wanted) (out route.Outbound, release func(), err error) {
	var full error
	for {
		out, err = s.router.Outbound(w)
		switch {
		case err != nil && full != nil, err == nil && slices.Contains(w.Not, out.Trunk):
			return out, nil, full
		case err != nil:
			return out, nil, err
		case out.Trunk == "":
			return out, func() {}, nil
		}
		if release, err = s.router.Seize(out.Trunk); err == nil {
			return out, release, nil
		}
		full, w.Not = err, append(slices.Clone(w.Not), out.Trunk)
	}
}

// leaveSeat gives back the channel of a leg that is gone.
func (c *Call) leaveSeat(leg pbx.LegID) {
	c.seats = slices.DeleteFunc(c.seats, func(s seat) bool {
		if s.leg != leg || leg == "" {
			return false
		}
		s.release()
		return true
	})
}

// leaveSeats gives back all channels: the call is over.
func (c *Call) leaveSeats() {
	for _, s := range c.seats {
		s.release()
	}
	c.seats = nil
}

// resumeSeats takes the channels that the call had before a restart: that of the trunk it came in or went out on, and one for each
// outside party it was transferred to.
func (c *Call) resumeSeats() {
	if len(c.seats) > 0 {
		return
	}
	if c.rec.Trunk != "" {
		c.seats = append(c.seats, seat{"", c.s.router.Resume(c.rec.Trunk)})
	}
	for _, l := range c.rec.Legs {
		if l.Kind == LegOutside && l.Trunk != "" && l.Ended.IsZero() {
			c.seats = append(c.seats, seat{l.ID, c.s.router.Resume(l.Trunk)})
		}
	}
}
