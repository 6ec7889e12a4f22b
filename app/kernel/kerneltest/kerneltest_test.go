package kerneltest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/kerneltest"
)

func TestKit(t *testing.T) {
	k := kerneltest.New(t)
	done := make(chan string, 1)
	k.Jobs.Handle("k", jobs.Options{}, func(_ context.Context, j jobs.Job) error { done <- j.ID; return nil })
	tail, err := k.Bus.Tail(t.Context(), 0)
	require.NoError(t, err)
	kerneltest.Run(t, k)
	require.NoError(t, k.DB.Transaction(func(tx *gorm.DB) error {
		if err := k.Outbox.Add(tx, bus.NewEvent("a.b", "", nil)); err != nil {
			return err
		}
		return k.Jobs.AddTx(tx, "k", "j1", nil)
	}))
	require.Equal(t, "a.b", (<-tail).Type)
	require.Equal(t, "j1", <-done)
	_, _, err = k.Files.Put(t.Context(), "a", strings.NewReader("x"))
	require.NoError(t, err)
}

func TestOpenAndMetrics(t *testing.T) {
	dir := t.TempDir()
	reg := prometheus.NewPedanticRegistry()
	k, err := kernel.Open(t.Context(), kernel.Config{
		DB: db.Config{DSN: "sqlite:" + dir + "/x.db"}, Bus: bus.Config{Dir: dir + "/bus"}, Files: "file://" + dir + "/files", Metrics: reg})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.Close()) })
	require.NoError(t, db.Migrate(t.Context(), k.DB))
	k.Jobs.Handle("k", jobs.Options{}, func(context.Context, jobs.Job) error { return nil })
	kerneltest.Run(t, k)
	all, err := reg.Gather()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, m := range all {
		require.True(t, strings.HasPrefix(m.GetName(), "cc_"), m.GetName())
		names[m.GetName()] = true
	}
	for _, want := range []string{"cc_db_connections_open", "cc_bus_queued", "cc_outbox_depth", "cc_jobs_running", "cc_live_clients", "cc_files_free_bytes"} {
		require.True(t, names[want], want)
	}
}

func TestOpenFails(t *testing.T) {
	dir := t.TempDir()
	_, err := kernel.Open(t.Context(), kernel.Config{DB: db.Config{DSN: "oracle:x"}, Bus: bus.Config{Dir: dir}, Files: "mem://"})
	require.ErrorContains(t, err, "oracle")
	b, err := bus.Open(t.Context(), bus.Config{Dir: dir}) // what was opened is closed again
	require.NoError(t, err)
	require.NoError(t, b.Close())
}
