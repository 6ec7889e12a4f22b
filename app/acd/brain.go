package acd

import (
	"slices"
	"time"

	"callplane/app/agent"
)

// ContactID names a waiting contact: the id of its call.
type ContactID string

// Contact is somebody who waits.
type Contact struct {
	ID       ContactID
	Queue    QueueID
	Joined   time.Time     // when the contact first began to wait: its place in the queue
	Priority int           // added to the queue's own
	Skills   []Requirement // asked for beside the queue's
	Offered  bool          // after a restart: somebody is rung for it already
	Again    bool          // it waited before: it is not asked again whether it may
}

// Match is an offer that the Brain decided on.
type Match struct {
	Contact ContactID
	Queue   QueueID
	Agent   agent.ID
	Phone   string
	Ring    time.Duration
	Why     Why
}

// Eject is a contact that the queue will not serve.
type Eject struct {
	Contact ContactID
	Reason  string // closed, empty, full or timeout
	Action  Action
}

// Brain knows every queue, the agents who serve it and the contacts who wait, and decides who is offered whom. It keeps no
// clock: each method is told the time. It is not safe for use by several goroutines.
type Brain struct {
	lines    map[QueueID]*line
	seats    map[agent.ID]*seat
	contacts map[ContactID]*waiting
}

// line is a queue with who waits and who serves.
type line struct {
	Queue
	buckets map[string]*bucket // by what the contacts ask for
	offered []*waiting
	members map[agent.ID]int // priority
	ready   map[agent.ID]*seat
	staffed int // members signed in
	pace    pace
}

// bucket holds the contacts of a queue that ask for the same, in the order in which they are served.
type bucket struct {
	asks  []Requirement
	queue []*waiting
}

type waiting struct {
	Contact
	rank    time.Time // joined, moved forward by priority: the lower is served first
	asks    []Requirement
	relaxAt time.Time // next relaxation; zero is none
	offered bool
	relaxed []string // skills no longer asked for
}

type seat struct {
	agent.Presence
	queues   []QueueID
	reserved bool // matched, and the presence does not show it yet
	serving  QueueID
	since    time.Time
}

// NewBrain makes a Brain that knows nothing yet.
func NewBrain() *Brain {
	return &Brain{lines: map[QueueID]*line{}, seats: map[agent.ID]*seat{}, contacts: map[ContactID]*waiting{}}
}

// SetQueue adds a queue or changes its rules; who waits keeps the place.
func (b *Brain) SetQueue(q Queue) {
	l := b.lines[q.ID]
	if l == nil {
		l = &line{buckets: map[string]*bucket{}, members: map[agent.ID]int{}, ready: map[agent.ID]*seat{}, pace: newPace()}
		b.lines[q.ID] = l
	}
	l.Queue = q
}

// DropQueue forgets a queue. Who waits in it is ejected as if it were closed.
func (b *Brain) DropQueue(id QueueID) (out []Eject) {
	l := b.lines[id]
	if l == nil {
		return nil
	}
	for _, w := range l.all() {
		out = append(out, Eject{w.ID, "closed", l.Closed})
		delete(b.contacts, w.ID)
	}
	for a := range l.members {
		if s := b.seats[a]; s != nil {
			s.queues = slices.DeleteFunc(s.queues, func(q QueueID) bool { return q == id })
		}
	}
	delete(b.lines, id)
	return out
}

// SetMembers says who serves a queue, with what priority.
func (b *Brain) SetMembers(id QueueID, members map[agent.ID]int, now time.Time) ([]Match, []Eject) {
	l := b.lines[id]
	if l == nil {
		return nil, nil
	}
	staffed := l.staffed
	for a := range l.members {
		if _, stays := members[a]; !stays {
			if s := b.seats[a]; s != nil {
				s.queues = slices.DeleteFunc(s.queues, func(q QueueID) bool { return q == id })
			}
		}
	}
	l.members = members
	clear(l.ready)
	l.staffed = 0
	for a := range members {
		s := b.seat(a)
		if !slices.Contains(s.queues, id) {
			s.queues = append(s.queues, id)
		}
		if s.State.Staffed() {
			l.staffed++
		}
		if s.free() {
			l.ready[a] = s
		}
	}
	if staffed > 0 && l.staffed == 0 {
		return nil, b.empty(l)
	}
	return b.serve(l, now), nil
}

func (b *Brain) seat(id agent.ID) *seat {
	s := b.seats[id]
	if s == nil {
		s = &seat{Presence: agent.Presence{Agent: id, State: agent.LoggedOut}}
		b.seats[id] = s
	}
	return s
}

func (s *seat) free() bool { return s.State == agent.Ready && s.PhoneUp && !s.reserved }

// SetAgent tells the Brain an agent's presence. An agent who became free is matched; when the last one of a queue signs
// out, those who wait are ejected with the queue's empty action.
func (b *Brain) SetAgent(p agent.Presence, now time.Time) (matches []Match, ejects []Eject) {
	s := b.seat(p.Agent)
	was := s.Presence
	s.Presence = p
	if p.State != agent.Ready {
		s.reserved = false
	}
	b.measure(s, was, now)
	for _, q := range s.queues {
		l := b.lines[q]
		if was.State.Staffed() != p.State.Staffed() {
			if p.State.Staffed() {
				l.staffed++
			} else if l.staffed--; l.staffed == 0 {
				ejects = append(ejects, b.empty(l)...)
			}
		}
		if s.free() {
			l.ready[p.Agent] = s
		} else {
			delete(l.ready, p.Agent)
		}
	}
	if s.free() {
		if m, ok := b.forAgent(s, now); ok {
			matches = append(matches, m)
		}
	}
	return matches, ejects
}

func (b *Brain) empty(l *line) (out []Eject) {
	for _, w := range l.all() {
		if w.offered {
			continue
		}
		out = append(out, Eject{w.ID, "empty", l.Empty})
		b.remove(w)
	}
	return out
}

// Join adds a contact, and returns the offer if someone is free, or why the queue does not take it.
func (b *Brain) Join(c Contact, now time.Time) (matches []Match, eject *Eject, err error) {
	l := b.lines[c.Queue]
	if l == nil {
		return nil, nil, ErrNoQueue
	}
	old := b.contacts[c.ID]
	others := l.waiting()
	if old != nil && old.Queue == l.ID {
		others--
	}
	switch {
	case c.Offered:
	case !l.Open && !c.Again:
		return nil, &Eject{c.ID, "closed", l.Closed}, nil
	case l.staffed == 0:
		return nil, &Eject{c.ID, "empty", l.Empty}, nil
	case l.MaxWaiting > 0 && others >= l.MaxWaiting && !c.Again:
		return nil, &Eject{c.ID, "full", l.Full}, nil
	}
	if old != nil {
		b.remove(old)
	}
	w := &waiting{Contact: c, asks: asks(l.Skills, c.Skills)}
	w.rank = rank(c.Joined, l.Priority+c.Priority, l.AgeSeconds)
	w.relax(now)
	b.contacts[c.ID] = w
	if c.Offered {
		w.offered = true
		l.offered = append(l.offered, w)
		return nil, nil, nil
	}
	l.add(w)
	if m, ok := b.forContact(l, w, now); ok {
		matches = append(matches, m)
	}
	return matches, nil, nil
}

// Leave takes a contact out: it gave up, was answered, or went elsewhere.
func (b *Brain) Leave(id ContactID) {
	if w := b.contacts[id]; w != nil {
		b.remove(w)
	}
}

// Return puts an offered contact back to its place, which is in front of all who came later, and looks for another agent. When
// nobody is left to serve the queue, the contact is ejected as from an empty one.
func (b *Brain) Return(id ContactID, now time.Time) ([]Match, []Eject) {
	w := b.contacts[id]
	if w == nil || !w.offered {
		return nil, nil
	}
	l := b.lines[w.Queue]
	l.offered = slices.DeleteFunc(l.offered, func(o *waiting) bool { return o == w })
	w.offered = false
	l.add(w)
	if l.staffed == 0 {
		return nil, b.empty(l)
	}
	if m, ok := b.forContact(l, w, now); ok {
		return []Match{m}, nil
	}
	return nil, nil
}

// Refused says that the agent of a match could not be reserved: someone was faster. The Brain forgets that the agent is
// free until it hears of them again.
func (b *Brain) Refused(m Match, now time.Time) ([]Match, []Eject) {
	if s := b.seats[m.Agent]; s != nil {
		s.reserved = false
		if s.State == agent.Ready {
			s.State = agent.NotReady
		}
		for _, q := range s.queues {
			delete(b.lines[q].ready, m.Agent)
		}
	}
	return b.Return(m.Contact, now)
}

// SetPriority changes the priority of a contact that waits.
func (b *Brain) SetPriority(id ContactID, priority int) error {
	w := b.contacts[id]
	if w == nil {
		return ErrNoContact
	}
	l := b.lines[w.Queue]
	b.remove(w)
	w.Priority = priority
	w.rank = rank(w.Joined, l.Priority+priority, l.AgeSeconds)
	b.contacts[id] = w
	if w.offered {
		l.offered = append(l.offered, w)
		return nil
	}
	l.add(w)
	return nil
}

// Tick relaxes what is due and returns the offers that follow.
func (b *Brain) Tick(now time.Time) (matches []Match) {
	for _, l := range b.lines {
		for _, w := range l.due(now) {
			l.drop(w)
			w.relax(now)
			l.add(w)
			if m, ok := b.forContact(l, w, now); ok {
				matches = append(matches, m)
			}
		}
	}
	return matches
}

// NextTick is when the next requirement is relaxed, or zero.
func (b *Brain) NextTick() (next time.Time) {
	for _, w := range b.contacts {
		if !w.relaxAt.IsZero() && !w.offered && (next.IsZero() || w.relaxAt.Before(next)) {
			next = w.relaxAt
		}
	}
	return next
}

// Position is the place of a contact in its queue, from 1, and how long it will probably still wait.
func (b *Brain) Position(id ContactID, now time.Time) (position int, wait time.Duration, err error) {
	w := b.contacts[id]
	if w == nil {
		return 0, 0, ErrNoContact
	}
	l := b.lines[w.Queue]
	position = 1
	for _, o := range l.offered {
		if o != w && o.before(w) {
			position++
		}
	}
	for _, k := range l.buckets {
		i, _ := slices.BinarySearchFunc(k.queue, w, order)
		position += i
	}
	return position, l.pace.estimate(position, l.serving(b), now), nil
}

func (b *Brain) remove(w *waiting) {
	if l := b.lines[w.Queue]; l != nil {
		if w.offered {
			l.offered = slices.DeleteFunc(l.offered, func(o *waiting) bool { return o == w })
		} else {
			l.drop(w)
		}
	}
	delete(b.contacts, w.ID)
}
