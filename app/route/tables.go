package route

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"callplane/app/kernel/problem"
)

// Errors of routing. What they say this time is in the detail, for the person who dialled and for the call's timeline.
var (
	ErrNoNumber       = problem.New(problem.NotFound, "no_number", "No such number here")
	ErrTrunkDisabled  = problem.New(problem.Conflict, "trunk_disabled", "The trunk is disabled")
	ErrTrunkFull      = problem.New(problem.Unavailable, "trunk_full", "No free channel on the trunk")
	ErrNoTrunk        = problem.New(problem.Unavailable, "no_trunk", "No trunk for this call")
	ErrBarred         = problem.New(problem.Forbidden, "number_barred", "The number is barred")
	ErrNotAllowed     = problem.New(problem.Forbidden, "dialling_not_allowed", "You may not dial this kind of number")
	ErrCallerIdentity = problem.New(problem.Forbidden, "caller_identity", "The calling number may not be shown")
	ErrBadNumber      = problem.New(problem.Invalid, "bad_number", "This is no number that can be dialled")
)

// Numbering is how numbers without a country code are read.
type Numbering struct {
	Country string // ISO code, such as CN
	Area    string // area code without its leading 0, such as 10; empty for none
}

// Rows is everything that tables are made of.
type Rows struct {
	Trunks  []Trunk
	Numbers []Number
	Barred  []Barred
}

// Tables answers where calls go. They are made once and never change; a change of configuration makes new ones.
type Tables struct {
	numbering Numbering
	prefix    string                   // of the country: +86
	path      func(unit string) string // a unit's way from the root, as "/root/dept/"
	trunks    []*trunk                 // in the order in which they are tried
	byName    map[string]*trunk
	numbers   map[string]*Number
	callers   map[string][]*Number // those that may be shown as calling number, by unit, in order
	barred    map[string][]*Barred // by number
	starts    []*Barred            // with Prefix
}

// trunk is a Trunk made ready.
type trunk struct {
	Trunk
	calledIn, callerIn, calledOut, callerOut rewrites
}

// NewTables makes tables. path tells a unit's way from the root, "" for a unit that is gone. Rows that are not valid are left out;
// the store keeps none.
func NewTables(n Numbering, rows Rows, path func(unit string) string) *Tables {
	t := &Tables{
		numbering: n, prefix: "+" + strconv.Itoa(phonenumbers.GetCountryCodeForRegion(n.Country)), path: path, byName: map[string]*trunk{}, numbers: map[string]*Number{},
		callers: map[string][]*Number{}, barred: map[string][]*Barred{},
	}
	for _, row := range rows.Trunks {
		r := &trunk{Trunk: row}
		var errs [4]error
		r.calledIn, _, errs[0] = ready(row.Formats.CalledIn)
		r.callerIn, _, errs[1] = ready(row.Formats.CallerIn)
		r.calledOut, _, errs[2] = ready(row.Formats.CalledOut)
		r.callerOut, _, errs[3] = ready(row.Formats.CallerOut)
		if errs != [4]error{} {
			continue
		}
		t.trunks = append(t.trunks, r)
		t.byName[row.Name] = r
	}
	slices.SortFunc(t.trunks, func(a, b *trunk) int {
		return cmp.Or(
			cmp.Compare(min(len(b.Classes), 1), min(len(a.Classes), 1)), // those that name classes first
			cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Name, b.Name))
	})
	for _, row := range rows.Numbers {
		t.numbers[row.Number] = &row
		if row.CallerIdentity && row.State == NumberActive {
			t.callers[row.UnitID] = append(t.callers[row.UnitID], &row)
		}
	}
	for _, list := range t.callers {
		slices.SortFunc(list, func(a, b *Number) int { return cmp.Compare(a.Number, b.Number) })
	}
	for _, row := range rows.Barred {
		if row.Prefix {
			t.starts = append(t.starts, &row)
		} else {
			t.barred[row.Number] = append(t.barred[row.Number], &row)
		}
	}
	return t
}

// Normalise is the number as this platform keeps it: see [Normalise]. A number of 7 or 8 digits that is no service code is a
// fixed line of the own area, if one is set. On a trunk its country and its rules for calling numbers count.
func (t *Tables) Normalise(raw, country, trunk string) (e164 string, ok bool) {
	d := Clean(raw)
	if tr := t.byName[trunk]; tr != nil {
		d = tr.callerIn.apply(d)
		country = cmp.Or(country, tr.Country)
	}
	return t.read(d, country)
}

// read is Normalise without a trunk's rules.
func (t *Tables) read(d, country string) (string, bool) {
	country = cmp.Or(country, t.numbering.Country)
	e164, ok := Normalise(d, country)
	if ok || t.numbering.Area == "" || country != t.numbering.Country {
		return e164, ok
	}
	// Subscriber numbers begin with 2 to 8 wherever they can be dialled without an area code; service codes with 1 and 9.
	if n := len(e164); n >= 7 && n <= 8 && e164[0] >= '2' && e164[0] <= '8' && !strings.ContainsFunc(e164, notDigit) {
		if p, err := phonenumbers.Parse(t.numbering.Area+e164, country); err == nil && phonenumbers.IsValidNumber(p) {
			return stable(p, e164)
		}
	}
	return e164, false
}

// above says that what belongs to unit is for those at path: the unit stands at path or above it. What belongs to no unit is the
// platform's, and for everyone.
func above(unit, path string) bool {
	return unit == "" || strings.Contains(path, "/"+unit+"/")
}
