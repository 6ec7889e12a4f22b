package call

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/route"
)

// Note is what people write about a call; what is not sent stays.
type Note struct {
	Summary     *string `json:"summary,omitempty" maxLength:"20000"`
	Disposition *string `json:"disposition,omitempty" maxLength:"60"`
	Resolved    *bool   `json:"resolved,omitempty"`
	Rating      *int    `json:"rating,omitempty" minimum:"1" maximum:"5"`
	Ticket      *string `json:"ticket,omitempty" maxLength:"60"`
}

func (w *Web) patchCall(ctx context.Context, in *struct {
	ByID
	Body Note
}) (Row, error) {
	if _, err := w.live(ctx, in.ID, permControl); err == nil {
		return w.calls.Note(ctx, in.ID, in.Body)
	}
	var row Row
	err := w.db.WithContext(ctx).Transaction(func(tx *gorm.DB) (err error) {
		row, err = store{auth.Visible(ctx, tx, permControl, "unit_id", "agent_id")}.call(in.ID)
		if err != nil {
			return err
		}
		was := row
		in.Body.apply(&row)
		err = tx.Model(&Row{}).Where("id = ?", in.ID).Select("summary", "disposition", "resolved", "rating", "ticket").Updates(&row).Error
		if err != nil {
			return err
		}
		return audit.Add(ctx, tx, audit.Entry{Action: "call.note", Object: "call", ObjectID: string(in.ID), Unit: auth.UnitID(row.UnitID), Before: was, After: row})
	})
	return row, err
}

// merge adds what is written later.
func (n *Note) merge(later Note) {
	if later.Summary != nil {
		n.Summary = later.Summary
	}
	if later.Disposition != nil {
		n.Disposition = later.Disposition
	}
	if later.Resolved != nil {
		n.Resolved = later.Resolved
	}
	if later.Rating != nil {
		n.Rating = later.Rating
	}
	if later.Ticket != nil {
		n.Ticket = later.Ticket
	}
}

func (n Note) apply(row *Row) {
	if n.Summary != nil {
		row.Summary = *n.Summary
	}
	if n.Disposition != nil {
		row.Disposition = *n.Disposition
	}
	if n.Resolved != nil {
		row.Resolved = n.Resolved
	}
	if n.Rating != nil {
		row.Rating = n.Rating
	}
	if n.Ticket != nil {
		row.Ticket = *n.Ticket
	}
}

// Abandoned is a caller who gave up waiting.
type Abandoned struct {
	EntryRow
	From     string `json:"from" gorm:"column:from_number"`
	FromName string `json:"from_name"`
	Service  string `json:"service"`
}

func (w *Web) getAbandoned(ctx context.Context, in *struct {
	Queue string    `query:"queue" required:"false"`
	Short string    `query:"short" required:"false" enum:"true,false" doc:"Only those below, or from, the queue's limit"`
	Open  string    `query:"open" required:"false" enum:"true,false" doc:"Only those nobody has called back"`
	From  time.Time `query:"from" required:"false"`
	To    time.Time `query:"to" required:"false"`
	api.Paging
}) (api.Page[Abandoned], error) {
	q := auth.Visible(ctx, w.db.WithContext(ctx).Table("call_queue_entries e"), permAbandoned, "e.unit_id", "").
		Select("e.*, c.from_number, c.from_name, c.service").Joins("JOIN call_calls c ON c.id = e.call_id").Where("e.result = ?", "abandoned")
	if in.Queue != "" {
		q = q.Where("e.queue_id = ?", in.Queue)
	}
	if in.Short != "" {
		q = q.Where("e.short = ?", in.Short == "true")
	}
	if in.Open == "true" {
		q = q.Where("e.called_back_at IS NULL")
	}
	if !in.From.IsZero() {
		q = q.Where("e.joined_at >= ?", in.From.UTC())
	}
	if !in.To.IsZero() {
		q = q.Where("e.joined_at < ?", in.To.UTC())
	}
	return api.List(q, in.Paging,
		api.Key[Abandoned]{Column: "e.joined_at", Desc: true, Value: func(a Abandoned) any { return a.JoinedAt }},
		api.Key[Abandoned]{Column: "e.call_id", Desc: true, Value: func(a Abandoned) any { return string(a.CallID) }},
		api.Key[Abandoned]{Column: "e.no", Value: func(a Abandoned) any { return a.No }})
}

func (w *Web) postCallBack(ctx context.Context, in *struct {
	ByID
	No int `path:"no"`
}) (Live, error) {
	var row Row
	err := auth.Visible(ctx, w.db.WithContext(ctx), permAbandoned, "unit_id", "").Where("id = ?", in.ID).Take(&row).Error
	if err != nil {
		return Live{}, err
	}
	if row.FromNumber == "" {
		return Live{}, route.ErrBadNumber.With("The caller withheld the number.")
	}
	res := w.db.WithContext(ctx).Model(&EntryRow{}).Where("call_id = ? AND no = ? AND called_back_at IS NULL", in.ID, in.No).
		Updates(map[string]any{"called_back_at": db.Now(), "called_back_by": auth.From(ctx).UserID})
	if res.Error != nil {
		return Live{}, res.Error
	}
	if res.RowsAffected == 0 {
		return Live{}, ErrTransition.With("Somebody has called back already.")
	}
	l, err := w.dial(ctx, callBody{To: row.FromNumber})
	if err != nil { // nobody called after all
		undo := w.db.WithContext(context.WithoutCancel(ctx)).Model(&EntryRow{}).Where("call_id = ? AND no = ?", in.ID, in.No).
			Updates(map[string]any{"called_back_at": nil, "called_back_by": ""}).Error
		return l, errors.Join(err, undo)
	}
	return l, nil
}
