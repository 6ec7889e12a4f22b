// Package siprig plays the far ends for the conformance suite of a real telephone switch: SIP phones on the loopback
// network, each with a tone of its own, and an outside world behind a trunk. Prompts are tones on an HTTP server.
//
// A driver's test is this much:
//
//	link := siprig.NewProxy(t, "127.0.0.1:8088")
//	sw := ari.New(ari.Config{URL: "http://" + link.Addr() + "/ari", ...})
//	pbxtest.Run(t, siprig.New(t, siprig.Config{Switch: sw, Link: link, SIP: "127.0.0.1:5060", SIPUser: ari.SIPUser}))
package siprig

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"callplane/app/pbx"
	"callplane/app/pbx/pbxtest"
	"callplane/app/sandbox/sipphone"
)

// Config says what the rig plays for.
type Config struct {
	Switch  pbx.Switch                // the driver, which reaches its switch through Link
	Link    *Proxy                    // between the two
	SIP     string                    // host:port where the switch takes calls and registrations
	SIPUser func(phone string) string // the name by which a phone registers; nil means its own

	// Music is the tones of each class of music on hold in Hz, the one to know it by first.
	Music   map[string][]float64
	Another func() pbx.Switch // a second driver for the same switch

	// Writes counts what the driver has written to the switch by Provision; nil if nobody knows.
	Writes func() int
}

// Rig is the far ends of one switch. It is closed by the test's Cleanup.
type Rig struct {
	cfg     Config
	outside *sipphone.Phone
	prompts *prompts
	tones   tones

	mu      sync.Mutex
	numbers map[string]pbxtest.Behaviour
	called  map[string]*peer
	wg      sync.WaitGroup
}

var _ pbxtest.Rig = (*Rig)(nil)

// New makes a rig.
func New(t *testing.T, cfg Config) *Rig {
	if cfg.SIPUser == nil {
		cfg.SIPUser = func(phone string) string { return phone }
	}
	r := &Rig{cfg: cfg, numbers: map[string]pbxtest.Behaviour{}, called: map[string]*peer{}}
	r.tones.init()
	r.prompts = newPrompts(t)
	// Switches tell trunks by their address. So this one has an address that no phone has.
	addr := fmt.Sprintf("127.%d.%d.%d", 2+rand.N(250), 1+rand.N(250), 1+rand.N(250))
	var err error
	r.outside, err = sipphone.New(context.Background(), sipphone.Config{
		Addr: addr, Server: cfg.SIP, User: "outside", HearFor: hearFor, OnIncoming: r.outsideCalled,
	})
	if err != nil {
		t.Fatalf("outside world: %v", err)
	}
	t.Cleanup(func() { r.outside.Close(); r.wg.Wait() })
	return r
}

// hearFor is how much of what it hears a party remembers.
const hearFor = 5 * time.Second

// Switch is the driver under test.
func (r *Rig) Switch() pbx.Switch { return r.cfg.Switch }

// Trunk leads to the outside world.
func (r *Rig) Trunk() pbx.Trunk {
	return pbx.Trunk{Name: "carrier", Host: r.outside.Addr(), QualifySeconds: 2}
}

// Cut breaks the link, Restore mends it.
func (r *Rig) Cut() { r.cfg.Link.Cut() }

// Restore mends the link.
func (r *Rig) Restore() { r.cfg.Link.Restore() }

// Another is a second driver for the same switch.
func (r *Rig) Another() pbx.Switch { return r.cfg.Another() }

// Prompt is a tone on the rig's HTTP server. Broken is not there.
func (r *Rig) Prompt(name string, length time.Duration) pbx.Media { return r.prompts.get(name, length) }

// Broken is a file that is not there.
func (r *Rig) Broken() pbx.Media { return pbx.Media(r.prompts.server.URL + "/missing.wav") }

// Writes counts what the driver wrote, or is -1 if nobody knows.
func (r *Rig) Writes() int {
	if r.cfg.Writes == nil {
		return -1
	}
	return r.cfg.Writes()
}

// OnNumber tells what an outside number does.
func (r *Rig) OnNumber(number string, b pbxtest.Behaviour) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.numbers[number] = b
}

// Called is the call to an outside number, or nil.
func (r *Rig) Called(number string) pbxtest.Peer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.called[number]; p != nil {
		return p
	}
	return nil
}

// outsideCalled takes a call to an outside number. The phone waits for it.
func (r *Rig) outsideCalled(in *sipphone.Incoming) {
	p := r.newPeer(in.To)
	r.mu.Lock()
	b := r.numbers[in.To]
	r.called[in.To] = p
	r.mu.Unlock()
	p.takeCall(in, b)
}

// CallIn calls from outside.
func (r *Rig) CallIn(t testing.TB, in pbxtest.Inbound) pbxtest.Peer {
	opts := []sipphone.CallOption{sipphone.From(in.From, in.Name)}
	if in.Withheld || in.From == "" {
		opts = []sipphone.CallOption{sipphone.Anonymous()}
	}
	for k, v := range in.Headers {
		opts = append(opts, sipphone.Header(k, v))
	}
	return r.callOut(t, r.outside, in.From, in.To, opts...)
}

func (r *Rig) callOut(t testing.TB, from *sipphone.Phone, name, to string, opts ...sipphone.CallOption) *peer {
	p := r.newPeer(name)
	out, err := from.Start(to, opts...)
	if err != nil {
		t.Errorf("call %s: %v", to, err)
		p.over(pbx.CauseUnknown, false)
		return p
	}
	p.out, p.ear = out, out.Ear()
	r.wg.Go(p.callOut)
	return p
}

// phone is one of our phones.
type phone struct {
	rig  *Rig
	spec pbx.Phone
	sip  *sipphone.Phone

	mu   sync.Mutex
	b    pbxtest.Behaviour
	last *peer
}

// Phone switches a phone on and registers it.
func (r *Rig) Phone(t testing.TB, spec pbx.Phone) pbxtest.RigPhone {
	ph := &phone{rig: r, spec: spec}
	var err error
	ph.sip, err = sipphone.New(context.Background(), sipphone.Config{
		Server: r.cfg.SIP, User: r.cfg.SIPUser(spec.Name), Password: spec.Password, HearFor: hearFor,
		OnIncoming: ph.called,
	})
	if err != nil {
		t.Fatalf("phone %s: %v", spec.Name, err)
	}
	t.Cleanup(ph.sip.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := ph.sip.Register(ctx, 10*time.Minute); err != nil {
		t.Fatalf("phone %s registers: %v", spec.Name, err)
	}
	return ph
}

func (ph *phone) OnCall(b pbxtest.Behaviour) {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	ph.b = b
}

func (ph *phone) Call() pbxtest.Peer {
	ph.mu.Lock()
	defer ph.mu.Unlock()
	if ph.last == nil || ph.last.isOver() {
		return nil
	}
	return ph.last
}

// called takes a call to the phone. The sipphone waits for it.
func (ph *phone) called(in *sipphone.Incoming) {
	p := ph.rig.newPeer(ph.spec.Name)
	ph.mu.Lock()
	b := ph.b
	ph.last = p
	ph.mu.Unlock()
	p.takeCall(in, b)
}

func (ph *phone) CallOut(t testing.TB, to string) pbxtest.Peer {
	return ph.rig.callOut(t, ph.sip, ph.spec.Name, to)
}

func (ph *phone) Unregister(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := ph.sip.Unregister(ctx); err != nil {
		t.Errorf("phone %s unregisters: %v", ph.spec.Name, err)
	}
}
