package dbtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"callplane/app/kernel/db"
)

// column is a column as the database knows it.
type column struct {
	Table    string
	Name     string
	Declared string
	Nullable bool
}

// CheckModels compares the models with the tables of db: a column that a model lacks or has too many, another class of
// value, and a nullable column whose field cannot hold NULL (or the other way round) fail the test.
func CheckModels(t testing.TB, d *gorm.DB, models ...any) {
	t.Helper()
	cols := columns(t, d)
	for _, m := range models {
		stmt := &gorm.Statement{DB: d}
		if err := stmt.Parse(m); err != nil {
			t.Errorf("model %T: %v", m, err)
			continue
		}
		table := stmt.Schema.Table
		have := map[string]column{}
		for _, c := range cols {
			if c.Table == table {
				have[c.Name] = c
			}
		}
		if len(have) == 0 {
			t.Errorf("model %T: there is no table %s", m, table)
			continue
		}
		for _, f := range stmt.Schema.Fields {
			if f.DBName == "" || f.IgnoreMigration {
				continue
			}
			c, ok := have[f.DBName]
			if !ok {
				t.Errorf("model %T: table %s has no column %s (field %s)", m, table, f.DBName, f.Name)
				continue
			}
			delete(have, f.DBName)
			if want, got := fieldClass(f), class(c.Declared); !fits(want, got) {
				t.Errorf("model %T: field %s is %s, column %s.%s is %s", m, f.Name, want, table, c.Name, c.Declared)
			}
			if null := holdsNull(f); null != c.Nullable && !f.PrimaryKey {
				t.Errorf("model %T: field %s can hold NULL: %v; column %s.%s may be NULL: %v", m, f.Name, null, table, c.Name, c.Nullable)
			}
		}
		for name := range have {
			t.Errorf("model %T: no field for column %s.%s", m, table, name)
		}
	}
}

// fieldClass is the class of values a field holds.
func fieldClass(f *schema.Field) string {
	if f.GORMDataType == "json" || f.DataType == "json" || f.DataType == "JSON" {
		return "json"
	}
	switch typ := f.IndirectFieldType.String(); typ {
	case "decimal.Decimal", "decimal.NullDecimal":
		return "decimal"
	case "json.RawMessage":
		return "json"
	}
	switch f.GORMDataType {
	case schema.Int, schema.Uint:
		return "int"
	case schema.Time:
		return "time"
	case schema.String:
		return "text"
	case schema.Bytes:
		return "bytes"
	}
	return string(f.GORMDataType)
}

// fits tells whether a column class can hold a field class. SQLite keeps JSON and decimals as text, and a serializer or
// a type of one's own may keep anything as text.
func fits(field, column string) bool {
	switch field {
	case column:
		return true
	case "json":
		return column == "text" || column == "bytes"
	case "decimal":
		return column == "text"
	case "int":
		return column == "bool"
	case "time":
		return column == "date"
	case "text":
		return column == "json" || column == "date" || column == "decimal"
	case "bytes":
		return column == "json" || column == "text"
	case "bool", "float":
		return false
	}
	return true // a type of the module's own: its Value and Scan decide
}

// holdsNull tells whether a field can hold NULL: a pointer, or one of the Null types.
func holdsNull(f *schema.Field) bool {
	if strings.HasPrefix(f.FieldType.String(), "*") {
		return true
	}
	typ := f.FieldType.String()
	return typ == "gorm.DeletedAt" || strings.HasPrefix(typ, "sql.Null") || typ == "decimal.NullDecimal" || typ == "uuid.NullUUID"
}

// CheckSchemas compares the tables, columns and indexes that the migrations make in SQLite and in MySQL. Without Env it
// skips the test.
func CheckSchemas(t testing.TB) {
	t.Helper()
	my := MySQL(t)
	lite := SQLite(t)
	diff(t, "column", shape(columns(t, lite), "sqlite"), shape(columns(t, my), "mysql"))
	diff(t, "index", indexes(t, lite), indexes(t, my))
}

func diff(t testing.TB, what string, lite, my []string) {
	t.Helper()
	for _, c := range lite {
		if !slices.Contains(my, c) {
			t.Errorf("%s only in SQLite: %s", what, c)
		}
	}
	for _, c := range my {
		if !slices.Contains(lite, c) {
			t.Errorf("%s only in MySQL: %s", what, c)
		}
	}
}

// shape writes columns so that two databases' can be compared. SQLite has no JSON or decimal class: it keeps text.
func shape(cols []column, _ string) (out []string) {
	for _, c := range cols {
		k := class(c.Declared)
		if k == "json" || k == "decimal" {
			k = "text"
		}
		null := "not null"
		if c.Nullable {
			null = "null"
		}
		out = append(out, fmt.Sprintf("%s.%s %s %s", c.Table, c.Name, k, null))
	}
	return out
}

// ours tells the migrations' tables from the tools'. Tables whose name ends in _fts, or has _fts_ in it, are for
// searching and differ by design.
func ours(table string) bool {
	return !strings.HasPrefix(table, "goose_") && !strings.HasPrefix(table, "sqlite_") && !strings.HasSuffix(table, "_fts") && !strings.Contains(table, "_fts_")
}

func columns(t testing.TB, d *gorm.DB) (out []column) {
	t.Helper()
	q := `SELECT m.name AS "table", c.name AS name, c.type AS declared, c."notnull" = 0 AND c.pk = 0 AS nullable
		FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'`
	if db.IsMySQL(d) {
		q = "SELECT table_name AS `table`, column_name AS name, column_type AS declared, is_nullable = 'YES' AS nullable" +
			" FROM information_schema.columns WHERE table_schema = DATABASE()"
	}
	if err := d.Raw(q).Scan(&out).Error; err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(out, func(c column) bool { return !ours(c.Table) })
}

// indexes lists "table(columns) unique" for each index but the primary key. FULLTEXT indexes are left out, and so are
// MySQL's own for foreign keys, whose name is that of a constraint.
func indexes(t testing.TB, d *gorm.DB) (out []string) {
	t.Helper()
	q := `SELECT m.tbl_name AS "table", m.name AS name, l."unique" AS uniq,
			(SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(m.name) ORDER BY seqno)) AS cols
		FROM sqlite_master m JOIN pragma_index_list(m.tbl_name) l ON l.name = m.name
		WHERE m.type = 'index' AND l.origin <> 'pk'`
	if db.IsMySQL(d) {
		q = "SELECT s.table_name AS `table`, s.index_name AS name, MAX(s.non_unique) = 0 AS uniq," +
			" GROUP_CONCAT(s.column_name ORDER BY s.seq_in_index) AS cols FROM information_schema.statistics s" +
			" WHERE s.table_schema = DATABASE() AND s.index_name <> 'PRIMARY' AND s.index_type <> 'FULLTEXT'" +
			" AND NOT EXISTS (SELECT 1 FROM information_schema.referential_constraints r WHERE r.constraint_schema = s.table_schema" +
			" AND r.table_name = s.table_name AND r.constraint_name = s.index_name)" +
			" GROUP BY s.table_name, s.index_name"
	}
	var rows []struct {
		Table string
		Name  string
		Uniq  bool
		Cols  string
	}
	if err := d.Raw(q).Scan(&rows).Error; err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if !ours(r.Table) {
			continue
		}
		s := r.Table + "(" + r.Cols + ")"
		if r.Uniq {
			s += " unique"
		}
		out = append(out, s)
	}
	return out
}
