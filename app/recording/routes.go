package recording

import (
	"context"
	"net/http"
	"time"

	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/recording/wav"
	"callplane/app/voicemail/playback"
)

// Routes registers the module's routes.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/recording/recordings", s.getRecordings, auth.Can(Read), api.Summary("Search recordings, the latest first"))
	api.Get(r, "/recording/recordings/{id}", s.getRecording, auth.Can(Read), api.Summary("One recording, with its waveform"))
	api.Raw(r, http.MethodGet, "/recording/recordings/{id}/audio", s.getAudio, auth.Can(Play), api.Produces("audio/wav"),
		api.Summary("Play a recording"), api.Describe("Takes ranges. Each playing is in the audit log as recording.play."))
	api.Raw(r, http.MethodGet, "/recording/recordings/{id}/download", s.getDownload, auth.Can(Download), api.Produces("audio/wav"),
		api.Summary("Save a recording"), api.Describe("It is in the audit log as recording.export."))
	api.Post(r, "/recording/recordings/{id}/verify", s.postVerify, auth.Can(Verify), api.Timeout(5*time.Minute),
		api.Summary("Check that a recording was not altered"))
}

// Shown is a recording with its waveform.
type Shown struct {
	Recording
	Peaks [][]float64 `json:"peaks" doc:"Loudness from 0 to 1 over the whole length: customer, agents"`
}

type recordingIn struct {
	ID ID `path:"id" maxLength:"36"`
}

func (s *Service) getRecordings(ctx context.Context, in *struct {
	Filter
	api.Paging
}) (api.Page[Recording], error) {
	return s.visible(ctx, Read).list(in.Filter, in.Paging)
}

func (s *Service) getRecording(ctx context.Context, in *recordingIn) (Shown, error) {
	r, err := s.Get(ctx, in.ID)
	return Shown{r, wav.PeaksOf(r.Peaks, 2).Percent()}, err
}

func (s *Service) getAudio(w http.ResponseWriter, r *http.Request) error {
	return s.send(w, r, Play, "recording.play", false)
}

func (s *Service) getDownload(w http.ResponseWriter, r *http.Request) error {
	return s.send(w, r, Download, "recording.export", true)
}

func (s *Service) send(w http.ResponseWriter, r *http.Request, perm auth.Permission, action string, attach bool) error {
	rec, err := s.audible(r.Context(), ID(r.PathValue("id")), perm)
	if err != nil {
		return err
	}
	a := playback.Audio{File: rec.File, SHA256: rec.SHA256, Unit: rec.UnitID, Action: action, Object: "recording", ID: string(rec.ID)}
	if attach {
		a.Attach = rec.StartedAt.Format("20060102-150405") + "-" + string(rec.CallID) + ".wav"
	}
	return s.player.Serve(w, r, a)
}

func (s *Service) postVerify(ctx context.Context, in *recordingIn) (Verdict, error) {
	return s.Verify(ctx, in.ID)
}
