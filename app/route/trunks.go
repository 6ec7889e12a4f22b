package route

import (
	"context"
	"strings"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
	"callplane/app/pbx"
)

// TrunkEdit is a new trunk, or what is to change of one: what is not sent stays as it is.
type TrunkEdit struct {
	Unit           *string  `json:"unit,omitempty" maxLength:"36" doc:"The unit it belongs to; without it, your own"`
	Name           *string  `json:"name,omitempty" maxLength:"40" doc:"Its name on the switch, of a-z, 0-9 and dash; needed for a new one, and cannot be changed"`
	Label          *string  `json:"label,omitempty" maxLength:"100"`
	Host           *string  `json:"host,omitempty" maxLength:"255" doc:"Far end: host or host:port"`
	Addresses      []string `json:"addresses,omitempty" maxItems:"100"`
	User           *string  `json:"user,omitempty" maxLength:"100"`
	Password       *string  `json:"password,omitempty" maxLength:"100" doc:"Never shown again"`
	Register       *bool    `json:"register,omitempty"`
	Codecs         []string `json:"codecs,omitempty" maxItems:"20"`
	QualifySeconds *int     `json:"qualify_seconds,omitempty"`
	Enabled        *bool    `json:"enabled,omitempty" doc:"Without it, a new trunk is enabled"`
	ChannelLimit   *int     `json:"channel_limit,omitempty"`
	WhenFull       *string  `json:"when_full,omitempty" enum:"overflow,busy"`
	Classes        []Class  `json:"classes,omitempty" maxItems:"4"`
	Priority       *int     `json:"priority,omitempty" minimum:"-1000" maximum:"1000"`
	Country        *string  `json:"country,omitempty" maxLength:"2"`
	Formats        *Formats `json:"formats,omitempty"`
	Callers        []string `json:"callers,omitempty" maxItems:"1000"`
	Caller         *string  `json:"caller,omitempty" maxLength:"20"`
}

// put changes *field if there is a value.
func put[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// putList is put for lists; an empty list is a value.
func putList[T any](field *[]T, value []T) {
	if value != nil {
		*field = value
	}
}

func (s *Service) editTrunk(t *Trunk, e TrunkEdit) {
	put(&t.UnitID, e.Unit)
	put(&t.Label, e.Label)
	put(&t.Host, e.Host)
	putList(&t.Addresses, e.Addresses)
	put(&t.User, e.User)
	put(&t.Password, e.Password)
	put(&t.Register, e.Register)
	putList(&t.Codecs, e.Codecs)
	put(&t.QualifySeconds, e.QualifySeconds)
	put(&t.Enabled, e.Enabled)
	put(&t.ChannelLimit, e.ChannelLimit)
	put(&t.WhenFull, e.WhenFull)
	putList(&t.Classes, e.Classes)
	put(&t.Priority, e.Priority)
	put(&t.Country, e.Country)
	put(&t.Formats, e.Formats)
	if e.Callers != nil {
		t.Callers = nil
		for _, n := range e.Callers {
			t.Callers = append(t.Callers, s.kept(n))
		}
	}
	if e.Caller != nil {
		t.Caller = s.kept(*e.Caller)
	}
}

// kept is a number as it is kept: in E.164 if it is a public one.
func (s *Service) kept(raw string) string {
	n, _ := s.tables.Load().read(Clean(raw), "")
	return n
}

// CreateTrunk adds a trunk, which is in use at once. Errors: problem.ErrInvalid, ErrTaken.
func (s *Service) CreateTrunk(ctx context.Context, e TrunkEdit) (Trunk, error) {
	t := Trunk{ID: TrunkID(db.ID()), UnitID: string(auth.From(ctx).UnitID), Enabled: true, WhenFull: FullOverflow, CreatedAt: db.Now(), UpdatedAt: db.Now()}
	err := create(ctx, s, &t, func(st store) error {
		put(&t.Name, e.Name)
		s.editTrunk(&t, e)
		return st.freeName(&Phone{}, t.Name)
	})
	return t, err
}

// ChangeTrunk changes a trunk. One that is disabled takes no call from this moment on. Errors: problem.ErrNotFound, problem.ErrInvalid.
func (s *Service) ChangeTrunk(ctx context.Context, id TrunkID, e TrunkEdit) (Trunk, error) {
	return update(ctx, s, string(id), func(_ store, t *Trunk) error {
		if e.Name != nil && *e.Name != t.Name {
			return fixed("name")
		}
		s.editTrunk(t, e)
		t.UpdatedAt = db.Now()
		return nil
	})
}

func fixed(field string) error {
	return problem.ErrInvalid.At("body."+field, "fixed", "It cannot be changed; remove this one and make another.")
}

// DeleteTrunk removes a trunk. Errors: problem.ErrNotFound; ErrInUse while a number names it.
func (s *Service) DeleteTrunk(ctx context.Context, id TrunkID) error {
	return remove(ctx, s, string(id), func(st store, t *Trunk) error {
		numbers, err := all[Number](st)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			if n.names(t.Name) {
				return ErrInUse.With("Number %s (%s) names trunk %s.", n.Number, n.Service, t.Name)
			}
		}
		return nil
	})
}

// names says that the number or one of its rules names the trunk.
func (n *Number) names(trunk string) bool {
	for _, r := range n.Rules {
		if r.Trunk == trunk {
			return true
		}
	}
	return n.Trunk == trunk
}

// TrunkView is a trunk with its state of this moment.
type TrunkView struct {
	Trunk
	HasPassword bool          `json:"has_password"`
	State       pbx.LineState `json:"state" enum:"up,down,unknown" doc:"Whether it answers OPTIONS; unknown when it is disabled"`
	Channels    int           `json:"channels" doc:"Calls on it now, in and out"`
}

func (s *Service) view(t Trunk) TrunkView {
	v := TrunkView{Trunk: t, HasPassword: t.Password != "", State: s.lines.get(t.Name), Channels: s.channels.live(t.Name)}
	if !t.Enabled {
		v.State = pbx.LineUnknown
	}
	return v
}

func (s *Service) getTrunks(ctx context.Context, in *api.Paging) (api.Page[TrunkView], error) {
	q := auth.Visible(ctx, s.db.WithContext(ctx), PermRead, "unit_id", "")
	page, err := api.List(q, *in, api.Key[Trunk]{Column: "name", Value: func(t Trunk) any { return t.Name }})
	out := api.Page[TrunkView]{Items: make([]TrunkView, len(page.Items)), Next: page.Next}
	for i, t := range page.Items {
		out.Items[i] = s.view(t)
	}
	return out, err
}

func (s *Service) getTrunk(ctx context.Context, in *struct {
	ID TrunkID `path:"id" maxLength:"36"`
}) (TrunkView, error) {
	t, err := one[Trunk](ctx, store{s.db.WithContext(ctx)}, string(in.ID), PermRead)
	return s.view(t), err
}

func (s *Service) postTrunk(ctx context.Context, in *struct{ Body TrunkEdit }) (TrunkView, error) {
	t, err := s.CreateTrunk(ctx, in.Body)
	return s.view(t), err
}

func (s *Service) patchTrunk(ctx context.Context, in *struct {
	ID   TrunkID `path:"id" maxLength:"36"`
	Body TrunkEdit
}) (TrunkView, error) {
	t, err := s.ChangeTrunk(ctx, in.ID, in.Body)
	return s.view(t), err
}

func (s *Service) deleteTrunk(ctx context.Context, in *struct {
	ID TrunkID `path:"id" maxLength:"36"`
}) (api.None, error) {
	return api.None{}, s.DeleteTrunk(ctx, in.ID)
}

// like is a pattern for LIKE … ESCAPE '!' that finds the text anywhere.
func like(text string) string {
	return "%" + strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(text) + "%"
}
