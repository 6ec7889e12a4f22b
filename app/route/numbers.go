package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// NumberEdit is a new number, or what is to change of one: what is not sent stays as it is.
type NumberEdit struct {
	Unit           *string `json:"unit,omitempty" maxLength:"36" doc:"The unit it belongs to; without it, your own"`
	Number         *string `json:"number,omitempty" maxLength:"40" doc:"In any notation; needed for a new one, and cannot be changed"`
	Service        *string `json:"service,omitempty" maxLength:"100"`
	Carrier        *string `json:"carrier,omitempty" maxLength:"100"`
	Trunk          *string `json:"trunk,omitempty" maxLength:"40"`
	Purpose        *string `json:"purpose,omitempty" maxLength:"100"`
	State          *string `json:"state,omitempty" enum:"active,reserved,suspended" doc:"Without it, a new number is active"`
	CallerIdentity *bool   `json:"caller_identity,omitempty"`
	Language       *string `json:"language,omitempty" maxLength:"10"`
	Flow           *string `json:"flow,omitempty" maxLength:"36"`
	Rules          []Rule  `json:"rules,omitempty" maxItems:"50"`
}

func (s *Service) editNumber(st store, n *Number, e NumberEdit) error {
	put(&n.UnitID, e.Unit)
	put(&n.Service, e.Service)
	put(&n.Carrier, e.Carrier)
	put(&n.Trunk, e.Trunk)
	put(&n.Purpose, e.Purpose)
	put(&n.State, e.State)
	put(&n.CallerIdentity, e.CallerIdentity)
	put(&n.Language, e.Language)
	put(&n.Flow, e.Flow)
	putList(&n.Rules, e.Rules)
	var f faults
	if e.Trunk != nil {
		if err := st.knows(&f, "trunk", n.Trunk, st.trunk); err != nil {
			return err
		}
	}
	if e.Flow != nil {
		if err := st.knows(&f, "flow", n.Flow, st.flow); err != nil {
			return err
		}
	}
	for i, r := range e.Rules {
		at := fmt.Sprintf("rules[%d]", i)
		err := cmp.Or(st.knows(&f, at+".trunk", r.Trunk, st.trunk), st.knows(&f, at+".calendar", string(r.Calendar), st.calendar),
			st.knows(&f, at+".flow", r.Flow, st.flow))
		if err != nil {
			return err
		}
	}
	return f.err()
}

// knows adds a fault when what is named is not there.
func (s store) knows(f *faults, field, name string, there func(string) (bool, error)) error {
	if name == "" {
		return nil
	}
	ok, err := there(name)
	if err == nil && !ok {
		f.add(field, "There is no %s %q.", field[strings.LastIndexByte(field, '.')+1:], name)
	}
	return err
}

// CreateNumber adds a number, which is in use at once. Errors: problem.ErrInvalid, ErrTaken.
func (s *Service) CreateNumber(ctx context.Context, e NumberEdit) (Number, error) {
	n := Number{ID: NumberID(db.ID()), UnitID: string(auth.From(ctx).UnitID), State: NumberActive, CreatedAt: db.Now(), UpdatedAt: db.Now()}
	err := create(ctx, s, &n, func(st store) error {
		if e.Number != nil {
			n.Number = s.kept(*e.Number)
		}
		return s.editNumber(st, &n, e)
	})
	return n, err
}

// ChangeNumber changes a number. Errors: problem.ErrNotFound, problem.ErrInvalid.
func (s *Service) ChangeNumber(ctx context.Context, id NumberID, e NumberEdit) (Number, error) {
	return update(ctx, s, string(id), func(st store, n *Number) error {
		if e.Number != nil && s.kept(*e.Number) != n.Number {
			return fixed("number")
		}
		n.UpdatedAt = db.Now()
		return s.editNumber(st, n, e)
	})
}

// DeleteNumber removes a number. Error: problem.ErrNotFound.
func (s *Service) DeleteNumber(ctx context.Context, id NumberID) error {
	return remove[Number](ctx, s, string(id), nil)
}

func (s *Service) getNumbers(ctx context.Context, in *struct {
	Query string `query:"q" maxLength:"60" required:"false" doc:"Part of the number or the service"`
	Unit  string `query:"unit" maxLength:"36" required:"false"`
	State string `query:"state" enum:"active,reserved,suspended" required:"false"`
	api.Paging
}) (api.Page[Number], error) {
	q := auth.Visible(ctx, s.db.WithContext(ctx), PermRead, "unit_id", "")
	if in.Query != "" {
		q = q.Where("(number LIKE ? ESCAPE '!' OR number LIKE ? ESCAPE '!' OR service LIKE ? ESCAPE '!')",
			like(Clean(in.Query)), like(s.kept(in.Query)), like(in.Query))
	}
	if in.Unit != "" {
		q = q.Where("unit_id = ?", in.Unit)
	}
	if in.State != "" {
		q = q.Where("state = ?", in.State)
	}
	return api.List(q, in.Paging, api.Key[Number]{Column: "number", Value: func(n Number) any { return n.Number }})
}

func (s *Service) getNumber(ctx context.Context, in *struct {
	ID NumberID `path:"id" maxLength:"36"`
}) (Number, error) {
	return one[Number](ctx, store{s.db.WithContext(ctx)}, string(in.ID), PermRead)
}

func (s *Service) postNumber(ctx context.Context, in *struct{ Body NumberEdit }) (Number, error) {
	return s.CreateNumber(ctx, in.Body)
}

func (s *Service) patchNumber(ctx context.Context, in *struct {
	ID   NumberID `path:"id" maxLength:"36"`
	Body NumberEdit
}) (Number, error) {
	return s.ChangeNumber(ctx, in.ID, in.Body)
}

func (s *Service) deleteNumber(ctx context.Context, in *struct {
	ID NumberID `path:"id" maxLength:"36"`
}) (api.None, error) {
	return api.None{}, s.DeleteNumber(ctx, in.ID)
}

// Trial asks where a call would go.
type Trial struct {
	Direction string    `json:"direction" enum:"in,out"`
	To        string    `json:"to" maxLength:"100" doc:"As dialled"`
	From      string    `json:"from,omitempty" maxLength:"100" doc:"Calling number: of the caller, or the one to show"`
	Withheld  bool      `json:"withheld,omitempty"`
	Trunk     string    `json:"trunk,omitempty" maxLength:"40" doc:"in: the trunk it comes on"`
	Phone     string    `json:"phone,omitempty" maxLength:"40" doc:"in: the phone it is dialled on"`
	At        time.Time `json:"at,omitzero" doc:"in: when; without it, now"`
	Unit      string    `json:"unit,omitempty" maxLength:"36" doc:"out: who calls; without it, you"`
	Classes   []Class   `json:"classes,omitempty" maxItems:"4" doc:"out: what the caller may dial; without it, what you may"`
}

// Verdict is where it would go, or why nowhere.
type Verdict struct {
	Inbound  *Inbound  `json:"inbound,omitempty"`
	Outbound *Outbound `json:"outbound,omitempty"`
	Reason   string    `json:"reason,omitempty" doc:"Name of the problem, when the call goes nowhere"`
	Detail   string    `json:"detail,omitempty" doc:"What is wrong, for people"`
}

// Try says where a call would go, and why; nothing is dialled, counted or written down.
func (s *Service) Try(ctx context.Context, t Trial) (v Verdict, err error) {
	p := auth.From(ctx)
	if t.Direction == "in" {
		in, err := s.tables.Load().Inbound(Asked{t.To, t.From, "", t.Withheld, t.Trunk, t.Phone, t.At}, s.hours)
		if in.Number != "" && !p.MayUse(PermRead, in.Unit, "") {
			in, err = Inbound{}, ErrNoNumber.With("%s is none of your numbers.", in.Number)
		}
		v.Inbound = &in
		return v.or(err)
	}
	w := Wanted{Unit: string(p.UnitID), UnitPath: p.UnitPath, To: t.To, From: t.From, Classes: t.Classes}
	if t.Classes == nil {
		w.Classes = AllowedClasses(p)
	}
	if t.Unit != "" {
		if !p.MayUse(PermRead, t.Unit, "") {
			return v, problem.ErrInvalid.At("body.unit", "invalid", "There is no unit %q.", t.Unit)
		}
		w.Unit, w.UnitPath = t.Unit, s.path(t.Unit)
	}
	out, err := s.tables.Load().Outbound(w, s)
	v.Outbound = &out
	return v.or(err)
}

// or makes a problem of routing part of the verdict.
func (v Verdict) or(err error) (Verdict, error) {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return Verdict{Reason: p.Name, Detail: p.Error()}, nil
	}
	return v, err
}

func (s *Service) postTest(ctx context.Context, in *struct{ Body Trial }) (Verdict, error) {
	return s.Try(ctx, in.Body)
}
