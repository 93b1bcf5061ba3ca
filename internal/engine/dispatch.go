package engine

import (
	"context"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// fall takes what has fallen due out of the timetable, so that it takes its
// turn among what else is due. Of a great backlog it takes a part: the next
// turn comes at once.
//
// What a version plans waits until the version is stored: a crash before that
// would have it begin later, and what was started would be an instant of none.
func (e *Engine) fall(now time.Time) {
	if !e.turning || e.stopping || e.clock.doubtful() {
		return
	}
	for range fallRows {
		d, ok := e.times.pop(now.UnixMicro())
		if !ok {
			return
		}
		j := e.jobs[d.JobID]
		switch {
		case d.Version == 0: // a parked job's turn, or that of an open run
			e.turnOf(j, d.At, now)
		case j == nil:
			e.due.push(d)
		case d.At != j.next && d.At != j.due || d.Version != j.version || j.parkedTo != 0 || j.reloading:
			// of an earlier reckoning
		case j.young:
			j.waiting = false // it gets another entry then
		case e.full(j, now):
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
			if e.promise(now); len(e.stage) == 0 {
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

// promise gives slots to what is next: in turn to what waited for a host that
// has room again and to what has fallen due, fairly among owners.
func (e *Engine) promise(now time.Time) {
	for len(e.stage) < fetchRows {
		h, d, waited := e.hosts.next(now, e.slots.admits)
		if waited {
			e.slots.take(d.OwnerID)
			e.stage = append(e.stage, staged{d, h})
		}
		d, fell := e.due.pop(e.slots.admits)
		if fell {
			e.slots.take(d.OwnerID)
			e.stage = append(e.stage, staged{d, nil})
		}
		if !waited && !fell {
			return
		}
	}
}

// back takes back what was promised to an entry.
func (e *Engine) back(s staged) {
	e.slots.give(s.OwnerID)
	e.hosts.arrived(s.from)
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
			e.back(d)
		}
		e.stage[i].JobID = 0
	}
	e.compactStage()
}

// mayStart tells whether another attempt may begin. What is started and not
// recorded is what a crash would repeat, so it is bounded.
func (e *Engine) mayStart(now time.Time) bool {
	return e.turning && !e.stopping && !e.clock.doubtful() && e.inFlight < e.o.InFlight && !e.commits.behind(now) && !e.mistrusted()
}

// dispatch decides about what is due, in order, as long as there is room. What
// its host has no room for is parked, unless it is skipped and starts nothing.
// It returns whether there was anything.
func (e *Engine) dispatch(now time.Time) bool {
	any := false
	for e.ready.len() > 0 && e.mayStart(now) {
		r := e.ready.pop()
		e.back(r.staged)
		j := e.jobs[r.JobID]
		if e.skips(j, r, now) || e.hosts.admit(r.def.host, r.Due, r.from, now) {
			e.decide(r, now)
		}
		any = true
	}
	return any
}

// skips tells whether nothing of an entry starts: its owner has no rights, or it
// is the next instant of a job that is full.
func (e *Engine) skips(j *job, r ready, now time.Time) bool {
	return e.barred(r.OwnerID) || j != nil && r.At != forOpen && e.full(j, now)
}

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

// launch begins an attempt.
func (e *Engine) launch(f *flight, now time.Time) {
	f.began = now
	if f.started.IsZero() {
		f.started = now
	}
	f.job.flights = append(f.job.flights, f)
	e.flights.push(f)
	f.owner, f.host = f.job.owner, e.hosts.begin(f.def.host, now)
	e.slots.take(f.owner)
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
		Key: f.key, Attempt: f.attempt, DueAt: instant(f.key.DueAt), Job: def, Version: f.def.job.Version, JobID: f.job.id,
		Epoch: e.shards.term[jadwal.ShardOf(f.job.id)].epoch, Redelivery: f.redelivery, Timeout: timeout,
		Limited: f.def.job.EgressLimited || !owner.IsSuperuser, Inherited: f.def.job.EgressLimited && owner.IsSuperuser,
		Signer: e.o.Store.Signer(f.job.id, f.job.owner), OwnerID: f.job.owner, Templates: f.def.templates,
	}
	if len(def.Target.Secrets) > 0 {
		call.Secrets = e.o.Store.OpenSecrets
	}
	a := attempt{f, ctx, call}
	select {
	case e.spare <- a:
	default:
		go e.makeAttempts(a)
	}
}

// An attempt is what a goroutine needs to make one.
type attempt struct {
	flight *flight
	ctx    context.Context
	call   target.Call
}

// makeAttempts makes an attempt, and then those that launch hands over, since a
// goroutine whose stack has grown to what a call needs is worth keeping.
func (e *Engine) makeAttempts(a attempt) {
	for {
		e.results <- result{a.flight, e.o.Target.Do(a.ctx, a.call)}
		a = attempt{} // so that nothing of it is kept while this one waits
		if e.spares.Add(1) > maxSpares {
			e.spares.Add(-1)
			return
		}
		select {
		case a = <-e.spare:
			e.spares.Add(-1)
		case <-e.attempts.Done():
			return
		}
	}
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
