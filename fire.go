package jadwal

import (
	"math"
	"slices"
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

// Rules are what a definition says about what becomes of its instants.
type Rules struct {
	Plan    *schedule.Plan
	JobID   int64
	Jitter  time.Duration
	Overlap Overlap
	Slots   int // runs at once
	Catchup Catchup
	Window  time.Duration // how late an instant may start; 0: any
	MaxRuns int           // 0: no limit
}

// Rules returns d's, for the job with that id, whose plan is d's. Without a
// catch-up window an instant may start a minute late with the rule none, a day
// with all, and however late with latest.
func (d *Definition) Rules(plan *schedule.Plan, jobID int64) Rules {
	r := Rules{
		Plan: plan, JobID: jobID, Jitter: time.Duration(d.Jitter), Overlap: d.Overlap, Slots: 1,
		Catchup: d.Catchup, MaxRuns: d.MaxRuns,
	}
	if d.Overlap == OverlapAllow {
		r.Slots = max(1, d.MaxConcurrent)
	}
	switch {
	case d.CatchupWindow != nil:
		r.Window = time.Duration(*d.CatchupWindow)
	case d.Catchup == CatchupNone:
		r.Window = time.Minute
	case d.Catchup == CatchupAll:
		r.Window = 24 * time.Hour
	}
	return r
}

// DueAt is when the instant at is to start: jitter later, and before the next
// instant.
func (r Rules) DueAt(at time.Time) time.Time {
	if r.Jitter <= 0 || at.IsZero() {
		return at
	}
	next, _ := r.Plan.Next(at)
	return at.Add(schedule.Jitter(r.Jitter, r.JobID, at, next))
}

// Newest returns the last planned instant that is due at now, given that
// cursor is due: cursor itself when the plan has none after it.
func (r Rules) Newest(cursor, now time.Time) time.Time {
	// Instants are whole milliseconds and Prev is exclusive.
	newest := r.before(now.Truncate(time.Millisecond).Add(time.Millisecond), cursor)
	if r.Jitter > 0 && r.DueAt(newest).After(now) {
		newest = r.before(newest, cursor)
	}
	return newest
}

// before returns the last planned instant before t, but none before floor.
func (r Rules) before(t, floor time.Time) time.Time {
	last, ok := r.Plan.Prev(t)
	if !ok || last.Before(floor) {
		return floor
	}
	return last
}

// Standing is where a job stands at the moment of a decision.
type Standing struct {
	Cursor  time.Time // the next planned instant without an outcome; zero: none
	Running int       // runs that run or wait for another attempt
	Queued  int       // runs that have not begun
	Asked   time.Time // of the oldest of these that somebody asked for; zero: there is none, or one that was asked for has begun
	Started int       // planned instants that started or were queued
	Barred  bool      // the owner has no rights any more
	UsedUp  bool      // the owner has started as many runs as may be in a minute
	Since   time.Time // somebody has been there to fire since then
	Jump    Jump      // the last one of the wall clock
}

// Jump is a stretch of time that the wall clock left out.
type Jump struct{ From, To time.Time }

// why returns for what reason the instant at was missed, and up to when that
// holds, exclusive; zero: for ever.
func (s Standing) why(at time.Time) (Reason, time.Time) {
	switch {
	case at.Before(s.Since):
		return ReasonServerDown, s.Since
	case s.Jump.To.IsZero() || at.After(s.Jump.To):
		return ReasonOverload, time.Time{}
	case at.After(s.Jump.From):
		return ReasonClockJump, s.Jump.To.Add(time.Microsecond)
	}
	return ReasonOverload, s.Jump.From.Add(time.Microsecond)
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

// Decision is what to do with the planned instants that are due: each is in
// one of the stretches, or in Queue, or it is Start.
type Decision struct {
	Stretches []Stretch   // to be recorded, oldest first
	Queue     []time.Time // to become queued runs, oldest first
	Start     time.Time   // the instant that starts now, the last one of all; zero: none
	Replace   bool        // what is unfinished ends first, cancelled
	Through   time.Time   // the last instant that is decided; zero: none
	Next      time.Time   // the first instant that is not; zero: none is left
}

func (d *Decision) add(from, through time.Time, state RunState, reason Reason) {
	d.Stretches = append(d.Stretches, Stretch{from, through, state, reason})
}

// Full tells whether an instant that falls due now is skipped, whatever the
// catch-up rule, and for what reason.
func (r Rules) Full(s Standing) (Reason, bool) {
	switch r.Overlap {
	case OverlapCancelRunning:
		return "", false
	case OverlapQueueOne, OverlapQueueAll:
		return ReasonQueueFull, s.Running+s.Queued > 0 && r.room(s) <= 0
	}
	return ReasonOverlap, s.Running+s.Queued >= r.Slots
}

// room returns how many more runs may wait or run while some are unfinished.
func (r Rules) room(s Standing) int {
	waiting := 1
	if r.Overlap == OverlapQueueAll {
		waiting = MaxQueued
	}
	return r.Slots + waiting - s.Running - s.Queued
}

// Fire decides what becomes of a job's due instants. An instant is due when
// now has reached it and its jitter. An owner without rights and a full house
// skip them all. Otherwise the catch-up rule chooses those that run; the
// others are missed, for the reason that was true when they fell due, or
// because they are older than the catch-up window. Of those that run, one
// starts now if it is the only one and there is room; else they are queued. When
// the owner's quota is used up, those that would run are skipped. An instant
// that takes the place of what is unfinished waits for an older run that
// somebody asked for: else that one would wait for ever while each run lasts
// until the next instant. It does not when what ends is such a run, so that of
// two instants in a row one starts.
// The limit of max_runs ends the plan after the instant that reaches it.
func (r Rules) Fire(s Standing, now time.Time) Decision {
	if s.Cursor.IsZero() || r.DueAt(s.Cursor).After(now) {
		return Decision{Next: s.Cursor}
	}
	if r.Spent(s.Started) {
		return Decision{}
	}
	d := Decision{Through: r.Newest(s.Cursor, now)}
	d.Next, _ = r.Plan.Next(d.Through)
	if s.Barred {
		d.add(s.Cursor, d.Through, RunSkipped, ReasonOwnerDisabled)
		return d
	}
	if reason, full := r.Full(s); full {
		d.add(s.Cursor, d.Through, RunSkipped, reason)
		return d
	}
	runs := r.catchUp(&d, s, now)
	if s.UsedUp && len(runs) > 0 {
		d.add(runs[0], d.Through, RunSkipped, ReasonQuota)
		return d
	}
	unfinished := s.Running + s.Queued
	if r.Overlap == OverlapQueueOne || r.Overlap == OverlapQueueAll {
		if room := r.room(s); unfinished > 0 && len(runs) > room {
			d.add(runs[room], d.Through, RunSkipped, ReasonQueueFull)
			runs = runs[:room]
		}
	}
	if left := r.MaxRuns - s.Started; r.MaxRuns > 0 && len(runs) >= left {
		runs = runs[:left]
		d.Through, d.Next = runs[left-1], time.Time{}
		d.Stretches = slices.DeleteFunc(d.Stretches, func(s Stretch) bool { return s.From.After(d.Through) })
	}
	d.Replace = r.Overlap == OverlapCancelRunning && unfinished > 0 && len(runs) > 0
	room := unfinished < r.Slots && s.Queued == 0
	if d.Replace {
		room = s.Asked.IsZero() || !s.Asked.Before(d.Through)
	}
	if len(runs) == 1 && runs[0].Equal(d.Through) && room {
		d.Start = runs[0]
	} else {
		d.Queue = runs
	}
	return d
}

// Spent tells whether max_runs is reached when so many instants started.
func (r Rules) Spent(started int) bool { return r.MaxRuns > 0 && started >= r.MaxRuns }

// catchUp returns the due instants that run, oldest first, and adds the others
// to d as missed.
func (r Rules) catchUp(d *Decision, s Standing, now time.Time) (runs []time.Time) {
	limit := 1
	if r.Catchup == CatchupAll {
		limit = MaxCatchup
	}
	for at := d.Through; len(runs) < limit && !r.expired(at, now); at = r.before(at, s.Cursor) {
		runs = append(runs, at)
		if !at.After(s.Cursor) {
			break
		}
	}
	slices.Reverse(runs)
	switch {
	case len(runs) > 0 && !runs[0].After(s.Cursor):
	case len(runs) > 0 && len(runs) == limit:
		r.miss(d, s, s.Cursor, r.before(runs[0], s.Cursor))
	case len(runs) > 0:
		d.add(s.Cursor, r.before(runs[0], s.Cursor), RunMissed, ReasonCatchupExpired)
	case r.Catchup == CatchupAll:
		d.add(s.Cursor, d.Through, RunMissed, ReasonCatchupExpired)
	default:
		if d.Through.After(s.Cursor) {
			r.miss(d, s, s.Cursor, r.before(d.Through, s.Cursor))
		}
		d.add(d.Through, d.Through, RunMissed, ReasonCatchupExpired)
	}
	return runs
}

// expired tells whether the instant at is older than the catch-up window.
func (r Rules) expired(at, now time.Time) bool {
	return r.Window > 0 && now.Sub(r.DueAt(at)) > r.Window
}

// miss adds the instants from from to through, divided by the reasons for
// which they were missed.
func (r Rules) miss(d *Decision, s Standing, from, through time.Time) {
	for {
		reason, until := s.why(from)
		end := through
		if !until.IsZero() && !through.Before(until) {
			end = r.before(until, from)
		}
		d.add(from, end, RunMissed, reason)
		next, ok := r.Plan.Next(end)
		if !ok || next.After(through) {
			return
		}
		from = next
	}
}

// Ending is what ends a version of a job, at Now: a change that is applied
// then.
type Ending struct {
	State       JobState  // of the version that ends
	EffectiveAt time.Time // its instants lie strictly after this
	Until       time.Time // of a pause that ended by itself; zero: it did not
	Catchup     Catchup   // of a pause that is ended: which of its instants run after all
	Deleted     bool
	Now         time.Time
}

// Settlement ends a version of a job: every instant that it planned up to From
// has an outcome, or is Held.
type Settlement struct {
	Stretches []Stretch
	Held      []time.Time // due and not started: they become queued runs of the next version
	Replace   bool        // what is unfinished ends first, cancelled
	From      time.Time   // the next version's instants lie strictly after it
}

// Settle ends a version. What is due is decided by Fire, but nothing starts:
// what would is held, or, when the job is deleted, cancelled. An instant whose
// jitter is not over counts as due: only its start is late. The limit of max_runs
// does not cut the instants of a deleted job, since none of them starts. A paused version
// skips all that it planned, but for what the catch-up rule of its end, which
// is none unless somebody says otherwise, holds to be run. From is never
// before an instant that already has an outcome, even when the wall clock was
// set back.
func (r Rules) Settle(s Standing, e Ending) Settlement {
	end := Settlement{From: e.Now}
	if e.State == JobPaused && !e.Until.IsZero() && !e.Until.After(e.Now) {
		end.From = e.Until.Add(-time.Microsecond)
	}
	if e.EffectiveAt.After(end.From) {
		end.From = e.EffectiveAt
	}
	r.Jitter = 0
	switch e.State {
	case JobEnabled:
		if e.Deleted {
			r.MaxRuns = 0
		}
		d := r.Fire(s, e.Now)
		end.Stretches, end.Held, end.Replace = d.Stretches, d.Queue, d.Replace
		if !d.Start.IsZero() {
			end.Held = append(end.Held, d.Start)
		}
		last := d.Through
		if next := d.Next; !next.IsZero() {
			last, _ = r.Plan.Prev(next)
		} else if r.MaxRuns == 0 {
			last, _ = r.Plan.Prev(time.UnixMilli(math.MaxInt64 / 2))
		}
		if last.After(end.From) {
			end.From = last
		}
	case JobPaused:
		r.settlePause(&end, s, e)
	}
	if e.Deleted {
		for _, at := range end.Held {
			end.Stretches = append(end.Stretches, Stretch{at, at, RunCancelled, ReasonJobDeleted})
		}
		end.Held = nil
	}
	return end
}

func (r Rules) settlePause(end *Settlement, s Standing, e Ending) {
	first, ok := r.Plan.Next(e.EffectiveAt)
	if !ok || first.After(end.From) {
		return
	}
	limit := map[Catchup]int{CatchupLatest: 1, CatchupAll: MaxCatchup}[e.Catchup]
	if r.MaxRuns > 0 {
		limit = max(0, min(limit, r.MaxRuns-s.Started))
	}
	through := r.Newest(first, end.From)
	for len(end.Held) < limit {
		end.Held = append(end.Held, through)
		if !through.After(first) {
			break
		}
		through = r.before(through, first)
	}
	slices.Reverse(end.Held)
	if len(end.Held) == 0 || first.Before(end.Held[0]) {
		end.Stretches = []Stretch{{first, through, RunSkipped, ReasonPaused}}
	}
}
