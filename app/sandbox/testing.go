package sandbox

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// startWait bounds a start in a test, which may include building the tree.
const startWait = 5 * time.Minute

var shared struct {
	sync.Mutex
	asterisk *Asterisk
	mysql    *MySQL
}

// SharedAsterisk returns the Asterisk that all tests of this process share, and starts it for the first. It dies with
// the process. A test that cannot have it fails. If the test fails, the end of the Asterisk log is shown.
func SharedAsterisk(tb testing.TB) *Asterisk {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.asterisk == nil || shared.asterisk.PID() == 0 {
		shared.asterisk = launch(tb, AsteriskOptions{}, StartAsterisk)
	}
	showLog(tb, shared.asterisk.Log)
	return shared.asterisk
}

// SharedMySQL returns the MySQL server that all tests of this process share, and starts it for the first. It dies with
// the process. A test makes a database of its own with CreateDatabase.
func SharedMySQL(tb testing.TB) *MySQL {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.mysql == nil || shared.mysql.PID() == 0 {
		shared.mysql = launch(tb, MySQLOptions{}, StartMySQL)
	}
	return shared.mysql
}

// NewAsterisk starts an Asterisk for one test and stops it at its end.
func NewAsterisk(tb testing.TB, o AsteriskOptions) *Asterisk {
	tb.Helper()
	a := launch(tb, o, StartAsterisk)
	tb.Cleanup(func() { a.Stop(context.Background()) })
	showLog(tb, a.Log)
	return a
}

// NewMySQL starts a MySQL server for one test and stops it at its end.
func NewMySQL(tb testing.TB, o MySQLOptions) *MySQL {
	tb.Helper()
	m := launch(tb, o, StartMySQL)
	tb.Cleanup(func() { m.Stop(context.Background()) })
	return m
}

// launch starts an instance, or fails the test.
func launch[O, S any](tb testing.TB, o O, start func(context.Context, O) (S, error)) S {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startWait)
	defer cancel()
	s, err := start(ctx, o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// showLog shows what the test added to the log, if it fails.
func showLog(tb testing.TB, path string) {
	before, _ := os.ReadFile(path)
	tb.Cleanup(func() {
		if !tb.Failed() {
			return
		}
		after, _ := os.ReadFile(path)
		added := strings.TrimPrefix(string(after), string(before))
		tb.Logf("the log of Asterisk, last lines of this test:\n%s", last(added, 40))
	})
}
