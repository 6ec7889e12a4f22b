// Package outbox carries what a database transaction says to the event stream and to the jobs, if and only if the
// transaction commits.
//
// [Outbox.Add] writes rows in the transaction. A relay, on one node at a time, moves them on in the order of their ids,
// at once after a commit on any node, and deletes them. A row that was carried when the process died is not carried
// twice: JetStream knows an event's id for two minutes, and after that the relay looks the event up.
//
// Order: rows of one transaction stay in order, and so do those of transactions that changed the same row one after the
// other. Between transactions that ran at the same time there is none.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
)

const (
	batchSize = 500         // rows carried at once
	poll      = time.Second // how often to look for rows nobody told us about
	leaseTTL  = 10 * time.Second
	leaseName = "outbox"
	signal    = "outbox"
	known     = time.Minute // how long after an attempt JetStream surely knows its ids
	kindEvent = "event"
)

// row is a line of the table kernel_outbox.
type row struct {
	ID        int64 `gorm:"primaryKey;autoIncrement"`
	Kind      string
	MsgID     string
	Payload   []byte
	CreatedAt time.Time
	SentAt    *time.Time
}

func (row) TableName() string { return "kernel_outbox" }

// Models is every table of the package.
func Models() []any { return []any{row{}} }

// Item is a row of another kind than events, for its carrier.
type Item struct {
	ID      string
	Payload []byte
}

// Outbox is the table and its relay.
type Outbox struct {
	db       *gorm.DB
	bus      *bus.Bus
	log      *slog.Logger
	carriers map[string]func(context.Context, Item) error
	wake     chan struct{}
	carried  atomic.Uint64
}

// New makes an outbox; Run starts its relay.
func New(d *gorm.DB, b *bus.Bus) *Outbox {
	return &Outbox{db: d, bus: b, log: slog.Default().With("module", "outbox"), wake: make(chan struct{}, 1),
		carriers: map[string]func(context.Context, Item) error{}}
}

// Carry says who takes rows of another kind, before Run. f must take the same item twice without harm.
func (o *Outbox) Carry(kind string, f func(context.Context, Item) error) { o.carriers[kind] = f }

// Add writes events in the transaction tx: they reach the stream, in order, if and only if tx commits. An event whose id
// is in the outbox already is left out.
func (o *Outbox) Add(tx *gorm.DB, events ...bus.Event) error {
	rows := make([]row, len(events))
	for i, e := range events {
		if e.ID == "" {
			e.ID = db.ID()
		}
		if e.At.IsZero() {
			e.At = db.Now()
		}
		raw, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("outbox: event %s: %w", e.Type, err)
		}
		rows[i] = row{Kind: kindEvent, MsgID: e.ID, Payload: raw, CreatedAt: db.Now()}
	}
	return o.add(tx, rows)
}

// AddItem writes a row for the carrier of kind in the transaction tx.
func (o *Outbox) AddItem(tx *gorm.DB, kind string, it Item) error {
	return o.add(tx, []row{{Kind: kind, MsgID: it.ID, Payload: it.Payload, CreatedAt: db.Now()}})
}

func (o *Outbox) add(tx *gorm.DB, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	twice := clause.OnConflict{Columns: []clause.Column{{Name: "kind"}, {Name: "msg_id"}}, DoUpdates: clause.AssignmentColumns([]string{"msg_id"})}
	if err := tx.Clauses(twice).Create(&rows).Error; err != nil {
		return fmt.Errorf("outbox: %w", err)
	}
	db.AfterCommit(tx, o.kick)
	return nil
}

// kick wakes the relay, wherever it runs.
func (o *Outbox) kick() {
	o.poke()
	if o.bus != nil { // nil on the command line, which writes beside a server
		o.bus.Signal(signal)
	}
}

func (o *Outbox) poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Run relays until ctx is done, on the one node that holds the lease. With the database or JetStream away it waits.
func (o *Outbox) Run(ctx context.Context) error {
	stop := o.bus.OnSignal(signal, o.poke)
	defer stop()
	for ctx.Err() == nil {
		lease, err := o.bus.Lease(ctx, leaseName, leaseTTL)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		hold, cancel := lease.Context(ctx)
		o.relay(hold)
		cancel()
		lease.Release()
	}
	return nil
}

// relay carries rows until ctx is done.
func (o *Outbox) relay(ctx context.Context) {
	failing := false
	wait := time.Duration(0)
	for {
		select {
		case <-o.wake:
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		for more := true; more; {
			var err error
			more, err = o.carryBatch(ctx)
			wait = poll
			if err != nil && ctx.Err() == nil {
				if !failing {
					o.log.Warn("outbox waits", "error", err)
				}
				failing = true
				// A wake-up must not turn an outage into a busy loop.
				select {
				case <-time.After(poll / 4):
				case <-ctx.Done():
				}
			} else if failing && ctx.Err() == nil {
				failing = false
				o.log.Info("outbox goes on")
			}
		}
	}
}

// carryBatch carries the oldest rows. more tells that there are others.
func (o *Outbox) carryBatch(ctx context.Context) (more bool, err error) {
	d := o.db.WithContext(ctx)
	var rows []row
	if err := d.Order("id").Limit(batchSize).Find(&rows).Error; err != nil {
		return false, fmt.Errorf("read the outbox: %w", err)
	}
	if len(rows) == 0 {
		return false, nil
	}
	ids := make([]int64, len(rows))
	var doubtful []string // events that may be in the stream, longer ago than it remembers ids
	var since time.Time
	for i, r := range rows {
		ids[i] = r.ID
		if r.Kind == kindEvent && r.SentAt != nil && time.Since(*r.SentAt) > known {
			doubtful = append(doubtful, r.MsgID)
			if since.IsZero() || r.SentAt.Before(since) {
				since = *r.SentAt
			}
		}
	}
	if len(doubtful) > 0 {
		stored, err := o.bus.Stored(ctx, since, doubtful...)
		if err != nil {
			return false, err
		}
		left := rows[:0:0]
		for _, r := range rows {
			if r.Kind != kindEvent || !stored[r.MsgID] {
				left = append(left, r)
			}
		}
		rows = left
	}
	if err := d.Model(&row{}).Where("id IN ?", ids).Update("sent_at", db.Now()).Error; err != nil {
		return false, fmt.Errorf("mark the outbox: %w", err)
	}
	if err := o.send(ctx, rows); err != nil {
		return false, err
	}
	if err := d.Where("id IN ?", ids).Delete(&row{}).Error; err != nil {
		return false, fmt.Errorf("empty the outbox: %w", err)
	}
	o.carried.Add(uint64(len(rows)))
	return len(ids) == batchSize, nil
}

// send carries rows in order, events that follow each other together.
func (o *Outbox) send(ctx context.Context, rows []row) error {
	var events []bus.Event
	flush := func() error {
		err := o.bus.Store(ctx, events...)
		events = events[:0]
		return err
	}
	for _, r := range rows {
		if r.Kind == kindEvent {
			var e bus.Event
			if err := json.Unmarshal(r.Payload, &e); err != nil {
				o.log.Error("outbox row is no event; left out", "id", r.ID, "error", err)
				continue
			}
			events = append(events, e)
			continue
		}
		if err := flush(); err != nil {
			return err
		}
		f := o.carriers[r.Kind]
		if f == nil {
			return fmt.Errorf("outbox: nobody carries %q", r.Kind)
		}
		if err := f(ctx, Item{r.MsgID, r.Payload}); err != nil {
			return fmt.Errorf("outbox: carry %s %s: %w", r.Kind, r.MsgID, err)
		}
	}
	return flush()
}

// Depth is how many rows wait.
func (o *Outbox) Depth(ctx context.Context) (n int64, err error) {
	err = o.db.WithContext(ctx).Model(&row{}).Count(&n).Error
	return n, err
}

// Carried is how many rows this node has carried since its start.
func (o *Outbox) Carried() uint64 { return o.carried.Load() }

// Flush waits until the outbox is empty. It is for tests and for a tidy end; Run must be running on some node. Errors:
// ctx ended first, or the database is away.
func (o *Outbox) Flush(ctx context.Context) error {
	for {
		n, err := o.Depth(ctx)
		if err != nil || n == 0 {
			return err
		}
		o.kick()
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(errors.New("outbox: not empty"), ctx.Err())
		}
	}
}
