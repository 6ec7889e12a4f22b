package ari

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// recording is one that runs, as far as we know.
type recording struct {
	leg     pbx.LegID
	limit   time.Duration
	started time.Time   // as Asterisk says
	stopped bool        // by us
	timer   *time.Timer // for the limit, since Asterisk overruns its own by up to a second; nil before the start
}

// A recording hangs on a snoop of its leg. recSnoop is its channel id; recSnoopLeg reads the leg back from it, so that
// events of a recording find their leg after a restart of ours too.
func recSnoop(leg pbx.LegID, rec pbx.RecordingID) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(rec))
	return fmt.Sprintf("~rec~%016x~%s", h.Sum64(), leg)
}

func recSnoopLeg(snoop string) (pbx.LegID, bool) {
	rest, ok := strings.CutPrefix(snoop, "~rec~")
	if !ok || len(rest) < 17 || rest[16] != '~' {
		return "", false
	}
	return pbx.LegID(rest[17:]), true
}

// Record writes what the leg's party says: a snoop hears it alone, wherever the leg goes, and the snoop is recorded.
func (s *Switch) Record(ctx context.Context, id pbx.LegID, rec pbx.RecordingID, limit time.Duration) error {
	if rec == "" || strings.Contains(string(rec), "..") || strings.HasPrefix(string(rec), "/") {
		return problem.ErrInvalid.At("recording", "malformed", "%q is no name for a recording.", rec)
	}
	snoop := recSnoop(id, rec)
	if err := s.snoop(ctx, id, snoop, ari.SnoopOptions{AppArgs: "rec," + string(rec), Spy: ari.DirectionIn}); err != nil {
		return err
	}
	r := &recording{leg: id, limit: limit}
	s.mu.Lock()
	s.recs[rec] = r
	if l := s.legs[id]; l != nil && l.last == nil {
		l.recs[rec] = true
	}
	s.mu.Unlock()
	q := url.Values{"name": {string(rec)}, "format": {"wav"}, "ifExists": {"overwrite"}, "beep": {"false"}, "terminateOn": {"none"}}
	if limit > 0 { // should we be away when it is over
		q.Set("maxDurationSeconds", fmt.Sprint(int(math.Ceil(limit.Seconds()))+1))
	}
	err := s.do(ctx, ask{op: "record", method: http.MethodPost, path: path("channels", snoop, "record"), query: q}, nil)
	if err == nil {
		return nil
	}
	s.mu.Lock()
	if s.recs[rec] == r {
		s.dropRecording(rec, id)
	}
	s.mu.Unlock()
	s.later("hang up a snoop", func(ctx context.Context) error { return s.hangupHelper(ctx, snoop) })
	if status(err) == http.StatusNotFound { // the snoop went with its leg
		return s.legError(id, err)
	}
	return fmt.Errorf("record %s: %w", rec, err)
}

// dropRecording forgets a recording. Switch.mu is held.
func (s *Switch) dropRecording(rec pbx.RecordingID, leg pbx.LegID) {
	if r := s.recs[rec]; r != nil && r.timer != nil {
		r.timer.Stop()
	}
	delete(s.recs, rec)
	l := s.legs[leg]
	if l == nil {
		return
	}
	delete(l.recs, rec)
	if l.last != nil && len(l.recs) == 0 {
		s.bury(l)
	}
}

// snoop puts a snoop channel on a leg and waits until it can be used.
func (s *Switch) snoop(ctx context.Context, id pbx.LegID, snoop string, o ari.SnoopOptions) error {
	if err := s.ready("snoop"); err != nil {
		return err
	}
	if err := s.present(id); err != nil {
		return err
	}
	started := make(chan error, 1)
	s.mu.Lock()
	s.waits[snoop] = started
	s.mu.Unlock()
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.waits[snoop] == started {
			delete(s.waits, snoop)
		}
	}
	o.App = s.cfg.App
	err := s.do(ctx, ask{op: "snoop", method: http.MethodPost, path: path("channels", string(id), "snoop", snoop), body: o}, nil)
	if err != nil {
		forget()
		return s.legError(id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	select {
	case err = <-started:
	case <-ctx.Done():
		forget()
		err = unreachable("snoop", ctx.Err())
	}
	if err != nil {
		s.later("hang up a snoop", func(ctx context.Context) error { return s.hangupHelper(ctx, snoop) })
		return fmt.Errorf("snoop on leg %s: %w", id, err)
	}
	return nil
}

// hangupHelper ends a snoop; one that has ended is fine.
func (s *Switch) hangupHelper(ctx context.Context, snoop string) error {
	return gone(s.link.do(ctx, ask{op: "hangup", method: http.MethodDelete, path: path("channels", snoop)}, nil))
}

// MaskRecord puts silence in place of speech.
func (s *Switch) MaskRecord(ctx context.Context, rec pbx.RecordingID, on bool) error {
	method := http.MethodDelete
	if on {
		method = http.MethodPost
	}
	return recordError(rec, s.do(ctx, ask{op: "mask_record", method: method, path: path("recordings", "live", string(rec), "mute")}, nil))
}

// StopRecord ends a recording. Its snoop is hung up when Asterisk says that it has ended.
func (s *Switch) StopRecord(ctx context.Context, rec pbx.RecordingID) error {
	s.mu.Lock()
	if r := s.recs[rec]; r != nil {
		r.stopped = true
	}
	s.mu.Unlock()
	return gone(s.do(ctx, ask{op: "stop_record", method: http.MethodPost, path: path("recordings", "live", string(rec), "stop")}, nil))
}

// FetchRecording reads a finished recording. The caller closes it.
func (s *Switch) FetchRecording(ctx context.Context, rec pbx.RecordingID) (io.ReadCloser, error) {
	if err := s.ready("fetch_recording"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	running := s.recs[rec] != nil
	s.mu.Unlock()
	if running { // the file is there, with a part of it
		return nil, fmt.Errorf("recording %s runs: %w", rec, pbx.ErrNoRecording)
	}
	resp, err := s.link.send(ctx, ask{op: "fetch_recording", method: http.MethodGet, path: path("recordings", "stored", string(rec), "file")})
	if err != nil {
		return nil, recordError(rec, err)
	}
	return resp.Body, nil
}

// DropRecording erases a recording.
func (s *Switch) DropRecording(ctx context.Context, rec pbx.RecordingID) error {
	return gone(s.do(ctx, ask{op: "drop_recording", method: http.MethodDelete, path: path("recordings", "stored", string(rec))}, nil))
}

// recordError names a recording that is not there.
func recordError(rec pbx.RecordingID, err error) error {
	if status(err) == http.StatusNotFound {
		return fmt.Errorf("recording %s: %w", rec, pbx.ErrNoRecording)
	}
	return err
}

// recordChanged is news of a recording. Switch.mu is held.
func (s *Switch) recordChanged(f *frame) {
	snoop := strings.TrimPrefix(f.Recording.TargetURI, "channel:")
	id, ok := recSnoopLeg(snoop)
	if !ok {
		return
	}
	rec := pbx.RecordingID(f.Recording.Name)
	r := s.recs[rec]
	if f.Type == ari.Events.RecordingStarted {
		if r == nil || r.leg != id || !r.started.IsZero() {
			return
		}
		r.started = f.at()
		if r.limit > 0 {
			r.timer = time.AfterFunc(r.limit, func() {
				s.later("stop a recording", func(ctx context.Context) error { return s.StopRecord(ctx, rec) })
			})
		}
		s.tell(pbx.Event{Kind: pbx.RecordStarted, Leg: id, At: f.at(), Recording: rec})
		return
	}
	s.laterLocked("hang up a snoop", func(ctx context.Context) error { return s.hangupHelper(ctx, snoop) })
	if r == nil || r.leg != id {
		return
	}
	s.tell(s.recordEnd(f, rec, r))
	s.dropRecording(rec, id)
}

// recordEnd makes RecordEnded. Asterisk tells whole seconds; the times of its two events tell more, if both agree. It
// says "done" even when its disk is full, so an end that nobody asked for is not OK.
func (s *Switch) recordEnd(f *frame, rec pbx.RecordingID, r *recording) pbx.Event {
	length := time.Duration(f.Recording.Duration * float64(time.Second))
	if d := f.at().Sub(r.started); !r.started.IsZero() && (d-length).Abs() < 1500*time.Millisecond {
		length = d
	}
	l := s.legs[r.leg]
	asked := r.stopped || r.started.IsZero() || // of one that was there before us, we do not know
		l == nil || l.leaving() ||
		r.limit > 0 && length >= r.limit-time.Second
	return pbx.Event{Kind: pbx.RecordEnded, Leg: r.leg, At: f.at(), Recording: rec, Length: length,
		OK: asked && f.Type == ari.Events.RecordingFinished && f.Recording.State == "done"}
}
