package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
)

type tree struct{}

func (tree) Path(u auth.UnitID) string { return paths[string(u)] }

// heard is an event stream that keeps what is published.
type heard struct {
	mu     sync.Mutex
	events []bus.Event
}

func (h *heard) Publish(events ...bus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, events...)
}
func (h *heard) LastSeq(context.Context) (uint64, error) { return 0, nil }
func (h *heard) Tail(context.Context, uint64, ...string) (<-chan bus.Event, error) {
	return nil, errors.New("no stream")
}

// bench is a service without a database on a switch in memory.
type bench struct {
	*Service
	sw    *pbxtest.Switch
	heard *heard
	lines []string // what OnLine was told
}

// put makes these the rows, as load does.
func (b *bench) put(trunks []Trunk, phones ...Phone) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forgetChanged(b.rows.Trunks, trunks)
	b.rows.Trunks, b.phones = trunks, map[string]Phone{}
	for _, p := range phones {
		b.phones[p.Name] = p
	}
	b.rebuild()
	b.kick()
}

// play runs a story in fake time: the switch and provisioning run, and the switch's events reach LineChanged.
func play(t *testing.T, story func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{sw: pbxtest.New(), heard: &heard{}}
		b.Service = newService(slog.New(slog.DiscardHandler), tree{}, clock{}, b.sw, Config{})
		b.stream = b.heard
		b.OnLine(func(line string, st pbx.LineState) { b.lines = append(b.lines, fmt.Sprint(line, " ", st)) })
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = b.sw.Run(ctx) })
		wg.Go(func() {
			for ev := range b.sw.Events() {
				b.LineChanged(ev)
			}
		})
		wg.Go(func() { b.keepProvisioned(ctx) })
		synctest.Wait()
		story(b)
		stop()
		wg.Wait()
	})
}

func provisions(sw *pbxtest.Switch) (n int) {
	for _, line := range sw.Log() {
		if strings.HasPrefix(line, "Provision") {
			n++
		}
	}
	return n
}

var (
	carrier = Trunk{Name: "carrier", UnitID: "acme", Host: "10.0.0.1", Enabled: true, WhenFull: FullOverflow, ChannelLimit: 16}
	desk    = Phone{Name: "desk-1", UnitID: "sales", Password: "secret"}
)

// the switch follows the configuration; a disabled trunk is gone from it and refuses calls at once.
func TestProvisioning(t *testing.T) {
	play(t, func(b *bench) {
		before := provisions(b.sw)
		for i := range 100 { // a hundred changes, one visit
			phones := []Phone{desk}
			for j := range i {
				phones = append(phones, Phone{Name: fmt.Sprintf("desk-%d", j+2), Password: "secret"})
			}
			b.put([]Trunk{carrier}, phones...)
		}
		time.Sleep(settle)
		synctest.Wait()
		if got := provisions(b.sw) - before; got != 1 || b.sw.Writes() != 101 {
			t.Fatalf("%d visits, %d writes", got, b.sw.Writes())
		}
		if _, err := b.Seize("carrier"); err != nil {
			t.Fatal(err)
		}
		off := carrier
		off.Enabled = false
		b.put([]Trunk{off}, desk)
		if _, err := b.Seize("carrier"); !errors.Is(err, ErrTrunkDisabled) {
			t.Errorf("seize of a disabled trunk: %v", err)
		}
		if _, err := b.Outbound(Wanted{UnitPath: paths["sales"], To: "95588"}); !errors.Is(err, ErrNoTrunk) {
			t.Errorf("call on a disabled trunk: %v", err)
		}
		if _, err := b.Inbound(Asked{To: "95588", Trunk: "carrier"}); !errors.Is(err, ErrTrunkDisabled) {
			t.Errorf("call from a disabled trunk: %v", err)
		}
		time.Sleep(settle)
		synctest.Wait()
		snap, err := b.sw.Snapshot(t.Context())
		if _, there := snap.Lines["carrier"]; err != nil || there || len(snap.Lines) != 1 {
			t.Errorf("the switch still has %v, err %v", snap.Lines, err)
		}
		n := provisions(b.sw)
		b.kick() // nothing changed
		time.Sleep(time.Minute)
		if provisions(b.sw) != n {
			t.Error("an unchanged set was provisioned again")
		}
	})
}

// Whatever keeps the switch from being provisioned passes, and then it is.
func TestProvisioningTriesAgain(t *testing.T) {
	play(t, func(b *bench) {
		for range 3 {
			b.sw.FailNext(pbxtest.VerbProvision, pbx.ErrUnreachable)
		}
		b.put([]Trunk{carrier}, desk)
		time.Sleep(settle + 7*time.Second) // tries after 1, 2 and 4 s
		synctest.Wait()
		if b.sw.Writes() != 2 {
			t.Errorf("writes = %d after three failures", b.sw.Writes())
		}
		// The link breaks; a change waits for it.
		b.sw.Cut()
		b.put([]Trunk{carrier}, desk, Phone{Name: "desk-2", Password: "secret"})
		time.Sleep(time.Hour)
		b.sw.Restore()
		time.Sleep(settle)
		synctest.Wait()
		if b.sw.Writes() != 3 {
			t.Errorf("writes = %d after the link came back", b.sw.Writes())
		}
	})
}

// R-025 R-013: what the switch tells of its lines is known, told in order, and published; after a break it is asked for.
func TestLineStates(t *testing.T) {
	play(t, func(b *bench) {
		b.put([]Trunk{carrier}, desk)
		time.Sleep(settle)
		synctest.Wait()
		b.lines, b.heard.events = nil, nil
		b.sw.Register("desk-1")
		synctest.Wait()
		if p, ok := b.Phone("desk-1"); !ok || p.State != pbx.LineUp || p.UnitPath != "/acme/sales/" || !b.PhoneUp("desk-1") {
			t.Errorf("phone = %+v", p)
		}
		b.sw.Unregister("desk-1")
		synctest.Wait()
		if b.PhoneUp("desk-1") || !slices.Equal(b.lines, []string{"desk-1 up", "desk-1 down"}) {
			t.Errorf("told %v", b.lines)
		}
		if len(b.heard.events) != 2 {
			t.Fatalf("published %v", b.heard.events)
		}
		e := b.heard.events[1]
		var s LineState
		if err := e.Into(&s); err != nil || e.Type != EventLine || e.UnitPath != "/acme/sales/" || s.Kind != "phone" || s.State != pbx.LineDown || s.Was != pbx.LineUp {
			t.Errorf("event %+v: %s", e, e.Data)
		}
		// It registers while nobody listens; then the switch is asked.
		b.sw.Cut()
		b.sw.Register("desk-1")
		synctest.Wait()
		if b.PhoneUp("desk-1") {
			t.Error("news came over a cut link")
		}
		b.sw.Restore()
		time.Sleep(settle)
		synctest.Wait()
		if !b.PhoneUp("desk-1") {
			t.Error("the state was not asked for")
		}
		if _, ok := b.Phone("nobody"); ok || b.LineState("nobody") != pbx.LineUnknown {
			t.Error("an unknown phone is known")
		}
	})
}

// sixteen channels, in and out; the seventeenth is refused, and the gauge says 16. After a restart calls that are up count.
func TestSeize(t *testing.T) {
	play(t, func(b *bench) {
		b.put([]Trunk{carrier})
		release := b.Resume("carrier")
		for range 15 {
			if _, err := b.Seize("carrier"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Seize("carrier"); !errors.Is(err, ErrTrunkFull) || b.Channels("carrier") != 16 || !b.Full("carrier") {
			t.Errorf("err %v, %d channels", err, b.Channels("carrier"))
		}
		if _, err := b.Outbound(Wanted{UnitPath: paths["sales"], To: "95588"}); !errors.Is(err, ErrTrunkFull) {
			t.Errorf("outbound: %v", err)
		}
		release()
		if out, err := b.Outbound(Wanted{UnitPath: paths["sales"], To: "95588"}); err != nil || out.Trunk != "carrier" {
			t.Errorf("outbound: %v %v", out, err)
		}
		if _, err := b.Seize("handmade"); err != nil {
			t.Errorf("a trunk of the switch's own files has no limit: %v", err)
		}
	})
}

// A trunk that was down is tried again once it is reached differently.
func TestChangedTrunkIsTried(t *testing.T) {
	play(t, func(b *bench) {
		b.put([]Trunk{carrier})
		b.LineChanged(pbx.Event{Kind: pbx.LineChanged, Line: "carrier", LineState: pbx.LineDown})
		if b.Up("carrier") {
			t.Fatal("up")
		}
		moved := carrier
		moved.Host = "10.0.0.2"
		b.put([]Trunk{moved})
		if !b.Up("carrier") {
			t.Error("still down")
		}
	})
}
