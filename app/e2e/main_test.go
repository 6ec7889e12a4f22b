//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"callplane/app/sandbox"
	"callplane/app/speech"
)

// These are made by TestMain, and gone after it.
var (
	program string // the program under test
	tempDir string
	library *speech.Library // speaks as the server does: what it makes is what a caller must hear
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

// hurry puts this process, and all it starts, before others: audio does not wait. Without the right to do so it does nothing.
func hurry() {
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		if tid, err := strconv.Atoi(task.Name()); err == nil {
			_ = syscall.Setpriority(syscall.PRIO_PROCESS, tid, -12)
		}
	}
}

func run(m *testing.M) int {
	hurry()
	flag.Parse()
	// The tests mostly wait for calls, so many run beside each other, however few processors there are.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := flag.Set("test.parallel", "24"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	var err error
	if tempDir, err = os.MkdirTemp("", "callplane-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(tempDir) }()
	if program = os.Getenv("E2E_PROGRAM"); program == "" { // else this one, built already
		program = filepath.Join(tempDir, "callplane")
		if out, err := exec.Command("go", "build", "-o", program, "callplane/cmd/callplane").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
	}
	library, err = speech.NewLibrary(context.Background(), speech.Options{Dir: filepath.Join(tempDir, "speech"), Secret: []byte("e2e")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer library.Close()
	defer func() {
		if shared.server != nil {
			shared.server.stop()
			_ = shared.server.Asterisk.Stop(context.Background())
		}
	}()
	code := m.Run()
	if keep := os.Getenv("E2E_KEEP"); keep != "" && code != 0 && shared.server != nil {
		shared.server.dump(filepath.Join(keep, "server.log"))
	}
	return code
}

var shared struct {
	sync.Mutex
	server *Server
}

// sharedServer is the server that tests share, on the Asterisk that they share. If the test fails, what the server
// complained of meanwhile is shown.
func sharedServer(t *testing.T) *Server {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.server == nil {
		ast, err := sandbox.StartAsterisk(within(t, 5*time.Minute), sandbox.AsteriskOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s, err := newServer(ast, "")
		if err != nil {
			t.Fatal(err)
		}
		shared.server = s
	}
	shared.server.showLog(t)
	return shared.server
}

// ownServer is a server, on an Asterisk of its own, that the test may treat as it likes.
func ownServer(t *testing.T, dsn string) *Server {
	t.Helper()
	s, err := newServer(sandbox.NewAsterisk(t, sandbox.AsteriskOptions{}), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	s.showLog(t)
	return s
}

// within is a context for a test's wait.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// eventually asks again and again until there is no error, or the time is over.
func eventually(t *testing.T, d time.Duration, what string, f func() error) {
	t.Helper()
	if err := poll(d, f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func poll(d time.Duration, f func() error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(d)
	for {
		err := f()
		if err == nil || time.Now().After(end) {
			return err
		}
		<-tick.C
	}
}
