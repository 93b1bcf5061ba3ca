package store

import (
	"context"
	"fmt"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/schedule"
)

// Violation is something in the database that must never be. Rule names the
// invariant:
//
//	I1  every planned instant before a job's cursor has a record, and no other instant has
//	I2  no instant has two records, whether final or open
//	I4  attempts never exceed the maximum
//	I5  what ran was attempted, what was skipped or missed was not
//	I6  a cursor is never behind a record, nor ahead of its job's version
//
// That a final record never changes (I3) shows only between two looks.
type Violation struct {
	Rule    string
	JobID   int64
	Message string
}

func (v Violation) String() string { return fmt.Sprintf("%s: job %d: %s", v.Rule, v.JobID, v.Message) }

// maxViolations bounds a report: beyond it something is so wrong that more of
// the same tells nothing.
const maxViolations = 100

// Check looks for violations in all jobs, deleted ones included, as of now,
// when nothing that is due later can have a record. Its work grows with the records there are, never with the instants
// that are covered by ranges or were lost. What the engine has in flight in
// memory is no violation: its cursors stand there.
func (s *Store) Check(ctx context.Context, now time.Time) ([]Violation, error) {
	var found []Violation
	err := s.read(ctx, func(t *tx) error {
		found = nil
		kept, err := metaTime(t, historyFrom)
		if err != nil {
			return err
		}
		var jobs []checkedJob
		if err := t.query(`SELECT j.id, j.version, j.deleted_at, j.created_at, c.version, c.next_at, c.started,
				(SELECT COUNT(*) FROM change WHERE change.job_id = j.id)
			FROM job j JOIN cursor c ON c.job_id = j.id ORDER BY j.id`, func(r row) error {
			jobs = append(jobs, checkedJob{
				id: r.int(0), version: r.int(1), deleted: !r.null(2), created: r.time(3),
				cursorVersion: r.int(4), next: r.time(5), started: int(r.int(6)), changes: r.int(7),
			})
			return nil
		}); err != nil {
			return err
		}
		for i := range jobs {
			c := &checker{checkedJob: jobs[i], now: now, kept: kept}
			if err := c.check(t); err != nil {
				return err
			}
			if found = append(found, c.found...); len(found) >= maxViolations {
				break
			}
		}
		return nil
	})
	return found, err
}

type checkedJob struct {
	id, version   int64
	deleted       bool
	created       time.Time
	cursorVersion int64
	next          time.Time
	started       int
	changes       int64
}

// checker holds one job to the invariants.
type checker struct {
	checkedJob
	now      time.Time
	kept     time.Time // what was due up to here may have lost its record
	spans    []span
	attempts int // that a run may have had, by any version so far
	found    []Violation
}

// span is what one version planned: the instants in (from, to].
type span struct {
	version  int64
	plan     *schedule.Plan
	from, to time.Time
	spent    bool // its limit of runs is reached: the last record is the end of it
}

func (c *checker) report(rule, format string, args ...any) {
	if len(c.found) < maxViolations {
		c.found = append(c.found, Violation{rule, c.id, fmt.Sprintf(format, args...)})
	}
}

func (c *checker) check(t *tx) error {
	if err := c.readSpans(t); err != nil {
		return err
	}
	if c.cursorVersion > c.version {
		c.report("I6", "its cursor is of version %d, beyond the job's %d", c.cursorVersion, c.version)
	}
	if c.cursorVersion < c.version && c.changes == 0 {
		c.report("I6", "its cursor is of version %d, the job of %d, and no change is waiting", c.cursorVersion, c.version)
	}
	records, err := c.readRecords(t)
	if err != nil {
		return err
	}
	c.widen(records)
	c.cut(records)
	for i := range c.spans {
		if s := &c.spans[i]; s.from.Before(c.kept) {
			s.from = c.kept
		}
	}
	c.merge(records)
	return nil
}

// readSpans reads what each version up to the cursor's planned for certain:
// up to where the next version begins, or the cursor stands.
func (c *checker) readSpans(t *tx) error {
	type version struct {
		span
		state jadwal.JobState
	}
	var versions []version
	if err := t.query(`SELECT version, definition, state, effective_at FROM job_version
		WHERE job_id = $1 AND version <= $2 ORDER BY version`, func(r row) error {
		v := version{span{version: r.int(0), from: r.time(3)}, jadwal.JobState(r.text(2))}
		var d jadwal.Definition
		if err := t.decode(c.id, r.bytes(1), &d); err != nil {
			return err
		}
		plan, err := d.Plan(c.created, c.id)
		if err != nil {
			return fmt.Errorf("version %d of job %d: %w", v.version, c.id, err)
		}
		v.plan = plan
		v.spent = d.MaxRuns > 0 && c.started >= d.MaxRuns
		c.attempts = max(c.attempts, d.Retry.MaxAttempts, 1)
		versions = append(versions, v)
		return nil
	}, c.id, c.cursorVersion); err != nil {
		return err
	}
	for i, v := range versions {
		last := i == len(versions)-1
		if !last {
			v.to = versions[i+1].from
			if v.to.Before(v.from) {
				c.report("I6", "version %d takes effect before version %d", versions[i+1].version, v.version)
			}
		}
		switch {
		case v.state == jadwal.JobCompleted:
			continue
		case last && (c.deleted && c.cursorVersion == c.version || v.state == jadwal.JobPaused):
			continue // a deleted job plans nothing, and a pause is recorded when it ends
		case last && !c.next.IsZero():
			v.to = c.next.Add(-time.Microsecond)
		case last:
			v.to = endOfTime
		}
		c.spans = append(c.spans, v.span)
	}
	if len(versions) == 0 || versions[len(versions)-1].version != c.cursorVersion {
		c.report("I6", "its cursor is of version %d, which is not recorded", c.cursorVersion)
	}
	return nil
}

var endOfTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// checkedRecord is a planned run or range, final or open.
type checkedRecord struct {
	at, through time.Time
	version     int64
	open        bool
}

func (c *checker) readRecords(t *tx) ([]checkedRecord, error) {
	var records []checkedRecord
	var before jadwal.RunKey
	err := t.query(`SELECT due_at, n, through_at, version, state, attempts, started_at, 0 FROM run WHERE job_id = $1
		UNION ALL SELECT due_at, n, NULL, version, state, attempt, started_at, 1 FROM open_run WHERE job_id = $1
		ORDER BY 1, 2`, func(r row) error {
		rec := checkedRecord{at: r.time(0), through: r.time(2), version: r.int(3), open: r.int(7) != 0}
		if rec.through.IsZero() {
			rec.through = rec.at
		}
		state, attempts, started := jadwal.RunState(r.text(4)), r.int(5), !r.null(6)
		key := jadwal.RunKey{DueAt: r.int(0), JobID: c.id, N: uint16(r.int(1))}
		if key == before && key.N > 0 { // of planned ones, merge finds it
			c.report("I2", "run %s has two records", key.ID())
		}
		before = key
		if attempts > int64(c.attempts) {
			c.report("I4", "run %s has had %d attempts of %d", key.ID(), attempts, c.attempts)
		}
		switch state {
		case jadwal.RunSucceeded, jadwal.RunFailed, jadwal.RunRunning:
			if attempts == 0 || !started {
				c.report("I5", "run %s is %s without an attempt", key.ID(), state)
			}
		case jadwal.RunSkipped, jadwal.RunMissed:
			if attempts != 0 || started {
				c.report("I5", "run %s is %s in spite of an attempt", key.ID(), state)
			}
		}
		if key.N == 0 && rec.through.After(c.kept) {
			records = append(records, rec)
		}
		return nil
	}, c.id)
	return records, err
}

// widen lets the first version begin at its first instant: that may be an `at`
// that had just passed when the job was created.
func (c *checker) widen(records []checkedRecord) {
	if len(c.spans) == 0 || c.spans[0].version != 1 {
		return
	}
	first := c.next
	if len(records) > 0 {
		first = records[0].at
	}
	if s := &c.spans[0]; !first.IsZero() && s.from.After(c.kept) && !first.After(s.from) && s.from.Sub(first) <= time.Hour {
		s.from = first.Add(-time.Microsecond)
	}
}

// cut ends the versions whose limit of runs is reached at the last record that
// they may have: what their schedules plan after it was not planned any more.
func (c *checker) cut(records []checkedRecord) {
	for i := range c.spans {
		s := &c.spans[i]
		if !s.spent {
			continue
		}
		last := s.from
		for _, r := range records {
			if r.at.After(s.from) && !r.through.After(s.to) {
				last = r.through
			}
		}
		if s.to.After(last) {
			s.to = last
		}
	}
}

// merge goes through what was planned and what is recorded, side by side.
func (c *checker) merge(records []checkedRecord) {
	next := c.instants()
	at, span, planned := next(time.Time{})
	var through time.Time // the end of the record before
	for _, r := range records {
		if !through.IsZero() && !r.at.After(through) {
			c.report("I2", "the instant %s has two records", stamp(r.at))
			continue
		}
		through = r.through
		if planned && !r.at.After(c.kept) && !at.After(r.through) {
			r.at = at // of a range, the part that counts
		}
		if r.through.After(c.now) {
			c.report("I1", "the instant %s is recorded before it is due", stamp(r.through))
		}
		if !c.next.IsZero() && c.cursorVersion == c.version && !r.through.Before(c.next) {
			c.report("I6", "the instant %s is recorded, but the cursor stands at %s", stamp(r.through), stamp(c.next))
		}
		if planned && at.Before(r.at) {
			c.report("I1", "the instant %s has no record, nor has anything up to %s", stamp(at), stamp(r.at))
			at, span, planned = next(r.at.Add(-time.Microsecond))
		}
		if !planned || at.After(r.at) {
			c.report("I1", "the instant %s is recorded, but no version planned it", stamp(r.at))
			continue
		}
		if r.through.After(r.at) {
			switch last, ok := span.plan.Prev(r.through.Add(time.Microsecond)); {
			case span.version != r.version:
				c.report("I1", "the range from %s is of version %d, but version %d planned it", stamp(r.at), r.version, span.version)
			case !ok || !last.Equal(r.through) || r.through.After(span.to):
				c.report("I1", "the range from %s ends at %s, which version %d did not plan", stamp(r.at), stamp(r.through), r.version)
			}
		}
		at, span, planned = next(r.through)
	}
	if planned {
		c.report("I1", "the instant %s has no record, nor has anything after it", stamp(at))
	}
}

// instants returns a function that finds the first planned instant after a
// time; the zero time: the first of all. Times must not go back.
func (c *checker) instants() func(after time.Time) (time.Time, *span, bool) {
	i := 0
	return func(after time.Time) (time.Time, *span, bool) {
		for ; i < len(c.spans); i++ {
			s := &c.spans[i]
			from := s.from
			if after.After(from) {
				from = after
			}
			if at, ok := s.plan.Next(from); ok && !at.After(s.to) {
				return at, s, true
			}
		}
		return time.Time{}, nil, false
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
