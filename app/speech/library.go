package speech

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"callplane/sounds"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
)

// Options are what a Library is made of.
type Options struct {
	Dir        string        // where finished files are kept; made when needed. May be deleted while stopped
	Settings   Settings      // which engine, voice and rate
	Engine     Engine        // if set, used in place of the one in Settings
	Store      Store         // uploaded prompts; default Folder{Dir/uploads}
	Sounds     fs.FS         // extra languages and texts, laid out like package sounds; may be nil
	Secret     []byte        // signs the addresses given to the switch; the same on all nodes. Needed for Handler
	CacheBytes int64         // size of finished files; default 256 MiB. Prompts by key, and files used in the last two minutes, stay beyond it
	Wait       time.Duration // longest that URLs lets a call wait for new sound; default 3 s
	Log        *slog.Logger  // default slog.Default()
}

// A Library holds every prompt as a file, making what is missing. All methods may be called at once.
type Library struct {
	opt    Options
	engine Engine
	books  map[Lang]sounds.Book
	langs  []Lang // English first: what an unknown language falls back to
	files  cache

	flight singleflight.Group
	slots  chan struct{} // one for each synthesis at work
	ctx    context.Context
	stop   context.CancelFunc
	skip   atomic.Int64

	mu      sync.Mutex
	closed  bool
	work    sync.WaitGroup // syntheses at work; Close waits for them
	uploads map[upload][]Version
	fails   int       // failures of the engine in a row
	rest    time.Time // until then the engine is left alone
}

// NewLibrary opens the folder and learns what was uploaded. It makes no sound yet and does not need the engine.
func NewLibrary(ctx context.Context, opt Options) (*Library, error) {
	if opt.Dir == "" {
		return nil, errors.New("speech: a folder for the finished files is needed")
	}
	if opt.Store == nil {
		opt.Store = Folder{filepath.Join(opt.Dir, "uploads")}
	}
	if opt.CacheBytes <= 0 {
		opt.CacheBytes = 256 << 20
	}
	if opt.Wait <= 0 {
		opt.Wait = 3 * time.Second
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	engine := opt.Engine
	if engine == nil {
		var err error
		if engine, err = NewEngine(opt.Settings); err != nil {
			return nil, err
		}
	}
	books, err := sounds.Load(opt.Sounds)
	if err != nil {
		return nil, err
	}
	l := &Library{opt: opt, engine: engine, books: map[Lang]sounds.Book{}, slots: make(chan struct{}, 4)}
	for _, b := range books {
		lang := Lang(b.Lang)
		if !tag.MatchString(b.Lang) {
			return nil, fmt.Errorf("speech: %q is not a language tag", b.Lang)
		}
		l.books[lang] = b
		if lang == English {
			l.langs = append([]Lang{lang}, l.langs...)
		} else {
			l.langs = append(l.langs, lang)
		}
	}
	l.files = cache{dir: filepath.Join(opt.Dir, "made"), limit: opt.CacheBytes}
	if err := l.files.open(); err != nil {
		return nil, fmt.Errorf("speech: open %s: %w", opt.Dir, err)
	}
	if err := l.Reload(ctx); err != nil {
		return nil, err
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l, nil
}

// Close stops what is being made and waits for it. Finished files stay.
func (l *Library) Close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.stop()
	l.work.Wait()
}

// Languages are the tags that have prompts, English first.
func (l *Library) Languages() []Lang { return append([]Lang(nil), l.langs...) }

// File makes sure the item's file is there and returns its path. Callers who ask for the same at once share one
// synthesis, which goes on when ctx ends, so that the next caller finds it. Errors: ErrNoPrompt, ErrNoText, ErrTooLong,
// ErrNoEngine, ErrBusy, ErrClosed, or the engine's own.
func (l *Library) File(ctx context.Context, item Item) (string, error) {
	r, err := l.recipe(item)
	if err != nil {
		return "", err
	}
	if path, ok := l.files.find(r.lang, r.name, r.keep); ok {
		return path, nil
	}
	done := l.flight.DoChan(r.name, func() (any, error) { return l.make(r) })
	select {
	case res := <-done:
		if res.Err != nil {
			return "", res.Err
		}
		return res.Val.(string), nil
	case <-ctx.Done():
		return "", fmt.Errorf("make prompt: %w", ctx.Err())
	}
}

// make runs detached from any caller, under the library's own context.
func (l *Library) make(r recipe) (path string, err error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return "", ErrClosed
	}
	l.work.Add(1)
	l.mu.Unlock()
	defer l.work.Done()
	if path, ok := l.files.find(r.lang, r.name, r.keep); ok { // made since the caller looked
		return path, nil
	}
	pcm, err := l.sound(l.ctx, r)
	if err != nil {
		return "", err
	}
	return l.files.put(r.lang, r.name, WAV(pcm), r.keep)
}

// sound carries out the recipe.
func (l *Library) sound(ctx context.Context, r recipe) ([]int16, error) {
	var all []int16
	for _, name := range r.recorded {
		file, err := l.opt.Store.Get(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read uploaded prompt %s: %w", name, err)
		}
		pcm, err := PCM(file)
		if err != nil {
			return nil, fmt.Errorf("uploaded prompt %s: %w", name, err)
		}
		all = append(all, pcm...)
	}
	if all != nil {
		return all, nil
	}
	if notes, ok := strings.CutPrefix(r.text, "tone:"); ok {
		parsed, err := parseTone(notes)
		return Tone(parsed...), err
	}
	return l.synthesise(ctx, r.lang, r.text)
}

// synthesise asks the engine, and again if the speaking rate is more than 8 % off: engines take it as a hint.
func (l *Library) synthesise(ctx context.Context, lang Lang, text string) (pcm []int16, err error) {
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		return nil, ErrClosed
	}
	l.mu.Lock()
	resting := time.Now().Before(l.rest)
	l.mu.Unlock()
	if resting {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, l.opt.Settings.timeout())
	defer cancel()
	defer func() { l.judge(err) }()

	want := l.opt.Settings.rate(lang)
	say := Utterance{text, lang, l.opt.Settings.voice(lang), want}
	off := 1.0 // how far the best so far is from the wanted rate
	for range 3 {
		file, err := l.engine.Synthesise(ctx, say)
		if err != nil {
			if pcm != nil { // the first try is good enough
				break
			}
			return nil, fmt.Errorf("say %.40q: %w", text, err)
		}
		s, err := decode(file)
		if err != nil {
			return nil, fmt.Errorf("say %.40q: %w", text, err)
		}
		if s.duration() > maxLength {
			return nil, fmt.Errorf("say %.40q: the sound is %w", text, ErrTooLong)
		}
		made := telephone(s)
		if len(made) == 0 {
			return nil, fmt.Errorf("say %.40q: %w: it is empty", text, ErrAudio)
		}
		got := PerMinute(text, length(len(made), SampleRate))
		if want == 0 || got == 0 {
			return made, nil
		}
		now := max(got/want, want/got) - 1
		if pcm != nil && now >= off-0.01 { // no better: the engine takes no hints, or cannot go there
			break
		}
		pcm, off = made, now
		if off < 0.08 || units(text) < 3 {
			break
		}
		say.Rate = min(max(say.Rate*want/got, want/3), want*3)
	}
	return pcm, nil
}

// judge counts failures: after three in a row the engine rests for 15 s, so that callers do not wait in vain.
func (l *Library) judge(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.fails = 0
	case errors.Is(err, ErrNoEngine), errors.Is(err, ErrNoText), l.ctx.Err() != nil: // known at once, or not its fault
	default:
		if l.fails++; l.fails >= 3 {
			l.fails, l.rest = 0, time.Now().Add(15*time.Second)
			l.opt.Log.Warn("speech engine fails, it rests for 15 s", "module", "speech", "engine", l.engine.Name(), "err", err)
		}
	}
}

// Warm makes every prompt that has no placeholders, in all languages, two at a time. Progress, if not nil, is told
// after each; calls to it do not overlap. Without an engine it ends at once with ErrNoEngine; other failures are
// joined at the end, after everything was tried.
func (l *Library) Warm(ctx context.Context, progress func(done, total int)) error {
	var items []Item
	for lang, b := range l.books {
		for key, text := range b.Prompts {
			if !strings.Contains(text, "{") {
				items = append(items, Prompt(lang, key))
			}
		}
	}
	var mu sync.Mutex
	var failed []error
	done := 0
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, item := range items {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			_, err := l.File(ctx, item)
			mu.Lock()
			defer mu.Unlock()
			done++
			if progress != nil {
				progress(done, len(items))
			}
			if errors.Is(err, ErrNoEngine) || ctx.Err() != nil {
				return err
			}
			if err != nil {
				failed = append(failed, fmt.Errorf("%s %s: %w", item.Lang, item.Key, err))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// Measure is how long the item plays, and its rate in characters (or words) a minute; recordings and tones have rate 0.
func (l *Library) Measure(ctx context.Context, item Item) (d time.Duration, perMinute float64, err error) {
	pcm, err := l.samples(ctx, item)
	if err != nil {
		return 0, 0, err
	}
	d = length(len(pcm), SampleRate)
	if r, err := l.recipe(item); err == nil && len(r.recorded) == 0 && !strings.HasPrefix(r.text, "tone:") {
		perMinute = PerMinute(r.text, d)
	}
	return d, perMinute, nil
}

// Fingerprint is the sound of the prompt with this key: what a test compares a capture with.
func (l *Library) Fingerprint(ctx context.Context, key string, lang Lang) ([]int16, error) {
	return l.samples(ctx, Prompt(lang, key))
}

func (l *Library) samples(ctx context.Context, item Item) ([]int16, error) {
	path, err := l.File(ctx, item)
	if err != nil {
		return nil, err
	}
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return PCM(file)
}
