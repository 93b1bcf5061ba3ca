package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
)

// oneByOne commits a batch as the statement must: each outcome by itself.
func (h *hot) oneByOne(now time.Time, batch []*jadwal.Outcome) []jadwal.Verdict {
	h.t.Helper()
	verdicts := make([]jadwal.Verdict, len(batch))
	if err := h.write(h.t.Context(), laneBatch, func(t *tx) error {
		for i, o := range batch {
			var err error
			if verdicts[i], err = h.commitOne(t, now, o); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	return verdicts
}

// committed is all that a commit writes, without the moment at which it does.
func (h *hot) committed() string {
	h.t.Helper()
	var b strings.Builder
	if err := h.read(h.t.Context(), func(t *tx) error {
		b.Reset()
		for _, table := range []string{"cursor", "open_run", "run", "run_output", "attempt", "change", "job", "job_version"} {
			if err := t.query("SELECT (to_jsonb(x) - 'recorded_at' - 'xid')::text FROM "+table+" x ORDER BY 1", func(r row) error {
				fmt.Fprintln(&b, table, r.text(0))
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		h.t.Fatal(err)
	}
	return b.String()
}

// guess makes an outcome of where a job stands: of any kind, and now and then a
// wrong one.
func guess(r *rand.Rand, c jadwal.Cursor, round int) *jadwal.Outcome {
	o := &jadwal.Outcome{JobID: c.JobID, Version: c.Version, At: c.NextAt, Next: c.NextAt}
	wrong := r.IntN(6) == 0
	begun := at(round)
	end := func(key jadwal.RunKey, attempts int) {
		run := jadwal.Run{
			Key: key, Version: c.Version, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule, Attempts: attempts,
			StartedAt: begun, FinishedAt: begun.Add(time.Duration(r.IntN(90)) * time.Second), StatusCode: 200,
		}
		if r.IntN(3) == 0 {
			run.State, run.Reason, run.Message, run.StatusCode = jadwal.RunFailed, jadwal.ReasonHTTPStatus, "no\x00 luck \xff", 500
		}
		if r.IntN(2) == 0 {
			run.Output = []byte("half\x00 of\xff it")
		}
		if r.IntN(3) == 0 {
			run.ReadyAt, run.RetryOf = begun.Add(-time.Second), jadwal.RunKey{DueAt: 1, JobID: c.JobID, N: 3}
		}
		o.Records = append(o.Records, run)
	}
	for i, open := range c.Open {
		attempt, state := open.Attempt, open.State
		switch {
		case wrong && i == 0:
			attempt++
		case r.IntN(20) == 0:
			state = jadwal.RunCancelling
		}
		switch r.IntN(4) {
		case 0:
			o.Closes = append(o.Closes, jadwal.Close{Key: open.Key, Attempt: attempt, State: state})
			end(open.Key, max(1, open.Attempt))
		case 1:
			to := open
			to.Attempt, to.State, to.StartedAt = open.Attempt+1, jadwal.RunRunning, begun
			o.Begins = append(o.Begins, jadwal.Begin{Attempt: attempt, State: state, Run: to})
		case 2:
			to := open
			to.State, to.ReadyAt = jadwal.RunQueued, begun.Add(time.Minute)
			o.Begins = append(o.Begins, jadwal.Begin{Attempt: attempt, State: state, Run: to})
			o.Tried = append(o.Tried, jadwal.Attempt{Key: open.Key, Attempt: 100*round + i + 1, Version: c.Version, Reason: jadwal.ReasonTimeout, Message: "late", StartedAt: begun, FinishedAt: begun})
		}
	}
	if c.NextAt == 0 {
		return o
	}
	key := jadwal.RunKey{DueAt: c.NextAt, JobID: c.JobID}
	o.Started, o.Next = 1, c.NextAt+60e6
	switch r.IntN(5) {
	case 0:
		o.Opens = append(o.Opens, jadwal.OpenRun{Key: key, Version: c.Version, State: jadwal.RunQueued, Trigger: jadwal.TriggerSchedule, ReadyAt: begun})
	case 1:
		o.Opens = append(o.Opens, jadwal.OpenRun{
			Key: key, Version: c.Version, State: jadwal.RunRunning, Trigger: jadwal.TriggerManual, Attempt: 1, ReadyAt: begun, StartedAt: begun,
			RetryOf: jadwal.RunKey{DueAt: 1, JobID: c.JobID, N: 2},
		})
	case 2:
		missed := jadwal.Stretch{From: time.UnixMicro(c.NextAt), Through: time.UnixMicro(c.NextAt + 120e6), State: jadwal.RunMissed, Reason: jadwal.ReasonOverload}
		o.Records, o.Started, o.Next = append(o.Records, missed.Record(c.JobID, c.Version, begun)), 0, c.NextAt+180e6
	case 3:
		o.Started, o.Next = 0, o.At // it stays
	default:
		end(key, 1)
	}
	switch {
	case r.IntN(40) == 0:
		o.Next = 0
	case wrong && len(c.Open) == 0:
		o.At += 60e6
	case r.IntN(20) == 0:
		o.Version++
	}
	if r.IntN(12) == 0 {
		o.PauseAfter = 2 // this one goes by itself
	}
	return o
}

// The statement and the outcomes one by one leave the same rows and the same
// verdicts, whatever the batch.
func TestBothWaysLeaveTheSameRows(t *testing.T) {
	many, single := newHot(t, openPostgresTest), newHot(t, openPostgresTest)
	ids := []int64{many.job.ID}
	for i := range 11 {
		ids = append(ids, many.create(fmt.Sprintf("j%d", i), "* * * * *", at(1)).ID)
		single.create(fmt.Sprintf("j%d", i), "* * * * *", at(1))
	}
	r := rand.New(rand.NewPCG(7, 7))
	seen := map[jadwal.Verdict]int{}
	for round := range 60 {
		cursors, err := many.Cursors(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		var batch []*jadwal.Outcome
		for _, i := range r.Perm(len(cursors)) {
			if len(batch) == 0 || r.IntN(4) > 0 {
				batch = append(batch, guess(r, cursors[i], round))
			}
		}
		got, want := many.commit(at(round), batch...), single.oneByOne(at(round), batch)
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: verdicts %v, one by one %v", round, got, want)
		}
		for _, v := range got {
			seen[v]++
		}
		if a, b := many.committed(), single.committed(); a != b {
			t.Fatalf("round %d leaves\n%s\nand one by one\n%s", round, a, b)
		}
	}
	if rows := many.committed(); seen[jadwal.Recorded] < 200 || seen[jadwal.Rejected] < 20 || strings.Count(rows, "\nattempt ") < 10 || strings.Count(rows, "\nrun_output ") < 20 {
		t.Errorf("too little happened: %v", seen)
	}
}

// stalled runs fn while the cursor of h's job is locked, and returns once fn
// waits for it, with what ends the lock.
func (h *hot) stalled(fn func()) (free func(), ended <-chan struct{}) {
	h.t.Helper()
	d := h.db.(*postgresDB)
	lock, err := d.api.Begin(context.Background())
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := lock.Exec(context.Background(), "SELECT FROM cursor WHERE job_id = $1 FOR UPDATE", h.job.ID); err != nil {
		h.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	h.waits(1)
	return func() {
		if err := lock.Rollback(context.Background()); err != nil {
			h.t.Error(err)
		}
	}, done
}

// waits returns when so many backends wait for a lock.
func (h *hot) waits(n int64) {
	h.t.Helper()
	for range 2000 {
		found := int64(0)
		if err := h.read(context.Background(), func(t *tx) error {
			_, err := t.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()", func(r row) { found = r.int(0) })
			return err
		}); err != nil {
			h.t.Fatal(err)
		}
		if found == n {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	h.t.Fatalf("%d backends do not wait for a lock", n)
}

func TestCommitStatement(t *testing.T) {
	outcome := func(h *hot) *jadwal.Outcome {
		return &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(1), Next: us(2), Started: 1, Records: []jadwal.Run{h.succeeded(1)}}
	}
	t.Run("a batch that is sent again while the first one is on its way is recorded once", func(t *testing.T) {
		for _, kind := range []string{"plain", "open"} {
			h := newHot(t, openPostgresTest)
			o := outcome(h)
			if kind == "open" { // the cursor stays, so that only the open run tells
				h.commit(at(1), &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(1), Next: us(2), Started: 1, Opens: []jadwal.OpenRun{h.running(1)}})
				o.At, o.Started, o.Closes = us(2), 0, []jadwal.Close{{Key: h.running(1).Key, Attempt: 1, State: jadwal.RunRunning}}
			}
			verdicts := make(chan jadwal.Verdict, 2)
			send := func() {
				v, err := h.Commit(context.Background(), at(2), []*jadwal.Outcome{o})
				if err != nil {
					t.Error(err)
					v = []jadwal.Verdict{99}
				}
				verdicts <- v[0]
			}
			free, _ := h.stalled(send)
			go send()
			h.waits(2)
			free()
			if a, b := <-verdicts, <-verdicts; a+b != jadwal.Recorded+jadwal.Rejected {
				t.Errorf("%s: verdicts %d and %d", kind, a, b)
			}
			if v := h.violations(); len(v) > 0 {
				t.Error(v)
			}
			if n := strings.Count("\n"+h.committed(), "\nrun {"); n != 1 {
				t.Errorf("%s: %d records", kind, n)
			}
		}
	})
	t.Run("a node that was taken for dead writes nothing, and whoever removes its row waits for its commit", func(t *testing.T) {
		h := newHot(t, openPostgresTest)
		errs := make(chan error, 1)
		free, _ := h.stalled(func() {
			_, err := h.Commit(context.Background(), at(1), []*jadwal.Outcome{outcome(h)})
			errs <- err
		})
		removed := make(chan struct{})
		go func() {
			defer close(removed)
			h.execute("DELETE FROM node")
		}()
		h.waits(2)
		free()
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		<-removed
		before := h.committed()
		o := outcome(h)
		o.At, o.Next, o.Records[0].Key.DueAt = us(2), us(3), us(2)
		apart := *o
		apart.PauseAfter = 1
		for _, o := range []*jadwal.Outcome{o, &apart} {
			if _, err := h.Commit(t.Context(), at(2), []*jadwal.Outcome{o}); !errors.Is(err, jadwal.ErrFenced) {
				t.Errorf("error %v", err)
			}
		}
		if after := h.committed(); after != before {
			t.Errorf("it wrote\n%s\nover\n%s", after, before)
		}
	})
	t.Run("a renewal of the lease does not wait for a commit", func(t *testing.T) {
		h := newHot(t, openPostgresTest)
		free, done := h.stalled(func() { h.commit(at(1), outcome(h)) })
		h.execute("UPDATE node SET lease_until = lease_until - 1")
		free()
		<-done
	})
	t.Run("a lost answer is told from a failure", func(t *testing.T) {
		h := newHot(t, openPostgresTest)
		errs := make(chan error, 1)
		free, _ := h.stalled(func() {
			_, err := h.Commit(context.Background(), at(1), []*jadwal.Outcome{outcome(h)})
			errs <- err
		})
		h.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
		if err := <-errs; !errors.Is(err, jadwal.ErrUnknown) || jadwal.CodeOf(err) != jadwal.CodeUnavailable {
			t.Errorf("error %v", err)
		}
		free()
		if v := h.commit(at(1), outcome(h)); v[0] != jadwal.Recorded {
			t.Errorf("afterwards: %v", v)
		}
	})
	t.Run("two outcomes of one job in a batch are refused", func(t *testing.T) {
		h := newHot(t, openPostgresTest)
		before := h.committed()
		if _, err := h.Commit(t.Context(), at(1), []*jadwal.Outcome{outcome(h), outcome(h)}); err == nil {
			t.Error("no error")
		}
		if h.committed() != before {
			t.Error("something was written")
		}
	})
}

// The statement finds its rows by an index, with the one plan that it is given
// for all batches.
func TestCommitPlans(t *testing.T) {
	h := newHot(t, openPostgresTest)
	d := h.db.(*postgresDB)
	for name, sql := range map[string]string{"plain": commitPlainSQL, "open": commitOpenSQL} {
		t.Run(name, func(t *testing.T) {
			c, err := d.batch.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Release()
			if _, err := c.Exec(t.Context(), "DISCARD PLANS; PREPARE looked_at AS "+sql, pgx.QueryExecModeSimpleProtocol); err != nil {
				t.Fatal(err)
			}
			n := 1
			for strings.Contains(sql, fmt.Sprintf("$%d:", n+1)) {
				n++
			}
			rows, err := c.Query(t.Context(), "EXPLAIN EXECUTE looked_at("+strings.Repeat("NULL, ", n-1)+"NULL)", pgx.QueryExecModeSimpleProtocol)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Exec(t.Context(), "DEALLOCATE looked_at"); err != nil {
				t.Error(err)
			}
			plan := strings.Join(lines, "\n")
			for _, table := range []string{"cursor", "open_run"} {
				if strings.Contains(plan, "Seq Scan on "+table) || table == "cursor" && !strings.Contains(plan, "Index Scan using cursor_pkey on cursor") {
					t.Errorf("table %s is not found by an index:\n%s", table, plan)
				}
			}
			if !strings.Contains(plan, "Index Scan using node_pkey on node") {
				t.Errorf("the fence is not found by an index:\n%s", plan)
			}
			// What grows with the square of a batch: a loop over a loop.
			for _, other := range []string{"on job", "Scan on run", "Scan using run", "Bitmap", "Join Filter: (r", "Join Filter: (e", "Join Filter: (s", "Join Filter: (x"} {
				if strings.Contains(plan, other) {
					t.Errorf("%q in the plan:\n%s", other, plan)
				}
			}
			t.Log(plan)
		})
	}
}
