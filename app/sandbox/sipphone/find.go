package sipphone

import (
	"math"
	"time"
)

// Match is the score from which FindIn has found the pattern, not something alike.
const Match = 0.9

// FindIn looks for a pattern, such as a prompt, in audio (both 8 kHz) and returns where it fits best and how well:
// 1 is the same wave at any volume, [Match] and above is a find, unrelated speech stays below about 0.3. µ-law coding
// and a change of volume do no harm; two prompts at once do. The whole pattern must be in the audio, else the score
// is 0. A quarter of an hour of audio takes a second or so.
func FindIn(audio, pattern []int16) (offset time.Duration, score float64) {
	pattern, lead := trimmed(pattern)
	m := len(pattern)
	if m == 0 || m > len(audio) {
		return 0, 0
	}
	n := 1
	for n < 4*m {
		n *= 2
	}
	n = max(n, 1<<14)
	p := make([]complex128, n)
	var energy float64
	for i, v := range pattern {
		p[i] = complex(float64(v), 0)
		energy += float64(v) * float64(v)
	}
	fft(p, false)
	floor := energy * 1e-5 // audio 50 dB below the pattern is no match, however alike
	sums := make([]float64, len(audio)+1)
	for i, v := range audio {
		sums[i+1] = sums[i] + float64(v)*float64(v)
	}
	best := 0
	block := make([]complex128, n)
	for start := 0; start+m <= len(audio); start += n - m + 1 {
		clear(block)
		for i := range min(n, len(audio)-start) {
			block[i] = complex(float64(audio[start+i]), 0)
		}
		fft(block, false)
		for i := range block {
			block[i] *= complex(real(p[i]), -imag(p[i]))
		}
		fft(block, true)
		for i := range min(n-m+1, len(audio)-start-m+1) {
			here := sums[start+i+m] - sums[start+i]
			if here < floor {
				continue
			}
			if s := real(block[i]) / math.Sqrt(here*energy); s > score {
				best, score = start+i, s
			}
		}
	}
	return duration(best - lead), score
}

// trimmed leaves out the silence around the pattern: it proves nothing, and the ends of a capture may cut it off.
func trimmed(pattern []int16) (core []int16, lead int) {
	loud := func(v int16) bool { return v > 64 || v < -64 }
	from, to := 0, len(pattern)
	for from < to && !loud(pattern[from]) {
		from++
	}
	for to > from && !loud(pattern[to-1]) {
		to--
	}
	return pattern[from:to], from
}
