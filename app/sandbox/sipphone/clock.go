package sipphone

import (
	"sync"
	"time"
)

// frame is the audio one RTP packet carries.
const (
	frame        = 20 * time.Millisecond
	frameSamples = 160
	rate         = 8000 // samples per second
)

// lateFrames is how many frames the clock sends at once when it woke late; what is older is skipped.
const lateFrames = 10

// clock sends for all phones of the process: one goroutine, one tick each 20 ms.
var clock mediaClock

// mediaClock runs while it has somebody to serve. The first add starts its goroutine, the last remove waits for it.
type mediaClock struct {
	mu     sync.Mutex
	served map[*media]struct{}
	stop   chan struct{}
	done   chan struct{}
}

func (k *mediaClock) add(m *media) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.served == nil {
		k.served = map[*media]struct{}{}
	}
	k.served[m] = struct{}{}
	if len(k.served) == 1 {
		k.stop, k.done = make(chan struct{}), make(chan struct{})
		go k.run(k.stop, k.done)
	}
}

func (k *mediaClock) remove(m *media) {
	k.mu.Lock()
	_, known := k.served[m]
	delete(k.served, m)
	var done chan struct{}
	if known && len(k.served) == 0 {
		close(k.stop)
		done = k.done
	}
	k.mu.Unlock()
	if done != nil {
		<-done
	}
}

func (k *mediaClock) run(stop, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(frame)
	defer tick.Stop()
	start, sent := time.Now(), 0
	var turn []*media
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		due := int(time.Since(start)/frame) - sent
		sent += due
		skip := max(0, due-lateFrames)
		k.mu.Lock()
		turn = turn[:0]
		for m := range k.served {
			turn = append(turn, m)
		}
		k.mu.Unlock()
		for _, m := range turn {
			m.tick(skip, due-skip)
		}
	}
}
