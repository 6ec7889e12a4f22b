package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"callplane/app/kernel/db"
	"callplane/app/kernel/db/dbtest"
)

// note is a table of the tests' own.
type note struct {
	ID    string `gorm:"primaryKey"`
	Text  string
	Hits  int
	At    time.Time
	Later *time.Time
	More  db.JSON[map[string]int]
}

func (note) TableName() string { return "test_notes" }

// notes makes the table.
func notes(t *testing.T, d *gorm.DB) {
	t.Helper()
	q := `CREATE TABLE test_notes (id VARCHAR(36) PRIMARY KEY, text VARCHAR(100) NOT NULL UNIQUE, hits INTEGER NOT NULL,
		at DATETIME NOT NULL, later DATETIME, more TEXT NOT NULL)`
	if db.IsMySQL(d) {
		q = `CREATE TABLE test_notes (id VARCHAR(36) PRIMARY KEY, text VARCHAR(100) NOT NULL UNIQUE, hits INTEGER NOT NULL,
		at DATETIME(6) NOT NULL, later DATETIME(6), more JSON NOT NULL)`
	}
	require.NoError(t, d.Exec(q).Error)
}

func TestBothDatabasesBehaveAlike(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		notes(t, d)
		dbtest.CheckModels(t, d, note{})
		shanghai := time.FixedZone("CST", 8*3600)
		at := time.Date(2026, 3, 1, 7, 59, 59, 123456789, shanghai)
		n := note{ID: db.ID(), Text: "一", At: at, Later: &at, More: db.AsJSON(map[string]int{"a": 1})}
		require.NoError(t, d.Create(&n).Error)

		var got note
		require.NoError(t, d.First(&got, "at = ?", at).Error, "a time finds itself, whatever its zone")
		want := time.Date(2026, 2, 28, 23, 59, 59, 123456000, time.UTC)
		require.Equal(t, want, got.At)
		require.Equal(t, want, *got.Later)
		require.Equal(t, 1, got.More.V["a"])

		require.ErrorIs(t, d.Create(&note{ID: db.ID(), Text: "一", At: at}).Error, gorm.ErrDuplicatedKey)
		res := d.Model(&note{}).Where("id = ?", n.ID).Update("hits", 0)
		require.NoError(t, res.Error)
		require.EqualValues(t, 1, res.RowsAffected, "a row that matched counts, changed or not")

		// Times sort as times, whole seconds and fractions mixed.
		for i, f := range []time.Duration{0, 500 * time.Millisecond, 510 * time.Millisecond, time.Microsecond} {
			require.NoError(t, d.Create(&note{ID: db.ID(), Text: fmt.Sprint(i), At: want.Truncate(time.Second).Add(time.Hour + f)}).Error)
		}
		var texts []string
		require.NoError(t, d.Model(&note{}).Order("at").Pluck("text", &texts).Error)
		require.Equal(t, []string{"一", "0", "3", "1", "2"}, texts)
	})
}

func TestAfterCommit(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		ran := 0
		require.NoError(t, d.Transaction(func(tx *gorm.DB) error {
			return tx.Transaction(func(tx *gorm.DB) error {
				db.AfterCommit(tx, func() { ran++ })
				require.Zero(t, ran)
				return nil
			})
		}))
		require.Equal(t, 1, ran)
		fault := errors.New("no")
		require.ErrorIs(t, d.Transaction(func(tx *gorm.DB) error {
			db.AfterCommit(tx, func() { ran++ })
			return fault
		}), fault)
		require.Equal(t, 1, ran)
		db.AfterCommit(d, func() { ran++ })
		require.Equal(t, 2, ran)
	})
}

// Many writers, long readers and a slow transaction at once: nobody sees "database is locked", no count is lost.
func TestManyAtOnce(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *gorm.DB) {
		notes(t, d)
		require.NoError(t, d.Create(&note{ID: "n", Text: "n", At: db.Now()}).Error)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 25 {
					if err := db.Tx(t.Context(), d, func(tx *gorm.DB) error {
						var n note
						if err := tx.Raw("SELECT * FROM test_notes WHERE id = 'n' FOR UPDATE"[:forUpdate(tx)]).Scan(&n).Error; err != nil {
							return err
						}
						return tx.Model(&n).Where("id = 'n'").Update("hits", n.Hits+1).Error
					}); err != nil {
						t.Error(err)
					}
				}
			})
			wg.Go(func() {
				for range 50 {
					var all []note
					if err := d.Find(&all).Error; err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var n note
		require.NoError(t, d.First(&n, "id = 'n'").Error)
		require.Equal(t, 400, n.Hits)
	})
}

// forUpdate is how much of the statement above this database understands.
func forUpdate(d *gorm.DB) int {
	if db.IsMySQL(d) {
		return len("SELECT * FROM test_notes WHERE id = 'n' FOR UPDATE")
	}
	return len("SELECT * FROM test_notes WHERE id = 'n'")
}

func TestReadersDoNotWaitForTheWriter(t *testing.T) {
	d := dbtest.SQLite(t)
	notes(t, d)
	require.NoError(t, d.Transaction(func(tx *gorm.DB) error {
		require.NoError(t, tx.Create(&note{ID: "n", Text: "n", At: db.Now()}).Error)
		var count int64
		require.NoError(t, d.Model(&note{}).Count(&count).Error) // not tx: sees what is committed
		require.Zero(t, count)
		return d.Transaction(func(ro *gorm.DB) error { return ro.Model(&note{}).Count(&count).Error }, &sql.TxOptions{ReadOnly: true})
	}))
	err := d.Raw("WITH x AS (SELECT 1) SELECT * FROM x").Error
	require.NoError(t, err)
}

func TestMigrateManyNodesAtOnce(t *testing.T) {
	for name, dsn := range map[string]func(t *testing.T) string{
		"sqlite": func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "a b", "x.db") },
		"mysql":  func(t *testing.T) string { return "mysql:" + dbtest.NewMySQL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			dsn := dsn(t)
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					d, err := db.Open(t.Context(), db.Config{DSN: dsn})
					if err != nil {
						t.Error(err)
						return
					}
					defer func() { _ = db.Close(d) }()
					if err := db.Migrate(t.Context(), d); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			d, err := db.Open(t.Context(), db.Config{DSN: dsn})
			require.NoError(t, err)
			defer func() { _ = db.Close(d) }()
			list, err := db.Status(t.Context(), d)
			require.NoError(t, err)
			require.NotEmpty(t, list)
			for _, m := range list {
				require.False(t, m.Applied.IsZero(), m.Name)
			}
			for range list {
				require.NoError(t, db.Down(t.Context(), d))
			}
			require.NoError(t, db.Down(t.Context(), d), "with nothing left")
			require.NoError(t, db.Migrate(t.Context(), d), "and up again")
		})
	}
}

func TestSchemasAreAlike(t *testing.T) { dbtest.CheckSchemas(t) }

func TestIsUnavailable(t *testing.T) {
	require.False(t, db.IsUnavailable(nil))
	require.False(t, db.IsUnavailable(gorm.ErrRecordNotFound))
	require.False(t, db.IsUnavailable(context.DeadlineExceeded))
	_, err := db.Open(t.Context(), db.Config{DSN: "mysql:root@tcp(127.0.0.1:1)/x"})
	require.Error(t, err)
	require.True(t, db.IsUnavailable(err), "%v", err)
}
