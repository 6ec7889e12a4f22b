package pbxtest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"callplane/app/pbx"
)

var (
	legID    = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	lineName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
)

// ringTime is how long a dialled party rings when Dial says nothing.
const ringTime = time.Minute

// Dial calls a phone or a number; the far end does what its OnCall says.
func (l *Link) Dial(ctx context.Context, leg pbx.LegID, d pbx.Dial) error {
	var p *Party
	var b Behaviour
	err := l.do(ctx, VerbDial, func(sw *Switch) (err error) {
		p, b, err = sw.dial(leg, d)
		return err
	}, dialArgs(leg, d)...)
	if err != nil {
		return err
	}
	b.run(p)
	return nil
}

func dialArgs(leg pbx.LegID, d pbx.Dial) []any {
	args := []any{leg, "phone=" + d.Phone}
	if d.Phone == "" {
		args[1] = "trunk=" + d.Trunk + " number=" + d.Number
	}
	if d.CallerNumber != "" {
		args = append(args, "from="+d.CallerNumber)
	}
	if d.Timeout > 0 {
		args = append(args, "timeout="+d.Timeout.String())
	}
	if d.AutoAnswer {
		args = append(args, "auto")
	}
	return args
}

// dial makes the leg and finds out how its far end will behave.
func (sw *Switch) dial(id pbx.LegID, d pbx.Dial) (*Party, Behaviour, error) {
	switch {
	case !legID.MatchString(string(id)):
		return nil, Behaviour{}, fmt.Errorf("%w: leg id %q", ErrUsage, id)
	case sw.legs[id] != nil:
		return nil, Behaviour{}, fmt.Errorf("%w: leg id %s is in use", ErrUsage, id)
	case (d.Phone == "") == (d.Trunk == ""):
		return nil, Behaviour{}, fmt.Errorf("%w: dial a phone or a trunk, not %+v", ErrUsage, d)
	case d.Trunk != "" && d.Number == "":
		return nil, Behaviour{}, fmt.Errorf("%w: no number to dial on trunk %s", ErrUsage, d.Trunk)
	}
	name := d.Phone + d.Trunk
	ln := sw.lines[name]
	if ln == nil || ln.trunk != (d.Trunk != "") || sw.state(ln) == pbx.LineDown {
		return nil, Behaviour{}, pbx.ErrNoLine.With("%s cannot be reached.", name)
	}
	p := &Party{
		sw: sw, id: id, name: d.Phone, trunk: d.Trunk, phone: d.Phone, from: d.CallerNumber, to: d.Phone, since: time.Now(), hertz: sw.tone(), dial: &d,
	}
	var b Behaviour
	if ln.trunk {
		p.name, p.to = d.Number, d.Number
		b = sw.trunk(name).behaviour(d.Number)
	} else {
		b = sw.phone(name).behaviour(d.AutoAnswer)
	}
	sw.legs[id] = p
	wait := d.Timeout
	if wait <= 0 {
		wait = ringTime
	}
	p.timer = time.AfterFunc(wait, func() {
		sw.mu.Lock()
		defer sw.mu.Unlock()
		if p.state < up {
			p.end(pbx.NoAnswer, false)
		}
	})
	return p, b, nil
}

// Ring tells an arriving caller that the other side rings.
func (l *Link) Ring(ctx context.Context, leg pbx.LegID) error {
	return l.on(ctx, VerbRing, leg, func(p *Party) error {
		if p.dial != nil {
			return fmt.Errorf("%w: ring on leg %s, which we dialled", ErrUsage, leg)
		}
		if p.state == trying {
			p.state, p.rang = ringing, true
		}
		return nil
	})
}

// Answer takes an arriving call. Answering an answered one does nothing.
func (l *Link) Answer(ctx context.Context, leg pbx.LegID) error {
	return l.on(ctx, VerbAnswer, leg, func(p *Party) error {
		if p.dial != nil {
			return fmt.Errorf("%w: answer on leg %s, which we dialled", ErrUsage, leg)
		}
		p.answer()
		return nil
	})
}

// Hangup ends a leg.
func (l *Link) Hangup(ctx context.Context, leg pbx.LegID, why pbx.Cause) error {
	return l.on(ctx, VerbHangup, leg, func(p *Party) error {
		if why == pbx.CauseUnknown {
			why = pbx.NormalClearing
		}
		p.end(why, true)
		return nil
	}, why)
}

// Referred answers the party's REFER. A phone that is told of success hangs up.
func (l *Link) Referred(ctx context.Context, leg pbx.LegID, done bool) error {
	return l.on(ctx, VerbReferred, leg, func(p *Party) error {
		if p.refer != referAsked {
			return nil
		}
		p.refer = referFailed
		if done {
			p.refer = referDone
			if !p.vanished {
				p.end(pbx.NormalClearing, false)
			}
		}
		return nil
	}, done)
}

// SendDigits sends DTMF to the party.
func (l *Link) SendDigits(ctx context.Context, leg pbx.LegID, digits string) error {
	return l.on(ctx, VerbSendDigits, leg, func(p *Party) error {
		if strings.Trim(digits, keys) != "" {
			return fmt.Errorf("%w: digits %q", ErrUsage, digits)
		}
		p.digits = append(p.digits, digits...)
		return nil
	}, digits)
}

// Mute stops what the party says, or lets it through again.
func (l *Link) Mute(ctx context.Context, leg pbx.LegID, on bool) error {
	return l.on(ctx, VerbMute, leg, func(p *Party) error {
		p.muted = on
		p.quiet()
		return nil
	}, on)
}
