package speech

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// cache is the folder of finished files: dir/<lang>/<name>.wav. What was used longest ago goes first.
type cache struct {
	dir   string
	limit int64 // bytes

	mu    sync.Mutex
	files map[string]*kept // by path
	size  int64
}

type kept struct {
	size int64
	used time.Time
	keep bool
}

// grace is how long a file stays after its last use, whatever the limit: the switch may be about to fetch it.
const grace = 2 * time.Minute

// open learns what is there from earlier.
func (c *cache) open() error {
	c.files, c.size = map[string]*kept{}, 0
	if err := os.MkdirAll(c.dir, 0o750); err != nil {
		return err
	}
	paths, err := filepath.Glob(filepath.Join(c.dir, "*", "*"))
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case err != nil:
		case !strings.HasSuffix(path, ".wav") || info.Size() < 44: // left by a crash
			os.Remove(path)
		default:
			c.files[path] = &kept{size: info.Size(), used: info.ModTime()}
			c.size += info.Size()
		}
	}
	return err
}

func (c *cache) path(lang Lang, name string) string {
	return filepath.Join(c.dir, string(lang), name+".wav")
}

// find returns the file's path if it is there, and notes its use.
func (c *cache) find(lang Lang, name string, keep bool) (string, bool) {
	path := c.path(lang, name)
	info, err := os.Stat(path)
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.files[path]
	if err != nil {
		if f != nil { // someone deleted it
			c.size -= f.size
			delete(c.files, path)
		}
		return "", false
	}
	if f == nil {
		f = &kept{size: info.Size()}
		c.files[path] = f
		c.size += f.size
	}
	now := time.Now()
	if now.Sub(info.ModTime()) > time.Hour { // so that the order outlives a restart
		os.Chtimes(path, now, now)
	}
	f.used, f.keep = now, f.keep || keep
	return path, true
}

// put writes a file and drops old ones over the limit.
func (c *cache) put(lang Lang, name string, data []byte, keep bool) (string, error) {
	path := c.path(lang, name)
	if err := writeFile(path, data); err != nil {
		return "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.files[path]; old != nil {
		c.size -= old.size
	}
	now := time.Now()
	c.files[path] = &kept{int64(len(data)), now, keep}
	c.size += int64(len(data))
	if c.size > c.limit {
		c.drop(now)
	}
	return path, nil
}

// drop removes files until a tenth of the limit is free. The caller holds mu.
func (c *cache) drop(now time.Time) {
	var old []string
	for path, f := range c.files {
		if !f.keep && now.Sub(f.used) > grace {
			old = append(old, path)
		}
	}
	slices.SortFunc(old, func(a, b string) int { return c.files[a].used.Compare(c.files[b].used) })
	for _, path := range old {
		if c.size <= c.limit-c.limit/10 {
			return
		}
		if err := os.Remove(path); err == nil || os.IsNotExist(err) {
			c.size -= c.files[path].size
			delete(c.files, path)
		}
	}
}
