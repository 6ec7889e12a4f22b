package route

import (
	"context"
	"crypto/rand"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/pbx"
)

// PhoneEdit is a new phone, or what is to change of one: what is not sent stays as it is.
type PhoneEdit struct {
	Unit   *string  `json:"unit,omitempty" maxLength:"36" doc:"The unit it belongs to; without it, your own"`
	Name   *string  `json:"name,omitempty" maxLength:"40" doc:"SIP user name, of a-z, 0-9 and dash; needed for a new one, and cannot be changed"`
	Label  *string  `json:"label,omitempty" maxLength:"100"`
	WebRTC *bool    `json:"webrtc,omitempty"`
	Owner  *string  `json:"owner,omitempty" maxLength:"36" doc:"User who alone may sign in on it; empty is free seating"`
	Codecs []string `json:"codecs,omitempty" maxItems:"20"`
}

func (p *Phone) edit(st store, e PhoneEdit) error {
	put(&p.UnitID, e.Unit)
	put(&p.Label, e.Label)
	put(&p.WebRTC, e.WebRTC)
	put(&p.Owner, e.Owner)
	putList(&p.Codecs, e.Codecs)
	var f faults
	if e.Owner != nil {
		if err := st.knows(&f, "owner", p.Owner, st.user); err != nil {
			return err
		}
	}
	return f.err()
}

// password makes a phone's password: 26 characters, 128 bits.
func password() string { return rand.Text() }

// CreatePhone adds a phone and makes its password. Errors: problem.ErrInvalid, ErrTaken.
func (s *Service) CreatePhone(ctx context.Context, e PhoneEdit) (Phone, error) {
	p := Phone{ID: PhoneID(db.ID()), UnitID: string(auth.From(ctx).UnitID), Password: password(), CreatedAt: db.Now(), UpdatedAt: db.Now()}
	err := create(ctx, s, &p, func(st store) error {
		put(&p.Name, e.Name)
		if err := p.edit(st, e); err != nil {
			return err
		}
		return st.freeName(&Trunk{}, p.Name)
	})
	return p, err
}

// ChangePhone changes a phone. Errors: problem.ErrNotFound, problem.ErrInvalid.
func (s *Service) ChangePhone(ctx context.Context, id PhoneID, e PhoneEdit) (Phone, error) {
	return update(ctx, s, string(id), func(st store, p *Phone) error {
		if e.Name != nil && *e.Name != p.Name {
			return fixed("name")
		}
		p.UpdatedAt = db.Now()
		return p.edit(st, e)
	})
}

// ResetPhone gives the phone a new password; with the old one it can no longer register. Error: problem.ErrNotFound.
func (s *Service) ResetPhone(ctx context.Context, id PhoneID) (Phone, error) {
	return update(ctx, s, string(id), func(_ store, p *Phone) error {
		p.Password, p.UpdatedAt = password(), db.Now()
		return nil
	})
}

// DeletePhone removes a phone. Error: problem.ErrNotFound.
func (s *Service) DeletePhone(ctx context.Context, id PhoneID) error {
	return remove[Phone](ctx, s, string(id), nil)
}

// PhoneView is a phone with its state of this moment.
type PhoneView struct {
	Phone
	SIPUser string        `json:"sip_user" doc:"The name it registers under"`
	State   pbx.LineState `json:"state" enum:"up,down,unknown" doc:"Whether it is registered"`
}

// PhoneSecret is a phone with its password, which is shown once.
type PhoneSecret struct {
	PhoneView
	Secret string `json:"password" doc:"Shown this once; make a new one if it is lost"`
}

func (s *Service) phoneView(p Phone) PhoneView {
	return PhoneView{p, pbx.SIPUser(p.Name), s.lines.get(p.Name)}
}

func (s *Service) getPhones(ctx context.Context, in *struct {
	Query   string `query:"q" maxLength:"60" required:"false" doc:"Part of the name or the label"`
	Unit    string `query:"unit" maxLength:"36" required:"false"`
	Seating string `query:"seating" enum:"free,owned,mine" required:"false" doc:"free: anyone may sign in; mine: free ones and your own"`
	api.Paging
}) (api.Page[PhoneView], error) {
	q := auth.Visible(ctx, s.db.WithContext(ctx), PermUse, "unit_id", "owner_id")
	if in.Query != "" {
		q = q.Where("(name LIKE ? ESCAPE '!' OR label LIKE ? ESCAPE '!')", like(in.Query), like(in.Query))
	}
	if in.Unit != "" {
		q = q.Where("unit_id = ?", in.Unit)
	}
	switch in.Seating {
	case "free":
		q = q.Where("owner_id = ''")
	case "owned":
		q = q.Where("owner_id <> ''")
	case "mine":
		q = q.Where("owner_id IN ('', ?)", auth.From(ctx).UserID)
	}
	page, err := api.List(q, in.Paging, api.Key[Phone]{Column: "name", Value: func(p Phone) any { return p.Name }})
	out := api.Page[PhoneView]{Items: make([]PhoneView, len(page.Items)), Next: page.Next}
	for i, p := range page.Items {
		out.Items[i] = s.phoneView(p)
	}
	return out, err
}

func (s *Service) getPhone(ctx context.Context, in *struct {
	ID PhoneID `path:"id" maxLength:"36"`
}) (PhoneView, error) {
	p, err := one[Phone](ctx, store{s.db.WithContext(ctx)}, string(in.ID), PermUse)
	return s.phoneView(p), err
}

func (s *Service) postPhone(ctx context.Context, in *struct{ Body PhoneEdit }) (PhoneSecret, error) {
	p, err := s.CreatePhone(ctx, in.Body)
	return PhoneSecret{s.phoneView(p), p.Password}, err
}

func (s *Service) patchPhone(ctx context.Context, in *struct {
	ID   PhoneID `path:"id" maxLength:"36"`
	Body PhoneEdit
}) (PhoneView, error) {
	p, err := s.ChangePhone(ctx, in.ID, in.Body)
	return s.phoneView(p), err
}

func (s *Service) postPassword(ctx context.Context, in *struct {
	ID PhoneID `path:"id" maxLength:"36"`
}) (PhoneSecret, error) {
	p, err := s.ResetPhone(ctx, in.ID)
	return PhoneSecret{s.phoneView(p), p.Password}, err
}

func (s *Service) deletePhone(ctx context.Context, in *struct {
	ID PhoneID `path:"id" maxLength:"36"`
}) (api.None, error) {
	return api.None{}, s.DeletePhone(ctx, in.ID)
}
