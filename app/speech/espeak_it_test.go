//go:build it

package speech

import (
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// phonemes is what espeak-ng would say for a text, in its own letters: a Chinese syllable ends in its tone, and
// "(en)" marks a change to English.
func phonemes(t *testing.T, voice, text string) string {
	t.Helper()
	out, err := exec.Command("espeak-ng", "-v", voice, "-q", "-x", text).CombinedOutput()
	if err != nil {
		t.Fatalf("espeak-ng: %v: %s", err, out)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

func TestChineseIsReallyChinese(t *testing.T) {
	for text, want := range map[string][]string{
		"您好":   {"n'i35n", "X'Au"},           // nin2 hao3
		"第二位":  {"t'i51", "'@r51", "w'ei51"}, // di4 er4 wei4
		"两分钟":  {"l'iA21N", "f'@55n", "ts.'ong55"},
		"九":    {"tS;'iou21"},
		"重听":   {"ts.h'ong35", "th'i55N"},
		"银行":   {"X'a35N"},
		"音乐":   {"'yE51"},
		"一百零五": {"j'i55", "p'ai21", "l'i35N", "w'u2"},
	} {
		got := phonemes(t, "cmn-latn-pinyin", zhReadings.Replace(zhPlain(text)))
		for _, w := range want {
			if !strings.Contains(got, w) && !strings.Contains(got, strings.ReplaceAll(w, "'", "")) {
				t.Errorf("%s is said as %s, want %s", text, got, w)
			}
		}
	}
	l := newLibrary(t, Espeak{})
	for key, text := range l.books[Chinese].Prompts {
		if strings.HasPrefix(text, "tone:") {
			continue
		}
		got := phonemes(t, "cmn-latn-pinyin", zhReadings.Replace(zhPlain(fill(text, nil))))
		if strings.Contains(got, "(en)") {
			t.Errorf("%s: %s is read as English: %s", key, text, got)
		}
	}
}

func TestEveryPrompt(t *testing.T) {
	l := newLibrary(t, Espeak{})
	start := time.Now()
	if err := l.Warm(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	warm := time.Since(start)
	slowest, fastest, n := 1000.0, 0.0, 0
	for lang, b := range l.books {
		for key, text := range b.Prompts {
			if strings.Contains(text, "{") {
				continue
			}
			item := Prompt(lang, key)
			d, rate, err := l.Measure(t.Context(), item)
			if err != nil {
				t.Errorf("%s %s: %v", lang, key, err)
				continue
			}
			pcm, _ := l.samples(t.Context(), item)
			level, peak := Loudness(pcm)
			if math.Abs(level+18) > 1 || peak > -0.9 {
				t.Errorf("%s %s: level %.1f, peak %.1f dBFS", lang, key, level, peak)
			}
			if rate == 0 {
				continue
			}
			want := l.opt.Settings.rate(lang)
			if d < 300*time.Millisecond || units(text) >= 5 && math.Abs(rate/want-1) > 0.15 {
				t.Errorf("%s %s: %v at %.0f a minute, want %.0f: %s", lang, key, d, rate, want, text)
			}
			slowest, fastest, n = min(slowest, rate), max(fastest, rate), n+1
		}
	}
	t.Logf("%d prompts in %v, %.0f to %.0f a minute", n, warm, slowest, fastest)
}

func TestLanguagesDiffer(t *testing.T) {
	l := newLibrary(t, Espeak{})
	for i, key := range []string{"queue/closed", "demo/welcome", "input/goodbye"} {
		zh, err := l.Fingerprint(t.Context(), key, Chinese)
		en, err2 := l.Fingerprint(t.Context(), key, English)
		if err != nil || err2 != nil || equal(zh, en) || len(zh) < SampleRate || len(en) < SampleRate {
			t.Errorf("%d %s: %d and %d samples, %v, %v", i, key, len(zh), len(en), err, err2)
		}
	}
	two, _ := l.samples(t.Context(), Say(Chinese).Position(2).Items[0])
	three, _ := l.samples(t.Context(), Say(Chinese).Position(3).Items[0])
	if equal(two, three) {
		t.Error("positions two and three sound the same")
	}
}

func TestMixedText(t *testing.T) {
	l := newLibrary(t, Espeak{})
	var before time.Duration
	for _, text := range []string{"请按一。", "VIP 客户请按一。", "VIP 客户请按一，CallPlane 用户请按2。"} {
		d, rate, err := l.Measure(t.Context(), Text(Chinese, text))
		if err != nil || d <= before {
			t.Errorf("%s: %v, %v", text, d, err)
		}
		t.Log(text, d, rate)
		before = d
	}
	for _, odd := range []string{"-v en", "--stdout", "[[hello]]", "<speak>", "$(id)", "您"} {
		if _, err := l.File(t.Context(), Text(Chinese, odd)); err != nil {
			t.Errorf("%q: %v", odd, err)
		}
	}
}

func TestNewTextIsQuick(t *testing.T) {
	l := newLibrary(t, Espeak{})
	var all time.Duration
	for i := range 20 {
		start := time.Now()
		if _, err := l.File(t.Context(), Text(Chinese, fmt.Sprint(In(Chinese).Number(int64(100*i)), "位客户"))); err != nil {
			t.Fatal(err)
		}
		all += time.Since(start)
	}
	t.Logf("%v for a new sentence", all/20)
	if all > 20*500*time.Millisecond {
		t.Errorf("20 new sentences took %v", all)
	}
}
