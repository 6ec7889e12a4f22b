package outbox_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/bus/bustest"
	"callplane/app/kernel/db"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/outbox"
)

// run relays until the test ends.
func run(t *testing.T, o *outbox.Outbox) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = o.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// take reads n events.
func take(t *testing.T, ch <-chan bus.Event, n int) (got []bus.Event) {
	t.Helper()
	end := time.After(20 * time.Second)
	for len(got) < n {
		select {
		case e := <-ch:
			got = append(got, e)
		case <-end:
			t.Fatalf("got %d of %d events", len(got), n)
		}
	}
	return got
}

func TestEventsFollowTheCommit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		b := bustest.New(t)
		o := outbox.New(d, b)
		tail, err := b.Tail(t.Context(), 0)
		require.NoError(t, err)
		run(t, o)
		fault := errors.New("rolled back")
		for i := range 50 {
			err := d.Transaction(func(tx *gorm.DB) error {
				if err := o.Add(tx, bus.NewEvent("ticket.changed", "t", i), bus.NewEvent("ticket.changed", "t", i)); err != nil {
					return err
				}
				if i%5 == 4 {
					return fault
				}
				return nil
			})
			if i%5 == 4 {
				require.ErrorIs(t, err, fault)
			} else {
				require.NoError(t, err)
			}
		}
		want := 0
		for _, e := range take(t, tail, 80) {
			var n int
			require.NoError(t, e.Into(&n))
			require.NotEqual(t, 4, n%5)
			require.GreaterOrEqual(t, n, want)
			want = n
		}
		require.NoError(t, o.Flush(t.Context()))
		e := bus.NewEvent("a.b", "", nil)
		require.NoError(t, o.Add(d, e, e), "the same id twice")
		require.NoError(t, o.Flush(t.Context()))
		last, err := b.LastSeq(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 81, last)
	})
}

// The relay wakes at once: an event is in the stream within milliseconds of the commit.
func TestRelayWakes(t *testing.T) {
	d, b := dbtest.SQLite(t), bustest.New(t)
	o := outbox.New(d, b)
	tail, err := b.Tail(t.Context(), 0)
	require.NoError(t, err)
	run(t, o)
	require.NoError(t, o.Add(d, bus.NewEvent("a.b", "", nil)))
	take(t, tail, 1)
	var sum time.Duration
	for range 20 {
		begin := time.Now()
		require.NoError(t, o.Add(d, bus.NewEvent("a.b", "", nil)))
		take(t, tail, 1)
		sum += time.Since(begin)
	}
	t.Logf("commit to stream: %v", sum/20)
	require.Less(t, sum/20, 250*time.Millisecond, "not by polling")
}

// A row that was carried, whose deletion was lost, long ago: it is not carried again.
func TestCarriedLongAgo(t *testing.T) {
	d, b := dbtest.SQLite(t), bustest.New(t)
	o := outbox.New(d, b)
	e := bus.NewEvent("a.b", "", nil)
	b.Publish(e)
	require.NoError(t, b.Flush(t.Context()))
	require.NoError(t, o.Add(d, e, bus.NewEvent("a.c", "", nil)))
	require.NoError(t, d.Exec("UPDATE kernel_outbox SET sent_at = ?", time.Now().Add(-10*time.Minute)).Error)
	run(t, o)
	require.NoError(t, o.Flush(t.Context()))
	last, err := b.LastSeq(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, last)
}

// The database goes away and comes back: what was committed arrives then.
func TestDatabaseAwayAndBack(t *testing.T) {
	d, b := dbtest.SQLite(t), bustest.New(t)
	o := outbox.New(d, b)
	tail, err := b.Tail(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, d.Exec("ALTER TABLE kernel_outbox RENAME TO away").Error)
	run(t, o)
	require.Error(t, o.Add(d, bus.NewEvent("a.b", "", 0)))
	require.Eventually(t, func() bool { h, err := b.Holder(t.Context(), "outbox"); return err == nil && h != "" }, 5*time.Second, time.Millisecond)
	require.NoError(t, d.Exec("ALTER TABLE away RENAME TO kernel_outbox").Error)
	require.NoError(t, o.Add(d, bus.NewEvent("a.b", "", 1)))
	require.Equal(t, "1", string(take(t, tail, 1)[0].Data))
}

const crashEnv = "CALLPLANE_TEST_OUTBOX_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		if err := die(dir); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// die commits rows with their events until it is killed, and says what is committed.
func die(dir string) error {
	ctx := context.Background()
	d, b, err := reopen(ctx, dir)
	if err != nil {
		return err
	}
	o := outbox.New(d, b)
	go func() { _ = o.Run(ctx) }()
	var begin int64
	if err := d.Raw("SELECT COUNT(*) FROM test_facts").Scan(&begin).Error; err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for i := begin; ; i++ {
		err := d.Transaction(func(tx *gorm.DB) error {
			if err := tx.Exec("INSERT INTO test_facts (n) VALUES (?)", i).Error; err != nil {
				return err
			}
			return o.Add(tx, bus.NewEvent("fact.made", "", i))
		})
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintln(out, i)
		_ = out.Flush()
	}
}

func reopen(ctx context.Context, dir string) (*gorm.DB, *bus.Bus, error) {
	d, err := db.Open(ctx, db.Config{DSN: "sqlite:" + filepath.Join(dir, "x.db")})
	if err != nil {
		return nil, nil, err
	}
	if err := db.Migrate(ctx, d); err != nil {
		return nil, nil, err
	}
	if err := d.Exec("CREATE TABLE IF NOT EXISTS test_facts (n INTEGER PRIMARY KEY)").Error; err != nil {
		return nil, nil, err
	}
	b, err := bus.Open(ctx, bus.Config{Dir: filepath.Join(dir, "bus")})
	return d, b, err
}

// Killed several times, the stream holds in the end each committed fact exactly once, in order.
func TestKill9(t *testing.T) {
	dir := t.TempDir()
	for r := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), crashEnv+"="+dir)
		cmd.Stderr = os.Stderr
		pipe, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewScanner(pipe)
		for i := 0; lines.Scan(); i++ {
			if i == 100+r*53 {
				require.NoError(t, cmd.Process.Kill())
			}
		}
		_ = cmd.Wait()
	}
	d, b, err := reopen(t.Context(), dir)
	require.NoError(t, err)
	defer func() { _ = db.Close(d); _ = b.Close() }()
	o := outbox.New(d, b)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = o.Run(ctx) })
	defer wg.Wait()
	defer cancel()
	require.NoError(t, o.Flush(t.Context()))
	var facts int64
	require.NoError(t, d.Raw("SELECT COUNT(*) FROM test_facts").Scan(&facts).Error)
	last, err := b.LastSeq(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, facts, last)
	tail, err := b.TailAfter(t.Context(), 0)
	require.NoError(t, err)
	for i, e := range take(t, tail, int(last)) {
		require.Equal(t, fmt.Sprint(i), string(e.Data))
	}
}
