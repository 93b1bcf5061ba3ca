package engine

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// settle ends all that hinders, and has everything come to its end.
func (s *sequence) settle() {
	if !s.m.up {
		s.pass(near)
		s.restart()
	}
	s.pass(near)
	if s.m.barred {
		s.owner()
	}
	s.w.fault.on(func(f *faults) { f.before, f.after = nil, nil })
	s.w.sink.mu.Lock()
	for _, j := range s.m.jobs {
		j.mood = "quick"
	}
	s.w.sink.mu.Unlock()
	s.pass(45 * time.Second)
	s.compare()
	for _, j := range s.m.jobs {
		if stored := s.w.stored(j.id); stored.State == jadwal.JobPaused || j.deleted {
			continue
		}
		for _, r := range s.w.runs(j.id) {
			if due := time.UnixMicro(r.Key.DueAt); !r.State.Final() && time.Since(due) > 40*time.Second {
				s.t.Errorf("%s of job %d is still %s", clock(due), j.id, r.State)
			}
		}
	}
	s.deliveries()
	if s.races { // on PostgreSQL it removes no run, since days of them go
		s.w.sweep(store.Retention{History: 20 * time.Second, Failures: 40 * time.Second})
	}
}

// compare holds what is stored to what the model says, and to what holds in
// any order.
func (s *sequence) compare() {
	for _, j := range s.m.jobs {
		s.lasting(j)
		if !j.blurred {
			s.exact(j)
		}
	}
}

// lasting: what is final does not change.
func (s *sequence) lasting(j *modelJob) {
	for _, r := range s.w.runs(j.id) {
		if before, ok := s.final[r.Key.ID()]; ok && !reflect.DeepEqual(before, r) {
			s.t.Errorf("a final record has changed:\n was %+v\n is  %+v", before, r)
		}
		if r.State.Final() {
			s.final[r.Key.ID()] = r
		}
		if why := s.impossible(j, r); why != "" {
			s.t.Errorf("job %d: %s, but %s", j.id, tell([]jadwal.Run{r}), why)
		}
	}
}

// impossible tells what of a run cannot be, whatever the order of events.
func (s *sequence) impossible(j *modelJob, r jadwal.Run) string {
	attempts, windows, policies := 0, false, ""
	for _, rules := range j.of {
		attempts, windows = max(attempts, rules.attempts), windows || rules.window > 0
		policies += string(rules.overlap) + " "
	}
	needs := map[jadwal.Reason]bool{
		"": true, jadwal.ReasonHTTPStatus: true, jadwal.ReasonTimeout: true, jadwal.ReasonOverload: s.races,
		jadwal.ReasonOverlap:       strings.Contains(policies, "skip") || strings.Contains(policies, "allow"),
		jadwal.ReasonQueueFull:     strings.Contains(policies, "queue"),
		jadwal.ReasonReplaced:      strings.Contains(policies, "cancel"),
		jadwal.ReasonPaused:        s.facts["paused"] || s.pausedByFailures(j),
		jadwal.ReasonOwnerDisabled: s.facts["barred"], jadwal.ReasonLost: s.facts["barred"] && s.facts["down"],
		jadwal.ReasonServerDown: s.facts["down"], jadwal.ReasonCatchupExpired: windows,
		jadwal.ReasonRequested: s.facts["cancelled"], jadwal.ReasonJobDeleted: s.facts["deleted"],
	}
	switch {
	case !needs[r.Reason]:
		return "nothing gave cause for it"
	case r.Attempts > attempts:
		return fmt.Sprintf("it had %d attempts of %d", r.Attempts, attempts)
	case r.Key.N != 0 && (r.State == jadwal.RunMissed || r.State == jadwal.RunSkipped && r.Reason != jadwal.ReasonOwnerDisabled):
		return "somebody asked for it"
	}
	return ""
}

func (s *sequence) pausedByFailures(j *modelJob) bool {
	for _, rules := range j.of {
		if rules.failing > 0 {
			return true
		}
	}
	return false
}

// exact compares run by run.
func (s *sequence) exact(j *modelJob) {
	type name struct {
		due time.Duration
		n   uint16
	}
	got := map[name]jadwal.Run{}
	for _, r := range s.w.runs(j.id) {
		due := time.UnixMicro(r.Key.DueAt).Sub(midnight)
		got[name{due, r.Key.N}] = r
		if !r.ThroughAt.IsZero() {
			for at := due; at <= r.ThroughAt.Sub(midnight); at += j.of[r.Version].period {
				got[name{at, 0}] = r
			}
		}
	}
	cursor := s.w.stored(j.id).NextAt
	for _, r := range j.runs {
		if r.flying && s.m.now-r.began >= time.Second {
			r.keep()
		}
		want := r.want()
		is, there := got[name{r.due, r.n}]
		delete(got, name{r.due, r.n})
		found := ""
		if there {
			found = describe(is.State, is.Reason, is.Version, is.Attempts)
		}
		switch {
		case found == want:
		case r.lazy && !there && !cursor.IsZero() && !midnight.Add(r.due).Before(cursor):
		case r.loose && is.State == jadwal.RunSkipped && (is.Reason == jadwal.ReasonOwnerDisabled || is.Reason == jadwal.ReasonOverlap || is.Reason == jadwal.ReasonQueueFull):
		default:
			s.t.Errorf("at %s, %s of job %d is %q, and must be %q", offset(s.m.now), offset(r.due), j.id, found, want)
		}
	}
	for n, r := range got {
		s.t.Errorf("at %s, %s of job %d is %s %s, and must not be", offset(s.m.now), offset(n.due), j.id, r.State, r.Reason)
	}
	state := s.w.stored(j.id).State
	if len(j.pending) == 0 && !j.deleted && state != j.state {
		s.t.Errorf("at %s, job %d is %s, and must be %s", offset(s.m.now), j.id, state, j.state)
	}
}

// deliveries compares what was sent.
func (s *sequence) deliveries() {
	got := map[int64]map[string][]time.Duration{}
	name := func(key jadwal.RunKey, attempt int, label string) string {
		return fmt.Sprintf("%s attempt %d of %s", key.ID(), attempt, label)
	}
	sent := map[int][]delivery{}
	for _, d := range s.w.sink.deliveries() {
		sent[indexOf(d.job)] = append(sent[indexOf(d.job)], d)
		at := d.at.Sub(midnight)
		if end, ok := s.ended[d.job]; ok && at > end {
			s.t.Errorf("%s was delivered %s after its end was answered", d.job, at-end)
		}
		j := s.m.jobs[indexOf(d.job)]
		if got[j.id] == nil {
			got[j.id] = map[string][]time.Duration{}
		}
		key, _ := jadwal.ParseRunID(d.run)
		got[j.id][name(key, d.attempt, d.job)] = append(got[j.id][name(key, d.attempt, d.job)], at)
	}
	for _, j := range s.m.jobs {
		most, slots := together(sent[j.index]), 0
		for _, rules := range j.of {
			slots = max(slots, rules.slots)
		}
		if most > slots {
			s.t.Errorf("job %d ran %d times at once", j.id, most)
		}
		if j.blurred {
			continue
		}
		for _, d := range j.deliveries {
			n := name(jadwal.RunKey{DueAt: midnight.Add(d.due).UnixMicro(), JobID: j.id, N: d.n}, d.attempt, d.label)
			at := got[j.id][n]
			if len(at) == 0 || (at[0]-d.at).Abs() > 2*near {
				s.t.Errorf("the delivery of %s, attempt %d of %s, is to come at %s, and came at %v", offset(d.due), d.attempt, d.label, offset(d.at), at)
				continue
			}
			if got[j.id][n] = at[1:]; len(at) == 1 {
				delete(got[j.id], n)
			}
		}
		for n, at := range got[j.id] {
			s.t.Errorf("job %d: %s was delivered at %v, and must not be", j.id, n, at)
		}
	}
}

// together is how many of the deliveries were under way at once, at most. One
// that begins when another ends does not count.
func together(all []delivery) (most int) {
	for _, a := range all {
		n := 0
		for _, b := range all {
			if !b.at.After(a.at) && (b.until.IsZero() || b.until.After(a.at)) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}
