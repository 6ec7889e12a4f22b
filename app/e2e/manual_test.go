//go:build e2e

package e2e

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"callplane/app/call"
	"callplane/app/sandbox/sipphone"
)

// A program answers a call that rings, hangs one up, and rejects one; a call that is gone answers 409.
//
//
func TestManual(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	number := c.number("@manual", nil)

	out, id := c.startCall(number)
	waitFor(t, "180", out.Ringing())
	select {
	case <-out.Done():
		t.Fatal("answered by itself")
	default:
	}
	leg := string(c.live(id).Customer)
	c.must(c.Admin, id, "legs/"+leg+"/answer", nil)
	p, err := out.Wait(within(t, 5*time.Second))
	if err != nil {
		t.Fatalf("after the answer: %v", err)
	}
	c.Feed.call(t, id, "call.answered", 5*time.Second)
	if got := status(c.order(c.Admin, id, "legs/"+leg+"/answer", nil)); got != http.StatusConflict {
		t.Errorf("answering again: %d, want 409", got)
	}
	if got := status(c.order(c.Admin, id, "legs/"+leg+"/reject", nil)); got != http.StatusConflict {
		t.Errorf("rejecting what is answered: %d, want 409", got)
	}
	c.must(c.Admin, id, "legs/"+leg+"/hangup", nil)
	waitFor(t, "BYE", p.Done())
	if p.EndedBy() != sipphone.Remote {
		t.Errorf("ended by %s", p.EndedBy())
	}
	if said := c.Feed.call(t, id, "call.ended", 5*time.Second); said.Data["released_by"] != string(call.ByUser) {
		t.Errorf("the event says %v", said.Data)
	}
	for _, what := range []string{"legs/" + leg + "/answer", "legs/" + leg + "/hangup", "hangup"} {
		if got := status(c.order(c.Admin, id, what, nil)); got != http.StatusConflict {
			t.Errorf("%s of a call that is gone: %d, want 409", what, got)
		}
	}
	if r := c.row(id).Call; r.ReleasedBy != call.ByUser {
		t.Errorf("released by %s", r.ReleasedBy)
	}

	for name, tt := range map[string]struct {
		body object
		code int
	}{"declined": {object{}, 603}, "busy": {object{"busy": true}, 486}} {
		out, id := c.startCall(number)
		waitFor(t, "180", out.Ringing())
		c.must(c.Admin, id, "legs/"+string(c.live(id).Customer)+"/reject", tt.body)
		_, err := out.Wait(within(t, 5*time.Second))
		no, ok := errors.AsType[*sipphone.Rejected](err)
		if !ok || no.Code != tt.code {
			t.Errorf("%s: the caller got %v, want %d", name, err, tt.code)
		}
		if said := c.Feed.call(t, id, "call.ended", 5*time.Second); said.Data["reason"] != call.RejectedByAPI.String() {
			t.Errorf("%s: the event says %v", name, said.Data)
		}
		if got := status(c.order(c.Admin, id, "hangup", nil)); got != http.StatusConflict {
			t.Errorf("%s: hanging up what is gone: %d, want 409", name, got)
		}
	}

	// Somebody without the permission cannot see the call, let alone touch it.
	stranger := c.agent("stranger", agentOptions{signOut: true})
	out, id = c.startCall(number)
	waitFor(t, "180", out.Ringing())
	if got := status(c.order(stranger.API, id, "hangup", nil)); got != http.StatusNotFound && got != http.StatusForbidden {
		t.Errorf("a stranger's hang-up: %d", got)
	}
	out.Cancel()
	if said := c.Feed.call(t, id, "call.ended", 5*time.Second); said.Data["reason"] != call.CallerLeftEarly.String() {
		t.Errorf("the event says %v", said.Data)
	}
}

// startCall has a new caller call one of our numbers, and returns as soon as the platform knows of it.
func (c *Centre) startCall(to string) (*sipphone.Outgoing, call.ID) {
	c.t.Helper()
	n, _ := c.person()
	from := c.Feed.mark()
	out, err := c.Far.Start(to, sipphone.From(c.mobile(n), ""))
	if err != nil {
		c.t.Fatal(err)
	}
	id := c.arrived(from, "+86"+c.mobile(n))
	if id == "" {
		_, err := out.Wait(context.Background())
		c.t.Fatalf("the call did not arrive: %v", err)
	}
	return out, id
}

// waitFor waits for something that happens soon.
func waitFor(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatalf("no %s", what)
	}
}
