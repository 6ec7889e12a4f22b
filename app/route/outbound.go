package route

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Wanted is a call that somebody wants to place.
type Wanted struct {
	User     string // id, for the audit log; empty when the platform calls
	Unit     string
	UnitPath string // of the caller: decides trunks, calling numbers and bars
	To       string // as dialled
	From     string // calling number to show; empty is the unit's
	// Classes is what may be dialled; nil is everything, for calls of the platform itself. AllowedClasses has a person's.
	Classes []Class
	Not     []string // trunks already tried for this call
}

// Outbound is how a call leaves.
type Outbound struct {
	Trunk        string `json:"trunk"`
	Dial         string `json:"dial" doc:"Digits sent on the trunk"`
	To           string `json:"to" doc:"The number in E.164, or a short code"`
	CallerNumber string `json:"caller_number,omitempty" doc:"Calling number as sent on the trunk"`
	CallerName   string `json:"caller_name,omitempty"`
	Identity     string `json:"identity,omitempty" doc:"The calling number as it is kept"`
	Class        string `json:"class"`
	Why          string `json:"why" doc:"What led there, for people"`
}

// Live is what Outbound asks about a trunk at this moment.
type Live interface {
	Up(trunk string) bool   // false when the trunk is known not to answer
	Full(trunk string) bool // no channel is free
}

// Outbound finds how a call leaves. Errors: ErrBadNumber, ErrBarred, ErrNotAllowed, ErrCallerIdentity, ErrTrunkFull when only a
// free channel is missing, ErrNoTrunk. Emergency numbers are neither barred nor a matter of permission, and leave on any
// trunk of the unit.
func (t *Tables) Outbound(w Wanted, live Live) (Outbound, error) {
	to, public := t.read(Clean(w.To), "")
	if !public && (!dialable(to) || strings.ContainsAny(to, "+*#")) {
		return Outbound{}, ErrBadNumber.With("%q is no number that can be dialled.", w.To)
	}
	out := Outbound{To: to, Class: string(ClassOf(to, t.numbering.Country, t.numbering.Area))}
	emergency := Emergency(to, t.numbering.Country)
	if !emergency {
		if err := t.allowed(w, out); err != nil {
			return out, err
		}
	}
	id, err := t.identity(w)
	if err != nil {
		return out, err
	}
	var passed []string
	var full, hidden bool
	for _, tr := range t.order(Class(out.Class), emergency) {
		if !above(tr.UnitID, w.UnitPath) {
			continue // another tenant's or department's: not for this caller to hear about
		}
		why := ""
		shown := id
		switch {
		case !tr.Enabled:
			why = "is disabled"
		case !tr.carries(Class(out.Class)) && !emergency:
			why = "carries no " + out.Class + " calls"
		case slices.Contains(w.Not, tr.Name):
			why = "was tried"
		case !live.Up(tr.Name):
			why = "does not answer"
		case live.Full(tr.Name) && tr.WhenFull == FullBusy:
			return out, ErrTrunkFull.With("All %d channels of %s are taken.", tr.ChannelLimit, tr.Name)
		case live.Full(tr.Name):
			why, full = "is full", true
		default:
			var fits bool
			if shown, fits = t.show(tr, id, w); !fits {
				why, hidden = "does not show "+id.number, true
			}
		}
		if why != "" {
			passed = append(passed, tr.Name+" "+why)
			continue
		}
		out.Trunk, out.Dial = tr.Name, tr.calledOut.apply(to)
		out.Identity, out.CallerNumber, out.CallerName = shown.number, tr.callerOut.apply(shown.number), shown.name
		out.Why = fmt.Sprintf("%s is %s; %s carries it%s.", to, out.Class, tr.Name, prefixed("; ", passed))
		return out, nil
	}
	switch {
	case full:
		return out, ErrTrunkFull.With("No channel is free for %s%s.", to, prefixed(": ", passed))
	case hidden:
		return out, ErrCallerIdentity.With("No trunk shows %s%s.", id.number, prefixed(": ", passed))
	}
	return out, ErrNoTrunk.With("No trunk carries %s (%s)%s.", to, out.Class, prefixed(": ", passed))
}

// carries says that calls of the class may leave on the trunk.
func (t *trunk) carries(c Class) bool { return len(t.Classes) == 0 || slices.Contains(t.Classes, c) }

// order is the trunks as they are tried. In an emergency those of other classes come last, but come.
func (t *Tables) order(c Class, emergency bool) []*trunk {
	if !emergency {
		return t.trunks
	}
	fit, other := []*trunk{}, []*trunk{}
	for _, tr := range t.trunks {
		if tr.carries(c) {
			fit = append(fit, tr)
		} else {
			other = append(other, tr)
		}
	}
	return append(fit, other...)
}

func prefixed(lead string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return lead + strings.Join(list, "; ")
}

// allowed asks the bars and the caller's permission.
func (t *Tables) allowed(w Wanted, out Outbound) error {
	bars := slices.Clone(t.barred[out.To])
	home := strings.TrimPrefix(out.To, t.prefix) // as it is dialled in the country
	for _, b := range t.starts {
		if strings.HasPrefix(out.To, b.Number) || strings.HasPrefix(home, b.Number) {
			bars = append(bars, b)
		}
	}
	for _, b := range bars {
		if above(b.UnitID, w.UnitPath) {
			return ErrBarred.With("%s is barred: %s", out.To, b.Reason)
		}
	}
	if w.Classes != nil && !slices.Contains(w.Classes, Class(out.Class)) {
		return ErrNotAllowed.With("%s is %s; you may dial %s.", out.To, out.Class, cmp.Or(names(w.Classes), "nothing"))
	}
	return nil
}

func names(classes []Class) string {
	var s []string
	for _, c := range classes {
		s = append(s, string(c))
	}
	return strings.Join(s, ", ")
}

// shown is a calling number and the name that goes with it.
type shown struct {
	number, name string
	asked        bool // by the caller, so no other will do
}

// identity checks the calling number that was asked for. Empty when none was.
func (t *Tables) identity(w Wanted) (shown, error) {
	if w.From == "" {
		return shown{}, nil
	}
	number, _ := t.read(Clean(w.From), "")
	n := t.numbers[number]
	switch {
	case n == nil || !above(n.UnitID, w.UnitPath):
		return shown{}, ErrCallerIdentity.With("Rule assigned: %s is not assigned to the caller's unit.", number)
	case n.State != NumberActive:
		return shown{}, ErrCallerIdentity.With("Rule active: %s is %s.", number, n.State)
	case !n.CallerIdentity:
		return shown{}, ErrCallerIdentity.With("Rule permission: %s may not be shown as calling number.", number)
	}
	return shown{n.Number, n.Service, true}, nil
}

// show is what a trunk shows as calling number: the one asked for, if the trunk may show it; else the number of the nearest unit
// above the caller that has one, the one of this trunk if there are several; else the trunk's own; else none.
func (t *Tables) show(tr *trunk, id shown, w Wanted) (shown, bool) {
	may := func(number string) bool { return len(tr.Callers) == 0 || slices.Contains(tr.Callers, number) }
	if id.asked {
		return id, may(id.number)
	}
	units := strings.Split(strings.Trim(w.UnitPath, "/"), "/")
	for _, unit := range slices.Backward(units) {
		var best *Number
		for _, n := range t.callers[unit] {
			if may(n.Number) && (best == nil || best.Trunk != tr.Name && n.Trunk == tr.Name) {
				best = n
			}
		}
		if best != nil {
			return shown{number: best.Number, name: best.Service}, true
		}
	}
	return shown{number: tr.Caller}, true
}
