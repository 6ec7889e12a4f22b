package pbxtest

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"callplane/app/pbx"
)

// playback is one Play command: its media in turn.
type playback struct {
	id      pbx.PlayID
	media   []pbx.Media
	next    int // the media to play after the current one
	playing bool
	ok      bool // something was played
	timer   *time.Timer
}

// current is the media that sounds now, or "".
func (p *playback) current() pbx.Media {
	if !p.playing || strings.HasPrefix(string(p.media[p.next-1]), "silence:") {
		return ""
	}
	return p.media[p.next-1]
}

// Play plays media to the leg. A second Play waits until the first has ended.
func (l *Link) Play(ctx context.Context, leg pbx.LegID, id pbx.PlayID, media ...pbx.Media) error {
	args := []any{id}
	for _, m := range media {
		args = append(args, m)
	}
	return l.on(ctx, VerbPlay, leg, func(p *Party) error {
		if p.state != up && !p.sw.opts.features.EarlyMedia {
			return pbx.ErrUnsupported.With("This switch plays nothing before the answer.")
		}
		if _, err := p.sw.talking(leg); err != nil {
			return err
		}
		pb := &playback{id: id, media: media}
		p.plays = append(p.plays, pb)
		if len(p.plays) == 1 {
			p.playOn(pb)
		}
		return nil
	}, args...)
}

// StopPlay ends a playback.
func (l *Link) StopPlay(ctx context.Context, leg pbx.LegID, id pbx.PlayID) error {
	return l.do(ctx, VerbStopPlay, func(sw *Switch) error {
		if p := sw.legs[leg]; p != nil {
			for _, pb := range p.plays {
				if pb.id == id {
					p.endPlay(pb, true)
					return nil
				}
			}
		}
		return nil
	}, leg, id)
}

// playOn plays the next media that can be played, or ends the playback. The caller holds sw.mu.
func (p *Party) playOn(pb *playback) {
	pb.playing = false
	for pb.next < len(pb.media) {
		m := pb.media[pb.next]
		pb.next++
		length, ok := p.sw.length(m)
		if !ok {
			continue
		}
		pb.playing, pb.ok = true, true
		if pb.current() != "" {
			p.hear("play:" + string(m))
		}
		if length < forever {
			pb.timer = time.AfterFunc(length, func() {
				p.sw.mu.Lock()
				defer p.sw.mu.Unlock()
				if pb.playing && len(p.plays) > 0 && p.plays[0] == pb {
					p.playOn(pb)
				}
			})
		}
		return
	}
	p.endPlay(pb, pb.ok)
}

// endPlay ends a playback and goes on with the next one. The caller holds sw.mu.
func (p *Party) endPlay(pb *playback, ok bool) {
	if pb.timer != nil {
		pb.timer.Stop()
	}
	pb.playing = false
	first := p.plays[0] == pb
	p.plays = slices.DeleteFunc(p.plays, func(x *playback) bool { return x == pb })
	p.emit(pbx.Event{Kind: pbx.PlayEnded, Play: pb.id, OK: ok})
	switch {
	case !first || p.ending:
	case len(p.plays) > 0:
		p.playOn(p.plays[0])
	case p.parked:
		p.hear("music:" + p.music)
	}
}

// forever is the length of what plays until it is stopped.
const forever = time.Duration(1<<63 - 1)

// length tells how long media plays, and whether it can be played.
func (sw *Switch) length(m pbx.Media) (time.Duration, bool) {
	kind, rest, _ := strings.Cut(string(m), ":")
	switch kind {
	case "silence":
		ms, err := strconv.Atoi(rest)
		return time.Duration(ms) * time.Millisecond, err == nil && ms >= 0
	case "tone":
		switch rest {
		case "beep":
			return 200 * time.Millisecond, true
		case "ring", "busy", "congestion":
			return forever, true
		}
	case "http", "https":
		u, err := url.Parse(string(m))
		if err == nil && u.Host != "" && strings.HasSuffix(u.Path, ".wav") {
			return sw.opts.media(m)
		}
	}
	return 0, false
}

// hear notes what the switch begins to play to the party. The caller holds sw.mu.
func (p *Party) hear(what string) {
	if !p.sw.opts.lean {
		p.heard = append(p.heard, Heard{time.Now(), what})
	}
}

// Heard lists the prompts and the music the party heard so far.
func (p *Party) Heard() []Heard {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	return slices.Clone(p.heard)
}
