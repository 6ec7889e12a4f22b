package bus

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Event says that something happened. Its type and data are defined by the package that publishes it.
type Event struct {
	ID       string          `json:"id"`                  // UUIDv7, or an id made from what happened: the key for idempotence
	Type     string          `json:"type"`                // "call.answered": module.verb
	At       time.Time       `json:"at"`                  // when it happened, UTC, microseconds
	Unit     string          `json:"unit,omitempty"`      // id of the organisation unit that owns it
	UnitPath string          `json:"unit_path,omitempty"` // "/root/dept/", for filters by scope
	Key      string          `json:"key,omitempty"`       // id of the thing it is about; events of one key are in order
	Perm     string          `json:"perm,omitempty"`      // permission needed to see it on a browser's stream; "": anyone of the unit
	Owner    string          `json:"owner,omitempty"`     // user id, for the scope "own"
	Data     json.RawMessage `json:"data,omitempty"`      // what the publisher says about it
	Seq      uint64          `json:"-"`                   // position in the stream, set when read; never 0
}

// NewEvent makes an event of now with a fresh id. typ is "module.verb"; data becomes JSON and may be nil. Data that
// cannot be JSON is a programming error and panics.
func NewEvent(typ, key string, data any) Event {
	e := Event{ID: uuid.Must(uuid.NewV7()).String(), Type: typ, At: time.Now().UTC().Truncate(time.Microsecond), Key: key}
	if data != nil {
		raw, err := json.Marshal(data)
		if err != nil {
			panic(fmt.Sprintf("bus: event %s: %v", typ, err))
		}
		e.Data = raw
	}
	return e
}

// For returns the event as one of a unit: its id and its path in the tree.
func (e Event) For(unit, path string) Event {
	e.Unit, e.UnitPath = unit, path
	return e
}

// Into decodes the event's data.
func (e Event) Into(v any) error {
	if err := json.Unmarshal(e.Data, v); err != nil {
		return fmt.Errorf("data of event %s %s: %w", e.Type, e.ID, err)
	}
	return nil
}
