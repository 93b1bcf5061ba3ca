package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/vault"
)

// masterKey begins the keys of table meta that name, by their ids, the master
// keys that something may be sealed with. The value is "", or keyRetires.
//
// What seals names its key in the same transaction, and only if it knows all
// that are named: so a key that seals is always named, and of two servers with
// different first keys one is refused. SERIALIZABLE sees to that on
// PostgreSQL, where the names are looked at each time: another server, to which
// this one's key is the retiring one, may take its name away.
const masterKey = "master:"

// keyRetires marks the name of a master key that nothing may be sealed with any
// more. What seals with it takes the mark away.
const keyRetires = "retires"

// masterKeys calls fn with the id of each master key that something may be
// sealed with, and whether it retires. lock holds the names as they are until
// the write ends.
func masterKeys(t *tx, lock bool, fn func(id string, retires bool)) error {
	// Behind the colon, in the order of ASCII, is the semicolon.
	sql := "SELECT key, value FROM meta WHERE key > 'master:' AND key < 'master;' ORDER BY key"
	if lock && t.pg != nil {
		sql += " FOR SHARE"
	}
	return t.query(sql, func(r row) error {
		fn(strings.TrimPrefix(r.text(0), masterKey), r.text(1) == keyRetires)
		return nil
	})
}

// Sealed tells whether anything in the database may be sealed, so that a master
// key is needed.
func (s *Store) Sealed(ctx context.Context) (sealed bool, err error) {
	err = s.single(ctx, func(t *tx) error {
		sealed = false
		return masterKeys(t, false, func(string, bool) { sealed = true })
	})
	return sealed, err
}

// ErrOtherMaster is that something is sealed with a master key that is not
// there: without it those secrets could neither be used nor shown to be wrong.
var ErrOtherMaster = errors.New("what is sealed in this database needs another master key")

// lacking returns the id of a master key that something may be sealed with, and
// that the server does not have; "": it has all of them.
func lacking(t *tx, v *vault.Vault) (id string, err error) {
	err = masterKeys(t, false, func(named string, _ bool) {
		if v == nil || !v.Knows(named) {
			id = named
		}
	})
	return id, err
}

// Lacks returns the id of a master key that something may be sealed with and
// that this server does not have; "": it has all of them. When that is so again,
// what was locked for want of one is opened.
func (s *Store) Lacks(ctx context.Context) (id string, err error) {
	if err := s.single(ctx, func(t *tx) error {
		id, err = lacking(t, s.vault)
		return err
	}); err != nil {
		return "", err
	}
	if id == "" && s.lacked.Load() {
		if err := s.single(ctx, s.reloadSigners); err != nil {
			return "", err
		}
	}
	s.lacked.Store(id != "")
	return id, nil
}

// Unlock gives s the vault that secrets are sealed and opened with; nil: there
// is none, and they cannot be stored. What lies in clear from before there were
// master keys is sealed. It is called once, before anything is asked of s but
// Sealed. It names no key in the database: one that was only tried is not in
// another one's way.
// ErrOtherMaster: v does not know a master key that something may be
// sealed with.
func (s *Store) Unlock(ctx context.Context, v *vault.Vault) error {
	if err := s.single(ctx, func(t *tx) error {
		id, err := lacking(t, v)
		if err == nil && id != "" {
			err = fmt.Errorf("%w: the one with the id %s", ErrOtherMaster, id)
		}
		return err
	}); err != nil {
		return err
	}
	s.vault = v
	err := errors.Join(s.loadSigners(ctx), s.sealClear(ctx))
	if jadwal.CodeOf(err) == jadwal.CodeNoMasterKey { // another server has sealed meanwhile
		err = fmt.Errorf("%w: %w", ErrOtherMaster, err)
	}
	return err
}

// nameMaster has the database name the active master key, with what this write
// seals. CodeNoMasterKey: the server has none, or not each that is named.
func (t *tx) nameMaster() error {
	switch {
	case t.vault == nil:
		return errNoMasterKey
	case t.named:
		return nil
	}
	active, named, knows := t.vault.Active().String(), false, true
	if err := masterKeys(t, true, func(id string, retires bool) {
		named = named || id == active && !retires
		knows = knows && t.vault.Knows(id)
	}); err != nil {
		return err
	}
	if !knows {
		return errOtherMasterKey
	}
	t.named = true
	if named {
		return nil
	}
	t.renamed = true
	return putMeta(t, masterKey+active, "")
}

// seal seals a text for its place in a table, in a write. CodeNoMasterKey: the
// server has no master key, or not each that something may be sealed with.
func (t *tx) seal(at vault.Place, text []byte) ([]byte, error) {
	if err := t.nameMaster(); err != nil {
		return nil, err
	}
	return t.vault.Seal(at, text), nil
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
		return nil, errOtherMasterKey
	case err != nil:
		return nil, fmt.Errorf("%s %d, %s: %w", at.Table, at.ID, at.Field, err)
	}
	return text, nil
}

var (
	errNoMasterKey = jadwal.Errorf(jadwal.CodeNoMasterKey,
		"The server has no master key for secrets; its operator sets JADWAL_MASTER_KEY, JADWAL_MASTER_KEY_FILE or JADWAL_MASTER_KEY_COMMAND")
	errOtherMasterKey = jadwal.Errorf(jadwal.CodeNoMasterKey,
		"The server does not have the master key that is in use for secrets; its operator sets JADWAL_MASTER_KEY to the one of the other servers and starts it again")
)
