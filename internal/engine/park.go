package engine

import (
	"time"

	"github.com/teknohole/jadwal"
)

// full tells whether what falls due of j now is skipped for certain.
func (e *Engine) full(j *job, now time.Time) bool {
	if !j.busy() || !j.current() || j.def.job.State != jadwal.JobEnabled {
		return false
	}
	_, full := j.def.rules.Full(e.standing(j, now))
	return full
}

// turnOf is called by the timetable for a job that is parked, or one of whose
// open runs is ready now.
func (e *Engine) turnOf(j *job, at int64, now time.Time) {
	if j == nil || j.reloading {
		return
	}
	if j.wakeAt == at {
		j.wakeAt = 0
		e.kick(j, now)
	}
	if j.parkedTo != at {
		return
	}
	if e.full(j, now) {
		e.overlap(j, now)
	} else {
		j.waiting, j.parkedTo = false, 0
		e.schedule(j)
	}
}

// overlap decides about the instants that fell due while j was full. The
// longer that lasts, the more instants share one record.
func (e *Engine) overlap(j *job, now time.Time) {
	j.waiting, j.parkedTo = true, 0 // the next one gets its entry here, and no other
	wake := now.Add(min(now.Sub(j.since(now))/8, maxFold)).UnixMicro()
	e.plan(j, now)
	if j.next != 0 && wake > max(j.next, j.due) && e.full(j, now) {
		j.parkedTo = wake
		e.times.add(jadwal.Due{JobID: j.id, At: wake})
		return
	}
	j.waiting = false
	e.schedule(j)
}

// unpark decides about the instants that were parked while j was full, which
// ended at end: those before it were skipped for that reason.
func (e *Engine) unpark(j *job, reason jadwal.Reason, end, now time.Time) {
	if j.parkedTo == 0 || e.full(j, now) {
		return
	}
	j.waiting, j.parkedTo = false, 0
	if !j.current() || !j.def.rules.DueAt(instant(j.next)).Before(end) {
		e.schedule(j)
		return
	}
	rules := &j.def.rules
	through := rules.Newest(instant(j.next), end.Add(-time.Microsecond))
	next, _ := rules.Plan.Next(through)
	skipped := jadwal.Stretch{From: instant(j.next), Through: through, State: jadwal.RunSkipped, Reason: reason}
	if f := j.unstored(); f != nil {
		e.spill(f, now)
	}
	o := e.outcome(j, now)
	e.append(o, skipped.Record(j.id, j.version, now))
	j.next, j.due = micro(next), 0
	o.Next, j.tail = j.next, j.next
	e.schedule(j)
}
