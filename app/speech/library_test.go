package speech

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// voice is an engine that hums: 500 ms for each character, longer or shorter as the rate asks. It counts its work.
type voice struct {
	calls atomic.Int64
	fail  atomic.Bool
	hang  atomic.Bool
	deaf  bool // takes no hint about the rate
}

func (v *voice) Name() string { return "hum" }

func (v *voice) Synthesise(ctx context.Context, say Utterance) ([]byte, error) {
	v.calls.Add(1)
	if v.hang.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if v.fail.Load() {
		return nil, errors.New("hoarse")
	}
	d := time.Duration(units(say.Text)) * 300 * time.Millisecond
	if !v.deaf && say.Rate > 0 {
		d = time.Duration(float64(d) * 150 / say.Rate)
	}
	return file(sine(SampleRate, 300+float64(len(say.Text)), 0.1, d), 1), nil
}

func newLibrary(t *testing.T, v Engine, change ...func(*Options)) *Library {
	t.Helper()
	opt := Options{Dir: t.TempDir(), Engine: v, Secret: []byte("secret"), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, c := range change {
		c(&opt)
	}
	l, err := NewLibrary(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func TestFileIsMadeOnce(t *testing.T) {
	v := &voice{}
	l := newLibrary(t, v)
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := l.File(t.Context(), Text(Chinese, "您现在排在第三位。")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	calls := v.calls.Load()
	if calls > 3 {
		t.Errorf("%d syntheses for one text", calls)
	}
	again, err := NewLibrary(t.Context(), l.opt) // as after a restart
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.File(t.Context(), Text("zh", " 您现在排在第三位。\n")); err != nil || v.calls.Load() != calls {
		t.Errorf("made again: %v", err)
	}
	d, rate, err := again.Measure(t.Context(), Prompt(Chinese, "demo/welcome"))
	if err != nil || math.Abs(rate-120) > 0.08*120+2 || d < 4*time.Second {
		t.Errorf("%v at %v a minute, %v", d, rate, err)
	}
}

func TestRateOfADeafEngine(t *testing.T) {
	v := &voice{deaf: true}
	l := newLibrary(t, v)
	if _, err := l.File(t.Context(), Text(Chinese, "欢迎致电客户服务中心")); err != nil || v.calls.Load() != 2 {
		t.Errorf("%d syntheses, %v", v.calls.Load(), err)
	}
}

func TestRecipes(t *testing.T) {
	l := newLibrary(t, &voice{})
	for name, tt := range map[string]struct {
		item Item
		lang Lang
		text string
		err  error
	}{
		"prompt":           {Prompt(Chinese, "language/en"), Chinese, "英语服务，请按二。", nil},
		"other tag":        {Prompt("zh-TW", "language/en"), Chinese, "英语服务，请按二。", nil},
		"unknown language": {Prompt("fr", "language/en"), English, "For English, press two.", nil},
		"no language":      {Prompt("../..", "language/en"), English, "For English, press two.", nil},
		"position":         {Say(Chinese).Position(3).Items[0], Chinese, "您现在排在第三位。", nil},
		"position en":      {Say("en-GB").Position(3).Items[0], English, "You are number three in the queue.", nil},
		"wait":             {Say(Chinese).Wait(2 * time.Minute).Items[0], Chinese, "预计还要等待大约两分钟。", nil},
		"no value":         {Prompt(English, "queue/position"), English, "You are number in the queue.", nil},
		"text":             {Text("fr", "Bonjour\x00\n{name}"), "fr", "Bonjour {name}", nil},
		"tone":             {Text(English, "tone:400/100"), English, "tone:400/100", nil},
		"no key":           {Prompt(English, "no/such"), "", "", ErrNoPrompt},
		"nothing":          {Text(English, " … ,"), "", "", ErrNoText},
		"too long":         {Text(English, strings.Repeat("a ", maxText)), "", "", ErrTooLong},
	} {
		r, err := l.recipe(tt.item)
		if !errors.Is(err, tt.err) || err == nil && (r.lang != tt.lang || r.text != tt.text || len(r.name) != 32) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestNoEngine(t *testing.T) {
	l := newLibrary(t, Espeak{Program: "/nonexistent/espeak-ng"})
	if _, err := l.File(t.Context(), Text(English, "hello")); err == nil {
		t.Error("no error")
	}
	l = newLibrary(t, Espeak{Program: "no-such-espeak"})
	if _, err := l.File(t.Context(), Text(English, "hello")); !errors.Is(err, ErrNoEngine) || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("%v", err)
	}
	if err := l.Warm(t.Context(), nil); !errors.Is(err, ErrNoEngine) {
		t.Errorf("%v", err)
	}
	urls := l.URLs(t.Context(), "http://x", Text(English, "hello"), Prompt(English, "agent/beep"))
	if len(urls) != 1 || l.Skipped() != 1 {
		t.Errorf("%v: the beep plays, the text is left out", urls)
	}
}

func TestWarm(t *testing.T) {
	v := &voice{}
	l := newLibrary(t, v, func(o *Options) { o.CacheBytes = 1 })
	last, total := 0, 0
	if err := l.Warm(t.Context(), func(done, all int) { last, total = done, all }); err != nil {
		t.Fatal(err)
	}
	if last != total || total < 100 {
		t.Errorf("%d of %d", last, total)
	}
	calls := v.calls.Load()
	if _, err := l.Fingerprint(t.Context(), "queue/closed", Chinese); err != nil || v.calls.Load() != calls {
		t.Errorf("a prompt by key was dropped: %v", err)
	}
	v.fail.Store(true)
	if err := newLibrary(t, v).Warm(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "demo/welcome") {
		t.Errorf("failures are not told: %v", err)
	}
}

func TestBadEngineDoesNotHoldCalls(t *testing.T) {
	v := &voice{}
	l := newLibrary(t, v, func(o *Options) { o.Wait = 50 * time.Millisecond })
	good := Text(English, "hello there")
	if _, err := l.File(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	v.hang.Store(true)
	start := time.Now()
	if urls := l.URLs(t.Context(), "http://x", Text(English, "one"), good, Text(English, "two")); len(urls) != 1 {
		t.Errorf("%v", urls)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("the call waited %v", d)
	}
	v.hang.Store(false)
	v.fail.Store(true)
	var err error
	for i := range 4 {
		_, err = l.File(t.Context(), Text(English, fmt.Sprint("text ", i)))
	}
	if !errors.Is(err, ErrBusy) {
		t.Errorf("after three failures: %v", err)
	}
	l.Close() // ends the hanging ones
	if _, err := l.File(t.Context(), Text(English, "late")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestUploads(t *testing.T) {
	v := &voice{}
	l := newLibrary(t, v)
	ctx := t.Context()
	before := l.URL("http://x", Prompt(English, "demo/welcome"))
	v1, err := l.Add(ctx, "demo/welcome", English, bytes.NewReader(file(sine(48000, 440, 0.9, 2*time.Second), 2)))
	if err != nil {
		t.Fatal(err)
	}
	one, _ := l.Fingerprint(ctx, "demo/welcome", English)
	if level, peak := Loudness(one); math.Abs(level+18) > 0.5 || peak > -0.9 || math.Abs(float64(len(one)-2*SampleRate)) > 200 {
		t.Errorf("%d samples at %.1f, peak %.1f", len(one), level, peak)
	}
	if l.URL("http://x", Prompt(English, "demo/welcome")) == before || v.calls.Load() != 0 {
		t.Error("the upload does not take the place of the text")
	}
	if _, err := l.AddText(ctx, "demo/welcome", English, "Welcome to the zoo"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Restore(ctx, "demo/welcome", English, v1); err != nil {
		t.Fatal(err)
	}
	again, err := NewLibrary(ctx, l.opt)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	three, _ := again.Fingerprint(ctx, "demo/welcome", English)
	if !equal(one, three) || len(again.Versions("demo/welcome", English)) != 3 || len(again.Versions("demo/welcome", Chinese)) != 0 {
		t.Errorf("versions %v", again.Versions("demo/welcome", English))
	}
	for _, bad := range []string{"", "plain", "/a", "a/", "a/../b", "a/.hidden", "a//b", `a\b/c`, "a b/c", "x/" + strings.Repeat("y", 200)} {
		if _, err := l.Add(ctx, bad, English, bytes.NewReader(WAV(Beep()))); !errors.Is(err, ErrNoPrompt) {
			t.Errorf("key %q: %v", bad, err)
		}
	}
	if _, err := l.Add(ctx, "a/b", English, strings.NewReader("not a sound")); !errors.Is(err, ErrAudio) {
		t.Errorf("%v", err)
	}
	if _, err := l.Restore(ctx, "a/b", English, v1); !errors.Is(err, ErrNoPrompt) {
		t.Errorf("%v", err)
	}
}

func TestRecordedVoiceSpeaksValues(t *testing.T) {
	v := &voice{}
	l := newLibrary(t, v)
	for _, w := range []string{"一", "百", "零"} {
		if _, err := l.Add(t.Context(), "word/"+w, Chinese, bytes.NewReader(WAV(Beep()))); err != nil {
			t.Fatal(err)
		}
	}
	if r, _ := l.recipe(Text(Chinese, In(Chinese).Number(101))); len(r.recorded) != 4 {
		t.Errorf("101 is not spelled: %+v", r)
	}
	if d, _, err := l.Measure(t.Context(), Text(Chinese, "一百零一")); err != nil || d < 1600*time.Millisecond || v.calls.Load() != 0 {
		t.Errorf("%v, %v", d, err)
	}
	if r, _ := l.recipe(Text(Chinese, "一百零五")); r.recorded != nil {
		t.Error("五 has no recording")
	}
}

func TestCacheIsBounded(t *testing.T) {
	l := newLibrary(t, &voice{}, func(o *Options) { o.CacheBytes = 200_000 })
	old := time.Now().Add(-time.Hour)
	for i := range 30 {
		path, err := l.File(t.Context(), Text(English, fmt.Sprint("wait for ", i)))
		if err != nil {
			t.Fatal(err)
		}
		l.files.mu.Lock()
		l.files.files[path].used = old.Add(time.Duration(i) * time.Second)
		l.files.mu.Unlock()
	}
	files, _ := filepath.Glob(filepath.Join(l.opt.Dir, "made/en/*.wav"))
	size := int64(0)
	for _, f := range files {
		info, _ := os.Stat(f)
		size += info.Size()
	}
	if size > 200_000 || size != l.files.size || len(files) < 3 {
		t.Errorf("%d bytes in %d files, counted %d", size, len(files), l.files.size)
	}
	if _, ok := l.files.find(English, strings.TrimSuffix(filepath.Base(files[0]), ".wav"), false); !ok {
		t.Error("a file that is there is not found")
	}
	os.Remove(files[0])
	if _, ok := l.files.find(English, strings.TrimSuffix(filepath.Base(files[0]), ".wav"), false); ok {
		t.Error("a deleted file is found")
	}
}

func TestHandler(t *testing.T) {
	l := newLibrary(t, &voice{})
	web := httptest.NewServer(l.Handler())
	defer web.Close()
	urls := l.URLs(t.Context(), web.URL+"/", Say(Chinese).Position(3).Items...)
	get := func(method, url, etag string) *http.Response {
		req, _ := http.NewRequest(method, url, nil)
		if etag != "" {
			req.Header.Set("If-None-Match", etag)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
	res := get("GET", urls[0], "")
	body, _ := io.ReadAll(res.Body)
	etag := res.Header.Get("ETag")
	if _, err := PCM(body); err != nil || res.StatusCode != 200 || etag == "" || !strings.HasSuffix(urls[0], ".wav") ||
		!strings.Contains(res.Header.Get("Cache-Control"), "max-age=") || res.Header.Get("Content-Type") != "audio/wav" {
		t.Errorf("%s: %v, %v", urls[0], res.Header, err)
	}
	if res := get("HEAD", urls[0], etag); res.StatusCode != http.StatusNotModified {
		t.Errorf("HEAD with ETag: %v", res.Status)
	}
	parts := strings.Split(urls[0], "/")
	forged := strings.Replace(urls[0], parts[4], strings.Repeat("0", 32), 1)
	missing := l.URL(web.URL, Text(English, "never made"))
	for _, url := range []string{forged, missing, web.URL + "/prompts/", web.URL + "/prompts/a/../b.wav", strings.Replace(urls[0], "zh-CN", "en", 1), strings.TrimSuffix(urls[0], ".wav")} {
		if res := get("GET", url, ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", url, res.Status)
		}
	}
	if res := get("POST", urls[0], ""); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %s", res.Status)
	}
	if l.URL("http://x", Prompt(English, "no/such")) != "" {
		t.Error("an unknown prompt has an address")
	}
	open := newLibrary(t, &voice{}, func(o *Options) { o.Secret = nil })
	rec := httptest.NewRecorder()
	open.File(t.Context(), Text(English, "hello"))
	open.Handler().ServeHTTP(rec, httptest.NewRequest("GET", open.URL("", Text(English, "hello")), nil))
	if rec.Code != http.StatusNotFound {
		t.Error("without a secret everything is open")
	}
}

func equal(a, b []int16) bool {
	return len(a) == len(b) && len(a) > 0 && bytes.Equal(WAV(a), WAV(b))
}
