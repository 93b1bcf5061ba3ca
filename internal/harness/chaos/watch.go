package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/store"
)

// watcher reads who has which shard, again and again.
type watcher struct {
	st   *store.Store
	stop context.CancelFunc
	done chan struct{}

	now   jadwal.Cluster
	at    time.Time // when it was read
	terms [jadwal.Shards][]term
	seen  map[int64]time.Time // when each node was first in a reading
	early []departure
	wrong []string
}

// A departure is that of a node of which much of its lease was left.
type departure struct {
	address  string
	seen     time.Time // first
	from, to time.Time // two readings, between which it went
	left     time.Duration
}

// muchLeft is more than the parts of one reading may be apart.
const muchLeft = 500 * time.Millisecond

// A term is the time for which a node has a shard.
type term struct {
	epoch    int64
	address  string    // of the node; empty: it had the shard for too short a time to be seen
	from, to time.Time // two readings, between which it began
	until    time.Time // the first reading in which it was over; zero: there was none
}

func watch(url string) (*watcher, error) {
	st, err := store.OpenOffline(context.Background(), store.Options{URL: url, Log: silent})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &watcher{st: st, stop: stop, done: make(chan struct{}), seen: map[int64]time.Time{}}
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			if c, err := st.Cluster(ctx); err == nil {
				w.take(c, time.Now())
			} // else the database is away
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return w, nil
}

// take holds a reading against the one before: epochs never decrease (I7), and
// an owner changes only with the epoch, so that a shard never has two (I8).
func (w *watcher) take(c *jadwal.Cluster, at time.Time) {
	addresses := map[int64]string{}
	for _, n := range c.Nodes {
		addresses[n.ID] = n.Address
		if w.seen[n.ID].IsZero() {
			w.seen[n.ID] = at
		}
	}
	for _, n := range w.now.Nodes {
		if left := n.LeaseUntil.Sub(c.Now); addresses[n.ID] == "" && left > muchLeft {
			w.early = append(w.early, departure{n.Address, w.seen[n.ID], w.at, at, left})
		}
	}
	for shard, is := range c.Shards {
		was := w.now.Shards[shard]
		switch {
		case is.Epoch < was.Epoch:
			w.wrong = append(w.wrong, fmt.Sprintf("I7: shard %d went back from epoch %d to %d", shard, was.Epoch, is.Epoch))
		case is.Epoch == was.Epoch && is.Node != was.Node && is.Node != 0:
			w.wrong = append(w.wrong, fmt.Sprintf("I8: shard %d went from node %d to %d within epoch %d", shard, was.Node, is.Node, is.Epoch))
		}
		terms := &w.terms[shard]
		address, owned := addresses[is.Node]
		if n := len(*terms); n > 0 && (*terms)[n-1].until.IsZero() && (is.Epoch > was.Epoch || !owned) {
			(*terms)[n-1].until = at
		}
		if is.Epoch > was.Epoch {
			t := term{epoch: is.Epoch, address: address, from: w.at, to: at}
			if !owned {
				t.until = at
			}
			*terms = append(*terms, t)
		} else if n := len(*terms); n > 0 && owned && (*terms)[n-1].address == "" { // a node that was not in the reading before
			(*terms)[n-1].address, (*terms)[n-1].until = address, time.Time{}
		}
	}
	w.now, w.at = *c, at
}

// end ends the watch and returns what was wrong.
func (w *watcher) end() []string {
	w.stop()
	<-w.done
	if err := w.st.Close(); err != nil {
		w.wrong = append(w.wrong, err.Error())
	}
	return w.wrong
}

// of returns the terms of the shard of a job.
func (w *watcher) of(jobID int64) []term { return w.terms[jadwal.ShardOf(jobID)] }

// replaced tells whether a delivery may have come from an owner of its shard that
// had been replaced by then, or, if it is to be certain, must have.
func (w *watcher) replaced(d harness.Delivery, certain bool) bool {
	key, ok := jadwal.ParseRunID(d.RunID)
	if !ok {
		return false
	}
	return slices.ContainsFunc(w.of(key.JobID), func(t term) bool {
		began := t.from
		if certain {
			began = t.to.Add(underway)
		}
		return t.epoch > d.Epoch && began.Before(d.At)
	})
}

// underway is how much later than it was sent a call may arrive, waking how long
// a node that was stopped may take to notice, and inHand how many calls it may
// have been about to make when it was stopped.
const (
	underway = time.Second
	waking   = 2 * time.Second
	inHand   = 5
)

// An awoken node went on then after it had been stopped.
type awoken struct {
	address string
	at      time.Time
}

// excuse returns which waking a delivery came right after, of the node that it
// came from as far as that is known.
func (w *watcher) excuse(d harness.Delivery, continued []awoken) (awoken, bool) {
	from := ""
	if key, ok := jadwal.ParseRunID(d.RunID); ok {
		for _, t := range w.of(key.JobID) {
			if t.epoch == d.Epoch {
				from = t.address
			}
		}
	}
	for _, c := range continued {
		if since := d.At.Sub(c.at); since > -10*time.Millisecond && since < waking && (from == "" || from == c.address) {
			return c, true
		}
	}
	return awoken{}, false
}

// judge returns what came from owners that had been replaced, for which there
// is no excuse: the node had not been stopped, or made more calls than it can
// have had in hand.
func (w *watcher) judge(deliveries []harness.Delivery, continued []awoken) []string {
	var wrong []string
	excused := map[awoken]int{}
	for _, d := range deliveries {
		if !w.replaced(d, true) {
			continue
		}
		c, ok := w.excuse(d, continued)
		if excused[c]++; !ok || excused[c] > inHand {
			wrong = append(wrong, fmt.Sprintf("I8: in epoch %d, though another node had its shard: %v", d.Epoch, d))
		}
	}
	return wrong
}

// hasty returns which nodes others have taken for dead before their leases had
// ended: they went while they could not go by themselves, being stopped or
// killed.
func (w *watcher) hasty(strikes []strike, continued []awoken) []string {
	var wrong []string
	for _, d := range w.early {
		for _, s := range strikes {
			if s.address != d.address || !s.from.Before(d.from) || !d.seen.Before(s.from) {
				continue
			}
			asleep := s.kind == stop && !slices.ContainsFunc(continued, func(c awoken) bool {
				return c.address == s.address && c.at.After(s.from) && c.at.Before(d.to)
			})
			if asleep || s.kind == kill {
				wrong = append(wrong, fmt.Sprintf("I8: the node at %s was taken for dead with %v of its lease left, after: %s", d.address, d.left, s.kind))
			}
		}
	}
	return wrong
}

// A strike is a disturbance that was: of the node with that address, or, when
// that is empty, of the database.
type strike struct {
	kind, address string
	from, to      time.Time
}

// well returns for how long at most, without a break, from one moment to another,
// one node had the shard of a job while neither it nor the database was being
// disturbed.
func (w *watcher) well(jobID int64, from, to time.Time, strikes []strike) time.Duration {
	longest := time.Duration(0)
	for _, t := range w.of(jobID) {
		at, end := later(from, t.to), to
		if !t.until.IsZero() && t.until.Before(end) {
			end = t.until
		}
		var hits []strike
		for _, s := range strikes {
			if (s.address == "" || s.address == t.address) && s.to.After(at) && s.from.Before(end) {
				hits = append(hits, s)
			}
		}
		slices.SortFunc(hits, func(a, b strike) int { return cmp.Compare(a.from.UnixNano(), b.from.UnixNano()) })
		for _, s := range hits {
			longest = max(longest, s.from.Sub(at))
			at = later(at, s.to)
		}
		longest = max(longest, end.Sub(at))
	}
	return longest
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
