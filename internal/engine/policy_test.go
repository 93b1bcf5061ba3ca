package engine

import (
	"context"
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
		def, err := compile(w.stored(job.ID), nil)
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
	scenario(t, "an edit that brings it counts what started before, and what runs", func(t *testing.T, w *world) {
		job := w.job("no-limit", "* * * * *")
		w.run()
		until("00:03:30")
		w.sink.set(90 * time.Second)
		until("00:04:10")
		w.apply(job.ID, func(j *jadwal.Job) { j.Definition.MaxRuns = 4 })
		until("00:30:00")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded, 00:03 succeeded, 00:04 succeeded")
		if j := w.stored(job.ID); j.State != jadwal.JobCompleted || j.Started != 4 {
			t.Errorf("%s after %d", j.State, j.Started)
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
