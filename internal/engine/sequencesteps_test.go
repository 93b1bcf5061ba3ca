package engine

import (
	"context"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
)

// some is one of the jobs that are not deleted.
func (s *sequence) some() *modelJob {
	var living []*modelJob
	pending := 0
	for _, j := range s.m.jobs {
		pending += len(j.pending)
		if !j.deleted {
			living = append(living, j)
		}
	}
	if len(living) == 0 {
		s.t.Skip("there is no job")
	}
	if pending >= 5 {
		s.t.Skip("a server would need too long for all of them before it fires")
	}
	return living[s.draw("job", 0, len(living)-1)]
}

// changes has a change applied, in the model too: now, or when a server comes.
func (s *sequence) changes(j *modelJob, change int64, apply func()) {
	if !s.m.up {
		j.pending = append(j.pending, apply)
		return
	}
	s.w.applied(change)
	if !j.blurred {
		apply()
	}
}

func (s *sequence) create() {
	if len(s.m.jobs) == 4 {
		s.t.Skip("enough")
	}
	rules := s.rules()
	j := &modelJob{index: len(s.m.jobs), version: 1, stored: 1, state: jadwal.JobEnabled, rules: rules.ruled(), mood: pick(s, "mood", moods...), blurred: s.races}
	j.label = labelOf(j.index, 1)
	j.of = map[int64]modelRules{1: j.rules}
	s.tell("create %s, %s: %+v", j.label, j.mood, rules)
	s.m.jobs = append(s.m.jobs, j)
	job, err := s.w.create(rules.definition(j.label), time.Now())
	s.must(err)
	j.id, j.from, j.next = job.ID, since(), j.rules.after(since())
}

// update asks for another version of a job, as often as another change comes
// before it.
func (s *sequence) update(j *modelJob, catchup jadwal.Catchup, alter func(*jadwal.Job)) (version, change int64) {
	for {
		job, err := s.w.st.Job(context.Background(), j.id)
		s.must(err)
		from := job.Version
		alter(&job)
		job, change, err = s.w.st.ResumeJob(context.Background(), s.w.actor(), job, from, catchup, time.Now())
		if jadwal.CodeOf(err) == jadwal.CodeVersionMismatch {
			continue
		}
		s.must(err)
		if !j.blurred && from != j.stored {
			s.t.Fatalf("job %d was at version %d, not at %d", j.id, from, j.stored)
		}
		j.stored = job.Version
		return job.Version, change
	}
}

func (s *sequence) edit() {
	j := s.some()
	rules := s.rules()
	old, label := s.w.stored(j.id).Definition.Name, ""
	s.tell("edit %s to %+v", old, rules)
	state := jadwal.JobEnabled
	version, change := s.update(j, jadwal.CatchupNone, func(job *jadwal.Job) {
		if label = labelOf(j.index, job.Version+1); job.State == jadwal.JobPaused {
			state = jadwal.JobPaused
		} else {
			job.State, state = jadwal.JobEnabled, jadwal.JobEnabled
		}
		job.Definition = rules.definition(label)
	})
	ruled := rules.ruled()
	j.of[version] = ruled
	s.changes(j, change, func() { s.m.change(j, version, state, &ruled, jadwal.CatchupNone) })
	if s.m.up {
		s.ended[old] = since()
	}
}

func (s *sequence) pause() {
	j := s.some()
	if s.w.stored(j.id).State != jadwal.JobEnabled {
		s.t.Skip("it is not enabled")
	}
	s.tell("pause job %d", j.id)
	s.facts["paused"] = true
	until := time.Time{}
	if s.races && s.draw("until", 0, 1) == 1 {
		until = time.Now().Add(time.Duration(s.draw("for", 1, 90)) * 100 * time.Millisecond).UTC()
	}
	version, change := s.update(j, jadwal.CatchupNone, func(job *jadwal.Job) { job.State, job.PauseUntil = jadwal.JobPaused, until })
	j.of[version] = j.of[version-1]
	s.changes(j, change, func() { s.m.change(j, version, jadwal.JobPaused, nil, jadwal.CatchupNone) })
}

func (s *sequence) resume() {
	j := s.some()
	if s.w.stored(j.id).State != jadwal.JobPaused {
		s.t.Skip("it is not paused")
	}
	catchup := pick(s, "catchup", jadwal.CatchupNone, jadwal.CatchupLatest, jadwal.CatchupAll)
	s.tell("resume job %d with %s", j.id, catchup)
	version, change := s.update(j, catchup, resume)
	j.of[version] = j.of[version-1]
	s.changes(j, change, func() { s.m.change(j, version, jadwal.JobEnabled, nil, catchup) })
}

func (s *sequence) runNow() {
	j := s.some()
	s.tell("run job %d now", j.id)
	run, err := s.w.st.RunNow(context.Background(), s.w.actor(), j.id, time.Now())
	s.must(err)
	s.asked(j, run)
}

func (s *sequence) asked(j *modelJob, run jadwal.Run) {
	if !j.blurred {
		s.m.asks(j, time.UnixMicro(run.Key.DueAt).Sub(midnight), run.Key.N)
	}
	if !s.m.up {
		j.pending = append(j.pending, func() {}) // it is a change that a server applies before it fires
	}
}

// oneRun is one of the job's runs that are final, or not.
func (s *sequence) oneRun(j *modelJob, final bool) jadwal.RunKey {
	var keys []jadwal.RunKey
	if j.blurred {
		for _, r := range s.w.runs(j.id) {
			if r.State.Final() == final && r.ThroughAt.IsZero() {
				keys = append(keys, r.Key)
			}
		}
		if next := s.w.stored(j.id).NextAt; !final && !next.IsZero() && !next.After(time.Now()) {
			keys = append(keys, jadwal.RunKey{DueAt: next.UnixMicro(), JobID: j.id}) // it is in no table
		}
	} else {
		for _, r := range j.runs {
			single := r.state == jadwal.RunSucceeded || r.state == jadwal.RunFailed || r.state == jadwal.RunCancelled
			if r.final() == final && (single || !final) {
				keys = append(keys, jadwal.RunKey{DueAt: midnight.Add(r.due).UnixMicro(), JobID: j.id, N: r.n})
			}
		}
	}
	if len(keys) == 0 {
		s.t.Skip("there is no such run")
	}
	return keys[s.draw("run", 0, len(keys)-1)]
}

func (s *sequence) cancel() {
	j := s.some()
	key := s.oneRun(j, false)
	s.tell("cancel %s of job %d", clock(time.UnixMicro(key.DueAt)), j.id)
	s.facts["cancelled"] = true
	change, err := s.w.st.CancelRun(context.Background(), s.w.actor(), key, time.Now())
	if s.races && (jadwal.CodeOf(err) == jadwal.CodeConflict || jadwal.CodeOf(err) == jadwal.CodeNotFound) {
		return
	}
	s.must(err)
	s.changes(j, change, func() {
		for _, r := range j.runs {
			if midnight.Add(r.due).UnixMicro() == key.DueAt && r.n == key.N {
				s.m.cancel(j, r)
			}
		}
	})
}

func (s *sequence) retry() {
	j := s.some()
	key := s.oneRun(j, true)
	s.tell("repeat %s of job %d", clock(time.UnixMicro(key.DueAt)), j.id)
	run, err := s.w.st.RetryRun(context.Background(), s.w.actor(), key, time.Now())
	s.must(err)
	s.asked(j, run)
}

func (s *sequence) mood() {
	j := s.some()
	m := pick(s, "mood", moods...)
	s.tell("the target of job %d becomes %s", j.id, m)
	s.w.sink.mu.Lock()
	defer s.w.sink.mu.Unlock()
	j.mood = m
}

// cursors are the first instants that are not recorded.
func (s *sequence) cursors() map[int64]time.Duration {
	all := map[int64]time.Duration{}
	for _, j := range s.m.jobs {
		if next := s.w.stored(j.id).NextAt; !next.IsZero() {
			all[j.id] = next.Sub(midnight)
		}
	}
	return all
}

func (s *sequence) owner() {
	if !s.m.up {
		s.t.Skip("nobody is there to see it")
	}
	s.facts["barred"] = true
	s.tell("owners have rights: %v", s.m.barred)
	s.m.bar(!s.m.barred, s.cursors())
	s.w.fault.on(func(f *faults) { f.barred = s.m.barred })
}

func (s *sequence) remove() {
	j := s.some()
	old := s.w.stored(j.id).Definition.Name
	s.tell("delete job %d", j.id)
	s.facts["deleted"] = true
	change, err := s.w.st.DeleteJob(context.Background(), s.w.actor(), j.id, time.Now())
	s.must(err)
	s.changes(j, change, func() { s.m.remove(j) })
	if s.m.up {
		s.ended[old] = since()
	}
	j.deleted = true
}

func (s *sequence) start() {
	s.w.run()
	s.m.now = since()
	s.m.arrive()
	synctest.Wait()
}

func (s *sequence) restart() {
	s.tell("start")
	s.facts["down"] = true
	s.must(s.w.st.Close())
	s.w.open()
	s.start()
}

func (s *sequence) kill() {
	if !s.m.up {
		s.restart()
		return
	}
	s.tell("kill")
	s.w.kill()
	s.vanish()
	if s.draw("and start again at once", 0, 2) > 0 {
		s.pass(time.Duration(s.draw("outage", 1, 80)) * 100 * time.Millisecond)
		s.restart()
	}
}

func (s *sequence) stop() {
	if !s.m.up {
		s.restart()
		return
	}
	s.tell("stop")
	s.m.stopping = true
	s.w.quit()
	s.m.advance(since())
	for _, j := range s.m.sharp() {
		if at, f, _ := s.m.coming(j); s.m.now-j.touched < near || f != nil && at-s.m.now < near {
			j.blurred = true // did it end in time?
		}
		j.keep(true)
	}
	s.vanish()
}

func (s *sequence) vanish() {
	s.facts["down"] = true
	for _, lost := range s.m.vanish(s.cursors()) {
		s.t.Errorf("%s, is not recorded", lost)
	}
}

// disk lets the next commits fail, or their answers be lost: only when there
// are races anyway.
func (s *sequence) disk() {
	if !s.races || !s.m.up {
		s.t.Skip("nothing is exact then")
	}
	left := s.draw("commits", 1, 4)
	fail := func([]*jadwal.Outcome) error {
		if left--; left >= 0 {
			return unavailable()
		}
		return nil
	}
	before := s.draw("before", 0, 1) == 0
	s.tell("%d commits fail, before they are stored: %v", left, before)
	s.w.fault.on(func(f *faults) {
		if before {
			f.before = fail
		} else {
			f.after = fail
		}
	})
}
