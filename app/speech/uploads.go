package speech

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// maxLength is the longest prompt.
const maxLength = 10 * time.Minute

// A Version is one recording of a prompt, in order of upload: "000002-1f0a…".
type Version string

type upload struct {
	lang Lang
	key  string
}

var (
	keyForm     = regexp.MustCompile(`^[\p{L}\p{N}_-][\p{L}\p{N}._-]*(/[\p{L}\p{N}_-][\p{L}\p{N}._-]*)+$`)
	versionForm = regexp.MustCompile(`^[0-9]{6}-[0-9a-f]{16}$`)
)

// Reload learns from the store what is uploaded. Call it when another node has added something.
func (l *Library) Reload(ctx context.Context) error {
	names, err := l.opt.Store.List(ctx)
	if err != nil {
		return fmt.Errorf("list uploaded prompts: %w", err)
	}
	found := map[upload][]Version{}
	for _, name := range names {
		rest, isWAV := strings.CutSuffix(name, ".wav")
		lang, rest, _ := strings.Cut(rest, "/")
		key, version := path.Split(rest)
		key = strings.TrimSuffix(key, "/")
		if isWAV && tag.MatchString(lang) && keyForm.MatchString(key) && versionForm.MatchString(version) {
			u := upload{Lang(lang), key}
			found[u] = append(found[u], Version(version))
		}
	}
	for _, versions := range found {
		slices.Sort(versions)
	}
	l.mu.Lock()
	l.uploads = found
	l.mu.Unlock()
	return nil
}

// Add stores a recording for a key and language, which plays from now on: a WAV file of any rate (4 to 192 kHz),
// channels and usual coding, at most 64 MiB and 10 minutes. It is made 8 kHz mono, its level evened, silence at its ends
// cut. Earlier recordings stay as versions. The key has at least two parts: sales/welcome. A recording for a prompt with
// placeholders replaces it whole: the values are not said.
func (l *Library) Add(ctx context.Context, key string, lang Lang, r io.Reader) (Version, error) {
	file, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(file) > maxFile {
		return "", fmt.Errorf("%w: at most %d MiB", ErrTooLong, maxFile>>20)
	}
	s, err := decode(file)
	if err != nil {
		return "", err
	}
	if s.duration() > maxLength {
		return "", fmt.Errorf("%w: at most %v", ErrTooLong, maxLength)
	}
	if len(s.samples) == 0 {
		return "", fmt.Errorf("%w: it is empty", ErrAudio)
	}
	return l.add(ctx, key, lang, telephone(s))
}

// AddText synthesises a text and stores it as Add does. It stays as it is when the engine changes.
func (l *Library) AddText(ctx context.Context, key string, lang Lang, text string) (Version, error) {
	pcm, err := l.samples(ctx, Text(lang, text))
	if err != nil {
		return "", err
	}
	return l.add(ctx, key, lang, pcm)
}

// Restore makes an earlier version the newest again, as a copy.
func (l *Library) Restore(ctx context.Context, key string, lang Lang, v Version) (Version, error) {
	if !slices.Contains(l.Versions(key, lang), v) {
		return "", fmt.Errorf("%w: %q has no version %q", ErrNoPrompt, key, v)
	}
	file, err := l.opt.Store.Get(ctx, storeName(key, lang, v))
	if err != nil {
		return "", err
	}
	pcm, err := PCM(file)
	if err != nil {
		return "", err
	}
	return l.add(ctx, key, lang, pcm)
}

// Versions are the recordings of a key, oldest first. The last one plays.
func (l *Library) Versions(key string, lang Lang) []Version {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.uploads[upload{lang, key}])
}

func (l *Library) add(ctx context.Context, key string, lang Lang, pcm []int16) (Version, error) {
	if !tag.MatchString(string(lang)) || !keyForm.MatchString(key) || len(key) > 200 {
		return "", fmt.Errorf("%w: key %q or language %q is malformed", ErrNoPrompt, key, lang)
	}
	file := WAV(pcm)
	sum := sha256.Sum256(file)
	u := upload{lang, key}
	number := 1
	if have := l.Versions(key, lang); len(have) > 0 {
		fmt.Sscanf(string(have[len(have)-1]), "%06d", &number)
		number++
	}
	v := Version(fmt.Sprintf("%06d-%s", number, hex.EncodeToString(sum[:8])))
	if err := l.opt.Store.Put(ctx, storeName(key, lang, v), file); err != nil {
		return "", fmt.Errorf("store prompt %s: %w", key, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.uploads[u], v) {
		l.uploads[u] = append(slices.Clone(l.uploads[u]), v)
		slices.Sort(l.uploads[u])
	}
	return v, nil
}

func storeName(key string, lang Lang, v Version) string {
	return string(lang) + "/" + key + "/" + string(v) + ".wav"
}

// newest is the store's name of the recording that plays for a key.
func (l *Library) newest(key string, lang Lang) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	have := l.uploads[upload{lang, key}]
	if len(have) == 0 {
		return "", false
	}
	return storeName(key, lang, have[len(have)-1]), true
}
