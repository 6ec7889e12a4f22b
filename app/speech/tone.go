package speech

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Note is a tone of one frequency. 0 Hz is silence.
type Note struct {
	Hz     float64 // up to 3,400, what a telephone carries
	Length time.Duration
}

// Tone plays notes one after another at -18 dBFS, with edges of 5 ms so that nothing clicks.
func Tone(notes ...Note) []int16 {
	var s sound
	for _, n := range notes {
		samples := int(n.Length * SampleRate / time.Second)
		edge := min(SampleRate/200, samples/2)
		peak := math.Sqrt2 * math.Pow(10, targetLevel/20)
		for i := range samples {
			v := peak * math.Sin(2*math.Pi*n.Hz*float64(i)/SampleRate)
			if near := min(i, samples-1-i); near < edge {
				v *= float64(near) / float64(edge)
			}
			s.samples = append(s.samples, v)
		}
	}
	return s.pcm()
}

// Beep is the tone before a message is recorded: 1 kHz for 400 ms.
func Beep() []int16 { return Tone(Note{1000, 400 * time.Millisecond}) }

// parseTone reads "1000/400,0/200": Hz and milliseconds. All together at most a minute.
func parseTone(text string) (notes []Note, err error) {
	var all time.Duration
	for _, part := range strings.Split(text, ",") {
		hz, ms, _ := strings.Cut(strings.TrimSpace(part), "/")
		f, err1 := strconv.ParseFloat(hz, 64)
		n, err2 := strconv.Atoi(ms)
		if err1 != nil || err2 != nil || !(f >= 0 && f <= 3400) || n < 1 || n > 60_000 {
			return nil, fmt.Errorf("tone %q: %q must be a frequency (0 to 3400 Hz), \"/\", and milliseconds (1 to 60000)", text, part)
		}
		notes = append(notes, Note{f, time.Duration(n) * time.Millisecond})
		all += time.Duration(n) * time.Millisecond
	}
	if all > time.Minute {
		return nil, fmt.Errorf("tone %q: %w", text, ErrTooLong)
	}
	return notes, nil
}
