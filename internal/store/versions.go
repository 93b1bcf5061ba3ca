package store

import (
	"context"
	"errors"
	"math"

	"github.com/teknohole/jadwal"
)

const versionColumns = "version, definition, state, effective_at"

func scanVersion(t *tx, r row, jobID int64) (jadwal.JobVersion, error) {
	v := jadwal.JobVersion{Version: r.int(0), State: jadwal.JobState(r.text(2)), EffectiveAt: r.time(3)}
	return v, t.decode(jobID, r.bytes(1), &v.Definition)
}

// versionBytes is how much of definitions a page of versions holds, more or
// less.
const versionBytes = 4 << 20

// Versions returns versions of a job, newest first, from the version before
// that one (0: from the newest), and whether there are more. There are at most
// limit, and fewer when their definitions are large, but two at least.
func (s *Store) Versions(ctx context.Context, jobID, before int64, limit int) (all []jadwal.JobVersion, more bool, err error) {
	if before == 0 {
		before = math.MaxInt64
	}
	err = s.single(ctx, func(t *tx) error {
		all, more = nil, false
		bytes := 0
		err := t.query(`SELECT `+versionColumns+` FROM job_version WHERE job_id = $1 AND version < $2 ORDER BY version DESC LIMIT CAST($3 AS BIGINT)`, func(r row) error {
			if len(all) == limit || bytes > versionBytes && len(all) > 1 {
				more = true
				return errEnough
			}
			v, err := scanVersion(t, r, jobID)
			all = append(all, v)
			bytes += r.len(1)
			return err
		}, jobID, before, limit+1)
		if err == errEnough {
			err = nil
		}
		return err
	})
	return all, more, err
}

// errEnough ends a query of which no more is wanted.
var errEnough = errors.New("enough")

// Version returns one version of a job. CodeNotFound: it never had that one.
func (s *Store) Version(ctx context.Context, jobID, version int64) (v jadwal.JobVersion, err error) {
	err = s.single(ctx, func(t *tx) error {
		found := false
		err := t.query(`SELECT `+versionColumns+` FROM job_version WHERE job_id = $1 AND version = $2`, func(r row) error {
			found = true
			v, err = scanVersion(t, r, jobID)
			return err
		}, jobID, version)
		if err == nil && !found {
			err = jadwal.Errorf(jadwal.CodeNotFound, "The job has no version %d", version)
		}
		return err
	})
	return v, err
}
