package ari

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// tagVariable keeps whom a leg is for, and its tag, until it is answered; from then on Stasis has them among its words.
const tagVariable = "CALLPLANE_TAG"

// Dial calls a phone or, over a trunk, a number. The leg comes to us when it is answered.
func (s *Switch) Dial(ctx context.Context, id pbx.LegID, d pbx.Dial) error {
	req, err := s.originate(id, d)
	if err != nil {
		return err
	}
	if err := s.ready("dial"); err != nil {
		return err
	}
	s.mu.Lock()
	if s.legs[id] != nil {
		s.mu.Unlock()
		return fmt.Errorf("dial: there is a leg %s already", id)
	}
	l := s.newLeg(id)
	l.dialled, l.arrived, l.phone = true, true, d.Phone != ""
	s.mu.Unlock()

	err = s.do(ctx, ask{op: "dial", method: http.MethodPost, path: path("channels"), body: req}, nil)
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.legs[id] == l && l.last == nil {
		delete(s.legs, id)
		delete(s.dying, id)
	}
	switch {
	case status(err) >= 500: // "Allocation failed": nobody is registered there, or there is no such line
		return fmt.Errorf("%w (%w)", pbx.ErrNoLine.With("%s cannot be reached.", d.Phone+d.Trunk), err)
	case errors.Is(err, pbx.ErrUnreachable): // it may have heard us all the same
		s.done[id] = time.Now()
		s.laterLocked("hang up a leg that nobody knows of", func(ctx context.Context) error {
			return gone(s.link.do(ctx, ask{op: "hangup", method: http.MethodDelete, path: path("channels", string(id))}, nil))
		})
	}
	return err
}

// originate is the request that Dial makes.
func (s *Switch) originate(id pbx.LegID, d pbx.Dial) (ari.OriginateRequest, error) {
	req := ari.OriginateRequest{
		ChannelID: string(id),
		App:       s.cfg.App,
		CallerID:  callerID(d.CallerNumber, d.CallerName),
		Timeout:   60,
		Variables: map[string]string{},
	}
	to := d.Phone
	if d.Trunk != "" {
		to = d.Number
	}
	switch {
	case !goodLeg(string(id)):
		return req, problem.ErrInvalid.At("leg", "malformed", "%q is no leg id.", id)
	case d.Phone != "" && goodName(d.Phone):
		req.Endpoint = "PJSIP/" + prefix + d.Phone
		req.Variables[transferVariable] = transferOurs
	case d.Trunk != "" && goodName(d.Trunk) && goodNumber(d.Number):
		req.Endpoint = "PJSIP/" + d.Number + "@" + prefix + d.Trunk
	default:
		return req, pbx.ErrNoLine.With("There is no line %q with number %q.", d.Phone+d.Trunk, d.Number)
	}
	if d.Timeout > 0 {
		req.Timeout = max(1, int((d.Timeout+time.Second-1)/time.Second))
	}
	req.AppArgs = "dial," + to + "," + d.Tag
	req.Variables[tagVariable] = to + "," + d.Tag
	if d.AutoAnswer {
		req.Variables["PJSIP_HEADER(add,Call-Info)"] = "<sip:callplane>;answer-after=0"
		req.Variables["PJSIP_HEADER(add,Alert-Info)"] = "<http://callplane>;info=alert-autoanswer;delay=0"
	}
	for name, value := range d.Headers {
		if !goodHeader(name, value) {
			return req, problem.ErrInvalid.At("headers", "malformed", "%q is no header for a call.", name)
		}
		req.Variables["PJSIP_HEADER(add,"+name+")"] = value
	}
	return req, nil
}

// callerID is a caller as Asterisk reads it.
func callerID(number, name string) string {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < ' ' || strings.ContainsRune(`"<>\`, r) {
				return -1
			}
			return r
		}, s)
	}
	number, name = clean(number), clean(name)
	switch {
	case number == "" && name == "":
		return ""
	case name == "":
		return "<" + number + ">"
	}
	return `"` + name + `" <` + number + ">"
}

// Ring tells the caller that the other side rings.
func (s *Switch) Ring(ctx context.Context, id pbx.LegID) error { return s.post(ctx, "ring", id, nil) }

// Answer takes a call.
func (s *Switch) Answer(ctx context.Context, id pbx.LegID) error {
	if err := s.post(ctx, "answer", id, nil); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.legs[id]; l != nil { // the event of it may come before or after
		s.answered(l, time.Now())
	}
	return nil
}

// Hangup ends or refuses a leg.
func (s *Switch) Hangup(ctx context.Context, id pbx.LegID, why pbx.Cause) error {
	if err := s.present(id); err != nil {
		return err
	}
	s.mu.Lock()
	l := s.legs[id]
	first, refuse := false, false
	if l != nil && l.last == nil {
		first = !l.asked
		l.asked, l.why = true, why
		refuse = !l.dialled && !l.answered
	}
	s.mu.Unlock()
	q := url.Values{"reason_code": {strconv.Itoa(int(why))}}
	if why < 1 || why > 127 || refuse && why == pbx.Declined { // 21 would answer the caller with 403, normal does with 603
		q = url.Values{"reason": {"normal"}}
	}
	err := s.do(ctx, ask{op: "hangup", method: http.MethodDelete, path: path("channels", string(id)), query: q}, nil)
	if err != nil && first && !errors.Is(err, pbx.ErrUnreachable) {
		s.mu.Lock()
		l.asked = false
		s.mu.Unlock()
	}
	return s.legError(id, err)
}

// Mute stops what the leg says, or lets it through again.
func (s *Switch) Mute(ctx context.Context, id pbx.LegID, on bool) error {
	if err := s.present(id); err != nil {
		return err
	}
	method := http.MethodDelete
	if on {
		method = http.MethodPost
	}
	err := s.do(ctx, ask{op: "mute", method: method, path: path("channels", string(id), "mute"),
		query: url.Values{"direction": {string(ari.DirectionIn)}}}, nil)
	return s.legError(id, err)
}

// SendDigits sends DTMF to the leg's party.
func (s *Switch) SendDigits(ctx context.Context, id pbx.LegID, digits string) error {
	if strings.Trim(digits, "0123456789*#ABCD") != "" {
		return problem.ErrInvalid.At("digits", "malformed", "%q are no digits.", digits)
	}
	if digits == "" {
		return nil
	}
	return s.post(ctx, "dtmf", id, url.Values{"dtmf": {digits}, "duration": {"100"}, "between": {"80"}})
}

// referPause is how long after ChannelTransfer we leave Asterisk alone. It says so before it has remembered the
// transfer (refer_incoming_ari_request in res_pjsip_refer.c, 22.10), and an answer in between kills it: seen.
const referPause = 250 * time.Millisecond

// Referred tells the phone what became of the transfer it asked for.
func (s *Switch) Referred(ctx context.Context, id pbx.LegID, done bool) error {
	s.mu.Lock()
	pause := time.Duration(0)
	if l := s.legs[id]; l != nil {
		pause = referPause - time.Since(l.referred)
	}
	s.mu.Unlock()
	if sleep(ctx, pause) != nil {
		return unreachable("transfer_progress", ctx.Err())
	}
	states := []string{"channel_progress", "channel_answered"}
	if !done {
		states = []string{"channel_declined"}
	}
	for _, state := range states {
		if err := s.post(ctx, "transfer_progress", id, url.Values{"states": {state}}); err != nil {
			return err
		}
	}
	return nil
}

// post is a command to a leg: POST /channels/{leg}/{verb}.
func (s *Switch) post(ctx context.Context, verb string, id pbx.LegID, q url.Values) error {
	if err := s.present(id); err != nil {
		return err
	}
	err := s.do(ctx, ask{op: verb, method: http.MethodPost, path: path("channels", string(id), verb), query: q}, nil)
	return s.legError(id, err)
}
