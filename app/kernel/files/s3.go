package files

import (
	"context"
	"errors"
	"io"
	"net/url"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // scheme s3
	"gocloud.dev/gcerrors"
)

// s3 keeps files in a bucket of S3 or of something that speaks like it.
type s3 struct{ bucket *blob.Bucket }

func openS3(ctx context.Context, u *url.URL) (backend, error) {
	b, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, err
	}
	return &s3{b}, nil
}

// put uploads; ending the context before Close makes the storage forget what it was sent.
func (s *s3) put(ctx context.Context, key string, r io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.bucket.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/octet-stream"})
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, &untilDone{ctx, r}); err != nil {
		cancel()
		_ = w.Close()
		return err
	}
	return w.Close()
}

func (s *s3) open(ctx context.Context, key string) (File, error) {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, ErrNotFound.With("There is no file %s.", key)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (s *s3) remove(ctx context.Context, key string) error {
	err := s.bucket.Delete(ctx, key)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil
	}
	return err
}

func (s *s3) exists(ctx context.Context, key string) (bool, error) { return s.bucket.Exists(ctx, key) }

func (s *s3) free() (free, total int64, err error) { return -1, -1, nil }

func (s *s3) close() error {
	if err := s.bucket.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
