package recording

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/call"
	"callplane/app/kernel"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/files"
	"callplane/app/kernel/kerneltest"
	"callplane/app/kernel/problem"
	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
	"callplane/app/recording/wav"
	"callplane/app/voicemail"
)

// customer left, everyone else right, each in their interval, over hold, transfer and barge-in, without a gap.
func TestCollect(t *testing.T) {
	rec, sw, link := play(t, conversation)
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		dbtest.CheckModels(t, d, Models()...)
		k := kitOn(t, d)
		s := newService(t, k, keeping{link})
		if err := s.collect(t.Context(), work(t, rec)); err != nil {
			t.Fatal(err)
		}
		r := stored(t, s)
		if r.State != OK || r.LengthMS != 20000 || r.ExpectedMS != 20000 || r.MissingMS != 0 || r.Error != "" || len(r.SHA256) != 64 {
			t.Errorf("%+v", r)
		}
		if r.UnitID != "team" || r.QueueID != "q1" || r.AgentID != "agent-2" || strings.Join(r.Agents, " ") != "agent-1 agent-2 boss" {
			t.Errorf("%+v", r)
		}
		left, right := stereo(t, k, r)
		for i := 0.0; i < 20; i += 0.25 {
			cut := func(pcm []int16) []int16 { return pcm[int(i*wav.Rate):int((i+0.25)*wav.Rate)] }
			if !sounds(cut(left), "customer") || sounds(cut(right), "customer") || sounds(cut(left), "1001") {
				t.Errorf("at %.2f s: wrong tone on a side", i)
			}
			for party, in := range map[string][2]float64{"1001": {0, 6}, "1002": {6.25, 20}, "1003": {12.25, 15}} {
				if got, want := sounds(cut(right), party), i >= in[0] && i < in[1]; got != want && i != 6 && i != 12 && i != 15 {
					t.Errorf("at %.2f s: %s is heard: %v", i, party, got)
				}
			}
		}
		if p := wav.PeaksOf(r.Peaks, 2); len(p[0]) != 800 || p[0][400] < 50 || p[1][400] < 50 {
			t.Errorf("peaks: %v", p)
		}
	})
	if left := sw.Recordings(); len(left) != 4 {
		t.Errorf("the test's switch lost its tracks: %v", left)
	}
}

// keeping is a switch that does not forget tracks, so that one call can be collected several times.
type keeping struct{ Switch }

func (keeping) DropRecording(context.Context, pbx.RecordingID) error { return nil }

// A disk that fills up ends tracks early, and the switch calls them done: R-191.
func TestTruncated(t *testing.T) {
	rec, _, link := play(t, func(s *stage) {
		customer, a := s.phone("customer", call.LegCustomer, ""), s.phone("1001", call.LegAgent, "agent-1")
		s.record(customer, "customer", "")
		i := s.record(a, "agent", "agent-1")
		time.Sleep(10 * time.Second)
		s.sw.DiskFull(true)
		s.rec.Tracks[0].Ended, s.rec.Tracks[i].Ended = time.Now().UTC(), time.Now().UTC() // as package call hears it
		time.Sleep(5 * time.Second)
		s.hangup(a)
		s.hangup(customer)
	})
	k := kitOn(t, nil)
	s := newService(t, k, link)
	kerneltest.Run(t, k)
	if err := s.collect(t.Context(), work(t, rec)); err != nil {
		t.Fatal(err)
	}
	r := stored(t, s)
	if r.State != Truncated || r.LengthMS != 10000 || r.ExpectedMS != 15000 || r.MissingMS != 5000 || r.File == "" {
		t.Errorf("%+v", r)
	}
	var told Stored
	if err := waitFor(t, k, EventTruncated).Into(&told); err != nil || told.Actual != 10 || told.Expected != 15 || told.Missing != 5 {
		t.Errorf("%+v, %v", told, err)
	}
}

// waitFor reads the stream until an event of a type comes by.
func waitFor(t testing.TB, k *kernel.Kit, typ string) bus.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events, err := k.Bus.Tail(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	for e := range events {
		if e.Type == typ {
			return e
		}
	}
	t.Fatalf("no event %s", typ)
	return bus.Event{}
}

// A track that the switch never made is waited for, and then counted as missing.
func TestMissingTrack(t *testing.T) {
	rec, _, link := play(t, conversation)
	rec.Tracks[0].ID += "-gone"
	k := kitOn(t, nil)
	s := newService(t, k, link)
	j := work(t, rec)
	if err := s.collect(t.Context(), j); !errors.Is(err, pbx.ErrNoRecording) {
		t.Fatalf("within the time of patience: %v", err)
	}
	j.Added = j.Added.Add(-time.Hour)
	if err := s.collect(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	if r := stored(t, s); r.State != Truncated || r.MissingMS != 20000 || !strings.Contains(r.Error, "no finished recording") || r.File == "" {
		t.Errorf("%+v", r)
	}
	for i := range rec.Tracks { // nothing at all
		rec.Tracks[i].ID += "-gone"
	}
	rec.ID = "0190a000-0000-7000-8000-000000000002"
	j = work(t, rec)
	j.Added = j.Added.Add(-time.Hour)
	if err := s.collect(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(auth.System(t.Context()), ID(rec.ID))
	if err != nil || r.State != Failed || r.File != "" {
		t.Errorf("%+v, %v", r, err)
	}
}

// What the switch would not record is not waited for, and a call that is over at once leaves nothing.
func TestNothingToWaitFor(t *testing.T) {
	rec, _, link := play(t, conversation)
	s := newService(t, kitOn(t, nil), link)
	rec.Tracks[0].ID += "-gone"
	rec.Tracks[0].Ended = rec.Tracks[0].Started
	if err := s.collect(t.Context(), work(t, rec)); err != nil {
		t.Fatal(err)
	}
	if r := stored(t, s); r.State != Truncated || r.MissingMS != 20000 {
		t.Errorf("%+v", r)
	}
	rec.ID, rec.Tracks, rec.Legs = "short", rec.Tracks[:1], nil
	rec.Tracks[0].Ended, rec.Ended = time.Time{}, rec.Tracks[0].Started.Add(300*time.Millisecond)
	if err := s.collect(t.Context(), work(t, rec)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(auth.System(t.Context()), "short"); !errors.Is(err, problem.ErrNotFound) {
		t.Errorf("a recording of nothing: %v", err)
	}
}

// Cut off at any place and done again, the work is done once, and no track is dropped before its file is stored.
func TestCollectAgain(t *testing.T) {
	rec, sw, link := play(t, conversation)
	k := kitOn(t, nil)
	s := newService(t, k, link)
	j := work(t, rec)
	fault := errors.New("fault")
	must := func(want error) {
		t.Helper()
		if err := s.collect(t.Context(), j); !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
	}
	sw.FailNext(pbxtest.VerbFetchRecording, pbx.ErrUnreachable)
	must(pbx.ErrUnreachable)
	good := k.Files
	k.Files = closedStore(t)
	if err := s.collect(t.Context(), j); err == nil {
		t.Fatal("stored in a folder that is none")
	}
	k.Files = good
	if n := len(sw.Recordings()); n != 4 {
		t.Fatalf("%d tracks left before anything was stored", n)
	}
	sw.FailNext(pbxtest.VerbDropRecording, fault)
	must(fault)
	was := stored(t, s)
	must(nil)
	if r := stored(t, s); r.SHA256 != was.SHA256 || !r.CreatedAt.Equal(was.CreatedAt) {
		t.Errorf("made twice: %+v", r)
	}
	if left := sw.Recordings(); len(left) != 0 {
		t.Errorf("left on the switch: %v", left)
	}
	must(nil)
}

// closedStore is a store whose folder is no folder.
func closedStore(t testing.TB) *files.Store {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "files")
	f, err := files.Open(t.Context(), "file://"+dir)
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = os.WriteFile(dir, nil, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The whole way: a call's event, sent twice, becomes one recording, one message and one task; the switch is out of reach at
// first..
func TestRun(t *testing.T) {
	rec, sw, link := play(t, func(s *stage) {
		conversation(s)
		c := s.phone("caller", call.LegCustomer, "")
		i := s.record(c, "message", "")
		time.Sleep(12 * time.Second)
		s.hangup(c)
		s.rec.Tracks[i].Queue = "q1"
	})
	k := kitOn(t, nil)
	messages := voicemail.New(k, units, voicemail.Config{})
	s := New(k, One(link), messages, Config{})
	kerneltest.Run(t, k)
	run(t, s.Run)
	run(t, messages.Run)
	sw.FailNext(pbxtest.VerbFetchRecording, pbx.ErrUnreachable)
	e := bus.NewEvent(call.EventRecord, string(rec.ID), rec).For(rec.Unit, rec.UnitPath)
	again := e
	e.ID = string(rec.ID)
	k.Bus.Publish(e, again)
	waitFor(t, k, EventStored)
	var m voicemail.Message
	if err := waitFor(t, k, voicemail.EventStored).Into(&m); err != nil || m.LengthMS != 12000 || m.State != voicemail.Kept {
		t.Errorf("message %+v, %v", m, err)
	}
	var task voicemail.Task
	if err := waitFor(t, k, voicemail.EventAdded).Into(&task); err != nil || task.Kind != voicemail.HearMessage || task.MessageID != m.ID || task.QueueID != "q1" {
		t.Errorf("task %+v, %v", task, err)
	}
	for range 200 {
		if len(sw.Recordings()) == 0 {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	if left := sw.Recordings(); len(left) != 0 {
		t.Errorf("left on the switch: %v", left)
	}
	if r := stored(t, s); r.State != OK {
		t.Errorf("%+v", r)
	}
	full, err := messages.Message(auth.System(t.Context()), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	f, err := k.Files.Open(t.Context(), full.File)
	if err != nil || f.Size() != 44+12*8000*2 {
		t.Errorf("file of the message: %v", err)
	}
}

// run runs something until the end of the test.
func run(t testing.TB, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// hours is a switch with long recordings.
type hours struct{ n int64 }

func (h hours) FetchRecording(context.Context, pbx.RecordingID) (io.ReadCloser, error) {
	header := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x00\x00\x00\x00")
	return io.NopCloser(io.MultiReader(bytes.NewReader(header), io.LimitReader(ones{}, h.n*2))), nil
}

func (h hours) DropRecording(context.Context, pbx.RecordingID) error { return nil }

type ones struct{}

func (ones) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 1
	}
	return len(p), nil
}

// A long call does not stand in memory.
func TestLongCall(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 100 MB")
	}
	const length = 30 * time.Minute
	start := db.Now()
	rec := call.Record{ID: "long", Unit: "team", Ended: start.Add(length), Tracks: []call.Track{
		{ID: "a", Side: "customer", Started: start}, {ID: "b", Side: "agent", Started: start}}}
	k := kitOn(t, nil)
	store, err := files.Open(t.Context(), "file://"+t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	k.Files = store
	s := newService(t, k, hours{wav.Samples(length)})
	runtime.GC()
	var before, m runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := s.collect(t.Context(), work(t, rec)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&m)
	if took := m.TotalAlloc - before.TotalAlloc; took > 12<<20 {
		t.Errorf("%d MiB allocated in all", took>>20)
	}
	r, err := s.Get(auth.System(t.Context()), "long")
	if err != nil || r.LengthMS != length.Milliseconds() || r.State != OK {
		t.Errorf("%+v, %v", r, err)
	}
}
