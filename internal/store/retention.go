package store

import (
	"cmp"
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/teknohole/jadwal"
)

// Retention says how long things are kept. The age of a run counts from the
// instant that it was due. What is open is kept whatever its age, and so is what
// each job tells of its last run.
type Retention struct {
	History  time.Duration
	Failures time.Duration // of failed runs; at least History
	Bytes    int64         // of history: beyond it the oldest runs go, failed ones too; 0: any
	Audit    time.Duration // of lines of the audit log; 0: for ever
}

const (
	retainStep   = 500         // rows of a kind that are removed in one write, without what belongs to them
	retainJobs   = 1000        // jobs whose versions are looked at in one step
	retainOldest = 20_000      // runs among which the oldest are looked for
	retainEvery  = time.Minute // between two sweeps
	retainSwept  = time.Hour   // how far a sweep passes by what it keeps before it writes that down
	retainShare  = 3           // a sweep takes the writer for a third of the time at most
)

// The keys of table meta that retention keeps, in Unix microseconds.
const (
	historyFrom  = "history_from"  // what was due before may have lost its record
	historySwept = "history_swept" // runs due before that are left have failed, or their record came late
)

// Keep removes what has become too old, little by little, until ctx ends,
// sees to the jobs of deleted users that have not reached their heirs, and
// writes down when sessions and keys were used. An error is logged, and the
// next turn tries again.
func (s *Store) Keep(ctx context.Context, r Retention) {
	wait, write := time.NewTimer(retainEvery), time.NewTicker(usageStep)
	defer wait.Stop()
	defer write.Stop()
	defer s.lastUsage(context.WithoutCancel(ctx))
	if err := s.retireMaster(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("the retiring master key is still needed; the next start tries again", "error", err)
	}
	for {
		if err := s.inherit(ctx, time.Now()); err != nil && ctx.Err() == nil {
			s.log.Error("the jobs of a deleted user are still on their way", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-write.C:
			if err := s.WriteUsage(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("when sessions were used could not be stored", "error", err)
			}
			continue
		case <-wait.C:
		}
		begun := time.Now()
		more, err := s.Retain(ctx, begun, r)
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.Error("old history could not be removed", "error", err)
			wait.Reset(retainEvery)
		case more:
			wait.Reset((retainShare - 1) * time.Since(begun))
		default:
			wait.Reset(retainEvery)
		}
	}
}

// Retain makes one step of a sweep. It removes what is too old at now, the
// oldest first and at most 500 of a kind: runs with their output and attempts,
// deleted jobs of which nothing is left, versions of jobs that were in force
// only before any history that is kept, answers that were saved for a repeated
// request, lines of the audit log, signature keys that sign no more. It tells whether there may be more. From then
// on Check does not ask for records of what was due before.
//
// It looks for all that while others write; the one write only removes. On
// PostgreSQL runs go by whole days, all in the first step: see keepDays.
func (s *Store) Retain(ctx context.Context, now time.Time, r Retention) (more bool, err error) {
	s.sweep.Lock()
	defer s.sweep.Unlock()
	if d, shared := s.db.(*postgresDB); shared {
		if err := s.keepDays(ctx, d, now, r); err != nil {
			return false, err
		}
	}
	var w waste
	if err := s.read(ctx, func(t *tx) error {
		w, err = s.findWaste(t, now, r)
		return err
	}); err != nil || w.empty() {
		return false, err
	}
	return w.more, s.write(ctx, laneBatch, func(t *tx) error {
		if err := w.remove(t); err != nil {
			return err
		}
		return s.removeSignature(t, w.signature, now)
	})
}

// sweep is what one step of Retain tells the next. Retain holds it.
type sweep struct {
	sync.Mutex
	job   int64     // up to this one versions were looked at
	other int64     // bytes that are not history
	asked time.Time // when other was measured
	rest  time.Time // when anything else than runs was looked for
}

// waste is what one step removes.
type waste struct {
	more      bool
	runs      []jadwal.RunKey
	from      time.Time // the new historyFrom; zero: as it is
	swept     time.Time // the new historySwept; zero: as it is
	jobs      []int64
	versions  []versionKey
	answers   []answerKey
	answered  time.Time // what was saved later than this stays
	audit     []int64
	signature []jadwal.SignatureHolder
}

type versionKey struct{ job, version int64 }

type answerKey struct {
	user int64
	key  string
}

func (w *waste) empty() bool {
	return len(w.runs)+len(w.jobs)+len(w.versions)+len(w.answers)+len(w.audit)+len(w.signature) == 0 && w.swept.IsZero()
}

func (s *Store) findWaste(t *tx, now time.Time, r Retention) (w waste, err error) {
	failures := now.Add(-max(r.History, r.Failures))
	planned := failures // nothing that was due before is kept
	if t.pg == nil {
		if err := s.findRuns(t, &w, now, r); err != nil {
			return w, err
		}
	} else { // days of them go, when all of a day is too old
		from, err := metaTime(t, historyFrom)
		if err != nil {
			return w, err
		}
		if from.Before(planned) {
			planned = from
		}
	}
	if w.more && now.Sub(s.sweep.rest).Abs() < retainEvery {
		return w, nil // of the rest there is never much, and to look for it takes time
	}
	s.sweep.rest = now
	if err := findTombstones(t, &w, failures); err != nil {
		return w, err
	}
	if err := s.findVersions(t, &w, planned); err != nil {
		return w, err
	}
	w.answered = now.Add(-jadwal.OnceFor)
	if err := t.query(savedBeforeSQL, func(r row) error {
		w.answers = append(w.answers, answerKey{r.int(0), r.text(1)})
		return nil
	}, w.answered, retainStep); err != nil {
		return w, err
	}
	if r.Audit > 0 {
		// Ids are in the order of time, unless the clock was turned back.
		if err := t.query("SELECT id, at FROM audit ORDER BY id LIMIT CAST($1 AS BIGINT)", func(row row) error {
			if row.time(1).Before(now.Add(-r.Audit)) {
				w.audit = append(w.audit, row.int(0))
			}
			return nil
		}, retainStep); err != nil {
			return w, err
		}
	}
	if w.signature, err = findSignature(t, now); err != nil {
		return w, err
	}
	w.more = w.more || len(w.jobs) == retainStep || len(w.versions) == retainStep || len(w.answers) == retainStep || len(w.audit) == retainStep
	return w, nil
}

const savedBeforeSQL = "SELECT user_id, key FROM idempotency WHERE created_at <= $1 ORDER BY created_at LIMIT CAST($2 AS BIGINT)"

// The runs that are too old. A range counts from its last instant.
const (
	oldestRunsSQL = `SELECT due_at, job_id, n FROM run WHERE due_at < $1 AND COALESCE(through_at, due_at) < $1
		ORDER BY due_at, job_id, n LIMIT CAST($2 AS BIGINT)`
	oldRunsSQL = `SELECT due_at, job_id, n FROM run WHERE due_at >= $1 AND due_at < $2 AND COALESCE(through_at, due_at) < $2 AND state <> 'failed'
		ORDER BY due_at, job_id, n LIMIT CAST($3 AS BIGINT)`
)

// findRuns finds the oldest runs that are too old, or too many.
func (s *Store) findRuns(t *tx, w *waste, now time.Time, r Retention) error {
	history, failures := now.Add(-r.History), now.Add(-max(r.History, r.Failures))
	cut, err := s.squeeze(t, now, r.Bytes)
	if err != nil {
		return err
	}
	history, failures = latest(history, cut), latest(failures, cut)
	from, errFrom := metaTime(t, historyFrom)
	swept, errSwept := metaTime(t, historySwept)
	if err := cmp.Or(errFrom, errSwept); err != nil {
		return err
	}
	take := func(r row) error {
		w.runs = append(w.runs, jadwal.RunKey{DueAt: r.int(0), JobID: r.int(1), N: uint16(r.int(2))})
		return nil
	}
	// Even failures go after their time, and whatever the sweep of the rest has
	// passed by.
	if err := t.query(oldestRunsSQL, take, failures, retainStep); err != nil {
		return err
	}
	if n := len(w.runs); n < retainStep {
		if err := t.query(oldRunsSQL, take, swept, history, retainStep-n); err != nil {
			return err
		}
		last := history
		if len(w.runs) == retainStep {
			last = time.UnixMicro(w.runs[retainStep-1].DueAt).UTC()
		}
		if len(w.runs) > 0 && last.After(swept) || last.After(swept.Add(retainSwept)) {
			w.swept = last
		}
	}
	w.more = len(w.runs) == retainStep || !cut.IsZero()
	if len(w.runs) > 0 && history.After(from) {
		w.from = history
	}
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// squeeze returns before when runs must have ended that are to go since history
// has more than so many bytes: some 500 of the oldest. It is the zero time when
// history has not.
func (s *Store) squeeze(t *tx, now time.Time, bytes int64) (cut time.Time, err error) {
	if bytes == 0 {
		return cut, nil
	}
	used, err := usedBytes(t)
	if err != nil || used <= bytes {
		return cut, err
	}
	if since := now.Sub(s.sweep.asked); s.sweep.asked.IsZero() || since < 0 || since > time.Hour {
		if s.sweep.other, err = otherBytes(t); err != nil {
			return cut, err
		}
		s.sweep.asked = now
	}
	if used-s.sweep.other <= bytes {
		return cut, nil
	}
	n := 0
	err = t.query(oldestEndsSQL, func(r row) error {
		if n++; n <= retainStep {
			cut = r.time(0).Add(time.Microsecond)
		}
		return nil
	}, retainOldest, retainStep)
	return cut, err
}

const oldestEndsSQL = `SELECT COALESCE(through_at, due_at) FROM (SELECT through_at, due_at FROM run ORDER BY due_at, job_id, n LIMIT CAST($1 AS BIGINT)) AS oldest
	ORDER BY 1 LIMIT CAST($2 AS BIGINT)`

// findTombstones finds jobs that were deleted long ago and have no history left.
// Their ids are never used again. One with many versions goes in several steps.
func findTombstones(t *tx, w *waste, before time.Time) error {
	var ids []int64
	if err := t.query(tombstonesSQL, func(r row) error {
		ids = append(ids, r.int(0))
		return nil
	}, before, retainStep); err != nil {
		return err
	}
	for _, id := range ids {
		if err := versionsBelow(t, w, id, endOfVersions); err != nil {
			return err
		}
		if len(w.versions) == retainStep {
			break // it may have more
		}
		w.jobs = append(w.jobs, id)
	}
	return nil
}

const (
	tombstonesSQL = `SELECT id FROM job WHERE deleted_at < $1
		AND NOT EXISTS (SELECT 1 FROM run WHERE run.job_id = job.id)
		AND NOT EXISTS (SELECT 1 FROM open_run WHERE open_run.job_id = job.id)
		AND NOT EXISTS (SELECT 1 FROM change WHERE change.job_id = job.id)
		ORDER BY deleted_at LIMIT CAST($2 AS BIGINT)`
	endOfVersions = math.MaxInt64
)

// versionsBelow adds the versions of a job that come before one, as far as there
// is room for them.
func versionsBelow(t *tx, w *waste, job, below int64) error {
	return t.query("SELECT version FROM job_version WHERE job_id = $1 AND version < $2 ORDER BY version LIMIT CAST($3 AS BIGINT)", func(r row) error {
		w.versions = append(w.versions, versionKey{job, r.int(0)})
		return nil
	}, job, below, retainStep-len(w.versions))
}

// findVersions finds, of the next thousand jobs, the versions that no kept
// history can be of: those before the one that was in force at before, the
// oldest instant that a kept run may have been due at, and before any that a run
// names which is older all the same. So what is left has no gaps.
func (s *Store) findVersions(t *tx, w *waste, before time.Time) error {
	type job struct{ id, version int64 }
	var jobs []job
	if err := t.query("SELECT job_id, version FROM cursor WHERE job_id > $1 ORDER BY job_id LIMIT CAST($2 AS BIGINT)", func(r row) error {
		jobs = append(jobs, job{r.int(0), r.int(1)})
		return nil
	}, s.sweep.job, retainJobs); err != nil {
		return err
	}
	for _, j := range jobs {
		if len(w.versions) == retainStep {
			w.more = true
			return nil // and go on with this one
		}
		if j.version > 1 {
			first, err := firstVersion(t, j.id, j.version, before)
			if err != nil {
				return err
			}
			if err := versionsBelow(t, w, j.id, first); err != nil {
				return err
			}
			if len(w.versions) == retainStep {
				continue
			}
		}
		s.sweep.job = j.id
	}
	if len(jobs) < retainJobs {
		s.sweep.job = 0
	}
	return nil
}

const (
	inForceSQL = `SELECT version FROM job_version WHERE job_id = $1 AND version <= $2 AND effective_at < $3 ORDER BY version DESC LIMIT 1`
	// The first attempt is of the oldest version of all.
	namedSQL = `SELECT min(CASE WHEN a.version < r.version THEN a.version ELSE r.version END) FROM run r
		LEFT JOIN attempt a ON a.due_at = r.due_at AND a.job_id = r.job_id AND a.n = r.n AND a.attempt = 1
		WHERE r.job_id = $1 AND r.due_at < $2`
	namedOpenSQL = `SELECT min(CASE WHEN a.version < r.version THEN a.version ELSE r.version END) FROM open_run r
		LEFT JOIN attempt a ON a.due_at = r.due_at AND a.job_id = r.job_id AND a.n = r.n AND a.attempt = 1
		WHERE r.job_id = $1 AND r.due_at < $2`
	heldSQL = `SELECT min(due_at) FROM open_run WHERE job_id = $1 AND due_at < $2 AND n = 0`
)

// firstVersion is the first version of a job that must stay, where the cursor's
// is current. An open run may be of a later version than the one that planned
// its instant: what was due when a version ended runs under the next.
func firstVersion(t *tx, job, current int64, before time.Time) (first int64, err error) {
	if _, err := t.one(heldSQL, func(r row) {
		if !r.null(0) {
			before = r.time(0)
		}
	}, job, before); err != nil {
		return 0, err
	}
	if _, err := t.one(inForceSQL, func(r row) { first = r.int(0) }, job, current, before); err != nil || first == 0 {
		return 0, err
	}
	lower := func(r row) {
		if !r.null(0) {
			first = min(first, r.int(0))
		}
	}
	if _, err := t.one(namedSQL, lower, job, before); err != nil {
		return 0, err
	}
	_, err = t.one(namedOpenSQL, lower, job, before)
	return first, err
}

func (w *waste) remove(t *tx) error {
	if !w.from.IsZero() {
		if err := putMetaTime(t, historyFrom, w.from); err != nil {
			return err
		}
	}
	if !w.swept.IsZero() {
		if err := putMetaTime(t, historySwept, w.swept); err != nil {
			return err
		}
	}
	for _, k := range w.runs {
		for _, sql := range [...]string{
			"DELETE FROM run WHERE due_at = $1 AND job_id = $2 AND n = $3",
			"DELETE FROM run_output WHERE due_at = $1 AND job_id = $2 AND n = $3",
			"DELETE FROM attempt WHERE due_at = $1 AND job_id = $2 AND n = $3",
		} {
			if _, err := t.exec(sql, k.DueAt, k.JobID, int64(k.N)); err != nil {
				return err
			}
		}
	}
	for _, v := range w.versions {
		if _, err := t.exec("DELETE FROM job_version WHERE job_id = $1 AND version = $2", v.job, v.version); err != nil {
			return err
		}
	}
	for _, id := range w.jobs {
		_, errCursor := t.exec("DELETE FROM cursor WHERE job_id = $1", id)
		_, errJob := t.exec("DELETE FROM job WHERE id = $1", id)
		if err := cmp.Or(errCursor, errJob); err != nil {
			return err
		}
	}
	for _, a := range w.answers {
		// One that was saved anew meanwhile stays: it is younger.
		if _, err := t.exec("DELETE FROM idempotency WHERE user_id = $1 AND key = $2 AND created_at <= $3", a.user, a.key, w.answered); err != nil {
			return err
		}
	}
	for _, id := range w.audit {
		if _, err := t.exec("DELETE FROM audit WHERE id = $1", id); err != nil {
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
	return putMeta(t, key, strconv.FormatInt(at.UnixMicro(), 10))
}

func putMeta(t *tx, key, value string) error {
	_, err := t.exec("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)
	return err
}
