package ari

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// playing is a playback that has not ended.
type playing struct {
	parts int       // that Asterisk plays one after another; nearly always one
	left  int       // that have not finished
	ok    bool      // something was played
	many  bool      // a part has several media
	since time.Time // when Asterisk began with the present one
}

// heard notes that a medium is over. Asterisk tells only how the last of them went; one that took any time was heard.
func (p *playing) heard(until time.Time) {
	p.ok = p.ok || p.many && !p.since.IsZero() && until.Sub(p.since) > 60*time.Millisecond
	p.since = until
}

// part is what Asterisk can play in one request.
type part struct {
	media  []string
	offset time.Duration // into the first
}

// Play plays media to a leg, all of it in one request, unless there is silence in the midst of it.
func (s *Switch) Play(ctx context.Context, id pbx.LegID, play pbx.PlayID, media ...pbx.Media) error {
	if play == "" || helper(string(play)) || len(media) == 0 {
		return problem.ErrInvalid.At("media", "required", "A playback needs a name and something to play.")
	}
	if err := s.present(id); err != nil {
		return err
	}
	parts := split(media)
	s.mu.Lock()
	l := s.legs[id]
	if l != nil && l.last == nil {
		l.plays[play] = &playing{parts: len(parts), left: len(parts), many: len(media) > 1}
	}
	s.mu.Unlock()
	for i, p := range parts {
		err := s.do(ctx, ask{op: "play", method: http.MethodPost,
			path: path("channels", string(id), "play", partID(play, i, len(parts))),
			body: map[string]any{"media": p.media, "offsetms": p.offset.Milliseconds()}}, nil)
		if err == nil {
			continue
		}
		if l != nil {
			s.mu.Lock()
			delete(l.plays, play)
			s.mu.Unlock()
		}
		return s.legError(id, err)
	}
	return nil
}

// partID names a part of a playback; the last has the playback's own id.
func partID(play pbx.PlayID, i, parts int) string {
	if i == parts-1 {
		return string(play)
	}
	return fmt.Sprintf("~%d~%s", i, play)
}

// playOf is the playback that a part belongs to.
func playOf(part string) pbx.PlayID {
	if rest, ok := strings.CutPrefix(part, "~"); ok {
		_, play, _ := strings.Cut(rest, "~")
		return pbx.PlayID(play)
	}
	return pbx.PlayID(part)
}

// The longest file of silence that comes with Asterisk.
const (
	silenceFile   = "sound:silence/10"
	silenceLength = 10 * time.Second
)

// split makes parts of a list: silence is the end of a file of silence, and only the first file of a part may be played
// from its midst.
func split(media []pbx.Media) []part {
	var parts []part
	for i, m := range media {
		uri, silence := mediaURI(m)
		if i == 0 || silence%silenceLength > 0 {
			parts = append(parts, part{})
		}
		p := &parts[len(parts)-1]
		if rest := silence % silenceLength; rest > 0 {
			p.media, p.offset = append(p.media, silenceFile), silenceLength-rest
		}
		for ; silence >= silenceLength; silence -= silenceLength {
			p.media = append(p.media, silenceFile)
		}
		if uri != "" {
			p.media = append(p.media, uri)
		}
	}
	return parts
}

// mediaURI is a piece of media as Asterisk names it, or how long to be silent. What we do not know becomes a sound that
// does not exist: it fails when its turn comes, like a prompt that is not there.
func mediaURI(m pbx.Media) (uri string, silence time.Duration) {
	kind, rest, _ := strings.Cut(string(m), ":")
	switch kind {
	case "http", "https":
		return "sound:" + string(m), 0
	case "tone":
		switch rest {
		case "beep":
			return "sound:beep", 0
		case "ring", "busy", "congestion": // as indications.conf has them for the country; they end by StopPlay
			return "tone:" + rest, 0
		}
	case "silence":
		if ms, err := strconv.Atoi(rest); err == nil && ms > 0 && ms <= 3_600_000 {
			return "", time.Duration(ms) * time.Millisecond
		}
	}
	return "sound:callplane-no-such-sound", 0
}

// StopPlay ends a playback.
func (s *Switch) StopPlay(ctx context.Context, id pbx.LegID, play pbx.PlayID) error {
	parts := 1
	s.mu.Lock()
	if l := s.legs[id]; l != nil && l.plays[play] != nil {
		parts = l.plays[play].parts
	}
	s.mu.Unlock()
	var first error
	for i := range parts { // from the last to the first, so that none begins meanwhile
		name := partID(play, parts-1-i, parts)
		err := gone(s.do(ctx, ask{op: "stop_play", method: http.MethodDelete, path: path("playbacks", name)}, nil))
		if first == nil {
			first = err
		}
	}
	return first
}

// playChanged is news of a playback: PlayEnded is told once for each. Switch.mu is held.
func (s *Switch) playChanged(f *frame) {
	name, ok := strings.CutPrefix(f.Playback.TargetURI, "channel:")
	l := s.legs[pbx.LegID(name)]
	play := playOf(f.Playback.ID)
	if !ok || l == nil || l.last != nil {
		return
	}
	p := l.plays[play]
	if f.Type == ari.Events.PlaybackStarted {
		if p != nil {
			p.heard(f.at())
		}
		return
	}
	switch {
	case p != nil:
	case l.before && !helper(f.Playback.ID): // it was begun before we came
		p = &playing{left: 1}
	default:
		return
	}
	p.left--
	p.heard(f.at())
	p.since = time.Time{}
	p.ok = p.ok || f.Playback.State == "done"
	if p.left > 0 {
		return
	}
	delete(l.plays, play)
	s.tell(pbx.Event{Kind: pbx.PlayEnded, Leg: l.id, At: f.at(), Play: play,
		OK: p.ok && (f.Playback.State == "done" || !l.leaving())})
}
