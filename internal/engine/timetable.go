package engine

import "github.com/teknohole/jadwal"

// A timetable holds what falls due, in 32 bytes an entry: sorted runs as they
// were loaded, which are consumed from their heads and never copied, and a
// heap with four children a node for what is added one by one.
//
// It was measured beside a wheel of 1 ms slots: see BenchmarkTimetable.
type timetable struct {
	runs [][]jadwal.Due
	heap []jadwal.Due
}

// load adds a run that is sorted by At. The timetable keeps it.
func (t *timetable) load(sorted []jadwal.Due) {
	if len(sorted) > 0 {
		t.runs = append(t.runs, sorted)
	}
}

// add adds one entry.
func (t *timetable) add(d jadwal.Due) {
	h := append(t.heap, d)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if h[parent].At <= d.At {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = d
	t.heap = h
}

// next returns the instant of the earliest entry, false when there is none.
func (t *timetable) next() (int64, bool) {
	_, at, ok := t.first()
	return at, ok
}

// first returns which run the earliest entry heads, -1 for the heap.
func (t *timetable) first() (run int, at int64, ok bool) {
	run = -1
	if len(t.heap) > 0 {
		at, ok = t.heap[0].At, true
	}
	for i, r := range t.runs {
		if !ok || r[0].At < at {
			run, at, ok = i, r[0].At, true
		}
	}
	return run, at, ok
}

// pop removes the earliest entry if its instant is not after now, in Unix
// microseconds.
func (t *timetable) pop(now int64) (jadwal.Due, bool) {
	run, at, ok := t.first()
	if !ok || at > now {
		return jadwal.Due{}, false
	}
	if run < 0 {
		return t.popHeap(), true
	}
	d := t.runs[run][0]
	if t.runs[run] = t.runs[run][1:]; len(t.runs[run]) == 0 {
		t.runs = append(t.runs[:run:run], t.runs[run+1:]...)
	}
	return d, true
}

func (t *timetable) popHeap() jadwal.Due {
	h := t.heap
	top, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	for i := 0; len(h) > 0; {
		first := 4*i + 1
		if first >= len(h) {
			h[i] = last
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].At < h[least].At {
				least = c
			}
		}
		if h[least].At >= last.At {
			h[i] = last
			break
		}
		h[i] = h[least]
		i = least
	}
	if cap(h) > 1024 && len(h) < cap(h)/4 {
		h = append(make([]jadwal.Due, 0, cap(h)/2), h...)
	}
	t.heap = h
	return top
}

// keep drops the entries that keeps does not want.
func (t *timetable) keep(keeps func(jadwal.Due) bool) {
	runs := t.runs[:0]
	for _, r := range t.runs {
		kept := r[:0]
		for _, d := range r {
			if keeps(d) {
				kept = append(kept, d)
			}
		}
		if len(kept) > 0 {
			runs = append(runs, kept)
		}
	}
	t.runs = runs
	heap := t.heap
	t.heap = make([]jadwal.Due, 0, len(heap))
	for _, d := range heap {
		if keeps(d) {
			t.add(d)
		}
	}
}

// A queue is first in, first out, in a ring that grows and shrinks.
type queue[T any] struct {
	ring        []T
	head, count int
}

func (q *queue[T]) len() int { return q.count }

func (q *queue[T]) push(v T) {
	if q.count == len(q.ring) {
		q.resize(max(16, 2*q.count))
	}
	q.ring[(q.head+q.count)%len(q.ring)] = v
	q.count++
}

// at returns the entry at place i, 0 being the next to leave.
func (q *queue[T]) at(i int) T { return q.ring[(q.head+i)%len(q.ring)] }

func (q *queue[T]) pop() T {
	var none T
	v := q.ring[q.head]
	q.ring[q.head] = none
	q.head = (q.head + 1) % len(q.ring)
	q.count--
	if len(q.ring) > 1024 && q.count < len(q.ring)/4 {
		q.resize(len(q.ring) / 2)
	}
	return v
}

func (q *queue[T]) resize(n int) {
	ring := make([]T, n)
	for i := range q.count {
		ring[i] = q.at(i)
	}
	q.ring, q.head = ring, 0
}
