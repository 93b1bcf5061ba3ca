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

// record adds stretches and moves the cursor behind them.
func (e *Engine) record(j *job, stretches []jadwal.Stretch, to int64, now time.Time) {
	o := e.outcome(j, now)
	for _, s := range stretches {
		e.append(o, s.Record(j.id, j.version, now))
	}
	o.Next, j.tail = to, to
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
		o.Begins = append(o.Begins, jadwal.Begin{Attempt: f.row, Run: f.running()})
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
	f.cancel(nil)
	switch {
	case f.ended: // its record was made without it
	case j.reloading:
		f.result = &r
	default:
		e.finish(r, now)
	}
}

// finish records a result, and goes on with what waited for it.
func (e *Engine) finish(r result, now time.Time) {
	f, j := r.flight, r.flight.job
	e.end(f, jadwal.Run{
		State: r.State, Reason: r.Reason, StatusCode: r.StatusCode, Message: r.Message, Output: r.Output,
		StartedAt: r.StartedAt, FinishedAt: r.FinishedAt,
	}, now)
	e.unpark(j, r.FinishedAt, now)
	e.outcome(j, now).Complete = j.over()
	e.kick(j)
}

// end makes the record of a run in flight and removes its open run.
func (e *Engine) end(f *flight, run jadwal.Run, now time.Time) {
	f.ended = true
	j := f.job
	j.flight = nil
	run.Key, run.Version, run.Trigger, run.Attempts = f.key, f.def.job.Version, f.trigger, f.attempt
	if !f.started.IsZero() {
		run.StartedAt = f.started
	}
	o := e.outcome(j, now)
	switch {
	case !f.stored:
		o.Started++
		o.Next, j.tail = j.next, j.next
	case o.unopen(f.key):
	default:
		o.Closes = append(o.Closes, jadwal.Close{Key: f.key, Attempt: o.unbegin(f.key, f.row)})
	}
	e.append(o, run)
}

// cancel ends a run in flight at once, whatever its target may answer.
func (e *Engine) cancel(f *flight, reason jadwal.Reason, now time.Time) {
	f.cancel(target.Cancelled{Reason: reason})
	e.end(f, jadwal.Run{
		State: jadwal.RunCancelled, Reason: reason, Message: "Cancelled while it ran", StartedAt: f.began, FinishedAt: now,
	}, now)
}

// unopen takes back an open run that no batch has taken yet.
func (s *step) unopen(key jadwal.RunKey) bool {
	n := len(s.Opens)
	s.Opens = slices.DeleteFunc(s.Opens, func(o jadwal.OpenRun) bool { return o.Key == key })
	return len(s.Opens) < n
}

// unbegin takes back a begin that no batch has taken yet, and returns the
// attempt that the store knows of.
func (s *step) unbegin(key jadwal.RunKey, row int) int {
	for i, b := range s.Begins {
		if b.Run.Key == key {
			s.Begins = slices.Delete(s.Begins, i, i+1)
			return b.Attempt
		}
	}
	return row
}
