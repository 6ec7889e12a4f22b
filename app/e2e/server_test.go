//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"callplane/app/sandbox"
)

// Server is one running program with its switch.
type Server struct {
	Asterisk *sandbox.Asterisk
	Admin    *Client
	Feed     *Feed // all that happens, as a desktop hears of it

	dir, url, config string
	log              logs

	mu   sync.Mutex
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	quit context.CancelFunc

	centres int
}

var firstRun = regexp.MustCompile(`Sign in as (\S+) with the password (\S+)`)

// signIn signs in as the administrator whose password the first run tells.
func (s *Server) signIn() error {
	found := firstRun.FindStringSubmatch(s.log.since(0, true))
	if found == nil {
		return errors.New("the first run told no password")
	}
	admin, err := login(s.url, found[1], found[2])
	s.Admin = admin
	return err
}

// newServer starts a server with a new, empty data folder. dsn empty is SQLite.
func newServer(ast *sandbox.Asterisk, dsn string) (*Server, error) {
	dir, err := os.MkdirTemp(tempDir, "server-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Asterisk: ast, dir: dir, url: fmt.Sprintf("http://127.0.0.1:%d", port), config: filepath.Join(dir, "callplane.yaml")}
	db := ""
	if dsn != "" {
		db = fmt.Sprintf("database: {dsn: %q}\n", "mysql:"+dsn)
	}
	config := fmt.Sprintf(`data_dir: %s
http: {listen: "127.0.0.1:%d", per_second: 5000, burst: 10000}
%slog: {level: debug}
switches:
  - {name: main, kind: asterisk, url: %q, user: %q, password: %q, sip_address: %q, media_url: %q}
user: {hash_memory_mib: 8, login_per_minute: 5000}
`, filepath.Join(dir, "data"), port, db, ast.ARI, ast.User, ast.Password, ast.SIP, s.url)
	if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
		return nil, err
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	if err := s.signIn(); err != nil {
		s.stop()
		return nil, fmt.Errorf("%w\n%s", err, s.log.since(0, true))
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.quit = cancel
	s.Feed = newFeed(ctx, s.url, s.Admin.token)
	return s, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// start starts the process and waits until it is ready.
func (s *Server) start() error {
	cmd := exec.Command(program, "serve", "--config", s.config)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, done := make(chan error, 1), make(chan struct{})
	go func() { // ends with the process, which dies with the thread that started it: so nobody else may have that one
		runtime.LockOSThread()
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.mu.Lock()
	s.cmd, s.done = cmd, done
	s.mu.Unlock()
	err := poll(60*time.Second, func() error {
		select {
		case <-done:
			return nil
		default:
		}
		res, err := http.Get(s.url + "/readyz")
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz: %s", res.Status)
		}
		return nil
	})
	select {
	case <-done:
		err = errors.New("the server ended at once")
	default:
	}
	if err != nil {
		s.kill()
		return fmt.Errorf("start server: %w\n%s", err, s.log.since(0, true))
	}
	return nil
}

// kill ends the process as a crash would.
func (s *Server) kill() {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	_ = cmd.Process.Kill()
	<-done
}

// stop ends the process, gently at first.
func (s *Server) stop() {
	if s.quit != nil {
		s.quit()
	}
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		s.kill()
	}
}

// dump ends the process with a trace of what it was doing, and keeps its whole log in a file.
func (s *Server) dump(path string) {
	s.mu.Lock()
	cmd, done := s.cmd, s.done
	s.mu.Unlock()
	_ = cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
	if err := os.WriteFile(path, []byte(s.log.since(0, true)), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// showLog shows what the server complains of from now on, if the test fails. E2E_LOG=1 shows everything.
func (s *Server) showLog(t *testing.T) {
	from := s.log.size()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log.since(from, os.Getenv("E2E_LOG") != ""))
		}
	})
}

// logs keeps what a process writes.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Len()
}

// since is the log from a place on: warnings and errors, or all.
func (l *logs) since(from int, all bool) string {
	l.mu.Lock()
	text := string(l.buf.Bytes()[from:])
	l.mu.Unlock()
	if all {
		return text
	}
	var keep []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") || !strings.Contains(line, "level=") {
			keep = append(keep, line)
		}
	}
	return strings.Join(keep[max(0, len(keep)-60):], "")
}
