package store

import (
	"context"

	"github.com/teknohole/jadwal"
)

const (
	runColumns = `r.due_at, r.job_id, r.n, r.through_at, r.version, r.state, r.reason, r.trigger_by, r.attempts,
		r.started_at, r.finished_at, r.status_code, r.message, r.ready_at, r.retry_of`
	openColumns = `due_at, job_id, n, version, state, trigger_by, attempt, started_at, retry_of, ready_at`

	runByKeySQL = `SELECT ` + runColumns + `, o.output FROM run r
		LEFT JOIN run_output o ON o.due_at = r.due_at AND o.job_id = r.job_id AND o.n = r.n
		WHERE r.due_at = $1 AND r.job_id = $2 AND r.n = $3`
)

func scanRun(r row) jadwal.Run {
	return jadwal.Run{
		Key:       jadwal.RunKey{DueAt: r.int(0), JobID: r.int(1), N: uint16(r.int(2))},
		ThroughAt: r.time(3), Version: r.int(4), State: jadwal.RunState(r.text(5)), Reason: jadwal.Reason(r.text(6)),
		Trigger: jadwal.Trigger(r.text(7)), Attempts: int(r.int(8)), StartedAt: r.time(9), FinishedAt: r.time(10),
		StatusCode: int(r.int(11)), Message: r.text(12), ReadyAt: r.time(13), RetryOf: runKey(r.text(14)),
	}
}

func scanOpenAsRun(r row) jadwal.Run {
	run := jadwal.Run{
		Key:     jadwal.RunKey{DueAt: r.int(0), JobID: r.int(1), N: uint16(r.int(2))},
		Version: r.int(3), State: jadwal.RunState(r.text(4)), Trigger: jadwal.Trigger(r.text(5)), Attempts: int(r.int(6)), StartedAt: r.time(7),
		RetryOf: runKey(r.text(8)),
	}
	switch ready := r.time(9); {
	case run.State == jadwal.RunQueued && run.Attempts > 0:
		run.NextAttemptAt = ready
	case ready.UnixMicro() != run.Key.DueAt:
		run.ReadyAt = ready
	}
	return run
}

// Runs returns a page of a job's runs, newest first: those before the key
// before (the zero key: from the newest), open ones and history together,
// without their output.
func (s *Store) Runs(ctx context.Context, jobID int64, before jadwal.RunKey, limit int) ([]jadwal.Run, error) {
	runs, _, err := s.ListRuns(ctx, RunQuery{JobIDs: []int64{jobID}, Before: before, Limit: limit})
	return runs, err
}

func compareKeys(a, b jadwal.RunKey) int {
	switch {
	case a.DueAt != b.DueAt:
		if a.DueAt < b.DueAt {
			return -1
		}
		return 1
	case a.JobID != b.JobID:
		if a.JobID < b.JobID {
			return -1
		}
		return 1
	}
	return int(a.N) - int(b.N)
}

// Run returns one run with its output: from history, else while it is open.
// CodeNotFound: nothing is recorded under that key (its instant may still lie
// at or after the job's cursor).
func (s *Store) Run(ctx context.Context, key jadwal.RunKey) (jadwal.Run, error) {
	var run jadwal.Run
	err := s.read(ctx, func(t *tx) error {
		found, err := t.one(runByKeySQL, func(r row) {
			run = scanRun(r)
			if !r.null(15) {
				run.Output = r.bytes(15)
			}
		}, key.DueAt, key.JobID, int64(key.N))
		if err != nil || found {
			return err
		}
		found, err = t.one(`SELECT `+openColumns+` FROM open_run WHERE due_at = $1 AND job_id = $2 AND n = $3`,
			func(r row) { run = scanOpenAsRun(r) }, key.DueAt, key.JobID, int64(key.N))
		if err == nil && !found {
			err = jadwal.Errorf(jadwal.CodeNotFound, "There is no such run")
		}
		return err
	})
	return run, err
}
