package sipphone

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/pion/rtp"
)

const (
	keys       = "0123456789*#ABCD" // the index is the event number of RFC 4733
	pressFor   = 100 * time.Millisecond
	pressPause = 3 // frames between two digits
)

// Digit is a key press that was heard.
type Digit struct {
	Key rune
	For time.Duration // how long it was pressed
	At  time.Time     // when its first end packet, or the next digit, came
}

// press is a digit being sent.
type press struct {
	event  byte
	frames int // left to send
	sent   int
	pause  int // frames left after it
	done   chan struct{}
}

// dial queues digits and waits until they are sent.
func (m *media) dial(ctx context.Context, digits string, each time.Duration) error {
	if m.conn == nil {
		return fmt.Errorf("send digits: the phone has no media")
	}
	if each == 0 {
		each = pressFor
	}
	frames := max(2, int((each+frame/2)/frame))
	var all []*press
	for _, r := range strings.ToUpper(digits) {
		event := strings.IndexRune(keys, r)
		if event < 0 {
			return fmt.Errorf("send digits: %q is no key", r)
		}
		all = append(all, &press{event: byte(event), frames: frames, pause: pressPause, done: make(chan struct{})})
	}
	if len(all) == 0 {
		return nil
	}
	m.mu.Lock()
	m.dialing = append(m.dialing, all...)
	m.mu.Unlock()
	return m.wait(ctx, all[len(all)-1].done)
}

// press sends 20 ms of a digit in place of audio. It is false if there is none, or in the pause after one.
func (m *media) press() bool {
	if len(m.dialing) == 0 || !m.send {
		return false
	}
	d := m.dialing[0]
	if d.frames == 0 {
		if d.pause--; d.pause <= 0 {
			close(d.done)
			m.dialing = m.dialing[1:]
		}
		return false
	}
	now := m.header.Timestamp
	m.header.Timestamp -= uint32(d.sent * frameSamples) // all packets of a digit carry its start
	m.header.PayloadType, m.header.Marker = m.events, d.sent == 0
	d.sent++
	d.frames--
	b := m.buf[:16]
	b[12], b[13] = d.event, 10 // volume -10 dBm0
	binary.BigEndian.PutUint16(b[14:], uint16(d.sent*frameSamples))
	m.write(b)
	if d.frames == 0 { // three end packets, in case one is lost
		b[13] |= 0x80
		m.header.Marker = false
		for range 3 {
			m.write(b)
		}
	}
	m.header.Timestamp = now
	return true
}

// digitReader finds the digits among event packets: many packets make one digit.
type digitReader struct {
	open    bool // a digit has begun and not ended
	started bool
	at      uint32 // RTP time of the last digit
	last    Digit
}

// read takes an event packet. It is true when a digit is complete.
func (r *digitReader) read(p *rtp.Packet, now time.Time) (Digit, bool) {
	if len(p.Payload) < 4 || int(p.Payload[0]) >= len(keys) {
		return Digit{}, false
	}
	var lost Digit
	missed := false
	if !r.started || p.Timestamp != r.at {
		if r.open { // all its end packets were lost
			lost, missed = r.last, true
			lost.At = now
		}
		r.started, r.open, r.at = true, true, p.Timestamp
	}
	if r.open {
		r.last = Digit{rune(keys[p.Payload[0]]), time.Duration(binary.BigEndian.Uint16(p.Payload[2:])) * time.Second / rate, now}
	}
	if p.Payload[1]&0x80 != 0 && r.open && !missed {
		r.open = false
		return r.last, true
	}
	return lost, missed
}
