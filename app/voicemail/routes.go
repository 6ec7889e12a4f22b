package voicemail

import (
	"context"
	"net/http"
	"time"

	"callplane/app/call"
	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/voicemail/playback"
)

// Routes registers the module's routes.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/voicemail/messages", s.getMessages, auth.Can(Read), api.Summary("List messages, the latest first"))
	api.Get(r, "/voicemail/messages/{id}", s.getMessage, auth.Can(Read), api.Summary("One message"))
	api.Raw(r, http.MethodGet, "/voicemail/messages/{id}/audio", s.getAudio, auth.Can(Read), api.Produces("audio/wav"),
		api.Summary("Play a message"), api.Describe("Takes ranges. The first playing marks the message heard; each is in the audit log as voicemail.play."))
	api.Post(r, "/voicemail/messages/{id}/heard", s.postHeard, auth.Can(Read), api.Summary("Mark a message heard"))
	api.Get(r, "/voicemail/tasks", s.getTasks, auth.Can(Read), api.Summary("List tasks, what is due first first"))
	api.Get(r, "/voicemail/tasks/{id}", s.getTask, auth.Can(Read), api.Summary("One task"))
	api.Post(r, "/voicemail/tasks", s.postTask, auth.Can(Work), api.Summary("Add a follow-up task"))
	api.Post(r, "/voicemail/tasks/{id}/claim", s.postClaim, auth.Can(Work), api.Summary("Take a task on"))
	api.Post(r, "/voicemail/tasks/{id}/release", s.postRelease, auth.Can(Work), api.Summary("Give a task back"))
	api.Post(r, "/voicemail/tasks/{id}/done", s.postDone, auth.Can(Work), api.Summary("Finish a task"))
}

type messageIn struct {
	ID MessageID `path:"id" maxLength:"36"`
}

type taskIn struct {
	ID TaskID `path:"id" maxLength:"36"`
}

func (s *Service) getMessages(ctx context.Context, in *struct {
	MessageFilter
	api.Paging
}) (api.Page[Message], error) {
	return store{auth.Visible(ctx, s.kit.DB.WithContext(ctx), Read, "unit_id", "")}.messages(in.MessageFilter, in.Paging)
}

func (s *Service) getMessage(ctx context.Context, in *messageIn) (Message, error) {
	return s.Message(ctx, in.ID)
}

func (s *Service) getAudio(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Message(r.Context(), MessageID(r.PathValue("id")))
	if err != nil {
		return err
	}
	if m.State != Kept {
		return ErrNoAudio
	}
	if _, err := s.Heard(r.Context(), m.ID); err != nil {
		return err
	}
	return s.player.Serve(w, r, playback.Audio{
		File: m.File, SHA256: m.SHA256, Unit: m.UnitID, Action: "voicemail.play", Object: "voicemail.message", ID: string(m.ID),
	})
}

func (s *Service) postHeard(ctx context.Context, in *messageIn) (Message, error) {
	return s.Heard(ctx, in.ID)
}

func (s *Service) getTasks(ctx context.Context, in *struct {
	TaskFilter
	api.Paging
}) (api.Page[Task], error) {
	return store{auth.Visible(ctx, s.kit.DB.WithContext(ctx), Read, "unit_id", "owner_id")}.tasks(in.TaskFilter, in.Paging)
}

func (s *Service) getTask(ctx context.Context, in *taskIn) (Task, error) { return s.Task(ctx, in.ID) }

func (s *Service) postTask(ctx context.Context, in *struct {
	Body struct {
		Unit   string    `json:"unit,omitempty" maxLength:"36" doc:"Default: the asker's"`
		Call   call.ID   `json:"call,omitempty" maxLength:"36"`
		Queue  string    `json:"queue,omitempty" maxLength:"36"`
		Number string    `json:"number,omitempty" maxLength:"40"`
		Note   string    `json:"note" minLength:"1" maxLength:"1000"`
		Due    time.Time `json:"due,omitzero" doc:"Default: so long from now as the setting says"`
	}
}) (Task, error) {
	b := in.Body
	return s.Add(ctx, Task{UnitID: b.Unit, CallID: b.Call, QueueID: b.Queue, Number: b.Number, Note: b.Note, DueAt: b.Due})
}

func (s *Service) postClaim(ctx context.Context, in *taskIn) (Task, error) {
	return s.Claim(ctx, in.ID)
}

func (s *Service) postRelease(ctx context.Context, in *taskIn) (Task, error) {
	return s.Release(ctx, in.ID)
}

func (s *Service) postDone(ctx context.Context, in *struct {
	ID   TaskID `path:"id" maxLength:"36"`
	Body struct {
		Note string `json:"note,omitempty" maxLength:"1000" doc:"What came of it"`
	}
}) (Task, error) {
	return s.Finish(ctx, in.ID, in.Body.Note)
}
