package sipphone

import (
	"slices"
	"sync"

	"github.com/emiago/sipgo/sip"
)

// dialog is what both ends of a call agree on: ids, addresses, counters (RFC 3261, 12).
type dialog struct {
	phone *Phone
	id    string // Call-ID
	as    login  // for challenges inside the dialog

	mu     sync.Mutex
	local  party
	remote party
	target sip.Uri  // where requests go: the other side's Contact
	route  []string // Route headers, nearest first
	seq    uint32
}

func dialogKey(callID, localTag string) string { return callID + "|" + localTag }

// dialogOf is the dialog of an INVITE that came in.
func dialogOf(req *sip.Request, tag string) *dialog {
	d := &dialog{
		id:     req.CallID().Value(),
		local:  party{req.To().DisplayName, req.To().Address, tag},
		remote: party{req.From().DisplayName, req.From().Address, tagOf(req.From().Params)},
		target: req.From().Address,
	}
	if c := req.Contact(); c != nil {
		d.target = c.Address
	}
	for _, h := range req.GetHeaders("Record-Route") {
		d.route = append(d.route, h.Value())
	}
	return d
}

// answeredBy completes the dialog of our INVITE with its 2xx.
func (d *dialog) answeredBy(res *sip.Response) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remote.tag = tagOf(res.To().Params)
	if c := res.Contact(); c != nil {
		d.target = c.Address
	}
	d.route = nil
	for _, h := range res.GetHeaders("Record-Route") {
		d.route = append(d.route, h.Value())
	}
	slices.Reverse(d.route)
}

// next builds the next request of the dialog.
func (d *dialog) next(method sip.RequestMethod) *sip.Request {
	d.mu.Lock()
	d.seq++
	seq := d.seq
	d.mu.Unlock()
	return d.request(method, seq)
}

// request builds a request with a given CSeq; an ACK repeats the one of its INVITE.
func (d *dialog) request(method sip.RequestMethod, seq uint32) *sip.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	req := d.phone.newRequest(method, *d.target.Clone(), d.id, seq, d.local, d.remote)
	for _, r := range d.route {
		req.AppendHeader(sip.NewHeader("Route", r))
	}
	return req
}

// refresh notes the new Contact of a re-INVITE or its answer.
func (d *dialog) refresh(c *sip.ContactHeader) {
	if c == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = c.Address
}

// cancelOf builds the CANCEL for an INVITE: same branch, same CSeq.
func cancelOf(p *Phone, invite *sip.Request, reason string) *sip.Request {
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	req.AppendHeader(invite.Via().Clone())
	for _, name := range []string{"Max-Forwards", "From", "To", "Call-ID", "Route"} {
		for _, h := range invite.GetHeaders(name) {
			req.AppendHeader(sip.HeaderClone(h))
		}
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	if reason != "" {
		req.AppendHeader(sip.NewHeader("Reason", reason))
	}
	req.AppendHeader(sip.NewHeader("User-Agent", p.cfg.UserAgent))
	req.SetTransport("UDP")
	req.Laddr = invite.Laddr
	req.SetDestination(invite.Destination())
	req.SetBody(nil)
	return req
}
