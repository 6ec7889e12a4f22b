package db

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"
)

// pool is what gorm runs its statements on. For MySQL both handles are the same; for SQLite write has one connection
// and read has several that cannot write.
type pool struct{ read, write *sql.DB }

func (p *pool) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return p.handle(query).PrepareContext(ctx, query)
}

func (p *pool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return p.write.ExecContext(ctx, query, sameTimes(args)...)
}

func (p *pool) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return p.handle(query).QueryContext(ctx, query, sameTimes(args)...)
}

func (p *pool) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return p.handle(query).QueryRowContext(ctx, query, sameTimes(args)...)
}

// BeginTx begins a transaction. A read-only one sees a snapshot and does not wait for the writer.
func (p *pool) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	from := p.write
	if opts != nil && opts.ReadOnly {
		from = p.read
	}
	tx, err := from.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &poolTx{Tx: tx, db: p.write}, nil
}

// GetDBConn gives gorm's DB() the writing handle.
func (p *pool) GetDBConn() (*sql.DB, error) { return p.write, nil }

// handle picks the handle for a query: only what surely reads goes to the readers (INSERT … RETURNING is a query too).
func (p *pool) handle(query string) *sql.DB {
	if p.read == p.write {
		return p.write
	}
	q := strings.TrimLeft(query, " \t\r\n(")
	if len(q) >= 6 && strings.EqualFold(q[:6], "SELECT") || len(q) >= 7 && strings.EqualFold(q[:7], "EXPLAIN") {
		return p.read
	}
	if len(q) >= 4 && strings.EqualFold(q[:4], "WITH") {
		up := strings.ToUpper(q)
		if !strings.Contains(up, "INSERT") && !strings.Contains(up, "UPDATE") && !strings.Contains(up, "DELETE") {
			return p.read
		}
	}
	return p.write
}

// connect makes one connection of each handle. Processes that open a new SQLite file at once may find it busy, whatever
// the timeout, while one of them turns the write-ahead log on: that is waited for, up to 10 s.
func (p *pool) connect(ctx context.Context) error {
	for begin := time.Now(); ; {
		err := errors.Join(p.write.PingContext(ctx), p.read.PingContext(ctx))
		if err == nil || p.read == p.write || !IsUnavailable(err) || time.Since(begin) > 10*time.Second {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *pool) close() error {
	err := p.write.Close()
	if p.read != p.write {
		err = errors.Join(err, p.read.Close())
	}
	return err
}

// poolTx is a transaction that remembers what to do after its commit. One goroutine uses it.
type poolTx struct {
	*sql.Tx
	db    *sql.DB
	after []func()
}

func (t *poolTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.Tx.ExecContext(ctx, query, sameTimes(args)...)
}

func (t *poolTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.Tx.QueryContext(ctx, query, sameTimes(args)...)
}

func (t *poolTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.Tx.QueryRowContext(ctx, query, sameTimes(args)...)
}

// GetDBConn gives gorm's DB() the handle the transaction came from.
func (t *poolTx) GetDBConn() (*sql.DB, error) { return t.db, nil }

// Commit commits and then runs what AfterCommit was given.
func (t *poolTx) Commit() error {
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	for _, f := range t.after {
		f()
	}
	t.after = nil
	return nil
}

// sameTimes brings the times among the arguments to UTC and whole microseconds, so that both databases keep the same,
// and SQLite, which keeps text, sorts them right.
func sameTimes(args []any) []any {
	out := args
	set := func(i int, t time.Time) {
		if t.Location() == time.UTC && t.Nanosecond()%1000 == 0 {
			return
		}
		if &out[0] == &args[0] {
			out = append([]any(nil), args...)
		}
		out[i] = t.UTC().Truncate(time.Microsecond)
	}
	for i, a := range args {
		switch v := a.(type) {
		case time.Time:
			set(i, v)
		case *time.Time:
			if v != nil {
				set(i, *v)
			}
		case sql.NullTime:
			if v.Valid {
				set(i, v.Time)
			}
		case gorm.DeletedAt:
			if v.Valid {
				set(i, v.Time)
			}
		}
	}
	return out
}
