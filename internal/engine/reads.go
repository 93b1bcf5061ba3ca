package engine

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// reads are what the engine asks of the store, and what it knows from it. At
// most one read of cursors and one of definitions is on its way.
type reads struct {
	ticks    int64 // see Engine.tick
	cursors  int64 // tick of the read of cursors on its way; 0: none
	fetching int64 // tick of the read of definitions on its way; 0: none
	retryAt  time.Time

	seen     int64     // every job up to this id is known, in the store or in memory
	loadedTo int64     // cursors before this are in memory, or in loads on their way
	load     []loading // windows to be read
	doubts   []doubt   // jobs to be asked about

	news     bool // there may be changes or new jobs
	nextPoll time.Time
	applying int // changes applied in memory and not yet in the store
}

type loading struct {
	shards            jadwal.ShardSet
	from, to, through int64
}

type doubt struct {
	job *job
	at  time.Time
}

// begin asks for everything from the beginning.
func (r *reads) begin(now time.Time) {
	r.loadedTo = now.Add(window).UnixMicro()
	r.seen = math.MaxInt64 // the first poll asks for no new jobs: the first window brings all
	r.news = true
}

// oldest returns the tick of the oldest read on its way.
func (r *reads) oldest() int64 {
	oldest := int64(math.MaxInt64)
	if r.cursors != 0 {
		oldest = r.cursors
	}
	if r.fetching != 0 {
		oldest = min(oldest, r.fetching)
	}
	return oldest
}

// wake returns when something is to be read, as far as that depends on time
// and not on an answer.
func (r *reads) wake(now time.Time) time.Time {
	wake := now.Add(poll)
	switch {
	case r.cursors != 0:
		return wake
	case now.Before(r.retryAt):
		return r.retryAt
	case r.applying == 0 && r.nextPoll.Before(wake):
		wake = r.nextPoll
	}
	for _, d := range r.doubts {
		if !d.job.underway() && d.at.Before(wake) {
			wake = d.at
		}
	}
	return wake
}

// call runs f beside the owner, and what it returns in the owner.
func (e *Engine) call(f func() func(now time.Time)) {
	e.calls++
	go func() { e.answers <- f() }()
}

// unreadable puts reading off.
func (e *Engine) unreadable(what string, err error, now time.Time) {
	e.counters.failed.Add(1)
	e.reads.retryAt = now.Add(poll)
	e.log.Error("the store could not be read", "what", what, "error", err)
}

// read asks the store for what is to be known next.
func (e *Engine) read(ctx context.Context, now time.Time) {
	r := &e.reads
	if e.hintsLost.Swap(false) {
		r.news = true
	}
	if r.cursors != 0 || now.Before(r.retryAt) {
		return
	}
	switch {
	case e.askDoubts(ctx, now):
		return
	case e.shards.opening:
		e.askOpen(ctx)
		return
	}
	// Not before it is asked for: a job that falls due within it and is forgotten
	// before the read begins would be in memory twice. And not while a poll is on
	// its way, whose new jobs end where the window did when it was asked.
	if e.turning && now.UnixMicro() > r.loadedTo-int64(reload/time.Microsecond) {
		to := now.Add(window).UnixMicro()
		r.load = append(r.load, loading{e.shards.held, r.loadedTo, to, r.seen})
		r.loadedTo = to
	}
	switch {
	case len(r.load) > 0:
		e.reads.cursors = e.tick()
		e.askWindow(ctx, r.load[0])
	case e.shards.held == jadwal.ShardSet{}:
		r.nextPoll = now.Add(poll)
	case r.applying == 0 && (r.news || !now.Before(r.nextPoll)):
		e.askNews(ctx, now)
	}
}

// askWindow reads what is to be read, one window after the other. All of it is
// one read, under one tick: a job that one window brought is not forgotten
// before the next one is there, which may have the job's cursor of before.
func (e *Engine) askWindow(ctx context.Context, w loading) {
	r := &e.reads
	asked := e.asks(w.shards)
	e.call(func() func(time.Time) {
		found, err := e.o.Store.Load(ctx, w.shards, w.from, w.to, w.through)
		return func(now time.Time) {
			if err != nil {
				e.reads.cursors = 0
				e.unreadable("load window", err, now)
				return
			}
			e.loaded(found, asked)
			if len(r.load) > 0 { // unless all was forfeited
				r.load = r.load[1:]
			}
			if len(r.load) > 0 {
				e.askWindow(ctx, r.load[0])
				return
			}
			r.cursors = 0
		}
	})
}

// loaded takes in a window of what is left of the shards that were asked for.
// Of a job that is more than an entry, memory knows better than what was read a
// moment ago.
func (e *Engine) loaded(found []jadwal.Due, asked *jadwal.ShardSet) {
	kept := found[:0]
	for _, d := range found {
		if e.jobs[d.JobID] == nil && asked.HasJob(d.JobID) {
			kept = append(kept, d)
		}
	}
	e.times.load(kept)
	for _, j := range e.jobs {
		if !j.reloading {
			e.schedule(j)
		}
	}
}

// askNews polls for changes and new jobs. It is not asked again before the
// changes that it brought are applied in the store, so that an answer never
// brings a change twice.
func (e *Engine) askNews(ctx context.Context, now time.Time) {
	r := &e.reads
	r.cursors, r.news, r.nextPoll = e.tick(), false, now.Add(poll)
	after, to, set := r.seen, r.loadedTo, e.shards.held
	asked := e.asks(set)
	e.call(func() func(time.Time) {
		news, err := e.o.Store.Poll(ctx, set, now, after, to)
		return func(now time.Time) {
			r.cursors = 0
			if err != nil {
				e.unreadable("poll", err, now)
				r.news = true
				return
			}
			e.learned(news, asked, now)
		}
	})
}

func (e *Engine) learned(news jadwal.News, asked *jadwal.ShardSet, now time.Time) {
	for _, d := range news.Created {
		e.created(d)
	}
	if e.turning {
		e.reads.seen = max(e.reads.seen, news.Seen)
	}
	for _, p := range news.Changes {
		if asked.HasJob(p.JobID) && e.apply(p, now) {
			e.reads.news = true // there may be another one of the same job
		}
	}
	s := &e.shards
	if !e.turning && !s.opening && len(news.Changes) == 0 {
		// What was asked for while nobody was here is applied: now fire.
		e.turning, e.reads.news = true, true
		if e.reads.seen == math.MaxInt64 {
			e.reads.seen, s.through = news.Seen, news.Seen
		}
		// What is due about now first: an outage may have left a great backlog.
		recent := now.Add(-reload).UnixMicro()
		e.reads.load = append(e.reads.load,
			loading{s.arriving, recent, e.reads.loadedTo, s.through}, loading{s.arriving, math.MinInt64, recent, s.through})
		s.arriving = jadwal.ShardSet{}
	}
}

// askDoubts asks where jobs stand whose cursor was not where it should be.
func (e *Engine) askDoubts(ctx context.Context, now time.Time) bool {
	r := &e.reads
	var ids []int64
	asked := map[int64]*job{}
	rest := r.doubts[:0]
	for _, d := range r.doubts {
		if d.at.After(now) || d.job.underway() {
			rest = append(rest, d)
			continue
		}
		ids = append(ids, d.job.id)
		asked[d.job.id] = d.job
	}
	r.doubts = rest
	if len(ids) == 0 {
		return false
	}
	r.cursors = e.tick()
	still := e.asks(e.shards.held)
	e.call(func() func(time.Time) {
		found, err := e.o.Store.Cursors(ctx, ids)
		return func(now time.Time) {
			r.cursors = 0
			if err != nil {
				e.unreadable("read cursors", err, now)
				for id, j := range asked {
					if still.HasJob(id) {
						r.doubts = append(r.doubts, doubt{j, now.Add(poll)})
					}
				}
				return
			}
			for _, c := range found {
				if still.HasJob(c.JobID) {
					e.trust(asked[c.JobID], c, now)
				}
				delete(asked, c.JobID)
			}
			for id, j := range asked {
				if still.HasJob(id) {
					e.trust(j, jadwal.Cursor{JobID: id}, now)
				}
			}
		}
	})
	return true
}

// trust sets j to where the store says that it stands. A run in flight goes on
// if the store expects it: as an open run in that attempt, or as the instant
// at the cursor. Otherwise somebody else has ended it.
func (e *Engine) trust(j *job, c jadwal.Cursor, now time.Time) {
	if j.asked != nil && e.answered(j, c, now) {
		return
	}
	j.owner, j.version, j.tail, j.next, j.open = c.OwnerID, c.Version, c.NextAt, c.NextAt, c.Open
	j.due, j.started, j.until, j.leftOpen = 0, c.Started, c.Stored, false
	j.waiting, j.kicked, j.parkedTo, j.wakeAt, j.reloading, j.young = false, false, 0, 0, false, false
	j.pinned = e.reads.loadedTo
	j.anticipate()
	if !j.current() {
		j.def = nil
	}
	for _, f := range slices.Clone(j.flights) {
		if !e.expected(f, j) {
			f.ended = true
			f.cancel(target.Cancelled{Reason: jadwal.ReasonLost})
			j.land(f)
		}
	}
	e.resume(j, now)
}

// resume goes on with a job that the store was asked about.
func (e *Engine) resume(j *job, now time.Time) {
	e.schedule(j)
	e.kick(j, now)
	if len(j.flights) == 0 {
		e.rest(j)
		return
	}
	for _, f := range slices.Clone(j.flights) {
		e.flights.push(f) // to be stored in its turn
		if f.result != nil {
			e.finished(*f.result, now)
		}
	}
}

// expected tells whether the store has no end of f's run, and sets f and j to
// what it has.
func (e *Engine) expected(f *flight, j *job) bool {
	for i, run := range j.open {
		if run.Key != f.key {
			continue
		}
		begun := run.State == jadwal.RunRunning && run.Attempt == f.attempt
		if !begun && (run.State != jadwal.RunQueued || run.Attempt != f.attempt-1) {
			return false
		}
		j.open = slices.Delete(j.open, i, i+1)
		f.stored, f.row = true, run.Attempt
		return true
	}
	if j.next != f.key.DueAt || f.key.N != 0 || f.def.job.Version != j.version {
		return false
	}
	f.stored, f.row = false, 0
	j.def = f.def
	j.started++
	next, _ := f.def.rules.Plan.Next(instant(j.next))
	if j.next = micro(next); f.def.rules.Spent(j.started) {
		j.next = 0
	}
	return true
}
