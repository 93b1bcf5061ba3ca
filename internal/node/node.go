// Package node makes this process one of the nodes that share a database. It
// renews the node's lease, removes nodes whose lease has ended, and has the
// engine take on and give back shards, as Cluster.Plan in the root package
// decides. There is no leader: every node does the same.
package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal"
)

// Store is what a node needs of a store. Every method has a deadline of its
// own; ErrFenced tells that the node's lease has ended, and that it has nothing
// any more.
type Store interface {
	// Join adds a node and returns its id, which no node ever had.
	Join(ctx context.Context, n jadwal.Node, lease time.Duration) (int64, error)

	// Renew extends the lease, counted from now by the database's clock.
	Renew(ctx context.Context, node int64, lease time.Duration, leaving, locked bool) error

	// Lacks returns the id of a master key that something may be sealed with and
	// that this server does not have; "": it has all of them.
	Lacks(ctx context.Context) (id string, err error)

	// Cluster returns all nodes and shards.
	Cluster(ctx context.Context) (*jadwal.Cluster, error)

	// Bury removes a node whose lease has ended by the database's clock, and tells
	// whether it has. What that had belongs to nobody then. A node of which a
	// commit is on its way stays: Bury does not wait for it.
	Bury(ctx context.Context, node int64) (gone bool, err error)

	// Take gives a node those shards, as far as they are nobody's, in the epochs
	// that seen has, and not held by another transaction, for which it does not
	// wait. It returns those that it got, in their new epochs.
	Take(ctx context.Context, node int64, shards jadwal.ShardSet, seen *jadwal.Cluster) (*jadwal.Holding, error)

	// Give makes shards of a node nobody's.
	Give(ctx context.Context, node int64, shards jadwal.ShardSet) error

	// Leave removes the node itself, after a commit of it that is on its way.
	Leave(ctx context.Context, node int64) error

	// SubscribeShards has fn called when shards may be free, or wanted.
	SubscribeShards(fn func())
}

// Engine is what fires.
type Engine interface {
	Gain(*jadwal.Holding)
	Yield(set jadwal.ShardSet, released func(jadwal.ShardSet))
	Forfeit()
	Trust(until time.Time)
}

// Options of a Node; all are required.
type Options struct {
	Store   Store
	Engine  Engine
	Address string // where the API listens, for people
	Log     *slog.Logger
}

// A Node is this process as one of many. Make one with New and call Run once.
type Node struct {
	o     Options
	poked chan struct{}
	lost  chan struct{}

	mu       sync.Mutex
	released jadwal.ShardSet // by the engine, and not given back yet

	id       int64
	epochs   jadwal.Holding  // of what the engine has, or is giving back
	asked    jadwal.ShardSet // back from the engine
	askedAt  time.Time
	stuck    jadwal.ShardSet // it did not release them: something of them runs for long
	stuckAt  time.Time
	offset   time.Duration // of the wall clock from the database's
	adrift   bool          // it is too far off
	stay     map[int64]int // nodes whose lease has ended and that could not be removed, in how many turns
	lacks    string        // the id of a master key in use that this server does not have; "": it has all
	standing atomic.Pointer[Standing]
}

// Standing is how a node stands, for people and probes.
type Standing struct {
	ID     int64 // 0: it is no node now
	Shards int
	Offset time.Duration // of the wall clock from the database's
	Heard  time.Time     // when the lease was last renewed
	Lacks  string        // the id of a master key in use; "": it has all of them
}

const (
	retry     = 500 * time.Millisecond // after an error of the store
	yieldFor  = 2 * time.Second        // what the engine has not released by then stays with it
	stuckFor  = time.Minute            // and is not asked for again so soon
	leaveTurn = 200 * time.Millisecond // while shards are given back
)

// New makes a node.
func New(o Options) *Node {
	return &Node{o: o, poked: make(chan struct{}, 1), lost: make(chan struct{}, 1)}
}

// Standing returns how the node stands now.
func (n *Node) Standing() Standing {
	if s := n.standing.Load(); s != nil {
		return *s
	}
	return Standing{}
}

// Health returns why the node is none now, or cannot fire what others can: it
// lacks a master key in use, also where it is alone and fires what needs no
// secret, for without that key it does not start again. nil: all is well. It may
// be called from anywhere.
func (n *Node) Health(now time.Time) error {
	switch s := n.Standing(); {
	case s.ID == 0:
		return errors.New("this server is no node yet")
	case now.Sub(s.Heard) > jadwal.LeaseTrusted:
		return fmt.Errorf("the lease of node %d was last renewed at %s", s.ID, s.Heard.UTC().Format(time.RFC3339))
	case s.Lacks != "":
		return fmt.Errorf("this server does not have the master key %s, which is in use: set JADWAL_MASTER_KEY to the one of the other servers, and start it again", s.Lacks)
	}
	return nil
}

// Lost is to be called when the engine has forfeited its shards: the node begins
// again under a new id. It does not block.
func (n *Node) Lost() {
	select {
	case n.lost <- struct{}{}:
	default:
	}
}

func (n *Node) poke() {
	select {
	case n.poked <- struct{}{}:
	default:
	}
}

// Run is a node until ctx ends. Then it gives its shards back, each when
// nothing of it runs any more, and returns when all are given, or after drain.
// It stays a node: call Leave when the engine has ended.
func (n *Node) Run(ctx context.Context, drain time.Duration) {
	n.o.Store.SubscribeShards(n.poke)
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	n.o.Engine.Trust(time.Now()) // not yet
	stop := ctx.Done()
	var giveUp <-chan time.Time
	leaving := false
	wait := time.Duration(0)
	for {
		timer := time.NewTimer(wait)
		select {
		case <-stop:
			stop, leaving = nil, true
			giveUp = time.After(drain)
		case <-giveUp:
			return
		case <-n.lost:
			n.again(work)
		case <-n.poked:
		case <-timer.C:
		}
		timer.Stop()
		switch err := n.turn(work, leaving); {
		case err == nil && leaving:
			wait = leaveTurn
		case err == nil:
			wait = jadwal.LeaseRenewal
		case errors.Is(err, jadwal.ErrFenced):
			n.o.Log.Error("this node's lease has ended: it begins again as a new one", "node", n.id)
			n.forfeit()
			wait = 0
		default:
			n.o.Log.Error("the nodes could not be agreed with", "node", n.id, "error", err)
			wait = retry
		}
		if leaving && n.held() == 0 {
			return
		}
	}
}

// Leave ends the node. What it still has is nobody's then.
func (n *Node) Leave(ctx context.Context) error {
	if n.id == 0 {
		return nil
	}
	return n.o.Store.Leave(ctx, n.id)
}

// again gives up what the node was. Removing its row waits for a commit that is
// on its way: what is read afterwards has it, or nothing ever will.
func (n *Node) again(ctx context.Context) {
	id := n.id
	n.forfeit()
	if id == 0 {
		return
	}
	if err := n.o.Store.Leave(ctx, id); err != nil {
		n.o.Log.Error("the node could not be removed: its lease will end", "node", id, "error", err)
	}
}

// forfeit takes everything from the engine: this is no node any more.
func (n *Node) forfeit() {
	n.o.Engine.Trust(time.Now())
	n.o.Engine.Forfeit()
	n.takeReleased()
	n.id, n.epochs, n.asked, n.stuck = 0, jadwal.Holding{}, jadwal.ShardSet{}, jadwal.ShardSet{}
	n.standing.Store(&Standing{})
}

func (n *Node) held() int {
	set := n.epochs.Set()
	return set.Len()
}

// turn renews the lease and does what is to be done about nodes and shards.
func (n *Node) turn(ctx context.Context, leaving bool) error {
	sent := time.Now()
	away := leaving || n.adrift
	if n.id == 0 {
		if leaving {
			return nil
		}
		id, err := n.o.Store.Join(ctx, jadwal.Node{Address: n.o.Address, Version: jadwal.Version, StartedAt: sent, Locked: n.lacks != ""}, jadwal.LeaseFor)
		if err != nil {
			return err
		}
		n.id = id
		n.o.Log.Info("joined", "node", id)
	} else if err := n.o.Store.Renew(ctx, n.id, jadwal.LeaseFor, away, n.lacks != ""); err != nil {
		return err
	}
	n.o.Engine.Trust(sent.Add(jadwal.LeaseTrusted))
	if err := n.giveBack(ctx); err != nil {
		return err
	}
	if !away && sent.Sub(n.askedAt) > yieldFor {
		n.keep(sent)
	}
	lacks, err := n.o.Store.Lacks(ctx)
	if err != nil {
		return err
	}
	n.note(lacks)
	asked := time.Now()
	c, err := n.o.Store.Cluster(ctx)
	if err != nil {
		return err
	}
	n.measure(c.Now, asked, time.Now())
	for i := range c.Nodes {
		if c.Nodes[i].ID == n.id {
			c.Nodes[i].Locked = lacks != "" // as the next turn will say
		}
	}
	p := c.Plan(n.id, n.stuck)
	n.yield(p.Give, asked)
	if err := n.bury(ctx, p.Bury); err != nil {
		return err
	}
	if p.Take.Len() > 0 && !away {
		got, err := n.o.Store.Take(ctx, n.id, p.Take, c)
		if err != nil {
			return err
		}
		n.gain(got)
		if taken := got.Set(); taken.Len() > 0 && taken.Len() < p.Take.Len() {
			n.poke() // others were faster: look again; where nothing could be had, in the next turn
		}
	}
	n.standing.Store(&Standing{ID: n.id, Shards: n.held(), Offset: n.offset, Heard: sent, Lacks: lacks})
	return nil
}

// bury removes nodes whose lease has ended, as far as no commit of theirs is on
// its way. One that was cut off in the middle may stay for as long as the
// database takes to notice; this node's own lease goes on meanwhile.
func (n *Node) bury(ctx context.Context, dead []int64) error {
	stay := map[int64]int{}
	for _, id := range dead {
		gone, err := n.o.Store.Bury(ctx, id)
		if err != nil {
			return err
		}
		if gone {
			n.o.Log.Warn("a node's lease has ended; its shards go to the others", "node", id)
			n.poke() // to share out what is free now
			continue
		}
		stay[id] = n.stay[id] + 1
		if stay[id] == 2 { // or another node was about to remove it
			n.o.Log.Warn("a node's lease has ended, but a transaction of it has not: its shards go to the others when PostgreSQL has ended that", "node", id)
		}
	}
	n.stay = stay
	return nil
}

// note takes down which master key in use this server lacks.
func (n *Node) note(lacks string) {
	if lacks == n.lacks {
		return
	}
	n.lacks = lacks
	n.poke() // to say so
	if lacks != "" {
		n.o.Log.Error("this server does not have the master key that is in use: its jobs go to the servers that have it; where there are none it goes on, and runs that need a secret fail. "+
			"Set JADWAL_MASTER_KEY to the one of the other servers, and start it again", "key", lacks)
	} else {
		n.o.Log.Info("this server has all master keys that are in use again")
	}
}

// measure compares the clocks: the database's was read between from and to.
func (n *Node) measure(there, from, to time.Time) {
	slack := to.Sub(from) / 2
	n.offset = from.Add(slack).Sub(there)
	adrift := n.offset.Abs() > jadwal.MaxClockOffset+slack
	if adrift == n.adrift {
		return
	}
	n.adrift = adrift
	n.poke()
	if adrift {
		n.o.Log.Error("this machine's clock is off the database's: the node gives its shards up until it is right", "by", n.offset.String())
	} else {
		n.o.Log.Info("this machine's clock is right again")
	}
}

func (n *Node) gain(got *jadwal.Holding) {
	set := got.Set()
	if set.Len() == 0 {
		return
	}
	for shard := range set.Each() {
		n.epochs[shard] = got[shard]
	}
	n.o.Engine.Gain(got)
	n.o.Log.Info("shards taken", "node", n.id, "shards", set.Len(), "has", n.held())
}

// yield asks the engine for what others should have.
func (n *Node) yield(give jadwal.ShardSet, now time.Time) {
	give.Subtract(&n.asked)
	for shard := range give.Each() {
		if n.epochs[shard] == 0 {
			give.Remove(shard)
		}
	}
	if give.Len() == 0 {
		return
	}
	n.asked.Union(&give)
	n.askedAt = now
	n.o.Engine.Yield(give, func(gone jadwal.ShardSet) {
		n.mu.Lock()
		n.released.Union(&gone)
		n.mu.Unlock()
		n.poke()
	})
}

// keep leaves the engine what it has not released: otherwise what runs for long
// would keep all jobs of its shard from starting, or would be made again by
// another node.
func (n *Node) keep(now time.Time) {
	if now.Sub(n.stuckAt) > stuckFor {
		n.stuck = jadwal.ShardSet{}
	}
	if n.asked.Len() == 0 {
		return
	}
	var back jadwal.Holding
	for shard := range n.asked.Each() {
		back[shard] = n.epochs[shard]
	}
	n.o.Engine.Gain(&back)
	n.takeReleased() // of these, a moment ago: they are gained again
	n.stuck.Union(&n.asked)
	n.stuckAt, n.asked = now, jadwal.ShardSet{}
}

func (n *Node) takeReleased() jadwal.ShardSet {
	n.mu.Lock()
	defer n.mu.Unlock()
	gone := n.released
	n.released = jadwal.ShardSet{}
	return gone
}

// giveBack makes nobody's what the engine has released.
func (n *Node) giveBack(ctx context.Context) error {
	gone := n.takeReleased()
	if gone.Len() == 0 {
		return nil
	}
	if err := n.o.Store.Give(ctx, n.id, gone); err != nil {
		n.mu.Lock()
		n.released.Union(&gone)
		n.mu.Unlock()
		return err
	}
	for shard := range gone.Each() {
		n.epochs[shard] = 0
	}
	n.asked.Subtract(&gone)
	n.o.Log.Info("shards given back", "node", n.id, "shards", gone.Len(), "has", n.held())
	return nil
}
