// Package bustest gives tests an embedded bus in a temporary folder.
package bustest

import (
	"testing"

	"callplane/app/kernel/bus"
)

// New opens an embedded bus in t.TempDir and closes it at the end of the test.
func New(t testing.TB) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}
