package engine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
)

// hourly fires at the full hour; its runs take a while.
func (w *world) hourly(takes time.Duration) jadwal.Job {
	w.sink.set(takes)
	return w.job("v1", "0 * * * *")
}

// to gives the job other schedules, and a name that tells which version is
// delivered.
func to(name string, schedules ...string) func(*jadwal.Job) {
	return func(j *jadwal.Job) { j.Definition = definitionOf(name, schedules...) }
}

// names returns what was delivered, by the name that the job had then.
func (w *world) names() string {
	all := ""
	for i, d := range w.sink.deliveries() {
		if i > 0 {
			all += " "
		}
		all += d.job
	}
	return all
}

func TestEdit(t *testing.T) {
	scenario(t, "before an instant: the new version's instants count from now", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("00:30:00")
		w.apply(job.ID, to("v2", "0 * * * *", "40 * * * *"))
		until("01:10:00")
		w.check(job.ID, "00:40 succeeded, 01:00 succeeded")
		if w.names() != "v2 v2" {
			t.Errorf("delivered %s", w.names())
		}
	})
	scenario(t, "what an edit takes away does not fire", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("00:59:59")
		w.apply(job.ID, to("v2", "30 * * * *"))
		until("01:29:59")
		w.check(job.ID, "")
		until("01:30:00")
		w.check(job.ID, "01:30 succeeded")
	})
	scenario(t, "exactly at an instant: it runs once, under either version", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		time.Sleep(time.Until(midnight.Add(time.Hour)))
		w.apply(job.ID, to("v2", "0 * * * *"))
		until("02:00:01")
		w.check(job.ID, "01:00 succeeded, 02:00 succeeded")
	})
	scenario(t, "in a run's first second: it ends under its own version", func(t *testing.T, w *world) {
		job := w.hourly(500 * time.Millisecond)
		w.run()
		until("01:00:00")
		w.apply(job.ID, to("v2", "0 * * * *"))
		w.check(job.ID, "01:00 running")
		until("02:00:01")
		w.check(job.ID, "01:00 succeeded, 02:00 succeeded")
		if runs := w.runs(job.ID); runs[0].Version != 1 || runs[1].Version != 2 || w.names() != "v1 v2" {
			t.Errorf("versions %d and %d, delivered %s", runs[0].Version, runs[1].Version, w.names())
		}
	})
	scenario(t, "in a long run: it ends under its own version, and the new one's instants overlap with it", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:02:00")
		w.apply(job.ID, to("v2", "5 * * * *", "20 * * * *"))
		until("01:40:00")
		w.check(job.ID, "01:00 succeeded, 01:05 skipped overlap, 01:20 succeeded")
		if w.names() != "v1 v2" {
			t.Errorf("delivered %s", w.names())
		}
	})
	scenario(t, "an instant that is due and has not started runs under the new version", func(t *testing.T, w *world) {
		blocker := w.job("blocker", "59 0 * * *")
		job := w.job("v1", "0 * * * *")
		w.sink.takes = func(d delivery) time.Duration {
			if d.job == "blocker" {
				return 10 * time.Minute
			}
			return 0
		}
		w.slots = 1
		w.run()
		until("01:05:00")
		w.check(blocker.ID, "00:59 running")
		w.apply(job.ID, to("v2", "30 * * * *"))
		w.check(job.ID, "01:00 queued")
		until("01:30:01")
		w.check(job.ID, "01:00 succeeded, 01:30 succeeded")
		if w.names() != "blocker v2 v2" {
			t.Errorf("delivered %s", w.names())
		}
		if late := w.runs(job.ID)[0].Lateness(); late != 9*time.Minute {
			t.Errorf("the queued run was late by %s", late)
		}
	})
	scenario(t, "a result that waits for its commit keeps its version, and comes first", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		w.fault.on(func(f *faults) {
			f.before = func([]*jadwal.Outcome) error { time.Sleep(300 * time.Millisecond); return nil }
		})
		time.Sleep(time.Until(midnight.Add(time.Hour + 100*time.Millisecond)))
		w.apply(job.ID, to("v2", "0 * * * *"))
		until("02:00:01")
		w.check(job.ID, "01:00 succeeded, 02:00 succeeded")
		if w.names() != "v1 v2" {
			t.Errorf("delivered %s", w.names())
		}
	})
	scenario(t, "what it plans waits until it is stored: a crash before that makes it begin later", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("00:30:59")
		w.fault.on(func(f *faults) {
			f.before = func([]*jadwal.Outcome) error { time.Sleep(5 * time.Second); return nil }
		})
		w.update(job.ID, to("v2", "* * * * *"))
		until("00:31:02")
		w.kill()
		until("00:31:30")
		w.restart()
		w.fault.on(func(f *faults) {
			f.before = func([]*jadwal.Outcome) error { time.Sleep(100 * time.Millisecond); return nil }
		})
		until("00:31:59")
		w.update(job.ID, func(j *jadwal.Job) { j.Definition.Name = "v3" })
		time.Sleep(950 * time.Millisecond)
		w.update(job.ID, func(j *jadwal.Job) { j.Definition.Name = "v4" })
		until("00:32:01")
		w.check(job.ID, "00:32 succeeded")
		got := w.sink.deliveries()
		if w.names() != "v4" || got[0].at.Before(midnight.Add(32*time.Minute+50*time.Millisecond)) || got[0].at.After(midnight.Add(32*time.Minute+60*time.Millisecond)) {
			t.Errorf("delivered %s, %+v", w.names(), got)
		}
	})
	scenario(t, "many edits in a row are applied in order", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("00:10:00")
		last := int64(0)
		for i := range 50 {
			last = w.update(job.ID, to(fmt.Sprintf("v%d", i+2), fmt.Sprintf("%d * * * *", i)))
		}
		w.applied(last)
		until("00:59:00")
		w.check(job.ID, "00:49 succeeded")
		if w.names() != "v51" {
			t.Errorf("delivered %s", w.names())
		}
	})
	scenario(t, "edits of the time when nobody was there are applied before anything fires", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("00:30:00")
		w.quit()
		change := w.update(job.ID, to("v2", "10 * * * *"))
		w.update(job.ID, to("v3", "20 * * * *"))
		gone := w.job("gone", "* * * * *")
		if _, err := w.st.DeleteJob(t.Context(), w.actor(), gone.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		until("02:15:00")
		w.run()
		w.applied(change)
		until("02:30:00")
		// The edits take effect when they are applied: until then the first
		// version's instants count, and the one that is left to run runs under
		// the last version.
		w.check(job.ID, "01:00 missed server_down, 02:00 succeeded, 02:20 succeeded")
		if w.names() != "v3 v3" {
			t.Errorf("delivered %s", w.names())
		}
	})
	scenario(t, "an edit that a killed process did not apply is applied by the next", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:05:00")
		w.fault.on(func(f *faults) { f.before = func([]*jadwal.Outcome) error { return errDead } })
		change := w.update(job.ID, to("v2", "30 * * * *"))
		time.Sleep(time.Second)
		w.kill()
		w.restart()
		w.applied(change)
		until("01:31:00")
		w.check(job.ID, "01:00 succeeded, 01:30 running")
		// The interrupted run is made again, under the version of now.
		if w.names() != "v1 v2 v2" {
			t.Errorf("delivered %s", w.names())
		}
	})
}

func TestPause(t *testing.T) {
	scenario(t, "nothing starts, and the gap is one record when it ends", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("01:30:00")
		w.apply(job.ID, pause)
		until("05:30:00")
		w.check(job.ID, "01:00 succeeded")
		w.apply(job.ID, resume)
		until("06:30:00")
		w.check(job.ID, "01:00 succeeded, 02:00-05:00 skipped paused, 06:00 succeeded")
	})
	scenario(t, "a pause shorter than the gap between two instants skips nothing", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("01:30:00")
		w.apply(job.ID, pause)
		w.apply(job.ID, resume)
		until("02:30:00")
		w.check(job.ID, "01:00 succeeded, 02:00 succeeded")
	})
	scenario(t, "a running attempt finishes", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:05:00")
		w.apply(job.ID, pause)
		until("03:00:00")
		w.check(job.ID, "01:00 succeeded")
	})
	scenario(t, "in a run's first second: it finishes too", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:00:00")
		w.apply(job.ID, pause)
		w.check(job.ID, "01:00 running")
		until("03:00:00")
		w.check(job.ID, "01:00 succeeded")
	})
	scenario(t, "a result that waits for its commit is recorded as it was, and comes first", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		w.fault.on(func(f *faults) {
			f.before = func([]*jadwal.Outcome) error { time.Sleep(300 * time.Millisecond); return nil }
		})
		time.Sleep(time.Until(midnight.Add(time.Hour + 100*time.Millisecond)))
		w.apply(job.ID, pause)
		until("02:30:00")
		w.check(job.ID, "01:00 succeeded")
		w.apply(job.ID, resume)
		w.check(job.ID, "01:00 succeeded, 02:00 skipped paused")
	})
	scenario(t, "what is due and has not started is held until the pause ends", func(t *testing.T, w *world) {
		w.job("blocker", "59 0 * * *")
		job := w.job("v1", "0 * * * *")
		w.sink.takes = func(d delivery) time.Duration {
			if d.job == "blocker" {
				return 10 * time.Minute
			}
			return 0
		}
		w.slots = 1
		w.run()
		until("01:05:00")
		w.apply(job.ID, pause)
		until("02:30:00")
		w.check(job.ID, "01:00 queued")
		w.quit()
		w.restart()
		until("02:40:00")
		w.check(job.ID, "01:00 queued")
		w.apply(job.ID, resume)
		w.check(job.ID, "01:00 succeeded, 02:00 skipped paused")
	})
	scenario(t, "a run that a kill interrupted is held too", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:02:00")
		w.apply(job.ID, pause)
		w.kill()
		w.restart()
		until("01:30:00")
		w.check(job.ID, "01:00 running")
		if w.names() != "v1" {
			t.Errorf("delivered %s", w.names())
		}
		w.apply(job.ID, resume)
		until("01:40:01")
		w.check(job.ID, "01:00 succeeded")
	})
	scenario(t, "an edit during a pause ends one gap and begins another", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("00:30:00")
		w.apply(job.ID, pause)
		until("02:15:00")
		w.apply(job.ID, to("v3", "30 * * * *"))
		until("04:15:00")
		w.apply(job.ID, resume)
		until("05:00:00")
		w.check(job.ID, "01:00-02:00 skipped paused, 02:30-03:30 skipped paused, 04:30 succeeded")
	})
}

func TestDelete(t *testing.T) {
	scenario(t, "what fell due beside a long run before the delete was skipped, not cancelled", func(t *testing.T, w *world) {
		w.sink.set(time.Hour)
		job := w.job("a", "every 1s")
		w.run()
		time.Sleep(22810 * time.Millisecond)
		w.remove(job.ID)
		runs := w.runs(job.ID)
		if len(runs) < 2 || runs[0].State != jadwal.RunCancelled {
			t.Fatal(tell(runs))
		}
		for _, r := range runs[1:] {
			if r.Reason != jadwal.ReasonOverlap {
				t.Error(tell(runs))
				break
			}
		}
	})
	scenario(t, "nothing fires afterwards", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("01:59:59")
		w.remove(job.ID)
		until("03:00:00")
		w.check(job.ID, "01:00 succeeded")
	})
	scenario(t, "in a run's first second: it is cancelled, and so is its request", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:00:00")
		w.remove(job.ID)
		w.check(job.ID, "01:00 cancelled job_deleted")
		if n := w.sink.now["v1"]; n != 0 {
			t.Errorf("%d requests still wait for an answer", n)
		}
		until("02:30:00")
		w.check(job.ID, "01:00 cancelled job_deleted")
	})
	scenario(t, "in a long run: it is cancelled, and so is its request", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:05:00")
		w.remove(job.ID)
		w.check(job.ID, "01:00 cancelled job_deleted")
		if n := w.sink.now["v1"]; n != 0 {
			t.Errorf("%d requests still wait for an answer", n)
		}
	})
	scenario(t, "what is due and has not started is cancelled", func(t *testing.T, w *world) {
		w.job("blocker", "59 0 * * *")
		job := w.job("v1", "0 * * * *")
		w.sink.set(10 * time.Minute)
		w.slots = 1
		w.run()
		until("01:05:00")
		w.remove(job.ID)
		until("01:30:00")
		w.check(job.ID, "01:00 cancelled job_deleted")
		if w.names() != "blocker" {
			t.Errorf("delivered %s", w.names())
		}
	})
	scenario(t, "what a pause holds is cancelled", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:02:00")
		w.apply(job.ID, pause)
		w.kill()
		w.restart()
		until("02:30:00")
		w.remove(job.ID)
		w.check(job.ID, "01:00 cancelled job_deleted, 02:00 skipped paused")
	})
	scenario(t, "a result that waits for its commit is recorded as it was", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		w.fault.on(func(f *faults) {
			f.before = func([]*jadwal.Outcome) error { time.Sleep(300 * time.Millisecond); return nil }
		})
		time.Sleep(time.Until(midnight.Add(time.Hour + 100*time.Millisecond)))
		w.remove(job.ID)
		until("02:00:01")
		w.check(job.ID, "01:00 succeeded")
	})
	scenario(t, "a completed job can be deleted", func(t *testing.T, w *world) {
		job := w.job("once", "at 2000-01-01T00:01:00Z")
		w.run()
		until("00:02:00")
		w.remove(job.ID)
		w.check(job.ID, "00:01 succeeded")
	})
	scenario(t, "a deletion of the time when nobody was there cancels all that would have been caught up, beyond max_runs too", func(t *testing.T, w *world) {
		w.run()
		until("00:00:30")
		w.quit()
		job := w.with("v1", "* * * * *", func(d *jadwal.Definition) { d.Catchup, d.MaxRuns = jadwal.CatchupAll, 1 })
		change, err := w.st.DeleteJob(t.Context(), w.actor(), job.ID, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		until("00:03:30")
		w.restart()
		w.applied(change)
		w.check(job.ID, "00:01 cancelled job_deleted, 00:02 cancelled job_deleted, 00:03 cancelled job_deleted")
	})
	scenario(t, "a deletion of the time when nobody was there cancels what was running", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:02:00")
		w.kill()
		change, err := w.st.DeleteJob(t.Context(), w.actor(), job.ID, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.restart()
		w.applied(change)
		w.check(job.ID, "01:00 cancelled job_deleted")
		synctest.Wait()
		if w.names() != "v1" {
			t.Errorf("delivered %s", w.names())
		}
	})
}
