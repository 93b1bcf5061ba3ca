package engine

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// A job is what the engine knows of one while something of it is in flight,
// open, or not yet committed. All others are entries in the timetable.
//
// Its outcomes leave in order. tail is where its cursor will stand in the
// store when all of them are recorded: at the instant in flight while that one
// is only in memory, else at next.
type job struct {
	id, owner, version int64

	tail   int64
	next   int64 // the first planned instant that is not decided; 0: none
	def    *definition
	flight *flight          // the run that is running
	open   []jadwal.OpenRun // runs that are to start, or to start again, oldest first

	out       *step // outcomes that no batch has taken yet
	sent      bool  // one more is in the batch on its way
	waiting   bool  // next has an entry in the timetable or behind it, or parkedTo is set
	kicked    bool  // the head of open has an entry on its way to dispatch
	parkedTo  int64 // when the instants that a long run skips are decided next; 0: they are not parked
	reloading bool  // the store is asked where it stands; nothing happens until then

	pinned  int64 // not forgotten before: entries of an earlier reckoning may be about
	resting bool  // in the queue of those that may be forgotten
	stamp   int64 // when it came to rest
}

// busy tells whether a run is unfinished, so that overlap matters.
func (j *job) busy() bool { return j.flight != nil || len(j.open) > 0 }

// atRest tells whether the store knows all that there is to know of j.
func (j *job) atRest() bool {
	return !j.busy() && j.out == nil && !j.sent && !j.reloading
}

// over tells whether the job will never do anything again by itself.
func (j *job) over() bool {
	d := j.def
	return j.next == 0 && !j.busy() && d != nil && d.job.Version == j.version &&
		d.job.State == jadwal.JobEnabled && len(d.job.Definition.Schedules) > 0
}

// A flight is one attempt in progress.
type flight struct {
	job        *job
	def        *definition
	key        jadwal.RunKey
	trigger    jadwal.Trigger
	attempt    int
	started    time.Time // of the run's first attempt, when an earlier one began it; else zero
	began      time.Time
	redelivery bool
	stored     bool // it is an open run, with the attempt row as the latest that was written
	row        int
	ended      bool
	result     *result // it came while the job was reloading
	cancel     context.CancelCauseFunc
}

// running is the open run of f.
func (f *flight) running() jadwal.OpenRun {
	started := f.started
	if started.IsZero() {
		started = f.began
	}
	return jadwal.OpenRun{
		Key:       f.key,
		Version:   f.def.job.Version,
		State:     jadwal.RunRunning,
		Trigger:   f.trigger,
		Attempt:   f.attempt,
		ReadyAt:   time.UnixMicro(f.key.DueAt).UTC(),
		StartedAt: started,
	}
}

type result struct {
	flight *flight
	target.Result
}

// A ready entry is due and has its definition.
type ready struct {
	jadwal.Due
	def   *definition
	stamp int64
}

// adopt takes in a job as the store knows it.
func (e *Engine) adopt(c jadwal.Cursor) *job {
	j := &job{id: c.JobID, owner: c.OwnerID, version: c.Version, tail: c.NextAt, next: c.NextAt, open: c.Open}
	e.jobs[j.id] = j
	e.kick(j)
	return j
}

// schedule puts j's next instant into the timetable, unless it is there or a
// later window will bring it.
func (e *Engine) schedule(j *job) {
	if j.next == 0 || j.waiting || j.next >= e.reads.loadedTo {
		return
	}
	j.waiting = true
	e.times.add(jadwal.Due{JobID: j.id, OwnerID: j.owner, At: j.next, Version: j.version})
}

// kick sends the oldest open run that does not run on its way.
func (e *Engine) kick(j *job) {
	if len(j.open) == 0 || j.flight != nil || j.kicked || j.reloading {
		return
	}
	if j.def != nil && j.def.job.State == jadwal.JobPaused {
		return
	}
	j.kicked = true
	e.due.push(jadwal.Due{JobID: j.id, OwnerID: j.owner, At: j.open[0].Key.DueAt, Version: j.version})
}

// tick counts what must be ordered: reads, resolved entries, jobs at rest.
func (e *Engine) tick() int64 {
	e.reads.ticks++
	return e.reads.ticks
}

// rest marks j as one that may be forgotten, when it is.
func (e *Engine) rest(j *job) {
	if !j.atRest() {
		return
	}
	j.stamp = e.tick()
	if !j.resting {
		j.resting = true
		e.idle.push(j)
	}
}

// forget drops jobs at rest. Whatever was read or resolved before a job came
// to rest may hold an older reckoning of it, so it stays until that has been
// dealt with.
func (e *Engine) forget() {
	oldest := e.reads.oldest()
	if e.ready.len() > 0 {
		oldest = min(oldest, e.ready.at(0).stamp)
	}
	for n := e.idle.len(); n > 0; n-- {
		j := e.idle.at(0)
		if j.atRest() && j.stamp > oldest {
			break
		}
		e.idle.pop()
		j.resting = false
		switch {
		case !j.atRest():
		case j.pinned != 0 && !e.past(j.pinned):
			e.rest(j)
		case e.jobs[j.id] == j:
			delete(e.jobs, j.id)
		}
	}
	for e.flights.len() > 0 && e.flights.at(0).ended {
		e.flights.pop()
	}
}

// past tells whether no entry that was made before at is left anywhere.
func (e *Engine) past(at int64) bool {
	next, ok := e.times.next()
	return (!ok || next > at) && e.due.len()+len(e.stage)+e.ready.len() == 0
}
