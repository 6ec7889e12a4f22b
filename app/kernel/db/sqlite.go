package db

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "github.com/glebarez/go-sqlite" // driver "sqlite"
	"github.com/glebarez/sqlite"
	"gorm.io/gorm"
)

// sqliteReaders is how many reads of SQLite may run at once.
const sqliteReaders = 8

// openSQLite opens the file at path. synchronous=NORMAL loses nothing when the process is killed; when the machine
// loses power, the last commits may be gone, but the file is whole.
func openSQLite(path string) (*pool, error) {
	if path == "" || path == ":memory:" {
		return nil, errors.New("sqlite: want the path of a file")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, fmt.Errorf("sqlite: %w", err)
	}
	open := func(conns int, params url.Values, pragmas ...string) (*sql.DB, error) {
		params["_pragma"] = append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "foreign_keys(1)",
			"temp_store(MEMORY)", "cache_size(-16000)"}, pragmas...)
		h, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+params.Encode())
		if err != nil {
			return nil, fmt.Errorf("sqlite %s: %w", path, err)
		}
		h.SetMaxOpenConns(conns)
		h.SetMaxIdleConns(conns)
		return h, nil
	}
	write, err := open(1, url.Values{"_txlock": {"immediate"}})
	if err != nil {
		return nil, err
	}
	read, err := open(sqliteReaders, url.Values{}, "query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	return &pool{read: read, write: write}, nil
}

func sqliteDialect(p *pool) gorm.Dialector { return &sqlite.Dialector{Conn: p} }
