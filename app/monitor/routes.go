package monitor

import (
	"context"

	"callplane/app/call"
	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/pbx"
)

// Routes registers the module's routes.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/monitor/board", s.getBoard, auth.Can(See), api.Summary("Numbers of now"))
	api.Post(r, "/monitor/calls/{id}/spy", s.postSpy, auth.Can(Listen), api.Summary("Listen to a call, whisper to its agent, or barge in"),
		api.Describe("Rings the asker's phone. Asked again with another mode it switches at once. Whisper and barge need monitor:barge."))
}

func (s *Service) getBoard(ctx context.Context, _ *struct{}) (Board, error) {
	return s.Board(ctx), nil
}

func (s *Service) postSpy(ctx context.Context, in *struct {
	ID   call.ID `path:"id" maxLength:"36"`
	Body struct {
		Mode  pbx.SpyMode `json:"mode" enum:"listen,whisper,barge"`
		Phone string      `json:"phone,omitempty" maxLength:"60" doc:"Default: the one the asker is signed in on"`
	}
}) (api.None, error) {
	return api.None{}, s.Spy(ctx, in.ID, in.Body.Mode, in.Body.Phone)
}
