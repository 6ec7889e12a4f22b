package ivr

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"callplane/app/call"
)

// Calendars tells whether a calendar is open. One that does not exist is open, so that a mistake loses no call.
type Calendars interface {
	Open(unit, calendar string, at time.Time) bool
}

// Tree is a compiled Document: a call.Flow.
type Tree struct {
	doc       *Document
	unit      string
	path      string                   // of the unit
	queue     func(name string) string // id of a queue by its name
	calendars Calendars
}

// place is where a caller is in a Tree.
type place struct {
	Node  string   `json:"n"`           // answer, welcome, language, menu, error, action
	Keys  []string `json:"k,omitempty"` // keys that led to the menu or action; closed, then or final where no key did
	Tries int      `json:"t,omitempty"` // how often the menu was asked in vain
	Why   string   `json:"w,omitempty"` // error: the prompt to play; action: which (final, closed, then; empty is the key's)
	Error string   `json:"e,omitempty"` // action: an error prompt that comes first
	Done  int      `json:"d,omitempty"` // action: steps that are behind
}

// Next implements call.Flow.
func (t *Tree) Next(at json.RawMessage, got call.Outcome, c call.View) call.Move {
	var p place
	if at != nil {
		if err := json.Unmarshal(at, &p); err != nil {
			return call.Move{Do: call.Hangup{Why: call.FlowFailed}}
		}
	}
	if p.Node == "" {
		return t.move(place{Node: "answer"}, call.Answer{}, call.Move{Language: t.language(c)})
	}
	if got.Kind == call.Resumed {
		return t.tell(p, c)
	}
	switch p.Node {
	case "answer":
		return t.enter("welcome", c)
	case "welcome":
		return t.enter("language", c)
	case "language":
		m := t.enter("hours", c)
		if lang := t.doc.Languages.Keys[got.Digits]; got.Kind == call.Keys && lang != "" {
			c.Language = lang
			m = t.enter("hours", c)
			m.Language, m.Vars = lang, map[string]string{"language": lang}
			m.Key = got.Digits
		}
		return m
	case "menu":
		return t.chosen(p, got, c)
	case "error":
		return t.tell(place{Node: "menu", Keys: p.Keys, Tries: p.Tries}, c)
	case "action":
		p.Done++
		return t.tell(p, c)
	}
	return call.Move{Do: call.Hangup{Why: call.FlowFailed}, At: at}
}

func (t *Tree) language(c call.View) string {
	if c.Language != "" {
		return c.Language
	}
	return t.doc.Language
}

// enter goes to a stage, or past it when the document does not have it.
func (t *Tree) enter(stage string, c call.View) call.Move {
	switch {
	case stage == "welcome" && t.doc.Welcome != nil:
		return t.tell(place{Node: "welcome"}, c)
	case stage == "welcome":
		return t.enter("language", c)
	case stage == "language" && t.doc.Languages != nil:
		return t.tell(place{Node: "language"}, c)
	case stage == "language":
		return t.enter("hours", c)
	case stage == "hours" && t.doc.Hours != nil && !t.calendars.Open(t.unit, t.doc.Hours.Calendar, c.Now):
		return t.tell(place{Node: "action", Why: "closed"}, c)
	case t.doc.Menu != nil:
		return t.tell(place{Node: "menu"}, c)
	}
	return t.tell(place{Node: "action", Why: "then"}, c)
}

// tell says the step of a place.
func (t *Tree) tell(p place, c call.View) call.Move {
	switch p.Node {
	case "answer":
		return t.move(p, call.Answer{}, call.Move{})
	case "welcome":
		w := t.doc.Welcome
		return t.move(p, call.Play{Prompts: say(w.Prompt, w.Text), Interrupt: w.Interrupt}, call.Move{Node: "welcome"})
	case "language":
		return t.move(p, t.askLanguage(), call.Move{Node: "language"})
	case "menu":
		m := t.menu(p.Keys)
		if m == nil {
			return call.Move{Do: call.Hangup{Why: call.FlowFailed}}
		}
		return t.move(p, call.Collect{
			Prompts: say(m.Prompt, m.Text), Interrupt: m.Interrupt == nil || *m.Interrupt, Max: 1, First: seconds(m.Timeout), Between: seconds(m.Timeout),
		}, call.Move{Node: node("menu", p.Keys)})
	case "error":
		return t.move(p, call.Play{Prompts: say(p.Why, "")}, call.Move{Node: node("error", p.Keys)})
	}
	return t.act(p, c)
}

func (t *Tree) askLanguage() call.Collect {
	l := t.doc.Languages
	var prompts []call.Prompt
	for _, key := range slices.Sorted(maps.Keys(l.Keys)) {
		prompt := l.Prompt
		if prompt == "" {
			prompt = "language/" + l.Keys[key]
		}
		prompts = append(prompts, call.Prompt{Key: prompt, Language: l.Keys[key]})
	}
	return call.Collect{Prompts: prompts, Interrupt: true, Max: 1, First: seconds(l.Timeout), Between: seconds(l.Timeout)}
}

// chosen goes on from a menu.
func (t *Tree) chosen(p place, got call.Outcome, c call.View) call.Move {
	m := t.menu(p.Keys)
	if m == nil {
		return call.Move{Do: call.Hangup{Why: call.FlowFailed}}
	}
	if got.Kind == call.Keys {
		if got.Digits == m.Repeat {
			return t.tell(p, c)
		}
		if a := m.Keys[got.Digits]; a != nil {
			move := t.tell(place{Node: "action", Keys: append(slices.Clone(p.Keys), got.Digits)}, c)
			move.Key = got.Digits
			return move
		}
	}
	why := m.Invalid
	if why == "" {
		why = "input/invalid"
	}
	if got.Kind != call.Keys {
		if why = m.NoInput; why == "" {
			why = "input/timeout"
		}
	}
	p.Tries++
	if p.Tries >= m.Tries {
		return t.tell(place{Node: "action", Keys: p.Keys, Why: "final", Error: why}, c)
	}
	p.Node, p.Why = "error", why
	return t.tell(p, c)
}

// act says the step of an action that is next.
func (t *Tree) act(p place, c call.View) call.Move {
	a := t.action(p)
	if a == nil {
		return call.Move{Do: call.Hangup{Why: call.FlowFailed}}
	}
	steps := t.steps(a, p.Error)
	switch {
	case p.Done < len(steps):
		s := steps[p.Done]
		return t.move(p, s.do, call.Move{Node: node(s.name, p.Keys)})
	case a.Menu != nil:
		return t.tell(place{Node: "menu", Keys: append(slices.Clone(p.Keys), p.aside()...)}, c)
	case a.Back:
		up := 2 // from the key of a menu to the menu above it
		if p.Why == "final" {
			up = 1
		}
		return t.tell(place{Node: "menu", Keys: p.Keys[:max(len(p.Keys)-up, 0)]}, c)
	}
	return t.move(p, call.Hangup{Why: call.FlowEnded}, call.Move{})
}

// named is a step with the name that the timeline shows.
type named struct {
	name string
	do   call.Step
}

// steps is what an action does, one after another. What follows the last one, if it comes back, is in act.
func (t *Tree) steps(a *Action, errorPrompt string) (list []named) {
	if errorPrompt != "" {
		list = append(list, named{"error", call.Play{Prompts: say(errorPrompt, "")}})
	}
	if a.Prompt != "" || a.Text != "" {
		list = append(list, named{"say", call.Play{Prompts: say(a.Prompt, a.Text)}})
	}
	switch {
	case a.Queue != "":
		skills := make([]call.Skill, len(a.Skills))
		for i, n := range a.Skills {
			skills[i] = call.Skill{Name: n.Skill, Level: max(n.Level, 1)}
		}
		list = append(list, named{"queue", call.Enqueue{Queue: t.queue(a.Queue), Priority: a.Priority, Skills: skills}})
	case a.Message != "":
		list = append(list,
			named{"message", call.Message{Prompts: say("message/leave", ""), Queue: t.queue(a.Message)}},
			named{"thanks", call.Play{Prompts: say("message/thanks", "")}},
			named{"hangup", call.Hangup{Why: call.MessageLeft}})
	case a.Hangup:
		list = append(list, named{"hangup", call.Hangup{Why: call.FlowEnded}})
	}
	return list
}

// aside is how a menu is found that no key leads to: it stands in place of a key.
func (p place) aside() []string {
	if p.Why == "" {
		return nil
	}
	return []string{p.Why}
}

// menu finds the menu that keys lead to.
func (t *Tree) menu(keys []string) *Menu {
	m := t.doc.Menu
	for i, key := range keys {
		var a *Action
		switch {
		case i == 0 && key == "closed" && t.doc.Hours != nil:
			a = t.doc.Hours.Closed
		case i == 0 && key == "then":
			a = t.doc.Then
		case m != nil && key == "final":
			a = m.Final
		case m != nil:
			a = m.Keys[key]
		}
		if a == nil {
			return nil
		}
		m = a.Menu
	}
	return m
}

// action finds the action of a place.
func (t *Tree) action(p place) *Action {
	switch p.Why {
	case "closed":
		if t.doc.Hours == nil { // the flow was changed while the process was away
			return nil
		}
		return t.doc.Hours.Closed
	case "then":
		return t.doc.Then
	case "final":
		if m := t.menu(p.Keys); m != nil {
			return m.Final
		}
		return nil
	}
	if len(p.Keys) == 0 {
		return nil
	}
	if m := t.menu(p.Keys[:len(p.Keys)-1]); m != nil {
		return m.Keys[p.Keys[len(p.Keys)-1]]
	}
	return nil
}

func (t *Tree) move(p place, do call.Step, m call.Move) call.Move {
	at, err := json.Marshal(p)
	if err != nil {
		return call.Move{Do: call.Hangup{Why: call.FlowFailed}}
	}
	m.Do, m.At = do, at
	return m
}

func say(prompt, text string) []call.Prompt {
	if prompt == "" && text == "" {
		return nil
	}
	return []call.Prompt{{Key: prompt, Text: text}}
}

func node(kind string, keys []string) string {
	if len(keys) == 0 {
		return kind
	}
	return kind + " " + strings.Join(keys, ">")
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
