package wav

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Track is one mono recording at its place on the time line.
type Track struct {
	PCM     io.Reader // little-endian samples without a header, as Unpack writes them
	Samples int64     // how many PCM holds; if it holds fewer, silence stands for the rest
	At      int64     // where it begins, in samples from the start of the mix
	Channel int       // 0 is left
}

// Mix is a WAV file made of tracks while it is read. Tracks on one channel add up; where that would be too loud, the channel
// is turned down for as long as needed, without a click and without clipping. A single track passes unchanged.
type Mix struct {
	channels int
	samples  int64
	at       int64  // sample in the next block
	out      []byte // what of the block is still to be read
	buf      []byte // the block
	err      error
	mixers   []*mixer
	peaks    *peakMeter
}

// NewMix puts tracks together. Its length is that of the last one's end.
func NewMix(channels int, tracks []Track) (*Mix, error) {
	m := &Mix{channels: channels, mixers: make([]*mixer, channels)}
	for i := range m.mixers {
		m.mixers[i] = &mixer{gain: 1}
	}
	for _, t := range tracks {
		if t.Channel < 0 || t.Channel >= channels || t.At < 0 || t.Samples < 0 {
			return nil, fmt.Errorf("wav: track on channel %d at %d with %d samples", t.Channel, t.At, t.Samples)
		}
		m.samples = max(m.samples, t.At+t.Samples)
		c := m.mixers[t.Channel]
		c.tracks = append(c.tracks, &source{src: bufio.NewReaderSize(t.PCM, 16<<10), at: t.At, left: t.Samples})
	}
	var err error
	m.out, err = header(channels, m.samples)
	m.peaks = newPeakMeter(channels, m.samples)
	return m, err
}

// Samples is the length of the mix in samples.
func (m *Mix) Samples() int64 { return m.samples }

// Size is the length of the file in bytes.
func (m *Mix) Size() int64 { return headerSize + m.samples*2*int64(m.channels) }

// Peaks are the loudest samples by channel and bucket, once all has been read.
func (m *Mix) Peaks() Peaks { return m.peaks.peaks }

// Read implements io.Reader.
func (m *Mix) Read(p []byte) (int, error) {
	for len(m.out) == 0 {
		if m.err != nil {
			return 0, m.err
		}
		if m.at >= m.samples {
			return 0, io.EOF
		}
		m.err = m.block()
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

// block makes the next 20 ms.
func (m *Mix) block() error {
	n := int(min(Block, m.samples-m.at))
	if m.buf == nil {
		m.buf = make([]byte, Block*2*m.channels)
	}
	m.out = m.buf[:n*2*m.channels]
	for ch, c := range m.mixers {
		pcm, err := c.next(m.at)
		if err != nil {
			m.out = nil
			return err
		}
		for i, v := range pcm[:n] {
			binary.LittleEndian.PutUint16(m.out[2*(i*m.channels+ch):], uint16(v))
		}
		m.peaks.add(ch, m.at, pcm[:n])
	}
	m.at += int64(n)
	return nil
}

// source is a track that is being read.
type source struct {
	src  *bufio.Reader
	at   int64
	left int64
	raw  [2 * Block]byte
}

// add adds what the track says in the block at a position to sum.
func (s *source) add(at int64, sum *[Block]int32) error {
	from := max(s.at-at, 0)
	if from >= Block || s.left == 0 {
		return nil
	}
	want := s.raw[:2*min(Block-from, s.left)]
	n, err := io.ReadFull(s.src, want)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	for i := 0; i+1 < n; i += 2 {
		sum[int(from)+i/2] += int32(int16(binary.LittleEndian.Uint16(want[i:])))
	}
	s.left -= int64(len(want) / 2)
	if n < len(want) {
		s.left = 0
	}
	return nil
}

// mixer adds the tracks of one channel. It knows one block more than it gives, so that it can turn down before it is too loud.
type mixer struct {
	tracks []*source
	blocks [2][Block]int32
	ahead  *[Block]int32 // the next block, one of blocks; nil before the first
	gain   float64       // at the start of the next block; never above what that block needs
}

// loudest is the largest level of a sample.
const loudest = 32767

// rise is how much the gain may rise over one block of 20 ms: silence to full takes about half a second.
const rise = 0.04

// next gives the block at a position; blocks are asked for in order.
func (m *mixer) next(at int64) (out [Block]int16, err error) {
	if m.ahead == nil {
		m.ahead = &m.blocks[0]
		if err := m.sum(at, m.ahead); err != nil {
			return out, err
		}
		m.gain = need(m.ahead)
	}
	now := m.ahead
	if m.ahead = &m.blocks[0]; now == m.ahead {
		m.ahead = &m.blocks[1]
	}
	if err := m.sum(at+Block, m.ahead); err != nil {
		return out, err
	}
	end := min(need(now), need(m.ahead), m.gain+rise)
	step := (end - m.gain) / Block
	for i, v := range now {
		if m.gain == 1 && end == 1 {
			out[i] = int16(max(-loudest-1, min(loudest, v)))
			continue
		}
		out[i] = int16(max(-loudest-1, min(loudest, float64(v)*(m.gain+float64(i)*step))))
	}
	m.gain = end
	return out, nil
}

// sum adds up what all tracks say in the block at a position.
func (m *mixer) sum(at int64, into *[Block]int32) error {
	*into = [Block]int32{}
	for _, t := range m.tracks {
		if err := t.add(at, into); err != nil {
			return err
		}
	}
	return nil
}

// need is the largest gain, up to 1, at which a block does not clip.
func need(b *[Block]int32) float64 {
	var top int32
	for _, v := range b {
		top = max(top, v, -v-1)
	}
	if top <= loudest {
		return 1
	}
	return loudest / float64(top+1)
}
