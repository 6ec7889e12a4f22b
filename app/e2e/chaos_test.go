//go:build e2e && chaos

package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
	"callplane/app/speech"
)

// TestChaos kills, cuts and fills things under live calls, and ends with one line of figures.
//
// R-098 R-401
func TestChaos(t *testing.T) {
	start := time.Now()
	first(t)
	f := &figures{}
	t.Run("kill", func(t *testing.T) { chaosKill(t, f) })
	t.Run("side by side", func(t *testing.T) {
		for name, run := range map[string]func(*testing.T, *figures){
			"switch restarts": chaosSwitch, "database away": chaosDatabase, "disks full": chaosDisks,
			"event link cut": chaosLink, "drain": chaosDrain,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				run(t, f)
			})
		}
	})
	f.add("total_s", time.Since(start).Seconds())
	fmt.Fprintf(os.Stdout, "chaos %s\n", f.line(!t.Failed()))
}

// first lets us, and all that we start, go before other work of the machine: a telephone that has to wait for the processor
// loses sound, whatever the platform does.
func first(t *testing.T) {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err == nil {
			err = syscall.Setpriority(syscall.PRIO_PROCESS, id, -15)
		}
		if err != nil {
			t.Logf("we get no more of the processor than others: %v", err)
			return
		}
	}
}

// realTime is what Asterisk's own option -p does: its threads go before all others. Without it a recording is shorter by
// each 20 ms for which its thread came too late.
func realTime(t *testing.T, ast *sandbox.Asterisk) *sandbox.Asterisk {
	if out, err := exec.Command("chrt", "-a", "-r", "-p", "10", strconv.Itoa(ast.PID())).CombinedOutput(); err != nil {
		t.Logf("asterisk goes no faster than others: %v: %s", err, out)
	}
	return ast
}

// talkGap is the longest time, in ms, that somebody may not hear the other. On a quiet machine it is 0 to 40; one that has much to
// do lets packets wait, or drops them.
const talkGap = 500

// figures is what the scenarios measured, in order.
type figures struct {
	mu   sync.Mutex
	list []string
}

func (f *figures) add(name string, value any) {
	if x, ok := value.(float64); ok {
		value = math.Round(x*1000) / 1000
	}
	b, _ := json.Marshal(value)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, fmt.Sprintf("%q:%s", name, b))
}

// most notes a figure that may not be larger.
func (f *figures) most(t *testing.T, name string, value, most float64) {
	t.Helper()
	f.add(name, value)
	if value > most {
		t.Errorf("%s is %g, more than %g", name, value, most)
	}
}

// exactly notes a figure that must be so.
func (f *figures) exactly(t *testing.T, name string, value, want int) {
	t.Helper()
	f.add(name, value)
	if value != want {
		t.Errorf("%s is %d, want %d", name, value, want)
	}
}

func (f *figures) line(ok bool) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.list)
	return fmt.Sprintf(`{"ok":%t,%s}`, ok, strings.Join(f.list, ","))
}

// chaosServer is a server with more in its settings, and perhaps another way to its switch.
func chaosServer(t *testing.T, ast *sandbox.Asterisk, dsn, more string) *Server {
	t.Helper()
	s, err := newServer(ast, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	s.showLog(t)
	if more == "" {
		return s
	}
	b, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.config, append(b, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	s.kill()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// pair is a caller and the agent they talk with.
type pair struct {
	caller, with *Party
	who          *Agent
	from         [2]time.Duration // since when both should hear each other, on their ears' time lines
}

// talks has callers call a number until each talks with an agent of the team.
func (c *Centre) talks(number string, n int, team []*Agent) []*pair {
	c.t.Helper()
	pairs, wg := make([]*pair, n), sync.WaitGroup{}
	for i := range n {
		wg.Go(func() { pairs[i] = c.connect(number, team) })
	}
	wg.Wait()
	for _, p := range pairs {
		if p == nil {
			c.t.Fatal("not all calls could be set up")
		}
	}
	return pairs
}

// connect is one caller who talks with one of the team; nil if that did not come about.
func (c *Centre) connect(number string, team []*Agent) *pair {
	p, err := c.tryCall(number)
	if err != nil {
		c.t.Errorf("call to %s: %v", number, err)
		return nil
	}
	e, ok := c.Feed.find(0, 20*time.Second, func(e Event) bool { return e.Key == string(p.ID) && e.Type == "call.talking" })
	if !ok {
		c.t.Errorf("%s (%s) talks with nobody", p.who, p.ID)
		return nil
	}
	said := e.told()
	for _, a := range team {
		if a.ID != said.Agent {
			continue
		}
		select {
		case with := <-a.talks:
			pr := &pair{caller: p, with: with, who: a}
			return pr.begin(c.t)
		case <-time.After(10 * time.Second):
		}
	}
	c.t.Errorf("%s (%s) talks with %q, whose phone knows nothing", p.who, p.ID, said.Agent)
	return nil
}

// begin waits until both hear each other; nil if they do not.
func (p *pair) begin(t *testing.T) *pair {
	for i, side := range [][2]*Party{{p.caller, p.with}, {p.with, p.caller}} {
		at, err := side[0].Ear().WaitTone(within(t, 10*time.Second), side[1].tone, 300*time.Millisecond)
		if err != nil {
			t.Errorf("%s does not hear %s: %v", side[0].who, side[1].who, err)
			return nil
		}
		p.from[i] = at
	}
	return p
}

// gap is the longest time that one of the two did not hear the other, until now or the end, but for what the other's telephone
// did not send, which is no fault of ours.
func (p *pair) gap() time.Duration {
	return max(0, longestGap(p.caller.Ear().Since(p.from[0]), p.with.tone)-p.with.unsent(),
		longestGap(p.with.Ear().Since(p.from[1]), p.caller.tone)-p.caller.unsent())
}

// longestGap is the longest stretch of audio without a tone, but for the last tenth of a second.
func longestGap(pcm []int16, hz float64) time.Duration {
	const block = 160 // 20 ms
	coeff, run, worst := 2*math.Cos(2*math.Pi*hz/speech.SampleRate), 0, 0
	for ; len(pcm) >= block+800; pcm = pcm[block:] {
		var a, b float64
		for _, x := range pcm[:block] {
			a, b = float64(x)/32768+coeff*a-b, a
		}
		if 4*(a*a+b*b-coeff*a*b)/block/block < 0.005 {
			run++
			worst = max(worst, run)
			continue
		}
		run = 0
	}
	return time.Duration(worst) * 20 * time.Millisecond
}

// alive says which of these calls still stand.
func alive(list ...*Party) (n int) {
	for _, p := range list {
		select {
		case <-p.Done():
		default:
			n++
		}
	}
	return n
}

// again starts the server and returns how long it took from the start of the process until the API showed that it is in
// control, with so many calls.
func (s *Server) again(t *testing.T, calls int) time.Duration {
	t.Helper()
	from, begun, took := s.log.size(), time.Now(), make(chan time.Duration, 1)
	go func() { // ends with the poll
		err := poll(20*time.Second, func() error {
			var list []call.Live
			if err := s.Admin.try(http.MethodGet, "/call/live", nil, &list); err != nil {
				return err
			}
			if !strings.Contains(s.log.since(from, true), "in control") || len(list) < calls {
				return fmt.Errorf("%d calls of %d", len(list), calls)
			}
			return nil
		})
		d := time.Since(begun)
		if err != nil {
			t.Errorf("not in control: %v", err)
		}
		took <- d
	}()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	return <-took
}

// states are the live calls of this centre by state, and by id.
func (c *Centre) states() (map[call.State]int, map[call.ID]call.Live) {
	n, by := map[call.State]int{}, map[call.ID]call.Live{}
	for _, l := range get[[]call.Live](c.t, c.Admin, "/call/live") {
		n[l.State]++
		by[l.ID] = l
	}
	return n, by
}

// isAgent waits for an agent to be in a state, whatever the reason.
func (c *Centre) isAgent(a *Agent, want agent.State) bool {
	c.t.Helper()
	var p agent.Presence
	err := poll(10*time.Second, func() error {
		if err := a.API.try(http.MethodGet, "/agent/me", nil, &p); err != nil {
			return err
		}
		if p.State != want {
			return fmt.Errorf("is %s (%s), want %s", p.State, p.Reason, want)
		}
		return nil
	})
	if err != nil {
		c.t.Errorf("%s: %v", a.Login, err)
	}
	return err == nil
}

// complete says that a call's row has all its parts, and returns it.
func (c *Centre) complete(id call.ID) (d call.Detail, ok bool) {
	c.t.Helper()
	err := poll(30*time.Second, func() error {
		d = call.Detail{}
		if err := c.Admin.try(http.MethodGet, "/call/calls/"+string(id), nil, &d); err != nil {
			return err
		}
		if d.Call == nil {
			return fmt.Errorf("still lives: %+v", d.Live)
		}
		return nil
	})
	if err != nil {
		c.t.Errorf("row of %s: %v", id, err)
		return d, false
	}
	var wrong []string
	if len(d.Legs) == 0 || len(d.Segments) == 0 || len(d.Timeline) < 3 || d.Call.EndReason == "" {
		wrong = append(wrong, "it lacks parts")
	}
	for _, l := range d.Legs {
		if l.EndedAt == nil {
			wrong = append(wrong, "leg "+l.ID+" has no end")
		}
	}
	for i, s := range d.Segments {
		if i > 0 && s.StartedAt.Sub(d.Segments[i-1].EndedAt).Abs() > 10*time.Millisecond {
			wrong = append(wrong, "segments do not follow each other")
		}
	}
	for i, m := range d.Timeline { // the switch's clock and ours may differ a little
		if i > 0 && d.Timeline[i-1].At.Sub(m.At) > 500*time.Millisecond {
			wrong = append(wrong, "its timeline is out of order")
		}
	}
	if len(wrong) > 0 {
		b, _ := json.Marshal(d)
		c.t.Errorf("row of %s: %s: %s", id, strings.Join(wrong, ", "), b)
	}
	return d, len(wrong) == 0
}

// refusedWith is the SIP code with which a call was turned down.
func refusedWith(err error) int {
	if r, ok := err.(*sipphone.Rejected); ok {
		return r.Code
	}
	return 0
}
