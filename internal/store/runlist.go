package store

import (
	"container/heap"
	"context"
	"math"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
)

// RunQuery asks for a page of runs. The empty lists and zero times ask for any.
type RunQuery struct {
	All      bool          // of all jobs, deleted ones included
	JobIDs   []int64       // else: of these
	Before   jadwal.RunKey // the page begins before this one; zero: with the newest
	From, To time.Time     // due at From or later, and before To
	States   []jadwal.RunState
	Reasons  []jadwal.Reason
	Triggers []jadwal.Trigger
	Limit    int
}

// maxScan is how many runs, jobs or lines of the audit log are looked at for one
// page.
const maxScan = 20_000

// ListRuns returns a page of runs, newest first by their keys, open ones and
// history together, without their output; and the key that the next page
// begins before, zero when there is none. Where few of many runs are asked for
// a page ends early: it looks at 20,000 runs at most.
func (s *Store) ListRuns(ctx context.Context, q RunQuery) (runs []jadwal.Run, next jadwal.RunKey, err error) {
	err = s.read(ctx, func(t *tx) error {
		runs, next = []jadwal.Run{}, jadwal.RunKey{}
		m := newRunMerge(t, q)
		for scanned := 0; ; scanned++ {
			run, ok, err := m.pop()
			if err != nil || !ok {
				return err
			}
			if !q.wants(&run) {
				if scanned+1 >= maxScan {
					next = run.Key
					return nil
				}
				continue
			}
			if len(runs) == q.Limit {
				next = runs[len(runs)-1].Key
				return nil
			}
			runs = append(runs, run)
		}
	})
	return runs, next, err
}

func (q *RunQuery) wants(r *jadwal.Run) bool {
	return (len(q.States) == 0 || slices.Contains(q.States, r.State)) &&
		(len(q.Reasons) == 0 || slices.Contains(q.Reasons, r.Reason)) &&
		(len(q.Triggers) == 0 || slices.Contains(q.Triggers, r.Trigger))
}

// mayBe tells whether q asks for anything that is open, or that is not.
func (q *RunQuery) mayBe(open bool) bool {
	if open && len(q.Reasons) > 0 {
		return false // an open run has none
	}
	return len(q.States) == 0 || slices.ContainsFunc(q.States, func(s jadwal.RunState) bool { return s.Final() != open })
}

// The texts that a page of runs is read by, of all jobs and of one. Each walks
// backwards along an index and sorts nothing.
const (
	runsOfAll = `SELECT ` + runColumns + ` FROM run r WHERE (r.due_at, r.job_id, r.n) < ($1, $2, $3) AND r.due_at >= $4
		ORDER BY r.due_at DESC, r.job_id DESC, r.n DESC LIMIT CAST($5 AS BIGINT)`
	runsOfJob = `SELECT ` + runColumns + ` FROM run r WHERE r.job_id = $2 AND (r.due_at, r.n) < ($1, $3) AND r.due_at >= $4
		ORDER BY r.due_at DESC, r.n DESC LIMIT CAST($5 AS BIGINT)`
	openOfAll = `SELECT ` + openColumns + ` FROM open_run WHERE (due_at, job_id, n) < ($1, $2, $3) AND due_at >= $4
		ORDER BY due_at DESC, job_id DESC, n DESC LIMIT CAST($5 AS BIGINT)`
	openOfJob = `SELECT ` + openColumns + ` FROM open_run WHERE job_id = $2 AND (due_at, n) < ($1, $3) AND due_at >= $4
		ORDER BY due_at DESC, n DESC LIMIT CAST($5 AS BIGINT)`
)

// runMerge merges the runs of several jobs, of which each is read in order and
// piece by piece.
type runMerge struct {
	t       *tx
	from    int64
	streams []*runStream // a heap: the one with the newest run is the first
	err     error
}

// runStream is the open runs, or the history, of one job or of all.
type runStream struct {
	open  bool
	all   bool
	at    position // what comes next is before it
	rows  []jadwal.Run
	piece int // how many are read next
	ended bool
}

// position is a place in the order of runs.
type position struct{ due, job, n int64 }

func positionOf(k jadwal.RunKey) position { return position{k.DueAt, k.JobID, int64(k.N)} }

// within is p among the runs of one job.
func (p position) within(job int64) position {
	switch {
	case job < p.job:
		return position{p.due, job, math.MaxUint16 + 1} // behind all that are due then
	case job > p.job:
		return position{p.due, job, 0}
	}
	return p
}

// maxPiece bounds how much is read of one stream at once.
const maxPiece = 512

func newRunMerge(t *tx, q RunQuery) *runMerge {
	m := &runMerge{t: t, from: math.MinInt64}
	if !q.From.IsZero() {
		m.from = q.From.UnixMicro()
	}
	before := positionOf(q.Before)
	if q.Before == (jadwal.RunKey{}) {
		before = position{due: math.MaxInt64}
	}
	if to := q.To; !to.IsZero() && to.UnixMicro() <= before.due {
		before = position{due: to.UnixMicro()}
	}
	ids := q.JobIDs
	if q.All {
		ids = []int64{0}
	}
	piece := min(2*(q.Limit+1)/max(1, len(ids))+1, maxPiece)
	for _, open := range []bool{true, false} {
		if !q.mayBe(open) {
			continue
		}
		for _, id := range ids {
			st := &runStream{open: open, all: q.All, at: before, piece: piece}
			if !q.All {
				st.at = before.within(id)
			}
			if m.fill(st); len(st.rows) > 0 {
				m.streams = append(m.streams, st)
			}
		}
	}
	heap.Init(m)
	return m
}

// fill reads the next piece of a stream.
func (m *runMerge) fill(st *runStream) {
	if m.err != nil || st.ended {
		return
	}
	text, scan := runsOfJob, scanRun
	switch {
	case st.open && st.all:
		text, scan = openOfAll, scanOpenAsRun
	case st.open:
		text, scan = openOfJob, scanOpenAsRun
	case st.all:
		text = runsOfAll
	}
	st.rows = make([]jadwal.Run, 0, min(st.piece, 64))
	m.err = m.t.query(text, func(r row) error {
		st.rows = append(st.rows, scan(r))
		return nil
	}, st.at.due, st.at.job, st.at.n, m.from, st.piece)
	st.ended = len(st.rows) < st.piece
	st.piece = min(2*st.piece, maxPiece)
	if n := len(st.rows); n > 0 {
		st.at = positionOf(st.rows[n-1].Key)
	}
}

// pop returns the newest run of all streams, false when none is left.
func (m *runMerge) pop() (run jadwal.Run, ok bool, err error) {
	if m.err != nil || len(m.streams) == 0 {
		return run, false, m.err
	}
	st := m.streams[0]
	run = st.rows[0]
	if st.rows = st.rows[1:]; len(st.rows) == 0 {
		m.fill(st)
	}
	if len(st.rows) == 0 {
		heap.Pop(m)
	} else {
		heap.Fix(m, 0)
	}
	return run, m.err == nil, m.err
}

// The methods of heap.Interface.

func (m *runMerge) Len() int      { return len(m.streams) }
func (m *runMerge) Swap(i, j int) { m.streams[i], m.streams[j] = m.streams[j], m.streams[i] }
func (m *runMerge) Push(x any)    { m.streams = append(m.streams, x.(*runStream)) }

// Less puts the newest run first.
func (m *runMerge) Less(i, j int) bool {
	return compareKeys(m.streams[i].rows[0].Key, m.streams[j].rows[0].Key) > 0
}

// Pop takes the last stream off.
func (m *runMerge) Pop() any {
	last := m.streams[len(m.streams)-1]
	m.streams = m.streams[:len(m.streams)-1]
	return last
}

const jobIDsSQL = `SELECT id FROM job WHERE owner_id = $1 AND deleted_at IS NULL
	UNION ALL SELECT j.id FROM job_grant g JOIN job j ON j.id = g.job_id WHERE g.user_id = $1 AND j.deleted_at IS NULL AND j.owner_id <> $1
	LIMIT CAST($2 AS BIGINT)`

// JobIDs returns the ids of jobs that a user owns or has a grant for and that
// are not deleted, limit of them at most.
func (s *Store) JobIDs(ctx context.Context, userID int64, limit int) ([]int64, error) {
	var ids []int64
	err := s.single(ctx, func(t *tx) error {
		ids = nil
		return t.query(jobIDsSQL, func(r row) error {
			ids = append(ids, r.int(0))
			return nil
		}, userID, limit)
	})
	return ids, err
}
