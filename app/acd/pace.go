package acd

import (
	"time"

	"callplane/app/agent"
)

// pace learns how fast a queue is served. The estimate of a wait is the number of callers up to and including this one,
// times the mean time an agent is busy with a call, shared among the agents who serve, less the time since the last
// one was taken: under a steady load that is when the next agent comes free.
type pace struct {
	busy  time.Duration // mean of talk and wrap-up, exponentially weighted over about 20 calls
	calls int
	last  time.Time // when a call was last taken
}

// initialBusy is taken until a queue has served its first call.
const initialBusy = 3 * time.Minute

func newPace() pace { return pace{busy: initialBusy} }

func (p *pace) learn(d time.Duration) {
	p.calls++
	weight := max(0.1, 1/float64(p.calls)) // a plain mean of the first ten
	p.busy += time.Duration(weight * float64(d-p.busy))
}

func (p *pace) estimate(position, serving int, now time.Time) time.Duration {
	if serving < 1 {
		serving = 1
	}
	gap := p.busy / time.Duration(serving)
	wait := time.Duration(position) * gap
	if !p.last.IsZero() {
		wait -= min(now.Sub(p.last), gap)
	}
	return max(wait, 0)
}

// measure learns from an agent's way from accepting a call to being free again.
func (b *Brain) measure(s *seat, was agent.Presence, now time.Time) {
	switch {
	case s.State == agent.Talking && was.State == agent.Ringing && s.Queue != "":
		s.serving, s.since = QueueID(s.Queue), now
		if l := b.lines[s.serving]; l != nil {
			l.pace.last = now
		}
	case s.serving != "" && !s.State.Busy() && s.State != agent.WrapUp:
		if l := b.lines[s.serving]; l != nil {
			l.pace.learn(now.Sub(s.since))
		}
		s.serving = ""
	}
}
