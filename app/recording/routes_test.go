package recording

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/call"
	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db/dbtest"
)

// person is somebody with a preset role; the login is also the token.
func person(login, preset string, unit auth.UnitID) *auth.Principal {
	return &auth.Principal{Kind: auth.User, UserID: auth.UserID(login), Login: login, Name: login, UnitID: unit, UnitPath: units[unit],
		SessionID: auth.SessionID(login), Grants: auth.PresetGrants(preset), Tree: units}
}

var people = map[string]*auth.Principal{
	"boss":    person("boss", "supervisor", "root"),
	"agent-1": person("agent-1", "agent", "team"),
	"agent-9": person("agent-9", "agent", "team"),
	"auditor": person("auditor", "auditor", "root"),
	"other":   person("other", "supervisor", "else"),
}

// web serves routes and asks them as somebody.
type web struct {
	t testing.TB
	h http.Handler
}

func newWeb(t testing.TB, routes ...func(*api.Router)) web {
	r := api.New(api.Options{Authenticate: func(_ context.Context, token string) (*auth.Principal, error) {
		if p := people[token]; p != nil {
			return p, nil
		}
		return nil, auth.ErrUnauthorized
	}, PerSecond: 10000})
	for _, add := range routes {
		add(r)
	}
	return web{t, r.Handler()}
}

func (w web) do(as, method, path, body string, header ...string) *http.Response {
	w.t.Helper()
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	if as != "" {
		req.Header.Set("Authorization", "Bearer "+as)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.h.ServeHTTP(rec, req)
	return rec.Result()
}

// get decodes an answer that must have a status.
func get[T any](w web, as, path string, status int) (out T) {
	w.t.Helper()
	resp := w.do(as, http.MethodGet, path, "")
	raw, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != status {
		w.t.Fatalf("%s %s: %s %s", as, path, resp.Status, raw)
	}
	if status == http.StatusOK {
		if err := json.Unmarshal(raw, &out); err != nil {
			w.t.Fatal(err)
		}
	}
	return out
}

// audited lists the actions in the audit log with who did them.
func audited(t testing.TB, d *gorm.DB) (out []string) {
	t.Helper()
	var rows []audit.Row
	if err := d.Order("seq").Find(&rows).Error; err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		out = append(out, r.ActorName+" "+r.Action)
	}
	return out
}

func addUnits(t testing.TB, d *gorm.DB) {
	t.Helper()
	for id, path := range units {
		err := d.Exec("INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES (?, '', ?, 'unit', ?, ?, ?)",
			string(id), string(id), path, time.Now().UTC(), time.Now().UTC()).Error
		if err != nil {
			t.Fatal(err)
		}
	}
}

// search, waveform, playing with seek, saving with its own right, each in the audit log; R-196: an altered file is
// found.
func TestRoutes(t *testing.T) {
	rec, _, link := play(t, conversation)
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		addUnits(t, d)
		k := kitOn(t, d)
		s := newService(t, k, keeping{link})
		if err := s.collect(t.Context(), work(t, rec)); err != nil {
			t.Fatal(err)
		}
		second := rec
		second.ID, second.Queue, second.Agent, second.From = "0190a000-0000-7000-8000-000000000003", "q2", "agent-9", "+8613900139000"
		second.Tracks = append([]call.Track(nil), rec.Tracks[:1]...)
		if err := s.collect(t.Context(), work(t, second)); err != nil {
			t.Fatal(err)
		}
		w := newWeb(t, s.Routes)
		id := string(rec.ID)
		list := func(as, query string, want ...call.ID) {
			t.Helper()
			page := get[api.Page[Recording]](w, as, "/api/recording/recordings?"+query, http.StatusOK)
			var got []call.ID
			for _, r := range page.Items {
				got = append(got, r.CallID)
			}
			if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
				t.Errorf("%s %s: %v, want %v", as, query, got, want)
			}
		}
		list("boss", "", second.ID, rec.ID)
		list("boss", "call="+id, rec.ID)
		list("boss", "agent=agent-1", rec.ID)
		list("boss", "agent=boss", rec.ID)
		list("boss", "queue=q2", second.ID)
		list("boss", "number=%2B8613900139000", second.ID)
		list("boss", "from=2000-01-01T00:00:00Z&to=2000-01-02T00:00:00Z", second.ID, rec.ID)
		list("boss", "from=2000-01-02T00:00:00Z")
		list("agent-1", "", rec.ID) // was part of it, and not the last who talked
		list("agent-9", "", second.ID)
		list("other", "")
		get[any](w, "", "/api/recording/recordings", http.StatusUnauthorized)
		get[any](w, "other", "/api/recording/recordings/"+id, http.StatusNotFound)
		if r := get[Shown](w, "boss", "/api/recording/recordings/"+id, http.StatusOK); len(r.Peaks) != 2 || len(r.Peaks[1]) != 800 || r.Peaks[0][1] < 0.1 || r.LengthMS != 20000 {
			t.Errorf("%+v", r.Recording)
		}

		audio := "/api/recording/recordings/" + id + "/audio"
		whole, _ := io.ReadAll(w.do("boss", http.MethodGet, audio, "").Body)
		for range 3 {
			resp := w.do("boss", http.MethodGet, audio, "", "Range", "bytes=320044-320143")
			part, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Type") != "audio/wav" || !bytes.Equal(part, whole[320044:320144]) {
				t.Errorf("seek: %s, %d bytes", resp.Status, len(part))
			}
		}
		for as, status := range map[string]int{"": 401, "other": 404, "agent-9": 404} {
			if resp := w.do(as, http.MethodGet, audio, ""); resp.StatusCode != status {
				t.Errorf("%q plays: %s", as, resp.Status)
			}
		}
		download := "/api/recording/recordings/" + id + "/download"
		if resp := w.do("boss", http.MethodGet, download, ""); resp.StatusCode != http.StatusForbidden {
			t.Errorf("saved without the right: %s", resp.Status)
		}
		if resp := w.do("auditor", http.MethodGet, download, ""); resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Content-Disposition"), id+".wav") {
			t.Errorf("save: %s %v", resp.Status, resp.Header)
		}

		verify := func(want bool) {
			t.Helper()
			var v Verdict
			resp := w.do("auditor", http.MethodPost, "/api/recording/recordings/"+id+"/verify", "")
			if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || resp.StatusCode != http.StatusOK || v.Intact != want {
				t.Errorf("%s %+v, want intact: %v", resp.Status, v, want)
			}
		}
		verify(true)
		whole[1000]++
		if _, _, err := k.Files.Put(t.Context(), stored(t, s).File, bytes.NewReader(whole)); err != nil {
			t.Fatal(err)
		}
		verify(false)
		if err := k.Files.Delete(t.Context(), stored(t, s).File); err != nil {
			t.Fatal(err)
		}
		verify(false)
		want := "boss recording.play, auditor recording.export, auditor recording.verify, auditor recording.verify, auditor recording.verify"
		if got := strings.Join(audited(t, d), ", "); got != want {
			t.Errorf("audit log: %s\nwant %s", got, want)
		}
	})
}
