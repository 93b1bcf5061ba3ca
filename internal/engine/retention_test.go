package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// sweep makes steps until nothing is too old, and returns how many it took.
func (w *world) sweep(keep store.Retention) int {
	w.t.Helper()
	for n := 1; ; n++ {
		more, err := w.st.Retain(context.Background(), time.Now(), keep)
		if err != nil {
			w.t.Fatal(err)
		}
		if !more {
			return n
		}
	}
}

// versions tells the versions of a job that are kept, newest first.
func (w *world) versions(job int64) string {
	w.t.Helper()
	all, _, err := w.st.Versions(context.Background(), job, 0, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	var numbers []string
	for _, v := range all {
		numbers = append(numbers, fmt.Sprint(v.Version))
	}
	return strings.Join(numbers, " ")
}

// ledger tells the entries of a job's ledger from one time of the day to another.
func (w *world) ledger(job int64, from, to string) string {
	w.t.Helper()
	at := func(clock string) time.Time {
		d, err := time.Parse("15:04", clock)
		if err != nil {
			w.t.Fatal(err)
		}
		return midnight.Add(time.Duration(d.Hour())*time.Hour + time.Duration(d.Minute())*time.Minute)
	}
	l, err := w.st.Ledger(context.Background(), job, at(from), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	entries, _, err := l.Entries(at(from), at(to), time.Now(), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	var told []string
	for _, e := range entries {
		told = append(told, fmt.Sprintf("%s v%d %s", e.At.Format("15:04"), e.Version, e.State))
	}
	return strings.Join(told, ", ")
}

func TestRetention(t *testing.T) {
	keep := store.Retention{History: 3 * time.Hour, Failures: 6 * time.Hour}
	scenario(t, "what is too old goes, failures later, and what is open never", func(t *testing.T, w *world) {
		job := w.job("job", "0 * * * *")
		held := w.job("held", "30 1 * * *")
		w.answers(200, 404, 200, 404, 200)
		w.run()
		until("01:20:00")
		w.apply(held.ID, pause)
		until("05:30:00")
		w.check(job.ID, "01:00 succeeded, 02:00 failed http_status, 03:00 succeeded, 04:00 failed http_status, 05:00 succeeded")
		w.sweep(keep)
		w.check(job.ID, "02:00 failed http_status, 03:00 succeeded, 04:00 failed http_status, 05:00 succeeded")
		w.sound()
		until("09:30:00")
		w.sweep(keep)
		w.check(job.ID, "04:00 failed http_status, 07:00 succeeded, 08:00 succeeded, 09:00 succeeded")
		w.sound()
		if n := w.sweep(keep); n != 1 {
			t.Errorf("a second sweep took %d steps", n)
		}
	})
	scenario(t, "a range goes when all of it is too old", func(t *testing.T, w *world) {
		job := w.job("job", "*/10 * * * *")
		w.run()
		until("00:15:00")
		w.apply(job.ID, pause)
		until("03:05:00")
		w.apply(job.ID, resume)
		until("05:05:00")
		w.sweep(keep)
		if got := tell(w.runs(job.ID)[:2]); got != "00:20-03:00 skipped paused, 03:10 succeeded" {
			t.Errorf("got %s", got)
		}
		w.sound()
		until("10:05:00")
		w.sweep(keep)
		if got := tell(w.runs(job.ID)[:1]); got != "07:10 succeeded" {
			t.Errorf("got %s", got)
		}
	})
	scenario(t, "the version that planned what a pause holds stays, though it runs under the next one", func(t *testing.T, w *world) {
		job := w.job("job", "0 * * * *")
		w.run()
		until("00:30:00")
		w.quit()
		until("00:59:00")
		w.update(job.ID, pause)
		until("01:01:00")
		w.restart()
		until("09:30:00")
		w.sweep(keep)
		w.sound()
		w.apply(job.ID, resume)
		until("10:01:00")
		if got := tell(w.runs(job.ID)); got != "01:00 succeeded, 02:00-09:00 skipped paused, 10:00 succeeded" {
			t.Errorf("got %s", got)
		}
	})
	scenario(t, "many go in steps, with their attempts and output", func(t *testing.T, w *world) {
		job := w.with("job", "every 10s", func(d *jadwal.Definition) { tries(2)(d); d.Retry.MinBackoff = jadwal.Duration(time.Second) })
		w.answers(503, 200)
		w.run()
		until("06:00:00")
		first := w.runs(job.ID)[0]
		if tried, err := w.st.Attempts(context.Background(), first.Key); err != nil || len(tried) != 1 {
			t.Fatalf("attempts: %v, %v", tried, err)
		}
		if n := w.sweep(keep); n < 3 {
			t.Errorf("a thousand runs went in %d steps", n)
		}
		if n := len(w.runs(job.ID)); n < 1079 || n > 1081 {
			t.Errorf("%d runs are left, want three hours' 1080", n)
		}
		if tried, err := w.st.Attempts(context.Background(), first.Key); err != nil || len(tried) != 0 {
			t.Errorf("attempts are left: %v, %v", tried, err)
		}
	})
	scenario(t, "a deleted job goes with the last of its runs", func(t *testing.T, w *world) {
		job, later := w.job("job", "0 * * * *"), w.job("later", "0 9 * * *")
		w.run()
		until("01:30:00")
		w.remove(job.ID)
		until("05:00:00")
		w.sweep(keep)
		if _, err := w.st.AnyJob(context.Background(), job.ID); err != nil {
			t.Errorf("it is gone too early: %v", err)
		}
		until("08:00:00")
		w.sweep(keep)
		if _, err := w.st.AnyJob(context.Background(), job.ID); jadwal.CodeOf(err) != jadwal.CodeNotFound {
			t.Errorf("it is still there: %v", err)
		}
		if next := w.job("job", "0 * * * *"); next.ID <= later.ID {
			t.Errorf("id %d is used again", next.ID)
		}
		until("09:00:01")
		w.check(later.ID, "09:00 succeeded")
	})
	scenario(t, "versions go that no kept history can be of, and the ledger of what is kept stays as it was", func(t *testing.T, w *world) {
		job := w.job("job", "0 * * * *")
		w.answers(200, 404, 200)
		w.run()
		describe := func(text string) {
			w.apply(job.ID, func(j *jadwal.Job) { j.Definition.Description = text })
		}
		for hour := range 10 { // version 2 from 00:30, 3 from 01:30 and so on
			until(fmt.Sprintf("%02d:30:00", hour))
			describe(fmt.Sprint("from ", hour))
		}
		before := w.ledger(job.ID, "04:00", "12:00")
		w.sweep(keep)
		w.sweep(keep) // now without the runs
		// At 03:30 the failures of before go: version 4 was in force until then.
		if got := w.versions(job.ID); got != "11 10 9 8 7 6 5 4" {
			t.Errorf("versions %s are left", got)
		}
		if got := w.ledger(job.ID, "04:00", "12:00"); got != strings.Replace(strings.Replace(before, "04:00 v5 succeeded", "04:00 v5 unrecorded", 1), "05:00 v6 succeeded, 06:00 v7 succeeded", "05:00 v6 unrecorded, 06:00 v7 unrecorded", 1) {
			t.Errorf("got  %s\nfrom %s", got, before)
		}
		if got := w.ledger(job.ID, "00:00", "04:30"); got != "03:00 v4 unrecorded, 04:00 v5 unrecorded" {
			t.Errorf("of what is not kept: %s", got)
		}
		w.sound()
		until("20:30:00")
		w.sweep(keep)
		w.sweep(keep)
		if got := w.versions(job.ID); got != "11" {
			t.Errorf("versions %s are left", got)
		}
		w.sound()
	})
	scenario(t, "a version stays while a run of it is open, and those after it", func(t *testing.T, w *world) {
		job := w.with("job", "0 1 * * *", func(d *jadwal.Definition) { tries(2)(d) })
		w.answers(503)
		w.run()
		until("01:00:05") // attempted once; the next is due after the pause
		w.apply(job.ID, pause)
		for hour := 2; hour < 12; hour++ {
			until(fmt.Sprintf("%02d:30:00", hour))
			w.apply(job.ID, func(j *jadwal.Job) { j.Definition.Description = fmt.Sprint("from ", hour) })
		}
		w.sweep(keep)
		if got := w.versions(job.ID); got != "12 11 10 9 8 7 6 5 4 3 2 1" {
			t.Errorf("versions %s are left", got)
		}
		w.sound()
	})
	scenario(t, "the sweep runs by itself", func(t *testing.T, w *world) {
		job := w.job("job", "0 * * * *")
		w.run()
		done := make(chan struct{})
		go func() { defer close(done); w.st.Keep(t.Context(), keep) }()
		until("08:30:00")
		w.check(job.ID, "06:00 succeeded, 07:00 succeeded, 08:00 succeeded")
		from, err := w.st.HistoryFrom(context.Background())
		if err != nil || from.Before(midnight.Add(5*time.Hour)) {
			t.Errorf("history is whole from %s, %v", from, err)
		}
	})
}

func TestWallClock(t *testing.T) {
	start := time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)
	type reading struct{ wall, mono time.Duration }
	for _, c := range []struct {
		rule     string
		readings []reading
		from, to time.Duration // of the jump; both 0: there was none
		doubtful bool
	}{
		{"two clocks that agree", []reading{{0, 0}, {time.Second, time.Second}, {time.Hour, time.Hour}}, 0, 0, false},
		{"a quarter of a second is no jump", []reading{{0, 0}, {1250 * time.Millisecond, time.Second}}, 0, 0, false},
		{"slow drift adds up to no jump", []reading{{0, 0}, {1200 * time.Millisecond, time.Second}, {2400 * time.Millisecond, 2 * time.Second}, {3600 * time.Millisecond, 3 * time.Second}}, 0, 0, false},
		{"one reading is in doubt", []reading{{0, 0}, {time.Hour, time.Second}}, 0, 0, true},
		{"two are in doubt", []reading{{0, 0}, {time.Hour, time.Second}, {time.Hour + 100*time.Millisecond, 1100 * time.Millisecond}}, 0, 0, true},
		{"readings that come too soon do not count", []reading{{0, 0}, {time.Hour, time.Second}, {time.Hour, time.Second}, {time.Hour, time.Second}, {time.Hour, time.Second}}, 0, 0, true},
		{"three readings are a jump", []reading{{0, 0}, {time.Hour, time.Second}, {time.Hour + 100*time.Millisecond, 1100 * time.Millisecond}, {time.Hour + 200*time.Millisecond, 1200 * time.Millisecond}}, 0, time.Hour, false},
		{"one that comes back was none", []reading{{0, 0}, {time.Hour, time.Second}, {1100 * time.Millisecond, 1100 * time.Millisecond}}, 0, 0, false},
		{"a step back leaves nothing out", []reading{{0, 0}, {-time.Hour, time.Second}, {-time.Hour + 100*time.Millisecond, 1100 * time.Millisecond}, {-time.Hour + 200*time.Millisecond, 1200 * time.Millisecond}}, 0, 0, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var w wallClock
			for _, r := range c.readings {
				w.observe(start.Add(r.wall), r.mono)
			}
			want := jadwal.Jump{}
			if c.from != c.to {
				want = jadwal.Jump{From: start.Add(c.from), To: start.Add(c.to)}
			}
			if w.last != want || w.doubtful() != c.doubtful {
				t.Errorf("got %+v, in doubt: %v", w.last, w.doubtful())
			}
		})
	}
}
