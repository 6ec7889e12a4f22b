//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"callplane/app/acd"
	"callplane/app/call"
	"callplane/app/ivr"
	"callplane/app/kernel/auth"
	"callplane/app/pbx"
	"callplane/app/route"
	"callplane/app/sandbox/sipphone"
	"callplane/app/user"
)

// Centre is what one test works with: a unit of its own, a trunk with an address of its own, and what it makes there.
type Centre struct {
	*Server
	t    *testing.T
	no   int    // tells centres of one server apart
	Unit string // id
	Line route.TrunkView
	Far  *Carrier // the far end of the trunk: callers, and whoever is called outside

	mu      sync.Mutex
	people  int // callers and agents so far
	numbers int
}

// newCentre makes a centre on a server, and waits until its trunk is up.
func newCentre(t *testing.T, s *Server) *Centre {
	t.Helper()
	s.mu.Lock()
	s.centres++
	c := &Centre{Server: s, t: t, no: s.centres}
	s.mu.Unlock()
	var root user.Unit
	for _, u := range get[[]user.Unit](t, s.Admin, "/user/units") {
		if u.ParentID == "" {
			root = u
		}
	}
	c.Unit = string(post[user.Unit](t, s.Admin, "/user/units", object{"parent_id": root.ID, "name": c.name("unit")}).ID)
	c.Far = newCarrier(t, c, fmt.Sprintf("127.77.%d.1", c.no), sipphone.Config{})
	c.Line = c.trunk("", c.Far, nil)
	c.showCalls(t)
	return c
}

// name makes a name that no other centre has.
func (c *Centre) name(what string) string { return fmt.Sprintf("%s-%d", what, c.no) }

// trunk makes a trunk to a carrier and waits until it is up. More holds further settings.
func (c *Centre) trunk(name string, far *Carrier, more object) route.TrunkView {
	c.t.Helper()
	host, _, _ := strings.Cut(far.Addr(), ":")
	body := object{"unit": c.Unit, "name": c.name("trunk" + name), "host": far.Addr(), "addresses": []string{host}, "codecs": []string{"ulaw"}, "qualify_seconds": 3}
	for k, v := range more {
		body[k] = v
	}
	tr := post[route.TrunkView](c.t, c.Admin, "/route/trunks", body)
	eventually(c.t, 20*time.Second, "trunk "+tr.Name, func() error {
		if tr = get[route.TrunkView](c.t, c.Admin, "/route/trunks/"+string(tr.ID)); tr.State != pbx.LineUp {
			return fmt.Errorf("is %s", tr.State)
		}
		return nil
	})
	return tr
}

// newNumber makes up a number of ours: as it is dialled, and in E.164.
func (c *Centre) newNumber() (dialled, e164 string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.numbers++
	n := fmt.Sprintf("106%03d%04d", c.no, c.numbers)
	return "0" + n, "+86" + n
}

// number makes a number that leads to a flow, and returns how it is dialled. More holds further settings.
func (c *Centre) number(flow ivr.FlowID, more object) string {
	c.t.Helper()
	dialled, _ := c.newNumber()
	body := object{"unit": c.Unit, "number": dialled, "service": c.name("service " + dialled[8:]), "flow": flow}
	for k, v := range more {
		body[k] = v
	}
	post[route.Number](c.t, c.Admin, "/route/numbers", body)
	return dialled
}

// flow makes a flow from YAML, in which %s stands for a name of its own.
func (c *Centre) flow(name, yaml string) ivr.FlowID {
	c.t.Helper()
	doc := "name: " + c.name(name) + "\n" + yaml
	return post[ivr.Flow](c.t, c.Admin, "/ivr/flows", object{"unit": c.Unit, "document": doc}).ID
}

// queue makes a queue that these agents serve. More holds its settings; without them wrap-up is none and nothing is announced.
func (c *Centre) queue(name string, more object, agents ...*Agent) acd.QueueView {
	c.t.Helper()
	members := []object{}
	for _, a := range agents {
		members = append(members, object{"agent": a.ID})
	}
	body := object{"unit": c.Unit, "name": c.name(name), "wrap_up_seconds": 0, "comfort_seconds": 0, "announce_position": false, "members": members}
	for k, v := range more {
		body[k] = v
	}
	return post[acd.QueueView](c.t, c.Admin, "/acd/queues", body)
}

// straight is a number whose callers go into a queue at once.
func (c *Centre) straight(q acd.QueueView) string {
	c.t.Helper()
	return c.number(c.flow("to "+q.Name, "then: {queue: "+q.Name+"}\n"), nil)
}

// Party is one who talks: a call and the tone that it sends.
type Party struct {
	*sipphone.Call
	who  string
	tone float64

	Number string  // of a caller, as sent
	ID     call.ID // of a caller, once the platform told it
}

// person numbers people, and gives each a tone.
func (c *Centre) person() (n int, tone float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.people++
	return c.people, tones[(c.people-1)%len(tones)]
}

// mobile is a number that no other caller has.
func (c *Centre) mobile(n int) string { return fmt.Sprintf("138%04d%04d", c.no, n) }

// calls has a new caller call one of our numbers, and returns once it is answered.
func (c *Centre) calls(to string, opts ...sipphone.CallOption) *Party {
	c.t.Helper()
	p, err := c.tryCall(to, opts...)
	if err != nil {
		c.t.Fatalf("call to %s: %v", to, err)
	}
	return p
}

func (c *Centre) tryCall(to string, opts ...sipphone.CallOption) (*Party, error) {
	n, tone := c.person()
	p := &Party{who: fmt.Sprintf("caller %d", n), tone: tone, Number: c.mobile(n)}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	from := c.Feed.mark()
	cl, err := c.Far.Call(ctx, to, append([]sipphone.CallOption{sipphone.From(p.Number, "")}, opts...)...)
	if err != nil {
		return nil, err
	}
	cl.SetTone(tone)
	p.Call = cl
	p.ID = c.arrived(from, "+86"+p.Number)
	return p, nil
}

// arrived is the call that came from a number; empty if none did.
func (c *Centre) arrived(from int, e164 string) call.ID {
	e, _ := c.Feed.find(from, 5*time.Second, func(e Event) bool {
		return e.Type == "call.arrived" && strings.Contains(string(e.Data), e164)
	})
	return call.ID(e.Key)
}

// leaves hangs up.
func (c *Centre) leaves(p *Party) {
	c.t.Helper()
	if err := p.Hangup(within(c.t, 5*time.Second)); err != nil {
		c.t.Fatalf("%s hangs up: %v", p.who, err)
	}
}

// live is a call that lives.
func (c *Centre) live(id call.ID) call.Live {
	c.t.Helper()
	return get[call.Live](c.t, c.Admin, "/call/live/"+string(id))
}

// row waits until a call is in the history, and returns everything about it.
func (c *Centre) row(id call.ID) call.Detail {
	c.t.Helper()
	if id == "" {
		c.t.Fatal("the call has no id: it never arrived")
	}
	var d call.Detail
	eventually(c.t, 20*time.Second, "history of "+string(id), func() error {
		d = call.Detail{}
		if err := c.Admin.try(http.MethodGet, "/call/calls/"+string(id), nil, &d); err != nil {
			return err
		}
		if d.Call == nil {
			return fmt.Errorf("it is still %v", d.Live.State)
		}
		return nil
	})
	return d
}

// do gives an order about a call.
func (c *Centre) order(who *Client, id call.ID, what string, body any) error {
	return who.try(http.MethodPost, "/call/calls/"+string(id)+"/"+what, body, nil)
}

// must is order for what has to work.
func (c *Centre) must(who *Client, id call.ID, what string, body any) {
	c.t.Helper()
	if err := c.order(who, id, what, body); err != nil {
		c.t.Fatal(err)
	}
}

func userID(id auth.UserID) string { return string(id) }
