package engine

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/teknohole/jadwal"
)

func TestTimetableGivesEverythingInOrderAndNothingEarly(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var table timetable
	var want []int64
	for range 20 {
		run := make([]jadwal.Due, random.IntN(50))
		for i := range run {
			run[i].At = random.Int64N(1000)
			want = append(want, run[i].At)
		}
		slices.SortFunc(run, func(a, b jadwal.Due) int { return int(a.At - b.At) })
		table.load(run)
		for range random.IntN(200) {
			at := random.Int64N(1000)
			table.add(jadwal.Due{At: at})
			want = append(want, at)
		}
	}
	slices.Sort(want)
	var got []int64
	for now := int64(-1); now < 1000; now += random.Int64N(30) {
		if at, ok := table.next(); ok && at != want[len(got)] {
			t.Fatalf("next is %d, want %d", at, want[len(got)])
		}
		for {
			d, ok := table.pop(now)
			if !ok {
				break
			}
			if d.At > now {
				t.Fatalf("at %d the instant %d came out", now, d.At)
			}
			got = append(got, d.At)
		}
		// What is added late comes out as well.
		if now > 500 && len(want) < 8000 {
			table.add(jadwal.Due{At: now + 1})
			want = append(want, now+1)
			slices.Sort(want)
		}
	}
	for {
		d, ok := table.pop(2000)
		if !ok {
			break
		}
		got = append(got, d.At)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%d came out of %d, or in another order", len(got), len(want))
	}
}

func TestQueueIsFirstInFirstOutAndShrinks(t *testing.T) {
	var q queue[int]
	in, out := 0, 0
	for _, n := range []int{5, 3000, 10, 0, 700, 0} {
		for q.len() < n {
			q.push(in)
			in++
		}
		for q.len() > n {
			if got := q.pop(); got != out {
				t.Fatalf("got %d, want %d", got, out)
			}
			out++
		}
	}
	if len(q.ring) > 1024 {
		t.Errorf("%d places for nothing", len(q.ring))
	}
}

// wheel is the other way to hold a window: a slot for every millisecond.
type wheel struct {
	slots [1 << 16][]jadwal.Due
	at    int64 // milliseconds
}

func (w *wheel) add(d jadwal.Due) {
	i := d.At / 1000 & (1<<16 - 1)
	w.slots[i] = append(w.slots[i], d)
}

func (w *wheel) pop(now int64, each func(jadwal.Due)) {
	for ; w.at <= now/1000; w.at++ {
		i := w.at & (1<<16 - 1)
		for _, d := range w.slots[i] {
			each(d)
		}
		w.slots[i] = nil
	}
}

// BenchmarkTimetable: a million entries in 30 s, half of which come loaded in
// order and half one by one; the cost of an entry, in and out.
func BenchmarkTimetable(b *testing.B) {
	const entries, span = 1_000_000, 30_000_000
	random := rand.New(rand.NewPCG(1, 2))
	loaded := make([]jadwal.Due, entries/2)
	added := make([]jadwal.Due, entries/2)
	for i := range loaded {
		loaded[i].At = random.Int64N(span)
		added[i].At = random.Int64N(span)
	}
	slices.SortFunc(loaded, func(a, b jadwal.Due) int { return int(a.At - b.At) })
	sum := int64(0)
	b.Run("heap and runs", func(b *testing.B) {
		for b.Loop() {
			var t timetable
			t.load(loaded)
			for _, d := range added {
				t.add(d)
			}
			for now := int64(0); now <= span; now += 1000 {
				for {
					d, ok := t.pop(now)
					if !ok {
						break
					}
					sum += d.At
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
	})
	b.Run("wheel", func(b *testing.B) {
		for b.Loop() {
			w := new(wheel)
			for _, d := range loaded {
				w.add(d)
			}
			for _, d := range added {
				w.add(d)
			}
			for now := int64(0); now <= span; now += 1000 {
				w.pop(now, func(d jadwal.Due) { sum += d.At })
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
	})
	if sum == 0 {
		b.Fatal("nothing came out")
	}
}
