package engine

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/dirtest"
	"github.com/teknohole/jadwal/internal/store/storetest"
)

// midnight is when a bubble begins.
var midnight = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// until waits until exactly that time of the first day.
func until(clock string) {
	at, err := time.Parse("15:04:05", clock)
	if err != nil {
		panic(err)
	}
	wait := time.Until(midnight.Add(time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute + time.Duration(at.Second())*time.Second))
	if wait < 0 {
		panic("it is past " + clock)
	}
	time.Sleep(wait)
	synctest.Wait()
}

// onServer tells whether a test is to run on PostgreSQL.
func onServer(t *testing.T) bool { return strings.HasPrefix(t.Name(), "TestPostgres/") }

func scenario(t *testing.T, name string, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		url := "" // the server of the database is outside of the bubble
		if onServer(t) {
			url = storetest.NewURL(t)
		}
		synctest.Test(t, func(t *testing.T) { f(t, newWorldIn(t, dirtest.New(t), url)) })
	})
}

func TestSpareGoroutines(t *testing.T) {
	scenario(t, "after a crowd of attempts some goroutines wait, and make the next ones", func(t *testing.T, w *world) {
		const jobs = maxSpares + 50
		w.perHost = 2 * jobs
		for i := range jobs {
			w.job(fmt.Sprintf("j%d", i), "* * * * *")
		}
		w.sink.set(500 * time.Millisecond)
		w.run()
		until("00:01:00")
		if n := w.eng.spares.Load(); n != 0 {
			t.Errorf("%d wait during the first attempts", n)
		}
		until("00:01:30")
		if n := w.eng.spares.Load(); n != maxSpares {
			t.Errorf("%d wait after them, want %d", n, maxSpares)
		}
		until("00:02:00")
		if n := w.eng.spares.Load(); n != 0 {
			t.Errorf("%d wait during the next ones", n)
		}
		until("00:02:30")
		if n, got := w.eng.spares.Load(), len(w.sink.deliveries()); n != maxSpares || got != 2*jobs {
			t.Errorf("%d wait after %d deliveries, want %d after %d", n, got, maxSpares, 2*jobs)
		}
	})
}

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
			if want := midnight.Add(time.Duration(i+1) * time.Minute).UnixMicro(); r.Key.DueAt != want || r.State != "succeeded" || r.Lateness() != 0 || r.Attempts != 1 {
				t.Fatalf("run %d: %+v, lateness %s", i, r, r.Lateness())
			}
		}
		if n := len(w.sink.deliveries()); n != 1440 {
			t.Errorf("%d deliveries, want 1440", n)
		}
		if c := w.eng.Counts(); c.Rejected+c.Failed+c.Redelivered != 0 {
			t.Errorf("counts are %+v", c)
		}
	})
}

func TestFiring(t *testing.T) {
	scenario(t, "a slow target skips what falls due while it runs", func(t *testing.T, w *world) {
		job := w.job("slow", "* * * * *")
		w.sink.set(150 * time.Second)
		w.run()
		until("00:08:10")
		w.check(job.ID, "00:01 succeeded, 00:02 skipped overlap, 00:03 skipped overlap, 00:04 succeeded, 00:05 skipped overlap, 00:06 skipped overlap, 00:07 running, 00:08 skipped overlap")
		if w.sink.most["slow"] != 1 {
			t.Errorf("%d runs at once", w.sink.most["slow"])
		}
	})
	scenario(t, "a long run is seen as running after a second", func(t *testing.T, w *world) {
		job := w.job("slow", "0 1 * * *")
		w.sink.set(time.Minute)
		w.run()
		until("01:00:00")
		w.check(job.ID, "")
		until("01:00:01")
		w.check(job.ID, "01:00 running")
		until("01:01:00")
		w.check(job.ID, "01:00 succeeded")
	})
	scenario(t, "a failure is recorded with its reason", func(t *testing.T, w *world) {
		job := w.job("broken", "0 1 * * *")
		w.sink.status = func(delivery) int { return 500 }
		w.run()
		until("01:00:01")
		w.check(job.ID, "01:00 failed http_status")
		stored, err := w.st.Job(t.Context(), job.ID)
		if err != nil || stored.LastRun == nil || stored.LastRun.State != jadwal.RunFailed {
			t.Errorf("last run is %+v, %v", stored.LastRun, err)
		}
	})
	scenario(t, "an attempt that takes too long fails", func(t *testing.T, w *world) {
		def := definitionOf("stuck", "0 1 * * *")
		def.Timeout = jadwal.Duration(10 * time.Second)
		job, err := w.create(def, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.sink.set(time.Hour)
		w.run()
		until("01:00:10")
		w.check(job.ID, "01:00 failed timeout")
	})
	scenario(t, "twenty thousand due at once all run, and no more at once than there is room", func(t *testing.T, w *world) {
		n := 20_000
		if w.url != "" {
			n = 2000 // each is created by itself: a millisecond
		}
		var wg sync.WaitGroup
		for part := range 100 {
			wg.Go(func() {
				for i := part; i < n; i += 100 {
					if _, err := w.create(definitionOf(fmt.Sprintf("j%d", i), "0 1 * * *"), midnight); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		w.slots = 1000
		w.sink.set(100 * time.Millisecond)
		w.run()
		until("01:00:30")
		got := w.sink.deliveries()
		names := map[string]bool{}
		for _, d := range got {
			names[d.run] = true
		}
		if len(got) != n || len(names) != n {
			t.Errorf("%d deliveries of %d runs, want %d", len(got), len(names), n)
		}
		if c := w.eng.Counts(); c.Started != int64(n) || c.Rejected+c.Failed != 0 {
			t.Errorf("counts are %+v", c)
		}
		if n := len(w.eng.jobs); n > 5000 {
			t.Errorf("%d jobs are still in memory", n)
		}
	})
	scenario(t, "a job a second under an hour's run writes few ranges and leaves no instant out", func(t *testing.T, w *world) {
		job := w.job("busy", "every 1s")
		w.sink.takes = func(delivery) time.Duration {
			if time.Now().Before(midnight.Add(2 * time.Second)) {
				return time.Hour
			}
			return 0
		}
		w.run()
		until("01:00:10")
		runs := w.runs(job.ID)
		if len(runs) < 50 || len(runs) > 130 {
			t.Errorf("%d records for an hour", len(runs))
		}
		if got := tell(runs[len(runs)-10:]); got != "01:00:01 succeeded, 01:00:02 succeeded, 01:00:03 succeeded, 01:00:04 succeeded, 01:00:05 succeeded, 01:00:06 succeeded, 01:00:07 succeeded, 01:00:08 succeeded, 01:00:09 succeeded, 01:00:10 succeeded" {
			t.Errorf("at the end: %s", got)
		}
	})
	scenario(t, "a job that is created while the engine runs fires", func(t *testing.T, w *world) {
		w.run()
		until("00:00:10")
		soon := w.job("soon", "every 1s")
		until("00:00:12")
		w.check(soon.ID, "00:00:11 succeeded, 00:00:12 succeeded")
		later := w.job("later", "at 2000-01-01T00:05:00Z")
		until("00:05:00")
		w.check(later.ID, "00:05 succeeded")
	})
	scenario(t, "an instant that has just passed when its job is created runs at once", func(t *testing.T, w *world) {
		w.run()
		until("00:10:00")
		job, err := w.st.CreateJob(t.Context(), w.actor(), jadwal.Job{
			OwnerID: w.owner.ID, Definition: definitionOf("late", "at 2000-01-01T00:01:00Z"), State: jadwal.JobEnabled, NextAt: midnight.Add(time.Minute),
		}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.check(job.ID, "00:01 succeeded")
		if late := w.runs(job.ID)[0].Lateness(); late != 9*time.Minute {
			t.Errorf("it was late by %s", late)
		}
	})
	scenario(t, "lost hints cost a second at most", func(t *testing.T, w *world) {
		w.run()
		w.fault.on(func(f *faults) { f.deaf = true })
		until("00:00:10")
		job := w.job("unheard", "every 1s")
		w.job("unheard2", "* * * * *")
		until("00:00:13")
		if n := len(w.runs(job.ID)); n < 2 {
			t.Errorf("%d runs after three seconds", n)
		}
		w.fault.on(func(f *faults) { f.deaf = false })
		third := w.job("heard", "every 1s")
		until("00:00:14")
		w.check(third.ID, "00:00:14 succeeded")
		w.fault.on(func(f *faults) { f.deaf = true })
		w.apply(job.ID, pause)
		if waited := time.Since(midnight.Add(14 * time.Second)); waited > time.Second+4*linger {
			t.Errorf("the pause took %s", waited)
		}
	})
	scenario(t, "an owner without rights has all instants skipped", func(t *testing.T, w *world) {
		job, err := w.st.CreateJob(t.Context(), w.actor(), jadwal.Job{
			OwnerID: 99, Definition: definitionOf("orphan", "* * * * *"), State: jadwal.JobEnabled, NextAt: midnight.Add(time.Minute),
		}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.run()
		until("00:02:30")
		w.check(job.ID, "00:01 skipped owner_disabled, 00:02 skipped owner_disabled")
		if n := len(w.sink.deliveries()); n != 0 {
			t.Errorf("%d deliveries", n)
		}
	})
}

func TestCompletion(t *testing.T) {
	scenario(t, "a job is completed when its last instant has run", func(t *testing.T, w *world) {
		job := w.job("once", "at 2000-01-01T00:01:00Z", "at 2000-01-01T00:02:00Z")
		w.sink.set(10 * time.Second)
		w.run()
		until("00:02:05")
		if stored, _ := w.st.Job(t.Context(), job.ID); stored.State != jadwal.JobEnabled || stored.Version != 1 {
			t.Errorf("while it runs: %s, version %d", stored.State, stored.Version)
		}
		until("00:02:11")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded")
		if stored, _ := w.st.Job(t.Context(), job.ID); stored.State != jadwal.JobCompleted || stored.Version != 2 || !stored.NextAt.IsZero() {
			t.Errorf("afterwards: %s, version %d, next %s", stored.State, stored.Version, stored.NextAt)
		}
	})
	scenario(t, "a completed job that is edited fires again, and is completed again", func(t *testing.T, w *world) {
		job := w.job("once", "at 2000-01-01T00:01:00Z")
		w.run()
		until("00:02:00")
		w.apply(job.ID, func(j *jadwal.Job) {
			j.State, j.Definition = jadwal.JobEnabled, definitionOf("once", "at 2000-01-01T00:03:00Z")
		})
		until("00:04:00")
		w.check(job.ID, "00:01 succeeded, 00:03 succeeded")
		if stored, _ := w.st.Job(t.Context(), job.ID); stored.State != jadwal.JobCompleted || stored.Version != 4 {
			t.Errorf("%s, version %d", stored.State, stored.Version)
		}
	})
	scenario(t, "an edit that leaves no instant completes the job", func(t *testing.T, w *world) {
		job := w.job("daily", "0 1 * * *")
		w.run()
		until("00:02:00")
		w.apply(job.ID, func(j *jadwal.Job) { j.Definition = definitionOf("daily", "at 2000-01-01T00:01:00Z") })
		if stored, _ := w.st.Job(t.Context(), job.ID); stored.State != jadwal.JobCompleted || stored.Version != 3 {
			t.Errorf("%s, version %d", stored.State, stored.Version)
		}
	})
	scenario(t, "a job without schedules stays enabled", func(t *testing.T, w *world) {
		job := w.job("daily", "0 1 * * *")
		w.run()
		w.apply(job.ID, func(j *jadwal.Job) { j.Definition.Schedules = nil })
		if stored, _ := w.st.Job(t.Context(), job.ID); stored.State != jadwal.JobEnabled || stored.Version != 2 || !stored.NextAt.IsZero() {
			t.Errorf("%s, version %d, next %s", stored.State, stored.Version, stored.NextAt)
		}
	})
	scenario(t, "an edit that was stored before the last record decides", func(t *testing.T, w *world) {
		job := w.job("once", "at 2000-01-01T00:01:00Z")
		w.run()
		var change int64
		w.fault.on(func(f *faults) {
			f.before = func(batch []*jadwal.Outcome) error {
				if change == 0 && batch[0].Complete {
					change = w.update(job.ID, func(j *jadwal.Job) { j.Definition = definitionOf("once", "at 2000-01-01T00:05:00Z") })
				}
				return nil
			}
		})
		until("00:01:01")
		w.applied(change)
		until("00:05:01")
		w.check(job.ID, "00:01 succeeded, 00:05 succeeded")
		if stored, _ := w.st.Job(t.Context(), job.ID); stored.State != jadwal.JobCompleted || stored.Version != 3 {
			t.Errorf("%s, version %d", stored.State, stored.Version)
		}
	})
	scenario(t, "the last instant completes the job even when it is skipped", func(t *testing.T, w *world) {
		job := w.job("twice", "at 2000-01-01T00:01:00Z", "at 2000-01-01T00:02:00Z")
		w.sink.set(2 * time.Minute)
		w.run()
		until("00:03:01")
		w.check(job.ID, "00:01 succeeded, 00:02 skipped overlap")
		if stored, _ := w.st.Job(t.Context(), job.ID); stored.State != jadwal.JobCompleted || stored.Version != 2 {
			t.Errorf("%s, version %d", stored.State, stored.Version)
		}
	})
}
