package app

import (
	"context"

	"callplane/app/kernel/bus"
)

// journal writes to the event stream and to one bucket of the live store.
type journal struct {
	*bus.Bus
	kv *bus.KV
}

func newJournal(b *bus.Bus, bucket string) journal { return journal{b, b.KV(bucket)} }

// Put implements call.Journal.
func (j journal) Put(key string, value []byte) { j.kv.Put(key, value) }

// Delete implements call.Journal.
func (j journal) Delete(key string) { j.kv.Delete(key) }

// saved is what the bucket holds.
func (j journal) saved(ctx context.Context) (map[string][]byte, error) {
	entries, err := j.kv.All(ctx)
	if err != nil {
		return nil, err
	}
	values := make(map[string][]byte, len(entries))
	for _, e := range entries {
		values[e.Key] = e.Value
	}
	return values, nil
}
