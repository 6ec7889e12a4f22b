//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"callplane/app/acd"
	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/kernel/db"
)

func why(t *testing.T, raw db.JSON[json.RawMessage]) (w acd.Why) {
	t.Helper()
	if err := json.Unmarshal(raw.V, &w); err != nil {
		t.Errorf("the reason of an offer: %v in %s", err, raw.V)
	}
	return w
}

// Twenty callers and five agents: each call is answered once, nobody has two at a time, and each offer says why it was made.
//
//
func TestQueue(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	team := c.agents(5, agentOptions{})
	q := c.queue("all", nil, team...)
	number := c.straight(q)
	var wg sync.WaitGroup
	var mu sync.Mutex
	rows := map[call.ID]call.Detail{}
	for range 20 {
		wg.Go(func() {
			p, err := c.tryCall(number)
			if err != nil {
				t.Error(err)
				return
			}
			c.Feed.call(t, p.ID, "call.talking", 60*time.Second)
			if err := p.Ear().WaitUntil(within(t, 5*time.Second), p.Ear().Now()+2*time.Second); err != nil {
				t.Error(err)
			}
			c.leaves(p)
			d := c.row(p.ID)
			mu.Lock()
			defer mu.Unlock()
			rows[p.ID] = d
		})
	}
	wg.Wait()
	type span struct{ from, to time.Time }
	busy := map[string][]span{}
	for id, d := range rows {
		answered := 0
		for _, o := range d.Offers {
			if o.Result == "answered" {
				answered++
			}
			w := why(t, o.Why)
			if w.Strategy != acd.LongestIdle || w.Position < 1 || len(w.Others)+1 != len(team) || len(w.Passed) == 0 {
				t.Errorf("offer of %s to %s is not explained: %s", id, o.AgentName, o.Why.V)
			}
			busy[o.AgentID] = append(busy[o.AgentID], span{o.OfferedAt, d.Call.EndedAt})
		}
		if answered != 1 || len(d.Offers) != 1 || d.Call.EndReason != call.CallerHungUp.String() {
			t.Errorf("call %s: %d offers, %d answered, ended as %s", id, len(d.Offers), answered, d.Call.EndReason)
		}
	}
	if len(rows) != 20 || len(busy) != 5 {
		t.Errorf("%d calls went to %d agents", len(rows), len(busy))
	}
	for who, spans := range busy {
		slices.SortFunc(spans, func(a, b span) int { return a.from.Compare(b.from) })
		for i := range spans[1:] {
			if spans[i+1].from.Before(spans[i].to) {
				t.Errorf("agent %s had two calls at %s", who, spans[i+1].from)
			}
		}
	}
}

// A call that asks for a skill rings only who has it, and waits for them though others are free.
//
//
func TestSkills(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	others := c.agents(3, agentOptions{skills: map[string]int{"billing": 9}})
	weak := c.agent("weak", agentOptions{skills: map[string]int{"broadband": 3}})
	able := c.agent("able", agentOptions{skills: map[string]int{"broadband": 5}})
	q := c.queue("faults", nil, append(others, weak, able)...)
	number := c.number(c.flow("faults", "then: {queue: "+q.Name+", skills: [{skill: broadband, level: 5}]}\n"), nil)
	p := c.calls(number)
	a := able.talk()
	talk(t, p, a)

	second := c.calls(number)
	c.Feed.call(t, second.ID, "call.queued", 5*time.Second)
	if err := second.Ear().WaitUntil(within(t, 10*time.Second), second.Ear().Now()+3*time.Second); err != nil {
		t.Fatal(err)
	}
	if l := c.live(second.ID); l.State != call.Queued {
		t.Errorf("the second call is %s while the only agent with the skill is busy", l.State)
	}
	for _, o := range append(others, weak) {
		if p := o.is(); p.State != agent.Ready {
			t.Errorf("%s is %s", o.Login, p.State)
		}
	}
	c.leaves(p)
	talk(t, second, able.talk())
	c.leaves(second)
	for _, id := range []call.ID{p.ID, second.ID} {
		d := c.row(id)
		if len(d.Offers) != 1 || d.Offers[0].AgentID != able.ID {
			t.Fatalf("offers: %+v", d.Offers)
		}
		if w := why(t, d.Offers[0].Why); w.Passed["lacks_skill"] != 4 {
			t.Errorf("the reason says %s", d.Offers[0].Why.V)
		}
	}
}

// Each queue has its own ring time: offers that nobody takes are withdrawn on time, and the next agent is rung. Who missed one is
// not ready, and it counts.
//
// R-076 R-095
func TestRingTime(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	var wg sync.WaitGroup
	for _, seconds := range []int{10, 20} {
		wg.Go(func() {
			name := map[int]string{10: "ten", 20: "twenty"}[seconds]
			slow := c.agent(name+"slow", agentOptions{manual: true})
			slow.becomes(agent.Ready, "")
			ready := c.agent(name+"quick", agentOptions{})
			q := c.queue(name, object{"ring_seconds": seconds}, slow, ready)
			start := time.Now()
			p := c.calls(c.straight(q))
			in := slow.rings(5 * time.Second)
			if err := in.Ring(); err != nil {
				t.Error(err)
			}
			if r := slow.is(); r.State != agent.Ringing || r.Call != string(p.ID) {
				t.Errorf("%s is %s", slow.Login, r.State)
			}
			select {
			case <-in.Cancelled():
			case <-time.After(time.Duration(seconds+3) * time.Second):
				t.Error("the phone still rings")
			}
			if took, want := time.Since(start), time.Duration(seconds)*time.Second; (took - want).Abs() > 1500*time.Millisecond {
				t.Errorf("rang for %s, want %s", took, want)
			}
			talk(t, p, ready.talk())
			if m := slow.becomes(agent.NotReady, agent.ReasonMissed); m.Missed != 1 {
				t.Errorf("missed is %d, want 1", m.Missed)
			}
			c.leaves(p)
			d := c.row(p.ID)
			if len(d.Offers) != 2 || d.Offers[0].Result != "missed" || d.Offers[1].Result != "answered" || d.Offers[1].AgentID != ready.ID {
				t.Fatalf("offers: %+v", d.Offers)
			}
			if ms := d.Offers[0].RingMs; ms < int64(seconds)*1000-500 || ms > int64(seconds)*1000+1000 {
				t.Errorf("the offer log says %d ms, want %d s", ms, seconds)
			}
			if len(d.Entries) != 1 || d.Entries[0].Result != "answered" {
				t.Errorf("queue entries: %+v", d.Entries)
			}
		})
	}
	wg.Wait()
}

// A caller whose offer was not taken is in front of those who came later.
//
//
func TestFrontOfQueue(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	slow := c.agent("slow", agentOptions{manual: true})
	q := c.queue("front", object{"ring_seconds": 4}, slow)
	number := c.straight(q)
	first := c.calls(number)
	in := slow.rings(5 * time.Second)
	second := c.calls(number)
	waitFor(t, "end of the ring time", in.Cancelled())
	slow.becomes(agent.NotReady, agent.ReasonMissed)
	slow.set(agent.Ready, "")
	a := slow.answer(slow.rings(5 * time.Second))
	talk(t, first, a)
	if l := c.live(second.ID); l.State != call.Queued {
		t.Errorf("who came later is %s", l.State)
	}
	c.leaves(first)
	talk(t, second, slow.answer(slow.rings(5*time.Second)))
	c.leaves(second)
	if got := status(c.Admin.try(http.MethodGet, "/call/live/"+string(first.ID), nil, nil)); got != http.StatusConflict {
		t.Errorf("a call that is gone: %d, want 409", got)
	}
}
