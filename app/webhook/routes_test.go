package webhook

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db/dbtest"
)

// over the API; the secret is shown once and is not in the audit log.
func TestRoutes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		for id, path := range units {
			err := d.Exec("INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES (?, '', ?, 'unit', ?, ?, ?)",
				string(id), string(id), path, time.Now().UTC(), time.Now().UTC()).Error
			if err != nil {
				t.Fatal(err)
			}
		}
		s := New(kitOn(t, d), units, quick)
		r := api.New(api.Options{Authenticate: func(_ context.Context, token string) (*auth.Principal, error) {
			p := &auth.Principal{Kind: auth.User, UserID: auth.UserID(token), Name: token, UnitID: "root", UnitPath: "/root/", Tree: units, Grants: auth.PresetGrants(token)}
			if token == "other" {
				p.UnitID, p.UnitPath, p.Grants = "else", "/else/", auth.PresetGrants("admin")
			}
			return p, nil
		}})
		s.Routes(r)
		ask := func(as, method, path, body string, status int) (out map[string]any) {
			t.Helper()
			req := httptest.NewRequest(method, "/api/webhook/endpoints"+path, strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+as)
			req.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			r.Handler().ServeHTTP(rec, req)
			raw, _ := io.ReadAll(rec.Result().Body)
			if rec.Code != status {
				t.Fatalf("%s %s %s: %d %s", as, method, path, rec.Code, raw)
			}
			if len(raw) > 0 && json.Unmarshal(raw, &out) != nil {
				t.Fatalf("%s", raw)
			}
			return out
		}
		to := newSink(t)
		made := ask("integrator", http.MethodPost, "", `{"name":"crm","url":"`+to.srv.URL+`","types":["call.>"]}`, 201)
		id, secret := "/"+made["id"].(string), made["secret"].(string)
		if !strings.HasPrefix(secret, "whsec_") {
			t.Errorf("%v", made)
		}
		to.secret = secret
		if one := ask("integrator", http.MethodGet, id, "", 200); one["secret"] != nil || one["unit"] != "root" {
			t.Errorf("%v", one)
		}
		if list := ask("integrator", http.MethodGet, "", "", 200); len(list["items"].([]any)) != 1 {
			t.Errorf("%v", list)
		}
		ask("agent", http.MethodGet, "", "", 403)
		ask("other", http.MethodGet, id, "", 404)
		ask("other", http.MethodPost, id+"/secret", "", 404)
		ask("integrator", http.MethodPost, "", `{"name":"crm","url":"gopher://x"}`, 422)
		ask("integrator", http.MethodPost, "", `{"name":"crm","url":"https://x.example","types":["call.*"]}`, 422)
		ask("integrator", http.MethodPost, "", `{"name":"crm","url":"https://x.example","unit":"else"}`, 404)
		if got := ask("integrator", http.MethodPost, id+"/test", "", 200); got["delivered"] != true || got["status"] != 200.0 {
			t.Errorf("%v", got)
		}
		if off := ask("integrator", http.MethodPatch, id, `{"active":false,"types":[]}`, 200); off["active"] != false || len(off["types"].([]any)) != 0 || off["name"] != "crm" {
			t.Errorf("%v", off)
		}
		ask("integrator", http.MethodPost, id+"/replay", `{}`, 409)
		if again := ask("integrator", http.MethodPost, id+"/secret", "", 200); again["secret"] == secret {
			t.Error("the secret is the old one")
		}
		if log := ask("auditor", http.MethodGet, id+"/attempts", "", 200); len(log["items"].([]any)) != 0 {
			t.Errorf("%v", log)
		}
		ask("integrator", http.MethodDelete, id, "", 204)
		ask("integrator", http.MethodGet, id, "", 404)
		var rows []audit.Row
		if err := d.Order("seq").Find(&rows).Error; err != nil {
			t.Fatal(err)
		}
		var actions []string
		for _, row := range rows {
			actions = append(actions, row.Action)
			if strings.Contains(string(row.Detail), "whsec_") {
				t.Errorf("%s tells the secret: %s", row.Action, row.Detail)
			}
		}
		if got := strings.Join(actions, " "); !strings.HasPrefix(got, "webhook.create ") || !strings.HasSuffix(got, "webhook.update webhook.secret webhook.delete") {
			t.Errorf("audit log: %s", got)
		}
	})
}
