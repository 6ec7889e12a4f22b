package speech

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"
	"time"
)

func sine(rate int, hz, peak float64, d time.Duration) sound {
	s := sound{rate: rate, samples: make([]float64, int(d)*rate/int(time.Second))}
	for i := range s.samples {
		s.samples[i] = peak * math.Sin(2*math.Pi*hz*float64(i)/float64(rate))
	}
	return s
}

// file writes samples (the same in each channel) as PCM of 16 bits.
func file(s sound, channels int) []byte {
	var data bytes.Buffer
	for _, v := range s.pcm() {
		for range channels {
			binary.Write(&data, binary.LittleEndian, v)
		}
	}
	return wave(format{1, channels, s.rate, 16}, data.Bytes())
}

func wave(f format, data []byte) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF\x00\x00\x00\x00WAVELIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00")
	for _, v := range []any{f.tag, uint16(f.channels), uint32(f.rate), uint32(0), uint16(f.channels * f.bits / 8), uint16(f.bits)} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString("data")
	binary.Write(&b, binary.LittleEndian, uint32(0xFFFFFFFF)) // as streams have it
	b.Write(data)
	return b.Bytes()
}

func rms(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return 10 * math.Log10(sum/float64(max(len(x), 1))+1e-15)
}

// middle leaves out the ends, where a filter swings in.
func middle(x []float64) []float64 { return x[len(x)/4 : len(x)*3/4] }

func TestResample(t *testing.T) {
	for _, rate := range []int{4000, 8000, 11025, 16000, 22050, 24000, 44100, 48000, 96000} {
		for _, hz := range []float64{200, 1000, 1700, 3400, 4100, 5000, 7000, 10500} {
			if hz >= float64(rate)/2 {
				continue
			}
			in := sine(rate, hz, 0.5, time.Second)
			out := resample(in, SampleRate)
			if want := SampleRate; out.rate != SampleRate || math.Abs(float64(len(out.samples)-want)) > 1 {
				t.Fatalf("%d Hz: %d samples of %d Hz", rate, len(out.samples), out.rate)
			}
			got, was := rms(middle(out.samples)), rms(middle(in.samples))
			pass := hz < 0.43*float64(min(rate, SampleRate))
			if pass && math.Abs(got-was) > 0.2 || hz > 4000 && got > -70 {
				t.Errorf("%d Hz at rate %d: %.1f dBFS becomes %.1f", int(hz), rate, was, got)
			}
		}
	}
}

func TestTelephone(t *testing.T) {
	for name, tt := range map[string]struct{ hz, peak float64 }{
		"quiet": {440, 0.02}, "loud": {1000, 1}, "usual": {700, 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			s := sound{48000, make([]float64, 48000)}
			s.samples = append(append(s.samples, sine(48000, tt.hz, tt.peak, time.Second).samples...), make([]float64, 96000)...)
			for i := range s.samples { // an offset, as cheap sound cards have
				s.samples[i] += 0.0005
			}
			pcm := telephone(s)
			level, peak := Loudness(pcm)
			if math.Abs(level+18) > 0.7 || peak > -0.9 {
				t.Errorf("level %.1f, peak %.1f dBFS", level, peak)
			}
			if d := length(len(pcm), SampleRate); d < 1100*time.Millisecond || d > 1300*time.Millisecond {
				t.Errorf("length %v, want 1 s and short silence", d)
			}
		})
	}
}

func TestPeaksAreTurnedDownNotCut(t *testing.T) {
	s := sine(SampleRate, 300, 0.02, time.Second) // quiet with short bursts: even level would clip them
	for i := range s.samples {
		if i%1600 < 80 {
			s.samples[i] *= 40
		}
	}
	pcm := telephone(s)
	if _, peak := Loudness(pcm); peak > -0.9 {
		t.Errorf("peak %.2f dBFS", peak)
	}
	same := 0
	for i := 1; i < len(pcm); i++ {
		if pcm[i] == pcm[i-1] && math.Abs(float64(pcm[i])) > 28000 {
			same++
		}
	}
	if same > 3 {
		t.Errorf("%d flat samples at the top", same)
	}
}

func TestSilenceStays(t *testing.T) {
	pcm := telephone(sound{SampleRate, make([]float64, SampleRate)})
	if rms, _ := Loudness(pcm); len(pcm) != SampleRate || rms > -100 {
		t.Errorf("%d samples at %v", len(pcm), rms)
	}
	if got := telephone(sound{22050, nil}); len(got) != 0 {
		t.Error("nothing became something")
	}
}

func TestDecode(t *testing.T) {
	le := binary.LittleEndian
	for name, tt := range map[string]struct {
		f    format
		data []byte
		want float64
	}{
		"8 bit":   {format{1, 1, 8000, 8}, []byte{192}, 0.5},
		"stereo":  {format{1, 2, 44100, 16}, []byte{0, 0x40, 0, 0}, 0.25},
		"24 bit":  {format{1, 1, 48000, 24}, []byte{0, 0, 0xC0}, -0.5},
		"32 bit":  {format{1, 1, 48000, 32}, []byte{0, 0, 0, 0x40}, 0.5},
		"float":   {format{3, 1, 48000, 32}, le.AppendUint32(nil, math.Float32bits(0.75)), 0.75},
		"double":  {format{3, 1, 48000, 64}, le.AppendUint64(nil, math.Float64bits(-0.75)), -0.75},
		"NaN":     {format{3, 1, 48000, 32}, le.AppendUint32(nil, math.Float32bits(float32(math.NaN()))), 0},
		"µ-law 0": {format{7, 1, 8000, 8}, []byte{0xFF}, 0},
		"µ-law":   {format{7, 1, 8000, 8}, []byte{0x80}, 32124.0 / 32768},
		"A-law":   {format{6, 1, 8000, 8}, []byte{0x2A}, -32256.0 / 32768},
	} {
		s, err := decode(wave(tt.f, tt.data))
		if err != nil || len(s.samples) != 1 || math.Abs(s.samples[0]-tt.want) > 1e-6 || s.rate != tt.f.rate {
			t.Errorf("%s: %v, %v, want %v", name, s, err, tt.want)
		}
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "mp3": []byte("ID3 and a lot more bytes"), "no data": wave(format{1, 1, 8000, 16}, nil)[:50],
		"rate": wave(format{1, 1, 7, 16}, []byte{0, 0}), "channels": wave(format{1, 0, 8000, 16}, []byte{0, 0}),
		"bits": wave(format{1, 1, 8000, 12}, []byte{0, 0}), "coding": wave(format{85, 1, 8000, 16}, []byte{0, 0}),
	} {
		if _, err := decode(bad); !errors.Is(err, ErrAudio) {
			t.Errorf("%s: %v", name, err)
		}
	}
	pcm, err := PCM(WAV([]int16{1, -2, 32767}))
	if err != nil || len(pcm) != 3 || pcm[1] != -2 {
		t.Errorf("own file: %v, %v", pcm, err)
	}
	if _, err := PCM(file(sine(16000, 440, 0.5, time.Second), 1)); err == nil {
		t.Error("16 kHz passed for ours")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(WAV([]int16{1, 2, 3}))
	f.Add(wave(format{3, 2, 48000, 32}, make([]byte, 64)))
	f.Fuzz(func(t *testing.T, file []byte) {
		if s, err := decode(file); err == nil && len(file) < 1<<12 {
			telephone(s)
		}
	})
}

func TestTone(t *testing.T) {
	notes, err := parseTone("1000/400, 0/200,800/100")
	if err != nil || len(notes) != 3 {
		t.Fatal(notes, err)
	}
	pcm := Tone(notes...)
	if level, peak := Loudness(pcm); len(pcm) != 5600 || math.Abs(level+18) > 0.5 || peak > -14 || pcm[0] != 0 {
		t.Errorf("%d samples, level %.1f, peak %.1f", len(pcm), level, peak)
	}
	for _, bad := range []string{"", "1000", "/5", "1000/0", "-5/100", "9000/100", "NaN/100", "400/60000,400/60000"} {
		if _, err := parseTone(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if len(Beep()) != 3200 {
		t.Error("the beep is not 400 ms")
	}
}

func TestHoldMusic(t *testing.T) {
	file := HoldMusic()
	if !bytes.Equal(file, HoldMusic()) {
		t.Error("it differs from call to call")
	}
	pcm, err := PCM(file)
	if err != nil || len(pcm) != 30*SampleRate {
		t.Fatal(len(pcm), err)
	}
	x := make([]float64, len(pcm))
	steepest := 0
	for i := range pcm {
		x[i] = float64(pcm[i]) / (1 << 15)
		if i > 0 {
			steepest = max(steepest, int(math.Abs(float64(pcm[i])-float64(pcm[i-1]))))
		}
	}
	if level := rms(x); math.Abs(level+26) > 0.5 {
		t.Errorf("level %.1f dBFS", level)
	}
	if _, peak := Loudness(pcm); peak > -6 {
		t.Errorf("peak %.1f dBFS", peak)
	}
	if seam := math.Abs(float64(pcm[0]) - float64(pcm[len(pcm)-1])); seam > float64(steepest) {
		t.Errorf("the seam jumps by %v", seam)
	}
	for sec := range 30 { // never silent, never sudden
		if level := rms(x[sec*SampleRate : (sec+1)*SampleRate]); level < -34 || level > -20 {
			t.Errorf("second %d at %.1f dBFS", sec, level)
		}
	}
}

func BenchmarkTelephone(b *testing.B) {
	s := sine(22050, 440, 0.3, 5*time.Second)
	for b.Loop() {
		telephone(s)
	}
}
