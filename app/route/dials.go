package route

import (
	"context"
	"strings"

	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
)

// Bar adds a number, or the start of numbers, that a unit and those below may not call. unit empty is the asker's own; number is
// in any notation. Errors: problem.ErrInvalid, ErrTaken.
func (s *Service) Bar(ctx context.Context, unit, number string, prefix bool, reason string) (Barred, error) {
	b := Barred{ID: BarredID(db.ID()), UnitID: unit, Prefix: prefix, Reason: reason, CreatedAt: db.Now()}
	if unit == "" {
		b.UnitID = string(auth.From(ctx).UnitID)
	}
	if b.Number = s.kept(number); prefix {
		b.Number = s.start(number)
	}
	return b, create(ctx, s, &b, func(store) error { return nil })
}

// start is the start of numbers as it is kept: 00852 is +852, 010 is +8610.
func (s *Service) start(raw string) string {
	d := Clean(raw)
	if rest, ok := strings.CutPrefix(d, "00"); ok {
		return "+" + rest
	}
	if rest, ok := strings.CutPrefix(d, "0"); ok {
		return s.tables.Load().prefix + rest
	}
	return d
}

// Unbar removes an entry of the list of barred numbers. Error: problem.ErrNotFound.
func (s *Service) Unbar(ctx context.Context, id BarredID) error {
	return remove[Barred](ctx, s, string(id), nil)
}

// BarredEdit is a new entry of the list of barred numbers, or what is to change of one.
type BarredEdit struct {
	Unit   *string `json:"unit,omitempty" maxLength:"36" doc:"It and all units below may not call this; without it, your own"`
	Number *string `json:"number,omitempty" maxLength:"40" doc:"In any notation; needed for a new one, and cannot be changed"`
	Prefix *bool   `json:"prefix,omitempty" doc:"All numbers that begin so; cannot be changed"`
	Reason *string `json:"reason,omitempty" maxLength:"200"`
}

func (s *Service) getBarreds(ctx context.Context, in *api.Paging) (api.Page[Barred], error) {
	q := auth.Visible(ctx, s.db.WithContext(ctx), PermRead, "unit_id", "")
	return api.List(q, *in,
		api.Key[Barred]{Column: "number", Value: func(b Barred) any { return b.Number }},
		api.Key[Barred]{Column: "id", Value: func(b Barred) any { return string(b.ID) }})
}

func (s *Service) getBarred(ctx context.Context, in *struct {
	ID BarredID `path:"id" maxLength:"36"`
}) (Barred, error) {
	return one[Barred](ctx, store{s.db.WithContext(ctx)}, string(in.ID), PermRead)
}

func (s *Service) postBarred(ctx context.Context, in *struct{ Body BarredEdit }) (Barred, error) {
	var b Barred
	put(&b.UnitID, in.Body.Unit)
	put(&b.Number, in.Body.Number)
	put(&b.Prefix, in.Body.Prefix)
	put(&b.Reason, in.Body.Reason)
	return s.Bar(ctx, b.UnitID, b.Number, b.Prefix, b.Reason)
}

func (s *Service) patchBarred(ctx context.Context, in *struct {
	ID   BarredID `path:"id" maxLength:"36"`
	Body BarredEdit
}) (Barred, error) {
	return update(ctx, s, string(in.ID), func(_ store, b *Barred) error {
		if in.Body.Number != nil && s.kept(*in.Body.Number) != b.Number && s.start(*in.Body.Number) != b.Number {
			return fixed("number")
		}
		if in.Body.Prefix != nil && *in.Body.Prefix != b.Prefix {
			return fixed("prefix")
		}
		put(&b.UnitID, in.Body.Unit)
		put(&b.Reason, in.Body.Reason)
		return nil
	})
}

func (s *Service) deleteBarred(ctx context.Context, in *struct {
	ID BarredID `path:"id" maxLength:"36"`
}) (api.None, error) {
	return api.None{}, s.Unbar(ctx, in.ID)
}

// SpeedDialEdit is a new speed dial, or what is to change of one: what is not sent stays as it is.
type SpeedDialEdit struct {
	Shared bool    `json:"shared,omitempty" doc:"New: for everyone in the unit and below; otherwise your own"`
	Unit   *string `json:"unit,omitempty" maxLength:"36" doc:"Shared: the unit; without it, your own"`
	Key    *string `json:"key,omitempty" maxLength:"20"`
	Label  *string `json:"label,omitempty" maxLength:"100"`
	Number *string `json:"number,omitempty" maxLength:"40"`
}

func (d *SpeedDial) edit(e SpeedDialEdit) {
	if d.Owner == "" {
		put(&d.UnitID, e.Unit)
	}
	put(&d.Key, e.Key)
	put(&d.Label, e.Label)
	put(&d.Number, e.Number)
}

// visibleDials narrows to the asker's own speed dials and those for their unit; who manages shared ones sees these too.
func visibleDials(ctx context.Context, q *gorm.DB) *gorm.DB {
	p := auth.From(ctx)
	if p.Kind == auth.Platform {
		return q
	}
	fresh := func() *gorm.DB { return q.Session(&gorm.Session{NewDB: true}) }
	mine := fresh().Where("owner_id <> '' AND owner_id = ?", p.UserID).
		Or("owner_id = '' AND unit_id IN ?", strings.Split(strings.Trim(p.UnitPath, "/"), "/"))
	if p.Can(PermManage) {
		mine = mine.Or(auth.Visible(ctx, fresh(), PermManage, "unit_id", "").Where("owner_id = ''"))
	}
	return q.Where(mine)
}

func (s *Service) getDials(ctx context.Context, in *api.Paging) (api.Page[SpeedDial], error) {
	return api.List(visibleDials(ctx, s.db.WithContext(ctx)), *in,
		api.Key[SpeedDial]{Column: "key_name", Value: func(d SpeedDial) any { return d.Key }},
		api.Key[SpeedDial]{Column: "id", Value: func(d SpeedDial) any { return string(d.ID) }})
}

func (s *Service) getDial(ctx context.Context, in *struct {
	ID SpeedDialID `path:"id" maxLength:"36"`
}) (SpeedDial, error) {
	return one[SpeedDial](ctx, store{s.db.WithContext(ctx)}, string(in.ID), PermUse)
}

func (s *Service) postDial(ctx context.Context, in *struct{ Body SpeedDialEdit }) (SpeedDial, error) {
	p := auth.From(ctx)
	d := SpeedDial{ID: SpeedDialID(db.ID()), UnitID: string(p.UnitID), Owner: string(p.UserID), CreatedAt: db.Now(), UpdatedAt: db.Now()}
	if in.Body.Shared {
		d.Owner = ""
	}
	d.edit(in.Body)
	return d, create(ctx, s, &d, func(store) error { return nil })
}

func (s *Service) patchDial(ctx context.Context, in *struct {
	ID   SpeedDialID `path:"id" maxLength:"36"`
	Body SpeedDialEdit
}) (SpeedDial, error) {
	return update(ctx, s, string(in.ID), func(_ store, d *SpeedDial) error {
		d.edit(in.Body)
		d.UpdatedAt = db.Now()
		return nil
	})
}

func (s *Service) deleteDial(ctx context.Context, in *struct {
	ID SpeedDialID `path:"id" maxLength:"36"`
}) (api.None, error) {
	return api.None{}, remove[SpeedDial](ctx, s, string(in.ID), nil)
}
