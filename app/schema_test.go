package app

import (
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"callplane/app/acd"
	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/crm"
	"callplane/app/hours"
	"callplane/app/ivr"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/outbox"
	"callplane/app/recording"
	"callplane/app/route"
	"callplane/app/user"
	"callplane/app/voicemail"
	"callplane/app/webhook"
)

// owners is which package writes which tables, by the tables' first word.
var owners = map[string][]any{
	"acd": acd.Models(), "agent": agent.Models(), "audit": audit.Models(), "call": call.Models(), "crm": crm.Models(),
	"hours": hours.Models(), "ivr": ivr.Models(), "kernel": outbox.Models(), "recording": recording.Models(), "route": route.Models(),
	"user": user.Models(), "voicemail": voicemail.Models(), "webhook": webhook.Models(),
}

// withoutUnit are the tables whose rows carry no unit, with the reason: who may see them is decided by the row they belong to.
var withoutUnit = map[string]string{
	"acd_members":        "belongs to a queue",
	"agent_agent_skills": "belongs to an agent",
	"audit_head":         "one row, of the platform: the end of the hash chain",
	"kernel_outbox":      "on its way to the stream; the event names its unit",
	"recording_parties":  "belongs to a recording",
	"user_roles":         "belongs to the whole tenant: tenant_id",
	"user_sessions":      "belongs to a person",
	"user_units":         "is the tree itself",
	"webhook_attempts":   "belongs to an endpoint",
	"webhook_waiting":    "belongs to an endpoint",
}

// Every table belongs to one module and fits its model, and every owned row says whose it is.
//
//
func TestTables(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		claimed := map[string]bool{}
		for module, models := range owners {
			dbtest.CheckModels(t, d, models...)
			for _, m := range models {
				stmt := &gorm.Statement{DB: d}
				if err := stmt.Parse(m); err != nil {
					t.Fatal(err)
				}
				table := stmt.Schema.Table
				if claimed[table] || !strings.HasPrefix(table, module+"_") {
					t.Errorf("table %s of module %s: claimed twice, or not named after it", table, module)
				}
				claimed[table] = true
				hasUnit := slices.ContainsFunc(stmt.Schema.DBNames, func(n string) bool { return n == "unit_id" })
				if why := withoutUnit[table]; hasUnit == (why != "") {
					t.Errorf("table %s: has unit_id %v, excused: %q", table, hasUnit, why)
				}
			}
		}
		tables, err := d.Migrator().GetTables()
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range tables {
			if !claimed[table] && !strings.HasPrefix(table, "goose_") && !strings.HasPrefix(table, "sqlite_") && !strings.Contains(table, "_fts") {
				t.Errorf("no module claims table %s", table)
			}
			delete(claimed, table)
		}
		for table := range claimed {
			t.Errorf("there is no table %s", table)
		}
	})
}

// SQLite and MySQL have the same tables, columns and indexes.
func TestSchemas(t *testing.T) { dbtest.CheckSchemas(t) }
