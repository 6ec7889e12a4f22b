package webhook

import (
	"context"
	"time"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
)

// Routes registers the module's routes.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/webhook/endpoints", s.getEndpoints, auth.Can(Read), api.Summary("List webhooks"))
	api.Post(r, "/webhook/endpoints", s.postEndpoint, auth.Can(Manage), api.Status(201), api.Summary("Create a webhook; the answer shows its signing secret, once"))
	api.Get(r, "/webhook/endpoints/{id}", s.getEndpoint, auth.Can(Read), api.Summary("One webhook"))
	api.Patch(r, "/webhook/endpoints/{id}", s.patchEndpoint, auth.Can(Manage), api.Summary("Change a webhook, switch it on or off"))
	api.Delete(r, "/webhook/endpoints/{id}", s.deleteEndpoint, auth.Can(Manage), api.Summary("Remove a webhook"))
	api.Post(r, "/webhook/endpoints/{id}/secret", s.postSecret, auth.Can(Manage), api.Summary("Give a webhook a new signing secret"))
	api.Post(r, "/webhook/endpoints/{id}/test", s.postTest, auth.Can(Manage), api.Summary("Send a webhook.test event now and tell what came of it"))
	api.Post(r, "/webhook/endpoints/{id}/replay", s.postReplay, auth.Can(Manage), api.Summary("Send old events again, under their old ids"))
	api.Get(r, "/webhook/endpoints/{id}/attempts", s.getAttempts, auth.Can(Read), api.Summary("The last 100 requests of a webhook"))
}

type endpointIn struct {
	ID ID `path:"id" maxLength:"36"`
}

func (s *Service) visible(ctx context.Context, id ID, perm auth.Permission) (Endpoint, error) {
	return store{auth.Visible(ctx, s.kit.DB.WithContext(ctx), perm, "unit_id", "")}.endpoint(id)
}

func (s *Service) getEndpoints(ctx context.Context, in *struct{ api.Paging }) (api.Page[Endpoint], error) {
	return store{auth.Visible(ctx, s.kit.DB.WithContext(ctx), Read, "unit_id", "")}.endpoints(in.Paging)
}

func (s *Service) postEndpoint(ctx context.Context, in *struct {
	Body struct {
		Unit  string   `json:"unit,omitempty" maxLength:"36" doc:"It gets the events of this unit and below. Default: the asker's"`
		Name  string   `json:"name" minLength:"1" maxLength:"120"`
		URL   string   `json:"url" maxLength:"2000"`
		Types []string `json:"types,omitempty" maxItems:"100" doc:"call.> is all of module call, call.talking one type. None is all"`
	}
}) (Secret, error) {
	b := in.Body
	return s.Create(ctx, Endpoint{UnitID: b.Unit, Name: b.Name, URL: b.URL, Types: b.Types, Active: true})
}

func (s *Service) getEndpoint(ctx context.Context, in *endpointIn) (Endpoint, error) {
	return s.visible(ctx, in.ID, Read)
}

func (s *Service) patchEndpoint(ctx context.Context, in *struct {
	ID   ID `path:"id" maxLength:"36"`
	Body Change
}) (Endpoint, error) {
	return s.Update(ctx, in.ID, in.Body)
}

func (s *Service) deleteEndpoint(ctx context.Context, in *endpointIn) (api.None, error) {
	return api.None{}, s.Delete(ctx, in.ID)
}

func (s *Service) postSecret(ctx context.Context, in *endpointIn) (Secret, error) {
	return s.NewSecret(ctx, in.ID)
}

// Tested is what came of a test.
type Tested struct {
	Delivered bool   `json:"delivered"`
	Status    int    `json:"status" doc:"HTTP status; 0 when there was no answer"`
	Millis    int64  `json:"ms"`
	Error     string `json:"error,omitempty"`
	Answer    string `json:"answer,omitempty" doc:"Beginning of the answer's body"`
}

func (s *Service) postTest(ctx context.Context, in *endpointIn) (Tested, error) {
	e, err := s.visible(ctx, in.ID, Manage)
	if err != nil {
		return Tested{}, err
	}
	a := s.poster.post(ctx, e, bus.NewEvent("webhook.test", string(e.ID), map[string]string{"name": e.Name}).For(e.UnitID, ""))
	t := Tested{Delivered: a.err == nil, Status: a.status, Millis: a.took.Milliseconds(), Answer: a.body}
	if a.err != nil {
		t.Error = a.err.Error()
	}
	return t, nil
}

func (s *Service) postReplay(ctx context.Context, in *struct {
	ID   ID `path:"id" maxLength:"36"`
	Body struct {
		From time.Time `json:"from,omitzero" doc:"Events that happened not before"`
		Seq  uint64    `json:"seq,omitempty" doc:"Events from this position of the stream on"`
	}
}) (Replay, error) {
	return s.Replay(ctx, in.ID, in.Body.From, in.Body.Seq)
}

func (s *Service) getAttempts(ctx context.Context, in *struct {
	ID ID `path:"id" maxLength:"36"`
	api.Paging
}) (api.Page[Attempt], error) {
	if _, err := s.visible(ctx, in.ID, Read); err != nil {
		return api.Page[Attempt]{}, err
	}
	return store{s.kit.DB.WithContext(ctx)}.attempts(in.ID, in.Paging)
}
