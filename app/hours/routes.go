package hours

import (
	"context"
	"net/http"
	"time"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
)

// Routes registers the HTTP routes of the module.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/hours/calendars", s.getCalendars, auth.Can(PermRead), api.Summary("List calendars, with their state now"))
	api.Post(r, "/hours/calendars", s.postCalendar, auth.Can(PermManage), api.Summary("Create a calendar"), api.Status(http.StatusCreated))
	api.Get(r, "/hours/calendars/{id}", s.getCalendar, auth.Can(PermRead), api.Summary("Show a calendar, with its state at a time"))
	api.Patch(r, "/hours/calendars/{id}", s.patchCalendar, auth.Can(PermManage), api.Summary("Change a calendar"))
	api.Delete(r, "/hours/calendars/{id}", s.deleteCalendar, auth.Can(PermManage), api.Summary("Remove a calendar"))
}

// View is a calendar with its state at a time.
type View struct {
	Row
	At      time.Time `json:"at" doc:"The time that open, special and next are for"`
	Open    bool      `json:"open"`
	Special string    `json:"special,omitempty" doc:"The special date that it is"`
	Next    time.Time `json:"next,omitzero" doc:"When that changes; missing when it never does"`
}

func view(r Row, at time.Time) View {
	v := View{Row: r, At: at.UTC()}
	if c, err := NewCalendar(r.Plan); err == nil {
		v.Open, v.Special = c.Open(at), c.Special(at)
		if next, _, ok := c.Next(at); ok {
			v.Next = next.UTC()
		}
	}
	return v
}

func (s *Service) getCalendars(ctx context.Context, in *api.Paging) (api.Page[View], error) {
	page, err := api.List(auth.InTenant(ctx, s.db.WithContext(ctx), "unit_id"), *in,
		api.Key[Row]{Column: "name", Value: func(r Row) any { return r.Name }},
		api.Key[Row]{Column: "id", Value: func(r Row) any { return string(r.ID) }})
	out := api.Page[View]{Items: make([]View, len(page.Items)), Next: page.Next}
	for i, r := range page.Items {
		out.Items[i] = view(r, time.Now())
	}
	return out, err
}

func (s *Service) getCalendar(ctx context.Context, in *struct {
	ID ID        `path:"id" maxLength:"36"`
	At time.Time `query:"at" required:"false" doc:"Without it, now"`
}) (View, error) {
	r, err := take(auth.InTenant(ctx, s.db.WithContext(ctx), "unit_id"), in.ID)
	at := in.At
	if at.IsZero() {
		at = time.Now()
	}
	return view(r, at), err
}

func (s *Service) postCalendar(ctx context.Context, in *struct{ Body Edit }) (View, error) {
	r, err := s.Create(ctx, in.Body)
	return view(r, time.Now()), err
}

func (s *Service) patchCalendar(ctx context.Context, in *struct {
	ID   ID `path:"id" maxLength:"36"`
	Body Edit
}) (View, error) {
	r, err := s.Change(ctx, in.ID, in.Body)
	return view(r, time.Now()), err
}

func (s *Service) deleteCalendar(ctx context.Context, in *struct {
	ID ID `path:"id" maxLength:"36"`
}) (api.None, error) {
	return api.None{}, s.Delete(ctx, in.ID)
}
