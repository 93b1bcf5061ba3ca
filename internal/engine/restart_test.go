package engine

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
)

func TestRestart(t *testing.T) {
	scenario(t, "restarts lose and double nothing", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		w.sink.set(700 * time.Millisecond)
		w.run()
		for i := range 40 {
			// At every phase of the minute, the run's own time included.
			time.Sleep(time.Until(midnight.Add(time.Duration(i+1)*time.Minute + time.Duration(i*i)*90*time.Millisecond%time.Minute)))
			w.quit()
			w.restart()
		}
		time.Sleep(time.Until(midnight.Add(41*time.Minute + 2*time.Second)))
		synctest.Wait()
		var want []string
		for i := range 41 {
			want = append(want, fmt.Sprintf("00:%02d succeeded", i+1))
		}
		w.check(job.ID, strings.Join(want, ", "))
		if n := len(w.sink.deliveries()); n != 41 {
			t.Errorf("%d deliveries, want 41", n)
		}
	})
	scenario(t, "kills lose nothing and repeat only what was not recorded, under its own run id", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		w.sink.set(30 * time.Second)
		w.run()
		for i := range 40 {
			time.Sleep(time.Until(midnight.Add(time.Duration(i+1)*time.Minute + time.Duration(i*i)*90*time.Millisecond%time.Minute)))
			synctest.Wait()
			w.kill()
			w.restart()
		}
		time.Sleep(time.Until(midnight.Add(43*time.Minute + 2*time.Second)))
		synctest.Wait()
		for _, r := range w.runs(job.ID) {
			if r.State == jadwal.RunMissed {
				t.Errorf("%s was missed without an outage", tell([]jadwal.Run{r}))
			}
		}
	})
	scenario(t, "after three hours' outage the newest instant runs and the others are one record", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		w.run()
		until("00:02:30")
		w.quit()
		until("03:02:30")
		w.run()
		until("03:04:00")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded, 00:03-03:01 missed server_down, 03:02 succeeded, 03:03 succeeded, 03:04 succeeded")
		if late := w.runs(job.ID)[3].Lateness(); late != 30*time.Second {
			t.Errorf("the run after the outage was late by %s", late)
		}
	})
	scenario(t, "what falls due meanwhile does not wait until the backlog of an outage is read", func(t *testing.T, w *world) {
		w.job("minutely", "* * * * *")
		w.job("secondly", "every 1s")
		w.job("later", "5 20 0 * * *")
		w.run()
		until("00:02:30")
		w.quit()
		until("00:20:00")
		w.run()
		w.fault.on(func(f *faults) {
			f.load = func(from int64) {
				if from == math.MinInt64 {
					time.Sleep(10 * time.Second)
				}
			}
		})
		until("00:20:30")
		first := map[string]string{}
		twice := map[string]int{}
		for _, d := range w.sink.deliveries() {
			if at := d.at.Format("15:04:05"); at >= "00:20:00" && first[d.job] == "" {
				first[d.job] = at
			}
			if twice[d.run]++; twice[d.run] > 1 {
				t.Errorf("%s was delivered twice", d.run)
			}
		}
		if first["later"] != "00:20:05" || first["minutely"] != "00:20:10" || first["secondly"] != "00:20:10" {
			t.Errorf("first deliveries after the outage: %v", first)
		}
	})
	scenario(t, "a run that a kill interrupts is made again at once, as the same attempt of the same run", func(t *testing.T, w *world) {
		job := w.job("long", "0 1 * * *")
		w.sink.set(10 * time.Minute)
		w.run()
		until("01:02:00")
		w.kill()
		until("01:03:00")
		w.restart()
		until("01:13:30")
		w.check(job.ID, "01:00 succeeded")
		got := w.sink.deliveries()
		if len(got) != 2 || got[0].run != got[1].run || got[0].attempt != 1 || got[1].attempt != 1 || got[0].redelivery || !got[1].redelivery || got[1].epoch <= got[0].epoch {
			t.Errorf("deliveries: %+v", got)
		}
		if r := w.runs(job.ID)[0]; !r.StartedAt.Equal(midnight.Add(time.Hour)) || !r.FinishedAt.Equal(midnight.Add(73*time.Minute)) || r.Attempts != 1 {
			t.Errorf("recorded as %+v", r)
		}
	})
	scenario(t, "a run that a kill interrupts in its first second is made again, since its cursor still stands there", func(t *testing.T, w *world) {
		job := w.job("long", "0 1 * * *")
		w.sink.set(10 * time.Minute)
		w.run()
		until("01:00:00")
		w.kill()
		w.sink.set(0)
		w.restart()
		until("01:00:01")
		w.check(job.ID, "01:00 succeeded")
		got := w.sink.deliveries()
		if len(got) != 2 || got[0].run != got[1].run {
			t.Errorf("deliveries: %+v", got)
		}
	})
	scenario(t, "a run that is cancelled while nobody is there starts no more, nor anything in its place", func(t *testing.T, w *world) {
		planned, asked, paused := w.job("planned", "0 1 * * *"), w.job("asked", "0 5 * * *"), w.job("paused", "0 * * * *")
		w.sink.set(10 * time.Minute)
		w.run()
		until("00:59:30")
		manual := w.ask(asked.ID)
		until("01:00:30")
		w.apply(paused.ID, pause)
		w.kill()
		for _, key := range []jadwal.RunKey{manual.Key, w.runs(planned.ID)[0].Key, w.runs(paused.ID)[0].Key} {
			if _, err := w.st.CancelRun(context.Background(), w.actor(), key, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		until("02:00:30")
		w.restart()
		until("02:01:00")
		w.check(planned.ID, "01:00 cancelled requested")
		w.check(asked.ID, "00:59:30 cancelled requested")
		w.check(paused.ID, "01:00 cancelled requested")
		if got := w.sink.deliveries(); len(got) != 3 {
			t.Errorf("deliveries: %+v", got)
		}
	})
	scenario(t, "a run asked for after a restart starts at once where several may run, beside one that waits for another attempt", func(t *testing.T, w *world) {
		job := w.with("flaky", "0 1 * * *", func(d *jadwal.Definition) {
			d.Overlap, d.MaxConcurrent = jadwal.OverlapAllow, 3
			d.Retry = jadwal.Retry{MaxAttempts: 2, MinBackoff: jadwal.Duration(10 * time.Minute), MaxBackoff: jadwal.Duration(10 * time.Minute), Multiplier: 1, MaxDuration: jadwal.Duration(time.Hour)}
		})
		w.sink.status = func(d delivery) int {
			if time.Now().Before(midnight.Add(62 * time.Minute)) {
				return 500
			}
			return 200
		}
		w.run()
		until("01:01:00")
		w.kill()
		w.restart()
		until("01:03:00")
		w.ask(job.ID)
		until("01:03:01")
		w.check(job.ID, "01:00 queued, 01:03 succeeded")
		until("01:10:01")
		w.check(job.ID, "01:00 succeeded, 01:03 succeeded")
	})
	scenario(t, "while an interrupted run is made again, what falls due is skipped", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		w.sink.set(5 * time.Minute)
		w.run()
		until("00:02:30")
		w.kill()
		until("00:04:30")
		w.restart()
		until("00:10:00")
		w.check(job.ID, "00:01 succeeded, 00:02 skipped overlap, 00:03-00:04 skipped overlap, 00:05 skipped overlap, 00:06 skipped overlap, 00:07 skipped overlap, 00:08 skipped overlap, 00:09 skipped overlap")
	})
	scenario(t, "a stop waits for what is running, and leaves what takes too long to the next process", func(t *testing.T, w *world) {
		short, long := w.job("short", "0 1 * * *"), w.job("long", "0 1 * * *")
		w.sink.takes = func(d delivery) time.Duration {
			if d.job == "short" {
				return 20 * time.Second
			}
			return 10 * time.Minute
		}
		w.run()
		until("01:00:00")
		begun := time.Now()
		w.quit()
		if took := time.Since(begun); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("the stop took %s", took)
		}
		w.check(short.ID, "01:00 succeeded")
		w.check(long.ID, "01:00 running")
		w.restart()
		until("01:12:00")
		w.check(long.ID, "01:00 succeeded")
	})
	scenario(t, "a stop stores also what has only just begun: an outage makes a missed instant of none of it", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		w.drain = 200 * time.Millisecond
		w.sink.set(10 * time.Second)
		w.run()
		until("00:01:00")
		w.quit()
		w.check(job.ID, "00:01 running")
		until("00:10:30")
		w.restart()
		until("00:10:50")
		if got := tell(w.runs(job.ID)[:1]); got != "00:01 succeeded" {
			t.Errorf("the run that the stop interrupted: %s", got)
		}
		if got := w.sink.deliveries(); len(got) < 2 || got[0].run != got[1].run || !got[1].redelivery {
			t.Errorf("deliveries: %+v", got)
		}
	})
	scenario(t, "nothing new starts during a stop", func(t *testing.T, w *world) {
		long, quick := w.job("long", "0 1 * * *"), w.job("quick", "every 1s")
		w.sink.takes = func(d delivery) time.Duration {
			if d.job == "long" {
				return 20 * time.Second
			}
			return 0
		}
		w.run()
		until("01:00:00")
		before := len(w.runs(quick.ID))
		w.quit()
		if n := len(w.runs(quick.ID)); n != before {
			t.Errorf("%d runs were recorded during the stop", n-before)
		}
		w.check(long.ID, "01:00 succeeded")
	})
}

// A kill before any commit, and one right after it with its answer lost: for
// each of the first commits in turn.
func TestKillAtEveryCommit(t *testing.T) {
	for _, after := range []bool{false, true} {
		for k := range 12 {
			scenario(t, fmt.Sprintf("commit %d, after it is stored: %v", k+1, after), func(t *testing.T, w *world) {
				var jobs []jadwal.Job
				jobs = append(jobs, w.job("minutely", "* * * * *"), w.job("seconds", "every 20s"), w.job("once", "at 2000-01-01T00:01:00Z"))
				w.sink.takes = func(d delivery) time.Duration {
					if d.job == "minutely" {
						return 90 * time.Second
					}
					return 1500 * time.Millisecond
				}
				w.run()
				n, dead := 0, make(chan struct{})
				hook := func([]*jadwal.Outcome) error {
					if n++; n == k+1 {
						close(dead)
						w.fault.on(func(f *faults) { f.dead = true })
						return errDead
					}
					return nil
				}
				w.fault.on(func(f *faults) {
					if after {
						f.after = hook
					} else {
						f.before = hook
					}
				})
				changed := false
				for {
					select {
					case <-dead:
					case <-time.After(time.Second):
						if !changed && time.Since(midnight) > 70*time.Second {
							changed = true
							w.update(jobs[1].ID, func(j *jadwal.Job) { j.Definition = definitionOf("seconds", "every 30s") })
						}
						if time.Since(midnight) < 6*time.Minute {
							continue
						}
					}
					break
				}
				w.kill()
				w.restart()
				time.Sleep(3 * time.Minute)
				synctest.Wait()
				for _, j := range jobs {
					for _, r := range w.runs(j.ID) {
						if r.State == jadwal.RunMissed {
							t.Errorf("%s: %s", j.Definition.Name, tell([]jadwal.Run{r}))
						}
					}
				}
			})
		}
	}
}

func TestWindow(t *testing.T) {
	now := midnight
	e := New(Options{Log: slog.New(slog.DiscardHandler)})
	e.turning, e.reads.loadedTo, e.reads.cursors = true, now.UnixMicro(), 1
	e.read(t.Context(), now)
	if e.reads.loadedTo != now.UnixMicro() || len(e.reads.load) != 0 {
		t.Error("the window grew while another read was on its way: what it brings may be in memory by then")
	}
}
