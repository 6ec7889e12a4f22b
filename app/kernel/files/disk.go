package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/google/uuid"
)

// unfinished is the folder of files that are being written. What a crash left there is removed after a day.
const unfinished = ".unfinished"

// disk keeps files in a folder.
type disk struct{ root string }

func openDisk(_ context.Context, u *url.URL) (backend, error) {
	root := u.Path
	if u.Host != "" || root == "" {
		return nil, fmt.Errorf("%s: want file:///folder", u)
	}
	tmp := filepath.Join(root, unfinished)
	if err := os.MkdirAll(tmp, 0o750); err != nil {
		return nil, err
	}
	old, err := os.ReadDir(tmp)
	if err != nil {
		return nil, err
	}
	for _, f := range old {
		if info, err := f.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			_ = os.Remove(filepath.Join(tmp, f.Name()))
		}
	}
	return &disk{root}, nil
}

func (d *disk) path(key string) string { return filepath.Join(d.root, filepath.FromSlash(key)) }

// put writes beside, syncs, and renames: a file appears whole and stays so when the power fails.
func (d *disk) put(ctx context.Context, key string, r io.Reader) (err error) {
	tmp := filepath.Join(d.root, unfinished, uuid.NewString())
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(tmp)
		}
	}()
	if _, err := io.Copy(f, &untilDone{ctx, r}); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	to := d.path(key)
	if err := os.MkdirAll(filepath.Dir(to), 0o750); err != nil {
		return err
	}
	if err := os.Rename(tmp, to); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (d *disk) open(_ context.Context, key string) (File, error) {
	f, err := os.Open(d.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotFound.With("There is no file %s.", key)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.IsDir() {
		return nil, errors.Join(ErrNotFound.With("There is no file %s.", key), f.Close())
	}
	return &diskFile{f, info}, nil
}

func (d *disk) remove(_ context.Context, key string) error {
	err := os.Remove(d.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (d *disk) exists(_ context.Context, key string) (bool, error) {
	info, err := os.Stat(d.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && !info.IsDir(), err
}

func (d *disk) free() (free, total int64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(d.root, &s); err != nil {
		return 0, 0, fmt.Errorf("files: %w", err)
	}
	return int64(s.Bavail) * s.Bsize, int64(s.Blocks) * s.Bsize, nil
}

func (d *disk) close() error { return nil }

type diskFile struct {
	*os.File
	info fs.FileInfo
}

func (f *diskFile) Size() int64        { return f.info.Size() }
func (f *diskFile) ModTime() time.Time { return f.info.ModTime().UTC() }

// untilDone stops reading when ctx is done.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}
