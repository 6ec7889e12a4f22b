package speech

import (
	"strings"
	"time"
)

// Lang is a language tag, as the folders in sounds are named.
type Lang string

// The languages whose grammar is built in. Others can have prompts, but their values are left as digits.
const (
	Chinese Lang = "zh-CN"
	English Lang = "en"
)

// Base is the tag before the first "-" or "_", in lower case: zh for zh-CN.
func (l Lang) Base() string {
	base, _, _ := strings.Cut(strings.ReplaceAll(string(l), "_", "-"), "-")
	return strings.ToLower(base)
}

// Match finds the best of have for a wanted tag: the tag itself (in any case), else the same base (zh-TW gets
// zh-CN), else the first of have.
func Match(want Lang, have ...Lang) Lang {
	for _, h := range have {
		if strings.EqualFold(string(h), string(want)) {
			return h
		}
	}
	if want.Base() != "" {
		for _, h := range have {
			if h.Base() == want.Base() {
				return h
			}
		}
	}
	if len(have) == 0 {
		return want
	}
	return have[0]
}

// An Item is one thing to play: a prompt by its key, or a text. Exactly one of Key and Text is set.
// With Key, Values fill the placeholders of the prompt's text ("number": "三").
type Item struct {
	Lang   Lang
	Key    string
	Text   string
	Values map[string]string
}

// Prompt is the prompt with this key.
func Prompt(lang Lang, key string) Item { return Item{Lang: lang, Key: key} }

// Text is any text, said as it stands.
func Text(lang Lang, text string) Item { return Item{Lang: lang, Text: text} }

// fill puts the values where the text names them. A placeholder without a value is left out.
func fill(text string, values map[string]string) string {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "{")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok { // a lone brace is not ours
			out.WriteString("{" + rest)
			return out.String()
		}
		out.WriteString(values[name])
		text = after
	}
}

// A Sayer collects what to play one after another, in one language.
//
//	items := speech.Say(speech.Chinese).Prompt("demo/welcome").Position(3).Wait(90 * time.Second).Items
type Sayer struct {
	Lang  Lang
	Items []Item
}

// Say starts a list of items in a language.
func Say(lang Lang) *Sayer { return &Sayer{Lang: lang} }

// Prompt adds the prompt with this key; pairs of name and text fill its placeholders, a last name without text is
// ignored.
func (s *Sayer) Prompt(key string, pairs ...string) *Sayer {
	item := Prompt(s.Lang, key)
	for i := 0; i+1 < len(pairs); i += 2 {
		if item.Values == nil {
			item.Values = map[string]string{}
		}
		item.Values[pairs[i]] = pairs[i+1]
	}
	s.Items = append(s.Items, item)
	return s
}

// Text adds any text, such as a value from [Words].
func (s *Sayer) Text(text string) *Sayer {
	s.Items = append(s.Items, Text(s.Lang, text))
	return s
}

// Position adds queue/position for place n, from 1: 您现在排在第三位。
func (s *Sayer) Position(n int) *Sayer {
	return s.Prompt("queue/position", "number", In(s.Lang).Position(n))
}

// Wait adds queue/wait for an estimated wait, rounded as [Words.Duration] does.
func (s *Sayer) Wait(d time.Duration) *Sayer {
	return s.Prompt("queue/wait", "duration", In(s.Lang).Duration(d))
}
