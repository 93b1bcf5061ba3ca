package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
)

// The statement that commits a batch of outcomes on PostgreSQL. It is one
// statement, so that a batch is one round trip and is stored whole or not at
// all, over arrays, so that it costs half of what one statement an outcome
// does: docs/explanation/postgresql.md has the figures.
//
// Nothing is written before the node's row is held (fence). An outcome counts
// only when its cursor, and as many of its open runs as it names, are where it
// says (moved); all else is written for those outcomes alone. What stands is
// locked: the same batch, sent again after its answer was lost, waits for the
// first one and then finds nothing.

// unnest is a FROM item that reads arrays, one a column ("name type"), as rows.
// The parameters are the next after *last.
func unnest(alias string, last *int, columns ...string) string {
	var arrays, names []string
	for _, column := range columns {
		name, kind, _ := strings.Cut(column, " ")
		*last++
		arrays = append(arrays, fmt.Sprintf("$%d::%s[]", *last, kind))
		names = append(names, name)
	}
	return fmt.Sprintf("unnest(%s) AS %s (%s)", strings.Join(arrays, ", "), alias, strings.Join(names, ", "))
}

const recordColumns = "due_at, job_id, n, through_at, version, state, reason, trigger_by, attempts, started_at, finished_at, status_code, message, ready_at, retry_of"

// commitText is the statement, for outcomes with open runs or for those without.
func commitText(open bool) string {
	last := 1
	var b strings.Builder
	// The arrays come in the order of columns.args.
	cursors := unnest("x", &last, "job_id bigint", "version bigint", "at bigint", "next bigint", "started bigint", "keep bigint", "failures bigint",
		"last_due_at bigint", "last_n bigint", "last_state text", "last_started_at bigint", "last_finished_at bigint", "last_ready_at bigint", "stands bigint")
	runs := unnest("r", &last, "due_at bigint", "job_id bigint", "n bigint", "through_at bigint", "version bigint", "state text", "reason text", "trigger_by text",
		"attempts bigint", "started_at bigint", "finished_at bigint", "status_code bigint", "message text", "ready_at bigint", "retry_of text")
	outputs := unnest("r", &last, "due_at bigint", "job_id bigint", "n bigint", "output bytea")
	b.WriteString(`WITH fence AS MATERIALIZED (SELECT (extract(epoch FROM now()) * 1000000)::bigint AS at FROM node WHERE id = $1 FOR KEY SHARE)`)
	stands, also := "", ""
	if open {
		expected := unnest("e", &last, "due_at bigint", "job_id bigint", "n bigint", "attempt bigint", "state text")
		fmt.Fprintf(&b, `,
	stands AS MATERIALIZED (SELECT o.job_id FROM fence, %s JOIN open_run o ON o.due_at = e.due_at AND o.job_id = e.job_id AND o.n = e.n
		WHERE o.attempt = e.attempt AND o.state = e.state FOR UPDATE OF o)`, expected)
		stands = " LEFT JOIN (SELECT job_id, count(*) AS found FROM stands GROUP BY job_id) s ON s.job_id = x.job_id"
		also = " AND x.stands = COALESCE(s.found, 0)"
	}
	fmt.Fprintf(&b, `,
	moved AS (UPDATE cursor c SET next_at = NULLIF(x.next, 0), started = c.started + x.started, streak = c.streak * x.keep + x.failures,
			last_due_at = CASE x.last_due_at WHEN 0 THEN c.last_due_at ELSE x.last_due_at END,
			last_n = CASE x.last_due_at WHEN 0 THEN c.last_n ELSE x.last_n END,
			last_state = CASE x.last_due_at WHEN 0 THEN c.last_state ELSE x.last_state END,
			last_started_at = CASE x.last_due_at WHEN 0 THEN c.last_started_at ELSE x.last_started_at END,
			last_finished_at = CASE x.last_due_at WHEN 0 THEN c.last_finished_at ELSE x.last_finished_at END,
			last_ready_at = CASE x.last_due_at WHEN 0 THEN c.last_ready_at ELSE NULLIF(x.last_ready_at, 0) END
		FROM %s%s, fence
		WHERE c.job_id = x.job_id AND c.version = x.version AND c.next_at IS NOT DISTINCT FROM NULLIF(x.at, 0)%s
		RETURNING c.job_id),
	recorded AS (INSERT INTO run (%s, recorded_at)
		SELECT r.due_at, r.job_id, r.n, NULLIF(r.through_at, 0), r.version, r.state, r.reason, r.trigger_by, r.attempts,
			NULLIF(r.started_at, 0), r.finished_at, r.status_code, r.message, NULLIF(r.ready_at, 0), NULLIF(r.retry_of, ''), (SELECT at FROM fence)
		FROM %s JOIN moved ON moved.job_id = r.job_id),
	kept AS (INSERT INTO run_output (due_at, job_id, n, output, recorded_at)
		SELECT r.due_at, r.job_id, r.n, r.output, (SELECT at FROM fence) FROM %s JOIN moved ON moved.job_id = r.job_id)`,
		cursors, stands, also, recordColumns, runs, outputs)
	if open {
		row := []string{"due_at bigint", "job_id bigint", "n bigint", "version bigint", "state text", "attempt bigint", "ready_at bigint", "started_at bigint"}
		fmt.Fprintf(&b, `,
	closed AS (DELETE FROM open_run o USING %s JOIN moved ON moved.job_id = e.job_id
		WHERE o.due_at = e.due_at AND o.job_id = e.job_id AND o.n = e.n)`, unnest("e", &last, row[:3]...))
		fmt.Fprintf(&b, `,
	begun AS (UPDATE open_run o SET version = r.version, state = r.state, attempt = r.attempt, ready_at = r.ready_at, started_at = NULLIF(r.started_at, 0)
		FROM %s JOIN moved ON moved.job_id = r.job_id
		WHERE o.due_at = r.due_at AND o.job_id = r.job_id AND o.n = r.n)`, unnest("r", &last, row...))
		fmt.Fprintf(&b, `,
	opened AS (INSERT INTO open_run (due_at, job_id, n, version, state, attempt, ready_at, started_at, trigger_by, retry_of)
		SELECT r.due_at, r.job_id, r.n, r.version, r.state, r.attempt, r.ready_at, NULLIF(r.started_at, 0), r.trigger_by, NULLIF(r.retry_of, '')
		FROM %s JOIN moved ON moved.job_id = r.job_id)`, unnest("r", &last, append(row, "trigger_by text", "retry_of text")...))
		fmt.Fprintf(&b, `,
	tried AS (INSERT INTO attempt (due_at, job_id, n, attempt, version, reason, status_code, message, started_at, finished_at, recorded_at)
		SELECT r.due_at, r.job_id, r.n, r.attempt, r.version, r.reason, r.status_code, r.message, r.started_at, r.finished_at, (SELECT at FROM fence)
		FROM %s JOIN moved ON moved.job_id = r.job_id)`, unnest("r", &last, "due_at bigint", "job_id bigint", "n bigint", "attempt bigint", "version bigint",
			"reason text", "status_code bigint", "message text", "started_at bigint", "finished_at bigint"))
	}
	b.WriteString(`
	SELECT (SELECT count(*) FROM fence), ARRAY(SELECT job_id FROM moved)`)
	return b.String()
}

var (
	commitPlainSQL = commitText(false)
	commitOpenSQL  = commitText(true)
)

// runKeys, and the types after it, are the rows of a table as arrays.
type runKeys struct{ due, job, n []int64 }

func (k *runKeys) add(key jadwal.RunKey) {
	k.due, k.job, k.n = append(k.due, key.DueAt), append(k.job, key.JobID), append(k.n, int64(key.N))
}

func (k *runKeys) args() []any { return []any{k.due, k.job, k.n} }

type openRows struct {
	runKeys
	version, attempt, ready, started []int64
	state, trigger, retryOf          []string
}

func (c *openRows) add(r *jadwal.OpenRun) {
	c.runKeys.add(r.Key)
	c.version, c.attempt = append(c.version, r.Version), append(c.attempt, int64(r.Attempt))
	c.ready, c.started = append(c.ready, microseconds(r.ReadyAt)), append(c.started, microseconds(r.StartedAt))
	c.state, c.trigger, c.retryOf = append(c.state, string(r.State)), append(c.trigger, string(r.Trigger)), append(c.retryOf, idOrEmpty(r.RetryOf))
}

func (c *openRows) args() []any {
	return append(c.runKeys.args(), c.version, c.state, c.attempt, c.ready, c.started)
}

// columns are the arguments of the statement, without the node's id.
type columns struct {
	job, version, at, next, started, keep, failures                []int64
	lastDue, lastN, lastStarted, lastFinished, lastReady, lastHeld []int64
	lastState                                                      []string

	runs struct {
		runKeys
		through, version, attempts, started, finished, status, ready []int64
		state, reason, trigger, message, retryOf                     []string
	}
	outputs struct {
		runKeys
		text [][]byte
	}
	expected struct {
		runKeys
		attempt []int64
		state   []string
	}
	closes runKeys
	begins openRows
	opens  openRows
	tried  struct {
		runKeys
		attempt, version, status, started, finished []int64
		reason, message                             []string
	}
	open bool // there is something of open runs
}

func microseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func idOrEmpty(key jadwal.RunKey) string {
	if key == (jadwal.RunKey{}) {
		return ""
	}
	return key.ID()
}

func (c *columns) add(o *jadwal.Outcome) {
	last, failures, keep := lastEnded(o)
	c.job, c.version, c.at, c.next = append(c.job, o.JobID), append(c.version, o.Version), append(c.at, o.At), append(c.next, o.Next)
	c.started, c.keep, c.failures = append(c.started, int64(o.Started)), append(c.keep, keep), append(c.failures, failures)
	if last == nil {
		last = &jadwal.Run{}
	}
	c.lastDue, c.lastN, c.lastState = append(c.lastDue, last.Key.DueAt), append(c.lastN, int64(last.Key.N)), append(c.lastState, string(last.State))
	c.lastStarted, c.lastFinished = append(c.lastStarted, microseconds(last.StartedAt)), append(c.lastFinished, microseconds(last.FinishedAt))
	c.lastReady, c.lastHeld = append(c.lastReady, microseconds(last.ReadyAt)), append(c.lastHeld, int64(len(o.Closes)+len(o.Begins)))
	for i := range o.Records {
		c.record(&o.Records[i])
	}
	for _, closed := range o.Closes {
		c.expect(closed.Key, closed.Attempt, closed.State)
		c.closes.add(closed.Key)
	}
	for i := range o.Begins {
		c.expect(o.Begins[i].Run.Key, o.Begins[i].Attempt, o.Begins[i].State)
		c.begins.add(&o.Begins[i].Run)
	}
	for i := range o.Opens {
		c.opens.add(&o.Opens[i])
	}
	for i := range o.Tried {
		a, t := &o.Tried[i], &c.tried
		t.add(a.Key)
		t.attempt, t.version, t.status = append(t.attempt, int64(a.Attempt)), append(t.version, a.Version), append(t.status, int64(a.StatusCode))
		t.started, t.finished = append(t.started, microseconds(a.StartedAt)), append(t.finished, microseconds(a.FinishedAt))
		t.reason, t.message = append(t.reason, string(a.Reason)), append(t.message, storable(a.Message))
	}
	c.open = c.open || len(o.Closes)+len(o.Begins)+len(o.Opens)+len(o.Tried) > 0
}

func (c *columns) record(r *jadwal.Run) {
	h := &c.runs
	h.add(r.Key)
	h.through, h.version, h.attempts = append(h.through, microseconds(r.ThroughAt)), append(h.version, r.Version), append(h.attempts, int64(r.Attempts))
	h.started, h.finished = append(h.started, microseconds(r.StartedAt)), append(h.finished, microseconds(r.FinishedAt))
	h.status, h.ready = append(h.status, int64(r.StatusCode)), append(h.ready, microseconds(r.ReadyAt))
	h.state, h.reason, h.trigger = append(h.state, string(r.State)), append(h.reason, string(r.Reason)), append(h.trigger, string(r.Trigger))
	h.message, h.retryOf = append(h.message, storable(r.Message)), append(h.retryOf, idOrEmpty(r.RetryOf))
	if len(r.Output) > 0 {
		c.outputs.add(r.Key)
		c.outputs.text = append(c.outputs.text, r.Output)
	}
}

func (c *columns) expect(key jadwal.RunKey, attempt int, state jadwal.RunState) {
	e := &c.expected
	e.add(key)
	e.attempt, e.state = append(e.attempt, int64(attempt)), append(e.state, string(state))
}

// args are in the order of commitText's arrays.
func (c *columns) args(node int64) []any {
	h, t := &c.runs, &c.tried
	all := []any{node, c.job, c.version, c.at, c.next, c.started, c.keep, c.failures, c.lastDue, c.lastN, c.lastState, c.lastStarted, c.lastFinished, c.lastReady, c.lastHeld,
		h.due, h.job, h.n, h.through, h.version, h.state, h.reason, h.trigger, h.attempts, h.started, h.finished, h.status, h.message, h.ready, h.retryOf,
		c.outputs.due, c.outputs.job, c.outputs.n, c.outputs.text}
	if !c.open {
		return all
	}
	all = append(append(all, c.expected.args()...), c.expected.attempt, c.expected.state)
	all = append(all, c.closes.args()...)
	all = append(all, c.begins.args()...)
	all = append(append(all, c.opens.args()...), c.opens.trigger, c.opens.retryOf)
	return append(append(all, t.args()...), t.attempt, t.version, t.reason, t.status, t.message, t.started, t.finished)
}

// divide splits a batch, by place: what the statement commits, by job, so
// that two batches lock their rows in one order, and what is committed one by
// one.
func divide(batch []*jadwal.Outcome) (many, single []int) {
	for i, o := range batch {
		if o.Applied == nil && o.PauseAfter == 0 && !o.Complete {
			many = append(many, i)
		} else {
			single = append(single, i)
		}
	}
	slices.SortFunc(many, func(a, b int) int { return cmp.Compare(batch[a].JobID, batch[b].JobID) })
	return many, single
}

// commitMany commits those outcomes of a batch in one statement, which holds the
// fence even if there are none, and sets their verdicts. ErrFenced: nothing was
// written.
func (d *postgresDB) commitMany(t *tx, node int64, batch []*jadwal.Outcome, many []int, verdicts []jadwal.Verdict) error {
	c := &columns{}
	for n, i := range many {
		if n > 0 && batch[i].JobID == batch[many[n-1]].JobID {
			return fmt.Errorf("job %d has two outcomes in a batch", batch[i].JobID)
		}
		c.add(batch[i])
	}
	sql, args := commitPlainSQL, c.args(node)
	if c.open {
		// Planned each time: open_run is all but empty now and full of dead rows
		// in a moment, and what is best for the one is 20 times slower for the other.
		sql, args = commitOpenSQL, slices.Insert(args, 0, any(pgx.QueryExecModeCacheDescribe))
	}
	var held int
	var moved []int64
	rows, err := t.pg.q.Query(t.pg.ctx, sql, args...)
	if err == nil {
		_, err = pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (none struct{}, err error) { return none, r.Scan(&held, &moved) })
	}
	if err != nil {
		return err
	}
	if held == 0 {
		return jadwal.ErrFenced
	}
	slices.Sort(moved)
	for _, i := range many {
		if _, found := slices.BinarySearch(moved, batch[i].JobID); !found {
			verdicts[i] = jadwal.Rejected
		}
	}
	return nil
}

// commit is Commit on PostgreSQL. What the statement covers takes one round
// trip; anything else makes a transaction of the batch.
func (d *postgresDB) commit(ctx context.Context, s *Store, now time.Time, batch []*jadwal.Outcome) ([]jadwal.Verdict, error) {
	verdicts := make([]jadwal.Verdict, len(batch))
	many, single := divide(batch)
	node := d.node.Load() // once: a batch that waits until this process has joined again is still the former node's
	write := func(fn func(*tx) error) error { return d.write(ctx, laneBatch, fn) }
	if len(single) == 0 {
		write = func(fn func(*tx) error) error { return d.alone(ctx, fn) }
	}
	err := write(func(t *tx) error {
		clear(verdicts)
		if err := d.commitMany(t, node, batch, many, verdicts); err != nil {
			return err
		}
		for _, i := range single {
			var err error
			if verdicts[i], err = s.commitOne(t, now, batch[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}
