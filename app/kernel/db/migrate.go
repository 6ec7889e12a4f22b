package db

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"gorm.io/gorm"

	migrations "callplane/sql"
)

// Migration is one numbered file of folder sql.
type Migration struct {
	Number  int64
	Name    string    // the file's name
	Applied time.Time // zero if it is still to come
}

// Migrate applies every migration that the database has not seen, in order. Of several nodes that start at once, one
// migrates and the others wait for it, up to 5 minutes.
func Migrate(ctx context.Context, db *gorm.DB) error {
	log := slog.Default()
	if l, ok := db.Logger.(*slowLog); ok {
		log = l.log
	}
	return migrate(ctx, db, true, func(p *goose.Provider) error {
		done, err := p.Up(ctx)
		for _, m := range done {
			log.InfoContext(ctx, "database migrated", "migration", path.Base(m.Source.Path), "took", m.Duration)
		}
		return err
	})
}

// Down takes the last migration back. With none applied it does nothing.
func Down(ctx context.Context, db *gorm.DB) error {
	return migrate(ctx, db, true, func(p *goose.Provider) error {
		_, err := p.Down(ctx)
		if errors.Is(err, goose.ErrNoNextVersion) {
			return nil
		}
		return err
	})
}

// Status lists all migrations in order, applied or not.
func Status(ctx context.Context, db *gorm.DB) (list []Migration, err error) {
	err = migrate(ctx, db, false, func(p *goose.Provider) error {
		all, err := p.Status(ctx)
		for _, m := range all {
			list = append(list, Migration{m.Source.Version, path.Base(m.Source.Path), m.AppliedAt})
		}
		return err
	})
	return list, err
}

// migrate runs f with a provider for the database of db, holding the lock of all who migrate it if locked.
func migrate(ctx context.Context, db *gorm.DB, locked bool, f func(*goose.Provider) error) error {
	h, err := db.DB()
	if err != nil {
		return err
	}
	opts := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger())}
	dialect, folder := goose.DialectSQLite3, "sqlite"
	if IsMySQL(db) {
		dialect, folder = goose.DialectMySQL, "mysql"
		if locked {
			l, err := lock.NewMySQLTableLocker(lock.WithTableLockTimeout(time.Second, 300))
			if err != nil {
				return fmt.Errorf("migrate: %w", err)
			}
			opts = append(opts, goose.WithLocker(l))
		}
	} else if locked {
		unlock, err := lockFile(ctx, db)
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		defer unlock()
	}
	files, err := fs.Sub(migrations.Files, folder)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	p, err := goose.NewProvider(dialect, h, files, opts...)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := f(p); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// lockFile keeps other processes from migrating the same SQLite file, until the returned function is called or the
// process ends.
func lockFile(ctx context.Context, db *gorm.DB) (func(), error) {
	var name string
	if err := db.WithContext(ctx).Raw("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&name).Error; err != nil {
		return nil, err
	}
	f, err := os.OpenFile(strings.TrimSpace(name)+".lock", os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), f.Close())
		}
	}
}
