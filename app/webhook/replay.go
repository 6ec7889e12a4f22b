package webhook

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"gorm.io/gorm"

	"callplane/app/kernel/audit"
	"callplane/app/kernel/auth"
	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/jobs"
)

// replayJob sends old events again; the id is the replay's.
const replayJob = "webhook.replay"

// Replay is a part of the stream to send again. Receivers know the events by their ids.
type Replay struct {
	ID       string    `json:"id"`
	Endpoint ID        `json:"endpoint"`
	After    uint64    `json:"after" doc:"Events after this position"`
	Until    uint64    `json:"until" doc:"Up to and with this one"`
	From     time.Time `json:"from,omitzero" doc:"And those that happened not before"`
}

// Replay sends an endpoint again what happened since a time, or from a position in the stream on: the later of the two. It
// ends with what is in the stream now. Error: ErrOff.
func (s *Service) Replay(ctx context.Context, id ID, since time.Time, seq uint64) (r Replay, err error) {
	e, err := store{auth.Visible(ctx, s.kit.DB.WithContext(ctx), Manage, "unit_id", "")}.endpoint(id)
	if err != nil {
		return r, err
	}
	if !e.Active {
		return r, ErrOff
	}
	first, err := s.kit.Bus.FirstSeq(ctx)
	if err != nil {
		return r, err
	}
	last, err := s.kit.Bus.LastSeq(ctx)
	if err != nil {
		return r, err
	}
	// The stream cannot be read after 0: its very first event is the one that is never sent again.
	r = Replay{ID: db.ID(), Endpoint: id, After: max(first, seq, 2) - 1, Until: last, From: since.UTC()}
	return r, db.Tx(ctx, s.kit.DB, func(tx *gorm.DB) error {
		if err := s.kit.Jobs.AddTx(tx, replayJob, r.ID, r); err != nil {
			return err
		}
		return audit.Add(ctx, tx, audit.Entry{
			Action: "webhook.replay", Object: "webhook.endpoint", ObjectID: string(id), Unit: auth.UnitID(e.UnitID), Detail: r,
		})
	})
}

// replay does a Replay. Cut off, it goes on where it was.
func (s *Service) replay(ctx context.Context, j jobs.Job) error {
	var r Replay
	if err := j.Into(&r); err != nil {
		return jobs.Fail(err)
	}
	e, err := store{s.kit.DB.WithContext(ctx)}.endpoint(r.Endpoint)
	if err != nil {
		return err
	}
	if !e.Active {
		return jobs.Fail(ErrOff)
	}
	place := s.kit.Bus.KV("webhook_replay")
	if v, err := place.Get(ctx, r.ID); err == nil {
		if r.After, err = strconv.ParseUint(string(v.Value), 10, 64); err != nil {
			return jobs.Fail(err)
		}
	} else if !errors.Is(err, bus.ErrNoKey) {
		return err
	}
	if r.After >= r.Until {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, err := s.tail(ctx, r.After, nil) // all types, so that the end is seen
	if err != nil {
		return err
	}
	c := s.newCourier(e, true)
	defer c.keepFlushing()()
	defer c.moving.Wait()
	defer cancel()
	for {
		batch, ok := next(events, batchSize)
		if !ok {
			return fmt.Errorf("replay of %s: the event stream ended", e.ID)
		}
		seq := batch[len(batch)-1].Seq
		items, _ := c.start(ctx, chosen(batch, e.Types, r))
		for _, it := range items {
			select {
			case <-it.done:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		place.PutFor(r.ID, strconv.AppendUint(nil, seq, 10), 7*24*time.Hour)
		if seq >= r.Until {
			return nil
		}
	}
}

// chosen are the events of a batch that a replay sends.
func chosen(batch []bus.Event, types []string, r Replay) (out []bus.Event) {
	for _, ev := range batch {
		if ev.Seq <= r.Until && !ev.At.Before(r.From) && matches(ev.Type, types) {
			out = append(out, ev)
		}
	}
	return out
}
