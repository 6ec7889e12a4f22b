package user

import (
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"

	"callplane/app/kernel/auth"
	"callplane/app/kernel/problem"
)

// Permissions of this module.
var (
	Read = auth.Define("user:read", "see people, units and roles", auth.Supervisor, auth.QA, auth.Dispatcher, auth.Auditor, auth.Integrator,
		auth.Agent, auth.Knowledge.At(auth.Own))
	Manage      = auth.Define("user:manage", "create and change people, reset their passwords, end their sessions")
	ManageUnits = auth.Define("user:manage_units", "create, rename, move and remove units")
	ManageRoles = auth.Define("user:manage_roles", "create and change the tenant's own roles")
	ManageKeys  = auth.Define("user:manage_keys", "create and revoke API keys")
)

// Problems of this module.
var (
	ErrBadLogin      = problem.New(problem.Unauthorized, "bad_login", "Login or password is wrong")
	ErrCodeNeeded    = problem.New(problem.Unauthorized, "code_needed", "The second factor's code is needed")
	ErrLocked        = problem.New(problem.TooMany, "account_locked", "Locked after too many wrong attempts")
	ErrTooManyLogins = problem.New(problem.TooMany, "too_many_logins", "Too many attempts to sign in")
	ErrSessionEnded  = problem.New(problem.Unauthorized, "session_ended", "The session has ended")
	ErrTakenOver     = problem.New(problem.Unauthorized, "session_taken_over", "Signed in elsewhere")
	ErrWeakPassword  = problem.New(problem.Invalid, "weak_password", "The password is too weak")
	ErrWrongPassword = problem.New(problem.Invalid, "wrong_password", "The present password is wrong")
	ErrWrongCode     = problem.New(problem.Invalid, "wrong_code", "The code is wrong")
	ErrCodeRequired  = problem.New(problem.Conflict, "second_factor_required", "A role asks for the second factor")
	ErrTOTPOn        = problem.New(problem.Conflict, "totp_on", "The second factor is set up already")
	ErrLoginTaken    = problem.New(problem.Conflict, "login_taken", "The login is taken")
	ErrNameTaken     = problem.New(problem.Conflict, "name_taken", "The name is taken")
	ErrOwnAccount    = problem.New(problem.Conflict, "own_account", "Not with your own account")
	ErrTooMuch       = problem.New(problem.Forbidden, "beyond_own_rights", "Nobody can give more than they have")
	ErrUnitInUse     = problem.New(problem.Conflict, "unit_in_use", "The unit is not empty")
	ErrUnitCycle     = problem.New(problem.Conflict, "unit_cycle", "A unit cannot be moved below itself")
	ErrRoleInUse     = problem.New(problem.Conflict, "role_in_use", "Somebody has this role")
)

// User is a person with an account.
type User struct {
	ID       auth.UserID `json:"id" gorm:"primaryKey;size:36"`
	TenantID auth.UnitID `json:"-" gorm:"size:36"`
	UnitID   auth.UnitID `json:"unit_id" gorm:"size:36"`
	Login    string      `json:"login" gorm:"size:60" doc:"Unique in the tenant, lower case"`
	Name     string      `json:"name" gorm:"size:120"`
	Email    string      `json:"email" gorm:"size:254" doc:"May be empty"`
	Language string      `json:"language" gorm:"size:10" enum:"zh-CN,en"`
	Active   bool        `json:"active" doc:"False: cannot sign in"`
	Roles    []string    `json:"roles" gorm:"serializer:json" doc:"Names of presets and ids of the tenant's own roles"`

	PasswordHash string     `json:"-" gorm:"size:200"`
	PasswordAt   time.Time  `json:"password_at" doc:"When the password was last changed"`
	MustChange   bool       `json:"must_change_password"`
	History      []string   `json:"-" gorm:"serializer:json"` // hashes of the passwords before, the latest first
	Failed       int        `json:"-"`                        // wrong attempts since the last good one
	LockedUntil  *time.Time `json:"locked_until" doc:"After too many wrong attempts; may lie in the past"`

	TOTPSecret string   `json:"-" gorm:"column:totp_secret;size:64"`
	TOTPOn     bool     `json:"totp_on" gorm:"column:totp_on" doc:"Signs in with a second factor"`
	TOTPStep   int64    `json:"-" gorm:"column:totp_step"` // of the last code used: a code is good only once
	Recovery   []string `json:"-" gorm:"serializer:json"`  // hashes of the recovery codes left

	LastLoginAt *time.Time `json:"last_login_at"`
	LastAddress string     `json:"last_address" gorm:"size:60"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// TableName is for gorm.
func (User) TableName() string { return "user_users" }

// Locked tells whether wrong attempts keep the person out at that time.
func (u *User) Locked(now time.Time) bool { return u.LockedUntil != nil && now.Before(*u.LockedUntil) }

// Languages are those of the desktop; the first is the default.
var Languages = []string{"zh-CN", "en"}

var loginShape = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{1,59}$`)

// fold is the one way to write a login.
func fold(login string) string { return strings.ToLower(strings.TrimSpace(login)) }

// check is ErrInvalid with a field for each fault of the person's own data.
func (u *User) check() error {
	bad := problem.ErrInvalid
	if !loginShape.MatchString(u.Login) {
		bad = bad.At("body.login", "bad_format", "2 to 60 of a-z, 0-9 and . _ @ -, beginning with a letter or digit.")
	}
	if n := len([]rune(strings.TrimSpace(u.Name))); n == 0 || n > 120 {
		bad = bad.At("body.name", "bad_length", "1 to 120 characters.")
	}
	if u.Email != "" {
		if a, err := mail.ParseAddress(u.Email); err != nil || a.Address != u.Email || len(u.Email) > 254 {
			bad = bad.At("body.email", "bad_format", "Not an e-mail address.")
		}
	}
	if !slices.Contains(Languages, u.Language) {
		bad = bad.At("body.language", "not_allowed", "One of %s.", strings.Join(Languages, ", "))
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

// Config is how people sign in. Package app documents the settings, and has their defaults.
type Config struct {
	SessionIdle    time.Duration // a session without a request or open stream ends after this
	SessionMax     time.Duration // and any session after this
	OneSession     []string      // roles whose holders have one session: a new one ends the others
	PasswordMin    int           // characters
	PasswordKeep   int           // so many former passwords may not come back
	PasswordMaxAge time.Duration // then it must be changed; 0: never
	LockAfter      int           // wrong attempts in a row
	LockFor        time.Duration
	LoginPerMinute int      // attempts a minute from one address, and for one login
	SecondFactor   []string // preset roles that ask for a second factor
	HashMemoryMiB  int      // of argon2id, for each of at most two hashes at a time
}

// DefaultConfig is what package app sets when nobody says otherwise.
func DefaultConfig() Config {
	return Config{
		SessionIdle: 4 * time.Hour, SessionMax: 16 * time.Hour, OneSession: []string{auth.Agent.Name},
		PasswordMin: 10, PasswordKeep: 3, LockAfter: 5, LockFor: 15 * time.Minute, LoginPerMinute: 20, HashMemoryMiB: 46,
	}
}

// mayGive lists what of want the asker may not hand to somebody in the unit of that path: what the asker does not hold,
// not so far, or not there.
func mayGive(asker *auth.Principal, want auth.Grants, path string) (refused []auth.Permission) {
	if asker.Kind == auth.Platform {
		return nil
	}
	for perm, scope := range want {
		has := asker.Scope(perm)
		ok := scope <= has
		switch has {
		case auth.Team:
			ok = ok && (scope == auth.Own || path == asker.UnitPath)
		case auth.Below:
			ok = ok && (scope == auth.Own || strings.HasPrefix(path, asker.UnitPath))
		}
		if !ok {
			refused = append(refused, perm)
		}
	}
	slices.Sort(refused)
	return refused
}

func tooMuch(refused []auth.Permission) error {
	if len(refused) == 0 {
		return nil
	}
	return ErrTooMuch.With("You do not hold this yourself, or not so far: %s.", strings.Join(names(refused), ", "))
}

func names(perms []auth.Permission) []string {
	out := make([]string, len(perms))
	for i, p := range perms {
		out[i] = string(p)
	}
	return out
}

// String names the person in log lines.
func (u *User) String() string { return fmt.Sprintf("%s (%s)", u.Login, u.ID) }
