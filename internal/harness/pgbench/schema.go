package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// firstDue is the instant of the first job: 2030-01-01.
const firstDue = 1_893_456_000_000_000

// fill gives the store's tables a job for every cursor, due all over a minute.
func fill(ctx context.Context, c *pgx.Conn, rows, fillfactor int) error {
	for _, sql := range []string{
		fmt.Sprintf("ALTER TABLE cursor SET (fillfactor = %d)", fillfactor),
		fmt.Sprintf("INSERT INTO job (id, owner_id, name, definition, state, version, created_at, updated_at) SELECT i, 1, 'j' || i, repeat('d', 300), 'enabled', 1, 0, 0 FROM generate_series(1, %d) i", rows),
		fmt.Sprintf("INSERT INTO cursor (job_id, owner_id, version, next_at) SELECT i, 1, 1, %d + i::bigint * 7919 %% 60000 * 1000 FROM generate_series(1, %d) i", int64(firstDue), rows),
		"VACUUM ANALYZE",
		"CHECKPOINT",
	} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}
