package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func tries(n int) func(*jadwal.Definition) {
	return func(d *jadwal.Definition) { d.Retry = jadwal.DefaultRetry; d.Retry.MaxAttempts = n }
}

func TestRetry(t *testing.T) {
	scenario(t, "a failure that passes is attempted again, after the backoff, under the same run id", func(t *testing.T, w *world) {
		job := w.with("flaky", "0 1 * * *", tries(3))
		w.answers(503, 503, 200)
		w.run()
		until("01:00:05")
		w.check(job.ID, "01:00 queued")
		if r := w.runs(job.ID)[0]; r.Attempts != 1 || r.NextAttemptAt.Before(midnight.Add(time.Hour+10*time.Second)) {
			t.Errorf("it waits as %+v", r)
		}
		until("01:01:00")
		w.check(job.ID, "01:00 succeeded")
		got := w.sink.deliveries()
		if len(got) != 3 || got[0].run != got[2].run || got[0].attempt != 1 || got[1].attempt != 2 || got[2].attempt != 3 {
			t.Fatalf("deliveries: %+v", got)
		}
		for i, d := range []time.Duration{10 * time.Second, 20 * time.Second} {
			if wait := got[i+1].at.Sub(got[i].at); wait < d || wait > d*5/4 {
				t.Errorf("the backoff before attempt %d was %s", i+2, wait)
			}
		}
		if r := w.runs(job.ID)[0]; r.Attempts != 3 || !r.StartedAt.Equal(midnight.Add(time.Hour)) || r.Lateness() != 0 {
			t.Errorf("recorded as %+v", r)
		}
		tried, err := w.st.Attempts(context.Background(), w.runs(job.ID)[0].Key)
		if err != nil || len(tried) != 2 || tried[0].StatusCode != 503 || tried[1].Attempt != 2 || tried[1].Reason != jadwal.ReasonHTTPStatus {
			t.Errorf("attempts: %+v, %v", tried, err)
		}
	})
	scenario(t, "the last attempt's failure is the run's", func(t *testing.T, w *world) {
		job := w.with("broken", "0 1 * * *", tries(2))
		w.answers(503, 500)
		w.run()
		until("01:10:00")
		w.check(job.ID, "01:00 failed http_status")
		if r := w.runs(job.ID)[0]; r.Attempts != 2 || r.StatusCode != 500 {
			t.Errorf("recorded as %+v", r)
		}
	})
	scenario(t, "a failure that does not pass is not attempted again", func(t *testing.T, w *world) {
		job := w.with("refused", "0 1 * * *", tries(3))
		w.answers(404)
		w.run()
		until("01:10:00")
		w.check(job.ID, "01:00 failed http_status")
		if n := len(w.sink.deliveries()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
	})
	scenario(t, "a timeout is attempted again", func(t *testing.T, w *world) {
		job := w.with("stuck", "0 1 * * *", func(d *jadwal.Definition) { tries(2)(d); d.Timeout = jadwal.Duration(5 * time.Second) })
		w.sink.takes = func(d delivery) time.Duration {
			if d.attempt == 1 {
				return time.Hour
			}
			return 0
		}
		w.run()
		until("01:01:00")
		w.check(job.ID, "01:00 succeeded")
	})
	scenario(t, "what falls due during a backoff is skipped", func(t *testing.T, w *world) {
		job := w.with("flaky", "* * * * *", func(d *jadwal.Definition) {
			tries(2)(d)
			d.Retry.MinBackoff, d.Retry.MaxBackoff = jadwal.Duration(150*time.Second), jadwal.Duration(150*time.Second)
		})
		w.answers(503, 200)
		w.run()
		until("00:05:30")
		w.check(job.ID, "00:01 succeeded, 00:02 skipped overlap, 00:03 skipped overlap, 00:04 succeeded, 00:05 succeeded")
	})
	scenario(t, "a restart during a backoff changes nothing", func(t *testing.T, w *world) {
		job := w.with("flaky", "0 1 * * *", tries(3))
		w.answers(503, 503, 200)
		w.run()
		until("01:00:03")
		planned := w.runs(job.ID)[0].NextAttemptAt
		w.kill()
		w.restart()
		until("01:00:08")
		w.quit()
		w.restart()
		until("01:02:00")
		w.check(job.ID, "01:00 succeeded")
		got := w.sink.deliveries()
		if len(got) != 3 || got[1].attempt != 2 || !got[1].at.Equal(planned) {
			t.Errorf("deliveries: %+v, planned %s", got, planned)
		}
	})
	scenario(t, "an attempt that a kill interrupts costs none", func(t *testing.T, w *world) {
		job := w.with("flaky", "0 1 * * *", tries(2))
		w.answers(503, 200, 200)
		w.sink.takes = func(d delivery) time.Duration {
			if d.attempt == 2 && !d.redelivery {
				return time.Hour
			}
			return 0
		}
		w.run()
		until("01:05:00")
		w.check(job.ID, "01:00 running")
		w.kill()
		w.restart()
		until("01:06:00")
		w.check(job.ID, "01:00 succeeded")
		if got := w.sink.deliveries(); got[len(got)-1].attempt != 2 || !got[len(got)-1].redelivery {
			t.Errorf("deliveries: %+v", got)
		}
	})
	scenario(t, "an attempt after an edit uses the new version, and each records its own", func(t *testing.T, w *world) {
		job := w.with("v1", "0 1 * * *", tries(3))
		w.answers(503, 200)
		w.run()
		until("01:00:03")
		w.apply(job.ID, func(j *jadwal.Job) { j.Definition.Name = "v2" })
		until("01:01:00")
		w.check(job.ID, "01:00 succeeded")
		r := w.runs(job.ID)[0]
		tried, _ := w.st.Attempts(context.Background(), r.Key)
		if w.names() != "v1 v2" || r.Version != 2 || len(tried) != 1 || tried[0].Version != 1 {
			t.Errorf("delivered %s, version %d, attempts %+v", w.names(), r.Version, tried)
		}
	})
	scenario(t, "a pause holds what waits for another attempt", func(t *testing.T, w *world) {
		job := w.with("flaky", "0 1 * * *", tries(3))
		w.answers(503, 200)
		w.run()
		until("01:00:03")
		w.apply(job.ID, pause)
		until("01:30:00")
		w.check(job.ID, "01:00 queued")
		w.apply(job.ID, resume)
		w.check(job.ID, "01:00 succeeded")
	})
	scenario(t, "a deletion cancels what waits for another attempt", func(t *testing.T, w *world) {
		job := w.with("flaky", "0 1 * * *", tries(3))
		w.answers(503)
		w.run()
		until("01:00:03")
		w.remove(job.ID)
		until("01:30:00")
		w.check(job.ID, "01:00 cancelled job_deleted")
	})
	scenario(t, "runs that fail too long fail for good", func(t *testing.T, w *world) {
		job := w.with("broken", "0 1 * * *", func(d *jadwal.Definition) { tries(100)(d); d.Retry.MaxDuration = jadwal.Duration(5 * time.Minute) })
		w.answers(503)
		w.run()
		until("01:30:00")
		w.check(job.ID, "01:00 failed http_status")
		if r := w.runs(job.ID)[0]; r.Attempts < 4 || r.Attempts > 5 || r.FinishedAt.After(midnight.Add(65*time.Minute)) {
			t.Errorf("recorded as %+v", r)
		}
	})
	scenario(t, "the last run of a job is attempted again before the job is completed", func(t *testing.T, w *world) {
		job := w.with("once", "at 2000-01-01T00:01:00Z", tries(2))
		w.answers(503, 200)
		w.run()
		until("00:01:05")
		if j := w.stored(job.ID); j.State != jadwal.JobEnabled {
			t.Errorf("while it waits it is %s", j.State)
		}
		until("00:02:00")
		w.check(job.ID, "00:01 succeeded")
		if j := w.stored(job.ID); j.State != jadwal.JobCompleted {
			t.Errorf("it is %s", j.State)
		}
	})
}

func TestPauseAfterFailures(t *testing.T) {
	three := func(d *jadwal.Definition) { d.PauseAfterFailures = 3 }
	scenario(t, "the failure that reaches it pauses the job", func(t *testing.T, w *world) {
		job := w.with("broken", "* * * * *", three)
		w.answers(404)
		w.run()
		until("00:10:00")
		w.check(job.ID, "00:01 failed http_status, 00:02 failed http_status, 00:03 failed http_status")
		j := w.stored(job.ID)
		if j.State != jadwal.JobPaused || j.PauseReason != jadwal.PauseFailures || j.PausedBy != 0 {
			t.Errorf("%s: %q by %d", j.State, j.PauseReason, j.PausedBy)
		}
		w.apply(job.ID, resume)
		until("00:14:30")
		w.check(job.ID, "00:01 failed http_status, 00:02 failed http_status, 00:03 failed http_status, 00:04-00:10 skipped paused, 00:11 failed http_status, 00:12 failed http_status, 00:13 failed http_status")
	})
	scenario(t, "nothing starts while the failure that reaches it cannot be recorded", func(t *testing.T, w *world) {
		job := w.with("broken", "* * * * *", three)
		w.answers(404)
		w.run()
		until("00:02:30")
		w.fault.on(func(f *faults) { f.before = func([]*jadwal.Outcome) error { return unavailable() } })
		until("00:07:30")
		w.fault.on(func(f *faults) { f.before = nil })
		until("00:09:30")
		if n := len(w.sink.deliveries()); n != 3 {
			t.Errorf("%d deliveries, want 3: %s", n, tell(w.runs(job.ID)))
		}
		if j := w.stored(job.ID); j.State != jadwal.JobPaused {
			t.Errorf("it is %s", j.State)
		}
		w.apply(job.ID, resume)
		until("00:10:30")
		if n := len(w.sink.deliveries()); n != 5 { // what was due at last when it was paused was held
			t.Errorf("%d deliveries after it was resumed, want 5", n)
		}
	})
	for _, c := range []struct {
		rule    string
		change  func(w *world, id int64) (last int64) // while the failure is on its way to the store
		lost    bool                                  // the first answer to it is
		version int64                                 // that pauses the job
	}{
		{"nothing starts between the failure and the pause", func(w *world, id int64) int64 { return 0 }, false, 2},
		{"nor after an edit that was stored before the failure, and begun before the store told of the pause", func(w *world, id int64) int64 {
			return w.update(id, func(j *jadwal.Job) { j.Definition.Description = "edited" })
		}, false, 3},
		{"nor after a pause and a resume of the kind", func(w *world, id int64) int64 {
			w.update(id, pause)
			return w.update(id, resume)
		}, false, 4},
		{"nor when the store's answer is lost", func(w *world, id int64) int64 { return 0 }, true, 2},
		{"nor when the answer is lost after such an edit", func(w *world, id int64) int64 {
			return w.update(id, func(j *jadwal.Job) { j.Definition.Description = "edited" })
		}, true, 3},
	} {
		scenario(t, c.rule, func(t *testing.T, w *world) {
			job := w.with("broken", "* * * * *", func(d *jadwal.Definition) {
				d.PauseAfterFailures = 1
				overlap(jadwal.OverlapQueueOne, 1)(d)
			})
			w.answers(404)
			w.sink.set(90 * time.Second)
			w.run()
			until("00:02:10")
			failed := func(batch []*jadwal.Outcome) bool { return batch[0].PauseAfter > 0 }
			w.fault.on(func(f *faults) {
				f.before = func(batch []*jadwal.Outcome) error {
					if failed(batch) {
						time.Sleep(time.Second)
					}
					return nil
				}
				f.after = func(batch []*jadwal.Outcome) error {
					if lost := c.lost && failed(batch); lost {
						c.lost = false
						return unavailable()
					}
					return nil
				}
			})
			until("00:02:30")
			time.Sleep(500 * time.Millisecond)
			if change := c.change(w, job.ID); change != 0 {
				w.applied(change)
			}
			until("00:02:50")
			w.check(job.ID, "00:01 failed http_status, 00:02 queued")
			if j := w.stored(job.ID); j.State != jadwal.JobPaused || j.Version != c.version || len(w.sink.deliveries()) != 1 {
				t.Errorf("%s at version %d, %d deliveries", j.State, j.Version, len(w.sink.deliveries()))
			}
			w.apply(job.ID, resume)
			until("00:05:00")
			if got := tell(w.runs(job.ID)); !strings.HasPrefix(got, "00:01 failed http_status, 00:02 failed http_status, 00:03 queued") {
				t.Errorf("after it was resumed: %s", got)
			}
		})
	}
	scenario(t, "a run that a kill interrupted, and that its owner may not make again, is a failure too", func(t *testing.T, w *world) {
		job := w.with("broken", "* * * * *", func(d *jadwal.Definition) { d.PauseAfterFailures = 1 })
		w.sink.set(10 * time.Minute)
		w.run()
		until("00:01:05")
		w.kill()
		w.begin = func(f *faults) { f.barred = true }
		w.restart()
		until("00:01:10")
		w.check(job.ID, "00:01 failed lost")
		if j := w.stored(job.ID); j.State != jadwal.JobPaused || j.PauseReason != jadwal.PauseFailures {
			t.Errorf("%s: %q", j.State, j.PauseReason)
		}
	})
	scenario(t, "a success begins the count anew", func(t *testing.T, w *world) {
		job := w.with("flaky", "* * * * *", three)
		w.answers(404, 404, 200, 404, 404, 200)
		w.run()
		until("00:10:00")
		if j := w.stored(job.ID); j.State != jadwal.JobEnabled {
			t.Errorf("it is %s", j.State)
		}
	})
	scenario(t, "attempts are no failures of the run", func(t *testing.T, w *world) {
		job := w.with("flaky", "*/5 * * * *", func(d *jadwal.Definition) { tries(3)(d); d.PauseAfterFailures = 2 })
		w.answers(503, 503, 503, 200)
		w.run()
		until("00:30:00")
		if j := w.stored(job.ID); j.State != jadwal.JobEnabled {
			t.Errorf("it is %s", j.State)
		}
	})
}
