package route

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"callplane/app/hours"
)

// Asked is a call that arrived.
type Asked struct {
	To             string // as dialled
	From, FromName string // as the trunk or phone sent it
	Withheld       bool
	Trunk, Phone   string    // the line it came in on, one of the two
	At             time.Time // when; zero is now
}

// Inbound is where an arriving call goes.
type Inbound struct {
	Unit     string `json:"unit" doc:"The unit that the number belongs to"`
	UnitPath string `json:"unit_path"`
	NumberID string `json:"number_id"`
	Number   string `json:"number" doc:"The number dialled, as it is kept"`
	Service  string `json:"service"`
	Flow     string `json:"flow"`
	Language string `json:"language,omitempty"`
	From     string `json:"from,omitempty" doc:"Calling number in E.164; short and internal ones as they are; empty when withheld"`
	FromRaw  string `json:"from_raw,omitempty" doc:"Calling number as it was sent"`
	Internal bool   `json:"internal" doc:"Dialled from one of our phones"`
	Trunk    string `json:"trunk,omitempty"`
	Why      string `json:"why" doc:"What led there, for people"`
}

// Hours tells whether a calendar is open; ok is false when there is no such calendar.
type Hours interface {
	Open(id hours.ID, at time.Time) (open bool, name string, ok bool)
}

// Inbound finds where a call goes. Errors: ErrNoNumber, also when the number is not active or leads nowhere at this time;
// ErrTrunkDisabled.
func (t *Tables) Inbound(a Asked, h Hours) (Inbound, error) {
	tr := t.byName[a.Trunk]
	in := Inbound{Trunk: a.Trunk, FromRaw: a.From, Internal: a.Phone != ""}
	if tr != nil && !tr.Enabled {
		return in, ErrTrunkDisabled.With("Trunk %s is disabled.", tr.Name)
	}
	to, country := Clean(a.To), t.numbering.Country
	if tr != nil {
		to, country = tr.calledIn.apply(to), cmp.Or(tr.Country, country)
	}
	if !a.Withheld {
		in.From, _ = t.Normalise(a.From, "", a.Trunk)
	}
	number, _ := t.read(to, country)
	n := t.numbers[number]
	if n == nil {
		n = t.numbers[to] // a number kept as it is dialled
	}
	if n == nil {
		return in, ErrNoNumber.With("%s is none of our numbers%s.", cmp.Or(number, "An empty number"), readAs(a.To, number))
	}
	in.Unit, in.UnitPath, in.NumberID, in.Number = n.UnitID, t.path(n.UnitID), string(n.ID), n.Number
	in.Service, in.Language = n.Service, n.Language
	if n.State != NumberActive {
		return in, ErrNoNumber.With("%s (%s) is %s.", n.Number, n.Service, n.State)
	}
	flow, why := n.choose(a, in.From, tr, h)
	if flow == "" {
		return in, ErrNoNumber.With("%s (%s) leads to no flow%s.", n.Number, n.Service, why)
	}
	in.Flow = flow
	in.Why = fmt.Sprintf("%s is %s%s%s.", n.Number, n.Service, readAs(a.To, n.Number), why)
	return in, nil
}

func readAs(raw, number string) string {
	if Clean(raw) == number {
		return ""
	}
	return fmt.Sprintf(" (dialled as %s)", strings.TrimSpace(raw))
}

// choose takes the first rule that fits, or the number's own flow.
func (n *Number) choose(a Asked, from string, tr *trunk, h Hours) (flow, why string) {
	at := a.At
	if at.IsZero() {
		at = time.Now()
	}
	var passed []string
	for i, r := range n.Rules {
		what, ok := r.fits(a.Trunk, from, at, h)
		if ok {
			return r.Flow, fmt.Sprintf("; rule %d fits (%s)", i+1, what)
		}
		passed = append(passed, fmt.Sprintf("rule %d: %s", i+1, what))
	}
	if n.Flow != "" {
		why = "; its own flow"
	}
	if len(passed) > 0 {
		why += "; " + strings.Join(passed, "; ")
	}
	return n.Flow, why
}

// fits says whether a call is one for the rule, and what of it fits, or the first thing that does not.
func (r Rule) fits(trunk, from string, at time.Time, h Hours) (what string, ok bool) {
	var fit []string
	if r.Trunk != "" {
		if r.Trunk != trunk {
			return "not on trunk " + r.Trunk, false
		}
		fit = append(fit, "on trunk "+r.Trunk)
	}
	if r.Caller == CallerWithheld {
		if from != "" {
			return "the caller shows a number", false
		}
		fit = append(fit, "the caller shows no number")
	} else if r.Caller != "" {
		if !strings.HasPrefix(from, r.Caller) {
			return "the caller is not from " + r.Caller, false
		}
		fit = append(fit, "the caller is from "+r.Caller)
	}
	if r.Calendar != "" {
		open, name, known := h.Open(r.Calendar, at)
		state := map[bool]string{true: whenOpen, false: whenClosed}[open]
		switch {
		case !known:
			return "its calendar is gone", false
		case state != cmp.Or(r.When, whenOpen):
			return name + " is " + state, false
		}
		fit = append(fit, name+" is "+state)
	}
	if len(fit) == 0 {
		return "for every call", true
	}
	return strings.Join(fit, ", "), true
}
