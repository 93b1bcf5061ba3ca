package jadwal

import (
	"fmt"
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// LedgerState says what became of a planned instant, or will: a state of its
// run, or one of those below.
type LedgerState string

// The states of an instant that has no record.
const (
	LedgerPlanned    LedgerState = "planned"    // to come
	LedgerQueued     LedgerState = "queued"     // due, and not recorded yet
	LedgerPaused     LedgerState = "paused"     // the job is paused: skipped if it is when it is resumed, else planned
	LedgerUnrecorded LedgerState = "unrecorded" // its record is too old to be kept
)

// Ledger is what is known of a job's planned instants in a stretch of time.
type Ledger struct {
	JobID     int64
	CreatedAt time.Time
	Versions  []JobVersion // in force there, oldest first
	Until     time.Time    // what comes after it is of versions that are not among them; zero: none are left out
	Version   int64        // of the cursor
	NextAt    time.Time    // the cursor; zero: none
	Records   []Run        // planned runs, final and open, that end there or later, oldest first
}

// LedgerEntry is one planned instant.
type LedgerEntry struct {
	At      time.Time
	Version int64 // that planned it
	State   LedgerState
	Reason  Reason
	Run     *Run // its record, which may be that of a range; nil: none
}

// Entries returns the planned instants from from, included, to to, excluded,
// in order, as of now, and no more than limit of them. next is where the rest
// begins; zero: there is none. Ranges are expanded by the versions that planned
// them, and nothing is enumerated that is not returned. The error is that a
// version's schedules are not understood.
func (l *Ledger) Entries(from, to, now time.Time, limit int) (all []LedgerEntry, next time.Time, err error) {
	if !l.Until.IsZero() && l.Until.Before(to) {
		next = l.Until.Add(time.Microsecond)
		to = next
	}
	spans, err := l.spans(now)
	if err != nil {
		return nil, next, err
	}
	records, told := l.Records, false // whether the first of them is in all
	at, v, ok := following(&spans, from.Add(-time.Microsecond))
	for {
		e := LedgerEntry{At: at}
		switch {
		case len(records) > 0 && (!ok || through(&records[0]).Before(at)):
			// A record that is behind. One that no version planned is told all the same.
			e.At = dueAt(&records[0])
			if skip := told || e.At.Before(from) || !e.At.Before(to); skip {
				records, told = records[1:], false
				continue
			}
		case !ok || !at.Before(to):
			return all, next, nil
		default:
			e.Version, e.State = v.Version, l.unrecorded(v, at, now)
		}
		if len(all) == limit {
			return all, e.At, nil
		}
		if len(records) > 0 && !dueAt(&records[0]).After(e.At) {
			r := &records[0]
			e.Version, e.State, e.Reason, e.Run, told = r.Version, LedgerState(r.State), r.Reason, r, true
		}
		all = append(all, e)
		if e.At.Equal(at) {
			at, v, ok = following(&spans, at)
		}
	}
}

func dueAt(r *Run) time.Time { return time.UnixMicro(r.Key.DueAt).UTC() }

// through is the last instant that r records.
func through(r *Run) time.Time {
	if r.ThroughAt.IsZero() {
		return dueAt(r)
	}
	return r.ThroughAt
}

// ledgerSpan is what one version plans: the instants in (from, to].
type ledgerSpan struct {
	version  *JobVersion
	plan     *schedule.Plan
	from, to time.Time // to is zero: without end
}

// spans are the stretches of the versions that plan anything.
func (l *Ledger) spans(now time.Time) ([]ledgerSpan, error) {
	var all []ledgerSpan
	for i := range l.Versions {
		v := &l.Versions[i]
		s := ledgerSpan{version: v, from: v.EffectiveAt}
		last := i == len(l.Versions)-1
		switch {
		case v.State == JobCompleted:
			continue
		case !last:
			s.to = l.Versions[i+1].EffectiveAt
		case !l.Until.IsZero():
			s.to = l.Until
		case v.State == JobEnabled && l.NextAt.IsZero():
			s.to = now // nothing is to come
		}
		var err error
		if s.plan, err = v.Definition.Plan(l.CreatedAt, l.JobID); err != nil {
			return nil, fmt.Errorf("version %d of job %d: %w", v.Version, l.JobID, err)
		}
		if v.Version == 1 && v.State == JobEnabled {
			// It may have begun with an `at` that had just passed.
			if first, err := v.Definition.First(l.CreatedAt, l.JobID); err == nil && !first.IsZero() && !first.After(s.from) {
				s.from = first.Add(-time.Microsecond)
			}
		}
		all = append(all, s)
	}
	return all, nil
}

// following returns the first planned instant after a time, which must not go
// back, and drops the spans that lie before it.
func following(spans *[]ledgerSpan, after time.Time) (time.Time, *JobVersion, bool) {
	for ; len(*spans) > 0; *spans = (*spans)[1:] {
		s := (*spans)[0]
		if after.After(s.from) {
			s.from = after
		}
		if at, ok := s.plan.Next(s.from); ok && (s.to.IsZero() || !at.After(s.to)) {
			return at, s.version, true
		}
	}
	return time.Time{}, nil, false
}

// unrecorded is the state of an instant of v that has no record.
func (l *Ledger) unrecorded(v *JobVersion, at, now time.Time) LedgerState {
	switch {
	case v.Version != l.Version:
		return LedgerUnrecorded
	case v.State == JobPaused:
		return LedgerPaused
	case l.NextAt.IsZero() || at.Before(l.NextAt):
		return LedgerUnrecorded
	case at.After(now):
		return LedgerPlanned
	}
	return LedgerQueued
}

// Step is one piece of evidence about an instant.
type Step struct {
	Question string // what was looked at, for programs
	Yes      bool
	Message  string // what was found, for people
}

// The questions of Why, in their order. It stops at the first answer that
// decides.
const (
	AskExisted = "job_existed" // was there a version in force
	AskPlanned = "planned"     // did its schedules plan the instant
	AskEnabled = "enabled"     // was the job enabled
	AskDue     = "due"         // has it come
	AskKept    = "recorded"    // is there a record
	AskServer  = "server_up"   // was somebody there to fire it
	AskClear   = "in_time"     // was there nothing in the way: another run, a limit, a rule
	AskStarted = "started"     // did it start
	AskDone    = "succeeded"   // how did it end
)

// Why tells, as of now, what became of the instant at, and by which evidence.
// l holds what is known of the instant, and earlier is the runs of the job that
// were due before it, newest first, as far as they may have been in its way.
// The entry is zero when no version in force planned the instant. The error is
// that a version's schedules are not understood.
func (l *Ledger) Why(at, now time.Time, earlier []Run) (entry LedgerEntry, steps []Step, err error) {
	ask := func(question string, yes bool, format string, args ...any) bool {
		steps = append(steps, Step{question, yes, fmt.Sprintf(format, args...)})
		return yes
	}
	entries, _, err := l.Entries(at, at.Add(time.Microsecond), now, 1)
	if err != nil {
		return entry, nil, err
	}
	v := l.inForce(at, entries)
	if v == nil && len(l.Versions) > 0 && l.Versions[0].Version > 1 && at.After(l.CreatedAt) {
		ask(AskExisted, true, "The job was created at %s.", moment(l.CreatedAt))
		ask(AskKept, false, "Neither a record of it nor the version that was in force then is kept any more: history is kept for a limited time.")
		return entry, steps, nil
	}
	if v == nil {
		ask(AskExisted, false, "The job was created at %s, after this instant.", moment(l.CreatedAt))
		return entry, steps, nil
	}
	ask(AskExisted, true, "Version %d was in force, since %s.", v.Version, moment(v.EffectiveAt))
	plan, err := v.Definition.Plan(l.CreatedAt, l.JobID)
	if err != nil {
		return entry, nil, fmt.Errorf("version %d of job %d: %w", v.Version, l.JobID, err)
	}
	if len(entries) == 0 {
		if near, ok := plan.Next(at.Add(-time.Microsecond)); ok && near.Equal(at) {
			ask(AskPlanned, true, "Its schedules have this instant.")
			ask(AskEnabled, false, "The job was completed: nothing was left to come.")
			return entry, steps, nil
		}
		ask(AskPlanned, false, "Its schedules do not have this instant.%s", neighbours(plan, at))
		return entry, steps, nil
	}
	entry = entries[0]
	ask(AskPlanned, true, "Its schedules have this instant.")
	switch {
	case entry.State == LedgerPaused:
		ask(AskEnabled, false, "The job is paused.")
		return entry, steps, nil
	case entry.Reason == ReasonPaused:
		ask(AskEnabled, false, "The job was paused, and nothing made up for it.")
		return entry, steps, nil
	case entry.State == LedgerPlanned:
		ask(AskEnabled, true, "The job is enabled.")
		ask(AskDue, false, "It is still to come.")
		return entry, steps, nil
	}
	ask(AskEnabled, true, "The job was enabled.")
	ask(AskDue, true, "It has come.")
	switch {
	case entry.Run == nil && entry.State == LedgerQueued:
		ask(AskKept, false, "It has not been decided yet: it waits to start, or has just started.")
		return entry, steps, nil
	case entry.Run == nil:
		ask(AskKept, false, "There is no record of it any more: history is kept for a limited time.")
		return entry, steps, nil
	}
	judge(ask, &v.Definition, entry.Run, at, earlier)
	return entry, steps, nil
}

// judge asks what the record of an instant that d planned tells.
func judge(ask func(string, bool, string, ...any) bool, d *Definition, r *Run, at time.Time, earlier []Run) {
	if r.ThroughAt.IsZero() {
		ask(AskKept, true, "Its record is run %s.", r.Key.ID())
	} else {
		ask(AskKept, true, "Its record is run %s, which stands for all instants from %s to %s.", r.Key.ID(), moment(dueAt(r)), moment(r.ThroughAt))
	}
	switch r.Reason {
	case ReasonServerDown:
		ask(AskServer, false, "Nobody was there to fire it. What to make up for was decided at %s, by the rule catchup: %s.", moment(r.FinishedAt), d.Catchup)
		return
	case ReasonClockJump:
		ask(AskServer, false, "The machine's clock jumped over it.")
		return
	}
	ask(AskServer, true, "The server was there.")
	switch r.Reason {
	case ReasonOverlap:
		ask(AskClear, false, "An earlier run was unfinished, and the rule overlap: %s leaves the instant out.%s", d.Overlap, blocker(earlier, at))
		return
	case ReasonOverload:
		ask(AskClear, false, "The server was behind, and when its turn came the rule catchup: %s left it out.", d.Catchup)
		return
	}
	if text, ok := obstacles[r.Reason]; ok {
		ask(AskClear, false, "%s", text)
		return
	}
	if r.StartedAt.IsZero() {
		switch {
		case !r.State.Final():
			ask(AskStarted, false, "It waits to start.")
		default:
			ask(AskStarted, false, "It was %s before it started (%s).", r.State, r.Reason)
		}
		return
	}
	ask(AskClear, true, "Nothing was in the way.")
	ask(AskStarted, true, "It started at %s, %s late, and was attempted %d times.", moment(r.StartedAt), Duration(r.Lateness().Round(time.Millisecond)), r.Attempts)
	switch {
	case !r.State.Final():
		ask(AskDone, false, "It is %s.", r.State)
	case r.State == RunSucceeded:
		ask(AskDone, true, "It succeeded at %s.", moment(r.FinishedAt))
	default:
		ask(AskDone, false, "It %s at %s (%s).", ended[r.State], moment(r.FinishedAt), r.Reason)
	}
}

// obstacles say what else was in the way, by the reason of the record.
var obstacles = map[Reason]string{
	ReasonOwnerDisabled:  "The job's owner had no rights any more.",
	ReasonQueueFull:      "The job's queue of runs was full.",
	ReasonQuota:          "The job's owner had started as many runs as one may in a minute.",
	ReasonCircuitOpen:    "The target's host was given a rest after many failures.",
	ReasonCatchupExpired: "It was older than the catch-up window when its turn came.",
}

var ended = map[RunState]string{RunFailed: "failed", RunCancelled: "was cancelled", RunSkipped: "was skipped", RunMissed: "was missed"}

// blocker names the run that was unfinished at an instant.
func blocker(earlier []Run, at time.Time) string {
	for i := range earlier {
		r := &earlier[i]
		if !r.State.Final() || !r.StartedAt.IsZero() && r.FinishedAt.After(at) {
			return " It was run " + r.Key.ID() + "."
		}
	}
	return ""
}

// inForce is the version that planned the instant, else the one that was in
// force at it; nil: there was none yet.
func (l *Ledger) inForce(at time.Time, entries []LedgerEntry) (found *JobVersion) {
	for i := range l.Versions {
		v := &l.Versions[i]
		switch {
		case len(entries) > 0 && v.Version == entries[0].Version:
			return v
		case len(entries) == 0 && v.EffectiveAt.Before(at):
			found = v
		}
	}
	return found
}

func neighbours(plan *schedule.Plan, at time.Time) (text string) {
	if before, ok := plan.Prev(at); ok {
		text += " The one before is " + moment(before) + "."
	}
	if after, ok := plan.Next(at); ok {
		text += " The one after is " + moment(after) + "."
	}
	return text
}

// moment is a time for people.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
