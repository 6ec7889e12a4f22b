package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
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

const tenant = "/root/"

// node is the part of the platform that live calls run through, on the switch in memory and a bus of its own. There is no
// SQL in it.
type node struct {
	sw      *pbxtest.Switch
	bus     *bus.Bus
	calls   *call.Service
	agents  *agent.Service
	parties []*pbxtest.Party
	stop    func()

	lagging
}

// newNode starts the services. Agent i serves queue i mod lines, which number 4000 + that leads to; 4999 is a menu.
func newNode(ctx context.Context, dir string) (*node, error) {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	b, err := bus.Open(ctx, bus.Config{Dir: dir, Log: log})
	if err != nil {
		return nil, err
	}
	n := &node{sw: pbxtest.New(pbxtest.Lean()), bus: b}
	n.sw.AddTrunk("carrier")
	n.agents = agent.NewService(log, nil, ledger{b, b.KV("agents"), n}, plain{})
	n.calls = call.New(call.Parts{Log: log, Switch: n.sw, Node: "memory", Journal: ledger{b, b.KV("calls"), n}, Voice: plain{}, Router: plain{},
		Agents: n.agents, Limits: call.DefaultLimits})
	queues := acd.NewService(log, nil, nil, nil, n.calls, n.agents, b)
	flows := ivr.NewService(log, nil, nil, nil, plain{}, plain{})
	n.calls.Use(queues, flows)
	docs := map[string]string{"4999": "name: menu\nmenu: {prompt: menu, timeout_seconds: 60, tries: 9, keys: {\"1\": {queue: q000}}}\n"}
	for i := range lines {
		q := acd.Queue{ID: acd.QueueID(fmt.Sprintf("q%03d", i)), Unit: "root", UnitPath: tenant, Name: fmt.Sprintf("q%03d", i), Open: true, Settings: acd.Defaults()}
		members := map[agent.ID]int{}
		for a := i; a < talking; a += lines {
			members[agent.ID(fmt.Sprintf("a%04d", a))] = 0
		}
		q.WrapUpSeconds = 0
		queues.Set(q, members)
		docs[fmt.Sprintf("4%03d", i)] = fmt.Sprintf("name: to %[1]s\nthen: {queue: %[1]s}\n", q.Name)
	}
	for id, doc := range docs {
		parsed, err := ivr.Parse([]byte(doc))
		if err != nil {
			return nil, err
		}
		flows.Set(ivr.FlowID(id), "root", tenant, parsed)
	}
	run, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	for _, f := range []func(context.Context) error{n.sw.Run, queues.Run, n.calls.Run} {
		all.Go(func() { _ = f(run) })
	}
	n.stop = func() {
		cancel()
		all.Wait()
	}
	return n, nil
}

func (b *node) close() {
	b.stop()
	b.agents.Close()
	if err := b.bus.Close(); err != nil {
		say("memory: %v", err)
	}
}

// plain answers what the services ask of others, from nothing.
type plain struct{}

// Inbound implements call.Router: each number leads to the flow of its name.
func (plain) Inbound(a route.Asked) (route.Inbound, error) {
	return route.Inbound{Unit: "root", UnitPath: tenant, NumberID: a.To, Number: a.To, Service: "service " + a.To, Flow: a.To, From: a.From}, nil
}

// Outbound implements call.Router.
func (plain) Outbound(route.Wanted) (route.Outbound, error) {
	return route.Outbound{}, route.ErrNoNumber
}

// Seize implements call.Router.
func (plain) Seize(string) (func(), error) { return func() {}, nil }

// Resume implements call.Router.
func (plain) Resume(string) func() { return func() {} }

// LineChanged implements call.Router.
func (plain) LineChanged(pbx.Event) {}

// PhoneUnit implements agent.Phones.
func (plain) PhoneUnit(string) (string, bool) { return tenant, true }

// PhoneOwner implements agent.Phones.
func (plain) PhoneOwner(string) string { return "" }

// PhoneUp implements agent.Phones.
func (plain) PhoneUp(string) bool { return true }

// ByName implements ivr.Queues.
func (plain) ByName(_, name string) string { return name }

// Open implements ivr.Calendars.
func (plain) Open(string, string, time.Time) bool { return true }

// Media implements call.Voice.
func (plain) Media(lang string, p call.Prompt) (pbx.Media, error) {
	return pbx.Media("http://voice/" + lang + "/" + p.Key + ".wav"), nil
}
