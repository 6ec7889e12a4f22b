//go:build e2e && chaos

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/sandbox"
)

// relay stands between the platform and its switch, and can cut or stall the event link alone.
type relay struct {
	to string
	l  net.Listener

	mu     sync.Mutex
	events map[net.Conn]bool // the event links, on our side
	closed bool              // no new event link
	stall  chan struct{}     // while not nil, events stand still until it is closed
}

// newRelay starts a relay to an address.
func newRelay(t *testing.T, to string) *relay {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{to: to, l: l, events: map[net.Conn]bool{}}
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(c)
		}
	}()
	return r
}

// serve passes one connection on, both ways, until one side closes.
func (r *relay) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	head := make([]byte, 16<<10)
	n, err := c.Read(head)
	if err != nil {
		return
	}
	far, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	if strings.Contains(string(head[:n]), "/events?") {
		r.mu.Lock()
		refuse := r.closed
		r.events[c] = !refuse
		r.mu.Unlock()
		if refuse {
			return
		}
		defer func() {
			r.mu.Lock()
			delete(r.events, c)
			r.mu.Unlock()
		}()
		go r.slowly(c, far)
	} else {
		go func() {
			_, _ = io.Copy(c, far)
			_ = c.Close()
		}()
	}
	if _, err := far.Write(head[:n]); err != nil {
		return
	}
	_, _ = io.Copy(far, c)
}

// slowly passes events on, unless they are to stand still.
func (r *relay) slowly(to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		r.mu.Lock()
		stall := r.stall
		r.mu.Unlock()
		if stall != nil {
			<-stall
		}
		if err == nil {
			_, err = to.Write(buf[:n])
		}
		if err != nil {
			_ = to.Close()
			return
		}
	}
}

// cut ends the event link, and lets no new one in until mend.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for c := range r.events {
		_ = c.Close()
	}
}

func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = false
	if r.stall != nil {
		close(r.stall)
		r.stall = nil
	}
}

// freeze holds all events back until mend.
func (r *relay) freeze() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stall = make(chan struct{})
}

// The event link is cut, and then it stalls, while requests to the switch still work. No call is dropped, what happened meanwhile
// is found out, nobody is blamed, and nobody is offered twice.
func chaosLink(t *testing.T, f *figures) {
	ast := realTime(t, sandbox.NewAsterisk(t, sandbox.AsteriskOptions{}))
	host := strings.TrimSuffix(strings.TrimPrefix(ast.ARI, "http://"), "/ari")
	r := newRelay(t, host)
	far := *ast
	far.ARI = "http://" + r.l.Addr().String() + "/ari"
	s := chaosServer(t, &far, "", "")
	c := newCentre(t, s)
	c.showCalls(t)
	for _, way := range []struct {
		name       string
		begin, end func()
		back       time.Duration // until the platform has noticed, and is in control again
	}{
		{"cut", r.cut, r.mend, 12 * time.Second},
		{"stall", r.freeze, r.mend, 30 * time.Second},
	} {
		c.linkAway(f, way.name, way.begin, way.end, way.back)
	}
}

func (c *Centre) linkAway(f *figures, name string, begin, end func(), back time.Duration) {
	t := c.t
	team := make([]*Agent, 6)
	for i := range team {
		team[i] = c.agent(fmt.Sprint(name, i), agentOptions{})
	}
	ringer, server := c.agent(name+"ringer", agentOptions{manual: true}), c.agent(name+"server", agentOptions{})
	server.set(agent.Break, "lunch")
	talkTo := c.straight(c.queue(name+" talk", nil, team...))
	pairs := c.talks(talkTo, len(team), team)
	line := c.straight(c.queue(name+" line", nil, server))
	var waiting []*Party
	for range 4 {
		waiting = append(waiting, c.calls(line))
	}
	rung := c.calls(c.straight(c.queue(name+" ring", object{"ring_seconds": 60}, ringer)))
	in := ringer.rings(10 * time.Second)
	if err := in.Ring(); err != nil {
		t.Error(err)
	}
	c.Feed.call(t, rung.ID, "call.ringing", 5*time.Second)

	from := c.log.size()
	begin()
	if name == "cut" {
		eventually(t, 10*time.Second, "notice of the cut", func() error {
			if !strings.Contains(c.log.since(from, true), "no event link to asterisk") {
				return errors.New("not noticed")
			}
			return nil
		})
	}
	c.leaves(pairs[0].caller) // missed by the platform
	if err := pairs[1].with.Hangup(within(t, 5*time.Second)); err != nil {
		t.Error(err)
	}
	c.leaves(waiting[1])
	server.set(agent.Ready, "") // would be offered the first in line
	if err := pairs[2].caller.Ear().WaitUntil(within(t, 20*time.Second), pairs[2].caller.Ear().Now()+8*time.Second); err != nil {
		t.Error(err)
	}
	end()
	if name == "cut" {
		begun := time.Now()
		eventually(t, back, "control after the cut", func() error {
			if !strings.Contains(c.log.since(from, true), "in control") {
				return errors.New("not yet")
			}
			return nil
		})
		f.most(t, "link_"+name+"_in_control_s", time.Since(begun).Seconds(), 8)
	}
	// Who waited first is served first, once; then the rest.
	for _, p := range []*Party{waiting[0], waiting[2], waiting[3]} {
		select {
		case with := <-server.talks:
			talk(t, p, with)
			c.leaves(p)
		case <-time.After(back):
			t.Fatalf("link %s: %s is not served", name, p.who)
		}
	}
	with := ringer.answer(in)
	if with == nil {
		t.Fatalf("link %s: the phone that rang cannot be answered", name)
	}
	talk(t, rung, with)
	dropped := 0
	for _, p := range pairs[2:] {
		dropped += 2 - alive(p.caller, p.with)
	}
	f.exactly(t, "link_"+name+"_dropped_legs", dropped, 0)
	worst := time.Duration(0)
	for _, p := range pairs[2:] {
		worst = max(worst, p.gap())
		c.leaves(p.caller)
	}
	f.most(t, "link_"+name+"_longest_talk_gap_ms", float64(worst.Milliseconds()), talkGap)
	c.leaves(rung)
	blamed, twice := 0, 0
	for _, a := range append(team, ringer, server) {
		if !c.isAgent(a, agent.Ready) {
			blamed++
		}
	}
	f.exactly(t, "link_"+name+"_agents_not_ready", blamed, 0)
	var all []call.ID
	for _, p := range pairs {
		all = append(all, p.caller.ID)
	}
	for _, p := range append(waiting, rung) {
		all = append(all, p.ID)
	}
	complete := 0
	for _, id := range all {
		d, ok := c.complete(id)
		if ok {
			complete++
		}
		if len(d.Offers) > 1 {
			twice++
			t.Errorf("link %s: call %s was offered %d times: %+v", name, id, len(d.Offers), d.Offers)
		}
	}
	f.exactly(t, "link_"+name+"_complete_records", complete, len(all))
	f.exactly(t, "link_"+name+"_offered_twice", twice, 0)
}
