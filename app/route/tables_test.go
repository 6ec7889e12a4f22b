package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"callplane/app/hours"
)

// The organisation of the tests: tenant acme with the departments sales and care, and another tenant.
var paths = map[string]string{
	"acme": "/acme/", "sales": "/acme/sales/", "care": "/acme/care/", "team": "/acme/sales/team/", "other": "/other/",
}

func pathOf(unit string) string { return paths[unit] }

// clock is opening hours for tests: a calendar is open or not.
type clock map[hours.ID]bool

func (c clock) Open(id hours.ID, _ time.Time) (open bool, name string, ok bool) {
	open, ok = c[id]
	return open, "calendar " + string(id), ok
}

func rows() Rows {
	return Rows{
		Trunks: []Trunk{
			{Name: "carrier-a", UnitID: "acme", Enabled: true, WhenFull: FullOverflow, Formats: Formats{
				CalledIn:  []Rewrite{{Match: "8XXX", Prefix: "+86106208"}, {Match: "99.", Strip: 2}},
				CallerIn:  []Rewrite{{Match: "NXXXXXXX", Prefix: "+8610"}},
				CalledOut: []Rewrite{{Match: "+861[3-9]XXXXXXXXX", Strip: 3}, {Match: "+86.", Strip: 3, Prefix: "0"}, {Match: "+.", Strip: 1, Prefix: "00"}},
				CallerOut: []Rewrite{{Match: "+86!", Strip: 3}},
			}},
			{Name: "off", UnitID: "acme", Enabled: false},
		},
		Numbers: []Number{
			{ID: "n1", UnitID: "sales", Number: "95001", Service: "Sales", State: NumberActive, Flow: "sales", Language: "zh-CN"},
			{ID: "n2", UnitID: "care", Number: "+864008001234", Service: "Care", State: NumberActive, Flow: "care-night", Rules: []Rule{
				{Trunk: "carrier-b", Flow: "care-b"},
				{Caller: CallerWithheld, Flow: "care-anonymous"},
				{Caller: "+8613800138", Calendar: "day", Flow: "care-vip"},
				{Calendar: "day", Flow: "care-day"},
				{Calendar: "lunch", When: whenClosed, Caller: "+1", Flow: "care-abroad"},
			}},
			{ID: "n3", UnitID: "sales", Number: "+861062345678", Service: "Office", State: NumberActive, Flow: "office"},
			{ID: "n4", UnitID: "sales", Number: "95004", Service: "Later", State: NumberReserved, Flow: "x"},
			{ID: "n5", UnitID: "sales", Number: "95005", Service: "Unfinished", State: NumberActive},
		},
	}
}

// R-019 R-036
func TestInbound(t *testing.T) {
	tables := NewTables(Numbering{Country: "CN", Area: "10"}, rows(), pathOf)
	day, night := clock{"day": true, "lunch": true}, clock{"day": false, "lunch": false}
	for name, tt := range map[string]struct {
		asked      Asked
		hours      clock
		flow, from string
		why        string
		err        error
	}{
		"service code":           {Asked{To: "95001", From: "13800138000", Trunk: "carrier-a"}, day, "sales", "+8613800138000", "own flow", nil},
		"any notation":           {Asked{To: "+86 400-800-1234", From: "008613900139000"}, day, "care-day", "+8613900139000", "calendar day is open", nil},
		"closed":                 {Asked{To: "4008001234", From: "13900139000"}, night, "care-night", "+8613900139000", "rule 4: calendar day is closed", nil},
		"by trunk":               {Asked{To: "4008001234", From: "13900139000", Trunk: "carrier-b"}, day, "care-b", "+8613900139000", "on trunk carrier-b", nil},
		"by caller":              {Asked{To: "4008001234", From: "0138-0013-8000"}, day, "care-vip", "+8613800138000", "rule 3 fits (the caller is from +8613800138, calendar day is open)", nil},
		"abroad, lunch":          {Asked{To: "4008001234", From: "0014155552671"}, clock{"day": false, "lunch": false}, "care-abroad", "+14155552671", "rule 5", nil},
		"withheld":               {Asked{To: "4008001234", From: "13900139000", Withheld: true}, day, "care-anonymous", "", "no number", nil},
		"anonymous":              {Asked{To: "4008001234", From: "anonymous"}, day, "care-anonymous", "", "no number", nil},
		"gone calendar":          {Asked{To: "4008001234", From: "13900139000"}, clock{}, "care-night", "+8613900139000", "its calendar is gone", nil},
		"trunk's called rule":    {Asked{To: "8678", From: "95588", Trunk: "carrier-a"}, day, "", "95588", "", ErrNoNumber},
		"strip":                  {Asked{To: "9995001", From: "95588", Trunk: "carrier-a"}, day, "sales", "95588", "dialled as 9995001", nil},
		"trunk's caller rule":    {Asked{To: "95001", From: "62223333", Trunk: "carrier-a"}, day, "sales", "+861062223333", "", nil},
		"own area":               {Asked{To: "62345678", From: "62223333"}, day, "office", "+861062223333", "dialled as 62345678", nil},
		"from a phone":           {Asked{To: "95001", From: "desk-1", Phone: "desk-1"}, day, "sales", "desk-1", "", nil},
		"unknown trunk":          {Asked{To: "95001", From: "1001", Trunk: "handmade"}, day, "sales", "1001", "", nil},
		"disabled trunk":         {Asked{To: "95001", From: "1001", Trunk: "off"}, day, "", "", "", ErrTrunkDisabled},
		"unknown number":         {Asked{To: "95099", From: "1001"}, day, "", "1001", "", ErrNoNumber},
		"empty number":           {Asked{From: "1001"}, day, "", "1001", "", ErrNoNumber},
		"reserved":               {Asked{To: "95004", From: "1001"}, day, "", "1001", "", ErrNoNumber},
		"leads nowhere":          {Asked{To: "95005", From: "1001"}, day, "", "1001", "", ErrNoNumber},
		"a SIP name is a caller": {Asked{To: "95001", From: "sip:alice@example.com"}, day, "sales", "alice", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := tables.Inbound(tt.asked, tt.hours)
			if !errors.Is(err, tt.err) || in.Flow != tt.flow || in.From != tt.from || in.FromRaw != tt.asked.From {
				t.Errorf("flow %q from %q raw %q err %v (%s)", in.Flow, in.From, in.FromRaw, err, in.Why)
			}
			if !strings.Contains(in.Why, tt.why) {
				t.Errorf("why = %q, want %q in it", in.Why, tt.why)
			}
			if err == nil && in.UnitPath != paths[in.Unit] || in.Internal != (tt.asked.Phone != "") {
				t.Errorf("unit %q path %q internal %v", in.Unit, in.UnitPath, in.Internal)
			}
		})
	}
}

// five notations of one number, and a withheld one.
func TestInboundCaller(t *testing.T) {
	tables := NewTables(Numbering{Country: "CN"}, rows(), pathOf)
	for _, from := range []string{"+8613800138000", "008613800138000", "138-0013-8000", "8613800138000", "013800138000"} {
		in, err := tables.Inbound(Asked{To: "95001", From: from, Trunk: "carrier-a"}, clock{})
		if err != nil || in.From != "+8613800138000" || in.FromRaw != from {
			t.Errorf("%s: from %q raw %q err %v", from, in.From, in.FromRaw, err)
		}
	}
	in, err := tables.Inbound(Asked{To: "95001", Withheld: true, Trunk: "carrier-a"}, clock{})
	if err != nil || in.From != "" || in.Flow != "sales" {
		t.Errorf("withheld: from %q flow %q err %v", in.From, in.Flow, err)
	}
}

// now is the state of trunks at this moment, for tests.
type now struct{ down, full string } // full may name several, with commas

func (n now) Up(trunk string) bool   { return trunk != n.down }
func (n now) Full(trunk string) bool { return slices.Contains(strings.Split(n.full, ","), trunk) }

func outRows() Rows {
	r := rows()
	r.Trunks = append(r.Trunks,
		Trunk{Name: "local", UnitID: "acme", Enabled: true, Classes: []Class{Local}, Priority: 1, Caller: "+861062340000", WhenFull: FullOverflow},
		Trunk{Name: "local-2", UnitID: "acme", Enabled: true, Classes: []Class{Local}, Priority: 2, WhenFull: FullOverflow},
		Trunk{Name: "far", UnitID: "acme", Enabled: true, Classes: []Class{LongDistance}, WhenFull: FullBusy, ChannelLimit: 60},
		Trunk{Name: "strict", UnitID: "acme", Enabled: true, Classes: []Class{International}, Priority: 9, Callers: []string{"+861062345678"}, WhenFull: FullOverflow},
		Trunk{Name: "other-trunk", UnitID: "other", Enabled: true, Classes: Classes, Priority: -9, WhenFull: FullOverflow},
	)
	r.Numbers[2].CallerIdentity = true // the office's number, of sales
	r.Numbers = append(r.Numbers,
		Number{ID: "c1", UnitID: "acme", Number: "+861069000001", Service: "Acme", State: NumberActive, CallerIdentity: true},
		Number{ID: "c2", UnitID: "acme", Number: "+861069000002", Service: "Acme far", State: NumberActive, CallerIdentity: true, Trunk: "far"},
		Number{ID: "c3", UnitID: "acme", Number: "+861069000003", Service: "Off", State: NumberSuspended, CallerIdentity: true},
		Number{ID: "o1", UnitID: "other", Number: "+861069999999", Service: "Theirs", State: NumberActive, CallerIdentity: true},
	)
	r.Barred = []Barred{
		{UnitID: "acme", Number: "+8616", Prefix: true, Reason: "Premium rate."},
		{UnitID: "acme", Number: "168", Prefix: true, Reason: "Premium rate."},
		{UnitID: "sales", Number: "+862155556666", Reason: "They asked us to stop."},
	}
	return r
}

// R-013 R-021 R-034 R-011 R-144
func TestOutbound(t *testing.T) {
	tables := NewTables(Numbering{Country: "CN", Area: "10"}, outRows(), pathOf)
	base := Wanted{Unit: "team", UnitPath: paths["team"]}
	with := func(to string, change ...func(*Wanted)) Wanted {
		w := base
		w.To = to
		for _, f := range change {
			f(&w)
		}
		return w
	}
	from := func(n string) func(*Wanted) { return func(w *Wanted) { w.From = n } }
	may := func(c ...Class) func(*Wanted) { return func(w *Wanted) { w.Classes = append([]Class{}, c...) } }
	as := func(unit string) func(*Wanted) {
		return func(w *Wanted) { w.Unit, w.UnitPath = unit, paths[unit] }
	}
	for name, tt := range map[string]struct {
		w     Wanted
		live  now
		trunk string
		dial  string
		shows string
		class Class
		err   error
		says  string
	}{
		"local":                       {with("010-69999888"), now{}, "local", "+861069999888", "+861062345678", Local, nil, ""},
		"local, subscriber number":    {with("69999888"), now{}, "local", "+861069999888", "+861062345678", Local, nil, ""},
		"service code":                {with("95588"), now{}, "local", "95588", "+861062345678", Local, nil, ""},
		"first is down":               {with("95588"), now{down: "local"}, "local-2", "95588", "+861062345678", Local, nil, "local does not answer"},
		"overflow":                    {with("95588"), now{full: "local,local-2"}, "carrier-a", "95588", "1062345678", Local, nil, "local is full; local-2 is full"},
		"tried":                       {with("95588", func(w *Wanted) { w.Not = []string{"local"} }), now{}, "local-2", "95588", "+861062345678", Local, nil, "local was tried"},
		"mobile takes the rest":       {with("13800138000"), now{}, "carrier-a", "13800138000", "1062345678", Mobile, nil, "local carries no mobile calls"},
		"long distance":               {with("021-62345678"), now{}, "far", "+862162345678", "+861062345678", LongDistance, nil, ""},
		"trunk's own number":          {with("021-62345678", as("care")), now{}, "far", "+862162345678", "+861069000002", LongDistance, nil, ""},
		"long distance, busy":         {with("021-62345678"), now{full: "far"}, "", "", "", LongDistance, ErrTrunkFull, "All 60 channels of far"},
		"long distance, far down":     {with("021-62345678"), now{down: "far"}, "carrier-a", "02162345678", "1062345678", LongDistance, nil, ""},
		"international":               {with("+1 415 555 2671"), now{}, "strict", "+14155552671", "+861062345678", International, nil, ""},
		"international, other number": {with("+1 415 555 2671", from("+861069000001")), now{}, "carrier-a", "0014155552671", "1069000001", International, nil, "strict does not show"},
		"identity from above":         {with("95588", from("010-69000001")), now{}, "local", "95588", "+861069000001", Local, nil, ""},
		"all full":                    {with("13800138000"), now{full: "carrier-a"}, "", "", "", Mobile, ErrTrunkFull, "carrier-a is full"},
		"all down":                    {with("13800138000"), now{down: "carrier-a"}, "", "", "", Mobile, ErrNoTrunk, "carrier-a does not answer"},
		"other tenant":                {with("13800138000", as("other")), now{}, "other-trunk", "+8613800138000", "+861069999999", Mobile, nil, ""},
		"identity not assigned":       {with("95588", from("+861069999999")), now{}, "", "", "", Local, ErrCallerIdentity, "Rule assigned"},
		"identity unknown":            {with("95588", from("13912345678")), now{}, "", "", "", Local, ErrCallerIdentity, "Rule assigned"},
		"identity of a sister unit":   {with("95588", as("care"), from("+861062345678")), now{}, "", "", "", Local, ErrCallerIdentity, "Rule assigned"},
		"identity suspended":          {with("95588", from("+861069000003")), now{}, "", "", "", Local, ErrCallerIdentity, "Rule active"},
		"identity without permission": {with("95588", from("95001")), now{}, "", "", "", Local, ErrCallerIdentity, "Rule permission"},
		"barred prefix":               {with("+8616812345678"), now{}, "", "", "", Mobile, ErrBarred, "Premium rate."},
		"barred as dialled at home":   {with("16899"), now{}, "", "", "", Local, ErrBarred, "Premium rate."},
		"barred number":               {with("(021) 5555 6666"), now{}, "", "", "", LongDistance, ErrBarred, "They asked us to stop."},
		"barred for others only":      {with("021-55556666", as("care")), now{}, "far", "+862155556666", "+861069000002", LongDistance, nil, ""},
		"permission":                  {with("+14155552671", may(Local, Mobile)), now{}, "", "", "", International, ErrNotAllowed, "local, mobile"},
		"no permission at all":        {with("95588", may()), now{}, "", "", "", Local, ErrNotAllowed, "nothing"},
		"permission given":            {with("13800138000", may(Mobile)), now{}, "carrier-a", "13800138000", "1062345678", Mobile, nil, ""},
		"emergency needs none":        {with("110", may()), now{}, "local", "110", "+861062345678", Local, nil, ""},
		"emergency on any trunk":      {with("119", may(), func(w *Wanted) { w.Not = []string{"local", "local-2", "carrier-a"} }), now{}, "far", "119", "+861062345678", Local, nil, ""},
		"a name":                      {with("desk-1"), now{}, "", "", "", "", ErrBadNumber, "desk-1"},
		"a feature code":              {with("*98"), now{}, "", "", "", "", ErrBadNumber, ""},
		"nothing":                     {with(""), now{}, "", "", "", "", ErrBadNumber, ""},
		"too long":                    {with("1234567890123456789012"), now{}, "", "", "", "", ErrBadNumber, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := tables.Outbound(tt.w, tt.live)
			if !errors.Is(err, tt.err) || out.Trunk != tt.trunk || out.Dial != tt.dial || out.CallerNumber != tt.shows || out.Class != string(tt.class) {
				t.Errorf("got %+v, err %v", out, err)
			}
			if said := fmt.Sprint(out.Why, err); !strings.Contains(said, tt.says) {
				t.Errorf("says %q, want %q in it", said, tt.says)
			}
		})
	}
}

// Without a number of the unit's own, the trunk's is shown; without that, none.
func TestOutboundWithoutNumbers(t *testing.T) {
	r := outRows()
	r.Numbers = nil
	tables := NewTables(Numbering{Country: "CN", Area: "10"}, r, pathOf)
	out, err := tables.Outbound(Wanted{UnitPath: paths["team"], To: "95588"}, now{})
	if err != nil || out.CallerNumber != "+861062340000" {
		t.Errorf("local shows %q, err %v", out.CallerNumber, err)
	}
	out, err = tables.Outbound(Wanted{UnitPath: paths["team"], To: "13800138000"}, now{})
	if err != nil || out.CallerNumber != "" {
		t.Errorf("carrier-a shows %q, err %v", out.CallerNumber, err)
	}
}

func TestPattern(t *testing.T) {
	for _, tt := range []struct {
		pattern, number string
		fits            bool
	}{
		{"+861XXXXXXXXXX", "+8613800138000", true},
		{"+861XXXXXXXXXX", "+861380013800", false},
		{"0Z.", "01062345678", true},
		{"0Z.", "001", false},
		{"0!", "0", true},
		{"0.", "0", false},
		{"9[3-58]N", "942", true},
		{"9[3-58]N", "982", true},
		{"9[3-58]N", "962", false},
		{"9[3-58]N", "941", false},
		{".", "+1", true},
		{"*9X#", "*91#", true},
	} {
		re, err := pattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
		} else if re.MatchString(tt.number) != tt.fits {
			t.Errorf("%s fits %s: %v", tt.pattern, tt.number, !tt.fits)
		}
	}
	for _, bad := range []string{"", ".5", "A", "[", "[]", "[a]", "[5-2]", "1 2", "(1)"} {
		if _, err := pattern(bad); err == nil {
			t.Errorf("pattern %q was taken", bad)
		}
	}
}

// the limit counts both directions, holds under load, and a channel given back twice is one channel.
func TestChannels(t *testing.T) {
	var c channels
	var given []func()
	for range 16 {
		release, ok := c.seize("a", 16)
		if !ok {
			t.Fatal("a channel is missing")
		}
		given = append(given, release)
	}
	if _, ok := c.seize("a", 16); ok || c.live("a") != 16 {
		t.Fatalf("the 17th got a channel; live %d", c.live("a"))
	}
	if _, ok := c.seize("b", 16); !ok {
		t.Error("another trunk is full too")
	}
	given[0]()
	given[0]()
	if c.live("a") != 15 {
		t.Errorf("live = %d", c.live("a"))
	}
	if _, ok := c.seize("a", 16); !ok {
		t.Error("the free channel is not given")
	}
}

func BenchmarkInbound(b *testing.B) {
	tables := NewTables(Numbering{Country: "CN", Area: "10"}, rows(), pathOf)
	for b.Loop() {
		_, _ = tables.Inbound(Asked{To: "4008001234", From: "13800138000", Trunk: "carrier-a"}, clock{"day": true})
	}
}
