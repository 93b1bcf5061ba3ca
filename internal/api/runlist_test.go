package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// runsOf are the ids of the runs on all pages of a list.
func runsOf(t *testing.T, c *session, target string) (ids []string) {
	t.Helper()
	for target != "" {
		r := c.do("GET", target, "")
		if r.status != 200 {
			t.Fatalf("%s: got %s", target, r.body)
		}
		for _, run := range r.data.([]any) {
			ids = append(ids, run.(map[string]any)["id"].(string))
		}
		target = nextOf(t, r)
	}
	return ids
}

func TestRunsAcrossJobs(t *testing.T) {
	s := newServer(t)
	c, other, admin := s.asUser("arbath", false), s.asUser("other", false), s.login("admin", adminPassword)
	once := func(c *session, name string, ago time.Duration) string {
		at := time.Now().Add(-ago).UTC().Format(time.RFC3339)
		if r := c.do("POST", "/job", fmt.Sprintf(`{"name":%q,"schedules":[{"at":%q}],%s}`, name, at, hook)); r.status != 201 {
			t.Fatalf("got %s", r.body)
		}
		return eventually(t, func() (*response, bool) {
			r := c.do("GET", "/job/"+name, "")
			return r, r.text("last_run.id") != ""
		}).text("last_run.id")
	}
	a, b, d, x := once(c, "a", 40*time.Minute), once(c, "b", 30*time.Minute), once(c, "d", 10*time.Minute), once(other, "x", 20*time.Minute)

	for _, w := range []struct {
		rule   string
		as     *session
		target string
		want   []string
	}{
		{"a caller's own, newest first", c, "/run", []string{d, b, a}},
		{"page by page", c, "/run?limit=1", []string{d, b, a}},
		{"another's", other, "/run", []string{x}},
		{"a superuser's are all", admin, "/run?limit=3", []string{d, x, b, a}},
		{"of one job by name", c, "/run?job=b", []string{b}},
		{"of one job by id", c, "/run?job=2", []string{b}},
		{"of another's job, by a superuser", admin, "/run?job=4", []string{x}},
		{"in a state", c, "/run?state=succeeded,failed&limit=2", []string{d, b, a}},
		{"in a state that none is in", c, "/run?state=running", nil},
		{"for a reason that none has", c, "/run?reason=timeout", nil},
		{"by a trigger", c, "/run?trigger=schedule", []string{d, b, a}},
		{"by another trigger", c, "/job/a/run?trigger=manual", nil},
		{"of a job, in a state", c, "/job/a/run?state=succeeded", []string{a}},
		{"from an instant on", c, "/run?from=" + time.Now().Add(-35*time.Minute).UTC().Format(time.RFC3339), []string{d, b}},
		{"before an instant", c, "/run?limit=1&to=" + time.Now().Add(-25*time.Minute).UTC().Format(time.RFC3339), []string{b, a}},
	} {
		t.Run(w.rule, func(t *testing.T) {
			if got := runsOf(t, w.as, w.target); fmt.Sprint(got) != fmt.Sprint(w.want) {
				t.Errorf("got %v, want %v", got, w.want)
			}
		})
	}
	t.Run("from is included and to is not", func(t *testing.T) {
		due := c.do("GET", "/run/"+b, "").text("due_at")
		if got := runsOf(t, c, "/run?from="+due); fmt.Sprint(got) != fmt.Sprint([]string{d, b}) {
			t.Errorf("got %v", got)
		}
		if got := runsOf(t, c, "/run?to="+due); fmt.Sprint(got) != fmt.Sprint([]string{a}) {
			t.Errorf("got %v", got)
		}
	})
	t.Run("others' jobs are not known", func(t *testing.T) {
		for _, target := range []string{"/run?job=4", "/run?job=x"} {
			if r := c.do("GET", target, ""); r.status != 404 || r.message != "There is no such job" {
				t.Errorf("%s: got %s", target, r.body)
			}
		}
	})
	t.Run("a deleted job's are there by its id, for who may know of it", func(t *testing.T) {
		c.do("DELETE", "/job/b", "")
		for _, w := range []struct {
			as     *session
			target string
			want   int
		}{{c, "/run?job=2", 1}, {admin, "/run?job=2", 1}, {admin, "/run", 4}, {c, "/run", 2}} {
			if got := runsOf(t, w.as, w.target); len(got) != w.want {
				t.Errorf("%s: got %v", w.target, got)
			}
		}
		for _, target := range []string{"/run?job=2", "/run?job=b"} {
			if r := other.do("GET", target, ""); r.status != 404 {
				t.Errorf("%s: got %s", target, r.body)
			}
		}
		if r := c.do("GET", "/run?job=b", ""); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("whoever has more than 1,000 jobs names one", func(t *testing.T) {
		d := jadwal.DefaultDefinition()
		d.Target.URL = "https://example.com/"
		made := make(chan error, jadwal.MaxMergedJobs)
		for i := range jadwal.MaxMergedJobs {
			go func() {
				d := d
				d.Name = fmt.Sprint("many", i)
				_, err := s.store.CreateJob(context.Background(), jadwal.Actor{}, jadwal.Job{OwnerID: 3, Definition: d, State: jadwal.JobEnabled}, time.Now())
				made <- err
			}()
		}
		for range jadwal.MaxMergedJobs {
			if err := <-made; err != nil {
				t.Fatal(err)
			}
		}
		if r := other.do("GET", "/run", ""); r.status != 400 || r.text("errors.0.field") != "job" || r.text("errors.0.code") != "required" {
			t.Errorf("got %s", r.body)
		}
		if got := runsOf(t, other, "/run?job=x"); len(got) != 1 {
			t.Errorf("got %v", got)
		}
		other.do("DELETE", "/job/many0", "")
		if got := runsOf(t, other, "/run"); strings.Join(got, "") != x {
			t.Errorf("got %v", got)
		}
	})
}
