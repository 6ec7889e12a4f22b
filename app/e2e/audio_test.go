//go:build e2e

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"callplane/app/sandbox/sipphone"
	"callplane/app/speech"
)

// tones are those that people send: away from the music, from keys and from the network's tones.
var tones = func() (list []float64) {
	for hz := 1700.0; hz <= 3300; hz += 50 {
		list = append(list, hz)
	}
	return append(list, 400, 500, 580, 740, 900, 1000, 1150, 1400, 1500)
}()

// hears waits until the ear hears a tone for a while.
func hears(t *testing.T, who string, ear *sipphone.Ear, hz float64) time.Duration {
	t.Helper()
	const short = 300 * time.Millisecond
	start := ear.Now()
	for {
		now := ear.Now()
		if from := max(start, now-short); now-from >= short-10*time.Millisecond && power(ear.Since(from), hz) > 2e-4 {
			return from
		}
		if now > start+8*time.Second {
			t.Fatalf("%s does not hear %g Hz but %v", who, hz, ear.Tones(time.Second))
		}
		time.Sleep(20 * time.Millisecond) // hearing takes time; this only spares the processor
	}
}

// talk proves that two hear each other.
func talk(t *testing.T, a, b *Party) {
	t.Helper()
	hears(t, a.who, a.Ear(), b.tone)
	hears(t, b.who, b.Ear(), a.tone)
}

// sound is what a caller hears who is told a prompt, by its key, or a text.
func sound(t *testing.T, lang speech.Lang, item speech.Item) []int16 {
	t.Helper()
	path, err := library.File(context.Background(), item)
	if err != nil {
		t.Fatalf("prompt %s%s: %v", item.Key, item.Text, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pcm, err := speech.PCM(b)
	if err != nil {
		t.Fatal(err)
	}
	return pcm[:max(0, len(pcm)-480)] // who hangs up after a prompt may cut its last packets off
}

func prompt(t *testing.T, key string) []int16 {
	t.Helper()
	return sound(t, speech.Chinese, speech.Prompt(speech.Chinese, key))
}

func text(t *testing.T, words string) []int16 {
	t.Helper()
	return sound(t, speech.Chinese, speech.Text(speech.Chinese, words))
}

// length is how long samples sound.
func length(pcm []int16) time.Duration {
	return time.Duration(len(pcm)) * time.Second / speech.SampleRate
}

// finds waits until the whole pattern was heard, from a point of the ear's time line on, and returns where it begins.
func finds(t *testing.T, what string, ear *sipphone.Ear, from time.Duration, pattern []int16, d time.Duration) time.Duration {
	t.Helper()
	end := time.Now().Add(d)
	for {
		heard := ear.Since(from)
		at, ok := spot(heard, pattern)
		if ok {
			return from + at
		}
		if time.Now().After(end) {
			if keep := os.Getenv("E2E_KEEP"); keep != "" { // a folder for what was heard
				name := filepath.Join(keep, strings.ReplaceAll(t.Name(), "/", "-"))
				_ = sipphone.WriteWAV(name+".wav", ear.Audio())
				_ = sipphone.WriteWAV(name+"-want.wav", pattern)
			}
			best, score := sipphone.FindIn(heard, pattern)
			t.Fatalf("%s not heard within %s after %s: best %.2f at %s of %s", what, d, from, score, from+best, ear.Now())
		}
		time.Sleep(100 * time.Millisecond) // hearing takes time; this only spares the processor
	}
}

// spot finds a pattern in audio. On a busy machine packets are late, and what they carry is lost, or comes a little later. So
// if the whole is not found it takes the pattern in pieces: most of them must be there, each near its place.
func spot(audio, pattern []int16) (time.Duration, bool) {
	at, score := sipphone.FindIn(audio, pattern)
	if score >= sipphone.Match {
		return at, true
	}
	const piece, slack = 2400, 1500 * time.Millisecond
	if score < 0.2 || len(pattern) < 4*piece {
		return 0, false
	}
	around := audio[sample(audio, at-slack):sample(audio, at+length(pattern)+slack)]
	base := at - length(audio[:sample(audio, at-slack)])
	found, all := 0, 0
	for from := 0; from+piece <= len(pattern); from += piece {
		part := pattern[from : from+piece]
		if power2(part) < 1e-4 {
			continue // a pause
		}
		all++
		where, score := sipphone.FindIn(around, part)
		if score >= 0.85 && (where-base-length(pattern[:from])).Abs() <= slack {
			found++
		}
	}
	return at, all > 0 && found*3 >= all*2
}

// sample is where in audio a time is.
func sample(audio []int16, at time.Duration) int {
	return max(0, min(len(audio), int(at.Seconds()*speech.SampleRate)))
}

// power2 is how loud audio is, squared.
func power2(pcm []int16) (sum float64) {
	for _, x := range pcm {
		sum += float64(x) * float64(x) / 32768 / 32768
	}
	return sum / float64(max(1, len(pcm)))
}

// steady says that a tone sounds in audio from a time to another: in nearly every tenth of a second.
func steady(t *testing.T, p *Party, audio []int16, from, to time.Duration, hz float64) {
	t.Helper()
	var silent []time.Duration
	all := 0
	for d := from; d+100*time.Millisecond <= to; d += 100 * time.Millisecond {
		all++
		if power(audio[sample(audio, d):sample(audio, d+100*time.Millisecond)], hz) < 1e-5 {
			silent = append(silent, d)
		}
	}
	if all == 0 || len(silent)*5 > all { // a fifth is more than what a busy machine loses
		t.Errorf("%s does not hear %g Hz at %v, between %s and %s", p.who, hz, silent, from, to)
	}
}

// never says that a pattern is not in what was heard so far.
func never(t *testing.T, what string, audio, pattern []int16) {
	t.Helper()
	if at, score := sipphone.FindIn(audio, pattern); score >= sipphone.Match {
		t.Errorf("%s was heard at %s (%.2f)", what, at, score)
	}
}
