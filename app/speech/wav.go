package speech

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// SampleRate is that of every file made here: 8,000 samples a second, 16 bit, mono, as telephones carry it.
const SampleRate = 8000

// maxRate is the highest sample rate read, in Hz.
const maxRate = 192_000

// WAV wraps samples of [SampleRate] in a file.
func WAV(pcm []int16) []byte {
	b := make([]byte, 0, 44+2*len(pcm))
	le := binary.LittleEndian
	b = append(b, "RIFF"...)
	b = le.AppendUint32(b, uint32(36+2*len(pcm)))
	b = append(b, "WAVEfmt "...)
	b = le.AppendUint32(b, 16)
	b = le.AppendUint16(b, 1) // PCM
	b = le.AppendUint16(b, 1) // mono
	b = le.AppendUint32(b, SampleRate)
	b = le.AppendUint32(b, 2*SampleRate)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 16)
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(2*len(pcm)))
	for _, s := range pcm {
		b = le.AppendUint16(b, uint16(s))
	}
	return b
}

// sound is audio on its way: mono, full scale at ±1.
type sound struct {
	rate    int // Hz
	samples []float64
}

func (s sound) duration() time.Duration { return length(len(s.samples), s.rate) }

func length(samples, rate int) time.Duration {
	return time.Duration(samples) * time.Second / time.Duration(max(rate, 1))
}

// format is the fmt chunk of a WAV file.
type format struct {
	tag      uint16 // 1 PCM, 3 float, 6 A-law, 7 µ-law
	channels int
	rate     int
	bits     int
}

// decode reads a WAV file: PCM of 8 to 32 bits, float of 32 or 64, A-law, µ-law; any rate from 4 to 192 kHz; all
// channels mixed into one. Lengths in the headers of streamed files, which are wrong, are cut to what is there.
func decode(file []byte) (sound, error) {
	if len(file) < 12 || string(file[:4]) != "RIFF" || string(file[8:12]) != "WAVE" {
		return sound{}, fmt.Errorf("%w: it is not a WAV file", ErrAudio)
	}
	le := binary.LittleEndian
	var f format
	for rest := file[12:]; len(rest) >= 8; {
		name, size := string(rest[:4]), int64(le.Uint32(rest[4:8]))
		rest = rest[8:]
		body := rest[:min(size, int64(len(rest)))]
		switch name {
		case "fmt ":
			if len(body) < 16 {
				return sound{}, fmt.Errorf("%w: its format chunk is short", ErrAudio)
			}
			f = format{le.Uint16(body), int(le.Uint16(body[2:])), int(le.Uint32(body[4:])), int(le.Uint16(body[14:]))}
			if f.tag == 0xFFFE && len(body) >= 26 { // extensible: the real tag begins the sub-format
				f.tag = le.Uint16(body[24:])
			}
		case "data":
			return f.read(body)
		}
		rest = rest[min(size+size%2, int64(len(rest))):]
	}
	return sound{}, fmt.Errorf("%w: it has no data", ErrAudio)
}

func (f format) read(data []byte) (sound, error) {
	one, ok := samplers[[2]int{int(f.tag), f.bits}]
	if !ok || f.channels < 1 || f.channels > 32 || f.rate < 4000 || f.rate > maxRate {
		return sound{}, fmt.Errorf("%w: format %d, %d bits, %d channels, %d Hz", ErrAudio, f.tag, f.bits, f.channels, f.rate)
	}
	width := f.bits / 8
	frame := width * f.channels
	s := sound{f.rate, make([]float64, len(data)/frame)}
	for i := range s.samples {
		sum := 0.0
		for c := range f.channels {
			at := i*frame + c*width
			sum += one(data[at : at+width])
		}
		v := sum / float64(f.channels)
		if math.IsNaN(v) || math.Abs(v) > 1e6 { // float files may hold anything
			v = 0
		}
		s.samples[i] = v
	}
	return s, nil
}

// samplers read one sample, by format tag and bits.
var samplers = map[[2]int]func([]byte) float64{
	{1, 8}:  func(b []byte) float64 { return (float64(b[0]) - 128) / 128 },
	{1, 16}: func(b []byte) float64 { return float64(int16(binary.LittleEndian.Uint16(b))) / (1 << 15) },
	{1, 24}: func(b []byte) float64 {
		return float64(int32(uint32(b[0])<<8|uint32(b[1])<<16|uint32(b[2])<<24)) / (1 << 31)
	},
	{1, 32}: func(b []byte) float64 { return float64(int32(binary.LittleEndian.Uint32(b))) / (1 << 31) },
	{3, 32}: func(b []byte) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))) },
	{3, 64}: func(b []byte) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b)) },
	{6, 8}:  func(b []byte) float64 { return aLaw(b[0]) },
	{7, 8}:  func(b []byte) float64 { return muLaw(b[0]) },
}

// aLaw expands one byte of G.711 A-law.
func aLaw(b byte) float64 {
	b ^= 0x55
	v := int(b&0x0F)<<4 + 8
	if e := int(b >> 4 & 7); e > 0 {
		v = (v + 0x100) << (e - 1)
	}
	if b&0x80 == 0 {
		v = -v
	}
	return float64(v) / (1 << 15)
}

// muLaw expands one byte of G.711 µ-law.
func muLaw(b byte) float64 {
	b = ^b
	v := (int(b&0x0F)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		v = -v
	}
	return float64(v) / (1 << 15)
}

// pcm rounds to 16 bits. What stands out of ±1 is cut; level keeps it from happening.
func (s sound) pcm() []int16 {
	out := make([]int16, len(s.samples))
	for i, v := range s.samples {
		out[i] = int16(math.Round(min(max(v, -1), 1) * math.MaxInt16))
	}
	return out
}

// PCM reads the samples of a file made here; others are an error.
func PCM(file []byte) ([]int16, error) {
	if len(file) < 44 || !bytes.Equal(file[:4], []byte("RIFF")) || binary.LittleEndian.Uint32(file[24:]) != SampleRate ||
		binary.LittleEndian.Uint16(file[22:]) != 1 || binary.LittleEndian.Uint16(file[34:]) != 16 || string(file[36:40]) != "data" {
		return nil, fmt.Errorf("%w: not 8 kHz, 16 bit, mono", ErrAudio)
	}
	pcm := make([]int16, len(file[44:])/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(file[44+2*i:]))
	}
	return pcm, nil
}
