package ari

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// A room is a bridge with the room's id. Digits are to be heard from legs in it too, so it is never one of those whose
// audio Asterisk passes through without a look.
const roomType = "mixing,dtmf_events"

// parkPrefix begins the ids of the bridges with music.
func (s *Switch) parkPrefix() string { return s.cfg.App + "-park-" }

// Join puts legs into a room. They come from wherever they are, without a step between.
func (s *Switch) Join(ctx context.Context, room pbx.RoomID, ids ...pbx.LegID) error {
	if room == "" || helper(string(room)) || len(ids) == 0 {
		return problem.ErrInvalid.At("room", "malformed", "A room needs a name and legs.")
	}
	bridge := string(room)
	return s.enter(ctx, bridge, roomType, ids...)
}

// enter adds legs to a bridge, which is made if we do not know it or if it has gone.
func (s *Switch) enter(ctx context.Context, bridge, kind string, ids ...pbx.LegID) error {
	if err := s.present(ids...); err != nil {
		return err
	}
	s.mu.Lock()
	there := s.rooms[bridge]
	s.mu.Unlock()
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = string(id)
	}
	for {
		if !there {
			if err := s.makeBridge(ctx, bridge, kind); err != nil {
				return err
			}
			s.mu.Lock()
			s.rooms[bridge] = true
			s.mu.Unlock()
		}
		err := s.do(ctx, ask{op: "add_channel", method: http.MethodPost, path: path("bridges", bridge, "addChannel"),
			query: url.Values{"channel": {strings.Join(names, ",")}}}, nil)
		if status(err) == http.StatusNotFound && there { // the bridge, not the leg: that would be 400
			there = false
			continue
		}
		if err != nil {
			return s.legError(ids[0], err, http.StatusBadRequest, http.StatusUnprocessableEntity)
		}
		s.setPlace(bridge, ids...)
		return nil
	}
}

// makeBridge makes a bridge; one that is there already is as good.
func (s *Switch) makeBridge(ctx context.Context, id, kind string) error {
	err := s.do(ctx, ask{op: "create_bridge", method: http.MethodPost, path: path("bridges", id),
		query: url.Values{"type": {kind}}}, nil)
	if status(err) == http.StatusConflict {
		return nil
	}
	return err
}

// Leave takes the leg out of its room or park.
func (s *Switch) Leave(ctx context.Context, id pbx.LegID) error {
	if err := s.present(id); err != nil {
		return err
	}
	s.mu.Lock()
	bridge := ""
	if l := s.legs[id]; l != nil {
		bridge = l.place
	}
	s.mu.Unlock()
	if bridge == "" { // in none, as far as we know; is there such a leg?
		err := s.do(ctx, ask{op: "channel", method: http.MethodGet, path: path("channels", string(id))}, nil)
		return s.legError(id, err)
	}
	err := s.takeOut(ctx, bridge, id)
	switch status(err) {
	case http.StatusBadRequest: // no such channel
		return s.legError(id, err, http.StatusBadRequest)
	case http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity: // no such bridge, or not in it: look
		bridge, lerr := s.findLeg(ctx, id)
		if lerr != nil {
			return lerr
		}
		if err = nil; bridge != "" {
			err = s.takeOut(ctx, bridge, id)
		}
	}
	if err == nil {
		s.setPlace("", id)
	}
	return s.legError(id, err, http.StatusBadRequest, http.StatusUnprocessableEntity)
}

// takeOut takes a channel out of a bridge.
func (s *Switch) takeOut(ctx context.Context, bridge string, id pbx.LegID) error {
	return s.do(ctx, ask{op: "remove_channel", method: http.MethodPost, path: path("bridges", bridge, "removeChannel"),
		query: url.Values{"channel": {string(id)}}}, nil)
}

// findLeg asks Asterisk in which bridge a leg is; empty is none.
func (s *Switch) findLeg(ctx context.Context, id pbx.LegID) (string, error) {
	err := s.do(ctx, ask{op: "channel", method: http.MethodGet, path: path("channels", string(id))}, nil)
	if err != nil {
		return "", s.legError(id, err)
	}
	var bridges []ari.BridgeData
	if err := s.do(ctx, ask{op: "bridges", method: http.MethodGet, path: path("bridges")}, &bridges); err != nil {
		return "", err
	}
	for _, b := range bridges {
		if slices.Contains(b.ChannelIDs, string(id)) {
			return b.ID, nil
		}
	}
	return "", nil
}

// Close ends a room.
func (s *Switch) Close(ctx context.Context, room pbx.RoomID) error {
	err := gone(s.do(ctx, ask{op: "close_bridge", method: http.MethodDelete, path: path("bridges", string(room))}, nil))
	if err != nil && status(err) != http.StatusConflict { // it is going already
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rooms, string(room))
	for _, l := range s.legs {
		if l.place == string(room) {
			s.put(l, "")
		}
	}
	return nil
}
