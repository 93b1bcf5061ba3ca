package people

import (
	"fmt"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
)

// judgeDelivery returns what is wrong with a delivery at its time: it came from
// a definition that was certainly replaced by then, or the job was certainly
// paused or deleted.
func (s *story) judgeDelivery(d harness.Delivery) string {
	if c, wrong := s.outdated(d, d.At, underway); wrong {
		return fmt.Sprintf("I9: job %s: delivered %s (run %s) at %s, though %s was in force at %s", s.name, d.Path, d.RunID, clock(d.At), c.kind, clock(c.acked))
	}
	return ""
}

// outdated tells whether a delivery that began at a time, or up to late before
// it, came from a definition that was certainly not in force, and returns the
// change that was. A pause holds everything but what is asked for during it; an
// attempt that a former process began is held by it, too.
func (s *story) outdated(d harness.Delivery, at time.Time, late time.Duration) (change, bool) {
	marker := markerOf(d.Path)
	from := 0
	for i, c := range s.changes {
		if !c.acked.IsZero() && c.acked.Before(at.Add(-late)) {
			from = i
		}
	}
	for i := len(s.changes) - 1; i >= from; i-- {
		c := s.changes[i]
		if c.sent.After(d.At) || c.deleted || c.marker != marker || c.paused && !s.askedSince(d, i) {
			continue
		}
		return change{}, false
	}
	return s.changes[from], true
}

// fresh are those of the deliveries that are not stale.
func (s *story) fresh(deliveries []harness.Delivery) []harness.Delivery {
	if s.stale == nil {
		return deliveries
	}
	return slices.DeleteFunc(slices.Clone(deliveries), s.stale)
}

// judgeStarts is judgeDelivery to the microsecond, for the runs whose first
// attempt arrived once, so that its start is the recorded one.
func (s *story) judgeStarts(records []Record, deliveries []harness.Delivery) []string {
	var bad []string
	first := map[string][]harness.Delivery{}
	for _, d := range deliveries {
		if d.Attempt == 1 {
			first[d.RunID] = append(first[d.RunID], d)
		}
	}
	for _, r := range records {
		d := first[r.key.ID()]
		if len(d) != 1 || d[0].Redelivery || r.startedAt.IsZero() {
			continue
		}
		if c, wrong := s.outdated(d[0], r.startedAt, 0); wrong {
			bad = append(bad, fmt.Sprintf("I9: job %s: started %s (run %s) at %v, though the answer to %s had come at %v",
				s.name, d[0].Path, d[0].RunID, r.startedAt.UTC(), c.kind, c.acked.UTC()))
		}
	}
	return bad
}

// askedSince tells whether a delivery is of a run that was asked for after the
// pause that change i is part of.
func (s *story) askedSince(d harness.Delivery, i int) bool {
	for i > 0 && s.changes[i-1].paused {
		i--
	}
	return asked(d.RunID) && !d.DueAt.Before(s.changes[i].sent.Truncate(time.Microsecond))
}

// judgeAttempts returns which runs were attempted too often, or attempted again
// after a later attempt, or twice at once by one process. deliveries are in the
// order of their arrival.
func (s *story) judgeAttempts(deliveries []harness.Delivery) []string {
	var bad []string
	type once struct {
		run     string
		attempt int
		epoch   int64
	}
	seen, last := map[once]bool{}, map[string]int{}
	for _, d := range deliveries {
		switch o := (once{d.RunID, d.Attempt, d.Epoch}); {
		case d.Attempt < 1 || d.Attempt > attempts:
			bad = append(bad, fmt.Sprintf("I4: job %s: attempt %d of at most %d: %v", s.name, d.Attempt, attempts, d))
		case d.Attempt < last[d.RunID]:
			bad = append(bad, fmt.Sprintf("I4: job %s: attempt %d came after attempt %d: %v", s.name, d.Attempt, last[d.RunID], d))
		case seen[o]:
			bad = append(bad, fmt.Sprintf("job %s: one process made this attempt twice: %v", s.name, d))
		default:
			seen[o] = true
		}
		last[d.RunID] = max(last[d.RunID], d.Attempt)
	}
	return bad
}

// judgeCrowd returns which runs began while as many of the job were under way,
// in the same process, as its definition allows. A run is under way until it is
// answered, or asked to be cancelled. Only first attempts are looked at: a run
// that has begun goes on, even when the definition allows fewer by then. Where
// a run takes the place of another, the target may go on with the one that was
// replaced, and a kill may keep that from being recorded, so nothing is said
// about those. twice is how many began beside runs of another epoch: what ran
// when its owner was replaced.
func (s *story) judgeCrowd(deliveries []harness.Delivery) (bad []string, twice int) {
	slots := map[int]int{}
	for _, c := range s.changes {
		if c.overlap != "cancel_running" {
			slots[c.marker] = c.slots
		}
	}
	underWay := func(d harness.Delivery, at time.Time) bool {
		cancelled, asked := s.cancels[d.RunID]
		return slots[markerOf(d.Path)] > 0 && (d.Answered.IsZero() || d.Answered.After(at)) && (!asked || cancelled.After(at)) && !s.replaces(d.At, at)
	}
	for i, d := range deliveries {
		if d.Attempt != 1 || d.Redelivery || !underWay(d, d.At) {
			continue
		}
		under, elsewhere := 0, 0
		for _, other := range deliveries[:i] {
			switch {
			case other.RunID == d.RunID || !underWay(other, d.At):
			case other.Epoch == d.Epoch:
				under++
			default:
				elsewhere++
			}
		}
		if most := slots[markerOf(d.Path)]; under >= most {
			bad = append(bad, fmt.Sprintf("job %s: began while %d of its runs were under way, of at most %d: %v", s.name, under, most, d))
		} else if under+elsewhere >= most {
			twice++
		}
	}
	return bad, twice
}

// replaces tells whether at any time between those two a newer run may have taken
// the place of one under way.
func (s *story) replaces(from, to time.Time) bool {
	for i, c := range s.changes {
		over := i+1 < len(s.changes) && !s.changes[i+1].acked.IsZero() && s.changes[i+1].acked.Before(from)
		if c.overlap == "cancel_running" && c.sent.Before(to) && !over {
			return true
		}
	}
	return false
}

// judgeEpochs returns which deliveries came from a process that was replaced
// before by one with a higher epoch. deliveries are of all jobs, in the order
// of their arrival; what was on its way may arrive late.
func judgeEpochs(deliveries []harness.Delivery) []string {
	var bad []string
	highest, next := int64(0), 0
	for _, d := range deliveries {
		for ; deliveries[next].At.Before(d.At.Add(-underway)); next++ {
			highest = max(highest, deliveries[next].Epoch)
		}
		if d.Epoch < highest || d.Epoch < 1 {
			bad = append(bad, fmt.Sprintf("epoch %d after epoch %d: %v", d.Epoch, highest, d))
		}
	}
	return bad
}

// tally is what the deliveries of all jobs amount to.
type tally struct {
	deliveries  int
	redelivered int           // deliveries beyond the first of their run
	most        int           // deliveries of one run
	twice       int           // runs that began while as many as may be were under way in another epoch
	stale       int           // deliveries from a node that was stopped past its lease
	behind      time.Duration // for how long a job was at most, with nothing of its own to wait for
	alone       time.Duration // and at most while one server had it and was well
	missed      int           // runs that were delivered and then recorded as missed or skipped, the server having died in between
}

// judgeDeliveries holds the records of a job, as they were at now, against what
// arrived: what says that it ran was delivered, and what was delivered is
// recorded, unless it was due at the very end.
func (s *story) judgeDeliveries(records []Record, deliveries []harness.Delivery, now time.Time, t *tally) []string {
	var bad []string
	arrived := map[string]int{}
	for _, d := range deliveries {
		arrived[d.RunID]++
		t.deliveries++
		if s.stale != nil && s.stale(d) {
			t.stale++
		} else if complaint := s.judgeDelivery(d); complaint != "" {
			bad = append(bad, complaint)
		}
	}
	fresh := s.fresh(deliveries)
	bad = append(bad, s.judgeStarts(records, fresh)...)
	bad = append(bad, s.judgeAttempts(fresh)...)
	crowded, twice := s.judgeCrowd(fresh)
	bad, t.twice = append(bad, crowded...), t.twice+twice
	begun := map[string]bool{}
	for _, d := range fresh {
		begun[d.RunID] = true
	}
	for id, n := range arrived {
		t.redelivered += n - 1
		t.most = max(t.most, n)
		key, ok := jadwal.ParseRunID(id)
		if !ok || key.JobID != s.id {
			bad = append(bad, fmt.Sprintf("job %s (id %d): delivered as run %s", s.name, s.id, id))
			continue
		}
		due := time.UnixMicro(key.DueAt)
		i := slices.IndexFunc(records, func(r Record) bool {
			if key.N > 0 || r.key.N > 0 {
				return r.key == key
			}
			return !due.Before(r.due()) && !due.After(r.end())
		})
		switch {
		case i < 0 && (due.After(now.Add(-slack)) || !begun[id]):
		case i < 0:
			bad = append(bad, fmt.Sprintf("I1: job %s: run %s of %s was delivered %d times and is not recorded", s.name, id, clock(due), n))
		case records[i].state == jadwal.RunMissed || records[i].state == jadwal.RunSkipped:
			t.missed++
		}
	}
	for _, r := range records {
		if r.reason == jadwal.ReasonOwnerDisabled {
			bad = append(bad, fmt.Sprintf("job %s: nobody was disabled: %v", s.name, r))
		}
		if (r.state == jadwal.RunSucceeded || r.state == jadwal.RunFailed) && arrived[r.key.ID()] == 0 {
			bad = append(bad, fmt.Sprintf("I5: job %s: recorded but never delivered: %v", s.name, r))
		}
	}
	return bad
}
