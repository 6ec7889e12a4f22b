package call

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// events is all that can happen, in the order of the table's rows.
func events() (list []Event) {
	for _, r := range life {
		if !slices.Contains(list, r.on) {
			list = append(list, r.on)
		}
	}
	return list
}

// document writes life as people read it.
func document() string {
	var b strings.Builder
	b.WriteString("# What a call can go through\n\nMade by `UPDATE=1 go test ./app/call -run States` from the table life in life.go.\n\n| state | event | next |\n|---|---|---|\n")
	for s := Fresh; s < Ended; s <<= 1 {
		for _, r := range life {
			if r.from&s != 0 {
				fmt.Fprintf(&b, "| %s | %s | %s |\n", s, r.on, r.to)
			}
		}
	}
	return b.String()
}

// The document beside the table says what the table says.
func TestStates(t *testing.T) {
	const file = "STATES.md"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(document()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != document() {
		t.Errorf("%s is out of date: run UPDATE=1 go test ./app/call -run States", file)
	}
}

// Every event in every state either has exactly one row, or is refused and changes nothing.
func TestEveryEventInEveryState(t *testing.T) {
	for s := Fresh; s <= Ended; s <<= 1 {
		for _, on := range events() {
			rows := 0
			for _, r := range life {
				if r.on == on && r.from&s != 0 {
					rows++
				}
			}
			if rows > 1 {
				t.Errorf("%s, %s: %d rows", s, on, rows)
			}
			if rows == 1 {
				continue
			}
			c := &Call{rec: Record{State: s}}
			if err := c.fire(on, nil); !errors.Is(err, ErrTransition) {
				t.Errorf("%s, %s: %v, want ErrTransition", s, on, err)
			}
			if c.rec.State != s {
				t.Errorf("%s, %s: refused, and the state is %s", s, on, c.rec.State)
			}
		}
	}
}

// Nothing leads out of Ended, and everything alive can be ended.
func TestEnds(t *testing.T) {
	for _, r := range life {
		if r.from&Ended != 0 {
			t.Errorf("%s leads out of ended", r.on)
		}
	}
	for s := Fresh; s < Ended; s <<= 1 {
		stop := slices.IndexFunc(life, func(r row) bool { return r.on == Stop && r.from&s != 0 && r.to == Ended })
		if stop < 0 {
			t.Errorf("a call that is %s cannot be stopped", s)
		}
	}
}

// A state and its name are one to one, as checkpoints need.
func TestStateNames(t *testing.T) {
	for s := Fresh; s <= Ended; s <<= 1 {
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back State
		if err := back.UnmarshalText(text); err != nil || back != s {
			t.Errorf("%s read back as %s, %v", s, back, err)
		}
	}
	var s State
	if err := s.UnmarshalText([]byte("flying")); err == nil {
		t.Error("an unknown state was read")
	}
}

// Reasons have different names: reports count them.
func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		if r.String() == "" || r.Class() == "" || seen[r.String()] {
			t.Errorf("reason %q of class %q is empty or there twice", r, r.Class())
		}
		seen[r.String()] = true
	}
}
