package sipphone

import (
	"fmt"
	"math"
	"slices"
	"sync"
)

// Tone is one tone in a mixture.
type Tone struct {
	Hz    float64
	Level float64 // dBFS: 0 is the loudest sine
}

func (t Tone) String() string { return fmt.Sprintf("%.0f Hz %.0f dB", t.Hz, t.Level) }

const (
	quiet    = -45.0 // dBFS; a fainter tone does not count
	standOut = 10.0  // dB a tone must be above what is beside it
	beside   = 25.0  // Hz
)

var windows sync.Map // length to Hann window

func hann(n int) []float64 {
	if w, ok := windows.Load(n); ok {
		return w.([]float64)
	}
	w := make([]float64, n)
	for i := range w {
		w[i] = 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(n))
	}
	windows.Store(n, w)
	return w
}

// hasTone says whether the samples hold a tone of this frequency: loud enough, and standing out from its neighbours.
func hasTone(pcm []int16, hz float64) bool {
	x := hannWindowed(pcm)
	level := goertzel(x, hz)
	return level > quiet && level > goertzel(x, hz-beside)+standOut && level > goertzel(x, hz+beside)+standOut
}

func hannWindowed(pcm []int16) []float64 {
	x := make([]float64, len(pcm))
	for i, w := range hann(len(pcm)) {
		x[i] = w * float64(pcm[i])
	}
	return x
}

// goertzel is the level of one frequency in dBFS.
func goertzel(x []float64, hz float64) float64 {
	k := 2 * math.Cos(2*math.Pi*hz/rate)
	var s1, s2 float64
	for _, v := range x {
		s1, s2 = v+k*s1-s2, s1
	}
	power := s1*s1 + s2*s2 - k*s1*s2
	return decibel(math.Sqrt(max(0, power)) * 4 / float64(len(x))) // 4: a Hann window halves twice
}

func decibel(peak float64) float64 { return max(-100, 20*math.Log10(max(peak, 1e-9)/32767)) }

// loudness is the level of all that sounds, in dBFS of a sine with the same power.
func loudness(pcm []int16) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return decibel(math.Sqrt(2 * sum / float64(max(1, len(pcm)))))
}

// findTones lists up to ten tones, loudest first.
func findTones(pcm []int16) []Tone {
	n := 1
	for n < 2*len(pcm) {
		n *= 2
	}
	spectrum := make([]complex128, n)
	for i, v := range hannWindowed(pcm) {
		spectrum[i] = complex(v, 0)
	}
	fft(spectrum, false)
	level := make([]float64, n/2)
	for i := range level {
		level[i] = decibel(math.Hypot(real(spectrum[i]), imag(spectrum[i])) * 4 / float64(len(pcm)))
	}
	bin := float64(rate) / float64(n)
	side := int(beside / bin)
	var found []Tone
	for i := side; i < len(level)-side; i++ {
		l := level[i]
		if l < quiet || l < level[i-1] || l <= level[i+1] || l < level[i-side]+standOut || l < level[i+side]+standOut {
			continue
		}
		a, c := level[i-1], level[i+1] // the peak of the parabola through three points
		hz := (float64(i) + (a-c)/2/(a-2*l+c)) * bin
		found = append(found, Tone{Hz: math.Round(hz*10) / 10, Level: math.Round(l*10) / 10})
	}
	slices.SortFunc(found, func(a, b Tone) int { return int(math.Copysign(1, b.Level-a.Level)) })
	if len(found) > 0 { // side lobes and µ-law noise
		loudest := found[0].Level
		found = slices.DeleteFunc(found, func(t Tone) bool { return t.Level < loudest-30 })
	}
	return found[:min(10, len(found))]
}
