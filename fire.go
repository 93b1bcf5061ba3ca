package jadwal

import (
	"math"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// seed spreads job ids over all 64 bits (the finalizer of splitmix64, Steele
// and others, "Fast splittable pseudorandom number generators", 2014).
func seed(jobID int64) uint64 {
	x := uint64(jobID) + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Standing is where a job stands at the moment of a decision.
type Standing struct {
	Cursor time.Time // the next planned instant without an outcome; zero: none
	Busy   bool      // an earlier run is unfinished: running, queued or waiting for a retry
	Barred bool      // the owner has no rights any more
	Since  time.Time // somebody has been there to fire since then
}

// Stretch is a run of consecutive planned instants with one outcome. From and
// Through are both in it, and equal for a single instant.
type Stretch struct {
	From, Through time.Time
	State         RunState
	Reason        Reason
}

// Record is the entry in history of a stretch, made at now.
func (s Stretch) Record(jobID, version int64, now time.Time) Run {
	r := Run{
		Key:        RunKey{DueAt: s.From.UnixMicro(), JobID: jobID},
		Version:    version,
		State:      s.State,
		Reason:     s.Reason,
		Trigger:    TriggerSchedule,
		FinishedAt: now,
	}
	if s.Through.After(s.From) {
		r.ThroughAt = s.Through
	}
	return r
}

// Decision is what to do with the planned instants that are due. The stretches
// come before Start; Next comes after all of them.
type Decision struct {
	Stretches []Stretch // to be recorded, oldest first
	Start     time.Time // the instant that starts now; zero: none
	Next      time.Time // the first instant that is not decided; zero: none is left
}

// Fire decides what becomes of a job's due instants. An instant is due when
// now has reached it. With the overlap policy skip and the catch-up rule
// latest: an owner without rights and an unfinished run skip them all;
// otherwise the newest due instant starts, however late, and those before it
// are missed, for the reason that was true when they fell due.
func Fire(plan *schedule.Plan, s Standing, now time.Time) Decision {
	if s.Cursor.IsZero() || s.Cursor.After(now) {
		return Decision{Next: s.Cursor}
	}
	newest := Newest(plan, s.Cursor, now)
	d := Decision{}
	d.Next, _ = plan.Next(newest)
	switch {
	case s.Barred:
		d.Stretches = []Stretch{{s.Cursor, newest, RunSkipped, ReasonOwnerDisabled}}
	case s.Busy:
		d.Stretches = []Stretch{{s.Cursor, newest, RunSkipped, ReasonOverlap}}
	default:
		d.Start = newest
		if newest.After(s.Cursor) {
			d.Stretches = missed(plan, s.Cursor, newest, s.Since)
		}
	}
	return d
}

// Newest returns the last planned instant that is due at now, given that
// cursor is due: cursor itself when the plan has none after it.
func Newest(plan *schedule.Plan, cursor, now time.Time) time.Time {
	// Instants are whole milliseconds and Prev is exclusive.
	last, ok := plan.Prev(now.Truncate(time.Millisecond).Add(time.Millisecond))
	if !ok || last.Before(cursor) {
		return cursor
	}
	return last
}

// missed divides the instants from cursor up to, but not including, newest
// into those that nobody was there for, and those that the server was too busy
// for.
func missed(plan *schedule.Plan, cursor, newest, since time.Time) []Stretch {
	through, ok := plan.Prev(newest)
	if !ok || through.Before(cursor) {
		through = cursor
	}
	down := Stretch{cursor, through, RunMissed, ReasonServerDown}
	late := Stretch{cursor, through, RunMissed, ReasonOverload}
	if !cursor.Before(since) {
		return []Stretch{late}
	}
	if through.Before(since) {
		return []Stretch{down}
	}
	last, ok := plan.Prev(since)
	if !ok || last.Before(cursor) {
		last = cursor
	}
	down.Through = last
	first, ok := plan.Next(last)
	if !ok || first.After(through) {
		return []Stretch{down}
	}
	late.From = first
	return []Stretch{down, late}
}

// Settlement ends a version of a job: every instant that it planned up to From
// has an outcome, or is Held.
type Settlement struct {
	Stretches []Stretch
	Held      time.Time // due and not started: it becomes a queued run of the next version; zero: none
	From      time.Time // the next version's instants lie strictly after it
}

// Settle ends the version that was in force in that state since effective,
// because of a change that is applied at now. What is due is decided by Fire,
// but nothing starts: the instant that would is held, or, when the job is
// deleted, cancelled. A paused version skips all that it planned. From is
// never before an instant that already has an outcome, even when the wall
// clock was set back.
func Settle(plan *schedule.Plan, state JobState, s Standing, effective, now time.Time, deleted bool) Settlement {
	end := Settlement{From: now}
	if effective.After(end.From) {
		end.From = effective
	}
	switch state {
	case JobEnabled:
		d := Fire(plan, s, now)
		end.Stretches, end.Held = d.Stretches, d.Start
		next := d.Next
		if next.IsZero() {
			next = time.UnixMilli(math.MaxInt64 / 2)
		}
		if last, ok := plan.Prev(next); ok && last.After(end.From) {
			end.From = last
		}
	case JobPaused:
		if first, ok := plan.Next(effective); ok && !first.After(now) {
			end.Stretches = []Stretch{{first, Newest(plan, first, now), RunSkipped, ReasonPaused}}
		}
	}
	if deleted && !end.Held.IsZero() {
		end.Stretches = append(end.Stretches, Stretch{end.Held, end.Held, RunCancelled, ReasonJobDeleted})
		end.Held = time.Time{}
	}
	return end
}
