package call

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"callplane/app/agent"
	"callplane/app/kernel/api"
	"callplane/app/kernel/auth"
	"callplane/app/pbx"
	"callplane/app/route"
)

// Web is the module's part of the API.
type Web struct {
	calls *Service
	db    *gorm.DB
}

// NewWeb makes the API of live calls and their history.
func NewWeb(calls *Service, db *gorm.DB) *Web { return &Web{calls, db} }

// Routes registers it.
func (w *Web) Routes(r *api.Router) {
	api.Get(r, "/call/live", w.getLive, auth.Can(permRead), api.Summary("Calls that live now"))
	api.Get(r, "/call/live/{id}", w.getLiveCall, auth.Can(permRead), api.Summary("One live call"))
	api.Post(r, "/call/calls", w.postCall, auth.Can(permDial), api.Status(201), api.NoAudit(), api.Summary("Place a call: the agent's phone rings first"))
	api.Post(r, "/call/redial", w.postRedial, auth.Can(permDial), api.Status(201), api.NoAudit(), api.Summary("Call the number I called last"))
	api.Post(r, "/call/calls/{id}/hold", w.postHold, auth.Can(permControl), api.NoAudit(), api.Summary("Put the outside party on hold"))
	api.Post(r, "/call/calls/{id}/unhold", w.postUnhold, auth.Can(permControl), api.NoAudit(), api.Summary("Take the outside party off hold"))
	api.Post(r, "/call/calls/{id}/transfer", w.postTransfer, auth.Can(permControl), api.NoAudit(), api.Summary("Transfer to an agent, queue, flow or number"))
	api.Post(r, "/call/calls/{id}/hangup", w.postHangup, auth.Can(permControl), api.NoAudit(), api.Summary("End a call"))
	api.Post(r, "/call/calls/{id}/digits", w.postDigits, auth.Can(permControl), api.NoAudit(), api.Summary("Send DTMF to the outside party"))
	api.Post(r, "/call/calls/{id}/recording", w.postRecording, auth.Can(permRecord), api.Audit("call.recording"), api.Summary("Start or stop recording"))
	api.Post(r, "/call/calls/{id}/legs/{leg}/answer", w.postAnswer, auth.Can(permControl), api.NoAudit(), api.Summary("Answer a ringing leg"))
	api.Post(r, "/call/calls/{id}/legs/{leg}/reject", w.postReject, auth.Can(permControl), api.NoAudit(), api.Summary("Refuse a ringing leg"))
	api.Post(r, "/call/calls/{id}/legs/{leg}/hangup", w.postHangupLeg, auth.Can(permControl), api.NoAudit(), api.Summary("End a leg"))
	api.Get(r, "/call/calls", w.getCalls, auth.Can(permRead), api.Summary("Search calls that have ended"))
	api.Get(r, "/call/calls/{id}", w.getCall, auth.Can(permRead), api.Summary("Everything about a call, live or ended"))
	api.Patch(r, "/call/calls/{id}", w.patchCall, auth.Can(permControl), api.NoAudit(), api.Summary("Write a call's summary, disposition, rating and ticket"))
	api.Get(r, "/call/abandoned", w.getAbandoned, auth.Can(permAbandoned), api.Summary("Callers who gave up waiting"))
	api.Post(r, "/call/abandoned/{id}/{no}/call-back", w.postCallBack, auth.Can(permAbandoned), api.Status(201), api.NoAudit(), api.Summary("Call back who gave up waiting"))
	api.Get(r, "/call/reasons", w.getReasons, auth.Can(permRead), api.Summary("Every reason a call can end with"))
}

// ByID names one thing in a path.
type ByID struct {
	ID ID `path:"id"`
}

// ByLeg names a leg of a call in a path.
type ByLeg struct {
	ByID
	Leg pbx.LegID `path:"leg"`
}

// mayUse says that the asker may do perm with a live call. A call belongs to whoever talks, or is being rung.
func mayUse(ctx context.Context, perm auth.Permission, l Live) bool {
	return auth.MayUse(ctx, perm, l.UnitPath, l.Agent) || l.Ringing != "" && auth.MayUse(ctx, perm, l.UnitPath, l.Ringing)
}

// live finds a live call that the asker may do perm with. One that has ended is ErrGone if the asker could have seen it.
func (w *Web) live(ctx context.Context, id ID, perm auth.Permission) (Live, error) {
	l, err := w.calls.Get(id)
	if err != nil {
		if _, found := w.row(ctx, id, permRead); found != nil && !errors.Is(found, ErrNoCall) {
			return l, found
		}
		return l, err
	}
	if !mayUse(ctx, perm, l) {
		return l, ErrNoCall
	}
	return l, nil
}

func (w *Web) getLive(ctx context.Context, _ *struct{}) ([]Live, error) {
	list := w.calls.Calls()
	return slices.DeleteFunc(list, func(l Live) bool { return !mayUse(ctx, permRead, l) }), nil
}

func (w *Web) getLiveCall(ctx context.Context, in *ByID) (Live, error) {
	return w.live(ctx, in.ID, permRead)
}

// callBody is a call that somebody wants placed.
type callBody struct {
	To    string `json:"to" minLength:"1" maxLength:"60" doc:"Number, in any usual notation"`
	From  string `json:"from,omitempty" maxLength:"60" doc:"Calling number to show; without it, the unit's own"`
	Agent string `json:"agent,omitempty" doc:"Id of the agent whose phone rings; without it, mine"`
}

func (w *Web) postCall(ctx context.Context, in *struct{ Body callBody }) (Live, error) {
	return w.dial(ctx, in.Body)
}

// dial places a call for an agent.
func (w *Web) dial(ctx context.Context, b callBody) (Live, error) {
	p := auth.From(ctx)
	who := agent.ID(p.UserID)
	if b.Agent != "" {
		who = agent.ID(b.Agent)
	}
	a, ok := w.calls.agents.Get(who)
	if !ok || !a.State.Staffed() {
		return Live{}, agent.ErrNotSigned.With("Sign in on a phone first.")
	}
	if !auth.MayUse(ctx, permDial, a.UnitPath, string(who)) {
		return Live{}, agent.ErrNoAgent
	}
	return w.calls.Dial(ctx, who, route.Wanted{
		User: string(who), Unit: a.Unit, UnitPath: a.UnitPath, To: b.To, From: b.From, Classes: route.AllowedClasses(p),
	})
}

func (w *Web) postRedial(ctx context.Context, _ *struct{}) (Live, error) {
	var row Row
	err := w.db.WithContext(ctx).Where("agent_id = ? AND direction = ?", auth.From(ctx).UserID, Outbound).Order("started_at DESC").Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return Live{}, ErrNoCall.With("You have placed no call yet.")
	}
	if err != nil {
		return Live{}, err
	}
	return w.dial(ctx, callBody{To: row.ToNumber})
}

// control does something to a live call that the asker may control.
func (w *Web) control(ctx context.Context, id ID, perm auth.Permission, do func(Live) error) (Live, error) {
	l, err := w.live(ctx, id, perm)
	if err != nil {
		return l, err
	}
	if err := do(l); err != nil {
		return l, err
	}
	if now, err := w.calls.Get(id); err == nil {
		return now, nil
	}
	l.State = Ended
	return l, nil
}

func (w *Web) postHold(ctx context.Context, in *ByID) (Live, error) {
	return w.control(ctx, in.ID, permControl, func(Live) error { return w.calls.Hold(ctx, in.ID) })
}

func (w *Web) postUnhold(ctx context.Context, in *ByID) (Live, error) {
	return w.control(ctx, in.ID, permControl, func(Live) error { return w.calls.Unhold(ctx, in.ID) })
}

func (w *Web) postTransfer(ctx context.Context, in *struct {
	ByID
	Body Target
}) (Live, error) {
	return w.control(ctx, in.ID, permControl, func(Live) error { return w.calls.Transfer(ctx, in.ID, in.Body) })
}

func (w *Web) postHangup(ctx context.Context, in *ByID) (Live, error) {
	return w.control(ctx, in.ID, permControl, func(l Live) error {
		return w.calls.Hangup(ctx, in.ID, l.Agent != "" && l.Agent == string(auth.From(ctx).UserID))
	})
}

func (w *Web) postDigits(ctx context.Context, in *struct {
	ByID
	Body struct {
		Digits string `json:"digits" pattern:"^[0-9*#A-D]{1,40}$"`
	}
}) (Live, error) {
	return w.control(ctx, in.ID, permControl, func(Live) error { return w.calls.SendDigits(ctx, in.ID, in.Body.Digits) })
}

func (w *Web) postRecording(ctx context.Context, in *struct {
	ByID
	Body struct {
		On bool `json:"on"`
	}
}) (Live, error) {
	return w.control(ctx, in.ID, permRecord, func(Live) error { return w.calls.SetRecording(ctx, in.ID, in.Body.On) })
}

func (w *Web) postAnswer(ctx context.Context, in *ByLeg) (Live, error) {
	return w.control(ctx, in.ID, permControl, func(Live) error { return w.calls.AnswerLeg(ctx, in.ID, in.Leg) })
}

func (w *Web) postReject(ctx context.Context, in *struct {
	ByLeg
	Body *struct { // may be left out
		Busy bool `json:"busy,omitempty" doc:"Say busy instead of declined"`
	}
}) (Live, error) {
	busy := in.Body != nil && in.Body.Busy
	return w.control(ctx, in.ID, permControl, func(Live) error { return w.calls.RejectLeg(ctx, in.ID, in.Leg, busy) })
}

func (w *Web) postHangupLeg(ctx context.Context, in *ByLeg) (Live, error) {
	return w.control(ctx, in.ID, permControl, func(Live) error { return w.calls.HangupLeg(ctx, in.ID, in.Leg) })
}

// Search is what calls are found by; everything that is given must fit.
type Search struct {
	From        time.Time `query:"from" required:"false" doc:"Started at this time or later"`
	To          time.Time `query:"to" required:"false" doc:"Started before this time"`
	Number      string    `query:"number" required:"false" doc:"Calling or called number, or its beginning"`
	Direction   Direction `query:"direction" required:"false" enum:"inbound,outbound,internal"`
	Agent       string    `query:"agent" required:"false" doc:"Who talked at any time"`
	Queue       string    `query:"queue" required:"false" doc:"Waited in at any time"`
	Service     string    `query:"service" required:"false"`
	Trunk       string    `query:"trunk" required:"false"`
	Path        string    `query:"path" required:"false" doc:"Keys pressed, as 2>1"`
	Class       Class     `query:"class" required:"false"`
	Reason      string    `query:"reason" required:"false"`
	ReleasedBy  Party     `query:"released_by" required:"false"`
	Disposition string    `query:"disposition" required:"false"`
	Summary     string    `query:"summary" required:"false" doc:"Words in the summary"`
	Rating      int       `query:"rating" required:"false"`
	Ticket      string    `query:"ticket" required:"false"`
	Customer    string    `query:"customer" required:"false"`
	Recorded    string    `query:"recorded" required:"false" enum:"true,false"`
	MinTalk     int       `query:"min_talk_seconds" required:"false"`
	MaxTalk     int       `query:"max_talk_seconds" required:"false"`
}

// narrow adds the search to a query.
func (f Search) narrow(q *gorm.DB) *gorm.DB {
	equal := map[string]string{
		"direction": string(f.Direction), "service": f.Service, "trunk": f.Trunk, "path": f.Path, "end_class": string(f.Class),
		"end_reason": f.Reason, "released_by": string(f.ReleasedBy), "disposition": f.Disposition, "ticket": f.Ticket, "customer_id": f.Customer,
	}
	for column, value := range equal {
		if value != "" {
			q = q.Where(column+" = ?", value)
		}
	}
	if !f.From.IsZero() {
		q = q.Where("started_at >= ?", f.From.UTC())
	}
	if !f.To.IsZero() {
		q = q.Where("started_at < ?", f.To.UTC())
	}
	if f.Number != "" {
		like := escape(f.Number) + "%"
		q = q.Where("(from_number LIKE ? ESCAPE '!' OR to_number LIKE ? ESCAPE '!' OR from_raw LIKE ? ESCAPE '!')", like, like, like)
	}
	if f.Summary != "" {
		for _, word := range strings.Fields(f.Summary) {
			q = q.Where("summary LIKE ? ESCAPE '!'", "%"+escape(word)+"%")
		}
	}
	if f.Agent != "" {
		q = q.Where("(agent_id = ? OR id IN (SELECT call_id FROM call_segments WHERE agent_id = ?))", f.Agent, f.Agent)
	}
	if f.Queue != "" {
		q = q.Where("(queue_id = ? OR id IN (SELECT call_id FROM call_queue_entries WHERE queue_id = ?))", f.Queue, f.Queue)
	}
	if f.Rating != 0 {
		q = q.Where("rating = ?", f.Rating)
	}
	if f.Recorded != "" {
		q = q.Where("recorded = ?", f.Recorded == "true")
	}
	if f.MinTalk > 0 {
		q = q.Where("talk_ms >= ?", f.MinTalk*1000)
	}
	if f.MaxTalk > 0 {
		q = q.Where("talk_ms <= ?", f.MaxTalk*1000)
	}
	return q
}

// escape makes text stand for itself in LIKE … ESCAPE '!'.
func escape(s string) string { return strings.NewReplacer("!", "!!", "%", "!%", "_", "!_").Replace(s) }

func (w *Web) getCalls(ctx context.Context, in *struct {
	Search
	api.Paging
}) (api.Page[Row], error) {
	q := auth.Visible(ctx, w.db.WithContext(ctx).Model(&Row{}), permRead, "unit_id", "agent_id")
	return api.List(in.narrow(q), in.Paging,
		api.Key[Row]{Column: "started_at", Desc: true, Value: func(r Row) any { return r.StartedAt }},
		api.Key[Row]{Column: "id", Desc: true, Value: func(r Row) any { return string(r.ID) }})
}

func (w *Web) row(ctx context.Context, id ID, perm auth.Permission) (Row, error) {
	return store{auth.Visible(ctx, w.db.WithContext(ctx), perm, "unit_id", "agent_id")}.call(id)
}

// Detail is everything about a call. Of a live call, Live is set and the parts are as they are so far.
type Detail struct {
	Call     *Row         `json:"call,omitempty"`
	Live     *Live        `json:"live,omitempty"`
	Legs     []LegRow     `json:"legs"`
	Segments []SegmentRow `json:"segments"`
	Entries  []EntryRow   `json:"queue_entries"`
	Offers   []OfferRow   `json:"offers"`
	Holds    []HoldRow    `json:"holds"`
	Timeline []Mark       `json:"timeline"`
}

func (w *Web) getCall(ctx context.Context, in *ByID) (d Detail, err error) {
	if l, err := w.calls.Get(in.ID); err == nil {
		if !mayUse(ctx, permRead, l) {
			return d, ErrNoCall
		}
		if rec, err := w.calls.Record(ctx, in.ID); err == nil {
			return rec.detail(l), nil
		}
	}
	row, err := w.row(ctx, in.ID, permRead)
	if err != nil {
		return d, err
	}
	d.Call, d.Timeline = &row, []Mark{}
	var timeline TimelineRow
	q := w.db.WithContext(ctx)
	for _, part := range []struct {
		into  any
		order string
	}{{&d.Legs, "started_at, id"}, {&d.Segments, "no"}, {&d.Entries, "no"}, {&d.Offers, "no"}, {&d.Holds, "no"}} {
		if err := q.Where("call_id = ?", in.ID).Order(part.order).Find(part.into).Error; err != nil {
			return d, err
		}
	}
	if err := q.Where("call_id = ?", in.ID).Limit(1).Find(&timeline).Error; err != nil {
		return d, err
	}
	if timeline.Body != "" {
		err = json.Unmarshal([]byte(timeline.Body), &d.Timeline)
	}
	return d, err
}

// detail is a live call's.
func (r *Record) detail(l Live) Detail {
	d := Detail{
		Live: &l, Legs: []LegRow{}, Segments: []SegmentRow{}, Entries: []EntryRow{}, Offers: []OfferRow{}, Holds: []HoldRow{}, Timeline: r.Timeline,
	}
	r.Ended = time.Now()
	for _, part := range r.parts() {
		switch p := part.(type) {
		case *[]LegRow:
			d.Legs = *p
		case *[]SegmentRow:
			d.Segments = *p
		case *[]EntryRow:
			d.Entries = *p
		case *[]OfferRow:
			d.Offers = *p
		case *[]HoldRow:
			d.Holds = *p
		}
	}
	return d
}

// ReasonView is a reason as the API tells it.
type ReasonView struct {
	Name  string `json:"name"`
	Class Class  `json:"class"`
}

func (w *Web) getReasons(context.Context, *struct{}) ([]ReasonView, error) {
	list := []ReasonView{}
	for _, r := range Reasons() {
		list = append(list, ReasonView{r.String(), r.Class()})
	}
	return list, nil
}
