package ari

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/pbx"
)

// translate turns one event of Asterisk's into ours. Switch.mu is held.
func (s *Switch) translate(f *frame) {
	switch f.Type {
	case ari.Events.PeerStatusChange, ari.Events.ContactStatusChange:
		s.lineChanged(f)
	case ari.Events.PlaybackStarted, ari.Events.PlaybackFinished:
		s.playChanged(f)
	case ari.Events.RecordingStarted, ari.Events.RecordingFinished, ari.Events.RecordingFailed:
		s.recordChanged(f)
	case ari.Events.Dial:
		s.dialChanged(f)
	case transferEvent:
		if l := s.legs[pbx.LegID(f.ReferredBy.Source.ID)]; l != nil && l.last == nil && f.State == "" {
			l.referred = time.Now()
			s.tell(pbx.Event{Kind: pbx.TransferAsked, Leg: l.id, At: f.at(), To: f.ReferTo.Requested.Destination})
		}
	default:
		if id := f.Channel.ID; helper(id) {
			s.helperChanged(f)
		} else if id != "" {
			s.channelChanged(f, pbx.LegID(id))
		}
	}
}

// channelChanged is translate for the events of one channel.
func (s *Switch) channelChanged(f *frame, id pbx.LegID) {
	l := s.legs[id]
	if _, over := s.done[id]; over && l == nil {
		return // an echo of a leg that has ended
	}
	if l != nil && l.last != nil {
		return // only its recordings are waited for
	}
	switch f.Type {
	case ari.Events.StasisStart:
		s.stasisStart(f, id, l)
		return
	case ari.Events.StasisEnd:
		switch {
		case l != nil && l.dialled: // ChannelDestroyed follows and knows the cause
			if l.due.IsZero() {
				l.due = time.Now().Add(destroyGrace)
				s.dying[id] = l
			}
		case l != nil:
			s.end(l, f.at())
		case s.ours(&f.Channel):
			s.end(s.newLeg(id), f.at())
		}
		return
	case ari.Events.ChannelDestroyed:
		if l == nil { // one that was dialled before our time
			l = s.newLeg(id)
			l.dialled = true
		}
		if f.Cause > 0 {
			l.cause = pbx.Cause(f.Cause)
		}
		s.end(l, f.at())
		return
	}
	if l == nil {
		return
	}
	switch f.Type {
	case ari.Events.ChannelHangupRequest:
		switch {
		case !f.Soft: // by a SIP message; ours and Asterisk's own are soft
			l.party = true
			l.cause = pbx.Cause(f.Cause)
		case f.Cause == softDevice && l.cause == pbx.CauseUnknown:
			l.cause = pbx.MediaTimeout
		}
	case ari.Events.ChannelStateChange:
		if f.Channel.up() && !l.dialled {
			s.answered(l, f.at())
		}
	case ari.Events.ChannelDtmfReceived:
		if len(f.Digit) == 1 && strings.Contains("0123456789*#ABCD", f.Digit) && l.pressed(f.Digit, f.at()) {
			s.tell(pbx.Event{Kind: pbx.Digit, Leg: id, At: f.at(), Digit: f.Digit})
		}
	case ari.Events.ChannelHold:
		s.tell(pbx.Event{Kind: pbx.Held, Leg: id, At: f.at()})
	case ari.Events.ChannelUnhold:
		s.tell(pbx.Event{Kind: pbx.Unheld, Leg: id, At: f.at()})
	}
}

// keyGap is less than any finger needs from key to key. When the packets of a key come late and all at once, Asterisk
// tells of the key twice, 5 to 35 ms apart (seen on 22.10.1 with a starved processor).
const keyGap = 40 * time.Millisecond

// pressed tells whether a key is news.
func (l *leg) pressed(key string, at time.Time) bool {
	echo := key == l.key && at.Sub(l.keyAt).Abs() < keyGap
	l.key, l.keyAt = key, at
	return !echo
}

// softDevice is the cause of a soft ChannelHangupRequest when the SIP channel gave up for want of RTP. A soft one has a
// flag of Asterisk's there instead of a Q.850 cause; a DELETE has 32.
const softDevice = 1

// answered tells Answered, once.
func (s *Switch) answered(l *leg, at time.Time) {
	if l.answered || l.last != nil {
		return
	}
	l.answered = true
	s.tell(pbx.Event{Kind: pbx.Answered, Leg: l.id, At: at})
}

// stasisStart is a leg that is ours to command from now on: one that we dialled and that was answered, or a call.
func (s *Switch) stasisStart(f *frame, id pbx.LegID, l *leg) {
	if l == nil {
		l = s.newLeg(id)
	}
	if l.dialled || len(f.Args) > 0 && f.Args[0] == "dial" {
		l.dialled = true
		s.answered(l, f.at())
		return
	}
	if l.arrived {
		return
	}
	l.arrived = true
	e := arrival(f)
	l.phone = e.Phone != ""
	s.tell(e)
	if f.Channel.up() {
		s.answered(l, f.at())
	}
	if l.phone {
		s.laterLocked("keep transfers of a phone in our hands", func(ctx context.Context) error {
			err := s.do(ctx, ask{op: "set variable", method: http.MethodPost, path: path("channels", string(id), "variable"),
				query: url.Values{"variable": {transferVariable}, "value": {transferOurs}}}, nil)
			return gone(err)
		})
	}
}

// With this a REFER is only reported, and moves nothing.
const (
	transferVariable = "PJSIP_TRANSFER_HANDLING()"
	transferOurs     = "ari-only"
)

// arrival makes Arrived from the words that the dialplan gave to Stasis:
//
//	inbound,trunk|phone,<endpoint>,<dialled number>[,pres=<presentation>][,<header>=<value>]…
func arrival(f *frame) pbx.Event {
	e := pbx.Event{Kind: pbx.Arrived, Leg: pbx.LegID(f.Channel.ID), At: f.at(),
		From: f.Channel.Caller.Number, FromName: f.Channel.Caller.Name, To: f.Channel.Dialplan.Exten}
	words := f.Args
	if len(words) > 0 {
		words = words[1:]
	}
	phone := false
	if len(words) > 0 && (words[0] == "trunk" || words[0] == "phone") {
		phone, words = words[0] == "phone", words[1:]
	}
	if len(words) > 0 {
		name := strings.TrimPrefix(words[0], prefix)
		if phone {
			e.Phone = name
			e.From = strings.TrimPrefix(e.From, prefix)
		} else {
			e.Trunk = name
		}
	}
	if len(words) > 1 {
		e.To = words[1]
	}
	pres := ""
	for i := 2; i < len(words); i++ {
		name, value, ok := strings.Cut(words[i], "=")
		for ; i+1 < len(words) && !strings.Contains(words[i+1], "="); i++ { // a comma in the value
			value += "," + words[i+1]
		}
		switch {
		case !ok || value == "":
		case name == "pres":
			pres = value
		default:
			if e.Headers == nil {
				e.Headers = map[string]string{}
			}
			e.Headers[name] = value
		}
	}
	if e.FromName == noName {
		e.FromName = ""
	}
	if anonymous[strings.ToLower(e.From)] || strings.HasPrefix(pres, "prohib") {
		e.From, e.FromName, e.Withheld = "", "", true
	}
	return e
}

// anonymous are the numbers that are none.
var anonymous = map[string]bool{
	"": true, "anonymous": true, "restricted": true, "unavailable": true, "unknown": true, "private": true, "withheld": true,
}

// dialChanged is news of a leg that we dial.
func (s *Switch) dialChanged(f *frame) {
	l := s.legs[pbx.LegID(f.Peer.ID)]
	if l == nil || l.last != nil {
		return
	}
	e := pbx.Event{Leg: l.id, At: f.at()}
	switch f.DialStatus {
	case "":
	case "RINGING":
		if !l.rang && !l.answered {
			e.Kind, l.rang = pbx.Ringing, true
			s.tell(e)
		}
	case "PROGRESS":
		if !l.progress && !l.answered {
			e.Kind, l.progress = pbx.Progress, true
			s.tell(e)
		}
	default:
		l.outcome = f.DialStatus
	}
}

// helperChanged is news of a snoop channel.
func (s *Switch) helperChanged(f *frame) {
	id := f.Channel.ID
	switch f.Type {
	case ari.Events.StasisStart:
		if c := s.waits[id]; c != nil {
			delete(s.waits, id)
			c <- nil
		}
	case ari.Events.StasisEnd, ari.Events.ChannelDestroyed:
		if c := s.waits[id]; c != nil {
			delete(s.waits, id)
			c <- pbx.ErrNoLeg
		}
	}
}

// ours tells whether a channel is, or was last, in our application, as far as Asterisk says so.
func (s *Switch) ours(c *channel) bool {
	app, _, _ := strings.Cut(c.Dialplan.AppData, ",")
	return c.Dialplan.AppName == "Stasis" && app == s.cfg.App
}

// lineChanged is news of a phone or trunk.
func (s *Switch) lineChanged(f *frame) {
	name, ok := strings.CutPrefix(f.Endpoint.Resource, prefix)
	if !ok || f.Endpoint.Technology != "PJSIP" || !s.provision.wanted(name) {
		return
	}
	s.news[name] = time.Now()
	s.setLine(name, lineState(f.Endpoint.State), f.at())
}

// setLine notes the state of a line, and tells if it is another one.
func (s *Switch) setLine(name string, state pbx.LineState, at time.Time) {
	if s.lines[name] == state {
		return
	}
	s.lines[name] = state
	s.tell(pbx.Event{Kind: pbx.LineChanged, At: at, Line: name, LineState: state})
}

// lineState is Asterisk's word for the state of an endpoint in ours.
func lineState(state string) pbx.LineState {
	switch state {
	case "online":
		return pbx.LineUp
	case "offline":
		return pbx.LineDown
	}
	return pbx.LineUnknown
}
