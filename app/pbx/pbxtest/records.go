package pbxtest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"callplane/app/pbx"
)

// recording is what one party says, as times at which its sound was cut off and came back.
type recording struct {
	id     pbx.RecordingID
	leg    *Party  // nil when finished
	hertz  float64 // the tone it holds
	since  time.Time
	length time.Duration   // when finished
	masked bool            // silence in place of speech
	silent bool            // nothing is heard now: masked, muted or held
	flips  []time.Duration // when silent changed, beginning with the first silence
	limit  *time.Timer
}

// Record writes what the leg's party says.
func (l *Link) Record(ctx context.Context, leg pbx.LegID, id pbx.RecordingID, limit time.Duration) error {
	return l.do(ctx, VerbRecord, func(sw *Switch) error {
		p, err := sw.talking(leg)
		if err != nil {
			return err
		}
		if id == "" || sw.recs[id] != nil {
			return fmt.Errorf("%w: recording %q exists", ErrUsage, id)
		}
		r := &recording{id: id, leg: p, hertz: p.hertz, since: time.Now()}
		sw.recs[id] = r
		p.recs = append(p.recs, r)
		p.quiet()
		p.emit(pbx.Event{Kind: pbx.RecordStarted, Recording: id})
		switch {
		case sw.full:
			sw.endRecord(r)
		case limit > 0:
			r.limit = time.AfterFunc(limit, func() {
				sw.mu.Lock()
				defer sw.mu.Unlock()
				sw.endRecord(r)
			})
		}
		return nil
	}, leg, id)
}

// MaskRecord puts silence in place of speech, or lets it through again. ErrNoRecording when it runs no more.
func (l *Link) MaskRecord(ctx context.Context, id pbx.RecordingID, on bool) error {
	return l.do(ctx, VerbMaskRecord, func(sw *Switch) error {
		r := sw.recs[id]
		if r == nil || r.leg == nil {
			return pbx.ErrNoRecording.With("Recording %s does not run.", id)
		}
		r.masked = on
		r.leg.quiet()
		return nil
	}, id, on)
}

// StopRecord ends a recording.
func (l *Link) StopRecord(ctx context.Context, id pbx.RecordingID) error {
	return l.do(ctx, VerbStopRecord, func(sw *Switch) error {
		if r := sw.recs[id]; r != nil {
			sw.endRecord(r)
		}
		return nil
	}, id)
}

// FetchRecording reads a finished recording: the party's Tone and silence where it was masked, muted or on hold.
func (l *Link) FetchRecording(ctx context.Context, id pbx.RecordingID) (io.ReadCloser, error) {
	if err := l.enter(ctx, VerbFetchRecording); err != nil {
		return nil, err
	}
	defer l.sw.mu.Unlock()
	r := l.sw.recs[id]
	if r == nil || r.leg != nil {
		return nil, pbx.ErrNoRecording.With("There is no finished recording %s.", id)
	}
	return io.NopCloser(newWAV(r.hertz, r.length, slices.Clone(r.flips))), nil
}

// DropRecording erases a recording, stopping it first if it still runs.
func (l *Link) DropRecording(ctx context.Context, id pbx.RecordingID) error {
	return l.do(ctx, VerbDropRecording, func(sw *Switch) error {
		if r := sw.recs[id]; r != nil {
			sw.endRecord(r)
			delete(sw.recs, id)
		}
		return nil
	}, id)
}

// Recordings are the names of all finished recordings on the switch, sorted.
func (sw *Switch) Recordings() []pbx.RecordingID {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	var out []pbx.RecordingID
	for id, r := range sw.recs {
		if r.leg == nil {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// endRecord finishes a running recording. The caller holds sw.mu.
func (sw *Switch) endRecord(r *recording) {
	p := r.leg
	if p == nil {
		return
	}
	r.leg, r.length = nil, time.Since(r.since)
	if r.limit != nil {
		r.limit.Stop()
	}
	p.recs = slices.DeleteFunc(p.recs, func(x *recording) bool { return x == r })
	p.emit(pbx.Event{Kind: pbx.RecordEnded, Recording: r.id, OK: true, Length: r.length})
}

// quiet notes in the leg's recordings whether its party is heard. The caller holds sw.mu.
func (p *Party) quiet() {
	for _, r := range p.recs {
		if silent := r.masked || p.muted || p.held; silent != r.silent {
			r.silent = silent
			r.flips = append(r.flips, time.Since(r.since))
		}
	}
}

// Rate is the sample rate of recordings.
const Rate = 8000

// tone is a frequency for the next leg: 150 of them, 20 Hz apart, so that each can be found among the others. The caller
// holds sw.mu.
func (sw *Switch) tone() float64 {
	sw.tones++
	return float64(300 + 20*(sw.tones%150))
}

// wav makes the file as it is read, so that an hour of audio takes no memory.
type wav struct {
	head  []byte // what of the header is still to be read
	hertz float64
	flips []time.Duration
	at, n int // sample
}

const wavHeader = 44

func newWAV(hertz float64, length time.Duration, flips []time.Duration) *wav {
	n := int(length * Rate / time.Second)
	h := make([]byte, 0, wavHeader)
	h = append(h, "RIFF"...)
	h = binary.LittleEndian.AppendUint32(h, uint32(wavHeader-8+2*n))
	h = append(h, "WAVEfmt "...)
	for _, v := range []any{uint32(16), uint16(1), uint16(1), uint32(Rate), uint32(2 * Rate), uint16(2), uint16(16)} {
		h, _ = binary.Append(h, binary.LittleEndian, v)
	}
	h = append(h, "data"...)
	h = binary.LittleEndian.AppendUint32(h, uint32(2*n))
	return &wav{head: h, hertz: hertz, flips: flips, n: n}
}

// Read reads the header, then whole samples.
func (w *wav) Read(b []byte) (int, error) {
	if len(w.head) > 0 {
		n := copy(b, w.head)
		w.head = w.head[n:]
		return n, nil
	}
	if w.at == w.n {
		return 0, io.EOF
	}
	if len(b) < 2 {
		return 0, errors.Join(io.ErrShortBuffer)
	}
	n := 0
	for ; n+2 <= len(b) && w.at < w.n; n, w.at = n+2, w.at+1 {
		t := time.Duration(w.at) * time.Second / Rate
		i, _ := slices.BinarySearch(w.flips, t+1)
		var s float64
		if i%2 == 0 {
			s = 8000 * math.Sin(2*math.Pi*w.hertz*t.Seconds())
		}
		binary.LittleEndian.PutUint16(b[n:], uint16(int16(s)))
	}
	return n, nil
}
