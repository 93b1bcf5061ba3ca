package store_test

import (
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func TestAskedRuns(t *testing.T) {
	ctx := t.Context()
	prove(t, []rule{
		{"a run that is asked for is open at once, under its own key, and the engine is told", func(t *testing.T, w *world) {
			j := w.job(w.ani, "report")
			hinted := make(chan jadwal.Hint, 10)
			w.Subscribe(func(h jadwal.Hint) { hinted <- h })
			run, err := w.RunNow(ctx, by(w.ani), j.ID, start)
			want(t, err, "")
			if run.Key != (jadwal.RunKey{DueAt: start.UnixMicro(), JobID: j.ID, N: 1}) || !(<-hinted).Changed {
				t.Errorf("answered %+v", run)
			}
			if got, err := w.Run(ctx, run.Key); err != nil || got.State != jadwal.RunQueued || got.Trigger != jadwal.TriggerManual {
				t.Errorf("stored %+v, %v", got, err)
			}
			news, err := w.Poll(ctx, jadwal.AllShards(), start, 0, 0)
			if err != nil || len(news.Changes) != 1 || news.Changes[0].Kind != jadwal.ChangeRun || news.Changes[0].Run != run.Key || len(news.Changes[0].Cursor.Open) != 1 {
				t.Errorf("told %+v, %v", news, err)
			}
		}},
		{"only the owner and superusers may ask, repeat and cancel; for others there is no such job", func(t *testing.T, w *world) {
			j := w.job(w.ani, "report")
			run, err := w.RunNow(ctx, by(w.admin), j.ID, start)
			want(t, err, "")
			_, err = w.RunNow(ctx, by(w.budi), j.ID, start)
			want(t, err, jadwal.CodeNotFound)
			_, err = w.CancelRun(ctx, by(w.budi), run.Key, start)
			want(t, err, jadwal.CodeNotFound)
			_, err = w.RetryRun(ctx, by(w.ani), run.Key, start)
			want(t, err, jadwal.CodeConflict)
			_, err = w.CancelRun(ctx, by(w.ani), run.Key, start)
			want(t, err, "")
		}},
		{"a deleted job's runs are neither asked for nor repeated", func(t *testing.T, w *world) {
			j := w.job(w.ani, "report")
			run, err := w.RunNow(ctx, by(w.ani), j.ID, start)
			want(t, err, "")
			_, err = w.DeleteJob(ctx, by(w.ani), j.ID, start)
			want(t, err, "")
			_, err = w.RunNow(ctx, by(w.ani), j.ID, start)
			want(t, err, jadwal.CodeNotFound)
			_, err = w.RetryRun(ctx, by(w.ani), run.Key, start)
			want(t, err, jadwal.CodeNotFound)
		}},
		{"a hundred that have not ended are enough", func(t *testing.T, w *world) {
			j := w.job(w.ani, "report")
			for range jadwal.MaxAsked {
				_, err := w.RunNow(ctx, by(w.ani), j.ID, start)
				want(t, err, "")
			}
			_, err := w.RunNow(ctx, by(w.ani), j.ID, start.Add(time.Second))
			want(t, err, jadwal.CodeConflict)
		}},
		{"an instant can be cancelled from when it is due until it is recorded", func(t *testing.T, w *world) {
			j := w.job(w.ani, "report")
			next := j.NextAt
			key := jadwal.RunKey{DueAt: next.UnixMicro(), JobID: j.ID}
			_, err := w.CancelRun(ctx, by(w.ani), key, next.Add(-time.Microsecond))
			want(t, err, jadwal.CodeNotFound)
			_, err = w.CancelRun(ctx, by(w.ani), key, next)
			want(t, err, "")
			key.DueAt++
			_, err = w.CancelRun(ctx, by(w.ani), key, next.Add(time.Hour))
			want(t, err, jadwal.CodeNotFound)
			key.DueAt, key.N = key.DueAt-1, 1
			_, err = w.CancelRun(ctx, by(w.ani), key, next)
			want(t, err, jadwal.CodeNotFound)
		}},
		{"a pause that has lasted until its end is over at the next poll, once", func(t *testing.T, w *world) {
			j := w.job(w.ani, "report")
			j.State, j.PauseReason, j.PausedBy, j.PauseUntil = jadwal.JobPaused, "holiday", w.ani.ID, start.Add(time.Hour)
			_, _, err := w.UpdateJob(ctx, by(w.ani), j, 1, start)
			want(t, err, "")
			got, err := w.Job(ctx, j.ID)
			if err != nil || got.PausedBy != w.ani.ID || !got.PauseUntil.Equal(start.Add(time.Hour)) {
				t.Errorf("stored %+v, %v", got, err)
			}
			w.apply(time.Time{})
			_, err = w.Poll(ctx, jadwal.AllShards(), start.Add(time.Hour-time.Microsecond), 0, 0)
			want(t, err, "")
			if got, _ := w.Job(ctx, j.ID); got.State != jadwal.JobPaused {
				t.Errorf("a microsecond before its end it is %s", got.State)
			}
			for range 2 {
				news, err := w.Poll(ctx, jadwal.AllShards(), start.Add(2*time.Hour), 0, 0)
				if err != nil || len(news.Changes) != 1 || news.Changes[0].Kind != jadwal.ChangeResume || !news.Changes[0].Until.Equal(start.Add(time.Hour)) {
					t.Errorf("told %+v, %v", news, err)
				}
			}
			if got, _ := w.Job(ctx, j.ID); got.State != jadwal.JobEnabled || got.PausedBy != 0 || !got.PauseUntil.IsZero() || got.Version != 3 {
				t.Errorf("afterwards: %+v", got)
			}
		}},
	})
}
