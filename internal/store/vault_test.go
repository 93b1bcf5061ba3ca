package store_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/storetest"
	"github.com/teknohole/jadwal/internal/vault"
)

func newVault(t testing.TB, active, retiring string) *vault.Vault {
	t.Helper()
	key := func(s string) []byte {
		if s == "" {
			return nil
		}
		return []byte(strings.Repeat(s, jadwal.MinServerSecret))
	}
	v, err := vault.New(key(active), key(retiring))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Nobody begins with a master key beside which something may be sealed with
// another one, that is not at hand.
func TestUnlock(t *testing.T) {
	forEachBackend(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		seal := func() {
			t.Helper()
			d := jadwal.DefaultDefinition()
			d.Name, d.Target.URL = "j-"+strings.ToLower(rand.Text()), "https://example.com/"
			d.Target.Headers = map[string]string{"Authorization": "Bearer x"}
			if _, err := s.CreateJob(t.Context(), jadwal.Actor{}, jadwal.Job{OwnerID: 1, State: jadwal.JobEnabled, Definition: d}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		seal()
		if sealed, err := s.Sealed(t.Context()); err != nil || !sealed {
			t.Errorf("sealed: %v, %v", sealed, err)
		}
		if err := storetest.Unlock(s); err != nil {
			t.Errorf("the same key again: %v", err)
		}
		if err := s.Unlock(t.Context(), newVault(t, "a", "")); !errors.Is(err, store.ErrOtherMaster) {
			t.Errorf("another key: %v", err)
		}
		if err := s.Unlock(t.Context(), newVault(t, "a", "b")); !errors.Is(err, store.ErrOtherMaster) {
			t.Errorf("two other keys: %v", err)
		}
		between, err := vault.New([]byte(strings.Repeat("a", jadwal.MinServerSecret)), storetest.MasterKey)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Unlock(t.Context(), between); err != nil {
			t.Errorf("another key, while the former one retires: %v", err)
		}
		seal()
		if err := storetest.Unlock(s); !errors.Is(err, store.ErrOtherMaster) {
			t.Errorf("the former one alone: %v", err)
		}
		back, err := vault.New(storetest.MasterKey, []byte(strings.Repeat("a", jadwal.MinServerSecret)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Unlock(t.Context(), back); err != nil {
			t.Errorf("the former one, and the new one to come: %v", err)
		}
	})
}
