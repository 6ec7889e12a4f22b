package sipphone

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

const realm = "sipphone"

// Registration is what a registrar (a phone with Config.Accounts) knows of one account.
type Registration struct {
	Contact  string        // URI to call the account at; empty after an un-REGISTER
	Expires  time.Duration // as granted, which is as asked, else one hour
	At       time.Time     // of the last accepted REGISTER
	Accepted int           // REGISTERs accepted, refreshes and un-REGISTERs included
	Refused  int           // REGISTERs with a wrong password, or turned down by RefuseRegister
}

// registrar is the small registrar of a trunk peer.
type registrar struct {
	nonce string

	mu      sync.Mutex
	changed chan struct{} // closed and renewed with each REGISTER
	refuse  int
	known   map[string]Registration
}

func (d *registrar) init() {
	d.nonce, d.changed, d.known = newID(), make(chan struct{}), map[string]Registration{}
}

// Registration is what this registrar knows of a user.
func (p *Phone) Registration(user string) Registration {
	p.desk.mu.Lock()
	defer p.desk.mu.Unlock()
	return p.desk.known[user]
}

// WaitRegistration waits until what is known of a user satisfies ok.
func (p *Phone) WaitRegistration(ctx context.Context, user string, ok func(Registration) bool) (Registration, error) {
	for {
		p.desk.mu.Lock()
		r, changed := p.desk.known[user], p.desk.changed
		p.desk.mu.Unlock()
		if ok(r) {
			return r, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r, ctx.Err()
		case <-p.ctx.Done():
			return r, ErrClosed
		}
	}
}

// RefuseRegister answers each REGISTER with this code from now on; 0 accepts again.
func (p *Phone) RefuseRegister(code int) {
	p.desk.mu.Lock()
	defer p.desk.mu.Unlock()
	p.desk.refuse = code
}

// registered answers a REGISTER.
func (p *Phone) registered(req *sip.Request, tx *sip.ServerTx) {
	if p.cfg.Accounts == nil {
		_ = tx.Respond(p.newResponse(req, 405, ""))
		return
	}
	user, ok := p.authorized(req, tx)
	if !ok {
		return
	}
	seconds := 3600
	if h := req.GetHeader("Expires"); h != nil {
		seconds, _ = strconv.Atoi(h.Value())
	}
	contact := ""
	if c := req.Contact(); c != nil {
		contact = c.Address.String()
		if n, err := strconv.Atoi(c.Params.GetOr("expires", "")); err == nil {
			seconds = n
		}
	}
	if seconds == 0 {
		contact = ""
	}
	refused := 0
	p.desk.note(user, func(r *Registration) {
		if refused = p.desk.refuse; refused != 0 {
			r.Refused++
			return
		}
		r.Contact, r.Expires, r.At = contact, time.Duration(seconds)*time.Second, time.Now()
		r.Accepted++
	})
	if refused != 0 {
		_ = tx.Respond(p.newResponse(req, refused, ""))
		return
	}
	res := p.newResponse(req, 200, "")
	if contact != "" {
		res.AppendHeader(sip.NewHeader("Contact", "<"+contact+">;expires="+strconv.Itoa(seconds)))
	}
	_ = tx.Respond(res)
}

func (d *registrar) note(user string, change func(*Registration)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.known[user]
	change(&r)
	d.known[user] = r
	close(d.changed)
	d.changed = make(chan struct{})
}

// authorized checks the digest of a request. If it is missing or wrong the request is answered with 401.
func (p *Phone) authorized(req *sip.Request, tx *sip.ServerTx) (user string, ok bool) {
	c := &digest.Challenge{Realm: realm, Nonce: p.desk.nonce, Algorithm: "MD5", QOP: []string{"auth"}}
	if h := req.GetHeader("Authorization"); h != nil {
		cred, err := digest.ParseCredentials(h.Value())
		if err == nil && cred.Nonce == c.Nonce {
			password, known := p.cfg.Accounts[cred.Username]
			if cred.QOP == "" {
				c.QOP = nil
			}
			want, err := digest.Digest(c, digest.Options{
				Method: req.Method.String(), URI: cred.URI, Username: cred.Username, Password: password,
				Cnonce: cred.Cnonce, Count: cred.Nc,
			})
			if err == nil && known && want.Response == cred.Response {
				return cred.Username, true
			}
			if req.Method == sip.REGISTER {
				p.desk.note(cred.Username, func(r *Registration) { r.Refused++ })
			}
		}
		c.QOP = []string{"auth"}
	}
	res := p.newResponse(req, 401, "")
	res.AppendHeader(sip.NewHeader("WWW-Authenticate", c.String()))
	_ = tx.Respond(res)
	return "", false
}
