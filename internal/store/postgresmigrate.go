package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
)

// migrationLock is the key of the advisory lock under which the schema
// changes, since several nodes may start at once.
const migrationLock = 0x6a616477616c // "jadwal"

// neededStep is the newest step of the schema that a server must know to work on
// a database that has had it, since it could not read what others store, or
// would leave out what they need. So no server of before it may live when it is
// applied, and none may become a node afterwards. Beside other steps it may, so
// that servers can be upgraded one after another.
//
// Servers that do not know step 6 take a member that a stored definition leaves
// out for an empty one, and do not keep the tags of jobs.
const neededStep = 6

// migratePostgres is migrate for PostgreSQL. It returns how many steps there are.
func migratePostgres(ctx context.Context, c *pgx.Conn, allowed bool) (known int, err error) {
	steps, err := migrations("postgres")
	if err != nil {
		return 0, fmt.Errorf("migrations: %w", err)
	}
	return len(steps), migrateWith(ctx, c, steps, neededStep, allowed)
}

// migrateWith applies those of steps that are left, each in a transaction of
// its own, or refuses when it may not, or when it would leave nodes behind that
// live: needed is neededStep.
func migrateWith(ctx context.Context, c *pgx.Conn, steps []string, needed int, allowed bool) error {
	for {
		done, err := migratePostgresStep(ctx, c, steps, needed, allowed)
		if done || err != nil {
			return err
		}
	}
}

func migratePostgresStep(ctx context.Context, c *pgx.Conn, steps []string, needed int, allowed bool) (done bool, err error) {
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
	if version > 0 {
		// Who becomes a node reads the version before it writes (refuseOutdated): to
		// take them the other way round would be a deadlock.
		if _, err := t.Exec(ctx, "SELECT 1 FROM meta WHERE key = 'schema' FOR UPDATE", pgx.QueryExecModeExec); err != nil {
			return false, err
		}
	}
	if version > 0 && version < needed {
		if err := leaveBehind(ctx, t, version, needed); err != nil {
			return false, err
		}
	}
	if _, err := t.Conn().PgConn().Exec(ctx, steps[version]).ReadAll(); err != nil {
		return false, fmt.Errorf("migration %d: %w", version+1, err)
	}
	if _, err := t.Exec(ctx, "INSERT INTO meta (key, value) VALUES ('schema', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		pgx.QueryExecModeExec, strconv.Itoa(version+1)); err != nil {
		return false, fmt.Errorf("migration %d: %w", version+1, err)
	}
	if version+1 == needed {
		if _, err := t.Exec(ctx, "INSERT INTO meta (key, value) VALUES ('needed', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
			pgx.QueryExecModeExec, strconv.Itoa(needed)); err != nil {
			return false, fmt.Errorf("migration %d: %w", needed, err)
		}
	}
	return false, t.Commit(ctx)
}

// leaveBehind removes the nodes whose lease has ended, so that none of them goes
// on when it is heard of again, and refuses when others live.
func leaveBehind(ctx context.Context, t pgx.Tx, version, needed int) error {
	if _, err := t.Exec(ctx, "DELETE FROM node WHERE lease_until < "+clockSQL, pgx.QueryExecModeExec); err != nil {
		return err
	}
	living := ""
	if err := t.QueryRow(ctx, "SELECT COALESCE(string_agg(format('node %s at %s (jadwal %s)', id, address, version), ', ' ORDER BY id), '') FROM node",
		pgx.QueryExecModeExec).Scan(&living); err != nil {
		return err
	}
	if living == "" {
		return nil
	}
	return fmt.Errorf("its schema is version %d, and servers live that do not know version %d, beside which this jadwal may not work: %s; stop them all first, then start this one (one that was killed counts until its lease ends, in %v at most)",
		version, needed, living, jadwal.LeaseFor)
}

// refuseOutdated returns an error when a server that knows so many steps may not
// work on the database any more. No step that would leave it behind is applied
// before t has ended.
func refuseOutdated(t *tx, known int) error {
	needed := int64(0)
	if _, err := t.one("SELECT COALESCE((SELECT value::bigint FROM meta WHERE key = 'needed'), 0) FROM meta WHERE key = 'schema' FOR SHARE",
		func(r row) { needed = r.int(0) }); err != nil {
		return err
	}
	if needed > int64(known) {
		return fmt.Errorf("%w: no server may work on it that does not know its schema's version %d, and this jadwal knows only up to %d: use the newer jadwal that brought it there", errOutdated, needed, known)
	}
	return nil
}

// errOutdated is the reason of refuseOutdated.
var errOutdated = errors.New("the database has been taken over by a newer jadwal")

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
