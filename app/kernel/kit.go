// Package kernel is the tools that all modules share; it knows no call-centre word. A [Kit] holds one of each.
package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"
	"gorm.io/gorm"

	"callplane/app/kernel/bus"
	"callplane/app/kernel/db"
	"callplane/app/kernel/files"
	"callplane/app/kernel/jobs"
	"callplane/app/kernel/live"
	"callplane/app/kernel/outbox"
)

// Kit is what nearly every module uses.
type Kit struct {
	Log     *slog.Logger
	DB      *gorm.DB
	Bus     *bus.Bus
	Outbox  *outbox.Outbox
	Jobs    *jobs.Jobs
	Files   *files.Store
	Live    *live.Hub
	Metrics Registerer // names begin with cc_
}

// Config says where everything is kept.
type Config struct {
	DB    db.Config
	Bus   bus.Config
	Files string // URL, see [files.Open]
	Log   *slog.Logger
	// Metrics is where the kit and the modules register. Default: a registry of its own.
	Metrics Registerer
}

// Open opens the bus, the database and the files. It does not migrate the database (see [db.Migrate]) and starts nothing
// but the bus; Run does. Close what it gives.
func Open(ctx context.Context, c Config) (_ *Kit, err error) {
	k := &Kit{Log: c.Log, Metrics: c.Metrics}
	if k.Log == nil {
		k.Log = slog.Default()
	}
	if c.DB.Log == nil {
		c.DB.Log = k.Log
	}
	if c.Bus.Log == nil {
		c.Bus.Log = k.Log
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.Close())
		}
	}()
	if k.Bus, err = bus.Open(ctx, c.Bus); err != nil {
		return nil, err
	}
	if k.DB, err = db.Open(ctx, c.DB); err != nil {
		return nil, err
	}
	if k.Files, err = files.Open(ctx, c.Files); err != nil {
		return nil, err
	}
	k.Outbox = outbox.New(k.DB, k.Bus)
	k.Jobs = jobs.New(k.Bus, k.Outbox)
	k.Live = live.New(k.Bus)
	if err := k.registerMetrics(); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return k, nil
}

// Run runs the outbox's relay, the jobs and the live stream until ctx is done. Give Jobs its handlers before.
func (k *Kit) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return k.Outbox.Run(ctx) })
	g.Go(func() error { return k.Jobs.Run(ctx) })
	g.Go(func() error { return k.Live.Run(ctx) })
	return g.Wait()
}

// Close closes what Open has opened, the bus first, which waits up to 5 s until all is stored.
func (k *Kit) Close() (err error) {
	if k.Bus != nil {
		err = k.Bus.Close()
	}
	if k.DB != nil {
		err = errors.Join(err, db.Close(k.DB))
	}
	if k.Files != nil {
		err = errors.Join(err, k.Files.Close())
	}
	return err
}
