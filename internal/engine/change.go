package engine

import (
	"slices"
	"time"

	"github.com/teknohole/jadwal"
)

// apply carries out a change: it settles the version in force up to now, moves
// what is in flight to where the store sees it, and sets the cursor from the
// new version, all in one outcome. Only when that is recorded does the API
// answer.
//
// A running attempt goes on after an edit and a pause, as an open run of its
// own version; a deleted job's is cancelled. A run that was due but had not
// started is queued under the new version; a pause holds it, a delete cancels
// it. So does a pause hold a run that a former process had begun: making its
// attempt again would be a start.
//
// It returns false when the change has to wait: the next poll brings it again.
func (e *Engine) apply(p jadwal.PendingChange, now time.Time) bool {
	j := e.jobs[p.JobID]
	if j == nil {
		j = e.adopt(p.Cursor, now)
		if p.Kind == jadwal.ChangeRun || p.Kind == jadwal.ChangeCancel {
			j.pinned = e.reads.loadedTo // its entry is still about, and as good as before
		}
	}
	if j.reloading || j.out != nil && j.out.Applied != nil {
		return false
	}
	j.version = max(j.version, p.Cursor.Version) // the job may have been completed
	o := e.outcome(j, now)
	o.Version = max(o.Version, p.Cursor.Version)
	switch p.Kind {
	case jadwal.ChangeRun:
		e.add(j, p)
	case jadwal.ChangeCancel:
		e.cancelRun(j, p, now)
	case jadwal.ChangeCreate: // the cursor is where it is to begin
	default:
		e.supersede(j, p, now)
		return true
	}
	o.Applied = &jadwal.Applied{ChangeID: p.ID}
	e.reads.applying++
	e.schedule(j)
	e.after(j, now, now)
	return true
}

// add takes in a run that somebody asked for, unless it was read with all
// others.
func (e *Engine) add(j *job, p jadwal.PendingChange) {
	if i := slices.Index(j.early, p.Run); i >= 0 {
		j.early = slices.Delete(j.early, i, i+1)
		return
	}
	for _, r := range p.Cursor.Open {
		if r.Key == p.Run {
			j.insert(r)
		}
	}
}

// cancelRun ends a run that is not final: one that runs, waits, or is due and
// has not started. A run that has ended meanwhile stays as it is.
func (e *Engine) cancelRun(j *job, p jadwal.PendingChange, now time.Time) {
	def, err := compile(p.Old, &e.templates)
	if err == nil && !j.current() && p.Old.Version == j.version {
		j.def = def // without it nobody could tell whether the job is over
	}
	for _, f := range j.flights {
		if f.key == p.Run {
			e.cancel(f, jadwal.ReasonRequested, now)
			return
		}
	}
	for _, r := range j.open {
		if r.Key == p.Run {
			e.close(j, r, jadwal.Run{State: jadwal.RunCancelled, Reason: jadwal.ReasonRequested, Message: "Cancelled before it ended"}, now)
			return
		}
	}
	if err != nil || p.Run.N != 0 || p.Old.State != jadwal.JobEnabled || j.next == 0 || p.Run.DueAt < j.next || j.version != p.Old.Version {
		return
	}
	// What would become of it and of all that is due is decided now, and what
	// would start is queued, but for the one that is cancelled.
	rules := def.rules
	rules.Jitter = 0
	d := rules.Fire(e.standing(j, now), now)
	if rules.MaxRuns > 0 && (slices.ContainsFunc(d.Queue, instant(p.Run.DueAt).Equal) || d.Start.Equal(instant(p.Run.DueAt))) {
		rules.MaxRuns++ // it does not start, and so does not count
		d = rules.Fire(e.standing(j, now), now)
	}
	runs := d.Queue
	if !d.Start.IsZero() {
		runs = append(runs, d.Start)
	}
	if d.Through.IsZero() {
		return
	}
	if f := j.unstored(); f != nil {
		e.spill(f, now)
	}
	o := e.outcome(j, now)
	for _, s := range e.rested(def, d.Stretches, now) {
		e.append(o, s.Record(j.id, j.version, now))
	}
	for _, at := range runs {
		if micro(at) == p.Run.DueAt {
			s := jadwal.Stretch{From: at, Through: at, State: jadwal.RunCancelled, Reason: jadwal.ReasonRequested}
			e.append(o, s.Record(j.id, j.version, now))
			continue
		}
		e.queue(j, heldRun(j, at, def.rules.DueAt(at), j.version), now)
	}
	j.next, j.due, j.waiting = micro(d.Next), 0, false
	j.pinned = max(j.pinned, now.UnixMicro()) // the entry of the instant may still be about
	o.Next, j.tail = j.next, j.next
}

// heldRun is the open run of an instant that was due and has not started.
func heldRun(j *job, at, ready time.Time, version int64) jadwal.OpenRun {
	return jadwal.OpenRun{
		Key: jadwal.RunKey{DueAt: micro(at), JobID: j.id}, Version: version, State: jadwal.RunQueued,
		Trigger: jadwal.TriggerSchedule, ReadyAt: ready,
	}
}

// supersede ends the version in force and begins the next.
func (e *Engine) supersede(j *job, p jadwal.PendingChange, now time.Time) {
	deleted := p.Kind == jadwal.ChangeDelete
	if deleted && e.full(j, now) {
		e.overlap(j, now) // what fell due beside the run that is cancelled below was skipped
	}
	e.outcome(j, now).Complete = false
	for _, f := range slices.Clone(j.flights) {
		if deleted {
			e.cancel(f, jadwal.ReasonJobDeleted, now)
		} else {
			e.spill(f, now)
		}
	}
	end := jadwal.Settlement{From: latest(now, p.EffectiveAt)}
	old, err := compile(p.Old, &e.templates)
	if err == nil {
		end = old.rules.Settle(e.standing(j, now), jadwal.Ending{
			State: p.Old.State, EffectiveAt: p.EffectiveAt, Until: p.Until, Catchup: p.Catchup, Deleted: deleted, Now: now,
		})
		end.Stretches = e.rested(old, end.Stretches, now)
	} else {
		e.log.Error("the instants of a version are not known: its schedules are not understood", "job", j.id, "version", p.Old.Version, "error", err)
	}
	if end.Replace {
		e.replace(j, now)
	}
	o := e.outcome(j, now)
	for _, s := range end.Stretches {
		e.append(o, s.Record(j.id, p.Old.Version, now))
	}
	for _, at := range end.Held {
		e.queue(j, heldRun(j, at, old.rules.DueAt(at), p.New.Version), now)
	}
	for deleted && len(j.open) > 0 {
		e.close(j, j.open[0], jadwal.Run{State: jadwal.RunCancelled, Reason: jadwal.ReasonJobDeleted}, now)
	}

	j.def, j.next, j.due = nil, 0, 0
	e.cached.drop(j.id)
	if !deleted {
		if def, err := compile(p.New, &e.templates); err == nil {
			j.def = def
			e.cached.put(def)
		} else {
			e.log.Error("job cannot be fired: its schedules are not understood", "job", j.id, "version", p.New.Version, "error", err)
		}
	}
	if j.def != nil && p.New.State == jadwal.JobEnabled && !j.def.rules.Spent(j.started) {
		next, _ := j.def.rules.Plan.Next(end.From)
		j.next = micro(next)
	}
	j.version, j.owner, j.young = p.New.Version, p.New.OwnerID, true
	o.Next, j.tail = j.next, j.next
	o.Applied = &jadwal.Applied{ChangeID: p.ID, Version: j.version, OwnerID: j.owner, EffectiveAt: end.From}
	e.reads.applying++
	j.waiting, j.kicked, j.parkedTo = false, false, 0
	e.finish(j, now)
	e.schedule(j)
	e.kick(j, now)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
