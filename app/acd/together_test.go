package acd_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callplane/app/acd"
	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/ivr"
	"callplane/app/kernel/bus"
	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
	"callplane/app/route"
)

// The stories below run calls, agents, flows and queues together on the switch in memory, in fake time.

const tenant = "/root/"

// journal keeps what calls and agents write, as the live store and the event stream would.
type journal struct {
	mu     sync.Mutex
	values map[string][]byte
	events []bus.Event
}

func (j *journal) Put(key string, value []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.values[key] = value
}

func (j *journal) Delete(key string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.values, key)
}

func (j *journal) Publish(events ...bus.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, events...)
}

func (j *journal) saved() map[string][]byte {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.values)
}

// records is every call that ended, in the order of their ends.
func (j *journal) records(t *testing.T) (out []call.Record) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		if e.Type == call.EventRecord {
			var r call.Record
			if err := e.Into(&r); err != nil {
				t.Fatal(err)
			}
			out = append(out, r)
		}
	}
	return out
}

// voice says each prompt as a file of its own name.
type voice struct{}

func (voice) Media(lang string, p call.Prompt) (pbx.Media, error) {
	switch {
	case p.Position > 0:
		return pbx.Media("http://voice/" + lang + "/position-" + string(rune('0'+p.Position)) + ".wav"), nil
	case p.Wait > 0:
		return pbx.Media("http://voice/" + lang + "/wait-" + p.Wait.Round(time.Second).String() + ".wav"), nil
	case p.Text != "":
		return pbx.Media("http://voice/" + lang + "/text.wav"), nil
	}
	return pbx.Media("http://voice/" + lang + "/" + p.Key + ".wav"), nil
}

// router sends every number to the flow of its name, and every outside number to the trunk.
type router struct{}

func (router) Inbound(a route.Asked) (route.Inbound, error) {
	if !strings.HasPrefix(a.To, "4") {
		return route.Inbound{Unit: "root", UnitPath: tenant}, route.ErrNoNumber
	}
	return route.Inbound{Unit: "root", UnitPath: tenant, NumberID: a.To, Number: a.To, Service: "service " + a.To, Flow: a.To, From: a.From}, nil
}

func (router) Outbound(w route.Wanted) (route.Outbound, error) {
	return route.Outbound{Trunk: "carrier", Dial: w.To, To: w.To, CallerNumber: "4001", Why: "only trunk"}, nil
}
func (router) Seize(string) (func(), error) { return func() {}, nil }
func (router) Resume(string) func()         { return func() {} }
func (router) LineChanged(pbx.Event)        {}

func (router) PhoneUnit(string) (string, bool) { return tenant, true }
func (router) PhoneOwner(string) string        { return "" }
func (router) PhoneUp(string) bool             { return true }

type names struct{}

func (names) ByName(_, name string) string        { return name }
func (names) Open(string, string, time.Time) bool { return true }

// centre is a whole platform without SQL.
type centre struct {
	t            *testing.T
	sw           *pbxtest.Switch
	link         pbx.Switch
	calls        *call.Service
	agents       *agent.Service
	queues       *acd.Service
	flows        *ivr.Service
	live, people *journal
	stop         func()
}

const menu = `
name: menu
language: zh-CN
welcome: {prompt: welcome, interrupt: true}
menu:
  prompt: menu
  tries: 3
  keys:
    "1": {queue: sales}
    "2": {queue: support, skills: [{skill: broadband, level: 3}]}
  final: {queue: sales}
`

// newCentre starts a platform; with one given, it takes over its switch and what it had written down.
func newCentre(t *testing.T, before *centre, opts ...option) *centre {
	t.Helper()
	o := setup{routes: router{}}
	for _, f := range opts {
		f(&o)
	}
	c := &centre{t: t, live: &journal{values: map[string][]byte{}}, people: &journal{values: map[string][]byte{}}}
	if before == nil {
		c.sw = pbxtest.New(o.sw...)
		c.link = c.sw.Attach()
		c.sw.AddTrunk("carrier")
	} else {
		c.sw, c.live, c.people = before.sw, before.live, before.people
		c.link = c.sw.Attach()
	}
	if o.wrap != nil {
		c.link = o.wrap(c.link)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	c.agents = agent.NewService(log, nil, c.people, router{})
	c.calls = call.New(call.Parts{
		Log: log, Switch: c.link, Node: "memory", Journal: c.live, Voice: voice{}, Router: o.routes, Agents: c.agents, Limits: call.DefaultLimits,
	})
	c.queues = acd.NewService(log, nil, nil, nil, c.calls, c.agents, c.live)
	c.flows = ivr.NewService(log, nil, nil, nil, names{}, names{})
	c.calls.Use(c.queues, c.flows)
	c.flow("4001", menu)
	c.flow("4002", "name: direct\nthen: {queue: sales}\n")
	c.queue("sales", nil, "anna", "bob")
	c.queue("support", nil, "bob", "carl")
	if o.first != nil {
		o.first(c)
	}

	c.agents.Load(c.people.saved())
	ctx, cancel := context.WithCancel(t.Context())
	c.calls.Recover(ctx, c.live.saved())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{c.link.Run, c.queues.Run, c.calls.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	c.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		c.agents.Close()
	})
	t.Cleanup(c.stop)
	synctest.Wait()
	return c
}

func (c *centre) flow(id, doc string) {
	c.t.Helper()
	parsed, err := ivr.Parse([]byte(doc))
	if err != nil {
		c.t.Fatal(err)
	}
	c.flows.Set(ivr.FlowID(id), "root", tenant, parsed)
}

func (c *centre) queue(name string, change func(*acd.Settings), members ...agent.ID) {
	q := acd.Queue{ID: acd.QueueID(name), Unit: "root", UnitPath: tenant, Name: name, Open: true, Settings: acd.Defaults()}
	q.WrapUpSeconds = 0
	if change != nil {
		change(&q.Settings)
	}
	m := map[agent.ID]int{}
	for _, id := range members {
		m[id] = 0
	}
	c.queues.Set(q, m)
}

// signIn signs an agent in on the phone of their name, which answers as told.
func (c *centre) signIn(name string, does pbxtest.Behaviour, skills map[string]int) *pbxtest.Phone {
	c.t.Helper()
	phone := c.sw.AddPhone(name)
	phone.OnCall(does)
	p := agent.Profile{Agent: agent.ID(name), Name: name, Unit: "root", UnitPath: tenant, Skills: skills}
	if _, err := c.agents.SignIn(p, name); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.agents.Set(agent.ID(name), agent.Ready, ""); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
	return phone
}

func (c *centre) state(name string) agent.State {
	synctest.Wait()
	p, _ := c.agents.Get(agent.ID(name))
	return p.State
}

func (c *centre) only(ctx context.Context) call.Live {
	c.t.Helper()
	synctest.Wait()
	all := c.calls.Calls()
	if len(all) != 1 {
		c.t.Fatalf("%d live calls, want 1: %+v", len(all), all)
	}
	return all[0]
}

func wait(d time.Duration) {
	time.Sleep(d) // fake time
	synctest.Wait()
}

func whats(r call.Record) (out []string) {
	for _, m := range r.Timeline {
		out = append(out, m.What)
	}
	return out
}

// R-002 R-049 R-052 R-072
func TestCallThroughMenuAndQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCentre(t, nil)
		c.signIn("anna", pbxtest.AnswerAfter(3*time.Second), nil)
		caller := c.sw.CallIn(pbxtest.Inbound{From: "+8613800138000", To: "4001", Trunk: "carrier"})
		wait(2500 * time.Millisecond)
		if got := caller.Heard(); len(got) < 2 || got[0].What != "play:http://voice/zh-CN/welcome.wav" || got[1].What != "play:http://voice/zh-CN/menu.wav" {
			t.Fatalf("heard %v", got)
		}
		caller.Press("1")
		wait(time.Second)
		if got := c.state("anna"); got != agent.Ringing {
			t.Errorf("anna is %s, want ringing", got)
		}
		wait(3 * time.Second)
		if got := caller.Hears(); !slices.Equal(got, []string{"anna"}) {
			t.Errorf("caller hears %v, want anna", got)
		}
		if got := c.state("anna"); got != agent.Talking {
			t.Errorf("anna is %s, want talking", got)
		}
		wait(10 * time.Second)
		caller.Hangup()
		wait(time.Second)
		if got := c.state("anna"); got != agent.Ready {
			t.Errorf("anna is %s, want ready", got)
		}
		recs := c.live.records(t)
		if len(recs) != 1 {
			t.Fatalf("%d records", len(recs))
		}
		r := recs[0]
		if r.Reason != "caller_hung_up" || r.Released != call.ByCaller || r.Path != "1" || r.Agent != "anna" || len(r.Offers) != 1 || r.Offers[0].Result != "answered" {
			j, _ := json.MarshalIndent(r, "", " ")
			t.Errorf("record %s", j)
		}
		if len(r.Tracks) != 2 {
			t.Errorf("%d tracks, want customer and agent", len(r.Tracks))
		}
		t.Log(whats(r))
	})
}

//
func TestMissedOffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCentre(t, nil)
		c.signIn("anna", pbxtest.RingForever(), nil)
		wait(time.Second)
		c.signIn("bob", pbxtest.AnswerAfter(time.Second), nil)
		caller := c.sw.CallIn(pbxtest.Inbound{From: "+8613800138000", To: "4002", Trunk: "carrier"})
		wait(22 * time.Second)
		if got := caller.Hears(); !slices.Equal(got, []string{"bob"}) {
			t.Errorf("caller hears %v, want bob", got)
		}
		p, _ := c.agents.Get("anna")
		if p.State != agent.NotReady || p.Reason != agent.ReasonMissed || p.Missed != 1 {
			t.Errorf("anna: %+v", p)
		}
		caller.Hangup()
		wait(time.Second)
		r := c.live.records(t)[0]
		if len(r.Offers) != 2 || r.Offers[0].Result != "missed" || r.Offers[0].Ended.Sub(r.Offers[0].Started) != 20*time.Second {
			t.Errorf("offers %+v", r.Offers)
		}
	})
}

// the process dies with calls in the menu, waiting, ringing and talking, and another takes over.
func TestTakeOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCentre(t, nil)
		c.signIn("anna", pbxtest.AnswerAfter(time.Second), nil)
		in := func(to string) *pbxtest.Party {
			return c.sw.CallIn(pbxtest.Inbound{From: "+8613800138000", To: to, Trunk: "carrier"})
		}
		talking := in("4002")
		wait(3 * time.Second)
		waiting := in("4002")
		wait(time.Second)
		second := in("4002")
		menu := in("4001")
		wait(4 * time.Second)
		c.stop()
		c.sw.Detach()
		wait(2 * time.Second)
		if got := talking.Hears(); !slices.Equal(got, []string{"anna"}) {
			t.Fatalf("while nobody is in control the caller hears %v", got)
		}
		d := newCentre(t, c)
		wait(time.Second)
		if n := d.calls.Count(); n != 4 {
			t.Fatalf("%d calls after the take-over, want 4", n)
		}
		if got := d.state("anna"); got != agent.Talking {
			t.Errorf("anna is %s", got)
		}
		menu.Press("1")
		wait(time.Second)
		talking.Hangup()
		wait(3 * time.Second)
		if got := waiting.Hears(); !slices.Equal(got, []string{"anna"}) {
			t.Errorf("the first in the queue hears %v, want anna", got)
		}
		waiting.Hangup()
		wait(3 * time.Second)
		if got := second.Hears(); !slices.Equal(got, []string{"anna"}) {
			t.Errorf("the second hears %v, want anna", got)
		}
		second.Hangup()
		wait(3 * time.Second)
		if got := menu.Hears(); !slices.Equal(got, []string{"anna"}) {
			t.Errorf("the one from the menu hears %v, want anna", got)
		}
		menu.Hangup()
		wait(time.Second)
		if n := len(d.live.records(t)); n != 4 {
			t.Errorf("%d records, want 4", n)
		}
		if len(d.live.saved()) != 0 {
			t.Errorf("checkpoints are left: %v", d.live.saved())
		}
	})
}
