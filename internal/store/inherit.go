package store

import (
	"fmt"
	"strconv"
	"time"

	"github.com/teknohole/jadwal"
)

// inheritJobs pauses the jobs of a user who is being deleted and gives them to
// heir, and returns how many there were. A name that heir has already gets the
// suffix ".u{id}", cut to fit. Jobs of a user who was no superuser keep that
// user's egress rules until they are edited.
func (s *Store) inheritJobs(t *tx, from jadwal.User, heir int64, now time.Time) (int, error) {
	if err := yieldNames(t, from.ID, heir); err != nil {
		return 0, err
	}
	// Whole sets, since a user may have a hundred thousand jobs.
	if _, err := t.exec(`INSERT INTO job_version (job_id, version, definition, state, effective_at)
		SELECT id, version + 1, definition, 'paused', $2 FROM job WHERE owner_id = $1 AND deleted_at IS NULL`, from.ID, now); err != nil {
		return 0, err
	}
	if _, err := t.exec(`INSERT INTO change (job_id, kind, version, at)
		SELECT id, $3, version + 1, $2 FROM job WHERE owner_id = $1 AND deleted_at IS NULL ORDER BY id`,
		from.ID, now, string(jadwal.ChangePause)); err != nil {
		return 0, err
	}
	return t.exec(inheritSQL, from.ID, heir, jadwal.PauseOwnerDeleted, !from.IsSuperuser, now)
}

const inheritSQL = `UPDATE job SET owner_id = $2, state = 'paused', pause_reason = $3, paused_by = 0, pause_until = NULL, version = version + 1,
	egress_limited = CASE WHEN $4 = 1 THEN 1 ELSE egress_limited END,
	updated_at = CASE WHEN updated_at < $5 THEN $5 ELSE updated_at + 1 END
	WHERE owner_id = $1 AND deleted_at IS NULL`

// yieldNames renames the jobs of from whose names heir has.
func yieldNames(t *tx, from, heir int64) error {
	type clash struct {
		id         int64
		name       string
		definition []byte
	}
	var clashes []clash
	if err := t.query(`SELECT j.id, j.name, j.definition FROM job j
		JOIN job h ON h.owner_id = $2 AND h.name = j.name AND h.deleted_at IS NULL
		WHERE j.owner_id = $1 AND j.deleted_at IS NULL ORDER BY j.id`, func(r row) error {
		clashes = append(clashes, clash{r.int(0), r.text(1), r.bytes(2)})
		return nil
	}, from, heir); err != nil {
		return err
	}
	for _, c := range clashes {
		var d jadwal.Definition
		err := decode(c.id, c.definition, &d)
		if err != nil {
			return err
		}
		if d.Name, err = freeName(t, from, heir, c.name); err != nil {
			return err
		}
		text, err := encode(&d)
		if err != nil {
			return err
		}
		if _, err := t.exec("UPDATE job SET name = $2, definition = $3 WHERE id = $1", c.id, d.Name, text); err != nil {
			return err
		}
	}
	return nil
}

// maxJobName is the longest name of a job, in bytes.
const maxJobName = 63

// freeName returns the name of a job of from that neither from nor heir has:
// with the suffix of the user, and numbered when even that is taken, which
// names may be that were cut.
func freeName(t *tx, from, heir int64, name string) (string, error) {
	suffix := ".u" + strconv.FormatInt(from, 10)
	for n := 2; ; n++ {
		free := name[:min(len(name), maxJobName-len(suffix))] + suffix
		taken, err := t.one("SELECT 1 FROM job WHERE owner_id IN ($1, $2) AND name = $3 AND deleted_at IS NULL LIMIT 1",
			func(row) {}, from, heir, free)
		if err != nil || !taken {
			return free, err
		}
		suffix = fmt.Sprintf(".u%d.%d", from, n)
	}
}
