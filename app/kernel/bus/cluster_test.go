package bus_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"callplane/app/kernel/bus"
)

// cluster is three NATS servers in this process.
type cluster struct {
	t       *testing.T
	urls    []string
	opts    [3]server.Options
	servers [3]*server.Server
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t}
	var routes []*url.URL
	var ports [3]int
	for i := range 3 {
		ports[i] = freePort(t)
		routes = append(routes, &url.URL{Scheme: "nats", Host: fmt.Sprint("127.0.0.1:", ports[i])})
	}
	for i := range 3 {
		port := freePort(t)
		c.opts[i] = server.Options{ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: port, NoSigs: true, JetStream: true,
			StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 50, JetStreamMaxMemory: 1 << 40, MaxPayload: 8<<20 + 64<<10, Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}}
		c.urls = append(c.urls, fmt.Sprint("nats://127.0.0.1:", port))
		c.start(i)
	}
	for _, s := range c.servers {
		require.True(t, s.ReadyForConnections(20*time.Second), "a server does not start: is its port taken?")
	}
	t.Cleanup(func() {
		for i := range 3 {
			c.stop(i)
		}
	})
	return c
}

// open opens a bus on the cluster.
func (c *cluster) open(dir string) *bus.Bus {
	c.t.Helper()
	b, err := bus.Open(soon(c.t), bus.Config{URL: c.urls, Dir: dir, Log: quiet()})
	require.NoError(c.t, err)
	return b
}

// soon is a context for what should take seconds.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func (c *cluster) start(i int) {
	o := c.opts[i]
	s, err := server.NewServer(&o)
	require.NoError(c.t, err)
	c.servers[i] = s
	s.Start()
}

func (c *cluster) stop(i int) {
	if c.servers[i] != nil {
		c.servers[i].Shutdown()
		c.servers[i].WaitForShutdown()
		c.servers[i] = nil
	}
}

// Servers come and go while events are published: all arrive, once, in order, and nobody waits.
func TestClusterLosesServers(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	c := startCluster(t)
	b := c.open(t.TempDir())
	defer func() { _ = b.Close() }()
	var longest time.Duration
	n := 0
	publish := func(count int) {
		for range count {
			begin := time.Now()
			b.KV("n").Put("n", fmt.Append(nil, n))
			b.Publish(bus.NewEvent("n.set", "n", n))
			longest = max(longest, time.Since(begin))
			n++
		}
	}
	for round := range 3 {
		publish(2000)
		var wg sync.WaitGroup
		wg.Go(func() { publish(2000) })
		c.stop(round % 3) // one away: goes on
		wg.Wait()
		c.stop((round + 1) % 3) // two away: no quorum
		publish(2000)
		c.start(round % 3)
		publish(2000)
		c.start((round + 1) % 3)
		require.NoError(t, b.Flush(soon(t)))
	}
	require.Less(t, longest, time.Second)
	last, err := b.LastSeq(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, n, last)
	tail, err := b.TailAfter(t.Context(), 0)
	require.NoError(t, err)
	for i, e := range take(t, tail, n) {
		require.Equal(t, fmt.Sprint(i), string(e.Data))
	}
	e, err := b.KV("n").Get(t.Context(), "n")
	require.NoError(t, err)
	require.Equal(t, fmt.Sprint(n-1), string(e.Value))
}

// Two nodes: the lease of one that disappears goes to the other after its time, and a consumer goes on there.
func TestTwoNodes(t *testing.T) {
	c := startCluster(t)
	var nodes [2]*bus.Bus
	for i := range nodes {
		nodes[i] = c.open(t.TempDir())
	}
	defer func() { _ = nodes[1].Close() }()
	first, err := nodes[0].Lease(soon(t), "switch", 2*time.Second)
	require.NoError(t, err)
	got := make(chan *bus.Lease, 1)
	go func() {
		l, err := nodes[1].Lease(soon(t), "switch", 2*time.Second)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	select {
	case <-got:
		t.Fatal("two holders")
	case <-time.After(3 * time.Second): // longer than the lease: it is renewed
	}
	begin := time.Now()
	nodes[0].Abandon()
	l := <-got
	require.Greater(t, l.Token(), first.Token())
	require.Less(t, time.Since(begin), 5*time.Second)
	<-first.Lost()
	l.Release()
}

// A node that dies with values in its journal does not, when it is back, undo what the node did that took over.
func TestOldJournalDoesNotUndo(t *testing.T) {
	c := startCluster(t)
	dir := t.TempDir()
	dead, heir := c.open(dir), c.open(t.TempDir())
	defer func() { _ = heir.Close() }()
	for _, k := range []string{"newer", "deleted", "untouched"} {
		dead.KV("calls").Put(k, []byte("first"))
	}
	require.NoError(t, dead.Flush(soon(t)))
	c.stop(0)
	c.stop(1)
	for _, k := range []string{"newer", "deleted", "untouched"} {
		dead.KV("calls").Put(k, []byte("never stored"))
	}
	dead.Publish(bus.NewEvent("call.ended", "untouched", nil))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	require.Error(t, dead.Flush(ctx))
	cancel()
	dead.Abandon()
	c.start(0)
	c.start(1)
	heir.KV("calls").Put("newer", []byte("heir"))
	heir.KV("calls").Delete("deleted")
	require.NoError(t, heir.Flush(soon(t)))

	again := c.open(dir)
	defer func() { _ = again.Close() }()
	require.NoError(t, again.Flush(soon(t)))
	e, err := heir.KV("calls").Get(soon(t), "newer")
	require.NoError(t, err)
	require.Equal(t, "heir", string(e.Value))
	_, err = heir.KV("calls").Get(soon(t), "deleted")
	require.ErrorIs(t, err, bus.ErrNoKey)
	e, err = heir.KV("calls").Get(soon(t), "untouched")
	require.NoError(t, err)
	require.Equal(t, "never stored", string(e.Value))
	last, err := heir.LastSeq(soon(t))
	require.NoError(t, err)
	require.EqualValues(t, 1, last)
}
