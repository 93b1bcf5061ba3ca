package engine

import (
	"context"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

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
