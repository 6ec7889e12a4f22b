package ari

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"callplane/app/pbx"
)

// caller is a leg that has arrived.
func (f *fake) caller(id string) pbx.LegID {
	f.send(arrive(id))
	f.await(pbx.Arrived, pbx.LegID(id))
	return pbx.LegID(id)
}

func (f *fake) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func playback(kind, id, state, at string) string {
	return fmt.Sprintf(`{"type":%q,"timestamp":"2026-11-22T06:00:%s+0000","playback":{"id":%q,"target_uri":"channel:x","state":%q}}`, kind, at, id, state)
}

func TestSplit(t *testing.T) {
	for _, tt := range []struct{ media, want string }{
		{"http://a/b.wav tone:ring", `[{[sound:http://a/b.wav tone:ring] 0s}]`},
		{"https://a/b.wav tone:beep", `[{[sound:https://a/b.wav sound:beep] 0s}]`},
		{"silence:500", `[{[sound:silence/10] 9.5s}]`},
		{"silence:20000", `[{[sound:silence/10 sound:silence/10] 0s}]`},
		{"silence:12500", `[{[sound:silence/10 sound:silence/10] 7.5s}]`},
		{"tone:beep silence:500 tone:beep", `[{[sound:beep] 0s} {[sound:silence/10 sound:beep] 9.5s}]`},
		{"tone:x silence:0 silence:-1 file:///etc/passwd", `[{[sound:callplane-no-such-sound sound:callplane-no-such-sound sound:callplane-no-such-sound sound:callplane-no-such-sound] 0s}]`},
	} {
		var list []pbx.Media
		for _, m := range strings.Fields(tt.media) {
			list = append(list, pbx.Media(m))
		}
		got := "["
		for i, p := range split(list) {
			got += []string{"", " "}[min(i, 1)] + fmt.Sprintf("{%v %v}", p.media, p.offset)
		}
		if got += "]"; got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.media, got, tt.want)
		}
	}
}

func TestPlayEndedOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		media  []pbx.Media
		frames []string
		want   []bool // OK of each PlayEnded
	}{
		"played":              {[]pbx.Media{"tone:beep"}, []string{playback("PlaybackFinished", "p", "done", "01.000")}, []bool{true}},
		"told twice":          {[]pbx.Media{"tone:beep"}, []string{playback("PlaybackFinished", "p", "done", "01.000"), playback("PlaybackFinished", "p", "done", "01.000")}, []bool{true}},
		"404, refused":        {[]pbx.Media{"http://a/b.wav"}, []string{playback("PlaybackFinished", "p", "failed", "01.000")}, []bool{false}},
		"another's playback":  {[]pbx.Media{"tone:beep"}, []string{playback("PlaybackFinished", "q", "done", "01.000")}, nil},
		"ended with the leg":  {[]pbx.Media{"tone:beep"}, []string{event("StasisEnd", "x", "Up"), playback("PlaybackFinished", "p", "failed", "01.000")}, []bool{false}},
		"cut short by hangup": {[]pbx.Media{"tone:beep"}, []string{event("ChannelHangupRequest", "x", "Up"), playback("PlaybackFinished", "p", "failed", "01.000")}, []bool{false}},
		"the first was played, the last is missing": {[]pbx.Media{"tone:beep", "http://a/b.wav"}, []string{playback("PlaybackStarted", "p", "playing", "01.000"),
			playback("PlaybackStarted", "p", "playing", "01.425"), playback("PlaybackFinished", "p", "failed", "01.426")}, []bool{true}},
		"all are missing": {[]pbx.Media{"http://a/a.wav", "http://a/b.wav"}, []string{playback("PlaybackStarted", "p", "playing", "01.000"),
			playback("PlaybackStarted", "p", "playing", "01.001"), playback("PlaybackFinished", "p", "failed", "01.002")}, []bool{false}},
		"in two parts": {[]pbx.Media{"tone:beep", "silence:500"}, []string{playback("PlaybackFinished", "~0~p", "done", "01.000"),
			playback("PlaybackFinished", "p", "failed", "01.500")}, []bool{true}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t).run()
			f.ok(f.sw.Play(t.Context(), f.caller("x"), "p", tt.media...))
			f.send(tt.frames...)
			f.settle()
			var got []bool
			for _, e := range f.events {
				if e.Kind == pbx.PlayEnded {
					got = append(got, e.OK)
				}
			}
			f.equal("PlayEnded", got, tt.want)
		})
	}
}

func TestPlayRequest(t *testing.T) {
	f := newFake(t).run()
	x := f.caller("x")
	f.ok(f.sw.Play(t.Context(), x, "p/1", "tone:beep", "silence:500"))
	b, _ := json.Marshal(f.body("POST /channels/x/play/p%2F1"))
	f.equal("second part", string(b), `{"media":["sound:silence/10"],"offsetms":9500}`)
	f.ok(f.sw.StopPlay(t.Context(), x, "p/1"))
	f.equal("stops", words(f.was("DELETE /playbacks/p%2F1"), f.was("DELETE /playbacks/~0~p%2F1")), "1 1")
	f.answer("DELETE /playbacks/old", 404, `{}`)
	f.ok(f.sw.StopPlay(t.Context(), x, "old"))
	f.answer("POST /channels/x/play/p2", 404, `{}`)
	f.is(f.sw.Play(t.Context(), x, "p2", "tone:beep"), pbx.ErrNoLeg)
	f.send(event("StasisEnd", "x", "Up"))
	f.await(pbx.Ended, "x")
	f.equal("events", f.kinds("x"), "Arrived PlayEnded Ended") // of p/1, not of the refused p2
}

// snoops makes the fake tell of each snoop that it has started, as Asterisk does.
func (f *fake) snoops() {
	f.rule("POST *", func(w http.ResponseWriter, r *http.Request) {
		if _, id, ok := strings.Cut(r.URL.Path, "/snoop/"); ok {
			f.send(event("StasisStart", id, "Up", `"args":["rec"]`))
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func recorded(kind, leg, name, state, at string, seconds int) string {
	return fmt.Sprintf(`{"type":%q,"timestamp":"2026-11-22T06:00:%s+0000","recording":{"name":%q,"target_uri":"channel:%s","state":%q,"duration":%d}}`,
		kind, at, name, recSnoop(pbx.LegID(leg), pbx.RecordingID(name)), state, seconds)
}

func TestRecordWaitsForTheSnoop(t *testing.T) {
	f := newFake(t).run()
	x := f.caller("x")
	snoop := recSnoop("x", "day/1")
	done := make(chan error, 1)
	go func() { done <- f.sw.Record(t.Context(), x, "day/1", time.Minute) }()
	f.until("the snoop", func() bool { return f.was("POST /channels/x/snoop/"+snoop) == 1 })
	time.Sleep(20 * time.Millisecond)
	f.equal("records before StasisStart", f.was("POST /channels/"+snoop+"/record"), 0) // would be 409
	f.send(event("StasisStart", snoop, "Up", `"args":["rec","day/1"]`))
	f.ok(<-done)
	f.equal("records", f.was("POST /channels/"+snoop+"/record?beep=false&format=wav&ifExists=overwrite&maxDurationSeconds=61&name=day%2F1&terminateOn=none"), 1)
	f.equal("spy", f.body("POST /channels/x/snoop/" + snoop)["spy"], "in")
	f.settle()
	f.equal("events of the snoop", f.kinds(pbx.LegID(snoop)), "")
}

func TestRecordingsBesideEachOther(t *testing.T) {
	f := newFake(t).run()
	f.snoops()
	f.caller("x")
	f.caller("y")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			leg := []pbx.LegID{"x", "y"}[i%2]
			if err := f.sw.Record(t.Context(), leg, pbx.RecordingID(fmt.Sprint("r", i)), time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestHowARecordingEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		stop   bool
		frames []string
		want   string
		ok     bool
		length time.Duration
	}{
		"stopped": {stop: true, frames: []string{recorded("RecordingFinished", "x", "r", "done", "05.500", 4)},
			want: "Arrived RecordStarted RecordEnded", ok: true, length: 4500 * time.Millisecond},
		"at its limit": {frames: []string{recorded("RecordingFinished", "x", "r", "done", "11.000", 10)},
			want: "Arrived RecordStarted RecordEnded", ok: true, length: 10 * time.Second},
		"the disk is full: it says done": {frames: []string{recorded("RecordingFinished", "x", "r", "done", "04.000", 3)},
			want: "Arrived RecordStarted RecordEnded", length: 3 * time.Second},
		"the disk was full long ago": {stop: true, frames: []string{recorded("RecordingFinished", "x", "r", "done", "09.000", 3)},
			want: "Arrived RecordStarted RecordEnded", ok: true, length: 3 * time.Second},
		"failed": {stop: true, frames: []string{recorded("RecordingFailed", "x", "r", "failed", "05.000", 0)},
			want: "Arrived RecordStarted RecordEnded"},
		"the leg ends first, its Ended waits": {frames: []string{event("ChannelHangupRequest", "x", "Up"), event("StasisEnd", "x", "Up"),
			event("ChannelDtmfReceived", "x", "Up", `"digit":"5"`), recorded("RecordingFinished", "x", "r", "done", "03.000", 2)},
			want: "Arrived RecordStarted RecordEnded Ended", ok: true, length: 2 * time.Second},
		"told twice": {stop: true, frames: []string{recorded("RecordingStarted", "x", "r", "recording", "01.000", 0),
			recorded("RecordingFinished", "x", "r", "done", "02.000", 1), recorded("RecordingFinished", "x", "r", "done", "02.000", 1)},
			want: "Arrived RecordStarted RecordEnded", ok: true, length: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t).run()
			f.snoops()
			x := f.caller("x")
			f.ok(f.sw.Record(t.Context(), x, "r", 10*time.Second))
			f.send(recorded("RecordingStarted", "x", "r", "recording", "01.000", 0))
			f.await(pbx.RecordStarted, x)
			if tt.stop {
				f.ok(f.sw.StopRecord(t.Context(), "r"))
			}
			f.send(tt.frames...)
			f.settle()
			f.equal("events", f.kinds(x), tt.want)
			e := f.await(pbx.RecordEnded, x)
			f.equal("ok, length", words(e.OK, e.Length), words(tt.ok, tt.length))
			f.until("the snoop is hung up", func() bool { return f.was("DELETE /channels/"+recSnoop("x", "r")) > 0 })
		})
	}
}

func TestARecordingThatDoesNotEndWithItsLeg(t *testing.T) {
	f := newFake(t).run()
	f.snoops()
	x := f.caller("x")
	f.ok(f.sw.Record(t.Context(), x, "r", time.Minute))
	f.send(recorded("RecordingStarted", "x", "r", "recording", "01.000", 0), event("StasisEnd", "x", "Up"))
	f.settle()
	f.equal("at once", f.count(pbx.Ended, x), 0)
	f.sw.sweep(time.Now().Add(time.Minute))
	f.await(pbx.Ended, x)
	f.send(recorded("RecordingFinished", "x", "r", "done", "02.000", 1))
	f.settle()
	f.equal("events", f.kinds(x), "Arrived RecordStarted RecordEnded Ended")
}

func TestASnoopThatNeverStarts(t *testing.T) {
	f := newFake(t).run()
	x := f.caller("x")
	done := make(chan error, 1)
	go func() { done <- f.sw.Record(t.Context(), x, "r", time.Minute) }()
	f.until("the snoop", func() bool { return f.was("POST /channels/x/snoop/") == 1 })
	f.send(event("ChannelDestroyed", recSnoop("x", "r"), "Up", `"cause":16`))
	f.is(<-done, pbx.ErrNoLeg)
	go func() { done <- f.sw.Record(t.Context(), x, "r2", time.Minute) }()
	f.until("the snoop", func() bool { return f.was("POST /channels/x/snoop/") == 2 })
	f.conn.CloseNow()
	f.is(<-done, pbx.ErrUnreachable)
}

func TestFetchAndDrop(t *testing.T) {
	f := newFake(t).run()
	f.answer("GET /recordings/stored/day%2F1/file", 200, "RIFFsound")
	r, err := f.sw.FetchRecording(t.Context(), "day/1")
	f.ok(err)
	b, err := io.ReadAll(r)
	f.ok(err)
	f.ok(r.Close())
	f.equal("sound", string(b), "RIFFsound")
	f.answer("GET /recordings/stored/no/file", 404, `{"message":"Recording not found"}`)
	_, err = f.sw.FetchRecording(t.Context(), "no")
	f.is(err, pbx.ErrNoRecording)
	f.answer("DELETE /recordings/stored/no", 404, `{}`)
	f.ok(f.sw.DropRecording(t.Context(), "no"))
	f.answer("POST /recordings/live/no/mute", 404, `{}`)
	f.is(f.sw.MaskRecord(t.Context(), "no", true), pbx.ErrNoRecording)
	f.answer("POST /recordings/live/no/stop", 404, `{}`)
	f.ok(f.sw.StopRecord(t.Context(), "no"))
	for _, bad := range []pbx.RecordingID{"", "../etc/passwd", "/etc/x"} {
		if f.sw.Record(t.Context(), "x", bad, 0) == nil {
			t.Errorf("%q is taken for a recording", bad)
		}
	}
}
