package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/dirtest"
)

var inheritStart = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

func addUser(t testing.TB, s *Store, name string, superuser bool) jadwal.User {
	t.Helper()
	u, err := s.CreateUser(t.Context(), jadwal.Actor{}, jadwal.NewUser{Username: name, Email: name + "@example.com", PasswordHash: "h", IsSuperuser: superuser}, inheritStart)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// addJobs makes jobs of one owner, job0 and so on, and returns the first id.
func addJobs(t testing.TB, s *Store, owner int64, n int) (first int64) {
	t.Helper()
	const definition = `{"name": "%s", "schedules": [{"every": "1h"}], "target": {"type": "http", "url": "http://example.com/"}}`
	if err := s.write(t.Context(), laneAPI, func(t *tx) error {
		for i := range n {
			id, name := int64(0), fmt.Sprintf("job%d", i)
			text := fmt.Sprintf(definition, name)
			if _, err := t.one(`INSERT INTO job (owner_id, name, definition, state, version, created_at, updated_at) VALUES ($1, $2, $3, 'enabled', 1, $4, $4) RETURNING id`,
				func(r row) { id = r.int(0) }, owner, name, text, inheritStart); err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO job_version (job_id, version, definition, state, effective_at) VALUES ($1, 1, $2, 'enabled', $3)`, id, text, inheritStart); err != nil {
				return err
			}
			if _, err := t.exec(`INSERT INTO cursor (job_id, owner_id, version, next_at) VALUES ($1, $2, 1, $3)`, id, owner, inheritStart.Add(time.Hour)); err != nil {
				return err
			}
			if i == 0 {
				first = id
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return first
}

// arrived counts the jobs that are whole with an heir: paused, as their second
// version, with a change each.
func arrived(t testing.TB, s *Store, heir int64) (n int) {
	t.Helper()
	if err := s.read(t.Context(), func(t *tx) error {
		_, err := t.one(`SELECT COUNT(*) FROM job j JOIN job_version v ON v.job_id = j.id AND v.version = 2 JOIN change c ON c.job_id = j.id AND c.version = 2 AND c.kind = 'pause'
			WHERE j.owner_id = $1 AND j.state = 'paused' AND v.state = 'paused' AND j.pause_reason = 'owner_deleted' AND j.version = 2 AND j.egress_limited = 1`,
			func(r row) { n = int(r.int(0)) }, heir)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestManyJobsOfADeletedUser(t *testing.T) {
	const jobs = 2*inheritStep + 7
	t.Run("all of them have gone when the answer comes, and no mark is left", func(t *testing.T) {
		s := openTest(t, dirtest.New(t), nil)
		boss, ani := addUser(t, s, "boss", true), addUser(t, s, "ani", false)
		addJobs(t, s, ani.ID, jobs)
		addJobs(t, s, boss.ID, inheritStep+1) // whose names are taken
		if err := s.DeleteUser(t.Context(), jadwal.Actor{User: boss}, ani.ID, inheritStart); err != nil {
			t.Fatal(err)
		}
		if n := arrived(t, s, boss.ID); n != jobs {
			t.Errorf("%d jobs have arrived", n)
		}
		for name, owner := range map[string]int64{"job0": boss.ID, "job0.u2": boss.ID, fmt.Sprintf("job%d.u2", inheritStep): boss.ID, fmt.Sprintf("job%d", jobs-1): boss.ID} {
			if _, err := s.JobByName(t.Context(), owner, name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if left := keys(t, s); len(left) != 0 {
			t.Errorf("left in meta: %v", left)
		}
	})
	t.Run("one write takes no more than a step, and others come in between", func(t *testing.T) {
		s := openTest(t, dirtest.New(t), nil)
		boss, ani := addUser(t, s, "boss", true), addUser(t, s, "ani", false)
		addJobs(t, s, ani.ID, jobs)
		if err := s.deleteUser(t.Context(), jadwal.Actor{User: boss}, ani.ID, inheritStart); err != nil {
			t.Fatal(err)
		}
		if _, known := s.UserByID(ani.ID); known {
			t.Error("the user is still known")
		}
		for _, want := range []int{inheritStep, 2 * inheritStep, jobs} {
			if more, err := s.inheritOnce(t.Context(), inheritStart); err != nil || !more {
				t.Fatal(more, err)
			}
			if n := arrived(t, s, boss.ID); n != want {
				t.Errorf("%d jobs have arrived, want %d", n, want)
			}
		}
	})
	t.Run("what a crash has left on the way arrives after the next start", func(t *testing.T) {
		dir := dirtest.New(t)
		s, err := Open(t.Context(), Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		boss, ani := addUser(t, s, "boss", true), addUser(t, s, "ani", false)
		addJobs(t, s, ani.ID, jobs)
		if err := s.deleteUser(t.Context(), jadwal.Actor{User: boss}, ani.ID, inheritStart); err != nil {
			t.Fatal(err)
		}
		if _, err := s.inheritOnce(t.Context(), inheritStart); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openTest(t, dir, nil)
		if err := s.inherit(t.Context(), inheritStart.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if n := arrived(t, s, boss.ID); n != jobs {
			t.Errorf("%d jobs have arrived", n)
		}
		if left := keys(t, s); len(left) != 0 {
			t.Errorf("left in meta: %v", left)
		}
	})
	t.Run("an heir who is deleted meanwhile passes them on", func(t *testing.T) {
		s := openTest(t, dirtest.New(t), nil)
		boss, chief, ani := addUser(t, s, "boss", true), addUser(t, s, "chief", true), addUser(t, s, "ani", false)
		addJobs(t, s, ani.ID, jobs)
		if err := s.deleteUser(t.Context(), jadwal.Actor{User: chief}, ani.ID, inheritStart); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteUser(t.Context(), jadwal.Actor{User: boss}, chief.ID, inheritStart); err != nil {
			t.Fatal(err)
		}
		if n := arrived(t, s, boss.ID); n != jobs {
			t.Errorf("%d jobs have arrived", n)
		}
	})
}

// BenchmarkInherit measures how long one step holds the writer: beside a step,
// what 51,200 jobs take as a whole.
func BenchmarkInherit(b *testing.B) {
	const jobs = 51_200
	for b.Loop() {
		b.StopTimer()
		s := openTest(b, b.TempDir(), nil)
		boss, ani := addUser(b, s, "boss", true), addUser(b, s, "ani", false)
		addJobs(b, s, ani.ID, jobs)
		b.StartTimer()
		if err := s.deleteUser(b.Context(), jadwal.Actor{User: boss}, ani.ID, inheritStart); err != nil {
			b.Fatal(err)
		}
		var all, longest time.Duration
		for more := true; more; {
			begun := time.Now()
			var err error
			if more, err = s.inheritOnce(b.Context(), inheritStart); err != nil {
				b.Fatal(err)
			}
			took := time.Since(begun)
			all, longest = all+took, max(longest, took)
		}
		b.ReportMetric(float64(longest.Milliseconds()), "ms/longest-step")
		b.ReportMetric(float64(longest)/float64(all), "longest/all")
	}
}
