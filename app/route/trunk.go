package route

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// TrunkID names a trunk in the API. On the switch and in calls it goes by its Name.
type TrunkID string

// What happens to a call for which the trunk has no channel left.
const (
	FullOverflow = "overflow" // an outbound call takes the next trunk that fits; an inbound one hears busy
	FullBusy     = "busy"     // it is refused: busy
)

// Trunk connects to a carrier or gateway.
type Trunk struct {
	ID     TrunkID `json:"id" gorm:"primaryKey;size:36"`
	UnitID string  `json:"unit" doc:"The unit it belongs to; that unit and all below may call out on it"`
	Name   string  `json:"name" doc:"Its name on the switch; cannot be changed"`
	Label  string  `json:"label,omitempty" doc:"For people"`

	Host           string   `json:"host" doc:"Far end: host or host:port" example:"sip.carrier.example:5060"`
	Addresses      []string `json:"addresses" gorm:"serializer:json" doc:"Addresses (CIDR) that inbound calls come from; without any, the host alone"`
	User           string   `json:"user,omitempty" gorm:"column:auth_user" doc:"Digest user, if the far end asks"`
	Password       string   `json:"-"`
	Register       bool     `json:"register" doc:"Keep registered with user and password"`
	Codecs         []string `json:"codecs" gorm:"serializer:json" doc:"In order of preference; without any, the switch's default"`
	QualifySeconds int      `json:"qualify_seconds" doc:"Ask by OPTIONS every so often whether it is alive; 0 is 30"`

	Enabled      bool     `json:"enabled" doc:"A disabled trunk carries no calls"`
	ChannelLimit int      `json:"channel_limit" doc:"Calls at once, in and out together; 0 is no limit"`
	WhenFull     string   `json:"when_full" enum:"overflow,busy" doc:"For an outbound call beyond the limit: the next trunk that fits, or busy. An inbound one hears busy"`
	Classes      []Class  `json:"classes" gorm:"serializer:json" doc:"Classes of calls it carries out; without any, all. A trunk that names the class is tried before one that does not"`
	Priority     int      `json:"priority" doc:"Of several trunks that fit, the lowest is tried first"`
	Country      string   `json:"country,omitempty" doc:"ISO code: numbers without a country code are of this country. Empty is the platform's"`
	Formats      Formats  `json:"formats" gorm:"serializer:json" doc:"How numbers are written on it"`
	Callers      []string `json:"callers" gorm:"serializer:json" doc:"Numbers that may be shown as calling number on it; without any, each of our numbers with that permission"`
	Caller       string   `json:"caller,omitempty" doc:"Shown as calling number when the caller's unit has no number of its own"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TableName is the table of the trunks.
func (Trunk) TableName() string { return "route_trunks" }

var (
	lineName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)
	hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)
	codec    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,29}$`)
	country  = regexp.MustCompile(`^[A-Z]{2}$`)
)

// faults collects the faulty fields of a request.
type faults struct{ p *problem.Problem }

func (f *faults) add(field, format string, args ...any) {
	if f.p == nil {
		f.p = problem.ErrInvalid
	}
	f.p = f.p.At("body."+field, "invalid", format, args...)
}

func (f *faults) err() error {
	if f.p == nil {
		return nil
	}
	return f.p
}

// Check says what is wrong with the trunk: problem.ErrInvalid with the faulty fields.
func (t *Trunk) Check() error {
	var f faults
	if !lineName.MatchString(t.Name) {
		f.add("name", "%q must be 1 to 40 of a-z, 0-9 and dash, and begin with a letter or digit.", t.Name)
	}
	if !hostPort(t.Host) {
		f.add("host", "%q must be a host name or address, with a port if need be.", t.Host)
	}
	for i, a := range t.Addresses {
		_, cidr := netip.ParsePrefix(a)
		if _, addr := netip.ParseAddr(a); cidr != nil && addr != nil {
			f.add(fmt.Sprintf("addresses[%d]", i), "%q is no address and no CIDR range.", a)
		}
	}
	if t.Register && (t.User == "" || t.Password == "") {
		f.add("register", "To register, user and password are needed.")
	}
	for field, value := range map[string]string{"user": t.User, "password": t.Password} {
		if strings.ContainsFunc(value, notText) || len(value) > 100 {
			f.add(field, "It may hold up to 100 printable characters, without spaces.")
		}
	}
	checkCodecs(&f, t.Codecs)
	for i, c := range t.Classes {
		if !slices.Contains(Classes, c) {
			f.add(fmt.Sprintf("classes[%d]", i), "%q is none of local, long_distance, international, mobile.", c)
		}
	}
	if t.WhenFull != FullOverflow && t.WhenFull != FullBusy {
		f.add("when_full", "%q is neither overflow nor busy.", t.WhenFull)
	}
	if t.ChannelLimit < 0 || t.ChannelLimit > 100000 {
		f.add("channel_limit", "%d is not between 0 and 100000.", t.ChannelLimit)
	}
	if t.QualifySeconds < 0 || t.QualifySeconds > 3600 {
		f.add("qualify_seconds", "%d is not between 0 and 3600.", t.QualifySeconds)
	}
	if t.Country != "" && !known(t.Country) {
		f.add("country", "%q is no country's ISO code, such as CN.", t.Country)
	}
	for field, list := range map[string][]Rewrite{
		"called_in": t.Formats.CalledIn, "caller_in": t.Formats.CallerIn,
		"called_out": t.Formats.CalledOut, "caller_out": t.Formats.CallerOut,
	} {
		if _, i, err := ready(list); err != nil {
			f.add(fmt.Sprintf("formats.%s[%d]", field, i), "%v.", err)
		}
	}
	for i, n := range t.Callers {
		if !dialable(n) {
			f.add(fmt.Sprintf("callers[%d]", i), "%q is no number.", n)
		}
	}
	if t.Caller != "" && !dialable(t.Caller) {
		f.add("caller", "%q is no number.", t.Caller)
	}
	return f.err()
}

func checkCodecs(f *faults, codecs []string) {
	for i, c := range codecs {
		if !codec.MatchString(c) {
			f.add(fmt.Sprintf("codecs[%d]", i), "%q is no codec's name, such as alaw or opus.", c)
		}
	}
}

func hostPort(s string) bool {
	if host, port, err := net.SplitHostPort(s); err == nil {
		if n, err := net.LookupPort("udp", port); err != nil || n == 0 {
			return false
		}
		s = host
	}
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return true
	}
	return hostName.MatchString(s)
}

// notText is true for what could break out of a line of the switch's configuration.
func notText(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"';\\<>", r) }

var dialString = regexp.MustCompile(`^\+?[0-9*#]{2,20}$`)

// dialable says that the text is a number, of whatever kind.
func dialable(s string) bool { return dialString.MatchString(s) }

// line is the trunk as the switch needs it.
func (t *Trunk) line() pbx.Trunk {
	return pbx.Trunk{
		Name: t.Name, Host: t.Host, From: t.Addresses, User: t.User, Password: t.Password, Register: t.Register,
		Codecs: t.Codecs, QualifySeconds: t.QualifySeconds,
	}
}
