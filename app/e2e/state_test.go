//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"callplane/app/agent"
)

// One agent goes through all states with a real call; the state log has each interval, right within a second.
//
//
func TestStates(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	a := c.agent("anna", agentOptions{manual: true, signOut: true})
	number := c.straight(c.queue("all", object{"wrap_up_seconds": 60}, a))
	type step struct {
		state  agent.State
		reason string
		at     time.Time
	}
	var script []step
	// then notes that a state begins now, and stays in it for a while: that is what is measured.
	then := func(state agent.State, reason string) {
		t.Helper()
		script = append(script, step{state, reason, time.Now()})
		if now := a.becomes(state, reason); now.Since.Sub(script[len(script)-1].at).Abs() > time.Second {
			t.Errorf("%s since %s", state, now.Since)
		}
		stay := time.NewTimer(1500 * time.Millisecond)
		<-stay.C
	}
	a.API.do(t, http.MethodPost, "/agent/sign-in", object{"phone": a.Desk.Name}, nil)
	then(agent.NotReady, agent.ReasonSignedIn)
	a.set(agent.Break, "lunch")
	then(agent.Break, "lunch")
	a.set(agent.Ready, "")
	then(agent.Ready, "")
	p := c.calls(number)
	in := a.rings(5 * time.Second)
	then(agent.Ringing, "")
	with := a.answer(in)
	then(agent.Talking, "")
	talk(t, p, with)
	c.must(a.API, p.ID, "hold", nil)
	then(agent.OnHold, "")
	c.must(a.API, p.ID, "unhold", nil)
	then(agent.Talking, "")
	c.leaves(p)
	then(agent.WrapUp, "")
	a.API.do(t, http.MethodPost, "/agent/wrap-up/done", nil, nil)
	then(agent.Ready, "")
	a.set(agent.NotReady, "")
	then(agent.NotReady, "")
	a.set(agent.LoggedOut, "")
	script = append(script, step{agent.LoggedOut, "", time.Now()})

	var log []agent.Interval
	eventually(t, 15*time.Second, "state log", func() error {
		if log = list[agent.Interval](t, c.Admin, "/agent/intervals?agent="+a.ID); len(log) != len(script)-1 {
			return fmt.Errorf("%d intervals, want %d: %+v", len(log), len(script)-1, log)
		}
		return nil
	})
	for i, got := range log {
		want, next := script[i], script[i+1]
		if got.State != want.state || got.Reason != want.reason || got.Started.Sub(want.at).Abs() > time.Second || got.Ended.Sub(next.at).Abs() > time.Second {
			t.Errorf("interval %d is %s (%s) %s to %s; want %s (%s) %s to %s", i, got.State, got.Reason, got.Started, got.Ended, want.state, want.reason, want.at, next.at)
		}
		if i > 0 && !got.Started.Equal(log[i-1].Ended) {
			t.Errorf("interval %d begins at %s, the one before ended at %s", i, got.Started, log[i-1].Ended)
		}
		if inCall := got.State.Busy() || got.State == agent.WrapUp; inCall != (got.CallID == string(p.ID)) {
			t.Errorf("interval %d (%s) belongs to call %q", i, got.State, got.CallID)
		}
	}
}
