package sounds

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	keyForm     = regexp.MustCompile(`^[a-z]+/[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$`)
	placeholder = regexp.MustCompile(`\{[a-z]+\}`)
	known       = []string{"{number}", "{duration}", "{digits}", "{amount}", "{date}", "{time}", "{name}"}
)

func TestSameKeysInEveryLanguage(t *testing.T) {
	books, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(books) != 2 || books[0].Lang != "en" || books[1].Lang != "zh-CN" {
		t.Fatalf("languages = %v", books)
	}
	for _, a := range books {
		for key, text := range a.Prompts {
			if !keyForm.MatchString(key) || strings.TrimSpace(text) == "" {
				t.Errorf("%s: key %q or its text %q is malformed", a.Lang, key, text)
			}
			used := placeholder.FindAllString(text, -1)
			for _, p := range used {
				if !slices.Contains(known, p) {
					t.Errorf("%s %s: unknown placeholder %s", a.Lang, key, p)
				}
			}
			for _, b := range books {
				other, ok := b.Prompts[key]
				if !ok {
					t.Errorf("%s has %s, %s has not", a.Lang, key, b.Lang)
				}
				if !slices.Equal(used, placeholder.FindAllString(other, -1)) {
					t.Errorf("%s: placeholders differ between %s and %s", key, a.Lang, b.Lang)
				}
			}
		}
	}
}

func TestChineseIsWrittenInChinese(t *testing.T) {
	books, _ := Load()
	latin := regexp.MustCompile(`[A-Za-z0-9]`)
	for key, text := range books[1].Prompts {
		if !strings.HasPrefix(text, "tone:") && latin.MatchString(placeholder.ReplaceAllString(text, "")) {
			t.Errorf("%s: %q has letters or digits, which voices read badly", key, text)
		}
	}
}

func TestExtraFolder(t *testing.T) {
	books, err := Load(nil, fstest.MapFS{
		"en/prompts.yaml": {Data: []byte("demo/welcome: Good day.")},
		"fr/prompts.yaml": {Data: []byte("demo/welcome: Bonjour.")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(books) != 3 || books[0].Prompts["demo/welcome"] != "Good day." || books[1].Lang != "fr" || len(books[0].Prompts) < 50 {
		t.Errorf("books = %v", books)
	}
	if _, err := Load(fstest.MapFS{"en/prompts.yaml": {Data: []byte("- a list")}}); err == nil {
		t.Error("a malformed file was accepted")
	}
}
