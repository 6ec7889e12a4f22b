package files

import (
	"bytes"
	"context"
	"io"
	"sync"
	"time"
)

// memory keeps files in memory, for tests.
type memory struct {
	mu    sync.Mutex
	files map[string]memFile
}

type memFile struct {
	data []byte
	at   time.Time
}

func (m *memory) put(ctx context.Context, key string, r io.Reader) error {
	data, err := io.ReadAll(&untilDone{ctx, r})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[key] = memFile{data, time.Now().UTC()}
	return nil
}

func (m *memory) open(_ context.Context, key string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.files[key]
	if !ok {
		return nil, ErrNotFound.With("There is no file %s.", key)
	}
	return &openMem{bytes.NewReader(f.data), f.at}, nil
}

func (m *memory) remove(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, key)
	return nil
}

func (m *memory) exists(_ context.Context, key string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.files[key]
	return ok, nil
}

func (m *memory) free() (free, total int64, err error) { return -1, -1, nil }

func (m *memory) close() error { return nil }

type openMem struct {
	*bytes.Reader
	at time.Time
}

func (o *openMem) ModTime() time.Time { return o.at }
func (o *openMem) Close() error       { return nil }
