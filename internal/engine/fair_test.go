package engine

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/teknohole/jadwal"
)

func anybody(int64) bool { return true }

func TestFairness(t *testing.T) {
	t.Run("one entry behind a hundred thousand of another owner is second", func(t *testing.T) {
		var f fair
		for i := range int64(100_000) {
			f.push(jadwal.Due{OwnerID: 1, JobID: i})
		}
		f.push(jadwal.Due{OwnerID: 2, JobID: -1})
		for i := range 2 {
			if d, _ := f.pop(anybody); d.OwnerID == 2 {
				return
			} else if i == 1 {
				t.Errorf("the second one is %+v", d)
			}
		}
	})
	t.Run("an owner's entries leave in the order in which they came", func(t *testing.T) {
		var f fair
		next := map[int64]int64{}
		for i := range int64(30_000) {
			f.push(jadwal.Due{OwnerID: i % 3, JobID: i / 3})
			if i%7 == 0 {
				d, _ := f.pop(anybody)
				if d.JobID != next[d.OwnerID] {
					t.Fatalf("owner %d: %d, want %d", d.OwnerID, d.JobID, next[d.OwnerID])
				}
				next[d.OwnerID]++
			}
		}
	})
	t.Run("who is not admitted holds up nobody else and loses nothing", func(t *testing.T) {
		var f fair
		for i := range int64(10) {
			f.push(jadwal.Due{OwnerID: i % 2, JobID: i})
		}
		for range 5 {
			if d, ok := f.pop(func(owner int64) bool { return owner == 1 }); !ok || d.OwnerID != 1 {
				t.Fatalf("got %+v, %v", d, ok)
			}
		}
		if d, ok := f.pop(func(owner int64) bool { return owner == 1 }); ok {
			t.Fatalf("got %+v", d)
		}
		if d, ok := f.pop(anybody); !ok || d.JobID != 0 || f.len() != 4 {
			t.Errorf("got %+v, %v, and %d are left", d, ok, f.len())
		}
	})
	t.Run("an empty queue holds no lanes", func(t *testing.T) {
		var f fair
		for i := range int64(1000) {
			f.push(jadwal.Due{OwnerID: i})
		}
		for f.len() > 0 {
			f.pop(anybody)
		}
		if len(f.lanes) != 0 || f.ring.len() != 0 {
			t.Errorf("%d lanes, %d in the ring", len(f.lanes), f.ring.len())
		}
	})
}

// Whatever comes when, an entry at the head of its lane waits for at most one
// entry of every other owner, and nothing is lost or doubled.
func TestFairnessHoldsForRandomArrivals(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var f fair
		owners := 1 + random.Int64N(20)
		id := int64(0)
		waiting := map[int64]bool{}
		since := map[int64]int{} // pops since the owner's head became the head
		depth := map[int64]int{}
		for range 20_000 {
			if random.IntN(5) > 1 || f.len() == 0 {
				owner := random.Int64N(owners)
				if random.IntN(3) > 0 {
					owner = 0 // the greedy one
				}
				id++
				f.push(jadwal.Due{OwnerID: owner, JobID: id})
				waiting[id] = true
				if depth[owner]++; depth[owner] == 1 {
					since[owner] = 0
				}
				continue
			}
			d, ok := f.pop(anybody)
			if !ok || !waiting[d.JobID] {
				t.Fatalf("seed %d: %+v came out, %v", seed, d, ok)
			}
			delete(waiting, d.JobID)
			depth[d.OwnerID]--
			since[d.OwnerID] = -1
			for owner, n := range depth {
				if n == 0 {
					continue
				}
				if since[owner]++; since[owner] >= int(owners) {
					t.Fatalf("seed %d: owner %d of %d waited for %d entries of others", seed, owner, owners, since[owner])
				}
			}
		}
		if f.len() != len(waiting) {
			t.Fatalf("seed %d: %d are in the queue, want %d", seed, f.len(), len(waiting))
		}
	}
}

func TestABacklogTakesLittleMoreThanItsEntries(t *testing.T) {
	const n = 200_000
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var f fair
	before := memory()
	for i := range int64(n) {
		f.push(jadwal.Due{OwnerID: i % 100, JobID: i})
	}
	if each := (memory() - before) / n; each > 48 {
		t.Errorf("%d bytes an entry", each)
	}
	runtime.KeepAlive(&f)
}

func TestSlots(t *testing.T) {
	// greedy takes all that an owner can get, while others hold some.
	greedy := func(limit int, others ...int) int {
		s := newSlots(limit)
		for i, n := range others {
			for range n {
				s.take(int64(-1 - i))
			}
		}
		for s.admits(1) {
			s.take(1)
		}
		return s.by[1]
	}
	for _, tt := range []struct {
		rule   string
		limit  int
		others []int
		want   int
	}{
		{"one owner alone gets eight of nine", 4096, nil, 3641},
		{"a few slots are all for one owner", 8, nil, 8},
		{"so is a single one", 1, nil, 1},
		{"behind a greedy one there is room", 4096, []int{3641}, 405},
		{"no slot, no start", 100, []int{100}, 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := greedy(tt.limit, tt.others...); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
	t.Run("what is given back is free, and nothing is remembered", func(t *testing.T) {
		s := newSlots(100)
		for s.admits(1) {
			s.take(1)
		}
		for s.by[1] > 0 {
			s.give(1)
		}
		if s.taken != 0 || len(s.by) != 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("nine greedy owners leave one for a tenth", func(t *testing.T) {
		s := newSlots(4096)
		for again := true; again; {
			again = false
			for owner := range int64(9) {
				if s.admits(owner) {
					s.take(owner)
					again = true
				}
			}
		}
		if !s.admits(9) {
			t.Errorf("%d of %d are taken", s.taken, s.limit)
		}
	})
}
