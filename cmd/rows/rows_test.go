package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var tree = fstest.MapFS{
	"a/a_test.go": {Data: []byte("package a\n\n// It works.\n//\n// R-001 R-002\nfunc TestOne(t *testing.T) {}\n\n" +
		"// R-002: twice, and SC-03.\nfunc TestTwo(t *testing.T) {}\n\n// R-003 is not above a test.\n\nfunc TestThree(t *testing.T) {}\n\n" +
		"// helper is for R-004.\nfunc helper() {}\n")},
	"b/b_test.go":                  {Data: []byte("//go:build e2e && linux\n\npackage b\n\n// R-001\nfunc TestReal(t *testing.T) {}\n")},
	"b/b.go":                       {Data: []byte("package b\n\n// TestNot is R-009.\nfunc TestNot() {}\n")},
	"web/src/desk.test.ts":         {Data: []byte("describe('desk', () => {\n  it.skip(\"R-005 rings\", () => {})\n  test(`R-001: pops`, run)\n})\n")},
	"web/node_modules/x/x.test.ts": {Data: []byte("it('R-006', f)\n")},
	"b/testdata/x_test.go":         {Data: []byte("no Go at all")},
}

func TestFind(t *testing.T) {
	tests, err := find(tree)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][]string{
		"R-001": {"a TestOne", "b TestReal [e2e && linux]", "web/src/desk.test.ts R-001: pops"},
		"R-002": {"a TestOne", "a TestTwo"}, "SC-03": {"a TestTwo"}, "R-005": {"web/src/desk.test.ts R-005 rings"},
		"R-003": nil, "R-004": nil, "R-006": nil, "R-009": nil,
	} {
		if !slices.Equal(tests[id], want) {
			t.Errorf("%s: %q, want %q", id, tests[id], want)
		}
	}
	if got := without(tests, []string{"R-001", "R-003", "R-005", "R-999"}); !slices.Equal(got, []string{"R-003", "R-999"}) {
		t.Errorf("missing %v", got)
	}
}

func TestPrint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "requirements.md")
	text := "# Rows\n- **R-001** TEL *must* The platform shall work. **Check:** Try it.\n- **R-003** TEL *should* " + strings.Repeat("long ", 30) + "**Check:** x\n" +
		"- **SC-03 Bank:** A scenario. **Done:** yes.\n- **K-01** a figure\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	rows, err := requirements(file)
	if err != nil || len(rows) != 3 || rows["R-001"] != (row{"must", "The platform shall work."}) {
		t.Fatalf("%v, %v", rows, err)
	}
	tests, err := find(tree)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	table(&out, tests, rows, true)
	for _, want := range []string{"R-001  must    The platform shall work.", "R-003  should", "no test", "must: 1 of 1 rows", "should: 0 of 1 rows",
		"R-002 is no row, but a TestOne names it", "4 rows named by 5 tests\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	if rows, err := requirements("no such file"); err != nil || rows != nil {
		t.Errorf("without the list: %v, %v", rows, err)
	}
}

// The rows of this repository can be read.
func TestRepository(t *testing.T) {
	tests, err := find(os.DirFS("../.."))
	if err != nil || len(tests["R-385"]) == 0 {
		t.Errorf("%d rows, %v", len(tests), err)
	}
}
