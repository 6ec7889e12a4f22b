package user

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel"
	"callplane/app/kernel/api"
	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/problem"
)

// outbox is what this module needs of the kit's outbox.
type outbox interface {
	Add(tx *gorm.DB, events ...bus.Event) error
}

// Service keeps units, people, roles and keys, and knows who a token belongs to.
type Service struct {
	db     *gorm.DB
	outbox outbox
	log    *slog.Logger
	cfg    Config
	hash   *hasher
	now    func() time.Time
	tree   *tree
	known  *cache
	guess  *guesses

	mu    sync.Mutex
	inUse []func(ctx context.Context, unit auth.UnitID) (string, error)
}

// New makes the service.
func New(kit *kernel.Kit, cfg Config) *Service {
	return newService(kit.DB, kit.Outbox, kit.Log, cfg)
}

func newService(d *gorm.DB, out outbox, log *slog.Logger, cfg Config) *Service {
	s := &Service{
		db: d, outbox: out, log: log.With("module", "user"), cfg: cfg, hash: newHasher(cfg.HashMemoryMiB), now: db.Now,
	}
	clock := func() time.Time { return s.now() } // tests replace now
	s.tree = &tree{db: d, now: clock}
	s.known = &cache{now: clock}
	s.guess = newGuesses(cfg, clock)
	return s
}

// Tree tells where a unit stands. It is for events: bus.NewEvent(…).For(unit, users.Tree().Path(unit)).
func (s *Service) Tree() auth.Tree { return s.tree }

// KeepUnits has f asked before a unit is removed: if it names what the unit still holds ("3 queues"), the unit stays.
// It is called while the platform is put together.
func (s *Service) KeepUnits(f func(ctx context.Context, unit auth.UnitID) (what string, err error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inUse = append(s.inUse, f)
}

// User is one person whom the asker may see.
func (s *Service) User(ctx context.Context, id auth.UserID) (User, error) {
	return store{s.db.WithContext(ctx)}.visibleUser(ctx, Read, id)
}

// Filter says which people to list. Empty fields match all.
type Filter struct {
	Q      string      `query:"q" required:"false" maxLength:"120" doc:"Part of the name or login"`
	Unit   auth.UnitID `query:"unit" required:"false" doc:"In this unit or below"`
	Active string      `query:"active" required:"false" enum:"true,false"`
}

// Users lists the people whom the asker may see, by login.
func (s *Service) Users(ctx context.Context, f Filter, p api.Paging) (api.Page[User], error) {
	q := auth.Visible(ctx, s.db.WithContext(ctx), Read, "unit_id", "id")
	if f.Q != "" {
		like := "%" + likeEscape.Replace(f.Q) + "%"
		q = q.Where("(login LIKE ? ESCAPE '!' OR name LIKE ? ESCAPE '!')", strings.ToLower(like), like)
	}
	if f.Unit != "" {
		path := s.tree.Path(f.Unit)
		if path == "" {
			return api.Page[User]{}, nil
		}
		q = q.Where("unit_id IN (SELECT id FROM user_units WHERE path LIKE ?)", path+"%")
	}
	if f.Active != "" {
		q = q.Where("active = ?", f.Active == "true")
	}
	return api.List(q, p, api.Key[User]{Column: "login", Value: func(u User) any { return u.Login }},
		api.Key[User]{Column: "id", Value: func(u User) any { return string(u.ID) }})
}

var likeEscape = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// NewUser is a person to be made.
type NewUser struct {
	Login    string      `json:"login" maxLength:"60" doc:"2 to 60 of a-z, 0-9 and . _ @ -; capitals become small"`
	Name     string      `json:"name" minLength:"1" maxLength:"120"`
	Email    string      `json:"email,omitempty" maxLength:"254"`
	Language string      `json:"language,omitempty" enum:"zh-CN,en" doc:"Default zh-CN"`
	UnitID   auth.UnitID `json:"unit_id"`
	Roles    []string    `json:"roles,omitempty" maxItems:"20" doc:"Names of presets, ids of own roles"`
	Password string      `json:"password,omitempty" maxLength:"200" doc:"Empty: one is made. Either way it must be changed at the first sign-in"`
}

// Password is a person with a password that is shown this one time.
type Password struct {
	User     User   `json:"user"`
	Password string `json:"password,omitempty" doc:"Shown once. Empty if the request gave it"`
}

// Create makes a person in a unit that the asker manages. Nobody can give roles that hold more than the asker.
// Errors: ErrInvalid, ErrWeakPassword, ErrLoginTaken, ErrTooMuch, problem.ErrNotFound for the unit.
func (s *Service) Create(ctx context.Context, in NewUser) (Password, error) {
	u := User{
		ID: auth.UserID(db.ID()), UnitID: in.UnitID, Login: fold(in.Login), Name: strings.TrimSpace(in.Name),
		Email: strings.TrimSpace(in.Email), Language: in.Language, Active: true, Roles: tidy(in.Roles), MustChange: true,
	}
	if u.Language == "" {
		u.Language = Languages[0]
	}
	if err := u.check(); err != nil {
		return Password{}, err
	}
	shown := ""
	if in.Password == "" {
		shown = randomPassword()
		in.Password = shown
	} else if err := s.checkPassword(in.Password, u.Login, "body.password"); err != nil {
		return Password{}, err
	}
	hash, err := s.hash.hash(ctx, in.Password)
	if err != nil {
		return Password{}, fmt.Errorf("hash password: %w", err)
	}
	u.PasswordHash, u.PasswordAt, u.CreatedAt, u.UpdatedAt = hash, s.now(), s.now(), s.now()
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		st := store{tx}
		unit, err := st.manageableUnit(ctx, Manage, in.UnitID)
		if err != nil {
			return err
		}
		u.TenantID = unit.Tenant()
		grants, err := st.grants(u.TenantID, u.Roles)
		if err != nil {
			return err
		}
		if err := tooMuch(mayGive(auth.From(ctx), grants, unit.Path)); err != nil {
			return err
		}
		if err := st.createUser(&u); err != nil {
			return err
		}
		return s.record(ctx, tx, "user.create", nil, &u, unit.Path)
	})
	return Password{u, shown}, err
}

// Change is what to change of a person; nil fields stay.
type Change struct {
	Name     *string      `json:"name,omitempty" minLength:"1" maxLength:"120"`
	Email    *string      `json:"email,omitempty" maxLength:"254"`
	Language *string      `json:"language,omitempty" enum:"zh-CN,en"`
	UnitID   *auth.UnitID `json:"unit_id,omitempty"`
	Roles    *[]string    `json:"roles,omitempty" maxItems:"20"`
	Active   *bool        `json:"active,omitempty" doc:"False ends all sessions of the person"`
}

// Update changes a person. Roles, unit and activity of the own account are for somebody else to change (ErrOwnAccount),
// and so are people who may do what the asker may not (ErrTooMuch).
func (s *Service) Update(ctx context.Context, id auth.UserID, c Change) (u User, err error) {
	if id == auth.From(ctx).UserID && (c.UnitID != nil || c.Roles != nil || c.Active != nil) {
		return u, ErrOwnAccount.With("Roles, unit and activity of your own account are for somebody else to change.")
	}
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		st := store{tx}
		was, err := st.manageableUser(ctx, id)
		if err != nil {
			return err
		}
		u = was
		set(&u.Name, c.Name)
		set(&u.Email, c.Email)
		set(&u.Language, c.Language)
		set(&u.UnitID, c.UnitID)
		set(&u.Active, c.Active)
		if c.Roles != nil {
			u.Roles = tidy(*c.Roles)
		}
		u.Name, u.Email = strings.TrimSpace(u.Name), strings.TrimSpace(u.Email)
		if err := u.check(); err != nil {
			return err
		}
		unit, err := st.unit(u.UnitID)
		if c.UnitID != nil {
			unit, err = st.manageableUnit(ctx, Manage, u.UnitID)
		}
		if err != nil {
			return err
		}
		if unit.Tenant() != u.TenantID {
			return problem.ErrNotFound.With("No such unit in this tenant.")
		}
		if c.Roles != nil || c.UnitID != nil {
			grants, err := st.grants(u.TenantID, u.Roles)
			if err != nil {
				return err
			}
			if err := tooMuch(mayGive(auth.From(ctx), grants, unit.Path)); err != nil {
				return err
			}
		}
		u.UpdatedAt = s.now()
		if err := st.save(&u, "name", "email", "language", "unit_id", "active", "roles", "updated_at"); err != nil {
			return err
		}
		if was.Active && !u.Active {
			if err := s.endSessions(ctx, tx, &u, "", "deactivated"); err != nil {
				return err
			}
		}
		return s.record(ctx, tx, "user.update", &was, &u, unit.Path)
	})
	return u, err
}

// Reset gives a person a new random password, shown once, that must be changed at the next sign-in. It unlocks the
// account and ends its sessions.
func (s *Service) Reset(ctx context.Context, id auth.UserID) (Password, error) {
	password := randomPassword()
	hash, err := s.hash.hash(ctx, password)
	if err != nil {
		return Password{}, fmt.Errorf("hash password: %w", err)
	}
	var u User
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) (err error) {
		if u, err = (store{tx}).manageableUser(ctx, id); err != nil {
			return err
		}
		was := u
		s.setPassword(&u, hash)
		u.MustChange, u.Failed, u.LockedUntil = true, 0, nil
		if err := (store{tx}).save(&u, passwordColumns...); err != nil {
			return err
		}
		if err := s.endSessions(ctx, tx, &u, "", "password_reset"); err != nil {
			return err
		}
		return s.record(ctx, tx, "user.reset_password", &was, &u, s.tree.Path(u.UnitID))
	})
	return Password{u, password}, err
}

// Unlock lets a person try again at once.
func (s *Service) Unlock(ctx context.Context, id auth.UserID) (u User, err error) {
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) (err error) {
		if u, err = (store{tx}).manageableUser(ctx, id); err != nil {
			return err
		}
		was := u
		u.Failed, u.LockedUntil, u.UpdatedAt = 0, nil, s.now()
		if err := (store{tx}).save(&u, "failed", "locked_until", "updated_at"); err != nil {
			return err
		}
		return s.record(ctx, tx, "user.unlock", &was, &u, s.tree.Path(u.UnitID))
	})
	return u, err
}

// EnsureAdmin makes, on an empty installation, the first tenant and in it the first person: login "admin", role admin,
// with a random password that must be changed. Created tells whether it did; only then is there a password.
func (s *Service) EnsureAdmin(ctx context.Context) (login, password string, created bool, err error) {
	ctx = auth.System(ctx)
	err = db.Tx(ctx, s.db, func(tx *gorm.DB) error {
		created = false
		st := store{tx}
		if n, err := st.countUsers(); err != nil || n > 0 {
			return err
		}
		root, err := st.firstRoot()
		if err != nil {
			return err
		}
		if root.ID == "" {
			root = newUnit(Unit{}, "Callplane", "tenant", s.now())
			if err := st.createUnit(&root); err != nil {
				return err
			}
		}
		login, password = "admin", randomPassword()
		hash, err := s.hash.hash(ctx, password)
		if err != nil {
			return fmt.Errorf("hash password: %w", err)
		}
		u := User{
			ID: auth.UserID(db.ID()), TenantID: root.ID, UnitID: root.ID, Login: login, Name: "Administrator",
			Language: Languages[0], Active: true, Roles: []string{auth.Admin.Name}, MustChange: true,
			PasswordHash: hash, PasswordAt: s.now(), CreatedAt: s.now(), UpdatedAt: s.now(),
		}
		if err := st.createUser(&u); err != nil {
			return err
		}
		created = true
		return s.record(ctx, tx, "user.create", nil, &u, root.Path)
	})
	if err != nil || !created {
		return "", "", false, err
	}
	return login, password, true, nil
}

// FirstTenant is the oldest tenant, for the command line. On an empty installation it is problem.ErrNotFound.
func (s *Service) FirstTenant(ctx context.Context) (Unit, error) {
	root, err := store{s.db.WithContext(ctx)}.firstRoot()
	if err == nil && root.ID == "" {
		err = problem.ErrNotFound.With("There is no tenant yet: run callplane serve once.")
	}
	return root, err
}

// ResetPassword is Reset by login, for the command line; it also makes the account active and takes a second factor
// away. With several tenants the login must be unique among them.
func (s *Service) ResetPassword(ctx context.Context, login string) (password string, err error) {
	ctx = auth.System(ctx)
	u, err := store{s.db.WithContext(ctx)}.byLogin("", fold(login))
	if err != nil {
		return "", err
	}
	active := true
	if _, err := s.Update(ctx, u.ID, Change{Active: &active}); err != nil {
		return "", err
	}
	if err := s.DropTOTP(ctx, u.ID); err != nil {
		return "", err
	}
	p, err := s.Reset(ctx, u.ID)
	return p.Password, err
}

// record audits a change of a person, tells it to the others, and forgets what was cached.
func (s *Service) record(ctx context.Context, tx *gorm.DB, action string, was, is *User, path string) error {
	type userChanged struct {
		ID     auth.UserID `json:"id"`
		Login  string      `json:"login"`
		Name   string      `json:"name"`
		Active bool        `json:"active"`
		Roles  []string    `json:"roles"`
	}
	e := bus.NewEvent("user.changed", string(is.ID), userChanged{is.ID, is.Login, is.Name, is.Active, is.Roles})
	e = e.For(string(is.UnitID), path)
	e.Perm, e.Owner = string(Read), string(is.ID)
	if err := s.outbox.Add(tx, e); err != nil {
		return err
	}
	db.AfterCommit(tx, s.known.clear)
	entry := audit.Entry{Action: action, Object: "user", ObjectID: string(is.ID), Unit: is.UnitID, After: is}
	if was != nil {
		entry.Before = was
	} else {
		entry.Detail = map[string]any{"login": is.Login}
	}
	return audit.Add(ctx, tx, entry)
}

func set[T any](to *T, from *T) {
	if from != nil {
		*to = *from
	}
}

// tidy sorts role names and drops repeats.
func tidy(roles []string) []string {
	roles = append([]string{}, roles...) // never nil: the column is not null
	slices.Sort(roles)
	return slices.Compact(roles)
}
