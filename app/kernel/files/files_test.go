package files_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"callplane/app/kernel/files"
)

// each runs a test on all kinds of storage.
func each(t *testing.T, test func(t *testing.T, s *files.Store)) {
	fake := s3mem.New()
	require.NoError(t, fake.CreateBucket("calls"))
	srv := httptest.NewServer(gofakes3.New(fake).Server())
	t.Cleanup(srv.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	for name, u := range map[string]string{
		"disk":   "file://" + t.TempDir() + "/new/folder",
		"memory": "mem://",
		"s3":     "s3://calls?region=us-east-1&use_path_style=true&request_checksum_calculation=when_required&endpoint=" + url.QueryEscape(srv.URL),
	} {
		t.Run(name, func(t *testing.T) {
			s, err := files.Open(t.Context(), u)
			require.NoError(t, err)
			test(t, s)
			require.NoError(t, s.Close())
		})
	}
}

func TestStore(t *testing.T) {
	each(t, func(t *testing.T, s *files.Store) {
		ctx := t.Context()
		const key = "recordings/2026/05/01/a b.wav"
		data := make([]byte, 300_000)
		_, _ = rand.Read(data)
		sum := sha256.Sum256(data)
		_, err := s.Open(ctx, key)
		require.ErrorIs(t, err, files.ErrNotFound)
		for _, content := range [][]byte{[]byte("first"), data} {
			size, digest, err := s.Put(ctx, key, bytes.NewReader(content))
			require.NoError(t, err)
			require.EqualValues(t, len(content), size)
			if len(content) == len(data) {
				require.Equal(t, hex.EncodeToString(sum[:]), digest)
			}
		}
		ok, err := s.Exists(ctx, key)
		require.NoError(t, err)
		require.True(t, ok)
		ok, err = s.Exists(ctx, "recordings")
		require.NoError(t, err)
		require.False(t, ok)

		f, err := s.Open(ctx, key)
		require.NoError(t, err)
		require.EqualValues(t, len(data), f.Size())
		require.False(t, f.ModTime().IsZero())
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Range", "bytes=250000-250099")
		http.ServeContent(w, r, "a.wav", f.ModTime(), f)
		require.Equal(t, http.StatusPartialContent, w.Code)
		require.Equal(t, data[250000:250100], w.Body.Bytes())
		_, err = f.Seek(0, io.SeekStart)
		require.NoError(t, err)
		got, err := io.ReadAll(f)
		require.NoError(t, err)
		require.Equal(t, data, got)
		require.NoError(t, f.Close())

		require.NoError(t, s.Delete(ctx, key))
		require.NoError(t, s.Delete(ctx, key))
		_, err = s.Open(ctx, key)
		require.ErrorIs(t, err, files.ErrNotFound)
	})
}

func TestNoHalfFiles(t *testing.T) {
	each(t, func(t *testing.T, s *files.Store) {
		_, _, err := s.Put(t.Context(), "k/a", strings.NewReader("old"))
		require.NoError(t, err)
		fault := errors.New("the switch hung up")
		broken := io.MultiReader(bytes.NewReader(make([]byte, 100_000)), iotest.ErrReader(fault))
		_, _, err = s.Put(t.Context(), "k/a", broken)
		require.ErrorIs(t, err, fault)
		ctx, cancel := context.WithCancel(t.Context())
		_, _, err = s.Put(ctx, "k/a", readerFunc(func(p []byte) (int, error) { cancel(); return len(p), nil }))
		require.ErrorIs(t, err, context.Canceled)
		f, err := s.Open(t.Context(), "k/a")
		require.NoError(t, err)
		got, err := io.ReadAll(f)
		require.NoError(t, err)
		require.Equal(t, "old", string(got))
		require.NoError(t, f.Close())
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestKeys(t *testing.T) {
	each(t, func(t *testing.T, s *files.Store) {
		for _, key := range []string{"", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".unfinished/x", "a\x00b", `a\b`, strings.Repeat("x", 600)} {
			_, _, err := s.Put(t.Context(), key, strings.NewReader("x"))
			require.ErrorIs(t, err, files.ErrKey, "%q", key)
		}
		_, _, err := s.Put(t.Context(), "录音/一.wav", strings.NewReader("x"))
		require.NoError(t, err)
	})
}

func TestTwoWritersOneKey(t *testing.T) {
	each(t, func(t *testing.T, s *files.Store) {
		a, b := bytes.Repeat([]byte("a"), 200_000), bytes.Repeat([]byte("b"), 100_000)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				data := a
				if i%2 == 0 {
					data = b
				}
				if _, _, err := s.Put(t.Context(), "k", bytes.NewReader(data)); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		f, err := s.Open(t.Context(), "k")
		require.NoError(t, err)
		got, err := io.ReadAll(f)
		require.NoError(t, err)
		require.True(t, bytes.Equal(got, a) || bytes.Equal(got, b))
		require.NoError(t, f.Close())
	})
}

// A full disk is a problem of its own, and leaves nothing behind.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("cannot mount a small disk:", err)
	}
	defer func() { _ = unix.Unmount(dir, 0) }()
	s, err := files.Open(t.Context(), "file://"+dir)
	require.NoError(t, err)
	free, total, err := s.Free(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1<<20, total)
	require.Greater(t, free, int64(900_000))
	_, _, err = s.Put(t.Context(), "a/big", bytes.NewReader(make([]byte, 2<<20)))
	require.ErrorIs(t, err, files.ErrFull)
	left, err := filepath.Glob(filepath.Join(dir, ".unfinished", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
	_, _, err = s.Put(t.Context(), "a/small", bytes.NewReader(make([]byte, 900<<10)))
	require.NoError(t, err, "the room is free again")
	_, err = os.Stat(filepath.Join(dir, "a", "big"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
