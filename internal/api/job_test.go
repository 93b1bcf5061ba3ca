package api

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

const hook = `"target":{"url":"https://example.com/hook"}`

// createJob makes a job with a cron schedule and returns its id.
func (c *session) createJob(name string) string {
	c.s.t.Helper()
	r := c.do("POST", "/job", `{"name":"`+name+`","schedules":[{"cron":"30 2 * * *"}],`+hook+`}`)
	if r.status != 201 {
		c.s.t.Fatalf("create %s: %s", name, r.body)
	}
	return r.text("id")
}

func TestJobTranscript(t *testing.T) {
	s := newServer(t)
	admin := s.login("admin", adminPassword)
	tr := &transcript{t: t}
	do := func(what, method, target, body string, header ...string) *response {
		request := method + " " + target
		for i := 0; i < len(header); i += 2 {
			request += "\n" + header[i] + ": " + header[i+1]
		}
		return tr.tell(what, request, body, admin.do(method, target, body, header...))
	}
	do("No jobs yet", "GET", "/job", "")
	do("Create a job", "POST", "/job", `{"name": "invoice-nightly", "tags": ["billing"], "schedules": [{"cron": "30 2 * * *"}, {"every": "6h"}], "timezone": "Asia/Jakarta", "target": {"url": "https://example.com/invoices", "headers": {"Authorization": "Bearer s3cret", "X-Plain": "seen"}, "body": {"n": 1.50}}}`)
	do("The least that a job needs", "POST", "/job", `{"name": "by-hand", "target": {"url": "https://example.com/"}}`)
	do("The name is taken", "POST", "/job", `{"name": "invoice-nightly", "target": {"url": "https://example.com/"}}`)
	do("A schedule that is wrong", "POST", "/job", `{"name": "b", "schedules": [{"cron": "75 * * * *"}], "target": {"url": "https://example.com/"}}`)
	do("By name", "GET", "/job/invoice-nightly", "")
	do("By id", "GET", "/job/2", "")
	do("Change it", "PATCH", "/job/invoice-nightly", `{"description": "all invoices", "schedules": [{"cron": "0 3 * * *"}], "timeout": "1m", "target": {"headers": {"X-Plain": null}}}`, "If-Match", `"1"`)
	do("Change it from an old version", "PATCH", "/job/invoice-nightly", `{"timeout": "2m"}`, "If-Match", `"1"`)
	do("Back to a default", "PATCH", "/job/invoice-nightly", `{"timeout": null}`)
	do("Pause it", "POST", "/job/invoice-nightly/pause", `{"reason": "holidays"}`)
	do("Resume it", "POST", "/job/invoice-nightly/resume", "")
	do("Its runs", "GET", "/job/invoice-nightly/run", "")
	do("The first page", "GET", "/job?limit=1&count=true", "")
	do("The next page", "GET", "/job?count=true&cursor=1&limit=1", "")
	do("A parameter that is none", "GET", "/job?limt=1", "")
	do("Delete it", "DELETE", "/job/invoice-nightly", "")
	do("It is gone", "GET", "/job/1", "")
	do("What schedules mean", "POST", "/schedule/preview", `{"schedules": [{"cron": "30 2 * * *"}], "timezone": "America/New_York", "from": "2027-03-12T12:00:00Z", "count": 3}`)
	tr.check("job.txt")
}

func TestCreateJob(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	t.Run("what is left out has its default", func(t *testing.T) {
		r := c.do("POST", "/job", `{"name":"least",`+hook+`}`)
		if r.status != 201 || r.header.Get("Location") != "/job/"+r.text("id") || r.header.Get("Etag") != `"1"` {
			t.Fatalf("got %d %q %s", r.status, r.header, r.body)
		}
		for path, want := range map[string]string{
			"description": "", "tags": "[]", "schedules": "[]", "timezone": "UTC", "target.type": "http", "target.method": "POST",
			"target.headers": "map[]", "target.secret_headers": "[]", "timeout": "30s", "overlap": "skip", "state": "enabled", "version": "1", "owner_id": "2",
		} {
			if got := r.text(path); got != want {
				t.Errorf("%s is %q", path, got)
			}
		}
		for _, path := range []string{"next_at", "last_run", "pause", "target.body"} {
			if v, there := memberOf(r, path); v != nil || !there {
				t.Errorf("%s is %v", path, v)
			}
		}
	})
	t.Run("next_at is the next planned instant", func(t *testing.T) {
		r := c.do("POST", "/job", `{"name":"yearly","schedules":[{"cron":"0 0 1 1 *"}],"timezone":"Asia/Jakarta",`+hook+`}`)
		next, err := time.Parse(time.RFC3339Nano, r.text("next_at"))
		if err != nil || next.Month() != 12 || next.Day() != 31 || next.Hour() != 17 || !next.After(time.Now()) {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("H is another instant in each job, and the cursor stands on it", func(t *testing.T) {
		minutes := map[string]bool{}
		for i := range 6 {
			r := c.do("POST", "/job", fmt.Sprintf(`{"name":"spread%d","schedules":[{"cron":"H H 1 1 *"}],%s}`, i, hook))
			at, err := time.Parse(time.RFC3339Nano, r.text("next_at"))
			if err != nil {
				t.Fatalf("got %s", r.body)
			}
			minutes[at.Format("15:04")] = true
			d := jadwal.DefaultDefinition()
			job, err := s.store.JobByName(context.Background(), 2, fmt.Sprint("spread", i))
			if err != nil {
				t.Fatal(err)
			}
			d.Schedules = job.Definition.Schedules
			if want, _ := d.First(time.Now(), job.ID); !want.Equal(at) {
				t.Errorf("got %v, want %v", at, want)
			}
		}
		if len(minutes) < 4 {
			t.Errorf("only %v", minutes)
		}
	})
	t.Run("an at that is a moment late runs at once, and its lateness is told", func(t *testing.T) {
		at := time.Now().Add(-10 * time.Minute).UTC().Truncate(time.Second)
		r := c.do("POST", "/job", `{"name":"late","schedules":[{"at":"`+at.Format(time.RFC3339)+`"}],`+hook+`}`)
		if r.status != 201 || r.text("next_at") != at.Format(stampFormat) {
			t.Fatalf("got %s", r.body)
		}
		r = eventually(t, func() (*response, bool) {
			r := c.do("GET", "/job/late", "")
			return r, r.text("state") == "completed"
		})
		if r.text("last_run.state") != "succeeded" || r.text("last_run.due_at") != at.Format(stampFormat) || len(r.text("last_run.lateness_ms")) < 6 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("an at that is more than an hour late is refused", func(t *testing.T) {
		before := s.digest()
		r := c.do("POST", "/job", `{"name":"too-late","schedules":[{"every":"1h"},{"at":"`+time.Now().Add(-61*time.Minute).Format(time.RFC3339)+`"}],`+hook+`}`)
		if r.status != 400 || r.text("errors.0.field") != "schedules[1].at" || r.text("errors.0.code") != "in_past" || s.digest() != before {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a name is unique for its owner and nobody else", func(t *testing.T) {
		if r := c.do("POST", "/job", `{"name":"least",`+hook+`}`); r.status != 409 || r.code != "name_taken" || r.text("errors.0.field") != "name" {
			t.Errorf("got %s", r.body)
		}
		other := s.asUser("other", false)
		if r := other.do("POST", "/job", `{"name":"least",`+hook+`}`); r.status != 201 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("of many at once with one name exactly one is created", func(t *testing.T) {
		var wg sync.WaitGroup
		got := make([]*response, 8)
		for i := range got {
			wg.Go(func() { got[i] = c.do("POST", "/job", `{"name":"race",`+hook+`}`) })
		}
		wg.Wait()
		made := 0
		for _, r := range got {
			if r.status == 201 {
				made++
			} else if r.status != 409 {
				t.Errorf("got %s", r.body)
			}
		}
		if made != 1 {
			t.Errorf("%d were created", made)
		}
	})
	t.Run("what looks like markup stays as it was sent", func(t *testing.T) {
		c.do("POST", "/job", `{"name":"markup","description":"<&>\u2028\"","target":{"url":"https://example.com/?a=1&b=2","body":{"a": "<b>&", "n": 10000000000000000001, "e": 1e400 }}}`)
		r := c.do("GET", "/job/markup", "")
		if !strings.Contains(string(r.body), `"body":{"a":"<b>&","n":10000000000000000001,"e":1e400}`) || r.text("description") != "<&>\u2028\"" {
			t.Errorf("got %s", r.body)
		}
	})
}

// memberOf is a member of data that may be null.
func memberOf(r *response, path string) (v any, there bool) {
	parent, name := r.data, path
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		parent, name = r.member(path[:i]), path[i+1:]
	}
	m, _ := parent.(map[string]any)
	v, there = m[name]
	return v, there
}

// eventually asks again until the answer is as wanted.
func eventually(t *testing.T, ask func() (*response, bool)) *response {
	t.Helper()
	for range 200 {
		r, ok := ask()
		if ok {
			return r
		}
		time.Sleep(20 * time.Millisecond)
	}
	r, _ := ask()
	t.Fatalf("it never came: %s", r.body)
	return nil
}

func TestSecretsAreNeverShownAgain(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	secrets := `"headers":{"Authorization":"Bearer hunter2-a","cookie":"hunter2-b","X-Api-Key":"hunter2-c","X-Auth-Token":"hunter2-d","X-Plain":"seen"}`
	r := c.do("POST", "/job", `{"name":"secret","target":{"url":"https://example.com/",`+secrets+`}}`)
	if r.status != 201 {
		t.Fatalf("got %s", r.body)
	}
	for _, r := range []*response{
		r, c.do("GET", "/job/secret", ""), c.do("GET", "/job", ""), c.do("PATCH", "/job/secret", `{"description":"x"}`),
		c.do("POST", "/job/secret/pause", ""), c.do("POST", "/job/secret/resume", ""), s.login("admin", adminPassword).do("GET", "/job/1", ""),
		c.do("POST", "/job", `{"name":"Secret","target":{"url":"x",`+secrets+`}}`), c.do("PATCH", "/job/secret", `{"target":{"url":"https://other.example/"}}`),
	} {
		if strings.Contains(string(r.body), "hunter2") {
			t.Errorf("got %s", r.body)
		}
	}
	r = c.do("GET", "/job/secret", "")
	if r.text("target.headers") != "map[X-Plain:seen]" || r.text("target.secret_headers") != "[Authorization X-Api-Key X-Auth-Token cookie]" {
		t.Errorf("got %s", r.body)
	}
	job, err := s.store.Job(context.Background(), 1)
	if err != nil || job.Definition.Target.Headers["Authorization"] != "Bearer hunter2-a" {
		t.Errorf("the secret did not stay: %v, %v", job.Definition.Target.Headers, err)
	}
	if strings.Contains(s.column("SELECT detail FROM audit"), "hunter2") {
		t.Error("the audit trail has a secret")
	}
	if strings.Contains(s.log.String(), "hunter2") {
		t.Error("the log has a secret")
	}
}

func TestPatchJob(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	id := c.createJob("a")
	patch := func(body string, header ...string) *response { return c.do("PATCH", "/job/a", body, header...) }

	t.Run("only what is sent changes, and the version rises", func(t *testing.T) {
		before := c.do("GET", "/job/a", "")
		r := patch(`{"tags":["x","y"],"target":{"method":"PUT"}}`)
		if r.status != 200 || r.message != "Job a updated successfully!" || r.text("version") != "2" || r.header.Get("Etag") != `"2"` ||
			r.text("tags") != "[x y]" || r.text("target.method") != "PUT" || r.text("target.url") != before.text("target.url") ||
			r.text("created_at") != before.text("created_at") || r.text("updated_at") <= before.text("updated_at") {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("an empty patch changes nothing", func(t *testing.T) {
		before := s.digest()
		if r := patch(`{}`); r.status != 200 || r.text("version") != "2" || s.digest() != before {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("null puts a member back to its default", func(t *testing.T) {
		r := patch(`{"tags":null,"target":{"method":null},"timeout":null}`)
		if r.status != 200 || r.text("tags") != "[]" || r.text("target.method") != "POST" || r.text("timeout") != "30s" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("what a target must answer can be changed in part and put back", func(t *testing.T) {
		for _, step := range []struct{ body, status, text, redirects string }{
			{`{"target":{"expect":{"status":"200-204,404"},"redirects":3}}`, "200-204,404", "", "3"},
			{`{"target":{"expect":{"body":"/^ok/"}}}`, "200-204,404", "/^ok/", "3"},
			{`{"target":{"expect":{"status":null}}}`, "2xx", "/^ok/", "3"},
			{`{"target":{"expect":null,"redirects":null}}`, "2xx", "", "0"},
		} {
			r := patch(step.body)
			if r.status != 200 || r.text("target.expect.status") != step.status || r.text("target.expect.body") != step.text || r.text("target.redirects") != step.redirects {
				t.Errorf("%s: got %s", step.body, r.body)
			}
		}
	})
	t.Run("the type of a merge patch is fine too", func(t *testing.T) {
		if r := patch(`{"description":"x"}`, "Content-Type", "application/merge-patch+json"); r.status != 200 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("next_at follows the new schedule", func(t *testing.T) {
		r := patch(`{"schedules":[{"at":"2099-01-01T00:00:00Z"}]}`)
		if r.status != 200 || r.text("next_at") != "2099-01-01T00:00:00.000000Z" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("what cannot be is refused and nothing changes", func(t *testing.T) {
		before := s.digest()
		for body, field := range map[string]string{
			`{"name":null}`:                                 "name",
			`{"target":null}`:                               "target.url",
			`{"target":{"url":null}}`:                       "target.url",
			`{"schedules":[{"cron":"75 * * * *"}]}`:         "schedules[0].cron",
			`{"schedules":[null]}`:                          "schedules[0]",
			`{"schedules":[{"at":"2020-01-01T00:00:00Z"}]}`: "schedules[0].at",
			`{"timezone":"Mars"}`:                           "timezone",
			`{"version":"7"}`:                               "version",
			`{"state":"paused"}`:                            "state",
			`{"id":7}`:                                      "id",
			`{"target":{"headers":{"Host":"x"}}}`:           "target.headers.Host",
			`{"target":{"secret_headers":["X-Key"]}}`:       "target.secret_headers[0]",
			`{"timeout":"0s"}`:                              "timeout",
			`{"target":{"expect":{"status":""}}}`:           "target.expect.status",
			`{"target":{"expect":{"body":null,"x":1}}}`:     "target.expect.x",
			`{"target":{"redirects":11}}`:                   "target.redirects",
			`{"timeout":5}`:                                 "timeout",
		} {
			if r := patch(body); r.status != 400 || r.code != "validation_failed" || r.text("errors.0.field") != field {
				t.Errorf("%s: got %s", body, r.body)
			}
		}
		if s.digest() != before {
			t.Error("the database has changed")
		}
	})
	t.Run("a wrong shape is told before an unknown job is", func(t *testing.T) {
		if r := c.do("PATCH", "/job/nowhere", `{"nme":"x"}`); r.status != 400 {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("PATCH", "/job/nowhere", `{"name":"x"}`); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a name that is taken is refused", func(t *testing.T) {
		c.createJob("b")
		if r := patch(`{"name":"b"}`); r.status != 409 || r.code != "name_taken" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a new name is the name", func(t *testing.T) {
		if r := patch(`{"name":"c"}`); r.status != 200 || r.text("id") != id || r.message != "Job c updated successfully!" {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("GET", "/job/a", ""); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
		c.do("PATCH", "/job/c", `{"name":"a"}`)
	})
	t.Run("parallel patches without If-Match all come through", func(t *testing.T) {
		var wg sync.WaitGroup
		got := make([]*response, 4)
		for i := range got {
			wg.Go(func() { got[i] = patch(fmt.Sprintf(`{"target":{"headers":{"X-%d":"1"}}}`, i)) })
		}
		wg.Wait()
		for _, r := range got {
			if r.status != 200 {
				t.Errorf("got %s", r.body)
			}
		}
		if r := c.do("GET", "/job/a", ""); r.text("target.headers") != "map[X-0:1 X-1:1 X-2:1 X-3:1]" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("of parallel patches with one If-Match exactly one comes through", func(t *testing.T) {
		tag := c.do("GET", "/job/a", "").header.Get("Etag")
		var wg sync.WaitGroup
		got := make([]*response, 4)
		for i := range got {
			wg.Go(func() { got[i] = patch(fmt.Sprintf(`{"description":"%d"}`, i), "If-Match", tag) })
		}
		wg.Wait()
		statuses := map[int]int{}
		for _, r := range got {
			statuses[r.status]++
		}
		if statuses[200] != 1 || statuses[412] != 3 {
			t.Errorf("got %v", statuses)
		}
	})
	for value, want := range map[string]int{
		`*`: 200, `"999", %s`: 200, `%s,"999"`: 200, `"999"`: 412, `W/%s`: 412, `"x"`: 412, `""`: 412,
		`999`: 400, `"999`: 400, `"1" "2"`: 400, `,`: 400, `"1",`: 400,
	} {
		t.Run("If-Match "+value, func(t *testing.T) {
			tag := c.do("GET", "/job/a", "").header.Get("Etag")
			if r := patch(`{"description":"x"}`, "If-Match", strings.ReplaceAll(value, "%s", tag)); r.status != want {
				t.Errorf("got %d %s", r.status, r.body)
			}
		})
	}
}

func TestAChangeIsAnsweredWhenItIsApplied(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	c.createJob("a")
	for _, call := range [][3]string{{"PATCH", "/job/a", `{"description":"x"}`}, {"POST", "/job/a/pause", ""}, {"POST", "/job/a/resume", ""}, {"DELETE", "/job/a", ""}} {
		r := c.do(call[0], call[1], call[2])
		if left := s.column("SELECT kind FROM change"); r.status != 200 || left != "" {
			t.Errorf("%s: got %d with %q unapplied", call[0], r.status, left)
		}
	}
}

func TestAChangeThatIsNotYetApplied(t *testing.T) {
	s := newServer(t, idle)
	s.api.applyWait = 20 * time.Millisecond
	c := s.asUser("arbath", false)
	c.createJob("a")
	for i, call := range [][3]string{{"PATCH", "/job/a", `{"description":"x"}`}, {"POST", "/job/a/pause", ""}, {"POST", "/job/a/resume", ""}, {"DELETE", "/job/a", ""}} {
		r := c.do(call[0], call[1], call[2])
		if r.status != 503 || r.code != "not_yet_applied" || r.header.Get("Retry-After") != "1" {
			t.Errorf("%s: got %s", call[0], r.body)
		}
		if stored := strings.Count(s.column("SELECT kind FROM change WHERE kind <> 'create'"), "\n"); stored != i+1 {
			t.Errorf("%s: %d changes are stored", call[0], stored)
		}
	}
}

func TestARepeatedChangeIsNotAnsweredBeforeTheFirst(t *testing.T) {
	s := newServer(t, idle)
	s.api.applyWait = 20 * time.Millisecond
	c := s.asUser("arbath", false)
	c.createJob("a")
	for i, call := range [][4]string{
		{"PATCH", "/job/a", `{"description":"x"}`, `{}`},
		{"POST", "/job/a/pause", "", ""},
		{"POST", "/job/a/resume", "", ""},
	} {
		c.do(call[0], call[1], call[2])
		r := c.do(call[0], call[1], call[3])
		if r.status != 503 || r.code != "not_yet_applied" {
			t.Errorf("%s %s: got %s", call[0], call[1], r.body)
		}
		if stored := strings.Count(s.column("SELECT kind FROM change WHERE kind <> 'create'"), "\n"); stored != i+1 {
			t.Errorf("%s %s: %d changes are stored", call[0], call[1], stored)
		}
	}
}

func TestDeleteJob(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	id := c.createJob("a")
	if r := c.do("DELETE", "/job/a", "", "If-Match", `"2"`); r.status != 412 || r.code != "version_mismatch" {
		t.Errorf("got %s", r.body)
	}
	admin := jadwal.Actor{User: s.addUser("root", userPassword, "root@example.com", true, false)}
	if _, err := s.store.DeleteJobAt(context.Background(), admin, 1, 2, time.Now()); jadwal.CodeOf(err) != jadwal.CodeVersionMismatch {
		t.Errorf("the store deletes another version: %v", err)
	}
	r := c.do("DELETE", "/job/a", "", "If-Match", `"1"`)
	if r.status != 200 || r.message != "Job a has been deleted successfully!" || r.data != nil {
		t.Errorf("got %s", r.body)
	}
	for _, target := range []string{"/job/a", "/job/" + id, "/job/a/run"} {
		if r := c.do("GET", target, ""); r.status != 404 {
			t.Errorf("%s: got %s", target, r.body)
		}
	}
	if r := c.do("DELETE", "/job/a", ""); r.status != 404 {
		t.Errorf("got %s", r.body)
	}
	if again := c.createJob("a"); again == id {
		t.Errorf("id %s came again", id)
	}
}

func TestPauseAndResume(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	c.createJob("a")
	for _, step := range []struct {
		rule, target, body string
		version, reason    string // reason "-": not paused
		message            string
	}{
		{"a reason is kept", "/job/a/pause", `{"reason":"holidays"}`, "2", "holidays", "Job a has been paused successfully!"},
		{"a pause again changes nothing", "/job/a/pause", `{"reason":"holidays"}`, "2", "holidays", "Job a has been paused successfully!"},
		{"another reason replaces it", "/job/a/pause", `{"reason":"repairs"}`, "3", "repairs", "Job a has been paused successfully!"},
		{"no body is no reason", "/job/a/pause", ``, "4", "", "Job a has been paused successfully!"},
		{"an empty object is no reason", "/job/a/pause", `{}`, "4", "", "Job a has been paused successfully!"},
		{"an edit leaves it paused", "", `{"description":"x"}`, "5", "", "Job a updated successfully!"},
		{"it is resumed", "/job/a/resume", ``, "6", "-", "Job a has been resumed successfully!"},
		{"a resume again changes nothing", "/job/a/resume", ``, "6", "-", "Job a has been resumed successfully!"},
	} {
		t.Run(step.rule, func(t *testing.T) {
			method, target := "POST", step.target
			if target == "" {
				method, target = "PATCH", "/job/a"
			}
			r := c.do(method, target, step.body)
			if r.status != 200 || r.text("version") != step.version || r.message != step.message || r.header.Get("Etag") != `"`+step.version+`"` {
				t.Errorf("got %s", r.body)
			}
			pause, _ := memberOf(r, "pause")
			if step.reason == "-" {
				if pause != nil || r.text("state") != "enabled" || r.text("next_at") == "" {
					t.Errorf("got %s", r.body)
				}
			} else if r.text("pause.reason") != step.reason || r.text("state") != "paused" || r.text("next_at") != "" {
				t.Errorf("got %s", r.body)
			}
		})
	}
	if r := c.do("POST", "/job/a/pause", `{"reason":"`+strings.Repeat("x", 513)+`"}`); r.status != 400 {
		t.Errorf("got %s", r.body)
	}
	if r := c.do("POST", "/job/a/pause", `{"until":"2099-01-01T00:00:00Z"}`); r.status != 200 || r.text("pause.until") != "2099-01-01T00:00:00.000000Z" || r.text("pause.by") != "2" {
		t.Errorf("got %s", r.body)
	}
	if r := c.do("POST", "/job/a/pause", `{"until":"2020-01-01T00:00:00Z"}`); r.status != 400 || r.text("errors.0.code") != "in_past" {
		t.Errorf("got %s", r.body)
	}
	if r := c.do("POST", "/job/a/resume", `{"catchup":"some"}`); r.status != 400 || r.text("errors.0.field") != "catchup" {
		t.Errorf("got %s", r.body)
	}
	if r := c.do("POST", "/job/a/resume", `{"catchup":"latest"}`); r.status != 200 || r.text("state") != "enabled" {
		t.Errorf("got %s", r.body)
	}
	if r := c.do("POST", "/job/a/pause", `{}`, "Content-Type", "text/plain"); r.status != 415 {
		t.Errorf("got %s", r.body)
	}
}

func TestJobsOfOthers(t *testing.T) {
	s := newServer(t)
	owner, other, admin := s.asUser("owner", false), s.asUser("other", false), s.login("admin", adminPassword)
	id := owner.createJob("mine")
	for _, c := range []struct{ method, target, body string }{
		{"GET", "/job/" + id, ""}, {"GET", "/job/mine", ""}, {"PATCH", "/job/" + id, `{"name":"x"}`}, {"PATCH", "/job/mine", `{}`},
		{"DELETE", "/job/" + id, ""}, {"DELETE", "/job/mine", ""}, {"POST", "/job/" + id + "/pause", ""}, {"POST", "/job/" + id + "/resume", ""},
		{"GET", "/job/" + id + "/run", ""},
	} {
		theirs := other.do(c.method, c.target, c.body)
		nowhere := other.do(c.method, strings.Replace(strings.Replace(c.target, "mine", "none", 1), "/"+id, "/999", 1), c.body)
		if theirs.status != 404 || theirs.message != nowhere.message || theirs.code != nowhere.code || nowhere.status != 404 {
			t.Errorf("%s %s: got %s and %s", c.method, c.target, theirs.body, nowhere.body)
		}
	}
	if r := other.do("GET", "/job", ""); fmt.Sprint(r.data) != "[]" {
		t.Errorf("got %s", r.body)
	}
	if r := admin.do("GET", "/job/mine", ""); r.status != 404 {
		t.Errorf("a name is the caller's own: got %s", r.body)
	}
	if r := admin.do("GET", "/job", ""); len(r.data.([]any)) != 1 {
		t.Errorf("a superuser sees all: got %s", r.body)
	}
	if r := admin.do("PATCH", "/job/"+id, `{"description":"by admin"}`); r.status != 200 || r.text("owner_id") != "2" {
		t.Errorf("got %s", r.body)
	}
	admin.createJob("mine")
	r := admin.do("DELETE", "/user/2", "")
	if r.status != 200 {
		t.Fatalf("got %s", r.body)
	}
	r = admin.do("GET", "/job/"+id, "")
	if r.text("owner_id") != "1" || r.text("name") != "mine.u2" || r.text("state") != "paused" || r.text("pause.reason") != "owner_deleted" {
		t.Errorf("got %s", r.body)
	}
	if job, _ := s.store.AnyJob(context.Background(), 1); !job.EgressLimited {
		t.Error("the former owner's egress rules are gone")
	}
	admin.do("PATCH", "/job/"+id, `{"description":"mine now"}`)
	if job, _ := s.store.AnyJob(context.Background(), 1); job.EgressLimited {
		t.Error("an edit did not end the former owner's egress rules")
	}
}
