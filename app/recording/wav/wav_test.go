package wav

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"testing"
	"testing/iotest"
	"time"
)

// tone makes PCM of one frequency.
func tone(hz, level float64, length time.Duration) []byte {
	var out []byte
	for i := range Samples(length) {
		out = binary.LittleEndian.AppendUint16(out, uint16(int16(level*math.Sin(2*math.Pi*hz*float64(i)/Rate))))
	}
	return out
}

// file puts a header before PCM.
func file(t testing.TB, pcm []byte) []byte {
	t.Helper()
	h, err := header(1, int64(len(pcm)/2))
	if err != nil {
		t.Fatal(err)
	}
	return append(h, pcm...)
}

// sounds tells whether samples hold a tone, by Goertzel's filter.
func sounds(pcm []int16, hz float64) bool {
	k := 2 * math.Cos(2*math.Pi*hz/Rate)
	var s1, s2 float64
	for _, v := range pcm {
		s1, s2 = float64(v)+k*s1-s2, s1
	}
	return math.Sqrt(max(0, s1*s1+s2*s2-k*s1*s2))*2/float64(len(pcm)) > 500
}

// channels reads a WAV of two channels back.
func channels(t testing.TB, raw []byte) (left, right []int16) {
	t.Helper()
	if len(raw) < headerSize || binary.LittleEndian.Uint32(raw[40:]) != uint32(len(raw)-headerSize) || raw[22] != 2 {
		t.Fatalf("header % x of %d bytes", raw[:min(len(raw), headerSize)], len(raw))
	}
	for i := headerSize; i+3 < len(raw); i += 4 {
		left = append(left, int16(binary.LittleEndian.Uint16(raw[i:])))
		right = append(right, int16(binary.LittleEndian.Uint16(raw[i+2:])))
	}
	return left, right
}

// The header's sizes are a hint: what is in the file counts.
func TestReaderMendsHeaders(t *testing.T) {
	pcm := tone(440, 8000, time.Second)
	whole := file(t, pcm)
	resize := func(raw []byte, size uint32) []byte {
		raw = bytes.Clone(raw)
		binary.LittleEndian.PutUint32(raw[40:], size)
		return raw
	}
	extensible := append(bytes.Clone(whole[:16]), 40, 0, 0, 0, 0xFE, 0xFF)
	extensible = append(append(append(extensible, whole[22:36]...), make([]byte, 24)...), whole[36:]...)
	for name, tt := range map[string]struct {
		raw  []byte
		want []byte
	}{
		"right":                    {whole, pcm},
		"size zero":                {resize(whole, 0), pcm},
		"size unknown":             {resize(whole, math.MaxUint32), pcm},
		"size beyond the end":      {resize(whole, 1<<30), pcm},
		"size not updated":         {resize(whole, 4000), pcm},
		"odd size not updated":     {resize(whole, 4001), pcm},
		"half a sample at the end": {append(bytes.Clone(whole), 7), pcm},
		"chunk behind":             {append(bytes.Clone(whole), "LIST\x04\x00\x00\x00abcd"...), pcm},
		"chunk before":             {append(append(bytes.Clone(whole[:36]), "LIST\x03\x00\x00\x00abc\x00"...), whole[36:]...), pcm},
		"extensible":               {extensible, pcm},
		"no samples":               {whole[:headerSize], nil},
	} {
		t.Run(name, func(t *testing.T) {
			for how, src := range map[string]io.Reader{"at once": bytes.NewReader(tt.raw), "byte by byte": iotest.OneByteReader(bytes.NewReader(tt.raw))} {
				var got bytes.Buffer
				n, err := Unpack(&got, src)
				if err != nil || n != int64(len(tt.want)/2) || !bytes.Equal(got.Bytes(), tt.want) {
					t.Errorf("%s: %d samples, %v; want %d", how, n, err, len(tt.want)/2)
				}
			}
		})
	}
}

func TestReaderRefuses(t *testing.T) {
	whole := file(t, tone(440, 8000, time.Second))
	stereo := bytes.Clone(whole)
	stereo[22] = 2
	for name, tt := range map[string]struct {
		raw  []byte
		want error
	}{
		"nothing":      {nil, ErrNotWAV},
		"half a head":  {whole[:30], ErrNotWAV},
		"no RIFF":      {[]byte("<html>404 not found, and some more of it</html>"), ErrNotWAV},
		"stereo":       {stereo, ErrFormat},
		"data, no fmt": {append(bytes.Clone(whole[:12]), whole[36:]...), ErrNotWAV},
	} {
		if _, err := NewReader(bytes.NewReader(tt.raw)); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	fault := errors.New("switch went away")
	if _, err := Unpack(io.Discard, io.MultiReader(bytes.NewReader(whole[:100]), iotest.ErrReader(fault))); !errors.Is(err, fault) {
		t.Errorf("fault of the source: %v", err)
	}
}

// customer left, agent right, each at the right time.
func TestMix(t *testing.T) {
	second := func(n float64) int64 { return int64(n * Rate) }
	pcm := func(hz, level float64, s float64) (io.Reader, int64) {
		raw := tone(hz, level, time.Duration(s*float64(time.Second)))
		return bytes.NewReader(raw), int64(len(raw) / 2)
	}
	var tracks []Track
	for _, x := range []struct {
		hz, level, at, length float64
		channel               int
	}{
		{440, 8000, 0, 10, 0},       // the customer, all the time
		{1000, 8000, 1, 3, 1},       // the first agent
		{1300, 30000, 6, 4, 1},      // the second agent, loud
		{1600, 30000, 7, 1.9985, 1}, // and a supervisor who barges in, as loud
	} {
		src, n := pcm(x.hz, x.level, x.length)
		tracks = append(tracks, Track{src, n, second(x.at), x.channel})
	}
	m, err := NewMix(2, tracks)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(m)
	if err != nil || int64(len(raw)) != m.Size() || m.Samples() != second(10) {
		t.Fatalf("%d bytes of %d, %d samples, %v", len(raw), m.Size(), m.Samples(), err)
	}
	left, right := channels(t, raw)
	for i := 0.0; i < 10; i += 0.25 {
		cut := func(pcm []int16) []int16 { return pcm[second(i):second(i+0.25)] }
		if !sounds(cut(left), 440) || sounds(cut(left), 1000) || sounds(cut(right), 440) {
			t.Errorf("at %.2f s: wrong tone on a side", i)
		}
		for hz, during := range map[float64]bool{1000: i >= 1 && i < 4, 1300: i >= 6, 1600: i >= 7 && i < 9} {
			if sounds(cut(right), hz) != during {
				t.Errorf("at %.2f s: %v Hz is heard: %v", i, hz, !during)
			}
		}
	}
	clipped := 0
	for i, v := range right {
		if (v == 32767 || v == -32768) && i > 0 && right[i-1] == v {
			clipped++
		}
	}
	if clipped > 0 {
		t.Errorf("%d samples are clipped", clipped)
	}
	peaks := m.Peaks()
	if len(peaks) != 2 || len(peaks[0]) != 500 || peaks[1][20] != 0 || peaks[1][100] < 55 || peaks[0][0] < 55 {
		t.Errorf("peaks %d × %d: %v", len(peaks), len(peaks[0]), peaks[1][:110])
	}
	if back := PeaksOf(peaks.Bytes(), 2); !bytes.Equal(back[1], peaks[1]) || back.Percent()[1][20] != 0 {
		t.Error("peaks are lost on the way to the database")
	}
}

// A single track passes unchanged, and a source that ends early is silence.
func TestMixKeepsSamples(t *testing.T) {
	pcm := tone(440, 32767, 1234*time.Millisecond)
	m, err := NewMix(1, []Track{{bytes.NewReader(pcm), int64(len(pcm)/2) + 100, 0, 0}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(m)
	if err != nil || !bytes.Equal(raw[headerSize:headerSize+len(pcm)], pcm) || !bytes.Equal(raw[headerSize+len(pcm):], make([]byte, 200)) {
		t.Errorf("changed: %v", err)
	}
	if _, err := NewMix(2, []Track{{bytes.NewReader(nil), 1 << 31, 0, 0}}); !errors.Is(err, ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
}

// FuzzReader feeds what a switch may send.
func FuzzReader(f *testing.F) {
	whole := file(f, tone(440, 8000, 50*time.Millisecond))
	f.Add(whole)
	f.Add(whole[:60])
	f.Add(append(bytes.Clone(whole), "LIST\x04\x00\x00\x00abcd"...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got bytes.Buffer
		n, err := Unpack(&got, bytes.NewReader(raw))
		if int64(got.Len()) != 2*n || got.Len() > len(raw) {
			t.Fatalf("%d samples, %d bytes of %d", n, got.Len(), len(raw))
		}
		if err != nil {
			return
		}
		m, err := NewMix(2, []Track{{bytes.NewReader(got.Bytes()), n, 0, 0}, {bytes.NewReader(got.Bytes()), n, 77, 0}})
		if err != nil {
			t.Fatal(err)
		}
		if size, err := io.Copy(io.Discard, m); err != nil || size != m.Size() {
			t.Fatalf("%d bytes of %d: %v", size, m.Size(), err)
		}
	})
}
