package user

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"gorm.io/gorm"

	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// Credentials are what somebody signs in with.
type Credentials struct {
	Login    string      `json:"login" minLength:"1" maxLength:"60"`
	Password string      `json:"password" minLength:"1" maxLength:"200"`
	Code     string      `json:"code,omitempty" maxLength:"20" doc:"Of the second factor, or a recovery code"`
	Tenant   auth.UnitID `json:"tenant,omitempty" doc:"Needed only where two tenants have the same login"`
}

// SignedIn is a session just opened.
type SignedIn struct {
	Token     string    `json:"token" doc:"Use it as a bearer token. Browsers need not keep it: they get a cookie"`
	ExpiresAt time.Time `json:"expires_at" doc:"The session ends then at the latest"`
	Must      auth.Duty `json:"must,omitempty" enum:"change_password,enrol_totp" doc:"To be done before anything else"`
}

// Login opens a session. Errors: ErrBadLogin whatever of the two is wrong, ErrCodeNeeded when only the code is missing,
// ErrLocked, ErrTooManyLogins. A login that does not exist behaves, and takes as long, as one that does.
func (s *Service) Login(ctx context.Context, in Credentials) (SignedIn, error) {
	login, address := fold(in.Login), auth.RequestFrom(ctx).Address
	if wait := s.guess.wait("address:"+address, "login:"+login); wait > 0 {
		return SignedIn{}, api.RetryAfter(ErrTooManyLogins, wait)
	}
	u, err := store{s.db.WithContext(ctx)}.byLogin(in.Tenant, login)
	if errors.Is(err, problem.ErrNotFound) || err == nil && !u.Active {
		return SignedIn{}, s.refuseUnknown(ctx, login, in.Password, &u)
	}
	if err != nil {
		return SignedIn{}, err
	}
	if err := s.attempt(ctx, &u, in.Password); err != nil {
		if errors.Is(err, ErrWrongPassword) {
			return SignedIn{}, s.refuse(ctx, login, &u, "password", ErrBadLogin)
		}
		if errors.Is(err, ErrLocked) {
			return SignedIn{}, s.refuse(ctx, login, &u, "locked", err)
		}
		return SignedIn{}, err
	}
	if u.TOTPOn {
		if in.Code == "" {
			return SignedIn{}, errors.Join(ErrCodeNeeded, store{s.db.WithContext(ctx)}.release(u.ID))
		}
		if ok, err := s.useCode(ctx, &u, in.Code); err != nil {
			return SignedIn{}, err
		} else if !ok {
			return SignedIn{}, s.refuse(ctx, login, &u, "code", ErrBadLogin)
		}
	}
	return s.open(ctx, &u)
}

// attempt counts the attempt and checks the password. Nil leaves the attempt counted, for whoever opens the session to
// clear or [store.release]. Errors: ErrWrongPassword, ErrLocked with Retry-After.
func (s *Service) attempt(ctx context.Context, u *User, password string) error {
	free, err := store{s.db.WithContext(ctx)}.reserve(u, s.now(), s.cfg.LockAfter, s.cfg.LockFor)
	if err != nil {
		return fmt.Errorf("count attempt: %w", err)
	}
	if !free {
		wait := s.cfg.LockFor
		if u.LockedUntil != nil {
			wait = u.LockedUntil.Sub(s.now())
		}
		return api.RetryAfter(ErrLocked, max(wait, time.Second))
	}
	ok, err := s.hash.match(ctx, password, u.PasswordHash)
	if err != nil {
		return errors.Join(fmt.Errorf("check password: %w", err), store{s.db.WithContext(context.WithoutCancel(ctx))}.release(u.ID))
	}
	if !ok {
		return ErrWrongPassword
	}
	return nil
}

// refuseUnknown plays the part of an account for a login that has none.
func (s *Service) refuseUnknown(ctx context.Context, login, password string, u *User) error {
	if wait := s.guess.ghostLocked(login); wait > 0 {
		return s.refuse(ctx, login, u, "locked", api.RetryAfter(ErrLocked, wait))
	}
	if _, err := s.hash.match(ctx, password, ""); err != nil {
		return err
	}
	s.guess.ghostFailed(login)
	return s.refuse(ctx, login, u, "unknown", ErrBadLogin)
}

// refuse records a bad attempt and counts it against address and login.
func (s *Service) refuse(ctx context.Context, login string, u *User, why string, answer error) error {
	s.guess.failed("address:"+auth.RequestFrom(ctx).Address, "login:"+login)
	action := "user.login_failed"
	if why == "locked" {
		action = "user.login_locked"
	}
	err := audit.Add(ctx, s.db.WithContext(ctx), audit.Entry{
		Action: action, Object: "user", ObjectID: string(u.ID), Unit: u.UnitID, Actor: "login:" + login, Name: login,
		Detail: map[string]any{"why": why, "attempt": u.Failed, "user_agent": auth.RequestFrom(ctx).UserAgent},
	})
	if err != nil {
		return fmt.Errorf("record bad sign-in: %w", err)
	}
	return answer
}

// open makes the session of a person who proved who they are.
func (s *Service) open(ctx context.Context, u *User) (SignedIn, error) {
	now, req := s.now(), auth.RequestFrom(ctx)
	token := secret(sessionPrefix)
	session := Session{
		ID: auth.SessionID(db.ID()), UserID: u.ID, TokenHash: digest(token), Address: req.Address,
		UserAgent: firstRunes(req.UserAgent, 300), CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(s.cfg.SessionMax),
	}
	var p *auth.Principal
	err := db.Tx(ctx, s.db, func(tx *gorm.DB) (err error) {
		u.Failed, u.LockedUntil, u.LastLoginAt, u.LastAddress = 0, nil, &now, req.Address
		if err := (store{tx}).save(u, "failed", "locked_until", "last_login_at", "last_address"); err != nil {
			return err
		}
		if p, err = s.principal(tx, u); err != nil {
			return err
		}
		if slices.ContainsFunc(u.Roles, func(r string) bool { return slices.Contains(s.cfg.OneSession, r) }) {
			if err := s.endSessions(auth.With(ctx, p), tx, u, "", "taken_over"); err != nil {
				return err
			}
		}
		if err := tx.Create(&session).Error; err != nil {
			return err
		}
		return audit.Add(auth.With(ctx, p), tx, audit.Entry{
			Action: "user.login", Object: "user", ObjectID: string(u.ID), Unit: u.UnitID,
			Detail: map[string]any{"session": session.ID, "second_factor": u.TOTPOn, "user_agent": req.UserAgent},
		})
	})
	if err != nil {
		return SignedIn{}, fmt.Errorf("open session: %w", err)
	}
	api.SetSession(ctx, token, s.cfg.SessionMax)
	return SignedIn{Token: token, ExpiresAt: session.ExpiresAt, Must: p.Must}, nil
}

func firstRunes(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}

// guesses limits wrong attempts from one address and for one login, and locks logins that do not exist.
// It is this node's own; the lock of real accounts is in the database.
type guesses struct {
	cfg Config
	now func() time.Time

	mu    sync.Mutex
	byKey map[string]*guess
	swept time.Time
}

type guess struct {
	left   *rate.Limiter
	ghost  int // wrong attempts in a row for a login that does not exist
	locked time.Time
	used   time.Time
}

func newGuesses(cfg Config, now func() time.Time) *guesses {
	return &guesses{cfg: cfg, now: now, byKey: map[string]*guess{}}
}

// at is the guess of the key; g.mu is held.
func (g *guesses) at(key string) *guess {
	now := g.now()
	if now.Sub(g.swept) > time.Minute {
		g.swept = now
		for k, v := range g.byKey {
			if now.Sub(v.used) > g.cfg.LockFor+time.Minute {
				delete(g.byKey, k)
			}
		}
	}
	v := g.byKey[key]
	if v == nil {
		n := max(g.cfg.LoginPerMinute, 1)
		v = &guess{left: rate.NewLimiter(rate.Limit(float64(n)/60), n)}
		g.byKey[key] = v
	}
	v.used = now
	return v
}

// wait is how long until each of the keys may try again; 0: now.
func (g *guesses) wait(keys ...string) (wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range keys {
		v := g.at(k)
		if missing := 1 - v.left.TokensAt(g.now()); missing > 0 {
			wait = max(wait, time.Duration(missing/float64(v.left.Limit())*float64(time.Second)))
		}
	}
	return wait
}

func (g *guesses) failed(keys ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, k := range keys {
		g.at(k).left.AllowN(g.now(), 1)
	}
}

func (g *guesses) ghostLocked(login string) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, g.at("login:"+login).locked.Sub(g.now()))
}

func (g *guesses) ghostFailed(login string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.at("login:" + login)
	if v.ghost++; v.ghost >= g.cfg.LockAfter {
		v.ghost, v.locked = 0, g.now().Add(g.cfg.LockFor)
	}
}
