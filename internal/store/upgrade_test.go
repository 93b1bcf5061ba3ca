package store

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal/internal/store/pgtest"
)

// aged are ways to make a database of an older schema: its first steps, and
// then what is done to it. They return it opened with all steps.
var aged = map[string]func(t *testing.T, steps int, done ...string) *Store{
	"sqlite": func(t *testing.T, steps int, done ...string) *Store {
		all, err := migrations("sqlite")
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		openTest(t, dir, nil).Close() // what is the same in all schemas: the kind of file
		file := filepath.Join(dir, fileName)
		c, err := openConn(file, writing)
		if err != nil {
			t.Fatal(err)
		}
		if err := emptySQLite(c); err != nil {
			t.Fatal(err)
		}
		for range steps {
			if _, err := migrateStep(c, all[:steps], true); err != nil {
				t.Fatal(err)
			}
		}
		for _, sql := range done {
			if _, err := c.exec(sql, nil); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
		if err := c.close(); err != nil {
			t.Fatal(err)
		}
		return openTest(t, dir, nil)
	},
	"postgres": func(t *testing.T, steps int, done ...string) *Store {
		return openURL(t, agedPostgres(t, steps, done...))
	},
}

// agedPostgres is the URL of a database of an older schema.
func agedPostgres(t *testing.T, steps int, done ...string) string {
	t.Helper()
	all, err := migrations("postgres")
	if err != nil {
		t.Fatal(err)
	}
	url := pgtest.Database(t, pgtest.Kind{Name: "empty", Prepare: func(string) error { return nil }})
	ctx := t.Context()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	if err := migrateWith(ctx, c, all[:steps], neededStep, true); err != nil {
		t.Fatal(err)
	}
	for _, sql := range done {
		if _, err := c.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	return url
}

// emptySQLite takes all tables out of a database.
func emptySQLite(c *conn) error {
	t := &tx{c: c}
	var tables []string
	if err := t.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid DESC", func(r row) error {
		tables = append(tables, r.text(0))
		return nil
	}); err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := t.exec("DROP TABLE " + table); err != nil {
			return err
		}
	}
	return nil
}

func TestWhoIsSignedInStaysSoWhenTheSchemaGrows(t *testing.T) {
	for name, open := range aged {
		t.Run(name, func(t *testing.T) {
			s := open(t, 1,
				"INSERT INTO account (id, username, email, password_hash, is_superuser, created_at, updated_at) VALUES (1, 'ani', 'ani@x', 'h', 1, 1, 1)",
				"INSERT INTO session (id, user_id, generation, created_at, rotated_at, expires_at) VALUES (5, 1, 2, 1, 3, 9)",
				"INSERT INTO audit (at, actor_id, actor, action, object) VALUES (1, 1, 'ani', 'session.start', 'session/5')")
			u, n, ok, err := s.Identity(t.Context(), 5)
			if !ok || err != nil || u.ID != 1 || n.Generation != 2 || !n.UsedAt.Equal(time.UnixMicro(3)) || n.Source != "" {
				t.Errorf("%+v, %+v, %v, %v", u, n, ok, err)
			}
			lines, _, err := s.Audit(t.Context(), AuditQuery{Limit: 10})
			if err != nil || len(lines) != 1 || lines[0].Means != "" || lines[0].Object != "session/5" {
				t.Errorf("%+v, %v", lines, err)
			}
		})
	}
}

// Every table that both databases have, has the same columns in both, but for
// those that only one of them needs.
func TestBothSchemasHaveTheSameColumns(t *testing.T) {
	columns := func(s *Store) map[string][]string {
		of := map[string][]string{}
		if err := s.read(t.Context(), func(tx *tx) error {
			return tx.query(tx.text(
				"SELECT m.name, c.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'",
				"SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'"), func(r row) error {
				of[r.text(0)] = append(of[r.text(0)], r.text(1))
				return nil
			})
		}); err != nil {
			t.Fatal(err)
		}
		for table := range of {
			slices.Sort(of[table])
		}
		return of
	}
	sqlite, postgres := columns(openSQLiteTest(t)), columns(openPostgresTest(t))
	own := map[string][]string{"cursor": {"shard"}, "run": {"recorded_at"}, "run_output": {"recorded_at"}, "attempt": {"recorded_at"}}
	for _, table := range slices.Sorted(maps.Keys(sqlite)) {
		want := slices.Sorted(slices.Values(append(slices.Clone(sqlite[table]), own[table]...)))
		if !slices.Equal(postgres[table], want) {
			t.Errorf("%s has %s on PostgreSQL, want %s", table, strings.Join(postgres[table], " "), strings.Join(want, " "))
		}
	}
}
