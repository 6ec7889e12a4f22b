package acd

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"callplane/app/agent"
)

// sound checks what must hold whatever happened: nobody is offered twice, and everybody is where the maps say.
func (f *floor) sound() {
	f.t.Helper()
	count := 0
	for id, l := range f.lines {
		for _, w := range l.all() {
			count++
			if f.contacts[w.ID] != w || w.Queue != id {
				f.t.Fatalf("%s waits in %s, and the Brain says otherwise", w.ID, id)
			}
		}
		staffed := 0
		for a := range l.members {
			s := f.seats[a]
			if s.State.Staffed() {
				staffed++
			}
			if !slices.Contains(s.queues, id) {
				f.t.Fatalf("%s does not know of %s", a, id)
			}
			if _, in := l.ready[a]; in != s.free() {
				f.t.Fatalf("%s is free: %v, ready in %s: %v", a, s.free(), id, in)
			}
		}
		if staffed != l.staffed || len(l.ready) > len(l.members) {
			f.t.Fatalf("%s has %d staffed, counts %d", id, staffed, l.staffed)
		}
		for _, k := range l.buckets {
			if len(k.queue) == 0 || !slices.IsSortedFunc(k.queue, order) {
				f.t.Fatalf("a bucket of %s is empty or out of order", id)
			}
			for a, s := range l.ready {
				if len(lacks(s, k.asks)) == 0 {
					f.t.Fatalf("%s is free, and %s waits in %s", a, k.queue[0].ID, id)
				}
			}
		}
	}
	if count != len(f.contacts) {
		f.t.Fatalf("%d contacts wait, %d are known", count, len(f.contacts))
	}
}

// Whatever happens, in whatever order, nobody is lost, offered twice or left waiting beside a free agent.
func TestBrainAtRandom(t *testing.T) {
	dice := rand.New(rand.NewPCG(7, 11))
	f := newFloor(t)
	agents := []string{"a", "b", "c", "d", "e"}
	skills := []string{"x", "y"}
	lines := []string{"p", "q", "r"}
	for _, l := range lines {
		f.line(l, func(q *Queue) { q.Skills = []Requirement{{Skill: "x", Level: 1, RelaxSeconds: 20}} }, "a", "b", "c")
	}
	offered := map[ContactID]agent.ID{}
	serial := 0
	take := func(m []Match) {
		for _, x := range m {
			for c, a := range offered {
				if a == x.Agent || c == x.Contact {
					t.Fatalf("%s and %s are offered, and now %s and %s", c, a, x.Contact, x.Agent)
				}
			}
			offered[x.Contact] = x.Agent
		}
	}
	gone := func(e []Eject) {
		for _, x := range e {
			f.Leave(x.Contact)
			delete(offered, x.Contact)
		}
	}
	tell := func(a string, s agent.State) {
		p := agent.Presence{Agent: agent.ID(a), State: s, PhoneUp: dice.IntN(10) > 0, FreeSince: f.now, Skills: map[string]int{skills[dice.IntN(2)]: 1 + dice.IntN(3)}}
		m, e := f.SetAgent(p, f.now)
		take(m)
		gone(e)
	}
	for range 4000 {
		f.pass(time.Duration(dice.IntN(3000)) * time.Millisecond)
		a := agents[dice.IntN(len(agents))]
		busy := ContactID("")
		for c, who := range offered {
			if string(who) == a {
				busy = c
			}
		}
		switch n := dice.IntN(10); {
		case n < 3:
			serial++
			c := Contact{ID: ContactID(fmt.Sprint(serial)), Queue: QueueID(lines[dice.IntN(3)]), Joined: f.now, Priority: dice.IntN(3)}
			if dice.IntN(2) == 0 {
				c.Skills = []Requirement{{Skill: "y", Level: 2}}
			}
			m, _, err := f.Join(c, f.now)
			if err != nil {
				t.Fatal(err)
			}
			take(m)
		case n < 6 && busy != "": // taken, missed, or refused
			delete(offered, busy)
			switch dice.IntN(3) {
			case 0:
				tell(a, agent.Ringing)
				tell(a, agent.Talking)
				f.Leave(busy)
			case 1:
				tell(a, agent.Ringing)
				tell(a, agent.NotReady)
				m, e := f.Return(busy, f.now)
				take(m)
				gone(e)
			case 2:
				if dice.IntN(2) == 0 {
					tell(a, agent.LoggedOut)
				}
				m, e := f.Refused(Match{Contact: busy, Agent: agent.ID(a)}, f.now)
				take(m)
				gone(e)
				tell(a, agent.Ringing)
			}
		case n < 8 && busy == "":
			tell(a, []agent.State{agent.Ready, agent.Ready, agent.Ready, agent.Break, agent.LoggedOut, agent.WrapUp}[dice.IntN(6)])
		case n < 9:
			take(f.Tick(f.now))
		case n == 9 && dice.IntN(20) == 0:
			m := map[agent.ID]int{}
			for _, x := range agents {
				if dice.IntN(3) > 0 {
					m[agent.ID(x)] = dice.IntN(2)
				}
			}
			matches, e := f.SetMembers(QueueID(lines[dice.IntN(3)]), m, f.now)
			take(matches)
			gone(e)
		}
		f.sound()
	}
}
