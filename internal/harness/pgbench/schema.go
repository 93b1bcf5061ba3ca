package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// schema is what the commit touches, and the cold table that it must not.
// %[1]d is the fill factor of the cursors.
const schema = `
CREATE TABLE node (
  id          BIGINT PRIMARY KEY,
  lease_until BIGINT NOT NULL
);
INSERT INTO node VALUES (1, 0);

CREATE TABLE job (
  id         BIGINT PRIMARY KEY,
  definition TEXT NOT NULL
);

CREATE TABLE cursor (
  job_id           BIGINT NOT NULL,
  shard            INTEGER GENERATED ALWAYS AS (job_id %% 1024) STORED,
  owner_id         BIGINT NOT NULL,
  version          BIGINT NOT NULL,
  next_at          BIGINT,
  started          BIGINT NOT NULL DEFAULT 0,
  streak           BIGINT NOT NULL DEFAULT 0,
  last_due_at      BIGINT,
  last_n           BIGINT,
  last_state       TEXT,
  last_ready_at    BIGINT,
  last_started_at  BIGINT,
  last_finished_at BIGINT
) WITH (fillfactor = %[1]d, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE open_run (
  due_at     BIGINT NOT NULL,
  job_id     BIGINT NOT NULL,
  n          BIGINT NOT NULL,
  version    BIGINT NOT NULL,
  state      TEXT   NOT NULL CHECK (state = 'queued' OR state = 'running' OR state = 'cancelling'),
  trigger_by TEXT   NOT NULL,
  attempt    BIGINT NOT NULL CHECK (attempt >= 0),
  ready_at   BIGINT NOT NULL,
  started_at BIGINT,
  retry_of   TEXT,
  CHECK ((state = 'queued') OR (started_at IS NOT NULL AND attempt > 0)),
  PRIMARY KEY (due_at, job_id, n)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX open_run_job ON open_run (job_id);

CREATE TABLE run (
  due_at      BIGINT NOT NULL,
  job_id      BIGINT NOT NULL,
  n           BIGINT NOT NULL,
  through_at  BIGINT,
  version     BIGINT NOT NULL,
  state       TEXT   NOT NULL CHECK (state = 'succeeded' OR state = 'failed' OR state = 'cancelled' OR state = 'skipped' OR state = 'missed'),
  reason      TEXT   NOT NULL,
  trigger_by  TEXT   NOT NULL,
  attempts    BIGINT NOT NULL,
  ready_at    BIGINT,
  started_at  BIGINT,
  finished_at BIGINT NOT NULL,
  status_code BIGINT NOT NULL,
  message     TEXT   NOT NULL,
  retry_of    TEXT,
  recorded_at BIGINT NOT NULL,
  CHECK ((state = 'succeeded') = (reason = '')),
  CHECK (through_at IS NULL OR (n = 0 AND through_at > due_at AND (state = 'skipped' OR state = 'missed')))
) PARTITION BY RANGE (recorded_at);
CREATE INDEX run_job ON run (job_id, due_at);
CREATE TABLE run_default PARTITION OF run DEFAULT;
`

const day = 86_400_000_000 // µs

// firstDue is the instant of the first job: 2030-01-01.
const firstDue = 1_893_456_000_000_000

// fill makes the tables, with a job for every cursor, due all over a minute.
func fill(ctx context.Context, c *pgx.Conn, rows, fillfactor int) error {
	if _, err := c.Exec(ctx, fmt.Sprintf(schema, fillfactor)); err != nil {
		return err
	}
	for i := range int64(17) {
		from := firstDue/day*day + (i-2)*day
		if _, err := c.Exec(ctx, fmt.Sprintf("CREATE TABLE run_%d PARTITION OF run FOR VALUES FROM (%d) TO (%d)", i, from, from+day)); err != nil {
			return err
		}
	}
	for _, sql := range []string{
		fmt.Sprintf("INSERT INTO job SELECT i, repeat('d', 300) FROM generate_series(1, %d) i", rows),
		fmt.Sprintf("INSERT INTO cursor (job_id, owner_id, version, next_at) SELECT i, 1, 1, %d + i::bigint * 7919 %% 60000 * 1000 FROM generate_series(1, %d) i", int64(firstDue), rows),
		"ALTER TABLE cursor ADD PRIMARY KEY (job_id)",
		"CREATE INDEX cursor_due ON cursor (shard, next_at, job_id) WHERE next_at IS NOT NULL",
		"VACUUM ANALYZE",
		"CHECKPOINT",
	} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}
