package ivr

import (
	"testing"

	"callplane/app/call"
)

// A menu may stand wherever an action may: while it is closed, after the welcome, and after the last try. Each leads to its own keys.
func TestMenusElsewhere(t *testing.T) {
	const doc = `
name: x
hours: {calendar: c, closed: {menu: {prompt: night, keys: {"1": {queue: nurse}, "2": {menu: {prompt: deep, keys: {"9": {back: true}}}}}}}}
menu:
  prompt: main
  tries: 1
  keys: {"1": {queue: sales}}
  final: {menu: {prompt: rescue, keys: {"1": {queue: help}, "2": {back: true}}}}
`
	for name, tt := range map[string]struct {
		open bool
		got  []call.Outcome
		want string
	}{
		"closed":                   {false, []call.Outcome{done, key("1")}, "id of nurse"},
		"closed, deeper, and back": {false, []call.Outcome{done, key("2"), key("9"), key("1")}, "id of nurse"},
		"open":                     {true, []call.Outcome{done, key("1")}, "id of sales"},
		"last try":                 {true, []call.Outcome{done, silence, done, key("1")}, "id of help"},
		"last try, and back":       {true, []call.Outcome{done, silence, done, key("2"), key("1")}, "id of sales"},
	} {
		_, last := walk(t, tree(t, doc, tt.open), call.View{}, tt.got...)
		if q, ok := last.Do.(call.Enqueue); !ok || q.Queue != tt.want {
			t.Errorf("%s: %#v, want queue %s", name, last.Do, tt.want)
		}
	}
	_, last := walk(t, tree(t, "name: x\nthen: {menu: {prompt: p, keys: {\"5\": {queue: five}}}}\n", true), call.View{}, done, key("5"))
	if q, ok := last.Do.(call.Enqueue); !ok || q.Queue != "id of five" {
		t.Errorf("then: %#v", last.Do)
	}
}

// In a menu that stands alone there is nothing to go back to.
func TestBackToNowhere(t *testing.T) {
	for _, doc := range []string{
		`{name: x, hours: {calendar: c, closed: {menu: {prompt: n, keys: {"1": {back: true}}}}}, then: {hangup: true}}`,
		`{name: x, then: {menu: {prompt: n, keys: {"1": {back: true}}}}}`,
	} {
		if _, err := Parse([]byte(doc)); err == nil {
			t.Errorf("%s was not refused", doc)
		}
	}
}
