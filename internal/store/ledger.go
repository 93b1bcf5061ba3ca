package store

import (
	"context"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
)

// ledgerVersions is how many versions of a job one part of its ledger holds at
// most.
const ledgerVersions = 200

// The texts that a ledger is read by: each walks along an index.
const (
	ledgerVersionsSQL = `SELECT ` + versionColumns + ` FROM job_version WHERE job_id = $1 AND version <= $2 AND version >= COALESCE(
			(SELECT version FROM job_version WHERE job_id = $1 AND version <= $2 AND effective_at < $3 ORDER BY version DESC LIMIT 1), 1)
		ORDER BY version LIMIT CAST($4 AS BIGINT)`
	ledgerBeforeSQL = `SELECT ` + runColumns + ` FROM run r WHERE r.job_id = $1 AND r.due_at < $2 AND r.n = 0 ORDER BY r.due_at DESC LIMIT 1`
	ledgerRunsSQL   = `SELECT ` + runColumns + ` FROM run r WHERE r.job_id = $1 AND r.due_at >= $2 AND r.n = 0 ORDER BY r.due_at LIMIT CAST($3 AS BIGINT)`
	ledgerOpenSQL   = `SELECT ` + openColumns + ` FROM open_run WHERE job_id = $1 AND due_at >= $2 AND n = 0 ORDER BY due_at LIMIT CAST($3 AS BIGINT)`
)

// Ledger returns what is known of a job's planned instants from from on: as
// much as tells of limit of them, one more, or of as many versions as can be
// held. All of it is of one moment. CodeNotFound: there is no such job.
func (s *Store) Ledger(ctx context.Context, jobID int64, from time.Time, limit int) (l jadwal.Ledger, err error) {
	err = s.read(ctx, func(t *tx) error {
		l = jadwal.Ledger{JobID: jobID}
		found, err := t.one("SELECT j.created_at, c.version, c.next_at FROM job j JOIN cursor c ON c.job_id = j.id WHERE j.id = $1 AND j.deleted_at IS NULL",
			func(r row) { l.CreatedAt, l.Version, l.NextAt = r.time(0), r.int(1), r.time(2) }, jobID)
		if err != nil {
			return err
		}
		if !found {
			return errNoJob()
		}
		if err := readLedgerVersions(t, &l, from); err != nil {
			return err
		}
		take := func(r jadwal.Run) error { l.Records = append(l.Records, r); return nil }
		if err := t.query(ledgerBeforeSQL, func(r row) error {
			if run := scanRun(r); !run.ThroughAt.Before(from) {
				return take(run)
			}
			return nil
		}, jobID, from); err != nil {
			return err
		}
		if err := t.query(ledgerRunsSQL, func(r row) error { return take(scanRun(r)) }, jobID, from, limit+1); err != nil {
			return err
		}
		if err := t.query(ledgerOpenSQL, func(r row) error { return take(scanOpenAsRun(r)) }, jobID, from, limit+1); err != nil {
			return err
		}
		slices.SortFunc(l.Records, func(a, b jadwal.Run) int { return compareKeys(a.Key, b.Key) })
		return nil
	})
	return l, err
}

func readLedgerVersions(t *tx, l *jadwal.Ledger, from time.Time) error {
	bytes := 0
	err := t.query(ledgerVersionsSQL, func(r row) error {
		v, err := scanVersion(t, r, l.JobID)
		if err != nil {
			return err
		}
		if len(l.Versions) == ledgerVersions || bytes > versionBytes && len(l.Versions) > 1 {
			l.Until = v.EffectiveAt
			return errEnough
		}
		bytes += r.len(1)
		l.Versions = append(l.Versions, v)
		return nil
	}, l.JobID, l.Version, from, ledgerVersions+1)
	if err == errEnough {
		err = nil
	}
	return err
}
