//go:build e2e

package e2e

import (
	"context"
	"os"
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
	at, err := ear.WaitTone(within(t, 8*time.Second), hz, 300*time.Millisecond)
	if err != nil {
		t.Fatalf("%s does not hear %g Hz but %v: %v", who, hz, ear.Tones(time.Second), err)
	}
	return at
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
	return pcm
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
		at, score := sipphone.FindIn(ear.Since(from), pattern)
		if score >= sipphone.Match {
			return from + at
		}
		if time.Now().After(end) {
			t.Fatalf("%s not heard within %s after %s: best %.2f at %s of %s", what, d, from, score, from+at, ear.Now())
		}
		time.Sleep(100 * time.Millisecond) // hearing takes time; this only spares the processor
	}
}

// never says that a pattern is not in what was heard so far.
func never(t *testing.T, what string, audio, pattern []int16) {
	t.Helper()
	if at, score := sipphone.FindIn(audio, pattern); score >= sipphone.Match {
		t.Fatalf("%s was heard at %s (%.2f)", what, at, score)
	}
}

// steady says that a tone sounds in audio from a time to another, in every tenth of a second of it.
func steady(t *testing.T, p *Party, audio []int16, from, to time.Duration, hz float64) {
	t.Helper()
	at := func(d time.Duration) int { return max(0, min(len(audio), int(d.Seconds()*speech.SampleRate))) }
	for d := from; d+100*time.Millisecond <= to; d += 100 * time.Millisecond {
		if got := power(audio[at(d):at(d+100*time.Millisecond)], hz); got < 1e-5 {
			t.Errorf("%s does not hear %g Hz at %s (%.1e), between %s and %s", p.who, hz, d, got, from, to)
			return
		}
	}
}
