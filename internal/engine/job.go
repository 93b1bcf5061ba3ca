package engine

import (
	"context"
	"slices"
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

	tail    int64
	next    int64 // the first planned instant that is not decided; 0: none
	due     int64 // when next is to start, if its jitter is known; else 0
	started int   // planned instants that started or were queued
	def     *definition
	flights []*flight        // the runs that are running
	open    []jadwal.OpenRun // runs that are to start, or to start again, oldest first
	early   []jadwal.RunKey  // runs that were asked for and read with all others: the changes that tell of them may come yet

	out       *step // outcomes that no batch has taken yet
	sent      *step // those that are in the batch on its way
	waiting   bool  // next has an entry in the timetable or behind it, or parkedTo is set
	kicked    bool  // one of open has an entry on its way to dispatch
	wakeAt    int64 // when one of open will be ready to start; 0: no entry says so
	parkedTo  int64 // when the instants that a long run skips are decided next; 0: they are not parked
	young     bool  // its version is not stored yet: see fall
	reloading bool  // the store is asked where it stands; nothing happens until then
	leftOpen  bool  // its shard leaves, and it has open runs, which are for the next owner and not in open
	until     int64 // nothing starts before this version is in force: see pausing
	asked     *step // it is asked because of this one, which may be stored: out is in no queue until then

	pinned  int64 // not forgotten before: entries of an earlier reckoning may be about
	resting bool  // in the queue of those that may be forgotten
	stamp   int64 // when it came to rest
}

// pausing tells whether j may be about to be paused for its failures. Nothing of
// it starts then: neither while an outcome is on its way with which the store
// may pause it, nor, when it has, before the version that does so is in force,
// whatever changes come before that one. After a reload, which may have come
// instead of an answer, the latest version is taken for that one.
func (j *job) pausing() bool {
	return j.until > j.version || j.sent.mayPause() || j.out.mayPause()
}

// busy tells whether a run is unfinished.
func (j *job) busy() bool { return len(j.flights) > 0 || len(j.open) > 0 }

// running counts the runs that run or have begun.
func (j *job) running() int {
	n := len(j.flights)
	for _, r := range j.open {
		if r.Begun() {
			n++
		}
	}
	return n
}

// oldestAsked is when somebody asked for the oldest run that has not begun; zero:
// there is none, or one that somebody asked for has begun and is unfinished.
func (j *job) oldestAsked() (at time.Time) {
	for _, f := range j.flights {
		if f.trigger != jadwal.TriggerSchedule {
			return time.Time{}
		}
	}
	for _, r := range slices.Backward(j.open) {
		switch {
		case r.Trigger == jadwal.TriggerSchedule:
		case r.Begun():
			return time.Time{}
		default:
			at = instant(r.Key.DueAt)
		}
	}
	return at
}

// current tells whether j's definition is known and that of its version.
func (j *job) current() bool { return j.def != nil && j.def.job.Version == j.version }

// unstored returns the run in flight that is only in memory: the predecessor
// rule lets there be one at most. Nil: there is none.
func (j *job) unstored() *flight {
	for _, f := range j.flights {
		if !f.stored {
			return f
		}
	}
	return nil
}

// since returns when the oldest of what is unfinished began; now when nothing
// has.
func (j *job) since(now time.Time) time.Time {
	for _, f := range j.flights {
		if f.began.Before(now) {
			now = f.began
		}
	}
	for _, r := range j.open {
		if r.Begun() && r.StartedAt.Before(now) {
			now = r.StartedAt
		}
	}
	return now
}

// insert adds an open run that is not running here, in its place.
func (j *job) insert(r jadwal.OpenRun) {
	i := 0
	for i < len(j.open) && before(j.open[i].Key, r.Key) {
		i++
	}
	j.open = slices.Insert(j.open, i, r)
}

func before(a, b jadwal.RunKey) bool {
	return a.DueAt < b.DueAt || a.DueAt == b.DueAt && a.N < b.N
}

// take removes an open run.
func (j *job) take(key jadwal.RunKey) {
	j.open = slices.DeleteFunc(j.open, func(r jadwal.OpenRun) bool { return r.Key == key })
}

// startable returns the open run that is to start next: first what a former
// process had begun, then what waits for another attempt, then, while there is
// room, what has not begun; each the oldest first. Runs that are held, or not
// ready, stay. When none is to start, wake is when the first will be ready;
// zero: an event will tell.
//
// While the definition is not known, whatever one could let start is to start:
// then it is looked up.
func (j *job) startable(now time.Time) (run jadwal.OpenRun, ok bool, wake time.Time) {
	room := true
	state, version := jadwal.JobEnabled, int64(0)
	if j.current() {
		room, state, version = j.running() < j.def.rules.Slots, j.def.job.State, j.version
	}
	best := 3
	for _, r := range j.open {
		rank := 2
		switch {
		case r.State == jadwal.RunRunning:
			rank = 0
		case r.Begun():
			rank = 1
		case !room:
			continue
		}
		switch {
		case r.HeldBy(state, version):
		case r.ReadyAt.After(now):
			if wake.IsZero() || r.ReadyAt.Before(wake) {
				wake = r.ReadyAt
			}
		case rank < best:
			run, ok, best = r, true, rank
		}
	}
	return run, ok, wake
}

// atRest tells whether the store knows all that there is to know of j, and no
// entry is about that only j can tell from one of its cursor.
func (j *job) atRest() bool {
	return !j.busy() && j.out == nil && j.sent == nil && !j.reloading && !j.kicked && !j.pausing()
}

// over tells whether the job will never do anything again by itself.
func (j *job) over() bool {
	return j.current() && j.next == 0 && !j.busy() && !j.leftOpen && j.def.job.State == jadwal.JobEnabled && len(j.def.job.Definition.Schedules) > 0
}

// A flight is one attempt in progress.
type flight struct {
	job        *job
	def        *definition
	key        jadwal.RunKey
	trigger    jadwal.Trigger
	ready      time.Time // when it was to start
	retryOf    jadwal.RunKey
	attempt    int
	started    time.Time // of the run's first attempt
	began      time.Time
	owner      int64 // who has the slot
	host       *host
	redelivery bool
	stored     bool // it is an open run, with the attempt row as the latest that was written
	row        int
	ended      bool
	result     *result // it came while the job was reloading
	cancel     context.CancelCauseFunc
}

// running is the open run of f.
func (f *flight) running() jadwal.OpenRun {
	return jadwal.OpenRun{
		Key:       f.key,
		Version:   f.def.job.Version,
		State:     jadwal.RunRunning,
		Trigger:   f.trigger,
		Attempt:   f.attempt,
		ReadyAt:   f.ready,
		StartedAt: f.started,
		RetryOf:   f.retryOf,
	}
}

// rowState is the state of f's stored open run: it waits there until its
// attempt is stored as running.
func (f *flight) rowState() jadwal.RunState {
	if f.row == f.attempt {
		return jadwal.RunRunning
	}
	return jadwal.RunQueued
}

type result struct {
	flight *flight
	target.Result
}

// A staged entry is due and has a slot promised. from is the host that it was
// parked at before; nil: none.
type staged struct {
	jadwal.Due
	from *host
}

// A ready entry is staged and has its definition.
type ready struct {
	staged
	def   *definition
	stamp int64
}

// adopt takes in a job as the store knows it.
func (e *Engine) adopt(c jadwal.Cursor, now time.Time) *job {
	j := &job{id: c.JobID, owner: c.OwnerID, version: c.Version, tail: c.NextAt, next: c.NextAt, started: c.Started, open: c.Open}
	e.jobs[j.id] = j
	j.anticipate()
	e.kick(j, now)
	return j
}

// anticipate notes which of the open runs that were just read somebody asked
// for. By the time that their changes come they may be running, or have ended.
func (j *job) anticipate() {
	j.early = nil
	for _, r := range j.open {
		if r.Key.N > 0 {
			j.early = append(j.early, r.Key)
		}
	}
}

// schedule puts j's next instant into the timetable, unless it is there or a
// later window will bring it.
func (e *Engine) schedule(j *job) {
	if j.next == 0 || j.waiting || j.next >= e.reads.loadedTo || !e.shards.held.HasJob(j.id) {
		return
	}
	j.waiting = true
	e.times.add(jadwal.Due{JobID: j.id, OwnerID: j.owner, At: max(j.next, j.due), Version: j.version})
}

// forOpen is the instant of an entry that stands for a job's open runs. It may
// outlive them, and the job in memory: were it the run's, it would be taken for
// a planned instant then.
const forOpen = 0

// kick sends the open run that is to start next on its way, or has the
// timetable call when one is ready.
func (e *Engine) kick(j *job, now time.Time) {
	if len(j.open) == 0 || j.kicked || j.reloading || !e.shards.held.HasJob(j.id) {
		return
	}
	_, ok, wake := j.startable(now)
	switch {
	case ok:
		j.kicked = true
		e.due.push(jadwal.Due{JobID: j.id, OwnerID: j.owner, At: forOpen, Version: j.version})
	case !wake.IsZero() && (j.wakeAt == 0 || wake.UnixMicro() < j.wakeAt):
		j.wakeAt = wake.UnixMicro()
		e.times.add(jadwal.Due{JobID: j.id, At: j.wakeAt})
	}
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
			if d := e.cached.get(j.id, j.version); d != nil {
				d.job.Started = j.started // an edit may bring a limit
			}
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
	return (!ok || next > at) && e.due.len()+len(e.stage)+e.ready.len()+e.hosts.parked == 0
}
