package ari

import (
	"context"
	"net/http"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/pbx"
)

// auditEvery is how often we compare our legs with Asterisk's.
const auditEvery = 30 * time.Second

// audit looks for legs that Asterisk no longer has in our application, though it never told of their end, and ends those
// that it missed the last time too. It should find none. Missed are those of the last audit; the new ones are returned.
func (s *Switch) audit(ctx context.Context, missed map[pbx.LegID]bool) map[pbx.LegID]bool {
	s.mu.Lock()
	mine := make([]pbx.LegID, 0, len(s.legs))
	for id, l := range s.legs {
		if l.last == nil && l.due.IsZero() {
			mine = append(mine, id)
		}
	}
	s.mu.Unlock()
	if len(mine) == 0 {
		return nil
	}
	var app ari.ApplicationData
	err := s.link.do(ctx, ask{op: "audit", method: http.MethodGet, path: path("applications", s.cfg.App)}, &app)
	if err != nil {
		return nil
	}
	there := make(map[pbx.LegID]bool, len(app.ChannelIDs))
	for _, id := range app.ChannelIDs {
		there[pbx.LegID(id)] = true
	}
	lost := map[pbx.LegID]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range mine {
		l := s.legs[id]
		switch {
		case there[id] || l == nil:
		case !missed[id]:
			lost[id] = true
		default:
			s.metrics.drift.Inc()
			s.log.Error("asterisk has lost a leg without a word", "channel_id", id)
			s.end(l, time.Now())
		}
	}
	return lost
}
