package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	leaseBucket  = "leases"
	codeWrongSeq = 10071 // another node was faster
)

// Lease is the right to be the only one who does something. It lasts as long as its holder renews it.
type Lease struct {
	b     *Bus
	name  string
	ttl   time.Duration
	token uint64
	lost  chan struct{}
	stop  chan struct{}
	ended sync.WaitGroup
	once  sync.Once
	rev   uint64 // of the stored value; only renew changes it
}

// holder is what a lease's key holds.
type holder struct {
	Node     string    `json:"node"`
	Instance string    `json:"instance"`
	Since    time.Time `json:"since"`
}

// Lease waits until it holds the lease name, or until ctx is done. ttl, whole seconds and at least 1, is how long the
// lease of a holder that died keeps others waiting; 10 s is a good choice. A process that starts again takes over the
// leases of its own node at once. Error: ctx ended first.
func (b *Bus) Lease(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	ttl = max(time.Second, ttl.Round(time.Second))
	for {
		l, err := b.tryLease(ctx, name, ttl)
		if l != nil {
			return l, nil
		}
		if err != nil {
			b.log.Debug("lease not to be had", "lease", name, "error", err)
			if !pause(ctx, 250*time.Millisecond) {
				return nil, fmt.Errorf("bus: lease %s: %w", name, err)
			}
			continue
		}
		if err := b.leaseFree(ctx, name, ttl); err != nil {
			return nil, fmt.Errorf("bus: lease %s: %w", name, err)
		}
	}
}

// tryLease takes the lease if it is free, or held by a process of this node that is gone. Neither lease nor error:
// somebody else holds it.
func (b *Bus) tryLease(ctx context.Context, name string, ttl time.Duration) (*Lease, error) {
	call, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	m, err := b.KV(leaseBucket).newest(call, b.KV(leaseBucket).subject(name))
	if err != nil {
		return nil, err
	}
	var rev uint64
	if m != nil {
		rev = m.Sequence
		var h holder
		live := m.Header.Get("KV-Operation") == "" && m.Header.Get("Nats-Marker-Reason") == "" && json.Unmarshal(m.Data, &h) == nil
		if live && (h.Node != b.cfg.Node || h.Instance == b.instance) {
			return nil, nil
		}
	}
	l := &Lease{b: b, name: name, ttl: ttl, rev: rev, lost: make(chan struct{}), stop: make(chan struct{})}
	asked := time.Now()
	if err := l.write(call); err != nil {
		if isWrongSeq(err) {
			return nil, nil
		}
		return nil, err
	}
	l.token = l.rev
	l.ended.Go(func() { l.renew(asked) })
	return l, nil
}

// leaseFree returns when the lease's key has changed, or after its ttl.
func (b *Bus) leaseFree(ctx context.Context, name string, ttl time.Duration) error {
	wait, cancel := context.WithTimeout(ctx, ttl)
	defer cancel()
	kv, err := b.KV(leaseBucket).open(wait)
	if err == nil {
		var w jetstream.KeyWatcher
		if w, err = kv.Watch(wait, escape(name)); err == nil {
			defer func() { _ = w.Stop() }()
			for {
				select {
				case u := <-w.Updates():
					if u != nil && u.Operation() != jetstream.KeyValuePut {
						return nil
					}
				case <-wait.Done():
					return ctx.Err()
				}
			}
		}
	}
	pause(ctx, 250*time.Millisecond)
	return ctx.Err()
}

// write stores us as the holder, if nobody has changed the key since rev.
func (l *Lease) write(ctx context.Context) error {
	data, err := json.Marshal(holder{l.b.cfg.Node, l.b.instance, time.Now().UTC()})
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: l.b.KV(leaseBucket).subject(l.name), Data: data, Header: nats.Header{"Nats-TTL": {ttl(l.ttl)}}}
	ack, err := l.b.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(l.rev))
	if err != nil {
		return err
	}
	l.rev = ack.Sequence
	return nil
}

// renew keeps the lease until Release, or until it is lost: taken by another, or not renewed in time.
func (l *Lease) renew(last time.Time) {
	defer close(l.lost)
	wait := l.ttl / 3
	for {
		select {
		case <-time.After(wait):
		case <-l.stop:
			l.giveBack()
			return
		}
		// A tenth is kept in reserve, so that we stop before another begins.
		end := last.Add(l.ttl - l.ttl/10)
		if !time.Now().Before(end) {
			l.b.log.Error("lease lost: not renewed in time", "lease", l.name)
			return
		}
		ctx, cancel := context.WithDeadline(context.Background(), end)
		asked := time.Now()
		err := l.write(ctx)
		cancel()
		switch {
		case err == nil:
			last, wait = asked, l.ttl/3
		case isWrongSeq(err) && !l.mine():
			l.b.log.Error("lease lost: another holds it", "lease", l.name)
			return
		default:
			wait = min(l.ttl/10, 500*time.Millisecond)
		}
	}
}

// mine tells whether the key still says us: then a write that seemed to fail was stored.
func (l *Lease) mine() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	e, err := l.b.KV(leaseBucket).Get(ctx, l.name)
	var h holder
	if err != nil || json.Unmarshal(e.Value, &h) != nil || h.Node != l.b.cfg.Node || h.Instance != l.b.instance {
		return false
	}
	l.rev = e.Revision
	return true
}

// giveBack frees the key for the next.
func (l *Lease) giveBack() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	m := &nats.Msg{Subject: l.b.KV(leaseBucket).subject(l.name), Header: nats.Header{"KV-Operation": {"DEL"}, "Nats-TTL": {ttl(markerTTL)}}}
	if _, err := l.b.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequencePerSubject(l.rev)); err != nil && !l.b.closing.Load() {
		l.b.log.Debug("lease not given back; it runs out by itself", "lease", l.name, "error", err)
	}
}

// Name is the lease's name.
func (l *Lease) Name() string { return l.name }

// Token grows with each new holder: a store can refuse the writes of an older one.
func (l *Lease) Token() uint64 { return l.token }

// Lost is closed when the lease is no longer held: lost, or released.
func (l *Lease) Lost() <-chan struct{} { return l.lost }

// Context is done when ctx is done or the lease is lost. Call cancel in any case.
func (l *Lease) Context(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { // ends with ctx or the lease
		defer close(ended)
		select {
		case <-l.lost:
			stop()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		stop()
		<-ended
	}
}

// Release gives the lease back and waits until it is. It may be called more than once.
func (l *Lease) Release() {
	l.once.Do(func() { close(l.stop) })
	l.ended.Wait()
}

// Holder tells which node holds a lease: "" if none does.
func (b *Bus) Holder(ctx context.Context, name string) (node string, err error) {
	e, err := b.KV(leaseBucket).Get(ctx, name)
	if errors.Is(err, ErrNoKey) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var h holder
	if err := json.Unmarshal(e.Value, &h); err != nil {
		return "", fmt.Errorf("bus: lease %s: %w", name, err)
	}
	return h.Node, nil
}

func isWrongSeq(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == codeWrongSeq
}
