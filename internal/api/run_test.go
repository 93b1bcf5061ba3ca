package api

import (
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/schedule"
)

func TestRuns(t *testing.T) {
	s := newServer(t)
	c, other, admin := s.asUser("arbath", false), s.asUser("other", false), s.login("admin", adminPassword)
	if r := c.do("POST", "/job", `{"name":"often","schedules":[{"every":"1s"}],`+hook+`}`); r.status != 201 {
		t.Fatalf("got %s", r.body)
	}
	eventually(t, func() (*response, bool) {
		r := c.do("GET", "/job/often/run", "")
		return r, len(r.data.([]any)) >= 3
	})
	c.do("POST", "/job/often/pause", "")
	all := c.do("GET", "/job/often/run", "")
	if all.message != "List of runs of job often" {
		t.Errorf("got %s", all.body)
	}
	var ids []string
	last := "9999"
	for _, run := range all.data.([]any) {
		run := run.(map[string]any)
		if due := run["due_at"].(string); due >= last {
			t.Errorf("%s is not before %s", due, last)
		} else {
			last = due
		}
		if _, there := run["output"]; there {
			t.Errorf("a list has outputs: %s", all.body)
		}
		ids = append(ids, run["id"].(string))
	}
	target, paged := "/job/often/run?limit=2", []string{}
	for target != "" {
		r := c.do("GET", target, "")
		for _, run := range r.data.([]any) {
			paged = append(paged, run.(map[string]any)["id"].(string))
		}
		target = nextOf(t, r)
	}
	if strings.Join(paged, " ") != strings.Join(ids, " ") {
		t.Errorf("got %v, want %v", paged, ids)
	}
	oldest := ids[len(ids)-1]
	r := c.do("GET", "/run/"+oldest, "")
	for path, want := range map[string]string{
		"id": oldest, "job_id": "1", "version": "1", "state": "succeeded", "trigger": "schedule", "attempts": "1", "status_code": "200",
		"message": "", "output": "glad\uFFFD",
	} {
		if got := r.text(path); got != want {
			t.Errorf("%s is %q", path, got)
		}
	}
	for _, path := range []string{"reason", "through_at"} {
		if v, there := memberOf(r, path); v != nil || !there {
			t.Errorf("%s is %v", path, v)
		}
	}
	for _, path := range []string{"due_at", "started_at", "finished_at", "lateness_ms"} {
		if r.text(path) == "" {
			t.Errorf("%s is missing: %s", path, r.body)
		}
	}
	if r := other.do("GET", "/run/"+oldest, ""); r.status != 404 || r.message != "There is no such run" {
		t.Errorf("got %s", r.body)
	}
	if r := admin.do("GET", "/run/"+oldest, ""); r.status != 200 {
		t.Errorf("got %s", r.body)
	}
	unknown := jadwal.RunKey{DueAt: 1, JobID: 1}.ID()
	for target, want := range map[string]int{
		"/run/" + unknown: 404, "/run/" + (jadwal.RunKey{DueAt: 1, JobID: 999}).ID(): 404, "/run/" + oldest[1:]: 400, "/run/" + strings.ToUpper(oldest): 400,
		"/run/1": 400, "/run/" + oldest + "0": 400, "/job/often/run?cursor=x": 400, "/job/often/run?cursor=" + unknown: 200, "/job/often/run?limit=0": 400,
	} {
		if r := c.do("GET", target, ""); r.status != want {
			t.Errorf("%s: got %d %s", target, r.status, r.body)
		}
	}
	c.do("DELETE", "/job/often", "")
	if r := c.do("GET", "/run/"+oldest, ""); r.status != 200 {
		t.Errorf("history is gone with its job: %s", r.body)
	}
}

func TestQueuedRun(t *testing.T) {
	now := time.Date(2026, 11, 23, 10, 0, 30, 0, time.UTC)
	d := jadwal.DefaultDefinition()
	d.Schedules = append(d.Schedules, schedule.Spec{Cron: "* * * * *"})
	job := jadwal.Job{ID: 7, Definition: d, State: jadwal.JobEnabled, Version: 3, NextAt: now.Add(-90 * time.Second), CreatedAt: now.Add(-time.Hour)}
	paused := job
	paused.State = jadwal.JobPaused
	done := job
	done.NextAt = time.Time{}
	for _, c := range []struct {
		rule string
		job  jadwal.Job
		at   time.Duration // from the cursor
		n    uint16
		want bool
	}{
		{"the cursor itself, being due", job, 0, 0, true},
		{"a later instant that is due", job, time.Minute, 0, true},
		{"an instant to come", job, 2 * time.Minute, 0, false},
		{"an instant that is recorded already", job, -time.Minute, 0, false},
		{"no instant of the plan", job, 30 * time.Second, 0, false},
		{"a manual run is never computed", job, 0, 1, false},
		{"a paused job queues nothing", paused, 0, 0, false},
		{"a job without a next instant queues nothing", done, 0, 0, false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			key := jadwal.RunKey{DueAt: job.NextAt.Add(c.at).UnixMicro(), JobID: 7, N: c.n}
			run, err := queuedRun(c.job, key, now)
			if (err == nil) != c.want || err != nil && jadwal.CodeOf(err) != jadwal.CodeNotFound {
				t.Fatalf("got %+v, %v", run, err)
			}
			if err == nil && (run.State != jadwal.RunQueued || run.Key != key || run.Version != 3) {
				t.Errorf("got %+v", run)
			}
		})
	}
}

func TestPreview(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	ask := func(body string) *response { return c.do("POST", "/schedule/preview", body) }
	t.Run("daylight saving is noted", func(t *testing.T) {
		r := ask(`{"schedules":[{"cron":"30 2 * * *"}],"timezone":"America/New_York","from":"2027-03-13T12:00:00Z","count":2}`)
		for path, want := range map[string]string{
			"occurrences.0.at": "2027-03-14T07:00:00.000000Z", "occurrences.0.local": "2027-03-14T03:00:00.000000-04:00", "occurrences.0.note": "moved",
			"occurrences.1.at": "2027-03-15T06:30:00.000000Z", "occurrences.1.note": "", "description.en": "At 02:30 every day",
		} {
			if got := r.text(path); got != want {
				t.Errorf("%s is %q: %s", path, got, r.body)
			}
		}
		if r.text("description.id") == "" || r.message != "Preview of the schedules" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("without from and count they are the next ten", func(t *testing.T) {
		r := ask(`{"schedules":[{"every":"1h"}]}`)
		list, _ := r.member("occurrences").([]any)
		if len(list) != 10 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("what is often not meant is told", func(t *testing.T) {
		if r := ask(`{"schedules":[{"cron":"* 2 * * *"}]}`); r.text("warnings.0.field") != "schedules[0]" || r.text("warnings.0.message") == "" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a plan that has ended has no occurrences", func(t *testing.T) {
		if r := ask(`{"schedules":[{"at":"2020-01-01T00:00:00Z"}]}`); r.status != 200 || r.text("occurrences") != "[]" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("start_at and end_at bound it as they do a job", func(t *testing.T) {
		r := ask(`{"schedules":[{"rrule":"FREQ=MONTHLY;BYDAY=-1FR"},{"every":"720h"}],"timezone":"Asia/Jakarta","start_at":"2026-01-05T09:00:00+07:00","end_at":"2026-01-30T09:00:00+07:00","from":"2020-01-01T00:00:00Z"}`)
		for path, want := range map[string]string{
			"occurrences.0.local": "2026-01-05T09:00:00.000000+07:00", "occurrences.1.local": "2026-01-30T09:00:00.000000+07:00", "occurrences.2": "", "warnings": "[]",
		} {
			if got := r.text(path); got != want {
				t.Errorf("%s is %q: %s", path, got, r.body)
			}
		}
		r = ask(`{"schedules":[{"cron":"@yearly"}],"start_at":"2027-02-01T00:00:00Z","end_at":"2027-03-01T00:00:00Z"}`)
		if r.status != 200 || r.text("warnings.0.code") != "no_occurrence" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("an at that has passed is told", func(t *testing.T) {
		r := ask(`{"schedules":[{"at":"2999-01-01T00:00:00Z"},{"at":"2020-01-01T00:00:00Z"}],"from":"2019-01-01T00:00:00Z"}`)
		if r.status != 200 || r.text("warnings.0.code") != "in_past" || r.text("warnings.0.field") != "schedules[1]" || r.text("warnings.1") != "" {
			t.Errorf("got %s", r.body)
		}
	})
	for body, field := range map[string]string{
		`{"schedules":[{"every":"1h"}],"start_at":"2027-01-01T00:00:00"}`: "start_at", `{"schedules":[{"every":"1h"}],"end_at":5}`: "end_at",
		`{"schedules":[{"every":"1h"}],"start_at":"2027-01-02T00:00:00Z","end_at":"2027-01-01T00:00:00Z"}`: "end_at", `{"cron":"* * * * *"}`: "cron",
		`{}`: "schedules", `{"schedules":[]}`: "schedules", `{"schedules":[{}]}`: "schedules[0]", `{"schedules":[{"cron":"x"}]}`: "schedules[0].cron",
		`{"schedules":[{"every":"1h"}],"count":0}`: "count", `{"schedules":[{"every":"1h"}],"count":1001}`: "count", `{"schedules":[{"every":"1h"}],"count":1.5}`: "count",
		`{"schedules":[{"every":"1h"}],"count":99999999999999999999}`: "count", `{"schedules":[{"every":"1h"}],"count":"5"}`: "count",
		`{"schedules":[{"every":"1h"}],"from":"tomorrow"}`: "from", `{"schedules":[{"every":"1h"}],"from":5}`: "from", `{"schedules":[{"every":"1h"}],"from":null}`: "from",
		`{"schedules":[{"every":"1h"}],"from":"2026-11-23T10:00:00"}`: "from", `{"schedules":[{"every":"1h"}],"timezone":"UTC+7"}`: "timezone",
		`{"schedules":[{"every":"1h"}],"dst":{"gap":"jump"}}`: "dst.gap",
	} {
		if r := ask(body); r.status != 400 || r.text("errors.0.field") != field {
			t.Errorf("%s: got %d %s", body, r.status, r.body)
		}
	}
}
