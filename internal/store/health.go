package store

import (
	"context"
	"time"
)

// Health returns nil when the store answers: a reader finds the database, and
// the writer, which may not have given up on the disk, commits a transaction.
// It waits for both as long as ctx lives. The transaction is empty, unless the
// disk has failed since something was written: then only a write tells whether
// it has recovered.
func (s *Store) Health(ctx context.Context) error {
	if err := s.read(ctx, func(t *tx) error {
		_, err := t.one("SELECT 1 FROM meta LIMIT 1", func(row) {})
		return err
	}); err != nil {
		return err
	}
	return s.write(ctx, laneAPI, func(t *tx) error {
		if !s.failing.Load() {
			return nil
		}
		return putMetaTime(t, triedAt, time.Now())
	})
}

// triedAt is the key of table meta that tells when a failed disk was last tried.
const triedAt = "tried_at"
