package speech

import (
	"math"
	"sync"
	"time"
)

// What every prompt is brought to. Full scale is 0 dBFS.
const (
	targetLevel = -18.0 // dBFS, root mean square of the parts where someone speaks
	peakLimit   = 0.89  // -1 dBFS: the highest sample
	silence     = -50.0 // dBFS in 20 ms: below this nobody speaks
	maxGain     = 30.0  // dB: a nearly silent file is not blown up to noise

	leadIn  = 40 * time.Millisecond  // silence kept in front
	leadOut = 120 * time.Millisecond // and behind
)

// telephone makes any sound into a prompt: 8 kHz, no offset, short silence at the ends, even level, no clipping.
func telephone(s sound) []int16 {
	s = resample(s, SampleRate)
	centre(s.samples)
	s.samples = trim(s.samples)
	level(s.samples)
	return s.pcm()
}

// resample changes the rate. A windowed sinc (Kaiser, 80 dB) takes away what the lower of the two rates cannot
// carry: at 8 kHz, flat to 3.5 kHz and gone at 4 kHz, so nothing folds back as a hiss.
func resample(s sound, rate int) sound {
	if s.rate == rate || len(s.samples) == 0 {
		return sound{rate, s.samples}
	}
	half, phases := kernel(s.rate, rate)
	out := make([]float64, int(int64(len(s.samples))*int64(rate)/int64(s.rate)))
	for i := range out {
		at := float64(i) * float64(s.rate) / float64(rate)
		whole := int(at)
		behind := (at - float64(whole)) * kernelSteps // of the sample at whole; the next is ahead by the rest
		sum := 0.0
		add := func(from, step int, distance float64) {
			p := int(distance)
			f := distance - float64(p)
			near, far := phases[p], phases[min(p+1, kernelSteps)]
			for k := 0; k < half; k++ {
				if from < 0 || from >= len(s.samples) {
					break
				}
				sum += s.samples[from] * (near[k] + f*(far[k]-near[k]))
				from += step
			}
		}
		add(whole, -1, behind)
		add(whole+1, 1, kernelSteps-behind)
		out[i] = sum
	}
	return sound{rate, out}
}

// kernelSteps is the filter's table entries for each input sample; between two it is interpolated.
const kernelSteps = 512

var kernels sync.Map // [2]int{from, to} → [][]float64, for the usual rates

// kernel is the filter from its middle outwards: phases[p][k] is for a sample k + p/kernelSteps away, k up to half.
func kernel(from, to int) (half int, phases [][]float64) {
	const (
		beta = 7.86
		band = 0.07 // width of the transition, as a share of the lower rate: 560 Hz at 8 kHz
	)
	low := float64(min(from, to)) / float64(from) // the lower rate, in input samples
	cut := low * (1 - band) / 2                   // middle of the transition, in cycles for each input sample
	half = int(math.Ceil(5.0 / (2 * band * low)))
	if known, ok := kernels.Load([2]int{from, to}); ok {
		return half, known.([][]float64)
	}
	norm := bessel(beta)
	for p := range kernelSteps + 1 {
		taps := make([]float64, half)
		for k := range taps {
			x := float64(k) + float64(p)/kernelSteps
			taps[k] = 2 * cut
			if x > 0 {
				taps[k] = math.Sin(2*math.Pi*cut*x) / (math.Pi * x)
			}
			w := min(x/float64(half), 1)
			taps[k] *= bessel(beta*math.Sqrt(1-w*w)) / norm
		}
		phases = append(phases, taps)
	}
	switch from { // others, from uploads, are not worth the memory
	case 11025, 16000, 22050, 24000, 44100, 48000:
		kernels.Store([2]int{from, to}, phases)
	}
	return half, phases
}

// bessel is the modified Bessel function of order zero, for the Kaiser window.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// centre takes away a constant offset.
func centre(x []float64) {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	mean := sum / float64(max(len(x), 1))
	for i := range x {
		x[i] -= mean
	}
}

// frames calls do for each 20 ms at 8 kHz with its power (1 is full scale).
func frames(x []float64, do func(from, to int, power float64)) {
	const step = SampleRate / 50
	for from := 0; from < len(x); from += step {
		to := min(from+step, len(x))
		sum := 0.0
		for _, v := range x[from:to] {
			sum += v * v
		}
		do(from, to, sum/float64(to-from))
	}
}

func power(db float64) float64 { return math.Pow(10, db/10) }

// threshold is the power above which a frame is taken for speech: 40 dB below the loudest, at least silence.
func threshold(x []float64) float64 {
	loudest := 0.0
	frames(x, func(_, _ int, p float64) { loudest = max(loudest, p) })
	return max(loudest*power(-40), power(silence))
}

// trim cuts silence in front and behind to leadIn and leadOut. A file of silence stays as it is.
func trim(x []float64) []float64 {
	first, last := -1, 0
	above := threshold(x)
	frames(x, func(from, to int, p float64) {
		if p > above {
			if first < 0 {
				first = from
			}
			last = to
		}
	})
	if first < 0 {
		return x
	}
	samples := func(d time.Duration) int { return int(d * SampleRate / time.Second) }
	return x[max(first-samples(leadIn), 0):min(last+samples(leadOut), len(x))]
}

// Loudness is the level of the parts of pcm where there is sound, in dBFS (0 is full scale, speech is near -18), and
// the highest sample in dBFS. Silence is -120.
func Loudness(pcm []int16) (rms, peak float64) {
	x := make([]float64, len(pcm))
	top := 0.0
	for i, v := range pcm {
		x[i] = float64(v) / (1 << 15)
		top = max(top, math.Abs(x[i]))
	}
	return loudness(x), 20 * math.Log10(max(top, 1e-6))
}

func loudness(x []float64) float64 {
	above := threshold(x)
	sum, n := 0.0, 0
	frames(x, func(from, to int, p float64) {
		if p > above {
			sum += p * float64(to-from)
			n += to - from
		}
	})
	if n == 0 {
		return -120
	}
	return 10 * math.Log10(sum/float64(n))
}

// level brings x to targetLevel. Peaks above peakLimit are turned down softly, over 10 ms around them.
func level(x []float64) {
	now := loudness(x)
	if now <= -120 {
		return
	}
	gain := math.Pow(10, min(targetLevel-now, maxGain)/20)
	for i := range x {
		x[i] *= gain
	}
	limit(x)
}

// limit is a look-ahead limiter: for each sample the smallest gain needed within 5 ms, smoothed over as much.
func limit(x []float64) {
	const reach = SampleRate / 200
	need := make([]float64, len(x)+2*reach) // 1 beyond both ends
	over := false
	for i := range need {
		need[i] = 1
	}
	for i, v := range x {
		if a := math.Abs(v); a > peakLimit {
			need[i+reach], over = peakLimit/a, true
		}
	}
	if !over {
		return
	}
	low := make([]float64, len(need)) // smallest gain within reach
	for i := range need {
		low[i] = 1
	}
	for i, g := range need {
		if g < 1 {
			for j := max(i-reach, 0); j <= min(i+reach, len(need)-1); j++ {
				low[j] = min(low[j], g)
			}
		}
	}
	sum := 0.0 // of low over the 2*reach+1 around the sample, whose mean never exceeds what the sample needs
	for _, g := range low[:2*reach] {
		sum += g
	}
	for i := range x {
		sum += low[i+2*reach]
		x[i] *= sum / (2*reach + 1)
		sum -= low[i]
	}
}
