package voicemail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gorm.io/gorm"

	"callplane/app/call"
	"callplane/app/kernel"
	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db/dbtest"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/kerneltest"
	"callplane/app/kernel/outbox"
)

type tree map[auth.UnitID]string

func (t tree) Path(u auth.UnitID) string { return t[u] }

var units = tree{"root": "/root/", "team": "/root/team/", "else": "/else/"}

func kitOn(t testing.TB, d *gorm.DB) *kernel.Kit {
	t.Helper()
	k := kerneltest.New(t)
	k.DB = d
	k.Outbox = outbox.New(d, k.Bus)
	k.Jobs = jobs.New(k.Bus, k.Outbox)
	k.Bus.Publish(bus.NewEvent("test.begin", "", nil))
	if err := k.Bus.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, path := range units {
		err := d.Exec("INSERT INTO user_units (id, parent_id, name, kind, path, created_at, updated_at) VALUES (?, '', ?, 'unit', ?, ?, ?)",
			string(id), string(id), path, time.Now().UTC(), time.Now().UTC()).Error
		if err != nil {
			t.Fatal(err)
		}
	}
	return k
}

// as is a context in which a person with a preset role asks.
func as(ctx context.Context, login, preset string, unit auth.UnitID) context.Context {
	return auth.With(ctx, &auth.Principal{Kind: auth.User, UserID: auth.UserID(login), Name: login, UnitID: unit, UnitPath: units[unit], Tree: units, Grants: auth.PresetGrants(preset)})
}

var ended = time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)

// record is a call that an empty queue sent to its message option.
func record(id string, change func(*call.Record)) call.Record {
	rec := call.Record{
		ID: call.ID(id), Unit: "team", UnitPath: "/root/team/", State: call.Ended, Direction: call.Inbound, From: "+8613800138000", Queue: "q1", QueueName: "Sales",
		Started: ended.Add(-time.Minute), Ended: ended, Segments: []call.Segment{{Kind: "auto"}, {Kind: "queue"}, {Kind: "message"}},
	}
	if change != nil {
		change(&rec)
	}
	return rec
}

func message(seconds float64) call.Track {
	return call.Track{ID: "m", Leg: "c", Side: "message", Started: ended.Add(-time.Duration(seconds * float64(time.Second))), Ended: ended}
}

// what a call leaves to be done.
func TestFromCall(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*call.Record)
		want   []Kind
	}{
		"message":                             {func(r *call.Record) { r.Tracks = []call.Track{message(12)} }, []Kind{HearMessage}},
		"two messages":                        {func(r *call.Record) { r.Tracks = []call.Track{message(12), message(5)}; r.Tracks[1].ID = "n" }, []Kind{HearMessage, HearMessage}},
		"hung up at the beep":                 {func(r *call.Record) { r.Tracks = []call.Track{message(0.4)} }, []Kind{CallBack}},
		"hung up before the beep":             {nil, []Kind{CallBack}},
		"hung up before, without a number":    {func(r *call.Record) { r.From = "" }, nil},
		"message without a number":            {func(r *call.Record) { r.From, r.Tracks = "", []call.Track{message(12)} }, []Kind{HearMessage}},
		"talked to an agent after the offer":  {func(r *call.Record) { r.Segments = append(r.Segments, call.Segment{Kind: "agent"}) }, nil},
		"offered after talking to an agent":   {func(r *call.Record) { r.Segments[0].Kind = "agent" }, []Kind{CallBack}},
		"never offered":                       {func(r *call.Record) { r.Segments = r.Segments[:2] }, nil},
		"only its conversation was recorded":  {func(r *call.Record) { r.Segments = nil; r.Tracks = []call.Track{{Side: "customer", Ended: ended}} }, nil},
		"a message whose end nobody has seen": {func(r *call.Record) { r.Tracks = []call.Track{message(12)}; r.Tracks[0].Ended = time.Time{} }, []Kind{HearMessage}},
	} {
		t.Run(name, func(t *testing.T) {
			messages, tasks := FromCall(record("c1", tt.change), 4*time.Hour)
			var got []Kind
			for _, x := range tasks {
				got = append(got, x.Kind)
				if x.QueueID != "q1" || x.QueueName != "Sales" || !x.DueAt.Equal(ended.Add(4*time.Hour)) || x.State != Open || (x.Kind == HearMessage) != (x.MessageID != "") {
					t.Errorf("%+v", x)
				}
			}
			if strings.Join(strs(got), " ") != strings.Join(strs(tt.want), " ") {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if again, _ := FromCall(record("c1", tt.change), 0); len(again) != len(messages) || len(again) > 0 && again[0].ID != messages[0].ID {
				t.Error("another id the second time")
			}
		})
	}
}

func strs(kinds []Kind) (out []string) {
	for _, k := range kinds {
		out = append(out, string(k))
	}
	return out
}

// next waits for an event of a type.
func next[T any](t testing.TB, events <-chan bus.Event, typ string) (out T) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case e := <-events:
			if e.Type != typ {
				continue
			}
			if err := e.Into(&out); err != nil {
				t.Fatal(err)
			}
			if e.UnitPath != "/root/team/" || e.Perm != string(Read) {
				t.Errorf("%s of %q for %q", typ, e.UnitPath, e.Perm)
			}
			return out
		case <-limit:
			t.Fatalf("no %s", typ)
		}
	}
}

// a call's end makes message and task, once; the audio follows; overdue raises an alarm, once.
func TestRun(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		dbtest.CheckModels(t, d, Models()...)
		k := kitOn(t, d)
		s := New(k, units, Config{Due: time.Hour})
		kerneltest.Run(t, k)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		events, err := k.Bus.Tail(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		rec := record("c1", func(r *call.Record) { r.Tracks = []call.Track{message(12)} })
		k.Bus.Publish(bus.NewEvent(call.EventRecord, "c1", rec), bus.NewEvent(call.EventRecord, "c1", rec), bus.Event{Type: call.EventRecord, Data: json.RawMessage(`"x"`)},
			bus.NewEvent(call.EventRecord, "c2", record("c2", nil)))
		m := next[Message](t, events, EventMessage)
		if m.State != Pending || m.Caller != rec.From {
			t.Errorf("%+v", m)
		}
		task := next[Task](t, events, EventAdded)
		if task.MessageID != m.ID {
			t.Errorf("%+v", task)
		}
		if back := next[Task](t, events, EventAdded); back.Kind != CallBack || back.CallID != "c2" {
			t.Errorf("the second task is %+v", back)
		}
		// The due time of a call that ended in the past is over: the alarm comes at once.
		if late := next[Task](t, events, EventOverdue); late.OverdueAt == nil {
			t.Errorf("%+v", late)
		}
		next[Task](t, events, EventOverdue)
		sys := auth.System(t.Context())
		first := alarmed(t, d, task.ID)
		if err := s.overdue(sys, jobs.Job{Payload: json.RawMessage(`"` + string(task.ID) + `"`)}); err != nil {
			t.Error(err)
		}
		if again, err := s.Task(sys, task.ID); err != nil || !again.OverdueAt.Equal(first) {
			t.Errorf("a second alarm: %+v, %v", again, err)
		}

		if kept, err := s.Kept(sys, m.ID); err != nil || kept {
			t.Errorf("kept: %v, %v", kept, err)
		}
		a := Audio{Message: m.ID, File: "messages/x.wav", SHA256: "abc", Bytes: 44, Length: 12 * time.Second}
		for range 2 {
			if err := s.Keep(sys, m, a); err != nil {
				t.Fatal(err)
			}
			a.File = ""
		}
		if got, err := s.Message(sys, m.ID); err != nil || got.State != Kept || got.File == "" || got.LengthMS != 12000 {
			t.Errorf("%+v, %v", got, err)
		}
		if got := next[Message](t, events, EventStored); got.LengthMS != 12000 {
			t.Errorf("%+v", got)
		}
		// The audio may be there before the call's own event.
		early, _ := FromCall(record("c3", func(r *call.Record) { r.Tracks = []call.Track{message(3)} }), 0)
		if err := s.Keep(sys, early[0], Audio{Message: early[0].ID}); err != nil {
			t.Fatal(err)
		}
		if got := next[Message](t, events, EventStored); got.State != Lost {
			t.Errorf("%+v", got)
		}
	})
}

// alarmed is when a task's alarm was raised.
func alarmed(t testing.TB, d *gorm.DB, id TaskID) time.Time {
	t.Helper()
	task, err := store{d}.task(id)
	if err != nil || task.OverdueAt == nil {
		t.Fatalf("no alarm: %+v, %v", task, err)
	}
	return *task.OverdueAt
}

// Of two who claim a task, one gets it; only they, or who manages, may finish it.
func TestTasks(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		s := New(kitOn(t, d), units, Config{})
		ann, bob := as(t.Context(), "ann", "agent", "team"), as(t.Context(), "bob", "agent", "root")
		boss, other := as(t.Context(), "boss", "supervisor", "root"), as(t.Context(), "other", "admin", "else")
		task, err := s.Add(ann, Task{Number: "+8613800138000", Note: "send the form"})
		if err != nil || task.Kind != FollowUp || task.UnitID != "team" || time.Until(task.DueAt) < 3*time.Hour {
			t.Fatalf("%+v, %v", task, err)
		}
		won := make(chan error, 2)
		for _, who := range []context.Context{ann, bob} {
			go func() { _, err := s.Claim(who, task.ID); won <- err }()
		}
		first, second := <-won, <-won
		if (first == nil) == (second == nil) || !errors.Is(errors.Join(first, second), ErrClaimed) {
			t.Fatalf("%v and %v", first, second)
		}
		if _, err := s.Release(boss, task.ID); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Claim(ann, task.ID); err != nil || got.OwnerID != "ann" || got.State != Claimed {
			t.Fatalf("%+v, %v", got, err)
		}
		if _, err := s.Claim(ann, task.ID); err != nil {
			t.Errorf("claimed again: %v", err)
		}
		if _, err := s.Finish(bob, task.ID, ""); !errors.Is(err, ErrClaimed) {
			t.Errorf("finished by another: %v", err)
		}
		if _, err := s.Task(other, task.ID); err == nil {
			t.Error("seen from another tenant")
		}
		got, err := s.Finish(ann, task.ID, "sent")
		if err != nil || got.State != Done || got.Note != "sent" || got.DoneBy != "ann" {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := s.Finish(ann, task.ID, ""); !errors.Is(err, ErrDone) {
			t.Errorf("finished twice: %v", err)
		}
		if err := s.overdue(t.Context(), jobs.Job{Payload: json.RawMessage(`"` + string(task.ID) + `"`)}); err != nil {
			t.Error(err)
		}
	})
}

// lists, playing marks it heard and is in the audit log.
func TestRoutes(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		k := kitOn(t, d)
		s := New(k, units, Config{})
		r := api.New(api.Options{Authenticate: func(ctx context.Context, token string) (*auth.Principal, error) {
			unit := auth.UnitID("team")
			if token == "integrator" {
				unit = "else"
			}
			return auth.From(as(ctx, token, token, unit)), nil
		}})
		s.Routes(r)
		ask := func(as, method, path, body string, status int) (out map[string]any) {
			t.Helper()
			req := httptest.NewRequest(method, "/api/voicemail"+path, strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+as)
			req.Header.Set("Content-Type", "application/json")
			rec := httptest.NewRecorder()
			r.Handler().ServeHTTP(rec, req)
			raw, _ := io.ReadAll(rec.Result().Body)
			if rec.Code != status {
				t.Fatalf("%s %s %s: %d %s", as, method, path, rec.Code, raw)
			}
			if json.Valid(raw) && json.Unmarshal(raw, &out) != nil {
				t.Fatalf("%s", raw)
			}
			return out
		}
		items := func(path string) int {
			t.Helper()
			return len(ask("agent", http.MethodGet, path, "", 200)["items"].([]any))
		}
		sys := auth.System(t.Context())
		messages, tasks := FromCall(record("c1", func(r *call.Record) { r.Tracks = []call.Track{message(12)} }), time.Hour)
		if err := s.add(sys, messages, tasks); err != nil {
			t.Fatal(err)
		}
		id, taskID := "/messages/"+string(messages[0].ID), "/tasks/"+string(tasks[0].ID)
		ask("agent", http.MethodGet, id+"/audio", "", 409)
		size, sum, err := k.Files.Put(sys, "messages/x.wav", bytes.NewReader([]byte("RIFF and so on")))
		if err == nil {
			err = s.Keep(sys, messages[0], Audio{messages[0].ID, "messages/x.wav", sum, size, 12 * time.Second})
		}
		if err != nil {
			t.Fatal(err)
		}
		if items("/messages?heard=false&queue=q1") != 1 || items("/messages?heard=true") != 0 || items("/messages?from=2026-05-01T00:00:00Z&to=2026-05-02T00:00:00Z") != 1 {
			t.Error("messages are not found")
		}
		ask("knowledge", http.MethodGet, id+"/audio", "", 403)
		ask("agent", http.MethodGet, id+"/audio", "", 200)
		ask("agent", http.MethodGet, id+"/audio", "", 200)
		if m := ask("agent", http.MethodGet, id, "", 200); m["heard"] == nil || m["heard_by"] != "agent" || m["length_ms"] != 12000.0 {
			t.Errorf("%v", m)
		}
		ask("agent", http.MethodPost, id+"/heard", "", 200)
		if items("/messages?heard=true") != 1 || items("/tasks?state=undone&queue=q1&kind=message") != 1 || items("/tasks?state=done") != 0 || items("/tasks?overdue=true") != 0 {
			t.Error("tasks are not found")
		}
		ask("agent", http.MethodPost, taskID+"/claim", "", 200)
		if items("/tasks?owner=agent&state=claimed&call=c1") != 1 {
			t.Error("claimed task is not found")
		}
		ask("supervisor", http.MethodPost, taskID+"/claim", "", 409)
		ask("agent", http.MethodPost, taskID+"/release", "", 200)
		ask("supervisor", http.MethodPost, taskID+"/done", `{"note":"called"}`, 200)
		ask("agent", http.MethodPost, "/tasks", `{"note":"send the form","number":"123","due":"2030-01-01T00:00:00Z"}`, 200)
		var plays int64
		if err := d.Model(&audit.Row{}).Where("action = 'voicemail.play'").Count(&plays).Error; err != nil || plays != 1 {
			t.Errorf("%d playings in the audit log, %v", plays, err)
		}
		if _, err := s.Message(as(t.Context(), "x", "admin", "else"), messages[0].ID); err == nil {
			t.Error("seen from another tenant")
		}
	})
}
