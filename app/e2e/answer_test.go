//go:build e2e

package e2e

import (
	"testing"
	"time"

	"callplane/app/call"
)

// A call to a service number is answered by itself, and its flow speaks.
//
//
func TestAnswer(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	const words = "您好，这里是一号服务。"
	number := c.number(c.flow("hello", "welcome: {text: "+words+"}\nthen: {hangup: true}\n"), nil)
	start := time.Now()
	p := c.calls(number)
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("answered after %s, want at most 2 s", took)
	}
	finds(t, "the welcome", p.Ear(), 0, text(t, words), 10*time.Second)
	select {
	case <-p.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the flow does not end the call")
	}
	d := c.row(p.ID)
	if d.Call.AnsweredAt == nil || d.Call.AnsweredAt.Sub(d.Call.StartedAt) > 2*time.Second {
		t.Errorf("answered at %v, started at %v", d.Call.AnsweredAt, d.Call.StartedAt)
	}
	if d.Call.EndReason != call.FlowEnded.String() || d.Call.ReleasedBy != call.BySystem {
		t.Errorf("ended as %s by %s", d.Call.EndReason, d.Call.ReleasedBy)
	}
}
