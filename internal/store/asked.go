package store

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
)

// RunNow makes a run of a job that starts as soon as the job's running run has
// ended, even while the job is paused or completed. It is open from now on,
// under the key (now, job, n) with n at least 1. CodeNotFound: there is no such
// job, or the caller may not know of it; CodeConflict: MaxAsked runs that
// somebody asked for are not final.
func (s *Store) RunNow(ctx context.Context, by jadwal.Actor, jobID int64, now time.Time) (jadwal.Run, error) {
	var run jadwal.Run
	err := s.write(ctx, laneAPI, func(t *tx) error {
		job, err := oneJob(t, jobByID, jobID)
		if err != nil {
			return err
		}
		run, err = s.ask(t, by, job, jadwal.OpenRun{Trigger: jadwal.TriggerManual}, "job.run", now)
		return err
	})
	return run, err
}

// RetryRun makes a new run that repeats a final one, whatever became of that.
// CodeNotFound: there is no such run, or its job is deleted, or the caller may
// not know of it; CodeConflict: the run is not final, or MaxAsked runs that
// somebody asked for are not final.
func (s *Store) RetryRun(ctx context.Context, by jadwal.Actor, key jadwal.RunKey, now time.Time) (jadwal.Run, error) {
	var run jadwal.Run
	err := s.write(ctx, laneAPI, func(t *tx) error {
		job, err := oneJob(t, jobByID, key.JobID)
		if err != nil {
			return err
		}
		final, open, err := whereIs(t, key)
		switch {
		case err != nil:
			return err
		case open:
			return jadwal.Errorf(jadwal.CodeConflict, "The run has not ended yet")
		case !final:
			return errNoRun()
		}
		run, err = s.ask(t, by, job, jadwal.OpenRun{Trigger: jadwal.TriggerRetry, RetryOf: key}, "run.retry", now)
		return err
	})
	return run, err
}

// ask inserts an open run that somebody asked for, and tells the engine.
func (s *Store) ask(t *tx, by jadwal.Actor, job jadwal.Job, r jadwal.OpenRun, action string, now time.Time) (run jadwal.Run, err error) {
	if err := allowedJob(t, by, jadwal.ActionOperateRun, job); err != nil {
		return run, err
	}
	waiting := 0
	if _, err := t.one("SELECT COUNT(*) FROM open_run WHERE job_id = $1 AND n > 0", func(r row) { waiting = int(r.int(0)) }, job.ID); err != nil {
		return run, err
	}
	if waiting >= jadwal.MaxAsked {
		e := jadwal.Errorf(jadwal.CodeConflict, "The job has %d runs already that somebody asked for and that have not ended", waiting)
		e.RetryAfter = time.Second
		return run, e
	}
	due, n := now.UnixMicro(), int64(0)
	if _, err := t.one(`SELECT max(n) FROM (SELECT n FROM run WHERE due_at = $1 AND job_id = $2
		UNION ALL SELECT n FROM open_run WHERE due_at = $1 AND job_id = $2) AS taken`, func(r row) { n = r.int(0) }, due, job.ID); err != nil {
		return run, err
	}
	r.Key = jadwal.RunKey{DueAt: due, JobID: job.ID, N: uint16(n + 1)}
	r.Version, r.State, r.ReadyAt = job.Version, jadwal.RunQueued, time.UnixMicro(due).UTC()
	if err := insertOpen(t, &r); err != nil {
		return run, err
	}
	if _, err := s.addChange(t, jadwal.Change{JobID: job.ID, Kind: jadwal.ChangeRun, Version: job.Version, Run: r.Key}, now); err != nil {
		return run, err
	}
	d := detail{"run": r.Key.ID()}
	if r.RetryOf != (jadwal.RunKey{}) {
		d["retry_of"] = r.RetryOf.ID()
	}
	run = jadwal.Run{Key: r.Key, Version: r.Version, State: r.State, Trigger: r.Trigger, RetryOf: r.RetryOf}
	if err := saveAnswer(t, by, run, now); err != nil {
		return run, err
	}
	return run, audited(t, by, now, action, object("job", job.ID), d)
}

// CancelRun ends a run that is not final, once the change whose id it returns
// is applied (WaitApplied): one that runs, waits, or was due at now and has not
// started. A run that ends by itself before that stays as it ended.
// CodeNotFound: there is no such run, or the caller may not know of it;
// CodeConflict: it has ended already.
func (s *Store) CancelRun(ctx context.Context, by jadwal.Actor, key jadwal.RunKey, now time.Time) (change int64, err error) {
	err = s.write(ctx, laneAPI, func(t *tx) error {
		job, err := oneJob(t, `SELECT `+jobColumns+` FROM `+jobTables+` WHERE j.id = $1`, key.JobID)
		if err != nil {
			return err
		}
		if err := allowedJob(t, by, jadwal.ActionOperateRun, job); err != nil {
			return err
		}
		final, open, err := whereIs(t, key)
		switch {
		case err != nil:
			return err
		case final:
			return jadwal.Errorf(jadwal.CodeConflict, "The run has ended already")
		case !open && !due(job, key, now):
			return errNoRun()
		}
		if change, err = s.addChange(t, jadwal.Change{JobID: job.ID, Kind: jadwal.ChangeCancel, Version: job.Version, Run: key}, now); err != nil {
			return err
		}
		return audited(t, by, now, "run.cancel", object("job", job.ID), detail{"run": key.ID()})
	})
	return change, err
}

// Attempts returns the attempts of a run that another one followed, the first
// one first. The last attempt is the run itself.
func (s *Store) Attempts(ctx context.Context, key jadwal.RunKey) ([]jadwal.Attempt, error) {
	var attempts []jadwal.Attempt
	err := s.single(ctx, func(t *tx) error {
		attempts = []jadwal.Attempt{}
		return t.query(`SELECT attempt, version, reason, status_code, message, started_at, finished_at FROM attempt
			WHERE due_at = $1 AND job_id = $2 AND n = $3 ORDER BY attempt`, func(r row) error {
			attempts = append(attempts, jadwal.Attempt{
				Key: key, Attempt: int(r.int(0)), Version: r.int(1), Reason: jadwal.Reason(r.text(2)), StatusCode: int(r.int(3)),
				Message: r.text(4), StartedAt: r.time(5), FinishedAt: r.time(6),
			})
			return nil
		}, key.DueAt, key.JobID, int64(key.N))
	})
	return attempts, err
}

func errNoRun() error { return jadwal.Errorf(jadwal.CodeNotFound, "There is no such run") }

// whereIs tells whether a run is in history or open.
func whereIs(t *tx, key jadwal.RunKey) (final, open bool, err error) {
	if final, err = t.one("SELECT 1 FROM run WHERE due_at = $1 AND job_id = $2 AND n = $3", func(row) {}, key.DueAt, key.JobID, int64(key.N)); err != nil || final {
		return final, false, err
	}
	open, err = t.one("SELECT 1 FROM open_run WHERE due_at = $1 AND job_id = $2 AND n = $3", func(row) {}, key.DueAt, key.JobID, int64(key.N))
	return false, open, err
}

// due tells whether key names an instant of an enabled job that is due at now
// and has no record.
func due(job jadwal.Job, key jadwal.RunKey, now time.Time) bool {
	at := time.UnixMicro(key.DueAt)
	if key.N != 0 || job.State != jadwal.JobEnabled || job.NextAt.IsZero() || at.Before(job.NextAt) || at.After(now) {
		return false
	}
	plan, err := job.Definition.Plan(job.CreatedAt, job.ID)
	if err != nil {
		return false
	}
	next, ok := plan.Next(at.Add(-time.Microsecond))
	return at.Equal(job.NextAt) || ok && next.Equal(at)
}

// TestJob writes down that a request of a job's target is about to be sent for
// somebody who asks for it, and returns what is to be sent. edited is the
// definition as the caller would have it, nil for the one in force, and is not
// stored. CodeNotFound: there is no such job, or the caller may not know of it;
// CodeConflict: its owner has no rights.
func (s *Store) TestJob(ctx context.Context, by jadwal.Actor, key jadwal.RunKey, edited *jadwal.Definition, now time.Time) (jadwal.Test, error) {
	var test jadwal.Test
	err := s.write(ctx, laneAPI, func(t *tx) error {
		before, err := oneJob(t, jobByID, key.JobID)
		if err != nil {
			return err
		}
		if err := allowedJob(t, by, jadwal.ActionOperateRun, before); err != nil {
			return err
		}
		after := before
		if edited != nil {
			if err := allowedJob(t, by, jadwal.ActionEditJob, before); err != nil {
				return err
			}
			after.Definition = *edited
		}
		owner, _, err := userByID(t, before.OwnerID)
		if err != nil {
			return err
		}
		if owner.ID == 0 || !owner.DisabledAt.IsZero() {
			return jadwal.Errorf(jadwal.CodeConflict, "The job's owner is disabled, and so nothing of the job is sent")
		}
		limited, err := limitedBy(t, by, before, edited != nil)
		if err != nil {
			return err
		}
		var secrets []jadwal.SecretValue
		if edited != nil {
			secrets, err = s.bind(t, by, &before.Definition, &after, now)
		} else {
			secrets, err = s.readSecrets(t, before.Definition.Target.Secrets)
		}
		if err != nil {
			return err
		}
		changes, err := changedJob(&before, &after)
		if err != nil {
			return err
		}
		test = jadwal.Test{
			Key: key, Job: &after.Definition, Limited: limited || !owner.IsSuperuser, Inherited: limited && owner.IsSuperuser,
			Signer: s.Signer(key.JobID, owner.ID), OwnerID: owner.ID, Secrets: secrets,
		}
		d := detail{"test": jadwal.TestID(key), "version": before.Version}
		if edited != nil {
			d["changes"] = changes
		}
		return audited(t, by, now, "job.test", object("job", key.JobID), d)
	})
	return test, err
}
