package app

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"callplane/app/kernel/auth"
	"callplane/app/pbx/pbxtest"
	"callplane/app/user"
)

// firm is a tenant with something of everything in it: a tree of four levels, people, lines, a service, and calls.
type firm struct {
	c                *centre
	name             string // in everything that it owns
	area             int    // in its numbers
	root             user.Unit
	dept, team, seat auth.UnitID
	admin, lead, ann *client // administrator of the root, supervisor of the department, agent in the team
	phone, trunk     string
	number           string // as outsiders dial it
	queue, flow      string // ids
	calendar, skill  string
	made             []string // ids of all that was made
}

// newFirm makes a tenant and fills it.
func newFirm(c *centre, name string, area int) *firm {
	c.t.Helper()
	f := &firm{c: c, name: name, area: area, phone: name + "-phone", trunk: name + "-trunk", number: fmt.Sprintf("010%d0001", area)}
	f.root, f.admin = c.tenant(name)
	f.dept = f.unit(f.root.ID, "department")
	f.team = f.unit(f.dept, "team")
	f.seat = f.unit(f.team, "seat")
	f.lead = c.person(f.dept, name+"-lead", auth.Supervisor.Name)
	f.ann = c.person(f.team, name+"-ann", auth.Agent.Name)
	f.lines()
	f.service()
	f.records()
	return f
}

func (f *firm) unit(parent auth.UnitID, name string) auth.UnitID {
	f.c.t.Helper()
	return auth.UnitID(f.make("/api/user/units", object{"parent_id": parent, "name": f.name + " " + name}))
}

// make makes something as the administrator, and returns its id.
func (f *firm) make(path string, body object) string {
	f.c.t.Helper()
	a := f.admin.post(path, body)
	id := a.str("id")
	for _, inner := range []string{"key.id", "user.id"} {
		if id == "" {
			id = a.str(inner)
		}
	}
	f.made = append(f.made, id)
	return id
}

func (f *firm) lines() {
	f.c.t.Helper()
	f.c.sw.Trunk(f.trunk).Up()
	f.c.sw.Phone(f.phone).Register().OnCall(pbxtest.Answer())
	f.make("/api/route/trunks", object{"name": f.trunk, "host": f.name + ".example", "label": f.name})
	f.make("/api/route/phones", object{"name": f.phone, "label": f.name, "unit": f.team})
	f.make("/api/route/barred", object{"number": fmt.Sprintf("0871%d0001", f.area), "reason": f.name})
	f.make("/api/route/speed-dials", object{"key": "7", "label": f.name, "number": "13800138000", "shared": true})
	f.calendar = f.make("/api/hours/calendars", object{"name": f.name + " hours", "plan": object{
		"time_zone": "Asia/Shanghai", "weekly": []object{{"days": []string{"mon"}, "from": "09:00", "to": "18:00"}},
	}})
	for _, list := range []string{"/api/route/trunks", "/api/route/phones"} {
		eventually(f.c.t, list, func() error {
			if line := f.admin.get(list).items()[0]; line["state"] != "up" {
				return fmt.Errorf("%v is %v", line["name"], line["state"])
			}
			return nil
		})
	}
}

func (f *firm) service() {
	f.c.t.Helper()
	f.skill = f.make("/api/agent/skills", object{"name": f.name + " skill"})
	f.make("/api/agent/break-reasons", object{"code": f.name, "name_zh": f.name, "name_en": f.name})
	f.admin.must(http.MethodPut, "/api/agent/agents/"+f.ann.id, object{"phone": f.phone, "skills": object{f.name: 5}})
	f.queue = f.make("/api/acd/queues", object{
		"unit": f.team, "name": f.name + " queue", "members": []object{{"agent": f.ann.id}}, "announce_position": false, "wrap_up_seconds": 0,
	})
	f.flow = f.make("/api/ivr/flows", object{"unit": f.team, "document": "name: " + f.name + " flow\nthen: {queue: " + f.name + " queue}\n"})
	f.make("/api/route/numbers", object{"unit": f.team, "number": f.number, "service": f.name, "flow": f.flow})
}

func (f *firm) records() {
	f.c.t.Helper()
	f.make("/api/crm/customers", object{"name": f.name + " customer", "numbers": []string{fmt.Sprintf("139%d0001", f.area)}})
	f.make("/api/webhook/endpoints", object{"name": f.name, "url": "http://127.0.0.1:9/" + f.name})
	f.make("/api/user/keys", object{"name": f.name, "unit_id": f.root.ID, "permissions": []string{"call:read"}})
	f.make("/api/user/roles", object{"name": f.name + " role", "grants": object{"call:read": "team"}})
	f.make("/api/voicemail/tasks", object{"note": f.name, "queue": f.queue, "number": "13800138000"})
	f.ann.post("/api/agent/sign-in", object{"phone": f.phone, "ready": true})
}

// caller is a number from outside.
func (f *firm) caller(n int) string { return fmt.Sprintf("138%d%04d", f.area, n) }

// calls has somebody call, and waits until the agent talks to them. It returns the call's id.
func (f *firm) calls(n int) (*pbxtest.Party, string) {
	f.c.t.Helper()
	p := f.c.sw.CallIn(pbxtest.Inbound{From: f.caller(n), To: f.number, Trunk: f.trunk})
	return p, f.state(n, "talking")
}

// state waits until the call of somebody has a state.
func (f *firm) state(n int, state string) (id string) {
	f.c.t.Helper()
	eventually(f.c.t, "call of "+f.name, func() error {
		for _, l := range f.admin.get("/api/call/live").items() {
			if l["from"] == "+86"+f.caller(n) {
				id, _ = l["id"].(string)
				if l["state"] == state {
					return nil
				}
				return fmt.Errorf("it is %v", l["state"])
			}
		}
		return errors.New("it is not there")
	})
	return id
}

// ended waits until a call is in the history.
func (f *firm) ended(id string) {
	f.c.t.Helper()
	eventually(f.c.t, "history of "+id, func() error {
		if a := f.admin.do(http.MethodGet, "/api/call/calls/"+id, nil); a.status != http.StatusOK || a.str("call.id") != id {
			return fmt.Errorf("%d %.100s", a.status, a.body)
		}
		return nil
	})
}

// talk has somebody call, talk and hang up, and waits until the call and its recording are kept.
func (f *firm) talk(n int) (id string) {
	f.c.t.Helper()
	p, id := f.calls(n)
	eventually(f.c.t, "both sides are recorded", func() error {
		snap, err := f.c.sw.Snapshot(f.c.t.Context())
		running := 0
		for _, r := range snap.Recordings {
			if strings.HasPrefix(string(r), id) {
				running++
			}
		}
		if err == nil && running < 2 {
			err = fmt.Errorf("%d are", running)
		}
		return err
	})
	p.Hangup()
	f.ended(id)
	eventually(f.c.t, "recording of "+id, func() error {
		if a := f.admin.do(http.MethodGet, "/api/recording/recordings/"+id, nil); a.status != http.StatusOK || a.str("state") != "ok" {
			return fmt.Errorf("%d %.200s", a.status, a.body)
		}
		return nil
	})
	eventually(f.c.t, "the agent", func() error {
		if a := f.ann.get("/api/agent/me"); a.str("state") != "ready" {
			return errors.New("is " + a.str("state"))
		}
		return nil
	})
	return id
}

// abandon has somebody give up waiting, and leaves the agent ready.
func (f *firm) abandon(n int) {
	f.c.t.Helper()
	f.ann.post("/api/agent/state", object{"state": "not_ready"})
	p := f.c.sw.CallIn(pbxtest.Inbound{From: f.caller(n), To: f.number, Trunk: f.trunk})
	id := f.state(n, "queued")
	p.Hangup()
	f.ended(id)
	f.ann.post("/api/agent/state", object{"state": "ready"})
}

// message has somebody leave a message, because nobody is signed in.
func (f *firm) message(n int) {
	f.c.t.Helper()
	f.ann.post("/api/agent/sign-out", nil)
	p := f.c.sw.CallIn(pbxtest.Inbound{From: f.caller(n), To: f.number, Trunk: f.trunk})
	id := ""
	eventually(f.c.t, "message of "+f.name, func() error {
		for _, l := range f.admin.get("/api/call/live").items() {
			if l["from"] == "+86"+f.caller(n) {
				id, _ = l["id"].(string)
			}
		}
		if id == "" || !bytes.Contains(f.admin.get("/api/call/calls/"+id).body, []byte(`"message_started"`)) {
			return errors.New("not recorded yet")
		}
		return nil
	})
	spoken := time.NewTimer(1200 * time.Millisecond) // what is shorter is no message
	<-spoken.C
	p.Hangup()
	f.ended(id)
	eventually(f.c.t, "message of "+f.name, func() error {
		if len(f.admin.get("/api/voicemail/messages").items()) == 0 {
			return errors.New("none")
		}
		return nil
	})
	f.ann.post("/api/agent/sign-in", object{"phone": f.phone, "ready": true})
}

// live keeps one call up, and returns its id.
func (f *firm) live(n int) string {
	f.c.t.Helper()
	p, id := f.calls(n)
	f.c.t.Cleanup(p.Hangup)
	return id
}

// twoFirms are two tenants on one platform, each with something of everything.
func twoFirms(t *testing.T, c *centre) (red, blue *firm) {
	t.Helper()
	red, blue = newFirm(c, "scarlet", 2100), newFirm(c, "azure", 2200)
	for _, f := range []*firm{red, blue} {
		f.talk(1)
		f.abandon(2)
		f.message(3)
		f.live(4)
	}
	return red, blue
}
