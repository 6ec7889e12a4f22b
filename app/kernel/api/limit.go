package api

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits counts the requests of each key, session and address.
type limits struct {
	perSecond float64
	burst     int
	now       func() time.Time

	mu    sync.Mutex
	byKey map[string]*limited
	swept time.Time
}

type limited struct {
	*rate.Limiter
	used time.Time
}

func newLimits(perSecond float64, burst int) *limits {
	if perSecond <= 0 {
		perSecond = 50
	}
	if burst <= 0 {
		burst = int(4 * perSecond)
	}
	return &limits{perSecond: perSecond, burst: max(burst, 1), now: time.Now, byKey: map[string]*limited{}}
}

// take counts one request. It returns 0 if it may pass, else how long to wait. own is the key's own rate; 0 is ours.
func (l *limits) take(key string, own float64) time.Duration {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > time.Minute {
		l.swept = now
		for k, v := range l.byKey {
			if now.Sub(v.used) > 5*time.Minute { // its bucket is full again
				delete(l.byKey, k)
			}
		}
	}
	v := l.byKey[key]
	if v == nil {
		perSecond, burst := l.perSecond, l.burst
		if own > 0 {
			perSecond, burst = own, max(1, int(4*own))
		}
		v = &limited{Limiter: rate.NewLimiter(rate.Limit(perSecond), burst)}
		l.byKey[key] = v
	}
	v.used = now
	res := v.ReserveN(now, 1)
	wait := res.DelayFrom(now)
	if wait > 0 {
		res.CancelAt(now)
	}
	return wait
}
