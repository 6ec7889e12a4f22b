package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// event is a line of go test -json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of what did not build
	Test       string
	Elapsed    float64
	Output     string
}

// test is one test or subtest.
type test struct {
	output []string
	parent bool // it has subtests, which are counted in its place
	ended  string
}

// pack is one package.
type pack struct {
	tests  map[string]*test
	output []string // of no test
	failed int
	passed int
}

// report counts and prints.
type report struct {
	out     io.Writer
	verbose bool
	packs   map[string]*pack
	build   map[string][]string // what the compiler wrote, by import path
	failing []string            // names of what failed

	passed, failed, skipped int
}

func newReport(out io.Writer, verbose bool) *report {
	return &report{out: out, verbose: verbose, packs: map[string]*pack{}, build: map[string][]string{}}
}

// read takes the events until there are no more. Lines that are none are printed.
func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				fmt.Fprintf(r.out, "%s\n", strings.TrimRight(string(line), "\n"))
			} else {
				r.take(e)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *report) take(e event) {
	if strings.HasPrefix(e.Action, "build-") {
		if e.Action == "build-output" {
			r.build[e.ImportPath] = append(r.build[e.ImportPath], e.Output)
		}
		return
	}
	p := r.packs[e.Package]
	if p == nil {
		p = &pack{tests: map[string]*test{}}
		r.packs[e.Package] = p
	}
	if e.Test == "" {
		r.whole(p, e)
		return
	}
	t := p.test(e.Test)
	switch e.Action {
	case "output":
		t.output = append(t.output, e.Output)
	case "pass", "fail", "skip":
		t.ended = e.Action
		r.ended(p, t, e)
	}
}

// test finds a test, and makes its parents known as such.
func (p *pack) test(name string) *test {
	t := p.tests[name]
	if t == nil {
		t = &test{}
		p.tests[name] = t
		if i := strings.LastIndexByte(name, '/'); i > 0 {
			p.test(name[:i]).parent = true
		}
	}
	return t
}

// ended counts a test. One with subtests counts only when it failed and none of them did.
func (r *report) ended(p *pack, t *test, e event) {
	counts := !t.parent
	if t.parent && e.Action == "fail" {
		counts = true
		for name, sub := range p.tests {
			if strings.HasPrefix(name, e.Test+"/") && sub.ended == "fail" {
				counts = false
			}
		}
	}
	if counts {
		switch e.Action {
		case "pass":
			p.passed++
			r.passed++
		case "skip":
			r.skipped++
		case "fail":
			p.failed++
			r.failed++
			r.fails(e.Package, e.Test, t.output)
		}
	}
	if r.verbose && !strings.Contains(e.Test, "/") {
		fmt.Fprintf(r.out, "%-4s %7.1fs  %s\n", e.Action, e.Elapsed, e.Test)
	}
	if e.Action != "fail" {
		t.output = nil
	}
}

// whole takes what is about a whole package.
func (r *report) whole(p *pack, e event) {
	switch e.Action {
	case "output":
		p.output = append(p.output, e.Output)
	case "fail":
		if p.failed == 0 { // it did not build, or a test took the process down
			p.failed++
			r.failed++
			r.fails(e.Package, "", slices.Concat(r.compiler(e.Package), p.unfinished(), p.output))
		}
		fmt.Fprintf(r.out, "FAIL %7.1fs  %s  %d passed, %d failed\n", e.Elapsed, e.Package, p.passed, p.failed)
		p.tests = nil
	case "pass":
		if p.passed > 0 {
			fmt.Fprintf(r.out, "ok   %7.1fs  %s  %d passed\n", e.Elapsed, e.Package, p.passed)
		}
		p.tests = nil
	}
}

// compiler is what was written while building a package, its tests included.
func (r *report) compiler(pkg string) (lines []string) {
	for path, out := range r.build {
		if path == pkg || strings.HasPrefix(path, pkg+" [") || strings.HasPrefix(path, pkg+"_test [") {
			lines = append(lines, out...)
		}
	}
	return lines
}

// unfinished is what tests wrote that never ended, as in a panic.
func (p *pack) unfinished() (lines []string) {
	for _, t := range p.tests {
		if t.ended == "" {
			lines = append(lines, t.output...)
		}
	}
	return lines
}

// maxLines is how much of what one test wrote is shown.
const maxLines = 200

// fails prints what a failed test wrote.
func (r *report) fails(pkg, name string, output []string) {
	title := strings.TrimSpace(pkg + " " + name)
	r.failing = append(r.failing, title)
	fmt.Fprintf(r.out, "\n--- %s failed:\n", title)
	output = slices.DeleteFunc(slices.Clone(output), func(l string) bool {
		return strings.HasPrefix(strings.TrimLeft(l, " "), "=== ")
	})
	if n := len(output); n > maxLines {
		fmt.Fprintf(r.out, "    (%d lines left out)\n", n-maxLines)
		output = output[n-maxLines:]
	}
	for _, line := range output {
		fmt.Fprint(r.out, "    ", strings.TrimRight(line, "\n"), "\n")
	}
	fmt.Fprintln(r.out)
}

// finish prints the end. A command that failed without a failed test counts as one.
func (r *report) finish(commandFailed bool, took time.Duration) {
	if commandFailed && r.failed == 0 {
		r.failed++
		r.failing = append(r.failing, "the command itself")
		for path, out := range r.build {
			fmt.Fprintf(r.out, "%s: %s", path, strings.Join(out, ""))
		}
	}
	for _, name := range r.failing {
		fmt.Fprintf(r.out, "failed: %s\n", name)
	}
	skipped := ""
	if r.skipped > 0 {
		skipped = fmt.Sprintf(" (%d skipped)", r.skipped)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed%s in %s\n", r.passed, r.failed, skipped, took.Round(time.Second))
}
