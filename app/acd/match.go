package acd

import (
	"time"
)

// serve matches all who wait in a line, as far as there are agents.
func (b *Brain) serve(l *line, now time.Time) (matches []Match) {
	for len(l.ready) > 0 {
		found := false
		for _, s := range l.ready {
			if m, ok := b.forAgent(s, now); ok {
				matches = append(matches, m)
				found = true
				break
			}
		}
		if !found {
			break
		}
	}
	return matches
}

// forAgent finds the contact that a free agent takes next: of the queue where their priority is highest, who waits longest.
func (b *Brain) forAgent(s *seat, now time.Time) (Match, bool) {
	var best *waiting
	var in *line
	for _, q := range s.queues {
		l := b.lines[q]
		for _, k := range l.buckets {
			if len(k.queue) == 0 || len(lacks(s, k.asks)) > 0 {
				continue
			}
			w := k.queue[0]
			if best == nil || l.members[s.Agent] > in.members[s.Agent] ||
				l.members[s.Agent] == in.members[s.Agent] && w.before(best) {
				best, in = w, l
			}
		}
	}
	if best == nil {
		return Match{}, false
	}
	return b.match(in, best, s, now), true
}

// forContact finds the agent who takes a contact.
func (b *Brain) forContact(l *line, w *waiting, now time.Time) (Match, bool) {
	best := Pick(l.Queue, w.asks, l.suitable(w))
	if best == nil {
		return Match{}, false
	}
	return b.match(l, w, b.seats[best.Agent], now), true
}

// match turns a pair into an offer.
func (b *Brain) match(l *line, w *waiting, s *seat, now time.Time) Match {
	why := l.explain(b, w, s, now)
	l.drop(w)
	w.offered = true
	l.offered = append(l.offered, w)
	s.reserved = true
	for _, q := range s.queues {
		delete(b.lines[q].ready, s.Agent)
	}
	return Match{Contact: w.ID, Queue: l.ID, Agent: s.Agent, Phone: s.Phone, Ring: seconds(l.RingSeconds), Why: why}
}
