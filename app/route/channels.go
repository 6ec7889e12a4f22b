package route

import (
	"sync"
	"sync/atomic"
)

// channels counts the live calls of each trunk.
type channels struct {
	mu   sync.RWMutex
	used map[string]*atomic.Int64 // by trunk name; entries are never removed
}

func (c *channels) of(trunk string) *atomic.Int64 {
	c.mu.RLock()
	n := c.used[trunk]
	c.mu.RUnlock()
	if n != nil {
		return n
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n = c.used[trunk]; n == nil {
		n = new(atomic.Int64)
		if c.used == nil {
			c.used = map[string]*atomic.Int64{}
		}
		c.used[trunk] = n
	}
	return n
}

// seize takes a channel unless limit are taken; 0 is no limit. release gives it back; more than once does nothing.
func (c *channels) seize(trunk string, limit int) (release func(), ok bool) {
	n := c.of(trunk)
	for {
		used := n.Load()
		if limit > 0 && used >= int64(limit) {
			return nil, false
		}
		if n.CompareAndSwap(used, used+1) {
			break
		}
	}
	return sync.OnceFunc(func() { n.Add(-1) }), true
}

// live is how many channels are taken.
func (c *channels) live(trunk string) int { return int(c.of(trunk).Load()) }
