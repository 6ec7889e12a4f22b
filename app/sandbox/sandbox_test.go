package sandbox

import (
	"bytes"
	"math"
	"os"
	"strings"
	"testing"
)

func TestMusicIsKnownByItsTone(t *testing.T) {
	for _, m := range []Music{DefaultMusic, JazzMusic} {
		s := m.Samples()
		own := power(s[8000:16000], m.Tone())
		for _, hz := range []float64{350, 400, 440, 450, 480, 540, 620, 697, 770, 852, 941, 1000, 1209, 1336, 1477, 1633, 1700} {
			if hz != m.Tone() && power(s[8000:16000], hz) > own/100 {
				t.Errorf("%s: %v Hz is as loud as a hundredth of the music's own tone", m.Class, hz)
			}
		}
		for at := 0; at < len(s); at += 800 { // it sounds all the time: in each tenth of a second
			if power(s[at:at+800], m.Tone()) < own/2 {
				t.Errorf("%s: no tone at %d ms", m.Class, at/8)
			}
		}
		if jump := math.Abs(float64(s[0]) - float64(s[len(s)-1])); jump > 1000 {
			t.Errorf("%s: a jump of %v where it begins anew", m.Class, jump)
		}
	}
}

// power is how much of one frequency is in the samples.
func power(s []int16, hz float64) float64 {
	var re, im float64
	for i, v := range s {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / 8000)
		re += float64(v) * cos
		im += float64(v) * sin
	}
	return (re*re + im*im) / float64(len(s)) / float64(len(s))
}

func TestWav(t *testing.T) {
	w := wav([]int16{1, -1})
	if len(w) != 48 || !bytes.HasPrefix(w, []byte("RIFF\x28\x00\x00\x00WAVEfmt ")) || !bytes.HasSuffix(w, []byte("data\x04\x00\x00\x00\x01\x00\xff\xff")) {
		t.Errorf("wav = %q", w)
	}
}

func TestHostSource(t *testing.T) {
	for name, tt := range map[string]struct{ file, want string }{
		"one line":         {"deb http://mirror.example/debian bookworm main contrib\n", "http://mirror.example/debian"},
		"options":          {"deb [arch=amd64 signed-by=/k.gpg] https://m.example/d bookworm main", "https://m.example/d"},
		"comment, source":  {"# deb http://a bookworm main\ndeb-src http://b bookworm main\n", ""},
		"another vendor":   {"deb https://vendor.example/apt bookworm stable\n", ""},
		"security, not it": {"deb http://s.example/debian-security bookworm-security main\n", ""},
	} {
		if got := listURI(tt.file, "bookworm"); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	const sources = `Types: deb
URIs: http://s.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
# URIs: http://old.example/debian
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`
	if got := deb822URI(sources, "bookworm"); got != "http://mirror.example/debian" {
		t.Errorf("sources: %q", got)
	}
}

// The image of Asterisk is built from the same Debian as the sandbox.
func TestDockerHasTheSameDebian(t *testing.T) {
	file, err := os.ReadFile("../../docker/asterisk/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(file), "FROM debian:"+AsteriskSuite) {
		t.Errorf("docker/asterisk/Dockerfile is not built from %s", AsteriskSuite)
	}
}
