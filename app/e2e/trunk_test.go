//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/pbx"
	"callplane/app/route"
	"callplane/app/sandbox/sipphone"
)

// A trunk made over the API is up, carries calls both ways, writes numbers as it is told, holds its channel limit, and carries
// nothing once it is disabled.
//
//
func TestTrunk(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	id := string(c.Line.ID)
	c.change(id, object{"qualify_seconds": 1, "formats": object{"called_out": []object{{"match": "+86.", "strip": 3, "prefix": "0"}}}})
	c.lineIs(id, pbx.LineUp)
	a := c.agent("anna", agentOptions{})
	number := c.straight(c.queue("all", nil, a))

	in := c.calls(number)
	talk(t, in, a.talk())
	if v := get[route.TrunkView](t, c.Admin, "/route/trunks/"+id); v.Channels != 1 || v.State != pbx.LineUp {
		t.Errorf("the trunk shows %d channels and is %s, with one call", v.Channels, v.State)
	}
	c.change(id, object{"channel_limit": 1})
	c.refused(number, 486)
	if got := status(a.API.try(http.MethodPost, "/call/calls", object{"to": "01062345678"}, nil)); got != http.StatusServiceUnavailable {
		t.Errorf("calling out on a full trunk: %d, want 503", got)
	}
	c.leaves(in)
	c.row(in.ID)
	a.becomes(agent.Ready, "")

	out := "01062345678"
	c.dialOut(a, out, out)
	c.change(id, object{"enabled": false})
	c.refused(number, 0)
	if got := status(a.API.try(http.MethodPost, "/call/calls", object{"to": out}, nil)); got != http.StatusServiceUnavailable {
		t.Errorf("calling out on a disabled trunk: %d, want 503", got)
	}
	c.change(id, object{"enabled": true})
	c.lineIs(id, pbx.LineUp)
	in = c.calls(number)
	talk(t, in, a.talk())
	c.leaves(in)

	c.Far.Vanish(true) // no OPTIONS are answered
	c.lineIs(id, pbx.LineDown)
	c.Far.Vanish(false)
	c.lineIs(id, pbx.LineUp)
}

// change changes a trunk.
func (c *Centre) change(id string, what object) {
	c.t.Helper()
	c.Admin.do(c.t, http.MethodPatch, "/route/trunks/"+id, what, nil)
}

// lineIs waits for a trunk's state.
func (c *Centre) lineIs(id string, want pbx.LineState) {
	c.t.Helper()
	eventually(c.t, 30*time.Second, "trunk", func() error {
		if v := get[route.TrunkView](c.t, c.Admin, "/route/trunks/"+id); v.State != want {
			return fmt.Errorf("is %s, not %s", v.State, want)
		}
		return nil
	})
}

// refused says that a call is not taken; with which code, if that matters.
func (c *Centre) refused(to string, code int) {
	c.t.Helper()
	_, err := c.Far.Call(within(c.t, 10*time.Second), to, sipphone.From("13900000000", ""))
	no, ok := errors.AsType[*sipphone.Rejected](err)
	if !ok || code != 0 && no.Code != code {
		c.t.Errorf("calling %s: %v, want a refusal with %d", to, err, code)
	}
}

// dialOut has an agent, whose phone answers by itself, call an outside number, talk, and hang up. sent is what the carrier gets.
func (c *Centre) dialOut(a *Agent, to, sent string) {
	c.t.Helper()
	a.API.do(c.t, http.MethodPost, "/call/calls", object{"to": to}, nil)
	me := a.talk()
	there := c.Far.answered(sent)
	talk(c.t, me, there)
	c.leaves(me)
	waitFor(c.t, "end at the other side", there.Done())
	eventually(c.t, 5*time.Second, "end of the call", func() error {
		if p := a.is(); p.State == agent.WrapUp {
			_ = a.API.try(http.MethodPost, "/agent/wrap-up/done", nil, nil)
		} else if p.State == agent.Ready {
			return nil
		}
		return errors.New("the agent is not free")
	})
}

// A trunk that registers does so with its password, and carries calls both ways.
//
//
func TestRegisteredTrunk(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	far := newCarrier(t, c, fmt.Sprintf("127.77.%d.2", c.no), sipphone.Config{Accounts: map[string]string{"customer": "Secret-9"}, ChallengeCalls: true})
	c.change(string(c.Line.ID), object{"enabled": false}) // calls out take the other
	c.trunk("reg", far, object{"register": true, "user": "customer", "password": "Secret-9"})
	if _, err := far.WaitRegistration(within(t, 15*time.Second), "customer", func(r sipphone.Registration) bool { return r.Accepted > 0 }); err != nil {
		t.Fatalf("no registration: %v", err)
	}
	c.Far = far
	a := c.agent("anna", agentOptions{})
	in := c.calls(c.straight(c.queue("all", nil, a)))
	talk(t, in, a.talk())
	c.leaves(in)
	a.becomes(agent.Ready, "")
	c.dialOut(a, "01062345679", "+861062345679")
}
