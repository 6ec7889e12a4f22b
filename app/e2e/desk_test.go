//go:build e2e

package e2e

import (
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/sandbox/sipphone"
)

// An agent takes a call on one desk phone, signs in on another, and calls follow. When the phone is lost the agent is not
// ready, and nobody is offered to it.
//
//
func TestDeskPhones(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	a := c.agent("anna", agentOptions{})
	first := a.Desk
	number := c.straight(c.queue("all", nil, a))
	p := c.calls(number)
	talk(t, p, a.talk())
	if n := len(first.Calls()); n != 1 {
		t.Errorf("the first phone has %d calls", n)
	}
	c.leaves(p)
	a.becomes(agent.Ready, "")

	second, err := c.desk("second", sipphone.Config{Tone: 460, OnIncoming: a.take})
	if err != nil {
		t.Fatal(err)
	}
	a.Desk = second
	a.API.do(t, "POST", "/agent/sign-in", object{"phone": second.Name, "ready": true}, nil)
	if now := a.is(); now.Phone != second.Name || now.State != agent.Ready {
		t.Errorf("signed in on %s, %s", now.Phone, now.State)
	}
	p = c.calls(number)
	talk(t, p, a.talk())
	if n, m := len(first.Calls()), len(second.Calls()); n != 0 || m != 1 {
		t.Errorf("the first phone has %d calls, the second %d", n, m)
	}
	c.leaves(p)
	d := c.row(p.ID)
	if len(d.Offers) != 1 || d.Offers[0].Phone != second.Name {
		t.Errorf("offers: %+v", d.Offers)
	}
	a.becomes(agent.Ready, "")

	// The phone that is no longer used does not matter; the one that is does.
	if err := first.Unregister(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := second.Unregister(within(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if now := a.becomes(agent.NotReady, agent.ReasonPhoneLost); now.PhoneUp {
		t.Error("the phone counts as registered")
	}
	p = c.calls(number)
	c.Feed.call(t, p.ID, "call.queued", 5*time.Second)
	if err := a.API.try("POST", "/agent/state", object{"state": agent.Ready}, nil); status(err) != 409 {
		t.Errorf("ready without a phone: %v, want 409", err)
	}
	if l := c.live(p.ID); l.State != call.Queued || l.Ringing != "" {
		t.Errorf("the call is %s", l.State)
	}
	if err := second.Register(within(t, 5*time.Second), time.Minute); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "ready again", func() error {
		return a.API.try("POST", "/agent/state", object{"state": agent.Ready}, nil)
	})
	talk(t, p, a.talk())
	c.leaves(p)
}
