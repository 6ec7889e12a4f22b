package call

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/pbx"
)

// example is a call with one of everything.
func example() Record {
	start := time.Date(2026, 11, 22, 8, 0, 0, 123456000, time.UTC)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	rating := 5
	summary := "wants a refund"
	return Record{
		ID: "0199-call", Unit: "unit-a", UnitPath: "/unit-a/", Node: "one", Direction: Inbound, State: Ended,
		From: "+8613800138000", FromRaw: "13800138000", To: "4001", Service: "Sales line", Trunk: "carrier", Path: "2>1", Language: "zh-CN",
		Started: at(0), Answered: at(0), Talked: at(20), Ended: at(80), Queue: "q1", QueueName: "Sales", Agent: "anna", AgentName: "Anna", Entered: "flow-1",
		Legs: []Leg{
			{ID: "in-1", Kind: LegCustomer, Trunk: "carrier", Started: at(0), Answered: at(0), Ended: at(80), Cause: 16},
			{ID: "0199-call-1", Kind: LegAgent, Agent: "anna", Phone: "1001", Dialled: true, Started: at(15), Ringing: at(15), Answered: at(20), Ended: at(80), ByUs: true},
		},
		Segments: []Segment{
			{Kind: "auto", Started: at(0), Ended: at(10)}, {Kind: "queue", Queue: "q1", Started: at(10), Ended: at(20)}, {Kind: "agent", Agent: "anna", Queue: "q1", Started: at(20), Ended: at(80)},
		},
		Entries:  []Entry{{Queue: "q1", Name: "Sales", Joined: at(10), Left: at(20), Position: 1, Result: "answered", Agent: "anna"}},
		Offers:   []Offer{{Queue: "q1", Agent: "anna", Name: "Anna", Phone: "1001", Kind: "queue", Started: at(15), Ringing: at(15), Ended: at(20), Result: "answered", Why: json.RawMessage(`{"strategy":"longest_idle"}`)}},
		Holds:    []Hold{{Agent: "anna", Started: at(30), Ended: at(40)}},
		Tracks:   []Track{{ID: "r", Leg: "in-1", Side: "customer", Started: at(20), Ended: at(80)}},
		Timeline: []Mark{{At: at(0), What: "arrived"}, {At: at(80), What: "ended"}},
		Note:     Note{Summary: &summary, Rating: &rating},
		Class:    ClassTalked, Reason: "caller_hung_up", Released: ByCaller, Cause: pbx.NormalClearing,
	}
}

// a record becomes rows, with every figure worked out; twice the same event is one call.
func TestProject(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		rec := example()
		identified := 0
		h := History{DB: d, Identify: func(_ context.Context, _ *gorm.DB, unit, number, _ string) (string, error) {
			identified++
			return "customer of " + number, nil
		}}
		e := rec.event()
		for range 2 { // a consumer may see a batch again
			if err := h.Project(t.Context(), []bus.Event{e}); err != nil {
				t.Fatal(err)
			}
		}
		if identified == 0 {
			t.Error("the customer was not looked for")
		}
		row, err := (store{d}).call(rec.ID)
		if err != nil {
			t.Fatal(err)
		}
		if row.WaitMs != 10_000 || row.TalkMs != 60_000 || row.HoldMs != 10_000 || row.CustomerID != "customer of +8613800138000" || !row.Recorded ||
			row.Summary != "wants a refund" || row.Rating == nil || *row.Rating != 5 || !row.StartedAt.Equal(rec.Started) || row.FlowID != "flow-1" {
			t.Errorf("row %+v", row)
		}
		for _, part := range []struct {
			what string
			into any
			want int64
		}{{"legs", &LegRow{}, 2}, {"segments", &SegmentRow{}, 3}, {"entries", &EntryRow{}, 1}, {"offers", &OfferRow{}, 1}, {"holds", &HoldRow{}, 1}, {"timelines", &TimelineRow{}, 1}} {
			var n int64
			if err := d.Model(part.into).Where("call_id = ?", rec.ID).Count(&n).Error; err != nil || n != part.want {
				t.Errorf("%d %s, %v; want %d", n, part.what, err, part.want)
			}
		}
		var offer OfferRow
		if err := d.Take(&offer).Error; err != nil {
			t.Fatal(err)
		}
		var why struct{ Strategy string }
		if err := json.Unmarshal(offer.Why.V, &why); err != nil || why.Strategy != "longest_idle" {
			t.Errorf("why = %s, %v", offer.Why.V, err)
		}
	})
}

// What the outside world sends may be longer than any column.
func TestProjectLongInput(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		rec := example()
		long := ""
		for range 500 {
			long += "名"
		}
		rec.FromName, rec.FromRaw, rec.Path, rec.To, rec.ToRaw, rec.From = long, long, long, long, long, long
		if err := (History{DB: d}).Project(t.Context(), []bus.Event{rec.event()}); err != nil {
			t.Fatal(err)
		}
	})
}

// The tables have what the models say.
func TestModels(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) { dbtest.CheckModels(t, d, Models()...) })
}

// calls are found by each field.
func TestSearch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		rec := example()
		if err := (History{DB: d}).Project(t.Context(), []bus.Event{rec.event()}); err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]Search{
			"from":     {From: rec.Started.Add(-time.Second), To: rec.Started.Add(time.Second)},
			"number":   {Number: "+86138"},
			"raw":      {Number: "138001"},
			"agent":    {Agent: "anna"},
			"queue":    {Queue: "q1"},
			"path":     {Path: "2>1"},
			"summary":  {Summary: "refund wants"},
			"rating":   {Rating: 5},
			"reason":   {Reason: "caller_hung_up", Class: ClassTalked, ReleasedBy: ByCaller},
			"recorded": {Recorded: "true"},
			"talk":     {MinTalk: 60, MaxTalk: 60},
			"service":  {Service: "Sales line", Trunk: "carrier", Direction: Inbound},
		} {
			var found, other int64
			if err := f.narrow(d.Model(&Row{})).Count(&found).Error; err != nil || found != 1 {
				t.Errorf("%s: found %d, %v", name, found, err)
			}
			if err := f.narrow(d.Model(&Row{})).Where("id <> ?", rec.ID).Count(&other).Error; err != nil || other != 0 {
				t.Errorf("%s: found %d others, %v", name, other, err)
			}
		}
		for name, f := range map[string]Search{
			"number": {Number: "139"}, "agent": {Agent: "bob"}, "wildcard": {Number: "%"}, "summary": {Summary: "re_und"}, "rating": {Rating: 4}, "recorded": {Recorded: "false"},
		} {
			var found int64
			if err := f.narrow(d.Model(&Row{})).Count(&found).Error; err != nil || found != 0 {
				t.Errorf("%s: found %d, %v; want none", name, found, err)
			}
		}
	})
}
