package agent

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/bus"
)

// Journal is where presence is written: the event stream and the live store. Neither blocks.
type Journal interface {
	Publish(events ...bus.Event)
	Put(key string, value []byte)
}

// Phones knows the phones that agents sign in on.
type Phones interface {
	// PhoneUnit is the unit path of a phone, or false when there is no such phone.
	PhoneUnit(name string) (unitPath string, ok bool)
	// PhoneOwner is the user who alone may sign in on a phone, or "" for free seating.
	PhoneOwner(name string) string
	// PhoneUp reports whether the phone is registered now.
	PhoneUp(name string) bool
}

// Service keeps the presence of all agents. Its methods may be called from anywhere; each answers from memory.
type Service struct {
	log     *slog.Logger
	db      *gorm.DB // nil in tests that need no profiles
	journal Journal
	phones  Phones

	mayDial func(context.Context, ID) ([]string, error)

	mu      sync.Mutex
	agents  map[ID]*Presence
	byPhone map[string]ID
	watch   []func(was, now Presence)
	timers  map[ID]*time.Timer // end of wrap-up
}

// NewService makes a service without agents; Load brings back those that were signed in.
func NewService(log *slog.Logger, db *gorm.DB, journal Journal, phones Phones) *Service {
	return &Service{
		log: log.With("module", "agent"), db: db, journal: journal, phones: phones,
		agents: map[ID]*Presence{}, byPhone: map[string]ID{}, timers: map[ID]*time.Timer{},
	}
}

// Watch has f called after every change, in order. f is called with the service locked: it must neither block nor call the
// service. Register before calls run.
func (s *Service) Watch(f func(was, now Presence)) { s.watch = append(s.watch, f) }

// Load restores what was signed in when the process ended: value by agent id, as it was given to Journal.Put. An agent
// whose wrap-up ended meanwhile is ready, or wherever they wanted to go.
func (s *Service) Load(saved map[string][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, value := range saved {
		var p Presence
		if err := json.Unmarshal(value, &p); err != nil || p.Agent == "" {
			s.log.Error("presence cannot be read", "agent_id", key, "error", err)
			continue
		}
		s.agents[p.Agent] = &p
		if p.State.Staffed() && p.Phone != "" {
			s.byPhone[p.Phone] = p.Agent
			p.PhoneUp = s.phones.PhoneUp(p.Phone)
		}
		if p.State == WrapUp && !p.WrapUntil.IsZero() {
			s.armWrap(p.Agent, time.Until(p.WrapUntil))
		}
	}
}

// Profile is what signing in needs to know of a user.
type Profile struct {
	Agent      ID             `json:"agent"`
	Login      string         `json:"login"`
	Name       string         `json:"name"`
	Unit       string         `json:"unit"`
	UnitPath   string         `json:"unit_path"`
	Phone      string         `json:"phone" doc:"Usual phone, for a sign-in that names none"`
	AutoAnswer bool           `json:"auto_answer"`
	Skills     map[string]int `json:"skills"`
	Dials      []string       `json:"dials" doc:"Classes of numbers that the agent may dial on the phone; null is all"`
}

// SignIn binds the agent to a phone; the agent is then not ready. Signed in already, the agent moves to the new phone.
// Errors: ErrNoPhone, ErrPhoneTaken, ErrBusy during a call.
func (s *Service) SignIn(p Profile, phone string) (Presence, error) {
	if phone == "" {
		phone = p.Phone
	}
	path, ok := s.phones.PhoneUnit(phone)
	if !ok || !sameTenant(path, p.UnitPath) {
		return Presence{}, ErrNoPhone.With("There is no phone %q.", phone)
	}
	if owner := s.phones.PhoneOwner(phone); owner != "" && owner != string(p.Agent) {
		return Presence{}, ErrPhoneTaken.With("Phone %s belongs to somebody else.", phone)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other, taken := s.byPhone[phone]; taken && other != p.Agent {
		return Presence{}, ErrPhoneTaken.With("%s is signed in on phone %s.", s.agents[other].Name, phone)
	}
	a := s.agents[p.Agent]
	if a == nil {
		a = &Presence{Agent: p.Agent, State: LoggedOut, Since: time.Now()}
		s.agents[p.Agent] = a
	}
	if a.State.Busy() {
		return *a, ErrBusy.With("%s is in a call.", p.Name)
	}
	now, was := time.Now(), *a
	if !a.State.Staffed() {
		a.SignedInAt, a.Handled, a.Missed = now, 0, 0
		a.FreeSince = now
	}
	delete(s.byPhone, a.Phone)
	s.byPhone[phone] = p.Agent
	a.Login, a.Name, a.Unit, a.UnitPath = p.Login, p.Name, p.Unit, p.UnitPath
	a.Phone, a.AutoAnswer, a.Skills = phone, p.AutoAnswer, maps.Clone(p.Skills)
	a.Dials = p.Dials
	a.PhoneUp = s.phones.PhoneUp(phone)
	return s.applyFrom(was, a, ActSignIn, ReasonSignedIn, now)
}

// sameTenant says that two unit paths ("/root/dept/") have the same root.
func sameTenant(a, b string) bool {
	root := func(p string) string {
		p, _, _ = strings.Cut(strings.TrimPrefix(p, "/"), "/")
		return p
	}
	return root(a) == root(b)
}

// Set changes the state of a signed-in agent as the agent or a supervisor asks: Ready, Break (with a reason), NotReady or
// LoggedOut. During a call it is remembered for afterwards. Errors: ErrNotSigned, ErrTransition, ErrNotReady when
// the agent's phone is not registered.
func (s *Service) Set(id ID, to State, reason string) (Presence, error) {
	act, ok := map[State]Act{Ready: ActReady, Break: ActBreak, NotReady: ActNotReady, LoggedOut: ActSignOut}[to]
	if !ok {
		return Presence{}, ErrTransition.With("An agent cannot be set to %q.", to)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[id]
	if a == nil || !a.State.Staffed() {
		return Presence{}, ErrNotSigned
	}
	if a.State.Busy() && deferred(act) {
		a.Next, a.NextWhy = target(act), reason
		s.told(*a, *a)
		return *a, nil
	}
	if to == Ready && !a.PhoneUp {
		return *a, ErrNotReady.With("Phone %s is not registered.", a.Phone)
	}
	return s.apply(a, act, reason, time.Now())
}

// phoneBack is how long an agent's phone may be gone so that the agent is ready again when it returns. Who was away longer
// may have left the desk.
const phoneBack = 5 * time.Minute

// LineChanged follows a phone's registration: an agent whose phone is lost is not ready, unless in a call, and is ready
// again when it is back soon.
func (s *Service) LineChanged(phone string, up bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.byPhone[phone]
	if !ok {
		return
	}
	a := s.agents[id]
	if a.PhoneUp == up && (up || a.State != Ready) { // after a restart it is down until we know better
		return
	}
	was := *a
	a.PhoneUp = up
	switch {
	case !up && a.State == Ready:
		s.move(a, NotReady, ReasonPhoneLost, time.Now())
		return
	case up && a.State == NotReady && a.Reason == ReasonPhoneLost && time.Since(a.Since) < phoneBack:
		s.move(a, Ready, "", time.Now())
		return
	}
	s.told(was, *a)
}

// SetSkills changes the skills of an agent at once, also during a call.
func (s *Service) SetSkills(id ID, skills map[string]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.agents[id]; a != nil {
		was := *a
		a.Skills = maps.Clone(skills)
		s.told(was, *a)
	}
}

// Get is the presence of one agent; one who never signed in is LoggedOut.
func (s *Service) Get(id ID) (Presence, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.agents[id]; a != nil {
		return *a, true
	}
	return Presence{Agent: id, State: LoggedOut}, false
}

// OnPhone is the agent who is signed in on a phone.
func (s *Service) OnPhone(phone string) (Presence, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id, ok := s.byPhone[phone]; ok {
		return *s.agents[id], true
	}
	return Presence{}, false
}

// All is every agent that has signed in since the installation began, sorted by name.
func (s *Service) All() []Presence {
	s.mu.Lock()
	all := make([]Presence, 0, len(s.agents))
	for _, a := range s.agents {
		all = append(all, *a)
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b Presence) int { return strings.Compare(a.Name+string(a.Agent), b.Name+string(b.Agent)) })
	return all
}

// during guards an act to the call it belongs to, so that a late event of an old call does nothing.
func (s *Service) during(call string, and func(*Presence)) func(*Presence) error {
	return func(a *Presence) error {
		if a.Call != call {
			return ErrTransition.With("%s is with another call.", a.Name)
		}
		if and != nil {
			and(a)
		}
		return nil
	}
}

// on applies an act to an agent after a check.
func (s *Service) on(id ID, act Act, check func(*Presence) error) (Presence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.agents[id]
	if a == nil {
		return Presence{}, ErrNoAgent
	}
	if _, ok := after(a.State, act); !ok {
		if act == ActReserve || act == ActDial {
			return *a, ErrNotReady.With("%s is %s.", a.Name, a.State)
		}
		return *a, ErrTransition.With("%s is %s.", a.Name, a.State)
	}
	was := *a
	if err := check(a); err != nil {
		*a = was
		return *a, err
	}
	return s.applyFrom(was, a, act, "", time.Now())
}

// apply moves an agent along life. The service is locked.
func (s *Service) apply(a *Presence, act Act, reason string, now time.Time) (Presence, error) {
	return s.applyFrom(*a, a, act, reason, now)
}

// applyFrom is apply for an act that has touched the presence already; was is how it stood before.
func (s *Service) applyFrom(was Presence, a *Presence, act Act, reason string, now time.Time) (Presence, error) {
	to, ok := after(a.State, act)
	if !ok {
		return *a, ErrTransition.With("%s is %s.", a.Name, a.State)
	}
	if to == "" {
		s.settle(was, a, now)
		return *a, nil
	}
	if to != WrapUp && a.State == WrapUp {
		s.disarmWrap(a.Agent)
	}
	if act == ActReady && a.State != Ready {
		a.FreeSince = now
	}
	s.moveFrom(was, a, to, reason, now)
	return *a, nil
}

// settle moves an agent whose call is over to the state asked for meanwhile, or Ready.
func (s *Service) settle(was Presence, a *Presence, now time.Time) {
	to, why := a.Next, a.NextWhy
	if to == "" {
		to = Ready
	}
	if to == Ready && !a.PhoneUp {
		to, why = NotReady, ReasonPhoneLost
	}
	s.moveFrom(was, a, to, why, now)
}

// move makes the change, keeps what goes with it in step, and tells it.
func (s *Service) move(a *Presence, to State, reason string, now time.Time) {
	s.moveFrom(*a, a, to, reason, now)
}

// moveFrom is move for an act that has touched the presence already: was is how it stood before, as its interval is kept.
func (s *Service) moveFrom(was Presence, a *Presence, to State, reason string, now time.Time) {
	a.State, a.Reason, a.Since = to, reason, now
	if was.State == to && was.Reason == reason && was.Phone == a.Phone && was.Call == a.Call {
		a.Since = was.Since // nothing has changed: one interval
	}
	if !to.Busy() && to != WrapUp {
		a.Call, a.Queue, a.Next, a.NextWhy = "", "", "", ""
	}
	if to != WrapUp {
		a.WrapUntil = time.Time{}
	}
	if to == LoggedOut {
		delete(s.byPhone, a.Phone)
		a.Phone, a.PhoneUp = "", false
	}
	s.told(was, *a)
}

// told writes a change down and tells the watchers.
func (s *Service) told(was, now Presence) {
	if value, err := json.Marshal(now); err == nil {
		s.journal.Put(string(now.Agent), value)
	}
	s.journal.Publish(changed(was, now))
	for _, f := range s.watch {
		f(was, now)
	}
}

func (s *Service) armWrap(id ID, d time.Duration) {
	s.disarmWrap(id)
	s.timers[id] = time.AfterFunc(max(d, 0), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if a := s.agents[id]; a != nil && a.State == WrapUp && time.Until(a.WrapUntil) < 50*time.Millisecond {
			s.settle(*a, a, time.Now())
		}
	})
}

func (s *Service) disarmWrap(id ID) {
	if t := s.timers[id]; t != nil {
		t.Stop()
		delete(s.timers, id)
	}
}

// Close stops the timers.
func (s *Service) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.timers {
		s.disarmWrap(id)
	}
}

// profile reads what signing in needs; routes and the CLI use it.
func (s *Service) profile(ctx context.Context, id ID) (Profile, error) {
	p, err := store{s.db.WithContext(ctx)}.profile(id)
	if err == nil && s.mayDial != nil {
		p.Dials, err = s.mayDial(ctx, id)
	}
	return p, err
}

// MayDial names who knows which classes of numbers a user may dial; it is asked at each sign-in. Call it before routes serve.
func (s *Service) MayDial(f func(context.Context, ID) ([]string, error)) { s.mayDial = f }
