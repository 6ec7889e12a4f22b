package hours

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // time zones, also where the host has none

	"github.com/teambition/rrule-go"

	"callplane/app/kernel/problem"
)

// ID names a calendar.
type ID string

// Plan is the content of a calendar, as people edit it.
type Plan struct {
	TimeZone string    `json:"time_zone" doc:"IANA name, such as Asia/Shanghai" example:"Asia/Shanghai" maxLength:"60"`
	Weekly   []Window  `json:"weekly,omitempty" doc:"Open windows of an ordinary week" maxItems:"100"`
	Special  []Special `json:"special,omitempty" doc:"Dates that replace the weekly windows; of several that fit a day the first counts" maxItems:"500"`
}

// Window is a time of day on some days of the week.
type Window struct {
	Days []string `json:"days" doc:"Days of the week: mon tue wed thu fri sat sun" minItems:"1" maxItems:"7"`
	Span
}

// Span is a time of day. To is not included. A To at or before From is on the next day; 00:00 to 24:00 is the whole day.
type Span struct {
	From string `json:"from" doc:"Time of day, 00:00 to 23:59" example:"09:00"`
	To   string `json:"to" doc:"Time of day, 00:01 to 24:00; at or before from it is on the next day" example:"18:00"`
}

// Special is one date, a stretch of dates, or a date that comes again.
type Special struct {
	Name   string `json:"name" doc:"Such as National Day" maxLength:"100"`
	Date   string `json:"date" doc:"First day, as 2026-10-01" example:"2026-10-01"`
	Until  string `json:"until,omitempty" doc:"Last day, included; empty is the first day alone"`
	Repeat string `json:"repeat,omitempty" doc:"How the first day comes again, as an iCalendar rule: FREQ=YEARLY" example:"FREQ=YEARLY"`
	Open   bool   `json:"open" doc:"False is closed all day; true is open in the windows, or all day without any"`
	Spans  []Span `json:"windows,omitempty" doc:"When it is open, on each of these days" maxItems:"20"`
}

// Calendar is a plan that was checked and is ready to be asked. Make it with NewCalendar. Its zero value is always closed.
type Calendar struct {
	loc    *time.Location
	weekly [7][]span // by time.Weekday
	dates  []dates
}

// span is minutes from midnight; to may exceed 1440.
type span struct{ from, to int }

// dates is a Special made ready.
type dates struct {
	name        string
	first, last day
	again       []day // the first days when it comes again, in order
	spans       []span
}

// day counts days, so that dates compare without a time zone.
type day int

func dayOf(y int, m time.Month, d int) day {
	return day(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// midnight is the start of the day as UTC, which stands for "no zone" here.
func (d day) midnight() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// clock is the moment so many minutes after the day's midnight on the wall clock of loc. A time that a clock change
// skips is the one an hour later.
func (d day) clock(minutes int, loc *time.Location) time.Time {
	m := d.midnight()
	return time.Date(m.Year(), m.Month(), m.Day(), 0, minutes, 0, 0, loc)
}

// maxDays bounds how far Next looks, and maxStretch how long a special stretch can be.
const (
	maxDays    = 800
	maxStretch = 366
	maxAgain   = 5000
)

// lastDay is how far special dates are worked out.
var lastDay = time.Date(2100, 12, 31, 0, 0, 0, 0, time.UTC)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} // in the order of time.Weekday

var clockTime = regexp.MustCompile(`^([01]\d|2[0-4]):([0-5]\d)$`)

// NewCalendar checks a plan and makes it ready. The error is problem.ErrInvalid and names the field, as body.plan.weekly[0].from.
func NewCalendar(p Plan) (*Calendar, error) {
	faults := problem.ErrInvalid
	bad := func(at, format string, args ...any) {
		faults = faults.At("body.plan."+at, "invalid", format, args...)
	}
	c := &Calendar{}
	loc, err := time.LoadLocation(p.TimeZone)
	if err != nil || p.TimeZone == "" || p.TimeZone == "Local" {
		bad("time_zone", "%q is no time zone; use a name like Asia/Shanghai.", p.TimeZone)
	}
	c.loc = loc
	for i, w := range p.Weekly {
		at := fmt.Sprintf("weekly[%d]", i)
		sp := parseSpan(w.Span, at, bad)
		if len(w.Days) == 0 {
			bad(at+".days", "Name at least one day.")
		}
		for _, name := range w.Days {
			d := slices.Index(weekdays, strings.ToLower(name))
			if d < 0 {
				bad(at+".days", "%q is no day; use mon tue wed thu fri sat sun.", name)
				continue
			}
			c.weekly[d] = append(c.weekly[d], sp)
		}
	}
	for i, s := range p.Special {
		c.dates = append(c.dates, parseSpecial(s, fmt.Sprintf("special[%d]", i), bad))
	}
	if len(faults.Fields) > 0 {
		return nil, faults
	}
	return c, nil
}

type complain func(at, format string, args ...any)

func parseSpecial(s Special, at string, bad complain) dates {
	d := dates{name: s.Name, first: parseDate(s.Date, at+".date", bad)}
	d.last = d.first
	if s.Until != "" {
		d.last = parseDate(s.Until, at+".until", bad)
		if d.last < d.first || d.last > d.first+maxStretch {
			bad(at+".until", "The last day must be on or after the first, and within a year of it.")
			d.last = d.first
		}
	}
	if s.Repeat != "" {
		d.again = parseRule(s.Repeat, d.first, at+".repeat", bad)
	}
	if !s.Open {
		if len(s.Spans) > 0 {
			bad(at+".windows", "A closed date has no windows.")
		}
		return d
	}
	for j, sp := range s.Spans {
		d.spans = append(d.spans, parseSpan(sp, fmt.Sprintf("%s.windows[%d]", at, j), bad))
	}
	if len(s.Spans) == 0 {
		d.spans = []span{{0, 1440}}
	}
	return d
}

// parseRule works out an iCalendar rule of whole days, up to the year 2100. It is done here, once, because a rule can be
// costly to follow, and one that never comes true would hold up a call.
func parseRule(text string, first day, at string, bad complain) []day {
	opt, err := rrule.StrToROption(strings.TrimPrefix(text, "RRULE:"))
	switch {
	case err != nil:
	case opt.Freq > rrule.DAILY:
		err = errors.New("the frequency must be YEARLY, MONTHLY, WEEKLY or DAILY")
	case len(opt.Byhour)+len(opt.Byminute)+len(opt.Bysecond) > 0 || !opt.Dtstart.IsZero() || opt.Interval < 0:
		err = errors.New("only rules about days are possible")
	}
	var rule *rrule.RRule
	if err == nil {
		opt.Dtstart = first.midnight()
		if opt.Until.IsZero() || opt.Until.After(lastDay) {
			opt.Until = lastDay
		}
		rule, err = rrule.NewRRule(*opt)
	}
	var again []day
	if err == nil {
		next := rule.Iterator()
		for t, ok := next(); ok; t, ok = next() {
			if again = append(again, dayOf(t.Date())); len(again) > maxAgain {
				err = errors.New("it comes too often; use weekly windows")
				break
			}
		}
	}
	if err != nil {
		bad(at, "%q is no rule for days, such as FREQ=YEARLY: %v.", text, err)
		return nil
	}
	return again
}

func parseDate(text, at string, bad complain) day {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil || t.Year() < 1970 || t.After(lastDay) {
		bad(at, "%q is no date; write it as 2026-10-01.", text)
		return 0
	}
	return dayOf(t.Date())
}

func parseSpan(s Span, at string, bad complain) span {
	minutes := func(text, field string) int {
		m := clockTime.FindStringSubmatch(text)
		if m == nil || m[1] == "24" && (m[2] != "00" || field == ".from") {
			bad(at+field, "%q is no time of day; write it as 09:30.", text)
			return 0
		}
		return (int(m[1][0]-'0')*10+int(m[1][1]-'0'))*60 + int(m[2][0]-'0')*10 + int(m[2][1]-'0')
	}
	sp := span{minutes(s.From, ".from"), minutes(s.To, ".to")}
	if sp.to <= sp.from {
		sp.to += 1440
	}
	return sp
}

// Open reports whether the service is open at t. A window that began the evening before goes on to its end, also into a
// closed date.
func (c *Calendar) Open(t time.Time) bool {
	if c.loc == nil {
		return false
	}
	today := dayOf(t.In(c.loc).Date())
	for d := today - 1; d <= today; d++ {
		spans, _ := c.on(d)
		for _, s := range spans {
			if !t.Before(d.clock(s.from, c.loc)) && t.Before(d.clock(s.to, c.loc)) {
				return true
			}
		}
	}
	return false
}

// Next is the next moment after t at which the service opens or closes, and whether it is then open. ok is false when
// nothing changes within 800 days.
func (c *Calendar) Next(t time.Time) (at time.Time, open, ok bool) {
	if c.loc == nil {
		return time.Time{}, false, false
	}
	today := dayOf(t.In(c.loc).Date())
	until := time.Time{} // end of the open time that t is in
	if c.Open(t) {
		until = t
	}
	for d := today - 1; d < today+maxDays; d++ {
		spans, _ := c.on(d)
		spans = slices.Clone(spans)
		slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
		if !until.IsZero() && until.Before(d.clock(0, c.loc)) {
			return until, false, true
		}
		for _, s := range spans {
			from, to := d.clock(s.from, c.loc), d.clock(s.to, c.loc)
			switch {
			case until.IsZero() && from.After(t) && to.After(from):
				return from, true, true
			case !until.IsZero() && !from.After(until) && to.After(until):
				until = to
			case !until.IsZero() && from.After(until):
				return until, false, true
			}
		}
	}
	return time.Time{}, false, false
}

// Special is the name of the special date that t falls on, or "".
func (c *Calendar) Special(t time.Time) string {
	if c.loc == nil {
		return ""
	}
	_, name := c.on(dayOf(t.In(c.loc).Date()))
	return name
}

// on is when the day is open, and the special date it is.
func (c *Calendar) on(d day) ([]span, string) {
	for _, s := range c.dates {
		if s.covers(d) {
			return s.spans, s.name
		}
	}
	return c.weekly[d.midnight().Weekday()], ""
}

func (s dates) covers(d day) bool {
	length := s.last - s.first
	if d >= s.first && d <= s.last {
		return true
	}
	i, exact := slices.BinarySearch(s.again, d)
	return exact || i > 0 && d <= s.again[i-1]+length // the last first day on or before d
}
