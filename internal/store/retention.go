package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/teknohole/jadwal"
)

// Retention says how long history is kept, counted from the instant that a run
// was due. What is open is kept whatever its age, and so is each job's last
// run.
type Retention struct {
	History  time.Duration
	Failures time.Duration // of failed runs; at least History
}

const (
	retainStep  = 500                   // runs removed in one write
	retainRest  = 50 * time.Millisecond // between two writes
	retainEvery = time.Minute           // between two sweeps
)

// The keys of table meta that retention keeps, in Unix microseconds.
const (
	historyFrom  = "history_from"  // what was due before may have lost its record
	historySwept = "history_swept" // runs due before that are left have failed, or their record came late
)

// Keep removes what has become too old, little by little, until ctx ends. An
// error is logged, and the next sweep tries again.
func (s *Store) Keep(ctx context.Context, r Retention) {
	wait := time.NewTimer(retainEvery)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		more, err := s.Retain(ctx, time.Now(), r)
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.Error("old history could not be removed", "error", err)
			wait.Reset(retainEvery)
		case more:
			wait.Reset(retainRest)
		default:
			wait.Reset(retainEvery)
		}
	}
}

// Retain makes one step of a sweep: it removes the oldest 500 runs that are too
// old at now, with their output and attempts, and deleted jobs of which nothing
// is left. It tells whether there may be more. On PostgreSQL it removes whole
// days, counted from when runs were recorded, and makes room for those to come. From then on Check does not ask
// for records of what was due before.
func (s *Store) Retain(ctx context.Context, now time.Time, r Retention) (more bool, err error) {
	history, failures := now.Add(-r.History), now.Add(-max(r.History, r.Failures))
	if d, shared := s.db.(*postgresDB); shared {
		return false, s.retain(ctx, d, history, failures)
	}
	old := false
	if err := s.read(ctx, func(t *tx) (err error) {
		old, err = anythingOld(t, history, failures)
		return err
	}); err != nil || !old {
		return false, err
	}
	err = s.write(ctx, laneBatch, func(t *tx) error {
		more = false
		from, err := metaTime(t, historyFrom)
		if err != nil {
			return err
		}
		if history.After(from) {
			if err := putMetaTime(t, historyFrom, history); err != nil {
				return err
			}
		}
		// Even failures go after their time, and whatever the sweep of the rest
		// has passed by.
		n, _, err := removeRuns(t, `SELECT due_at, job_id, n FROM run WHERE due_at < $1 AND COALESCE(through_at, due_at) < $1
			ORDER BY due_at, job_id, n LIMIT 500`, failures)
		if err != nil || n == retainStep {
			more = n == retainStep
			return err
		}
		swept, err := metaTime(t, historySwept)
		if err != nil {
			return err
		}
		n, last, err := removeRuns(t, `SELECT due_at, job_id, n FROM run
			WHERE due_at >= $1 AND due_at < $2 AND COALESCE(through_at, due_at) < $2 AND state <> 'failed'
			ORDER BY due_at, job_id, n LIMIT 500`, swept, history)
		if err != nil {
			return err
		}
		if more = n == retainStep; !more {
			last = history
		}
		if last.After(swept) {
			if err := putMetaTime(t, historySwept, last); err != nil {
				return err
			}
		}
		return removeTombstones(t, failures)
	})
	return more, err
}

// anythingOld keeps an idle store from writing.
func anythingOld(t *tx, history, failures time.Time) (bool, error) {
	swept, err := metaTime(t, historySwept)
	if err != nil {
		return false, err
	}
	old, err := t.one("SELECT 1 FROM run WHERE due_at >= $1 AND due_at < $2 AND COALESCE(through_at, due_at) < $2 AND state <> 'failed' LIMIT 1", func(row) {}, swept, history)
	if err != nil || old {
		return old, err
	}
	old, err = t.one("SELECT 1 FROM run WHERE due_at < $1 AND COALESCE(through_at, due_at) < $1 LIMIT 1", func(row) {}, failures)
	if err != nil || old {
		return old, err
	}
	return t.one("SELECT 1 FROM job WHERE deleted_at < $1 LIMIT 1", func(row) {}, failures)
}

// removeRuns removes the runs whose keys a query finds, and returns how many
// there were and when the last of them was due.
func removeRuns(t *tx, keys string, args ...any) (n int, last time.Time, err error) {
	var found []jadwal.RunKey
	if err := t.query(keys, func(r row) error {
		found = append(found, jadwal.RunKey{DueAt: r.int(0), JobID: r.int(1), N: uint16(r.int(2))})
		return nil
	}, args...); err != nil {
		return 0, last, err
	}
	for _, k := range found {
		_, errRun := t.exec("DELETE FROM run WHERE due_at = $1 AND job_id = $2 AND n = $3", k.DueAt, k.JobID, int64(k.N))
		_, errOutput := t.exec("DELETE FROM run_output WHERE due_at = $1 AND job_id = $2 AND n = $3", k.DueAt, k.JobID, int64(k.N))
		_, errTried := t.exec("DELETE FROM attempt WHERE due_at = $1 AND job_id = $2 AND n = $3", k.DueAt, k.JobID, int64(k.N))
		if err := errors.Join(errRun, errOutput, errTried); err != nil {
			return 0, last, err
		}
		last = time.UnixMicro(k.DueAt).UTC()
	}
	return len(found), last, nil
}

// removeTombstones removes jobs that were deleted long ago and have no history
// left. Their ids are never used again.
func removeTombstones(t *tx, before time.Time) error {
	var ids []int64
	if err := t.query(`SELECT id FROM job WHERE deleted_at < $1
		AND NOT EXISTS (SELECT 1 FROM run WHERE run.job_id = job.id)
		AND NOT EXISTS (SELECT 1 FROM open_run WHERE open_run.job_id = job.id)
		AND NOT EXISTS (SELECT 1 FROM change WHERE change.job_id = job.id)
		ORDER BY deleted_at LIMIT 500`, func(r row) error {
		ids = append(ids, r.int(0))
		return nil
	}, before); err != nil {
		return err
	}
	for _, id := range ids {
		_, errVersion := t.exec("DELETE FROM job_version WHERE job_id = $1", id)
		_, errCursor := t.exec("DELETE FROM cursor WHERE job_id = $1", id)
		_, errJob := t.exec("DELETE FROM job WHERE id = $1", id)
		if err := errors.Join(errVersion, errCursor, errJob); err != nil {
			return err
		}
	}
	return nil
}

// HistoryFrom returns since when every planned instant before its job's cursor
// has a record; 1970: since ever.
func (s *Store) HistoryFrom(ctx context.Context) (from time.Time, err error) {
	err = s.single(ctx, func(t *tx) error {
		from, err = metaTime(t, historyFrom)
		return err
	})
	return from, err
}

func metaTime(t *tx, key string) (at time.Time, err error) {
	text := ""
	found, err := t.one("SELECT value FROM meta WHERE key = $1", func(r row) { text = r.text(0) }, key)
	if err != nil || !found {
		return time.UnixMicro(0).UTC(), err
	}
	us, err := strconv.ParseInt(text, 10, 64)
	return time.UnixMicro(us).UTC(), err
}

func putMetaTime(t *tx, key string, at time.Time) error {
	_, err := t.exec("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		key, strconv.FormatInt(at.UnixMicro(), 10))
	return err
}
