package monitor

import (
	"cmp"
	"slices"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
)

// Board is numbers about now, of the units that the asker may see.
type Board struct {
	At     time.Time           `json:"at"`
	Agents map[agent.State]int `json:"agents" doc:"How many agents are in each state; those who are signed out are left out"`
	Calls  CallCount           `json:"calls"`
	Queues []QueueNow          `json:"queues" doc:"Queues in which somebody waits or talks, the longest wait first"`
}

// CallCount is how many calls live.
type CallCount struct {
	Live    int `json:"live"`
	Menu    int `json:"menu" doc:"In a menu or another flow"`
	Waiting int `json:"waiting" doc:"In a queue, or offered to an agent"`
	Talking int `json:"talking" doc:"With a person, on hold included"`
	Out     int `json:"outbound" doc:"Of all, those that we placed"`
}

// QueueNow is one queue.
type QueueNow struct {
	Queue   string `json:"queue"`
	Name    string `json:"name"`
	Waiting int    `json:"waiting"`
	Talking int    `json:"talking"`
	Longest int    `json:"longest_seconds" doc:"How long the first of them waits"`
}

// count makes a board of calls and agents.
func count(now time.Time, calls []call.Live, agents []agent.Presence) Board {
	b := Board{At: now.UTC(), Agents: map[agent.State]int{}, Queues: []QueueNow{}}
	for _, s := range agent.States {
		if s != agent.LoggedOut {
			b.Agents[s] = 0
		}
	}
	for _, p := range agents {
		if p.State != agent.LoggedOut {
			b.Agents[p.State]++
		}
	}
	queues := map[string]*QueueNow{}
	for _, c := range calls {
		b.Calls.Live++
		if c.Direction == call.Outbound {
			b.Calls.Out++
		}
		var q *QueueNow
		if c.Queue != "" {
			if q = queues[c.Queue]; q == nil {
				q = &QueueNow{Queue: c.Queue, Name: c.QueueName}
				queues[c.Queue] = q
			}
		}
		switch c.State {
		case call.InFlow:
			b.Calls.Menu++
		case call.Queued, call.Offered:
			b.Calls.Waiting++
			if q != nil {
				q.Waiting++
				q.Longest = max(q.Longest, int(now.Sub(c.Queued)/time.Second))
			}
		case call.Talking, call.OnHold:
			b.Calls.Talking++
			if q != nil {
				q.Talking++
			}
		}
	}
	for _, q := range queues {
		if q.Waiting+q.Talking > 0 {
			b.Queues = append(b.Queues, *q)
		}
	}
	slices.SortFunc(b.Queues, func(x, y QueueNow) int {
		return cmp.Or(cmp.Compare(y.Longest, x.Longest), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Queue, y.Queue))
	})
	return b
}
