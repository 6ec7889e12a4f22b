//go:build e2e

package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/sandbox"
)

// The platform is killed while twenty calls talk and one caller waits. The talk goes on meanwhile; the platform comes back, knows
// every call and every agent as they were, and all records are complete.
//
// R-401 R-098
func TestCrash(t *testing.T) {
	t.Parallel()
	c := newCentre(t, ownServer(t, ""))
	team := c.agents(20, agentOptions{})
	lunch := c.agent("lunch", agentOptions{})
	writer := c.agent("writer", agentOptions{})
	q := c.queue("all", nil, team...)
	other := c.queue("other", object{"wrap_up_seconds": 120}, writer)
	number := c.straight(q)

	type pair struct {
		p, a  *Party
		agent *Agent
	}
	pairs := make([]pair, len(team))
	var wg sync.WaitGroup
	for i := range pairs {
		wg.Go(func() {
			p := c.calls(number)
			said := c.Feed.call(t, p.ID, "call.talking", 20*time.Second)
			for _, a := range team {
				if a.ID == said.Agent {
					pairs[i] = pair{p, a.talk(), a}
				}
			}
			talk(t, p, pairs[i].a)
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	lunch.set(agent.Break, "lunch")
	w := c.calls(c.straight(other))
	with := writer.talk()
	talk(t, w, with)
	c.leaves(with)
	c.row(w.ID)
	writer.becomes(agent.WrapUp, "")
	waiting := c.calls(number)
	c.Feed.call(t, waiting.ID, "call.queued", 5*time.Second)
	hears(t, waiting.who, waiting.Ear(), sandbox.DefaultMusic.Tone())
	before := map[string]agent.Presence{}
	for _, a := range append([]*Agent{lunch, writer}, team...) {
		before[a.ID] = a.is()
	}
	mark := c.Feed.mark()

	c.kill()
	down := time.Now()
	hear := func(when string) {
		t.Helper()
		for _, p := range pairs {
			wg.Go(func() { talk(t, p.p, p.a) })
		}
		wg.Wait()
		hears(t, waiting.who+" "+when, waiting.Ear(), sandbox.DefaultMusic.Tone())
	}
	hear("while the platform is dead")
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	t.Logf("back after %s", time.Since(down))
	for _, p := range append([]pair{{p: waiting}}, pairs...) {
		c.Feed.wait(t, mark, 20*time.Second, "resumption", func(e Event) bool { return e.Type == "call.resumed" && e.Key == string(p.p.ID) })
	}
	t.Logf("in control of all calls after %s", time.Since(down))
	hear("with the platform back")
	for _, p := range pairs {
		if l := c.live(p.p.ID); l.State != call.Talking || l.Agent != p.agent.ID {
			t.Errorf("call of %s is %s with %s", p.p.who, l.State, l.Agent)
		}
	}
	if l := c.live(waiting.ID); l.State != call.Queued {
		t.Errorf("who waited is %s", l.State)
	}
	for _, a := range append([]*Agent{lunch, writer}, team...) {
		was, is := before[a.ID], a.is()
		if is.State != was.State || is.Reason != was.Reason || !is.Since.Equal(was.Since) || is.Call != was.Call || !is.WrapUntil.Equal(was.WrapUntil) {
			t.Errorf("%s is %s (%s) since %s, was %s (%s) since %s", a.Login, is.State, is.Reason, is.Since, was.State, was.Reason, was.Since)
		}
	}

	for i, p := range pairs {
		wg.Go(func() {
			if i%2 == 0 {
				c.leaves(p.p)
			} else {
				c.leaves(p.a)
			}
			d := c.row(p.p.ID)
			want := []string{call.CallerHungUp.String(), call.AgentHungUp.String()}[i%2]
			if r := d.Call; r.EndReason != want || r.AgentID != p.agent.ID || r.TalkMs < time.Since(down).Milliseconds()/2 || len(d.Legs) != 2 || len(d.Segments) != 3 || len(d.Offers) != 1 {
				t.Errorf("record of %s: %+v, %d legs, %d segments, %d offers", p.p.who, d.Call, len(d.Legs), len(d.Segments), len(d.Offers))
			}
			c.recorded(*d.Call, p.p.tone, p.a.tone)
		})
	}
	said := c.Feed.call(t, waiting.ID, "call.talking", 20*time.Second)
	for _, a := range team {
		if a.ID == said.Agent {
			talk(t, waiting, a.talk())
		}
	}
	wg.Wait()
	c.leaves(waiting)
	if d := c.row(waiting.ID); d.Call.WaitMs < 2000 || len(d.Entries) != 1 || d.Entries[0].Result != "answered" {
		t.Errorf("record of who waited: %+v, %+v", d.Call, d.Entries)
	}
	writer.API.do(t, "POST", "/agent/wrap-up/done", nil, nil)
	writer.becomes(agent.Ready, "")
	eventually(t, 10*time.Second, "the state log over the crash", func() error {
		for _, i := range list[agent.Interval](t, c.Admin, "/agent/intervals?agent="+writer.ID) {
			if i.State == agent.WrapUp && i.Started.Before(down) && i.Ended.After(down) {
				return nil
			}
		}
		return fmt.Errorf("has no wrap-up across it")
	})
}

// The same story with MySQL in SQLite's place.
//
//
func TestMySQL(t *testing.T) {
	t.Parallel()
	my := sandbox.NewMySQL(t, sandbox.MySQLOptions{})
	dsn, err := my.CreateDatabase(within(t, time.Minute), "callplane")
	if err != nil {
		t.Fatal(err)
	}
	c := newCentre(t, ownServer(t, dsn))
	story(t, c)
	a := c.agent("zoe", agentOptions{})
	p := c.calls(c.straight(c.queue("more", nil, a)))
	with := a.talk()
	talk(t, p, with)
	if err := p.Ear().WaitUntil(within(t, 10*time.Second), p.Ear().Now()+2*time.Second); err != nil {
		t.Error(err)
	}
	c.leaves(p)
	c.recorded(*c.row(p.ID).Call, p.tone, with.tone)
}
