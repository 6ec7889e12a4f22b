package ivr

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"callplane/app/kernel/problem"
)

// Document is a flow as people write it.
type Document struct {
	Name      string     `yaml:"name"`
	Language  string     `yaml:"language"` // until the caller chooses; default zh-CN
	Welcome   *Say       `yaml:"welcome"`
	Languages *Languages `yaml:"languages"`
	Hours     *Hours     `yaml:"hours"`
	Menu      *Menu      `yaml:"menu"`
	Then      *Action    `yaml:"then"` // without a menu: what follows the welcome
}

// Say is something to play.
type Say struct {
	Prompt    string `yaml:"prompt"` // key of the prompt library; or
	Text      string `yaml:"text"`   // free text, spoken by the engine
	Interrupt bool   `yaml:"interrupt"`
}

// Languages lets the caller choose; who presses nothing keeps the flow's language.
type Languages struct {
	Prompt  string            `yaml:"prompt"` // said in each language of Keys; empty is language/<code> of each
	Keys    map[string]string `yaml:"keys"`   // key to language
	Timeout int               `yaml:"timeout_seconds"`
}

// Hours sends callers elsewhere while a calendar is closed.
type Hours struct {
	Calendar string  `yaml:"calendar"` // its name
	Closed   *Action `yaml:"closed"`
}

// Menu is a prompt and keys.
type Menu struct {
	Prompt    string             `yaml:"prompt"`
	Text      string             `yaml:"text"`
	Interrupt *bool              `yaml:"interrupt"`       // default true
	Timeout   int                `yaml:"timeout_seconds"` // for the key, from the end of the prompt; default 5
	Tries     int                `yaml:"tries"`           // how often it is asked at most; default 3
	Invalid   string             `yaml:"invalid"`         // prompt after an unused key; default input/invalid
	NoInput   string             `yaml:"no_input"`        // prompt after silence; default input/timeout
	Repeat    string             `yaml:"repeat"`          // key that says the menu again; default *; "none" is none
	Keys      map[string]*Action `yaml:"keys"`
	Final     *Action            `yaml:"final"` // after the last try; default hang up
}

// Action is what a key leads to: one of its kinds, after an optional prompt.
type Action struct {
	Prompt   string `yaml:"prompt"`
	Text     string `yaml:"text"`
	Queue    string `yaml:"queue"` // name of a queue, with
	Priority int    `yaml:"priority"`
	Skills   []Need `yaml:"skills"`
	Menu     *Menu  `yaml:"menu"`
	Message  string `yaml:"message"` // name of the queue whose task the message becomes
	Back     bool   `yaml:"back"`    // to the menu above
	Hangup   bool   `yaml:"hangup"`
}

// Need is a skill asked for.
type Need struct {
	Skill string `yaml:"skill"`
	Level int    `yaml:"level"`
}

// ErrDocument is a document with faults; each is a field with its line.
var ErrDocument = problem.New(problem.Invalid, "flow_document", "The flow has faults")

// maxDocument is the largest document, in bytes; maxDepth how deep menus may nest.
const (
	maxDocument = 256 << 10
	maxDepth    = 16
)

// Parse reads a document and checks it as far as it can be checked by itself. Unknown fields are faults.
func Parse(source []byte) (*Document, error) {
	if len(source) > maxDocument {
		return nil, ErrDocument.With("A flow has at most %d KiB.", maxDocument>>10)
	}
	var doc Document
	dec := yaml.NewDecoder(bytes.NewReader(source))
	dec.KnownFields(true)
	if err := dec.Decode(&doc); err != nil {
		return nil, faults(err)
	}
	if err := dec.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, ErrDocument.With("A flow is one YAML document; this has several.")
	}
	k := checker{}
	k.document(&doc)
	if len(k.found) > 0 {
		p := ErrDocument
		for _, f := range k.found {
			p = p.At(f.Pointer, f.Name, "%s", f.Detail)
		}
		return nil, p
	}
	return &doc, nil
}

func faults(err error) error {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return ErrDocument.With("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	p := ErrDocument
	for _, line := range typed.Errors { // "line 3: field colour not found in type ivr.Menu"
		at, what, _ := strings.Cut(line, ": ")
		what, _, _ = strings.Cut(what, " in type")
		p = p.At(at, "yaml", "%s", what)
	}
	return p
}

type checker struct{ found []problem.Field }

func (k *checker) bad(at, name, format string, args ...any) {
	k.found = append(k.found, problem.Field{Pointer: at, Name: name, Detail: fmt.Sprintf(format, args...)})
}

// SpokenLanguages are the languages that prompts exist in.
var SpokenLanguages = []string{"zh-CN", "en"}

func (k *checker) document(d *Document) {
	if strings.TrimSpace(d.Name) == "" {
		k.bad("name", "required", "A flow needs a name.")
	}
	if d.Language == "" {
		d.Language = "zh-CN"
	}
	k.language("language", d.Language)
	if d.Welcome != nil && d.Welcome.Prompt == "" && d.Welcome.Text == "" {
		k.bad("welcome", "required", "Name a prompt or give a text.")
	}
	if l := d.Languages; l != nil {
		if len(l.Keys) == 0 {
			k.bad("languages.keys", "required", "Give a key for each language.")
		}
		for _, key := range slices.Sorted(maps.Keys(l.Keys)) {
			k.key("languages.keys", key)
			k.language("languages.keys."+key, l.Keys[key])
		}
		l.Timeout = k.within("languages.timeout_seconds", l.Timeout, 5, 1, 60)
	}
	if d.Hours != nil {
		if d.Hours.Calendar == "" {
			k.bad("hours.calendar", "required", "Name the calendar.")
		}
		if d.Hours.Closed == nil {
			k.bad("hours.closed", "required", "Say what happens while it is closed.")
		} else {
			k.action("hours.closed", d.Hours.Closed, -1)
		}
	}
	switch {
	case d.Menu == nil && d.Then == nil:
		k.bad("menu", "required", "A flow needs a menu, or then: what follows the welcome.")
	case d.Menu != nil && d.Then != nil:
		k.bad("then", "ambiguous", "A flow has either a menu or then, not both.")
	case d.Menu != nil:
		k.menu("menu", d.Menu, 0)
	default:
		k.action("then", d.Then, -1)
	}
}

func (k *checker) language(at, lang string) {
	if !slices.Contains(SpokenLanguages, lang) {
		k.bad(at, "unknown", "%q is no language here; there are %s.", lang, strings.Join(SpokenLanguages, ", "))
	}
}

func (k *checker) key(at, key string) {
	if len(key) != 1 || !strings.Contains("0123456789*#", key) {
		k.bad(at, "key", "%q is no key: use 0 to 9, * or #.", key)
	}
}

func (k *checker) within(at string, value, usual, low, high int) int {
	if value == 0 {
		return usual
	}
	if value < low || value > high {
		k.bad(at, "out_of_range", "Must be from %d to %d.", low, high)
	}
	return value
}

func (k *checker) menu(at string, m *Menu, depth int) {
	if depth > maxDepth {
		k.bad(at, "too_deep", "Menus nest at most %d deep.", maxDepth)
		return
	}
	if m.Prompt == "" && m.Text == "" {
		k.bad(at, "required", "A menu needs a prompt or a text.")
	}
	if len(m.Keys) == 0 {
		k.bad(at+".keys", "required", "A menu needs at least one key.")
	}
	m.Timeout = k.within(at+".timeout_seconds", m.Timeout, 5, 1, 60)
	m.Tries = k.within(at+".tries", m.Tries, 3, 1, 9)
	if m.Repeat == "" {
		m.Repeat = "*"
	}
	if m.Repeat != "none" {
		k.key(at+".repeat", m.Repeat)
	}
	for _, key := range slices.Sorted(maps.Keys(m.Keys)) {
		k.key(at+".keys", key)
		if m.Keys[key] == nil {
			k.bad(at+".keys."+key, "required", "Say what the key leads to.")
			continue
		}
		k.action(at+".keys."+key, m.Keys[key], depth+1)
	}
	if m.Final == nil {
		m.Final = &Action{Prompt: "input/goodbye", Hangup: true}
	}
	k.action(at+".final", m.Final, depth+1)
}

// action checks an action of a menu of this depth, from 1; -1 stands outside all menus.
func (k *checker) action(at string, a *Action, depth int) {
	kinds := 0
	for _, set := range []bool{a.Queue != "", a.Menu != nil, a.Message != "", a.Back, a.Hangup} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		k.bad(at, "ambiguous", "Give exactly one of queue, menu, message, back, hangup.")
	}
	if a.Back && depth < 2 {
		k.bad(at, "nowhere", "There is no menu above to go back to.")
	}
	for i, n := range a.Skills {
		if n.Skill == "" || n.Level < 0 || n.Level > 10 {
			k.bad(fmt.Sprintf("%s.skills.%d", at, i), "invalid", "A skill has a name and a level from 1 to 10.")
		}
	}
	if a.Menu != nil {
		k.menu(at+".menu", a.Menu, depth+1)
	}
}
