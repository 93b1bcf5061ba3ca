package jadwal

import (
	"math"
	"time"
)

// Overlap says what happens to an instant while as many runs of its job are
// unfinished as may be at once. Unfinished is what runs, what waits for its
// next attempt, and what waits for its turn.
type Overlap string

// The overlap policies.
const (
	OverlapSkip          Overlap = "skip"           // it is recorded as skipped
	OverlapQueueOne      Overlap = "queue_one"      // it waits, if no other one does
	OverlapQueueAll      Overlap = "queue_all"      // it waits, behind at most MaxQueued
	OverlapCancelRunning Overlap = "cancel_running" // it takes the place of the others, which end cancelled; but see Standing.Asked
	OverlapAllow         Overlap = "allow"          // MaxConcurrent runs at once; beyond that as skip
)

// Catchup says what becomes of instants that could not start when they were due.
type Catchup string

// The catch-up rules.
const (
	CatchupNone   Catchup = "none"   // the newest runs if it is hardly late
	CatchupLatest Catchup = "latest" // the newest runs
	CatchupAll    Catchup = "all"    // at most MaxCatchup run, one after the other, the oldest first
)

// AfterCompletion says what becomes of a job that is completed.
type AfterCompletion string

// What may become of it.
const (
	CompletionKeep   AfterCompletion = "keep"
	CompletionDelete AfterCompletion = "delete"
)

// Output is how much is kept of what a target answers, in bytes from its
// beginning: of a run that succeeds, and of one that fails.
type Output struct {
	Success int `json:"success"`
	Failure int `json:"failure"`
}

// DefaultOutput is little of a success, and of a failure what a person reads to
// find out why.
var DefaultOutput = Output{Success: 1 << 10, Failure: MaxOutput}

func (o Output) check() (wrong []FieldError) {
	for field, n := range map[string]int{"output.success": o.Success, "output.failure": o.Failure} {
		if n < 0 || n > MaxOutput {
			wrong = append(wrong, *fieldError(field, "out_of_range", "%s must be from 0 to %d bytes, got %d", field, MaxOutput, n))
		}
	}
	return wrong
}

// Retry says how often, and when, a run is attempted again after a failure
// that may pass.
type Retry struct {
	MaxAttempts int      `json:"max_attempts"` // in all, the first one included
	MinBackoff  Duration `json:"min_backoff"`  // before the second attempt, at least
	MaxBackoff  Duration `json:"max_backoff"`  // before any, at most, unless the target asks for more
	Multiplier  float64  `json:"multiplier"`   // of the backoff, from one attempt to the next
	MaxDuration Duration `json:"max_duration"` // from the first attempt's start to the last one's
}

// DefaultRetry is three attempts, the second 10 seconds after the first.
var DefaultRetry = Retry{
	MaxAttempts: 3,
	MinBackoff:  Duration(10 * time.Second),
	MaxBackoff:  Duration(time.Hour),
	Multiplier:  2,
	MaxDuration: Duration(24 * time.Hour),
}

// Passing tells whether a failure may be gone at the next attempt: no
// connection, no answer in time, and the statuses 408, 425, 429 and 5xx
// (RFC 9110, section 15; RFC 8470, section 5.2; RFC 6585, section 4).
func Passing(reason Reason, statusCode int) bool {
	switch reason {
	case ReasonNetwork, ReasonTimeout:
		return true
	case ReasonHTTPStatus:
		return statusCode == 408 || statusCode == 425 || statusCode == 429 || statusCode >= 500 && statusCode <= 599
	}
	return false
}

// Next returns when a run is attempted again whose attempt has failed at now
// for a reason that may pass; false: never. first is when its first attempt
// started, asked what the target asked for (Retry-After).
//
// The backoff is exponential. It is spread over a fifth, by a hash of run and
// attempt, so that runs that failed together do not return together, and the
// same run always decides the same. What the target asks for is honoured even
// beyond MaxBackoff, but when that is after MaxDuration there is no next
// attempt.
func (p Retry) Next(key RunKey, attempt int, asked time.Duration, first, now time.Time) (time.Time, bool) {
	if attempt >= p.MaxAttempts {
		return time.Time{}, false
	}
	top := min(1.25*float64(p.MinBackoff)*math.Pow(max(p.Multiplier, 1), float64(attempt-1)), float64(p.MaxBackoff))
	part := float64(seed(key.JobID^int64(seed(key.DueAt+int64(key.N)<<48+int64(attempt))))>>11) / (1 << 53)
	wait := max(time.Duration(top*(0.8+0.2*part)), time.Duration(p.MinBackoff), asked)
	at := now.Add(wait).Truncate(time.Millisecond)
	return at, at.Sub(first) <= time.Duration(p.MaxDuration)
}

// check returns everything that is wrong with p.
func (p Retry) check() (wrong []FieldError) {
	outside := func(field string, d Duration, low, high time.Duration) {
		if t := time.Duration(d); t < low || t > high {
			wrong = append(wrong, *fieldError("retry."+field, "out_of_range", "retry.%s must be from %s to %s, got %s", field, Duration(low), Duration(high), d))
		}
	}
	if p.MaxAttempts < 1 || p.MaxAttempts > MaxAttempts {
		wrong = append(wrong, *fieldError("retry.max_attempts", "out_of_range", "retry.max_attempts must be from 1 to %d, got %d", MaxAttempts, p.MaxAttempts))
	}
	outside("min_backoff", p.MinBackoff, MinBackoff, MaxBackoff)
	outside("max_backoff", p.MaxBackoff, MinBackoff, MaxBackoff)
	outside("max_duration", p.MaxDuration, time.Second, MaxRetryDuration)
	if p.MaxBackoff < p.MinBackoff {
		wrong = append(wrong, *fieldError("retry.max_backoff", "invalid", "retry.max_backoff must not be less than retry.min_backoff"))
	}
	if !(p.Multiplier >= 1 && p.Multiplier <= 10) {
		wrong = append(wrong, *fieldError("retry.multiplier", "out_of_range", "retry.multiplier must be from 1 to 10"))
	}
	return wrong
}

// checkPolicies returns what is wrong with the members that say how d's
// instants become runs.
func (d *Definition) checkPolicies() (wrong []FieldError) {
	add := func(bad bool, field, code, format string, args ...any) {
		if bad {
			wrong = append(wrong, *fieldError(field, code, format, args...))
		}
	}
	add(d.MaxRuns < 0 || d.MaxRuns > MaxRuns, "max_runs", "out_of_range", "max_runs must be from 0 to %d, got %d", MaxRuns, d.MaxRuns)
	add(d.Jitter < 0 || time.Duration(d.Jitter) > MaxJitter, "jitter", "out_of_range", "jitter must be from 0s to %s, got %s", Duration(MaxJitter), d.Jitter)
	wrong = append(wrong, d.Retry.check()...)
	switch d.Overlap {
	case OverlapAllow:
		add(d.MaxConcurrent < 2 || d.MaxConcurrent > MaxConcurrent, "max_concurrent", "out_of_range",
			"with overlap allow, max_concurrent must be from 2 to %d, got %d", MaxConcurrent, d.MaxConcurrent)
	case OverlapSkip, OverlapQueueOne, OverlapQueueAll, OverlapCancelRunning:
		add(d.MaxConcurrent != 1, "max_concurrent", "out_of_range", "max_concurrent must be 1 unless overlap is allow, got %d", d.MaxConcurrent)
	default:
		add(true, "overlap", "invalid", "overlap must be one of skip, queue_one, queue_all, cancel_running, allow")
	}
	add(d.Catchup != CatchupNone && d.Catchup != CatchupLatest && d.Catchup != CatchupAll,
		"catchup", "invalid", "catchup must be one of none, latest, all")
	if w := d.CatchupWindow; w != nil {
		add(time.Duration(*w) < time.Second || time.Duration(*w) > MaxCatchupWindow, "catchup_window", "out_of_range",
			"catchup_window must be from 1s to %s, got %s", Duration(MaxCatchupWindow), *w)
	}
	add(d.AfterCompletion != CompletionKeep && d.AfterCompletion != CompletionDelete,
		"after_completion", "invalid", "after_completion must be keep or delete")
	add(d.PauseAfterFailures < 0 || d.PauseAfterFailures > MaxPauseAfterFailures, "pause_after_failures", "out_of_range",
		"pause_after_failures must be from 0 to %d, got %d", MaxPauseAfterFailures, d.PauseAfterFailures)
	return wrong
}
