// Package storetest opens stores for tests.
package storetest

import (
	"context"
	"log/slog"
	"testing"

	"github.com/teknohole/jadwal/internal/store"
)

// Open opens a new, empty store in a directory of the test's own, and closes
// it when the test ends. Inside a testing/synctest bubble the whole store lives
// in fake time.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return OpenDir(t, t.TempDir())
}

// OpenDir is Open for a directory that may hold a store already: so a test
// closes a store and opens it again.
func OpenDir(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), store.Options{
		Dir:     dir,
		Log:     slog.New(slog.DiscardHandler),
		OnFatal: func(err error) { t.Errorf("store: %v", err) },
	})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}
