// Package dbtest runs store tests on the databases the platform supports, each test with a migrated database of its own.
//
// SQLite always runs. MySQL runs when the environment variable CALLPLANE_TEST_MYSQL names a server, as a DSN of a user
// who may create databases: "root@tcp(127.0.0.1:3306)/".
package dbtest

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-sql-driver/mysql"
	"gorm.io/gorm"

	"callplane/app/kernel/db"
)

// Env names the variable that holds the DSN of the MySQL server for tests.
const Env = "CALLPLANE_TEST_MYSQL"

// Each runs test as a subtest on SQLite and, if [Env] is set, on MySQL.
func Each(t *testing.T, test func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	if os.Getenv(Env) != "" {
		t.Run("mysql", func(t *testing.T) { test(t, MySQL(t)) })
	}
}

// template is a migrated SQLite file, made once for the process; each test gets a copy.
var template = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "callplane-dbtest")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "template.db")
	d, err := db.Open(context.Background(), config("sqlite:"+file))
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(context.Background(), d); err != nil {
		return nil, err
	}
	if err := db.Close(d); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// SQLite gives a migrated database in a temporary folder.
func SQLite(t testing.TB) *gorm.DB {
	t.Helper()
	raw, err := template()
	if err != nil {
		t.Fatalf("migrate SQLite: %v", err)
	}
	file := filepath.Join(t.TempDir(), "callplane.db")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, "sqlite:"+file)
}

// MySQL gives a migrated database on the server that Env names, and drops it at the end. Without Env it skips the test.
func MySQL(t testing.TB) *gorm.DB {
	t.Helper()
	d := open(t, "mysql:"+NewMySQL(t))
	if err := db.Migrate(t.Context(), d); err != nil {
		t.Fatalf("migrate MySQL: %v", err)
	}
	return d
}

// NewMySQL makes an empty database and gives its DSN (without "mysql:"). It is dropped at the end of the test. Without
// Env it skips the test.
func NewMySQL(t testing.TB) string {
	t.Helper()
	env := os.Getenv(Env)
	if env == "" {
		t.Skip(Env + " is not set")
	}
	c, err := mysql.ParseDSN(strings.TrimPrefix(env, "mysql:"))
	if err != nil {
		t.Fatalf("%s: %v", Env, err)
	}
	c.DBName = ""
	admin, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		t.Fatal(err)
	}
	name := "cp_test_" + strings.ReplaceAll(db.ID(), "-", "")
	if _, err := admin.Exec("CREATE DATABASE " + name + " CHARACTER SET utf8mb4"); err != nil {
		t.Fatalf("%s: %v", Env, err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec("DROP DATABASE " + name); err != nil {
			t.Errorf("drop %s: %v", name, err)
		}
		_ = admin.Close()
	})
	c.DBName = name
	return c.FormatDSN()
}

func open(t testing.TB, dsn string) *gorm.DB {
	t.Helper()
	d, err := db.Open(t.Context(), config(dsn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(d); err != nil {
			t.Error(err)
		}
	})
	return d
}

func config(dsn string) db.Config {
	return db.Config{DSN: dsn, Pool: 8, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// class is what kind of values a column holds, alike for both databases: int, float, decimal, bool, text, bytes, time,
// date or json.
func class(declared string) string {
	d := strings.ToLower(declared)
	base, _, _ := strings.Cut(d, "(")
	base = strings.TrimSuffix(strings.TrimSpace(base), " unsigned")
	switch {
	case d == "tinyint(1)", base == "boolean", base == "bool":
		return "bool"
	case strings.HasSuffix(base, "int"), base == "integer":
		return "int"
	case base == "real", base == "double", base == "float":
		return "float"
	case base == "decimal", base == "numeric":
		return "decimal"
	case base == "datetime", base == "timestamp":
		return "time"
	case base == "date":
		return "date"
	case base == "json":
		return "json"
	case strings.HasSuffix(base, "blob"), strings.HasSuffix(base, "binary"):
		return "bytes"
	case strings.HasSuffix(base, "text"), strings.HasSuffix(base, "char"):
		return "text"
	}
	return fmt.Sprintf("unknown %q", declared)
}
