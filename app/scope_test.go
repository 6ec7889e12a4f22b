package app

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/call"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/kernel/db/dbtest"
)

// People at each level of a tree of four levels, with every scope there is, list calls and read single ones: they get those that
// a plain SQL statement names, and no other.
//
//
func TestScopes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		c := newCentre(t, d)
		root, admin := c.tenant("acme")
		other, otherAdmin := c.tenant("other")
		unit := func(parent auth.UnitID, name string) auth.UnitID {
			return auth.UnitID(admin.post("/api/user/units", object{"parent_id": parent, "name": name}).str("id"))
		}
		north, south := unit(root.ID, "north"), unit(root.ID, "south")
		one, two := unit(north, "team one"), unit(north, "team two")
		seat := unit(one, "seat")
		units := []auth.UnitID{root.ID, north, south, one, two, seat, other.ID}
		role := func(scope string) string {
			return admin.post("/api/user/roles", object{"name": "reads " + scope, "grants": object{"call:read": scope}}).str("id")
		}
		team, below, all := role("team"), role("below"), role("all")
		asks := map[*client]string{ // who, and what they may see in plain SQL
			admin:                                   "u.path LIKE '/" + string(root.ID) + "/%'",
			otherAdmin:                              "u.path LIKE '/" + string(other.ID) + "/%'",
			c.person(seat, "seat-agent", "agent"):   "agent_id = @me",
			c.person(one, "one-agent", "agent"):     "agent_id = @me",
			c.person(one, "one-team", team):         "c.unit_id = '" + string(one) + "' OR agent_id = @me",
			c.person(north, "north-team", team):     "c.unit_id = '" + string(north) + "' OR agent_id = @me",
			c.person(north, "north-below", below):   "u.path LIKE '%/" + string(north) + "/%' OR agent_id = @me",
			c.person(one, "one-lead", "supervisor"): "u.path LIKE '%/" + string(one) + "/%' OR agent_id = @me",
			c.person(seat, "seat-below", below):     "u.path LIKE '%/" + string(seat) + "/%' OR agent_id = @me",
			c.person(seat, "seat-all", all):         "u.path LIKE '/" + string(root.ID) + "/%'",
			c.person(south, "south-qa", "qa"):       "u.path LIKE '%/" + string(south) + "/%' OR agent_id = @me",
		}
		var people []string
		for p := range asks {
			if p != otherAdmin {
				people = append(people, p.id)
			}
		}
		slices.Sort(people)
		dice := rand.New(rand.NewPCG(1, 2))
		began := db.Now().Add(-time.Hour)
		var rows []call.Row
		for i := range 150 {
			at := began.Add(time.Duration(i) * time.Second)
			unit, agent := units[dice.IntN(len(units))], people[dice.IntN(len(people))]
			if unit == other.ID {
				agent = otherAdmin.id
			}
			rows = append(rows, call.Row{
				ID: call.ID(db.ID()), UnitID: string(unit), AgentID: agent,
				StartedAt: at, EndedAt: at.Add(time.Minute), EndClass: call.ClassTalked, Direction: call.Inbound,
			})
		}
		if err := c.kit.DB.Create(&rows).Error; err != nil {
			t.Fatal(err)
		}
		for p, where := range asks {
			var want []string
			err := c.kit.DB.Raw("SELECT c.id FROM call_calls c JOIN user_units u ON u.id = c.unit_id WHERE " + strings.ReplaceAll(where, "@me", "'"+p.id+"'")).Scan(&want).Error
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for next := "/api/call/calls?limit=20"; next != ""; {
				page := p.get(next)
				for _, r := range page.items() {
					id, _ := r["id"].(string)
					got = append(got, id)
				}
				if next = page.str("next"); next != "" {
					next = "/api/call/calls?limit=20&cursor=" + next
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if len(want) == 0 || len(want) == len(rows) || !slices.Equal(got, want) {
				t.Errorf("%s sees %d calls, want %d:\n%v\n%v", p.login, len(got), len(want), got, want)
			}
			for _, r := range rows {
				status := http.StatusNotFound
				if slices.Contains(want, string(r.ID)) {
					status = http.StatusOK
				}
				if a := p.do(http.MethodGet, fmt.Sprintf("/api/call/calls/%s", r.ID), nil); a.status != status {
					t.Errorf("%s reads a call of unit %s and agent %s: %d, want %d", p.login, r.UnitID, r.AgentID, a.status, status)
				}
			}
		}
	})
}
