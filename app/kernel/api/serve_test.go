package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"

	"callplane/app/kernel/auth"
)

// changes and what must not happen unseen are audited.
func TestAuditOptions(t *testing.T) {
	s := build(Options{})
	s.ask("POST", "/api/house/doors/side/open", "")
	s.ask("POST", "/api/house/doors/front/open", "") // fails: nothing changed
	s.ask("GET", "/api/house/sound/a/b.wav", "")
	got := strings.Join(s.audit, "\n")
	if want := "user:ann|POST /house/doors/{id}/open|house|side\nuser:ann|house.play|house|a/b.wav"; got != want {
		t.Errorf("audit = %s", got)
	}
}

func TestRange(t *testing.T) {
	s := build(Options{})
	rec := s.ask("GET", "/api/house/sound/a.wav", "", "Range", "bytes=2-4")
	if rec.Code != 206 || rec.Body.String() != "234" || rec.Header().Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("%d %s %v", rec.Code, rec.Body, rec.Header())
	}
}

func TestStreams(t *testing.T) {
	s := build(Options{Recheck: time.Millisecond})
	Raw(s.Router, "GET", "/house/events", func(w http.ResponseWriter, req *http.Request) error {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: hello\n\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			return err
		}
		<-req.Context().Done()
		fmt.Fprint(w, "data: ", context.Cause(req.Context()), "\n\n")
		return nil
	}, auth.SignedIn())
	Raw(s.Router, "GET", "/house/socket", func(w http.ResponseWriter, req *http.Request) error {
		c, err := websocket.Accept(w, req, nil)
		if err != nil {
			return nil // it has answered
		}
		defer c.CloseNow()
		return c.Write(req.Context(), websocket.MessageText, []byte("hello"))
	}, auth.SignedIn(), WebSocket())
	srv := httptest.NewServer(s.h)
	defer srv.Close()

	dial := func(origin string) (string, error) {
		c, _, err := websocket.Dial(t.Context(), srv.URL+"/api/house/socket", &websocket.DialOptions{
			HTTPHeader: http.Header{"Cookie": {"callplane_session=ann"}, "Origin": {origin}}})
		if err != nil {
			return "", err
		}
		defer c.CloseNow()
		_, msg, err := c.Read(t.Context())
		return string(msg), err
	}
	if msg, err := dial(srv.URL); msg != "hello" {
		t.Errorf("socket: %q, %v", msg, err)
	}
	if _, err := dial("https://evil.example"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("socket from another site: %v", err)
	}

	// A stream ends with its session.
	req, _ := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/api/house/events", nil)
	req.Header.Set("Authorization", "Bearer ann")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	if line, _ := lines.ReadString('\n'); line != "data: hello\n" {
		t.Errorf("first = %q", line)
	}
	s.revoked.Store(true)
	rest, _ := io.ReadAll(lines)
	if !strings.Contains(string(rest), auth.ErrUnauthorized.Title) {
		t.Errorf("rest = %q", rest)
	}
}

func TestDesktop(t *testing.T) {
	s := build(Options{})
	s.Desktop(fstest.MapFS{"index.html": {Data: []byte("<p>desk")}, "assets/a.js": {Data: []byte("1")}})
	for path, want := range map[string]string{"/": "<p>desk", "/acd/queues": "<p>desk", "/assets/a.js": "1", "/index.html": "<p>desk"} {
		if rec := s.ask("GET", path, ""); rec.Code != 200 || rec.Body.String() != want {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	for _, path := range []string{"/api/nope", "/assets/gone.js", "/api"} {
		if rec := s.ask("GET", path, ""); rec.Code != 404 || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
}

// Two types of one name, from inputs without names of their own, do not stop the start.
func TestSchemaNames(t *testing.T) {
	r := New(Options{})
	type bodyIn struct{ Body struct{ A int } }
	Post(r, "/a", func(context.Context, *bodyIn) (None, error) { return None{}, nil }, Public())
	func() {
		type bodyIn struct{ Body struct{ B int } }
		Post(r, "/b", func(context.Context, *bodyIn) (None, error) { return None{}, nil }, Public())
	}()
	if doc := string(r.Document()); !strings.Contains(doc, `"BodyInBody2"`) {
		t.Error("the second type has no name of its own")
	}
}

// the document is OpenAPI 3.1 and its viewer loads from us alone.
func TestDocument(t *testing.T) {
	s := build(Options{})
	for path, want := range map[string]string{
		"/api/openapi.json":    `"openapi": "3.1.0"`,
		"/api/openapi.yaml":    "openapi: 3.1.0",
		"/api/docs":            "viewer.js",
		"/api/docs/viewer.js":  "use strict",
		"/api/docs/viewer.css": "font",
	} {
		rec := s.ask("GET", path, "", "Authorization", "")
		if body := rec.Body.String(); rec.Code != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.100s", path, rec.Code, body)
		} else if strings.HasPrefix(path, "/api/docs") && (strings.Contains(body, "http://") || strings.Contains(body, "https://")) {
			t.Errorf("%s names another host", path)
		}
	}
	doc := string(s.Document())
	for _, want := range []string{`"x-guard": "apitest:read"`, `"/api/house/sound/{name}"`, `"audio/wav"`, `"PageDoor"`, `"Problem"`} {
		if !strings.Contains(doc, want) {
			t.Errorf("the document lacks %s", want)
		}
	}
}
