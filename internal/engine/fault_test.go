package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
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
		if c := w.eng.Counts(); c.Rejected == 0 {
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

// Whatever is done to jobs and to the process, in whatever order: no instant
// is left out or recorded twice, nothing of a version starts after the change
// that ended it was answered, and no job runs twice at once.
func TestAnything(t *testing.T) {
	for seed := range uint64(12) {
		scenario(t, fmt.Sprintf("seed %d", seed), func(t *testing.T, w *world) { anything(t, w, seed) })
	}
}

func anything(t *testing.T, w *world, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	schedules := func() string {
		return pick("* * * * *", "*/2 * * * *", "every 1s", "every 7s", "every 90s", "at "+time.Now().Add(time.Duration(random.IntN(100))*time.Second+time.Second).UTC().Format(time.RFC3339))
	}
	chance := rand.New(rand.NewPCG(seed, 2)) // of the sink's goroutines
	w.sink.takes = func(delivery) time.Duration {
		w.sink.mu.Lock()
		defer w.sink.mu.Unlock()
		switch chance.IntN(4) {
		case 0:
			return 0
		case 1:
			return time.Duration(chance.IntN(900)) * time.Millisecond
		case 2:
			return time.Duration(chance.IntN(5000)) * time.Millisecond
		}
		return time.Duration(chance.IntN(200)) * time.Second
	}
	w.slots = 1 + random.IntN(6)
	w.drain = time.Duration(1+random.IntN(20)) * time.Second
	type known struct {
		id      int64
		version int
		ended   map[string]time.Time // versions, by when their end was answered
		gone    bool
	}
	var jobs []*known
	create := func() {
		k := &known{version: 1, ended: map[string]time.Time{}}
		k.id = w.job(fmt.Sprintf("j%d.v1", len(jobs)), schedules()).ID
		jobs = append(jobs, k)
	}
	for range 4 {
		create()
	}
	w.run()
	kills := 0
	for range 150 {
		time.Sleep(time.Duration(random.IntN(20000)) * time.Millisecond)
		k := jobs[random.IntN(len(jobs))]
		name := func() string { return fmt.Sprintf("j%d.v%d", k.id-jobs[0].id, k.version) }
		switch op := random.IntN(20); {
		case op == 0 && len(jobs) < 12:
			create()
		case op == 1:
			w.quit()
			if random.IntN(2) == 0 {
				time.Sleep(time.Duration(random.IntN(200)) * time.Second)
			}
			w.restart()
		case op <= 4:
			kills++
			w.kill()
			if random.IntN(3) == 0 {
				time.Sleep(time.Duration(random.IntN(200)) * time.Second)
			}
			w.restart()
		case op == 5:
			left := random.IntN(4)
			w.fault.on(func(f *faults) {
				f.before = func([]*jadwal.Outcome) error {
					if left--; left >= 0 {
						return unavailable()
					}
					return nil
				}
			})
		case op == 6:
			left := 1
			w.fault.on(func(f *faults) {
				f.after = func([]*jadwal.Outcome) error {
					if left--; left >= 0 {
						return unavailable()
					}
					return nil
				}
			})
		case k.gone:
		case op <= 8:
			w.apply(k.id, pause)
		case op <= 11:
			w.apply(k.id, resume)
		case op == 12 && len(jobs) > 3:
			k.gone = true
			w.remove(k.id)
			k.ended[name()] = time.Now()
		default:
			old := name()
			k.version++
			w.apply(k.id, func(j *jadwal.Job) {
				paused := j.State == jadwal.JobPaused
				j.Definition, j.State = definitionOf(name(), schedules()), jadwal.JobEnabled
				if paused {
					j.State = jadwal.JobPaused
				}
			})
			k.ended[old] = time.Now()
		}
	}
	w.fault.on(func(f *faults) { f.before, f.after = nil, nil })
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	for _, k := range jobs {
		for _, d := range w.sink.deliveries() {
			if end, ok := k.ended[d.job]; ok && d.at.After(end) {
				t.Errorf("%s was delivered %s after its end was answered", d.job, d.at.Sub(end))
			}
		}
	}
	for job, n := range w.sink.most {
		if n > 1 {
			t.Errorf("%s ran %d times at once", job, n)
		}
	}
	t.Logf("%d deliveries, %d kills, counts of the last process %+v", len(w.sink.deliveries()), kills, w.eng.Counts())
}
