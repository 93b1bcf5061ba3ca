// Package storetest opens stores for tests.
package storetest

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/dirtest"
	"github.com/teknohole/jadwal/internal/store/pgtest"
	"github.com/teknohole/jadwal/internal/vault"
)

// Databases are the ways to open a new, empty store, by the name of its
// database: what holds for one is to hold for all.
var Databases = map[string]func(testing.TB) *store.Store{
	"sqlite":   Open,
	"postgres": OpenPostgres,
}

// Open opens a new, empty store in a directory of the test's own, and closes
// it when the test ends. Inside a testing/synctest bubble the whole store lives
// in fake time.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return OpenDir(t, dirtest.New(t))
}

// OpenDir is Open for a directory that may hold a store already: so a test
// closes a store and opens it again.
func OpenDir(t testing.TB, dir string) *store.Store {
	t.Helper()
	return open(t, store.Options{Dir: dir})
}

// OpenPostgres opens a new, empty store on PostgreSQL, of which this process
// owns all shards.
func OpenPostgres(t testing.TB) *store.Store {
	t.Helper()
	s := OpenURL(t, NewURL(t))
	if err := Own(s); err != nil {
		t.Fatalf("own all shards: %v", err)
	}
	return s
}

// Own makes this process a node, for a day, and gives it all shards.
func Own(s *store.Store) error {
	_, err := Alone{s}.Begin(context.Background())
	return err
}

// Alone is a store whose engine has all shards from the beginning, on PostgreSQL
// too: as if the leases of all nodes before it had ended.
type Alone struct{ *store.Store }

// Begin gives the engine all shards.
func (s Alone) Begin(ctx context.Context) (*jadwal.Holding, error) {
	if !s.Shared() {
		return s.Store.Begin(ctx)
	}
	before, err := s.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	for _, n := range before.Nodes {
		if err := s.Leave(ctx, n.ID); err != nil {
			return nil, err
		}
	}
	id, err := s.Join(ctx, jadwal.Node{Address: "test", StartedAt: time.Now()}, 24*time.Hour)
	if err != nil {
		return nil, err
	}
	free, err := s.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	return s.Take(ctx, id, jadwal.AllShards(), free)
}

// OpenURL opens the store at that URL.
func OpenURL(t testing.TB, url string) *store.Store {
	t.Helper()
	return open(t, store.Options{URL: url, Unsafe: true})
}

// NewURL is that of a new database with an up to date schema.
func NewURL(t testing.TB) string {
	t.Helper()
	return pgtest.Database(t, pgtest.Kind{Name: "current", Prepare: Prepare, Clean: pgtest.CleanSchema})
}

// Clean makes a database of NewURL as it was at first.
func Clean(url string) error { return pgtest.Clean(url, pgtest.CleanSchema) }

// Prepare brings the schema of an empty database up to date.
func Prepare(url string) error {
	s, err := store.Open(context.Background(), store.Options{URL: url, Log: slog.New(slog.DiscardHandler), Unsafe: true})
	if err != nil {
		return err
	}
	return errors.Join(err, s.Close())
}

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	o.OnFatal = func(err error) { t.Errorf("store: %v", err) }
	s, err := store.Open(context.Background(), o)
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	if err := Unlock(s); err != nil {
		t.Fatalf("unlock store: %v", err)
	}
	return s
}

// MasterKey is the one that stores of tests have.
var MasterKey = []byte("the master key of stores in tests")

// Unlock gives a store MasterKey.
func Unlock(s *store.Store) error {
	v, err := vault.New(MasterKey, nil)
	if err != nil {
		return err
	}
	return s.Unlock(context.Background(), v)
}
