//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"callplane/app/agent"
	"callplane/app/pbx"
	"callplane/app/pbx/ari"
	"callplane/app/route"
	"callplane/app/sandbox/sipphone"
	"callplane/app/user"
)

// Carrier is the far end of a trunk: outside callers call from it, and it answers for every outside number, with a tone.
type Carrier struct {
	*sipphone.Phone
	mu     sync.Mutex
	called map[string]func(*sipphone.Incoming) // by dialled number
	parts  map[string]chan *Party              // who answered for a number
	c      *Centre
}

// newCarrier opens a carrier at an address.
func newCarrier(t *testing.T, c *Centre, addr string, cfg sipphone.Config) *Carrier {
	t.Helper()
	f := &Carrier{called: map[string]func(*sipphone.Incoming){}, parts: map[string]chan *Party{}, c: c}
	cfg.Addr, cfg.Server, cfg.OnIncoming = addr, c.Asterisk.SIP, f.incoming
	if cfg.User == "" {
		cfg.User = "carrier"
	}
	p, err := sipphone.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.Phone = p
	t.Cleanup(p.Close)
	return f
}

// when says what happens to calls for a number.
func (f *Carrier) when(number string, do func(*sipphone.Incoming)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.called[number] = do
}

// answered waits for the one who answers for a number.
func (f *Carrier) answered(number string) *Party {
	f.c.t.Helper()
	select {
	case p := <-f.people(number):
		return p
	case <-time.After(15 * time.Second):
		f.c.t.Fatalf("%s was not called", number)
		return nil
	}
}

func (f *Carrier) people(number string) chan *Party {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.parts[number] == nil {
		f.parts[number] = make(chan *Party, 16)
	}
	return f.parts[number]
}

func (f *Carrier) incoming(in *sipphone.Incoming) {
	f.mu.Lock()
	do := f.called[in.To]
	f.mu.Unlock()
	if do != nil {
		do(in)
		return
	}
	f.take(in)
}

// take answers and hands the party to whoever waits for it.
func (f *Carrier) take(in *sipphone.Incoming) {
	_ = in.Ring()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cl, err := in.Answer(ctx)
	if err != nil {
		return
	}
	n, tone := f.c.person()
	cl.SetTone(tone)
	f.people(in.To) <- &Party{Call: cl, who: fmt.Sprintf("outside party %d", n), tone: tone, Number: in.From}
}

// Agent is one who takes calls: a user, signed in on a registered phone.
type Agent struct {
	ID, Login string
	API       *Client
	Desk      *Desk
	c         *Centre
	talks     chan *Party // calls that the phone answered
}

// Desk is a desk phone.
type Desk struct {
	*sipphone.Phone
	Name, Secret string
	tone         float64
}

// desk makes a phone and registers it.
func (c *Centre) desk(name string, cfg sipphone.Config) (*Desk, error) {
	var made route.PhoneSecret
	body := object{"unit": c.Unit, "name": c.name(name), "codecs": []string{"ulaw"}}
	if err := c.Admin.try(http.MethodPost, "/route/phones", body, &made); err != nil {
		return nil, err
	}
	d := &Desk{Name: made.Name, Secret: made.Secret, tone: cfg.Tone}
	cfg.Server, cfg.User, cfg.Password = c.Asterisk.SIP, ari.SIPUser(made.Name), made.Secret
	p, err := sipphone.New(context.Background(), cfg)
	if err != nil {
		return nil, err
	}
	c.t.Cleanup(p.Close)
	d.Phone = p
	err = poll(20*time.Second, func() error { // the switch learns of it in a moment
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return p.Register(ctx, 10*time.Minute)
	})
	if err != nil {
		return nil, fmt.Errorf("register %s: %w", d.Name, err)
	}
	return d, poll(10*time.Second, func() error { return c.phoneIs(string(made.ID), pbx.LineUp) })
}

func (c *Centre) phoneIs(id string, want pbx.LineState) error {
	var v route.PhoneView
	if err := c.Admin.try(http.MethodGet, "/route/phones/"+id, nil, &v); err != nil {
		return err
	}
	if v.State != want {
		return fmt.Errorf("phone %s is %s", v.Name, v.State)
	}
	return nil
}

// agentOptions say how an agent is.
type agentOptions struct {
	roles   []string
	skills  map[string]int
	manual  bool // the phone only rings; the test answers
	away    bool // signed in, not ready
	signOut bool // not even signed in
}

// agent makes an agent whose phone answers by itself.
func (c *Centre) agent(name string, o agentOptions) *Agent {
	c.t.Helper()
	a, err := c.newAgent(name, o)
	if err != nil {
		c.t.Fatalf("agent %s: %v", name, err)
	}
	return a
}

// agents makes several, at the same time.
func (c *Centre) agents(n int, o agentOptions) []*Agent {
	c.t.Helper()
	all, errs := make([]*Agent, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { all[i], errs[i] = c.newAgent(fmt.Sprintf("agent%02d", i+1), o) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			c.t.Fatal(err)
		}
	}
	return all
}

func (c *Centre) newAgent(name string, o agentOptions) (*Agent, error) {
	_, tone := c.person()
	a := &Agent{Login: c.name(name), c: c, talks: make(chan *Party, 64)}
	roles := o.roles
	if roles == nil {
		roles = []string{"agent"}
	}
	const first = "Green-Apple-42"
	var made user.Password
	body := object{"login": a.Login, "name": "Agent " + a.Login, "unit_id": c.Unit, "roles": roles, "password": first}
	if err := c.Admin.try(http.MethodPost, "/user/users", body, &made); err != nil {
		return nil, err
	}
	a.ID = userID(made.User.ID)
	var err error
	if a.API, err = login(c.url, a.Login, first); err != nil {
		return nil, err
	}
	if o.skills != nil {
		if err := c.Admin.try(http.MethodPut, "/agent/agents/"+a.ID, object{"skills": o.skills}, nil); err != nil {
			return nil, err
		}
	}
	cfg := sipphone.Config{Tone: tone}
	if !o.manual {
		cfg.OnIncoming = a.take
	}
	if a.Desk, err = c.desk(name, cfg); err != nil || o.signOut {
		return a, err
	}
	return a, a.API.try(http.MethodPost, "/agent/sign-in", object{"phone": a.Desk.Name, "ready": !o.away}, nil)
}

// take rings and answers.
func (a *Agent) take(in *sipphone.Incoming) {
	_ = in.Ring()
	if p := a.answer(in); p != nil {
		a.talks <- p
	}
}

// answer takes a call that rings; nil if it was over.
func (a *Agent) answer(in *sipphone.Incoming) *Party {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cl, err := in.Answer(ctx)
	if err != nil {
		return nil
	}
	return &Party{Call: cl, who: a.Login, tone: a.Desk.tone, Number: in.From}
}

// talk waits for the next call that the agent's phone has answered.
func (a *Agent) talk() *Party {
	a.c.t.Helper()
	select {
	case p := <-a.talks:
		return p
	case <-time.After(15 * time.Second):
		a.c.t.Fatalf("%s got no call", a.Login)
		return nil
	}
}

// rings waits for the next call on a phone that the test answers itself.
func (a *Agent) rings(d time.Duration) *sipphone.Incoming {
	a.c.t.Helper()
	select {
	case in := <-a.Desk.Incoming():
		return in
	case <-time.After(d):
		a.c.t.Fatalf("the phone of %s does not ring", a.Login)
		return nil
	}
}

// set asks for a state.
func (a *Agent) set(state agent.State, reason string) agent.Presence {
	a.c.t.Helper()
	return post[agent.Presence](a.c.t, a.API, "/agent/state", object{"state": state, "reason": reason})
}

func (a *Agent) is() agent.Presence {
	a.c.t.Helper()
	return get[agent.Presence](a.c.t, a.API, "/agent/me")
}

// becomes waits for a state.
func (a *Agent) becomes(state agent.State, reason string) agent.Presence {
	a.c.t.Helper()
	var p agent.Presence
	eventually(a.c.t, 10*time.Second, a.Login, func() error {
		if p = a.is(); p.State != state || p.Reason != reason {
			return fmt.Errorf("is %s (%s), not %s (%s)", p.State, p.Reason, state, reason)
		}
		return nil
	})
	return p
}
