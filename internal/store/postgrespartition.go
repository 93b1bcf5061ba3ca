package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// History is in partitions by the day of recording, as the database's clock has
// it. They are made ahead, and dropped whole when their time is over. Failures
// stay longer: a day that is over for all but them is exchanged for a partition
// of its failures alone.
const (
	daysAhead = 14
	day       = 24 * time.Hour

	allRuns      = "d" // partitions of all that was recorded on a day
	failuresOnly = "f" // and of its failures alone
)

// divided are the tables that history is in. run is the last one, since what
// stays of the others follows from it.
var divided = []string{"run_output", "attempt", "run"}

func partitionName(table, kind string, from time.Time) string {
	return table + "_" + kind + from.Format("20060102")
}

// partition is one that there is.
type partition struct {
	table string
	kind  string // allRuns or failuresOnly
	from  time.Time
}

func (p partition) name() string { return partitionName(p.table, p.kind, p.from) }

// recordedOn is the time now by the database's clock.
func recordedOn(ctx context.Context, c *pgx.Conn) (now time.Time, err error) {
	us := int64(0)
	err = c.QueryRow(ctx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").Scan(&us)
	return time.UnixMicro(us).UTC(), err
}

// makePartitions makes the partitions of today and the days ahead, as far as
// there are none.
func makePartitions(ctx context.Context, c *pgx.Conn) error {
	now, err := recordedOn(ctx, c)
	if err != nil {
		return err
	}
	today := now.Truncate(day)
	last := partitionName("run", allRuns, today.Add(daysAhead*day))
	there := false
	if err := c.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", last).Scan(&there); err != nil || there {
		return err
	}
	return pgx.BeginFunc(ctx, c, func(t pgx.Tx) error {
		if _, err := t.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(migrationLock)); err != nil {
			return err
		}
		for n := range daysAhead + 1 {
			from := today.Add(time.Duration(n) * day)
			for _, table := range divided {
				if err := makePartition(ctx, t, table, from); err != nil {
					return fmt.Errorf("partition of %s for %s: %w", table, from.Format(time.DateOnly), err)
				}
			}
		}
		return nil
	})
}

func makePartition(ctx context.Context, t pgx.Tx, table string, from time.Time) error {
	name := partitionName(table, allRuns, from)
	there := false
	if err := t.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&there); err != nil || there {
		return err
	}
	_, err := t.Exec(ctx, fmt.Sprintf("CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%d) TO (%d)", name, table, from.UnixMicro(), from.Add(day).UnixMicro()))
	return err
}

// partitions returns all of those tables, the oldest first.
func partitions(ctx context.Context, c *pgx.Conn) ([]partition, error) {
	rows, err := c.Query(ctx, `SELECT p.relname, c.relname FROM pg_inherits i
		JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
		WHERE p.oid IN ('run'::regclass, 'run_output'::regclass, 'attempt'::regclass)`)
	if err != nil {
		return nil, err
	}
	var all []partition
	var table, name string
	_, err = pgx.ForEachRow(rows, []any{&table, &name}, func() error {
		rest := strings.TrimPrefix(name, table+"_")
		if from, err := time.Parse("20060102", rest[1:]); err == nil {
			all = append(all, partition{table, rest[:1], from})
		}
		return nil
	})
	slices.SortFunc(all, func(a, b partition) int {
		if n := a.from.Compare(b.from); n != 0 {
			return n
		}
		return slices.Index(divided, a.table) - slices.Index(divided, b.table)
	})
	return all, err
}

// keepPartitions makes what is to come and drops what is over: days whose end
// is before history, but for their failures, and those before failures. Before
// the first of them it calls removing.
func (d *postgresDB) keepPartitions(ctx context.Context, history, failures time.Time, removing func() error) error {
	pooled, err := d.batch.Acquire(ctx)
	if err != nil {
		return err
	}
	defer pooled.Release()
	c := pooled.Conn()
	if err := makePartitions(ctx, c); err != nil {
		return err
	}
	all, err := partitions(ctx, c)
	if err != nil {
		return err
	}
	now, err := recordedOn(ctx, c)
	if err != nil {
		return err
	}
	removed := false
	for _, p := range all {
		end := p.from.Add(day)
		remove := dropPartition
		switch {
		case end.After(now):
			return nil // whatever the caller's clock says
		case !end.After(failures):
		case !end.After(history) && p.kind == allRuns:
			remove = keepFailures
		default:
			continue
		}
		if !removed {
			if err := removing(); err != nil {
				return err
			}
			removed = true
		}
		if err := remove(ctx, c, p); err != nil {
			return fmt.Errorf("partition %s: %w", p.name(), err)
		}
	}
	return nil
}

func dropPartition(ctx context.Context, c *pgx.Conn, p partition) error {
	_, err := c.Exec(ctx, "DROP TABLE "+p.name())
	return err
}

// keepFailures exchanges a partition for one of its failures. What is copied
// does not change any more: its day is over.
func keepFailures(ctx context.Context, c *pgx.Conn, p partition) error {
	kept := partition{p.table, failuresOnly, p.from}
	from, to := p.from.UnixMicro(), p.from.Add(day).UnixMicro()
	which := "x.state = 'failed'"
	if p.table != "run" {
		which = "EXISTS (SELECT 1 FROM run r WHERE r.job_id = x.job_id AND r.due_at = x.due_at AND r.n = x.n AND r.state = 'failed')"
	}
	err := pgx.BeginFunc(ctx, c, func(t pgx.Tx) error {
		var errs []error
		for _, sql := range []string{
			"SET LOCAL statement_timeout = '10min'",
			"DROP TABLE IF EXISTS " + kept.name(), // of an attempt that was cut off
			fmt.Sprintf("CREATE TABLE %s (LIKE %s INCLUDING ALL, CHECK (recorded_at >= %d AND recorded_at < %d))", kept.name(), p.table, from, to),
			fmt.Sprintf("INSERT INTO %s SELECT x.* FROM %s x WHERE %s", kept.name(), p.name(), which),
		} {
			if _, err := t.Exec(ctx, sql); err != nil {
				errs = append(errs, err)
				break
			}
		}
		return errors.Join(errs...)
	})
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, c, func(t pgx.Tx) error {
		for _, sql := range []string{
			fmt.Sprintf("ALTER TABLE %s DETACH PARTITION %s", p.table, p.name()),
			fmt.Sprintf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)", p.table, kept.name(), from, to),
			"DROP TABLE " + p.name(),
		} {
			if _, err := t.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
}

// misplaced tells whether anything was recorded that no partition was made for.
func misplaced(t *tx) (any bool, err error) {
	for _, table := range divided {
		if any, err = t.one("SELECT 1 FROM "+table+"_default LIMIT 1", func(row) {}); err != nil || any {
			return any, err
		}
	}
	return false, nil
}

// keepDays is what Retain does about history on PostgreSQL: days that are too
// old at now go, and the oldest ones while there are more bytes than may be; the
// days to come are made.
func (s *Store) keepDays(ctx context.Context, d *postgresDB, now time.Time, r Retention) error {
	history, failures := now.Add(-r.History), now.Add(-max(r.History, r.Failures))
	cut, err := d.squeeze(ctx, r.Bytes)
	if err != nil {
		return d.judge(ctx, "retention", err)
	}
	history, failures = latest(history, cut), latest(failures, cut)
	if err := d.keepPartitions(ctx, history, failures, func() error {
		return s.write(ctx, laneAPI, func(t *tx) error {
			from, err := metaTime(t, historyFrom)
			if err != nil || !history.After(from) {
				return err
			}
			return putMetaTime(t, historyFrom, history)
		})
	}); err != nil {
		return d.judge(ctx, "retention", err)
	}
	any := false
	if err := s.read(ctx, func(t *tx) (err error) {
		any, err = misplaced(t)
		return err
	}); err != nil {
		return err
	}
	d.misplaced.Store(any)
	if !any {
		return nil
	}
	s.log.Error("history was recorded that no partition had been made for; it is kept, but it slows down")
	return s.write(ctx, laneBatch, func(t *tx) error {
		for _, table := range divided {
			if _, err := t.exec("DELETE FROM "+table+"_default WHERE recorded_at < $1", failures); err != nil {
				return err
			}
		}
		return nil
	})
}

// squeeze returns the end of the last day that has to go for history to have at
// most so many bytes (0: any), with its indexes; the zero time when none has to.
// It is never today.
func (d *postgresDB) squeeze(ctx context.Context, bytes int64) (cut time.Time, err error) {
	if bytes == 0 {
		return cut, nil
	}
	pooled, err := d.batch.Acquire(ctx)
	if err != nil {
		return cut, err
	}
	defer pooled.Release()
	all, err := partitions(ctx, pooled.Conn())
	if err != nil {
		return cut, err
	}
	sizes, used := make([]int64, len(all)), int64(0)
	for i, p := range all {
		if err := pooled.QueryRow(ctx, "SELECT pg_total_relation_size($1::text::regclass)", p.name()).Scan(&sizes[i]); err != nil {
			return cut, err
		}
		used += sizes[i]
	}
	now, err := recordedOn(ctx, pooled.Conn())
	if err != nil {
		return cut, err
	}
	for i, p := range all {
		end := p.from.Add(day)
		if end.After(now) || used <= bytes && !end.Equal(cut) {
			break
		}
		used, cut = used-sizes[i], end
	}
	return cut, nil
}
