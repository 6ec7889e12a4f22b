// Command testreport runs go test and says plainly what came of it: a line for each package, what the failed tests wrote, and
// how many passed and failed.
//
//	testreport [-v] [-totals FILE] -- go test -json ./...
//
// It ends with the command's exit status, or with 1 if a test failed. -totals appends "passed failed" to a file, so that
// several runs can be added up.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	verbose := flag.Bool("v", false, "a line for each test, too")
	totals := flag.String("totals", os.Getenv("CALLPLANE_TEST_TOTALS"), "file to add the numbers to (CALLPLANE_TEST_TOTALS)")
	flag.Parse()
	status, err := run(flag.Args(), *verbose, *totals, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// run runs the command and reports on its output.
func run(args []string, verbose bool, totals string, out io.Writer) (status int, err error) {
	if len(args) == 0 {
		return 2, errors.New("which command? testreport -- go test -json ./...")
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 1, err
	}
	// An interrupt reaches the command by itself, and the report is still to be written.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	go func() { // ends with the program
		for s := range signals {
			_ = cmd.Process.Signal(s)
		}
	}()
	r := newReport(out, verbose)
	readErr := r.read(events)
	waitErr := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](waitErr); ok {
		status, waitErr = max(exit.ExitCode(), 1), nil
	}
	r.finish(status != 0, time.Since(began))
	if r.failed > 0 {
		status = max(status, 1)
	}
	return status, errors.Join(readErr, waitErr, add(totals, r))
}

// add appends the numbers to a file.
func add(file string, r *report) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, r.passed, r.failed)
	return errors.Join(err, f.Close())
}
