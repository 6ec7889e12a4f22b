// Package acdtest is a large call centre around a queue brain, for benchmarks.
package acdtest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"callplane/app/acd"
	"callplane/app/agent"
)

// The size of the centre.
const (
	Agents  = 1000
	Queues  = 200
	Waiting = 5000

	Calm       = 50 // agents who are free, because nobody waits where they serve
	calmQueues = 10 // and their queues
)

// Kind is what happens to the brain.
type Kind string

// What happens. Each event leaves the centre as large as it was.
const (
	Freed   Kind = "freed"   // an agent becomes free, and gets a caller
	Joined  Kind = "joined"  // a caller joins, while everybody talks
	Served  Kind = "served"  // a caller joins a queue with free agents, and gets one
	Relaxed Kind = "relaxed" // a caller's requirement is relaxed
)

// Kinds is all of them.
var Kinds = []Kind{Freed, Joined, Served, Relaxed}

var skills = []string{"english", "french", "billing", "broadband", "mobile", "complaints"}

// Centre is a Brain with everything in it: each agent serves five queues and has three skills; of ten callers three ask
// for one skill, which half of them no longer do after a while. Except in a few calm queues nobody is free.
type Centre struct {
	Brain *acd.Brain

	rnd     *rand.Rand
	now     time.Time
	seats   []agent.Presence
	seat    map[agent.ID]int           // index in seats
	calls   map[agent.ID]acd.ContactID // who talks with whom
	waiting []acd.ContactID
	index   map[acd.ContactID]int // in waiting
	serial  int
}

// New makes a centre; the same seed makes the same.
func New(seed uint64) *Centre {
	c := &Centre{Brain: acd.NewBrain(), rnd: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		calls: map[agent.ID]acd.ContactID{}, seat: map[agent.ID]int{}, index: map[acd.ContactID]int{}}
	members := make([]map[agent.ID]int, Queues)
	for q := range Queues {
		s := acd.Defaults()
		s.Strategy = acd.Strategies[q%len(acd.Strategies)]
		c.Brain.SetQueue(acd.Queue{ID: queue(q), Name: string(queue(q)), Open: true, Settings: s})
		members[q] = map[agent.ID]int{}
	}
	for a := range Agents {
		p := agent.Presence{Agent: agent.ID(fmt.Sprintf("a%04d", a)), Name: fmt.Sprintf("Agent %d", a), Phone: "p", PhoneUp: true, State: agent.Talking, Skills: map[string]int{}}
		for range 3 {
			p.Skills[skills[c.rnd.IntN(len(skills))]] = 1 + c.rnd.IntN(10)
		}
		from, to := calmQueues, Queues
		if a < Calm {
			from, to, p.State = 0, calmQueues, agent.Ready
		}
		for range 5 {
			members[from+c.rnd.IntN(to-from)][p.Agent] = c.rnd.IntN(3)
		}
		c.seats, c.seat[p.Agent] = append(c.seats, p), a
		c.Brain.SetAgent(p, c.now)
	}
	for q := range Queues {
		c.Brain.SetMembers(queue(q), members[q], c.now)
	}
	c.fill()
	return c
}

func queue(n int) acd.QueueID { return acd.QueueID(fmt.Sprintf("q%03d", n)) }

// contact is a new caller.
func (c *Centre) contact() acd.Contact {
	c.serial++
	c.now = c.now.Add(10 * time.Millisecond)
	w := acd.Contact{ID: acd.ContactID(fmt.Sprintf("c%08d", c.serial)), Queue: queue(calmQueues + c.rnd.IntN(Queues-calmQueues)), Joined: c.now, Priority: c.rnd.IntN(3)}
	if c.rnd.IntN(10) < 3 {
		need := acd.Requirement{Skill: skills[c.rnd.IntN(len(skills))], Level: 1 + c.rnd.IntN(5)}
		if c.rnd.IntN(2) == 0 {
			need.RelaxSeconds = 60 + c.rnd.IntN(600)
		}
		w.Skills = append(w.Skills, need)
	}
	return w
}

// join adds a contact.
func (c *Centre) join(w acd.Contact) []acd.Match {
	matches, eject, err := c.Brain.Join(w, c.now)
	if err != nil || eject != nil {
		panic(fmt.Sprint(err, eject)) // every queue is open and staffed
	}
	if len(matches) == 0 {
		c.index[w.ID] = len(c.waiting)
		c.waiting = append(c.waiting, w.ID)
	}
	return matches
}

// fill lets callers come until as many wait as shall.
func (c *Centre) fill() {
	for len(c.waiting) < Waiting {
		c.took(c.join(c.contact()))
	}
}

// free is an agent whose call is over.
func (c *Centre) free(seat int) agent.Presence {
	p := c.seats[seat]
	if call, ok := c.calls[p.Agent]; ok {
		c.Brain.Leave(call)
		delete(c.calls, p.Agent)
	}
	p.State, p.FreeSince = agent.Ready, c.now
	return p
}

// took makes agents talk who were matched.
func (c *Centre) took(matches []acd.Match) {
	for _, m := range matches {
		if i, ok := c.index[m.Contact]; ok {
			c.drop(i)
		}
		c.calls[m.Agent] = m.Contact
		p := &c.seats[c.seat[m.Agent]]
		p.Handled++
		now := *p
		now.State, now.Queue = agent.Talking, string(m.Queue)
		c.Brain.SetAgent(now, c.now)
	}
}

// drop forgets one who waits.
func (c *Centre) drop(i int) {
	n := len(c.waiting) - 1
	delete(c.index, c.waiting[i])
	if i != n {
		c.waiting[i] = c.waiting[n]
		c.index[c.waiting[i]] = i
	}
	c.waiting = c.waiting[:n]
}

// gone lets one who waits give up.
func (c *Centre) gone() {
	i := c.rnd.IntN(len(c.waiting))
	c.Brain.Leave(c.waiting[i])
	c.drop(i)
}

// Next prepares an event. Calling event is what is to be timed; after brings the centre back to its size. As the service
// does, the event ends with a look at when the next requirement is due.
func (c *Centre) Next(kind Kind) (event, after func()) {
	var matches []acd.Match
	switch kind {
	case Freed:
		p := c.free(Calm + c.rnd.IntN(Agents-Calm))
		event = func() { matches, _ = c.Brain.SetAgent(p, c.now) }
		after = func() {
			if len(matches) == 0 {
				p.State = agent.Talking
				c.Brain.SetAgent(p, c.now)
			}
			c.took(matches)
			c.fill()
		}
	case Served:
		w := c.contact()
		w.Queue, w.Skills = queue(c.rnd.IntN(calmQueues)), nil
		event = func() { matches = c.join(w) }
		after = func() {
			c.took(matches)
			for _, m := range matches {
				c.Brain.SetAgent(c.free(c.seat[m.Agent]), c.now)
			}
		}
	case Relaxed:
		if due := c.Brain.NextTick(); due.After(c.now) {
			c.now = due
		}
		event = func() { matches = c.Brain.Tick(c.now) }
		after = func() {
			c.took(matches)
			c.gone()
			c.fill()
		}
	default:
		c.gone()
		w := c.contact()
		event = func() { matches = c.join(w) }
		after = func() { c.took(matches) }
	}
	work := event
	return func() {
		work()
		c.Brain.NextTick()
	}, after
}
