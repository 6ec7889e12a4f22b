package speech

import "math"

// HoldMusic is the default music on hold: a WAV file of 30 s, soft chords with a slow melody, at -26 dBFS so that
// announcements stand out. The end runs into the beginning without a seam, and it is the same at every call. It is
// composed here, so nobody's licence is needed.
func HoldMusic() []byte {
	const (
		length = 30 * SampleRate
		bar    = length / 8
		beat   = bar / 6
	)
	// C, a minor, F, G, e minor, F, d minor, G: the chord's notes as semitones from middle C, and the melody of its bar.
	bars := [8]struct{ chord, melody []int }{
		{[]int{-12, 0, 4, 7}, []int{12, 7, 4, 7, 12, 14}},
		{[]int{-15, 0, 4, 9}, []int{16, 12, 9, 12, 16, 12}},
		{[]int{-19, 0, 5, 9}, []int{17, 12, 9, 12, 14, 12}},
		{[]int{-17, -1, 2, 7}, []int{14, 11, 7, 11, 14, 11}},
		{[]int{-20, -1, 4, 7}, []int{16, 11, 7, 11, 12, 11}},
		{[]int{-19, 0, 5, 9}, []int{12, 9, 5, 9, 12, 17}},
		{[]int{-22, 2, 5, 9}, []int{17, 14, 9, 14, 17, 14}},
		{[]int{-17, 2, 5, 7}, []int{14, 11, 7, 11, 14, 11}},
	}
	mix := make([]float64, length)
	// note adds one note; what rings beyond the end goes to the beginning.
	note := func(at, samples, semitone int, loud, attack, decay float64) {
		w := 2 * math.Pi * 261.63 * math.Pow(2, float64(semitone)/12) / SampleRate
		for i := range samples {
			t := float64(i) / SampleRate
			env := loud * min(t/attack, 1) * math.Exp(-t/decay) * min(float64(samples-i)/SampleRate/0.3, 1)
			x := w * float64(i)
			mix[(at+i)%length] += env * (math.Sin(x) + 0.25*math.Sin(2*x) + 0.08*math.Sin(3*x))
		}
	}
	for i, b := range bars {
		for _, n := range b.chord {
			note(i*bar, bar+bar/4, n, 0.5, 0.5, 6)
		}
		for j, n := range b.melody {
			note(i*bar+j*beat, 2*SampleRate, n, 0.6, 0.015, 0.7)
		}
	}
	sum, top := 0.0, 0.0
	for _, v := range mix {
		sum += v * v
		top = max(top, math.Abs(v))
	}
	gain := math.Pow(10, -26.0/20) / math.Sqrt(sum/length)
	gain = min(gain, peakLimit/top)
	for i := range mix {
		mix[i] *= gain
	}
	return WAV(sound{SampleRate, mix}.pcm())
}
