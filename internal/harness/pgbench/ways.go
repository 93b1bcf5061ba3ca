package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// A way commits a batch of outcomes, each with one record, and tells how many
// of them it recorded.
type way struct {
	name   string
	sql    []string // its statements, whose plans are looked at
	commit func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error)
}

// conn is a connection and what it keeps from one batch to the next.
type conn struct {
	*pgx.Conn
	store   *store.Store
	columns columns
	node    int64
	now     int64
}

var errFenced = errors.New("the node's row is gone")

const (
	cursorArrays = `unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
		$9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[])
		AS x (job_id, version, at, next, started, keep, failures, last_due_at, last_n, last_state, last_ready_at, last_started_at, last_finished_at)`
	setCursor = `SET next_at = NULLIF(x.next, 0), started = c.started + x.started, streak = c.streak * x.keep + x.failures,
		last_due_at = x.last_due_at, last_n = x.last_n, last_state = x.last_state, last_ready_at = NULLIF(x.last_ready_at, 0),
		last_started_at = x.last_started_at, last_finished_at = x.last_finished_at`
	stands     = `c.job_id = x.job_id AND c.version = x.version AND c.next_at IS NOT DISTINCT FROM NULLIF(x.at, 0)`
	runColumns = `due_at, job_id, n, through_at, version, state, reason, trigger_by, attempts, ready_at, started_at, finished_at, status_code, message, retry_of, recorded_at`
	runArrays  = `unnest($15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::text[], $21::text[], $22::text[],
		$23::bigint[], $24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::text[], $29::text[])
		AS r (due_at, job_id, n, through_at, version, state, reason, trigger_by, attempts, ready_at, started_at, finished_at, status_code, message, retry_of)`
	runValues = `r.due_at, r.job_id, r.n, NULLIF(r.through_at, 0), r.version, r.state, r.reason, r.trigger_by, r.attempts,
		NULLIF(r.ready_at, 0), NULLIF(r.started_at, 0), r.finished_at, r.status_code, r.message, NULLIF(r.retry_of, ''), $30::bigint`
	fence = `fence AS MATERIALIZED (SELECT 1 FROM node WHERE id = $1 FOR KEY SHARE)`
)

const oneSQL = `WITH ` + fence + `,
	moved AS (UPDATE cursor c ` + setCursor + ` FROM ` + cursorArrays + `, fence WHERE ` + stands + ` RETURNING c.job_id),
	recorded AS (INSERT INTO run (` + runColumns + `) SELECT ` + runValues + ` FROM ` + runArrays + ` JOIN moved ON moved.job_id = r.job_id)
	SELECT (SELECT count(*) FROM fence), ARRAY(SELECT job_id FROM moved)`

// carriedSQL has one row for each outcome, cursor and record, so that nothing
// is joined twice.
const carriedSQL = `WITH ` + fence + `,
	moved AS (UPDATE cursor c ` + setCursor + `
		FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
			$9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[],
			$15::bigint[], $16::bigint[], $17::text[], $18::text[], $19::bigint[], $20::bigint[], $21::text[], $22::text[])
		AS x (job_id, version, at, next, started, keep, failures, last_due_at, last_n, last_state, last_ready_at, last_started_at, last_finished_at,
			through_at, run_version, reason, trigger_by, attempts, status_code, message, retry_of), fence
		WHERE ` + stands + ` RETURNING x.*),
	recorded AS (INSERT INTO run (` + runColumns + `) SELECT last_due_at, job_id, last_n, NULLIF(through_at, 0), run_version, last_state, reason, trigger_by, attempts,
		NULLIF(last_ready_at, 0), NULLIF(last_started_at, 0), last_finished_at, status_code, message, NULLIF(retry_of, ''), $23::bigint FROM moved)
	SELECT (SELECT count(*) FROM fence), ARRAY(SELECT job_id FROM moved)`

const (
	holdSQL = `SELECT 1 / (SELECT count(*) FROM (SELECT FROM node WHERE id = $1 FOR KEY SHARE) f)`
	moveSQL = `WITH moved AS (UPDATE cursor c ` + setCursor + ` FROM ` + cursorArrays + ` WHERE ` + stands + ` RETURNING 1)
		SELECT 1 / CASE count(*) WHEN $1 THEN 1 ELSE 0 END FROM moved`
	recordSQL = `INSERT INTO run (` + runColumns + `) SELECT r.due_at, r.job_id, r.n, NULLIF(r.through_at, 0), r.version, r.state, r.reason, r.trigger_by, r.attempts,
		NULLIF(r.ready_at, 0), NULLIF(r.started_at, 0), r.finished_at, r.status_code, r.message, NULLIF(r.retry_of, ''), $16::bigint
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[],
		$9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[], $15::text[])
		AS r (due_at, job_id, n, through_at, version, state, reason, trigger_by, attempts, ready_at, started_at, finished_at, status_code, message, retry_of)`
	rowSQL = `WITH moved AS (UPDATE cursor SET next_at = NULLIF($4::bigint, 0), started = started + $5, streak = streak * $6 + $7,
			last_due_at = $8, last_n = $9, last_state = $10, last_ready_at = NULLIF($11::bigint, 0), last_started_at = $12, last_finished_at = $13
		WHERE job_id = $1 AND version = $2 AND next_at IS NOT DISTINCT FROM NULLIF($3::bigint, 0) RETURNING 1)
		INSERT INTO run (` + runColumns + `) SELECT $8, $1, $9, NULLIF($14::bigint, 0), $15, $10, $16, $17, $18, NULLIF($11::bigint, 0), $12, $13, $19, $20, NULLIF($21, ''), $22 FROM moved`
)

func (c *conn) cursorArgs() []any {
	k := &c.columns
	return []any{k.id, k.version, k.at, k.next, k.started, k.keep, k.failures, k.lastDue, k.lastN, k.lastState, k.lastReady, k.lastBegan, k.lastEnd}
}

func (c *conn) runArgs() []any {
	k := &c.columns
	return []any{k.due, k.job, k.n, k.through, k.runVersion, k.state, k.reason, k.trigger, k.attempts, k.ready, k.began, k.end, k.status, k.message, k.retryOf}
}

// asOne scans the answer of a statement that does everything.
func (c *conn) asOne(ctx context.Context, sql string, args []any) (int, error) {
	var held int
	var moved []int64
	if err := c.QueryRow(ctx, sql, args...).Scan(&held, &moved); err != nil {
		return 0, err
	}
	if held == 0 {
		return 0, errFenced
	}
	return len(moved), nil
}

// commit commits as the server does.
func (c *conn) commit(ctx context.Context, batch []*jadwal.Outcome) (int, error) {
	verdicts, err := c.store.Commit(ctx, time.Now(), batch)
	recorded := 0
	for _, v := range verdicts {
		if v == jadwal.Recorded {
			recorded++
		}
	}
	return recorded, err
}

// spilled turns outcomes into those of runs that were stored as open first: one
// that opens each, then one that closes it.
func spilled(batch []*jadwal.Outcome) (opens, closes []*jadwal.Outcome) {
	for _, o := range batch {
		r := &o.Records[0]
		running := jadwal.OpenRun{Key: r.Key, Version: 1, State: jadwal.RunRunning, Trigger: r.Trigger, Attempt: 1, ReadyAt: r.StartedAt, StartedAt: r.StartedAt}
		opens = append(opens, &jadwal.Outcome{JobID: o.JobID, Version: 1, At: o.At, Next: o.Next, Started: 1, Opens: []jadwal.OpenRun{running}})
		closes = append(closes, &jadwal.Outcome{
			JobID: o.JobID, Version: 1, At: o.Next, Next: o.Next, Records: o.Records,
			Closes: []jadwal.Close{{Key: r.Key, Attempt: 1, State: jadwal.RunRunning}},
		})
	}
	return opens, closes
}

// apart keeps outcomes from being committed together: each asks for something
// that only an outcome by itself can have.
func apart(batch []*jadwal.Outcome) []*jadwal.Outcome {
	for _, o := range batch {
		o.PauseAfter = 1 << 30
	}
	return batch
}

var ways = []way{
	{"jadwal", nil, func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error) { return c.commit(ctx, batch) }},
	{"jadwal, one by one", nil, func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error) {
		return c.commit(ctx, apart(batch))
	}},
	{"jadwal, opened and closed", nil, func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error) {
		opens, closes := spilled(batch)
		if n, err := c.commit(ctx, opens); err != nil || n != len(batch) {
			return n, err
		}
		return c.commit(ctx, closes)
	}},
	{"the same, one by one", nil, func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error) {
		opens, closes := spilled(batch)
		if n, err := c.commit(ctx, apart(opens)); err != nil || n != len(batch) {
			return n, err
		}
		return c.commit(ctx, apart(closes))
	}},
	{"one statement", []string{oneSQL}, func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error) {
		c.columns.transpose(batch)
		args := append([]any{c.node}, c.cursorArgs()...)
		return c.asOne(ctx, oneSQL, append(append(args, c.runArgs()...), c.now))
	}},
	{"one statement, no join", []string{carriedSQL}, func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error) {
		c.columns.transpose(batch)
		k := &c.columns
		args := append([]any{c.node}, c.cursorArgs()...)
		return c.asOne(ctx, carriedSQL, append(args, k.through, k.runVersion, k.reason, k.trigger, k.attempts, k.status, k.message, k.retryOf, c.now))
	}},
	{"two statements, one pipeline", []string{moveSQL, recordSQL}, func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error) {
		c.columns.transpose(batch)
		var b pgx.Batch
		b.Queue(holdSQL, c.node)
		b.Queue(moveSQL, append([]any{int64(len(batch))}, c.cursorArgs()...)...)
		b.Queue(recordSQL, append(c.runArgs(), c.now)...)
		return len(batch), c.SendBatch(ctx, &b).Close()
	}},
	{"row by row, one pipeline", []string{rowSQL}, func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error) {
		c.columns.transpose(batch)
		k := &c.columns
		var b pgx.Batch
		b.Queue(holdSQL, c.node)
		for i := range batch {
			b.Queue(rowSQL, k.id[i], k.version[i], k.at[i], k.next[i], k.started[i], k.keep[i], k.failures[i], k.lastDue[i], k.lastN[i], k.lastState[i],
				k.lastReady[i], k.lastBegan[i], k.lastEnd[i], k.through[i], k.runVersion[i], k.reason[i], k.trigger[i], k.attempts[i], k.status[i], k.message[i], k.retryOf[i], c.now)
		}
		r := c.SendBatch(ctx, &b)
		if _, err := r.Exec(); err != nil {
			return 0, errors.Join(err, r.Close())
		}
		moved := 0
		for range batch {
			tag, err := r.Exec()
			if err != nil {
				return 0, errors.Join(err, r.Close())
			}
			moved += int(tag.RowsAffected())
		}
		return moved, r.Close()
	}},
	{"update, then COPY", []string{moveSQL}, func(ctx context.Context, c *conn, batch []*jadwal.Outcome) (int, error) {
		c.columns.transpose(batch)
		k := &c.columns
		var b pgx.Batch
		b.Queue("BEGIN")
		b.Queue(holdSQL, c.node)
		b.Queue(moveSQL, append([]any{int64(len(batch))}, c.cursorArgs()...)...)
		if err := c.SendBatch(ctx, &b).Close(); err != nil {
			return 0, err
		}
		none := func(us int64) any {
			if us == 0 {
				return nil
			}
			return us
		}
		n, err := c.CopyFrom(ctx, pgx.Identifier{"run"}, copied, pgx.CopyFromSlice(len(k.due), func(i int) ([]any, error) {
			var retry any
			if k.retryOf[i] != "" {
				retry = k.retryOf[i]
			}
			return []any{k.due[i], k.job[i], k.n[i], none(k.through[i]), k.runVersion[i], k.state[i], k.reason[i], k.trigger[i], k.attempts[i],
				none(k.ready[i]), none(k.began[i]), k.end[i], k.status[i], k.message[i], retry, c.now}, nil
		}))
		if err != nil {
			return 0, err
		}
		_, err = c.Exec(ctx, "COMMIT")
		return int(n), err
	}},
}

var copied = []string{"due_at", "job_id", "n", "through_at", "version", "state", "reason", "trigger_by", "attempts", "ready_at", "started_at",
	"finished_at", "status_code", "message", "retry_of", "recorded_at"}

func (w way) String() string { return fmt.Sprintf("%-29s", w.name) }
