package store

import (
	"context"
	"time"
)

// Name says where everything is kept: the database file, or the PostgreSQL
// database without its user and password.
func (s *Store) Name() string {
	if d, shared := s.db.(*postgresDB); shared {
		return d.name()
	}
	return s.db.(*sqliteDB).path
}

// Misplaced tells whether the last sweep of Keep has found history that no
// partition of PostgreSQL had been made for: the clock of the database has
// jumped, or partitions could not be made. It is kept, but it slows down.
func (s *Store) Misplaced() bool {
	d, shared := s.db.(*postgresDB)
	return shared && d.misplaced.Load()
}

// Health returns nil when the store answers: a reader finds the database, and
// the writer, which may not have given up on the disk, commits a transaction;
// on PostgreSQL what is in memory is up to date besides. It waits for both as
// long as ctx lives. The transaction is empty, unless the disk has failed since
// something was written: then only a write tells whether it has recovered.
func (s *Store) Health(ctx context.Context) error {
	if d, shared := s.db.(*postgresDB); shared && !d.feed.fresh() {
		return errUnavailable()
	}
	if err := s.single(ctx, func(t *tx) error {
		_, err := t.one("SELECT 1 FROM meta LIMIT 1", func(row) {})
		return err
	}); err != nil {
		return err
	}
	return s.write(ctx, laneAPI, func(t *tx) error {
		if d, own := s.db.(*sqliteDB); !own || !d.failing.Load() {
			return nil
		}
		return putMetaTime(t, triedAt, time.Now())
	})
}

// triedAt is the key of table meta that tells when a failed disk was last tried.
const triedAt = "tried_at"
