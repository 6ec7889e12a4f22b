package speech

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNewEngine(t *testing.T) {
	for name, tt := range map[string]struct {
		s  Settings
		ok bool
	}{
		"default":       {Settings{}, true},
		"espeak":        {Settings{Engine: "espeak"}, true},
		"none":          {Settings{Engine: "none"}, true},
		"command":       {Settings{Engine: "command", Command: `piper --model 'a b.onnx' -f {out}`}, true},
		"empty command": {Settings{Engine: "command"}, false},
		"open quote":    {Settings{Engine: "command", Command: "say 'x"}, false},
		"http":          {Settings{Engine: "http", URL: "http://127.0.0.1:8880/v1"}, true},
		"no URL":        {Settings{Engine: "http", URL: "file:///etc/passwd"}, false},
		"unknown":       {Settings{Engine: "sphinx"}, false},
	} {
		if e, err := NewEngine(tt.s); (err == nil) != tt.ok || err == nil && e.Name() == "" {
			t.Errorf("%s: %v, %v", name, e, err)
		}
	}
	if args, _ := split(`a  "b c" '' d"e"f`); !slices.Equal(args, []string{"a", "b c", "", "def"}) {
		t.Errorf("%q", args)
	}
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	wav := filepath.Join(dir, "in.wav")
	os.WriteFile(wav, WAV(Beep()), 0o600)
	for name, args := range map[string][]string{
		"to stdout": {"cat", wav},
		"to a file": {"cp", wav, "{out}"},
		"stdin":     {"sh", "-c", `read x; [ "$x" = "-v evil; touch pwned" ] || [ "$x" = "-v evil" ] && cat ` + wav},
		"all set":   {"sh", "-c", `[ "$1/$2/$3/$4" = " -v evil/zh-CN/v/120" ] && cat ` + wav, "x", "{text}", "{lang}", "{voice}", "{rate}"},
	} {
		got, err := Command{args}.Synthesise(t.Context(), Utterance{"-v evil", Chinese, "v", 120})
		if err != nil || len(got) != len(WAV(Beep())) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	if _, err := (Command{[]string{"sh", "-c", "echo no voice >&2; exit 3"}}).Synthesise(t.Context(), Utterance{}); err == nil || !strings.Contains(err.Error(), "no voice") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := (Command{[]string{"sleep", "30"}}).Synthesise(ctx, Utterance{}); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("hung: %v", err)
	}
}

func TestHTTP(t *testing.T) {
	var asked map[string]any
	answer := http.StatusOK
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		json.Unmarshal(body, &asked)
		if r.URL.Path != "/v1/audio/speech" || r.Header.Get("Authorization") != "Bearer k" {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(answer)
		w.Write(file(sine(24000, 440, 0.2, time.Second), 1))
	}))
	defer web.Close()
	l := newLibrary(t, &HTTP{URL: web.URL + "/v1/", Key: "k", Model: "kokoro"}, func(o *Options) { o.Settings.VoiceZH = "zf_1" })
	pcm, err := l.samples(t.Context(), Text(Chinese, "您好"))
	if err != nil || len(pcm) < 7900 || asked["input"] != "您好" || asked["voice"] != "zf_1" || asked["model"] != "kokoro" ||
		asked["response_format"] != "wav" || asked["speed"] != 0.5 {
		t.Errorf("%d samples, %v, asked %v", len(pcm), err, asked)
	}
	answer = http.StatusInternalServerError
	if _, err := l.File(t.Context(), Text(Chinese, "再见")); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("%v", err)
	}
}

func TestChineseForEspeak(t *testing.T) {
	for in, want := range map[string]string{
		"请按1":           "请按一",
		"共19.50元":       "共十九点五元",
		"卡号622202":      "卡号六二二二零二",
		"电话13800138000": "电话一三八零零一三八零零零",
		"优惠15%":         "优惠百分之十五",
		"007":           "零零七",
		"0.5":           "零点五",
		"请说VIP":         "请说VIP",
	} {
		if got := zhPlain(in); got != want {
			t.Errorf("%s = %s, want %s", in, got, want)
		}
	}
}

func TestPerMinute(t *testing.T) {
	text := strings.Repeat("一二三四五六七八九十，", 6)
	if a, b := PerMinute(text, 20*time.Second), PerMinute(text, 30*time.Second); a != 180 || b != 120 {
		t.Errorf("%v, %v", a, b)
	}
	if n := units("You're number 12, 您好!"); n != 6 {
		t.Errorf("%d units", n)
	}
}
