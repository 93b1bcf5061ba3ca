package engine

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// fall takes what has fallen due out of the timetable, so that it takes its
// turn among what else is due. Of a great backlog it takes a part: the next
// turn comes at once.
//
// What a version plans waits until the version is stored: a crash before that
// would have it begin later, and what was started would be an instant of none.
func (e *Engine) fall(now time.Time) {
	if !e.turning || e.stopping || e.clock.doubtful() {
		return
	}
	for range fallRows {
		d, ok := e.times.pop(now.UnixMicro())
		if !ok {
			return
		}
		j := e.jobs[d.JobID]
		switch {
		case d.Version == 0: // a parked job's turn, or that of an open run
			e.turnOf(j, d.At, now)
		case j == nil:
			e.due.push(d)
		case d.At != j.next && d.At != j.due || d.Version != j.version || j.parkedTo != 0 || j.reloading:
			// of an earlier reckoning
		case j.young:
			j.waiting = false // it gets another entry then
		case e.full(j, now):
			e.overlap(j, now)
		default:
			e.due.push(d)
		}
	}
}

// fill looks up the definitions of what is due, many at once.
func (e *Engine) fill(ctx context.Context, now time.Time) {
	for e.turning && !e.stopping && e.reads.fetching == 0 && e.ready.len() < fetchRows {
		if len(e.stage) == 0 {
			if e.promise(now); len(e.stage) == 0 {
				return
			}
		}
		var missing []int64
		for i, d := range e.stage {
			def := e.cached.get(d.JobID, d.Version)
			if def == nil {
				missing = append(missing, d.JobID)
			} else if missing == nil {
				e.ready.push(ready{d, def, e.tick()})
				e.stage[i].JobID = 0
			}
		}
		if missing != nil {
			e.compactStage()
			if now.Before(e.reads.retryAt) {
				return
			}
			e.fetch(ctx, missing)
			return
		}
		e.stage = e.stage[:0]
	}
}

// promise gives slots to what is next: in turn to what waited for a host that
// has room again and to what has fallen due, fairly among owners.
func (e *Engine) promise(now time.Time) {
	for len(e.stage) < fetchRows {
		h, d, waited := e.hosts.next(now, e.slots.admits)
		if waited {
			e.slots.take(d.OwnerID)
			e.stage = append(e.stage, staged{d, h})
		}
		d, fell := e.due.pop(e.slots.admits)
		if fell {
			e.slots.take(d.OwnerID)
			e.stage = append(e.stage, staged{d, nil})
		}
		if !waited && !fell {
			return
		}
	}
}

// back takes back what was promised to an entry.
func (e *Engine) back(s staged) {
	e.slots.give(s.OwnerID)
	e.hosts.arrived(s.from)
}

func (e *Engine) compactStage() {
	kept := e.stage[:0]
	for _, d := range e.stage {
		if d.JobID != 0 {
			kept = append(kept, d)
		}
	}
	e.stage = kept
}

// fetch reads definitions. Those that are of another version than the entry
// wants belong to a job with a change on its way, which will decide about the
// entry's instant.
func (e *Engine) fetch(ctx context.Context, ids []int64) {
	e.reads.fetching = e.tick()
	e.call(func() func(time.Time) {
		jobs, considered, err := e.o.Store.Definitions(ctx, ids, fetchBytes)
		return func(now time.Time) {
			e.reads.fetching = 0
			if err != nil {
				e.unreadable("read definitions", err, now)
				return
			}
			e.fetched(ids[:considered], jobs)
		}
	})
}

func (e *Engine) fetched(asked []int64, jobs []jadwal.Job) {
	found := make(map[int64]*definition, len(asked))
	for _, id := range asked {
		found[id] = nil
	}
	for _, stored := range jobs {
		if j := e.jobs[stored.ID]; j != nil && j.version > stored.Version {
			continue // read before the change that is applied by now
		}
		def, err := compile(stored, &e.templates)
		if err != nil {
			e.log.Error("job cannot be fired: its schedules are not understood", "job", stored.ID, "version", stored.Version, "error", err)
			continue
		}
		found[stored.ID] = def
		e.cached.put(def)
	}
	for i, d := range e.stage {
		def, known := found[d.JobID]
		if !known {
			def = e.cached.get(d.JobID, d.Version)
			if def == nil {
				break
			}
		}
		if def != nil && def.job.Version == d.Version {
			e.ready.push(ready{d, def, e.tick()})
		} else {
			e.reads.news = true
			e.back(d)
		}
		e.stage[i].JobID = 0
	}
	e.compactStage()
}

// mayStart tells whether another attempt may begin. What is started and not
// recorded is what a crash would repeat, so it is bounded.
func (e *Engine) mayStart(now time.Time) bool {
	return e.turning && !e.stopping && !e.clock.doubtful() && e.inFlight < e.o.InFlight && !e.commits.behind(now) && !e.mistrusted()
}

// dispatch decides about what is due, in order, as long as there is room. What
// its host has no room for is parked, unless it is skipped and starts nothing.
// It returns whether there was anything.
func (e *Engine) dispatch(now time.Time) bool {
	any := false
	for e.ready.len() > 0 && e.mayStart(now) {
		r := e.ready.pop()
		e.back(r.staged)
		j := e.jobs[r.JobID]
		if e.skips(j, r, now) || e.hosts.admit(r.def.host, r.Due, r.from, now) {
			e.decide(r, now)
		}
		any = true
	}
	return any
}

// skips tells whether nothing of an entry starts: its owner has no rights, or it
// is the next instant of a job that is full.
func (e *Engine) skips(j *job, r ready, now time.Time) bool {
	return e.barred(r.OwnerID) || j != nil && r.At != forOpen && e.full(j, now)
}

// launch begins an attempt.
func (e *Engine) launch(f *flight, now time.Time) {
	f.began = now
	if f.started.IsZero() {
		f.started = now
	}
	f.job.flights = append(f.job.flights, f)
	e.flights.push(f)
	f.owner, f.host = f.job.owner, e.hosts.begin(f.def.host, now)
	e.slots.take(f.owner)
	e.inFlight++
	e.counters.started.Add(1)
	e.metrics.started(f, now)
	ctx, cancel := context.WithCancelCause(e.attempts)
	f.cancel = cancel
	owner, _ := e.o.Store.UserByID(f.job.owner)
	def := &f.def.job.Definition
	timeout := time.Duration(def.Timeout)
	if timeout <= 0 {
		timeout = jadwal.DefaultTimeout
	}
	call := target.Call{
		Key: f.key, Attempt: f.attempt, DueAt: instant(f.key.DueAt), Job: def, Version: f.def.job.Version, JobID: f.job.id,
		Epoch: e.shards.term[jadwal.ShardOf(f.job.id)].epoch, Redelivery: f.redelivery, Timeout: timeout,
		Limited: f.def.job.EgressLimited || !owner.IsSuperuser, Inherited: f.def.job.EgressLimited && owner.IsSuperuser,
		Signer: e.o.Store.Signer(f.job.id, f.job.owner), OwnerID: f.job.owner, Templates: f.def.templates,
	}
	if len(def.Target.Secrets) > 0 {
		call.Secrets = e.o.Store.OpenSecrets
	}
	a := attempt{f, ctx, call}
	select {
	case e.spare <- a:
	default:
		go e.makeAttempts(a)
	}
}

// An attempt is what a goroutine needs to make one.
type attempt struct {
	flight *flight
	ctx    context.Context
	call   target.Call
}

// makeAttempts makes an attempt, and then those that launch hands over, since a
// goroutine whose stack has grown to what a call needs is worth keeping.
func (e *Engine) makeAttempts(a attempt) {
	for {
		e.results <- result{a.flight, e.o.Target.Do(a.ctx, a.call)}
		a = attempt{} // so that nothing of it is kept while this one waits
		if e.spares.Add(1) > maxSpares {
			e.spares.Add(-1)
			return
		}
		select {
		case a = <-e.spare:
			e.spares.Add(-1)
		case <-e.attempts.Done():
			return
		}
	}
}

// instant is a time of Unix microseconds; 0: none.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// micro is the inverse of instant.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
