//go:build e2e

package e2e

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/kernel/audit"
)

// A call through menu, queue, transfer, summary and rating: each field of its row is right, and finds it.
//
//
func TestCallRow(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	anna, ben := c.agent("anna", agentOptions{}), c.agent("ben", agentOptions{})
	q := c.queue("billing", nil, anna)
	dialled, ours := c.newNumber()
	service := c.name("Bills")
	flow := c.flow("bills", `
language: en
menu:
  text: For billing press two.
  keys:
    "2": {menu: {text: For invoices press one., keys: {"1": {queue: `+q.Name+`}}}}
`)
	c.number2(dialled, string(flow), object{"service": service})
	start := time.Now()
	p := c.calls(dialled)
	for _, key := range []string{"2", "1"} {
		from := c.Feed.mark()
		if err := p.SendDTMF(within(t, 5*time.Second), key, 0); err != nil {
			t.Fatal(err)
		}
		c.Feed.wait(t, from, 10*time.Second, "key "+key, func(e Event) bool { return e.Key == string(p.ID) && e.Type == "call.node" })
	}
	talk(t, p, anna.talk())
	c.must(anna.API, p.ID, "transfer", object{"agent": ben.ID})
	with := ben.talk()
	talk(t, p, with)
	// One thing is written while they talk, the rest after.
	ben.API.do(t, "PATCH", "/call/calls/"+string(p.ID), object{"summary": "Asked about invoice 4711", "ticket": c.name("T")}, nil)
	c.leaves(with)
	d := c.row(p.ID)
	ben.API.do(t, "PATCH", "/call/calls/"+string(p.ID), object{"disposition": "invoice_sent", "resolved": true, "rating": 5}, nil)
	d = c.row(p.ID)
	r := d.Call

	for field, is := range map[string][2]any{
		"direction": {r.Direction, call.Inbound}, "from": {r.FromNumber, "+86" + p.Number}, "from_raw": {r.FromRaw, p.Number},
		"to": {r.ToNumber, ours}, "to_raw": {r.ToRaw, dialled}, "service": {r.Service, service}, "trunk": {r.Trunk, c.Line.Name},
		"flow": {r.FlowID, string(flow)}, "path": {r.Path, "2>1"}, "language": {r.Language, "en"}, "queue": {r.QueueID, string(q.ID)},
		"queue_name": {r.QueueName, q.Name}, "agent": {r.AgentID, ben.ID}, "agent_name": {r.AgentName, "Agent " + ben.Login},
		"unit": {r.UnitID, c.Unit}, "node": {r.Node, "main"}, "withheld": {r.Withheld, false}, "recorded": {r.Recorded, true},
		"dropped": {r.Dropped, false}, "end_class": {r.EndClass, call.ClassTalked}, "end_reason": {r.EndReason, call.AgentHungUp.String()},
		"released_by": {r.ReleasedBy, call.ByAgent}, "summary": {r.Summary, "Asked about invoice 4711"}, "disposition": {r.Disposition, "invoice_sent"},
		"ticket": {r.Ticket, c.name("T")}, "rating": {*r.Rating, 5}, "resolved": {*r.Resolved, true}, "customer": {r.CustomerID != "", true},
		"hold": {r.HoldMs, int64(0)}, "legs": {len(d.Legs), 3}, "segments": {len(d.Segments), 5}, "offers": {len(d.Offers), 2},
	} {
		if is[0] != is[1] {
			t.Errorf("%s is %v, want %v", field, is[0], is[1])
		}
	}
	for _, at := range []struct {
		name     string
		from, to time.Time
	}{{"started", start.Add(-time.Second), r.StartedAt}, {"answered", r.StartedAt, *r.AnsweredAt}, {"talked", *r.AnsweredAt, *r.TalkedAt}, {"ended", *r.TalkedAt, r.EndedAt}} {
		if at.to.Before(at.from) || at.to.After(time.Now()) {
			t.Errorf("%s at %s, not after %s", at.name, at.to, at.from)
		}
	}
	if talked := r.EndedAt.Sub(*r.TalkedAt).Milliseconds(); r.TalkMs <= 0 || r.TalkMs > talked || r.WaitMs < 0 || r.WaitMs > 5000 {
		t.Errorf("talked %d ms of %d, waited %d ms", r.TalkMs, talked, r.WaitMs)
	}

	only := "from=" + url.QueryEscape(start.Add(-time.Minute).Format(time.RFC3339)) + "&"
	for _, query := range []string{
		"number=" + url.QueryEscape("+86"+p.Number), "number=" + p.Number, "number=" + url.QueryEscape(ours), "direction=inbound&service=" + url.QueryEscape(service),
		"agent=" + ben.ID, "agent=" + anna.ID, "queue=" + string(q.ID), "service=" + url.QueryEscape(service), "trunk=" + c.Line.Name, "ticket=" + c.name("T"),
		"customer=" + r.CustomerID, "path=" + url.QueryEscape("2>1") + "&queue=" + string(q.ID), "class=talked&trunk=" + c.Line.Name,
		"reason=agent_hung_up&trunk=" + c.Line.Name, "released_by=agent&trunk=" + c.Line.Name, "disposition=invoice_sent&trunk=" + c.Line.Name,
		"summary=" + url.QueryEscape("invoice 4711"), "rating=5&trunk=" + c.Line.Name, "recorded=true&trunk=" + c.Line.Name, "max_talk_seconds=60&trunk=" + c.Line.Name,
	} {
		found := list[call.Row](t, c.Admin, "/call/calls?"+only+query)
		if len(found) != 1 || found[0].ID != p.ID {
			t.Errorf("%s finds %d calls", query, len(found))
		}
	}
	for _, query := range []string{"rating=4", "recorded=false", "disposition=other", "path=1", "min_talk_seconds=60", "reason=caller_hung_up", "direction=outbound", "summary=nothing"} {
		if found := list[call.Row](t, c.Admin, "/call/calls?"+only+query+"&trunk="+c.Line.Name); len(found) != 0 {
			t.Errorf("%s finds %d calls", query, len(found))
		}
	}
}

// One call with hold, barge-in and transfer: its recording has everybody, each in their time, and nothing is missing. Listening to
// it and barging in are in the audit log.
//
// R-197 R-391
func TestRecordingOfAll(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	anna, ben := c.agent("anna", agentOptions{}), c.agent("ben", agentOptions{})
	boss := c.agent("boss", agentOptions{roles: []string{"supervisor"}, away: true})
	p := c.calls(c.straight(c.queue("all", nil, anna)))
	a := anna.talk()
	talk(t, p, a)
	type part struct {
		what     string
		from, to time.Time
		right    []float64
	}
	var parts []part
	stay := func(what string, right ...float64) { // two seconds in which nothing changes
		from := time.Now()
		wait := time.NewTimer(2 * time.Second)
		<-wait.C
		parts = append(parts, part{what, from, time.Now(), right})
	}
	stay("talk", a.tone)
	c.must(anna.API, p.ID, "hold", nil)
	stay("hold", a.tone)
	c.must(anna.API, p.ID, "unhold", nil)
	boss.API.do(t, "POST", "/monitor/calls/"+string(p.ID)+"/spy", object{"mode": "barge"}, nil)
	b := boss.talk()
	hears(t, p.who, p.Ear(), b.tone)
	hears(t, a.who, a.Ear(), b.tone)
	hears(t, b.who, b.Ear(), p.tone)
	hears(t, b.who, b.Ear(), a.tone)
	stay("barge-in", a.tone, b.tone)
	c.leaves(b)
	c.Feed.call(t, p.ID, "call.spy_ended", 5*time.Second)
	talk(t, p, a)
	c.must(anna.API, p.ID, "transfer", object{"agent": ben.ID})
	second := ben.talk()
	talk(t, p, second)
	stay("after the transfer", second.tone)
	c.leaves(p)

	d := c.row(p.ID)
	left, right, r := c.stereo(p.ID)
	whole := d.Call.EndedAt.Sub(*d.Call.TalkedAt)
	if (length(left)-whole).Abs() > 500*time.Millisecond || r.State != "ok" {
		t.Errorf("%s recorded (%s %s), %s from the first talk to the end", length(left), r.State, r.Error, whole)
	}
	cut := func(pcm []int16, part part) []int16 {
		from, to := part.from.Sub(r.StartedAt)+300*time.Millisecond, part.to.Sub(r.StartedAt)-300*time.Millisecond
		return pcm[sample(pcm, from):sample(pcm, to)]
	}
	all := []float64{a.tone, b.tone, second.tone}
	for _, part := range parts {
		if got := power(cut(left, part), p.tone); got < 0.01 {
			t.Errorf("%s: the customer is not on the left: %.5f", part.what, got)
		}
		for _, hz := range all {
			got, want := power(cut(right, part), hz), false
			for _, one := range part.right {
				want = want || one == hz
			}
			if want != (got > 0.002) {
				t.Errorf("%s: %g Hz on the right is %.5f, want it %t", part.what, hz, got, want)
			}
		}
	}
	for _, who := range []*Agent{anna, ben, boss} {
		if got := list[struct{ ID call.ID }](t, c.Admin, "/recording/recordings?agent="+who.ID); len(got) != 1 || got[0].ID != p.ID {
			t.Errorf("%s finds %v", who.Login, got)
		}
	}

	boss.API.do(t, "GET", "/recording/recordings/"+string(p.ID)+"/audio", nil, nil)
	for action, by := range map[string]string{"recording.play": boss.ID, "monitor.barge": boss.ID} {
		eventually(t, 5*time.Second, "audit entry "+action, func() error {
			for _, e := range list[struct{ Actor string }](t, c.Admin, "/audit/entries?action="+action+"&object_id="+string(p.ID)) {
				if e.Actor == "user:"+by {
					return nil
				}
			}
			return fmt.Errorf("none by %s", by)
		})
	}
	if v := get[audit.Report](t, c.Admin, "/audit/verify"); !v.OK {
		t.Errorf("the audit log's chain: %+v", v)
	}
	if got := boss.is(); got.State == agent.LoggedOut {
		t.Error("barging in signed the supervisor out")
	}
}
