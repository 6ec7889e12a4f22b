package ivr

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/call"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/problem"
)

const document = `
name: Hotline
language: zh-CN
welcome: {prompt: welcome, interrupt: true}
languages:
  keys: {"1": zh-CN, "2": en}
hours:
  calendar: office
  closed: {prompt: closed, message: sales}
menu:
  prompt: main
  tries: 2
  keys:
    "1": {queue: sales, priority: 5, skills: [{skill: broadband, level: 3}]}
    "2":
      menu:
        prompt: sub
        keys:
          "1": {prompt: notice, queue: support}
          "9": {back: true}
    "3": {message: sales}
    "0": {prompt: bye, hangup: true}
  final: {queue: sales}
`

// office is open as it says.
type office bool

func (o office) Open(string, string, time.Time) bool { return bool(o) }

func tree(t testing.TB, text string, open bool) *Tree {
	t.Helper()
	doc, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &Tree{doc: doc, calendars: office(open), queue: func(name string) string { return "id of " + name }}
}

// walk goes through a flow: each outcome leads to the next step, which is written down as text.
func walk(t *testing.T, f call.Flow, c call.View, outcomes ...call.Outcome) (steps []string, last call.Move) {
	t.Helper()
	var at json.RawMessage
	got := call.Outcome{Kind: call.Entered}
	for i := 0; ; i++ {
		m := f.Next(at, got, c)
		if m.Language != "" {
			c.Language = m.Language
		}
		steps = append(steps, describe(m.Do))
		if again := f.Next(m.At, call.Outcome{Kind: call.Resumed}, c); describe(again.Do) != describe(m.Do) || string(again.At) != string(m.At) {
			t.Errorf("resumed at %s it says %s, not %s", m.At, describe(again.Do), describe(m.Do))
		}
		at, last = m.At, m
		if i == len(outcomes) {
			return steps, last
		}
		got = outcomes[i]
	}
}

func describe(s call.Step) string {
	prompts := func(list []call.Prompt) string {
		var keys []string
		for _, p := range list {
			keys = append(keys, p.Key+p.Text)
		}
		return strings.Join(keys, "+")
	}
	switch s := s.(type) {
	case call.Play:
		return "play " + prompts(s.Prompts)
	case call.Collect:
		return "ask " + prompts(s.Prompts)
	case call.Enqueue:
		return fmt.Sprintf("queue %s %d %v", s.Queue, s.Priority, s.Skills)
	case call.Message:
		return "message " + s.Queue
	case call.Hangup:
		return "hangup " + s.Why.String()
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", s), "call.")
}

var done, silence = call.Outcome{Kind: call.Done}, call.Outcome{Kind: call.TimedOut}

func key(k string) call.Outcome { return call.Outcome{Kind: call.Keys, Digits: k} }

// R-044 R-049 R-052: the ways through a flow, each step told again after a restart.
func TestWays(t *testing.T) {
	lang := []call.Outcome{done, done} // answered, welcome heard
	for name, tt := range map[string]struct {
		open bool
		got  []call.Outcome
		want string
	}{
		"to a queue":        {true, append(lang, key("2"), key("1")), "Answer, play welcome, ask language/zh-CN+language/en, ask main, queue id of sales 5 [{broadband 3}]"},
		"no language":       {true, append(lang, silence, key("3")), "Answer, play welcome, ask language/zh-CN+language/en, ask main, message id of sales"},
		"key in welcome":    {true, []call.Outcome{done, key("5"), key("1")}, "Answer, play welcome, ask language/zh-CN+language/en, ask main"},
		"nested":            {true, append(lang, key("1"), key("2"), key("1"), done), "Answer, play welcome, ask language/zh-CN+language/en, ask main, ask sub, play notice, queue id of support 0 []"},
		"back":              {true, append(lang, key("1"), key("2"), key("9"), key("0"), done), "Answer, play welcome, ask language/zh-CN+language/en, ask main, ask sub, ask main, play bye, hangup flow_ended"},
		"repeat":            {true, append(lang, key("1"), key("*")), "Answer, play welcome, ask language/zh-CN+language/en, ask main, ask main"},
		"wrong, then final": {true, append(lang, key("1"), key("7"), done, silence, done), "Answer, play welcome, ask language/zh-CN+language/en, ask main, play input/invalid, ask main, play input/timeout, queue id of sales 0 []"},
		"closed":            {false, append(lang, key("1"), done, done, done), "Answer, play welcome, ask language/zh-CN+language/en, play closed, message id of sales, play message/thanks, hangup message_left"},
		"message":           {true, append(lang, key("1"), key("3"), done, done), "Answer, play welcome, ask language/zh-CN+language/en, ask main, message id of sales, play message/thanks, hangup message_left"},
	} {
		t.Run(name, func(t *testing.T) {
			steps, _ := walk(t, tree(t, document, tt.open), call.View{}, tt.got...)
			if got := strings.Join(steps, ", "); got != tt.want {
				t.Errorf("steps\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// the language chosen is spoken from then on, and remembered in the call.
func TestLanguage(t *testing.T) {
	_, last := walk(t, tree(t, document, true), call.View{}, done, done, key("2"))
	if last.Language != "en" || last.Vars["language"] != "en" || last.Key != "2" {
		t.Errorf("move %+v", last)
	}
}

// Each fault of a document is named with its place.
func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct{ doc, at string }{
		"unknown field":   {"name: x\nthen: {queue: a}\ncolour: red\n", "line 3"},
		"wrong type":      {"name: x\nmenu: {prompt: a, tries: many, keys: {\"1\": {hangup: true}}}\n", "line 2"},
		"no name":         {"then: {queue: a}\n", "name"},
		"nothing to do":   {"name: x\n", "menu"},
		"both":            {"name: x\nthen: {queue: a}\nmenu: {prompt: a, keys: {\"1\": {hangup: true}}}\n", "then"},
		"two in one":      {"name: x\nthen: {queue: a, hangup: true}\n", "then"},
		"bad key":         {"name: x\nmenu: {prompt: a, keys: {\"12\": {hangup: true}}}\n", "menu.keys"},
		"empty key":       {"name: x\nmenu: {prompt: a, keys: {\"1\": }}\n", "menu.keys.1"},
		"no prompt":       {"name: x\nmenu: {keys: {\"1\": {hangup: true}}}\n", "menu"},
		"language":        {"name: x\nlanguage: xx\nthen: {queue: a}\n", "language"},
		"range":           {"name: x\nmenu: {prompt: a, tries: 99, keys: {\"1\": {hangup: true}}}\n", "menu.tries"},
		"back to nowhere": {"name: x\nthen: {back: true}\n", "then"},
		"closed without":  {"name: x\nhours: {calendar: c}\nthen: {queue: a}\n", "hours.closed"},
		"skill":           {"name: x\nthen: {queue: a, skills: [{skill: b, level: 11}]}\n", "then.skills.0"},
		"two documents":   {"name: x\nthen: {queue: a}\n---\nname: y\n", ""},
		"no yaml":         {"\t{{{", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(tt.doc))
			var p *problem.Problem
			if !errors.As(err, &p) || !errors.Is(err, ErrDocument) {
				t.Fatalf("error %v", err)
			}
			if tt.at == "" {
				return
			}
			for _, f := range p.Fields {
				if f.Pointer == tt.at && f.Detail != "" {
					return
				}
			}
			t.Errorf("faults %+v, want one at %s", p.Fields, tt.at)
		})
	}
}

// FuzzParse: no document makes the loader or the flow fall over, or run in a circle without asking the caller anything.
func FuzzParse(f *testing.F) {
	f.Add([]byte(document), "12*9#0")
	f.Add([]byte("name: x\nthen: {queue: a}\n"), "")
	f.Add([]byte("name: x\nmenu: {prompt: a, keys: {\"1\": {menu: {prompt: b, keys: {\"1\": {back: true}}}}}}\n"), "1111")
	f.Add([]byte("a: &a [*a]"), "1")
	f.Fuzz(func(t *testing.T, source []byte, keys string) {
		doc, err := Parse(source)
		if err != nil {
			return
		}
		flow := &Tree{doc: doc, calendars: office(len(keys)%2 == 0), queue: func(name string) string { return name }}
		var at json.RawMessage
		got, idle := call.Outcome{Kind: call.Entered}, 0
		for range 500 {
			m := flow.Next(at, got, call.View{})
			at, got = m.At, done
			switch m.Do.(type) {
			case call.Hangup, call.Enqueue:
				return
			case call.Collect:
				idle = 0
				if keys == "" {
					got = silence
					break
				}
				got, keys = key(keys[:1]), keys[1:]
			case nil:
				t.Fatalf("no step at %s", at)
			default:
				if idle++; idle > 10 {
					t.Fatalf("%d steps without asking at %s", idle, at)
				}
			}
		}
	})
}

// The table has what the model says.
func TestModels(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) { dbtest.CheckModels(t, d, Models()...) })
}
