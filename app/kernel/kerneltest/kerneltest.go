// Package kerneltest gives a module's tests a whole kit.
package kerneltest

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"callplane/app/kernel"
	"callplane/app/kernel/bus/bustest"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/files"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/live"
	"callplane/app/kernel/outbox"
)

// New makes a kit for one test: SQLite, migrated, in a temporary folder, an embedded bus, files in memory. It is closed
// at the end of the test. Nothing runs yet; see [Run].
func New(t testing.TB) *kernel.Kit {
	t.Helper()
	store, err := files.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	k := &kernel.Kit{
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)),
		DB:      dbtest.SQLite(t),
		Bus:     bustest.New(t),
		Files:   store,
		Metrics: prometheus.NewRegistry(),
	}
	k.Outbox = outbox.New(k.DB, k.Bus)
	k.Jobs = jobs.New(k.Bus, k.Outbox)
	k.Live = live.New(k.Bus)
	return k
}

// Run runs the kit's outbox, jobs and live stream in the background until the test ends. Give Jobs its handlers before.
func Run(t testing.TB, k *kernel.Kit) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := k.Run(ctx); err != nil {
			t.Errorf("kit: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}
