package speech

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A Store keeps uploaded prompts. Names are paths with "/"; a name is written once and never changed.
type Store interface {
	Put(ctx context.Context, name string, data []byte) error
	Get(ctx context.Context, name string) ([]byte, error) // fs.ErrNotExist if there is none
	List(ctx context.Context) ([]string, error)           // every name, in any order
}

// Folder is a Store in a directory, which is made when needed.
type Folder struct{ Dir string }

func (f Folder) Put(_ context.Context, name string, data []byte) error {
	if !filepath.IsLocal(name) {
		return fs.ErrInvalid
	}
	return writeFile(filepath.Join(f.Dir, name), data)
}

func (f Folder) Get(_ context.Context, name string) ([]byte, error) {
	if !filepath.IsLocal(name) {
		return nil, fs.ErrInvalid
	}
	return os.ReadFile(filepath.Join(f.Dir, name))
}

func (f Folder) List(context.Context) (names []string, err error) {
	err = filepath.WalkDir(f.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		name, err := filepath.Rel(f.Dir, path)
		names = append(names, filepath.ToSlash(name))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// writeFile writes whole or not at all, so that no reader meets half a file.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err2 := tmp.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Chmod(tmp.Name(), 0o640)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}
