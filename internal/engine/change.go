package engine

import (
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
		j = e.adopt(p.Cursor)
	}
	if j.reloading || j.out != nil && j.out.Applied != nil {
		return false
	}
	j.version = max(j.version, p.Cursor.Version) // the job may have been completed
	o := e.outcome(j, now)
	o.Version = max(o.Version, p.Cursor.Version)
	o.Complete = false
	deleted := p.Kind == jadwal.ChangeDelete

	if j.flight != nil {
		if deleted {
			e.cancel(j.flight, jadwal.ReasonJobDeleted, now)
		} else {
			e.spill(j.flight, now)
		}
	}
	end := jadwal.Settlement{From: latest(now, p.EffectiveAt)}
	if old, err := compile(p.Old); err == nil {
		end = jadwal.Settle(old.plan, p.Old.State, jadwal.Standing{
			Cursor: instant(j.next),
			Busy:   j.busy(),
			Barred: e.barred(j),
			Since:  e.since,
		}, p.EffectiveAt, now, deleted)
	} else {
		e.log.Error("the instants of a version are not known: its schedules are not understood", "job", j.id, "version", p.Old.Version, "error", err)
	}
	for _, s := range end.Stretches {
		e.append(o, s.Record(j.id, p.Old.Version, now))
	}
	if !end.Held.IsZero() {
		held := jadwal.OpenRun{
			Key:     jadwal.RunKey{DueAt: end.Held.UnixMicro(), JobID: j.id},
			Version: p.New.Version,
			State:   jadwal.RunQueued,
			Trigger: jadwal.TriggerSchedule,
			ReadyAt: end.Held,
		}
		o.Opens = append(o.Opens, held)
		o.Started++
		j.open = append(j.open, held)
	}
	for deleted && len(j.open) > 0 {
		e.close(j, j.open[0], jadwal.Run{State: jadwal.RunCancelled, Reason: jadwal.ReasonJobDeleted}, now)
	}

	j.def, j.next = nil, 0
	e.cached.drop(j.id)
	if !deleted {
		if def, err := compile(p.New); err == nil {
			j.def = def
			e.cached.put(def)
		} else {
			e.log.Error("job cannot be fired: its schedules are not understood", "job", j.id, "version", p.New.Version, "error", err)
		}
	}
	if j.def != nil && p.New.State == jadwal.JobEnabled {
		next, _ := j.def.plan.Next(end.From)
		j.next = micro(next)
	}
	j.version, j.owner = p.New.Version, p.New.OwnerID
	o.Next, j.tail = j.next, j.next
	o.Applied = &jadwal.Applied{ChangeID: p.ID, Version: j.version, OwnerID: j.owner, EffectiveAt: end.From}
	o.Complete = j.over()
	e.reads.applying++
	j.waiting, j.kicked, j.parkedTo = false, false, 0
	e.schedule(j)
	e.kick(j)
	return true
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
