package agent

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// Routes registers the module's part of the API.
func (s *Service) Routes(r *api.Router) {
	api.Get(r, "/agent/agents", s.getAgents, auth.Can(PermRead), api.Summary("Agents and their states now"))
	api.Get(r, "/agent/agents/{id}", s.getAgent, auth.Can(PermRead), api.Summary("One agent's state"))
	api.Put(r, "/agent/agents/{id}", s.putAgent, auth.Can(PermManage), api.Summary("Set an agent's usual phone, auto-answer and skills"))
	api.Post(r, "/agent/agents/{id}/state", s.postStateOf, auth.Can(PermManage), api.Audit("agent.set_state"), api.Summary("Set an agent's state"))
	api.Post(r, "/agent/agents/{id}/sign-in", s.postSignInOf, auth.Can(PermManage), api.Audit("agent.sign_in"), api.Summary("Sign an agent in on a phone"))
	api.Get(r, "/agent/me", s.getMe, auth.Can(PermWork), api.Summary("My state"))
	api.Post(r, "/agent/sign-in", s.postSignIn, auth.Can(PermWork), api.NoAudit(), api.Summary("Sign in on a phone"))
	api.Post(r, "/agent/sign-out", s.postSignOut, auth.Can(PermWork), api.NoAudit(), api.Summary("Sign out"))
	api.Post(r, "/agent/state", s.postState, auth.Can(PermWork), api.NoAudit(), api.Summary("Set my state"))
	api.Post(r, "/agent/wrap-up/done", s.postWrapped, auth.Can(PermWork), api.NoAudit(), api.Summary("End my wrap-up"))
	api.Post(r, "/agent/wrap-up/extend", s.postExtend, auth.Can(PermWork), api.NoAudit(), api.Summary("Give me more wrap-up time"))
	api.Get(r, "/agent/intervals", s.getIntervals, auth.Can(PermRead), api.Summary("State history"))
	api.Get(r, "/agent/skills", s.getSkills, auth.Can(PermRead), api.Summary("List skills"))
	api.Post(r, "/agent/skills", s.postSkill, auth.Can(PermManage), api.Status(201), api.Summary("Create a skill"))
	api.Delete(r, "/agent/skills/{id}", s.deleteSkill, auth.Can(PermManage), api.Summary("Delete a skill"))
	api.Get(r, "/agent/break-reasons", s.getReasons, auth.Can(PermRead), api.Summary("List break reasons"))
	api.Post(r, "/agent/break-reasons", s.postReason, auth.Can(PermManage), api.Status(201), api.Summary("Create a break reason"))
	api.Put(r, "/agent/break-reasons/{id}", s.putReason, auth.Can(PermManage), api.Summary("Change a break reason"))
}

// ByID names one thing in a path.
type ByID struct {
	ID ID `path:"id"`
}

// mine is the asker as an agent.
func mine(ctx context.Context) ID { return ID(auth.From(ctx).UserID) }

func (s *Service) getAgents(ctx context.Context, in *struct {
	State State `query:"state" required:"false" doc:"Only those in this state"`
}) ([]Presence, error) {
	list := []Presence{}
	for _, p := range s.All() {
		if auth.MayUse(ctx, PermRead, p.UnitPath, string(p.Agent)) && (in.State == "" || p.State == in.State) {
			list = append(list, p)
		}
	}
	return list, nil
}

// seen finds an agent whom the asker may do perm with.
func (s *Service) seen(ctx context.Context, id ID, perm auth.Permission) (Profile, error) {
	p, err := s.profile(ctx, id)
	if err != nil {
		return p, err
	}
	if !auth.MayUse(ctx, perm, p.UnitPath, string(id)) {
		return p, ErrNoAgent
	}
	return p, nil
}

func (s *Service) getAgent(ctx context.Context, in *ByID) (Presence, error) {
	p, err := s.seen(ctx, in.ID, PermRead)
	if err != nil {
		return Presence{}, err
	}
	return s.presence(p), nil
}

// presence is the agent's, also of one who never signed in.
func (s *Service) presence(p Profile) Presence {
	now, ok := s.Get(p.Agent)
	if !ok {
		now.Login, now.Name, now.Unit, now.UnitPath, now.Skills = p.Login, p.Name, p.Unit, p.UnitPath, p.Skills
	}
	return now
}

// ProfileEdit is what is to change of an agent's settings; what is not sent stays.
type ProfileEdit struct {
	Phone      *string        `json:"phone,omitempty" maxLength:"60" doc:"Usual phone"`
	AutoAnswer *bool          `json:"auto_answer,omitempty"`
	Skills     map[string]int `json:"skills,omitempty" doc:"Skill name to level, 1 to 10; replaces all"`
}

func (s *Service) putAgent(ctx context.Context, in *struct {
	ByID
	Body ProfileEdit
}) (Profile, error) {
	return s.SetProfile(ctx, in.ID, in.Body)
}

// SetProfile changes an agent's settings, skills at once. Errors: ErrNoAgent, problem.ErrInvalid.
func (s *Service) SetProfile(ctx context.Context, id ID, e ProfileEdit) (Profile, error) {
	p, err := s.seen(ctx, id, PermManage)
	if err != nil {
		return p, err
	}
	for name, level := range e.Skills {
		if n := utf8.RuneCountInString(name); n < 1 || n > 60 {
			return p, problem.ErrInvalid.At("body.skills", "out_of_range", "The name of a skill has 1 to 60 characters.")
		}
		if level < 1 || level > 10 {
			return p, problem.ErrInvalid.At("body.skills."+name, "out_of_range", "A level is from 1 to 10.")
		}
	}
	is := p
	if e.Phone != nil {
		if path, ok := s.phones.PhoneUnit(*e.Phone); *e.Phone != "" && (!ok || !sameTenant(path, p.UnitPath)) {
			return p, problem.ErrInvalid.At("body.phone", "unknown", "There is no phone %q.", *e.Phone)
		}
		is.Phone = *e.Phone
	}
	if e.AutoAnswer != nil {
		is.AutoAnswer = *e.AutoAnswer
	}
	if e.Skills != nil {
		is.Skills = e.Skills
	}
	err = s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		row := Agent{UserID: id, UnitID: p.Unit, Phone: is.Phone, AutoAnswer: is.AutoAnswer, CreatedAt: db.Now(), UpdatedAt: db.Now()}
		if err := tx.Clauses(clause.OnConflict{
			Columns:   []clause.Column{{Name: "user_id"}},
			DoUpdates: clause.AssignmentColumns([]string{"unit_id", "phone", "auto_answer", "updated_at"}),
		}).Create(&row).Error; err != nil {
			return err
		}
		if err := (store{tx}).setSkills(id, is.Skills); err != nil {
			return err
		}
		return audit.Add(ctx, tx, audit.Entry{Action: "agent.profile_changed", Object: "agent", ObjectID: string(id), Unit: auth.UnitID(p.Unit), Before: p, After: is})
	})
	if err == nil {
		s.SetSkills(id, is.Skills)
	}
	return is, err
}

// stateBody is a state that somebody asks for.
type stateBody struct {
	State  State  `json:"state" enum:"ready,break,not_ready,logged_out"`
	Reason string `json:"reason,omitempty" maxLength:"60" doc:"Code of the break reason"`
}

func (s *Service) postStateOf(ctx context.Context, in *struct {
	ByID
	Body stateBody
}) (Presence, error) {
	if _, err := s.seen(ctx, in.ID, PermManage); err != nil {
		return Presence{}, err
	}
	return s.Set(in.ID, in.Body.State, in.Body.Reason)
}

func (s *Service) getMe(ctx context.Context, _ *struct{}) (Presence, error) {
	p, err := s.profile(ctx, mine(ctx))
	if err != nil {
		return Presence{}, err
	}
	return s.presence(p), nil
}

// signInBody says on which phone somebody signs in.
type signInBody struct {
	Phone string `json:"phone,omitempty" maxLength:"60" doc:"Without it, the usual one"`
	Ready bool   `json:"ready,omitempty" doc:"Take calls at once"`
}

func (s *Service) postSignIn(ctx context.Context, in *struct{ Body signInBody }) (Presence, error) {
	p, err := s.profile(ctx, mine(ctx))
	if err != nil {
		return Presence{}, err
	}
	return s.signIn(p, in.Body)
}

func (s *Service) postSignInOf(ctx context.Context, in *struct {
	ByID
	Body signInBody
}) (Presence, error) {
	p, err := s.seen(ctx, in.ID, PermManage)
	if err != nil {
		return Presence{}, err
	}
	return s.signIn(p, in.Body)
}

func (s *Service) signIn(p Profile, b signInBody) (Presence, error) {
	now, err := s.SignIn(p, b.Phone)
	if err != nil || !b.Ready {
		return now, err
	}
	return s.Set(p.Agent, Ready, "")
}

func (s *Service) postSignOut(ctx context.Context, _ *struct{}) (Presence, error) {
	return s.Set(mine(ctx), LoggedOut, "")
}

func (s *Service) postState(ctx context.Context, in *struct{ Body stateBody }) (Presence, error) {
	if in.Body.State == Break {
		if err := s.checkReason(ctx, in.Body.Reason); err != nil {
			return Presence{}, err
		}
	}
	return s.Set(mine(ctx), in.Body.State, in.Body.Reason)
}

// checkReason makes sure that a break has a reason that is in the list, if the tenant keeps one.
func (s *Service) checkReason(ctx context.Context, code string) error {
	var rows []BreakReason
	if err := auth.InTenant(ctx, s.db.WithContext(ctx), "unit_id").Where("active = ?", true).Find(&rows).Error; err != nil {
		return err
	}
	for _, r := range rows {
		if r.Code == code {
			return nil
		}
	}
	if len(rows) == 0 && code != "" {
		return nil
	}
	return problem.ErrInvalid.At("body.reason", "unknown", "A break needs a reason from the list; %q is not in it.", code)
}

func (s *Service) postWrapped(ctx context.Context, _ *struct{}) (Presence, error) {
	return s.Wrapped(mine(ctx))
}

func (s *Service) postExtend(ctx context.Context, in *struct {
	Body struct {
		Seconds int `json:"seconds" minimum:"1" maximum:"3600"`
	}
}) (Presence, error) {
	return s.ExtendWrap(mine(ctx), time.Duration(in.Body.Seconds)*time.Second)
}

func (s *Service) getIntervals(ctx context.Context, in *struct {
	Agent ID        `query:"agent" required:"false"`
	From  time.Time `query:"from" required:"false"`
	To    time.Time `query:"to" required:"false"`
	api.Paging
}) (api.Page[Interval], error) {
	q := auth.Visible(ctx, s.db.WithContext(ctx).Model(&Interval{}), PermRead, "unit_id", "user_id")
	if in.Agent != "" {
		q = q.Where("user_id = ?", in.Agent)
	}
	if !in.From.IsZero() {
		q = q.Where("started >= ?", in.From.UTC())
	}
	if !in.To.IsZero() {
		q = q.Where("started < ?", in.To.UTC())
	}
	return api.List(q, in.Paging,
		api.Key[Interval]{Column: "started", Value: func(i Interval) any { return i.Started }},
		api.Key[Interval]{Column: "id", Value: func(i Interval) any { return i.ID }})
}

func (s *Service) getSkills(ctx context.Context, _ *struct{}) (list []Skill, err error) {
	list = []Skill{}
	err = auth.InTenant(ctx, s.db.WithContext(ctx), "unit_id").Order("name").Find(&list).Error
	return list, err
}

func (s *Service) postSkill(ctx context.Context, in *struct {
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"60"`
	}
}) (Skill, error) {
	row := Skill{ID: db.ID(), UnitID: string(auth.From(ctx).Tenant()), Name: in.Body.Name}
	return row, s.write(ctx, "agent.skill_created", row.ID, row, func(tx *gorm.DB) error { return tx.Create(&row).Error })
}

func (s *Service) deleteSkill(ctx context.Context, in *struct {
	ID string `path:"id"`
}) (api.None, error) {
	return api.None{}, s.write(ctx, "agent.skill_deleted", in.ID, nil, func(tx *gorm.DB) error {
		res := auth.InTenant(ctx, tx, "unit_id").Delete(&Skill{}, "id = ?", in.ID)
		if res.Error == nil && res.RowsAffected == 0 {
			return problem.ErrNotFound
		}
		return res.Error
	})
}

func (s *Service) getReasons(ctx context.Context, _ *struct{}) (list []BreakReason, err error) {
	list = []BreakReason{}
	err = auth.InTenant(ctx, s.db.WithContext(ctx), "unit_id").Order("code").Find(&list).Error
	return list, err
}

// reasonBody is a break reason as a client sends it.
type reasonBody struct {
	Code   string `json:"code" minLength:"1" maxLength:"60" pattern:"^[a-z0-9_]+$"`
	NameZh string `json:"name_zh" minLength:"1" maxLength:"120"`
	NameEn string `json:"name_en" minLength:"1" maxLength:"120"`
	Active *bool  `json:"active,omitempty" doc:"Without it, active"`
}

func (b reasonBody) row(ctx context.Context, id string) BreakReason {
	r := BreakReason{ID: id, UnitID: string(auth.From(ctx).Tenant()), Code: b.Code, NameZh: b.NameZh, NameEn: b.NameEn, Active: true}
	if b.Active != nil {
		r.Active = *b.Active
	}
	return r
}

func (s *Service) postReason(ctx context.Context, in *struct{ Body reasonBody }) (BreakReason, error) {
	row := in.Body.row(ctx, db.ID())
	return row, s.write(ctx, "agent.break_reason_created", row.ID, row, func(tx *gorm.DB) error { return tx.Create(&row).Error })
}

func (s *Service) putReason(ctx context.Context, in *struct {
	ID   string `path:"id"`
	Body reasonBody
}) (BreakReason, error) {
	row := in.Body.row(ctx, in.ID)
	return row, s.write(ctx, "agent.break_reason_changed", row.ID, row, func(tx *gorm.DB) error {
		res := auth.InTenant(ctx, tx, "unit_id").Model(&BreakReason{}).Where("id = ?", in.ID).
			Select("code", "name_zh", "name_en", "active").Updates(&row)
		if res.Error == nil && res.RowsAffected == 0 {
			return problem.ErrNotFound
		}
		return res.Error
	})
}

// ErrTaken is a name or code that is in use.
var ErrTaken = problem.New(problem.Conflict, "name_taken", "The name is taken")

// write does something in a transaction with its audit entry.
func (s *Service) write(ctx context.Context, action, id string, after any, do func(*gorm.DB) error) error {
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := do(tx); err != nil {
			return err
		}
		return audit.Add(ctx, tx, audit.Entry{Action: action, Object: "agent", ObjectID: id, After: after})
	})
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return ErrTaken
	}
	return err
}
