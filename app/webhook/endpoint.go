package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/problem"
)

// ID names an endpoint.
type ID string

// Endpoint is an address that is told what happens.
type Endpoint struct {
	ID           ID         `json:"id" gorm:"primaryKey;size:36"`
	UnitID       string     `json:"unit" gorm:"size:36" doc:"It gets the events of this unit and below"`
	Name         string     `json:"name" gorm:"size:120"`
	URL          string     `json:"url" gorm:"size:2000"`
	Secret       string     `json:"-" gorm:"size:100"`
	Types        []string   `json:"types" gorm:"serializer:json" doc:"call.> is all of module call, call.talking one type. None is all"`
	Active       bool       `json:"active"`
	WhyOff       string     `json:"why_off,omitempty" gorm:"size:300" doc:"Why the platform switched it off"`
	FromSeq      int64      `json:"-"` // position in the stream when it was made: it gets what comes after
	FailingSince *time.Time `json:"failing_since,omitempty" doc:"Since when nothing could be delivered"`
	CreatedBy    string     `json:"created_by" gorm:"size:36"`
	CreatedAt    time.Time  `json:"created_at"`
	UpdatedAt    time.Time  `json:"updated_at"`
}

// TableName is the table of endpoints.
func (Endpoint) TableName() string { return "webhook_endpoints" }

// Attempt is one request that was made, as the log shows it.
type Attempt struct {
	ID         string    `json:"id" gorm:"primaryKey;size:36"`
	EndpointID ID        `json:"endpoint" gorm:"size:36"`
	EventID    string    `json:"event" gorm:"size:200"`
	EventType  string    `json:"type" gorm:"size:100"`
	EventKey   string    `json:"key" gorm:"size:200"`
	Seq        int64     `json:"seq" doc:"Position of the event in the stream, for a replay"`
	Attempt    int       `json:"attempt" doc:"1 is the first since the platform started"`
	Replayed   bool      `json:"replayed"`
	At         time.Time `json:"at"`
	Millis     int64     `json:"ms" doc:"How long it took"`
	Status     int       `json:"status" doc:"HTTP status; 0 when there was no answer"`
	Delivered  bool      `json:"delivered"`
	Error      string    `json:"error,omitempty" gorm:"size:500"`
	Answer     string    `json:"answer,omitempty" doc:"Beginning of the answer's body"`
}

// TableName is the table of attempts.
func (Attempt) TableName() string { return "webhook_attempts" }

// waiting is an event that is not delivered yet, kept for after a crash.
type waiting struct {
	EndpointID ID     `gorm:"primaryKey;size:36"`
	Seq        int64  `gorm:"primaryKey;autoIncrement:false"`
	Event      string // as JSON
	Since      time.Time
}

// TableName is the table of waiting events.
func (waiting) TableName() string { return "webhook_waiting" }

// Models is every table of the module.
func Models() []any { return []any{Endpoint{}, Attempt{}, waiting{}} }

// Payload is what is sent.
type Payload struct {
	ID   string          `json:"id"`
	Type string          `json:"type"`
	At   time.Time       `json:"at"`
	Unit string          `json:"unit,omitempty"`
	Key  string          `json:"key,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
}

// payload writes an event as it is sent.
func payload(e bus.Event) ([]byte, error) {
	return json.Marshal(Payload{e.ID, e.Type, e.At, e.Unit, e.Key, e.Data})
}

// Problems of this module.
var (
	ErrURL     = problem.New(problem.Invalid, "webhook_url", "This address cannot be used")
	ErrPrivate = problem.New(problem.Invalid, "webhook_private", "Addresses of private networks are not allowed")
	ErrTypes   = problem.New(problem.Invalid, "webhook_types", "This is no type of event")
	ErrOff     = problem.New(problem.Conflict, "webhook_off", "The endpoint is switched off")
)

// private is a permission that nobody holds: such events are for the platform's own consumers.
const private = "-"

// wants tells whether an endpoint gets an event. path is where its unit stands. Events of webhooks themselves go nowhere, or
// a failure could cause the next.
func wants(e bus.Event, path string) bool {
	return e.Perm != private && !strings.HasPrefix(e.Type, "webhook.") && path != "" && strings.HasPrefix(e.UnitPath, path)
}

var typePattern = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*(\.>)?$`)

// tidyTypes checks a filter and leaves out what another line of it covers.
func tidyTypes(types []string) ([]string, error) {
	out := []string{}
	for _, t := range types {
		if !typePattern.MatchString(t) || len(t) > 100 {
			return nil, ErrTypes.With("%q is no type of event. Write call.talking, or call.> for all of a module.", t).
				At("body.types", "malformed", "%q", t)
		}
		covered := func(by string) bool {
			all, ok := strings.CutSuffix(by, ">")
			return by != t && ok && strings.HasPrefix(t, all)
		}
		if !slices.Contains(out, t) && !slices.ContainsFunc(types, covered) {
			out = append(out, t)
		}
	}
	return out, nil
}

// newSecret makes a signing secret of 256 bits.
func newSecret() string {
	var b [32]byte
	rand.Read(b[:])
	return "whsec_" + base64.StdEncoding.EncodeToString(b[:])
}

// checkURL refuses an address that cannot be posted to. Where its name leads is looked at when a connection is made.
func (c Config) checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return ErrURL.With("Write https://host/path, without a user or a fragment.").At("body.url", "malformed", "%s", raw)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !c.mayDial(ip) {
		return ErrPrivate.With("%s is in a private network.", ip).At("body.url", "private", "%s", ip)
	}
	return nil
}

// special are ranges that are not the internet's and that netip's own tests leave out.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),  // behind a carrier's NAT
	netip.MustParsePrefix("192.0.0.0/24"),   // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"),  // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),    // reserved, and broadcast
	netip.MustParsePrefix("64:ff9b::/96"),   // IPv4 behind NAT64
	netip.MustParsePrefix("64:ff9b:1::/48"), //
	netip.MustParsePrefix("2002::/16"),      // 6to4
	netip.MustParsePrefix("2001::/32"),      // Teredo
	netip.MustParsePrefix("::/96"),          // IPv4-compatible
}

// mayDial tells whether events may go to an address: one of the internet, or one that is allowed by a setting.
func (c Config) mayDial(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if c.AllowPrivate || slices.ContainsFunc(c.Allow, func(p netip.Prefix) bool { return p.Contains(ip) }) {
		return true
	}
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// matches tells whether a filter lets a type through, as the stream's own filter does.
func matches(typ string, types []string) bool {
	return len(types) == 0 || slices.ContainsFunc(types, func(t string) bool {
		all, ok := strings.CutSuffix(t, ">")
		return t == typ || ok && strings.HasPrefix(typ, all)
	})
}
