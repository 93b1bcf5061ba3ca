package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/dirtest"
	"github.com/teknohole/jadwal/internal/store/pgtest"
)

// databases are the ways to open a store for tests of the inside.
var databases = map[string]func(testing.TB) *Store{"sqlite": openSQLiteTest, "postgres": openPostgresTest}

func openSQLiteTest(t testing.TB) *Store { return openTest(t, dirtest.New(t), nil) }

// openPostgresTest opens a store on PostgreSQL whose process is a node.
func openPostgresTest(t testing.TB) *Store {
	t.Helper()
	s := openURL(t, pgtest.Database(t, current))
	if _, err := s.Join(context.Background(), jadwal.Node{Address: "test", StartedAt: time.Now()}, 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	return s
}

// current is an empty database with an up to date schema.
var current = pgtest.Kind{Name: "current", Prepare: func(url string) error {
	s, err := Open(context.Background(), quietly(url))
	if err != nil {
		return err
	}
	return errors.Join(err, s.Close())
}, Clean: pgtest.CleanSchema}

func quietly(url string) Options {
	return Options{URL: url, Unsafe: true, Log: slog.New(slog.DiscardHandler)}
}

func openURL(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(context.Background(), quietly(url))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestPostgresIsRefused(t *testing.T) {
	fresh := func(t *testing.T) string {
		return pgtest.Database(t, pgtest.Kind{Name: "empty", Prepare: func(string) error { return nil }})
	}
	refused := func(t *testing.T, o Options, because string) {
		t.Helper()
		s, err := Open(t.Context(), o)
		if err == nil {
			s.Close()
			t.Fatal("it was opened")
		}
		if !strings.Contains(err.Error(), because) {
			t.Errorf("%v; want it to tell of %q", err, because)
		}
	}
	t.Run("when a power failure would lose what it confirmed", func(t *testing.T) {
		o := quietly(fresh(t))
		o.Unsafe = false
		refused(t, o, "fsync is off")
	})
	t.Run("when a power failure would destroy it", func(t *testing.T) {
		server := pgtest.Start(t, "full_page_writes=off")
		o := quietly(server.Database(t, pgtest.Kind{Name: "empty", Prepare: func(string) error { return nil }}))
		o.Unsafe = false
		refused(t, o, "full_page_writes is off")
	})
	t.Run("when its encoding is not UTF8", func(t *testing.T) {
		url := fresh(t)
		name := databaseName(t, url)
		for _, sql := range []string{"DROP DATABASE " + name, "CREATE DATABASE " + name + " ENCODING 'SQL_ASCII' TEMPLATE template0"} {
			execute(t, strings.Replace(url, "/"+name, "/postgres", 1), sql)
		}
		refused(t, quietly(url), "its encoding is SQL_ASCII, and jadwal needs UTF8")
	})
	t.Run("when it is read only", func(t *testing.T) {
		url := fresh(t)
		execute(t, url, "ALTER DATABASE "+databaseName(t, url)+" SET default_transaction_read_only = on")
		refused(t, quietly(url), "it is read only")
	})
	t.Run("when its schema is newer", func(t *testing.T) {
		url := fresh(t)
		openURL(t, url).Close()
		execute(t, url, "UPDATE meta SET value = '999' WHERE key = 'schema'")
		refused(t, quietly(url), "its schema is version 999, and this jadwal knows only up to")
		execute(t, url, "UPDATE meta SET value = 'x' WHERE key = 'schema'")
		refused(t, quietly(url), `schema version "x"`)
	})
	t.Run("when it is somebody else's", func(t *testing.T) {
		url := fresh(t)
		execute(t, url, "CREATE TABLE photo (id BIGINT)")
		refused(t, quietly(url), `it has a table "photo"`)
	})
	t.Run("offline, when its schema is older", func(t *testing.T) {
		if _, err := OpenOffline(t.Context(), quietly(fresh(t))); err == nil || !strings.Contains(err.Error(), "start a server on it first") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("and a migration that fails leaves the schema as it was", func(t *testing.T) {
		url := pgtest.Database(t, current)
		ctx := t.Context()
		c, err := pgx.Connect(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(ctx)
		steps, err := migrations("postgres")
		if err != nil {
			t.Fatal(err)
		}
		err = migrateWith(ctx, c, append(steps, "CREATE TABLE two (id BIGINT); CREATE TABLE two (id BIGINT);"), neededStep, true)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("migration %d", len(steps)+1)) {
			t.Errorf("got %v", err)
		}
		there := true
		if err := c.QueryRow(ctx, "SELECT to_regclass('two') IS NOT NULL").Scan(&there); err != nil || there {
			t.Errorf("half a migration is there: %v, %v", there, err)
		}
	})
}

func databaseName(t *testing.T, url string) string {
	t.Helper()
	c, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	return c.Database
}

// execute changes a database behind everybody's back.
func execute(t *testing.T, url, sql string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func TestServersThatStartAtOnceMakeOneSchema(t *testing.T) {
	url := pgtest.Database(t, pgtest.Kind{Name: "empty", Prepare: func(string) error { return nil }})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := Open(context.Background(), quietly(url))
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestSettingsOfPostgres(t *testing.T) {
	url := pgtest.Database(t, pgtest.Kind{Name: "empty", Prepare: func(string) error { return nil }})
	execute(t, url, "ALTER DATABASE "+databaseName(t, url)+" SET synchronous_commit = off")
	s := openURL(t, url)
	check := func(who string, tx *tx) error {
		for setting, want := range map[string]string{
			"synchronous_commit": "on", "statement_timeout": "10s", "lock_timeout": "3s", "idle_in_transaction_session_timeout": "30s", "enable_seqscan": "off", "jit": "off",
		} {
			if _, err := tx.one("SELECT current_setting($1)", func(r row) {
				if got := r.text(0); got != want {
					t.Errorf("%s: %s is %s, want %s", who, setting, got, want)
				}
			}, setting); err != nil {
				return err
			}
		}
		return nil
	}
	level := func(who, want string, tx *tx) error {
		_, err := tx.one("SELECT current_setting('transaction_isolation') || ' ' || current_setting('transaction_read_only')", func(r row) {
			if got := r.text(0); got != want {
				t.Errorf("%s: %s, want %s", who, got, want)
			}
		})
		return err
	}
	for who, run := range map[string]func() error{
		"API": func() error {
			return s.write(t.Context(), laneAPI, func(tx *tx) error { return errors.Join(check("API", tx), level("API", "serializable off", tx)) })
		},
		"engine": func() error {
			return s.write(t.Context(), laneBatch, func(tx *tx) error {
				return errors.Join(check("engine", tx), level("engine", "repeatable read off", tx))
			})
		},
		"reads": func() error {
			return s.read(t.Context(), func(tx *tx) error { return errors.Join(check("reads", tx), level("reads", "repeatable read on", tx)) })
		},
	} {
		if err := run(); err != nil {
			t.Errorf("%s: %v", who, err)
		}
	}
}

func TestArgumentsOfPostgres(t *testing.T) {
	s := openPostgresTest(t)
	at := time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.FixedZone("WIB", 7*3600))
	if err := s.read(t.Context(), func(tx *tx) error {
		found, err := tx.one("SELECT $2::bigint, $1::text, $3::bytea, $4::float8, $5::integer, $6::text, $7::bigint, $8::bigint, $9::smallint, true, count(*) FROM meta", func(r row) {
			if r.int(0) != 7 || r.text(1) != "text" || r.int(8) != -3 || !r.bool(9) || r.int(10) == 0 || r.text(10) == "" {
				t.Errorf("got %v %v %v %v %v", r.int(0), r.text(1), r.int(8), r.bool(9), r.text(10))
			}
			if !slices.Equal(r.bytes(2), []byte{1, 0, 2}) || r.float(3) != 1.5 || !r.bool(4) || !r.null(5) || r.text(5) != "" || !r.null(6) || r.time(6) != (time.Time{}) {
				t.Error("a value came back changed")
			}
			if got := r.time(7); !got.Equal(at) || got.Location() != time.UTC {
				t.Errorf("time: %v", got)
			}
		}, "text", 7, []byte{1, 0, 2}, 1.5, true, nil, time.Time{}, at, int64(-3))
		if !found {
			t.Error("no row")
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for name, fn := range map[string]func(*tx) error{
		"not stored":      func(tx *tx) error { return tx.query("SELECT $1::text", nil, struct{}{}) },
		"too few":         func(tx *tx) error { return tx.query("SELECT $1::text, $2::text", nil, "a") },
		"text for a time": func(tx *tx) error { return tx.query("SELECT 'x'", func(r row) error { r.int(0); return nil }) },
		"writes":          func(tx *tx) error { return tx.query("DELETE FROM meta RETURNING key", func(row) error { return nil }) },
	} {
		if err := s.read(t.Context(), fn); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := s.single(t.Context(), func(tx *tx) error {
		return errors.Join(tx.query("SELECT 1", func(row) error { return nil }), tx.query("SELECT 1", func(row) error { return nil }))
	}); err == nil {
		t.Error("a second statement ran in a read of a single one")
	}
	// What text cannot hold.
	if err := s.write(t.Context(), laneAPI, func(tx *tx) error {
		_, err := tx.exec("INSERT INTO meta (key, value) VALUES ('odd', $1)", "a\x00b\xff")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.single(t.Context(), func(tx *tx) error {
		_, err := tx.one("SELECT value FROM meta WHERE key = 'odd'", func(r row) {
			if r.text(0) != "a\uFFFDb\uFFFD" {
				t.Errorf("stored %q", r.text(0))
			}
		})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// text chooses among two texts of a statement.
func (t *tx) text(sqlite, postgres string) string {
	if t.pg != nil {
		return postgres
	}
	return sqlite
}
