package user

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

const (
	sessionPrefix = "cps_"
	keyPrefix     = "cpk_"

	// staleness is how old the answers of Authenticate may be on other nodes than that of a change.
	staleness = 5 * time.Second
	// outage is how old they may be while the database is down: calls go on, and people must be able to end them.
	outage = 15 * time.Minute
	// touchEvery is how precisely it is kept when a session or key was last used.
	touchEvery = time.Minute
)

// Session is one browser or program that a person signed in with.
type Session struct {
	ID        auth.SessionID `json:"id" gorm:"primaryKey;size:36"`
	UserID    auth.UserID    `json:"user_id" gorm:"size:36"`
	TokenHash string         `json:"-" gorm:"size:64"`
	Address   string         `json:"address" gorm:"size:60"`
	UserAgent string         `json:"user_agent" gorm:"size:300"`
	CreatedAt time.Time      `json:"created_at"`
	SeenAt    time.Time      `json:"seen_at" doc:"When it was last used, to the minute"`
	ExpiresAt time.Time      `json:"expires_at"`
	EndedAt   *time.Time     `json:"ended_at"`
	EndedWhy  string         `json:"ended_why" gorm:"size:30" doc:"logout, revoked, taken_over, password_changed, password_reset, deactivated; empty while it runs or when its time was over"`
	EndedFrom string         `json:"ended_from" gorm:"size:60" doc:"The address that ended it"`
}

// TableName is for gorm.
func (Session) TableName() string { return "user_sessions" }

// Authenticate is who a token belongs to; it is api.Options.Authenticate. Errors: auth.ErrUnauthorized for a token
// that nobody has, ErrSessionEnded, ErrTakenOver.
func (s *Service) Authenticate(ctx context.Context, token string) (*auth.Principal, error) {
	if !strings.HasPrefix(token, sessionPrefix) && !strings.HasPrefix(token, keyPrefix) || len(token) > 100 {
		return nil, auth.ErrUnauthorized
	}
	hash := digest(token)
	p, generation := s.known.get(hash, staleness)
	if p != nil {
		return p, nil
	}
	var err error
	if strings.HasPrefix(token, keyPrefix) {
		p, err = s.byKey(ctx, hash)
	} else {
		p, err = s.bySession(ctx, hash)
	}
	if err != nil {
		if db.IsUnavailable(err) {
			if old, _ := s.known.get(hash, outage); old != nil {
				return old, nil
			}
		}
		return nil, err
	}
	s.known.put(hash, p, generation)
	return p, nil
}

func (s *Service) bySession(ctx context.Context, hash string) (*auth.Principal, error) {
	d := s.db.WithContext(ctx)
	var session Session
	err := d.Where("token_hash = ?", hash).Take(&session).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, auth.ErrUnauthorized
	}
	if err != nil {
		return nil, fmt.Errorf("load session: %w", err)
	}
	now := s.now()
	switch {
	case session.EndedWhy == "taken_over":
		return nil, ErrTakenOver.With("This account signed in from %s.", session.EndedFrom)
	case session.EndedAt != nil, !now.Before(session.ExpiresAt), now.Sub(session.SeenAt) >= s.cfg.SessionIdle:
		return nil, ErrSessionEnded
	}
	u, err := store{d}.user(session.UserID)
	if err != nil {
		return nil, fmt.Errorf("load user of session: %w", err)
	}
	if !u.Active {
		return nil, ErrSessionEnded
	}
	p, err := s.principal(d, &u)
	if err != nil {
		return nil, err
	}
	p.SessionID = session.ID
	if now.Sub(session.SeenAt) >= touchEvery {
		if err := d.Model(&Session{ID: session.ID}).Update("seen_at", now).Error; err != nil {
			return nil, fmt.Errorf("touch session: %w", err)
		}
	}
	return p, nil
}

// Principal is who a user is to package auth, without a session.
func (s *Service) Principal(ctx context.Context, id auth.UserID) (*auth.Principal, error) {
	d := s.db.WithContext(ctx)
	u, err := store{d}.user(id)
	if err != nil {
		return nil, fmt.Errorf("load user %s: %w", id, err)
	}
	return s.principal(d, &u)
}

// principal is who the person is to package auth.
func (s *Service) principal(d *gorm.DB, u *User) (*auth.Principal, error) {
	st := store{d}
	unit, err := st.unit(u.UnitID)
	if err != nil {
		return nil, fmt.Errorf("unit of %s: %w", u, err)
	}
	grants, err := st.grants(u.TenantID, u.Roles)
	if err != nil && !errors.Is(err, problem.ErrInvalid) { // a role that is gone gives nothing
		return nil, err
	}
	p := &auth.Principal{
		Kind: auth.User, UserID: u.ID, Login: u.Login, Name: u.Name, Language: u.Language, UnitID: u.UnitID, UnitPath: unit.Path,
		Roles: u.Roles, Grants: grants, Tree: s.tree,
	}
	needs, err := s.needsTOTP(st, u)
	if err != nil {
		return nil, err
	}
	switch {
	case u.MustChange, s.cfg.PasswordMaxAge > 0 && s.now().Sub(u.PasswordAt) > s.cfg.PasswordMaxAge:
		p.Must = auth.ChangePassword
	case needs && !u.TOTPOn:
		p.Must = auth.EnrolTOTP
	}
	return p, nil
}

// needsTOTP tells whether one of the person's roles asks for a second factor.
func (s *Service) needsTOTP(st store, u *User) (bool, error) {
	if slices.ContainsFunc(u.Roles, func(r string) bool { return slices.Contains(s.cfg.SecondFactor, r) }) {
		return true, nil
	}
	if len(u.Roles) == 0 {
		return false, nil
	}
	var n int64
	err := st.db.Model(&Role{}).Where("tenant_id = ? AND id IN ? AND second_factor = ?", u.TenantID, u.Roles, true).Count(&n).Error
	return n > 0, err
}

// Sessions lists somebody's sessions that still run; the asker's own need no permission.
func (s *Service) Sessions(ctx context.Context, id auth.UserID) (list []Session, err error) {
	d := s.db.WithContext(ctx)
	if id != auth.From(ctx).UserID {
		if _, err := (store{d}).visibleUser(ctx, Manage, id); err != nil {
			return nil, err
		}
	}
	err = d.Where("user_id = ? AND ended_at IS NULL AND expires_at > ? AND seen_at > ?", id, s.now(), s.now().Add(-s.cfg.SessionIdle)).
		Order("created_at DESC, id DESC").Find(&list).Error
	return list, err
}

// EndSession ends a session: the asker's own, or that of a person they manage.
func (s *Service) EndSession(ctx context.Context, id auth.SessionID) error {
	return db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		var session Session
		if err := tx.Where("id = ?", id).Take(&session).Error; err != nil {
			return err
		}
		asker := auth.From(ctx)
		why := "revoked"
		u, err := store{tx}.user(session.UserID)
		if session.UserID == asker.UserID {
			if id == asker.SessionID {
				why = "logout"
			}
		} else {
			u, err = store{tx}.manageableUser(ctx, session.UserID)
		}
		if err != nil {
			return err
		}
		return s.endSessions(ctx, tx, &u, id, why)
	})
}

// Logout ends the asker's session and takes the cookie away. A key has no session, which is no error.
func (s *Service) Logout(ctx context.Context) error {
	api.ClearSession(ctx)
	if id := auth.From(ctx).SessionID; id != "" {
		return s.EndSession(ctx, id)
	}
	return nil
}

// endSessions ends one session of the person, or all but the asker's own if only is empty.
func (s *Service) endSessions(ctx context.Context, tx *gorm.DB, u *User, only auth.SessionID, why string) error {
	q := tx.Where("user_id = ? AND ended_at IS NULL", u.ID)
	if only != "" {
		q = q.Where("id = ?", only)
	} else {
		q = q.Where("id <> ?", auth.From(ctx).SessionID)
	}
	var list []Session
	if err := q.Find(&list).Error; err != nil {
		return err
	}
	path := s.tree.Path(u.UnitID)
	from := auth.RequestFrom(ctx).Address
	for _, session := range list {
		if now := s.now(); !now.Before(session.ExpiresAt) || now.Sub(session.SeenAt) >= s.cfg.SessionIdle {
			continue // over by itself
		}
		err := tx.Model(&Session{ID: session.ID}).Where("ended_at IS NULL").
			Updates(map[string]any{"ended_at": s.now(), "ended_why": why, "ended_from": from}).Error
		if err != nil {
			return err
		}
		e := bus.NewEvent("user.session_ended", string(session.ID), map[string]any{
			"session": session.ID, "user": u.ID, "why": why, "from": from,
		}).For(string(u.UnitID), path)
		e.Perm, e.Owner = string(Read), string(u.ID)
		if err := s.outbox.Add(tx, e); err != nil {
			return err
		}
		action := map[string]string{"logout": "user.logout", "taken_over": "user.session_taken_over"}[why]
		if action == "" {
			action = "user.session_end"
		}
		err = audit.Add(ctx, tx, audit.Entry{
			Action: action, Object: "user", ObjectID: string(u.ID), Unit: u.UnitID,
			Detail: map[string]any{"session": session.ID, "why": why, "session_address": session.Address, "from": from},
		})
		if err != nil {
			return err
		}
	}
	db.AfterCommit(tx, s.known.clear)
	return nil
}

// cache remembers principals by the digest of their token.
type cache struct {
	now func() time.Time

	mu         sync.Mutex
	byHash     map[string]remembered
	generation int // raised by clear, so that nobody stores what was read before
}

type remembered struct {
	p  *auth.Principal
	at time.Time
}

// get is what is known and not older than age, and the generation to put with.
func (c *cache) get(hash string, age time.Duration) (*auth.Principal, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.byHash[hash]
	if !ok || c.now().Sub(r.at) >= age {
		return nil, c.generation
	}
	return r.p, c.generation
}

func (c *cache) put(hash string, p *auth.Principal, generation int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation != c.generation {
		return
	}
	if len(c.byHash) > 20000 {
		for k, r := range c.byHash {
			if c.now().Sub(r.at) >= staleness {
				delete(c.byHash, k)
			}
		}
	}
	if c.byHash == nil {
		c.byHash = map[string]remembered{}
	}
	c.byHash[hash] = remembered{p, c.now()}
}

// clear forgets everything at once: a change of rights must not wait.
func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.byHash = nil
}
