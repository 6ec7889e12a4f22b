package ari

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// spy is one leg listening to another: the ear sits in a bridge of its own, together with a snoop of the target.
type spy struct {
	ear, target pbx.LegID
	mode        pbx.SpyMode
	snoop       string
	bridge      string // where the ear sits; another one each time that it comes to listen
}

// whispers is where the ear's voice goes, seen from the target's channel.
var whispers = map[pbx.SpyMode]ari.Direction{
	pbx.Listen: "none", pbx.Whisper: ari.DirectionOut, pbx.Barge: ari.DirectionBoth,
}

// Spy lets the ear hear the target's call. A change of mode is a new snoop in the place of the old one.
func (s *Switch) Spy(ctx context.Context, ear, target pbx.LegID, mode pbx.SpyMode) error {
	whisper, ok := whispers[mode]
	if !ok {
		return problem.ErrInvalid.At("mode", "unknown", "%q is no way to listen.", mode)
	}
	if ear == target {
		return problem.ErrInvalid.At("target", "same", "A leg cannot listen to itself.")
	}
	sp := &spy{ear: ear, target: target, mode: mode, snoop: fmt.Sprintf("~spy~%x~%s", time.Now().UnixNano(), ear)}
	sp.bridge = sp.snoop
	s.mu.Lock()
	if old := s.spies[ear]; old != nil {
		sp.bridge = old.bridge
	}
	s.mu.Unlock()
	bridge := sp.bridge
	if err := s.enter(ctx, bridge, "mixing", ear); err != nil {
		return err
	}
	words := strings.Join([]string{"spy", string(ear), string(target), string(mode)}, ",")
	err := s.snoop(ctx, target, sp.snoop, ari.SnoopOptions{AppArgs: words, Spy: ari.DirectionBoth, Whisper: whisper})
	if err != nil {
		s.dropSpyBridge(ear, bridge)
		return err
	}
	s.mu.Lock()
	old := s.spies[ear]
	s.spies[ear] = sp
	here := s.legs[ear] == nil || s.legs[ear].place == bridge // it was not moved meanwhile
	if !here {
		s.endSpy(sp)
	}
	s.mu.Unlock()
	if old != nil {
		if err := s.hangupHelper(ctx, old.snoop); err != nil {
			return err
		}
	}
	if !here {
		return nil
	}
	err = s.do(ctx, ask{op: "add_channel", method: http.MethodPost, path: path("bridges", bridge, "addChannel"),
		query: url.Values{"channel": {sp.snoop}}}, nil)
	return s.legError(target, err, http.StatusBadRequest, http.StatusUnprocessableEntity)
}

// dropSpyBridge takes the ear's bridge away again, if nobody listens in it.
func (s *Switch) dropSpyBridge(ear pbx.LegID, bridge string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp := s.spies[ear]; sp == nil || sp.bridge != bridge {
		s.closeHelper(bridge)
	}
}

// closeHelper takes a bridge of ours away. Switch.mu is held.
func (s *Switch) closeHelper(bridge string) {
	delete(s.rooms, bridge)
	for _, l := range s.legs {
		if l.place == bridge {
			s.put(l, "")
		}
	}
	s.laterLocked("close a bridge", func(ctx context.Context) error {
		return gone(s.link.do(ctx, ask{op: "close_bridge", method: http.MethodDelete, path: path("bridges", bridge)}, nil))
	})
}

// endSpy ends a listening. Switch.mu is held.
func (s *Switch) endSpy(sp *spy) {
	if s.spies[sp.ear] == sp {
		delete(s.spies, sp.ear)
	}
	s.laterLocked("hang up a snoop", func(ctx context.Context) error { return s.hangupHelper(ctx, sp.snoop) })
	s.closeHelper(sp.bridge)
}

// spyLost ends the listenings that a leg which has gone was part of. Switch.mu is held.
func (s *Switch) spyLost(id pbx.LegID) {
	for _, sp := range s.spies {
		if sp.ear == id || sp.target == id {
			s.endSpy(sp)
		}
	}
}
