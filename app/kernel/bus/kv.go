package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"callplane/app/kernel/problem"
)

// ErrNoKey says that a bucket has no value under a key.
var ErrNoKey = problem.New(problem.NotFound, "key_not_found", "No such key")

// KV is a bucket of live state: small values under keys. It is made when it is first used. Keys may hold any characters.
type KV struct {
	b    *Bus
	name string

	mu     sync.Mutex
	kv     jetstream.KeyValue // nil until the bucket is known to be there
	stream jetstream.Stream   // the bucket's
}

// Entry is a value, or a change of one.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64    // grows with each change in the bucket
	At       time.Time // when it was stored
	Deleted  bool      // in a Watch: the key is gone
	Synced   bool      // in a Watch: no entry, but the end of what was there at its start
}

// KV gives a bucket by name: letters, digits, "_" and "-".
func (b *Bus) KV(bucket string) *KV {
	b.mu.Lock()
	defer b.mu.Unlock()
	kv := b.kvs[bucket]
	if kv == nil {
		kv = &KV{b: b, name: bucket}
		b.kvs[bucket] = kv
	}
	return kv
}

// open makes sure that the bucket is there.
func (k *KV) open(ctx context.Context) (jetstream.KeyValue, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kv != nil {
		return k.kv, nil
	}
	kv, err := k.b.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: kvPrefix + k.name, History: 1, Storage: jetstream.FileStorage, Replicas: k.b.cfg.Replicas, LimitMarkerTTL: markerTTL})
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", k.name, err)
	}
	if k.stream, err = k.b.js.Stream(ctx, "KV_"+kvPrefix+k.name); err != nil {
		return nil, fmt.Errorf("bucket %s: %w", k.name, err)
	}
	k.kv = kv
	return kv, nil
}

func (k *KV) subject(key string) string { return "$KV." + kvPrefix + k.name + "." + escape(key) }

// Put gives a value to the bus's writer; it never waits. The value is stored before any event published after it. The
// caller must not change value afterwards.
func (k *KV) Put(key string, value []byte) {
	k.b.w.put(&entry{kind: kindPut, at: time.Now(), subject: k.subject(key), bucket: k.name, data: value})
}

// PutFor is Put of a value that goes by itself after d, in whole seconds.
func (k *KV) PutFor(key string, value []byte, d time.Duration) {
	k.b.w.put(&entry{kind: kindPut, at: time.Now(), subject: k.subject(key), bucket: k.name, data: value, id: ttl(d)})
}

// Delete removes a key, in the writer's order like Put; it never waits.
func (k *KV) Delete(key string) {
	k.b.w.put(&entry{kind: kindDelete, at: time.Now(), subject: k.subject(key), bucket: k.name})
}

// Get reads the stored value: what Put gave may be on its way; Flush waits for it. Errors: ErrNoKey, or an outage.
func (k *KV) Get(ctx context.Context, key string) (Entry, error) {
	kv, err := k.open(ctx)
	if err != nil {
		return Entry{}, fmt.Errorf("bus: %w", err)
	}
	e, err := kv.Get(ctx, escape(key))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Entry{}, ErrNoKey.With("%s has no %s.", k.name, key)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("bus: get %s from %s: %w", key, k.name, err)
	}
	return entryOf(e), nil
}

// All reads all stored values, in the order of their last change.
func (k *KV) All(ctx context.Context) ([]Entry, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes, err := k.Watch(ctx)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for e := range changes {
		if e.Synced {
			return all, nil
		}
		if !e.Deleted {
			all = append(all, e)
		}
	}
	return nil, fmt.Errorf("bus: read all of %s: %w", k.name, ctx.Err())
}

// Watch delivers what is there, then one entry with Synced, then each change, until ctx is done; then the channel is
// closed. Of fast changes of one key only the last is certain.
func (k *KV) Watch(ctx context.Context) (<-chan Entry, error) {
	kv, err := k.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("bus: %w", err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return nil, fmt.Errorf("bus: watch %s: %w", k.name, err)
	}
	out := make(chan Entry, 64)
	go func() { // ends with ctx
		defer close(out)
		defer func() { _ = w.Stop() }()
		for {
			var e Entry
			select {
			case u, ok := <-w.Updates():
				if !ok {
					return
				}
				if e = (Entry{Synced: true}); u != nil {
					e = entryOf(u)
				}
			case <-ctx.Done():
				return
			}
			select {
			case out <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// newest is the last that was stored under a key, be it a value, a deletion or the trace of one; nil if there is nothing.
func (k *KV) newest(ctx context.Context, subject string) (*jetstream.RawStreamMsg, error) {
	if _, err := k.open(ctx); err != nil {
		return nil, err
	}
	m, err := k.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return m, err
}

func entryOf(e jetstream.KeyValueEntry) Entry {
	return Entry{Key: unescape(e.Key()), Value: e.Value(), Revision: e.Revision(), At: e.Created().UTC(), Deleted: e.Operation() != jetstream.KeyValuePut}
}

const hexDigits = "0123456789ABCDEF"

// escape writes a key with the characters that NATS takes; others become =XX.
func escape(key string) string {
	ok := func(i int, c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '/' ||
			c == '.' && i > 0 && i < len(key)-1 && key[i-1] != '.'
	}
	var out strings.Builder
	for i := range len(key) {
		if c := key[i]; ok(i, c) {
			out.WriteByte(c)
		} else {
			out.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	if out.Len() == 0 {
		return "=" // the empty key
	}
	return out.String()
}

func unescape(s string) string {
	if !strings.Contains(s, "=") {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '=' && i+2 < len(s) {
			out.WriteByte(byte(strings.IndexByte(hexDigits, s[i+1])<<4 | strings.IndexByte(hexDigits, s[i+2])))
			i += 2
		} else if s[i] != '=' {
			out.WriteByte(s[i])
		}
	}
	return out.String()
}
