package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// said keeps what a command writes.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// callplane runs the command line.
func callplane(ctx context.Context, out io.Writer, args ...string) error {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(out)
	return root.ExecuteContext(ctx)
}

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "callplane.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve --print-config shows every setting in force and no secret, from wherever it came.
func TestPrintConfig(t *testing.T) {
	t.Setenv("CALLPLANE_SWITCHES_0_PASSWORD", "hunter2")
	t.Setenv("CALLPLANE_SPEECH_KEY", "hunter2")
	path := write(t, "database: {dsn: 'mysql:root:hunter2@tcp(10.0.0.1:3306)/callplane'}\nnats: {urls: ['nats://me:hunter2@10.0.0.1:4222']}\n"+
		"switches: [{name: a, kind: asterisk, url: 'http://x/ari'}]\nuser: {lock_after: 7}\n")
	var out said
	if err := callplane(t.Context(), &out, "serve", "--print-config", "--config", path); err != nil {
		t.Fatal(err)
	}
	if text := out.String(); strings.Contains(text, "hunter2") || strings.Count(text, "(hidden)") != 4 || !strings.Contains(text, "lock_after: 7\n") {
		t.Errorf("printed:\n%s", text)
	}
}

// A setting that does not exist keeps the server from starting, and names its line.
func TestUnknownSetting(t *testing.T) {
	path := write(t, "http:\n  listen: 127.0.0.1:0\n  lisen: x\n")
	err := callplane(t.Context(), io.Discard, "serve", "--config", path)
	if err == nil || !strings.Contains(err.Error(), "callplane.yaml:3: there is no setting http.lisen; did you mean http.listen?") {
		t.Errorf("error = %v", err)
	}
}

// The server starts with nothing but a folder, says how to get in, answers its probes, and when told to ends without a word, its
// port free and its data whole: the next start signs the same person in.
func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	path := write(t, fmt.Sprintf("data_dir: %s\nhttp: {listen: %q}\nspeech: {engine: none}\nuser: {hash_memory_mib: 8}\nlog: {level: error}\n", t.TempDir(), address))
	var login, password string
	for _, first := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		var out said
		done := make(chan error, 1)
		go func() { done <- callplane(ctx, &out, "serve", "--config", path) }() // the test waits for it below
		await(t, done, func() error { return get("http://" + address + "/readyz") })
		if err := get("http://" + address + "/healthz"); err != nil {
			t.Error(err)
		}
		found := regexp.MustCompile(`Sign in as (\S+) with the password (\S+)`).FindStringSubmatch(out.String())
		if (found != nil) != first || !strings.Contains(out.String(), "serves http://"+address) {
			t.Fatalf("said:\n%s", &out)
		}
		if first {
			login, password = found[1], found[2]
		}
		session := post(t, "http://"+address+"/api/user/login", nil, `{"login":%q,"password":%q}`, login, password)
		if first {
			const chosen = "Green-Apple-42"
			post(t, "http://"+address+"/api/user/password", session, `{"old":%q,"new":%q}`, password, chosen)
			password = chosen
		}
		stream, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		stream.AddCookie(session)
		open, err := http.DefaultClient.Do(stream)
		if err != nil || open.StatusCode != http.StatusOK {
			t.Fatalf("event stream: %v, %v", open, err)
		}
		stopped := time.Now()
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("ended with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it does not end")
		}
		if _, err := io.Copy(io.Discard, open.Body); err != nil {
			t.Errorf("the event stream was cut, not ended: %v", err)
		}
		_ = open.Body.Close()
		if took := time.Since(stopped); took > 8*time.Second {
			t.Errorf("with a stream open it took %s to end", took)
		}
		if l, err = net.Listen("tcp", address); err != nil {
			t.Fatalf("the port is still taken: %v", err)
		}
		_ = l.Close()
	}
}

// post sends JSON, which must work, and returns the session's cookie.
func post(t *testing.T, url string, session *http.Cookie, format string, args ...any) *http.Cookie {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(fmt.Sprintf(format, args...)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if session != nil {
		req.AddCookie(session)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		t.Fatalf("%s: %s", url, res.Status)
	}
	if list := res.Cookies(); len(list) > 0 {
		return list[0]
	}
	return session
}

func get(url string) error {
	res, err := http.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

// await asks until there is no error, 30 s at most, while the server runs.
func await(t *testing.T, done <-chan error, f func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case end := <-done:
			t.Fatalf("it ended: %v", end)
		case <-late.C:
			t.Fatal(err)
		case <-tick.C:
		}
	}
}
