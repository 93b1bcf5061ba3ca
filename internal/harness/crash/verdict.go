package main

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
	kind    string // create, edit, pause, resume, delete
	sent    time.Time
	acked   time.Time // when it was known to have happened; zero: it may have happened at any time after sent
	marker  int       // part of the target's path: which edit a delivery comes from
	every   time.Duration
	paused  bool
	deleted bool
}

// story is all that was asked of a job, in order. Changes that are known not to
// have happened are not in it.
type story struct {
	name    string
	id      int64
	first   time.Time // the next_at of the answer that confirmed the job; zero: that answer was lost
	at      time.Time // of a job that runs once; zero: it runs every so often
	changes []change
	asked   []string // ids of runs beside the schedule that were confirmed
}

func (s *story) last() change { return s.changes[len(s.changes)-1] }

// steady tells whether the job was left alone since it was made.
func (s *story) steady() bool { return len(s.changes) == 1 }

// record is a run as the API tells it, or as the store holds it.
type record struct {
	key        jadwal.RunKey
	through    time.Time // zero: no range
	state      jadwal.RunState
	reason     jadwal.Reason
	attempts   int
	startedAt  time.Time
	finishedAt time.Time
}

func (r record) due() time.Time { return time.UnixMicro(r.key.DueAt).UTC() }

// end is the last instant that r is the record of.
func (r record) end() time.Time {
	if r.through.IsZero() {
		return r.due()
	}
	return r.through
}

func (r record) String() string {
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

// judgeDelivery returns what is wrong with a delivery at its time: it came from
// a definition that was certainly replaced by then, or the job was certainly
// paused or deleted. A paused job's running attempts may be redelivered.
func (s *story) judgeDelivery(d harness.Delivery) string {
	marker := markerOf(d.Path)
	from := 0
	for i, c := range s.changes {
		if !c.acked.IsZero() && c.acked.Before(d.At.Add(-underway)) {
			from = i
		}
	}
	for i := len(s.changes) - 1; i >= 0; i-- {
		c := s.changes[i]
		if c.sent.After(d.At) || c.deleted || c.marker != marker {
			continue
		}
		if i >= from && (!c.paused || asked(d.RunID)) || d.Redelivery && !s.changes[from].deleted {
			return ""
		}
	}
	c := s.changes[from]
	return fmt.Sprintf("job %s: delivered %s (run %s) at %s, though %s was confirmed at %s", s.name, d.Path, d.RunID, clock(d.At), c.kind, clock(c.acked))
}

// asked tells whether a run was asked for: such a one starts while its job is
// paused, too.
func asked(id string) bool {
	key, ok := jadwal.ParseRunID(id)
	return ok && key.N > 0
}

// judgeAsked returns which runs that somebody asked for are not recorded, or
// not ended at now. A pause holds those that were asked for before it.
func (s *story) judgeAsked(records []record, now time.Time) []string {
	var bad []string
	for _, id := range s.asked {
		i := slices.IndexFunc(records, func(r record) bool { return r.key.ID() == id })
		switch {
		case i < 0:
			bad = append(bad, fmt.Sprintf("job %s: run %s was asked for and is not recorded", s.name, id))
		case !records[i].state.Final() && !s.last().paused && now.Sub(records[i].due()) > patience:
			bad = append(bad, fmt.Sprintf("job %s: was asked for and is still open: %v", s.name, records[i]))
		}
	}
	return bad
}

// judgeRecords returns what is wrong with the planned records of a job that is
// not deleted, at now, sorted by instant: doubles, gaps, a wrong first or last one.
func (s *story) judgeRecords(records []record, now time.Time) []string {
	var bad []string
	complain := func(format string, args ...any) {
		bad = append(bad, "job "+s.name+": "+fmt.Sprintf(format, args...))
	}
	for i, r := range records {
		if !r.state.Final() && !s.last().paused && now.Sub(r.due()) > patience {
			complain("still open: %v", r)
		}
		if i > 0 && !r.due().After(records[i-1].end()) {
			complain("recorded twice: %v and %v", records[i-1], r)
		}
	}
	if !s.at.IsZero() {
		if len(records) != 1 || !records[0].due().Equal(s.at) || !records[0].through.IsZero() {
			complain("runs once at %s, but was recorded as %v", clock(s.at), records)
		}
		return bad
	}
	longest := time.Duration(0)
	for _, c := range s.changes {
		longest = max(longest, c.every)
	}
	if len(records) == 0 {
		if s.alive(now, longest) {
			complain("nothing is recorded")
		}
		return bad
	}
	if first := records[0].due(); !s.first.IsZero() && (s.steady() || s.changes[1].sent.After(s.first)) && !first.Equal(s.first) {
		complain("the first instant was %s, but the first record is %v", clock(s.first), records[0])
	}
	for i, r := range records[1:] {
		gap := r.due().Sub(records[i].end())
		switch {
		case s.steady() && gap != longest:
			complain("%v between %v and %v, planned every %v", gap, records[i], r, longest)
		case gap > 2*longest:
			complain("a gap of %v between %v and %v, planned every %v or less", gap, records[i], r, longest)
		}
	}
	if s.steady() {
		for _, r := range records {
			if r.end().Sub(r.due())%longest != 0 || r.due().Sub(records[0].due())%longest != 0 {
				complain("not an instant of every %v from %s on: %v", longest, clock(records[0].due()), r)
			}
		}
	}
	if last := records[len(records)-1]; s.alive(now, longest) && now.Sub(last.end()) > longest+slack {
		complain("behind: the last record is %v, and it is %s", last, clock(now))
	}
	return bad
}

// alive tells whether the job has been enabled for long enough, for certain, to
// have a record of the last few seconds.
func (s *story) alive(now time.Time, longest time.Duration) bool {
	c := s.last()
	return !c.paused && !c.deleted && !c.acked.IsZero() && now.Sub(c.acked) > longest+slack
}

// tally is what the deliveries of all jobs amount to.
type tally struct {
	deliveries  int
	redelivered int // deliveries beyond the first of their run
	most        int // deliveries of one run
	missed      int // runs that were delivered and then recorded as missed or skipped, the server having died in between
}

// judgeDeliveries holds the records of a job, as they were at now, against what
// arrived: what says that it ran was delivered, and what was delivered is
// recorded, unless it was due at the very end.
func (s *story) judgeDeliveries(records []record, deliveries []harness.Delivery, now time.Time, t *tally) []string {
	var bad []string
	arrived := map[string]int{}
	for _, d := range deliveries {
		arrived[d.RunID]++
		t.deliveries++
		if complaint := s.judgeDelivery(d); complaint != "" {
			bad = append(bad, complaint)
		}
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
		i := slices.IndexFunc(records, func(r record) bool {
			if key.N > 0 || r.key.N > 0 {
				return r.key == key
			}
			return !due.Before(r.due()) && !due.After(r.end())
		})
		switch {
		case i < 0 && due.After(now.Add(-slack)):
		case i < 0:
			bad = append(bad, fmt.Sprintf("job %s: run %s of %s was delivered %d times and is not recorded", s.name, id, clock(due), n))
		case records[i].state == jadwal.RunMissed || records[i].state == jadwal.RunSkipped:
			t.missed++
		}
	}
	for _, r := range records {
		if (r.state == jadwal.RunSucceeded || r.state == jadwal.RunFailed) && arrived[r.key.ID()] == 0 {
			bad = append(bad, fmt.Sprintf("job %s: recorded but never delivered: %v", s.name, r))
		}
	}
	return bad
}
