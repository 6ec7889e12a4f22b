//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"callplane/app/call"
)

var update = flag.Bool("update", false, "write the golden files anew")

// One call from the first ring to the last hang-up: menu, queue, agent, end. The order of its events and its rows must be the
// same on every switch, so they are kept in a file.
//
//
func TestStory(t *testing.T) {
	t.Parallel()
	story(t, newCentre(t, sharedServer(t)))
}

func story(t *testing.T, c *Centre) {
	a := c.agent("anna", agentOptions{})
	q := c.queue("sales", nil, a)
	number := c.number(c.flow("story", `
welcome: {text: 欢迎。}
menu:
  text: 销售请按一。
  keys:
    "1": {text: 您选择了销售。, queue: `+q.Name+`}
`), object{"service": "Story"})

	p := c.calls(number)
	finds(t, "the menu", p.Ear(), 0, text(t, "销售请按一。"), 15*time.Second)
	if err := p.SendDTMF(within(t, 5*time.Second), "1", 0); err != nil {
		t.Fatal(err)
	}
	with := a.talk()
	talk(t, p, with)
	c.leaves(p)
	d := c.row(p.ID)

	var out strings.Builder
	fmt.Fprintln(&out, "events:")
	for _, e := range c.Feed.of(p.ID) {
		said := e.told()
		fmt.Fprintf(&out, "  %s%s\n", e.Type, facts(said.Data, "node", "got", "key", "why", "result", "reason", "class", "released_by", "how"))
	}
	r := d.Call
	fmt.Fprintf(&out, "call: %s %s path=%s service=%s answered=%t talked=%t recorded=%t end=%s/%s by=%s\n", r.Direction, r.Language, r.Path,
		r.Service, r.AnsweredAt != nil, r.TalkedAt != nil, r.Recorded, r.EndClass, r.EndReason, r.ReleasedBy)
	for _, l := range d.Legs {
		fmt.Fprintf(&out, "leg: %s dialled=%t ringing=%t answered=%t by_us=%t\n", l.Kind, l.Dialled, l.RingingAt != nil, l.AnsweredAt != nil, l.ByUs)
	}
	for _, s := range d.Segments {
		fmt.Fprintf(&out, "segment: %s queue=%t agent=%t\n", s.Kind, s.QueueID == string(q.ID), s.AgentID == a.ID)
	}
	for _, e := range d.Entries {
		fmt.Fprintf(&out, "queued: %s position=%d agent=%t\n", e.Result, e.Position, e.AgentID == a.ID)
	}
	for _, o := range d.Offers {
		fmt.Fprintf(&out, "offer: %s %s\n", o.Kind, o.Result)
	}
	golden(t, "story.txt", out.String())
	if r.FromNumber != "+86"+p.Number || r.AgentID != a.ID || r.QueueID != string(q.ID) || r.Trunk != c.Line.Name {
		t.Errorf("the row does not fit: %+v", r)
	}
	if r.EndReason != call.CallerHungUp.String() {
		t.Errorf("ended as %s", r.EndReason)
	}
}

// facts are those of some data that are the same in every run.
func facts(data map[string]any, names ...string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(data)) {
		v, isText := data[k].(string)
		if slices.Contains(names, k) && isText && v != "" {
			fmt.Fprintf(&b, " %s=%s", k, v)
		}
	}
	return b.String()
}

// golden compares with a file in testdata; -update writes it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as in %s:\n%s\nwant:\n%s", path, got, want)
	}
}
