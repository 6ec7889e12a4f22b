package recording

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"callplane/app/call"
	"callplane/app/kernel"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/files"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/problem"
	"callplane/app/pbx"
	"callplane/app/voicemail"
	"callplane/app/voicemail/playback"
)

// Permissions of this module.
var (
	Read     = auth.Define("recording:read", "find recordings", auth.Supervisor, auth.QA, auth.Auditor, auth.Agent)
	Play     = auth.Define("recording:play", "listen to recordings", auth.Supervisor, auth.QA, auth.Auditor, auth.Agent)
	Download = auth.Define("recording:download", "take recordings out of the platform", auth.Auditor)
	Verify   = auth.Define("recording:verify", "check that recordings were not altered", auth.Auditor, auth.Supervisor)
)

// Types of this module's events; the data of each is Stored.
const (
	EventStored    = "recording.stored"    // a recording is there, whatever its state
	EventTruncated = "recording.truncated" // and somebody is missing from it: the switch's disk was full, or it lost the file
	EventAltered   = "recording.altered"   // a file is gone, or no longer what was stored
)

// ErrNoAudio says that a recording has no file.
var ErrNoAudio = problem.New(problem.Conflict, "recording_empty", "The recording has no audio")

// Switch is where tracks are fetched. Both methods are those of pbx.Switch.
type Switch interface {
	FetchRecording(ctx context.Context, rec pbx.RecordingID) (io.ReadCloser, error)
	DropRecording(ctx context.Context, rec pbx.RecordingID) error
}

// Switches finds the switch that a call was on, by call.Record.Node. One that is not known here is pbx.ErrUnreachable.
type Switches func(node string) (Switch, error)

// One is Switches for an installation with one switch.
func One(sw Switch) Switches { return func(string) (Switch, error) { return sw, nil } }

// Messages takes the audio of the messages that callers left. It is voicemail.Service.
type Messages interface {
	Kept(ctx context.Context, id voicemail.MessageID) (bool, error)
	Keep(ctx context.Context, m voicemail.Message, a voicemail.Audio) error
}

// Config is what is set for the module.
type Config struct {
	Limit    time.Duration // longest recording on the switch, as package call asks for it; default 4 h
	Patience time.Duration // how long a track that the switch does not have is waited for, from the call's end; default 10 min
	Parallel int           // calls collected at once; default 2
	TempDir  string        // where tracks are put while they are merged; default the system's. Files in it have no name
}

// Kinds of jobs.
const (
	collectJob = "recording.collect" // of one call; the id is the call's
	messageJob = "recording.message" // of one message; the id is the message's
)

// Service collects, keeps and plays recordings.
type Service struct {
	log      *slog.Logger
	kit      *kernel.Kit
	switches Switches
	messages Messages
	cfg      Config
	player   *playback.Player
	metrics  *metrics
}

// New makes the service.
func New(kit *kernel.Kit, switches Switches, messages Messages, cfg Config) *Service {
	if cfg.Limit <= 0 {
		cfg.Limit = 4 * time.Hour
	}
	if cfg.Patience <= 0 {
		cfg.Patience = 10 * time.Minute
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = 2
	}
	s := &Service{
		log: kit.Log.With("module", "recording"), kit: kit, switches: switches, messages: messages, cfg: cfg,
		player: playback.New(kit.DB, kit.Files), metrics: newMetrics(kit.Metrics),
	}
	o := jobs.Options{Parallel: cfg.Parallel, Attempts: attempts, MinBackoff: 2 * time.Second, MaxBackoff: 10 * time.Minute, Timeout: time.Hour}
	kit.Jobs.Handle(collectJob, o, s.collect)
	kit.Jobs.Handle(messageJob, o, s.message)
	return s
}

// attempts is how often a job is tried: at 10 minutes each, for a week.
const attempts = 1000

// Run makes jobs of the calls that end, until ctx is done.
func (s *Service) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.kit.Bus.Consume(ctx, bus.Consumer{Name: "recording", Types: []string{call.EventRecord}, Gather: 100 * time.Millisecond, Handle: s.ended})
	})
	return g.Wait()
}

// ended takes calls that have ended.
func (s *Service) ended(ctx context.Context, events []bus.Event) error {
	for _, e := range events {
		var rec call.Record
		if err := e.Into(&rec); err != nil {
			s.log.Error("call record cannot be read", "event", e.ID, "error", err)
			continue
		}
		if w, ok := WorkOf(rec, s.cfg.Limit); ok {
			if err := s.kit.Jobs.Add(ctx, collectJob, string(rec.ID), w); err != nil {
				return fmt.Errorf("add job for call %s: %w", rec.ID, err)
			}
		}
		for _, w := range messagesOf(rec) {
			if err := s.kit.Jobs.Add(ctx, messageJob, string(w.Message.ID), w); err != nil {
				return fmt.Errorf("add job for message %s: %w", w.Message.ID, err)
			}
		}
	}
	return nil
}

// visible narrows to what the asker may see with a permission. Agents also see the calls they were part of without being the
// last who talked.
func (s *Service) visible(ctx context.Context, perm auth.Permission) store {
	q := s.kit.DB.WithContext(ctx)
	if who := auth.From(ctx); who.Scope(perm) == auth.Own && who.UserID != "" {
		return store{q.Where("id IN (SELECT recording_id FROM recording_parties WHERE agent_id = ?)", who.UserID)}
	}
	return store{auth.Visible(ctx, q, perm, "unit_id", "agent_id")}
}

// Get is one recording that the asker may see, with its peaks; or problem.ErrNotFound.
func (s *Service) Get(ctx context.Context, id ID) (Recording, error) {
	return s.visible(ctx, Read).recording(id)
}

// Open opens the audio of a recording that the asker may play. The caller closes it, and sees to the audit log.
func (s *Service) Open(ctx context.Context, id ID) (Recording, files.File, error) {
	r, err := s.audible(ctx, id, Play)
	if err != nil {
		return r, nil, err
	}
	f, err := s.kit.Files.Open(ctx, r.File)
	return r, f, err
}

func (s *Service) audible(ctx context.Context, id ID, perm auth.Permission) (Recording, error) {
	r, err := s.visible(ctx, perm).recording(id)
	if err == nil && r.File == "" {
		err = ErrNoAudio
	}
	return r, err
}

// Verdict is the result of a check.
type Verdict struct {
	ID     ID     `json:"id"`
	Intact bool   `json:"intact" doc:"The file is what was stored"`
	SHA256 string `json:"sha256" doc:"Digest of the file now; empty when it is gone"`
	Stored string `json:"stored_sha256" doc:"Digest when it was stored"`
	Bytes  int64  `json:"bytes" doc:"Of the file now"`
}

// Verify reads the file and compares its digest with that of when it was stored. A file that is gone is not intact.
func (s *Service) Verify(ctx context.Context, id ID) (v Verdict, err error) {
	r, err := s.audible(ctx, id, Verify)
	if err != nil {
		return v, err
	}
	v = Verdict{ID: r.ID, Stored: r.SHA256}
	if v.Bytes, v.SHA256, err = s.digest(ctx, r.File); err != nil {
		return v, err
	}
	v.Intact = v.SHA256 == v.Stored
	if !v.Intact {
		s.log.Error("a recording was altered", "call_id", r.CallID, "file", r.File, "bytes", v.Bytes)
		e := bus.NewEvent(EventAltered, string(r.ID), r.Told()).For(r.UnitID, auth.From(ctx).TenantPath())
		e.Perm = string(Verify)
		s.kit.Bus.Publish(e)
	}
	return v, audit.Add(ctx, s.kit.DB.WithContext(ctx), audit.Entry{
		Action: "recording.verify", Object: "recording", ObjectID: string(id), Unit: auth.UnitID(r.UnitID), Detail: v,
	})
}

// digest is the size and SHA-256 of a stored file; of none, nothing.
func (s *Service) digest(ctx context.Context, key string) (size int64, sum string, err error) {
	f, err := s.kit.Files.Open(ctx, key)
	if isGone(err) {
		return 0, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	return size, hex.EncodeToString(h.Sum(nil)), err
}
