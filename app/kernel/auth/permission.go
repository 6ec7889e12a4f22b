package auth

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Permission is one thing that one may do, written module:verb: "acd:manage".
type Permission string

// Scope says which rows a permission reaches. A wider scope is a larger number.
type Scope uint8

// The scopes, from narrow to wide.
const (
	Nothing Scope = iota // no row at all: the permission is not held
	Own                  // rows whose owner is the asker
	Team                 // rows of the asker's own unit, and own rows
	Below                // rows of the asker's unit and of all units below, and own rows
	All                  // all rows of the tenant
)

var scopeNames = []string{"nothing", "own", "team", "below", "all"}

// String is the scope's name as it is stored and sent.
func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return fmt.Sprintf("scope(%d)", uint8(s))
}

// ParseScope reads a name that String gave. Other names are an error.
func ParseScope(name string) (Scope, error) {
	if i := slices.Index(scopeNames, name); i >= 0 {
		return Scope(i), nil
	}
	return Nothing, fmt.Errorf("scope %q is none of %s", name, strings.Join(scopeNames[1:], ", "))
}

// MarshalText writes the name.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name.
func (s *Scope) UnmarshalText(text []byte) (err error) {
	*s, err = ParseScope(string(text))
	return err
}

// Preset is a role that ships with the platform. Its grants come from the [Define] lines, so that a new version's
// permissions reach it at once. Scope is what a permission defined for it gets.
type Preset struct {
	Name  string
	Doc   string
	Scope Scope
}

// At is the preset with another scope, for one Define line: auth.Agent.At(auth.Team).
func (p Preset) At(s Scope) Preset {
	p.Scope = s
	return p
}

// The presets.
var (
	Admin      = Preset{"admin", "runs the platform: may do everything in the tenant", All}
	Supervisor = Preset{"supervisor", "leads a team and what is below it", Below}
	Agent      = Preset{"agent", "talks to customers; sees what is theirs", Own}
	QA         = Preset{"qa", "listens to recordings and scores them", Below}
	Knowledge  = Preset{"knowledge", "writes the articles agents read", All}
	Dispatcher = Preset{"dispatcher", "hands cases to the units that solve them", Below}
	Auditor    = Preset{"auditor", "reads everything that was done; changes nothing", All}
	Integrator = Preset{"integrator", "connects other systems", All}
)

// Presets lists all presets.
func Presets() []Preset {
	return []Preset{Admin, Supervisor, Agent, QA, Knowledge, Dispatcher, Auditor, Integrator}
}

// Definition is a permission as its module described it.
type Definition struct {
	Permission Permission       `json:"permission"`
	Doc        string           `json:"doc"`
	Presets    map[string]Scope `json:"presets" doc:"Which preset roles hold it, and how far"`
}

var (
	defsMu sync.RWMutex
	defs   = map[Permission]Definition{}

	permissionShape = regexp.MustCompile(`^[a-z][a-z0-9]*:[a-z][a-z_]*$`)
)

// Define lists a permission and returns it; it is for package variables. The preset admin always gets it with scope
// All, named or not. It panics on a malformed name and on one that is defined twice.
func Define(p Permission, doc string, presets ...Preset) Permission {
	defsMu.Lock()
	defer defsMu.Unlock()
	if !permissionShape.MatchString(string(p)) {
		panic(fmt.Sprintf("auth: permission %q is not module:verb", p))
	}
	if _, twice := defs[p]; twice {
		panic(fmt.Sprintf("auth: permission %q is defined twice", p))
	}
	d := Definition{Permission: p, Doc: doc, Presets: map[string]Scope{Admin.Name: All}}
	for _, preset := range presets {
		d.Presets[preset.Name] = max(d.Presets[preset.Name], preset.Scope)
	}
	defs[p] = d
	return p
}

// Defined lists every permission, sorted by name.
func Defined() []Definition {
	defsMu.RLock()
	defer defsMu.RUnlock()
	list := make([]Definition, 0, len(defs))
	for _, d := range defs {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b Definition) int { return strings.Compare(string(a.Permission), string(b.Permission)) })
	return list
}

// Known tells whether the permission is defined.
func Known(p Permission) bool {
	defsMu.RLock()
	defer defsMu.RUnlock()
	_, ok := defs[p]
	return ok
}

// Grants says how far each permission reaches. A permission that is not in it is not held.
type Grants map[Permission]Scope

// PresetGrants is what the preset of that name holds; nil for an unknown name.
func PresetGrants(name string) Grants {
	if !slices.ContainsFunc(Presets(), func(p Preset) bool { return p.Name == name }) {
		return nil
	}
	g := Grants{}
	for _, d := range Defined() {
		if s := d.Presets[name]; s > Nothing {
			g[d.Permission] = s
		}
	}
	return g
}

// Add widens g by what other holds.
func (g Grants) Add(other Grants) {
	for p, s := range other {
		g[p] = max(g[p], s)
	}
}

// Beyond lists what g holds further than limit does, sorted; empty means that limit covers g.
func (g Grants) Beyond(limit Grants) []Permission {
	var wider []Permission
	for p, s := range g {
		if s > limit[p] {
			wider = append(wider, p)
		}
	}
	slices.Sort(wider)
	return wider
}
