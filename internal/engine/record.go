package engine

import (
	"slices"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// A step is an outcome on its way to the store.
type step struct {
	jadwal.Outcome
	job   *job
	since time.Time // of its oldest part
	bytes int       // of output
	dead  bool      // its job was asked about anew: not to be sent

	unheard bool // it was sent, and may be stored although the answer was an error
}

// outcome returns the outcome of j that no batch has taken yet: what is added
// to it is recorded in the same step.
func (e *Engine) outcome(j *job, now time.Time) *step {
	if j.out == nil {
		j.out = &step{Outcome: jadwal.Outcome{JobID: j.id, Version: j.version, At: j.tail, Next: j.tail}, job: j, since: now}
		e.commits.push(j.out)
	}
	return j.out
}

// append adds a record to an outcome.
func (e *Engine) append(o *step, r jadwal.Run) {
	o.Records = append(o.Records, r)
	o.bytes += len(r.Output)
	e.commits.records++
	e.commits.bytes += len(r.Output)
}

// spill stores a run in flight as an open run. If it was only in memory, this
// frees the cursor to move on.
func (e *Engine) spill(f *flight, now time.Time) {
	j := f.job
	if f.stored && f.row == f.attempt || j.reloading {
		return
	}
	o := e.outcome(j, now)
	if f.stored {
		o.move(f.row, f.rowState(), f.running())
	} else {
		o.Opens = append(o.Opens, f.running())
		o.Started++
		o.Next, j.tail = j.next, j.next
	}
	f.stored, f.row = true, f.attempt
}

// spillLong stores what has been running for long, so that it is seen.
func (e *Engine) spillLong(now time.Time) {
	for e.flights.len() > 0 {
		f := e.flights.at(0)
		if !f.ended && now.Sub(f.began) < spillAfter {
			return
		}
		if e.flights.pop(); !f.ended {
			e.spill(f, now)
		}
	}
}

// spillAll stores everything that is running.
func (e *Engine) spillAll(now time.Time) {
	for e.flights.len() > 0 {
		if f := e.flights.pop(); !f.ended {
			e.spill(f, now)
		}
	}
}

// ended takes in the result of an attempt.
func (e *Engine) ended(r result, now time.Time) {
	f, j := r.flight, r.flight.job
	e.inFlight--
	e.slots.give(f.owner)
	e.hosts.end(f.host, readSign(r.Result), f.began, now)
	f.cancel(nil)
	switch {
	case f.ended: // its record was made without it
	case j.reloading:
		f.result = &r
	default:
		e.finished(r, now)
	}
}

// finished records a result, or that the run waits for another attempt, and
// goes on with what waited for it.
func (e *Engine) finished(r result, now time.Time) {
	f, j := r.flight, r.flight.job
	retry := f.def.job.Definition.Retry
	at, again := retry.Next(f.key, f.attempt, r.RetryAfter, f.started, now)
	if again && r.State == jadwal.RunFailed && jadwal.Passing(r.Reason, r.StatusCode) {
		e.wait(f, r, at, now)
	} else {
		e.end(f, jadwal.Run{
			State: r.State, Reason: r.Reason, StatusCode: r.StatusCode, Message: r.Message, Output: r.Output,
			StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
		}, now)
	}
	e.after(j, r.FinishedAt, now)
}

// wait stores a run whose attempt has failed and that is attempted again at at.
func (e *Engine) wait(f *flight, r result, at, now time.Time) {
	f.ended = true
	j := f.job
	j.land(f)
	o := e.outcome(j, now)
	run := f.running()
	run.State, run.ReadyAt = jadwal.RunQueued, at
	if f.stored {
		o.move(f.row, f.rowState(), run)
	} else {
		o.Opens = append(o.Opens, run)
		o.Started++
		o.Next, j.tail = j.next, j.next
	}
	o.Tried = append(o.Tried, jadwal.Attempt{
		Key: f.key, Attempt: f.attempt, Version: run.Version, Reason: r.Reason, StatusCode: r.StatusCode, Message: r.Message,
		StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	})
	j.insert(run)
}

// end makes the record of a run in flight and removes its open run.
func (e *Engine) end(f *flight, run jadwal.Run, now time.Time) {
	f.ended = true
	j := f.job
	j.land(f)
	run.Key, run.Version, run.Trigger, run.Attempts, run.RetryOf = f.key, f.def.job.Version, f.trigger, f.attempt, f.retryOf
	if f.attempt > 1 || f.redelivery || run.StartedAt.IsZero() {
		run.StartedAt = f.started
	}
	if micro(f.ready) != f.key.DueAt {
		run.ReadyAt = f.ready
	}
	o := e.outcome(j, now)
	o.ends(run.State, f.def)
	switch {
	case !f.stored:
		o.Started++
		o.Next, j.tail = j.next, j.next
	case o.unopen(f.key):
	default:
		o.Closes = append(o.Closes, o.unbegin(jadwal.Close{Key: f.key, Attempt: f.row, State: f.rowState()}))
	}
	e.append(o, run)
}

// ends takes note that a run ends in that state: so many failures may pause its
// job.
func (s *step) ends(state jadwal.RunState, def *definition) {
	if n := def.job.Definition.PauseAfterFailures; n > 0 && state == jadwal.RunFailed {
		s.PauseAfter = n
	}
}

// cancel ends a run in flight at once, whatever its target may answer.
func (e *Engine) cancel(f *flight, reason jadwal.Reason, now time.Time) {
	f.cancel(target.Cancelled{Reason: reason})
	e.end(f, jadwal.Run{
		State: jadwal.RunCancelled, Reason: reason, Message: "Cancelled while it ran", StartedAt: f.began, FinishedAt: now,
	}, now)
}

// land takes a flight that has ended out of those of its job.
func (j *job) land(f *flight) {
	j.flights = slices.DeleteFunc(j.flights, func(other *flight) bool { return other == f })
}

// move changes a stored open run, whose stored attempt and state are given,
// into run.
func (s *step) move(row int, state jadwal.RunState, run jadwal.OpenRun) {
	for i := range s.Opens {
		if s.Opens[i].Key == run.Key {
			s.Opens[i] = run
			return
		}
	}
	for i := range s.Begins {
		if s.Begins[i].Run.Key == run.Key {
			s.Begins[i].Run = run
			return
		}
	}
	s.Begins = append(s.Begins, jadwal.Begin{Attempt: row, State: state, Run: run})
}

// unopen takes back an open run that no batch has taken yet.
func (s *step) unopen(key jadwal.RunKey) bool {
	n := len(s.Opens)
	s.Opens = slices.DeleteFunc(s.Opens, func(o jadwal.OpenRun) bool { return o.Key == key })
	return len(s.Opens) < n
}

// unbegin takes back a begin that no batch has taken yet, and returns the close
// with what the store knows of.
func (s *step) unbegin(c jadwal.Close) jadwal.Close {
	for i, b := range s.Begins {
		if b.Run.Key == c.Key {
			s.Begins = slices.Delete(s.Begins, i, i+1)
			return jadwal.Close{Key: c.Key, Attempt: b.Attempt, State: b.State}
		}
	}
	return c
}
