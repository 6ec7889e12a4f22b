package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What go test -json writes for a package that passes, one with failures below a parent, one that does not build and one that
// panics.
const sample = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestOne"}
{"Action":"output","Package":"a","Test":"TestOne","Output":"=== RUN   TestOne\n"}
{"Action":"output","Package":"a","Test":"TestOne","Output":"noise\n"}
{"Action":"pass","Package":"a","Test":"TestOne","Elapsed":1}
{"Action":"run","Package":"a","Test":"TestMany"}
{"Action":"run","Package":"a","Test":"TestMany/x"}
{"Action":"run","Package":"a","Test":"TestMany/y"}
{"Action":"pass","Package":"a","Test":"TestMany/x"}
{"Action":"pass","Package":"a","Test":"TestMany/y"}
{"Action":"pass","Package":"a","Test":"TestMany"}
{"Action":"skip","Package":"a","Test":"TestLater"}
{"Action":"pass","Package":"a","Elapsed":2}
{"Action":"output","Package":"b","Test":"TestX","Output":"=== RUN   TestX\n"}
{"Action":"output","Package":"b","Test":"TestX/sub","Output":"    x_test.go:7: it broke\n"}
{"Action":"fail","Package":"b","Test":"TestX/sub"}
{"Action":"fail","Package":"b","Test":"TestX"}
{"Action":"pass","Package":"b","Test":"TestY/sub"}
{"Action":"output","Package":"b","Test":"TestY","Output":"    x_test.go:9: the whole broke\n"}
{"Action":"fail","Package":"b","Test":"TestY"}
{"Action":"fail","Package":"b","Elapsed":3}
{"ImportPath":"c [c.test]","Action":"build-output","Output":"c/c.go:3:1: syntax error\n"}
{"ImportPath":"c [c.test]","Action":"build-fail"}
{"Action":"fail","Package":"c","FailedBuild":"c [c.test]"}
{"Action":"output","Package":"d","Test":"TestBang","Output":"panic: bang\n"}
{"Action":"fail","Package":"d"}
go: downloading something
`

func TestReport(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out, true)
	if err := r.read(strings.NewReader(sample)); err != nil {
		t.Fatal(err)
	}
	r.finish(true, 65*time.Second)
	if r.passed != 4 || r.failed != 4 || r.skipped != 1 {
		t.Errorf("%d passed, %d failed, %d skipped", r.passed, r.failed, r.skipped)
	}
	text := out.String()
	for _, want := range []string{
		"ok       2.0s  a  3 passed\n", "FAIL     3.0s  b  1 passed, 2 failed\n", "--- b TestX/sub failed:\n", "x_test.go:7: it broke", "--- b TestY failed:\n",
		"--- c failed:\n", "syntax error", "--- d failed:\n", "panic: bang", "go: downloading something\n", "failed: b TestY\n", "pass     1.0s  TestOne\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "noise") || strings.Contains(text, "=== RUN") || !strings.HasSuffix(text, "\n4 passed, 4 failed (1 skipped) in 1m5s\n") {
		t.Errorf("report:\n%s", text)
	}
}

// The command's exit status is kept, and a command that fails without a word counts as a failure.
func TestRun(t *testing.T) {
	totals := filepath.Join(t.TempDir(), "totals")
	for script, want := range map[string]int{
		`echo '{"Action":"pass","Package":"a","Test":"T"}'`: 0,
		`exit 3`: 3,
		`echo '{"Action":"fail","Package":"a","Test":"T"}'; exit 1`: 1,
		`echo '{"Action":"fail","Package":"a","Test":"T"}'`:         1,
	} {
		var out bytes.Buffer
		if got, err := run([]string{"sh", "-c", script}, false, totals, &out); got != want || err != nil {
			t.Errorf("%s: status %d, %v\n%s", script, got, err, &out)
		}
	}
	raw, err := os.ReadFile(totals)
	if err != nil || strings.Count(string(raw), "\n") != 4 || !strings.Contains(string(raw), "1 0\n") || strings.Count(string(raw), "0 1\n") != 3 {
		t.Errorf("totals %q, %v", raw, err)
	}
	if status, err := run(nil, false, "", nil); status != 2 || err == nil {
		t.Error("no command is no error")
	}
}
