package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func TestMetrics(t *testing.T) {
	scenario(t, "every start has a lateness, every record an ending, every commit a time", func(t *testing.T, w *world) {
		w.job("quick", "* * * * *")
		w.job("slow", "* * * * *")
		w.sink.takes = func(d delivery) time.Duration {
			if d.job == "slow" {
				return 90 * time.Second
			}
			return 0
		}
		w.run()
		until("00:04:10")
		m := w.eng.Metrics()
		if m.Lateness.Counts[0] != 6 || m.Lateness.Sum != 0 {
			t.Errorf("lateness is %+v", m.Lateness)
		}
		if got := fmt.Sprint(m.Endings); got != "map[{skipped overlap}:2 {succeeded }:5]" {
			t.Errorf("endings are %s", got)
		}
		if m.InFlight != 1 || m.Unrecorded != 0 || m.Started != 6 {
			t.Errorf("got %+v", m)
		}
		commits := uint64(0)
		for _, n := range m.CommitTime.Counts {
			commits += n
		}
		if commits == 0 || m.BatchSize.Sum != float64(m.Recorded) {
			t.Errorf("%d commits of %g outcomes, %d recorded", commits, m.BatchSize.Sum, m.Recorded)
		}
	})
	t.Run("a value at a bound is below it", func(t *testing.T) {
		h := newHistogram([]float64{1, 2})
		for _, v := range []float64{0, 1, 1.5, 2, 3} {
			h.observe(v)
		}
		if fmt.Sprint(h.Counts) != "[2 2 1]" || h.Sum != 7.5 {
			t.Errorf("got %+v", h)
		}
	})
}

func TestHealth(t *testing.T) {
	scenario(t, "an engine is well from its first turn on, and not while results wait for the store", func(t *testing.T, w *world) {
		if err := New(Options{}).Health(time.Now()); err == nil {
			t.Error("one that has not begun is well")
		}
		w.job("quick", "* * * * *")
		w.run()
		until("00:00:30")
		if err := w.eng.Health(time.Now()); err != nil {
			t.Error(err)
		}
		w.fault.on(func(f *faults) {
			f.before = func([]*jadwal.Outcome) error {
				return errors.Join(&jadwal.Error{Code: jadwal.CodeUnavailable, Message: "away"})
			}
		})
		until("00:01:04")
		if err := w.eng.Health(time.Now()); err != nil {
			t.Error(err)
		}
		until("00:01:07")
		if err := w.eng.Health(time.Now()); err == nil || !strings.Contains(err.Error(), "1 results wait") {
			t.Errorf("got %v", err)
		}
		w.fault.on(func(f *faults) { f.before = nil })
		until("00:01:10")
		if err := w.eng.Health(time.Now()); err != nil {
			t.Error(err)
		}
		if err := w.eng.Health(time.Now().Add(7 * time.Second)); err == nil || !strings.Contains(err.Error(), "has not turned since") {
			t.Errorf("got %v", err)
		}
	})
}
