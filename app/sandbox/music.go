package sandbox

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"

	"callplane/dialplans"
)

// Music is one class of music on hold: a quiet chord, made here, so nobody owns it. Its first tone sounds without a
// break, so that a test can tell which music a caller hears; the others come and go above it.
//
// The tones keep clear of those of keys (697 to 941 and 1209 to 1633 Hz), of the telephone network (350, 440, 450, 480
// Hz) and of round numbers that tests use for people.
type Music struct {
	Class string
	Tones []float64 // Hz, the first being the one to listen for
}

// The classes an Asterisk has unless told otherwise.
var (
	DefaultMusic = Music{dialplans.DefaultMusic, []float64{620, 827, 1240}}
	JazzMusic    = Music{"jazz", []float64{540, 648, 1080}}
)

// Tone is the frequency, in Hz, by which the music is known.
func (m Music) Tone() float64 { return m.Tones[0] }

// Samples returns one round of the music: 10 s at 8 kHz. It can be repeated without a click.
func (m Music) Samples() []int16 {
	const rate, seconds = 8000, 10
	const loud = 1100 // of 32767: about -29 dB, quiet enough to talk over
	out := make([]int16, rate*seconds)
	for i := range out {
		t := float64(i) / rate
		sum := 0.7 * math.Sin(2*math.Pi*m.Tones[0]*t)
		for k, hz := range m.Tones[1:] {
			// Swells once in 5 s, the tones one after the other; whole periods fit into the round.
			swell := 0.5 - 0.5*math.Cos(2*math.Pi*(t/5-float64(k)/float64(len(m.Tones)-1)))
			sum += 0.35 * swell * math.Sin(2*math.Pi*hz*t)
		}
		out[i] = int16(loud * sum)
	}
	return out
}

// WriteFile writes the music as a wav file into dir, in the folder of its class.
func (m Music) WriteFile(dir string) error {
	dir = filepath.Join(dir, m.Class)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "music.wav"), wav(m.Samples()), 0o644)
}

// wav wraps 8 kHz mono samples into a wav file.
func wav(samples []int16) []byte {
	size := uint32(2 * len(samples))
	var out bytes.Buffer
	put := func(v any) { binary.Write(&out, binary.LittleEndian, v) } // a Buffer takes everything
	out.WriteString("RIFF")
	put(36 + size)
	out.WriteString("WAVEfmt ")
	put(uint32(16))             // length of what describes the format
	put([2]uint16{1, 1})        // PCM, one channel
	put([2]uint32{8000, 16000}) // samples and bytes a second
	put([2]uint16{2, 16})       // bytes and bits a sample
	out.WriteString("data")
	put(size)
	put(samples)
	return out.Bytes()
}
