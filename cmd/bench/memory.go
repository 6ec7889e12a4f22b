package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/kernel/bus"
	"callplane/app/pbx/pbxtest"
)

// The live calls of the memory figure: some talk, recorded on both sides; some are in a menu; the others wait with music.
const (
	liveCalls = 10000
	talking   = 4000 // and as many agents
	inMenu    = 500
	lines     = 100 // queues
)

// memory fills a node with calls on the switch in memory, through the real services and the real bus, and measures the heap in
// use after a collection, and the stacks, for each of them; the switch itself, which is in the same process, counts too.
// Then calls come and go for a while, and the time from what happens on the switch until the call's news of it is
// given to the bus is measured.
func memory(ctx context.Context, o options) error {
	n := liveCalls
	if o.quick {
		n /= 5
	}
	dir, err := os.MkdirTemp("", "callplane-bench-memory-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := newNode(ctx, dir)
	if err != nil {
		return err
	}
	defer b.close()
	agents := n * talking / liveCalls
	for i := range agents {
		if err := b.signIn(i); err != nil {
			return err
		}
	}
	before, err := b.weigh(ctx)
	if err != nil {
		return err
	}
	b.fill(n)
	states, err := b.settled(ctx, n, agents)
	if err != nil {
		return err
	}
	after, err := b.weigh(ctx)
	if err != nil {
		return err
	}
	say("memory: %d calls: %v; heap and stacks %d MiB before, %d MiB with them", n, states, before>>20, after>>20)
	lag := b.churn(ctx, o.length(10*time.Second, 4*time.Second))
	say("memory: lag of events %s", lag)
	f := figure{Bench: "memory", Unit: "KiB/call", Value: three(float64(after-before) / float64(n) / 1024), N: n, Budget: "value < 64, lag_max_ms < 1000",
		More: map[string]float64{"lag_p95_ms": *lag.at(.95, time.Millisecond), "lag_max_ms": *lag.at(1, time.Millisecond), "lag_n": float64(len(lag))}}
	f.Within = *f.Value < 64 && f.More["lag_max_ms"] < 1000
	f.print()
	return nil
}

// fill lets calls come in: first those that agents take.
func (b *node) fill(n int) {
	menu := n * inMenu / liveCalls
	for i := range n {
		to := fmt.Sprintf("4%03d", i%lines)
		if i >= n-menu {
			to = "4999"
		}
		b.parties = append(b.parties, b.sw.CallIn(pbxtest.Inbound{From: fmt.Sprintf("+86138%08d", i), To: to, Trunk: "carrier"}))
		if i%500 == 499 {
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// settled waits until all calls are where they belong.
func (b *node) settled(ctx context.Context, n, talk int) (states map[string]int, err error) {
	err = until(ctx, 2*time.Minute, func() error {
		states = map[string]int{}
		all := b.calls.Calls()
		for _, l := range all {
			states[l.State.String()]++
		}
		if len(all) != n || states["talking"] != talk || states["new"]+states["offered"] > 0 {
			return fmt.Errorf("%d calls: %v", len(all), states)
		}
		return nil
	})
	return states, err
}

// weigh is the heap in use and the stacks, in bytes, once everything is stored and collected.
func (b *node) weigh(ctx context.Context) (uint64, error) {
	flush, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := b.bus.Flush(flush); err != nil {
		return 0, err
	}
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse, nil
}

// churn has callers hang up and others come, 50 of each a second, and times how soon the bus hears of it.
func (b *node) churn(ctx context.Context, length time.Duration) sample {
	b.mu.Lock()
	b.lag, b.happened = nil, map[string]time.Time{}
	b.mu.Unlock()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i, end := 0, time.Now().Add(length); time.Now().Before(end) && ctx.Err() == nil; i++ {
		<-tick.C
		p := b.parties[i]
		b.happens("call.ended", string(p.ID()))
		p.Hangup()
		from := fmt.Sprintf("+86139%08d", i)
		b.happens("call.arrived", from)
		b.sw.CallIn(pbxtest.Inbound{From: from, To: fmt.Sprintf("4%03d", i%lines), Trunk: "carrier"})
	}
	time.Sleep(2 * time.Second)
	b.mu.Lock()
	defer b.mu.Unlock()
	for what, at := range b.happened { // never heard of
		say("memory: nothing was heard of %s", what)
		b.lag = append(b.lag, time.Since(at))
	}
	return b.lag
}

// happens notes that something happens now: to a leg, or because of a caller.
func (b *node) happens(what, to string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.happened[what+to] = time.Now()
}

// told takes the time when a call's event comes to the bus.
func (b *node) told(events []bus.Event) {
	now := time.Now()
	for _, e := range events {
		if e.Type != "call.ended" && e.Type != "call.arrived" {
			continue
		}
		var l struct {
			From     string
			Customer string `json:"customer_leg"`
		}
		if json.Unmarshal(e.Data, &l) != nil {
			continue
		}
		of := e.Type + l.Customer
		if e.Type == "call.arrived" {
			of = e.Type + l.From
		}
		b.mu.Lock()
		if at, ok := b.happened[of]; ok {
			b.lag = append(b.lag, now.Sub(at))
			delete(b.happened, of)
		}
		b.mu.Unlock()
	}
}

// ledger is where calls write; it listens in.
type ledger struct {
	*bus.Bus
	kv   *bus.KV
	node *node
}

// Publish implements call.Journal.
func (l ledger) Publish(events ...bus.Event) {
	l.node.told(events)
	l.Bus.Publish(events...)
}

// Put implements call.Journal.
func (l ledger) Put(key string, value []byte) { l.kv.Put(key, value) }

// Delete implements call.Journal.
func (l ledger) Delete(key string) { l.kv.Delete(key) }

// signIn signs an agent in, ready; the phone answers at once.
func (b *node) signIn(i int) error {
	name := fmt.Sprintf("a%04d", i)
	b.sw.AddPhone(name).OnCall(pbxtest.Answer())
	_, err := b.agents.SignIn(agent.Profile{Agent: agent.ID(name), Name: name, Unit: "root", UnitPath: tenant}, name)
	if err == nil {
		_, err = b.agents.Set(agent.ID(name), agent.Ready, "")
	}
	return err
}

// lagging is what is guarded by mu.
type lagging struct {
	mu       sync.Mutex
	happened map[string]time.Time // by event, and leg or caller
	lag      sample
}

var _ call.Journal = ledger{}
