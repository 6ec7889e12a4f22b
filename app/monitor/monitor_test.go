package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/kerneltest"
	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

type tree map[auth.UnitID]string

func (t tree) Path(u auth.UnitID) string { return t[u] }

var units = tree{"root": "/root/", "team": "/root/team/", "else": "/root/else/"}

// floor is calls, agents and phones in memory.
type floor struct {
	calls  []call.Live
	agents []agent.Presence
	spied  []string
}

func (f *floor) Calls() []call.Live    { return slices.Clone(f.calls) }
func (f *floor) All() []agent.Presence { return slices.Clone(f.agents) }

func (f *floor) Get(id agent.ID) (agent.Presence, bool) {
	i := slices.IndexFunc(f.agents, func(p agent.Presence) bool { return p.Agent == id })
	if i < 0 {
		return agent.Presence{}, false
	}
	return f.agents[i], true
}

func (f *floor) OnPhone(phone string) (agent.Presence, bool) {
	i := slices.IndexFunc(f.agents, func(p agent.Presence) bool { return p.Phone == phone })
	if i < 0 {
		return agent.Presence{}, false
	}
	return f.agents[i], true
}

func (f *floor) PhoneUnit(name string) (string, bool) {
	path, ok := map[string]string{"1001": "/root/team/", "2001": "/root/team/", "3001": "/root/else/"}[name]
	return path, ok
}

func (f *floor) PhoneOwner(string) string { return "" }

func (f *floor) PhoneUp(string) bool { return true }

// live is the floor's calls as package call gives them.
type live struct{ *floor }

func (l live) Get(id call.ID) (call.Live, error) {
	i := slices.IndexFunc(l.calls, func(c call.Live) bool { return c.ID == id })
	if i < 0 {
		return call.Live{}, call.ErrGone
	}
	return l.calls[i], nil
}

func (l live) Spy(_ context.Context, id call.ID, supervisor, phone string, mode pbx.SpyMode) error {
	l.spied = append(l.spied, fmt.Sprint(id, " ", supervisor, " ", phone, " ", mode))
	return nil
}

func newFloor() *floor {
	now := time.Now()
	one := func(id, unit, agent string, state call.State, queue string, queued time.Duration) call.Live {
		return call.Live{ID: call.ID(id), Unit: unit, UnitPath: units[auth.UnitID(unit)], State: state, Agent: agent, Queue: queue, QueueName: queue, Queued: now.Add(-queued)}
	}
	return &floor{
		calls: []call.Live{
			one("talk", "team", "ann", call.Talking, "sales", time.Minute), one("wait", "team", "", call.Queued, "sales", 90*time.Second),
			one("wait2", "team", "", call.Offered, "care", 30*time.Second), one("menu", "team", "", call.InFlow, "", 0),
			one("far", "else", "zoe", call.OnHold, "far", time.Minute),
		},
		agents: []agent.Presence{
			{Agent: "ann", Name: "Ann", UnitPath: "/root/team/", State: agent.Talking, Phone: "1001", Call: "talk"},
			{Agent: "boss", Name: "Boss", UnitPath: "/root/team/", State: agent.NotReady, Phone: "2001"},
			{Agent: "zoe", Name: "Zoe", UnitPath: "/root/else/", State: agent.OnHold, Phone: "3001"},
			{Agent: "off", Name: "Off", UnitPath: "/root/team/", State: agent.LoggedOut},
		},
	}
}

func as(login, preset string, unit auth.UnitID) *auth.Principal {
	return &auth.Principal{Kind: auth.User, UserID: auth.UserID(login), Name: login, UnitID: unit, UnitPath: units[unit], Tree: units, Grants: auth.PresetGrants(preset)}
}

// who may take part in which call, on which phone; each time is in the audit log before a phone rings.
func TestSpy(t *testing.T) {
	boss, qa, ann, chief := as("boss", "supervisor", "team"), as("qa", "qa", "team"), as("ann", "supervisor", "team"), as("chief", "supervisor", "root")
	for name, tt := range map[string]struct {
		who   *auth.Principal
		call  call.ID
		mode  pbx.SpyMode
		phone string
		want  error
		rung  string
	}{
		"on the own phone":             {boss, "talk", pbx.Listen, "", nil, "2001"},
		"barge":                        {boss, "talk", pbx.Barge, "", nil, "2001"},
		"whisper on a named phone":     {chief, "talk", pbx.Whisper, "2002", agent.ErrNoPhone, ""},
		"no right to barge":            {qa, "talk", pbx.Barge, "", problem.ErrForbidden, ""},
		"no phone":                     {qa, "talk", pbx.Listen, "", ErrNoPhone, ""},
		"a phone somebody works on":    {qa, "talk", pbx.Listen, "1001", ErrPhoneTaken, ""},
		"a phone of another unit":      {qa, "talk", pbx.Listen, "3001", agent.ErrNoPhone, ""},
		"a call of another unit":       {boss, "far", pbx.Listen, "", call.ErrGone, ""},
		"a call that has ended":        {boss, "gone", pbx.Listen, "", call.ErrGone, ""},
		"the own call":                 {ann, "talk", pbx.Listen, "", ErrOwnCall, ""},
		"an agent has no right at all": {as("x", "agent", "team"), "talk", pbx.Listen, "2001", problem.ErrForbidden, ""},
		"a supervisor with a call":     {as("zoe", "supervisor", "root"), "talk", pbx.Listen, "", agent.ErrBusy, ""},
		"from above, on a named phone": {chief, "far", pbx.Listen, "3001", ErrPhoneTaken, ""},
		"the own phone, by its name":   {boss, "talk", pbx.Whisper, "2001", nil, "2001"},
	} {
		t.Run(name, func(t *testing.T) {
			f, k := newFloor(), kerneltest.New(t)
			s := New(k, live{f}, f, f)
			err := s.Spy(auth.With(t.Context(), tt.who), tt.call, tt.mode, tt.phone)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			var rows []audit.Row
			if err := k.DB.Find(&rows).Error; err != nil {
				t.Fatal(err)
			}
			if tt.want != nil {
				if len(f.spied)+len(rows) > 0 {
					t.Errorf("%v, %+v", f.spied, rows)
				}
				return
			}
			want := fmt.Sprint(tt.call, " ", tt.who.UserID, " ", tt.rung, " ", tt.mode)
			if len(f.spied) != 1 || f.spied[0] != want || len(rows) != 1 || rows[0].Action != "monitor."+string(tt.mode) || rows[0].ObjectID != string(tt.call) {
				t.Errorf("%v, want %s; %+v", f.spied, want, rows)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	f, k := newFloor(), kerneltest.New(t)
	r := api.New(api.Options{Authenticate: func(_ context.Context, token string) (*auth.Principal, error) {
		if token == "chief" {
			return as("chief", "supervisor", "root"), nil
		}
		return as(token, "supervisor", "team"), nil
	}})
	New(k, live{f}, f, f).Routes(r)
	ask := func(as, method, path, body string, status int, out any) {
		t.Helper()
		req := httptest.NewRequest(method, "/api/monitor"+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+as)
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		r.Handler().ServeHTTP(rec, req)
		raw, _ := io.ReadAll(rec.Result().Body)
		if rec.Code != status || out != nil && json.Unmarshal(raw, out) != nil {
			t.Fatalf("%s %s: %d %s", method, path, rec.Code, raw)
		}
	}
	var b Board
	ask("boss", http.MethodGet, "/board", "", 200, &b)
	if b.Calls != (CallCount{Live: 4, Menu: 1, Waiting: 2, Talking: 1}) || b.Agents[agent.Talking] != 1 || b.Agents[agent.NotReady] != 1 || b.Agents[agent.OnHold] != 0 {
		t.Errorf("%+v", b)
	}
	if len(b.Queues) != 2 || b.Queues[0] != (QueueNow{"sales", "sales", 1, 1, 90}) || b.Queues[1] != (QueueNow{"care", "care", 1, 0, 30}) {
		t.Errorf("%+v", b.Queues)
	}
	ask("chief", http.MethodGet, "/board", "", 200, &b)
	if b.Calls.Live != 5 || b.Agents[agent.OnHold] != 1 {
		t.Errorf("%+v", b)
	}
	ask("boss", http.MethodPost, "/calls/talk/spy", `{"mode":"listen"}`, 204, nil)
	ask("boss", http.MethodPost, "/calls/talk/spy", `{"mode":"barge"}`, 204, nil)
	ask("boss", http.MethodPost, "/calls/talk/spy", `{"mode":"shout"}`, 422, nil)
	ask("boss", http.MethodPost, "/calls/gone/spy", `{"mode":"listen"}`, 409, nil)
	if len(f.spied) != 2 {
		t.Errorf("%v", f.spied)
	}
}
