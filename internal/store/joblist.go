package store

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/teknohole/jadwal"
)

// JobQuery asks for a page of jobs. The empty lists ask for any.
type JobQuery struct {
	OwnerID int64             // 0: of all owners
	SeenBy  int64             // only what this user owns or has a grant for; 0: everything
	States  []jadwal.JobState // in one of these
	Tags    []string          // with all of these
	AfterID int64             // the page begins after this id
	Limit   int
}

// Jobs returns a page of jobs that are not deleted, by id, and the id that the
// next page begins after, 0 when there is none. Where few of many are asked for
// a page ends early: it looks at 20,000 jobs at most.
func (s *Store) Jobs(ctx context.Context, q JobQuery) (jobs []jadwal.Job, next int64, err error) {
	walks := q.walks()
	err = s.reader(walks)(ctx, func(t *tx) error {
		jobs, next = []jadwal.Job{}, 0
		upTo, err := boundOf(t, walks, q.AfterID)
		if err != nil {
			return err
		}
		for _, w := range walks {
			text := w.page(q.AfterID, upTo, q.Limit+1)
			if err := t.query(text.String(), func(r row) error {
				job, err := scanJob(t, r)
				jobs = append(jobs, job)
				return err
			}, text.args...); err != nil {
				return err
			}
		}
		slices.SortFunc(jobs, func(a, b jadwal.Job) int { return cmp.Compare(a.ID, b.ID) })
		switch {
		case len(jobs) > q.Limit:
			jobs = jobs[:q.Limit]
			next = jobs[q.Limit-1].ID
		case upTo != math.MaxInt64:
			next = upTo
		}
		return nil
	})
	return jobs, next, err
}

// maxCount is where counting stops: a total beyond it is not worth its price.
const maxCount = 10_000

// CountJobs counts the jobs that q asks for on all its pages, up to 10,000, and
// among 20,000 where not all of those count; exact is false when there may be
// more.
func (s *Store) CountJobs(ctx context.Context, q JobQuery) (n int, exact bool, err error) {
	walks := q.walks()
	err = s.reader(walks)(ctx, func(t *tx) error {
		upTo, err := boundOf(t, walks, 0)
		if err != nil {
			return err
		}
		n = 0
		for _, w := range walks {
			text := new(sqlText)
			text.add("SELECT COUNT(*) FROM (")
			text.append(w.of("1", "", 0, upTo))
			text.add(" LIMIT CAST(? AS BIGINT)) AS counted", maxCount+1)
			if _, err := t.one(text.String(), func(r row) { n += int(r.int(0)) }, text.args...); err != nil {
				return err
			}
		}
		exact = n <= maxCount && upTo == math.MaxInt64
		return nil
	})
	return min(n, maxCount), exact, err
}

// reader is how walks are read: one that needs one statement in no transaction
// of its own.
func (s *Store) reader(walks []jobWalk) func(context.Context, func(*tx) error) error {
	if len(walks) > 1 || walks[0].narrow {
		return s.read
	}
	return s.single
}

// jobWalk reads jobs by id along an index.
type jobWalk struct {
	index  string  // the table that it goes along, as `job j` or beside it
	id     string  // its column with the job's id
	along  sqlText // what the index answers
	join   string  // the jobs, if they are not what it goes along
	where  sqlText // what is looked at for each
	narrow bool    // it may pass many that are not asked for
}

// walks are the ways along which the jobs that q asks for are found, each job
// on one of them.
func (q *JobQuery) walks() (all []jobWalk) {
	states := q.States
	if len(states) == 0 || len(states) == len(jadwal.JobStates) {
		states = []jadwal.JobState{""}
	}
	for _, state := range states {
		switch {
		case q.SeenBy == 0 && q.OwnerID == 0:
			all = append(all, q.ofAll(state))
		case q.SeenBy == 0 || q.OwnerID == q.SeenBy:
			all = append(all, q.ofOwner(q.OwnerID, state))
		default:
			all = append(all, q.shared(state))
			if q.OwnerID == 0 {
				all = append(all, q.ofOwner(q.SeenBy, state))
			}
		}
	}
	return all
}

func (q *JobQuery) ofAll(state jadwal.JobState) jobWalk {
	if len(q.Tags) == 0 {
		w := jobWalk{index: "job j", id: "j.id"}
		w.along.add("j.deleted_at IS NULL")
		w.alongState(state)
		return w
	}
	w := jobWalk{index: "job_tag w", id: "w.job_id", join: " JOIN job j ON j.id = w.job_id", narrow: state != "" || len(q.Tags) > 1}
	w.along.add("w.tag = ?", q.Tags[0])
	w.where.addState(state)
	w.where.addTags(q.Tags[1:])
	return w
}

func (q *JobQuery) ofOwner(owner int64, state jadwal.JobState) jobWalk {
	w := jobWalk{index: "job j", id: "j.id", narrow: len(q.Tags) > 0}
	w.along.add("j.deleted_at IS NULL AND j.owner_id = ?", owner)
	w.alongState(state)
	w.where.addTags(q.Tags)
	return w
}

func (q *JobQuery) shared(state jadwal.JobState) jobWalk {
	w := jobWalk{index: "job_grant g", id: "g.job_id", join: " JOIN job j ON j.id = g.job_id", narrow: state != "" || len(q.Tags) > 0 || q.OwnerID != 0}
	w.along.add("g.user_id = ?", q.SeenBy)
	w.where.add(" AND j.deleted_at IS NULL AND j.owner_id <> ?", q.SeenBy)
	if q.OwnerID != 0 {
		w.where.add(" AND j.owner_id = ?", q.OwnerID)
	}
	w.where.addState(state)
	w.where.addTags(q.Tags)
	return w
}

// alongState has w find only the jobs in a state, by the index of those that are
// not enabled, if they are not.
func (w *jobWalk) alongState(state jadwal.JobState) {
	switch state {
	case "":
	case jadwal.JobEnabled:
		w.where.addState(state)
		w.narrow = true
	default:
		w.along.add(" AND j.state <> 'enabled'")
		w.along.addState(state)
	}
}

// of is the statement that reads columns of the jobs on a walk, after one id and
// up to another one.
func (w *jobWalk) of(columns, join string, after, upTo int64) *sqlText {
	text := new(sqlText)
	text.add("SELECT " + columns + " FROM " + w.index + w.join + join + " WHERE ")
	text.append(&w.along)
	text.append(&w.where)
	text.add(" AND "+w.id+" > ?", after)
	if upTo != math.MaxInt64 {
		text.add(" AND "+w.id+" <= ?", upTo)
	}
	return text
}

// page is the statement that reads the first jobs on a walk, after one id and up
// to another one.
func (w *jobWalk) page(after, upTo int64, limit int) *sqlText {
	text := w.of(jobColumns, " LEFT JOIN cursor c ON c.job_id = j.id", after, upTo)
	text.add(" ORDER BY "+w.id+" LIMIT CAST(? AS BIGINT)", limit)
	return text
}

// end is the statement that reads the last id that a walk after one gets to.
func (w *jobWalk) end(after int64) *sqlText {
	text := new(sqlText)
	text.add("SELECT " + w.id + " FROM " + w.index + " WHERE ")
	text.append(&w.along)
	text.add(" AND "+w.id+" > ? ORDER BY "+w.id+" LIMIT 1 OFFSET CAST(? AS BIGINT)", after, maxScan-1)
	return text
}

// boundOf is the id that all walks get to when each looks at maxScan jobs; the
// largest there can be when none is so long, or each is of what is asked for.
func boundOf(t *tx, walks []jobWalk, after int64) (int64, error) {
	upTo := int64(math.MaxInt64)
	for _, w := range walks {
		if !w.narrow {
			continue
		}
		text := w.end(after)
		if _, err := t.one(text.String(), func(r row) { upTo = min(upTo, r.int(0)) }, text.args...); err != nil {
			return 0, err
		}
	}
	return upTo, nil
}

// sqlText is a statement, or a part of one, with its arguments.
type sqlText struct {
	text string // ? stands for each argument
	args []any
}

// add appends text in which each ? stands for one of args.
func (s *sqlText) add(text string, args ...any) {
	s.text += text
	s.args = append(s.args, args...)
}

func (s *sqlText) append(other *sqlText) { s.add(other.text, other.args...) }

// addState adds the state as it is, for the planner of PostgreSQL to know how
// many jobs are in it: no plan is good for all of them.
func (s *sqlText) addState(state jadwal.JobState) {
	if slices.Contains(jadwal.JobStates, state) {
		s.add(" AND j.state = '" + string(state) + "'")
	}
}

func (s *sqlText) addTags(tags []string) {
	for _, tag := range tags {
		s.add(" AND EXISTS (SELECT 1 FROM job_tag x WHERE x.job_id = j.id AND x.tag = ?)", tag)
	}
}

// String is the statement with numbered parameters.
func (s *sqlText) String() string {
	var b strings.Builder
	n := 0
	for part := range strings.SplitSeq(s.text, "?") {
		if n > 0 {
			b.WriteString("$" + strconv.Itoa(n))
		}
		b.WriteString(part)
		n++
	}
	return b.String()
}

// noteTags stores the tags of a job, for lists.
func noteTags(t *tx, jobID int64, before, after []string) error {
	for _, tag := range before {
		if slices.Contains(after, tag) {
			continue
		}
		if _, err := t.exec("DELETE FROM job_tag WHERE tag = $1 AND job_id = $2", tag, jobID); err != nil {
			return err
		}
	}
	for _, tag := range after {
		if slices.Contains(before, tag) {
			continue
		}
		if _, err := t.exec("INSERT INTO job_tag (tag, job_id) VALUES ($1, $2)", tag, jobID); err != nil {
			return err
		}
	}
	return nil
}
