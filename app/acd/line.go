package acd

import (
	"slices"
	"time"
)

func (l *line) add(w *waiting) {
	sig := signature(w.asks)
	k := l.buckets[sig]
	if k == nil {
		k = &bucket{asks: w.asks}
		l.buckets[sig] = k
	}
	i, _ := slices.BinarySearchFunc(k.queue, w, order)
	k.queue = slices.Insert(k.queue, i, w)
}

func (l *line) drop(w *waiting) {
	sig := signature(w.asks)
	k := l.buckets[sig]
	if k == nil {
		return
	}
	if i, ok := slices.BinarySearchFunc(k.queue, w, order); ok {
		k.queue = slices.Delete(k.queue, i, i+1)
	}
	if len(k.queue) == 0 {
		delete(l.buckets, sig)
	}
}

// all is every contact of the line, offered ones too, in the order of service.
func (l *line) all() []*waiting {
	all := slices.Clone(l.offered)
	for _, k := range l.buckets {
		all = append(all, k.queue...)
	}
	slices.SortFunc(all, order)
	return all
}

// waiting is how many wait, offered ones too.
func (l *line) waiting() int {
	n := len(l.offered)
	for _, k := range l.buckets {
		n += len(k.queue)
	}
	return n
}

// due is who has a requirement to relax.
func (l *line) due(now time.Time) (due []*waiting) {
	for _, k := range l.buckets {
		for _, w := range k.queue {
			if !w.relaxAt.IsZero() && !now.Before(w.relaxAt) {
				due = append(due, w)
			}
		}
	}
	return due
}

// suitable is who is free and meets what the contact asks for.
func (l *line) suitable(w *waiting) []Candidate {
	fit := make([]Candidate, 0, len(l.ready))
	for id, s := range l.ready {
		if len(lacks(s, w.asks)) > 0 {
			continue
		}
		fit = append(fit, Candidate{
			Agent: id, Name: s.Name, Skills: s.Skills, FreeSince: s.FreeSince, Handled: s.Handled, Priority: l.members[id],
		})
	}
	return fit
}

// serving is how many members take calls: signed in and not away.
func (l *line) serving(b *Brain) (n int) {
	for id := range l.members {
		if s := b.seats[id]; s != nil && (s.State.Busy() || s.State == "ready" || s.State == "wrap_up") {
			n++
		}
	}
	return n
}
