package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/teknohole/jadwal"
)

// inheritStep is how many jobs of a deleted user are given to their heir in one
// write. Of 51,200 jobs a step was 6 % of the whole at most (BenchmarkInherit).
const inheritStep = 500

// A bequest says that the jobs of a deleted user are on their way to an heir.
// It is a row of table meta, "leaving:{user}" with the heir and whether the jobs
// keep egress rules ("1 limited", "1 free"), which is there until all of them
// have arrived: so a crash or a full disk on the way only delays them.
type bequest struct {
	from, heir int64
	limited    bool
}

const leaving = "leaving:"

func (b bequest) key() string { return leaving + strconv.FormatInt(b.from, 10) }

func putBequest(t *tx, b bequest) error {
	rules := "free"
	if b.limited {
		rules = "limited"
	}
	return putMeta(t, b.key(), fmt.Sprintf("%d %s", b.heir, rules))
}

// bequests are those that have not arrived.
func bequests(t *tx) (all []bequest, err error) {
	// Behind the colon, in the order of ASCII, is the semicolon.
	err = t.query("SELECT key, value FROM meta WHERE key > 'leaving:' AND key < 'leaving;'", func(r row) error {
		var b bequest
		rules := ""
		_, errFrom := fmt.Sscanf(r.text(0), leaving+"%d", &b.from)
		_, errHeir := fmt.Sscanf(r.text(1), "%d %s", &b.heir, &rules)
		b.limited = rules != "free"
		all = append(all, b)
		return errors.Join(errFrom, errHeir)
	})
	return all, err
}

// bequeath begins to give the jobs of a user who is being deleted to an heir,
// and with them what that user was to inherit. It returns how many jobs there
// are.
func bequeath(t *tx, from jadwal.User, heir int64) (jobs int, err error) {
	pending, err := bequests(t)
	if err != nil {
		return 0, err
	}
	for _, b := range pending {
		if b.heir == from.ID {
			b.heir = heir
			if err := putBequest(t, b); err != nil {
				return 0, err
			}
		}
	}
	if _, err := t.one("SELECT COUNT(*) FROM job WHERE owner_id = $1 AND deleted_at IS NULL", func(r row) { jobs = int(r.int(0)) }, from.ID); err != nil || jobs == 0 {
		return 0, err
	}
	return jobs, putBequest(t, bequest{from.ID, heir, !from.IsSuperuser})
}

// inherit makes writes of 500 jobs each until all jobs of deleted users are with
// their heirs.
func (s *Store) inherit(ctx context.Context, now time.Time) error {
	for {
		more, err := s.inheritOnce(ctx, now)
		if err != nil || !more {
			return err
		}
	}
}

// inheritOnce pauses the next 500 jobs of a deleted user and gives them to the
// heir. A name that the heir has already gets the suffix ".u{id}", cut to fit.
// Jobs of a user who was no superuser keep that user's egress rules until they
// are edited. It tells whether anything may be left.
func (s *Store) inheritOnce(ctx context.Context, now time.Time) (more bool, err error) {
	if err := s.read(ctx, func(t *tx) error {
		pending, err := bequests(t)
		more = len(pending) > 0
		return err
	}); err != nil || !more {
		return false, err
	}
	err = s.write(ctx, s.stepLane(), func(t *tx) error {
		pending, err := bequests(t)
		if more = len(pending) > 0; err != nil || !more {
			return err
		}
		return s.inheritJobs(t, pending[0], now)
	})
	return more, err
}

func (s *Store) inheritJobs(t *tx, b bequest, now time.Time) error {
	last, jobs := int64(0), 0
	if err := t.query("SELECT id FROM job WHERE owner_id = $1 AND deleted_at IS NULL ORDER BY id LIMIT CAST($2 AS BIGINT)", func(r row) error {
		last = r.int(0)
		jobs++
		return nil
	}, b.from, inheritStep); err != nil {
		return err
	}
	if jobs == 0 {
		_, err := t.exec("DELETE FROM meta WHERE key = $1", b.key())
		return err
	}
	if err := yieldNames(t, b.from, b.heir, last); err != nil {
		return err
	}
	if _, err := t.exec(`INSERT INTO job_version (job_id, version, definition, state, effective_at)
		SELECT id, version + 1, definition, 'paused', $2 FROM job WHERE owner_id = $1 AND id <= $3 AND deleted_at IS NULL`, b.from, now, last); err != nil {
		return err
	}
	if _, err := t.exec(`INSERT INTO change (job_id, kind, version, at)
		SELECT id, $3, version + 1, $2 FROM job WHERE owner_id = $1 AND id <= $4 AND deleted_at IS NULL ORDER BY id`,
		b.from, now, string(jadwal.ChangePause), last); err != nil {
		return err
	}
	s.tell(t, jadwal.Hint{Changed: true})
	_, err := t.exec(inheritSQL, b.from, b.heir, jadwal.PauseOwnerDeleted, b.limited, now, last)
	return err
}

const inheritSQL = `UPDATE job SET owner_id = $2, state = 'paused', pause_reason = $3, paused_by = 0, pause_until = NULL, version = version + 1,
	egress_limited = CASE WHEN $4 = 1 THEN 1 ELSE egress_limited END,
	updated_at = CASE WHEN updated_at < $5 THEN $5 ELSE updated_at + 1 END
	WHERE owner_id = $1 AND id <= $6 AND deleted_at IS NULL`

// yieldNames renames the jobs of from, up to the one with the id last, whose
// names heir has.
func yieldNames(t *tx, from, heir, last int64) error {
	type clash struct {
		id         int64
		name       string
		definition []byte
	}
	var clashes []clash
	if err := t.query(`SELECT j.id, j.name, j.definition FROM job j
		JOIN job h ON h.owner_id = $2 AND h.name = j.name AND h.deleted_at IS NULL
		WHERE j.owner_id = $1 AND j.id <= $3 AND j.deleted_at IS NULL ORDER BY j.id`, func(r row) error {
		clashes = append(clashes, clash{r.int(0), r.text(1), r.bytes(2)})
		return nil
	}, from, heir, last); err != nil {
		return err
	}
	for _, c := range clashes {
		name, err := freeName(t, from, heir, c.name)
		if err != nil {
			return err
		}
		text, err := renamed(c.id, c.definition, name)
		if err != nil {
			return err
		}
		if _, err := t.exec("UPDATE job SET name = $2, definition = $3 WHERE id = $1", c.id, name, text); err != nil {
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
