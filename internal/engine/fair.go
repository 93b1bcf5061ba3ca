package engine

import "github.com/teknohole/jadwal"

// A fair queue gives out what waits in turn by owner: after an entry of one
// owner comes one of every other owner that has any. Each entry costs the same,
// one start, so that deficit round robin (Shreedhar and Varghese, "Efficient
// fair queueing using deficit round robin", 1995) is plain round robin.
//
// An owner's own entries leave in the order in which they came. A job has one
// entry for its next instant and one for its oldest open run, and joins again
// at the end, so that this is round robin over jobs.
type fair struct {
	lanes map[int64]*lane
	ring  queue[*lane] // those with entries
	count int
}

// A lane is what waits of one owner, in pieces that grow, so that an entry is
// never copied and a long lane takes little more than its entries.
type lane struct {
	owner      int64
	head, tail *piece
	taken      int // entries of head that have left
}

type piece struct {
	entries []jadwal.Due
	next    *piece
}

const (
	smallPiece = 4 // entries
	largePiece = 1024
)

func (f *fair) len() int { return f.count }

func (f *fair) push(d jadwal.Due) {
	l := f.lanes[d.OwnerID]
	if l == nil {
		if f.lanes == nil {
			f.lanes = map[int64]*lane{}
		}
		l = &lane{owner: d.OwnerID}
		f.lanes[d.OwnerID] = l
		f.ring.push(l)
	}
	l.push(d)
	f.count++
}

// pop removes the next entry of an owner that is admitted, false when there is
// none. Owners that are not admitted stay in the round.
func (f *fair) pop(admits func(owner int64) bool) (jadwal.Due, bool) {
	for range f.ring.len() {
		l := f.ring.pop()
		if !admits(l.owner) {
			f.ring.push(l)
			continue
		}
		d := l.pop()
		f.count--
		if l.empty() {
			delete(f.lanes, l.owner)
		} else {
			f.ring.push(l)
		}
		return d, true
	}
	return jadwal.Due{}, false
}

// keep drops the entries that keeps does not want.
func (f *fair) keep(keeps func(jadwal.Due) bool) {
	var kept fair
	for f.count > 0 {
		if d, _ := f.pop(func(int64) bool { return true }); keeps(d) {
			kept.push(d)
		}
	}
	*f = kept
}

func (l *lane) push(d jadwal.Due) {
	switch t := l.tail; {
	case t == nil:
		l.head = &piece{entries: make([]jadwal.Due, 0, smallPiece)}
		l.tail = l.head
	case len(t.entries) == cap(t.entries):
		t.next = &piece{entries: make([]jadwal.Due, 0, min(4*cap(t.entries), largePiece))}
		l.tail = t.next
	}
	l.tail.entries = append(l.tail.entries, d)
}

func (l *lane) pop() jadwal.Due {
	d := l.head.entries[l.taken]
	if l.taken++; l.taken == len(l.head.entries) {
		l.head, l.taken = l.head.next, 0
		if l.head == nil {
			l.tail = nil
		}
	}
	return d
}

func (l *lane) empty() bool { return l.head == nil }

// slots share out the attempts that may be in flight at once. A slot is
// promised to an entry before its definition is looked up, so that nobody
// stands in the way of others while waiting for one.
//
// An owner may have at most greed times as many as are free (Choudhury and
// Hahne, "Dynamic queue length thresholds for shared-memory packet switches",
// 1998): one that has everything to itself gets 8 of 9 slots, two get 8 of 17
// each, and there is always one for whoever comes next, however long the
// attempts of the others take.
type slots struct {
	limit, taken int
	by           map[int64]int
}

const greed = 8

func newSlots(limit int) slots { return slots{limit: limit, by: map[int64]int{}} }

func (s *slots) admits(owner int64) bool { return s.by[owner] < greed*(s.limit-s.taken) }

func (s *slots) take(owner int64) {
	s.taken++
	s.by[owner]++
}

func (s *slots) give(owner int64) {
	s.taken--
	if s.by[owner]--; s.by[owner] == 0 {
		delete(s.by, owner)
	}
}
