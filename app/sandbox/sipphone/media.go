package sipphone

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/zaf/g711"
)

// Stats counts RTP packets.
type Stats struct {
	In, Out  int           // packets received and sent, digits included
	Lost     int           // gaps in the received sequence numbers
	FirstIn  time.Time     // zero: none yet
	FirstOut time.Time     // zero: none yet
	LastIn   time.Time     // zero: none yet
	MaxGap   time.Duration // longest time between two packets received
}

// media sends and receives the audio of one call. In a signalling-only phone conn is nil and nothing happens.
type media struct {
	phone *Phone
	conn  *net.UDPConn
	port  uint16
	ear   *Ear
	stop  chan struct{} // closed by close

	digits chan Digit
	heard  digitReader // only the reading goroutine touches it

	mu      sync.Mutex
	closed  bool
	running bool
	to      netip.AddrPort
	send    bool
	muted   bool  // holding: silence instead of tone
	events  uint8 // payload type of digits to send
	tone    []byte
	pos     int // in tone
	header  rtp.Header
	fresh   bool // the next packet starts a talk spurt
	playing []*sound
	dialing []*press
	stats   Stats
	lastSeq uint16
	buf     [12 + frameSamples]byte
}

// sound is audio queued by Play.
type sound struct {
	ulaw []byte
	done chan struct{}
}

func newMedia(p *Phone) (*media, error) {
	m := &media{
		phone: p, ear: newEar(p.cfg.HearFor), stop: make(chan struct{}), digits: make(chan Digit, 64), events: dtmfPT, fresh: true,
		header: rtp.Header{Version: 2, SequenceNumber: uint16(rand.Uint32()), Timestamp: rand.Uint32(), SSRC: rand.Uint32()},
	}
	m.setTone(p.cfg.Tone)
	if p.cfg.NoMedia {
		m.port = p.sink.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		return m, nil
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: p.addr.Addr().AsSlice()})
	if err != nil {
		return nil, fmt.Errorf("media port: %w", err)
	}
	m.conn, m.port = conn, conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	return m, nil
}

// connect says where to send, and whether. The first time it starts the audio.
func (m *media) connect(s session, send bool) {
	m.mu.Lock()
	if s.events != 0 {
		m.events = s.events
	}
	m.fresh = m.fresh || send && !m.send
	m.to, m.send = s.addr, send
	start := m.conn != nil && !m.running && !m.closed
	m.running = m.running || start
	m.mu.Unlock()
	if start && m.phone.spawn(m.read) {
		clock.add(m)
		m.mu.Lock()
		late := m.closed
		m.mu.Unlock()
		if late { // closed meanwhile
			clock.remove(m)
		}
	}
}

func (m *media) close() {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return
	}
	m.closed = true
	m.mu.Unlock()
	close(m.stop)
	clock.remove(m)
	m.ear.close()
	if m.conn != nil {
		_ = m.conn.Close() // ends read
	}
}

func (m *media) mute(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.muted = on
}

func (m *media) eventType() uint8 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.events
}

func (m *media) snapshot() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

func (m *media) setTone(hz float64) {
	tone := toneFor(int(math.Round(hz)))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tone, m.pos = tone, 0
}

func (m *media) play(ctx context.Context, pcm []int16) error {
	if m.conn == nil {
		return fmt.Errorf("play: the phone has no media")
	}
	s := &sound{ulaw: make([]byte, len(pcm)), done: make(chan struct{})}
	for i, v := range pcm {
		s.ulaw[i] = g711.EncodeUlawFrame(v)
	}
	m.mu.Lock()
	m.playing = append(m.playing, s)
	m.mu.Unlock()
	return m.wait(ctx, s.done)
}

// wait waits for something the clock does.
func (m *media) wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-m.stop:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tick sends what is due. Only the clock calls it.
func (m *media) tick(skip, due int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.header.Timestamp += uint32(skip * frameSamples)
	for range due {
		if m.closed {
			return
		}
		if !m.press() {
			m.header.PayloadType, m.header.Marker = 0, m.fresh
			m.fill(m.buf[12:])
			m.write(m.buf[:])
		}
		m.header.Timestamp += frameSamples
	}
}

// fill makes the next 20 ms: what is to be played, else the tone, else silence.
func (m *media) fill(out []byte) {
	if len(m.playing) > 0 && m.send {
		s := m.playing[0]
		n := copy(out, s.ulaw)
		s.ulaw = s.ulaw[n:]
		fillSilence(out[n:])
		if len(s.ulaw) == 0 {
			close(s.done)
			m.playing = m.playing[1:]
		}
		return
	}
	if m.tone == nil || m.muted {
		fillSilence(out)
		return
	}
	n := copy(out, m.tone[m.pos:])
	copy(out[n:], m.tone)
	m.pos = (m.pos + len(out)) % len(m.tone)
}

// write sends one packet with the header as it stands; b has room for it.
func (m *media) write(b []byte) {
	if !m.send || m.phone.gone.Load() {
		return
	}
	if _, err := m.header.MarshalTo(b); err != nil {
		return
	}
	m.header.SequenceNumber++
	m.fresh = false
	if _, err := m.conn.WriteToUDPAddrPort(b, m.to); err != nil {
		return
	}
	if m.stats.Out++; m.stats.Out == 1 {
		m.stats.FirstOut = time.Now()
	}
}

// read takes what comes in until the call ends. connect starts it, Close of the phone waits for it.
func (m *media) read() {
	buf := make([]byte, 2048)
	var packet rtp.Packet
	for {
		n, _, err := m.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		now := time.Now()
		if m.phone.gone.Load() || packet.Unmarshal(buf[:n]) != nil {
			continue
		}
		m.count(now, packet.SequenceNumber)
		switch {
		case packet.PayloadType == 0:
			m.ear.add(packet.Payload, &packet.Header, now)
		case packet.PayloadType >= 96: // of the dynamic types we offer only digits
			if d, ok := m.heard.read(&packet, now); ok {
				select {
				case m.digits <- d:
				default:
				}
			}
		}
	}
}

func (m *media) count(now time.Time, seq uint16) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.stats
	if s.In++; s.In == 1 {
		s.FirstIn = now
	} else {
		s.MaxGap = max(s.MaxGap, now.Sub(s.LastIn))
		if gap := int16(seq - m.lastSeq); gap > 1 && gap < 1000 {
			s.Lost += int(gap) - 1
		}
	}
	s.LastIn, m.lastSeq = now, seq
}

const silence = 0xFF // µ-law for 0

func fillSilence(b []byte) {
	for i := range b {
		b[i] = silence
	}
}

// toneLevel is the peak of the tones we send: three of them together do not clip.
const toneLevel = 8000

var tones sync.Map // Hz to one second of µ-law, which holds whole periods

func toneFor(hz int) []byte {
	if hz <= 0 {
		return nil
	}
	if t, ok := tones.Load(hz); ok {
		return t.([]byte)
	}
	t := make([]byte, rate)
	for i := range t {
		t[i] = g711.EncodeUlawFrame(int16(toneLevel * math.Sin(2*math.Pi*float64(hz)*float64(i)/rate)))
	}
	tones.Store(hz, t)
	return t
}
