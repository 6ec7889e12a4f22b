package hours

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"callplane/app/kernel/problem"
)

// shop is open Monday to Friday 9 to 18 with a lunch break, and Friday night through to Saturday 02:00.
const shop = `{
	"time_zone": "Asia/Shanghai",
	"weekly": [
		{"days": ["mon","tue","wed","thu","fri"], "from": "09:00", "to": "12:00"},
		{"days": ["mon","tue","wed","thu","fri"], "from": "13:00", "to": "18:00"},
		{"days": ["fri"], "from": "22:00", "to": "02:00"}
	],
	"special": [
		{"name": "National Day", "date": "2026-10-01", "until": "2026-10-07", "open": false},
		{"name": "Make-up day", "date": "2026-10-10", "open": true, "windows": [{"from": "09:00", "to": "12:00"}]},
		{"name": "New Year", "date": "2026-01-01", "repeat": "FREQ=YEARLY", "open": false},
		{"name": "Singles Day", "date": "2026-11-11", "open": true}
	]
}`

func calendar(t *testing.T, text string) *Calendar {
	t.Helper()
	var p Plan
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	c, err := NewCalendar(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// the time part of choosing a flow.
func TestOpen(t *testing.T) {
	c := calendar(t, shop)
	shanghai, _ := time.LoadLocation("Asia/Shanghai")
	for _, tt := range []struct {
		at   string
		open bool
		next string // when that changes
	}{
		{"2026-03-02 08:59", false, "2026-03-02 09:00"}, // a Monday
		{"2026-03-02 09:00", true, "2026-03-02 12:00"},
		{"2026-03-02 12:00", false, "2026-03-02 13:00"},
		{"2026-03-02 17:59", true, "2026-03-02 18:00"},
		{"2026-03-02 18:00", false, "2026-03-03 09:00"},
		{"2026-03-06 23:00", true, "2026-03-07 02:00"},  // over midnight
		{"2026-03-07 01:59", true, "2026-03-07 02:00"},  // Saturday, from Friday
		{"2026-03-07 02:00", false, "2026-03-09 09:00"}, // until Monday
		{"2026-09-30 19:00", false, "2026-10-08 09:00"}, // the holiday week
		{"2026-10-05 10:00", false, "2026-10-08 09:00"},
		{"2026-10-10 10:00", true, "2026-10-10 12:00"},  // a Saturday that is worked
		{"2027-01-01 10:00", false, "2027-01-04 09:00"}, // a Friday: the date comes again, and closes the night window too
		{"2026-11-11 03:00", true, "2026-11-12 00:00"},
		{"2026-11-10 20:00", false, "2026-11-11 00:00"},
	} {
		at, _ := time.ParseInLocation("2006-01-02 15:04", tt.at, shanghai)
		if got := c.Open(at.UTC()); got != tt.open {
			t.Errorf("open at %s = %v", tt.at, got)
		}
		next, open, ok := c.Next(at)
		if got := next.In(shanghai).Format("2006-01-02 15:04"); !ok || got != tt.next || open == tt.open {
			t.Errorf("next after %s = %s open %v ok %v, want %s", tt.at, got, open, ok, tt.next)
		}
	}
	if got := c.Special(time.Date(2026, 10, 3, 4, 0, 0, 0, time.UTC)); got != "National Day" {
		t.Errorf("special = %q", got)
	}
}

func TestOpenAlwaysAndNever(t *testing.T) {
	always := calendar(t, `{"time_zone":"UTC","weekly":[{"days":["mon","tue","wed","thu","fri","sat","sun"],"from":"00:00","to":"24:00"}]}`)
	if _, _, ok := always.Next(time.Now()); !always.Open(time.Now()) || ok {
		t.Error("round the clock changes")
	}
	never := calendar(t, `{"time_zone":"UTC"}`)
	if _, _, ok := never.Next(time.Now()); never.Open(time.Now()) || ok {
		t.Error("without windows it opens")
	}
	var zero Calendar
	if zero.Open(time.Now()) {
		t.Error("the zero calendar is open")
	}
}

// A day with a clock change keeps its wall-clock hours.
func TestOpenAcrossClockChange(t *testing.T) {
	c := calendar(t, `{"time_zone":"Europe/Berlin","weekly":[{"days":["sun"],"from":"01:00","to":"09:00"}]}`)
	berlin, _ := time.LoadLocation("Europe/Berlin")
	start := time.Date(2026, 3, 29, 1, 0, 0, 0, berlin)
	end, open, ok := c.Next(start)
	if !ok || open || end.Sub(start) != 7*time.Hour || end.In(berlin).Hour() != 9 {
		t.Errorf("spring: closes %v after %v", end.In(berlin), end.Sub(start))
	}
}

// Open and Next agree minute by minute through the year's odd weeks.
func TestNextAgreesWithOpen(t *testing.T) {
	c := calendar(t, shop)
	for _, from := range []time.Time{
		time.Date(2026, 9, 28, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 29, 0, 0, 0, 0, time.UTC),
	} {
		was := c.Open(from)
		want, open, _ := c.Next(from)
		for at := from; at.Before(from.AddDate(0, 0, 16)); at = at.Add(time.Minute) {
			is := c.Open(at)
			if is != was {
				if !at.Equal(want) || open != is {
					t.Fatalf("changed at %s, Next said %s", at, want)
				}
				want, open, _ = c.Next(at)
				was = is
			}
		}
	}
}

func TestPlanFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		plan  string
		field string
	}{
		"no zone":       {`{}`, "body.plan.time_zone"},
		"unknown zone":  {`{"time_zone":"Mars/Base"}`, "body.plan.time_zone"},
		"local zone":    {`{"time_zone":"Local"}`, "body.plan.time_zone"},
		"day":           {`{"time_zone":"UTC","weekly":[{"days":["funday"],"from":"09:00","to":"10:00"}]}`, "body.plan.weekly[0].days"},
		"no day":        {`{"time_zone":"UTC","weekly":[{"days":[],"from":"09:00","to":"10:00"}]}`, "body.plan.weekly[0].days"},
		"time":          {`{"time_zone":"UTC","weekly":[{"days":["mon"],"from":"9","to":"10:00"}]}`, "body.plan.weekly[0].from"},
		"24 is no from": {`{"time_zone":"UTC","weekly":[{"days":["mon"],"from":"24:00","to":"10:00"}]}`, "body.plan.weekly[0].from"},
		"after 24":      {`{"time_zone":"UTC","weekly":[{"days":["mon"],"from":"09:00","to":"24:30"}]}`, "body.plan.weekly[0].to"},
		"date":          {`{"time_zone":"UTC","special":[{"date":"2026-02-30"}]}`, "body.plan.special[0].date"},
		"until":         {`{"time_zone":"UTC","special":[{"date":"2026-02-03","until":"2026-02-01"}]}`, "body.plan.special[0].until"},
		"rule":          {`{"time_zone":"UTC","special":[{"date":"2026-02-03","repeat":"yearly"}]}`, "body.plan.special[0].repeat"},
		"hourly rule":   {`{"time_zone":"UTC","special":[{"date":"2026-02-03","repeat":"FREQ=HOURLY"}]}`, "body.plan.special[0].repeat"},
		"daily rule":    {`{"time_zone":"UTC","special":[{"date":"2026-02-03","repeat":"FREQ=DAILY"}]}`, "body.plan.special[0].repeat"},
		"closed window": {`{"time_zone":"UTC","special":[{"date":"2026-02-03","windows":[{"from":"09:00","to":"10:00"}]}]}`, "body.plan.special[0].windows"},
	} {
		t.Run(name, func(t *testing.T) {
			var p Plan
			if err := json.Unmarshal([]byte(tt.plan), &p); err != nil {
				t.Fatal(err)
			}
			_, err := NewCalendar(p)
			var fault *problem.Problem
			if !errors.As(err, &fault) || !errors.Is(err, problem.ErrInvalid) {
				t.Fatalf("err = %v", err)
			}
			if !slices.ContainsFunc(fault.Fields, func(f problem.Field) bool { return f.Pointer == tt.field }) {
				t.Errorf("fields = %v, want %s", fault.Fields, tt.field)
			}
		})
	}
}

// A rule that never comes true must not hold up anybody.
func TestRuleThatNeverComes(t *testing.T) {
	c := calendar(t, `{"time_zone":"UTC","special":[{"date":"2026-02-03","repeat":"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30","open":true}]}`)
	if c.Open(time.Date(2031, 2, 3, 9, 0, 0, 0, time.UTC)) || !c.Open(time.Date(2026, 2, 3, 9, 0, 0, 0, time.UTC)) {
		t.Error("only the first day should be open")
	}
}

func FuzzPlan(f *testing.F) {
	f.Add(shop)
	f.Add(`{"time_zone":"UTC","special":[{"date":"2026-02-03","repeat":"FREQ=YEARLY;BYEASTER=1"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var p Plan
		if json.Unmarshal([]byte(text), &p) != nil {
			return
		}
		if c, err := NewCalendar(p); err == nil {
			at := time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC)
			if next, open, ok := c.Next(at); ok && (!next.After(at) || c.Open(next) != open) {
				t.Errorf("next %s open %v does not agree", next, open)
			}
		}
	})
}
