package bus

import "testing"

func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", "=", ".", "a.b", "..", "a=41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := unescape(escape(s)); got != s {
			t.Errorf("%q became %q", s, got)
		}
	})
}
