package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/dirtest"
)

// someRuns stores runs of jobs 1 to 5, a few of them open, and returns them
// newest first. Many are due at the same instants.
func someRuns(t *testing.T, s *Store, n int) []jadwal.Run {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	base := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	states := []jadwal.RunState{jadwal.RunSucceeded, jadwal.RunFailed, jadwal.RunSkipped}
	reasons := map[jadwal.RunState]jadwal.Reason{jadwal.RunFailed: jadwal.ReasonNetwork, jadwal.RunSkipped: jadwal.ReasonOverlap}
	seen := map[jadwal.RunKey]bool{}
	var all []jadwal.Run
	for len(all) < n {
		at := base.Add(time.Duration(rng.IntN(n/4+1)) * time.Second)
		run := jadwal.Run{
			Key:     jadwal.RunKey{DueAt: at.UnixMicro(), JobID: int64(1 + rng.IntN(5)), N: uint16(rng.IntN(2))},
			Version: 1, State: states[rng.IntN(3)], Trigger: jadwal.TriggerSchedule, FinishedAt: at,
		}
		run.Reason = reasons[run.State]
		if run.Key.N > 0 {
			run.Trigger = jadwal.TriggerManual
		}
		if rng.IntN(20) == 0 {
			run.State, run.Reason, run.FinishedAt = jadwal.RunQueued, "", time.Time{}
		}
		if !seen[run.Key] {
			seen[run.Key] = true
			all = append(all, run)
		}
	}
	if err := s.write(context.Background(), laneAPI, func(t *tx) error {
		for i := range all {
			r := &all[i]
			if r.State.Final() {
				if err := appendRun(t, r); err != nil {
					return err
				}
				continue
			}
			if _, err := t.exec(`INSERT INTO open_run (due_at, job_id, n, version, state, trigger_by, attempt, ready_at) VALUES ($1, $2, $3, 1, 'queued', $4, 0, $1)`,
				r.Key.DueAt, r.Key.JobID, int64(r.Key.N), string(r.Trigger)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b jadwal.Run) int { return compareKeys(b.Key, a.Key) })
	return all
}

func idsOf(runs []jadwal.Run) string {
	var b strings.Builder
	for _, r := range runs {
		fmt.Fprintln(&b, r.Key, r.State, r.Reason, r.Trigger)
	}
	return b.String()
}

func TestListRunsFindsWhatASimpleSearchFinds(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) { testListRuns(t, open(t)) })
	}
}

func testListRuns(t *testing.T, s *Store) {
	limits := []int{1, 7, 500, 5000}
	if _, shared := s.db.(*postgresDB); shared {
		limits = limits[1:] // pages of one take minutes where each is a few round trips
	}
	all := someRuns(t, s, 600)
	base := time.UnixMicro(all[len(all)-1].Key.DueAt)
	for _, c := range []struct {
		rule string
		q    RunQuery
	}{
		{"all", RunQuery{All: true}},
		{"of one job", RunQuery{JobIDs: []int64{3}}},
		{"of some jobs", RunQuery{JobIDs: []int64{5, 2, 4}}},
		{"of no jobs", RunQuery{}},
		{"of a job that is not there", RunQuery{JobIDs: []int64{9}}},
		{"in a state", RunQuery{All: true, States: []jadwal.RunState{jadwal.RunFailed}}},
		{"in one of two states", RunQuery{JobIDs: []int64{1, 2}, States: []jadwal.RunState{jadwal.RunFailed, jadwal.RunQueued}}},
		{"open", RunQuery{All: true, States: []jadwal.RunState{jadwal.RunQueued, jadwal.RunRunning}}},
		{"for a reason", RunQuery{All: true, Reasons: []jadwal.Reason{jadwal.ReasonOverlap, jadwal.ReasonLost}}},
		{"by a trigger", RunQuery{JobIDs: []int64{1, 2, 3, 4, 5}, Triggers: []jadwal.Trigger{jadwal.TriggerManual}}},
		{"from an instant on", RunQuery{All: true, From: base.Add(40 * time.Second)}},
		{"before an instant", RunQuery{JobIDs: []int64{1, 3}, To: base.Add(40 * time.Second)}},
		{"all of it", RunQuery{JobIDs: []int64{1, 3}, From: base.Add(20 * time.Second), To: base.Add(100 * time.Second), States: []jadwal.RunState{jadwal.RunSucceeded}, Triggers: []jadwal.Trigger{jadwal.TriggerSchedule}}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			var want []jadwal.Run
			for _, r := range all {
				due := time.UnixMicro(r.Key.DueAt)
				if c.q.wants(&r) && (c.q.All || slices.Contains(c.q.JobIDs, r.Key.JobID)) && !due.Before(c.q.From) && (c.q.To.IsZero() || due.Before(c.q.To)) {
					want = append(want, r)
				}
			}
			if len(want) == 0 != strings.Contains(c.rule, "no") {
				t.Fatalf("%d are wanted", len(want))
			}
			for _, limit := range limits {
				q := c.q
				q.Limit = limit
				var got []jadwal.Run
				for range len(want) + 1 {
					page, next, err := s.ListRuns(t.Context(), q)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, page...)
					if next == (jadwal.RunKey{}) {
						break
					}
					if len(page) != limit {
						t.Fatalf("a page of %d in the middle, not %d", len(page), limit)
					}
					q.Before = next
				}
				if idsOf(got) != idsOf(want) {
					t.Fatalf("%d a page: got %d, want %d:\n%.500s", limit, len(got), len(want), idsOf(got))
				}
			}
		})
	}
}

func TestAPageOfRunsLooksAtABoundedNumber(t *testing.T) {
	s := openTest(t, dirtest.New(t), nil)
	defer s.Close()
	n := maxScan*2 + 10
	if err := s.write(t.Context(), laneAPI, func(t *tx) error {
		for i := range n {
			r := jadwal.Run{Key: jadwal.RunKey{DueAt: int64(1 + i), JobID: int64(1 + i%3)}, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule, FinishedAt: time.Unix(1, 0)}
			if i == 0 {
				r.State, r.Reason = jadwal.RunFailed, jadwal.ReasonNetwork
			}
			if err := appendRun(t, &r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, q := range []RunQuery{{All: true}, {JobIDs: []int64{1, 2, 3}}} {
		q.States, q.Limit = []jadwal.RunState{jadwal.RunFailed}, 10
		pages, found := 0, 0
		for {
			runs, next, err := s.ListRuns(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			found += len(runs)
			if next == (jadwal.RunKey{}) {
				break
			}
			if len(runs) != 0 || next.DueAt != int64(n-pages*maxScan+1) {
				t.Fatalf("page %d has %d and ends at %d", pages, len(runs), next.DueAt)
			}
			q.Before = next
		}
		if pages != 3 || found != 1 {
			t.Errorf("found %d on %d pages", found, pages)
		}
	}
}

// planOf is how SQLite reads a statement.
func planOf(t *testing.T, s *Store, text string, args ...any) string {
	t.Helper()
	var b strings.Builder
	if err := s.read(t.Context(), func(t *tx) error {
		b.Reset()
		return t.query("EXPLAIN QUERY PLAN "+text, func(r row) error {
			fmt.Fprintln(&b, r.text(3))
			return nil
		}, args...)
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestPlansOfRunLists(t *testing.T) {
	s := openTest(t, dirtest.New(t), nil)
	defer s.Close()
	for _, c := range []struct{ rule, text, want string }{
		{"history of a job is read along its index", runsOfJob, "SEARCH r USING INDEX run_job (job_id=? AND due_at>? AND (due_at,n)<(?,?))\n"},
		{"all history is read along the key", runsOfAll, "SEARCH r USING PRIMARY KEY (due_at>? AND (due_at,job_id,n)<(?,?,?))\n"},
		{"all open runs are read along the key", openOfAll, "SEARCH open_run USING PRIMARY KEY (due_at>? AND (due_at,job_id,n)<(?,?,?))\n"},
		{"open runs of a job are read along its index", openOfJob, "SEARCH open_run USING INDEX open_run_job (job_id=? AND due_at>? AND (due_at,n)<(?,?))\n"},
	} {
		t.Run(c.rule, func(t *testing.T) {
			if got := planOf(t, s, c.text, 1, 1, 0, 0, 10); got != c.want {
				t.Errorf("got %s", got)
			}
		})
	}
}
