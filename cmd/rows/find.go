package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	rowID    = regexp.MustCompile(`\b(?:R-[0-9]{3}|SC-[0-9]{2})\b`)
	testFunc = regexp.MustCompile(`^(Test|Fuzz|Benchmark|Example)`)
	tsTitle  = regexp.MustCompile("\\b(?:test|it|describe)(?:\\.[a-z]+)*\\(\\s*(['\"`])([^'\"`\\n]*)")
	tsFile   = regexp.MustCompile(`\.(test|spec)\.(ts|tsx|js|mjs)$`)
	rowLine  = regexp.MustCompile(`^- \*\*((?:R|SC)-[0-9]+)[^*]*\*\* ?(?:[A-Z]+ \*(must|should|could)\* )?(.*)$`)
)

// find lists the tests of each row, by the row's id.
func find(dir fs.FS) (map[string][]string, error) {
	tests := map[string][]string{}
	add := func(text, name string) {
		for _, id := range rowID.FindAllString(text, -1) {
			if !slices.Contains(tests[id], name) {
				tests[id] = append(tests[id], name)
			}
		}
	}
	err := fs.WalkDir(dir, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || file != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case strings.HasSuffix(file, "_test.go"):
			return goTests(dir, file, add)
		case tsFile.MatchString(file):
			raw, err := fs.ReadFile(dir, file)
			for _, m := range tsTitle.FindAllStringSubmatch(string(raw), -1) {
				add(m[2], file+" "+m[2])
			}
			return err
		}
		return nil
	})
	for _, names := range tests {
		slices.Sort(names)
	}
	return tests, err
}

// goTests reads the comments above the tests of a file.
func goTests(dir fs.FS, file string, add func(text, name string)) error {
	raw, err := fs.ReadFile(dir, file)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, raw, parser.ParseComments)
	if err != nil {
		return err
	}
	tag := ""
	for line := range strings.Lines(string(raw)) {
		if expr, err := constraint.Parse(strings.TrimSpace(line)); err == nil {
			tag = " [" + expr.String() + "]"
		}
		if strings.HasPrefix(line, "package ") {
			break
		}
	}
	for _, decl := range f.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Doc != nil && testFunc.MatchString(fn.Name.Name) {
			add(fn.Doc.Text(), path.Dir(file)+" "+fn.Name.Name+tag)
		}
	}
	return nil
}

// row is a requirement.
type row struct{ priority, title string }

// requirements reads the list. One that is not there is empty.
func requirements(file string) (map[string]row, error) {
	raw, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("requirements: %w", err)
	}
	rows := map[string]row{}
	for line := range strings.Lines(string(raw)) {
		if m := rowLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil && rowID.MatchString(m[1]) {
			title, _, _ := strings.Cut(m[3], " **Check:**")
			title, _, _ = strings.Cut(title, " **Done:**")
			rows[m[1]] = row{m[2], title}
		}
	}
	return rows, nil
}
