package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/schedule"
)

var hotDay = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func at(minute int) time.Time { return hotDay.Add(time.Duration(minute) * time.Minute) }

func us(minute int) int64 { return at(minute).UnixMicro() }

// hot is a store with a user and one job a minute, whose cursor stands at
// minute 1.
type hot struct {
	*Store
	t   *testing.T
	by  jadwal.Actor
	job jadwal.Job
}

func newHot(t *testing.T, open func(testing.TB) *Store) *hot {
	t.Helper()
	s := open(t)
	user, err := s.CreateUser(t.Context(), jadwal.Actor{}, jadwal.NewUser{Username: "root", Email: "root@example.com", PasswordHash: "x", IsSuperuser: true}, at(0))
	if err != nil {
		t.Fatal(err)
	}
	h := &hot{Store: s, t: t, by: jadwal.Actor{User: user}}
	h.job = h.create("minutely", "* * * * *", at(1))
	return h
}

// hotEach runs a test on each database.
func hotEach(t *testing.T, test func(t *testing.T, newHot func(*testing.T) *hot)) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) {
			test(t, func(t *testing.T) *hot { return newHot(t, open) })
		})
	}
}

// create makes a job and sees to its cursor.
func (h *hot) create(name, cron string, next time.Time) jadwal.Job {
	h.t.Helper()
	job := h.make(name, cron, next)
	if h.Shared() {
		news, err := h.Poll(h.t.Context(), jadwal.AllShards(), at(0), 0, 0)
		if err != nil || len(news.Changes) != 1 || news.Changes[0].Kind != jadwal.ChangeCreate {
			h.t.Fatalf("%+v, %v", news, err)
		}
		c := news.Changes[0]
		h.commit(at(0), &jadwal.Outcome{JobID: job.ID, Version: 1, At: c.Cursor.NextAt, Next: c.Cursor.NextAt, Applied: &jadwal.Applied{ChangeID: c.ID}})
	}
	return job
}

func (h *hot) make(name, cron string, next time.Time) jadwal.Job {
	h.t.Helper()
	def := jadwal.DefaultDefinition()
	def.Name, def.Schedules = name, []schedule.Spec{{Cron: cron}}
	job, err := h.CreateJob(h.t.Context(), h.by, jadwal.Job{OwnerID: h.by.User.ID, Definition: def, State: jadwal.JobEnabled, NextAt: next}, at(0))
	if err != nil {
		h.t.Fatal(err)
	}
	return job
}

func (h *hot) succeeded(minute int) jadwal.Run {
	return jadwal.Run{
		Key: jadwal.RunKey{DueAt: us(minute), JobID: h.job.ID}, Version: 1, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule,
		Attempts: 1, StartedAt: at(minute), FinishedAt: at(minute).Add(time.Second), StatusCode: 200,
	}
}

func (h *hot) running(minute int) jadwal.OpenRun {
	return jadwal.OpenRun{
		Key: jadwal.RunKey{DueAt: us(minute), JobID: h.job.ID}, Version: 1, State: jadwal.RunRunning, Trigger: jadwal.TriggerSchedule,
		Attempt: 1, ReadyAt: at(minute), StartedAt: at(minute),
	}
}

func (h *hot) commit(now time.Time, batch ...*jadwal.Outcome) []jadwal.Verdict {
	h.t.Helper()
	verdicts, err := h.Commit(h.t.Context(), now, batch)
	if err != nil {
		h.t.Fatal(err)
	}
	return verdicts
}

func (h *hot) cursor() jadwal.Cursor {
	h.t.Helper()
	all, err := h.Cursors(h.t.Context(), []int64{h.job.ID})
	if err != nil || len(all) != 1 {
		h.t.Fatal(all, err)
	}
	return all[0]
}

func (h *hot) violations() []string {
	h.t.Helper()
	found, err := h.Check(h.t.Context(), at(1000))
	if err != nil {
		h.t.Fatal(err)
	}
	var all []string
	for _, v := range found {
		all = append(all, v.String())
	}
	return all
}

// execute changes the database behind everybody's back.
func (h *hot) execute(sql string) {
	h.t.Helper()
	if err := h.write(h.t.Context(), laneAPI, func(t *tx) error {
		_, err := t.exec(sql)
		return err
	}); err != nil {
		h.t.Fatal(err)
	}
}

func TestCommit(t *testing.T) { hotEach(t, testCommit) }

func testCommit(t *testing.T, newHot func(*testing.T) *hot) {
	t.Run("a cursor moves from exactly where it stands", func(t *testing.T) {
		h := newHot(t)
		move := func(from, to int) *jadwal.Outcome {
			return &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(from), Next: us(to), Started: 1, Records: []jadwal.Run{h.succeeded(from)}}
		}
		if v := h.commit(at(1), move(1, 2)); v[0] != jadwal.Recorded {
			t.Fatal(v)
		}
		other := move(2, 3)
		other.Version = 2
		for _, again := range []*jadwal.Outcome{move(1, 2), move(3, 4), other} {
			if v := h.commit(at(2), again); v[0] != jadwal.Rejected {
				t.Errorf("%+v was recorded", again)
			}
		}
		if c := h.cursor(); c.NextAt != us(2) {
			t.Errorf("the cursor stands at %s", time.UnixMicro(c.NextAt))
		}
		if v := h.violations(); len(v) > 0 {
			t.Error(v)
		}
		job, err := h.Job(t.Context(), h.job.ID)
		if err != nil || job.LastRun == nil || job.LastRun.Key.DueAt != us(1) || job.LastRun.State != jadwal.RunSucceeded {
			t.Errorf("last run %+v, %v", job.LastRun, err)
		}
	})
	t.Run("an open run ends only in the attempt that it is in, and its rejection leaves everything as it was", func(t *testing.T) {
		h := newHot(t)
		h.commit(at(1), &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(1), Next: us(2), Started: 1, Opens: []jadwal.OpenRun{h.running(1)}})
		end := func(attempt int) *jadwal.Outcome {
			return &jadwal.Outcome{
				JobID: h.job.ID, Version: 1, At: us(2), Next: us(3),
				Records: []jadwal.Run{h.succeeded(1), jadwal.Stretch{From: at(2), Through: at(2), State: jadwal.RunSkipped, Reason: jadwal.ReasonOverlap}.Record(h.job.ID, 1, at(2))},
				Closes:  []jadwal.Close{{Key: h.running(1).Key, Attempt: attempt, State: jadwal.RunRunning}},
			}
		}
		if v := h.commit(at(2), end(2)); v[0] != jadwal.Rejected {
			t.Fatal(v)
		}
		if c := h.cursor(); c.NextAt != us(2) || len(c.Open) != 1 || c.Open[0] != h.running(1) {
			t.Errorf("after a rejection: %+v", c)
		}
		if v := h.commit(at(2), end(1)); v[0] != jadwal.Recorded {
			t.Fatal(v)
		}
		if c := h.cursor(); c.NextAt != us(3) || len(c.Open) != 0 {
			t.Errorf("afterwards: %+v", c)
		}
		if v := h.violations(); len(v) > 0 {
			t.Error(v)
		}
	})
	t.Run("a queued run begins only once", func(t *testing.T) {
		h := newHot(t)
		queued := h.running(1)
		queued.State, queued.Attempt, queued.StartedAt = jadwal.RunQueued, 0, time.Time{}
		h.commit(at(1), &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(1), Next: us(2), Opens: []jadwal.OpenRun{queued}})
		begin := &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(2), Next: us(2), Begins: []jadwal.Begin{{Attempt: 0, State: jadwal.RunQueued, Run: h.running(1)}}}
		if v := h.commit(at(2), begin); v[0] != jadwal.Recorded || h.cursor().Open[0].State != jadwal.RunRunning {
			t.Fatal(v, h.cursor())
		}
		if v := h.commit(at(2), begin); v[0] != jadwal.Rejected {
			t.Fatal(v)
		}
	})
	t.Run("a rejected outcome takes no other with it, a bad one takes all", func(t *testing.T) {
		h := newHot(t)
		second := h.create("second", "* * * * *", at(1))
		ok := &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(1), Next: us(2), Records: []jadwal.Run{h.succeeded(1)}}
		stale := &jadwal.Outcome{JobID: second.ID, Version: 1, At: us(7), Next: us(8)}
		if v := h.commit(at(1), stale, ok); v[0] != jadwal.Rejected || v[1] != jadwal.Recorded {
			t.Fatal(v)
		}
		bad := h.succeeded(2)
		bad.Reason = jadwal.ReasonTimeout // a success has none
		next := &jadwal.Outcome{JobID: second.ID, Version: 1, At: us(1), Next: us(2), Records: []jadwal.Run{{
			Key: jadwal.RunKey{DueAt: us(1), JobID: second.ID}, Version: 1, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule, Attempts: 1, StartedAt: at(1), FinishedAt: at(1),
		}}}
		if _, err := h.Commit(t.Context(), at(2), []*jadwal.Outcome{next, {JobID: h.job.ID, Version: 1, At: us(2), Next: us(3), Records: []jadwal.Run{bad}}}); err == nil {
			t.Fatal("it was recorded")
		}
		if runs, err := h.Runs(t.Context(), second.ID, jadwal.RunKey{}, 10); err != nil || len(runs) != 0 {
			t.Errorf("of a failed batch %v was recorded, %v", runs, err)
		}
	})
	t.Run("a change is applied once, with its version and its owner", func(t *testing.T) {
		h := newHot(t)
		edited := h.job
		edited.State = jadwal.JobPaused
		_, change, err := h.UpdateJob(t.Context(), h.by, edited, 1, at(1))
		if err != nil {
			t.Fatal(err)
		}
		news, err := h.Poll(t.Context(), jadwal.AllShards(), time.Now(), 0, us(5))
		if err != nil || len(news.Changes) != 1 || !h.Shared() && (len(news.Created) != 1 || news.Seen != h.job.ID) {
			t.Fatalf("%+v, %v", news, err)
		}
		p := news.Changes[0]
		if p.ID != change || p.Kind != jadwal.ChangePause || p.Old.State != jadwal.JobEnabled || p.New.State != jadwal.JobPaused || p.New.Version != 2 || p.Cursor.NextAt != us(1) || !p.EffectiveAt.Equal(at(0)) {
			t.Errorf("%+v", p)
		}
		apply := &jadwal.Outcome{
			JobID: h.job.ID, Version: 1, At: us(1), Applied: &jadwal.Applied{ChangeID: change, Version: 2, OwnerID: 42, EffectiveAt: at(0).Add(time.Second)},
		}
		if v := h.commit(at(1), apply); v[0] != jadwal.Recorded {
			t.Fatal(v)
		}
		if c := h.cursor(); c.Version != 2 || c.OwnerID != 42 || c.NextAt != 0 {
			t.Errorf("%+v", c)
		}
		if err := h.WaitApplied(t.Context(), change); err != nil {
			t.Error(err)
		}
		apply.Version, apply.At = 2, 0
		if v := h.commit(at(1), apply); v[0] != jadwal.Rejected {
			t.Error(v)
		}
		if v := h.violations(); len(v) > 0 {
			t.Error(v)
		}
	})
	t.Run("failures in a row pause a job, as the version after what was stored before", func(t *testing.T) {
		h := newHot(t)
		if _, _, err := h.UpdateJob(t.Context(), h.by, h.job, 1, at(1)); err != nil {
			t.Fatal(err)
		}
		if c := h.cursor(); c.Version != 1 || c.Stored != 2 {
			t.Errorf("after the edit: %+v", c)
		}
		failed := h.succeeded(1)
		failed.State, failed.Reason, failed.StatusCode = jadwal.RunFailed, jadwal.ReasonHTTPStatus, 404
		o := &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(1), Next: us(2), Records: []jadwal.Run{failed}, PauseAfter: 1}
		if v := h.commit(at(1), o); v[0] != jadwal.Paused || o.PausedAs != 3 {
			t.Fatalf("%v as version %d", v, o.PausedAs)
		}
		if c := h.cursor(); c.Version != 1 || c.Stored != 3 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("where jobs stand is told beside one that does not exist", func(t *testing.T) {
		h := newHot(t)
		if all, err := h.Cursors(t.Context(), []int64{h.job.ID + 7, h.job.ID}); err != nil || len(all) != 1 || all[0].JobID != h.job.ID {
			t.Errorf("%+v, %v", all, err)
		}
	})
	t.Run("a job is not completed under a waiting change", func(t *testing.T) {
		h := newHot(t)
		if _, _, err := h.UpdateJob(t.Context(), h.by, h.job, 1, at(1)); err != nil {
			t.Fatal(err)
		}
		if v := h.commit(at(1), &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(1), Complete: true, Records: []jadwal.Run{h.succeeded(1)}}); v[0] != jadwal.Recorded {
			t.Error(v)
		}
		if job, err := h.Job(t.Context(), h.job.ID); err != nil || job.State != jadwal.JobEnabled || job.Version != 2 {
			t.Errorf("%s, version %d, %v", job.State, job.Version, err)
		}
	})
	t.Run("a completed job has a version of its own", func(t *testing.T) {
		h := newHot(t)
		if v := h.commit(at(1), &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(1), Complete: true, Records: []jadwal.Run{h.succeeded(1)}}); v[0] != jadwal.Completed {
			t.Error(v)
		}
		job, err := h.Job(t.Context(), h.job.ID)
		if err != nil || job.State != jadwal.JobCompleted || job.Version != 2 || !job.UpdatedAt.After(at(0)) || h.cursor().Version != 2 {
			t.Errorf("%+v, %v", job, err)
		}
	})
}

// digest is everything in the tables, as text.
func (h *hot) digest() string {
	h.t.Helper()
	var b strings.Builder
	if err := h.read(h.t.Context(), func(t *tx) error {
		b.Reset()
		var tables []string
		if err := t.query(t.text("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
			"SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname"),
			func(r row) error {
				tables = append(tables, r.text(0))
				return nil
			}); err != nil {
			return err
		}
		for _, table := range tables {
			if err := t.query(t.text("SELECT * FROM "+table+" ORDER BY 1, 2", "SELECT x::text FROM "+table+" x ORDER BY 1"), func(r row) error {
				fmt.Fprint(&b, table)
				for i := range r.columns() {
					fmt.Fprintf(&b, " %q", r.text(i))
				}
				fmt.Fprintln(&b)
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

func (r row) columns() int {
	if r.pg != nil {
		return len(r.pg.raw)
	}
	return r.st.ColumnCount()
}

// An outcome that closes, begins, opens, records and applies, and is wrong in
// one thing only, leaves no trace.
func TestWhatIsRejectedWritesNothing(t *testing.T) { hotEach(t, testWhatIsRejectedWritesNothing) }

func testWhatIsRejectedWritesNothing(t *testing.T, newHot func(*testing.T) *hot) {
	h := newHot(t)
	queued := h.running(2)
	queued.State, queued.Attempt, queued.StartedAt = jadwal.RunQueued, 0, time.Time{}
	h.commit(at(2),
		&jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(1), Next: us(3), Started: 1, Opens: []jadwal.OpenRun{h.running(1), queued}})
	paused := h.job
	paused.State = jadwal.JobPaused
	_, change, err := h.UpdateJob(t.Context(), h.by, paused, 1, at(2))
	if err != nil {
		t.Fatal(err)
	}
	right := func() *jadwal.Outcome {
		return &jadwal.Outcome{
			JobID: h.job.ID, Version: 1, At: us(3), Started: 1,
			Records: []jadwal.Run{h.succeeded(1)},
			Closes:  []jadwal.Close{{Key: h.running(1).Key, Attempt: 1, State: jadwal.RunRunning}},
			Begins:  []jadwal.Begin{{Attempt: 0, State: jadwal.RunQueued, Run: h.running(2)}},
			Opens:   []jadwal.OpenRun{h.running(3)},
			Applied: &jadwal.Applied{ChangeID: change, Version: 2, OwnerID: h.job.OwnerID, EffectiveAt: at(3)},
		}
	}
	before := h.digest()
	for _, tt := range []struct {
		rule string
		bend func(*jadwal.Outcome)
	}{
		{"the cursor has an older version", func(o *jadwal.Outcome) { o.Version = 2 }},
		{"the cursor has a newer version", func(o *jadwal.Outcome) { o.Version = 0 }},
		{"the cursor stands earlier", func(o *jadwal.Outcome) { o.At = us(4) }},
		{"the cursor stands later", func(o *jadwal.Outcome) { o.At = us(2) }},
		{"the cursor stands somewhere", func(o *jadwal.Outcome) { o.At = 0 }},
		{"there is no such job", func(o *jadwal.Outcome) { o.JobID = 99 }},
		{"the run that ends is in an earlier attempt", func(o *jadwal.Outcome) { o.Closes[0].Attempt = 2 }},
		{"the run that ends is in a later attempt", func(o *jadwal.Outcome) { o.Closes[0].Attempt = 0 }},
		{"the run that ends waits again", func(o *jadwal.Outcome) { o.Closes[0].State = jadwal.RunQueued }},
		{"the run that begins runs already", func(o *jadwal.Outcome) { o.Begins[0].State = jadwal.RunRunning }},
		{"the run that ends is not open", func(o *jadwal.Outcome) { o.Closes[0].Key.N = 7 }},
		{"the second run that ends is not open", func(o *jadwal.Outcome) {
			o.Closes = append(o.Closes, jadwal.Close{Key: h.running(5).Key, Attempt: 1, State: jadwal.RunRunning})
		}},
		{"the run that begins has begun less", func(o *jadwal.Outcome) { o.Begins[0].Attempt = 1 }},
		{"the run that begins is not open", func(o *jadwal.Outcome) { o.Begins[0].Run.Key.N = 7 }},
		{"the change is not there", func(o *jadwal.Outcome) { o.Applied.ChangeID = change + 1 }},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			o := right()
			tt.bend(o)
			if v, err := h.Commit(t.Context(), at(3), []*jadwal.Outcome{o}); err != nil || v[0] != jadwal.Rejected {
				t.Errorf("verdict %v, %v", v, err)
			}
			if after := h.digest(); after != before {
				t.Errorf("the tables were\n%s\nand are\n%s", before, after)
			}
		})
	}
	if v := h.commit(at(3), right()); v[0] != jadwal.Recorded || h.digest() == before {
		t.Errorf("the right one: verdict %v", v)
	}
}

func TestLoad(t *testing.T) { hotEach(t, testLoad) }

func testLoad(t *testing.T, newHot func(*testing.T) *hot) {
	h := newHot(t)
	var ids []int64
	for i := range 4 {
		ids = append(ids, h.create(fmt.Sprintf("j%d", i), "* * * * *", at(10-i)).ID)
	}
	ids = append(ids, h.make("j4", "* * * * *", at(6)).ID)
	found, err := h.Load(t.Context(), jadwal.AllShards(), us(6), us(10), ids[3])
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, d := range found {
		got = append(got, d.JobID)
	}
	// j0 falls due at the end of the window, j4 is not known yet.
	if fmt.Sprint(got) != fmt.Sprint([]int64{ids[3], ids[2], ids[1]}) {
		t.Errorf("loaded %v of %v", got, ids)
	}
	jobs, considered, err := h.Definitions(t.Context(), append([]int64{999}, ids...), 1)
	if err != nil || considered != 2 || len(jobs) != 1 || jobs[0].ID != ids[0] {
		t.Errorf("%d definitions of %d, %v", len(jobs), considered, err)
	}
	if _, err := h.DeleteJob(t.Context(), h.by, ids[0], at(1)); err != nil {
		t.Fatal(err)
	}
	jobs, considered, err = h.Definitions(t.Context(), ids, 1<<20)
	if err != nil || considered != 5 || len(jobs) != 4 {
		t.Errorf("%d definitions of %d, %v", len(jobs), considered, err)
	}
	some := jadwal.ShardSet{}
	some.Add(jadwal.ShardOf(ids[2]))
	if found, err := h.Load(t.Context(), some, us(6), us(10), ids[3]); err != nil || len(found) != 1 || found[0].JobID != ids[2] {
		t.Errorf("of one shard: %v, %v", found, err)
	}
	if h.Shared() {
		return // nobody has all shards by beginning
	}
	one, err := h.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if two, err := h.Begin(t.Context()); err != nil || two[0] != one[0]+1 || two[1023] != two[0] {
		t.Errorf("epochs %d and %d, %v", one[0], two[0], err)
	}
}

// The statements of the hot path go by an index: none reads a whole table.
func TestHotPlans(t *testing.T) {
	h := newHot(t, openSQLiteTest)
	for _, c := range []struct{ name, sql, want string }{
		{"load", loadSQL, "SEARCH cursor USING INDEX cursor_due (next_at>? AND next_at<?)"},
		{"created", createdSQL, "SEARCH cursor USING INTEGER PRIMARY KEY (rowid>?)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var plan []string
			if err := h.read(t.Context(), func(x *tx) error {
				args := make([]any, strings.Count(c.sql, "$"))
				for i := range args {
					args[i] = int64(0)
				}
				return x.query("EXPLAIN QUERY PLAN "+c.sql, func(r row) error {
					plan = append(plan, r.text(3))
					return nil
				}, args...)
			}); err != nil {
				t.Fatal(err)
			}
			if strings.Join(plan, "; ") != c.want {
				t.Errorf("plan is %q", plan)
			}
		})
	}
}

// What Check is for: each of these is done to a sound database.
func TestCheckFinds(t *testing.T) { hotEach(t, testCheckFinds) }

func testCheckFinds(t *testing.T, newHot func(*testing.T) *hot) {
	for _, c := range []struct{ wrong, sql, want string }{
		{"a lost record", "DELETE FROM run WHERE due_at = {minute 2}", "I1: job 1: the instant 2030-01-01T00:02:00.000Z has no record, nor has anything up to 2030-01-01T00:03:00.000Z"},
		{"a cursor that passed an instant", "UPDATE cursor SET next_at = next_at + 120000000", "I1: job 1: the instant 2030-01-01T00:06:00.000Z has no record, nor has anything after it"},
		{"a cursor that went back", "UPDATE cursor SET next_at = next_at - 60000000", "I6: job 1: the instant 2030-01-01T00:05:00.000Z is recorded, but the cursor stands at 2030-01-01T00:05:00.000Z"},
		{"a lost cursor", "UPDATE cursor SET next_at = NULL", "I1: job 1: the instant 2030-01-01T00:06:00.000Z has no record, nor has anything after it"},
		{"a record that nothing planned", "UPDATE run SET due_at = due_at + 1000000 WHERE due_at = {minute 2}", "I1: job 1: the instant 2030-01-01T00:02:01.000Z is recorded, but no version planned it"},
		{"a record twice", "INSERT INTO run (due_at, job_id, n, version, state, reason, trigger_by, attempts, started_at, finished_at, status_code, message) SELECT due_at, job_id, 0, version, state, reason, trigger_by, attempts, started_at, finished_at, status_code, message FROM run WHERE due_at = {minute 2}", "I2: job 1: the instant 2030-01-01T00:02:00.000Z has two records"},
		{"a manual run that is recorded and open", "INSERT INTO run (due_at, job_id, n, version, state, reason, trigger_by, attempts, started_at, finished_at, status_code, message) SELECT due_at, job_id, 1, version, state, reason, 'manual', attempts, started_at, finished_at, status_code, message FROM run WHERE due_at = {minute 2}; INSERT INTO open_run VALUES ({minute 2}, 1, 1, 1, 'queued', 'manual', 0, {minute 2}, NULL, NULL)", "I2: job 1: run "},
		{"a record and an open run of one instant", "INSERT INTO open_run VALUES ({minute 2}, 1, 0, 1, 'queued', 'schedule', 0, {minute 2}, NULL, NULL)", "I2: job 1: the instant 2030-01-01T00:02:00.000Z has two records"},
		{"a range over another record", "UPDATE run SET through_at = through_at + 60000000 WHERE through_at IS NOT NULL", "I2: job 1: the instant 2030-01-01T00:05:00.000Z has two records"},
		{"a range that goes too far", "UPDATE run SET through_at = through_at + 30000000 WHERE through_at IS NOT NULL", "I1: job 1: the range from 2030-01-01T00:03:00.000Z ends at 2030-01-01T00:04:30.000Z, which version 1 did not plan"},
		{"a range of another version", "UPDATE run SET version = 7 WHERE through_at IS NOT NULL", "I1: job 1: the range from 2030-01-01T00:03:00.000Z is of version 7, but version 1 planned it"},
		{"too many attempts", "UPDATE run SET attempts = 9 WHERE due_at = {minute 1}", "I4: job 1: run"},
		{"a success without an attempt", "UPDATE run SET attempts = 0 WHERE due_at = {minute 1}", "I5: job 1: run"},
		{"a skip with an attempt", "UPDATE run SET attempts = 1 WHERE through_at IS NOT NULL", "I5: job 1: run"},
		{"a job ahead of its cursor without a change", "UPDATE job SET version = 2", "I6: job 1: its cursor is of version 1, the job of 2, and no change is waiting"},
		{"a cursor ahead of its job", "UPDATE cursor SET version = 2", "I6: job 1: its cursor is of version 2, beyond the job's 1"},
	} {
		t.Run(c.wrong, func(t *testing.T) {
			h := newHot(t)
			for m := 1; m <= 2; m++ {
				h.commit(at(m), &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(m), Next: us(m + 1), Records: []jadwal.Run{h.succeeded(m)}})
			}
			h.commit(at(5), &jadwal.Outcome{JobID: h.job.ID, Version: 1, At: us(3), Next: us(6), Records: []jadwal.Run{
				jadwal.Stretch{From: at(3), Through: at(4), State: jadwal.RunSkipped, Reason: jadwal.ReasonOverlap}.Record(h.job.ID, 1, at(5)), h.succeeded(5),
			}})
			if v := h.violations(); len(v) > 0 {
				t.Fatalf("a sound database has %v", v)
			}
			if _, shared := h.db.(*postgresDB); !shared && c.wrong == "a record twice" {
				return // its key refuses that
			}
			for _, sql := range strings.Split(strings.NewReplacer("{minute 1}", fmt.Sprint(us(1)), "{minute 2}", fmt.Sprint(us(2))).Replace(c.sql), ";") {
				h.execute(sql)
			}
			got := h.violations()
			if !slices.ContainsFunc(got, func(v string) bool { return strings.HasPrefix(v, c.want) }) {
				t.Errorf("found %v, want %s", got, c.want)
			}
		})
	}
}
