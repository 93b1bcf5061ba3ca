package store

import (
	"context"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
)

const keyColumns = "id, user_id, name, scopes, created_at, expires_at, used_at"

func scanKey(r row) jadwal.Key {
	k := jadwal.Key{
		ID: r.int(0), UserID: r.int(1), Name: r.text(2),
		CreatedAt: r.time(4), ExpiresAt: r.time(5), UsedAt: r.time(6),
	}
	for scope := range strings.FieldsSeq(r.text(3)) {
		k.Scopes = append(k.Scopes, jadwal.Scope(scope))
	}
	return k
}

// keyObject names a key in a line of the audit log, by its public id.
func keyObject(id int64) string { return "key/" + jadwal.FormatKeyID(id) }

// liveKey is a key in memory. Nothing of it ever changes.
type liveKey struct {
	key  *jadwal.Key
	hash []byte
}

const liveKeySQL = "SELECT " + keyColumns + ", hash FROM api_key"

func scanLiveKey(r row) liveKey {
	k := scanKey(r)
	return liveKey{&k, r.bytes(7)}
}

func loadKeys(t *tx) (map[int64]liveKey, error) {
	keys := map[int64]liveKey{}
	err := t.query(liveKeySQL, func(r row) error {
		k := scanLiveKey(r)
		keys[k.key.ID] = k
		return nil
	})
	return keys, err
}

// KeyIdentity returns the key of that id and hash and its user. It is false
// when there is none or the user is disabled; whether the key has expired is
// the caller's to judge. The key is not to be changed. On PostgreSQL a key that
// is not known here is looked up, as Identity does. CodeUnavailable: what is in
// memory cannot be trusted, or too many look for unknown keys.
func (s *Store) KeyIdentity(ctx context.Context, id int64, hash []byte) (jadwal.User, *jadwal.Key, bool, error) {
	d, shared := s.db.(*postgresDB)
	if shared && !d.feed.fresh() {
		return jadwal.User{}, nil, false, errUnavailable()
	}
	user, k, known := s.live.findKey(id)
	if shared && !known {
		if err := s.lookUpKey(ctx, id); err != nil {
			return jadwal.User{}, nil, false, err
		}
		user, k, _ = s.live.findKey(id)
	}
	if user.ID == 0 || !user.DisabledAt.IsZero() || subtle.ConstantTimeCompare(k.hash, hash) != 1 {
		return jadwal.User{}, nil, false, nil
	}
	return user, k.key, true, nil
}

// findKey returns a key and its user, the zero user when either is not in
// memory. known tells whether more is to be had: not of the dead.
func (l *identities) findKey(id int64) (user jadwal.User, k liveKey, known bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	k, ok := l.keys[id]
	if !ok {
		_, dead := l.dead[identity{kindKey, id}]
		return jadwal.User{}, liveKey{}, dead
	}
	if user, ok = l.users[k.key.UserID]; !ok {
		_, dead := l.dead[identity{kindUser, k.key.UserID}]
		return jadwal.User{}, k, dead
	}
	return user, k, true
}

// lookUpKey reads a key and its user. That there is none is not remembered:
// anybody can make an id up, and memory would fill with them.
func (s *Store) lookUpKey(ctx context.Context, id int64) error {
	return s.lookUp(ctx, s.lookingUpKeys, func(t *tx) error {
		var k liveKey
		found, err := t.one(liveKeySQL+" WHERE id = $1", func(r row) { k = scanLiveKey(r) }, id)
		if err != nil || !found {
			return err
		}
		u, found, err := userByID(t, k.key.UserID)
		if err == nil && found {
			s.live.putUser(u)
			s.live.putKey(k)
		}
		return err
	})
}

// Keys returns a user's API keys, newest first.
func (s *Store) Keys(ctx context.Context, userID int64) (keys []jadwal.Key, err error) {
	err = s.single(ctx, func(t *tx) error {
		keys = keys[:0]
		return t.query("SELECT "+keyColumns+" FROM api_key WHERE user_id = $1 ORDER BY created_at DESC, id DESC", func(r row) error {
			keys = append(keys, scanKey(r))
			return nil
		}, userID)
	})
	for i := range keys {
		keys[i].UsedAt = s.usedKeys.latest(keys[i].ID, keys[i].UsedAt)
	}
	return keys, err
}

// CreateKey stores a new key of the caller's, with the hash of its text; ID,
// Name, Scopes and ExpiresAt are k's. The caller's keys that have expired by
// now leave. CodeConflict: the caller has jadwal.MaxKeys.
func (s *Store) CreateKey(ctx context.Context, by jadwal.Actor, k jadwal.Key, hash []byte, now time.Time) (jadwal.Key, error) {
	err := s.write(ctx, laneAPI, func(t *tx) error {
		if err := allowed(t, by, jadwal.ActionOwnKey, jadwal.Object{}); err != nil {
			return err
		}
		if err := s.sweepKeys(t, by.User.ID, now); err != nil {
			return err
		}
		have := 0
		if _, err := t.one("SELECT COUNT(*) FROM api_key WHERE user_id = $1", func(r row) { have = int(r.int(0)) }, by.User.ID); err != nil {
			return err
		}
		if have >= jadwal.MaxKeys {
			return jadwal.Errorf(jadwal.CodeConflict, "You have %d API keys already: delete one", have)
		}
		words := make([]string, len(k.Scopes))
		for i, scope := range k.Scopes {
			words[i] = string(scope)
		}
		if _, err := t.one(`INSERT INTO api_key (id, user_id, name, scopes, hash, created_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING `+keyColumns, func(r row) { k = scanKey(r) },
			k.ID, by.User.ID, k.Name, strings.Join(words, " "), hash, now, k.ExpiresAt); err != nil {
			return err
		}
		made := k
		if err := s.keyMade(t, liveKey{&made, hash}); err != nil {
			return err
		}
		d := detail{"name": k.Name, "scopes": words}
		if !k.ExpiresAt.IsZero() {
			d["expires_at"] = instantText(k.ExpiresAt)
		}
		return audited(t, by, now, "key.create", keyObject(k.ID), d)
	})
	return k, err
}

// sweepKeys removes a user's keys that have expired.
func (s *Store) sweepKeys(t *tx, userID int64, now time.Time) error {
	var gone []int64
	if err := t.query("DELETE FROM api_key WHERE user_id = $1 AND expires_at <= $2 RETURNING id", func(r row) error {
		gone = append(gone, r.int(0))
		return nil
	}, userID, now); err != nil {
		return err
	}
	for _, id := range gone {
		if err := s.keyGone(t, id); err != nil {
			return err
		}
	}
	return nil
}

// DeleteKey removes a key of the caller's, or, for a superuser, of anybody's.
// CodeNotFound: there is none, or the caller may not know of it.
func (s *Store) DeleteKey(ctx context.Context, by jadwal.Actor, id int64, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		var k jadwal.Key
		found, err := t.one("SELECT "+keyColumns+" FROM api_key WHERE id = $1", func(r row) { k = scanKey(r) }, id)
		if err != nil {
			return err
		}
		none := jadwal.Errorf(jadwal.CodeNotFound, "There is no such API key")
		if !found {
			return none
		}
		if err := allowed(t, by, jadwal.ActionOwnKey, jadwal.Object{OwnerID: k.UserID}); jadwal.CodeOf(err) == jadwal.CodeNotFound {
			return none
		} else if err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM api_key WHERE id = $1", id); err != nil {
			return err
		}
		if err := s.keyGone(t, id); err != nil {
			return err
		}
		return audited(t, by, now, "key.delete", keyObject(id), detail{"user_id": k.UserID, "name": k.Name})
	})
}

func (l *identities) putKey(k liveKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, dead := l.dead[identity{kindKey, k.key.ID}]
	if _, orphaned := l.dead[identity{kindUser, k.key.UserID}]; !dead && !orphaned {
		l.keys[k.key.ID] = k
	}
}

func (l *identities) dropKey(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.died(identity{kindKey, id})
	delete(l.keys, id)
}
