package jadwal

import (
	"iter"
	"math/bits"
)

// ShardOf returns the shard of a job, 0 to Shards-1.
func ShardOf(jobID int64) int { return int(jobID % Shards) }

// A ShardSet is a set of shards; its zero value is empty.
type ShardSet [Shards / 64]uint64

// AllShards returns the set of all shards.
func AllShards() ShardSet {
	var s ShardSet
	for i := range s {
		s[i] = ^uint64(0)
	}
	return s
}

// Has tells whether shard is in s.
func (s *ShardSet) Has(shard int) bool { return s[shard/64]>>(shard%64)&1 != 0 }

// HasJob tells whether the shard of that job is in s.
func (s *ShardSet) HasJob(jobID int64) bool { return s.Has(ShardOf(jobID)) }

// Add puts shard into s.
func (s *ShardSet) Add(shard int) { s[shard/64] |= 1 << (shard % 64) }

// Remove takes shard out of s.
func (s *ShardSet) Remove(shard int) { s[shard/64] &^= 1 << (shard % 64) }

// Union puts all of other into s.
func (s *ShardSet) Union(other *ShardSet) {
	for i := range s {
		s[i] |= other[i]
	}
}

// Subtract takes all of other out of s.
func (s *ShardSet) Subtract(other *ShardSet) {
	for i := range s {
		s[i] &^= other[i]
	}
}

// Len returns how many shards are in s.
func (s *ShardSet) Len() int {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// Each yields the shards in s, the lowest first.
func (s *ShardSet) Each() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range s {
			for ; word != 0; word &= word - 1 {
				if !yield(64*i + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}

// A Holding is what one owner of shards has: the epoch of each, which is one
// higher with every change of owner; 0: the shard is another's.
type Holding [Shards]int64

// HoldAll returns the holding of an owner of all shards, in one epoch.
func HoldAll(epoch int64) *Holding {
	h := new(Holding)
	for i := range h {
		h[i] = epoch
	}
	return h
}

// Set returns the shards of h.
func (h *Holding) Set() ShardSet {
	var s ShardSet
	for i, epoch := range h {
		if epoch != 0 {
			s.Add(i)
		}
	}
	return s
}
