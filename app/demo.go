package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"callplane/app/acd"
	"callplane/app/agent"
	"callplane/app/kernel/auth"
	"callplane/app/pbx"
	"callplane/app/route"
	"callplane/app/user"
)

// DemoAccess is how to get into the demo centre. Everything secret in it is random and made on the first run.
type DemoAccess struct {
	URL      string      `json:"url"`
	Login    string      `json:"login"`
	Password string      `json:"password"` // to be changed at the first sign-in
	Key      string      `json:"key"`      // API key
	SIP      string      `json:"sip"`      // host:port where phones register and the trunk leads to
	Number   string      `json:"number"`   // of the demo service
	Trunk    string      `json:"trunk"`    // address that outside callers call from
	Phones   []DemoPhone `json:"phones"`
	Agents   []DemoAgent `json:"agents"`
}

// DemoPhone is a phone that may register.
type DemoPhone struct{ Name, User, Password, Use string }

// DemoAgent is a person who takes calls.
type DemoAgent struct{ ID, Login, Password, Phone string }

// demo names and addresses.
const (
	demoNumber = "4000"
	demoTrunk  = "127.0.0.9"
)

// demoFlow is what callers of the demo number hear.
const demoFlow = `# The demo number: a welcome, the caller's language, a menu, a queue.
name: Demo
language: zh-CN
welcome:
  prompt: demo/welcome
  interrupt: true
languages:
  prompt: demo/language
  keys: {"1": zh-CN, "2": en}
menu:
  prompt: demo/menu
  keys:
    "1": {queue: Sales}
    "2": {queue: Support}
    "3": {message: Sales}
    "9": {prompt: input/goodbye, hangup: true}
  final: {queue: Sales}
`

// Demo sets up a demo centre on an empty installation, and writes how to get in to a file that only its owner can read. On an
// installation that has people already it does nothing.
func (a *App) Demo(ctx context.Context, file string) error {
	if _, err := os.Stat(file); err == nil {
		return a.demoMoved(file)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	login, password, created, err := a.Users.EnsureAdmin(ctx)
	if err != nil || !created {
		return err
	}
	ctx, err = operator(ctx, a.Users)
	if err != nil {
		return err
	}
	d := DemoAccess{URL: a.cfg.address(), Login: login, Password: password, SIP: a.cfg.sip(), Number: demoNumber, Trunk: demoTrunk}
	if err := a.demoLines(ctx, &d); err != nil {
		return fmt.Errorf("demo phones: %w", err)
	}
	if err := a.demoPeople(ctx, &d); err != nil {
		return fmt.Errorf("demo agents: %w", err)
	}
	if err := a.demoService(ctx, d); err != nil {
		return fmt.Errorf("demo service: %w", err)
	}
	if d.Key, err = CreateKey(ctx, a.Users, "demo", 365*24*time.Hour); err != nil {
		return fmt.Errorf("demo key: %w", err)
	}
	return d.write(file)
}

func (d DemoAccess) write(file string) error {
	raw, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(raw, '\n'), 0o600)
}

// demoMoved writes the addresses of this run, which may differ from those of the first.
func (a *App) demoMoved(file string) error {
	raw, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var d DemoAccess
	if err := json.Unmarshal(raw, &d); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	d.URL, d.SIP = a.cfg.address(), a.cfg.sip()
	return d.write(file)
}

func (a *App) demoLines(ctx context.Context, d *DemoAccess) error {
	for name, use := range map[string]string{"1001": "agent Anna", "1002": "agent Bo", "1009": "yours, to call " + demoNumber} {
		label := use
		p, err := a.Routes.CreatePhone(ctx, route.PhoneEdit{Name: &name, Label: &label})
		if err != nil {
			return err
		}
		d.Phones = append(d.Phones, DemoPhone{Name: name, User: pbx.SIPUser(name), Password: p.Password, Use: use})
	}
	name, label, host := "demo", "Callers from outside, for the demo", demoTrunk
	_, err := a.Routes.CreateTrunk(ctx, route.TrunkEdit{Name: &name, Label: &label, Host: &host, Addresses: []string{demoTrunk + "/32"}})
	return err
}

func (a *App) demoPeople(ctx context.Context, d *DemoAccess) error {
	for i, who := range []struct{ login, name, phone string }{{"anna", "Anna 安娜", "1001"}, {"bo", "Bo 李波", "1002"}} {
		made, err := a.Users.Create(ctx, user.NewUser{
			Login: who.login, Name: who.name, UnitID: auth.From(ctx).UnitID, Roles: []string{auth.Agent.Name},
		})
		if err != nil {
			return err
		}
		id := agent.ID(made.User.ID)
		phone := who.phone
		if _, err := a.Agents.SetProfile(ctx, id, agent.ProfileEdit{Phone: &phone, Skills: map[string]int{"sales": 5 + i}}); err != nil {
			return err
		}
		d.Agents = append(d.Agents, DemoAgent{ID: string(id), Login: who.login, Password: made.Password, Phone: who.phone})
	}
	return nil
}

func (a *App) demoService(ctx context.Context, d DemoAccess) error {
	var members []acd.Member
	for _, who := range d.Agents {
		members = append(members, acd.Member{UserID: agent.ID(who.ID)})
	}
	for _, name := range []string{"Sales", "Support"} {
		q := acd.Queue{Name: name, Open: true, Settings: acd.Defaults()}
		q.WrapUpSeconds, q.AnnounceWait = 10, true
		if _, err := a.Queues.Create(ctx, q, members); err != nil {
			return err
		}
	}
	flow, err := a.Flows.Create(ctx, "", demoFlow)
	if err != nil {
		return err
	}
	number, service, id := demoNumber, "Demo", string(flow.ID)
	_, err = a.Routes.CreateNumber(ctx, route.NumberEdit{Number: &number, Service: &service, Flow: &id})
	return err
}
