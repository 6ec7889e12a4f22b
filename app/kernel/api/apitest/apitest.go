// Package apitest checks what every route must keep to. Package app runs it over all modules, and each module may over
// its own.
package apitest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
)

// Router is a router to whom a token "preset:<name>" is somebody with that preset's grants, "nothing" somebody signed
// in without any, and "limited" somebody who must first change the password.
func Router() *api.Router {
	return api.New(api.Options{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), PerSecond: 1e6,
		Authenticate: func(_ context.Context, token string) (*auth.Principal, error) {
			p := &auth.Principal{Kind: auth.User, UserID: "u", Login: token, UnitID: "x", UnitPath: "/x/", Grants: auth.Grants{}}
			preset, ok := strings.CutPrefix(token, "preset:")
			switch {
			case ok:
				p.Grants = auth.PresetGrants(preset)
			case token == "limited":
				p.Must = auth.ChangePassword
				p.Grants = auth.PresetGrants(auth.Admin.Name)
			case token != "nothing":
				return nil, auth.ErrUnauthorized
			}
			return p, nil
		},
	})
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// CheckGuards registers routes and asks each of them: without a token and with a wrong one (401 unless public), signed
// in without any permission and with every preset that lacks its permission (403), and with a duty undone (403 unless
// limited). public lists the routes that may be public, as "POST /api/user/login"; those of package api itself are
// known. No handler runs, so that routes needs no working services behind it.
func CheckGuards(t testing.TB, routes func(*api.Router), public ...string) {
	t.Helper()
	r := Router()
	own := len(r.Routes())
	routes(r)
	h := r.Handler()
	asked := 0
	for i, rt := range r.Routes() {
		name := rt.Method + " " + rt.Path
		if rt.Guard.IsPublic() {
			if i >= own && !slices.Contains(public, name) {
				t.Errorf("%s is public and not on the list", name)
			}
			continue
		}
		path := parameter.ReplaceAllString(rt.Path, "x")
		expect := func(token string, want int) {
			t.Helper()
			asked++
			req := httptest.NewRequest(rt.Method, path, nil)
			if token != "" {
				req.Header.Set("Authorization", "Bearer "+token)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			if rec.Code != want || rec.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s as %q: %d %s, want %d", name, token, rec.Code, rec.Body, want)
			}
		}
		expect("", http.StatusUnauthorized)
		expect("wrong", http.StatusUnauthorized)
		if rt.Guard.String() != auth.Limited().String() {
			expect("limited", http.StatusForbidden)
		}
		perm := rt.Guard.Permission()
		if perm == "" {
			continue
		}
		expect("nothing", http.StatusForbidden)
		for _, preset := range auth.Presets() {
			if auth.PresetGrants(preset.Name)[perm] == auth.Nothing {
				expect("preset:"+preset.Name, http.StatusForbidden)
			}
		}
	}
	if asked == 0 {
		t.Error("there is no guarded route")
	}
	CheckDocument(t, r)
}

// CheckDocument finds routes that are not in the OpenAPI document though they are not hidden, and operations
// that two routes share.
func CheckDocument(t testing.TB, r *api.Router) {
	t.Helper()
	var doc struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Summary     string `json:"summary"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(r.Document(), &doc); err != nil {
		t.Fatalf("document: %v", err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("document is OpenAPI %q", doc.OpenAPI)
	}
	seen := map[string]string{}
	for _, rt := range r.Routes() {
		name := rt.Method + " " + rt.Path
		op, ok := doc.Paths[strings.ReplaceAll(rt.Path, "...}", "}")][strings.ToLower(rt.Method)]
		switch {
		case ok == rt.Hidden:
			t.Errorf("%s: in the document %v, hidden %v", name, ok, rt.Hidden)
		case !ok:
		case op.Summary == "":
			t.Errorf("%s has no summary", name)
		case seen[op.OperationID] != "":
			t.Errorf("%s and %s are both operation %s", name, seen[op.OperationID], op.OperationID)
		default:
			seen[op.OperationID] = name
		}
	}
}
