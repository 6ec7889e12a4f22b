// Package files keeps recordings, prompts, attachments and exports: in a folder, in S3, or in memory for tests.
//
// A file is written whole or not at all: who opens a key finds all of it or [ErrNotFound], also after a crash or with a
// full disk. Keys are paths such as "recordings/2026/05/01/abc.wav"; to put to a key again replaces the file.
package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode"

	"callplane/app/kernel/problem"
)

// What can go wrong, besides an outage of the storage.
var (
	ErrNotFound = problem.New(problem.NotFound, "file_not_found", "No such file")
	ErrFull     = problem.New(problem.Unavailable, "storage_full", "The storage is full")
	ErrKey      = problem.New(problem.Invalid, "file_key", "Not a good name for a file")
)

// File is an open file. It can be read at any place; http.ServeContent serves ranges of it.
type File interface {
	io.ReadSeekCloser
	Size() int64
	ModTime() time.Time
}

// backend is one kind of storage.
type backend interface {
	// put stores what r gives, or nothing if r or the storage fails. It has read r to its end when it succeeds.
	put(ctx context.Context, key string, r io.Reader) error
	open(ctx context.Context, key string) (File, error)
	remove(ctx context.Context, key string) error // a file that is not there is no error
	exists(ctx context.Context, key string) (bool, error)
	free() (free, total int64, err error)
	close() error
}

// Store is a place for files. Its methods may be called at the same time.
type Store struct{ b backend }

// opens holds the kinds of storage by the scheme of their URL.
var opens = map[string]func(ctx context.Context, u *url.URL) (backend, error){
	"file": openDisk,
	"s3":   openS3,
	"mem":  func(context.Context, *url.URL) (backend, error) { return &memory{files: map[string]memFile{}}, nil },
}

// Open opens a place for files: "file:///var/lib/callplane/files" (made if missing), "mem://", or
// "s3://bucket?region=eu-1&endpoint=https://…&use_path_style=true&request_checksum_calculation=when_required", with the
// credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "prefix=folder/" keeps to a part of the bucket.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	open := opens[u.Scheme]
	if open == nil {
		return nil, fmt.Errorf("files: no storage for %q; want file:///folder or s3://bucket", u.Scheme)
	}
	b, err := open(ctx, u)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return &Store{b}, nil
}

// Put stores all that r gives under key and returns its size in bytes and its SHA-256 in hex. On a disk the file is
// safe when Put returns. Errors: ErrKey, ErrFull, r's own, or an outage; then the key is as it was.
func (s *Store) Put(ctx context.Context, key string, r io.Reader) (size int64, digest string, err error) {
	if err := checkKey(key); err != nil {
		return 0, "", err
	}
	hash := sha256.New()
	count := &counter{r: io.TeeReader(r, hash)}
	if err := s.b.put(ctx, key, count); err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return 0, "", ErrFull.With("No room left to store %s.", key)
		}
		return 0, "", fmt.Errorf("put %s: %w", key, err)
	}
	return count.n, hex.EncodeToString(hash.Sum(nil)), nil
}

// Open opens a file; close it. Errors: ErrNotFound, ErrKey, or an outage.
func (s *Store) Open(ctx context.Context, key string) (File, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	f, err := s.b.open(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, fmt.Errorf("open %s: %w", key, err)
	}
	return f, err
}

// Delete removes a file. A key without one is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := s.b.remove(ctx, key); err != nil {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

// Exists tells whether there is a file.
func (s *Store) Exists(ctx context.Context, key string) (bool, error) {
	if err := checkKey(key); err != nil {
		return false, err
	}
	ok, err := s.b.exists(ctx, key)
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", key, err)
	}
	return ok, nil
}

// Free tells how many bytes may still be stored, and how many there is room for in all. Storage that knows no limit
// answers -1 for both.
func (s *Store) Free(context.Context) (free, total int64, err error) { return s.b.free() }

// Close ends the use of the store.
func (s *Store) Close() error { return s.b.close() }

// checkKey refuses keys that would leave the store, or that not every storage takes.
func checkKey(key string) error {
	bad := key == "" || len(key) > 512 || strings.ContainsAny(key, "\\:*?\"<>|") || strings.ContainsFunc(key, unicode.IsControl)
	for part := range strings.SplitSeq(key, "/") {
		bad = bad || part == "" || part[0] == '.' || len(part) > 200
	}
	if bad {
		return ErrKey.With("%q cannot be a file's key.", key)
	}
	return nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
