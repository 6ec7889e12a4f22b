package acd

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rank is the moment from which a contact counts as waiting: each priority is worth so many seconds. Without ageing a
// priority is worth a month, more than anyone waits.
func rank(joined time.Time, priority, ageSeconds int) time.Time {
	worth := seconds(ageSeconds)
	if ageSeconds <= 0 {
		worth = 30 * 24 * time.Hour
	}
	return joined.Add(-time.Duration(priority) * worth)
}

func (w *waiting) before(o *waiting) bool { return order(w, o) < 0 }

func order(a, b *waiting) int {
	if c := a.rank.Compare(b.rank); c != 0 {
		return c
	}
	return cmp.Compare(a.ID, b.ID)
}

// asks joins two lists of requirements, keeping the higher level of each skill, sorted by name.
func asks(a, b []Requirement) []Requirement {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := append(slices.Clone(a), b...)
	slices.SortFunc(all, func(x, y Requirement) int {
		return cmp.Or(cmp.Compare(x.Skill, y.Skill), cmp.Compare(y.Level, x.Level))
	})
	return slices.CompactFunc(all, func(x, y Requirement) bool { return x.Skill == y.Skill })
}

// relax drops what need no longer be asked for, and notes when to look again.
func (w *waiting) relax(now time.Time) {
	w.relaxAt = time.Time{}
	w.asks = slices.DeleteFunc(slices.Clone(w.asks), func(r Requirement) bool {
		if r.RelaxSeconds <= 0 {
			return false
		}
		at := w.Joined.Add(seconds(r.RelaxSeconds))
		if !now.Before(at) {
			w.relaxed = append(w.relaxed, r.Skill)
			return true
		}
		if w.relaxAt.IsZero() || at.Before(w.relaxAt) {
			w.relaxAt = at
		}
		return false
	})
}

func signature(asks []Requirement) string {
	if len(asks) == 0 {
		return ""
	}
	var b strings.Builder
	for _, r := range asks {
		b.WriteString(r.Skill)
		b.WriteByte(0)
		b.WriteString(strconv.Itoa(r.Level))
		b.WriteByte(1)
	}
	return b.String()
}
