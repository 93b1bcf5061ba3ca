package store

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
)

// Commit records outcomes, at most one a job, in one transaction, and returns
// one verdict each. It moves each cursor from exactly (Version, At) to Next,
// inserts, moves on and removes open runs by (run, attempt, state), appends to
// history, and marks changes as applied. An outcome whose cursor, open run or
// change is not where it says is Rejected: nothing of it is written, since
// somebody else has recorded it.
//
// Instants are Unix microseconds, UTC. On an error nothing of the batch is
// stored; CodeUnavailable may pass.
func (s *Store) Commit(ctx context.Context, now time.Time, batch []*jadwal.Outcome) ([]jadwal.Verdict, error) {
	if d, shared := s.db.(*postgresDB); shared {
		return d.commit(ctx, s, now, batch)
	}
	verdicts := make([]jadwal.Verdict, len(batch))
	err := s.write(ctx, laneBatch, func(t *tx) error {
		for i, o := range batch {
			var err error
			if verdicts[i], err = s.commitOne(t, now, o); err != nil {
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

func (s *Store) commitOne(t *tx, now time.Time, o *jadwal.Outcome) (jadwal.Verdict, error) {
	if ok, err := standsAs(t, o); err != nil || !ok {
		return jadwal.Rejected, err
	}
	if moved, err := moveCursor(t, o); err != nil || !moved {
		return jadwal.Rejected, err
	}
	for _, c := range o.Closes {
		if _, err := t.exec(`DELETE FROM open_run WHERE due_at = $1 AND job_id = $2 AND n = $3`, c.Key.DueAt, c.Key.JobID, int64(c.Key.N)); err != nil {
			return 0, err
		}
	}
	for i := range o.Begins {
		r := &o.Begins[i].Run
		if _, err := t.exec(`UPDATE open_run SET version = $4, state = $5, attempt = $6, ready_at = $7, started_at = $8
			WHERE due_at = $1 AND job_id = $2 AND n = $3`,
			r.Key.DueAt, r.Key.JobID, int64(r.Key.N), r.Version, string(r.State), r.Attempt, r.ReadyAt, r.StartedAt); err != nil {
			return 0, err
		}
	}
	for i := range o.Opens {
		r := &o.Opens[i]
		if err := insertOpen(t, r); err != nil {
			return 0, err
		}
	}
	for i := range o.Tried {
		a := &o.Tried[i]
		if _, err := t.exec(`INSERT INTO attempt (due_at, job_id, n, attempt, version, reason, status_code, message, started_at, finished_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			a.Key.DueAt, a.Key.JobID, int64(a.Key.N), a.Attempt, a.Version, string(a.Reason), a.StatusCode, a.Message, a.StartedAt, a.FinishedAt); err != nil {
			return 0, err
		}
	}
	for i := range o.Records {
		if err := appendRun(t, &o.Records[i]); err != nil {
			return 0, err
		}
	}
	if o.Applied != nil {
		if err := s.markApplied(t, o); err != nil {
			return 0, err
		}
	}
	if o.PauseAfter > 0 {
		if paused, err := s.pauseFailing(t, now, o); err != nil || paused {
			return jadwal.Paused, err
		}
	}
	if o.Complete {
		return s.complete(t, now, o)
	}
	return jadwal.Recorded, nil
}

func insertOpen(t *tx, r *jadwal.OpenRun) error {
	_, err := t.exec(`INSERT INTO open_run (due_at, job_id, n, version, state, trigger_by, attempt, ready_at, started_at, retry_of)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		r.Key.DueAt, r.Key.JobID, int64(r.Key.N), r.Version, string(r.State), string(r.Trigger), r.Attempt, r.ReadyAt, r.StartedAt, idOrNull(r.RetryOf))
	return err
}

// standsAs tells whether the open runs and the change are as o expects them.
func standsAs(t *tx, o *jadwal.Outcome) (bool, error) {
	for _, c := range o.Closes {
		if ok, err := openAt(t, c.Key, c.Attempt, c.State); err != nil || !ok {
			return false, err
		}
	}
	for i := range o.Begins {
		if ok, err := openAt(t, o.Begins[i].Run.Key, o.Begins[i].Attempt, o.Begins[i].State); err != nil || !ok {
			return false, err
		}
	}
	if o.Applied != nil {
		return t.one("SELECT 1 FROM change WHERE id = $1", func(row) {}, o.Applied.ChangeID)
	}
	return true, nil
}

func openAt(t *tx, key jadwal.RunKey, attempt int, state jadwal.RunState) (bool, error) {
	return t.one("SELECT 1 FROM open_run WHERE due_at = $1 AND job_id = $2 AND n = $3 AND attempt = $4 AND state = $5", func(row) {},
		key.DueAt, key.JobID, int64(key.N), attempt, string(state))
}

// moveCursor moves the cursor from where o found it, false when it is not
// there, and keeps the newest run that ended beside it.
func moveCursor(t *tx, o *jadwal.Outcome) (bool, error) {
	last, failures, keep := lastEnded(o)
	var n int
	var err error
	if last == nil {
		n, err = t.exec(`UPDATE cursor SET next_at = $4, started = started + $5 WHERE job_id = $1 AND version = $2 AND next_at IS NOT DISTINCT FROM $3`,
			o.JobID, o.Version, orNull(o.At), orNull(o.Next), o.Started)
	} else {
		n, err = t.exec(`UPDATE cursor SET next_at = $4, started = started + $5, streak = streak * $6 + $7,
				last_due_at = $8, last_n = $9, last_state = $10, last_started_at = $11, last_finished_at = $12, last_ready_at = $13
			WHERE job_id = $1 AND version = $2 AND next_at IS NOT DISTINCT FROM $3`,
			o.JobID, o.Version, orNull(o.At), orNull(o.Next), o.Started, keep, failures,
			last.Key.DueAt, int64(last.Key.N), string(last.State), last.StartedAt, last.FinishedAt, last.ReadyAt)
	}
	return n == 1, err
}

// lastEnded returns the newest run that ended, nil when none did, how many have
// failed since the last success, and 0 for keep when there was one: else the
// streak of failures goes on.
func lastEnded(o *jadwal.Outcome) (last *jadwal.Run, failures, keep int64) {
	keep = 1
	for i := range o.Records {
		r := &o.Records[i]
		if r.StartedAt.IsZero() {
			continue
		}
		if last == nil || !r.FinishedAt.Before(last.FinishedAt) {
			last = r
		}
		switch r.State {
		case jadwal.RunSucceeded:
			failures, keep = 0, 0
		case jadwal.RunFailed:
			failures++
		}
	}
	return last, failures, keep
}

// orNull is a number, NULL for 0.
func orNull(n int64) any {
	if n == 0 {
		return nil
	}
	return n
}

// appendRun adds a final record to history, and what is kept of its output.
func appendRun(t *tx, r *jadwal.Run) error {
	if _, err := t.exec(`INSERT INTO run (`+recordColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
		r.Key.DueAt, r.Key.JobID, int64(r.Key.N), r.ThroughAt, r.Version, string(r.State), string(r.Reason), string(r.Trigger),
		r.Attempts, r.StartedAt, r.FinishedAt, r.StatusCode, r.Message, r.ReadyAt, idOrNull(r.RetryOf)); err != nil {
		return err
	}
	if len(r.Output) == 0 {
		return nil
	}
	_, err := t.exec("INSERT INTO run_output (due_at, job_id, n, output) VALUES ($1, $2, $3, $4)",
		r.Key.DueAt, r.Key.JobID, int64(r.Key.N), r.Output)
	return err
}

// markApplied makes the cursor one of the change's version, whose own instants
// begin when it was applied, and wakes who waits for the change.
func (s *Store) markApplied(t *tx, o *jadwal.Outcome) error {
	a := o.Applied
	if a.Version == 0 {
		return s.dropChange(t, a.ChangeID)
	}
	if _, err := t.exec("UPDATE cursor SET version = $2, owner_id = $3 WHERE job_id = $1", o.JobID, a.Version, a.OwnerID); err != nil {
		return err
	}
	n, err := t.exec("UPDATE job_version SET effective_at = $3 WHERE job_id = $1 AND version = $2", o.JobID, a.Version, a.EffectiveAt)
	if err == nil && n == 0 { // a deletion: the version that plans nothing
		_, err = t.exec(`INSERT INTO job_version (job_id, version, definition, state, effective_at)
			SELECT id, $2, definition, state, $3 FROM job WHERE id = $1`, o.JobID, a.Version, a.EffectiveAt)
	}
	if err != nil {
		return err
	}
	return s.dropChange(t, a.ChangeID)
}

func (s *Store) dropChange(t *tx, id int64) error {
	if _, err := t.exec("DELETE FROM change WHERE id = $1", id); err != nil {
		return err
	}
	t.after(func() { s.applied(id) })
	return nil
}

// complete ends a job of which nothing is left to come, unless it was changed
// meanwhile: then the change decides when it is applied. It takes effect at the
// last planned instant that is recorded: with max_runs, what the schedules plan
// after that is not planned any more.
func (s *Store) complete(t *tx, now time.Time, o *jadwal.Outcome) (jadwal.Verdict, error) {
	version := o.Version
	if o.Applied != nil && o.Applied.Version != 0 {
		version = o.Applied.Version
	}
	n, err := t.exec(`UPDATE job SET state = 'completed', version = version + 1, updated_at = CASE WHEN updated_at < $3 THEN $3 ELSE updated_at + 1 END
		WHERE id = $1 AND version = $2 AND state = 'enabled' AND deleted_at IS NULL`, o.JobID, version, now)
	if err != nil || n == 0 {
		return jadwal.Recorded, err
	}
	effective := int64(0)
	if _, err := t.one("SELECT effective_at FROM job_version WHERE job_id = $1 AND version = $2", func(r row) { effective = r.int(0) }, o.JobID, version); err != nil {
		return 0, err
	}
	if _, err := t.one("SELECT COALESCE(through_at, due_at) FROM run WHERE job_id = $1 AND n = 0 ORDER BY due_at DESC LIMIT 1",
		func(r row) { effective = max(effective, r.int(0)) }, o.JobID); err != nil {
		return 0, err
	}
	if _, err := t.exec(`INSERT INTO job_version (job_id, version, definition, state, effective_at)
		SELECT id, version, definition, state, $2 FROM job WHERE id = $1`, o.JobID, effective); err != nil {
		return 0, err
	}
	if _, err = t.exec("UPDATE cursor SET version = version + 1 WHERE job_id = $1", o.JobID); err != nil {
		return 0, err
	}
	if o.Remove {
		if _, err := s.removeJob(t, jadwal.Actor{}, o.JobID, 0, now); err != nil {
			return 0, err
		}
	}
	return jadwal.Completed, nil
}

// pauseFailing pauses a job of which so many runs have failed in a row, as a
// user would, and begins to count anew: o tells as which version. A change that
// came first, and has made the job something else than enabled, wins: false.
func (s *Store) pauseFailing(t *tx, now time.Time, o *jadwal.Outcome) (bool, error) {
	n, err := t.exec("UPDATE cursor SET streak = 0 WHERE job_id = $1 AND streak >= $2", o.JobID, o.PauseAfter)
	if err != nil || n == 0 {
		return false, err
	}
	job, definition, err := jobWithText(t, o.JobID)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound || err == nil && job.State != jadwal.JobEnabled {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	before := job
	job.State, job.PauseReason, job.PausedBy, job.PauseUntil = jadwal.JobPaused, jadwal.PauseFailures, 0, time.Time{}
	_, err = s.putVersion(t, jadwal.Actor{}, before, &job, definition, jadwal.Change{Kind: jadwal.ChangePause}, now)
	o.PausedAs = job.Version
	return err == nil, err
}
