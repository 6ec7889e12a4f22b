package acd

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"callplane/app/call"
	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/problem"
)

// The permissions of the module.
var (
	PermRead   = auth.Define("acd:read", "see queues and who waits", auth.Supervisor, auth.Agent.At(auth.Team), auth.QA, auth.Auditor, auth.Integrator)
	PermManage = auth.Define("acd:manage", "create, change, open and close queues, and say who serves them", auth.Supervisor, auth.Integrator)
)

// Routes registers the module's part of the API.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/acd/queues", s.getQueues, auth.Can(PermRead), api.Summary("List queues"))
	api.Post(r, "/acd/queues", s.postQueue, auth.Can(PermManage), api.Status(201), api.Summary("Create a queue"))
	api.Get(r, "/acd/queues/{id}", s.getQueue, auth.Can(PermRead), api.Summary("Get a queue with its members"))
	api.Put(r, "/acd/queues/{id}", s.putQueue, auth.Can(PermManage), api.Summary("Change a queue"))
	api.Delete(r, "/acd/queues/{id}", s.deleteQueue, auth.Can(PermManage), api.Summary("Delete a queue"))
	api.Put(r, "/acd/queues/{id}/members", s.putMembers, auth.Can(PermManage), api.Summary("Say who serves a queue"))
	api.Post(r, "/acd/queues/{id}/open", s.postOpen, auth.Can(PermManage), api.Summary("Open a queue"))
	api.Post(r, "/acd/queues/{id}/close", s.postClose, auth.Can(PermManage), api.Summary("Close a queue"))
	api.Get(r, "/acd/board", s.getBoard, auth.Can(PermRead), api.Summary("Queues as they are now"))
	api.Post(r, "/acd/calls/{id}/priority", s.postPriority, auth.Can(PermManage), api.NoAudit(), api.Summary("Change the priority of a waiting call"))
}

// QueueView is a queue with who serves it.
type QueueView struct {
	Queue
	Members []Member `json:"members"`
}

// ByID names one thing in a path.
type ByID struct {
	ID QueueID `path:"id"`
}

// queueBody is a queue as a client sends it.
type queueBody struct {
	Unit string `json:"unit,omitempty" doc:"The unit it belongs to; without it, your own"`
	Name string `json:"name" minLength:"1" maxLength:"60"`
	Open *bool  `json:"open,omitempty" doc:"Without it, open"`
	Settings
	Members []Member `json:"members,omitempty"`
}

// UnmarshalJSON begins with the defaults, so that what is not sent keeps them, and a zero that is sent counts.
func (b *queueBody) UnmarshalJSON(raw []byte) error {
	type plain queueBody
	p := plain{Settings: Defaults()}
	if err := json.Unmarshal(raw, &p); err != nil {
		return err
	}
	*b = queueBody(p)
	return nil
}

func (b queueBody) fill(q *Queue) {
	q.Name, q.Settings = b.Name, b.Settings
	if b.Open != nil {
		q.Open = *b.Open
	}
	d := Defaults()
	for _, a := range []struct{ is, usual *Action }{{&q.Closed, &d.Closed}, {&q.Empty, &d.Empty}, {&q.Full, &d.Full}, {&q.Timeout, &d.Timeout}} {
		if *a.is == (Action{}) {
			*a.is = *a.usual
		}
	}
	if q.Recording.Mode == "" {
		q.Recording.Mode = "all"
	}
	if q.Comfort == nil {
		q.Comfort = d.Comfort
	}
}

func (s *Service) getQueues(ctx context.Context, _ *struct{}) ([]Queue, error) {
	var rows []QueueRow
	err := auth.Visible(ctx, s.db.WithContext(ctx), PermRead, "unit_id", "").Order("name, id").Find(&rows).Error
	list := make([]Queue, len(rows))
	for i, row := range rows {
		list[i] = s.queue(row)
	}
	return list, err
}

func (s *Service) view(ctx context.Context, id QueueID) (v QueueView, err error) {
	st := store{s.db.WithContext(ctx)}
	row, err := st.row(ctx, id, PermRead)
	if err != nil {
		return v, err
	}
	v.Queue = s.queue(row)
	v.Members, err = st.members(id)
	return v, err
}

func (s *Service) getQueue(ctx context.Context, in *ByID) (QueueView, error) {
	return s.view(ctx, in.ID)
}

func (s *Service) postQueue(ctx context.Context, in *struct{ Body queueBody }) (v QueueView, err error) {
	q := Queue{Unit: in.Body.Unit, Open: true}
	in.Body.fill(&q)
	q, err = s.Create(ctx, q, in.Body.Members)
	if err != nil {
		return v, err
	}
	return s.view(ctx, q.ID)
}

func (s *Service) putQueue(ctx context.Context, in *struct {
	ByID
	Body queueBody
}) (v QueueView, err error) {
	if _, err = s.Change(ctx, in.ID, in.Body.fill); err != nil {
		return v, err
	}
	if in.Body.Members != nil {
		if err = s.SetMembers(ctx, in.ID, in.Body.Members); err != nil {
			return v, err
		}
	}
	return s.view(ctx, in.ID)
}

func (s *Service) deleteQueue(ctx context.Context, in *ByID) (api.None, error) {
	return api.None{}, s.Delete(ctx, in.ID)
}

func (s *Service) putMembers(ctx context.Context, in *struct {
	ByID
	Body []Member
}) (v QueueView, err error) {
	if err = s.SetMembers(ctx, in.ID, in.Body); err != nil {
		return v, err
	}
	return s.view(ctx, in.ID)
}

func (s *Service) postOpen(ctx context.Context, in *ByID) (Queue, error) {
	return s.Change(ctx, in.ID, func(q *Queue) { q.Open = true })
}

func (s *Service) postClose(ctx context.Context, in *ByID) (Queue, error) {
	return s.Change(ctx, in.ID, func(q *Queue) { q.Open = false })
}

func (s *Service) getBoard(ctx context.Context, _ *struct{}) ([]Status, error) {
	list := []Status{}
	for id, st := range s.Statuses() {
		if q, ok := s.Queue(id); ok && auth.MayUse(ctx, PermRead, q.UnitPath, "") {
			list = append(list, st)
		}
	}
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (s *Service) postPriority(ctx context.Context, in *struct {
	ID   call.ID `path:"id"`
	Body struct {
		Priority int `json:"priority" minimum:"-100" maximum:"100"`
	}
}) (api.None, error) {
	live, err := s.live(in.ID)
	if err != nil || !auth.MayUse(ctx, PermManage, live.UnitPath, "") {
		return api.None{}, problem.ErrNotFound
	}
	return api.None{}, s.SetPriority(in.ID, in.Body.Priority)
}
