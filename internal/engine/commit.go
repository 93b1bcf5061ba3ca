package engine

import (
	"context"
	"errors"
	"time"

	"github.com/teknohole/jadwal"
)

// commits are the outcomes on their way to the store, first in, first out, one
// batch at a time.
type commits struct {
	waiting queue[*step]
	batch   []*step // on its way, or to be sent again
	sending bool
	began   time.Time // when a batch was last sent
	retryAt time.Time // when batch is sent again
	backoff time.Duration
	crowded bool // many more results are sure to come
	singly  int  // so many of the next ones are sent one by one
	round   int  // one higher after all was forfeited
	records int  // not committed yet, those of batch included
	bytes   int  // of their output
}

func (c *commits) push(s *step) { c.waiting.push(s) }

// empty tells whether all is committed.
func (c *commits) empty() bool { return c.waiting.len() == 0 && len(c.batch) == 0 }

// behind tells whether so much is not recorded that nothing more may start.
func (c *commits) behind(now time.Time) bool {
	return c.records >= maxUnrecorded || c.bytes >= maxOutputBytes || c.age(now) > maxUnrecordedAge
}

// age is how long the oldest of them has waited.
func (c *commits) age(now time.Time) time.Duration {
	switch {
	case len(c.batch) > 0:
		return now.Sub(c.batch[0].since)
	case c.waiting.len() > 0:
		return now.Sub(c.waiting.at(0).since)
	}
	return 0
}

// wake returns when the next batch is to be sent.
func (c *commits) wake() (time.Time, bool) {
	switch {
	case c.sending || c.empty():
		return time.Time{}, false
	case len(c.batch) > 0:
		return c.retryAt, true
	}
	if c.crowded {
		return c.began.Add(crowdLinger), true
	}
	return c.began.Add(linger), true
}

// ripe tells whether a batch is to be sent now: at once when the store has
// been idle for the time that a batch may wait for company, or when it is full.
func (c *commits) ripe(now time.Time) bool {
	at, ok := c.wake()
	return ok && (!now.Before(at) || len(c.batch) == 0 && c.waiting.len() >= batchRows)
}

// take fills the next batch.
func (c *commits) take() {
	rows, bytes := 0, 0
	for c.waiting.len() > 0 {
		s := c.waiting.at(0)
		if s.dead {
			c.waiting.pop()
			continue
		}
		rows += 1 + len(s.Records) + len(s.Opens) + len(s.Begins) + len(s.Closes) + len(s.Tried)
		bytes += s.bytes
		if len(c.batch) > 0 && (rows > batchRows || bytes > batchBytes) {
			return
		}
		c.waiting.pop()
		if s.job.out == s {
			s.job.out = nil
		}
		s.job.sent = s
		c.batch = append(c.batch, s)
		if c.singly > 0 {
			c.singly--
			return
		}
	}
}

func (e *Engine) commit(ctx context.Context, now time.Time) {
	c := &e.commits
	c.crowded = e.inFlight >= crowd
	if !c.ripe(now) {
		return
	}
	if len(c.batch) == 0 {
		if c.take(); len(c.batch) == 0 {
			return
		}
	}
	outcomes := make([]*jadwal.Outcome, len(c.batch))
	for i, s := range c.batch {
		outcomes[i] = &s.Outcome
	}
	c.sending, c.began = true, now
	round := c.round
	e.call(func() func(time.Time) {
		verdicts, err := e.o.Store.Commit(ctx, now, outcomes)
		return func(now time.Time) {
			if c.sending = false; round == c.round {
				e.committed(verdicts, err, now)
			}
		}
	})
}

// committed takes in the store's answer to a batch. A batch that the store
// could not take for now is sent again. One that it refuses is sent again row
// by row, so that the bad one is found.
func (e *Engine) committed(verdicts []jadwal.Verdict, err error, now time.Time) {
	c := &e.commits
	if err != nil {
		e.counters.failed.Add(1)
		e.log.Error("outcomes were not recorded", "outcomes", len(c.batch), "error", err)
		if errors.Is(err, jadwal.ErrFenced) || errors.Is(err, jadwal.ErrUnknown) {
			e.forfeit()
			e.o.Lost()
			return
		}
		if len(c.batch) == 1 && !passes(err) {
			s := c.batch[0]
			c.batch = nil
			e.settled(s)
			e.distrust(s.job, now.Add(doubtFor))
			return
		}
		for _, s := range c.batch {
			s.unheard = true
		}
		c.backoff = min(max(2*c.backoff, 50*time.Millisecond), time.Second)
		c.retryAt = now.Add(c.backoff)
		if !passes(err) {
			c.divide()
		}
		return
	}
	batch := c.batch
	c.batch, c.backoff = nil, 0
	e.metrics.committed(batch, verdicts, now.Sub(c.began))
	for i, s := range batch {
		e.settled(s)
		switch verdicts[i] {
		case jadwal.Rejected:
			if s.unheard && !s.job.reloading {
				e.question(s, now)
				break
			}
			e.rejected(s)
			e.distrust(s.job, now)
		case jadwal.Completed:
			e.counters.recorded.Add(1)
			e.cached.drop(s.JobID)
			if s.job.version == s.after() {
				s.job.version++
				if s.job.out != nil {
					s.job.out.Version++
				}
			}
			e.grown(s)
			s.job.kicked = false // an entry of the version before is dropped
			e.unpaused(s, now)
			e.kick(s.job, now)
			e.rest(s.job)
		case jadwal.Paused:
			e.counters.recorded.Add(1)
			s.job.until, e.reads.news = s.PausedAs, true // unless that version is in force already
			e.grown(s)
			e.unpaused(s, now)
			e.rest(s.job)
		default:
			e.counters.recorded.Add(1)
			e.grown(s)
			e.unpaused(s, now)
			e.rest(s.job)
		}
	}
}

// grown lets what a version plans start now that it is stored, if that is what s
// did.
func (e *Engine) grown(s *step) {
	if s.Applied != nil && s.Applied.Version != 0 {
		s.job.young = false
		e.schedule(s.job)
	}
}

// mayPause tells whether the store may pause the job when it records s.
func (s *step) mayPause() bool { return s != nil && s.PauseAfter > 0 }

// unpaused goes on with a job that might have been paused with s, unless it was,
// or may be with what is to come.
func (e *Engine) unpaused(s *step, now time.Time) {
	if s.mayPause() && !s.job.pausing() {
		e.schedule(s.job)
		e.kick(s.job, now)
	}
}

// after is the version of the cursor when s is recorded.
func (s *step) after() int64 {
	if s.Applied != nil && s.Applied.Version != 0 {
		return s.Applied.Version
	}
	return s.Version
}

// settled takes a step that was answered out of the books.
func (e *Engine) settled(s *step) {
	if s.job.sent == s {
		s.job.sent = nil
	}
	e.commits.records -= len(s.Records)
	e.commits.bytes -= s.bytes
	if s.Applied != nil {
		e.reads.applying--
	}
}

// divide puts the batch back in front, to be sent one by one.
func (c *commits) divide() {
	var rest queue[*step]
	for _, s := range c.batch {
		rest.push(s)
	}
	for c.waiting.len() > 0 {
		rest.push(c.waiting.pop())
	}
	c.singly += len(c.batch)
	c.waiting, c.batch = rest, nil
}

// passes tells whether an error of the store may be gone at the next try.
func passes(err error) bool {
	switch jadwal.CodeOf(err) {
	case jadwal.CodeUnavailable, jadwal.CodeBusy:
		return true
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// question asks the store whether s, which was sent again after an error, is
// refused because it was stored the first time. What came after it is held
// back meanwhile, and nothing of its job starts: were it forgotten, what has
// ended would be made again beside what has begun since.
func (e *Engine) question(s *step, now time.Time) {
	j := s.job
	j.asked, j.reloading = s, true
	if j.out != nil {
		held := *j.out
		j.out.dead = true
		j.out = &held
	}
	e.reads.doubts = append(e.reads.doubts, doubt{j, now})
}

// answered takes in where the store says that the job of a questioned step
// stands, and tells whether that is where the step leads to.
func (e *Engine) answered(j *job, c jadwal.Cursor, now time.Time) bool {
	s := j.asked
	if !s.leadsTo(c) {
		e.rejected(s)
		e.letGo(j)
		return false
	}
	j.asked = nil
	e.counters.recorded.Add(1)
	e.metrics.found(s)
	if j.out != nil {
		e.commits.push(j.out)
	}
	j.waiting, j.kicked, j.parkedTo, j.wakeAt, j.reloading = false, false, 0, 0, false
	j.pinned, j.until = e.reads.loadedTo, c.Stored
	e.grown(s)
	e.resume(j, now)
	return true
}

// letGo drops what is held back behind a questioned step.
func (e *Engine) letGo(j *job) {
	if j.asked != nil && j.out != nil {
		e.settled(j.out)
		j.out = nil
	}
	j.asked = nil
}

func (e *Engine) rejected(s *step) {
	e.counters.rejected.Add(1)
	e.log.Error("an outcome was already recorded by somebody else and is dropped", "job", s.JobID, "cursor", instant(s.At))
}

// leadsTo tells whether a job stands where it does once s is recorded.
func (s *step) leadsTo(c jadwal.Cursor) bool {
	if c.Version != s.after() || c.NextAt != s.Next {
		return false
	}
	open := map[jadwal.RunKey]jadwal.OpenRun{}
	for _, r := range c.Open {
		open[r.Key] = r
	}
	is := func(run jadwal.OpenRun) bool {
		r, ok := open[run.Key]
		return ok && r.State == run.State && r.Attempt == run.Attempt
	}
	for _, r := range s.Opens {
		if !is(r) {
			return false
		}
	}
	for _, b := range s.Begins {
		if !is(b.Run) {
			return false
		}
	}
	for _, c := range s.Closes {
		if _, ok := open[c.Key]; ok {
			return false
		}
	}
	return true
}

// distrust forgets what the engine thought of a job whose cursor is not where
// it should be, and asks the store, not before at. What is in flight of it goes
// on meanwhile, since the store may agree with it: see trust.
func (e *Engine) distrust(j *job, at time.Time) {
	e.letGo(j)
	if j.out != nil {
		j.out.dead = true
		e.settled(j.out)
		j.out = nil
	}
	e.review(j, at)
}

// review asks the store where a job stands, not before at, and when all of it
// that is on its way there has arrived. Nothing of the job starts meanwhile, and
// what ends waits.
func (e *Engine) review(j *job, at time.Time) {
	j.open, j.parkedTo, j.wakeAt, j.reloading = nil, 0, 0, true
	e.reads.doubts = append(e.reads.doubts, doubt{j, at})
}

// underway tells whether an outcome of j is in a batch or waits for one.
func (j *job) underway() bool { return j.sent != nil || j.out != nil && j.asked == nil }
