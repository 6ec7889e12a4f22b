package speech

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is the longest text of one prompt, in characters.
const maxText = 2000

var tag = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$`)

// A recipe says how an item's file is made. The same name means the same sound.
type recipe struct {
	lang     Lang
	text     string
	recorded []string // names in the store; if any, they are joined and text is not said
	name     string   // of the file: 32 hex digits
	keep     bool     // a prompt by key: never dropped from the cache
}

// recipe finds out what the item means now. It only looks into memory.
func (l *Library) recipe(item Item) (recipe, error) {
	r := recipe{lang: item.Lang, text: item.Text}
	if !tag.MatchString(string(r.lang)) {
		r.lang = English
	}
	if best := Match(r.lang, l.langs...); item.Key != "" || best.Base() == r.lang.Base() {
		r.lang = best
	}
	if item.Key != "" {
		if name, ok := l.newest(item.Key, r.lang); ok {
			r.recorded = []string{name}
			r.keep = true
			return l.named(r), nil
		}
		text, ok := l.books[r.lang].Prompts[item.Key]
		for _, other := range l.langs {
			if !ok {
				r.lang = other
				text, ok = l.books[other].Prompts[item.Key]
			}
		}
		if !ok {
			return r, fmt.Errorf("%w: %q", ErrNoPrompt, item.Key)
		}
		r.keep = !strings.Contains(text, "{")
		r.text = fill(text, item.Values)
	}
	r.text = clean(r.text)
	switch {
	case utf8.RuneCountInString(r.text) > maxText:
		return r, fmt.Errorf("%w: a prompt has at most %d characters", ErrTooLong, maxText)
	case strings.HasPrefix(r.text, "tone:"):
	case !spoken(r.text):
		return r, ErrNoText
	}
	r.recorded = l.spelled(r.lang, r.text)
	return l.named(r), nil
}

func (l *Library) named(r recipe) recipe {
	sum := sha256.New()
	if len(r.recorded) > 0 {
		fmt.Fprintf(sum, "recorded 1\x00%q", r.recorded)
	} else {
		s := l.opt.Settings
		fmt.Fprintf(sum, "made 1\x00%q\x00%q\x00%v\x00%s\x00%s", l.engine.Name(), s.voice(r.lang), s.rate(r.lang), r.lang, r.text)
	}
	r.name = hex.EncodeToString(sum.Sum(nil)[:16])
	return r
}

// clean makes white space plain and drops control characters.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text), " ")
}

// spelled finds recordings of all the words of a spoken value, so that a recorded voice can speak values too. It is
// nil unless each word has one.
func (l *Library) spelled(lang Lang, text string) []string {
	l.mu.Lock()
	some := slices.ContainsFunc(l.books[lang].Words, func(w string) bool { return len(l.uploads[upload{lang, "word/" + w}]) > 0 })
	l.mu.Unlock()
	if !some {
		return nil
	}
	words, ok := pieces(l.books[lang].Words, text)
	if !ok {
		return nil
	}
	var names []string
	for _, w := range words {
		name, ok := l.newest("word/"+w, lang)
		if !ok {
			return nil
		}
		names = append(names, name)
	}
	return names
}

// pieces cuts a spoken value into the words it is built from, the longest first. Not ok if something remains.
func pieces(words []string, text string) (found []string, ok bool) {
	for {
		text = strings.TrimLeft(text, " ,-，")
		if text == "" {
			return found, len(found) > 0
		}
		best := ""
		for _, w := range words {
			if len(w) > len(best) && strings.HasPrefix(text, w) {
				best = w
			}
		}
		if best == "" {
			return nil, false
		}
		found, text = append(found, best), text[len(best):]
	}
}
