package route

import (
	"fmt"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"

	"callplane/app/hours"
	"callplane/app/pbx"
)

// NumberID names a number in the API.
type NumberID string

// The states of a number. Only an active one takes calls and can be shown as calling number.
const (
	NumberActive    = "active"
	NumberReserved  = "reserved"  // bought, not in use yet
	NumberSuspended = "suspended" // switched off for now
)

// Number is one that the world can dial: a telephone number, a service code, or a short internal one.
type Number struct {
	ID      NumberID `json:"id" gorm:"primaryKey;size:36"`
	UnitID  string   `json:"unit" doc:"The unit (tenant, department) it belongs to"`
	Number  string   `json:"number" doc:"In E.164, or as dialled for short and service codes; unique" example:"+861062345678"`
	Service string   `json:"service" doc:"What it is for, as agents and reports see it" example:"Sales hotline"`

	Carrier        string `json:"carrier,omitempty"`
	Trunk          string `json:"trunk,omitempty" doc:"Name of the trunk it arrives on, for the inventory; calls on other trunks are taken too"`
	Purpose        string `json:"purpose,omitempty" doc:"Such as hotline, campaign, test"`
	State          string `json:"state" enum:"active,reserved,suspended"`
	CallerIdentity bool   `json:"caller_identity" doc:"May be shown as calling number by its unit and those below"`

	Language string `json:"language,omitempty" doc:"Language that callers hear first; empty is the flow's" example:"zh-CN"`
	Flow     string `json:"flow,omitempty" doc:"Flow for calls that no rule fits"`
	Rules    []Rule `json:"rules" gorm:"serializer:json" doc:"The first that fits chooses the flow"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TableName is the table of the numbers.
func (Number) TableName() string { return "route_numbers" }

// What a rule's caller may be besides the start of a number.
const CallerWithheld = "withheld"

// Rule chooses a flow. What is empty fits every call; what is given must all fit.
type Rule struct {
	Trunk    string   `json:"trunk,omitempty" maxLength:"40" doc:"Calls that arrive on this trunk"`
	Calendar hours.ID `json:"calendar,omitempty" maxLength:"36" doc:"Calls at a time when this calendar is what when says"`
	When     string   `json:"when,omitempty" enum:"open,closed" doc:"With calendar; empty is open"`
	Caller   string   `json:"caller,omitempty" maxLength:"20" doc:"Calls from numbers that begin so, in E.164; withheld is calls without a number" example:"+8610"`
	Flow     string   `json:"flow" minLength:"1" maxLength:"36" doc:"Where they go"`
}

// What a rule's calendar must be.
const (
	whenOpen   = "open"
	whenClosed = "closed"
)

// Check says what is wrong with the number: problem.ErrInvalid with the faulty fields.
func (n *Number) Check() error {
	var f faults
	if !dialable(n.Number) {
		f.add("number", "%q is no number; write it with its country code or area code, as +86 10 6234 5678.", n.Number)
	}
	if strings.TrimSpace(n.Service) == "" {
		f.add("service", "Say what the number is for.")
	}
	switch n.State {
	case NumberActive, NumberReserved, NumberSuspended:
	default:
		f.add("state", "%q is none of active, reserved, suspended.", n.State)
	}
	for i, r := range n.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		if r.Flow == "" {
			f.add(at+".flow", "Say where the calls go.")
		}
		if r.When != "" && r.When != whenOpen && r.When != whenClosed {
			f.add(at+".when", "%q is neither open nor closed.", r.When)
		}
		if r.When != "" && r.Calendar == "" {
			f.add(at+".calendar", "Say which calendar is to be %s.", r.When)
		}
		if r.Caller != "" && r.Caller != CallerWithheld && strings.Trim(r.Caller, "+0123456789*#") != "" {
			f.add(at+".caller", "%q is neither the start of a number nor withheld.", r.Caller)
		}
	}
	return f.err()
}

// PhoneID names a phone in the API. On the switch and in calls it goes by its Name.
type PhoneID string

// Phone is a desk phone or a browser's softphone.
type Phone struct {
	ID       PhoneID  `json:"id" gorm:"primaryKey;size:36"`
	UnitID   string   `json:"unit"`
	Name     string   `json:"name" doc:"Cannot be changed"`
	Label    string   `json:"label,omitempty" doc:"Where it stands, for people"`
	WebRTC   bool     `json:"webrtc" gorm:"column:webrtc" doc:"A browser's softphone"`
	Owner    string   `json:"owner,omitempty" gorm:"column:owner_id" doc:"User who alone may sign in on it; empty is free seating"`
	Codecs   []string `json:"codecs" gorm:"serializer:json" doc:"In order of preference; without any, the switch's default"`
	Password string   `json:"-"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TableName is the table of the phones.
func (Phone) TableName() string { return "route_phones" }

// Check says what is wrong with the phone: problem.ErrInvalid with the faulty fields.
func (p *Phone) Check() error {
	var f faults
	if !lineName.MatchString(p.Name) {
		f.add("name", "%q must be 1 to 40 of a-z, 0-9 and dash, and begin with a letter or digit.", p.Name)
	}
	checkCodecs(&f, p.Codecs)
	return f.err()
}

// line is the phone as the switch needs it.
func (p *Phone) line() pbx.Phone {
	return pbx.Phone{Name: p.Name, Password: p.Password, WebRTC: p.WebRTC, Codecs: p.Codecs}
}

// BarredID names an entry of the list of barred numbers.
type BarredID string

// Barred is a number, or the start of numbers, that must not be called by a unit and those below. Emergency numbers cannot be
// barred.
type Barred struct {
	ID     BarredID `json:"id" gorm:"primaryKey;size:36"`
	UnitID string   `json:"unit" doc:"It and all units below may not call this"`
	Number string   `json:"number" doc:"In E.164, or as dialled for short and service codes" example:"+8616"`
	Prefix bool     `json:"prefix" gorm:"column:is_prefix" doc:"All numbers that begin so; without a plus, that begin so in the own country"`
	Reason string   `json:"reason" doc:"Why; whoever dials it reads this"`

	CreatedAt time.Time `json:"created_at"`
}

// TableName is the table of the barred numbers.
func (Barred) TableName() string { return "route_barred" }

// Check says what is wrong with the entry: problem.ErrInvalid with the faulty fields.
func (b *Barred) Check() error {
	var f faults
	if strings.Trim(b.Number, "+0123456789*#") != "" || strings.Trim(b.Number, "+") == "" {
		f.add("number", "%q is no number and no start of one.", b.Number)
	}
	if strings.TrimSpace(b.Reason) == "" {
		f.add("reason", "Say why, for those who dial it.")
	}
	return f.err()
}

// SpeedDialID names a speed dial.
type SpeedDialID string

// SpeedDial is a number behind a key: a person's own, or one for all in a unit and below.
type SpeedDial struct {
	ID     SpeedDialID `json:"id" gorm:"primaryKey;size:36"`
	UnitID string      `json:"unit"`
	Owner  string      `json:"owner,omitempty" gorm:"column:owner_id" doc:"The user whose key it is; empty is for everyone in the unit and below"`
	Key    string      `json:"key" gorm:"column:key_name" doc:"What is pressed, such as 1 or F5; an owner's key hides the unit's"`
	Label  string      `json:"label" doc:"Who is called"`
	Number string      `json:"number" doc:"As it would be dialled; a phone's name or a number"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// TableName is the table of the speed dials.
func (SpeedDial) TableName() string { return "route_speed_dials" }

// Models is every table of the module.
func Models() []any { return []any{Trunk{}, Number{}, Phone{}, Barred{}, SpeedDial{}} }

// Check says what is wrong with the speed dial: problem.ErrInvalid with the faulty fields.
func (d *SpeedDial) Check() error {
	var f faults
	if d.Key == "" || len(d.Key) > 20 || strings.ContainsFunc(d.Key, notText) {
		f.add("key", "%q is no key; 1 to 20 characters, such as 1 or F5.", d.Key)
	}
	if !dialable(Clean(d.Number)) && !lineName.MatchString(d.Number) {
		f.add("number", "%q is neither a number nor a phone's name.", d.Number)
	}
	return f.err()
}

// known says that the library has number rules for the country.
func known(iso string) bool {
	return country.MatchString(iso) && phonenumbers.GetCountryCodeForRegion(iso) > 0
}
