package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// Whatever policies jobs have, whatever is asked of them, and whenever the
// process is killed: the invariants hold, what is final stays as it is, and no
// attempt starts under a version that was answered to be over.
func TestAnyRule(t *testing.T) {
	for seed := range uint64(12) {
		scenario(t, fmt.Sprintf("seed %d", seed), func(t *testing.T, w *world) { anyRule(t, w, seed) })
	}
}

func anyRule(t *testing.T, w *world, seed uint64) {
	ctx := context.Background()
	random := rand.New(rand.NewPCG(seed, 11))
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }
	chance := rand.New(rand.NewPCG(seed, 12)) // of the sink's goroutines
	roll := func(n int) int {
		w.sink.mu.Lock()
		defer w.sink.mu.Unlock()
		return chance.IntN(n)
	}
	w.sink.takes = func(delivery) time.Duration {
		return []time.Duration{0, time.Duration(roll(900)) * time.Millisecond, time.Duration(roll(5000)) * time.Millisecond, time.Duration(roll(200)) * time.Second}[roll(4)]
	}
	w.sink.status = func(delivery) int { return []int{200, 200, 503, 404}[roll(4)] }
	w.slots = 2 + random.IntN(6)
	w.drain = time.Second + upTo(20*time.Second)
	policies := func(d *jadwal.Definition) {
		specs := []string{"* * * * *", "*/2 * * * *", "every 1s", "every 1500ms", "every 7s", "every 90s"}
		d.Schedules = definitionOf("", specs[random.IntN(len(specs))]).Schedules
		d.Overlap = []jadwal.Overlap{jadwal.OverlapSkip, jadwal.OverlapQueueOne, jadwal.OverlapQueueAll, jadwal.OverlapCancelRunning, jadwal.OverlapAllow}[random.IntN(5)]
		d.MaxConcurrent = 1
		if d.Overlap == jadwal.OverlapAllow {
			d.MaxConcurrent = 2 + random.IntN(4)
		}
		d.Catchup = []jadwal.Catchup{jadwal.CatchupNone, jadwal.CatchupLatest, jadwal.CatchupAll}[random.IntN(3)]
		d.Retry = jadwal.Retry{
			MaxAttempts: 1 + random.IntN(4), MinBackoff: jadwal.Duration(time.Second + upTo(20*time.Second)), MaxBackoff: jadwal.Duration(time.Minute),
			Multiplier: 2, MaxDuration: jadwal.Duration(time.Hour),
		}
		d.Timeout = jadwal.Duration(time.Second + upTo(time.Minute))
		d.Jitter, d.MaxRuns, d.PauseAfterFailures, d.CatchupWindow = 0, 0, 0, nil
		switch random.IntN(6) {
		case 0:
			d.Jitter = jadwal.Duration(upTo(time.Minute))
		case 1:
			d.MaxRuns = 1 + random.IntN(60)
		case 2:
			d.PauseAfterFailures = 1 + random.IntN(4)
		case 3:
			window := jadwal.Duration(time.Second + upTo(3*time.Minute))
			d.CatchupWindow = &window
		}
	}
	var ids []int64
	version, ended, gone := map[int64]int{}, map[string]time.Time{}, map[int64]bool{}
	create := func() {
		job := w.with(fmt.Sprintf("j%d.v1", len(ids)+1), "* * * * *", policies)
		ids = append(ids, job.ID)
		version[job.ID] = 1
	}
	for range 5 {
		create()
	}
	final := map[string]jadwal.Run{}
	look := func() {
		for _, id := range ids {
			for _, r := range w.runs(id) {
				if before, ok := final[r.Key.ID()]; ok && !reflect.DeepEqual(before, r) {
					t.Errorf("a final record has changed:\n was %+v\n is  %+v", before, r)
				}
				if r.State.Final() {
					final[r.Key.ID()] = r
				}
			}
		}
	}
	// retrying lets what another change of the job came before be asked again.
	retrying := func(f func(job jadwal.Job) (int64, error), id int64) {
		for {
			job, err := w.st.Job(ctx, id)
			if err != nil {
				return // its completion has deleted it
			}
			change, err := f(job)
			if jadwal.CodeOf(err) == jadwal.CodeVersionMismatch {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			w.applied(change)
			return
		}
	}
	w.run()
	for step := range 150 {
		time.Sleep(upTo(15 * time.Second))
		id := ids[random.IntN(len(ids))]
		switch op := random.IntN(24); {
		case op == 0 && len(ids) < 12:
			create()
		case op == 1:
			w.quit()
			time.Sleep(upTo(5 * time.Minute))
			w.restart()
		case op <= 4:
			w.kill()
			if random.IntN(3) == 0 {
				time.Sleep(upTo(5 * time.Minute))
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
		case op == 7:
			look()
		case gone[id]:
		case op <= 10:
			if _, err := w.st.RunNow(ctx, w.actor(), id, time.Now()); err != nil && jadwal.CodeOf(err) != jadwal.CodeConflict {
				t.Fatal(err)
			}
		case op <= 13:
			runs := w.runs(id)
			if len(runs) == 0 {
				break
			}
			run := runs[random.IntN(len(runs))]
			if n := random.IntN(3); n < len(runs) {
				run = runs[len(runs)-1-n]
			}
			if run.State.Final() {
				if _, err := w.st.RetryRun(ctx, w.actor(), run.Key, time.Now()); err != nil && jadwal.CodeOf(err) != jadwal.CodeConflict {
					t.Fatal(err)
				}
				break
			}
			if change, err := w.st.CancelRun(ctx, w.actor(), run.Key, time.Now()); err == nil {
				w.applied(change)
			} else if jadwal.CodeOf(err) != jadwal.CodeConflict {
				t.Fatal(err)
			}
		case op == 14:
			if next := w.stored(id).NextAt; !next.IsZero() && !next.After(time.Now()) {
				if change, err := w.st.CancelRun(ctx, w.actor(), jadwal.RunKey{DueAt: next.UnixMicro(), JobID: id}, time.Now()); err == nil {
					w.applied(change)
				}
			}
		case op <= 16:
			until := time.Time{}
			if random.IntN(2) == 0 {
				until = time.Now().Add(time.Second + upTo(2*time.Minute)).UTC().Truncate(time.Microsecond)
			}
			retrying(func(job jadwal.Job) (int64, error) {
				from := job.Version
				job.State, job.PauseUntil = jadwal.JobPaused, until
				_, change, err := w.st.UpdateJob(ctx, w.actor(), job, from, time.Now())
				return change, err
			}, id)
		case op <= 19:
			catchup := []jadwal.Catchup{jadwal.CatchupNone, jadwal.CatchupLatest, jadwal.CatchupAll}[random.IntN(3)]
			retrying(func(job jadwal.Job) (int64, error) {
				from := job.Version
				job.State = jadwal.JobEnabled
				_, change, err := w.st.ResumeJob(ctx, w.actor(), job, from, catchup, time.Now())
				return change, err
			}, id)
		case op == 20 && len(ids) > 4 && step > 50:
			gone[id] = true
			w.remove(id)
			ended[fmt.Sprintf("j%d.v%d", id, version[id])] = time.Now()
		default:
			old := fmt.Sprintf("j%d.v%d", id, version[id])
			version[id]++
			retrying(func(job jadwal.Job) (int64, error) {
				from := job.Version
				policies(&job.Definition)
				job.Definition.Name = fmt.Sprintf("j%d.v%d", id, version[id])
				if job.State == jadwal.JobCompleted {
					job.State = jadwal.JobEnabled
				}
				_, change, err := w.st.UpdateJob(ctx, w.actor(), job, from, time.Now())
				return change, err
			}, id)
			ended[old] = time.Now()
		}
	}
	w.fault.on(func(f *faults) { f.before, f.after = nil, nil })
	time.Sleep(5 * time.Minute)
	synctest.Wait()
	look()
	for _, d := range w.sink.deliveries() {
		if end, ok := ended[d.job]; ok && d.at.After(end) {
			t.Errorf("%s was delivered %s after its end was answered", d.job, d.at.Sub(end))
		}
	}
	w.sweep(store.Retention{History: 5 * time.Minute, Failures: 10 * time.Minute})
}
