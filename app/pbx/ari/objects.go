package ari

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	ari "github.com/CyCoreSystems/ari/v6"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// Where calls of our lines go in the dialplan; see dialplans/asterisk/extensions.conf.
const (
	phoneContext = "callplane-phone"
	trunkContext = "callplane-trunk"
)

// object is one SIP object: PUT /asterisk/config/dynamic/res_pjsip/{kind}/{id}. Its id is that of its line, and part.
//
// A field that may have several values has one here: astdb keeps but one of them (seen on 22.10.1 with the networks of an
// identify and the contacts of an aor, where it may be the old one).
type object struct {
	kind   string
	part   string // "", or ".1" and so on for further objects of one kind
	fields []ari.ConfigTuple
}

// fixed tells whether the object must be deleted before it can be written with other values: a registration is not made
// anew otherwise, and the contact of an aor would be a second one.
func (o object) fixed() bool {
	return o.kind == "registration" ||
		o.kind == "aor" && slices.ContainsFunc(o.fields, func(f ari.ConfigTuple) bool { return f.Attribute == "contact" })
}

// line is a phone or trunk as Asterisk's objects, in the order in which they are written.
type line struct {
	name    string
	objects []object
	digest  string // of all objects; the endpoint carries it in digestField
}

// digestField is a field of an endpoint that Asterisk stores and never shows to anybody. We keep our digest there, so
// that after a restart of ours one GET tells whether a line is as it shall be.
const digestField = "callerid_tag"

// noName is the name in the callerid of our endpoints. Without a name there, astdb keeps "<unknown>" for it, and from then
// on every call of the endpoint comes from the number "unknown", whatever its From says (seen on 22.10.1).
const noName = "cp"

// kinds of objects in the order of writing. They are deleted in the reverse order.
var kinds = []string{"auth", "aor", "endpoint", "identify", "registration"}

// add appends an object; fields are attribute and value in turn, and those with an empty value are left out.
func (l *line) add(kind string, fields ...string) {
	o := object{kind: kind}
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] != "" {
			o.fields = append(o.fields, ari.ConfigTuple{Attribute: fields[i], Value: fields[i+1]})
		}
	}
	if n := l.count(kind); n > 0 {
		o.part = fmt.Sprint(".", n)
	}
	l.objects = append(l.objects, o)
}

// maxNetworks is from how many networks the calls of a trunk may come.
const maxNetworks = 100

// count is how many objects of a kind there are.
func (l *line) count(kind string) int {
	n := 0
	for _, o := range l.objects {
		if o.kind == kind {
			n++
		}
	}
	return n
}

// like finds the object of the same id.
func (l *line) like(o object) (object, bool) {
	i := slices.IndexFunc(l.objects, func(p object) bool { return p.kind == o.kind && p.part == o.part })
	if i < 0 {
		return object{}, false
	}
	return l.objects[i], true
}

// seal computes the digest and puts it into the endpoint.
func (l *line) seal() line {
	h := sha256.New()
	for _, o := range l.objects {
		fmt.Fprintf(h, "%q %q\n", o.kind+o.part, o.fields)
	}
	l.digest = "callplane-" + hex.EncodeToString(h.Sum(nil)[:12])
	for i, o := range l.objects {
		if o.kind == "endpoint" {
			l.objects[i].fields = append(o.fields, ari.ConfigTuple{Attribute: digestField, Value: l.digest})
		}
	}
	return *l
}

// lines checks the wanted phones and trunks, and makes objects of them.
func makeLines(want pbx.Lines) (map[string]line, error) {
	made := make(map[string]line, len(want.Phones)+len(want.Trunks))
	put := func(at string, l line, err error) error {
		if err != nil {
			return err
		}
		if _, twice := made[l.name]; twice {
			return problem.ErrInvalid.At(at+"/name", "duplicate", "There are two lines called %q.", l.name)
		}
		made[l.name] = l
		return nil
	}
	for i, p := range want.Phones {
		at := fmt.Sprintf("phones/%d", i)
		l, err := phoneLine(at, p)
		if err := put(at, l, err); err != nil {
			return nil, err
		}
	}
	for i, t := range want.Trunks {
		at := fmt.Sprintf("trunks/%d", i)
		l, err := trunkLine(at, t)
		if err := put(at, l, err); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// phoneLine makes a phone. A browser phone that is closed during a call leaves its channel up: the RTP timeout ends it.
func phoneLine(at string, p pbx.Phone) (line, error) {
	l := line{name: p.Name}
	id := SIPUser(p.Name)
	standard := "ulaw,alaw,g722"
	web := "no"
	if p.WebRTC {
		standard, web = "opus,ulaw,alaw", "yes"
	}
	allow, err := codecList(at, p.Codecs, standard)
	switch {
	case !goodName(p.Name):
		return l, bad(at+"/name", "%q is no name for a phone.", p.Name)
	case !goodSecret(p.Password):
		return l, bad(at+"/password", "The password of phone %s is empty, too long, or has characters that phones cannot type.", p.Name)
	case err != nil:
		return l, err
	}
	l.add("auth", "auth_type", "userpass", "username", id, "password", p.Password)
	l.add("aor", "max_contacts", "1", "remove_existing", "yes", "qualify_frequency", "30", "qualify_timeout", "3",
		"default_expiration", "120", "minimum_expiration", "30", "maximum_expiration", "3600")
	l.add("endpoint", "context", phoneContext, "disallow", "all", "allow", allow, "auth", id, "aors", id,
		"direct_media", "no", "webrtc", web, "rtp_symmetric", "yes", "force_rport", "yes", "rewrite_contact", "yes",
		"rtp_timeout", "60", "rtp_timeout_hold", "3600", "dtmf_mode", "auto", "allow_transfer", "yes", "send_pai", "no",
		"trust_id_inbound", "no", "callerid", noName, "allow_subscribe", "no", "notify_early_inuse_ringing", "no")
	return l.seal(), nil
}

// trunkLine makes a trunk.
func trunkLine(at string, t pbx.Trunk) (line, error) {
	l := line{name: t.Name}
	id := SIPUser(t.Name)
	host, port, ok := splitHost(t.Host)
	allow, err := codecList(at, t.Codecs, "alaw,ulaw")
	switch {
	case !goodName(t.Name):
		return l, bad(at+"/name", "%q is no name for a trunk.", t.Name)
	case !ok:
		return l, bad(at+"/host", "%q is neither a host nor host:port.", t.Host)
	case err != nil:
		return l, err
	case t.User != "" && !goodUser(t.User):
		return l, bad(at+"/user", "%q is no user name for SIP.", t.User)
	case t.User != "" && !goodSecret(t.Password):
		return l, bad(at+"/password", "The password of trunk %s is empty, too long, or has control characters.", t.Name)
	case t.Register && t.User == "":
		return l, bad(at+"/user", "Trunk %s shall register and has no user.", t.Name)
	case t.QualifySeconds < 0 || t.QualifySeconds > 3600:
		return l, bad(at+"/qualify_seconds", "Between 0 and 3600.")
	}
	match := []string{host}
	if len(t.From) > 0 {
		match = t.From
	}
	if len(match) > maxNetworks {
		return l, bad(at+"/from", "At most %d networks.", maxNetworks)
	}
	for _, n := range t.From {
		if !goodNetwork(n) {
			return l, bad(at+"/from", "%q is no address and no network.", n)
		}
	}
	auth := ""
	if t.User != "" {
		auth = id
		l.add("auth", "auth_type", "userpass", "username", t.User, "password", t.Password)
	}
	uri := "sip:" + uriHost(host, port)
	l.add("aor", "contact", uri, "qualify_frequency", fmt.Sprint(orElse(t.QualifySeconds, 30)), "qualify_timeout", "3")
	l.add("endpoint", "context", trunkContext, "disallow", "all", "allow", allow, "aors", id, "outbound_auth", auth,
		"direct_media", "no", "rtp_symmetric", "yes", "rtp_timeout", "300", "rtp_timeout_hold", "3600", "dtmf_mode", "auto",
		"allow_transfer", "no", "trust_id_inbound", "yes", "callerid", noName, "send_pai", "no", "allow_subscribe", "no")
	for _, m := range match {
		l.add("identify", "endpoint", id, "match", m, "srv_lookups", "no")
	}
	if t.Register {
		user := strings.ReplaceAll(t.User, "@", "%40")
		l.add("registration", "server_uri", uri, "client_uri", "sip:"+user+"@"+uriHost(host, port), "outbound_auth", id,
			"contact_user", user, "expiration", "300", "retry_interval", "30", "forbidden_retry_interval", "60",
			"fatal_retry_interval", "60", "max_retries", "1000000", "auth_rejection_permanent", "no", "max_random_initial_delay", "0",
			"line", "yes", "endpoint", id)
	}
	return l.seal(), nil
}

// uriHost is a host in a SIP URI.
func uriHost(host, port string) string {
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
		host = "[" + host + "]"
	}
	if port == "" {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// codecList checks codecs; none means standard.
func codecList(at string, list []string, standard string) (string, error) {
	for _, c := range list {
		if !codecs[c] {
			return "", bad(at+"/codecs", "Asterisk has no codec %q.", c)
		}
	}
	if len(list) == 0 {
		return standard, nil
	}
	return strings.Join(list, ","), nil
}

func bad(at, format string, args ...any) error {
	return problem.ErrInvalid.At(at, "malformed", format, args...)
}

func orElse(n, standard int) int {
	if n == 0 {
		return standard
	}
	return n
}
