package api

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"callplane/app/kernel/problem"
)

// Page is one page of a list.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Send it as cursor to get the next page. Missing on the last page."`
}

// Paging is for embedding in the input of a handler that answers with a Page.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" required:"false" doc:"At most so many items"`
	Cursor string `query:"cursor" maxLength:"1000" required:"false" doc:"next of the page before; the other parameters must stay the same"`
}

// ErrCursor is a cursor that this list did not give.
var ErrCursor = problem.New(problem.Invalid, "bad_cursor", "The cursor is not of this list")

// Cursor makes an opaque cursor of a row's key values. Time keeps its nanoseconds.
func Cursor(key ...any) string {
	for i, v := range key {
		if t, ok := v.(time.Time); ok {
			key[i] = t.UTC().Format(time.RFC3339Nano)
		}
	}
	b, err := json.Marshal(key)
	if err != nil {
		panic(err) // a key is made of strings, numbers and times
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// OpenCursor reads a cursor into pointers to values of the types that Cursor got. ErrCursor if it does not fit.
func OpenCursor(cursor string, into ...any) error {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return ErrCursor
	}
	var parts []json.RawMessage
	if json.Unmarshal(b, &parts) != nil || len(parts) != len(into) {
		return ErrCursor
	}
	for i, p := range parts {
		if json.Unmarshal(p, into[i]) != nil {
			return ErrCursor
		}
	}
	return nil
}

// Key is one column that a list is sorted by.
type Key[T any] struct {
	Column string
	Desc   bool
	Value  func(T) any // the column's value in a row: string, integer or time.Time
}

// List reads one page by keyset: it neither skips nor repeats rows while others are added. The keys together must be
// unique, so the last is usually the id. Have an index over them.
//
//	return api.List(auth.Visible(ctx, s.db, read, "unit_id", ""), in.Paging,
//		api.Key[Call]{"started_at", true, func(c Call) any { return c.StartedAt }},
//		api.Key[Call]{"id", true, func(c Call) any { return c.ID }})
func List[T any](db *gorm.DB, p Paging, keys ...Key[T]) (Page[T], error) {
	if p.Limit < 1 {
		p.Limit = 50
	}
	p.Limit = min(p.Limit, 200)
	if p.Cursor != "" {
		after, err := afterCursor(p.Cursor, keys)
		if err != nil {
			return Page[T]{}, err
		}
		db = db.Where(after)
	}
	for _, k := range keys {
		db = db.Order(clause.OrderByColumn{Column: keyColumn(k.Column), Desc: k.Desc})
	}
	page := Page[T]{Items: []T{}}
	if err := db.Limit(p.Limit + 1).Find(&page.Items).Error; err != nil {
		return Page[T]{}, err
	}
	if len(page.Items) > p.Limit {
		page.Items = page.Items[:p.Limit]
		last := page.Items[p.Limit-1]
		values := make([]any, len(keys))
		for i, k := range keys {
			values[i] = k.Value(last)
		}
		page.Next = Cursor(values...)
	}
	return page, nil
}

// afterCursor is (a > x) OR (a = x AND b > y) OR …, with < for descending columns.
func afterCursor[T any](cursor string, keys []Key[T]) (clause.Expression, error) {
	values := make([]any, len(keys))
	into := make([]any, len(keys))
	var zero T
	for i, k := range keys {
		into[i] = reflect.New(reflect.TypeOf(k.Value(zero))).Interface()
	}
	if err := OpenCursor(cursor, into...); err != nil {
		return nil, err
	}
	for i := range into {
		values[i] = reflect.ValueOf(into[i]).Elem().Interface()
	}
	var sql strings.Builder
	var vars []any
	for i, k := range keys {
		if i > 0 {
			sql.WriteString(" OR ")
		}
		sql.WriteString("(")
		for j := range i {
			sql.WriteString("? = ? AND ")
			vars = append(vars, keyColumn(keys[j].Column), values[j])
		}
		sql.WriteString(map[bool]string{false: "? > ?)", true: "? < ?)"}[k.Desc])
		vars = append(vars, keyColumn(k.Column), values[i])
	}
	return clause.Expr{SQL: "(" + sql.String() + ")", Vars: vars}, nil
}

func keyColumn(name string) clause.Column {
	if table, column, ok := strings.Cut(name, "."); ok {
		return clause.Column{Table: table, Name: column}
	}
	return clause.Column{Name: name}
}
