//go:build e2e && chaos

package e2e

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
)

// Asterisk dies, or is restarted, under live calls. They are closed as lost, phones and trunks are set up again, agents are free
// when their phones are back, and new calls work. The platform lives on.
func chaosSwitch(t *testing.T, f *figures) {
	ast := realTime(t, sandbox.NewAsterisk(t, sandbox.AsteriskOptions{}))
	s := chaosServer(t, ast, "", "")
	c := newCentre(t, s)
	c.showCalls(t)
	team := c.agents(5, agentOptions{})
	ringer, server := c.agent("ringer", agentOptions{manual: true}), c.agent("server", agentOptions{})
	server.set(agent.Break, "lunch")
	talkTo, line := c.straight(c.queue("talk", nil, team...)), c.straight(c.queue("line", nil, server))
	ringTo := c.straight(c.queue("ring", object{"ring_seconds": 60}, ringer))
	menu := c.number(c.flow("menu", "menu: {text: 请按一继续，或者请您稍候。, keys: {\"1\": {hangup: true}}}\n"), nil)
	process := s.cmd.Process.Pid
	for _, way := range []string{"killed", "restarted"} {
		var all []call.ID
		for _, p := range c.talks(talkTo, len(team), team) {
			all = append(all, p.caller.ID)
		}
		for _, to := range []string{line, line, ringTo, menu} {
			all = append(all, c.calls(to).ID)
		}
		ringer.rings(10 * time.Second)
		if way == "killed" {
			// Asterisk writes its objects down once a second; what is younger is for the platform to write again.
			if err := ast.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if err := ast.Restart(within(t, 60*time.Second)); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		lost := 0
		for _, id := range all {
			d, ok := c.complete(id)
			switch {
			case !ok:
			case d.Call.EndReason == call.Lost.String(), way == "restarted" && d.Call.EndClass != call.ClassDropped:
				lost++ // a switch that is stopped may still hang up in good order
			default:
				t.Errorf("switch %s: call %s ended as %s", way, id, d.Call.EndReason)
			}
		}
		f.exactly(t, "switch_"+way+"_closed_calls", lost, len(all))
		for _, a := range append(team, ringer) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if err := a.Desk.Register(ctx, 10*time.Minute); err != nil {
				t.Errorf("%s cannot register again: %v", a.Login, err)
			}
			cancel()
			c.isAgent(a, agent.Ready)
		}
		c.isAgent(server, agent.Break)
		eventually(t, 30*time.Second, "the trunk", func() error { return c.lineUp() })
		eventually(t, 30*time.Second, "a call", func() error { // until then callers get what the dialplan has for them
			cl, err := c.Far.Call(within(t, 10*time.Second), menu, sipphone.From(c.mobile(9999), ""))
			if err == nil {
				err = cl.Hangup(within(t, 10*time.Second))
			}
			return err
		})
		p := c.connect(talkTo, team)
		f.most(t, "switch_"+way+"_new_call_s", time.Since(back).Seconds(), 15)
		if p == nil {
			t.FailNow()
		}
		c.leaves(p.caller)
		c.isAgent(p.who, agent.Ready)
	}
	if s.cmd.Process.Pid != process {
		t.Error("the platform was restarted")
	}
	select {
	case <-s.done:
		t.Error("the platform has ended")
	default:
	}
}

// lineUp is nil when a call over the trunk is possible.
func (c *Centre) lineUp() error {
	var tr struct{ State string }
	if err := c.Admin.try(http.MethodGet, "/route/trunks/"+string(c.Line.ID), nil, &tr); err != nil {
		return err
	}
	if tr.State != "up" {
		return errState(tr.State)
	}
	return nil
}

type errState string

func (e errState) Error() string { return "is " + string(e) }

// The database stands still for 30 s, and is then gone for as long. Calls go on, new ones too, and no record is missing afterwards.
func chaosDatabase(t *testing.T, f *figures) {
	my := sandbox.NewMySQL(t, sandbox.MySQLOptions{})
	dsn, err := my.CreateDatabase(within(t, time.Minute), "callplane")
	if err != nil {
		t.Fatal(err)
	}
	s := chaosServer(t, realTime(t, sandbox.NewAsterisk(t, sandbox.AsteriskOptions{})), dsn, "")
	c := newCentre(t, s)
	c.showCalls(t)
	team := c.agents(4, agentOptions{})
	number := c.straight(c.queue("talk", nil, team...))
	old := c.talks(number, 2, team)

	if err := my.Pause(); err != nil {
		t.Fatal(err)
	}
	resume := sync.OnceFunc(func() { _ = my.Resume() })
	defer resume()
	begun, paused := time.Now(), true
	var during []*pair
	for time.Since(begun) < time.Minute {
		if paused && time.Since(begun) > 30*time.Second {
			paused = false
			resume()
			if err := my.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		p := c.connect(number, team)
		if p == nil {
			t.Fatalf("no new call %s into the outage", time.Since(begun))
		}
		during = append(during, p)
		if err := p.caller.Ear().WaitUntil(within(t, 10*time.Second), p.caller.Ear().Now()+2*time.Second); err != nil {
			t.Error(err)
		}
		c.leaves(p.caller)
		waitFor(t, "end of the agent's leg", p.with.Done())
	}
	if err := my.Restart(within(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	dropped, worst := 0, time.Duration(0)
	for _, p := range old {
		dropped += 2 - alive(p.caller, p.with)
		worst = max(worst, p.gap())
		c.leaves(p.caller)
	}
	f.exactly(t, "database_dropped_legs", dropped, 0)
	f.most(t, "database_longest_talk_gap_ms", float64(worst.Milliseconds()), talkGap)
	f.add("database_calls_meanwhile", len(during))
	if len(during) < 8 {
		t.Errorf("only %d new calls in a minute", len(during))
	}
	after := time.Now()
	complete, whole := 0, 0
	for _, p := range append(old, during...) {
		d, ok := c.complete(p.caller.ID)
		if !ok {
			continue
		}
		complete++
		if c.whole(d, p) {
			whole++
		}
	}
	f.exactly(t, "database_missing_records", len(old)+len(during)-complete, 0)
	f.exactly(t, "database_missing_recordings", len(old)+len(during)-whole, 0)
	f.most(t, "database_records_after_s", time.Since(after).Seconds(), 60)
}
