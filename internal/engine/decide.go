package engine

import (
	"slices"
	"time"

	"github.com/teknohole/jadwal"
)

func (e *Engine) decide(r ready, now time.Time) {
	j := e.jobs[r.JobID]
	if r.At == forOpen && (j == nil || !j.kicked) {
		return
	}
	if j == nil {
		// What is due of a job with jitter names its start, which comes before
		// the next instant.
		at := r.At
		if last, ok := r.def.rules.Plan.Prev(instant(at + 1000)); ok && r.def.rules.Jitter > 0 {
			at = micro(last)
		}
		j = &job{id: r.JobID, owner: r.OwnerID, version: r.Version, tail: at, next: at, due: r.At, started: r.def.job.Started, waiting: true}
		e.jobs[j.id] = j
	}
	if r.Version != j.version || j.reloading {
		return
	}
	j.def = r.def
	if r.At == forOpen {
		if j.kicked = false; !j.pausing() {
			e.startOpen(j, now)
		}
		return
	}
	if r.At != j.next && r.At != j.due || j.parkedTo != 0 {
		return
	}
	if j.waiting = false; !j.pausing() {
		e.plan(j, now)
	}
}

// standing is where j stands now.
func (e *Engine) standing(j *job, now time.Time) jadwal.Standing {
	running := j.running()
	return jadwal.Standing{
		Cursor:  instant(j.next),
		Running: running,
		Queued:  len(j.flights) + len(j.open) - running,
		Asked:   j.oldestAsked(),
		Started: j.started,
		Barred:  e.barred(j.owner),
		UsedUp:  e.usedUp(j, now),
		Since:   e.shards.term[jadwal.ShardOf(j.id)].since,
		Jump:    e.clock.last,
	}
}

// plan lets the rules decide about j's due instants, and carries it out.
func (e *Engine) plan(j *job, now time.Time) {
	d := j.def.rules.Fire(e.standing(j, now), now)
	if d.Through.IsZero() && micro(d.Next) == j.next { // its jitter is not over, or the wall clock went back
		j.due = micro(j.def.rules.DueAt(d.Next))
		e.schedule(j)
		e.rest(j)
		return
	}
	if d.Replace {
		e.replace(j, now)
	}
	if f := j.unstored(); f != nil {
		e.spill(f, now)
	}
	for _, s := range e.rested(j.def, d.Stretches, now) {
		e.append(e.outcome(j, now), s.Record(j.id, j.version, now))
	}
	for _, at := range d.Queue {
		e.queue(j, heldRun(j, at, j.def.rules.DueAt(at), j.version), now)
	}
	j.next, j.due = micro(d.Next), 0
	to := j.next
	if !d.Start.IsZero() {
		to = micro(d.Start)
	}
	if j.tail != to {
		o := e.outcome(j, now)
		o.Next, j.tail = to, to
	}
	if !d.Start.IsZero() {
		j.started++
		e.fired(j, now)
		e.launch(&flight{
			job:     j,
			def:     j.def,
			key:     jadwal.RunKey{DueAt: micro(d.Start), JobID: j.id},
			trigger: jadwal.TriggerSchedule,
			ready:   j.def.rules.DueAt(d.Start),
			attempt: 1,
		}, now)
	} else {
		e.finish(j, now)
	}
	e.schedule(j)
	e.kick(j, now)
}

// queue stores a planned instant as an open run that has not begun.
func (e *Engine) queue(j *job, r jadwal.OpenRun, now time.Time) {
	o := e.outcome(j, now)
	o.Opens = append(o.Opens, r)
	o.Started++
	j.started++
	e.fired(j, now)
	j.insert(r)
}

// replace ends what is unfinished of j because a newer instant takes its
// place. What somebody asked for, and has not begun, goes on waiting: see
// jadwal.Standing.Asked for its turn.
func (e *Engine) replace(j *job, now time.Time) {
	for _, f := range slices.Clone(j.flights) {
		e.cancel(f, jadwal.ReasonReplaced, now)
	}
	for _, r := range slices.Clone(j.open) {
		if r.Begun() || r.Trigger == jadwal.TriggerSchedule {
			e.close(j, r, jadwal.Run{State: jadwal.RunCancelled, Reason: jadwal.ReasonReplaced, Message: "A newer run took its place"}, now)
		}
	}
}

// finish asks for the job's end when there is nothing left of it.
func (e *Engine) finish(j *job, now time.Time) {
	switch over := j.over(); {
	case over:
		o := e.outcome(j, now)
		o.Complete, o.Remove = true, j.def.job.Definition.AfterCompletion == jadwal.CompletionDelete
	case j.out != nil:
		j.out.Complete = false
	}
}

// rested gives what was missed while the target's host did not answer that
// reason.
func (e *Engine) rested(def *definition, stretches []jadwal.Stretch, now time.Time) []jadwal.Stretch {
	if from, to, ok := e.hosts.rest(def.host, now); ok {
		return jadwal.Rested(def.rules.Plan, stretches, from, to)
	}
	return stretches
}

// barred tells whether an owner has no rights, looked at when a job fires.
func (e *Engine) barred(ownerID int64) bool {
	owner, ok := e.o.Store.UserByID(ownerID)
	return !ok || !owner.DisabledAt.IsZero()
}

// usedUp tells whether the job's owner has started as many planned instants as
// one may in a minute. What a superuser owns is not counted.
func (e *Engine) usedUp(j *job, now time.Time) bool {
	return e.fires != nil && e.fires.Left(j.owner, now).Left == 0 && e.counts(j)
}

// fired counts a planned instant of j that starts, or is queued.
func (e *Engine) fired(j *job, now time.Time) {
	if e.fires != nil && e.counts(j) {
		e.fires.Count(j.owner, 1, now)
	}
}

// counts tells whether what j starts counts against a quota.
func (e *Engine) counts(j *job) bool {
	owner, ok := e.o.Store.UserByID(j.owner)
	return ok && !owner.IsSuperuser
}

// startOpen starts the open run of j that is to start next, or makes the same
// attempt again that an earlier process began.
func (e *Engine) startOpen(j *job, now time.Time) {
	run, ok, _ := j.startable(now)
	if !ok {
		e.kick(j, now)
		e.rest(j)
		return
	}
	again := run.State == jadwal.RunRunning
	if e.barred(j.owner) {
		end := jadwal.Run{State: jadwal.RunSkipped, Reason: jadwal.ReasonOwnerDisabled}
		switch {
		case again:
			end = jadwal.Run{State: jadwal.RunFailed, Reason: jadwal.ReasonLost, Message: "The server stopped while it ran, and its owner has no rights any more"}
		case run.Begun():
			end = jadwal.Run{State: jadwal.RunCancelled, Reason: jadwal.ReasonOwnerDisabled, Message: "Its owner has no rights any more, so it is not attempted again"}
		}
		e.close(j, run, end, now)
		e.outcome(j, now).ends(end.State, j.def)
		e.after(j, now, now)
		return
	}
	reason, full := j.def.rules.Full(e.standing(j, now))
	j.take(run.Key)
	f := &flight{
		job: j, def: j.def, key: run.Key, trigger: run.Trigger, ready: run.ReadyAt, retryOf: run.RetryOf,
		attempt: run.Attempt + 1, started: run.StartedAt, stored: true, row: run.Attempt,
	}
	if run.Begun() {
		f.ready = j.def.rules.DueAt(instant(run.Key.DueAt))
		if run.Key.N != 0 {
			f.ready = instant(run.Key.DueAt)
		}
	}
	if again {
		f.attempt, f.redelivery = run.Attempt, true
		e.counters.redelivered.Add(1)
	}
	e.launch(f, now)
	if full {
		e.unpark(j, reason, now, now)
	}
	e.kick(j, now)
}

// after does what may have become possible since something of j ended.
func (e *Engine) after(j *job, end, now time.Time) {
	if j.parkedTo != 0 {
		reason := jadwal.ReasonOverlap
		if j.current() && (j.def.rules.Overlap == jadwal.OverlapQueueOne || j.def.rules.Overlap == jadwal.OverlapQueueAll) {
			reason = jadwal.ReasonQueueFull
		}
		e.unpark(j, reason, end, now)
	}
	e.finish(j, now)
	e.kick(j, now)
}

// close ends an open run of j that is not running here.
func (e *Engine) close(j *job, run jadwal.OpenRun, end jadwal.Run, now time.Time) {
	j.take(run.Key)
	end.Key, end.Version, end.Trigger, end.Attempts, end.RetryOf = run.Key, run.Version, run.Trigger, run.Attempt, run.RetryOf
	end.StartedAt, end.FinishedAt = run.StartedAt, now
	o := e.outcome(j, now)
	if !o.unopen(run.Key) {
		o.Closes = append(o.Closes, o.unbegin(jadwal.Close{Key: run.Key, Attempt: run.Attempt, State: run.State}))
	}
	e.append(o, end)
}
