package auth

import (
	"context"
	"fmt"

	"callplane/app/kernel/problem"
)

// Guard decides whether a request may reach its handler. Each route has exactly one; it is an api.Option.
type Guard struct {
	kind guardKind
	perm Permission
}

type guardKind uint8

const (
	public guardKind = iota + 1
	limited
	signedIn
	permission
)

// Public lets everyone in.
func Public() Guard { return Guard{kind: public} }

// SignedIn lets in any person or key.
func SignedIn() Guard { return Guard{kind: signedIn} }

// Limited is SignedIn, but also lets in a person who must first change the password or enrol a second factor.
// It is for the few routes with which that is done.
func Limited() Guard { return Guard{kind: limited} }

// Can lets in who holds the permission, whatever its scope. The handler narrows by Visible or MayUse. It panics on a
// permission nobody defined.
func Can(p Permission) Guard {
	if !Known(p) {
		panic(fmt.Sprintf("auth: permission %q is not defined", p))
	}
	return Guard{kind: permission, perm: p}
}

// RouteOption makes Guard an option of a route.
func (Guard) RouteOption() {}

// IsPublic tells whether the guard lets everyone in.
func (g Guard) IsPublic() bool { return g.kind == public }

// Permission is what Can was given; empty for the other guards.
func (g Guard) Permission() Permission { return g.perm }

// String is "public", "limited", "signed_in" or the permission; empty for the zero Guard.
func (g Guard) String() string {
	return [...]string{"", "public", "limited", "signed_in", string(g.perm)}[g.kind]
}

// Allow is nil if the asker may pass. Otherwise ErrUnauthorized without an asker, ErrChangePassword or ErrEnrolTOTP
// while the person has a duty, and problem.ErrForbidden without the permission.
func (g Guard) Allow(ctx context.Context) error {
	p := From(ctx)
	if g.kind == public {
		return nil
	}
	if p.Kind == Anonymous || g.kind == 0 {
		return ErrUnauthorized
	}
	if g.kind == limited {
		return nil
	}
	switch p.Must {
	case ChangePassword:
		return ErrChangePassword
	case EnrolTOTP:
		return ErrEnrolTOTP
	}
	if g.kind == permission && !p.Can(g.perm) {
		return problem.ErrForbidden.With("This needs the permission %s.", g.perm)
	}
	return nil
}

// Check is nil if the asker holds the permission, else problem.ErrForbidden. It is for a service that must ask for
// more than the route's guard.
func Check(ctx context.Context, p Permission) error {
	if From(ctx).Can(p) {
		return nil
	}
	return problem.ErrForbidden.With("This needs the permission %s.", p)
}
