package acd

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"callplane/app/agent"
)

// floor is a Brain with a clock of its own.
type floor struct {
	*Brain
	t   *testing.T
	now time.Time
}

func newFloor(t *testing.T) *floor {
	return &floor{NewBrain(), t, time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
}

func (f *floor) pass(d time.Duration) { f.now = f.now.Add(d) }

// line opens a queue.
func (f *floor) line(id string, change func(*Queue), members ...agent.ID) {
	q := Queue{ID: QueueID(id), Name: id, Open: true, Settings: Defaults()}
	if change != nil {
		change(&q)
	}
	f.SetQueue(q)
	m := map[agent.ID]int{}
	for _, a := range members {
		m[a] = 0
	}
	f.SetMembers(q.ID, m, f.now)
}

// is tells an agent's state, and returns who is offered whom.
func (f *floor) is(id string, s agent.State, skills map[string]int) []string {
	m, _ := f.SetAgent(agent.Presence{Agent: agent.ID(id), Name: id, State: s, PhoneUp: true, FreeSince: f.now, Skills: skills}, f.now)
	return pairs(m)
}

// join has a contact wait, and returns who is offered it.
func (f *floor) join(id, queue string, skills ...Requirement) []string {
	return f.enter(Contact{ID: ContactID(id), Queue: QueueID(queue), Joined: f.now, Skills: skills})
}

func (f *floor) enter(c Contact) []string {
	f.t.Helper()
	m, eject, err := f.Join(c, f.now)
	if err != nil {
		f.t.Fatal(err)
	}
	if eject != nil {
		return []string{eject.Reason}
	}
	return pairs(m)
}

func pairs(matches []Match) (out []string) {
	for _, m := range matches {
		out = append(out, string(m.Contact)+":"+string(m.Agent))
	}
	return out
}

func (f *floor) want(what string, got []string, want ...string) {
	f.t.Helper()
	if !slices.Equal(got, want) {
		f.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// R-072 R-074 R-082: each strategy takes whom it promises.
func TestPick(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	c := func(id string, idle int, handled, priority int, skills map[string]int) Candidate {
		return Candidate{Agent: agent.ID(id), FreeSince: at.Add(-time.Duration(idle) * time.Second), Handled: handled, Priority: priority, Skills: skills}
	}
	both := []Requirement{{Skill: "english", Level: 3}, {Skill: "billing", Level: 1}}
	fit := []Candidate{
		c("anna", 10, 5, 1, map[string]int{"english": 9, "billing": 1}),
		c("bob", 30, 7, 2, map[string]int{"english": 5, "billing": 8}),
		c("carl", 20, 2, 3, map[string]int{"english": 3, "billing": 1, "golf": 10}),
		c("dora", 20, 2, 3, map[string]int{"english": 3, "billing": 1}),
	}
	for how, want := range map[Strategy]agent.ID{
		LongestIdle: "bob", BestSkill: "bob", LowestSufficient: "carl", FewestCalls: "carl", MemberPriority: "carl",
	} {
		for range 10 { // in whatever order they come
			rand.Shuffle(len(fit), func(i, j int) { fit[i], fit[j] = fit[j], fit[i] })
			if got := Pick(Queue{Settings: Settings{Strategy: how}}, both, fit); got.Agent != want {
				t.Errorf("%s takes %s, want %s", how, got.Agent, want)
			}
		}
	}
	if got := Pick(Queue{Settings: Settings{Strategy: BestSkill}}, both[:1], fit); got.Agent != "anna" {
		t.Errorf("best English is %s", got.Agent)
	}
	if Pick(Queue{}, nil, nil) != nil {
		t.Error("somebody was picked out of nobody")
	}
}

// R-075 R-077: who waits longest is next; priority counts as time waited, and without ageing before all time.
func TestOrder(t *testing.T) {
	for name, tt := range map[string]struct {
		age  int
		want []string
	}{
		"a priority is a minute":  {60, []string{"old", "vip", "plain", "new"}},
		"a priority is an hour":   {3600, []string{"vip", "old", "plain", "new"}},
		"priority before waiting": {0, []string{"vip", "old", "plain", "new"}},
	} {
		f := newFloor(t)
		f.line("q", func(q *Queue) { q.AgeSeconds = tt.age }, "anna")
		f.is("anna", agent.Break, nil)
		f.join("old", "q")
		f.pass(3 * time.Minute)
		f.join("plain", "q")
		f.pass(30 * time.Second)
		f.enter(Contact{ID: "vip", Queue: "q", Joined: f.now, Priority: 2})
		f.pass(30 * time.Second)
		f.join("new", "q")
		var got []string
		for range tt.want {
			m := f.is("anna", agent.Ready, nil)
			got = append(got, m[0][:len(m[0])-len(":anna")])
			f.is("anna", agent.Ringing, nil)
			f.Leave(ContactID(got[len(got)-1]))
			f.sound()
		}
		f.want(name, got, tt.want...)
	}
}

// A caller asked for by a changed priority moves, and keeps the time waited.
func TestSetPriority(t *testing.T) {
	f := newFloor(t)
	f.line("q", nil, "anna")
	f.is("anna", agent.Break, nil)
	f.join("one", "q")
	f.pass(time.Second)
	f.join("two", "q")
	if err := f.SetPriority("two", 5); err != nil {
		t.Fatal(err)
	}
	if p, _, _ := f.Position("two", f.now); p != 1 {
		t.Errorf("position %d", p)
	}
	f.want("free", f.is("anna", agent.Ready, nil), "two:anna")
	if err := f.SetPriority("two", -5); err != nil {
		t.Fatal(err)
	}
	f.sound()
	if err := f.SetPriority("nobody", 1); !errors.Is(err, ErrNoContact) {
		t.Error(err)
	}
}

// R-073 R-079: what is asked for must be there, until it is relaxed.
func TestRelaxing(t *testing.T) {
	f := newFloor(t)
	f.line("q", func(q *Queue) { q.Skills = []Requirement{{Skill: "english", Level: 5, RelaxSeconds: 30}} }, "anna", "bob")
	f.is("anna", agent.Ready, map[string]int{"english": 4})
	f.want("too low", f.join("one", "q"))
	f.want("also lacks golf", f.join("two", "q", Requirement{Skill: "golf", Level: 1, RelaxSeconds: 60}))
	if at := f.NextTick(); !at.Equal(f.now.Add(30 * time.Second)) {
		t.Errorf("next look at %s", at)
	}
	f.pass(29 * time.Second)
	f.want("not yet", pairs(f.Tick(f.now)))
	f.pass(time.Second)
	m := f.Tick(f.now)
	f.want("relaxed", pairs(m), "one:anna")
	if len(m) == 1 && (!slices.Equal(m[0].Why.Relaxed, []string{"english"}) || m[0].Why.WaitedMs != 30000) {
		t.Errorf("why %+v", m[0].Why)
	}
	if at := f.NextTick(); !at.Equal(f.now.Add(30 * time.Second)) {
		t.Errorf("then at %s", at)
	}
	f.pass(30 * time.Second)
	f.want("nobody is free", pairs(f.Tick(f.now)))
	f.is("anna", agent.Ringing, nil)
	f.want("second relaxed", f.is("bob", agent.Ready, nil), "two:bob")
	f.sound()
	if !f.NextTick().IsZero() {
		t.Error("there is nothing left to relax")
	}
}

// whoever joins or leaves a queue's members counts at once.
func TestMembersChange(t *testing.T) {
	f := newFloor(t)
	f.line("q", nil, "anna")
	f.line("r", nil, "bob")
	f.is("anna", agent.Talking, nil)
	f.want("bob is elsewhere", f.is("bob", agent.Ready, nil))
	f.join("one", "q")
	m, _ := f.SetMembers("q", map[agent.ID]int{"anna": 0, "bob": 5}, f.now)
	f.want("bob comes", pairs(m), "one:bob")
	f.sound()
	f.is("bob", agent.Ringing, nil)
	f.join("two", "q")
	f.is("bob", agent.Talking, nil)
	if _, e := f.SetMembers("q", map[agent.ID]int{"bob": 0}, f.now); len(e) != 0 {
		t.Errorf("thrown out %v", e)
	}
	f.want("anna serves it no longer", f.is("anna", agent.Ready, nil))
	_, e := f.SetMembers("q", map[agent.ID]int{"carl": 0}, f.now)
	if len(e) != 1 || e[0].Contact != "two" || e[0].Reason != "empty" {
		t.Errorf("nobody is left: %v", e)
	}
	f.sound()
	f.want("one was being offered: looks again, and finds nobody", back(f.Return("one", f.now)), "one:empty")
	f.SetMembers("nothing", nil, f.now)
}

func back(m []Match, e []Eject) []string {
	out := pairs(m)
	for _, x := range e {
		out = append(out, string(x.Contact)+":"+x.Reason)
	}
	return out
}

// R-102 R-103: what a queue does not take, and with which reason; who waited before is not asked again.
func TestJoinRefused(t *testing.T) {
	f := newFloor(t)
	f.line("q", func(q *Queue) { q.MaxWaiting = 1 }, "anna")
	f.want("empty", f.join("one", "q"), "empty")
	f.is("anna", agent.Break, nil)
	f.want("first", f.join("one", "q"))
	f.want("once more", f.join("one", "q"))
	f.want("full", f.join("two", "q"), "full")
	f.want("waited before", f.enter(Contact{ID: "two", Queue: "q", Joined: f.now, Again: true}))
	q := f.lines["q"].Queue
	q.Open = false
	f.SetQueue(q)
	f.want("closed", f.join("three", "q"), "closed")
	f.want("rung for already", f.enter(Contact{ID: "three", Queue: "q", Joined: f.now, Offered: true}))
	f.sound()
	f.line("r", nil, "nobody")
	f.want("another queue is empty", f.join("one", "r"), "empty")
	if _, _, err := f.Position("one", f.now); err != nil {
		t.Errorf("refused elsewhere, it lost its place: %v", err)
	}
	if _, _, err := f.Join(Contact{ID: "x", Queue: "nothing"}, f.now); !errors.Is(err, ErrNoQueue) {
		t.Error(err)
	}
	out := f.DropQueue("q")
	if len(out) != 3 || len(f.contacts) != 0 || f.DropQueue("q") != nil {
		t.Errorf("dropped %v, left %v", out, f.contacts)
	}
	f.sound()
}

// An offer that was not taken puts the caller back in front; one for whom somebody was faster does not lose the next.
func TestReturnAndRefused(t *testing.T) {
	f := newFloor(t)
	f.line("q", nil, "anna", "bob")
	f.is("anna", agent.Ready, nil)
	m, _, _ := f.Join(Contact{ID: "one", Queue: "q", Joined: f.now}, f.now)
	f.pass(time.Second)
	f.join("two", "q")
	f.is("anna", agent.Ringing, nil)
	f.is("anna", agent.NotReady, nil)
	f.want("back", back(f.Return("one", f.now)))
	f.want("not twice", back(f.Return("one", f.now)))
	if p, _, _ := f.Position("one", f.now); p != 1 {
		t.Errorf("position %d", p)
	}
	f.want("next", f.is("bob", agent.Ready, nil), "one:bob")
	f.is("bob", agent.Ringing, nil)
	f.Leave("one")

	f.is("bob", agent.Break, nil)
	f.want("anna again", f.is("anna", agent.Ready, nil), "two:anna")
	m[0].Contact = "two"
	f.want("she has just placed a call", back(f.Refused(m[0], f.now)))
	f.want("and is back", f.is("anna", agent.Ready, nil), "two:anna")
	f.is("anna", agent.LoggedOut, nil)
	f.want("bob is on a break", back(f.Return("two", f.now)))
	f.sound()
}

// The agent of a match signs out before it is carried out, as the last one: the caller gets the queue's empty action, and the queue
// is staffed again when the agent is back.
func TestRefusedBySignOut(t *testing.T) {
	f := newFloor(t)
	f.line("q", nil, "anna")
	f.is("anna", agent.Ready, nil)
	m, _, _ := f.Join(Contact{ID: "one", Queue: "q", Joined: f.now}, f.now)
	f.is("anna", agent.LoggedOut, nil)
	f.want("empty", back(f.Refused(m[0], f.now)), "one:empty")
	f.sound()
	f.is("anna", agent.Ready, nil)
	f.sound()
	f.want("staffed", f.join("two", "q"), "two:anna")
}

// the estimate is within sensible bounds, and position counts those before.
func TestPosition(t *testing.T) {
	f := newFloor(t)
	f.line("q", nil, "anna", "bob")
	f.is("anna", agent.Talking, nil)
	f.is("bob", agent.WrapUp, nil)
	var last time.Duration
	for i := range 10 {
		id := ContactID(fmt.Sprint(i))
		f.join(string(id), "q", []Requirement{{Skill: "s", Level: 1 + i%3}}...)
		f.pass(time.Second)
		p, wait, err := f.Position(id, f.now)
		if err != nil || p != i+1 || wait <= last || wait > time.Duration(i+1)*initialBusy {
			t.Errorf("%d: position %d, wait %s, %v", i, p, wait, err)
		}
		last = wait
	}
	f.Leave("4")
	if p, _, _ := f.Position("9", f.now); p != 9 {
		t.Errorf("position %d after one left", p)
	}
	if _, _, err := f.Position("4", f.now); !errors.Is(err, ErrNoContact) {
		t.Error(err)
	}
}

// Under a steady load the estimate comes near what the wait will be.
func TestPaceLearns(t *testing.T) {
	p := newPace()
	for range 30 {
		p.learn(time.Minute)
	}
	now := time.Now()
	p.last = now
	for position, want := range map[int]time.Duration{1: 30 * time.Second, 4: 2 * time.Minute} {
		if got := p.estimate(position, 2, now); (got - want).Abs() > 3*time.Second {
			t.Errorf("position %d: %s, want about %s", position, got, want)
		}
	}
	if got := p.estimate(1, 2, now.Add(time.Hour)); got != 0 {
		t.Errorf("long overdue: %s", got)
	}
	if got := p.estimate(1, 0, now); got > time.Minute || got < 50*time.Second {
		t.Errorf("nobody serves: %s", got)
	}
}
