package bus_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"callplane/app/kernel/bus"
)

// crashEnv turns the test binary into the process that is killed.
const crashEnv = "CALLPLANE_TEST_BUS_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		die(dir)
	}
	os.Exit(m.Run())
}

// die publishes as fast as it can until it is killed, and says what is surely stored.
func die(dir string) {
	b, err := bus.Open(context.Background(), bus.Config{Dir: dir, Log: quiet()})
	if err != nil {
		panic(err)
	}
	run := os.Getenv("CALLPLANE_TEST_BUS_RUN")
	out := bufio.NewWriter(os.Stdout)
	for i := 0; ; i++ {
		b.KV("n").Put("n"+run, fmt.Append(nil, i))
		e := bus.NewEvent("n.set", run, i)
		e.ID = fmt.Sprint(run, "-", i)
		b.Publish(e)
		if i%97 == 0 {
			if err := b.Flush(context.Background()); err != nil {
				panic(err)
			}
			_, _ = fmt.Fprintln(out, i)
			_ = out.Flush()
		}
	}
}

// kill9 runs this test binary with an environment until it has said more than n lines, kills it and returns the last.
func kill9(t *testing.T, n int, env ...string) (last int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(pipe)
	for i := 0; lines.Scan(); i++ {
		_, err := fmt.Sscan(lines.Text(), &last)
		require.NoError(t, err)
		if i == n {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	_ = cmd.Wait()
	return last
}

// A process is killed in full flight, several times. Nothing that was acknowledged is lost, nothing is doubled, and
// what was published without gap before the last event that made it is all there, in order.
func TestKill9(t *testing.T) {
	dir := t.TempDir()
	const runs = 4
	var acked [runs]int
	for r := range runs {
		acked[r] = kill9(t, 20+r*17, crashEnv+"="+dir, fmt.Sprint("CALLPLANE_TEST_BUS_RUN=", r))
		require.Positive(t, acked[r])
	}
	b := open(t, dir)
	defer func() { _ = b.Close() }()
	require.NoError(t, b.Flush(t.Context()))
	last, err := b.LastSeq(t.Context())
	require.NoError(t, err)
	tail, err := b.TailAfter(t.Context(), 0)
	require.NoError(t, err)
	var next [runs]int
	for _, e := range take(t, tail, int(last)) {
		var r, n int
		_, err := fmt.Sscan(e.Key, &r)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(e.Data, &n))
		require.Equal(t, next[r], n, "run %d", r)
		next[r]++
	}
	for r := range runs {
		require.Greater(t, next[r], acked[r])
		e, err := b.KV("n").Get(t.Context(), fmt.Sprint("n", r))
		require.NoError(t, err)
		var n int
		require.NoError(t, json.Unmarshal(e.Value, &n))
		// Known defect (CHANGELOG): once in many runs on an overloaded machine the value was 14 events behind; it must never be
		// more than the writer's one batch of 512.
		require.GreaterOrEqual(t, n, next[r]-512, "state is not older than the events by more than a batch")
		require.LessOrEqual(t, n, next[r], "nor newer than what was published")
	}
}

// A process that is killed while JetStream is away leaves its events to the next, even when that is long after.
func TestKill9WhileAway(t *testing.T) {
	c := startCluster(t)
	dir := t.TempDir()
	b := c.open(dir)
	b.Publish(bus.NewEvent("a.b", "", 0))
	require.NoError(t, b.Flush(soon(t)))
	c.stop(0)
	c.stop(1)
	for i := 1; i <= 30000; i++ { // more than stays in memory
		b.Publish(bus.NewEvent("a.b", "", i))
	}
	b.KV("k").Put("k", []byte("v"))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	require.Error(t, b.Flush(ctx))
	cancel()
	b.Abandon() // as if it were killed

	c.start(0)
	c.start(1)
	b = c.open(dir)
	defer func() { _ = b.Close() }()
	require.NoError(t, b.Flush(soon(t)))
	tail, err := b.TailAfter(t.Context(), 0)
	require.NoError(t, err)
	for i, e := range take(t, tail, 30001) {
		require.Equal(t, fmt.Sprint(i), string(e.Data))
	}
	last, err := b.LastSeq(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 30001, last)
	e, err := b.KV("k").Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "v", string(e.Value))
}
