package agent

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"callplane/app/kernel/bus"
)

// Agent is the profile of a user who takes calls.
type Agent struct {
	UserID     ID     `json:"id" gorm:"primaryKey;size:36"`
	UnitID     string `json:"unit" gorm:"size:36"`
	Phone      string `json:"phone" gorm:"size:60" doc:"Usual phone, for a sign-in that names none"`
	AutoAnswer bool   `json:"auto_answer" doc:"The phone is asked to answer by itself"`
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// TableName is the table of profiles.
func (Agent) TableName() string { return "agent_agents" }

// Skill is something that calls may ask for.
type Skill struct {
	ID     string `json:"id" gorm:"primaryKey;size:36"`
	UnitID string `json:"unit" gorm:"size:36"`
	Name   string `json:"name" gorm:"size:60" doc:"Unique in the unit"`
}

// TableName is the table of skills.
func (Skill) TableName() string { return "agent_skills" }

// AgentSkill is how well an agent has a skill.
type AgentSkill struct {
	UserID ID     `gorm:"primaryKey;size:36"`
	Skill  string `gorm:"primaryKey;size:60"`
	Level  int    // 1 to 10
}

// TableName is the table of agents' skills.
func (AgentSkill) TableName() string { return "agent_agent_skills" }

// BreakReason is a reason that agents may give for a break.
type BreakReason struct {
	ID     string `json:"id" gorm:"primaryKey;size:36"`
	UnitID string `json:"unit" gorm:"size:36"`
	Code   string `json:"code" gorm:"size:60" doc:"Stable name, as reports count it"`
	NameZh string `json:"name_zh" gorm:"size:120"`
	NameEn string `json:"name_en" gorm:"size:120"`
	Active bool   `json:"active"`
}

// TableName is the table of break reasons.
func (BreakReason) TableName() string { return "agent_break_reasons" }

// Models is every table of the module.
func Models() []any { return []any{Agent{}, Skill{}, AgentSkill{}, BreakReason{}, Interval{}} }

type store struct{ db *gorm.DB }

// profile joins the user (who may have no profile yet) with the agent's settings and skills.
func (s store) profile(id ID) (Profile, error) {
	var u struct{ ID, Login, Name, UnitID, Path string }
	err := s.db.Table("user_users").Select("user_users.id, user_users.login, user_users.name, user_users.unit_id, user_units.path").
		Joins("JOIN user_units ON user_units.id = user_users.unit_id").
		Where("user_users.id = ? AND user_users.active = ?", id, true).Take(&u).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return Profile{}, ErrNoAgent
	}
	if err != nil {
		return Profile{}, err
	}
	p := Profile{Agent: id, Login: u.Login, Name: u.Name, Unit: u.UnitID, UnitPath: u.Path}
	var a Agent
	if err := s.db.Where("user_id = ?", id).Limit(1).Find(&a).Error; err != nil {
		return p, err
	}
	p.Phone, p.AutoAnswer = a.Phone, a.AutoAnswer
	p.Skills, err = s.skills(id)
	return p, err
}

func (s store) skills(id ID) (map[string]int, error) {
	var rows []AgentSkill
	if err := s.db.Where("user_id = ?", id).Find(&rows).Error; err != nil {
		return nil, err
	}
	skills := make(map[string]int, len(rows))
	for _, r := range rows {
		skills[r.Skill] = r.Level
	}
	return skills, nil
}

// setSkills replaces the skills of an agent.
func (s store) setSkills(id ID, skills map[string]int) error {
	if err := s.db.Where("user_id = ?", id).Delete(&AgentSkill{}).Error; err != nil {
		return err
	}
	for name, level := range skills {
		if err := s.db.Create(&AgentSkill{UserID: id, Skill: name, Level: level}).Error; err != nil {
			return err
		}
	}
	return nil
}

// intervals writes closed intervals; one that is there already is left alone.
func (s store) intervals(rows []Interval) error {
	if len(rows) == 0 {
		return nil
	}
	return s.db.Clauses(clause.OnConflict{DoNothing: true}).Create(&rows).Error
}

// Project writes the state history from the stream. It is idempotent: an interval carries its id.
func (s *Service) Project(ctx context.Context, events []bus.Event) error {
	var rows []Interval
	for _, e := range events {
		var c Changed
		if err := json.Unmarshal(e.Data, &c); err != nil {
			s.log.Error("event cannot be read", "event", e.ID, "error", err)
			continue
		}
		if c.Ended != nil {
			rows = append(rows, *c.Ended)
		}
	}
	return store{s.db.WithContext(ctx)}.intervals(rows)
}
