// Command rows tells which requirement is proven by which tests.
//
//	rows                       a line for each row that a test names, and how many there are of each priority
//	rows -all                  the rows without a test, too
//	rows -missing  nothing but those of the list that no test names; ends with 1 if there are any
//
// A Go test names rows in the comment directly above it (// R-072 R-095); a TypeScript test in its title. Tests behind build tags
// count: the tag stands beside the name. Titles come from the list of requirements, if it is there.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	dir := flag.String("dir", ".", "where the tests are")
	list := flag.String("requirements", "../shared/requirements.md", "the list of requirements; may be missing")
	missing := flag.String("missing", "", "rows to look for, separated by commas or spaces")
	all := flag.Bool("all", false, "show rows without a test, too")
	flag.Parse()
	tests, err := find(os.DirFS(*dir))
	if err != nil {
		fmt.Fprintln(os.Stderr, "rows:", err)
		os.Exit(2)
	}
	rows, err := requirements(*list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "rows:", err)
		os.Exit(2)
	}
	if *missing != "" {
		if lacking := without(tests, strings.FieldsFunc(*missing, func(c rune) bool { return c == ',' || c == ' ' })); len(lacking) > 0 {
			fmt.Println("no test names", strings.Join(lacking, " "))
			os.Exit(1)
		}
		return
	}
	table(os.Stdout, tests, rows, *all)
}

// without is the rows of a list that no test names.
func without(tests map[string][]string, rows []string) (list []string) {
	for _, id := range rows {
		if len(tests[id]) == 0 {
			list = append(list, id)
		}
	}
	return list
}

// table writes the table and the counts.
func table(out io.Writer, tests map[string][]string, rows map[string]row, all bool) {
	w := tabwriter.NewWriter(out, 0, 2, 2, ' ', 0)
	ids := maps.Collect(maps.All(tests))
	if all {
		for id := range rows {
			ids[id] = tests[id]
		}
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		names := ids[id]
		title, first := rows[id].title, "no test"
		if len(names) > 0 {
			first = names[0]
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", id, rows[id].priority, short(title), first)
		for _, name := range names[min(1, len(names)):] {
			fmt.Fprintf(w, "\t\t\t%s\n", name)
		}
	}
	_ = w.Flush() // to a terminal or a file that main cannot help either
	proven, total := map[string]int{}, map[string]int{}
	for id, r := range rows {
		total[r.priority]++
		if len(tests[id]) > 0 {
			proven[r.priority]++
		}
	}
	for _, priority := range []string{"must", "should", "could"} {
		if total[priority] > 0 {
			fmt.Fprintf(out, "%s: %d of %d rows have a test\n", priority, proven[priority], total[priority])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(tests)) {
		if _, known := rows[id]; !known && len(rows) > 0 {
			fmt.Fprintf(out, "%s is no row, but %s names it\n", id, tests[id][0])
		}
	}
	count := map[string]bool{}
	for _, names := range tests {
		for _, n := range names {
			count[n] = true
		}
	}
	fmt.Fprintf(out, "%d rows named by %d tests\n", len(tests), len(count))
}

// short cuts a title to what fits a line.
func short(title string) string {
	const most = 70
	if r := []rune(title); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return cmp.Or(title, "?")
}
