package jadwal

import (
	"slices"
	"time"
)

// The lease of a node: measured by the database's clock, renewed often, and not
// trusted to its end by the node itself, so that it has stopped before another
// one may begin.
const (
	LeaseFor     = 6 * time.Second
	LeaseRenewal = 1500 * time.Millisecond
	LeaseTrusted = 4 * time.Second // from before the renewal was sent, by the monotonic clock

	// MaxClockOffset is how far a node's clock may be off the database's. One
	// that is further off gives its shards up.
	MaxClockOffset = 500 * time.Millisecond
)

// A Node is a process that fires, as all of them see it.
type Node struct {
	ID         int64
	Address    string // where its API listens
	Version    string // of the program
	StartedAt  time.Time
	LeaseUntil time.Time
	Leaving    bool // it takes no shards and gives its own back
	Locked     bool // it lacks a master key that something is sealed with
}

// Alive tells whether n's lease lasts at now, by the database's clock.
func (n Node) Alive(now time.Time) bool { return n.LeaseUntil.After(now) }

// A ShardOwner says whose a shard is; Node 0: nobody's.
type ShardOwner struct {
	Node  int64
	Epoch int64
}

// A Cluster is all nodes and shards at one moment of the database's clock.
type Cluster struct {
	Now    time.Time
	Nodes  []Node
	Shards [Shards]ShardOwner
}

// Alone returns the cluster of a server that shares its database with nobody:
// node 1, with all shards and without a lease.
func Alone(n Node) *Cluster {
	n.ID = 1
	c := &Cluster{Nodes: []Node{n}}
	for i := range c.Shards {
		c.Shards[i].Node = n.ID
	}
	return c
}

// Counts returns how many shards each node has; 0: how many nobody has.
func (c *Cluster) Counts() map[int64]int {
	counts := map[int64]int{}
	for _, s := range c.Shards {
		counts[s.Node]++
	}
	return counts
}

// A NodePlan is what a node does next about nodes and shards.
type NodePlan struct {
	Bury []int64  // nodes whose lease has ended, to be removed
	Give ShardSet // its own that others should have
	Take ShardSet // nobody's, up to its share
}

// Plan decides what node me does next. Shards are shared out evenly among the
// nodes that live and do not leave: who has more than its share gives the
// highest back, but for those that are stuck with it, and whoever has less takes
// what nobody has, each beginning at a place of its own, so that two seldom reach
// for the same.
//
// A locked node has no share: on it the runs that need a secret would fail,
// which succeed on another. Where all are locked they share as ever: what needs
// no secret is fired then, rather than nothing.
func (c *Cluster) Plan(me int64, stuck ShardSet) NodePlan {
	var p NodePlan
	known := map[int64]bool{}
	place, staying, leaving, out := 0, 0, false, false
	allLocked := !slices.ContainsFunc(c.Nodes, func(n Node) bool {
		return !n.Locked && !n.Leaving && (n.ID == me || n.Alive(c.Now))
	})
	for _, n := range c.Nodes {
		switch {
		case n.ID != me && !n.Alive(c.Now):
			p.Bury = append(p.Bury, n.ID)
		case n.ID == me && n.Leaving:
			leaving = true
		case n.ID == me && n.Locked && !allLocked:
			out = true
		case !n.Leaving && n.Locked == allLocked:
			if n.ID == me {
				place = staying
			}
			staying++
		}
		known[n.ID] = true
	}
	share := 0
	if !leaving && !out && staying > 0 {
		share = (Shards + staying - 1) / staying
	}
	mine := 0
	for _, s := range c.Shards {
		if s.Node == me {
			mine++
		}
	}
	for shard := Shards - 1; shard >= 0 && mine > share; shard-- {
		if c.Shards[shard].Node == me && (leaving || !stuck.Has(shard)) {
			p.Give.Add(shard)
			mine--
		}
	}
	var free []int
	for shard, s := range c.Shards {
		if s.Node == 0 || !known[s.Node] {
			free = append(free, shard)
		}
	}
	for i := range min(len(free), max(0, share-mine)) {
		p.Take.Add(free[(place*len(free)/staying+i)%len(free)])
	}
	return p
}
