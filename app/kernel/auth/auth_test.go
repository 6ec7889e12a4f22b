package auth

import (
	"testing"

	"callplane/app/kernel/problem"
)

var (
	see  = Define("authtest:see", "for tests", Supervisor, Agent, QA.At(Team))
	edit = Define("authtest:edit", "for tests")
)

// presets come from the Define lines; the administrator holds everything.
func TestPresets(t *testing.T) {
	for preset, want := range map[string]Scope{"admin": All, "supervisor": Below, "agent": Own, "qa": Team, "auditor": Nothing} {
		if got := PresetGrants(preset)[see]; got != want {
			t.Errorf("%s has %v, want %v", preset, got, want)
		}
	}
	if PresetGrants("admin")[edit] != All || PresetGrants("nobody") != nil {
		t.Error("admin lacks a permission, or an unknown preset has some")
	}
	if len(Presets()) != 8 {
		t.Errorf("%d presets", len(Presets()))
	}
	for _, p := range []Permission{"x", "a:B", see} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q can be defined", p)
				}
			}()
			Define(p, "")
		}()
	}
}

type paths map[UnitID]string

func (p paths) Path(id UnitID) string { return p[id] }

func TestMayUse(t *testing.T) {
	tree := paths{"r": "/r/", "d": "/r/d/", "t": "/r/d/t/", "d2": "/r/d2/", "x": "/x/"}
	p := func(s Scope) *Principal {
		return &Principal{Kind: User, UserID: "me", UnitID: "d", UnitPath: "/r/d/", Grants: Grants{see: s}, Tree: tree}
	}
	for _, tt := range []struct {
		scope       Scope
		unit, owner string
		want        bool
	}{
		{Nothing, "d", "me", false},
		{Own, "d", "you", false}, {Own, "d2", "me", true}, {Own, "", "", false},
		{Team, "d", "you", true}, {Team, "t", "you", false}, {Team, "t", "me", true},
		{Below, "t", "you", true}, {Below, "d", "", true}, {Below, "r", "", false}, {Below, "d2", "", false},
		{All, "d2", "", true}, {All, "x", "", false}, {All, "gone", "", false},
		{Below, "/r/d/t/", "", true}, {Team, "/r/d/", "", true}, {All, "/x/", "", false}, {All, "", "", false},
	} {
		ctx := With(t.Context(), p(tt.scope))
		if got := MayUse(ctx, see, tt.unit, tt.owner); got != tt.want {
			t.Errorf("%v on unit %q of %q: %v", tt.scope, tt.unit, tt.owner, got)
		}
	}
	if !MayUse(System(t.Context()), see, UnitID("x"), UserID("")) {
		t.Error("the platform is refused")
	}
	if MayUse(t.Context(), see, "d", "") {
		t.Error("nobody is let in")
	}
	key := &Principal{Kind: Key, UnitID: "d", UnitPath: "/r/d/", Grants: Grants{see: Own}}
	if key.MayUse(see, "d", "") {
		t.Error("a thing without owner belongs to every key")
	}
}

func TestGuards(t *testing.T) {
	user := &Principal{Kind: User, Grants: Grants{see: Own}}
	duty := &Principal{Kind: User, Grants: Grants{see: Own}, Must: ChangePassword}
	for _, tt := range []struct {
		guard Guard
		p     *Principal
		want  error
	}{
		{Public(), anonymous, nil},
		{SignedIn(), anonymous, ErrUnauthorized},
		{Can(see), anonymous, ErrUnauthorized},
		{Can(see), user, nil},
		{Can(edit), user, problem.ErrForbidden},
		{Can(see), duty, ErrChangePassword},
		{SignedIn(), duty, ErrChangePassword},
		{Limited(), duty, nil},
		{Guard{}, user, ErrUnauthorized},
	} {
		if err := tt.guard.Allow(With(t.Context(), tt.p)); err != tt.want && (tt.want == nil || !tt.want.(*problem.Problem).Is(err)) {
			t.Errorf("%v for %v: %v", tt.guard, tt.p, err)
		}
	}
}
