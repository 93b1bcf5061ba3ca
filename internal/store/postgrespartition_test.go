package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/pgtest"
)

func TestHistoryIsKeptByDays(t *testing.T) {
	ctx := t.Context()
	// The partitions change, so that the database is used once.
	url := pgtest.Database(t, pgtest.Kind{Name: "current once", Prepare: current.Prepare})
	s := openURL(t, url)
	d := s.db.(*postgresDB)
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	now, err := recordedOn(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	today := now.Truncate(day)
	// Three days of which each has a success and a failure, with output and an
	// attempt before.
	ages := []int{5, 35, 65}
	if err := pgx.BeginFunc(ctx, c, func(t pgx.Tx) error {
		for _, age := range ages {
			from := today.Add(-time.Duration(age) * day)
			for _, table := range divided {
				if err := makePartition(ctx, t, table, from); err != nil {
					return err
				}
			}
			at := from.Add(time.Hour).UnixMicro()
			for n, state := range []string{"succeeded", "failed"} {
				reason := map[string]string{"failed": "network"}[state]
				for _, sql := range []string{
					fmt.Sprintf(`INSERT INTO run (due_at, job_id, n, version, state, reason, trigger_by, attempts, finished_at, recorded_at, status_code, message) VALUES (%d, 1, %d, 1, '%s', '%s', 'schedule', 1, %[1]d, %[1]d, 0, '')`, at, n, state, reason),
					fmt.Sprintf(`INSERT INTO run_output (due_at, job_id, n, output, recorded_at) VALUES (%d, 1, %d, 'x', %[1]d)`, at, n),
					fmt.Sprintf(`INSERT INTO attempt (due_at, job_id, n, attempt, version, reason, status_code, message, started_at, finished_at, recorded_at) VALUES (%d, 1, %d, 1, 1, 'network', 0, '', %[1]d, %[1]d, %[1]d)`, at, n),
				} {
					if _, err := t.Exec(ctx, sql); err != nil {
						return err
					}
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	rows := func() string {
		t.Helper()
		var all []string
		for _, table := range divided {
			if err := s.single(ctx, func(x *tx) error {
				return x.query("SELECT due_at, n FROM "+table+" ORDER BY due_at, n", func(r row) error {
					all = append(all, fmt.Sprintf("%s %d/%d", table, int(today.Sub(r.time(0).Truncate(day))/day), r.int(1)))
					return nil
				})
			}); err != nil {
				t.Fatal(err)
			}
		}
		return strings.Join(all, ", ")
	}
	want := func(runs ...string) {
		t.Helper()
		var all []string
		for _, table := range divided {
			for _, run := range runs {
				all = append(all, table+" "+run)
			}
		}
		if got := rows(); got != strings.Join(all, ", ") {
			t.Errorf("kept %s", got)
		}
	}
	want("65/0", "65/1", "35/0", "35/1", "5/0", "5/1")
	keep := Retention{History: 30 * day, Failures: 60 * day}
	if more, err := s.Retain(ctx, now, Retention{History: 300 * day, Failures: 300 * day, Bytes: 1 << 40, Audit: day}); err != nil || more {
		t.Fatal(more, err)
	}
	want("65/0", "65/1", "35/0", "35/1", "5/0", "5/1")
	if from, err := s.HistoryFrom(ctx); err != nil || from.UnixMicro() != 0 {
		t.Errorf("nothing has gone, and history is from %s, %v", from, err)
	}
	for range 2 {
		if more, err := s.Retain(ctx, now, keep); err != nil || more {
			t.Fatal(more, err)
		}
		want("35/1", "5/0", "5/1")
	}
	if from, err := s.HistoryFrom(ctx); err != nil || !from.Equal(now.Add(-keep.History)) {
		t.Errorf("history from %s, %v", from, err)
	}
	t.Run("beyond its bytes the oldest days go, failures too, and today stays", func(t *testing.T) {
		size := int64(0)
		all, err := partitions(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			bytes := int64(0)
			if err := c.QueryRow(ctx, "SELECT pg_total_relation_size($1::text::regclass)", p.name()).Scan(&bytes); err != nil {
				t.Fatal(err)
			}
			size += bytes
		}
		keep := keep
		keep.Bytes = size - 1
		if _, err := s.Retain(ctx, now, keep); err != nil {
			t.Fatal(err)
		}
		want("5/0", "5/1")
		if from, err := s.HistoryFrom(ctx); err != nil || !from.Equal(now.Add(-keep.History)) {
			t.Errorf("history from %s, %v", from, err)
		}
		keep.Bytes = 1
		if _, err := s.Retain(ctx, now, keep); err != nil {
			t.Fatal(err)
		}
		want()
		if from, err := s.HistoryFrom(ctx); err != nil || !from.Equal(today.Add(-4*day)) {
			t.Errorf("history from %s, %v", from, err)
		}
	})
	t.Run("a caller whose clock is wrong takes nothing of today", func(t *testing.T) {
		if _, err := s.Retain(ctx, now.Add(1000*day), keep); err != nil {
			t.Fatal(err)
		}
		want()
		all, err := partitions(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		if len(all) != len(divided)*(daysAhead+1) || !all[0].from.Equal(today) {
			t.Errorf("%d partitions, the first for %s", len(all), all[0].from)
		}
	})
	t.Run("days ahead are made as they come", func(t *testing.T) {
		last := partitionName("run", allRuns, today.Add(daysAhead*day))
		execute(t, url, "DROP TABLE "+last)
		if _, err := s.Retain(ctx, now, keep); err != nil {
			t.Fatal(err)
		}
		all, err := partitions(ctx, c)
		if err != nil || !slices.ContainsFunc(all, func(p partition) bool { return p.name() == last }) {
			t.Errorf("%v, %v", all, err)
		}
	})
	t.Run("what no partition was made for is kept, and an alarm", func(t *testing.T) {
		if s.Misplaced() {
			t.Error("an alarm without a reason")
		}
		far := now.Add(400 * day).UnixMicro()
		execute(t, url, fmt.Sprintf(`INSERT INTO run_output (due_at, job_id, n, output, recorded_at) VALUES (%d, 1, 0, 'x', %[1]d)`, far))
		if _, err := s.Retain(ctx, now, keep); err != nil || !s.Misplaced() || d.misplaced.Load() == false {
			t.Errorf("alarm %v, %v", s.Misplaced(), err)
		}
	})
}

// None of these reads a whole table, whatever it holds, nor sorts what it finds.
func TestPlansOfPostgres(t *testing.T) {
	url := pgtest.Database(t, pgtest.Kind{Name: "current once", Prepare: current.Prepare})
	s := openURL(t, url)
	execute(t, url, `INSERT INTO account (username, email, password_hash, is_superuser, created_at, updated_at)
			SELECT 'u' || i, 'u' || i || '@x', 'h', 0, 1, 1 FROM generate_series(1, 500) i;
		INSERT INTO session (id, user_id, generation, created_at, rotated_at, expires_at) SELECT i, i, 1, 1, 1, 2 + i FROM generate_series(1, 500) i;
		INSERT INTO job (owner_id, name, definition, state, version, created_at, updated_at) SELECT 1 + i % 500, 'j' || i, '{}', 'enabled', 1, 1, 1 FROM generate_series(1, 5000) i;
		INSERT INTO job_version SELECT id, 1, '{}', 'enabled', 1 FROM job;
		INSERT INTO cursor (job_id, owner_id, version, next_at) SELECT id, owner_id, 1, id FROM job;
		INSERT INTO run (due_at, job_id, n, version, state, reason, trigger_by, attempts, finished_at, status_code, message)
			SELECT i, 1 + i % 5000, 0, 1, 'succeeded', '', 'schedule', 1, i, 200, '' FROM generate_series(1, 10000) i;
		INSERT INTO open_run (due_at, job_id, n, version, state, trigger_by, attempt, ready_at) SELECT i, i % 20, 0, 1, 'queued', 'schedule', 0, i FROM generate_series(1, 1000) i;
		ANALYZE`)
	execute(t, url, `INSERT INTO job_tag (job_id, tag) SELECT id, 't' || (id % 50) FROM job;
		UPDATE job SET state = 'paused' WHERE id % 100 = 0;
		INSERT INTO job_grant (job_id, user_id, level, granted_by, created_at, updated_at) SELECT id, 1 + (id + 1) % 500, 'viewer', 1, 1, 1 FROM job;
		ANALYZE`)
	type plan struct{ what, sql, index string }
	var lists []plan
	for _, c := range jobLists {
		page, end := c.q.textsOf()
		lists = append(lists, plan{c.rule, page, c.postgres}, plan{c.rule + ": its end", end, c.postgres})
	}
	for _, c := range append(lists, []plan{
		{"load", loadPostgres, "cursor_due"},
		{"cursors", cursorsSQL, "cursor_pkey"},
		{"definitions", definitionsSQL, "job_pkey"},
		{"a move of a cursor", "UPDATE cursor SET next_at = $4 WHERE job_id = $1 AND version = $2 AND next_at IS NOT DISTINCT FROM $3", "cursor_pkey"},
		{"the end of an open run", "DELETE FROM open_run WHERE due_at = $1 AND job_id = $2 AND n = $3", "open_run_pkey"},
		{"open runs of a job", "SELECT " + openRunColumns + " FROM open_run WHERE job_id = $1", "open_run_job"},
		{"sign-in by username", "SELECT id FROM account WHERE lower(username) = $1", "account_username"},
		{"sign-in by email", "SELECT id FROM account WHERE lower(email) = $1", "account_email"},
		{"rotation", rotateSQL, "session_pkey"},
		{"sessions past their end", sweepSQL, "session_expiry"},
		{"a job by id", jobByID, "job_pkey"},
		{"a job by name", jobByName, "job_owner_name"},
		{"jobs that a user leaves", inheritSQL, "job_owner"},
		{"a run by its key", runByKeySQL, "job_id_due_at"},
		{"all runs", runsOfAll, "due_at_job_id"},
		{"runs of a job", runsOfJob, "job_id_due_at"},
		{"open runs of all", openOfAll, "open_run_pkey"},
		{"the ledger's versions", ledgerVersionsSQL, "job_version_pkey"},
		{"the ledger's records", ledgerRunsSQL, "job_id_due_at"},
		{"what identities have changed", "SELECT kind, id FROM identity_change WHERE xid >= $1", "identity_change_xid"},
	}...) {
		t.Run(c.what, func(t *testing.T) {
			var plan strings.Builder
			err := s.write(t.Context(), laneAPI, func(x *tx) error {
				plan.Reset()
				if _, err := x.exec("SET LOCAL plan_cache_mode = force_generic_plan"); err != nil {
					return err
				}
				if _, err := x.exec("PREPARE asked AS " + c.sql); err != nil {
					return err
				}
				nulls := strings.Repeat(", NULL", parameters(c.sql))[1:]
				defer x.exec("DEALLOCATE asked")
				return x.query("EXPLAIN EXECUTE asked("+nulls+")", func(r row) error {
					fmt.Fprintln(&plan, r.text(0))
					return nil
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			got := plan.String()
			if !strings.Contains(got, c.index) || strings.Contains(got, "Seq Scan") {
				t.Errorf("%s", got)
			}
			if strings.Contains(c.what, "runs") && strings.Contains(got, "Sort  (") {
				t.Errorf("it sorts: %s", got)
			}
		})
	}
}

// parameters counts those of a statement.
func parameters(sql string) (n int) {
	for n = 1; strings.Contains(sql, fmt.Sprint("$", n)); n++ {
	}
	return n - 1
}

// What was due when a version ended runs under the next, so that no run may
// name the version that planned it.
func TestVersionsStayAsLongAsTheirDays(t *testing.T) {
	h := newHot(t, openPostgresTest)
	_, change, err := h.UpdateJob(t.Context(), h.by, h.job, 1, at(2))
	if err != nil {
		t.Fatal(err)
	}
	held := h.succeeded(1)
	held.Version = 2
	if v := h.commit(at(2), &jadwal.Outcome{
		JobID: h.job.ID, Version: 1, At: us(1), Next: us(2), Records: []jadwal.Run{held},
		Applied: &jadwal.Applied{ChangeID: change, Version: 2, OwnerID: h.by.User.ID, EffectiveAt: at(1).Add(30 * time.Second)},
	}); v[0] != jadwal.Recorded {
		t.Fatal(v)
	}
	for range 2 {
		if _, err := h.Retain(t.Context(), at(1).Add(10*time.Hour), Retention{History: time.Hour, Failures: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	if v := h.violations(); len(v) > 0 {
		t.Error(v)
	}
}
