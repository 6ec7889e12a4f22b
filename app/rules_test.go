package app

import (
	"fmt"
	"net/http"
	"testing"

	"callplane/app/pbx/pbxtest"
)

// A flow names its opening hours, and callers who come while they are closed do not get into the queue.
//
// R-019 R-034
func TestFlowKeepsHours(t *testing.T) {
	c := newCentre(t, nil)
	f := newFirm(c, "scarlet", 2100)
	f.make("/api/hours/calendars", object{"name": "never", "plan": object{"time_zone": "UTC"}})
	for name, tt := range map[string]struct {
		calendar, reason string
	}{"closed": {"never", "flow_ended"}, "unknown counts as open": {"no such calendar", ""}} {
		flow := f.make("/api/ivr/flows", object{"unit": f.team, "document": fmt.Sprintf(
			"name: %s\nhours: {calendar: %s, closed: {hangup: true}}\nthen: {queue: scarlet queue}\n", name, tt.calendar)})
		number := fmt.Sprintf("010210009%d", len(f.made)%10)
		f.make("/api/route/numbers", object{"unit": f.team, "number": number, "service": name, "flow": flow})
		p := c.sw.CallIn(pbxtest.Inbound{From: f.caller(50 + len(f.made)), To: number, Trunk: f.trunk})
		if tt.reason == "" {
			f.state(50+len(f.made), "talking")
			p.Hangup()
			continue
		}
		<-p.Ended()
		eventually(t, "history", func() error {
			for _, r := range f.admin.get("/api/call/calls").items() {
				if r["service"] == name && r["end_reason"] == tt.reason && r["queue"] == "" {
					return nil
				}
			}
			return fmt.Errorf("calls %s", f.admin.get("/api/call/calls").body)
		})
	}
}

// An agent who may not dial a class of numbers cannot transfer there either, and the talk goes on.
//
//
func TestTransferKeepsDialRights(t *testing.T) {
	c := newCentre(t, nil)
	f := newFirm(c, "scarlet", 2100)
	id := f.live(1)
	a := f.ann.refused(http.StatusForbidden, http.MethodPost, "/api/call/calls/"+id+"/transfer", object{"number": "0014155550123"})
	if a.problem() != "dialling_not_allowed" {
		t.Errorf("refused with %s", a.body)
	}
	if l := f.ann.get("/api/call/live/" + id); l.str("state") != "talking" {
		t.Errorf("the call is %s", l.str("state"))
	}
}
