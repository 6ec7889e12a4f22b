package ari

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// park is a bridge with music: the legs that wait in it, and since when.
//
// The music comes from a channel that Asterisk puts into the bridge when asked to. That channel goes when the last leg
// leaves, so the first leg that comes asks again. Asking while it plays would start the music anew for all who wait.
type park map[pbx.LegID]time.Time

// noticed is the longest time in which we hear that a leg has left.
const noticed = 3 * time.Second

// Park gives the leg music: it goes into the one holding bridge of the class, which plays to all who wait in it.
func (s *Switch) Park(ctx context.Context, id pbx.LegID, music string) error {
	if music == "" {
		music = "default"
	}
	if !goodName(music) {
		return problem.ErrInvalid.At("music", "malformed", "%q is no class of music.", music)
	}
	bridge := s.parkPrefix() + music
	if err := s.enter(ctx, bridge, "holding", id); err != nil {
		return err
	}
	s.mu.Lock()
	alone := len(s.parks[bridge]) < 2
	s.mu.Unlock()
	if alone {
		return s.startMusic(ctx, bridge)
	}
	return nil
}

// startMusic makes the music of a park play.
func (s *Switch) startMusic(ctx context.Context, bridge string) error {
	return s.do(ctx, ask{op: "bridge_moh", method: http.MethodPost, path: path("bridges", bridge, "moh"),
		query: url.Values{"mohClass": {strings.TrimPrefix(bridge, s.parkPrefix())}}}, nil)
}

// setPlace notes where legs are now, and ends the listening of one that was moved.
func (s *Switch) setPlace(bridge string, ids ...pbx.LegID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if l := s.legs[id]; l != nil {
			s.put(l, bridge)
		}
		if sp := s.spies[id]; sp != nil && sp.bridge != bridge {
			s.endSpy(sp)
		}
	}
}

// put notes where a leg is now. Switch.mu is held.
func (s *Switch) put(l *leg, bridge string) {
	if l.place == bridge {
		return
	}
	if p := s.parks[l.place]; p != nil {
		delete(p, l.id)
		s.left(l.place, p)
	}
	l.place = bridge
	if strings.HasPrefix(bridge, s.parkPrefix()) {
		if s.parks[bridge] == nil {
			s.parks[bridge] = park{}
		}
		s.parks[bridge][l.id] = time.Now()
	}
}

// left starts the music anew if all who are in a park may have come after the last of the others went: it went with
// that one, while we took it for playing. Switch.mu is held.
func (s *Switch) left(bridge string, p park) {
	for _, since := range p {
		if time.Since(since) > noticed {
			return
		}
	}
	if len(p) > 0 {
		s.laterLocked("start music", func(ctx context.Context) error { return gone(s.startMusic(ctx, bridge)) })
	}
}
