//go:build it

package ari

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"callplane/app/pbx"
	"callplane/app/sandbox"
	"callplane/app/sandbox/sipphone"
)

// asterisk is the one that these tests share: that of ARI_INSTANCE (a file with a sandbox.Info), or one of our own.
var asterisk = sync.OnceValues(func() (*instance, error) {
	if f := os.Getenv("ARI_INSTANCE"); f != "" {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var info sandbox.Info
		return &instance{Info: info}, json.Unmarshal(b, &info)
	}
	a, err := sandbox.StartAsterisk(context.Background(), sandbox.AsteriskOptions{})
	if err != nil {
		return nil, err
	}
	afterAll = append(afterAll, func() { a.Stop(context.Background()) })
	return &instance{a.Info(), a}, nil
})

type instance struct {
	sandbox.Info
	*sandbox.Asterisk
}

// world is the switch, its lines, and what it told.
type world struct {
	*testing.T
	ast     *instance
	sw      *Switch
	carrier *sipphone.Phone // the far end of the trunk
	stop    func()

	mu     sync.Mutex
	events []pbx.Event
	when   []time.Time       // they came
	read   map[pbx.LegID]int // how many of a leg's events await has gone through
}

func newWorld(t *testing.T) *world {
	ast, err := asterisk()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, ast: ast, read: map[pbx.LegID]int{}}
	level := slog.LevelInfo
	if os.Getenv("ARI_TRACE") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
	w.sw = New(Config{Name: "it", URL: ast.Info.ARI, User: ast.Info.User, Password: ast.Info.Password, Log: log})
	w.run()
	snap, err := w.sw.Snapshot(t.Context())
	w.ok(err)
	for _, l := range snap.Legs { // of a test that failed
		_ = w.sw.Hangup(t.Context(), l.ID, pbx.NormalClearing)
	}
	w.carrier = w.phone(sipphone.Config{Addr: "127.0.0.2", User: "carrier", Tone: 440})
	return w
}

// run runs w.sw until stop.
func (w *world) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { w.sw.Run(ctx) })
	wg.Go(func() {
		for e := range w.sw.Events() {
			w.mu.Lock()
			w.events, w.when = append(w.events, e), append(w.when, time.Now())
			w.mu.Unlock()
			if os.Getenv("ARI_TRACE") == "" {
				continue
			}
			w.Logf("%s %s %v leg=%s cause=%d byus=%v play=%s rec=%s ok=%v len=%v digit=%s to=%s from=%s/%s trunk=%s phone=%s line=%s=%s", time.Now().Format("05.000"), e.At.Format("05.000"), e.Kind, e.Leg, e.Cause, e.ByUs, e.Play, e.Recording, e.OK, e.Length, e.Digit, e.To, e.From, e.FromName, e.Trunk, e.Phone, e.Line, e.LineState)
		}
	})
	w.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	w.Cleanup(w.stop)
	w.await("", pbx.Resync)
}

func (w *world) phone(c sipphone.Config) *sipphone.Phone {
	c.Server = w.ast.Info.SIP
	p, err := sipphone.New(w.Context(), c)
	w.ok(err)
	w.Cleanup(p.Close)
	return p
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// lines are two desk phones and the trunk.
func (w *world) lines() pbx.Lines {
	return pbx.Lines{
		Phones: []pbx.Phone{{Name: "a1", Password: "secret-1"}, {Name: "a2", Password: "secret-2"}, {Name: "a3", Password: "secret-3"}},
		Trunks: []pbx.Trunk{{Name: "carrier", Host: w.carrier.Addr(), From: []string{"127.0.0.2/32"}, QualifySeconds: 2, Codecs: []string{"ulaw"}}},
	}
}

// agent is a registered phone with its tone.
func (w *world) agent(n int, tone float64) *sipphone.Phone {
	p := w.phone(sipphone.Config{User: SIPUser(fmt.Sprintf("a%d", n)), Password: fmt.Sprintf("secret-%d", n), Tone: tone})
	w.ok(p.Register(w.Context(), time.Minute))
	return p
}

// await is the next event of this kind of a leg ("" for any leg).
func (w *world) await(leg pbx.LegID, kind pbx.Kind) pbx.Event {
	w.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		w.mu.Lock()
		for i := w.read[leg]; i < len(w.events); i++ {
			if e := w.events[i]; e.Kind == kind && (leg == "" || e.Leg == leg) {
				w.read[leg] = i + 1
				w.mu.Unlock()
				return e
			}
		}
		w.mu.Unlock()
	}
	w.Fatalf("no %v of leg %q", kind, leg)
	panic("unreachable")
}

// heard is when an event came.
func (w *world) heard(e pbx.Event) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, o := range w.events {
		if o.Kind == e.Kind && o.Leg == e.Leg {
			return w.when[i]
		}
	}
	return time.Time{}
}

// call brings a call in from the carrier.
func (w *world) call(to string, opts ...sipphone.CallOption) (*sipphone.Outgoing, pbx.Event) {
	w.Helper()
	o, err := w.carrier.Start(to, opts...)
	w.ok(err)
	for {
		if e := w.await("", pbx.Arrived); e.To == to {
			return o, e
		}
	}
}
