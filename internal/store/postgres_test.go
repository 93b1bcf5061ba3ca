package store

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/teknohole/jadwal/internal/store/pgtest"
)

// databases are the ways to open a store for tests of the inside.
var databases = map[string]func(testing.TB) *Store{"sqlite": openSQLiteTest, "postgres": openPostgresTest}

func openSQLiteTest(t testing.TB) *Store { return openTest(t, t.TempDir(), nil) }

// openPostgresTest opens a store on PostgreSQL that owns all shards.
func openPostgresTest(t testing.TB) *Store {
	t.Helper()
	s := openURL(t, pgtest.Database(t, current))
	if _, err := s.Begin(context.Background()); err != nil {
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
