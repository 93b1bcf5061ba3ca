package jadwal

import (
	"math/rand/v2"
	"testing"
	"time"
)

// board is a cluster whose nodes act in any order.
type board struct {
	Cluster
	next int64
}

func (b *board) join() int64 {
	b.next++
	b.Nodes = append(b.Nodes, Node{ID: b.next, LeaseUntil: b.Now.Add(LeaseFor)})
	return b.next
}

// act has a node do what it plans.
func (b *board) act(me int64) (idle bool) {
	p := b.Plan(me, ShardSet{})
	for _, dead := range p.Bury {
		for i, n := range b.Nodes {
			if n.ID == dead {
				b.Nodes = append(b.Nodes[:i:i], b.Nodes[i+1:]...)
				break
			}
		}
	}
	for shard := range p.Give.Each() {
		b.Shards[shard].Node = 0
	}
	for shard := range p.Take.Each() {
		b.Shards[shard] = ShardOwner{me, b.Shards[shard].Epoch + 1}
	}
	return len(p.Bury) == 0 && p.Give.Len() == 0 && p.Take.Len() == 0
}

// settle lets the living nodes act until none has anything to do.
func (b *board) settle(t *testing.T, rng *rand.Rand) {
	t.Helper()
	for range 20 {
		idle := true
		for _, i := range rng.Perm(len(b.Nodes)) {
			if i < len(b.Nodes) && b.Nodes[i].Alive(b.Now) {
				idle = b.act(b.Nodes[i].ID) && idle
			}
		}
		if idle {
			return
		}
	}
	t.Fatal("the nodes do not come to rest")
}

func (b *board) check(t *testing.T) {
	t.Helper()
	staying, most, least := 0, 0, Shards
	allLocked := true
	for _, n := range b.Nodes {
		allLocked = allLocked && (n.Locked || n.Leaving)
	}
	for _, n := range b.Nodes {
		has := 0
		for _, s := range b.Shards {
			if s.Node == n.ID {
				has++
			}
		}
		switch {
		case n.Leaving && has > 0:
			t.Errorf("node %d leaves and has %d shards", n.ID, has)
		case n.Locked && !allLocked && has > 0:
			t.Errorf("node %d is locked, another one is not, and it has %d shards", n.ID, has)
		case !n.Leaving && n.Locked == allLocked:
			staying, most, least = staying+1, max(most, has), min(least, has)
		}
	}
	if staying == 0 {
		return
	}
	share := (Shards + staying - 1) / staying
	if most > share || least < Shards-share*(staying-1) {
		t.Errorf("of %d nodes one has %d shards, one %d", staying, most, least)
	}
	for shard, s := range b.Shards {
		alive := false
		for _, n := range b.Nodes {
			alive = alive || n.ID == s.Node
		}
		if !alive {
			t.Errorf("nobody has shard %d", shard)
			return
		}
	}
}

func TestNodesShareOutTheShards(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	b := &board{Cluster: Cluster{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}}
	b.join()
	for range 300 {
		switch n := rng.IntN(5); {
		case n < 2 && len(b.Nodes) < 9:
			b.join()
		case n == 2 && len(b.Nodes) > 1: // killed
			b.Nodes[rng.IntN(len(b.Nodes))].LeaseUntil = b.Now
		case n == 3:
			b.Nodes[rng.IntN(len(b.Nodes))].Leaving = rng.IntN(2) == 0
		case n == 4:
			b.Nodes[rng.IntN(len(b.Nodes))].Locked = rng.IntN(2) == 0
		}
		b.settle(t, rng)
		b.check(t)
	}
}

func TestNodePlan(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	alive, dead := now.Add(time.Second), now
	for _, tt := range []struct {
		name   string
		nodes  []Node
		owners func(shard int) int64
		bury   int
		give   int
		take   int
	}{
		{"a node alone takes everything", []Node{{ID: 1, LeaseUntil: alive}}, func(int) int64 { return 0 }, 0, 0, 1024},
		{"a node that has everything and sees another one gives half of it back", []Node{{ID: 1, LeaseUntil: alive}, {ID: 2, LeaseUntil: alive}}, func(int) int64 { return 1 }, 0, 512, 0},
		{"what a living node has is not taken", []Node{{ID: 1, LeaseUntil: alive}, {ID: 2, LeaseUntil: alive}}, func(int) int64 { return 2 }, 0, 0, 0},
		{"what a node has whose lease has ended is not taken before it is buried", []Node{{ID: 1, LeaseUntil: alive}, {ID: 2, LeaseUntil: dead}}, func(int) int64 { return 2 }, 1, 0, 0},
		{"what a buried node had is taken", []Node{{ID: 1, LeaseUntil: alive}}, func(int) int64 { return 2 }, 0, 0, 1024},
		{"a node that leaves takes nothing and gives everything back", []Node{{ID: 1, LeaseUntil: alive, Leaving: true}, {ID: 2, LeaseUntil: alive}}, func(s int) int64 { return int64(s % 2) }, 0, 512, 0},
		{"a locked node gives everything to one that is not", []Node{{ID: 1, LeaseUntil: alive, Locked: true}, {ID: 2, LeaseUntil: alive}}, func(s int) int64 { return int64(1 + s%2) }, 0, 512, 0},
		{"a locked node takes nothing that another one can have", []Node{{ID: 1, LeaseUntil: alive, Locked: true}, {ID: 2, LeaseUntil: alive}}, func(int) int64 { return 0 }, 0, 0, 0},
		{"a locked node has no share", []Node{{ID: 1, LeaseUntil: alive}, {ID: 2, LeaseUntil: alive, Locked: true}}, func(int) int64 { return 0 }, 0, 0, 1024},
		{"a locked node alone takes everything", []Node{{ID: 1, LeaseUntil: alive, Locked: true}}, func(int) int64 { return 0 }, 0, 0, 1024},
		{"locked nodes share", []Node{{ID: 1, LeaseUntil: alive, Locked: true}, {ID: 2, LeaseUntil: alive, Locked: true}}, func(int) int64 { return 0 }, 0, 0, 512},
		{"a locked node takes over from one that leaves", []Node{{ID: 1, LeaseUntil: alive, Locked: true}, {ID: 2, LeaseUntil: alive, Leaving: true}}, func(int) int64 { return 0 }, 0, 0, 1024},
		{"a locked node takes over from one whose lease has ended", []Node{{ID: 1, LeaseUntil: alive, Locked: true}, {ID: 2, LeaseUntil: dead}}, func(int) int64 { return 0 }, 1, 0, 1024},
		{"a locked node that leaves gives everything back", []Node{{ID: 1, LeaseUntil: alive, Locked: true, Leaving: true}}, func(int) int64 { return 1 }, 0, 1024, 0},
		{"of three nodes none has more than 342", []Node{{ID: 1, LeaseUntil: alive}, {ID: 2, LeaseUntil: alive}, {ID: 3, LeaseUntil: alive}}, func(int) int64 { return 0 }, 0, 0, 342},
		{"a node does not bury itself", []Node{{ID: 1, LeaseUntil: dead}}, func(int) int64 { return 1 }, 0, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Cluster{Now: now, Nodes: tt.nodes}
			for i := range c.Shards {
				c.Shards[i].Node = tt.owners(i)
			}
			p := c.Plan(1, ShardSet{})
			if len(p.Bury) != tt.bury || p.Give.Len() != tt.give || p.Take.Len() != tt.take {
				t.Errorf("buries %d, gives %d, takes %d, want %d, %d, %d", len(p.Bury), p.Give.Len(), p.Take.Len(), tt.bury, tt.give, tt.take)
			}
		})
	}
}

func TestAlone(t *testing.T) {
	c := Alone(Node{Address: "127.0.0.1:8080"})
	if len(c.Nodes) != 1 || c.Nodes[0].ID != 1 || c.Nodes[0].Address != "127.0.0.1:8080" || !c.Nodes[0].LeaseUntil.IsZero() {
		t.Errorf("got %+v", c.Nodes)
	}
	if n := c.Counts(); len(n) != 1 || n[1] != Shards {
		t.Errorf("shards: %v", n)
	}
	c.Shards[5].Node, c.Shards[6].Node = 0, 2
	if n := c.Counts(); n[0] != 1 || n[1] != Shards-2 || n[2] != 1 {
		t.Errorf("shards: %v", n)
	}
}

// What still runs on a locked node stays there, as with any node that has more
// than its share.
func TestALockedNodeKeepsWhatIsStuck(t *testing.T) {
	c := Cluster{Nodes: []Node{{ID: 1, LeaseUntil: time.Unix(1, 0), Locked: true}, {ID: 2, LeaseUntil: time.Unix(1, 0)}}}
	for i := range c.Shards {
		c.Shards[i].Node = 1
	}
	var stuck ShardSet
	stuck.Add(7)
	if p := c.Plan(1, stuck); p.Give.Len() != Shards-1 || p.Give.Has(7) {
		t.Errorf("gives %d, 7 is one of them: %v", p.Give.Len(), p.Give.Has(7))
	}
}
