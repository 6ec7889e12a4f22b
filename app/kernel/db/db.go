// Package db opens the one SQL database: SQLite in a file, or MySQL 8 and what speaks like it.
//
// Both behave alike: times are UTC with whole microseconds, a changed row counts even when it held the same values, a
// duplicate key is gorm.ErrDuplicatedKey, foreign keys are on. The schema comes from numbered files in folder sql (see
// [Migrate]); gorm makes no tables.
//
// SQLite has one writer. [Open] therefore gives all writes and transactions one connection, so that they queue in the
// process and never meet "database is locked", and gives plain reads their own connections, which never wait. Two rules
// follow. Inside a transaction use only tx: a write through the outer handle would wait for the transaction it stands
// in, forever. And keep transactions short.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gorm.io/gorm"
)

// Config says which database, and how.
type Config struct {
	// DSN is "sqlite:/path/file.db" (made if missing) or "mysql:user:password@tcp(host:3306)/name".
	DSN string
	// Slow is how long a statement may take before it is logged. Default 200 ms.
	Slow time.Duration
	// Pool is the most connections to MySQL. Default 32. SQLite has 1 for writing and 8 for reading.
	Pool int
	// Log takes slow statements. Default slog.Default.
	Log *slog.Logger
}

// Open connects and returns when the database answers, or fails. Later outages heal by themselves: a statement fails
// with an error that [IsUnavailable] knows, and the next one connects again.
func Open(ctx context.Context, c Config) (*gorm.DB, error) {
	if c.Slow <= 0 {
		c.Slow = 200 * time.Millisecond
	}
	if c.Pool <= 0 {
		c.Pool = 32
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	kind, rest, _ := strings.Cut(c.DSN, ":")
	var p *pool
	var dialect func(*pool) gorm.Dialector
	var err error
	switch kind {
	case "sqlite":
		p, err = openSQLite(rest)
		dialect = sqliteDialect
	case "mysql":
		p, err = openMySQL(rest, c.Pool)
		dialect = mysqlDialect
	default:
		return nil, fmt.Errorf("database %q: want sqlite:/path/file.db or mysql:user:password@tcp(host:port)/name", kind)
	}
	if err != nil {
		return nil, err
	}
	if err := p.connect(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", kind, err), p.close())
	}
	db, err := gorm.Open(dialect(p), &gorm.Config{
		Logger:                 &slowLog{c.Log.With("module", "db"), c.Slow},
		NowFunc:                Now,
		TranslateError:         true,
		SkipDefaultTransaction: true, // one statement is atomic by itself; more than one stands in a transaction of ours
		DisableAutomaticPing:   true,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", kind, err), p.close())
	}
	return db, nil
}

// Close closes all connections. Statements under way fail.
func Close(db *gorm.DB) error {
	if p, ok := db.ConnPool.(*pool); ok {
		return p.close()
	}
	return nil
}

// IsMySQL tells MySQL from SQLite, for the few statements that differ.
func IsMySQL(db *gorm.DB) bool { return db.Name() == "mysql" }

// Stats describes the connections: of MySQL, or of SQLite's readers and its writer together.
func Stats(db *gorm.DB) sql.DBStats {
	p, ok := db.ConnPool.(*pool)
	if !ok {
		return sql.DBStats{}
	}
	s := p.write.Stats()
	if p.read != p.write {
		r := p.read.Stats()
		s.MaxOpenConnections += r.MaxOpenConnections
		s.OpenConnections += r.OpenConnections
		s.InUse += r.InUse
		s.Idle += r.Idle
		s.WaitCount += r.WaitCount
		s.WaitDuration += r.WaitDuration
	}
	return s
}

// Tx runs f in a transaction and runs it again, up to 5 times, when the database broke a deadlock between transactions
// by ending this one. f must do nothing that cannot be done twice. SQLite has no deadlocks: there it is Transaction.
func Tx(ctx context.Context, db *gorm.DB, f func(tx *gorm.DB) error) error {
	for try := 1; ; try++ {
		err := db.WithContext(ctx).Transaction(f)
		if err == nil || !isDeadlock(err) || try == 5 {
			return err
		}
		select {
		case <-time.After(time.Duration(try*try) * 5 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// AfterCommit runs f once the transaction of tx has committed, in the goroutine that commits; not at all if it rolls
// back. Outside a transaction it runs f at once. f must be quick and must not use tx.
func AfterCommit(tx *gorm.DB, f func()) {
	if t, ok := tx.Statement.ConnPool.(*poolTx); ok {
		t.after = append(t.after, f)
		return
	}
	f()
}
