package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
)

func catchup(c jadwal.Catchup) func(*jadwal.Definition) {
	return func(d *jadwal.Definition) { d.Catchup = c }
}

func TestCatchup(t *testing.T) {
	window := func(d time.Duration) *jadwal.Duration { return (*jadwal.Duration)(&d) }
	for _, c := range []struct {
		rule    string
		catchup jadwal.Catchup
		window  *jadwal.Duration
		want    string
	}{
		{"latest: of three hours' outage the newest instant runs", jadwal.CatchupLatest, nil, "00:20-03:00 missed server_down, 03:10 succeeded"},
		{"latest with a window: not even the newest runs when it is too old", jadwal.CatchupLatest, window(time.Minute), "00:20-03:00 missed server_down, 03:10 missed catchup_expired"},
		{"none: three hours' outage is missed", jadwal.CatchupNone, nil, "00:20-03:00 missed server_down, 03:10 missed catchup_expired"},
		{"none with a window: the newest runs when it is not too old", jadwal.CatchupNone, window(5 * time.Minute), "00:20-03:00 missed server_down, 03:10 succeeded"},
		{"all: every instant of three hours' outage runs, the oldest first", jadwal.CatchupAll, nil, "00:20 succeeded, 00:30 succeeded, 00:40 succeeded, 00:50 succeeded, 01:00 succeeded, 01:10 succeeded, 01:20 succeeded, 01:30 succeeded, 01:40 succeeded, 01:50 succeeded, 02:00 succeeded, 02:10 succeeded, 02:20 succeeded, 02:30 succeeded, 02:40 succeeded, 02:50 succeeded, 03:00 succeeded, 03:10 succeeded"},
		{"all with a window: those that are not too old run", jadwal.CatchupAll, window(30 * time.Minute), "00:20-02:40 missed catchup_expired, 02:50 succeeded, 03:00 succeeded, 03:10 succeeded"},
	} {
		scenario(t, c.rule, func(t *testing.T, w *world) {
			job := w.with("job", "*/10 * * * *", func(d *jadwal.Definition) { d.Catchup, d.CatchupWindow = c.catchup, c.window })
			w.sink.set(10 * time.Second)
			w.run()
			until("00:15:00")
			w.quit()
			until("03:12:00")
			w.run()
			until("03:21:00")
			w.check(job.ID, "00:10 succeeded, "+c.want+", 03:20 succeeded")
			last := ""
			for _, d := range w.sink.deliveries() {
				if d.run < last {
					t.Errorf("run %s came after %s", d.run, last)
				}
				last = d.run
			}
			if n := together(w.sink.deliveries()); n != 1 {
				t.Errorf("%d runs at once", n)
			}
		})
	}
	scenario(t, "a month without a server is a handful of records for a job a second, and its ledger tells each instant", func(t *testing.T, w *world) {
		job := w.job("busy", "every 1s")
		w.run()
		until("00:00:02")
		w.quit()
		if err := w.st.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * 24 * time.Hour)
		w.open()
		w.run()
		time.Sleep(time.Second)
		synctest.Wait()
		back := midnight.Add(31*24*time.Hour + 2*time.Second) // give or take the end of the run of then
		runs := w.runs(job.ID)
		if len(runs) > 6 {
			t.Errorf("%d records", len(runs))
		}
		missed := 0
		for _, r := range runs {
			if r.Reason == jadwal.ReasonServerDown {
				missed += int(r.ThroughAt.Sub(time.UnixMicro(r.Key.DueAt))/time.Second) + 1
			}
		}
		if missed != 31*24*3600-1 {
			t.Errorf("%d instants are missed", missed)
		}
		for _, at := range []time.Time{midnight.Add(3 * time.Second), midnight.Add(17*24*time.Hour + 4321*time.Second), back.Add(-2 * time.Second)} {
			l, err := w.st.Ledger(context.Background(), job.ID, at, 10)
			if err != nil {
				t.Fatal(err)
			}
			entries, _, err := l.Entries(at, at.Add(time.Second), time.Now(), 10)
			if err != nil || len(entries) != 1 || entries[0].State != "missed" || entries[0].Reason != jadwal.ReasonServerDown || !entries[0].At.Equal(at) {
				t.Errorf("the ledger tells of %s: %+v, %v", at, entries, err)
			}
		}
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
