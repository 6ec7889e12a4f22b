//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
)

// Ten callers give up waiting, five of them at once. The list tells the two kinds apart, with the wait and the place, and from it
// an agent calls back.
//
//
func TestAbandoned(t *testing.T) {
	t.Parallel()
	c := newCentre(t, sharedServer(t))
	a := c.agent("anna", agentOptions{})
	a.set(agent.Break, "lunch")
	q := c.queue("long", object{"short_abandon_seconds": 5}, a)
	number := c.straight(q)
	var wg sync.WaitGroup
	var mu sync.Mutex
	after := map[call.ID]time.Duration{}
	callers := map[call.ID]*Party{}
	for i := range 10 {
		patience := 3 * time.Second
		if i%2 == 1 {
			patience = 25 * time.Second
		}
		wg.Go(func() {
			p, err := c.tryCall(number)
			if err != nil {
				t.Error(err)
				return
			}
			joined := c.Feed.call(t, p.ID, "call.queued", 10*time.Second).At
			leave := time.NewTimer(time.Until(joined.Add(patience)))
			<-leave.C
			c.leaves(p)
			mu.Lock()
			defer mu.Unlock()
			after[p.ID], callers[p.ID] = patience, p
		})
	}
	wg.Wait()
	for id := range after {
		c.row(id)
	}
	list := func(query string) []call.Abandoned {
		return list[call.Abandoned](t, a.API, "/call/abandoned?queue="+string(q.ID)+query)
	}
	for _, short := range []bool{true, false} {
		got := list(fmt.Sprintf("&short=%t", short))
		if len(got) != 5 {
			t.Errorf("short %t: %d, want 5", short, len(got))
		}
		for _, e := range got {
			want := after[e.CallID]
			if (time.Duration(e.WaitMs)*time.Millisecond-want).Abs() > time.Second || (want < 5*time.Second) != short {
				t.Errorf("%s waited %d ms, short %t; want %s", e.From, e.WaitMs, short, want)
			}
			if e.Position < 1 || e.Position > 10 || e.From != "+86"+callers[e.CallID].Number {
				t.Errorf("%s was at place %d", e.From, e.Position)
			}
		}
	}

	one := list("&short=false&open=true")[0]
	path := fmt.Sprintf("/call/abandoned/%s/%d/call-back", one.CallID, one.No)
	live := post[call.Live](t, a.API, path, nil)
	me := a.talk()
	there := c.Far.answered(one.From)
	talk(t, me, there)
	if got := status(a.API.try(http.MethodPost, path, nil, nil)); got != http.StatusConflict {
		t.Errorf("calling back twice: %d, want 409", got)
	}
	if got := list("&open=true"); len(got) != 9 {
		t.Errorf("%d are still to be called, want 9", len(got))
	}
	c.leaves(me)
	if r := c.row(live.ID).Call; r.Direction != call.Outbound || r.ToNumber != one.From || r.AgentID != a.ID {
		t.Errorf("the call back: %+v", r)
	}
}
