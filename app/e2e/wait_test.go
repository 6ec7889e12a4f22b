//go:build e2e

package e2e

import (
	"fmt"
	"math"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/sandbox"
	"callplane/app/speech"
	"callplane/app/voicemail"
)

// The third in the queue hears so, and how long it will take: within 30 % of what it takes when the load is steady.
//
//
func TestEstimate(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	a := c.agent("anna", agentOptions{})
	q := c.queue("steady", object{"announce_position": true, "announce_wait": true, "announce_seconds": 60}, a)
	number := c.straight(q)
	const service = 10 * time.Second
	serve := func(p *Party) {
		with := a.talk()
		if err := with.Ear().WaitUntil(within(t, service+5*time.Second), service-500*time.Millisecond); err != nil {
			t.Error(err)
		}
		c.leaves(p)
	}
	serve(c.calls(number)) // from here on the queue knows how long a call takes
	a.becomes(agent.Ready, "")
	line := []*Party{c.calls(number)}
	c.Feed.call(t, line[0].ID, "call.talking", 10*time.Second)
	for range 3 {
		line = append(line, c.calls(number))
	}
	third := line[3]
	queued := c.Feed.call(t, third.ID, "call.queued", 5*time.Second).At
	said := c.Feed.call(t, third.ID, "call.announced", 10*time.Second)
	if got := said.Data["position"]; got != 3.0 {
		t.Errorf("the third is told position %v", got)
	}
	at := finds(t, "the position", third.Ear(), 0, sound(t, speech.Chinese, speech.Say(speech.Chinese).Position(3).Items[0]), 10*time.Second)
	estimate, ok := said.Data["wait_seconds"].(float64)
	if !ok {
		t.Fatalf("no estimate: %v", said.Data)
	}
	spoken := speech.Say(speech.Chinese).Wait(time.Duration(estimate) * time.Second).Items[0]
	finds(t, "the estimate", third.Ear(), at, sound(t, speech.Chinese, spoken), 10*time.Second)
	for _, p := range line[:3] {
		serve(p)
	}
	talking := c.Feed.call(t, third.ID, "call.talking", 15*time.Second).At
	waited := talking.Sub(said.At).Seconds()
	if math.Abs(estimate-waited) > 0.3*waited {
		t.Errorf("estimated %g s, waited %.1f s (%.1f s since joining)", estimate, waited, talking.Sub(queued).Seconds())
	}
	c.leaves(third)
}

// 95 s in a queue: music, and after each 30 s another message.
//
//
func TestComfort(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	a := c.agent("anna", agentOptions{})
	a.set(agent.Break, "lunch") // signed in, so that callers wait
	q := c.queue("patience", object{"comfort_seconds": 30, "comfort": []string{"queue/comfort-1", "queue/comfort-2", "queue/comfort-3"}}, a)
	p := c.calls(c.straight(q))
	ear, music := p.Ear(), sandbox.DefaultMusic.Tone()
	hears(t, p.who, ear, music)
	joined := ear.Now()
	if err := ear.WaitUntil(within(t, 100*time.Second), 95*time.Second); err != nil {
		t.Fatal(err)
	}
	at := joined
	for n := range 3 {
		pattern := prompt(t, fmt.Sprintf("queue/comfort-%d", n+1))
		begin := finds(t, fmt.Sprintf("message %d", n+1), ear, at, pattern, time.Second)
		if want := time.Duration(n+1) * 30 * time.Second; (begin - want).Abs() > 2*time.Second {
			t.Errorf("message %d came at %s, want %s", n+1, begin, want)
		}
		steady(t, p, ear.Audio(), at+500*time.Millisecond, begin-200*time.Millisecond, music)
		at = begin + length(pattern) + 100*time.Millisecond
	}
	if _, err := ear.WaitTone(within(t, 10*time.Second), music, 200*time.Millisecond); err != nil { // the third message may just be ending
		t.Errorf("%s hears no music after the messages: %v", p.who, err)
	}
	c.leaves(p)
	if r := c.row(p.ID).Call; r.WaitMs < 94_000 || r.EndReason != call.CallerLeftQueue.String() {
		t.Errorf("waited %d ms, ended as %s", r.WaitMs, r.EndReason)
	}
}

// A queue that nobody serves says so at once and takes a message, which becomes a task.
//
//
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	a := c.agent("anna", agentOptions{})
	q := c.queue("empty", nil, a)
	a.set(agent.LoggedOut, "")
	number := c.straight(q)
	p := c.calls(number)
	ear := p.Ear()
	nobody, leave := prompt(t, "queue/no-agents"), prompt(t, "message/leave")
	at := finds(t, "the prompt", ear, 0, nobody, 10*time.Second)
	if at > 3*time.Second {
		t.Errorf("the prompt came after %s", at)
	}
	option := finds(t, "the message option", ear, at, leave, 15*time.Second)
	if gap := option - at - length(nobody); gap > 3*time.Second {
		t.Errorf("the option came %s after the prompt", gap)
	}
	c.Feed.call(t, p.ID, "call.message_started", 15*time.Second)
	if err := ear.WaitUntil(within(t, 10*time.Second), ear.Now()+2*time.Second); err != nil {
		t.Fatal(err)
	}
	c.leaves(p)
	if r := c.row(p.ID).Call; r.EndReason != call.MessageLeft.String() {
		t.Errorf("ended as %s", r.EndReason)
	}
	var tasks []voicemail.Task
	eventually(t, 15*time.Second, "task", func() error {
		tasks = list[voicemail.Task](t, c.Admin, "/voicemail/tasks?call="+string(p.ID))
		if len(tasks) != 1 {
			return fmt.Errorf("%d tasks", len(tasks))
		}
		return nil
	})
	if k := tasks[0]; k.Kind != voicemail.HearMessage || k.QueueID != string(q.ID) || k.Number != "+86"+p.Number || k.State != voicemail.Open {
		t.Errorf("task %+v", k)
	}
	eventually(t, 20*time.Second, "message", func() error {
		m := get[voicemail.Message](t, c.Admin, "/voicemail/messages/"+string(tasks[0].MessageID))
		if m.State != voicemail.Kept || m.LengthMS < 1500 {
			return fmt.Errorf("message %+v", m)
		}
		return nil
	})

	// Who waits when the last agent signs out is not left in silence either.
	a.API.do(t, "POST", "/agent/sign-in", object{"phone": a.Desk.Name}, nil)
	second := c.calls(number)
	c.Feed.call(t, second.ID, "call.queued", 5*time.Second)
	from := second.Ear().Now()
	a.set(agent.LoggedOut, "")
	if at := finds(t, "the prompt", second.Ear(), 0, nobody, 10*time.Second); at-from > 3*time.Second {
		t.Errorf("the prompt came after %s", at-from)
	}
	c.leaves(second)
}
