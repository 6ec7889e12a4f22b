package ari

import (
	"net"
	"net/netip"
	"regexp"
	"strings"

	"callplane/app/pbx"
)

// prefix begins the ids of all SIP objects that we write, so that they cannot be mistaken for an engineer's.
const prefix = "cp-"

// SIPUser is the name under which a phone registers with this switch, and its name for digest.
func SIPUser(phone string) string { return pbx.SIPUser(phone) }

// Asterisk takes most wrong values without a word, and some would end up in a SIP message. So we look ourselves.
var (
	legPattern    = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	namePattern   = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
	numberPattern = regexp.MustCompile(`^[A-Za-z0-9+*#._~!-]{1,80}$`)
	headerPattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,60}$`)
	hostPattern   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$`)
	userPattern   = regexp.MustCompile(`^[A-Za-z0-9+*#._~!@=&$-]{1,80}$`)
)

func goodLeg(id string) bool        { return legPattern.MatchString(id) }
func goodName(name string) bool     { return namePattern.MatchString(name) }
func goodNumber(number string) bool { return numberPattern.MatchString(number) }
func goodUser(user string) bool     { return userPattern.MatchString(user) }

// goodHeader: the name stands between commas and brackets of a function's arguments, the value in a line of SIP.
func goodHeader(name, value string) bool {
	return headerPattern.MatchString(name) && plain(value) && len(value) <= 1000
}

// plain tells that a text has no control characters, and no space around it, which Asterisk would take away.
func plain(s string) bool {
	return strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// goodSecret: a password that reaches Asterisk as it is.
func goodSecret(s string) bool { return s != "" && len(s) <= 128 && plain(s) }

// splitHost reads "host" or "host:port".
func splitHost(s string) (host, port string, ok bool) {
	host = s
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, port = h, p
		if n, err := net.LookupPort("udp", p); err != nil || n == 0 || strings.Trim(p, "0123456789") != "" {
			return "", "", false
		}
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return a.String(), port, a.Zone() == ""
	}
	return host, port, hostPattern.MatchString(host)
}

// goodNetwork: an address or a CIDR.
func goodNetwork(s string) bool {
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}

// codecs that Asterisk knows by these names.
var codecs = map[string]bool{
	"ulaw": true, "alaw": true, "opus": true, "g722": true, "g729": true, "gsm": true, "ilbc": true, "speex": true,
	"g726": true, "slin": true, "slin16": true, "slin48": true, "amr": true, "amrwb": true, "silk8": true, "silk16": true,
}
