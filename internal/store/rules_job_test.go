package store_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// apply settles the oldest change of a job as the engine does when nothing is
// due, and moves the cursor to next.
func (w *world) apply(next time.Time) {
	w.t.Helper()
	news, err := w.Poll(w.t.Context(), jadwal.AllShards(), start, 0, 0)
	want(w.t, err, "")
	if len(news.Changes) == 0 {
		w.t.Fatal("no change is waiting")
	}
	c := news.Changes[0]
	o := &jadwal.Outcome{
		JobID: c.JobID, Version: c.Cursor.Version, At: c.Cursor.NextAt,
		Applied: &jadwal.Applied{ChangeID: c.ID, Version: c.Version, OwnerID: c.New.OwnerID, EffectiveAt: start},
	}
	if !next.IsZero() {
		o.Next = next.UnixMicro()
	}
	w.commit(o)
}

func (w *world) commit(batch ...*jadwal.Outcome) {
	w.t.Helper()
	verdicts, err := w.Commit(w.t.Context(), start, batch)
	want(w.t, err, "")
	if slices.Contains(verdicts, jadwal.Rejected) {
		w.t.Fatalf("rejected: %v", verdicts)
	}
}

func names(jobs []jadwal.Job) []string {
	var found []string
	for _, j := range jobs {
		found = append(found, j.Definition.Name)
	}
	return found
}

func TestJobRules(t *testing.T) {
	ctx := t.Context()
	prove(t, []rule{
		{"a job comes back as it was stored, by id and by its owner's name", func(t *testing.T, w *world) {
			hinted := make(chan jadwal.Hint, 10)
			w.Subscribe(func(h jadwal.Hint) { hinted <- h })
			given := newJob(w.ani.ID, "report", start.Add(time.Hour))
			j, err := w.CreateJob(ctx, by(w.ani), given, start)
			want(t, err, "")
			// Where other nodes create jobs too, only a poll tells all.
			if h := <-hinted; !h.Changed && (h.Created == nil || *h.Created != (jadwal.Due{JobID: j.ID, OwnerID: w.ani.ID, Version: 1, At: start.Add(time.Hour).UnixMicro()})) {
				t.Errorf("hint: %+v", h)
			}
			wanted := given
			wanted.ID, wanted.Version, wanted.CreatedAt, wanted.UpdatedAt = j.ID, 1, start, start
			if !reflect.DeepEqual(j, wanted) {
				t.Errorf("answered %+v, want %+v", j, wanted)
			}
			for name, get := range map[string]func() (jadwal.Job, error){
				"by id":   func() (jadwal.Job, error) { return w.Job(ctx, j.ID) },
				"by name": func() (jadwal.Job, error) { return w.JobByName(ctx, w.ani.ID, "report") },
				"any":     func() (jadwal.Job, error) { return w.AnyJob(ctx, j.ID) },
			} {
				if got, err := get(); err != nil || !reflect.DeepEqual(got, wanted) {
					t.Errorf("%s: %+v, %v", name, got, err)
				}
			}
		}},
		{"a job's first instant comes from its schedules unless it is given, and without schedules there is none", func(t *testing.T, w *world) {
			j, err := w.CreateJob(ctx, by(w.ani), newJob(w.ani.ID, "planned", time.Time{}), start)
			want(t, err, "")
			first := time.Date(2026, 3, 1, 19, 30, 0, 0, time.UTC) // 02:30 in Jakarta
			if got, err := w.Job(ctx, j.ID); err != nil || !got.NextAt.Equal(first) || !j.NextAt.Equal(first) {
				t.Errorf("%+v, %+v, %v", j, got, err)
			}
			byHand := newJob(w.ani.ID, "byhand", time.Time{})
			byHand.Definition.Schedules = nil
			j, err = w.CreateJob(ctx, by(w.ani), byHand, start)
			want(t, err, "")
			if got, err := w.Job(ctx, j.ID); err != nil || !got.NextAt.IsZero() || got.State != jadwal.JobEnabled {
				t.Errorf("%+v, %v", got, err)
			}
		}},
		{"a name is unique among its owner's jobs, and free again when the job is deleted", func(t *testing.T, w *world) {
			j := w.job(w.ani, "report")
			w.job(w.budi, "report")
			_, err := w.CreateJob(ctx, by(w.ani), newJob(w.ani.ID, "report", start), start)
			want(t, err, jadwal.CodeNameTaken)
			_, err = w.DeleteJob(ctx, by(w.ani), j.ID, start)
			want(t, err, "")
			again := w.job(w.ani, "report")
			if got, err := w.JobByName(ctx, w.ani.ID, "report"); err != nil || got.ID != again.ID {
				t.Errorf("%+v, %v", got, err)
			}
		}},
		{"of fifty who want the same name at once, one gets it", func(t *testing.T, w *world) {
			var wg sync.WaitGroup
			errs := make([]error, 50)
			for i := range errs {
				wg.Go(func() { _, errs[i] = w.CreateJob(ctx, by(w.ani), newJob(w.ani.ID, "report", start), start) })
			}
			wg.Wait()
			made := 0
			for _, err := range errs {
				if err == nil {
					made++
				} else {
					want(t, err, jadwal.CodeNameTaken)
				}
			}
			if made != 1 {
				t.Errorf("%d were made", made)
			}
		}},
		{"a user who is gone makes and changes no jobs", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start), "")
			_, err := w.CreateJob(ctx, by(w.ani), newJob(w.ani.ID, "b", start), start)
			want(t, err, jadwal.CodeInvalidToken)
			_, _, err = w.UpdateJob(ctx, by(w.ani), j, 2, start)
			want(t, err, jadwal.CodeInvalidToken)
			_, err = w.DeleteJob(ctx, by(w.ani), j.ID, start)
			want(t, err, jadwal.CodeInvalidToken)
		}},
		{"somebody else's job is not there, to anybody but a superuser", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			_, _, err := w.UpdateJob(ctx, by(w.budi), j, 1, start)
			want(t, err, jadwal.CodeNotFound)
			_, err = w.DeleteJob(ctx, by(w.budi), j.ID, start)
			want(t, err, jadwal.CodeNotFound)
			j.OwnerID = w.budi.ID // the owner is not to be changed so
			j.Definition.Description = "new"
			j, _, err = w.UpdateJob(ctx, by(w.admin), j, 1, start)
			if err != nil || j.OwnerID != w.ani.ID {
				t.Errorf("%+v, %v", j, err)
			}
		}},
		{"an edit makes the next version and a change, and leaves the cursor to the engine", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			j.Definition.Description = "new"
			hinted := make(chan jadwal.Hint, 10)
			w.Subscribe(func(h jadwal.Hint) { hinted <- h })
			got, change, err := w.UpdateJob(ctx, by(w.ani), j, 1, start.Add(time.Minute))
			want(t, err, "")
			if h := <-hinted; !h.Changed {
				t.Error("no hint")
			}
			wanted := j
			wanted.Version, wanted.UpdatedAt = 2, start.Add(time.Minute)
			if !reflect.DeepEqual(got, wanted) {
				t.Errorf("answered %+v, want %+v", got, wanted)
			}
			if stored, err := w.Job(ctx, j.ID); err != nil || !reflect.DeepEqual(stored, wanted) {
				t.Errorf("stored %+v, %v", stored, err)
			}
			news, err := w.Poll(ctx, jadwal.AllShards(), start, 0, 0)
			want(t, err, "")
			if len(news.Changes) != 1 || news.Changes[0].ID != change || news.Changes[0].Kind != jadwal.ChangeEdit || news.Changes[0].Version != 2 {
				t.Errorf("changes: %+v", news.Changes)
			}
		}},
		{"an edit from an older version is refused", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			j.Definition.Description = "new"
			_, _, err := w.UpdateJob(ctx, by(w.ani), j, 1, start)
			want(t, err, "")
			_, _, err = w.UpdateJob(ctx, by(w.ani), j, 1, start)
			want(t, err, jadwal.CodeVersionMismatch)
			_, _, err = w.UpdateJob(ctx, by(w.ani), j, 3, start)
			want(t, err, jadwal.CodeVersionMismatch)
			j.ID = 99
			_, _, err = w.UpdateJob(ctx, by(w.ani), j, 1, start)
			want(t, err, jadwal.CodeNotFound)
		}},
		{"of fifty edits of one version at once, one is stored", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			var wg sync.WaitGroup
			errs := make([]error, 50)
			for i := range errs {
				wg.Go(func() {
					mine := j
					mine.Definition.Description = fmt.Sprint(i)
					_, _, errs[i] = w.UpdateJob(ctx, by(w.ani), mine, 1, start)
				})
			}
			wg.Wait()
			stored := 0
			for _, err := range errs {
				if err == nil {
					stored++
				} else {
					want(t, err, jadwal.CodeVersionMismatch)
				}
			}
			if got, _ := w.Job(ctx, j.ID); stored != 1 || got.Version != 2 {
				t.Errorf("%d were stored, version %d", stored, got.Version)
			}
		}},
		{"a job cannot take the name of another, and nothing of the edit stays", func(t *testing.T, w *world) {
			w.job(w.ani, "a")
			j := w.job(w.ani, "b")
			edited := j
			edited.Definition.Name, edited.Definition.Description = "a", "new"
			_, _, err := w.UpdateJob(ctx, by(w.ani), edited, 1, start)
			want(t, err, jadwal.CodeNameTaken)
			if got, err := w.Job(ctx, j.ID); err != nil || !reflect.DeepEqual(got, j) {
				t.Errorf("%+v, %v", got, err)
			}
			if news, _ := w.Poll(ctx, jadwal.AllShards(), start, 0, 0); len(news.Changes) != 0 {
				t.Errorf("changes: %+v", news.Changes)
			}
		}},
		{"updated_at is later after every edit, and every version is told what it is", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			for i, c := range []struct {
				state jadwal.JobState
				kind  jadwal.ChangeKind
			}{
				{jadwal.JobPaused, jadwal.ChangePause},
				{jadwal.JobPaused, jadwal.ChangeEdit},
				{jadwal.JobEnabled, jadwal.ChangeResume},
				{jadwal.JobEnabled, jadwal.ChangeEdit},
				{jadwal.JobPaused, jadwal.ChangePause},
			} {
				before := j
				j.State = c.state
				if c.kind == jadwal.ChangeEdit {
					j.Definition.Description = fmt.Sprint(i)
				}
				var err error
				j, _, err = w.UpdateJob(ctx, by(w.ani), j, j.Version, start)
				want(t, err, "")
				if !j.UpdatedAt.After(before.UpdatedAt) || j.Version != before.Version+1 {
					t.Errorf("%d: %+v", i, j)
				}
				news, err := w.Poll(ctx, jadwal.AllShards(), start, 0, 0)
				want(t, err, "")
				if len(news.Changes) != 1 || news.Changes[0].Kind != c.kind || news.Changes[0].New.State != c.state {
					t.Fatalf("%d: %+v", i, news.Changes)
				}
				w.apply(start.Add(time.Hour))
			}
		}},
		{"a deleted job is not there, by id, name or in lists, nor deleted twice", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			change, err := w.DeleteJob(ctx, by(w.ani), j.ID, start)
			if err != nil || change == 0 {
				t.Fatalf("%d, %v", change, err)
			}
			_, err = w.Job(ctx, j.ID)
			want(t, err, jadwal.CodeNotFound)
			_, err = w.JobByName(ctx, w.ani.ID, "a")
			want(t, err, jadwal.CodeNotFound)
			_, err = w.DeleteJob(ctx, by(w.ani), j.ID, start)
			want(t, err, jadwal.CodeNotFound)
			_, _, err = w.UpdateJob(ctx, by(w.ani), j, 2, start)
			want(t, err, jadwal.CodeNotFound)
			if jobs, _, err := w.Jobs(ctx, store.JobQuery{Limit: 10}); len(jobs) != 0 || err != nil {
				t.Errorf("%+v, %v", jobs, err)
			}
			if n, exact, err := w.CountJobs(ctx, store.JobQuery{}); n != 0 || !exact || err != nil {
				t.Errorf("%d, %v, %v", n, exact, err)
			}
		}},
		{"lists go by id, page by page, of one owner or of all", func(t *testing.T, w *world) {
			for i := range 5 {
				w.job(w.ani, fmt.Sprintf("a%d", i))
				w.job(w.budi, fmt.Sprintf("b%d", i))
			}
			var got []string
			for after := int64(0); ; {
				page, _, err := w.Jobs(ctx, store.JobQuery{OwnerID: w.budi.ID, AfterID: after, Limit: 2})
				want(t, err, "")
				if len(page) == 0 {
					break
				}
				got = append(got, names(page)...)
				after = page[len(page)-1].ID
			}
			if !slices.Equal(got, []string{"b0", "b1", "b2", "b3", "b4"}) {
				t.Errorf("%v", got)
			}
			all, _, err := w.Jobs(ctx, store.JobQuery{AfterID: 3, Limit: 4})
			if err != nil || !slices.Equal(names(all), []string{"b1", "a2", "b2", "a3"}) {
				t.Errorf("%v, %v", names(all), err)
			}
			if n, exact, err := w.CountJobs(ctx, store.JobQuery{OwnerID: w.ani.ID}); n != 5 || !exact || err != nil {
				t.Errorf("%d, %v, %v", n, exact, err)
			}
			if n, _, err := w.CountJobs(ctx, store.JobQuery{}); n != 10 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		}},
		{"lists by states and tags have what the jobs have, page by page, after every change", func(t *testing.T, w *world) {
			var all []jadwal.Job
			for i := range 24 {
				def := newJob(0, fmt.Sprintf("j%d", i), start.Add(time.Hour)).Definition
				for k, tag := range []string{"x", "y", "z"} {
					if i>>k&1 == 1 {
						def.Tags = append(def.Tags, tag)
					}
				}
				owner := []jadwal.User{w.ani, w.budi}[i/8%2]
				j, err := w.CreateJob(ctx, by(owner), jadwal.Job{OwnerID: owner.ID, Definition: def, State: jadwal.JobEnabled}, start)
				want(t, err, "")
				if owner == w.ani && i%3 == 0 {
					_, _, err := w.SetGrant(ctx, by(w.ani), j.ID, w.budi.ID, jadwal.LevelViewer, start)
					want(t, err, "")
				}
				all = append(all, j)
			}
			edit := func(i int, change func(j *jadwal.Job)) {
				j, err := w.Job(ctx, all[i].ID)
				want(t, err, "")
				change(&j)
				_, _, err = w.UpdateJob(ctx, by(w.admin), j, j.Version, start)
				want(t, err, "")
			}
			check := func(when string) {
				t.Helper()
				all = all[:0]
				for id := int64(1); id <= 24; id++ {
					if j, err := w.Job(ctx, id); err == nil {
						all = append(all, j)
					}
				}
				shared, err := w.JobIDs(ctx, w.budi.ID, 100)
				want(t, err, "")
				for _, q := range []store.JobQuery{{}, {OwnerID: w.ani.ID}, {SeenBy: w.budi.ID}, {SeenBy: w.budi.ID, OwnerID: w.ani.ID}, {SeenBy: w.budi.ID, OwnerID: w.budi.ID}} {
					for _, q.States = range [][]jadwal.JobState{nil, {jadwal.JobPaused}, {jadwal.JobEnabled, jadwal.JobPaused}, {jadwal.JobCompleted}, jadwal.JobStates} {
						for _, q.Tags = range [][]string{nil, {"x"}, {"z", "x"}, {"x", "y", "z"}, {"none"}, {"new"}} {
							var wanted, got []int64
							for _, j := range all {
								if (q.OwnerID == 0 || q.OwnerID == j.OwnerID) && (q.SeenBy == 0 || slices.Contains(shared, j.ID)) && (len(q.States) == 0 || slices.Contains(q.States, j.State)) &&
									!slices.ContainsFunc(q.Tags, func(tag string) bool { return !slices.Contains(j.Definition.Tags, tag) }) {
									wanted = append(wanted, j.ID)
								}
							}
							for q.AfterID, q.Limit = 0, 3; ; {
								page, next, err := w.Jobs(ctx, q)
								want(t, err, "")
								for _, j := range page {
									got = append(got, j.ID)
								}
								if next == 0 {
									break
								}
								q.AfterID = next
							}
							n, exact, err := w.CountJobs(ctx, q)
							if !slices.Equal(got, wanted) || n != len(wanted) || !exact || err != nil {
								t.Errorf("%s: %+v: got %v, want %v; %d are counted", when, q, got, wanted, n)
							}
						}
					}
				}
			}
			check("at first")
			edit(3, func(j *jadwal.Job) { j.Definition.Tags = []string{"x", "new"} })
			edit(7, func(j *jadwal.Job) { j.Definition.Tags = nil })
			edit(11, func(j *jadwal.Job) { j.State = jadwal.JobPaused })
			edit(15, func(j *jadwal.Job) { j.State, j.Definition.Tags = jadwal.JobCompleted, []string{"z", "new"} })
			check("when some are edited")
			_, err := w.DeleteJob(ctx, by(w.admin), 6, start)
			want(t, err, "")
			_, _, err = w.HandOver(ctx, by(w.ani), 8, w.budi.ID, start)
			want(t, err, "")
			check("when one is deleted and one is given away")
		}},
		{"who waits for a change hears of it when it is applied, before or after", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			j.State = jadwal.JobPaused
			_, change, err := w.UpdateJob(ctx, by(w.ani), j, 1, start)
			want(t, err, "")
			short, cancel := context.WithTimeout(ctx, time.Millisecond)
			defer cancel()
			err = w.WaitApplied(short, change)
			want(t, err, jadwal.CodeNotYetApplied)
			if e, _ := errors.AsType[*jadwal.Error](err); e.RetryAfter != time.Second {
				t.Errorf("%+v", e)
			}
			heard := make(chan error)
			for range 3 {
				go func() { heard <- w.WaitApplied(ctx, change) }()
			}
			w.apply(time.Time{})
			for range 3 {
				want(t, <-heard, "")
			}
			want(t, w.WaitApplied(ctx, change), "")
			want(t, w.WaitApplied(ctx, 12345), "")
		}},
	})
}

func TestRunRules(t *testing.T) {
	ctx := t.Context()
	prove(t, []rule{
		{"runs are listed newest first, open and finished together, page by page", func(t *testing.T, w *world) {
			j, other := w.job(w.ani, "a"), w.job(w.ani, "other")
			at := func(i int) int64 { return start.Add(time.Hour).UnixMicro() + int64(i)*1e6 }
			step := func(job jadwal.Job, i int, o jadwal.Outcome) {
				o.JobID, o.Version, o.At, o.Next = job.ID, 1, at(i), at(i+1)
				w.commit(&o)
			}
			var wanted []jadwal.RunKey
			for i := range 10 {
				key := jadwal.RunKey{DueAt: at(i), JobID: j.ID}
				if i%3 == 0 {
					step(j, i, jadwal.Outcome{Opens: []jadwal.OpenRun{{
						Key: key, Version: 1, State: jadwal.RunRunning, Trigger: jadwal.TriggerSchedule, Attempt: 1,
						ReadyAt: time.UnixMicro(at(i)), StartedAt: time.UnixMicro(at(i) + 5),
					}}})
				} else {
					manual := key
					manual.N = 1
					step(j, i, jadwal.Outcome{Records: []jadwal.Run{finished(key), finished(manual)}})
					wanted = append(wanted, manual)
				}
				wanted = append(wanted, key)
				if i%3 != 0 { // n counts down within an instant
					wanted[len(wanted)-1], wanted[len(wanted)-2] = wanted[len(wanted)-2], wanted[len(wanted)-1]
				}
				step(other, i, jadwal.Outcome{Records: []jadwal.Run{finished(jadwal.RunKey{DueAt: at(i), JobID: other.ID})}})
			}
			slices.Reverse(wanted)
			for _, limit := range []int{1, 3, 100} {
				var got []jadwal.RunKey
				before := jadwal.RunKey{}
				for {
					page, err := w.Runs(ctx, j.ID, before, limit)
					want(t, err, "")
					if len(page) == 0 {
						break
					}
					for _, r := range page {
						got = append(got, r.Key)
					}
					before = got[len(got)-1]
				}
				if !slices.Equal(got, wanted) {
					t.Errorf("pages of %d: %v, want %v", limit, got, wanted)
				}
			}
			if runs, err := w.Runs(ctx, 99, jadwal.RunKey{}, 10); len(runs) != 0 || err != nil {
				t.Errorf("%v, %v", runs, err)
			}
		}},
		{"a run comes back as it was recorded, with its output, and is the job's last", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			r := finished(jadwal.RunKey{DueAt: j.NextAt.UnixMicro(), JobID: j.ID})
			r.State, r.Reason, r.StatusCode, r.Message = jadwal.RunFailed, jadwal.ReasonHTTPStatus, 500, "the target answered 500"
			r.Output = []byte{'o', 0, 0xff}
			w.commit(&jadwal.Outcome{JobID: j.ID, Version: 1, At: r.Key.DueAt, Records: []jadwal.Run{r}})
			if got, err := w.Run(ctx, r.Key); err != nil || !reflect.DeepEqual(got, r) {
				t.Errorf("%+v, %v; want %+v", got, err, r)
			}
			listed := r
			listed.Output = nil
			if runs, err := w.Runs(ctx, j.ID, jadwal.RunKey{}, 10); err != nil || len(runs) != 1 || !reflect.DeepEqual(runs[0], listed) {
				t.Errorf("%+v, %v", runs, err)
			}
			got, err := w.Job(ctx, j.ID)
			if err != nil || got.LastRun == nil || *got.LastRun != (jadwal.LastRun{Key: r.Key, State: r.State, StartedAt: r.StartedAt, FinishedAt: r.FinishedAt}) || !got.NextAt.IsZero() {
				t.Errorf("%+v, %v", got, err)
			}
		}},
		{"an open run is found until it has ended, and an unknown one is not", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			key := jadwal.RunKey{DueAt: j.NextAt.UnixMicro(), JobID: j.ID}
			_, err := w.Run(ctx, key)
			want(t, err, jadwal.CodeNotFound)
			w.commit(&jadwal.Outcome{JobID: j.ID, Version: 1, At: key.DueAt, Opens: []jadwal.OpenRun{{
				Key: key, Version: 1, State: jadwal.RunRunning, Trigger: jadwal.TriggerSchedule, Attempt: 1, ReadyAt: j.NextAt, StartedAt: j.NextAt,
			}}})
			if r, err := w.Run(ctx, key); err != nil || r.State != jadwal.RunRunning || r.Attempts != 1 || !r.StartedAt.Equal(j.NextAt) {
				t.Errorf("%+v, %v", r, err)
			}
			w.commit(&jadwal.Outcome{JobID: j.ID, Version: 1, Records: []jadwal.Run{finished(key)}, Closes: []jadwal.Close{{Key: key, Attempt: 1, State: jadwal.RunRunning}}})
			if r, err := w.Run(ctx, key); err != nil || r.State != jadwal.RunSucceeded {
				t.Errorf("%+v, %v", r, err)
			}
		}},
		{"a range comes back with its end", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			r := jadwal.Run{
				Key: jadwal.RunKey{DueAt: j.NextAt.UnixMicro(), JobID: j.ID}, ThroughAt: j.NextAt.Add(time.Hour), Version: 1,
				State: jadwal.RunMissed, Reason: jadwal.ReasonServerDown, Trigger: jadwal.TriggerSchedule, FinishedAt: start.Add(2 * time.Hour),
			}
			w.commit(&jadwal.Outcome{JobID: j.ID, Version: 1, At: r.Key.DueAt, Records: []jadwal.Run{r}})
			if got, err := w.Run(ctx, r.Key); err != nil || !reflect.DeepEqual(got, r) {
				t.Errorf("%+v, %v; want %+v", got, err, r)
			}
		}},
	})
}

// finished is a run that succeeded.
func finished(key jadwal.RunKey) jadwal.Run {
	due := time.UnixMicro(key.DueAt).UTC()
	return jadwal.Run{
		Key: key, Version: 1, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule, Attempts: 1,
		StartedAt: due.Add(time.Millisecond), FinishedAt: due.Add(time.Second), StatusCode: 200,
	}
}
