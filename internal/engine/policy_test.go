package engine

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// with stores a job whose definition is changed by alter.
func (w *world) with(name, schedule string, alter func(*jadwal.Definition)) jadwal.Job {
	w.t.Helper()
	def := definitionOf(name, schedule)
	alter(&def)
	job, err := w.create(def, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

// answers has the sink answer the n-th delivery with the n-th status, and all
// later ones with the last.
func (w *world) answers(statuses ...int) {
	seen := 0
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	w.sink.status = func(delivery) int {
		w.sink.mu.Lock()
		defer w.sink.mu.Unlock()
		seen++
		return statuses[min(seen, len(statuses))-1]
	}
}

// stored is the job as the store has it now.
func (w *world) stored(id int64) jadwal.Job {
	w.t.Helper()
	job, err := w.st.AnyJob(context.Background(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

func TestJitter(t *testing.T) {
	scenario(t, "every instant starts after its own jitter, late by nothing, under its own name", func(t *testing.T, w *world) {
		job := w.with("spread", "* * * * *", func(d *jadwal.Definition) { d.Jitter = jadwal.Duration(50 * time.Second) })
		w.run()
		until("01:00:59")
		runs := w.runs(job.ID)
		if len(runs) != 60 {
			t.Fatalf("%d runs", len(runs))
		}
		spread := 0
		for i, r := range runs {
			due := midnight.Add(time.Duration(i+1) * time.Minute)
			if r.Key.DueAt != due.UnixMicro() || r.Lateness() != 0 || r.State != jadwal.RunSucceeded {
				t.Errorf("run %d: %+v, late by %s", i, r, r.Lateness())
			}
			if after := r.StartedAt.Sub(due); after < 0 || after > 50*time.Second {
				t.Errorf("run %d started %s after its instant", i, after)
			} else if after > time.Second {
				spread++
			}
		}
		if spread < 50 {
			t.Errorf("only %d of 60 runs are spread", spread)
		}
		if c := w.eng.Counts(); c.Started != 60 || c.Rejected+c.Failed != 0 {
			t.Errorf("counts are %+v", c)
		}
		if last := w.stored(job.ID).LastRun; last == nil || !last.ReadyAt.Equal(runs[59].ReadyAt) {
			t.Errorf("last run is %+v", last)
		}
	})
	scenario(t, "a restart while it lasts starts the run once, at the same instant", func(t *testing.T, w *world) {
		job := w.with("spread", "0 1 * * *", func(d *jadwal.Definition) { d.Jitter = jadwal.Duration(30 * time.Minute) })
		def, err := compile(w.stored(job.ID))
		if err != nil {
			t.Fatal(err)
		}
		due := def.rules.DueAt(midnight.Add(time.Hour))
		if due.Sub(midnight.Add(time.Hour)) < 10*time.Second {
			t.Fatalf("the jitter is too short for this test: %s", due)
		}
		w.run()
		until("01:00:05")
		w.kill()
		w.restart()
		until("01:31:00")
		w.check(job.ID, "01:00 succeeded")
		if r := w.runs(job.ID)[0]; !r.StartedAt.Equal(due) || r.Lateness() != 0 {
			t.Errorf("started %s, want %s", r.StartedAt, due)
		}
	})
	scenario(t, "a pause and an edit while it lasts keep the instant", func(t *testing.T, w *world) {
		alter := func(d *jadwal.Definition) { d.Jitter = jadwal.Duration(30 * time.Minute) }
		paused, edited, gone := w.with("paused", "0 1 * * *", alter), w.with("edited", "0 1 * * *", alter), w.with("gone", "0 1 * * *", alter)
		w.run()
		until("01:00:01")
		w.apply(paused.ID, pause)
		w.apply(edited.ID, func(j *jadwal.Job) { j.Definition.Description = "new" })
		w.remove(gone.ID)
		until("01:45:00")
		w.check(paused.ID, "01:00 queued")
		w.check(edited.ID, "01:00 succeeded")
		w.check(gone.ID, "01:00 cancelled job_deleted")
		w.apply(paused.ID, resume)
		w.check(paused.ID, "01:00 succeeded")
	})
}

func TestMaxRuns(t *testing.T) {
	limit := func(n int) func(*jadwal.Definition) {
		return func(d *jadwal.Definition) { d.MaxRuns = n }
	}
	scenario(t, "the job is completed with the run that reaches it", func(t *testing.T, w *world) {
		job := w.with("three", "* * * * *", limit(3))
		w.sink.set(10 * time.Second)
		w.run()
		until("00:03:05")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded, 00:03 running")
		until("01:00:00")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded, 00:03 succeeded")
		if j := w.stored(job.ID); j.State != jadwal.JobCompleted || j.Started != 3 || j.Version != 2 {
			t.Errorf("%s after %d, version %d", j.State, j.Started, j.Version)
		}
	})
	scenario(t, "what is skipped does not count, and restarts do not forget", func(t *testing.T, w *world) {
		job := w.with("three", "* * * * *", limit(3))
		w.sink.set(90 * time.Second)
		w.run()
		for range 4 {
			time.Sleep(70 * time.Second)
			w.quit()
			w.restart()
		}
		until("00:20:00")
		started := 0
		for _, r := range w.runs(job.ID) {
			if r.State == jadwal.RunSucceeded {
				started++
			}
		}
		if j := w.stored(job.ID); started != 3 || j.State != jadwal.JobCompleted {
			t.Errorf("%d runs, %s: %s", started, j.State, tell(w.runs(job.ID)))
		}
	})
	scenario(t, "a kill at any moment does not add to it", func(t *testing.T, w *world) {
		job := w.with("five", "every 10s", limit(5))
		w.sink.set(1500 * time.Millisecond)
		w.run()
		for i := range 12 {
			time.Sleep(time.Duration(3000+i*700) * time.Millisecond)
			w.kill()
			w.restart()
		}
		until("00:05:00")
		names := map[string]bool{}
		for _, d := range w.sink.deliveries() {
			names[d.run] = true
		}
		if j := w.stored(job.ID); len(names) != 5 || j.State != jadwal.JobCompleted || j.Started != 5 {
			t.Errorf("%d runs, counted %d, %s", len(names), j.Started, j.State)
		}
	})
	scenario(t, "an edit that raises it lets a completed job go on from now", func(t *testing.T, w *world) {
		job := w.with("two", "* * * * *", limit(2))
		w.run()
		until("00:05:30")
		w.apply(job.ID, func(j *jadwal.Job) { j.State = jadwal.JobEnabled; j.Definition.MaxRuns = 3 })
		until("00:10:00")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded, 00:06 succeeded")
		w.apply(job.ID, func(j *jadwal.Job) { j.State = jadwal.JobEnabled; j.Definition.Description = "no more" })
		if j := w.stored(job.ID); j.State != jadwal.JobCompleted {
			t.Errorf("it is %s", j.State)
		}
	})
	scenario(t, "an edit while the last run runs plans nothing more", func(t *testing.T, w *world) {
		job := w.with("one", "* * * * *", limit(1))
		w.sink.set(10 * time.Minute)
		w.run()
		until("00:03:30")
		w.apply(job.ID, func(j *jadwal.Job) { j.Definition.Description = "edited" })
		until("00:30:00")
		w.check(job.ID, "00:01 succeeded")
		if j := w.stored(job.ID); j.State != jadwal.JobCompleted {
			t.Errorf("it is %s", j.State)
		}
	})
	scenario(t, "a completed job that is to be deleted is gone, and its history is there", func(t *testing.T, w *world) {
		job := w.with("two", "* * * * *", func(d *jadwal.Definition) { d.MaxRuns, d.AfterCompletion = 2, jadwal.CompletionDelete })
		w.run()
		until("00:05:00")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded")
		if _, err := w.st.Job(context.Background(), job.ID); jadwal.CodeOf(err) != jadwal.CodeNotFound {
			t.Errorf("the job is still there: %v", err)
		}
		if again := w.job("two", "* * * * *"); again.ID == job.ID {
			t.Error("its id is used again")
		}
	})
	scenario(t, "start_at and end_at bound the instants, and the end completes the job", func(t *testing.T, w *world) {
		job := w.with("bounded", "* * * * *", func(d *jadwal.Definition) {
			from, to := midnight.Add(5*time.Minute), midnight.Add(7*time.Minute)
			d.StartAt, d.EndAt = &from, &to
		})
		w.run()
		until("01:00:00")
		w.check(job.ID, "00:05 succeeded, 00:06 succeeded, 00:07 succeeded")
		if j := w.stored(job.ID); j.State != jadwal.JobCompleted {
			t.Errorf("it is %s", j.State)
		}
	})
}

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

func overlap(o jadwal.Overlap, slots int) func(*jadwal.Definition) {
	return func(d *jadwal.Definition) { d.Overlap, d.MaxConcurrent = o, slots }
}

func TestOverlap(t *testing.T) {
	scenario(t, "queue_one: one waits and starts when the running one has ended, the others are skipped", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapQueueOne, 1))
		w.sink.set(130 * time.Second)
		w.run()
		until("00:08:10")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded, 00:03 skipped queue_full, 00:04 succeeded, 00:05 skipped queue_full, 00:06 running, 00:07 skipped queue_full, 00:08 queued")
		if w.sink.most["slow"] != 1 {
			t.Errorf("%d runs at once", w.sink.most["slow"])
		}
	})
	scenario(t, "queue_all: all wait, in order, and none is lost by a restart", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapQueueAll, 1))
		w.sink.takes = func(delivery) time.Duration {
			if time.Now().Before(midnight.Add(2 * time.Minute)) {
				return 5*time.Minute + 30*time.Second
			}
			return 10 * time.Second
		}
		w.run()
		until("00:05:30")
		w.check(job.ID, "00:01 running, 00:02 queued, 00:03 queued, 00:04 queued, 00:05 queued")
		w.quit()
		w.restart()
		until("00:09:30")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded, 00:03 succeeded, 00:04 succeeded, 00:05 succeeded, 00:06 succeeded, 00:07 succeeded, 00:08 succeeded, 00:09 succeeded")
		if w.sink.most["slow"] != 1 {
			t.Errorf("%d runs at once", w.sink.most["slow"])
		}
		last := ""
		for _, d := range w.sink.deliveries() {
			if d.run < last {
				t.Errorf("run %s came after %s", d.run, last)
			}
			last = d.run
		}
	})
	scenario(t, "queue_all: the queue is bounded", func(t *testing.T, w *world) {
		job := w.with("slow", "every 1s", overlap(jadwal.OverlapQueueAll, 1))
		w.sink.set(5 * time.Minute)
		w.run()
		until("00:04:00")
		queued, full := 0, 0
		for _, r := range w.runs(job.ID) {
			switch {
			case r.State == jadwal.RunQueued:
				queued++
			case r.Reason == jadwal.ReasonQueueFull:
				full++
			}
		}
		if queued != jadwal.MaxQueued || full == 0 || full > 60 {
			t.Errorf("%d wait, %d records of a full queue", queued, full)
		}
	})
	scenario(t, "cancel_running: the newest takes the place of the running one, whose request ends", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapCancelRunning, 1))
		w.sink.set(150 * time.Second)
		w.run()
		until("00:03:10")
		w.check(job.ID, "00:01 cancelled replaced, 00:02 cancelled replaced, 00:03 running")
		if w.sink.now["slow"] != 1 {
			t.Errorf("%d requests wait for an answer", w.sink.now["slow"])
		}
	})
	scenario(t, "cancel_running: it takes the place of one that waits for another attempt", func(t *testing.T, w *world) {
		job := w.with("flaky", "* * * * *", func(d *jadwal.Definition) {
			overlap(jadwal.OverlapCancelRunning, 1)(d)
			tries(3)(d)
			d.Retry.MinBackoff, d.Retry.MaxBackoff = jadwal.Duration(5*time.Minute), jadwal.Duration(5*time.Minute)
		})
		w.answers(503, 200)
		w.run()
		until("00:02:10")
		w.check(job.ID, "00:01 cancelled replaced, 00:02 succeeded")
	})
	scenario(t, "allow: so many at once, and beyond that as skip", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapAllow, 3))
		w.sink.set(210 * time.Second)
		w.run()
		until("00:06:10")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded, 00:03 running, 00:04 skipped overlap, 00:05 running, 00:06 running")
		if w.sink.most["slow"] != 3 {
			t.Errorf("%d runs at once", w.sink.most["slow"])
		}
	})
	scenario(t, "allow: a kill makes all that were running again, none of them twice in history", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapAllow, 3))
		w.sink.set(170 * time.Second)
		w.run()
		until("00:03:00")
		w.kill()
		w.restart()
		until("00:06:10")
		runs := w.runs(job.ID)
		if got := tell(runs[:3]); got != "00:01 succeeded, 00:02 succeeded, 00:03 succeeded" {
			t.Errorf("got %s", tell(runs))
		}
	})
	scenario(t, "allow: every completion order is recorded", func(t *testing.T, w *world) {
		job := w.with("mixed", "every 1s", overlap(jadwal.OverlapAllow, 10))
		w.sink.takes = func(d delivery) time.Duration {
			return time.Duration(d.at.Second()*731%4500) * time.Millisecond
		}
		w.run()
		until("00:05:00")
		n := 0
		for _, r := range w.runs(job.ID) {
			if r.State == jadwal.RunSucceeded || r.State == jadwal.RunRunning {
				n++
			}
		}
		if c := w.eng.Counts(); n < 290 || c.Rejected+c.Failed+c.Redelivered != 0 {
			t.Errorf("%d runs, counts %+v", n, c)
		}
	})
	scenario(t, "an edit from one policy to another takes what waits along", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapQueueAll, 1))
		w.sink.set(270 * time.Second)
		w.run()
		until("00:04:10")
		w.check(job.ID, "00:01 running, 00:02 queued, 00:03 queued, 00:04 queued")
		w.apply(job.ID, func(j *jadwal.Job) { overlap(jadwal.OverlapAllow, 4)(&j.Definition) })
		w.check(job.ID, "00:01 running, 00:02 queued, 00:03 queued, 00:04 queued")
		until("00:04:12")
		w.check(job.ID, "00:01 running, 00:02 running, 00:03 running, 00:04 running")
	})
}

func catchup(c jadwal.Catchup) func(*jadwal.Definition) {
	return func(d *jadwal.Definition) { d.Catchup = c }
}

func TestCatchup(t *testing.T) {
	outage := func(t *testing.T, w *world, alter func(*jadwal.Definition), want string) {
		t.Helper()
		job := w.with("job", "*/10 * * * *", alter)
		w.run()
		until("00:15:00")
		w.quit()
		until("00:52:00")
		w.run()
		until("01:01:00")
		w.check(job.ID, want)
	}
	scenario(t, "none: an outage is missed, and the plan goes on", func(t *testing.T, w *world) {
		outage(t, w, catchup(jadwal.CatchupNone), "00:10 succeeded, 00:20-00:40 missed server_down, 00:50 missed catchup_expired, 01:00 succeeded")
	})
	scenario(t, "latest: the newest instant runs", func(t *testing.T, w *world) {
		outage(t, w, catchup(jadwal.CatchupLatest), "00:10 succeeded, 00:20-00:40 missed server_down, 00:50 succeeded, 01:00 succeeded")
	})
	scenario(t, "all: every instant runs, the oldest first", func(t *testing.T, w *world) {
		outage(t, w, catchup(jadwal.CatchupAll), "00:10 succeeded, 00:20 succeeded, 00:30 succeeded, 00:40 succeeded, 00:50 succeeded, 01:00 succeeded")
		last := ""
		for _, d := range w.sink.deliveries() {
			if d.run < last {
				t.Errorf("run %s came after %s", d.run, last)
			}
			last = d.run
		}
	})
	scenario(t, "all within a window", func(t *testing.T, w *world) {
		window := jadwal.Duration(15 * time.Minute)
		outage(t, w, func(d *jadwal.Definition) { d.Catchup, d.CatchupWindow = jadwal.CatchupAll, &window },
			"00:10 succeeded, 00:20-00:30 missed catchup_expired, 00:40 succeeded, 00:50 succeeded, 01:00 succeeded")
	})
	scenario(t, "all: one at a time, and a kill in between loses none", func(t *testing.T, w *world) {
		job := w.with("job", "*/10 * * * *", catchup(jadwal.CatchupAll))
		w.sink.set(20 * time.Second)
		w.run()
		until("00:15:00")
		w.quit()
		until("00:52:00")
		w.run()
		until("00:52:30")
		w.kill()
		w.restart()
		until("00:58:00")
		w.check(job.ID, "00:10 succeeded, 00:20 succeeded, 00:30 succeeded, 00:40 succeeded, 00:50 succeeded")
	})
	scenario(t, "a pause is resumed with what it is told to make up for", func(t *testing.T, w *world) {
		jobs := map[jadwal.Catchup]string{
			jadwal.CatchupNone:   "00:20-00:40 skipped paused, 00:50 succeeded",
			jadwal.CatchupLatest: "00:20-00:30 skipped paused, 00:40 succeeded, 00:50 succeeded",
			jadwal.CatchupAll:    "00:20 succeeded, 00:30 succeeded, 00:40 succeeded, 00:50 succeeded",
		}
		ids := map[jadwal.Catchup]int64{}
		for c := range jobs {
			ids[c] = w.job("job-"+string(c), "*/10 * * * *").ID
		}
		w.run()
		until("00:15:00")
		for _, id := range ids {
			w.apply(id, pause)
		}
		until("00:45:00")
		for c, id := range ids {
			job := w.stored(id)
			job.State = jadwal.JobEnabled
			_, change, err := w.st.ResumeJob(context.Background(), w.actor(), job, job.Version, c, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			w.applied(change)
		}
		until("00:51:00")
		for c, id := range ids {
			w.check(id, "00:10 succeeded, "+jobs[c])
		}
	})
	scenario(t, "a pause until an instant ends by itself, and that instant runs", func(t *testing.T, w *world) {
		job := w.job("job", "*/10 * * * *")
		w.run()
		until("00:15:00")
		w.apply(job.ID, func(j *jadwal.Job) { j.State, j.PauseUntil = jadwal.JobPaused, midnight.Add(40*time.Minute) })
		if j := w.stored(job.ID); !j.PauseUntil.Equal(midnight.Add(40 * time.Minute)) {
			t.Errorf("it is paused until %s", j.PauseUntil)
		}
		until("00:51:00")
		w.check(job.ID, "00:10 succeeded, 00:20-00:30 skipped paused, 00:40 succeeded, 00:50 succeeded")
		if j := w.stored(job.ID); j.State != jadwal.JobEnabled || !j.PauseUntil.IsZero() || j.PauseReason != "" {
			t.Errorf("afterwards: %+v", j)
		}
		if late := w.runs(job.ID)[2].Lateness(); late > time.Second+4*linger {
			t.Errorf("the run at its end was late by %s", late)
		}
	})
	scenario(t, "a pause that ended while nobody was there ended then", func(t *testing.T, w *world) {
		job := w.job("job", "*/10 * * * *")
		w.run()
		until("00:15:00")
		w.apply(job.ID, func(j *jadwal.Job) { j.State, j.PauseUntil = jadwal.JobPaused, midnight.Add(35*time.Minute) })
		w.quit()
		until("01:05:00")
		w.run()
		until("01:06:00")
		w.check(job.ID, "00:10 succeeded, 00:20-00:30 skipped paused, 00:40-00:50 missed server_down, 01:00 succeeded")
	})
}

func (w *world) ask(id int64) jadwal.Run {
	w.t.Helper()
	run, err := w.st.RunNow(context.Background(), w.actor(), id, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return run
}

func (w *world) cancel(key jadwal.RunKey) {
	w.t.Helper()
	change, err := w.st.CancelRun(context.Background(), w.actor(), key, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	w.applied(change)
}

func TestRunNow(t *testing.T) {
	scenario(t, "it runs at once, beside the plan", func(t *testing.T, w *world) {
		job := w.job("hourly", "0 * * * *")
		w.run()
		until("00:30:00")
		run := w.ask(job.ID)
		if run.State != jadwal.RunQueued || run.Trigger != jadwal.TriggerManual || run.Key.N != 1 || run.Key.DueAt != time.Now().UnixMicro() {
			t.Errorf("answered %+v", run)
		}
		until("01:00:01")
		w.check(job.ID, "00:30 succeeded, 01:00 succeeded")
		if r := w.runs(job.ID)[0]; r.Trigger != jadwal.TriggerManual || r.Key != run.Key || r.Lateness() > 4*linger {
			t.Errorf("recorded as %+v", r)
		}
		if n := w.eng.Counts().Started; n != 2 {
			t.Errorf("%d attempts", n)
		}
	})
	scenario(t, "two at the same microsecond have different names", func(t *testing.T, w *world) {
		job := w.job("hourly", "0 * * * *")
		w.run()
		until("00:30:00")
		if a, b := w.ask(job.ID), w.ask(job.ID); a.Key.N != 1 || b.Key.N != 2 {
			t.Errorf("they are %+v and %+v", a.Key, b.Key)
		}
		until("00:31:00")
		w.check(job.ID, "00:30 succeeded, 00:30 succeeded")
	})
	scenario(t, "it waits for the running run, and is not skipped", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:05:00")
		w.ask(job.ID)
		w.check(job.ID, "01:00 running, 01:05 queued")
		until("01:25:00")
		w.check(job.ID, "01:00 succeeded, 01:05 succeeded")
		if w.sink.most["v1"] != 1 {
			t.Errorf("%d runs at once", w.sink.most["v1"])
		}
	})
	scenario(t, "while it runs, what falls due is skipped", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("00:55:00")
		w.ask(job.ID)
		until("01:30:00")
		w.check(job.ID, "00:55 succeeded, 01:00 skipped overlap")
	})
	scenario(t, "it runs while the job is paused; what was asked for before the pause is held", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:05:00")
		w.ask(job.ID)
		w.apply(job.ID, pause)
		until("01:20:00")
		w.check(job.ID, "01:00 succeeded, 01:05 queued")
		w.ask(job.ID)
		until("01:40:00")
		w.check(job.ID, "01:00 succeeded, 01:05 queued, 01:20:00.010 succeeded")
		w.apply(job.ID, resume)
		until("01:55:00")
		w.check(job.ID, "01:00 succeeded, 01:05 succeeded, 01:20:00.010 succeeded")
	})
	scenario(t, "it runs when the job is completed, and does not count for max_runs", func(t *testing.T, w *world) {
		job := w.with("two", "0 * * * *", func(d *jadwal.Definition) { d.MaxRuns = 2 })
		w.run()
		until("00:30:00")
		w.ask(job.ID)
		until("05:00:00")
		w.check(job.ID, "00:30 succeeded, 01:00 succeeded, 02:00 succeeded")
		w.ask(job.ID)
		until("05:01:00")
		w.check(job.ID, "00:30 succeeded, 01:00 succeeded, 02:00 succeeded, 05:00:00.010 succeeded")
	})
	scenario(t, "a job without schedules runs by hand", func(t *testing.T, w *world) {
		def := definitionOf("by-hand")
		job, err := w.st.CreateJob(context.Background(), w.actor(), jadwal.Job{OwnerID: w.owner.ID, Definition: def, State: jadwal.JobEnabled}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.run()
		until("00:30:00")
		w.ask(job.ID)
		w.check(job.ID, "00:30 succeeded")
		if j := w.stored(job.ID); j.State != jadwal.JobEnabled {
			t.Errorf("it is %s", j.State)
		}
	})
	scenario(t, "asked for while nobody is there, it runs when somebody comes, once", func(t *testing.T, w *world) {
		job := w.job("hourly", "0 * * * *")
		w.run()
		until("00:10:00")
		w.kill()
		w.ask(job.ID)
		until("00:20:00")
		w.restart()
		until("00:21:00")
		w.check(job.ID, "00:10 succeeded")
		if n := len(w.sink.deliveries()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
	})
	scenario(t, "a thousand by hand on one job are refused beyond a hundred at once", func(t *testing.T, w *world) {
		job := w.hourly(time.Minute)
		w.run()
		until("00:10:00")
		refused := 0
		for range 120 {
			if _, err := w.st.RunNow(context.Background(), w.actor(), job.ID, time.Now()); jadwal.CodeOf(err) == jadwal.CodeConflict {
				refused++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if refused != 20 {
			t.Errorf("%d refused", refused)
		}
	})
	scenario(t, "a job that does not exist cannot be run", func(t *testing.T, w *world) {
		w.run()
		if _, err := w.st.RunNow(context.Background(), w.actor(), 99, time.Now()); jadwal.CodeOf(err) != jadwal.CodeNotFound {
			t.Errorf("got %v", err)
		}
	})
}

func TestRetryRun(t *testing.T) {
	scenario(t, "a finished run can be repeated, as a run of its own", func(t *testing.T, w *world) {
		job := w.job("hourly", "0 * * * *")
		w.answers(404, 200)
		w.run()
		until("01:10:00")
		first := w.runs(job.ID)[0]
		again, err := w.st.RetryRun(context.Background(), w.actor(), first.Key, time.Now())
		if err != nil || again.RetryOf != first.Key || again.Trigger != jadwal.TriggerRetry {
			t.Fatalf("got %+v, %v", again, err)
		}
		w.check(job.ID, "01:00 failed http_status, 01:10 succeeded")
		if r, err := w.st.Run(context.Background(), again.Key); err != nil || r.RetryOf != first.Key || r.Trigger != jadwal.TriggerRetry {
			t.Errorf("recorded as %+v, %v", r, err)
		}
	})
	scenario(t, "one that has not ended, or never was, cannot be repeated", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:05:00")
		if _, err := w.st.RetryRun(context.Background(), w.actor(), w.runs(job.ID)[0].Key, time.Now()); jadwal.CodeOf(err) != jadwal.CodeConflict {
			t.Errorf("got %v", err)
		}
		if _, err := w.st.RetryRun(context.Background(), w.actor(), jadwal.RunKey{DueAt: 5, JobID: job.ID}, time.Now()); jadwal.CodeOf(err) != jadwal.CodeNotFound {
			t.Errorf("got %v", err)
		}
	})
}

func TestCancelRun(t *testing.T) {
	key := func(job jadwal.Job, at time.Duration) jadwal.RunKey {
		return jadwal.RunKey{DueAt: midnight.Add(at).UnixMicro(), JobID: job.ID}
	}
	scenario(t, "a run in its first second ends, and so does its request", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:00:00")
		w.cancel(key(job, time.Hour))
		w.check(job.ID, "01:00 cancelled requested")
		if n := w.sink.now["v1"]; n != 0 {
			t.Errorf("%d requests wait for an answer", n)
		}
	})
	scenario(t, "a long run ends, and the job goes on", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:05:00")
		w.cancel(key(job, time.Hour))
		until("02:15:00")
		w.check(job.ID, "01:00 cancelled requested, 02:00 succeeded")
	})
	scenario(t, "a run that waits for another attempt ends", func(t *testing.T, w *world) {
		job := w.with("flaky", "0 * * * *", tries(3))
		w.answers(503)
		w.run()
		until("01:00:03")
		w.cancel(key(job, time.Hour))
		until("01:30:00")
		w.check(job.ID, "01:00 cancelled requested")
		if n := len(w.sink.deliveries()); n != 1 {
			t.Errorf("%d deliveries", n)
		}
	})
	scenario(t, "a run that waits for its turn ends, and the next one takes it", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:05:00")
		first := w.ask(job.ID)
		until("01:06:00")
		w.ask(job.ID)
		w.cancel(first.Key)
		until("01:30:00")
		w.check(job.ID, "01:00 succeeded, 01:05 cancelled requested, 01:06 succeeded")
	})
	scenario(t, "an instant that is due and in no table ends, and what is due besides it runs", func(t *testing.T, w *world) {
		blocker := w.job("blocker", "59 0 * * *")
		job := w.job("late", "*/10 1 * * *")
		w.sink.takes = func(d delivery) time.Duration {
			if d.job == "blocker" {
				return 15 * time.Minute
			}
			return 0
		}
		w.slots = 1
		w.run()
		until("01:05:00")
		w.check(blocker.ID, "00:59 running")
		w.cancel(key(job, time.Hour))
		w.check(job.ID, "01:00 cancelled requested")
		until("01:21:00")
		w.check(job.ID, "01:00 cancelled requested, 01:10 succeeded, 01:20 succeeded")
	})
	scenario(t, "a run that has ended stays as it is", func(t *testing.T, w *world) {
		job := w.hourly(0)
		w.run()
		until("01:00:01")
		if _, err := w.st.CancelRun(context.Background(), w.actor(), key(job, time.Hour), time.Now()); jadwal.CodeOf(err) != jadwal.CodeConflict {
			t.Errorf("got %v", err)
		}
		for _, at := range []time.Duration{2 * time.Hour, 30 * time.Minute} {
			if _, err := w.st.CancelRun(context.Background(), w.actor(), key(job, at), time.Now()); jadwal.CodeOf(err) != jadwal.CodeNotFound {
				t.Errorf("an instant that is not due: got %v", err)
			}
		}
	})
	scenario(t, "the last run of a job can be cancelled, which completes the job", func(t *testing.T, w *world) {
		job := w.job("once", "at 2000-01-01T00:01:00Z")
		w.sink.set(10 * time.Minute)
		w.run()
		until("00:02:00")
		w.cancel(key(job, time.Minute))
		until("00:02:01")
		if j := w.stored(job.ID); j.State != jadwal.JobCompleted {
			t.Errorf("it is %s", j.State)
		}
	})
}

// What became of a job whose owner was disabled while a run of it waited for
// another attempt, and then while one waited for its turn.
func TestOwnerDisabled(t *testing.T) {
	scenario(t, "a run of an owner without rights is not attempted again", func(t *testing.T, w *world) {
		job := w.with("flaky", "0 * * * *", tries(3))
		w.answers(503)
		w.run()
		until("01:00:03")
		w.fault.on(func(f *faults) { f.barred = true })
		until("02:10:00")
		w.check(job.ID, "01:00 cancelled owner_disabled, 02:00 skipped owner_disabled")
	})
	scenario(t, "a run that waits for its turn is skipped then", func(t *testing.T, w *world) {
		job := w.hourly(10 * time.Minute)
		w.run()
		until("01:05:00")
		w.ask(job.ID)
		w.fault.on(func(f *faults) { f.barred = true })
		until("01:30:00")
		if got := tell(w.runs(job.ID)); !strings.HasSuffix(got, "01:05 skipped owner_disabled") {
			t.Errorf("got %s", got)
		}
	})
}

// set sets the wall clock of the engine.
func (w *world) set(by time.Duration) { w.stepped.Store(int64(by)) }

func TestClockSteps(t *testing.T) {
	scenario(t, "what a step forward jumps over is missed, but for the newest", func(t *testing.T, w *world) {
		job := w.job("job", "*/10 * * * *")
		w.run()
		until("00:15:00")
		w.set(time.Hour)
		until("00:16:00") // 01:16 on the wall
		if got, want := tell(w.runs(job.ID)), "00:10 succeeded, 00:20-01:00 missed clock_jump, 01:10 succeeded"; got != want {
			t.Errorf("\n got  %s\n want %s", got, want)
		}
		w.quit()
		time.Sleep(time.Hour) // until what is recorded is due
	})
	scenario(t, "under all what a step forward jumps over is caught up", func(t *testing.T, w *world) {
		job := w.with("job", "*/10 * * * *", catchup(jadwal.CatchupAll))
		w.run()
		until("00:15:00")
		w.set(30 * time.Minute)
		until("00:16:00")
		if got, want := tell(w.runs(job.ID)), "00:10 succeeded, 00:20 succeeded, 00:30 succeeded, 00:40 succeeded"; got != want {
			t.Errorf("\n got  %s\n want %s", got, want)
		}
		w.quit()
		time.Sleep(time.Hour)
	})
	scenario(t, "after a step back nothing fires twice, and what is due waits", func(t *testing.T, w *world) {
		job := w.job("job", "*/10 * * * *")
		w.run()
		until("00:35:00")
		w.set(-20 * time.Minute)
		until("00:50:00") // 00:30 on the wall
		w.check(job.ID, "00:10 succeeded, 00:20 succeeded, 00:30 succeeded")
		until("01:00:01") // 00:40 on the wall
		w.check(job.ID, "00:10 succeeded, 00:20 succeeded, 00:30 succeeded, 00:40 succeeded")
		if n := len(w.sink.deliveries()); n != 4 {
			t.Errorf("%d deliveries", n)
		}
	})
	scenario(t, "a glitch that is gone at the next reading changes nothing", func(t *testing.T, w *world) {
		job := w.job("job", "*/10 * * * *")
		w.run()
		until("00:15:00")
		w.set(time.Hour)
		time.Sleep(50 * time.Millisecond)
		w.set(0)
		until("00:31:00")
		w.check(job.ID, "00:10 succeeded, 00:20 succeeded, 00:30 succeeded")
	})
}
