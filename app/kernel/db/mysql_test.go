package db_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"callplane/app/kernel/db"
	"callplane/app/kernel/db/dbtest"
)

// proxy stands between us and the server, and can be switched off.
type proxy struct {
	listener net.Listener
	target   string
	mu       sync.Mutex
	off      bool
	conns    []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, target: target}
	go func() { // ends with the listener
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			p.carry(in)
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		p.cut(true)
	})
	return p
}

func (p *proxy) carry(in net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out, err := net.Dial("tcp", p.target)
	if p.off || err != nil {
		_ = in.Close()
		return
	}
	p.conns = append(p.conns, in, out)
	go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
}

// cut breaks all connections, and refuses new ones while off.
func (p *proxy) cut(off bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = off
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// The server restarts, and is away for a while: what runs meanwhile fails as unavailable, and then all is well again.
func TestServerAwayAndBack(t *testing.T) {
	c, err := mysql.ParseDSN(dbtest.NewMySQL(t))
	require.NoError(t, err)
	p := newProxy(t, c.Addr)
	c.Addr = p.listener.Addr().String()
	d, err := db.Open(t.Context(), db.Config{DSN: "mysql:" + c.FormatDSN()})
	require.NoError(t, err)
	defer func() { _ = db.Close(d) }()
	query := func() error { return d.Exec("DO 1").Error }
	require.NoError(t, query())

	p.cut(false)
	require.NoError(t, query(), "a restart between two statements goes unnoticed")

	err = d.Transaction(func(tx *gorm.DB) error {
		require.NoError(t, tx.Exec("DO 1").Error)
		p.cut(false)
		return tx.Exec("DO 1").Error
	})
	require.True(t, db.IsUnavailable(err), "%v", err)

	p.cut(true)
	for range 5 {
		err := query()
		require.True(t, db.IsUnavailable(err), "%v", err)
	}
	p.cut(false)
	require.NoError(t, query())

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = d.WithContext(ctx).Exec("DO SLEEP(5)").Error
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, db.IsUnavailable(err))
	var zone, mode string
	require.NoError(t, d.Raw("SELECT @@session.time_zone, @@session.transaction_isolation").Row().Scan(&zone, &mode))
	require.Equal(t, "+00:00", zone)
	require.Equal(t, "READ-COMMITTED", mode)
}
