package engine

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
)

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
		synctest.Wait() // until the target has noticed
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
	scenario(t, "cancel_running: what somebody asked for takes its turn at the next instant, and is replaced by the one after", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapCancelRunning, 1))
		w.sink.set(150 * time.Second)
		w.run()
		until("00:01:30")
		w.ask(job.ID)
		until("00:02:30")
		w.check(job.ID, "00:01 cancelled replaced, 00:01:30 running, 00:02 queued")
		until("00:03:30")
		w.check(job.ID, "00:01 cancelled replaced, 00:01:30 cancelled replaced, 00:02 cancelled replaced, 00:03 running")
		if w.sink.now["slow"] != 1 {
			t.Errorf("%d requests wait for an answer", w.sink.now["slow"])
		}
	})
	scenario(t, "cancel_running: the instant starts when what somebody asked for has ended", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapCancelRunning, 1))
		w.sink.takes = func(delivery) time.Duration {
			if at := time.Now(); at.Before(midnight.Add(2*time.Minute)) || at.After(midnight.Add(2*time.Minute+5*time.Second)) {
				return 150 * time.Second
			}
			return 10 * time.Second
		}
		w.run()
		until("00:01:30")
		w.ask(job.ID)
		until("00:02:30")
		w.check(job.ID, "00:01 cancelled replaced, 00:01:30 succeeded, 00:02 running")
	})
	scenario(t, "cancel_running: much that somebody asked for takes turns with the instants", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapCancelRunning, 1))
		w.sink.set(150 * time.Second)
		w.run()
		until("00:01:30")
		w.ask(job.ID)
		until("00:01:40")
		w.ask(job.ID)
		until("00:05:30")
		w.check(job.ID, "00:01 cancelled replaced, 00:01:30 cancelled replaced, 00:01:40 cancelled replaced, 00:02 cancelled replaced, 00:03 cancelled replaced, 00:04 cancelled replaced, 00:05 running")
		var started []string
		for _, d := range w.sink.deliveries() {
			key, _ := jadwal.ParseRunID(d.run)
			started = append(started, clock(d.at)+" "+clock(time.UnixMicro(key.DueAt)))
		}
		if got, want := strings.Join(started, ", "), "00:01 00:01, 00:02 00:01:30, 00:03 00:03, 00:04 00:01:40, 00:05 00:05"; got != want {
			t.Errorf("\n got  %s\n want %s", got, want)
		}
	})
	scenario(t, "cancel_running: a kill keeps what somebody asked for, and what waits behind it", func(t *testing.T, w *world) {
		job := w.with("slow", "* * * * *", overlap(jadwal.OverlapCancelRunning, 1))
		w.sink.set(30 * time.Second)
		w.run()
		until("00:00:50")
		w.sink.set(150 * time.Second)
		until("00:01:30")
		w.ask(job.ID)
		w.sink.set(30 * time.Second)
		until("00:02:05")
		w.kill()
		w.restart()
		until("00:02:40")
		w.check(job.ID, "00:01 cancelled replaced, 00:01:30 succeeded, 00:02 running")
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
	scenario(t, "allow: a run is stored before the next instant starts, and a kill right then loses neither", func(t *testing.T, w *world) {
		def := definitionOf("close", "every 1s", "every 1500ms")
		overlap(jadwal.OverlapAllow, 10)(&def)
		job, err := w.create(def, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		w.sink.set(700 * time.Millisecond)
		w.run()
		until("00:00:01")
		time.Sleep(550 * time.Millisecond)
		w.check(job.ID, "00:00:01 running")
		w.kill()
		w.restart()
		until("00:00:04")
		runs := w.runs(job.ID)
		if got := tell(runs[:3]); got != "00:00:01 succeeded, 00:00:01.500 succeeded, 00:00:02 succeeded" {
			t.Errorf("got %s", got)
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
