package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
)

// change makes version v the one in force: what was due of the one before is
// settled, and what would have started under it runs under the new one.
func (m *model) change(j *modelJob, v int64, state jadwal.JobState, rules *modelRules, catchup jadwal.Catchup) {
	m.settle(j, catchup)
	for _, r := range j.runs {
		if r.state == jadwal.RunQueued && !r.kept {
			r.version = v
			r.keep()
		}
	}
	j.version, j.state, j.from, j.next = v, state, m.now, 0
	if rules != nil {
		j.rules, j.label = *rules, labelOf(j.index, v)
	}
	j.of[v] = j.rules
	if state == jadwal.JobEnabled && (j.rules.maxRuns == 0 || j.started < j.rules.maxRuns) {
		j.next = j.rules.after(m.now)
	}
	m.kick(j)
}

// labelOf is the name of a job since version v.
func labelOf(index int, v int64) string { return fmt.Sprintf("j%d.v%d", index, v) }

// settle ends the version in force.
func (m *model) settle(j *modelJob, catchup jadwal.Catchup) {
	j.keep(true)
	switch j.state {
	case jadwal.JobEnabled:
		m.decide(j, true)
	case jadwal.JobPaused:
		m.settlePause(j, catchup)
	}
}

// settlePause skips what a pause lasted through, but for what its end makes up
// for.
func (m *model) settlePause(j *modelJob, catchup jadwal.Catchup) {
	limit := map[jadwal.Catchup]int{jadwal.CatchupLatest: 1, jadwal.CatchupAll: jadwal.MaxCatchup}[catchup]
	if j.rules.maxRuns > 0 {
		limit = max(0, min(limit, j.rules.maxRuns-j.started))
	}
	for at := m.now / j.rules.period * j.rules.period; at > j.from; at -= j.rules.period {
		if limit > 0 {
			limit--
			j.started++
			j.put(&modelRun{due: at, state: jadwal.RunQueued, ready: at, version: j.version})
			continue
		}
		j.put(&modelRun{due: at, state: jadwal.RunSkipped, reason: jadwal.ReasonPaused, version: j.version})
	}
}

// remove deletes a job.
func (m *model) remove(j *modelJob) {
	j.rules.maxRuns = 0 // none of what is due starts
	m.settle(j, jadwal.CatchupNone)
	for _, r := range j.runs {
		if !r.final() {
			r.over(jadwal.RunCancelled, jadwal.ReasonJobDeleted)
		}
	}
	j.next, j.state, j.deleted = 0, jadwal.JobCompleted, true
}

// cancel ends a run that somebody does not want any more.
func (m *model) cancel(j *modelJob, r *modelRun) {
	if !r.final() {
		r.over(jadwal.RunCancelled, jadwal.ReasonRequested)
	}
	m.kick(j)
}

// bar takes the owners' rights, or gives them back. cursors tells what is not
// recorded yet: of that either may be the reason.
func (m *model) bar(barred bool, cursors map[int64]time.Duration) {
	m.barred = barred
	for _, j := range m.sharp() {
		for _, r := range j.runs {
			r.loose = r.loose || r.lazy && r.due >= cursors[j.id]
		}
	}
}

// asks adds a run that somebody asked for, under the version of then.
func (m *model) asks(j *modelJob, due time.Duration, n uint16) {
	r := j.put(&modelRun{due: due, n: n, state: jadwal.RunQueued, version: j.stored, ready: due})
	r.keep()
	m.kick(j)
}

// vanish ends the server: what it held in memory alone is as if it had never
// been. cursors tells the first instant of each job that is not recorded.
func (m *model) vanish(cursors map[int64]time.Duration) (lost []string) {
	m.up, m.stopping = false, false
	for _, j := range m.sharp() {
		cursor := cursors[j.id]
		j.runs = slices.DeleteFunc(j.runs, func(r *modelRun) bool {
			if r.flying && m.now-r.began >= time.Second {
				r.keep()
			}
			if r.n != 0 || cursor == 0 || r.due < cursor {
				return false
			}
			switch {
			case r.flying && !r.kept:
				j.started--
			case !r.lazy:
				lost = append(lost, fmt.Sprintf("%s of job %d, which was %s", offset(r.due), j.id, r.state))
			}
			return true
		})
		for _, r := range j.runs {
			if r.flying {
				if !r.kept {
					lost = append(lost, fmt.Sprintf("%s of job %d, which is in no table", offset(r.due), j.id))
				}
				r.flying = false
				r.state, r.attempts, r.version, r.ready = r.row.state, r.row.attempts, r.row.version, r.row.ready
				r.redeliver = r.state == jadwal.RunRunning
			}
		}
		if cursor != 0 && j.state == jadwal.JobEnabled {
			j.next = cursor
		}
	}
	return lost
}

// arrive begins a server: first it carries out what was asked for meanwhile,
// then it goes on with what was interrupted, then with what is due.
func (m *model) arrive() {
	m.up, m.since = true, m.now
	m.stopping = true // nothing starts before all changes are applied
	for _, j := range m.sharp() {
		for _, f := range j.pending {
			f()
		}
		j.pending = nil
	}
	m.stopping = false
	for _, j := range m.sharp() {
		j.touched = m.now
		due := j.next != 0 && j.next <= m.now
		switch j.rules.overlap {
		case jadwal.OverlapCancelRunning: // what goes on may be replaced before it is sent
			j.blurred = due && j.running()+j.queued() > 0
		case jadwal.OverlapAllow: // what is due may be queued behind what waits, or start beside it
			j.blurred = due && j.queued() > 0
		}
		m.kick(j)
		if j.next != 0 && j.next <= m.now {
			m.decide(j, false)
		}
	}
}
