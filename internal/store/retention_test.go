package store

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/dirtest"
)

var keptNow = time.Date(2027, 6, 1, 12, 0, 0, 0, time.UTC)

// addRuns puts runs of a job into history, one a second up to the second before
// last, every third of them failed and with so many bytes of output.
func addRuns(t testing.TB, s *Store, job int64, n int, last time.Time, output int) {
	t.Helper()
	text := []byte(strings.Repeat("o", output))
	for begin := 0; begin < n; begin += 5000 {
		if err := s.write(t.Context(), laneBatch, func(t *tx) error {
			for i := begin; i < min(n, begin+5000); i++ {
				at := last.Add(-time.Duration(n-i) * time.Second)
				r := jadwal.Run{
					Key: jadwal.RunKey{DueAt: at.UnixMicro(), JobID: job}, Version: 1, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule,
					Attempts: 1, StartedAt: at, FinishedAt: at, StatusCode: 200,
				}
				if i%3 == 0 {
					r.State, r.Reason, r.Output = jadwal.RunFailed, jadwal.ReasonHTTPStatus, text
				}
				if err := appendRun(t, &r); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// count answers a query for one number.
func count(t testing.TB, s *Store, sql string, args ...any) (n int64) {
	t.Helper()
	if err := s.read(t.Context(), func(t *tx) error {
		_, err := t.one(sql, func(r row) { n = r.int(0) }, args...)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// historyBytes is the size of history, measured page by page.
func historyBytes(t testing.TB, s *Store) int64 {
	return count(t, s, `SELECT sum(pgsize) FROM sqlite_schema s JOIN dbstat d ON d.name = s.name AND d.aggregate = 1 WHERE s.tbl_name IN ('run', 'run_output', 'attempt')`)
}

// sweepAll makes steps until nothing is left to remove, and returns how many.
func sweepAll(t testing.TB, s *Store, now time.Time, r Retention) int {
	t.Helper()
	for n := 1; ; n++ {
		more, err := s.Retain(t.Context(), now, r)
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return n
		}
	}
}

func TestHistoryMax(t *testing.T) {
	s := openTest(t, dirtest.New(t), nil)
	addJobs(t, s, addUser(t, s, "ani", false).ID, 20_000) // what they take does not count
	const most = 8 << 20
	keep := Retention{History: 30 * 24 * time.Hour, Failures: 60 * 24 * time.Hour, Bytes: most}
	pages := int64(0)
	for i := range 4 {
		now := keptNow.Add(time.Duration(i) * 24 * time.Hour)
		addRuns(t, s, 1, 30_000, now, 1500)
		if i == 0 {
			pages = count(t, s, "PRAGMA page_count")
		}
		if size := historyBytes(t, s); size < 2*most {
			t.Fatalf("only %d bytes of history", size)
		}
		steps := sweepAll(t, s, now, keep)
		if size := historyBytes(t, s); size > most || size < most*9/10 {
			t.Errorf("%d bytes of history are left in %d steps, %d may be", size, steps, int64(most))
		}
		oldest, newest := count(t, s, "SELECT min(due_at) FROM run"), count(t, s, "SELECT max(due_at) FROM run")
		if newest != now.Add(-time.Second).UnixMicro() {
			t.Errorf("the newest run that is left was due at %s", time.UnixMicro(newest))
		}
		from, err := s.HistoryFrom(t.Context())
		if err != nil || from.UnixMicro() > oldest || now.Sub(from) > 24*time.Hour {
			t.Errorf("history is whole from %s, %v; the oldest run was due at %s", from, err, time.UnixMicro(oldest))
		}
		if left, want := count(t, s, "SELECT COUNT(*) FROM run"), (newest-oldest)/1e6+1; left != want {
			t.Errorf("%d runs are left, %d were due since the oldest of them", left, want)
		}
		if orphans := count(t, s, "SELECT COUNT(*) FROM run_output o WHERE NOT EXISTS (SELECT 1 FROM run r WHERE r.due_at = o.due_at AND r.job_id = o.job_id AND r.n = o.n)"); orphans != 0 {
			t.Errorf("%d outputs are left of runs that are not", orphans)
		}
	}
	if now := count(t, s, "PRAGMA page_count"); now > pages*3/2 {
		t.Errorf("the database has grown from %d pages to %d: what was removed is not used again", pages, now)
	}
}

func TestHistoryMaxOfRanges(t *testing.T) {
	s := openTest(t, dirtest.New(t), nil)
	if err := s.write(t.Context(), laneBatch, func(t *tx) error {
		for job := range int64(30_000) { // all begin before anything ends
			from := keptNow.Add(-48 * time.Hour).Add(time.Duration(job) * time.Millisecond)
			stretch := jadwal.Stretch{From: from, Through: from.Add(24 * time.Hour), State: jadwal.RunMissed, Reason: jadwal.ReasonServerDown}
			r := stretch.Record(job+1, 1, keptNow)
			if err := appendRun(t, &r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	most := historyBytes(t, s) / 2
	sweepAll(t, s, keptNow, Retention{History: 30 * 24 * time.Hour, Failures: 60 * 24 * time.Hour, Bytes: most})
	if size := historyBytes(t, s); size > most || size < most*9/10 {
		t.Errorf("%d bytes of history are left, %d may be", size, most)
	}
}

func TestWhatElseGoes(t *testing.T) {
	keep := Retention{History: 30 * 24 * time.Hour, Failures: 60 * 24 * time.Hour, Audit: 400 * 24 * time.Hour}
	do := func(t *testing.T, s *Store, fn func(*tx) error) {
		t.Helper()
		if err := s.write(t.Context(), laneAPI, fn); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("lines of the audit log, the old ones only", func(t *testing.T) {
		s := openTest(t, dirtest.New(t), nil)
		do(t, s, func(t *tx) error {
			for day := range 1700 {
				if err := audited(t, jadwal.Actor{}, keptNow.Add(-time.Duration(1700-day)*24*time.Hour), "user.create", "user/1", nil); err != nil {
					return err
				}
			}
			return nil
		})
		if steps := sweepAll(t, s, keptNow, keep); steps < 3 {
			t.Errorf("1300 lines went in %d steps", steps)
		}
		if n, oldest := count(t, s, "SELECT COUNT(*) FROM audit"), count(t, s, "SELECT min(at) FROM audit"); n != 400 || oldest != keptNow.Add(-keep.Audit).UnixMicro() {
			t.Errorf("%d are left, the oldest of %s", n, time.UnixMicro(oldest))
		}
		always := keep
		always.Audit = 0
		sweepAll(t, s, keptNow.Add(10000*24*time.Hour), always)
		if n := count(t, s, "SELECT COUNT(*) FROM audit"); n != 400 {
			t.Errorf("%d are left", n)
		}
	})
	t.Run("answers that were saved for a repeated request", func(t *testing.T) {
		s := openTest(t, dirtest.New(t), nil)
		do(t, s, func(t *tx) error {
			for i := range 1200 {
				if _, err := t.exec("INSERT INTO idempotency (user_id, key, request, answer, created_at) VALUES (1, $1, $2, $2, $3)",
					fmt.Sprint(i), []byte("x"), keptNow.Add(-jadwal.OnceFor).Add(time.Duration(i-1100)*time.Second)); err != nil {
					return err
				}
			}
			return nil
		})
		sweepAll(t, s, keptNow, keep)
		if n := count(t, s, "SELECT COUNT(*) FROM idempotency"); n != 99 {
			t.Errorf("%d are left", n)
		}
	})
	t.Run("a deleted job with very many versions goes in steps", func(t *testing.T) {
		s := openTest(t, dirtest.New(t), nil)
		job := addJobs(t, s, 1, 1)
		do(t, s, func(t *tx) error {
			for v := range 1800 {
				if _, err := t.exec("INSERT INTO job_version (job_id, version, definition, state, effective_at) VALUES ($1, $2, '{}', 'enabled', $3)", job, v+2, keptNow); err != nil {
					return err
				}
			}
			_, err := t.exec("UPDATE job SET deleted_at = $2, version = 1801 WHERE id = $1", job, keptNow)
			if err == nil {
				_, err = t.exec("UPDATE cursor SET version = 1801 WHERE job_id = $1", job)
			}
			return err
		})
		if steps := sweepAll(t, s, keptNow.Add(keep.Failures+time.Second), keep); steps < 4 {
			t.Errorf("1801 versions went in %d steps", steps)
		}
		for _, table := range []string{"job", "job_version", "cursor"} {
			if n := count(t, s, "SELECT COUNT(*) FROM "+table); n != 0 {
				t.Errorf("%d rows of %s are left", n, table)
			}
		}
	})
	t.Run("versions of more jobs than one step looks at", func(t *testing.T) {
		s := openTest(t, dirtest.New(t), nil)
		const jobs = 2*retainJobs + 10
		addJobs(t, s, 1, jobs)
		do(t, s, func(t *tx) error {
			_, err := t.exec("INSERT INTO job_version (job_id, version, definition, state, effective_at) SELECT id, 2, definition, state, $1 FROM job", inheritStart.Add(time.Hour))
			if err == nil {
				_, err = t.exec("UPDATE cursor SET version = 2")
			}
			return err
		})
		for range 20 {
			sweepAll(t, s, keptNow.Add(365*24*time.Hour), keep)
		}
		if n := count(t, s, "SELECT COUNT(*) FROM job_version WHERE version = 1"); n != 0 || count(t, s, "SELECT COUNT(*) FROM job_version") != jobs {
			t.Errorf("%d first versions are left", n)
		}
	})
	t.Run("an idle store is not written to", func(t *testing.T) {
		s := openTest(t, dirtest.New(t), nil)
		addJobs(t, s, 1, 10)
		sweepAll(t, s, keptNow, keep)
		before, err := os.Stat(file(s).path + "-wal") // every commit makes it longer
		if err != nil {
			t.Fatal(err)
		}
		sweepAll(t, s, keptNow.Add(time.Minute), keep)
		if after, err := os.Stat(file(s).path + "-wal"); err != nil || after.Size() != before.Size() {
			t.Errorf("its log has grown from %d to %d bytes, %v", before.Size(), after.Size(), err)
		}
	})
}

func TestPlansOfRetention(t *testing.T) {
	s := openTest(t, dirtest.New(t), nil)
	for _, c := range []struct {
		rule, text string
		args       []any
		want       string
	}{
		{"the oldest runs are read along the key", oldestRunsSQL, []any{1, 1}, "SEARCH run USING PRIMARY KEY (due_at<?)"},
		{"and so are those after what was swept", oldRunsSQL, []any{1, 1, 1}, "SEARCH run USING PRIMARY KEY (due_at>? AND due_at<?)"},
		{"saved answers are found by their age", savedBeforeSQL, []any{1, 1}, "SEARCH idempotency USING COVERING INDEX idempotency_age (created_at<?)"},
		{"deleted jobs are found by when they were", tombstonesSQL, []any{1, 1}, "SEARCH job USING COVERING INDEX job_deleted (deleted_at<?)"},
		{"the version in force is found along the key", inForceSQL, []any{1, 1, 1}, "SEARCH job_version USING PRIMARY KEY (job_id=? AND version<?)"},
		{"the versions that runs name are found along the index", namedSQL, []any{1, 1}, "SEARCH r USING INDEX run_job (job_id=? AND due_at<?)"},
		{"and the oldest that waits", heldSQL, []any{1, 1}, "SEARCH open_run USING COVERING INDEX open_run_job (job_id=? AND due_at<?)"},
		{"and so are those that open runs name", namedOpenSQL, []any{1, 1}, "SEARCH r USING INDEX open_run_job (job_id=? AND due_at<?)"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			got := planOf(t, s, c.text, c.args...)
			if !strings.Contains(got, c.want) || strings.Contains(got, "SCAN") || strings.Contains(got, "TEMP B-TREE") {
				t.Errorf("got %s", got)
			}
		})
	}
}

// BenchmarkRetain measures a step of 500 runs, each third with output, beside a
// commit of as many: of 300,000 runs the oldest.
func BenchmarkRetain(b *testing.B) {
	s := openTest(b, b.TempDir(), nil)
	addRuns(b, s, 1, 300_000, keptNow, 500)
	keep := Retention{History: 24 * time.Hour, Failures: 24 * time.Hour}
	perRun := float64(historyBytes(b, s)) / 300_000
	var removing, adding, longest time.Duration
	i := 0
	for b.Loop() {
		i++
		begun := time.Now()
		if _, err := s.Retain(b.Context(), keptNow.Add(24*time.Hour), keep); err != nil {
			b.Fatal(err)
		}
		took := time.Since(begun)
		removing, longest = removing+took, max(longest, took)
		begun = time.Now()
		addRuns(b, s, 1, retainStep, keptNow.Add(time.Duration(i*retainStep)*time.Second), 500)
		adding += time.Since(begun)
	}
	b.ReportMetric(float64(removing)/float64(adding), "removing/adding")
	b.ReportMetric(float64(longest.Microseconds())/1000, "ms/longest-step")
	b.ReportMetric(removing.Seconds()*1000/float64(i), "ms/step")
	b.ReportMetric(perRun, "bytes/run")
}
