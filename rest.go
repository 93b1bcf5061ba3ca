package jadwal

import (
	"time"

	"github.com/teknohole/jadwal/schedule"
)

// Rested gives the missed instants that fell due from from through to, while
// the target's host was given a rest, their reason: circuit_open in place of
// overload. A stretch that lies partly in that time is divided.
func Rested(plan *schedule.Plan, stretches []Stretch, from, to time.Time) []Stretch {
	var all []Stretch
	for _, s := range stretches {
		if s.State != RunMissed || s.Reason != ReasonOverload {
			all = append(all, s)
			continue
		}
		before, rest := divide(plan, s, from)
		during, after := divide(plan, rest, to.Add(time.Millisecond)) // instants are whole milliseconds
		if during.From.IsZero() {
			all = append(all, s)
			continue
		}
		during.Reason = ReasonCircuitOpen
		for _, part := range []Stretch{before, during, after} {
			if !part.From.IsZero() {
				all = append(all, part)
			}
		}
	}
	return all
}

// divide parts a stretch into the instants before at and those from at on. A
// part without instants is zero.
func divide(plan *schedule.Plan, s Stretch, at time.Time) (before, after Stretch) {
	switch {
	case s.From.IsZero():
		return Stretch{}, Stretch{}
	case !s.From.Before(at):
		return Stretch{}, s
	case s.Through.Before(at):
		return s, Stretch{}
	}
	before, after = s, s
	before.Through = s.From
	if last, ok := plan.Prev(at); ok && last.After(s.From) {
		before.Through = last
	}
	after.From = s.Through
	if first, ok := plan.Next(before.Through); ok && first.Before(s.Through) {
		after.From = first
	}
	return before, after
}
