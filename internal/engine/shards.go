package engine

import (
	"context"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/target"
)

// shards are those that the engine answers for. One arrives: its open runs are
// adopted and its changes applied before anything starts, and then its cursors
// are read. One leaves: nothing of it starts any more, and when what ran is
// recorded, nothing of it is left in memory.
//
// While shards arrive, nothing else starts either: that takes a few reads.
type shards struct {
	held     jadwal.ShardSet // those whose jobs may start, when they have arrived
	arriving jadwal.ShardSet // of held
	leaving  jadwal.ShardSet // none of held
	term     [jadwal.Shards]term

	opening bool             // the open runs of arriving are still to be read
	through int64            // jobs of arriving up to this id come with its window
	asked   *jadwal.ShardSet // of the read on its way: without what left meanwhile
}

// A term is the time for which a shard is held.
type term struct {
	epoch int64
	since time.Time // nobody fired just before
}

// Gain gives the engine shards, in their epochs. Those that it is about to give
// back stay with it: it does not release them after Gain has returned.
func (e *Engine) Gain(h *jadwal.Holding) {
	e.order(func(now time.Time) { e.gain(h, now) })
}

// Yield takes shards from the engine. Nothing of them starts after it has
// returned; when all that ran of one is recorded, released is told, from the
// engine's goroutine, which it must not block.
func (e *Engine) Yield(set jadwal.ShardSet, released func(jadwal.ShardSet)) {
	e.order(func(time.Time) {
		e.released = released
		e.yield(&set)
	})
}

// Forfeit takes all shards from the engine at once: what runs is given up, and
// what is not recorded is forgotten. Nothing of it is started or committed
// after it has returned, but for a commit on its way.
func (e *Engine) Forfeit() {
	e.order(func(time.Time) { e.forfeit() })
}

// Trust lets attempts start until that moment, by the monotonic clock in it.
// Before it is first called there is no such bound.
func (e *Engine) Trust(until time.Time) { e.trusted.Store(&until) }

func (e *Engine) mistrusted() bool {
	until := e.trusted.Load()
	return until != nil && !time.Now().Before(*until)
}

// order has f run by the owner and returns when it has, or the engine has ended.
func (e *Engine) order(f func(now time.Time)) {
	done := make(chan struct{})
	select {
	case e.orders <- func(now time.Time) { f(now); close(done) }:
	case <-e.over:
		return
	}
	select {
	case <-done:
	case <-e.over:
	}
}

func (e *Engine) gain(h *jadwal.Holding, now time.Time) {
	set := h.Set()
	back := false
	for shard := range set.Each() {
		e.shards.term[shard] = term{h[shard], now}
		back = back || e.shards.leaving.Has(shard)
	}
	if back {
		for _, j := range e.jobs {
			if !set.HasJob(j.id) {
				continue
			}
			if len(j.flights) > 0 || j.out != nil || j.sent != nil {
				e.review(j, now) // what has ended stays so, and is not made again
			} else {
				delete(e.jobs, j.id)
			}
		}
	}
	s := &e.shards
	s.leaving.Subtract(&set)
	s.held.Union(&set)
	s.arriving.Union(&set)
	s.opening, e.turning, e.reads.news = true, false, true
}

// yield lets nothing of set start any more, and drops every entry of it.
func (e *Engine) yield(set *jadwal.ShardSet) {
	s := &e.shards
	for shard := range set.Each() {
		if s.held.Has(shard) {
			s.leaving.Add(shard)
		}
	}
	e.drop(set)
	for _, j := range e.jobs {
		if set.HasJob(j.id) {
			j.leftOpen = j.leftOpen || len(j.open) > 0
			j.open, j.waiting, j.kicked, j.parkedTo, j.wakeAt = nil, false, false, 0, 0
		}
	}
}

// drop takes every entry of set out of what waits, and out of what is being
// read.
func (e *Engine) drop(set *jadwal.ShardSet) {
	s := &e.shards
	s.held.Subtract(set)
	s.arriving.Subtract(set)
	if s.asked != nil {
		s.asked.Subtract(set)
	}
	kept := func(d jadwal.Due) bool { return !set.HasJob(d.JobID) }
	e.times.keep(kept)
	e.due.keep(kept)
	e.hosts.keep(kept)
	stage := e.stage[:0]
	for _, d := range e.stage {
		if kept(d.Due) {
			stage = append(stage, d)
		} else {
			e.back(d)
		}
	}
	e.stage = stage
	for range e.ready.len() {
		if r := e.ready.pop(); kept(r.Due) {
			e.ready.push(r)
		} else {
			e.back(r.staged)
		}
	}
	for i := range e.reads.load {
		e.reads.load[i].shards.Subtract(set)
	}
	e.reads.doubts = slices.DeleteFunc(e.reads.doubts, func(d doubt) bool { return set.HasJob(d.job.id) })
}

// release lets go of the leaving shards of which nothing is left.
func (e *Engine) release() {
	s := &e.shards
	if s.leaving == (jadwal.ShardSet{}) {
		return
	}
	gone := s.leaving
	for _, j := range e.jobs {
		shard := jadwal.ShardOf(j.id)
		if !s.leaving.Has(shard) {
			continue
		}
		if j.reloading {
			e.giveUp(j)
		}
		if len(j.flights) > 0 || j.out != nil || j.sent != nil {
			gone.Remove(shard)
		}
	}
	if gone == (jadwal.ShardSet{}) {
		return
	}
	for id := range e.jobs {
		if gone.HasJob(id) {
			delete(e.jobs, id)
		}
	}
	s.leaving.Subtract(&gone)
	e.released(gone)
}

// giveUp ends what runs of a job without a record: the store knows what is to
// become of it.
func (e *Engine) giveUp(j *job) {
	e.letGo(j)
	for _, f := range j.flights {
		f.ended = true
		f.cancel(target.Cancelled{Reason: jadwal.ReasonLost})
	}
	j.flights = nil
}

func (e *Engine) forfeit() {
	all := jadwal.AllShards()
	e.drop(&all)
	for _, j := range e.jobs {
		e.giveUp(j)
	}
	clear(e.jobs)
	e.idle, e.flights = queue[*job]{}, queue[*flight]{}
	e.shards.leaving, e.shards.opening, e.turning = jadwal.ShardSet{}, false, false
	e.commits = commits{sending: e.commits.sending, began: e.commits.began, round: e.commits.round + 1}
	e.reads.load, e.reads.applying = nil, 0
}

// askOpen reads the open runs of the shards that arrive.
func (e *Engine) askOpen(ctx context.Context) {
	r := &e.reads
	set := e.shards.arriving
	asked := e.asks(set)
	e.shards.opening, r.cursors = false, e.tick()
	e.call(func() func(time.Time) {
		found, err := e.o.Store.OpenCursors(ctx, set)
		return func(now time.Time) {
			r.cursors = 0
			if err != nil {
				e.shards.opening = true
				e.unreadable("read open runs", err, now)
				return
			}
			e.shards.through = r.seen
			for _, c := range found {
				if asked.HasJob(c.JobID) && e.jobs[c.JobID] == nil {
					e.adopt(c, now)
				}
			}
		}
	})
}

// asks notes that a read of cursors begins. What leaves meanwhile is taken out
// of the set that is returned; the read itself has set.
func (e *Engine) asks(set jadwal.ShardSet) *jadwal.ShardSet {
	e.shards.asked = &set
	return e.shards.asked
}
