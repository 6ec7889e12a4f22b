package pbxtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// Verb names a command of the port, for FailNext, Delay and Log.
type Verb string

// The verbs.
const (
	VerbSnapshot       Verb = "Snapshot"
	VerbProvision      Verb = "Provision"
	VerbDial           Verb = "Dial"
	VerbRing           Verb = "Ring"
	VerbAnswer         Verb = "Answer"
	VerbHangup         Verb = "Hangup"
	VerbPark           Verb = "Park"
	VerbJoin           Verb = "Join"
	VerbLeave          Verb = "Leave"
	VerbClose          Verb = "Close"
	VerbPlay           Verb = "Play"
	VerbStopPlay       Verb = "StopPlay"
	VerbSendDigits     Verb = "SendDigits"
	VerbMute           Verb = "Mute"
	VerbRecord         Verb = "Record"
	VerbMaskRecord     Verb = "MaskRecord"
	VerbStopRecord     Verb = "StopRecord"
	VerbFetchRecording Verb = "FetchRecording"
	VerbDropRecording  Verb = "DropRecording"
	VerbSpy            Verb = "Spy"
	VerbReferred       Verb = "Referred"
	AnyVerb            Verb = "" // for Delay: all of them
)

// ErrUsage is wrapped by what the memory switch refuses because no sane control plane asks for it: a bad or used id,
// talk on a leg that was not answered.
var ErrUsage = errors.New("pbxtest: wrong use of the switch")

// enter begins a command: it waits as Delay says, fails as FailNext says, and otherwise locks sw.mu.
func (l *Link) enter(ctx context.Context, verb Verb) error {
	sw := l.sw
	sw.mu.Lock()
	wait := sw.delay[verb] + sw.delay[AnyVerb]
	sw.mu.Unlock()
	if wait > 0 {
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
	}
	if ctx.Err() != nil {
		return pbx.ErrUnreachable.With("%s: %v", verb, context.Cause(ctx))
	}
	sw.mu.Lock()
	if l.cut || l.dead {
		sw.mu.Unlock()
		return pbx.ErrUnreachable.With("%s: no connection to the switch", verb)
	}
	if q := sw.fail[verb]; len(q) > 0 {
		sw.fail[verb] = q[1:]
		sw.mu.Unlock()
		return q[0]
	}
	return nil
}

// do runs one command under the lock and writes it to the log.
func (l *Link) do(ctx context.Context, verb Verb, run func(sw *Switch) error, args ...any) error {
	err := l.enter(ctx, verb)
	if err != nil {
		l.sw.mu.Lock()
	} else {
		err = run(l.sw)
	}
	l.sw.note(verb, err, args)
	l.sw.mu.Unlock()
	return err
}

// on runs a command on one live leg.
func (l *Link) on(ctx context.Context, verb Verb, leg pbx.LegID, run func(p *Party) error, args ...any) error {
	return l.do(ctx, verb, func(sw *Switch) error {
		p, err := sw.leg(leg)
		if err != nil {
			return err
		}
		return run(p)
	}, append([]any{leg}, args...)...)
}

// leg finds a live leg.
func (sw *Switch) leg(id pbx.LegID) (*Party, error) {
	if p := sw.legs[id]; p != nil {
		return p, nil
	}
	return nil, pbx.ErrNoLeg.With("Leg %s is gone.", id)
}

// talking finds a leg that can be in a room: one that was answered, or one that arrived and may get early media.
func (sw *Switch) talking(id pbx.LegID) (*Party, error) {
	p, err := sw.leg(id)
	if err == nil && p.dial != nil && p.state != up {
		return nil, fmt.Errorf("%w: leg %s is not answered", ErrUsage, id)
	}
	return p, err
}

// note writes a line of the log: verb and arguments, then "!" and the error's name if it failed.
func (sw *Switch) note(verb Verb, err error, args []any) {
	if sw.opts.lean {
		return
	}
	var b strings.Builder
	b.WriteString(string(verb))
	for _, a := range args {
		if s := fmt.Sprint(a); s != "" {
			b.WriteByte(' ')
			b.WriteString(s)
		}
	}
	if err != nil {
		b.WriteString(" ! ")
		if p, ok := errors.AsType[*problem.Problem](err); ok {
			b.WriteString(p.Name)
		} else {
			b.WriteString(err.Error())
		}
	}
	sw.log = append(sw.log, b.String())
}

// Log lists the commands given so far, one a line: verb, leg, the rest; " ! " and the error's name when it failed.
// Snapshot and FetchRecording are no commands and are left out.
func (sw *Switch) Log() []string {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	return append([]string(nil), sw.log...)
}

// ClearLog forgets the log.
func (sw *Switch) ClearLog() {
	sw.mu.Lock()
	defer sw.mu.Unlock()
	sw.log = nil
}
