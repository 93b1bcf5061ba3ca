package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
)

// secretHash is the key of table meta for a hash of what the servers' keys come
// from.
const secretHash = "secret"

// SameSecret tells whether this server's secret is that of the others on its
// database, by keys that are derived from it for nothing else: active, or
// retiring (nil: none) when that is still theirs. Then active takes its place.
// The first server's counts. On SQLite there are no others, and it is true.
func (s *Store) SameSecret(ctx context.Context, active, retiring []byte) (same bool, err error) {
	if _, shared := s.db.(*postgresDB); !shared {
		return true, nil
	}
	err = s.write(ctx, laneAPI, func(t *tx) error {
		stored := ""
		found, err := t.one("SELECT value FROM meta WHERE key = $1", func(r row) { stored = r.text(0) }, secretHash)
		if err != nil {
			return err
		}
		same = true
		switch {
		case found && stored == hashOf(active):
			return nil
		case found && (retiring == nil || stored != hashOf(retiring)):
			same = false
			return nil
		}
		_, err = t.exec("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", secretHash, hashOf(active))
		return err
	})
	return same, err
}

func hashOf(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}
