package auth

import (
	"context"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// unitTable is where package user keeps the units; path is indexed.
const unitTable = "user_units"

// Visible narrows a query to the rows that the asker may see with the permission. unitColumn holds the row's UnitID,
// ownerColumn its UserID; ownerColumn may be "" for things without an owner. Columns may be qualified: "q.unit_id".
// Without the permission no row is visible.
func Visible(ctx context.Context, db *gorm.DB, perm Permission, unitColumn, ownerColumn string) *gorm.DB {
	p := From(ctx)
	if p.Kind == Platform {
		return db
	}
	unit := column(unitColumn)
	var mine clause.Expression
	if ownerColumn != "" && p.UserID != "" {
		mine = clause.Eq{Column: column(ownerColumn), Value: string(p.UserID)}
	}
	var where clause.Expression
	switch scope := p.Scope(perm); {
	case scope == Own:
		where = mine
	case scope == Team:
		where = clause.Eq{Column: unit, Value: string(p.UnitID)}
	case scope == Below && p.UnitPath != "":
		where = under(unit, p.UnitPath)
	case scope == All && p.UnitPath != "":
		where = under(unit, p.TenantPath())
	}
	switch {
	case where == nil:
		return db.Where("1 = 0")
	case mine != nil && p.Scope(perm) > Own:
		// One's own rows stay visible when they lie in another unit. (clause.Or would join to what db has already.)
		where = clause.Expr{SQL: "(? OR ?)", Vars: []any{where, mine}}
	}
	return db.Where(where)
}

// InTenant narrows a query to the asker's tenant, for things that everyone in it may see. The platform sees all.
func InTenant(ctx context.Context, db *gorm.DB, unitColumn string) *gorm.DB {
	p := From(ctx)
	switch {
	case p.Kind == Platform:
		return db
	case p.TenantPath() == "":
		return db.Where("1 = 0")
	}
	return db.Where(under(column(unitColumn), p.TenantPath()))
}

func column(name string) clause.Column {
	if table, col, ok := strings.Cut(name, "."); ok {
		return clause.Column{Table: table, Name: col}
	}
	return clause.Column{Name: name}
}

// under is true for rows whose unit is at the path or below. Paths hold only [a-z0-9/], so LIKE needs no escape.
func under(unit clause.Column, path string) clause.Expression {
	return clause.Expr{
		SQL:  "? IN (SELECT id FROM " + unitTable + " WHERE path LIKE ?)",
		Vars: []any{unit, path + "%"},
	}
}

// MayUse tells whether the asker may do perm with one thing of the unit and owner (either may be empty). The unit is
// an id or a path ("/root/dept/"). It is for things in memory and for filters of event streams, and agrees with Visible.
func MayUse[U, O ~string](ctx context.Context, perm Permission, unit U, owner O) bool {
	return From(ctx).MayUse(perm, string(unit), string(owner))
}

// MayUse is the function MayUse for this asker.
func (p *Principal) MayUse(perm Permission, unit, owner string) bool {
	scope := p.Scope(perm)
	if p.Kind == Platform || scope == Nothing {
		return p.Kind == Platform
	}
	if owner != "" && UserID(owner) == p.UserID {
		return true
	}
	if unit == "" || scope == Own {
		return false
	}
	path := unit
	switch {
	case strings.HasPrefix(unit, "/"):
	case UnitID(unit) == p.UnitID:
		path = p.UnitPath
	case p.Tree != nil:
		path = p.Tree.Path(UnitID(unit))
	default:
		return false
	}
	switch {
	case path == "" || p.UnitPath == "":
		return false
	case scope == Team:
		return path == p.UnitPath
	case scope == Below:
		return strings.HasPrefix(path, p.UnitPath)
	}
	return strings.HasPrefix(path, p.TenantPath())
}
