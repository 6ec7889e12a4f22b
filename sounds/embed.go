// Package sounds holds what callers hear, as text: the prompts of each language, and the words that spoken
// values are built from. Package speech turns them into sound.
//
// A language is a folder named by its tag (zh-CN, en) with prompts.yaml (key → text) and words.yaml (a list).
// Keys are lower-case words joined by "-", with a group before "/": queue/position. They are stable: flows
// and uploaded recordings name them.
package sounds

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed */*.yaml
var files embed.FS

// A Book is one language's texts.
type Book struct {
	Lang    string            // tag, such as "zh-CN"
	Prompts map[string]string // key → text, which may hold {placeholders} or begin with "tone:"
	Words   []string          // what spoken values are built from
}

// Load reads the built-in books, one for each language, in the order of their tags. Each extra folder laid out
// like this one (nil is skipped) adds languages, or replaces single prompts, without a build.
func Load(extra ...fs.FS) ([]Book, error) {
	books := map[string]*Book{}
	for _, from := range append([]fs.FS{files}, extra...) {
		if from == nil {
			continue
		}
		if err := read(from, books); err != nil {
			return nil, err
		}
	}
	var all []Book
	for _, b := range books {
		all = append(all, *b)
	}
	slices.SortFunc(all, func(a, b Book) int { return strings.Compare(a.Lang, b.Lang) })
	return all, nil
}

func read(from fs.FS, books map[string]*Book) error {
	names, err := fs.Glob(from, "*/prompts.yaml")
	if err != nil {
		return err
	}
	for _, name := range names {
		lang := path.Dir(name)
		b := books[lang]
		if b == nil {
			b = &Book{Lang: lang, Prompts: map[string]string{}}
			books[lang] = b
		}
		var prompts map[string]string
		if err := decode(from, name, &prompts); err != nil {
			return err
		}
		for key, text := range prompts {
			b.Prompts[key] = text
		}
		var words []string
		err := decode(from, path.Join(lang, "words.yaml"), &words)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		b.Words = append(b.Words, words...)
	}
	return nil
}

func decode(from fs.FS, name string, into any) error {
	text, err := fs.ReadFile(from, name)
	if err == nil {
		err = yaml.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("read prompts %s: %w", name, err)
	}
	return nil
}
