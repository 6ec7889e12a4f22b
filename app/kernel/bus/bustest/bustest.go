// Package bustest gives tests an embedded bus in a temporary folder.
package bustest

import (
	"io"
	"log/slog"
	"testing"

	"callplane/app/kernel/bus"
)

// New opens an embedded bus in t.TempDir and closes it at the end of the test. It logs nothing.
func New(t testing.TB) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}
