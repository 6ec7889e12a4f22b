package app

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"callplane/app/kernel/api"
	"callplane/app/kernel/api/apitest"
	"callplane/app/kernel/auth"
)

// publicRoutes are those that anybody may ask, with the reason.
var publicRoutes = map[string]string{
	"POST /api/user/login":              "signing in",
	"GET /healthz":                      "a probe",
	"GET /readyz":                       "a probe",
	"GET /prompts/{key}/{lang}/{file}":  "for the switch; the address is signed",
	"HEAD /prompts/{key}/{lang}/{file}": "for the switch; the address is signed",
}

// Every route of the platform refuses whoever is not signed in (401), each preset role that lacks its permission (403), and
// who must first change the password. A route that is registered is asked: there is no list to forget it in.
//
//
func TestGuards(t *testing.T) {
	c := newCentre(t, nil)
	apitest.CheckGuards(t, c.routes, slices.Collect(maps.Keys(publicRoutes))...)
	for name := range publicRoutes {
		if !slices.ContainsFunc(c.API().Routes(), func(r api.Route) bool { return r.Method+" "+r.Path == name }) {
			t.Errorf("%s is on the list of public routes and does not exist", name)
		}
	}
}

// The eight roles that ship exist and differ, each can do something, and none but the administrator can do everything.
//
//
func TestPresets(t *testing.T) {
	c := newCentre(t, nil)
	_, admin := c.tenant("acme")
	seen := map[string]string{}
	var names []string
	for _, r := range admin.get("/api/user/roles").items() {
		name, _ := r["name"].(string)
		names = append(names, name)
		grants, err := json.Marshal(r["grants"])
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[string(grants)]; other != "" {
			t.Errorf("%s and %s may do the same", other, name)
		}
		seen[string(grants)] = name
		all, _ := r["grants"].(map[string]any)
		if n := len(auth.Defined()); len(all) == n != (name == "admin") {
			t.Errorf("%s has %d of %d permissions", name, len(all), n)
		}
	}
	want := []string{"admin", "supervisor", "agent", "qa", "knowledge", "dispatcher", "auditor", "integrator"}
	if !slices.Equal(names, want) {
		t.Errorf("roles are %v, want %v", names, want)
	}
	used := map[auth.Permission]bool{}
	for _, r := range c.API().Routes() {
		used[r.Guard.Permission()] = true
	}
	for _, d := range auth.Defined() {
		if why := insideServices[d.Permission]; used[d.Permission] == (why != "") {
			t.Errorf("permission %s: on a route %v, known to be asked for elsewhere: %q", d.Permission, used[d.Permission], why)
		}
	}
}

// insideServices are permissions that stand on no route: a service asks for them.
var insideServices = map[auth.Permission]string{
	"monitor:barge":            "whispering and barging in, beyond listening",
	"route:dial_local":         "which numbers one may call",
	"route:dial_mobile":        "which numbers one may call",
	"route:dial_long_distance": "which numbers one may call",
	"route:dial_international": "which numbers one may call",
	"voicemail:manage":         "tasks that others claimed",
}

// operation is one of the OpenAPI document.
type operation struct {
	ID          string           `json:"operationId"`
	Summary     string           `json:"summary"`
	Description string           `json:"description"`
	Tags        []string         `json:"tags"`
	Guard       string           `json:"x-guard"`
	Security    []map[string]any `json:"security"`
	Parameters  []struct {
		Name   string         `json:"name"`
		In     string         `json:"in"`
		Schema map[string]any `json:"schema"`
	} `json:"parameters"`
	Body *struct {
		Content map[string]struct{ Schema map[string]any } `json:"content"`
	} `json:"requestBody"`
	Responses map[string]struct {
		Content map[string]struct{ Schema map[string]any } `json:"content"`
	} `json:"responses"`
}

// document is the OpenAPI document.
type document struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas map[string]map[string]any
	}
}

func (c *centre) document() document {
	c.t.Helper()
	var d document
	if err := json.Unmarshal(c.API().Document(), &d); err != nil {
		c.t.Fatal(err)
	}
	return d
}

// op is the operation of a route.
func (d document) op(r api.Route) (operation, bool) {
	op, ok := d.Paths[strings.ReplaceAll(r.Path, "...}", "}")][strings.ToLower(r.Method)]
	return op, ok
}

// Every route that is not hidden is in the document, with a summary that somebody wrote, a typed answer and the problem that
// errors are sent as; a route with a body says what it takes.
//
//
func TestDocumentCoversRoutes(t *testing.T) {
	c := newCentre(t, nil)
	doc := c.document()
	for _, r := range c.API().Routes() {
		name := r.Method + " " + r.Path
		op, ok := doc.op(r)
		if r.Hidden || !ok {
			if _, public := publicRoutes[name]; !public && !strings.HasPrefix(r.Path, "/api/docs") {
				t.Errorf("%s is not in the document", name)
			}
			continue
		}
		if op.Summary == "" || strings.HasPrefix(op.Summary, r.Method+" ") {
			t.Errorf("%s has no summary but %q", name, op.Summary)
		}
		if op.Guard != r.Guard.String() || (len(op.Security) == 0) != r.Guard.IsPublic() {
			t.Errorf("%s: guard %q, security %v", name, op.Guard, op.Security)
		}
		good := 0
		for status, res := range op.Responses {
			switch {
			case status == "204" || status == "101":
				good++
			case strings.HasPrefix(status, "2"):
				good++
				for typ, content := range res.Content {
					if len(content.Schema) == 0 && !strings.Contains(typ, "openapi") {
						t.Errorf("%s: answer %s %s has no type", name, status, typ)
					}
				}
				if len(res.Content) == 0 {
					t.Errorf("%s: answer %s has no content", name, status)
				}
			case status != "default" || res.Content["application/problem+json"].Schema["$ref"] != "#/components/schemas/Problem":
				t.Errorf("%s: answer %s is no problem: %v", name, status, res)
			}
		}
		if good != 1 || len(op.Responses) != 2 {
			t.Errorf("%s has answers %v", name, slices.Collect(maps.Keys(op.Responses)))
		}
		if op.Body != nil && len(op.Body.Content["application/json"].Schema) == 0 {
			t.Errorf("%s: its body has no type", name)
		}
	}
	for name, s := range doc.Components.Schemas {
		if s["type"] == nil && s["description"] == nil && s["oneOf"] == nil {
			t.Errorf("schema %s says nothing", name)
		}
	}
}

const (
	apiDoc  = "../docs/api.md"
	apiMark = "<!-- From here on written by: UPDATE=1 go test ./app -run TestAPIDoc -->\n"
)

// docs/api.md lists every documented route. UPDATE=1 writes the list anew.
//
//
func TestAPIDoc(t *testing.T) {
	c := newCentre(t, nil)
	raw, err := os.ReadFile(apiDoc)
	if err != nil {
		t.Fatal(err)
	}
	head, list, ok := strings.Cut(string(raw), apiMark)
	if !ok {
		t.Fatalf("%s has no line %q", apiDoc, apiMark)
	}
	want := c.routeList()
	if list == want {
		return
	}
	if os.Getenv("UPDATE") == "" {
		t.Fatalf("%s is not up to date: UPDATE=1 go test ./app -run TestAPIDoc", apiDoc)
	}
	if err := os.WriteFile(apiDoc, []byte(head+apiMark+want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// routeList writes the documented routes as a table for each module.
func (c *centre) routeList() string {
	doc := c.document()
	tables := map[string][]string{}
	for _, r := range c.API().Routes() {
		op, ok := doc.op(r)
		if !ok {
			continue
		}
		kind := ""
		for status, res := range op.Responses {
			for typ, content := range res.Content {
				if ref, _ := content.Schema["$ref"].(string); strings.HasPrefix(status, "2") {
					kind = strings.TrimPrefix(ref, "#/components/schemas/")
					if items, _ := content.Schema["items"].(map[string]any); items != nil {
						ref, _ := items["$ref"].(string)
						kind = "list of " + strings.TrimPrefix(ref, "#/components/schemas/")
					}
					if kind == "" {
						kind = typ
					}
				}
			}
			if status == "101" {
				kind = "WebSocket"
			}
		}
		summary := op.Summary
		if op.Description != "" {
			summary += ". " + strings.TrimSuffix(op.Description, ".")
		}
		tables[op.Tags[0]] = append(tables[op.Tags[0]],
			fmt.Sprintf("| %s | `%s` | %s | %s | %s |\n", r.Method, r.Path, summary, strings.ReplaceAll(r.Guard.String(), "_", " "), kind))
	}
	var b strings.Builder
	for _, tag := range slices.Sorted(maps.Keys(tables)) {
		fmt.Fprintf(&b, "\n### %s\n\n| | path | what it does | needs | answers |\n|---|---|---|---|---|\n%s", tag, strings.Join(tables[tag], ""))
	}
	return b.String()
}

// The document is what a client gets, in both notations, and its viewer loads nothing from elsewhere.
//
//
func TestDocumentIsServed(t *testing.T) {
	c := newCentre(t, nil)
	p := c.nobody()
	for path, want := range map[string]string{
		"/api/openapi.json": `"openapi": "3.1.0"`, "/api/openapi.yaml": "openapi: 3.1.0", "/api/docs": "<html", "/api/docs/viewer.js": "openapi.json",
		"/api/docs/viewer.css": "{",
	} {
		a := p.must(http.MethodGet, path, nil)
		if !strings.Contains(string(a.body), want) || strings.HasPrefix(path, "/api/docs") && strings.Contains(string(a.body), "https://") {
			t.Errorf("%s: %.300s", path, a.body)
		}
	}
}
