//go:build e2e && chaos

package e2e

import (
	"syscall"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/sandbox"
)

// SIGTERM leaves the calls up in the switch, and a restart takes them over.
//
//
func chaosDrain(t *testing.T, f *figures) {
	s := chaosServer(t, realTime(t, sandbox.NewAsterisk(t, sandbox.AsteriskOptions{})), "", "")
	c := newCentre(t, s)
	c.showCalls(t)
	team := c.agents(5, agentOptions{})
	pairs := c.talks(c.straight(c.queue("talk", nil, team...)), len(team), team)
	server := c.agent("server", agentOptions{away: true})
	waiting := c.calls(c.straight(c.queue("line", nil, server)))
	begun := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		t.Error("SIGTERM does not end the process")
		s.kill()
	}
	f.most(t, "drain_exit_s", time.Since(begun).Seconds(), 12)
	f.most(t, "drain_in_control_s", s.again(t, len(pairs)+1).Seconds(), 3)
	n, _ := c.states()
	if n[call.Talking] != len(pairs) || n[call.Queued] != 1 {
		t.Errorf("after the restart: %v", n)
	}
	server.set(agent.Ready, "")
	with := server.talk()
	talk(t, waiting, with)
	c.leaves(waiting)
	dropped, worst, whole := 0, time.Duration(0), 0
	for _, p := range pairs {
		dropped += 2 - alive(p.caller, p.with)
		worst = max(worst, p.gap())
		c.leaves(p.caller)
		if d, ok := c.complete(p.caller.ID); ok && c.whole(d, p) {
			whole++
		}
	}
	f.exactly(t, "drain_dropped_legs", dropped, 0)
	f.most(t, "drain_longest_talk_gap_ms", float64(worst.Milliseconds()), talkGap)
	f.exactly(t, "drain_whole_recordings", whole, len(pairs))
}
