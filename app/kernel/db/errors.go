package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	gosqlite "github.com/glebarez/go-sqlite"
	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// unavailable holds the numbers of MySQL that say: not now, or not this server.
var unavailable = map[uint16]bool{
	1040: true,                                     // too many connections
	1053: true,                                     // server shutdown in progress
	1077: true,                                     // normal shutdown
	1129: true,                                     // host blocked after errors
	1152: true,                                     // aborted connection
	1158: true, 1159: true, 1160: true, 1161: true, // network errors
	1203: true, // too many connections of this user
	1290: true, // read-only server
	1317: true, // query interrupted, as at shutdown
	1836: true, // read-only mode
	1927: true, // connection was killed
	3032: true, // server is in offline mode
	4031: true, // disconnected for idleness
}

// IsUnavailable tells that the database could not be reached, is shutting down, is busy or cannot write just now:
// nothing is wrong with the statement, and the caller may try again. Whether the statement took effect is unknown.
// A context that has ended is not an outage.
func IsUnavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return unavailable[e.Number]
	}
	if e, ok := errors.AsType[*gosqlite.Error](err); ok {
		switch e.Code() & 0xff {
		case 5, 6, 10, 13, 14: // busy, locked, I/O error, full, cannot open
			return true
		}
		return false
	}
	var n net.Error
	return errors.As(err, &n)
}

// isDeadlock tells that MySQL ended the transaction to break a deadlock (1213) or a wait for a lock (1205).
func isDeadlock(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && (e.Number == 1213 || e.Number == 1205)
}

// slowLog logs statements that take long, without their values, which may be personal. Errors are the caller's.
type slowLog struct {
	log  *slog.Logger
	slow time.Duration
}

func (l *slowLog) LogMode(logger.LogLevel) logger.Interface { return l }

func (l *slowLog) Info(ctx context.Context, msg string, args ...any) {
	l.log.DebugContext(ctx, msg, "args", args)
}

func (l *slowLog) Warn(ctx context.Context, msg string, args ...any) {
	l.log.WarnContext(ctx, msg, "args", args)
}

func (l *slowLog) Error(ctx context.Context, msg string, args ...any) {
	l.log.ErrorContext(ctx, msg, "args", args)
}

func (l *slowLog) Trace(ctx context.Context, begin time.Time, f func() (string, int64), err error) {
	took := time.Since(begin)
	switch {
	case took >= l.slow:
		q, rows := f()
		l.log.WarnContext(ctx, "slow statement", "took", took, "rows", rows, "sql", q)
	case err != nil && !errors.Is(err, gorm.ErrRecordNotFound) && l.log.Enabled(ctx, slog.LevelDebug):
		q, _ := f()
		l.log.DebugContext(ctx, "statement failed", "error", err, "sql", q)
	}
}

// ParamsFilter leaves the values out of what Trace is given.
func (l *slowLog) ParamsFilter(_ context.Context, q string, _ ...any) (string, []any) { return q, nil }
