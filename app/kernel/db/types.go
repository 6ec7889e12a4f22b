package db

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// ID makes a new id: a UUIDv7 as text, 36 characters, so that ids sort by the time they were made.
func ID() string { return uuid.Must(uuid.NewV7()).String() }

// Now is the time as both databases keep it: UTC, whole microseconds.
func Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// JSON is a column that holds any value as JSON: TEXT in SQLite, JSON in MySQL. The column is NOT NULL, or its field
// is a pointer *JSON[T].
type JSON[T any] struct{ V T }

// AsJSON wraps a value for a JSON column.
func AsJSON[T any](v T) JSON[T] { return JSON[T]{v} }

// Value implements driver.Valuer.
func (j JSON[T]) Value() (driver.Value, error) {
	raw, err := json.Marshal(j.V)
	if err != nil {
		return nil, fmt.Errorf("encode JSON column: %w", err)
	}
	return string(raw), nil
}

// Scan implements sql.Scanner. NULL and empty text give the zero value.
func (j *JSON[T]) Scan(src any) error {
	var zero T
	j.V = zero
	var raw []byte
	switch s := src.(type) {
	case nil:
		return nil
	case []byte:
		raw = s
	case string:
		raw = []byte(s)
	default:
		return fmt.Errorf("JSON column holds a %T", src)
	}
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, &j.V); err != nil {
		return fmt.Errorf("decode JSON column: %w", err)
	}
	return nil
}

// MarshalJSON writes the value itself.
func (j JSON[T]) MarshalJSON() ([]byte, error) { return json.Marshal(j.V) }

// UnmarshalJSON reads the value itself.
func (j *JSON[T]) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &j.V) }

// GormDataType names the type to gorm.
func (JSON[T]) GormDataType() string { return "json" }

// GormDBDataType is the column's type in the database.
func (JSON[T]) GormDBDataType(db *gorm.DB, _ *schema.Field) string {
	if IsMySQL(db) {
		return "JSON"
	}
	return "TEXT"
}
