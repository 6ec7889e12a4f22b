package sipphone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/textproto"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// allow is what we understand. No UPDATE and no PRACK: a switch then uses re-INVITE and plain 1xx.
const allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, INFO, MESSAGE"

// A chatty INVITE with digest comes near sipgo's limit of 1300 bytes; on one machine or LAN there is no such limit.
func init() { sip.UDPMTUSize = max(sip.UDPMTUSize, 8000) }

// party is one end of a dialog.
type party struct {
	display string
	uri     sip.Uri
	tag     string
}

// newRequest builds a request with all headers that every request has, to be sent from the phone's socket.
func (p *Phone) newRequest(method sip.RequestMethod, target sip.Uri, id string, seq uint32, from, to party) *sip.Request {
	req := sip.NewRequest(method, target)
	via := &sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: p.addr.Addr().String(), Port: int(p.addr.Port())}
	via.Params.Add("branch", sip.GenerateBranchN(16))
	via.Params.Add("rport", "")
	f := &sip.FromHeader{DisplayName: from.display, Address: *from.uri.Clone()}
	f.Params.Add("tag", from.tag)
	t := &sip.ToHeader{DisplayName: to.display, Address: *to.uri.Clone()}
	if to.tag != "" {
		t.Params.Add("tag", to.tag)
	}
	callID, hops := sip.CallIDHeader(id), sip.MaxForwardsHeader(70)
	for _, h := range []sip.Header{via, &hops, f, t, &callID, &sip.CSeqHeader{SeqNo: seq, MethodName: method}} {
		req.AppendHeader(h)
	}
	if method != sip.ACK && method != sip.CANCEL {
		req.AppendHeader(p.contact())
		req.AppendHeader(sip.NewHeader("User-Agent", p.cfg.UserAgent))
	}
	req.SetTransport("UDP")
	req.Laddr = sip.Addr{IP: p.addr.Addr().AsSlice(), Port: int(p.addr.Port())}
	req.SetBody(nil)
	return req
}

func (p *Phone) contact() *sip.ContactHeader {
	return &sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: p.cfg.User, Host: p.addr.Addr().String(), Port: int(p.addr.Port())}}
}

// newResponse answers a request, with our Contact and Allow.
func (p *Phone) newResponse(req *sip.Request, code int, reason string) *sip.Response {
	if reason == "" {
		reason = phrases[code]
	}
	res := sip.NewResponseFromRequest(req, code, reason, nil)
	if code > 100 && code < 300 && req.Method != sip.REGISTER {
		res.AppendHeader(p.contact())
		res.AppendHeader(sip.NewHeader("Allow", allow))
	}
	res.AppendHeader(sip.NewHeader("Server", p.cfg.UserAgent))
	return res
}

// sdpBody puts a session description into a message.
func sdpBody(m sip.Message, body []byte) {
	m.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	m.SetBody(body)
}

// target makes a URI from a number (on the switch) or a sip: URI.
func (p *Phone) target(to string) (sip.Uri, error) {
	if !strings.HasPrefix(to, "sip:") {
		if p.cfg.Server == "" {
			return sip.Uri{}, fmt.Errorf("call %q: a number needs Config.Server", to)
		}
		to = "sip:" + to + "@" + p.cfg.Server
	}
	var uri sip.Uri
	if err := sip.ParseUri(to, &uri); err != nil {
		return uri, fmt.Errorf("call %q: %w", to, err)
	}
	return uri, nil
}

// do sends a request (not INVITE) and returns its final answer.
func (p *Phone) do(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	tx, err := p.request(ctx, req)
	if err != nil {
		return nil, err
	}
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, fmt.Errorf("%s: %w", req.Method, p.txError(tx))
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w", req.Method, ctx.Err())
		}
	}
}

func (p *Phone) txError(tx *sip.ClientTx) error {
	switch err := tx.Err(); {
	case p.ctx.Err() != nil:
		return ErrClosed
	case errors.Is(err, sip.ErrTransactionTimeout):
		return ErrNoAnswer
	case err != nil:
		return err
	}
	return ErrNoAnswer
}

// login is a name and password for digest.
type login struct{ user, password string }

// doAuth is do with digest: build is called again, with a higher CSeq, after a challenge.
func (p *Phone) doAuth(ctx context.Context, as login, build func() *sip.Request) (*sip.Response, error) {
	var auth sip.Header
	for try := 0; ; try++ {
		req := build()
		if auth != nil {
			req.AppendHeader(auth)
		}
		res, err := p.do(ctx, req)
		if err != nil || !as.canAnswer(res, try) {
			return res, err
		}
		if auth, err = as.answer(req, res); err != nil {
			return res, err
		}
	}
}

// canAnswer says whether a challenge is worth an answer: the second time only if the nonce had grown stale.
func (l login) canAnswer(res *sip.Response, try int) bool {
	if l.password == "" || (res.StatusCode != 401 && res.StatusCode != 407) {
		return false
	}
	return try == 0 || try == 1 && challenge(res) != nil && challenge(res).Stale
}

// challenge is the first one in the answer that we can do, or nil.
func challenge(res *sip.Response) *digest.Challenge {
	name := "WWW-Authenticate"
	if res.StatusCode == 407 {
		name = "Proxy-Authenticate"
	}
	for _, h := range res.GetHeaders(name) {
		if c, err := digest.ParseChallenge(h.Value()); err == nil && digest.CanDigest(c) {
			return c
		}
	}
	return nil
}

func (l login) answer(req *sip.Request, res *sip.Response) (sip.Header, error) {
	c := challenge(res)
	if c == nil {
		return nil, fmt.Errorf("%s: %d without a digest challenge we know", req.Method, res.StatusCode)
	}
	cred, err := digest.Digest(c, digest.Options{
		Method: req.Method.String(), URI: req.Recipient.String(), Username: l.user, Password: l.password, Count: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: digest: %w", req.Method, err)
	}
	if res.StatusCode == 407 {
		return sip.NewHeader("Proxy-Authorization", cred.String()), nil
	}
	return sip.NewHeader("Authorization", cred.String()), nil
}

// headersOf copies all headers of a message, so that nobody touches the message later.
func headersOf(all []sip.Header) textproto.MIMEHeader {
	h := textproto.MIMEHeader{}
	for _, one := range all {
		h.Add(one.Name(), one.Value())
	}
	return h
}

// tagOf is the tag of a From or To header.
func tagOf(params sip.HeaderParams) string {
	tag, _ := params.Get("tag")
	return tag
}

func newID() string { return rand.Text() }

var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 202: "Accepted", 302: "Moved Temporarily",
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
	408: "Request Timeout", 480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 484: "Address Incomplete",
	486: "Busy Here", 487: "Request Terminated", 488: "Not Acceptable Here", 491: "Request Pending",
	500: "Server Internal Error", 503: "Service Unavailable", 504: "Server Time-out", 600: "Busy Everywhere", 603: "Decline",
}
