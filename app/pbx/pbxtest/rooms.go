package pbxtest

import (
	"context"
	"fmt"
	"slices"

	"callplane/app/pbx"
)

// room is legs that hear each other. It is forgotten when the last one leaves.
type room struct {
	id   pbx.RoomID
	legs []*Party
}

// spying is what an ear does.
type spying struct {
	target *Party
	mode   pbx.SpyMode
}

// Park takes the leg out of any room and plays it music.
func (l *Link) Park(ctx context.Context, leg pbx.LegID, music string) error {
	return l.do(ctx, VerbPark, func(sw *Switch) error {
		p, err := sw.talking(leg)
		if err != nil {
			return err
		}
		if music == "" {
			music = "default"
		}
		p.leave()
		p.parked, p.music = true, music
		if len(p.plays) == 0 {
			p.hear("music:" + music)
		}
		return nil
	}, leg, music)
}

// Join puts legs into a room. When one of them is gone, none is moved.
func (l *Link) Join(ctx context.Context, id pbx.RoomID, legs ...pbx.LegID) error {
	args := []any{id}
	for _, leg := range legs {
		args = append(args, leg)
	}
	return l.do(ctx, VerbJoin, func(sw *Switch) error {
		parties := make([]*Party, len(legs))
		for i, leg := range legs {
			p, err := sw.talking(leg)
			if err != nil {
				return err
			}
			parties[i] = p
		}
		r := sw.rooms[id]
		if r == nil {
			r = &room{id: id, legs: make([]*Party, 0, len(legs))}
		}
		for _, p := range parties {
			if p.room == r {
				continue
			}
			p.leave()
			p.room, r.legs = r, append(r.legs, p)
		}
		if len(r.legs) > 0 {
			sw.rooms[id] = r
		}
		return nil
	}, args...)
}

// Leave takes the leg out of its room or park. In neither, it does nothing.
func (l *Link) Leave(ctx context.Context, leg pbx.LegID) error {
	return l.on(ctx, VerbLeave, leg, func(p *Party) error {
		p.leave()
		return nil
	})
}

// Close ends a room.
func (l *Link) Close(ctx context.Context, id pbx.RoomID) error {
	return l.do(ctx, VerbClose, func(sw *Switch) error {
		if r := sw.rooms[id]; r != nil {
			for _, p := range slices.Clone(r.legs) {
				p.leave()
			}
		}
		return nil
	}, id)
}

// Spy makes one leg the ear on another's call.
func (l *Link) Spy(ctx context.Context, ear, target pbx.LegID, mode pbx.SpyMode) error {
	return l.do(ctx, VerbSpy, func(sw *Switch) error {
		e, err := sw.talking(ear)
		if err != nil {
			return err
		}
		t, err := sw.talking(target)
		if err != nil {
			return err
		}
		switch {
		case e == t:
			return fmt.Errorf("%w: leg %s cannot spy on itself", ErrUsage, ear)
		case mode != pbx.Listen && mode != pbx.Whisper && mode != pbx.Barge:
			return fmt.Errorf("%w: spy mode %q", ErrUsage, mode)
		case mode != pbx.Listen && !sw.opts.features.Whisper:
			return pbx.ErrUnsupported.With("This switch cannot %s.", mode)
		}
		if e.spying != nil && e.spying.target == t {
			e.spying.mode = mode
			return nil
		}
		e.leave()
		e.spying = &spying{t, mode}
		t.ears = append(t.ears, e)
		return nil
	}, ear, target, mode)
}

// leave takes the leg out of room, park and spying. The caller holds sw.mu.
func (p *Party) leave() {
	p.parked, p.music = false, ""
	p.unspy()
	r := p.room
	if r == nil {
		return
	}
	p.room = nil
	r.legs = slices.DeleteFunc(r.legs, func(x *Party) bool { return x == p })
	if len(r.legs) == 0 {
		delete(p.sw.rooms, r.id)
	}
}

// unspy ends the ear's spying. The caller holds sw.mu.
func (p *Party) unspy() {
	if p.spying == nil {
		return
	}
	t := p.spying.target
	t.ears = slices.DeleteFunc(t.ears, func(x *Party) bool { return x == p })
	p.spying = nil
}

// Silence is what a party hears that hears nothing.
const Silence = "silence"

// Hears is what the party hears now, sorted: the names of other parties, "music:<class>", "play:<media>", "ringing" for
// a caller who was told so, or "silence" alone.
func (p *Party) Hears() []string {
	p.sw.mu.Lock()
	defer p.sw.mu.Unlock()
	var out []string
	if p.state != gone && !p.held {
		out = p.hears()
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) == 0 {
		return []string{Silence}
	}
	return out
}

// hears is Hears without order and silence. The caller holds sw.mu.
func (p *Party) hears() []string {
	var out []string
	if len(p.plays) > 0 {
		if m := p.plays[0].current(); m != "" {
			out = append(out, "play:"+string(m))
		}
		return out
	}
	switch {
	case p.dial == nil && p.state == ringing && p.room == nil && !p.parked:
		return []string{"ringing"}
	case p.dial != nil && p.state != up:
		return nil
	case p.parked:
		out = append(out, "music:"+p.music)
	case p.room != nil:
		for _, other := range p.room.legs {
			if other != p {
				out = append(out, other.says(len(p.room.legs) == 2)...)
			}
		}
		for _, other := range p.room.legs {
			if other != p {
				out = append(out, other.fromEars(pbx.Barge)...)
			}
		}
	case p.spying != nil:
		t := p.spying.target
		out = append(out, t.says(false)...)
		for _, what := range t.hears() {
			if what != p.name {
				out = append(out, what)
			}
		}
	}
	return append(out, p.fromEars(pbx.Whisper, pbx.Barge)...)
}

// says is what the party sends into a call: its own voice, or music to its only partner while it holds the call.
func (p *Party) says(alone bool) []string {
	switch {
	case p.held && alone:
		return []string{"music:default"}
	case p.held, p.muted, p.vanished:
		return nil
	}
	return []string{p.name}
}

// fromEars is who speaks to this leg by spying on it in one of the modes.
func (p *Party) fromEars(modes ...pbx.SpyMode) []string {
	var out []string
	for _, e := range p.ears {
		if slices.Contains(modes, e.spying.mode) {
			out = append(out, e.says(false)...)
		}
	}
	return out
}
