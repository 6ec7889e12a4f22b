// Package files keeps recordings, prompts and attachments on disk or in S3.
package files

import (
	"context"
	"io"
	"time"

	"callplane/app/kernel/problem"
)

var (
	ErrNotFound = problem.New(problem.NotFound, "file_not_found", "No such file")
	ErrFull     = problem.New(problem.Unavailable, "storage_full", "The storage is full")
)

type Store struct{}

type File interface {
	io.ReadSeekCloser
	Size() int64
	ModTime() time.Time
}

func Open(ctx context.Context, url string) (*Store, error) { panic("soon") }
func (s *Store) Put(ctx context.Context, key string, r io.Reader) (size int64, sha256 string, err error) {
	panic("soon")
}
func (s *Store) Open(ctx context.Context, key string) (File, error)      { panic("soon") }
func (s *Store) Delete(ctx context.Context, key string) error            { panic("soon") }
func (s *Store) Exists(ctx context.Context, key string) (bool, error)    { panic("soon") }
func (s *Store) Free(ctx context.Context) (free, total int64, err error) { panic("soon") }
func (s *Store) Close() error                                            { panic("soon") }
