package sipphone

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/zaf/g711"
)

// mix makes one second of tones, each with the peak given, through µ-law.
func mix(n int, tones map[float64]float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		var v float64
		for hz, peak := range tones {
			v += peak * math.Sin(2*math.Pi*hz*float64(i)/rate+hz)
		}
		pcm[i] = ulaw[g711.EncodeUlawFrame(int16(v))]
	}
	return pcm
}

// speech makes something like a voice: noise in bands and syllables that change every 100 ms.
func speech(seed uint64, n int) []int16 {
	r := rand.New(rand.NewPCG(seed, 1))
	pcm := make([]int16, n)
	var low float64
	var pitch, loud float64
	for i := range pcm {
		if i%800 == 0 {
			pitch, loud = 90+r.Float64()*200, r.Float64()*6000
			if r.IntN(5) == 0 {
				loud = 0
			}
		}
		low = 0.8*low + 0.2*r.NormFloat64()
		t := float64(i) / rate
		v := loud * (0.6*math.Sin(2*math.Pi*pitch*t) + 0.3*math.Sin(2*math.Pi*pitch*2*t) + 0.2*math.Sin(2*math.Pi*pitch*5*t) + 0.4*low)
		pcm[i] = int16(max(-32000, min(32000, v)))
	}
	return pcm
}

func TestTones(t *testing.T) {
	const ours = toneLevel
	for name, tt := range map[string]struct {
		sound map[float64]float64
		want  []float64
	}{
		"one":                  {map[float64]float64{440: ours}, []float64{440}},
		"50 Hz apart":          {map[float64]float64{1000: ours, 1050: ours}, []float64{1000, 1050}},
		"50 Hz apart, 12 dB":   {map[float64]float64{1000: ours, 1050: ours / 4}, []float64{1000, 1050}},
		"conference of three":  {map[float64]float64{440: ours, 1000: ours, 1700: ours}, []float64{440, 1000, 1700}},
		"a whisper beside two": {map[float64]float64{440: ours, 1000: ours, 1700: ours / 8}, []float64{440, 1000, 1700}},
		"too faint":            {map[float64]float64{440: 60}, nil},
		"nothing":              {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{window, samples(glance)} {
				pcm := mix(n, tt.sound)
				for hz := 300.0; hz <= 3000; hz += 10 {
					there := slices.Contains(tt.want, hz)
					near := slices.ContainsFunc(tt.want, func(w float64) bool { return math.Abs(w-hz) < 40 })
					if there == near && hasTone(pcm, hz) != there {
						t.Errorf("%d samples: has %g Hz = %v", n, hz, !there)
					}
				}
				var got []float64
				for _, f := range findTones(pcm) {
					got = append(got, f.Hz)
				}
				slices.Sort(got)
				if len(got) != len(tt.want) {
					t.Fatalf("%d samples: tones %v, want %v", n, got, tt.want)
				}
				for i := range got {
					if math.Abs(got[i]-tt.want[i]) > 4 {
						t.Errorf("%d samples: tones %v, want %v", n, got, tt.want)
					}
				}
			}
		})
	}
	if l := loudness(mix(1600, map[float64]float64{440: ours})); math.Abs(l+12.2) > 0.3 {
		t.Errorf("a tone of ours has %.1f dBFS", l)
	}
}

func TestSpeechIsNoTone(t *testing.T) {
	e := newEar(time.Minute)
	feed(e, speech(7, 10*rate), 0)
	for _, hz := range []float64{440, 1000, 1700, 425} {
		ctx, cancel := context.WithCancel(t.Context())
		e.close()
		if at, err := e.WaitToneFrom(ctx, 0, hz, 300*time.Millisecond); !errors.Is(err, ErrEnded) {
			t.Errorf("heard %g Hz at %v (%v)", hz, at, err)
		}
		cancel()
	}
}

func TestFindIn(t *testing.T) {
	prompt, other := speech(1, 3*rate), speech(2, 3*rate)
	audio := append(speech(3, 12345), make([]int16, 4000)...)
	start := len(audio)
	for _, v := range append(slices.Clone(prompt), speech(4, 9*rate)...) {
		audio = append(audio, ulaw[g711.EncodeUlawFrame(v/3)]) // a third of the volume, through µ-law
	}
	for i := range audio { // and some noise on the line
		audio[i] += int16(rand.IntN(41) - 20)
	}
	if at, score := FindIn(audio, prompt); score < Match || at != duration(start) {
		t.Errorf("found at %v with %.3f, want %v", at, score, duration(start))
	}
	if at, score := FindIn(audio, other); score > 0.4 {
		t.Errorf("something else found at %v with %.3f", at, score)
	}
	padded := append(append(make([]int16, 800), prompt...), make([]int16, 8000)...)
	if at, score := FindIn(audio, padded); score < Match || at != duration(start-800) {
		t.Errorf("padded: found at %v with %.3f", at, score)
	}
	if _, score := FindIn(prompt[:rate], prompt); score != 0 {
		t.Errorf("half a prompt scores %.3f", score)
	}
	if _, score := FindIn(make([]int16, 5*rate), prompt); score != 0 {
		t.Errorf("silence scores %.3f", score)
	}
}

func BenchmarkFindIn(b *testing.B) {
	audio, prompt := speech(1, 600*rate), speech(2, 5*rate)
	for b.Loop() {
		FindIn(audio, prompt)
	}
}

// feed puts samples into an ear as packets that come on time, from a point of its time line on.
func feed(e *Ear, pcm []int16, from time.Duration) {
	for i := 0; i+frameSamples <= len(pcm); i += frameSamples {
		b := make([]byte, frameSamples)
		for j := range b {
			b[j] = g711.EncodeUlawFrame(pcm[i+j])
		}
		at := e.Start.Add(from + duration(i+frameSamples))
		e.add(b, &rtp.Header{SSRC: 1, Timestamp: uint32(1000 + i)}, at)
	}
}

func TestEarPutsPacketsInPlace(t *testing.T) {
	packet := func(level int16) []byte {
		b := make([]byte, frameSamples)
		for i := range b {
			b[i] = g711.EncodeUlawFrame(level)
		}
		return b
	}
	e := newEar(10 * time.Second)
	add := func(level int16, ssrc, ts uint32, ms int) {
		e.add(packet(level), &rtp.Header{SSRC: ssrc, Timestamp: ts}, e.Start.Add(time.Duration(ms)*time.Millisecond))
	}
	add(1000, 1, 0, 20)
	add(3000, 1, 320, 55)    // early by nobody's fault: its place is 40 ms
	add(2000, 1, 160, 58)    // overtaken: 20 ms
	add(4000, 1, 480, 140)   // jitter: 60 ms
	add(5000, 2, 9999, 1020) // another stream after a pause: 1000 ms
	got := e.Audio()
	for ms, want := range map[int]int16{0: 1000, 20: 2000, 40: 3000, 60: 4000, 80: 0, 980: 0, 1000: 5000} {
		if v := got[ms*8]; v < want-want/20 || v > want+want/20 {
			t.Errorf("at %d ms %d, want %d", ms, v, want)
		}
	}
	if len(got) != 1020*8 {
		t.Errorf("%d samples", len(got))
	}
}

func TestEarForgetsTheOldest(t *testing.T) {
	e := newEar(2 * time.Second)
	feed(e, mix(10*rate, map[float64]float64{440: 4000}), 0)
	if n := len(e.Audio()); n < 2*rate || n > 3*rate {
		t.Errorf("keeps %d samples", n)
	}
}

func TestWAV(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	want := speech(1, 777)
	must(t, WriteWAV(path, want))
	got, err := ReadWAV(path)
	must(t, err)
	if !slices.Equal(got, want) {
		t.Error("other samples came back")
	}
	must(t, os.WriteFile(path, []byte("RIFFxxxxWAVEdata"), 0o600))
	if _, err := ReadWAV(path); err == nil {
		t.Error("a broken file was read")
	}
}

func FuzzSDP(f *testing.F) {
	f.Add([]byte("v=0\r\nc=IN IP4 1.2.3.4\r\nm=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if s, err := parseSDP(body); err == nil && (s.addr.Port() == 0 || !s.addr.IsValid()) {
			t.Errorf("accepted %v", s.addr)
		}
	})
}

func FuzzWAV(f *testing.F) {
	f.Add([]byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x02\x00\x00\x00\x01\x02"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseWAV(b) })
}
