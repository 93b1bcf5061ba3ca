package main

import (
	"testing"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

func TestJudge(t *testing.T) {
	start := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	call := func(job int, due, late time.Duration) arrival {
		return arrival{job, start.Add(due), start.Add(due + late)}
	}
	complete := []arrival{call(0, 0, 1), call(1, 0, 2), call(0, time.Second, 3), call(1, time.Second, 4)}
	with := func(more ...arrival) []arrival { return append(append([]arrival{}, complete...), more...) }
	for _, c := range []struct {
		name                        string
		seen                        []arrival
		late, missed, early, doubly int
	}{
		{"all are there", complete, 4, 0, 0, 0},
		{"one that does not come is missed", complete[:3], 3, 1, 0, 0},
		{"one that comes again does not make up for another", append(complete[:3:3], call(0, 0, 9)), 3, 1, 0, 1},
		{"a repetition is told, and its lateness does not count", with(call(1, 0, 9)), 4, 0, 0, 1},
		{"what was due before or after does not count", with(call(0, -1, 1), call(0, 2*time.Second, 1)), 4, 0, 0, 0},
		{"other jobs do not count", with(call(-1, 0, 1), call(2, 0, 1)), 4, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := judge(c.seen, 2, 2, start, start.Add(2*time.Second))
			if len(p.late) != c.late || p.missed != c.missed || p.early != c.early || p.doubly != c.doubly {
				t.Errorf("%v, %d counted", p, len(p.late))
			}
		})
	}
	t.Run("a call before its instant is early, by a nanosecond too", func(t *testing.T) {
		if p := judge([]arrival{call(0, 0, -1), call(1, 0, 0)}, 2, 1, start, start.Add(time.Second)); p.early != 1 {
			t.Error(p)
		}
	})
}

func TestQuantile(t *testing.T) {
	s := make(spread, 0, 200)
	for i := range 200 {
		s = append(s, time.Duration(200-i))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 100, 0.99: 198, 1: 200} {
		if got := s.quantile(q); got != want {
			t.Errorf("quantile %v is %d, not %d", q, got, want)
		}
	}
	if got := (spread{}).quantile(0.5); got != 0 {
		t.Errorf("of nothing: %d", got)
	}
	if got := (spread{7}).quantile(0.99); got != 7 {
		t.Errorf("of one: %d", got)
	}
}

func TestArrivals(t *testing.T) {
	var a arrivals
	due := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	a.take(harness.Delivery{Path: "/1", At: due, DueAt: due})
	a.keep(2)
	a.take(harness.Delivery{Path: "/7", At: due.Add(time.Second), DueAt: due})
	a.take(harness.Delivery{Path: "/burst", At: due.Add(2 * time.Second)})
	a.take(harness.Delivery{Path: "/9", At: due.Add(3 * time.Second), DueAt: due})
	kept := a.drop()
	t.Run("what comes between is kept, as far as there is room", func(t *testing.T) {
		if len(kept) != 2 || kept[0].job != 7 || kept[0].late() != time.Second || kept[1].job != -1 {
			t.Errorf("%v", kept)
		}
	})
	t.Run("everything is counted", func(t *testing.T) {
		if a.count.Load() != 4 || a.last.Load() != due.Add(3*time.Second).UnixNano() {
			t.Errorf("%d, last at %d", a.count.Load(), a.last.Load())
		}
	})
	t.Run("waiting for what has come ends", func(t *testing.T) {
		if err := a.wait(4); err != nil {
			t.Error(err)
		}
	})
}

func TestWanted(t *testing.T) {
	text := func(only string, all bool) (s string) {
		w, err := wanted(only, all)
		if err != nil {
			return err.Error()
		}
		for _, m := range w {
			s += m.name + " "
		}
		return s
	}
	for _, c := range []struct {
		name, only string
		all        bool
		want       string
	}{
		{"without names all that are not big", "", false, "me refresh login timing flood create burst guarded steady store pgburst pgsteady pgstore "},
		{"and the big ones when they are asked for", "", true, "me refresh login timing flood create burst guarded steady store pgburst pgsteady pgstore drain idle million "},
		{"a big one by name", "idle", false, "idle "},
		{"several by name, in the order of the house", "idle,me", true, "me idle "},
		{"a name that is not there is told", "mee", false, `there is no measure "mee"; there are me, refresh, login, timing, flood, create, burst, guarded, steady, store, pgburst, pgsteady, pgstore and, big, drain, idle, million`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := text(c.only, c.all); got != c.want {
				t.Errorf("got %q", got)
			}
		})
	}
}
