package agent

import "time"

// The acts below are what calls do with agents.

// Reserve takes a ready agent for a call, so that no other call is offered. ErrNotReady when someone was faster.
func (s *Service) Reserve(id ID, call, queue string) (Presence, error) {
	return s.on(id, ActReserve, func(a *Presence) error {
		if !a.PhoneUp {
			return ErrNotReady.With("Phone %s is not registered.", a.Phone)
		}
		a.Call, a.Queue = call, queue
		return nil
	})
}

// Dial takes an agent for a call that the agent places. A state other than Ready is returned to afterwards.
func (s *Service) Dial(id ID, call string) (Presence, error) {
	return s.on(id, ActDial, func(a *Presence) error {
		if a.State == Break || a.State == NotReady {
			a.Next, a.NextWhy = a.State, a.Reason
		}
		s.disarmWrap(id)
		a.Call, a.Queue = call, ""
		return nil
	})
}

// Accept says that the agent answered.
func (s *Service) Accept(id ID, call string) (Presence, error) {
	return s.on(id, ActAccept, s.during(call, func(a *Presence) { a.Handled++ }))
}

// Miss says that the agent did not take the offer, and why: ReasonMissed, ReasonRejected or ReasonPhoneDead. The
// agent is not ready afterwards, so that the next call is not lost on an empty chair, or where they asked to be meanwhile.
func (s *Service) Miss(id ID, call, reason string) (Presence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[id]
	if a == nil || a.Call != call || a.State != Ringing {
		return Presence{}, ErrTransition
	}
	was := *a
	a.Missed++
	if a.Next != "" && a.Next != Ready {
		s.settle(was, a, time.Now())
		return *a, nil
	}
	return s.applyFrom(was, a, ActMiss, reason, time.Now())
}

// Release says that the offer went away through no fault of the agent, who is ready again.
func (s *Service) Release(id ID, call string) (Presence, error) {
	return s.on(id, ActRelease, s.during(call, func(a *Presence) { a.Call, a.Queue = "", "" }))
}

// Hold and Unhold follow the call's other party.
func (s *Service) Hold(id ID, call string) (Presence, error) {
	return s.on(id, ActHold, s.during(call, nil))
}

// Unhold says that the parties talk again.
func (s *Service) Unhold(id ID, call string) (Presence, error) {
	return s.on(id, ActUnhold, s.during(call, nil))
}

// Finish ends the agent's part in a call and starts the wrap-up, which ends by itself after the time given. With none, the
// agent is at once where they want to be.
func (s *Service) Finish(id ID, call string, wrap time.Duration) (Presence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[id]
	if a == nil || a.Call != call || !a.State.Busy() {
		return Presence{}, ErrTransition
	}
	now, was := time.Now(), *a
	a.FreeSince = now
	if wrap <= 0 {
		s.settle(was, a, now)
		return *a, nil
	}
	a.WrapUntil = now.Add(wrap)
	p, err := s.applyFrom(was, a, ActFinish, "", now)
	if err == nil {
		s.armWrap(id, wrap)
	}
	return p, err
}

// Wrapped ends the wrap-up of an agent, at once.
func (s *Service) Wrapped(id ID) (Presence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[id]
	if a == nil {
		return Presence{}, ErrNoAgent
	}
	if a.State != WrapUp {
		return *a, ErrTransition.With("%s is not in wrap-up.", a.Name)
	}
	s.disarmWrap(id)
	s.settle(*a, a, time.Now())
	return *a, nil
}

// ExtendWrap gives an agent in wrap-up more time.
func (s *Service) ExtendWrap(id ID, more time.Duration) (Presence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[id]
	if a == nil || a.State != WrapUp {
		return Presence{}, ErrTransition
	}
	a.WrapUntil = a.WrapUntil.Add(more)
	s.armWrap(id, time.Until(a.WrapUntil))
	s.told(*a, *a)
	return *a, nil
}

// Part is what an agent does in a call that lives.
type Part struct {
	Call, Queue string
	State       State // Ringing, Talking or OnHold
}

// Restore makes the agents fit the calls that live, after a restart: what is written down of the two may have been cut off between one
// and the other. Agents whose state is younger than asOf are left alone.
func (s *Service) Restore(parts map[ID]Part, asOf time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, a := range s.agents {
		part, with := parts[a.Agent]
		was := *a
		switch {
		case !a.State.Staffed() || !a.Since.Before(asOf):
		case with && (a.Call != part.Call || !a.State.Busy()):
			s.disarmWrap(a.Agent)
			a.Call, a.Queue = part.Call, part.Queue
			s.moveFrom(was, a, part.State, "", now)
		case with || !a.State.Busy():
		case a.State == Ringing: // it was not the agent who let it ring
			s.settle(was, a, now)
		default:
			s.move(a, NotReady, ReasonRestored, now)
		}
	}
}
