package store

import "context"

// Health returns nil when the store answers: a reader finds the database, and
// the writer, which may not have given up on the disk, commits an empty
// transaction. It waits for both as long as ctx lives.
func (s *Store) Health(ctx context.Context) error {
	if err := s.read(ctx, func(t *tx) error {
		_, err := t.one("SELECT 1 FROM meta LIMIT 1", func(row) {})
		return err
	}); err != nil {
		return err
	}
	return s.write(ctx, laneAPI, func(*tx) error { return nil })
}
