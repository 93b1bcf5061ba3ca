package engine

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// fall takes what has fallen due out of the timetable. A backlog stays there:
// what is taken out is only as much as will be looked at next.
func (e *Engine) fall(now time.Time) {
	if !e.turning || e.stopping {
		return
	}
	for e.due.len() < fetchRows {
		d, ok := e.times.pop(now.UnixMicro())
		if !ok {
			return
		}
		j := e.jobs[d.JobID]
		switch {
		case d.Version == 0: // a parked job's turn
			if j != nil && j.parkedTo == d.At {
				e.overlap(j, now)
			}
		case j == nil:
			e.due.push(d)
		case d.At != j.next || d.Version != j.version || j.parkedTo != 0 || j.reloading:
			// of an earlier reckoning
		case j.flight != nil && j.def != nil && j.def.job.Version == j.version:
			e.overlap(j, now)
		default:
			e.due.push(d)
		}
	}
}

// fill looks up the definitions of what is due, many at once.
func (e *Engine) fill(ctx context.Context, now time.Time) {
	for e.turning && !e.stopping && e.reads.fetching == 0 && e.ready.len() < fetchRows {
		if len(e.stage) == 0 {
			for e.due.len() > 0 && len(e.stage) < fetchRows {
				e.stage = append(e.stage, e.due.pop())
			}
			if len(e.stage) == 0 {
				return
			}
		}
		var missing []int64
		for i, d := range e.stage {
			def := e.cached.get(d.JobID, d.Version)
			if def == nil {
				missing = append(missing, d.JobID)
			} else if missing == nil {
				e.ready.push(ready{d, def, e.tick()})
				e.stage[i].JobID = 0
			}
		}
		if missing != nil {
			e.compactStage()
			if now.Before(e.reads.retryAt) {
				return
			}
			e.fetch(ctx, missing)
			return
		}
		e.stage = e.stage[:0]
	}
}

func (e *Engine) compactStage() {
	kept := e.stage[:0]
	for _, d := range e.stage {
		if d.JobID != 0 {
			kept = append(kept, d)
		}
	}
	e.stage = kept
}

// fetch reads definitions. Those that are of another version than the entry
// wants belong to a job with a change on its way, which will decide about the
// entry's instant.
func (e *Engine) fetch(ctx context.Context, ids []int64) {
	e.reads.fetching = e.tick()
	e.call(func() func(time.Time) {
		jobs, considered, err := e.o.Store.Definitions(ctx, ids, fetchBytes)
		return func(now time.Time) {
			e.reads.fetching = 0
			if err != nil {
				e.unreadable("read definitions", err, now)
				return
			}
			e.fetched(ids[:considered], jobs)
		}
	})
}

func (e *Engine) fetched(asked []int64, jobs []jadwal.Job) {
	found := make(map[int64]*definition, len(asked))
	for _, id := range asked {
		found[id] = nil
	}
	for _, stored := range jobs {
		if j := e.jobs[stored.ID]; j != nil && j.version > stored.Version {
			continue // read before the change that is applied by now
		}
		def, err := compile(stored)
		if err != nil {
			e.log.Error("job cannot be fired: its schedules are not understood", "job", stored.ID, "version", stored.Version, "error", err)
			continue
		}
		found[stored.ID] = def
		e.cached.put(def)
	}
	for i, d := range e.stage {
		def, known := found[d.JobID]
		if !known {
			def = e.cached.get(d.JobID, d.Version)
			if def == nil {
				break
			}
		}
		if def != nil && def.job.Version == d.Version {
			e.ready.push(ready{d, def, e.tick()})
		} else {
			e.reads.news = true
		}
		e.stage[i].JobID = 0
	}
	e.compactStage()
}

// mayStart tells whether another attempt may begin. What is started and not
// recorded is what a crash would repeat, so it is bounded.
func (e *Engine) mayStart(now time.Time) bool {
	return e.turning && !e.stopping && e.inFlight < e.o.InFlight && !e.commits.behind(now)
}

// dispatch decides about what is due, in order, as long as there is room.
func (e *Engine) dispatch(now time.Time) {
	for e.ready.len() > 0 && e.mayStart(now) {
		e.decide(e.ready.pop(), now)
	}
}

func (e *Engine) decide(r ready, now time.Time) {
	j := e.jobs[r.JobID]
	if j == nil {
		j = &job{id: r.JobID, owner: r.OwnerID, version: r.Version, tail: r.At, next: r.At, waiting: true}
		e.jobs[j.id] = j
	}
	if r.Version != j.version || j.reloading {
		return
	}
	j.def = r.def
	if j.kicked && len(j.open) > 0 && r.At == j.open[0].Key.DueAt {
		j.kicked = false
		e.startOpen(j, now)
		return
	}
	if r.At != j.next || j.parkedTo != 0 {
		return
	}
	j.waiting = false
	e.plan(j, now)
}

// plan lets the rules decide about j's due instants, and carries it out.
func (e *Engine) plan(j *job, now time.Time) {
	d := jadwal.Fire(j.def.plan, jadwal.Standing{
		Cursor: instant(j.next),
		Busy:   j.busy(),
		Barred: e.barred(j),
		Since:  e.since,
	}, now)
	if micro(d.Next) == j.next { // the wall clock went back
		e.schedule(j)
		e.rest(j)
		return
	}
	if len(d.Stretches) > 0 {
		if j.flight != nil {
			e.spill(j.flight, now)
		}
		to := d.Start
		if to.IsZero() {
			to = d.Next
		}
		e.record(j, d.Stretches, micro(to), now)
	}
	j.next = micro(d.Next)
	if !d.Start.IsZero() {
		e.launch(&flight{
			job:     j,
			def:     j.def,
			key:     jadwal.RunKey{DueAt: micro(d.Start), JobID: j.id},
			trigger: jadwal.TriggerSchedule,
			attempt: 1,
		}, now)
	} else if j.over() {
		e.outcome(j, now).Complete = true
	}
	e.schedule(j)
}

// overlap decides about the instants that fell due while j's run is running.
// The run itself is stored first, so that at most one instant of a job is only
// in memory. The longer it runs, the more instants share one record.
func (e *Engine) overlap(j *job, now time.Time) {
	j.waiting, j.parkedTo = false, 0
	began := j.flight.began
	e.plan(j, now)
	wake := now.Add(min(now.Sub(began)/8, maxFold)).UnixMicro()
	if j.flight != nil && j.next != 0 && wake > j.next {
		j.waiting, j.parkedTo = true, wake
		e.times.add(jadwal.Due{JobID: j.id, At: wake})
	}
}

// unpark decides about the instants that were parked while a run was running
// that has ended at end: those before it were skipped.
func (e *Engine) unpark(j *job, end, now time.Time) {
	if j.parkedTo == 0 {
		return
	}
	j.waiting, j.parkedTo = false, 0
	if j.def == nil || j.def.job.Version != j.version || !instant(j.next).Before(end) {
		e.schedule(j)
		return
	}
	through := jadwal.Newest(j.def.plan, instant(j.next), end.Add(-time.Microsecond))
	next, _ := j.def.plan.Next(through)
	e.record(j, []jadwal.Stretch{{From: instant(j.next), Through: through, State: jadwal.RunSkipped, Reason: jadwal.ReasonOverlap}}, micro(next), now)
	j.next = micro(next)
	e.schedule(j)
}

// barred tells whether the job's owner has no rights, looked at when it fires.
func (e *Engine) barred(j *job) bool {
	owner, ok := e.o.Store.UserByID(j.owner)
	return !ok || !owner.DisabledAt.IsZero()
}

// startOpen starts the oldest open run of j, or makes the same attempt again
// that an earlier process began.
func (e *Engine) startOpen(j *job, now time.Time) {
	if j.flight != nil || j.def.job.State == jadwal.JobPaused {
		return // it is held
	}
	run := j.open[0]
	again := run.State == jadwal.RunRunning
	if e.barred(j) {
		end := jadwal.Run{State: jadwal.RunSkipped, Reason: jadwal.ReasonOwnerDisabled}
		if again {
			end = jadwal.Run{State: jadwal.RunFailed, Reason: jadwal.ReasonLost, Message: "The server stopped while it ran, and its owner has no rights any more"}
		}
		e.close(j, run, end, now)
		return
	}
	j.open = j.open[1:]
	f := &flight{
		job: j, def: j.def, key: run.Key, trigger: run.Trigger,
		attempt: run.Attempt + 1, started: run.StartedAt, stored: true, row: run.Attempt,
	}
	if again {
		f.attempt, f.redelivery = run.Attempt, true
		e.counters.redelivered.Add(1)
	}
	e.launch(f, now)
}

// close ends the oldest open run of j, which is not running here.
func (e *Engine) close(j *job, run jadwal.OpenRun, end jadwal.Run, now time.Time) {
	j.open = j.open[1:]
	end.Key, end.Version, end.Trigger, end.Attempts = run.Key, run.Version, run.Trigger, run.Attempt
	end.StartedAt, end.FinishedAt = run.StartedAt, now
	o := e.outcome(j, now)
	if !o.unopen(run.Key) {
		o.Closes = append(o.Closes, jadwal.Close{Key: run.Key, Attempt: run.Attempt})
	}
	e.append(o, end)
	o.Complete = j.over()
	e.kick(j)
}

// launch begins an attempt.
func (e *Engine) launch(f *flight, now time.Time) {
	f.began = now
	f.job.flight = f
	e.flights.push(f)
	e.inFlight++
	e.counters.started.Add(1)
	e.metrics.started(f, now)
	ctx, cancel := context.WithCancelCause(e.attempts)
	f.cancel = cancel
	owner, _ := e.o.Store.UserByID(f.job.owner)
	def := &f.def.job.Definition
	timeout := time.Duration(def.Timeout)
	if timeout <= 0 {
		timeout = jadwal.DefaultTimeout
	}
	call := target.Call{
		Key: f.key, Attempt: f.attempt, DueAt: instant(f.key.DueAt), Job: *def, Version: f.def.job.Version, JobID: f.job.id,
		Epoch: e.epoch, Limited: f.def.job.EgressLimited || !owner.IsSuperuser, Redelivery: f.redelivery, Timeout: timeout,
	}
	go func() { e.results <- result{f, e.o.Target.Do(ctx, call)} }()
}

// instant is a time of Unix microseconds; 0: none.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// micro is the inverse of instant.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
