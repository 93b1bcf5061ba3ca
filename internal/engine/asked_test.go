package engine

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
)

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
	scenario(t, "two that are read together start once each", func(t *testing.T, w *world) {
		for i, takes := range []time.Duration{0, 3 * time.Millisecond, 10 * time.Minute} {
			def := definitionOf("yearly"+string(rune('a'+i)), "0 0 1 1 *")
			def.Overlap, def.MaxConcurrent = jadwal.OverlapAllow, 3
			job, err := w.create(def, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			w.sink.set(takes)
			before := len(w.sink.deliveries())
			w.ask(job.ID)
			w.ask(job.ID)
			w.ask(job.ID)
			if i == 0 {
				w.run()
				w.fault.on(func(f *faults) { f.deaf = true }) // so that the next ones come with one poll
			}
			time.Sleep(time.Hour)
			if got := w.sink.deliveries()[before:]; len(got) != 3 {
				t.Errorf("attempts of %v: deliveries %+v", takes, got)
			}
			for _, r := range w.runs(job.ID) {
				if r.State != jadwal.RunSucceeded {
					t.Errorf("attempts of %v: %s", takes, tell([]jadwal.Run{r}))
				}
			}
		}
	})
	for _, c := range []struct {
		rule   string
		takes  time.Duration
		commit time.Duration
	}{
		{"one that a reload of its job brings along, and whose change comes while it runs, starts once", 10 * time.Minute, 0},
		{"one that a reload brings along, and whose change comes after its end, starts once", 0, 0},
		{"one that a reload brings along, and whose change comes while its end waits for its commit, starts once", 0, 3 * time.Second},
	} {
		scenario(t, c.rule, func(t *testing.T, w *world) {
			def := definitionOf("daily", "0 1 * * *")
			def.Overlap, def.MaxConcurrent = jadwal.OverlapAllow, 3
			job, err := w.create(def, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			w.sink.set(40 * time.Minute)
			w.run()
			until("01:00:05") // the planned run is stored
			w.fault.on(func(f *faults) { f.deaf = true })
			time.Sleep(100 * time.Millisecond)
			w.sink.set(c.takes)
			w.fault.on(func(f *faults) {
				f.before = func([]*jadwal.Outcome) error { time.Sleep(c.commit); return nil }
			})
			asked := w.ask(job.ID)
			w.eng.order(func(now time.Time) { w.eng.distrust(w.eng.jobs[job.ID], now) })
			synctest.Wait()
			if got := w.sink.deliveries(); len(got) != 2 || got[1].run != asked.Key.ID() {
				t.Errorf("after the reload: %+v", got)
			}
			until("03:00:00")
			if got := w.sink.deliveries(); len(got) != 2 {
				t.Errorf("deliveries %+v", got)
			}
			w.check(job.ID, "01:00 succeeded, 01:00:05.100 succeeded")
		})
	}
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
	scenario(t, "a run that a kill interrupted, and that is cancelled before somebody comes, is not sent, and the plan goes on from where it was", func(t *testing.T, w *world) {
		job := w.with("every-2s", "*/2 * * * * *", catchup(jadwal.CatchupNone))
		w.sink.set(40 * time.Minute)
		w.run()
		until("00:00:07")
		w.kill()
		if _, err := w.st.CancelRun(context.Background(), w.actor(), key(job, 2*time.Second), time.Now()); err != nil {
			t.Fatal(err)
		}
		until("00:01:04")
		w.restart()
		time.Sleep(time.Second)
		w.check(job.ID, "00:00:02 cancelled requested, 00:00:04 skipped overlap, 00:00:06 skipped overlap, 00:00:08-00:01:02 missed server_down, 00:01:04 running")
		if n := len(w.sink.deliveries()); n != 2 {
			t.Errorf("%d deliveries, want those of 00:00:02 and 00:01:04", n)
		}
	})
	scenario(t, "a last run that a kill interrupted, and that is cancelled before somebody comes, completes the job", func(t *testing.T, w *world) {
		job := w.job("once", "at 2000-01-01T00:01:00Z")
		w.sink.set(40 * time.Minute)
		w.run()
		until("00:01:05")
		w.kill()
		if _, err := w.st.CancelRun(context.Background(), w.actor(), key(job, time.Minute), time.Now()); err != nil {
			t.Fatal(err)
		}
		until("00:05:00")
		w.restart()
		time.Sleep(time.Second)
		w.check(job.ID, "00:01 cancelled requested")
		if j := w.stored(job.ID); j.State != jadwal.JobCompleted {
			t.Errorf("it is %s", j.State)
		}
		w.sink.set(0)
		w.ask(job.ID)
		time.Sleep(time.Second)
		if runs := w.runs(job.ID); runs[1].State != jadwal.RunSucceeded {
			t.Errorf("what is asked for afterwards: %s", tell(runs))
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
	scenario(t, "an instant that is cancelled before it starts does not count for max_runs", func(t *testing.T, w *world) {
		w.job("blocker", "59 0 * * *")
		job := w.with("late", "*/10 1 * * *", func(d *jadwal.Definition) { d.MaxRuns = 1 })
		w.sink.takes = func(d delivery) time.Duration {
			if d.job == "blocker" {
				return 15 * time.Minute
			}
			return 0
		}
		w.slots = 1
		w.run()
		until("01:05:00")
		w.cancel(key(job, time.Hour))
		until("01:31:00")
		w.check(job.ID, "01:00 cancelled requested, 01:10 succeeded")
		if j := w.stored(job.ID); j.State != jadwal.JobCompleted || j.Started != 1 {
			t.Errorf("%s after %d", j.State, j.Started)
		}
	})
	scenario(t, "of several instants that are due and in no table one ends, and the others run", func(t *testing.T, w *world) {
		w.job("blocker", "59 0 * * *")
		job := w.with("late", "*/10 1 * * *", catchup(jadwal.CatchupAll))
		w.sink.takes = func(d delivery) time.Duration {
			if d.job == "blocker" {
				return 25 * time.Minute
			}
			return 0
		}
		w.slots = 1
		w.run()
		until("01:22:00")
		w.check(job.ID, "")
		w.cancel(key(job, 70*time.Minute))
		w.check(job.ID, "01:00 queued, 01:10 cancelled requested, 01:20 queued")
		until("01:25:00")
		w.check(job.ID, "01:00 succeeded, 01:10 cancelled requested, 01:20 succeeded")
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
	scenario(t, "the jobs of an owner who is deleted are paused, and what runs finishes", func(t *testing.T, w *world) {
		ctx := context.Background()
		ani, err := w.st.CreateUser(ctx, w.actor(), jadwal.NewUser{Username: "ani", Email: "ani@example.com", PasswordHash: "none"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		job, err := w.st.CreateJob(ctx, w.actor(), jadwal.Job{OwnerID: ani.ID, Definition: definitionOf("v1", "0 * * * *"), State: jadwal.JobEnabled}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.sink.set(10 * time.Minute)
		w.run()
		until("01:05:00")
		if err := w.st.DeleteUser(ctx, w.actor(), ani.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		until("02:30:00")
		w.check(job.ID, "01:00 succeeded")
		if j := w.stored(job.ID); j.State != jadwal.JobPaused || j.PauseReason != jadwal.PauseOwnerDeleted || j.OwnerID != w.owner.ID {
			t.Errorf("%s, %q, of owner %d", j.State, j.PauseReason, j.OwnerID)
		}
		w.apply(job.ID, resume)
		until("03:15:00")
		w.check(job.ID, "01:00 succeeded, 02:00 skipped paused, 03:00 succeeded")
	})
}
