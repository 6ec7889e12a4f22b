package monitor

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"callplane/app/agent"
	"callplane/app/call"
	"callplane/app/kernel"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// Permissions of this module.
var (
	See    = auth.Define("monitor:board", "see live numbers of agents, queues and calls", auth.Supervisor, auth.QA, auth.Auditor)
	Listen = auth.Define("monitor:listen", "listen to live calls", auth.Supervisor, auth.QA)
	Barge  = auth.Define("monitor:barge", "whisper to agents and barge into live calls", auth.Supervisor)
)

// Problems of this module.
var (
	ErrNoPhone    = problem.New(problem.Invalid, "monitor_phone", "Name the phone to listen on")
	ErrPhoneTaken = problem.New(problem.Conflict, "monitor_phone_taken", "Somebody else works on that phone")
	ErrOwnCall    = problem.New(problem.Conflict, "monitor_own_call", "You are in this call")
)

// Calls is what monitoring needs of the live calls. It is call.Service.
type Calls interface {
	Calls() []call.Live
	Get(id call.ID) (call.Live, error)
	Spy(ctx context.Context, id call.ID, supervisor, phone string, mode pbx.SpyMode) error
}

// Agents is what monitoring needs of presence. It is agent.Service.
type Agents interface {
	All() []agent.Presence
	Get(id agent.ID) (agent.Presence, bool)
	OnPhone(phone string) (agent.Presence, bool)
}

// Service is monitoring.
type Service struct {
	log    *slog.Logger
	kit    *kernel.Kit
	calls  Calls
	agents Agents
	phones agent.Phones
}

// New makes the service.
func New(kit *kernel.Kit, calls Calls, agents Agents, phones agent.Phones) *Service {
	return &Service{kit.Log.With("module", "monitor"), kit, calls, agents, phones}
}

// Spy rings the asker's phone and lets them take part in a call: the phone they are signed in on, or a given one. Asked again
// with another mode, it switches without ringing anew. It ends when the phone is hung up.
//
// It is written down before the phone rings. Errors: problem.ErrForbidden without the permission for the mode; call.ErrGone for a
// call that has ended or that is not the asker's to hear; ErrNoPhone, ErrPhoneTaken, ErrOwnCall; those of call.Service.Spy.
func (s *Service) Spy(ctx context.Context, id call.ID, mode pbx.SpyMode, phone string) error {
	perm := Listen
	if mode != pbx.Listen {
		perm = Barge
	}
	if err := auth.Check(ctx, perm); err != nil {
		return err
	}
	c, err := s.calls.Get(id)
	if err != nil {
		return err
	}
	if !auth.MayUse(ctx, perm, c.UnitPath, "") {
		return call.ErrGone.With("Call %s has ended.", id)
	}
	me := string(auth.From(ctx).UserID)
	if me != "" && c.Agent == me {
		return ErrOwnCall
	}
	if phone, err = s.phone(ctx, perm, me, phone); err != nil {
		return err
	}
	err = audit.Add(ctx, s.kit.DB.WithContext(ctx), audit.Entry{
		Action: "monitor." + string(mode), Object: "call", ObjectID: string(id), Unit: auth.UnitID(c.Unit),
		Detail: map[string]any{"phone": phone, "agent": c.Agent, "from": c.From, "to": c.To},
	})
	if err != nil {
		return err
	}
	return s.calls.Spy(ctx, id, me, phone, mode)
}

// phone is the phone to ring.
func (s *Service) phone(ctx context.Context, perm auth.Permission, me, phone string) (string, error) {
	mine, ok := s.agents.Get(agent.ID(me))
	signedIn := ok && mine.State.Staffed() && mine.Phone != ""
	switch {
	case phone == "" && signedIn:
		phone = mine.Phone
	case phone == "":
		return "", ErrNoPhone
	}
	if signedIn && phone == mine.Phone {
		if mine.State.Busy() {
			return "", agent.ErrBusy.With("You are with a call.")
		}
		return phone, nil
	}
	path, ok := s.phones.PhoneUnit(phone)
	if !ok || !auth.MayUse(ctx, perm, path, "") {
		return "", agent.ErrNoPhone.With("There is no phone %q.", phone)
	}
	if other, taken := s.agents.OnPhone(phone); taken && string(other.Agent) != me {
		return "", ErrPhoneTaken.With("%s is signed in on phone %s.", other.Name, phone)
	}
	return phone, nil
}

// Board is the numbers of now.
func (s *Service) Board(ctx context.Context) Board {
	calls := slices.DeleteFunc(s.calls.Calls(), func(c call.Live) bool { return !auth.MayUse(ctx, See, c.UnitPath, "") })
	agents := slices.DeleteFunc(s.agents.All(), func(p agent.Presence) bool { return !auth.MayUse(ctx, See, p.UnitPath, string(p.Agent)) })
	return count(time.Now(), calls, agents)
}
