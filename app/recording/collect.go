package recording

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"gorm.io/gorm"

	"callplane/app/call"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/files"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/problem"
	"callplane/app/pbx"
	"callplane/app/recording/wav"
	"callplane/app/voicemail"
)

func isGone(err error) bool { return errors.Is(err, files.ErrNotFound) }

// collect makes the recording of a call. It can be cut off at any point and done again: what is stored already is not fetched
// again, and the switch forgets its tracks only after that.
func (s *Service) collect(ctx context.Context, j jobs.Job) error {
	var w Work
	if err := j.Into(&w); err != nil {
		return jobs.Fail(err)
	}
	sw, err := s.switches(w.Node)
	if err != nil {
		return fmt.Errorf("switch %s: %w", w.Node, err)
	}
	r, err := store{s.kit.DB.WithContext(ctx)}.recording(ID(w.Call))
	switch {
	case errors.Is(err, problem.ErrNotFound) || err == nil && r.File == "":
		if err := s.make(ctx, sw, w, j.Added); err != nil {
			s.metrics.failed()
			return fmt.Errorf("recording of call %s: %w", w.Call, err)
		}
	case err != nil:
		return err
	}
	for _, t := range w.Tracks {
		if err := sw.DropRecording(ctx, t.ID); err != nil {
			return fmt.Errorf("drop track %s: %w", t.ID, err)
		}
	}
	return nil
}

// make fetches, merges and stores.
func (s *Service) make(ctx context.Context, sw Switch, w Work, added time.Time) error {
	r := Recording{
		ID: ID(w.Call), UnitID: w.Unit, CallID: w.Call, QueueID: w.Queue, AgentID: w.Agent, Agents: w.Agents, Direction: w.Direction,
		FromNumber: w.From, ToNumber: w.To, StartedAt: w.Tracks[0].Started, ExpectedMS: w.span().Milliseconds(), State: OK, Peaks: []byte{},
	}
	var faults []string
	var mixed []wav.Track
	for i, at := range places(w.Tracks) {
		t := w.Tracks[i]
		pcm, samples, fault, err := s.fetch(ctx, sw, t, added)
		if err != nil {
			return err
		}
		if fault != nil {
			faults = append(faults, fault.Error())
		}
		if missing := t.Expected() - wav.Length(samples); missing > slack {
			r.State, r.MissingMS = Truncated, max(r.MissingMS, missing.Milliseconds())
		}
		if pcm == nil {
			continue
		}
		defer pcm.Close()
		channel := 1
		if t.Customer {
			channel = 0
		}
		mixed = append(mixed, wav.Track{PCM: pcm, Samples: samples, At: at, Channel: channel})
	}
	m, err := wav.NewMix(2, mixed)
	if err != nil {
		return jobs.Fail(err)
	}
	r.LengthMS = wav.Length(m.Samples()).Milliseconds()
	if m.Samples() == 0 && w.span() <= slack {
		return nil // over before anything was said
	}
	if m.Samples() == 0 {
		r.State, r.MissingMS = Failed, r.ExpectedMS
		faults = append(faults, "the switch has no audio of this call")
	} else {
		r.File = fileKey("recordings", w.Unit, r.StartedAt, string(w.Call))
		if r.Bytes, r.SHA256, err = s.kit.Files.Put(ctx, r.File, m); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		r.Peaks = m.Peaks().Bytes()
	}
	r.Error = clip(strings.Join(faults, "; "), 500)
	return s.keep(ctx, w, r)
}

// fileKey is where a file is kept: by unit and day.
func fileKey(kind, unit string, at time.Time, id string) string {
	return fmt.Sprintf("%s/%s/%s/%s.wav", kind, unit, at.UTC().Format("2006/01/02"), id)
}

// keep writes the row and tells of it.
func (s *Service) keep(ctx context.Context, w Work, r Recording) error {
	err := db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		if err := (store{tx}).save(r); err != nil {
			return err
		}
		tell := func(typ string) error {
			e := bus.NewEvent(typ, string(r.ID), r.Told()).For(w.Unit, w.UnitPath)
			e.Perm, e.Owner = string(Read), w.Agent
			return s.kit.Outbox.Add(tx, e)
		}
		if r.State != OK {
			if err := tell(EventTruncated); err != nil {
				return err
			}
		}
		return tell(EventStored)
	})
	if err != nil {
		return fmt.Errorf("write down: %w", err)
	}
	s.metrics.stored(r)
	if r.State != OK {
		s.log.Error("a recording is not whole", "call_id", w.Call, "expected", time.Duration(r.ExpectedMS)*time.Millisecond,
			"actual", time.Duration(r.LengthMS)*time.Millisecond, "missing", time.Duration(r.MissingMS)*time.Millisecond, "error", r.Error)
	}
	return nil
}

// fetch copies a track's samples into a file that has no name, so that nothing is left of it after a crash. fault is why there
// is nothing, or not all; err asks for another try. A track that the switch does not have is waited for, because it may
// still be writing it, until Patience is over.
func (s *Service) fetch(ctx context.Context, sw Switch, t Track, added time.Time) (pcm *os.File, samples int64, fault, err error) {
	id := t.ID
	body, err := sw.FetchRecording(ctx, id)
	if errors.Is(err, pbx.ErrNoRecording) {
		if left := s.cfg.Patience - time.Since(added); left > 0 && t.expected() {
			return nil, 0, nil, jobs.Later(min(left, max(300*time.Millisecond, time.Since(added)/2)), err) // soon at first: it is mostly a matter of milliseconds
		}
		return nil, 0, fmt.Errorf("track %s: %w", id, err), nil
	}
	if err != nil {
		return nil, 0, nil, fmt.Errorf("fetch track %s: %w", id, err)
	}
	defer body.Close()
	pcm, err = os.CreateTemp(s.cfg.TempDir, "callplane-track-*")
	if err != nil {
		return nil, 0, nil, err
	}
	err = os.Remove(pcm.Name())
	if err == nil {
		samples, err = wav.Unpack(pcm, body)
	}
	if errors.Is(err, wav.ErrNotWAV) || errors.Is(err, wav.ErrFormat) {
		fault, err = fmt.Errorf("track %s: %w", id, err), nil
	}
	if err == nil {
		_, err = pcm.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, nil, errors.Join(fmt.Errorf("copy track %s: %w", id, err), pcm.Close())
	}
	return pcm, samples, fault, nil
}

// MessageWork is the payload of a message's job.
type MessageWork struct {
	Message  voicemail.Message `json:"message"`
	Track    Track             `json:"track"`
	Node     string            `json:"node"`
	UnitPath string            `json:"unit_path"`
}

// messagesOf tells which messages there are to fetch of a call that has ended.
func messagesOf(rec call.Record) (list []MessageWork) {
	messages, _ := voicemail.FromCall(rec, 0)
	for _, m := range messages {
		for _, t := range rec.Tracks {
			if t.Side == "message" && voicemail.IDOf(rec.ID, t) == m.ID {
				if t.Ended.IsZero() {
					t.Ended = rec.Ended
				}
				list = append(list, MessageWork{
					Message: m, Track: Track{ID: t.ID, Started: t.Started.UTC(), Until: t.Ended.UTC()}, Node: rec.Node, UnitPath: rec.UnitPath,
				})
			}
		}
	}
	return list
}

// message fetches a message and hands it to package voicemail.
func (s *Service) message(ctx context.Context, j jobs.Job) error {
	var w MessageWork
	if err := j.Into(&w); err != nil {
		return jobs.Fail(err)
	}
	sw, err := s.switches(w.Node)
	if err != nil {
		return fmt.Errorf("switch %s: %w", w.Node, err)
	}
	kept, err := s.messages.Kept(ctx, w.Message.ID)
	if err == nil && !kept {
		err = s.makeMessage(ctx, sw, w, j.Added)
	}
	if err != nil {
		return fmt.Errorf("message %s: %w", w.Message.ID, err)
	}
	return sw.DropRecording(ctx, w.Track.ID)
}

func (s *Service) makeMessage(ctx context.Context, sw Switch, w MessageWork, added time.Time) error {
	pcm, samples, fault, err := s.fetch(ctx, sw, w.Track, added)
	if err != nil {
		return err
	}
	a := voicemail.Audio{Message: w.Message.ID, Length: wav.Length(samples)}
	if pcm != nil {
		defer pcm.Close()
	}
	if samples > 0 {
		m, err := wav.NewMix(1, []wav.Track{{PCM: pcm, Samples: samples}})
		if err != nil {
			return jobs.Fail(err)
		}
		a.File = fileKey("messages", w.Message.UnitID, w.Message.StartedAt, string(w.Message.ID))
		if a.Bytes, a.SHA256, err = s.kit.Files.Put(ctx, a.File, m); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	if missing := w.Track.Expected() - a.Length; missing > slack {
		s.metrics.short()
		s.log.Error("a message is not whole", "call_id", w.Message.CallID, "expected", w.Track.Expected(), "actual", a.Length, "error", fault)
	}
	return s.messages.Keep(ctx, w.Message, a)
}
