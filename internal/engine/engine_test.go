package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOneJobAMinuteForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		job := w.job("minutely", "* * * * *")
		w.run()
		time.Sleep(24*time.Hour + 30*time.Second)
		synctest.Wait()
		runs := w.runs(job.ID)
		if len(runs) != 1440 {
			t.Fatalf("%d runs, want 1440", len(runs))
		}
		for i, r := range runs {
			if want := time.Date(2000, 1, 1, 0, i+1, 0, 0, time.UTC).UnixMicro(); r.Key.DueAt != want || r.State != "succeeded" || r.Lateness() != 0 || r.Attempts != 1 {
				t.Fatalf("run %d: %+v, lateness %s", i, r, r.Lateness())
			}
		}
		if n := len(w.sink.deliveries()); n != 1440 {
			t.Errorf("%d deliveries, want 1440", n)
		}
	})
}
