// Package bus is the event stream, the live state and the leases, on NATS JetStream: embedded in the process and kept in
// a folder, or a cluster.
//
// Events ([Event]) say what happened. All of them form one stream, kept for a week, which anyone can read from any
// place: [Bus.Consume] for work that must see each event, [Bus.Tail] for those who only look. Live state is small values
// under keys ([KV]). Both are written with [Bus.Publish], [KV.Put] and [KV.Delete], which never wait and never fail: one
// writer stores what they were given, in order, and keeps trying while JetStream is away.
//
// The writer first appends to a journal in the data folder, in microseconds. What JetStream has not taken is sent at the
// next start, so a killed process loses nothing that reached the journal, and an outage costs disk rather than calls.
//
// Order: events are stored in the order they were published. A value is stored before any event published after it, so
// who reads an event finds state that is at least as new. A queued value may be replaced by a newer one of its key.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	eventStream  = "CC_EVENTS"
	eventSubject = "cc.ev."          // + the event's type
	kvPrefix     = "cc_"             // of bucket names
	dedupe       = 2 * time.Minute   // how long JetStream itself knows the ids it has stored
	markerTTL    = time.Hour         // how long a deleted key leaves a trace, for those who watch
	ackTimeout   = 5 * time.Second   // how long to wait until something is stored, before trying again
	maxPayload   = 8 << 20           // bytes of one event or value
	startTimeout = 120 * time.Second // for an embedded server to recover its streams
)

// Config says where the bus lives.
type Config struct {
	// URL lists the servers of a NATS cluster. Empty: a server inside this process.
	URL []string
	// Dir holds the journal of what is not stored yet, the node's name, and the embedded server's streams. One process
	// at a time can use it.
	Dir string
	// Node names this node in leases; it must differ between nodes. Default: made once and kept in Dir.
	Node string
	// Replicas is how many servers keep each stream: 1, 3 or 5. Default 1 embedded, 3 with URL.
	Replicas int
	// Listen is an address such as "127.0.0.1:4222" on which the embedded server also takes connections, for tools. It
	// has no passwords, so only loopback is accepted. Default none.
	Listen string
	// MaxAge is how long events are kept. Default 7 days.
	MaxAge time.Duration
	// MaxBytes is how much room events may take; the oldest go first. Default 4 GiB.
	MaxBytes int64
	// Log takes what goes wrong. Default slog.Default.
	Log *slog.Logger
}

// Bus is one node's connection. Its methods may be called at the same time.
type Bus struct {
	cfg      Config
	log      *slog.Logger
	instance string // this process, among those of the node over time
	lock     *os.File
	server   *server.Server // nil with a cluster
	nc       *nats.Conn
	js       jetstream.JetStream
	events   jetstream.Stream
	w        *writer

	mu       sync.Mutex
	kvs      map[string]*KV
	lags     map[string]*lag
	replayed map[string]uint64 // revisions of values from the last process's journal, stored by us; only the writer uses it
	closing  atomic.Bool
	breaks   atomic.Uint64 // how often the connection broke
}

// Open starts the embedded server, or connects to the cluster and waits for it until ctx is done, and then sends what
// the last process left in the journal.
func Open(ctx context.Context, c Config) (_ *Bus, err error) {
	if c.Dir == "" {
		return nil, errors.New("bus: Dir is not set")
	}
	if c.MaxAge <= 0 {
		c.MaxAge = 7 * 24 * time.Hour
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 4 << 30
	}
	if c.Replicas <= 0 {
		c.Replicas = 1
		if len(c.URL) > 0 {
			c.Replicas = 3
		}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	b := &Bus{cfg: c, log: c.Log.With("module", "bus"), instance: uuid.NewString(), kvs: map[string]*KV{}, replayed: map[string]uint64{}, lags: map[string]*lag{}}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("bus: %w", err), b.close())
		}
	}()
	if err := b.takeDir(); err != nil {
		return nil, err
	}
	if err := b.connect(ctx); err != nil {
		return nil, err
	}
	if err := b.openStream(ctx); err != nil {
		return nil, err
	}
	if b.w, err = openWriter(b); err != nil {
		return nil, err
	}
	return b, nil
}

// takeDir locks the folder, so that no second process writes to it, and reads or makes the node's name.
func (b *Bus) takeDir() error {
	if err := os.MkdirAll(b.cfg.Dir, 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(b.cfg.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return err
	}
	b.lock = f
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("folder %s is in use by another process", b.cfg.Dir)
	}
	if b.cfg.Node != "" {
		return nil
	}
	name := filepath.Join(b.cfg.Dir, "node")
	raw, err := os.ReadFile(name)
	if err == nil && len(raw) > 0 {
		b.cfg.Node = strings.TrimSpace(string(raw))
		return nil
	}
	b.cfg.Node = uuid.NewString()
	return os.WriteFile(name, []byte(b.cfg.Node+"\n"), 0o640)
}

// connect opens the connection that everything uses.
func (b *Bus) connect(ctx context.Context) (err error) {
	opts := []nats.Option{
		nats.Name("callplane " + b.cfg.Node),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectBufSize(-1), // fail while away: the writer keeps the order and tries again
		nats.RetryOnFailedConnect(true),
		nats.MaxPingsOutstanding(2),
		nats.PingInterval(10 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.breaks.Add(1)
			if !b.closing.Load() {
				b.log.Warn("bus disconnected", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { b.log.Info("bus connected again", "server", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			if !b.closing.Load() {
				b.log.Debug("bus error", "error", err)
			}
		}),
	}
	url := strings.Join(b.cfg.URL, ",")
	if url == "" {
		if b.server, err = startServer(ctx, b.cfg, b.log); err != nil {
			return err
		}
		opts = append(opts, nats.InProcessServer(b.server))
	}
	if b.nc, err = nats.Connect(url, opts...); err != nil {
		return err
	}
	b.js, err = jetstream.New(b.nc, jetstream.WithPublishAsyncMaxPending(2*maxBatch), jetstream.WithPublishAsyncTimeout(ackTimeout),
		jetstream.WithDefaultTimeout(ackTimeout))
	return err
}

// openStream makes the event stream, or changes it to what the configuration says.
func (b *Bus) openStream(ctx context.Context) error {
	c := jetstream.StreamConfig{
		Name:               eventStream,
		Description:        "Everything that happened, in order",
		Subjects:           []string{eventSubject + ">"},
		Storage:            jetstream.FileStorage,
		Replicas:           b.cfg.Replicas,
		MaxAge:             b.cfg.MaxAge,
		MaxBytes:           b.cfg.MaxBytes,
		MaxMsgSize:         maxPayload,
		Discard:            jetstream.DiscardOld,
		Duplicates:         min(dedupe, b.cfg.MaxAge),
		AllowDirect:        true,
		AllowAtomicPublish: b.cfg.Replicas > 1,
	}
	return b.retry(ctx, "open the event stream", func(ctx context.Context) (err error) {
		b.events, err = b.js.CreateOrUpdateStream(ctx, c)
		return err
	})
}

// retry calls f until it succeeds, fails for good, or ctx is done.
func (b *Bus) retry(ctx context.Context, what string, f func(context.Context) error) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		call, cancel := context.WithTimeout(ctx, ackTimeout)
		err := f(call)
		cancel()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || isFinal(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		b.log.Debug("bus not ready", "doing", what, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, err)
		}
	}
}

// isFinal tells an answer that trying again will not change from an outage.
func isFinal(err error) bool {
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, jetstream.ErrInvalidStreamName) {
		return true
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.Code >= 400 && api.Code < 500 && api.Code != 408 && api.Code != 429
	}
	return false
}

// Node is this node's name.
func (b *Bus) Node() string { return b.cfg.Node }

// JetStream is the connection itself, for package jobs.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Replicas is how many servers keep each stream.
func (b *Bus) Replicas() int { return b.cfg.Replicas }

// Close waits up to 5 seconds until all is stored, and stops. What is not stored by then stays in the journal.
func (b *Bus) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := b.Flush(ctx); err != nil {
		b.log.Warn("bus closes before all is stored; the rest is in the journal", "unsent", b.Stats().Queued)
	}
	return b.close()
}

func (b *Bus) close() (err error) {
	if b.closing.Swap(true) {
		return nil
	}
	if b.w != nil {
		err = b.w.close()
	}
	if b.nc != nil {
		b.nc.Close()
	}
	if b.server != nil {
		b.server.Shutdown()
		b.server.WaitForShutdown()
	}
	if b.lock != nil {
		err = errors.Join(err, b.lock.Close())
	}
	return err
}

// FirstSeq is the position of the oldest event that is still kept. Of an empty stream it is LastSeq + 1.
func (b *Bus) FirstSeq(ctx context.Context) (uint64, error) {
	info, err := b.events.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("bus: %w", err)
	}
	if info.State.Msgs == 0 {
		return info.State.LastSeq + 1, nil
	}
	return info.State.FirstSeq, nil
}

// LastSeq is the position of the newest event; 0 if there never was one.
func (b *Bus) LastSeq(ctx context.Context) (uint64, error) {
	info, err := b.events.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("bus: %w", err)
	}
	return info.State.LastSeq, nil
}
