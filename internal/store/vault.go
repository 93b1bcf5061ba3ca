package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/vault"
)

// masterKey begins the keys of table meta that name, by their ids, the master
// keys that something may be sealed with.
const masterKey = "master:"

// masterKeys are the ids of the master keys that something may be sealed with.
func masterKeys(t *tx) (ids []string, err error) {
	// Behind the colon, in the order of ASCII, is the semicolon.
	err = t.query("SELECT key FROM meta WHERE key > 'master:' AND key < 'master;' ORDER BY key", func(r row) error {
		ids = append(ids, strings.TrimPrefix(r.text(0), masterKey))
		return nil
	})
	return ids, err
}

// Sealed tells whether anything in the database may be sealed, so that a master
// key is needed.
func (s *Store) Sealed(ctx context.Context) (sealed bool, err error) {
	err = s.single(ctx, func(t *tx) error {
		ids, err := masterKeys(t)
		sealed = len(ids) > 0
		return err
	})
	return sealed, err
}

// ErrOtherMaster is that something is sealed with a master key that is not
// there: without it those secrets could neither be used nor shown to be wrong.
var ErrOtherMaster = errors.New("what is sealed in this database needs another master key")

// Unlock gives s the vault that secrets are sealed and opened with; without one
// they cannot be stored. What lies in clear from before there were master keys is
// sealed. It is called once, before anything is asked of s but Sealed.
// ErrOtherMaster: v does not know a master key that something may be
// sealed with.
func (s *Store) Unlock(ctx context.Context, v *vault.Vault) error {
	active := v.Active().String()
	noted := false
	check := func(t *tx) error {
		ids, err := masterKeys(t)
		if err != nil {
			return err
		}
		noted = false
		for _, id := range ids {
			if !v.Knows(id) {
				return fmt.Errorf("%w: the one with the id %s", ErrOtherMaster, id)
			}
			noted = noted || id == active
		}
		return nil
	}
	if err := s.single(ctx, check); err != nil {
		return err
	}
	if !noted { // a start writes nothing otherwise
		if err := s.write(ctx, laneAPI, func(t *tx) error {
			if err := check(t); err != nil {
				return err
			}
			return putMeta(t, masterKey+active, "")
		}); err != nil {
			return err
		}
	}
	s.vault = v
	return errors.Join(s.loadSigners(ctx), s.sealClear(ctx))
}

// nameMaster notes again that something may be sealed with the active master
// key, if a server to which it is the retiring one has taken that away.
func (s *Store) nameMaster(ctx context.Context) error {
	if s.vault == nil {
		return nil
	}
	active, noted := s.vault.Active().String(), false
	if err := s.single(ctx, func(t *tx) error {
		ids, err := masterKeys(t)
		noted = slices.Contains(ids, active)
		return err
	}); err != nil || noted {
		return err
	}
	return s.write(ctx, laneAPI, func(t *tx) error { return putMeta(t, masterKey+active, "") })
}

// seal seals a text for its place in a table. CodeNoMasterKey: the server has
// no master key.
func (s *Store) seal(at vault.Place, text []byte) ([]byte, error) {
	if s.vault == nil {
		return nil, errNoMasterKey
	}
	return s.vault.Seal(at, text), nil
}

// open is the inverse of seal. CodeNoMasterKey: the server has no master key,
// or not the one that it was sealed with. Any other error means that the
// database was tampered with, or has lost something.
func (s *Store) open(at vault.Place, sealed []byte) ([]byte, error) {
	if s.vault == nil {
		return nil, errNoMasterKey
	}
	text, err := s.vault.Open(at, sealed)
	switch {
	case errors.Is(err, vault.ErrNoKey):
		return nil, errNoMasterKey
	case err != nil:
		return nil, fmt.Errorf("%s %d, %s: %w", at.Table, at.ID, at.Field, err)
	}
	return text, nil
}

var errNoMasterKey = jadwal.Errorf(jadwal.CodeNoMasterKey,
	"The server has no master key for secrets; its operator sets JADWAL_MASTER_KEY, JADWAL_MASTER_KEY_FILE or JADWAL_MASTER_KEY_COMMAND")
