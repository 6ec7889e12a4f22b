package app

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/db/dbtest"
)

// emptyLists are lists in which the two firms of the tests have nothing, and lists that are the same for everybody.
var emptyLists = map[string]string{
	"/api/call/reasons":     "the same for everybody",
	"/api/user/permissions": "the same for everybody",
	"/api/audit/verify":     "one chain for the platform: shows positions and hashes alone",
	"/api/openapi.json":     "public", "/api/openapi.yaml": "public", "/api/docs": "public", "/api/docs/viewer.js": "public", "/api/docs/viewer.css": "public",
	"/api/events": "a stream: see TestStreamsOfTenants", "/api/events/ws": "a stream: see TestStreamsOfTenants",
	"/metrics": "sums over all tenants, without names or ids", "/healthz": "public", "/readyz": "public",
}

var (
	now       = regexp.MustCompile(`"at":"[^"]*",`)
	parameter = regexp.MustCompile(`\{[^}]*\}`)
	anID      = regexp.MustCompile(`"([0-9a-f]{8}-[0-9a-f-]{27}|[a-z2-7]{10}|in-[0-9]+)"`)
)

// Two tenants have something of everything on one platform. Neither finds anything of the other in any list, and nothing that
// has an id can be read, changed or removed with the other's: every route is asked with every id.
//
//
func TestTenants(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		c := newCentre(t, d)
		red, blue := twoFirms(t, c)
		idsOf := map[string][]string{} // of red, by module
		for _, r := range c.API().Routes() {
			if r.Method != http.MethodGet || strings.Contains(r.Path, "{") || emptyLists[r.Path] != "" {
				continue
			}
			mine, theirs := red.admin.get(r.Path), blue.admin.get(r.Path)
			ids := idsIn(mine.body)
			if len(ids) == 0 && r.Path != "/api/monitor/board" {
				t.Errorf("%s shows nothing of red, so it proves nothing: %s", r.Path, mine.body)
			}
			for _, id := range idsIn(theirs.body) {
				if slices.Contains(ids, id) {
					t.Errorf("%s: both see %s", r.Path, id)
				}
			}
			if strings.Contains(string(theirs.body), "scarlet") || strings.Contains(string(mine.body), "azure") {
				t.Errorf("%s: a name of the other tenant:\n%s\n%s", r.Path, mine.body, theirs.body)
			}
			module := moduleOf(r.Path)
			idsOf[module] = append(idsOf[module], ids...)
		}
		before := snapshot(red)
		doc, asked := c.document(), 0
		for _, r := range c.API().Routes() {
			if !strings.Contains(r.Path, "{") || r.Guard.IsPublic() {
				continue
			}
			op, _ := doc.op(r)
			var body any
			if op.Body != nil {
				body = doc.sample(op.Body.Content["application/json"].Schema)
			}
			ids := slices.Compact(slices.Sorted(slices.Values(idsOf[moduleOf(r.Path)])))
			if len(ids) == 0 {
				t.Errorf("no ids to ask %s with", r.Path)
			}
			for _, id := range ids {
				asked++
				a := blue.admin.do(r.Method, parameter.ReplaceAllString(r.Path, id), body)
				if a.status < 400 || a.status >= 500 {
					t.Errorf("%s %s of red as blue: %d %s", r.Method, strings.ReplaceAll(r.Path, "{id}", id), a.status, a.body)
				}
				if strings.Contains(string(a.body), "scarlet") && !strings.Contains(string(a.body), "required") {
					t.Errorf("%s %s tells of red: %s", r.Method, r.Path, a.body)
				}
			}
		}
		if asked < 500 {
			t.Errorf("only %d questions asked", asked)
		}
		after := snapshot(red)
		for path, was := range before {
			if now := after[path]; now != was {
				t.Errorf("%s of red has changed:\n%s\nwas:\n%s", path, now, was)
			}
		}
	})
}

// snapshot is what red has, but for what goes on by itself.
func snapshot(f *firm) map[string]string {
	out := map[string]string{}
	for _, path := range []string{
		"/api/acd/queues", "/api/ivr/flows", "/api/hours/calendars", "/api/crm/customers", "/api/route/trunks", "/api/route/numbers", "/api/route/phones",
		"/api/route/barred", "/api/route/speed-dials", "/api/user/users", "/api/user/units", "/api/user/roles", "/api/user/keys", "/api/agent/skills",
		"/api/agent/break-reasons", "/api/voicemail/messages", "/api/voicemail/tasks", "/api/recording/recordings", "/api/call/calls", "/api/call/live",
	} {
		out[path] = now.ReplaceAllString(string(f.admin.get(path).body), "")
	}
	return out
}

func idsIn(body []byte) (ids []string) {
	for _, m := range anID.FindAllSubmatch(body, -1) {
		if id := string(m[1]); !slices.Contains(ids, id) && !plainWords[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// plainWords look like the id of a unit and are none.
var plainWords = map[string]bool{"department": true, "supervisor": true, "dispatcher": true, "integrator": true, "permission": true}

func moduleOf(path string) string { return strings.Split(path, "/")[2] }

// sample is a value that fits a schema, with what is required.
func (d document) sample(schema map[string]any) any {
	if ref, ok := schema["$ref"].(string); ok {
		return d.sample(d.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")])
	}
	if enum, ok := schema["enum"].([]any); ok {
		return enum[0]
	}
	typ, ok := schema["type"].(string)
	if list, many := schema["type"].([]any); !ok && many {
		typ, _ = list[0].(string)
	}
	switch typ {
	case "object":
		out := object{}
		properties, _ := schema["properties"].(map[string]any)
		required, _ := schema["required"].([]any)
		for _, name := range required {
			key, _ := name.(string)
			p, _ := properties[key].(map[string]any)
			out[key] = d.sample(p)
		}
		return out
	case "array":
		items, _ := schema["items"].(map[string]any)
		if n, _ := schema["minItems"].(float64); n > 0 {
			return []any{d.sample(items)}
		}
		return []any{}
	case "integer", "number":
		if n, ok := schema["minimum"].(float64); ok {
			return n
		}
		return 1
	case "boolean":
		return true
	}
	switch n, _ := schema["minLength"].(float64); {
	case schema["format"] == "date-time":
		return "2026-01-02T03:04:05Z"
	case schema["pattern"] == "^[0-9*#A-D]{1,40}$":
		return "1"
	default:
		return strings.Repeat("a", max(1, int(n)))
	}
}

// What one tenant makes cannot point at what another owns.
//
//
func TestReferencesStayInTenant(t *testing.T) {
	c := newCentre(t, nil)
	red, blue := newFirm(c, "scarlet", 2100), newFirm(c, "azure", 2200)
	free := 90
	number := func() string {
		free++
		return fmt.Sprintf("010%d00%d", blue.area, free)
	}
	for name, tt := range map[string]struct {
		method, path string
		body         object
	}{
		"a queue served by their agent":    {"POST", "/api/acd/queues", object{"name": "x", "members": []object{{"agent": red.ann.id}}}},
		"members of a queue":               {"PUT", "/api/acd/queues/" + blue.queue, object{"name": "azure queue", "members": []object{{"agent": red.ann.id}}}},
		"a queue that leads to theirs":     {"POST", "/api/acd/queues", object{"name": "x", "closed": object{"then": "queue", "queue": red.queue}}},
		"a queue in their unit":            {"POST", "/api/acd/queues", object{"name": "x", "unit": red.team}},
		"a number to their flow":           {"POST", "/api/route/numbers", object{"number": number(), "service": "x", "flow": red.flow}},
		"a rule to their flow":             {"POST", "/api/route/numbers", object{"number": number(), "service": "x", "flow": blue.flow, "rules": []object{{"flow": red.flow}}}},
		"a rule with their hours":          {"POST", "/api/route/numbers", object{"number": number(), "service": "x", "flow": blue.flow, "rules": []object{{"calendar": red.calendar, "flow": blue.flow}}}},
		"a number on their trunk":          {"POST", "/api/route/numbers", object{"number": number(), "service": "x", "flow": blue.flow, "trunk": red.trunk}},
		"a phone of their agent":           {"POST", "/api/route/phones", object{"name": "x-phone", "owner": red.ann.id}},
		"a phone in their unit":            {"POST", "/api/route/phones", object{"name": "x-phone", "unit": red.team}},
		"their phone as the usual one":     {"PUT", "/api/agent/agents/" + blue.ann.id, object{"phone": red.phone}},
		"signing in on their phone":        {"POST", "/api/agent/agents/" + blue.ann.id + "/sign-in", object{"phone": red.phone}},
		"a webhook for their unit":         {"POST", "/api/webhook/endpoints", object{"unit": red.root.ID, "name": "x", "url": "http://127.0.0.1:9/"}},
		"a key for their unit":             {"POST", "/api/user/keys", object{"unit_id": red.root.ID, "name": "x", "permissions": []string{"call:read"}}},
		"a person in their unit":           {"POST", "/api/user/users", object{"login": "xx", "name": "x", "unit_id": red.team}},
		"a unit below theirs":              {"POST", "/api/user/units", object{"parent_id": red.dept, "name": "x"}},
		"a customer in their unit":         {"POST", "/api/crm/customers", object{"unit": red.team, "name": "x"}},
		"a task in their unit":             {"POST", "/api/voicemail/tasks", object{"unit": red.team, "note": "x"}},
		"a calendar in their unit":         {"POST", "/api/hours/calendars", object{"unit": red.team, "name": "x", "plan": object{"time_zone": "UTC"}}},
		"a flow in their unit":             {"POST", "/api/ivr/flows", object{"unit": red.team, "document": "name: x\nthen: {hangup: true}\n"}},
		"a bar in their unit":              {"POST", "/api/route/barred", object{"unit": red.team, "number": "087122000099"}},
		"a call for their agent":           {"POST", "/api/call/calls", object{"to": "13800138000", "agent": red.ann.id}},
		"a call that shows their number":   {"POST", "/api/call/calls", object{"to": "13800138000", "agent": blue.ann.id, "from": red.number}},
		"a call that leaves on no trunk":   {"POST", "/api/route/test", object{"direction": "out", "to": "13800138000", "unit": red.team}},
		"moving a unit below theirs":       {"PATCH", "/api/user/units/" + string(blue.team), object{"parent_id": red.dept}},
		"moving a person to their unit":    {"PATCH", "/api/user/users/" + blue.ann.id, object{"unit_id": red.team}},
		"giving a person their role":       {"PATCH", "/api/user/users/" + blue.ann.id, object{"roles": []string{red.made[len(red.made)-2]}}},
		"moving a trunk to their unit":     {"PATCH", "/api/route/trunks/" + idOf(t, blue, "/api/route/trunks"), object{"unit": red.team}},
		"moving a customer to their unit":  {"PATCH", "/api/crm/customers/" + idOf(t, blue, "/api/crm/customers"), object{"unit": red.team}},
		"a number led to their flow later": {"PATCH", "/api/route/numbers/" + idOf(t, blue, "/api/route/numbers"), object{"flow": red.flow}},
	} {
		if a := blue.admin.do(tt.method, tt.path, tt.body); a.status < 400 || a.status >= 500 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	// Live calls do not cross over either.
	p, id := blue.calls(1)
	before := blue.ann.get("/api/call/live/" + id).json()
	for what, to := range map[string]object{
		"agent": {"agent": red.ann.id}, "queue": {"queue": red.queue}, "flow": {"flow": red.flow}, "agent's phone": {"number": red.phone},
	} {
		if a := blue.ann.do(http.MethodPost, "/api/call/calls/"+id+"/transfer", to); a.status < 400 || a.status >= 500 {
			t.Errorf("transfer to their %s: %d %s", what, a.status, a.body)
		}
	}
	if a := blue.ann.do(http.MethodGet, "/api/call/live/"+id, nil); a.str("state") != "talking" {
		t.Errorf("after refused transfers the call is %s, was %v", a.body, before)
	}
	p.Hangup()
	blue.ended(id)
}

// idOf is the id of the first thing in a list.
func idOf(t *testing.T, f *firm, path string) string {
	t.Helper()
	id, _ := f.admin.get(path).items()[0]["id"].(string)
	return id
}

// Routes that take an id are named so that the walk above finds the ids to ask with.
func TestWalkKnowsAllModules(t *testing.T) {
	c := newCentre(t, nil)
	lists := map[string]bool{}
	for _, r := range c.API().Routes() {
		if r.Method == http.MethodGet && !strings.Contains(r.Path, "{") && strings.HasPrefix(r.Path, api.Base) {
			lists[moduleOf(r.Path)] = true
		}
	}
	for _, m := range slices.Sorted(maps.Keys(owners)) {
		if m != "kernel" && !lists[m] {
			t.Errorf("module %s has no list", m)
		}
	}
}
