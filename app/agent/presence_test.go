package agent

import (
	"slices"
	"strings"
	"testing"
)

var acts = []Act{
	ActSignIn, ActSignOut, ActReady, ActBreak, ActNotReady, ActReserve, ActDial, ActAccept, ActMiss, ActRelease, ActHold, ActUnhold, ActFinish, ActWrapped,
}

// every act in every state: where it leads, - where it is refused, and * where it is worked out.
func TestLife(t *testing.T) {
	const table = `
             logged_out ready     ringing   talking  hold     wrap_up    break      not_ready
sign_in      not_ready  not_ready -         -        -        not_ready  not_ready  not_ready
sign_out     -          logged_out -        -        -        logged_out logged_out logged_out
ready        -          ready     -         -        -        ready      ready      ready
break        -          break     -         -        -        break      break      break
not_ready    -          not_ready -         -        -        not_ready  not_ready  not_ready
reserve      -          ringing   -         -        -        -          -          -
dial         -          ringing   -         -        -        ringing    ringing    ringing
accept       -          -         talking   -        -        -          -          -
miss         -          -         not_ready -        -        -          -          -
release      -          -         *         -        -        -          -          -
hold         -          -         -         hold     -        -          -          -
unhold       -          -         -         -        talking  -          -          -
finish       -          -         wrap_up   wrap_up  wrap_up  -          -          -
wrapped      -          -         -         -        -        *          -          -
`
	lines := strings.Split(strings.TrimSpace(table), "\n")
	states := strings.Fields(lines[0])
	if len(states) != len(States) {
		t.Fatalf("the table has %d states, there are %d", len(states), len(States))
	}
	seen := []Act{}
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		act := Act(cells[0])
		seen = append(seen, act)
		for i, want := range cells[1:] {
			to, ok := after(State(states[i]), act)
			got := string(to)
			switch {
			case !ok:
				got = "-"
			case to == "":
				got = "*"
			}
			if got != want {
				t.Errorf("%s when %s: %s, want %s", act, states[i], got, want)
			}
		}
	}
	if !slices.Equal(seen, acts) {
		t.Errorf("the table has %v", seen)
	}
	for _, row := range life {
		if !slices.Contains(acts, row.on) {
			t.Errorf("act %s is not in the table", row.on)
		}
	}
}

// What is asked for during a call leads where it would have led at once.
func TestDeferred(t *testing.T) {
	for _, act := range acts {
		if !deferred(act) {
			continue
		}
		if to, ok := after(Ready, act); !ok || to != target(act) {
			t.Errorf("%s leads to %s, and later to %s", act, to, target(act))
		}
	}
	for _, s := range States {
		if s.Busy() && !s.Staffed() {
			t.Errorf("%s is busy and not signed in", s)
		}
	}
}
