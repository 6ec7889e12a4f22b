//go:build e2e

package e2e

import (
	"slices"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/sandbox"
)

// An agent hands a caller to another agent, a queue, a flow and an outside number. The agent's leg ends, and one call tells
// both parts with their times.
//
//
func TestTransfer(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	team := c.agents(3, agentOptions{})
	anna, ben, cora := team[0], team[1], team[2]
	first := c.queue("first", nil, anna)
	second := c.queue("second", nil, cora)
	const words = "这是自助服务。"
	menu := c.flow("self", "welcome: {text: "+words+"}\nmenu: {text: 请按一。, keys: {\"1\": {hangup: true}}}\n")
	number := c.straight(first)
	outside := "+861062345678" // as it goes out on the trunk

	for _, tt := range []struct {
		name  string
		to    object
		with  func() *Party // who talks next; nil for a flow
		parts []string      // kinds of segments
		agent string        // of the last part
		back  *Agent        // who must be free again for the next round
	}{
		{"agent", object{"agent": ben.ID}, ben.talk, []string{"auto", "queue", "agent", "ring", "agent"}, ben.ID, ben},
		{"queue", object{"queue": second.ID}, cora.talk, []string{"auto", "queue", "agent", "queue", "agent"}, cora.ID, cora},
		{"outside number", object{"number": outside}, func() *Party { return c.Far.answered(outside) }, []string{"auto", "queue", "agent", "ring", "outside"}, "", nil},
		{"flow", object{"flow": menu}, nil, []string{"auto", "queue", "agent", "auto"}, "", nil},
	} {
		p := c.calls(number)
		a := anna.talk()
		talk(t, p, a)
		at := p.Ear().Now()
		c.must(anna.API, p.ID, "transfer", tt.to)
		if tt.with != nil {
			b := tt.with()
			talk(t, p, b)
		} else {
			finds(t, "the flow", p.Ear(), at, text(t, words), 10*time.Second)
		}
		waitFor(t, "end of the first agent's leg", a.Done())
		c.leaves(p)
		d := c.row(p.ID)
		var kinds []string
		for i, s := range d.Segments {
			kinds = append(kinds, s.Kind)
			if s.EndedAt.Before(s.StartedAt) || i > 0 && s.StartedAt.Sub(d.Segments[i-1].EndedAt).Abs() > 10*time.Millisecond {
				t.Errorf("to %s: segment %d does not follow the one before: %+v", tt.name, i, d.Segments)
			}
		}
		if !slices.Equal(kinds, tt.parts) {
			t.Errorf("to %s: segments are %v, want %v", tt.name, kinds, tt.parts)
			continue
		}
		if d.Segments[2].AgentID != anna.ID {
			t.Errorf("to %s: the first part is of %s", tt.name, d.Segments[2].AgentID)
		}
		if last := d.Segments[len(d.Segments)-1]; last.AgentID != tt.agent {
			t.Errorf("to %s: the last part is of %q, want %q", tt.name, last.AgentID, tt.agent)
		}
		if d.Call.TalkMs < 300 || d.Call.EndClass != call.ClassTalked && tt.with != nil {
			t.Errorf("to %s: row %+v", tt.name, d.Call)
		}
		anna.becomes(agent.Ready, "")
		if tt.back != nil {
			tt.back.becomes(agent.Ready, "")
		}
	}

	// To nobody: refused, and the talk goes on.
	p := c.calls(number)
	a := anna.talk()
	ben.set(agent.NotReady, "")
	if err := c.order(anna.API, p.ID, "transfer", object{"agent": ben.ID}); status(err) != 409 {
		t.Errorf("to an agent who is not ready: %v, want 409", err)
	}
	talk(t, p, a)
	c.leaves(p)
}

// Hold gives the caller the queue's music and the agent silence, and is written down.
//
//
func TestHold(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	anna := c.agent("anna", agentOptions{})
	q := c.queue("sales", object{"music": "jazz"}, anna)
	p := c.calls(c.straight(q))
	a := anna.talk()
	talk(t, p, a)

	start := time.Now()
	c.must(anna.API, p.ID, "hold", nil)
	anna.becomes(agent.OnHold, "")
	hears(t, p.who, p.Ear(), sandbox.JazzMusic.Tone())
	if p.Ear().Hears(a.tone) {
		t.Error("the caller hears the agent on hold")
	}
	from, err := a.Ear().WaitSilence(within(t, 5*time.Second), 500*time.Millisecond)
	if err != nil {
		t.Fatalf("the agent hears something on hold: %v", a.Ear().Tones(time.Second))
	}
	musicFrom := p.Ear().Now()
	end := time.NewTimer(time.Until(start.Add(10 * time.Second)))
	<-end.C // the hold is to last 10 s
	if quiet, err := a.Ear().WaitSilenceFrom(within(t, time.Second), from, a.Ear().Now()-from-100*time.Millisecond); err != nil || quiet > from+50*time.Millisecond {
		t.Errorf("the agent heard something meanwhile: silence at %s, not %s: %v", quiet, from, err)
	}
	steady(t, p, p.Ear().Audio(), musicFrom, p.Ear().Now()-200*time.Millisecond, sandbox.JazzMusic.Tone())
	c.must(anna.API, p.ID, "unhold", nil)
	talk(t, p, a)
	anna.becomes(agent.Talking, "")
	c.leaves(p)

	d := c.row(p.ID)
	if len(d.Holds) != 1 || d.Holds[0].AgentID != anna.ID {
		t.Fatalf("holds: %+v", d.Holds)
	}
	if took := d.Holds[0].EndedAt.Sub(d.Holds[0].StartedAt); (took - 10*time.Second).Abs() > 500*time.Millisecond {
		t.Errorf("the hold lasted %s, want 10 s", took)
	}
	if (d.Call.HoldMs-10_000) > 500 || d.Call.HoldMs < 9_500 {
		t.Errorf("the row says %d ms", d.Call.HoldMs)
	}
}
