package sipphone

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/zaf/g711"
)

const (
	window = rate / 10 // samples looked at together when we wait for a tone: 100 ms
	hop    = rate / 50 // and the step to the next look: 20 ms
	slack  = rate / 10 // audio this old that has not come is silence
	glance = 200 * time.Millisecond
)

var ulaw = func() (t [256]int16) {
	for i := range t {
		t[i] = g711.DecodeUlawFrame(uint8(i))
	}
	return t
}()

// Ear is all that a call has heard, on a time line that starts when the call does. RTP timestamps put each packet in
// its place, so jitter does no harm; where nothing came there is silence.
type Ear struct {
	// Start is the zero of the time line.
	Start time.Time

	keep int // samples
	over chan struct{}

	mu      sync.Mutex
	ended   bool
	base    int    // position of buf[0]
	buf     []byte // µ-law
	begun   bool
	ssrc    uint32
	nextTS  uint32    // RTP time we expect next
	nextPos int       // and its place
	last    time.Time // when the last packet came
}

func newEar(keep time.Duration) *Ear {
	return &Ear{Start: time.Now(), keep: samples(keep), over: make(chan struct{})}
}

func samples(d time.Duration) int           { return int(d * rate / time.Second) }
func duration(samples int) time.Duration    { return time.Duration(samples) * time.Second / rate }
func (e *Ear) position(at time.Time) int    { return samples(at.Sub(e.Start)) }
func (e *Ear) end() int                     { return e.base + len(e.buf) }
func (e *Ear) Now() time.Duration           { return time.Since(e.Start) }
func (e *Ear) At(d time.Duration) time.Time { return e.Start.Add(d) }

func (e *Ear) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.ended = true
		close(e.over)
	}
}

// add puts a packet in its place.
func (e *Ear) add(payload []byte, h *rtp.Header, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := len(payload)
	wall := e.position(now) - n
	pos := wall
	if e.begun && h.SSRC == e.ssrc {
		pos = e.nextPos + int(int32(h.Timestamp-e.nextTS))
		paused := now.Sub(e.last) > 400*time.Millisecond || h.Marker && now.Sub(e.last) > 60*time.Millisecond
		if off := pos - wall; off > rate/5 || off < -10*rate || paused && off < -rate/25 {
			pos = max(wall, e.end()) // another clock began: believe ours
		}
	} else {
		pos = max(wall, e.end())
	}
	e.begun, e.ssrc, e.last = true, h.SSRC, now
	if next := h.Timestamp + uint32(n); pos+n >= e.nextPos {
		e.nextTS, e.nextPos = next, pos+n
	}
	pos = max(pos, e.base)
	for e.end() < pos {
		e.buf = append(e.buf, silence)
	}
	late := copy(e.buf[pos-e.base:], payload)
	e.buf = append(e.buf, payload[late:]...)
	if drop := len(e.buf) - e.keep; drop > rate { // a second at a time
		e.buf = append(e.buf[:0], e.buf[drop:]...)
		e.base += drop
	}
}

// cut copies the samples between two positions; what is not there is silence.
func (e *Ear) cut(from, to int) []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]int16, max(0, to-from))
	for i := max(from, e.base); i < min(to, e.end()); i++ {
		out[i-from] = ulaw[e.buf[i-e.base]]
	}
	return out
}

// ready is the position up to which all is known: heard, or so late that it counts as silence.
func (e *Ear) ready() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return max(e.end(), 0)
	}
	return max(e.end(), e.position(time.Now())-slack)
}

// Audio is all that was heard, 8 kHz: from the start of the call, or the last Config.HearFor of it.
func (e *Ear) Audio() []int16 {
	e.mu.Lock()
	from, to := e.base, e.end()
	e.mu.Unlock()
	return e.cut(from, to)
}

// Since is what was heard from a point of the time line on, 8 kHz.
func (e *Ear) Since(from time.Duration) []int16 { return e.cut(samples(from), e.ready()) }

// SaveWAV writes Audio to a file: 8 kHz, mono, 16 bit.
func (e *Ear) SaveWAV(path string) error { return WriteWAV(path, e.Audio()) }

// Hears says whether a tone of this frequency (Hz, ±5) has been sounding for the last 200 ms. Tones 50 Hz apart are
// told apart, whatever else sounds.
func (e *Ear) Hears(hz float64) bool {
	to := e.ready()
	return hasTone(e.cut(to-samples(glance), to), hz)
}

// Level is the loudness of the last 200 ms in dBFS: 0 is the loudest sine, a tone of ours -12, silence -100.
func (e *Ear) Level() float64 {
	to := e.ready()
	return loudness(e.cut(to-samples(glance), to))
}

// Tones lists the tones in the last window, at least 100 ms, loudest first.
func (e *Ear) Tones(within time.Duration) []Tone {
	to := e.ready()
	return findTones(e.cut(to-max(window, samples(within)), to))
}

// WaitTone waits until a tone (Hz, ±5) has sounded for at least min without a gap, from now on. It returns when on
// the time line that tone began. It is ErrEnded when the call ends first.
func (e *Ear) WaitTone(ctx context.Context, hz float64, min time.Duration) (time.Duration, error) {
	return e.WaitToneFrom(ctx, e.Now(), hz, min)
}

// WaitToneFrom is WaitTone from a point of the time line, past or future, on.
func (e *Ear) WaitToneFrom(ctx context.Context, from time.Duration, hz float64, min time.Duration) (time.Duration, error) {
	at, err := e.wait(ctx, from, min, func(s []int16) bool { return hasTone(s, hz) })
	if err != nil {
		return 0, fmt.Errorf("wait for %g Hz: %w (heard %v)", hz, err, e.Tones(time.Second))
	}
	return at, nil
}

// WaitSilence waits until it has been quieter than -50 dBFS, or no packets came, for at least min, from now on.
func (e *Ear) WaitSilence(ctx context.Context, min time.Duration) (time.Duration, error) {
	return e.WaitSilenceFrom(ctx, e.Now(), min)
}

// WaitSilenceFrom is WaitSilence from a point of the time line on.
func (e *Ear) WaitSilenceFrom(ctx context.Context, from, min time.Duration) (time.Duration, error) {
	at, err := e.wait(ctx, from, min, func(s []int16) bool { return loudness(s) < -50 })
	if err != nil {
		return 0, fmt.Errorf("wait for silence: %w (heard %v)", err, e.Tones(time.Second))
	}
	return at, nil
}

// WaitUntil waits until all up to a point of the time line has been heard. It is ErrEnded when the call ends first.
func (e *Ear) WaitUntil(ctx context.Context, at time.Duration) error {
	_, err := e.wait(ctx, at-duration(window), 0, func([]int16) bool { return true })
	return err
}

// wait looks at the time line in windows of 100 ms until they match for at least min.
func (e *Ear) wait(ctx context.Context, from, min time.Duration, match func([]int16) bool) (time.Duration, error) {
	look := time.NewTicker(frame)
	defer look.Stop()
	pos, since := samples(max(from, 0)), -1
	for {
		for end := e.ready(); pos+window <= end; pos += hop {
			if !match(e.cut(pos, pos+window)) {
				since = -1
				continue
			}
			if since < 0 {
				since = pos
			}
			if pos+window-since >= samples(min) {
				return duration(since), nil
			}
		}
		select {
		case <-look.C:
		case <-e.over:
			if pos+window > e.ready() {
				return 0, ErrEnded
			}
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
