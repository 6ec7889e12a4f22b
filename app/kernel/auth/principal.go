package auth

import (
	"context"
	"strings"
	"sync/atomic"

	"callplane/app/kernel/problem"
)

// UserID names a person with an account: a UUID.
type UserID string

// UnitID names a node of the organisation tree: ten characters of [a-z0-9].
type UnitID string

// KeyID names an API key.
type KeyID string

// SessionID names a browser session. It is not the secret that opens it.
type SessionID string

// Kind is what sort of asker a principal is.
type Kind string

// The kinds of principal.
const (
	Anonymous Kind = ""
	User      Kind = "user"
	Key       Kind = "key"
	Platform  Kind = "system"
)

// Tree tells where a unit stands in the organisation.
type Tree interface {
	// Path is the unit's way from the tenant's root, as "/root/dept/team/"; empty for an unknown unit.
	Path(UnitID) string
}

// Principal is who asks. It is made once per request and never changed after that.
type Principal struct {
	Kind      Kind
	UserID    UserID // empty for a key
	Login     string
	Name      string
	Language  string // zh-CN or en
	UnitID    UnitID
	UnitPath  string // "/root/dept/team/"
	KeyID     KeyID
	SessionID SessionID
	Roles     []string // preset names and ids of the tenant's own roles
	Grants    Grants
	Tree      Tree    // finds the path of a unit; nil knows no unit but the principal's own
	Must      Duty    // what a person must do before anything else
	PerSecond float64 // requests a second this asker may make; 0 means the server's default
}

// Duty is something a person must do before the account is good for anything else.
type Duty string

// The duties.
const (
	NoDuty         Duty = ""
	ChangePassword Duty = "change_password" // first sign-in, reset by an administrator, or too old
	EnrolTOTP      Duty = "enrol_totp"      // a role asks for a second factor
)

// Errors of the guards.
var (
	ErrUnauthorized   = problem.New(problem.Unauthorized, "unauthorized", "Sign in first")
	ErrChangePassword = problem.New(problem.Forbidden, "change_password", "Change your password first")
	ErrEnrolTOTP      = problem.New(problem.Forbidden, "enrol_totp", "Set up your second factor first")
)

// TenantPath is the path of the tenant's root: "/root/". Empty for the platform and for anonymous askers.
func (p *Principal) TenantPath() string { return RootPath(p.UnitPath) }

// Tenant is the tenant's root unit.
func (p *Principal) Tenant() UnitID { return UnitID(strings.Trim(p.TenantPath(), "/")) }

// RootPath is the first step of a path: "/root/" of "/root/dept/team/".
func RootPath(path string) string {
	if len(path) < 2 || path[0] != '/' {
		return ""
	}
	if end := strings.IndexByte(path[1:], '/'); end > 0 {
		return path[:end+2]
	}
	return ""
}

// Scope is how far the permission reaches for this asker; Nothing if it is not held.
func (p *Principal) Scope(perm Permission) Scope {
	if p.Kind == Platform {
		return All
	}
	return p.Grants[perm]
}

// Can tells whether the permission is held at all.
func (p *Principal) Can(perm Permission) bool { return p.Scope(perm) > Nothing }

// Actor is the asker as the audit log and log lines name it: "user:<id>", "key:<id>", "system" or "anonymous".
func (p *Principal) Actor() string {
	switch p.Kind {
	case User:
		return "user:" + string(p.UserID)
	case Key:
		return "key:" + string(p.KeyID)
	case Platform:
		return "system"
	}
	return "anonymous"
}

type ctxKey int

const (
	principalKey ctxKey = iota
	requestKey
)

var anonymous = &Principal{}

// From is who asks in this context. Never nil: without a principal it is one that may do nothing.
func From(ctx context.Context) *Principal {
	if p, ok := ctx.Value(principalKey).(*Principal); ok {
		return p
	}
	return anonymous
}

// With puts the asker into the context.
func With(ctx context.Context, p *Principal) context.Context {
	return context.WithValue(ctx, principalKey, p)
}

var platform = &Principal{Kind: Platform, Name: "system", Login: "system"}

// System is a context in which the platform itself asks: it may do and see everything, in all tenants.
// It is for work that no person started, and never for work on a person's behalf.
func System(ctx context.Context) context.Context { return With(ctx, platform) }

// Request is where a request came from. Package api puts it into the context.
type Request struct {
	ID        string // request id, as in the log and in problems
	Address   string // of the client, behind trusted proxies
	UserAgent string
	Audited   atomic.Bool // set when an audit entry was written
}

// RequestFrom is the request of this context; an empty one outside of requests.
func RequestFrom(ctx context.Context) *Request {
	if r, ok := ctx.Value(requestKey).(*Request); ok {
		return r
	}
	return &Request{}
}

// WithRequest puts the request into the context.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey, r)
}
