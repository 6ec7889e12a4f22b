package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/pbx/pbxtest"
)

// deed is something that must be in the audit log.
type deed struct {
	action, object, actor string
}

// Sign-ins good and bad, sign-outs, changes of all kinds, playing, taking out and checking a recording, switching recording on
// demand, listening to and barging into a call: each leaves exactly one entry that says who did what to which thing, and can be found by it.
//
// R-391 R-196
func TestAuditOfEverything(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		c := newCentre(t, d)
		f := newFirm(c, "scarlet", 2100)
		rec := f.talk(1)
		auditor := c.person(f.root.ID, "scarlet-auditor", auth.Auditor.Name)
		boss := c.person(f.dept, "scarlet-boss", auth.Supervisor.Name)
		c.sw.Phone("boss-phone").Register().OnCall(pbxtest.Answer())
		f.make("/api/route/phones", object{"name": "boss-phone", "unit": f.dept})
		eventually(t, "phone", func() error {
			for _, p := range f.admin.get("/api/route/phones").items() {
				if p["name"] == "boss-phone" && p["state"] == "up" {
					return nil
				}
			}
			return fmt.Errorf("not up")
		})
		live := f.live(2)
		before := lastSeq(auditor)

		var want []deed
		by := func(p *client, action, object string) {
			t.Helper()
			want = append(want, deed{action, object, "user:" + p.id})
		}
		f.lead.signIn()
		by(f.lead, "user.login", f.lead.id)
		c.nobody().refused(http.StatusUnauthorized, http.MethodPost, "/api/user/login", object{"login": f.lead.login, "password": "wrong"})
		want = append(want, deed{"user.login_failed", f.lead.id, "login:" + f.lead.login})
		f.lead.post("/api/user/logout", nil)
		by(f.lead, "user.logout", f.lead.id)
		f.admin.must(http.MethodPost, "/api/acd/queues/"+f.queue+"/close", nil)
		by(f.admin, "acd.queue_changed", f.queue)
		f.admin.must(http.MethodPut, "/api/ivr/flows/"+f.flow, object{"document": "name: scarlet flow\nthen: {hangup: true}\n"})
		by(f.admin, "ivr.flow_changed", f.flow)
		number := idOf(t, f, "/api/route/numbers")
		f.admin.must(http.MethodPatch, "/api/route/numbers/"+number, object{"purpose": "none"})
		by(f.admin, "route.number.update", number)
		f.admin.must(http.MethodPatch, "/api/user/users/"+f.ann.id, object{"email": "ann@example.com"})
		by(f.admin, "user.update", f.ann.id)
		f.admin.get("/api/recording/recordings/" + rec + "/audio")
		by(f.admin, "recording.play", rec)
		auditor.get("/api/recording/recordings/" + rec + "/download")
		by(auditor, "recording.export", rec)
		auditor.post("/api/recording/recordings/"+rec+"/verify", nil)
		by(auditor, "recording.verify", rec)
		auditor.get("/api/audit/verify")
		by(auditor, "audit.verify", "")
		f.ann.post("/api/call/calls/"+live+"/recording", object{"on": false})
		by(f.ann, "call.recording", live)
		boss.post("/api/monitor/calls/"+live+"/spy", object{"mode": "listen", "phone": "boss-phone"})
		by(boss, "monitor.listen", live)
		boss.post("/api/monitor/calls/"+live+"/spy", object{"mode": "barge", "phone": "boss-phone"})
		by(boss, "monitor.barge", live)
		f.admin.must(http.MethodPatch, "/api/call/calls/"+rec, object{"summary": "all well"})
		by(f.admin, "call.note", rec)
		key := f.make("/api/user/keys", object{"name": "wallboard", "unit_id": f.root.ID, "permissions": []string{"call:read"}})
		by(f.admin, "user.key.create", key)

		var got []deed
		rows := auditor.get("/api/audit/entries?limit=200").items()
		slices.Reverse(rows)
		for _, r := range rows {
			if seq, _ := r["seq"].(float64); int(seq) <= before {
				continue
			}
			text := func(k string) string { s, _ := r[k].(string); return s }
			got = append(got, deed{text("action"), text("object_id"), text("actor")})
			if text("address") == "" || text("request_id") == "" || text("at") == "" || text("hash") == "" {
				t.Errorf("incomplete entry: %v", r)
			}
			if s := fmt.Sprint(r); strings.Contains(s, f.lead.password) || strings.Contains(s, "wrong") && strings.Contains(s, "password:wrong") {
				t.Errorf("a password is in the log: %s", s)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("entries are\n%v, want\n%v", got, want)
		}
		for query, n := range map[string]int{
			"action=recording.*": 3, "action=monitor.barge": 1, "actor=scarlet-boss": 5, "object=recording&object_id=" + rec: 3, "action=user.login_failed": 1,
			"from=2999-01-01T00:00:00Z": 0,
		} {
			found := auditor.get("/api/audit/entries?" + query).items()
			if query == "actor=scarlet-boss" { // first password, its change, sign-in again …
				if len(found) < n {
					t.Errorf("%s finds %d", query, len(found))
				}
			} else if len(found) != n {
				t.Errorf("%s finds %d, want %d", query, len(found), n)
			}
		}
		// The log cannot be changed over the API, and is not for everybody.
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if a := f.admin.do(method, "/api/audit/entries", nil); a.status != http.StatusMethodNotAllowed && a.status != http.StatusNotFound {
				t.Errorf("%s: %d", method, a.status)
			}
		}
		f.ann.refused(http.StatusForbidden, http.MethodGet, "/api/audit/entries", nil)
	})
}

func lastSeq(p *client) int {
	seq, _ := p.get("/api/audit/entries?limit=1").items()[0]["seq"].(float64)
	return int(seq)
}

// Whichever entry is deleted or changed in the database, the first and the last ones included, the check over the API says so and
// where.
//
//
func TestAuditTampering(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		c := newCentre(t, d)
		_, admin := c.tenant("acme")
		for range 3 {
			admin.signIn()
		}
		// The check itself adds an entry before it looks.
		check := func() audit.Report { return into[audit.Report](admin.get("/api/audit/verify")) }
		if rep := check(); !rep.OK || rep.Checked != rep.Seq || rep.Seq < 5 {
			t.Fatalf("untouched: %+v", rep)
		}
		tamper := func(name string, change func(tx *gorm.DB) error, fault string, at int64) {
			t.Helper()
			var rows []audit.Row
			if err := c.kit.DB.Order("seq").Find(&rows).Error; err != nil {
				t.Fatal(err)
			}
			var head struct {
				Seq  int64
				Hash string
			}
			if err := c.kit.DB.Table("audit_head").Take(&head).Error; err != nil {
				t.Fatal(err)
			}
			if err := change(c.kit.DB); err != nil {
				t.Fatal(err)
			}
			if rep := check(); rep.OK || rep.Fault != fault || at > 0 && rep.FaultAt != at {
				t.Errorf("%s: %+v, want %s at %d", name, rep, fault, at)
			}
			restore := c.kit.DB.Transaction(func(tx *gorm.DB) error {
				if err := tx.Exec("DELETE FROM audit_entries").Error; err != nil {
					return err
				}
				if err := tx.Create(&rows).Error; err != nil {
					return err
				}
				return tx.Exec("UPDATE audit_head SET seq = ?, hash = ?", head.Seq, head.Hash).Error
			})
			if restore != nil {
				t.Fatal(restore)
			}
			if rep := check(); !rep.OK {
				t.Fatalf("%s: restored, and yet %+v", name, rep)
			}
		}
		last := int64(lastSeq(admin))
		for seq := int64(1); seq <= last; seq++ {
			tamper(fmt.Sprintf("entry %d deleted", seq),
				func(tx *gorm.DB) error { return tx.Exec("DELETE FROM audit_entries WHERE seq = ?", seq).Error }, "missing", seq)
		}
		tamper("an actor changed", func(tx *gorm.DB) error {
			return tx.Exec("UPDATE audit_entries SET actor = 'user:somebody-else' WHERE seq = 3").Error
		}, "changed", 3)
		// The newest entry, and the head with it as if it had never been: the next entry shows that its predecessor is another.
		newest := int64(lastSeq(admin))
		tamper("the newest deleted", func(tx *gorm.DB) error { return tx.Exec("DELETE FROM audit_entries WHERE seq = ?", newest).Error }, "missing", newest)
	})
}
