package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// migrationLock is the key of the advisory lock under which the schema
// changes, since several nodes may start at once.
const migrationLock = 0x6a616477616c // "jadwal"

// migratePostgres is migrate for PostgreSQL.
func migratePostgres(ctx context.Context, c *pgx.Conn, allowed bool) error {
	steps, err := migrations("postgres")
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	return migrateWith(ctx, c, steps, allowed)
}

// migrateWith applies those of steps that are left, each in a transaction of
// its own, or refuses when it may not.
func migrateWith(ctx context.Context, c *pgx.Conn, steps []string, allowed bool) error {
	for {
		done, err := migratePostgresStep(ctx, c, steps, allowed)
		if done || err != nil {
			return err
		}
	}
}

func migratePostgresStep(ctx context.Context, c *pgx.Conn, steps []string, allowed bool) (done bool, err error) {
	t, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted})
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, ended(t.Rollback(ctx), err)) }()
	// A step may take its time, and so may the node that is at it now.
	if _, err := t.Exec(ctx, "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true), pg_advisory_xact_lock($1)",
		pgx.QueryExecModeExec, int64(migrationLock)); err != nil {
		return false, err
	}
	version, err := postgresSchemaVersion(ctx, t)
	if err != nil {
		return false, err
	}
	switch {
	case version > len(steps):
		return false, fmt.Errorf("its schema is version %d, and this jadwal knows only up to %d: use the newer jadwal that wrote it", version, len(steps))
	case version == len(steps):
		return true, nil
	case !allowed:
		return false, fmt.Errorf("its schema is version %d, this jadwal needs %d: start a server on it first", version, len(steps))
	}
	if _, err := t.Conn().PgConn().Exec(ctx, steps[version]).ReadAll(); err != nil {
		return false, fmt.Errorf("migration %d: %w", version+1, err)
	}
	if _, err := t.Exec(ctx, "INSERT INTO meta (key, value) VALUES ('schema', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		pgx.QueryExecModeExec, strconv.Itoa(version+1)); err != nil {
		return false, fmt.Errorf("migration %d: %w", version+1, err)
	}
	return false, t.Commit(ctx)
}

// postgresSchemaVersion is schemaVersion for PostgreSQL.
func postgresSchemaVersion(ctx context.Context, t pgx.Tx) (int, error) {
	var foreign *string
	var ours bool
	if err := t.QueryRow(ctx, `SELECT min(c.relname), COALESCE(bool_or(c.relname = 'meta'), false) FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')`, pgx.QueryExecModeExec).Scan(&foreign, &ours); err != nil {
		return 0, err
	}
	switch {
	case !ours && foreign != nil:
		return 0, fmt.Errorf("it has a table %q and is not a database of jadwal", *foreign)
	case !ours:
		return 0, nil
	}
	var value string
	if err := t.QueryRow(ctx, "SELECT value FROM meta WHERE key = 'schema'", pgx.QueryExecModeExec).Scan(&value); err != nil {
		return 0, err
	}
	version, err := strconv.Atoi(value)
	if err != nil || version < 1 {
		return 0, fmt.Errorf("its schema version %q is not a number", value)
	}
	return version, nil
}
