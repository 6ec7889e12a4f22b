package pbxtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"

	"callplane/app/pbx"
)

// play starts a playback with an id of its own.
func (l *leg) play(media ...pbx.Media) pbx.PlayID {
	l.c.Helper()
	id := pbx.PlayID("play-" + l.c.s.unique())
	l.c.ok(l.c.s.sw.Play(l.c.ctx(), l.id, id, media...))
	return id
}

// played waits for a playback's end.
func (l *leg) played(id pbx.PlayID, ok bool) {
	l.c.Helper()
	_, got := l.next(patience, func(e pbx.Event) bool {
		return e.Kind == pbx.PlayEnded && e.Play == id && e.OK == ok
	})
	if !got {
		l.c.Fatalf("leg %s: no PlayEnded of %s with OK %v:\n%s", l.id, id, ok, story(l.events()))
	}
}

// playCases are about prompts.
var playCases = map[string]func(*check){
	"a list of prompts": func(c *check) {
		l := c.caller()
		one, two := c.s.rig.Prompt("one", time.Second), c.s.rig.Prompt("two", time.Second)
		start := time.Now()
		id := l.play(one, "silence:700", two)
		l.hears("play:" + string(one))
		l.hears()
		l.hears("play:" + string(two))
		l.played(id, true)
		if d := time.Since(start); d < 2500*time.Millisecond || d > 5*time.Second {
			c.Errorf("2.7 s of prompts took %v", d)
		}
		l.hears()
	},
	"before the answer": func(c *check) {
		l := c.callIn()
		prompt := c.s.rig.Prompt("early", 1500*time.Millisecond)
		if !c.s.sw.Features().EarlyMedia {
			c.is(c.s.sw.Play(c.ctx(), l.id, "early", prompt), pbx.ErrUnsupported)
			return
		}
		id := l.play(prompt)
		l.hears("play:" + string(prompt))
		l.played(id, true)
		l.never(pbx.Answered)
		c.ok(c.s.sw.Answer(c.ctx(), l.id))
		l.await(pbx.Answered)
	},
	"over the music": func(c *check) {
		l := c.caller()
		c.ok(c.s.sw.Park(c.ctx(), l.id, ""))
		l.hears("music:default")
		prompt := c.s.rig.Prompt("position", 1500*time.Millisecond)
		id := l.play(prompt)
		l.hears("play:" + string(prompt))
		l.played(id, true)
		l.hears("music:default")
	},
	"stopped": func(c *check) {
		l := c.caller()
		prompt := c.s.rig.Prompt("long", time.Minute)
		id := l.play(prompt, prompt)
		l.hears("play:" + string(prompt))
		c.ok(c.s.sw.StopPlay(c.ctx(), l.id, id))
		l.played(id, true)
		l.hears()
		c.ok(c.s.sw.StopPlay(c.ctx(), l.id, id))
	},
	"tones until stopped": func(c *check) {
		l := c.caller()
		id := l.play("tone:ring")
		l.never(pbx.PlayEnded)
		c.ok(c.s.sw.StopPlay(c.ctx(), l.id, id))
		l.played(id, true)
		l.played(l.play("tone:beep"), true)
	},
	"cannot be played": func(c *check) {
		l, prompt := c.caller(), c.s.rig.Prompt("whole", time.Second)
		l.played(l.play(c.s.rig.Broken()), false)
		id := l.play(c.s.rig.Broken(), prompt) // what can be played is
		l.hears("play:" + string(prompt))
		l.played(id, true)
		l.never(pbx.Ended)
	},
	"cut short by the end": func(c *check) {
		for _, end := range []func(*leg){
			func(l *leg) { c.ok(c.s.sw.Hangup(c.ctx(), l.id, pbx.NormalClearing)) },
			func(l *leg) { l.peer.Hangup() },
		} {
			l, prompt := c.caller(), c.s.rig.Prompt("long", time.Minute)
			id := l.play(prompt)
			l.hears("play:" + string(prompt))
			end(l)
			l.played(id, false)
			l.await(pbx.Ended)
		}
	},
	"one playback after another": func(c *check) {
		l := c.caller()
		one, two := c.s.rig.Prompt("first", 1500*time.Millisecond), c.s.rig.Prompt("second", time.Second)
		first, second := l.play(one), l.play(two)
		l.hears("play:" + string(one))
		l.played(first, true)
		l.hears("play:" + string(two))
		l.played(second, true)
	},
	"in a talk": func(c *check) {
		a, b := c.caller(), c.agent()
		c.join(c.room(), a, b)
		a.hears(b)
		prompt := c.s.rig.Prompt("whisper", 1500*time.Millisecond)
		id := a.play(prompt)
		c.eventually("the prompt is heard", func() bool {
			for _, what := range a.peer.Hears() {
				if what == "play:"+string(prompt) {
					return true
				}
			}
			return false
		})
		a.played(id, true)
		a.hears(b)
		b.hears(a)
	},
}

// record starts a recording with an id of its own, in a folder.
func (l *leg) record(limit time.Duration) pbx.RecordingID {
	l.c.Helper()
	id := pbx.RecordingID("suite/" + l.c.s.unique())
	l.c.ok(l.c.s.sw.Record(l.c.ctx(), l.id, id, limit))
	l.c.equal("recording", l.await(pbx.RecordStarted).Recording, id)
	return id
}

// recorded waits for the end of a recording, reads it, and compares its length.
func (l *leg) recorded(id pbx.RecordingID, length time.Duration) []float64 {
	l.c.Helper()
	e, ok := l.next(patience, func(e pbx.Event) bool { return e.Kind == pbx.RecordEnded && e.Recording == id })
	if !ok || !e.OK {
		l.c.Fatalf("leg %s: no good RecordEnded of %s:\n%s", l.id, id, story(l.events()))
	}
	near(l.c, "RecordEnded.Length", e.Length, length, 1100*time.Millisecond) // some switches tell whole seconds
	audio := l.c.fetch(id)
	near(l.c, "length of the file", time.Duration(len(audio))*time.Second/Rate, length, 600*time.Millisecond)
	return audio
}

func near(c *check, what string, got, want, slack time.Duration) {
	c.Helper()
	if got < want-slack || got > want+slack {
		c.Errorf("%s is %v, want about %v", what, got, want)
	}
}

// fetch reads a recording as samples.
func (c *check) fetch(id pbx.RecordingID) []float64 {
	c.Helper()
	f, err := c.s.sw.FetchRecording(c.ctx(), id)
	c.ok(err)
	defer f.Close()
	b, err := io.ReadAll(f)
	c.ok(err)
	samples, err := parseWAV(b)
	c.ok(err)
	return samples
}

// parseWAV takes a mono WAV of 8 kHz and 16 bits apart.
func parseWAV(b []byte) ([]float64, error) {
	if len(b) < 12 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WAVE" {
		return nil, fmt.Errorf("not a WAV: %.12q", b)
	}
	for b = b[12:]; len(b) >= 8; {
		size := min(int(binary.LittleEndian.Uint32(b[4:])), len(b)-8)
		chunk := b[8 : 8+size]
		switch string(b[:4]) {
		case "fmt ":
			want := []byte{1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x80, 0x3e, 0, 0, 2, 0, 16, 0}
			if !bytes.Equal(chunk[:16], want) {
				return nil, fmt.Errorf("not mono, 8 kHz, 16 bits: %v", chunk)
			}
		case "data":
			out := make([]float64, size/2)
			for i := range out {
				out[i] = float64(int16(binary.LittleEndian.Uint16(chunk[2*i:]))) / 32768
			}
			return out, nil
		}
		b = b[8+size+size%2:]
	}
	return nil, fmt.Errorf("a WAV without data")
}

// toned is how many seconds of the audio have a tone, in windows of 100 ms.
func toned(audio []float64, hertz float64) time.Duration {
	const window = Rate / 10
	n := time.Duration(0)
	for ; len(audio) >= window; audio = audio[window:] {
		var re, im, power float64
		for i, s := range audio[:window] {
			sin, cos := math.Sincos(2 * math.Pi * hertz * float64(i) / Rate)
			re, im, power = re+s*cos, im+s*sin, power+s*s
		}
		if level := 2 * math.Hypot(re, im) / window; level > 0.02 && level*level/2 > 0.3*power/window {
			n++
		}
	}
	return n * 100 * time.Millisecond
}

// recordCases are about recordings.
var recordCases = map[string]func(*check){
	"each side has its own": func(c *check) {
		a, b := c.caller(), c.agent()
		c.join(c.room(), a, b)
		a.hears(b)
		ra, rb := a.record(time.Minute), b.record(time.Minute)
		time.Sleep(2 * time.Second)
		_, err := c.s.sw.FetchRecording(c.ctx(), ra)
		c.is(err, pbx.ErrNoRecording) // not finished
		c.ok(c.s.sw.StopRecord(c.ctx(), ra))
		c.ok(c.s.sw.StopRecord(c.ctx(), rb))
		audio := a.recorded(ra, 2*time.Second)
		near(c, "caller in the caller's file", toned(audio, a.peer.Tone()), 2*time.Second, 700*time.Millisecond)
		c.equal("agent in the caller's file", toned(audio, b.peer.Tone()), time.Duration(0))
		audio = b.recorded(rb, 2*time.Second)
		near(c, "agent in the agent's file", toned(audio, b.peer.Tone()), 2*time.Second, 700*time.Millisecond)
		c.equal("caller in the agent's file", toned(audio, a.peer.Tone()), time.Duration(0))
		c.ok(c.s.sw.StopRecord(c.ctx(), ra))
		c.ok(c.s.sw.DropRecording(c.ctx(), ra))
		c.ok(c.s.sw.DropRecording(c.ctx(), ra))
		_, err = c.s.sw.FetchRecording(c.ctx(), ra)
		c.is(err, pbx.ErrNoRecording)
		c.ok(c.s.sw.DropRecording(c.ctx(), rb))
		a.hears(b)
		b.hears(a)
	},
	"masked in the middle": func(c *check) {
		a := c.caller()
		id := a.record(time.Minute)
		time.Sleep(time.Second)
		c.ok(c.s.sw.MaskRecord(c.ctx(), id, true))
		time.Sleep(time.Second)
		c.ok(c.s.sw.MaskRecord(c.ctx(), id, false))
		time.Sleep(time.Second)
		c.ok(c.s.sw.StopRecord(c.ctx(), id))
		audio := a.recorded(id, 3*time.Second)
		near(c, "what is not masked", toned(audio, a.peer.Tone()), 2*time.Second, 500*time.Millisecond)
		c.ok(c.s.sw.DropRecording(c.ctx(), id))
	},
	"wherever the leg goes": func(c *check) {
		a, b, room := c.caller(), c.agent(), c.room()
		id := a.record(time.Minute)
		c.ok(c.s.sw.Park(c.ctx(), a.id, ""))
		time.Sleep(700 * time.Millisecond)
		c.join(room, a, b)
		time.Sleep(700 * time.Millisecond)
		c.ok(c.s.sw.Leave(c.ctx(), a.id))
		time.Sleep(700 * time.Millisecond)
		a.never(pbx.RecordEnded)
		c.ok(c.s.sw.StopRecord(c.ctx(), id))
		audio := a.recorded(id, 2400*time.Millisecond)
		near(c, "the caller in it", toned(audio, a.peer.Tone()), 2400*time.Millisecond, 900*time.Millisecond)
		c.equal("the agent in it", toned(audio, b.peer.Tone()), time.Duration(0))
		c.ok(c.s.sw.DropRecording(c.ctx(), id))
	},
	"until the leg ends": func(c *check) {
		for _, end := range []func(*leg){
			func(l *leg) { c.ok(c.s.sw.Hangup(c.ctx(), l.id, pbx.NormalClearing)) },
			func(l *leg) { l.peer.Hangup() },
		} {
			for _, l := range []*leg{c.caller(), c.agent()} {
				id := l.record(time.Minute)
				time.Sleep(time.Second)
				end(l)
				l.recorded(id, time.Second)
				l.await(pbx.Ended) // RecordEnded came before it
				c.ok(c.s.sw.DropRecording(c.ctx(), id))
			}
		}
	},
	"until its limit": func(c *check) {
		l := c.caller()
		id := l.record(time.Second)
		l.recorded(id, 1500*time.Millisecond) // it is a guard: some switches count in whole seconds
		l.never(pbx.Ended)
		c.ok(c.s.sw.DropRecording(c.ctx(), id))
	},
}
