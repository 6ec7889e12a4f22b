//go:build e2e

package e2e

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
)

// A hundred calls: each ring, answer, hold, transfer and hang-up reaches a WebSocket client within 500 ms of its time on the
// switch, for 95 of 100.
//
//
func TestEventsInTime(t *testing.T) { // not beside others: it measures
	c := newCentre(t, sharedServer(t))
	team := c.agents(6, agentOptions{})
	var wg sync.WaitGroup
	q := c.queue("all", nil, team...)
	number := c.straight(q)
	byID := map[string]*Agent{}
	for _, a := range team {
		byID[a.ID] = a
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	desk := newFeed(ctx, c.url, c.Admin.token)
	work := make(chan int)
	for range 8 {
		wg.Go(func() {
			for n := range work {
				p, err := c.tryCall(number)
				if err != nil {
					t.Error(err)
					continue
				}
				said := c.Feed.call(t, p.ID, "call.talking", 30*time.Second)
				a := byID[said.Agent]
				<-a.talks
				switch n % 5 {
				case 0:
					c.must(a.API, p.ID, "hold", nil)
					c.must(a.API, p.ID, "unhold", nil)
				case 1:
					if err := c.order(a.API, p.ID, "transfer", object{"queue": q.ID}); err != nil {
						t.Error(err)
					}
				}
				c.leaves(p)
				c.Feed.call(t, p.ID, "call.ended", 10*time.Second)
			}
		})
	}
	for n := range 100 {
		work <- n
	}
	close(work)
	wg.Wait()
	for _, a := range team {
		a.becomes(agent.Ready, "")
	}
	late := map[string][]time.Duration{}
	calls := map[call.ID]bool{}
	for _, e := range desk.since(0) {
		if !strings.HasPrefix(e.Type, "call.") || e.told().Unit != c.Unit {
			continue
		}
		calls[call.ID(e.Key)] = true
		late[""] = append(late[""], e.Got.Sub(e.told().At))
		late[e.Type] = append(late[e.Type], e.Got.Sub(e.told().At))
	}
	if len(calls) != 100 {
		t.Errorf("events of %d calls, want 100", len(calls))
	}
	for _, typ := range []string{"", "call.arrived", "call.answered", "call.ringing", "call.talking", "call.held", "call.unheld", "call.queued", "call.ended"} {
		d := late[typ]
		if len(d) == 0 {
			t.Errorf("no event %s", typ)
			continue
		}
		slices.Sort(d)
		p95 := d[len(d)*95/100]
		t.Logf("%-14s %4d events, half within %s, 95 %% within %s, all within %s", typ, len(d), d[len(d)/2], p95, d[len(d)-1])
		if p95 > 500*time.Millisecond {
			t.Errorf("%s: 95 %% within %s, want 500 ms", typ, p95)
		}
	}
}
