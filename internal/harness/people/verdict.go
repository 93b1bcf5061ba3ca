package people

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
)

// slack is how far behind its schedule a server may be on a machine that is
// busy, and underway how much later than it was sent a call may arrive.
const (
	slack    = 1500 * time.Millisecond
	underway = 500 * time.Millisecond
)

// patience is how long a run may be open: its target answers within 3 s, and in
// the end the server has been left alone for 6.
const patience = 12 * time.Second

// change is something that was asked of a job, and the state it led to.
type change struct {
	kind  string // create, edit, pause, resume, delete
	sent  time.Time
	seen  time.Time // when it was known to be stored; zero: that was not looked at
	acked time.Time // when it was known to be in force; zero: it may be at any time after sent
	terms
	paused  bool
	deleted bool
}

// story is all that was asked of a job, in order. Changes that are known not to
// have happened are not in it.
type story struct {
	name    string
	id      int64
	first   time.Time // the next_at of the answer that confirmed the job; zero: that answer was lost
	changes []change
	tries   []try                // every call about the job, for people
	asked   []string             // ids of runs beside the schedule that were confirmed
	cancels map[string]time.Time // when runs were first asked to be cancelled, by id

	// How the job ends by itself; it is left alone then.
	at       time.Time // it runs once, then; zero: it runs every so often
	most     int       // it has so many runs; 0: no limit
	failures int       // it is paused after so many in a row; 0: never
	state    string    // that it was in at last

	stale func(harness.Delivery) bool // nil: none is
}

// try is one call about a job, and what came of it.
type try struct {
	what        string
	sent, ended time.Time
	came        string // the answer, or how it was lost
}

func (s *story) last() change { return s.changes[len(s.changes)-1] }

// steady tells whether the job was left alone since it was made.
func (s *story) steady() bool { return len(s.changes) == 1 }

// ends tells whether the job ends by itself.
func (s *story) ends() bool { return !s.at.IsZero() || s.most > 0 || s.failures > 0 }

// waits tells whether runs of the job may wait for each other, as long as they take.
func (s *story) waits() bool {
	for _, c := range s.changes {
		if c.queues() || c.kind == "resume" {
			return true
		}
	}
	return false
}

// everReplaces tells whether a newer run may have taken the place of one under
// way. What somebody asked for takes turns with the instants then, each of which
// may take until the next.
func (s *story) everReplaces() bool {
	return slices.ContainsFunc(s.changes, func(c change) bool { return c.overlap == "cancel_running" })
}

// enforce notes since when changes are in force that were stored and whose
// answer never came: a server that starts applies them before it fires.
func (s *story) enforce(lives []Life) {
	for i := range s.changes {
		c := &s.changes[i]
		for _, l := range lives {
			if c.acked.IsZero() && !c.seen.IsZero() && l.Started.After(c.seen) {
				c.acked = l.Started
			}
		}
	}
}

// Record is a run as the API tells it, or as the store holds it.
type Record struct {
	key        jadwal.RunKey
	through    time.Time // zero: no range
	state      jadwal.RunState
	reason     jadwal.Reason
	version    int64
	attempts   int
	startedAt  time.Time
	finishedAt time.Time
}

func (r Record) due() time.Time { return time.UnixMicro(r.key.DueAt).UTC() }

// end is the last instant that r is the record of.
func (r Record) end() time.Time {
	if r.through.IsZero() {
		return r.due()
	}
	return r.through
}

func (r Record) String() string {
	text := fmt.Sprintf("%s %s %s", r.key.ID(), clock(r.due()), r.state)
	if !r.through.IsZero() {
		text = fmt.Sprintf("%s %s to %s %s", r.key.ID(), clock(r.due()), clock(r.through), r.state)
	}
	if r.reason != "" {
		text += ": " + string(r.reason)
	}
	return text
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// markerOf reads which edit a delivery's path comes from: /j/<name>/<marker>.
func markerOf(path string) int {
	path, _, _ = strings.Cut(path, "?")
	n, err := strconv.Atoi(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return -1
	}
	return n
}

// asked tells whether a run was asked for.
func asked(id string) bool {
	key, ok := jadwal.ParseRunID(id)
	return ok && key.N > 0
}

// stuck tells whether a run that is due is still open at now although nothing
// holds it: there was no pause, and no other run of the job before it.
func (s *story) stuck(r Record, deliveries []harness.Delivery, now time.Time) bool {
	if r.state.Final() || s.last().paused || s.state == "paused" || now.Sub(r.due()) <= patience {
		return false
	}
	n := len(deliveries)
	waits := s.waits() || r.key.N > 0 && s.everReplaces()
	return !waits || n == 0 || now.Sub(deliveries[n-1].At) > patience
}

// judgeAsked returns which runs that somebody asked for are not recorded, or
// not ended at now. A pause holds those that were asked for before it.
func (s *story) judgeAsked(records []Record, deliveries []harness.Delivery, now time.Time) []string {
	var bad []string
	for _, id := range s.asked {
		i := slices.IndexFunc(records, func(r Record) bool { return r.key.ID() == id })
		switch {
		case i < 0:
			bad = append(bad, fmt.Sprintf("I1: job %s: run %s was asked for and is not recorded", s.name, id))
		case s.stuck(records[i], deliveries, now):
			bad = append(bad, fmt.Sprintf("I10: job %s: was asked for and is still open: %v", s.name, records[i]))
		}
	}
	return bad
}

// judgeRecords returns what is wrong with the planned records of a job that is
// not deleted, at now, sorted by instant: doubles, gaps, a wrong first or last one.
func (s *story) judgeRecords(records []Record, deliveries []harness.Delivery, now time.Time) []string {
	var bad []string
	complain := func(rule, format string, args ...any) {
		bad = append(bad, rule+": job "+s.name+": "+fmt.Sprintf(format, args...))
	}
	for i, r := range records {
		if s.stuck(r, deliveries, now) {
			complain("I10", "still open: %v", r)
		}
		if i > 0 && !r.due().After(records[i-1].end()) {
			complain("I2", "recorded twice: %v and %v", records[i-1], r)
		}
	}
	if !s.at.IsZero() {
		if len(records) != 1 || !records[0].due().Equal(s.at) || !records[0].through.IsZero() {
			complain("I1", "runs once at %s, but was recorded as %v", clock(s.at), records)
		}
		return append(bad, s.judgeEnd(records, now)...)
	}
	longest := time.Duration(0)
	for _, c := range s.changes {
		longest = max(longest, c.every)
	}
	if len(records) == 0 {
		if s.alive(now, longest) {
			complain("I1", "nothing is recorded")
		}
		return bad
	}
	if first := records[0].due(); !s.first.IsZero() && (s.steady() || s.changes[1].sent.After(s.first)) && !first.Equal(s.first) {
		complain("I1", "the first instant was %s, but the first record is %v", clock(s.first), records[0])
	}
	for i, r := range records[1:] {
		gap := r.due().Sub(records[i].end())
		switch {
		case s.steady() && gap != longest:
			complain("I1", "%v between %v and %v, planned every %v", gap, records[i], r, longest)
		case gap > 2*longest:
			complain("I1", "a gap of %v between %v and %v, planned every %v or less", gap, records[i], r, longest)
		}
	}
	if s.steady() {
		for _, r := range records {
			if r.end().Sub(r.due())%longest != 0 || r.due().Sub(records[0].due())%longest != 0 {
				complain("I1", "not an instant of every %v from %s on: %v", longest, clock(records[0].due()), r)
			}
		}
	}
	if last := records[len(records)-1]; !s.over(records) && s.alive(now, longest) && now.Sub(last.end()) > longest+slack {
		complain("I10", "behind: the last record is %v, and it is %s", last, clock(now))
	}
	return append(bad, s.judgeEnd(records, now)...)
}

// begun returns the planned runs that count for max_runs: those that started
// or wait for that. None is cancelled before, since nobody touches such a job.
func begun(records []Record) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool {
		return r.state == jadwal.RunMissed || r.state == jadwal.RunSkipped
	})
}

func failed(records []Record) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.state != jadwal.RunFailed })
}

// over tells whether a job has come to the end that it was made with.
func (s *story) over(records []Record) bool {
	return !s.at.IsZero() && len(begun(records)) > 0 ||
		s.most > 0 && len(begun(records)) >= s.most ||
		s.failures > 0 && len(failed(records)) >= s.failures
}

// judgeEnd returns what is wrong with the end of a job that ends by itself:
// that it comes late, or not for good. sorted by instant: see judgeRecords.
func (s *story) judgeEnd(records []Record, now time.Time) []string {
	if !s.ends() || !s.over(records) {
		return nil
	}
	var bad []string
	complain := func(format string, args ...any) {
		bad = append(bad, "job "+s.name+": "+fmt.Sprintf(format, args...))
	}
	runs, want := begun(records), "completed"
	if s.failures > 0 {
		want = "paused"
		last := failed(records)[s.failures-1]
		for _, r := range runs {
			if r.startedAt.After(last.finishedAt.Add(slack)) {
				complain("was to be paused after %v, but started %v at %s", last, r, clock(r.startedAt))
			}
		}
	}
	if s.most > 0 && len(runs) > s.most {
		complain("has %d runs, of at most %d: %v", len(runs), s.most, runs)
	}
	ended := time.Time{}
	for _, r := range runs {
		if !r.state.Final() {
			return bad
		}
		if r.finishedAt.After(ended) {
			ended = r.finishedAt
		}
	}
	if s.state != want && now.Sub(ended) > slack {
		complain("should be %s since %s, but is %s", want, clock(ended), s.state)
	}
	return bad
}

// alive tells whether the job has been enabled for long enough, for certain, to
// have a record of the last few seconds.
func (s *story) alive(now time.Time, longest time.Duration) bool {
	c := s.last()
	return !c.paused && !c.deleted && !c.acked.IsZero() && now.Sub(c.acked) > longest+slack
}
