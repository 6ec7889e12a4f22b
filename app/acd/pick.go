package acd

import (
	"fmt"
	"slices"
	"time"

	"callplane/app/agent"
)

// Candidate is a free agent who meets what a call asks for.
type Candidate struct {
	Agent     agent.ID
	Name      string
	Skills    map[string]int
	FreeSince time.Time
	Handled   int
	Priority  int // in the queue
}

// Pick chooses, by the queue's strategy, the candidate who is offered a call that asks for these skills; nil when there is
// none. Ties go to who has been free longest, then to the lower id, so that the choice can be repeated.
func Pick(q Queue, asks []Requirement, fit []Candidate) *Candidate {
	var best *Candidate
	for i := range fit {
		c := &fit[i]
		if best == nil || better(q.Strategy, asks, c, best) {
			best = c
		}
	}
	return best
}

func better(how Strategy, asks []Requirement, a, b *Candidate) bool {
	if a.Priority != b.Priority && how == MemberPriority {
		return a.Priority > b.Priority
	}
	x, y := score(how, asks, a), score(how, asks, b)
	if x != y {
		return x > y
	}
	if !a.FreeSince.Equal(b.FreeSince) {
		return a.FreeSince.Before(b.FreeSince)
	}
	return a.Agent < b.Agent
}

// score is what a strategy counts: the higher is taken.
func score(how Strategy, asks []Requirement, c *Candidate) int {
	switch how {
	case BestSkill, LowestSufficient:
		sum := 0
		for _, r := range asks {
			sum += c.Skills[r.Skill]
		}
		if how == LowestSufficient {
			return -sum
		}
		return sum
	case FewestCalls:
		return -c.Handled
	case MemberPriority:
		return c.Priority
	}
	return 0
}

// lacks names the skills that an agent has not, or not well enough.
func lacks(s *seat, asks []Requirement) (missing []string) {
	for _, r := range asks {
		if s.Skills[r.Skill] < max(r.Level, 1) {
			missing = append(missing, fmt.Sprintf("%s %d<%d", r.Skill, s.Skills[r.Skill], max(r.Level, 1)))
		}
	}
	return missing
}

// Why is the reason of an offer, as a supervisor reads it.
type Why struct {
	Strategy Strategy       `json:"strategy"`
	WaitedMs int64          `json:"waited_ms"`
	Position int            `json:"position" doc:"Of the caller, among those who wait in the queue"`
	Asked    []Requirement  `json:"asked,omitempty"`
	Relaxed  []string       `json:"relaxed,omitempty" doc:"Skills no longer asked for"`
	Score    int            `json:"score" doc:"What the strategy counted for the agent"`
	IdleMs   int64          `json:"idle_ms" doc:"How long the agent had been free"`
	Others   []Other        `json:"others,omitempty" doc:"Members of the queue who were not chosen: at most 20"`
	Passed   map[string]int `json:"passed,omitempty" doc:"How many members were not chosen, by reason"`
}

// Other is a member of the queue who was not chosen.
type Other struct {
	Agent  agent.ID `json:"agent"`
	Name   string   `json:"name"`
	Reason string   `json:"reason" doc:"The state if not ready; lacks_skill; or chosen_other"`
	Lacks  []string `json:"lacks,omitempty"`
	Score  int      `json:"score"`
}

// explain says why this agent gets this contact.
func (l *line) explain(b *Brain, w *waiting, s *seat, now time.Time) Why {
	why := Why{
		Strategy: l.Strategy, WaitedMs: now.Sub(w.Joined).Milliseconds(), Asked: w.asks, Relaxed: slices.Clone(w.relaxed),
		IdleMs: now.Sub(s.FreeSince).Milliseconds(), Passed: map[string]int{},
	}
	why.Position, _, _ = b.Position(w.ID, now)
	me := Candidate{Agent: s.Agent, Skills: s.Skills, Handled: s.Handled, Priority: l.members[s.Agent]}
	why.Score = score(l.Strategy, w.asks, &me)
	for id, priority := range l.members {
		o := b.seats[id]
		if id == s.Agent || o == nil || !o.State.Staffed() {
			continue
		}
		c := Candidate{Agent: id, Skills: o.Skills, Handled: o.Handled, Priority: priority}
		other := Other{Agent: id, Name: o.Name, Score: score(l.Strategy, w.asks, &c)}
		switch missing := lacks(o, w.asks); {
		case len(missing) > 0:
			other.Reason, other.Lacks = "lacks_skill", missing
		case o.reserved:
			other.Reason = "reserved"
		case o.State != agent.Ready:
			other.Reason = string(o.State)
		case !o.PhoneUp:
			other.Reason = agent.ReasonPhoneLost
		default:
			other.Reason = "chosen_other"
		}
		why.Passed[other.Reason]++
		if len(why.Others) < 20 {
			why.Others = append(why.Others, other)
		}
	}
	return why
}
