package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func unavailable() error { return jadwal.Errorf(jadwal.CodeUnavailable, "the disk is full") }

func TestFaults(t *testing.T) {
	scenario(t, "while nothing can be recorded, soon nothing starts, and nothing is lost", func(t *testing.T, w *world) {
		var jobs []jadwal.Job
		for i := range 10 {
			jobs = append(jobs, w.job(fmt.Sprintf("j%d", i), "every 1s"))
		}
		w.run()
		until("00:00:10")
		w.fault.on(func(f *faults) { f.before = func([]*jadwal.Outcome) error { return unavailable() } })
		before := w.eng.Counts().Started
		until("00:01:00")
		if n := w.eng.Counts().Started - before; n > 30 {
			t.Errorf("%d attempts started without a record", n)
		}
		w.fault.on(func(f *faults) { f.before = nil })
		until("00:01:10")
		for _, j := range jobs {
			runs := w.runs(j.ID)
			if last := runs[len(runs)-1]; last.State != jadwal.RunSucceeded || time.Since(time.UnixMicro(last.Key.DueAt)) > 2*time.Second {
				t.Fatalf("the last run of %s is %s", j.Definition.Name, tell(runs[len(runs)-1:]))
			}
		}
		if c := w.eng.Counts(); c.Rejected != 0 {
			t.Errorf("counts are %+v", c)
		}
	})
	scenario(t, "a commit whose answer is lost is not recorded twice", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		w.run()
		n := 0
		w.fault.on(func(f *faults) {
			f.after = func([]*jadwal.Outcome) error {
				if n++; n%2 == 1 {
					return unavailable()
				}
				return nil
			}
		})
		until("00:10:01")
		if runs := w.runs(job.ID); len(runs) != 10 || len(w.sink.deliveries()) != 10 {
			t.Errorf("%s after %d deliveries", tell(runs), len(w.sink.deliveries()))
		}
		if c := w.eng.Counts(); c.Failed == 0 || c.Rejected != 0 || c.Recorded < 10 {
			t.Errorf("counts are %+v", c)
		}
	})
	scenario(t, "while the answers to commits are lost, what has ended is not made again beside what has begun", func(t *testing.T, w *world) {
		job := w.job("j", "*/2 * * * * *")
		w.sink.set(1300 * time.Millisecond) // it is stored as running when its next instant is not due yet
		w.run()
		lost := 0
		w.fault.on(func(f *faults) {
			f.after = func([]*jadwal.Outcome) error {
				if s := since(); s%(4*time.Second) < 2100*time.Millisecond && s > 4*time.Second {
					lost++
					return unavailable()
				}
				return nil
			}
		})
		until("00:01:01")
		seen := map[string]bool{}
		for _, d := range w.sink.deliveries() {
			if seen[d.run] {
				t.Errorf("%s was delivered again at %s", d.run, clock(d.at))
			}
			seen[d.run] = true
		}
		if n := together(w.sink.deliveries()); n != 1 || lost < 20 {
			t.Errorf("%d runs at once, %d answers lost", n, lost)
		}
		for _, r := range w.runs(job.ID)[:28] {
			if r.State != jadwal.RunSucceeded {
				t.Errorf("%s", tell([]jadwal.Run{r}))
			}
		}
		if c := w.eng.Counts(); c.Rejected != 0 {
			t.Errorf("counts are %+v", c)
		}
	})
	scenario(t, "an outcome that the store refuses does not keep others from being recorded", func(t *testing.T, w *world) {
		bad, good := w.job("bad", "every 1s"), w.job("good", "every 1s")
		w.run()
		until("00:00:05")
		time.Sleep(100 * time.Millisecond)
		w.fault.on(func(f *faults) {
			f.before = func(batch []*jadwal.Outcome) error {
				for _, o := range batch {
					if o.JobID == bad.ID {
						return errors.New("constraint failed")
					}
				}
				return nil
			}
		})
		until("00:02:30")
		if n := len(w.runs(good.ID)); n < 149 {
			t.Errorf("the other job has %d runs", n)
		}
		if n := len(w.runs(bad.ID)); n != 5 {
			t.Errorf("the bad one has %d runs", n)
		}
		deliveries := 0
		for _, d := range w.sink.deliveries() {
			if d.job == "bad" {
				deliveries++
			}
		}
		if deliveries > 9 {
			t.Errorf("the bad one was delivered %d times", deliveries)
		}
		w.fault.on(func(f *faults) { f.before = nil })
		until("00:04:00")
		if runs := w.runs(bad.ID); runs[len(runs)-1].State != jadwal.RunSucceeded {
			t.Errorf("the bad one ends with %s", tell(runs[len(runs)-1:]))
		}
	})
	scenario(t, "what somebody else has recorded is dropped, and the engine goes on from there", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		w.run()
		until("00:02:30")
		at := midnight.Add(3 * time.Minute)
		stretch := jadwal.Stretch{From: at, Through: at, State: jadwal.RunMissed, Reason: jadwal.ReasonOverload}
		time.Sleep(time.Until(at))
		verdicts, err := w.st.Commit(context.Background(), at, []*jadwal.Outcome{{
			JobID: job.ID, Version: 1, At: at.UnixMicro(), Next: at.Add(time.Minute).UnixMicro(),
			Records: []jadwal.Run{stretch.Record(job.ID, 1, at)},
		}})
		if err != nil || verdicts[0] == jadwal.Rejected && len(w.runs(job.ID)) < 3 {
			t.Fatal(verdicts, err)
		}
		until("00:05:30")
		runs := w.runs(job.ID)
		if len(runs) != 5 || runs[4].State != jadwal.RunSucceeded {
			t.Errorf("%s", tell(runs))
		}
	})
	scenario(t, "reads that fail are made again", func(t *testing.T, w *world) {
		var jobs []jadwal.Job
		for i := range 5 {
			jobs = append(jobs, w.job(fmt.Sprintf("j%d", i), "* * * * *"))
		}
		w.run()
		w.fault.on(func(f *faults) { f.dead = true })
		time.Sleep(5 * time.Second)
		w.fault.on(func(f *faults) { f.dead = false })
		until("00:00:59")
		w.fault.on(func(f *faults) { f.dead = true })
		until("00:01:02")
		w.fault.on(func(f *faults) { f.dead = false })
		until("00:02:05")
		for _, j := range jobs {
			w.check(j.ID, "00:01 succeeded, 00:02 succeeded")
		}
	})
	scenario(t, "an engine that cannot read at its start says so", func(t *testing.T, w *world) {
		w.st.Close()
		w.run()
		err := <-w.ended
		w.eng = nil
		if err == nil {
			t.Error("it ran")
		}
		w.open()
	})
	scenario(t, "an engine that cannot record at its end says so, and the next one repeats", func(t *testing.T, w *world) {
		job := w.job("minutely", "* * * * *")
		w.run()
		until("00:00:59")
		w.fault.on(func(f *faults) { f.before = func([]*jadwal.Outcome) error { return unavailable() } })
		until("00:01:00")
		w.stop()
		if err := <-w.ended; err == nil {
			t.Error("it ended well")
		}
		w.eng = nil
		w.restart()
		until("00:02:01")
		w.check(job.ID, "00:01 succeeded, 00:02 succeeded")
		if n := len(w.sink.deliveries()); n != 3 {
			t.Errorf("%d deliveries, want 3", n)
		}
	})
}
