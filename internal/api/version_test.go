package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/internal/store"
)

func TestVersions(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	first := `{"schedules":[{"cron":"30 2 * * *"}],"target":{"url":"https://example.com/","headers":{"Authorization":"hunter2","X-Plain":"1"}}}`
	c.do("PUT", "/job/a", first)
	c.do("PATCH", "/job/a", `{"timeout":"1m","schedules":[{"every":"1h"}],"target":{"headers":{"Authorization":"hunter3","X-Plain":"2"}}}`)
	c.do("POST", "/job/a/pause", "")
	c.do("POST", "/job/a/resume", "")

	t.Run("the list tells what changed, newest first", func(t *testing.T) {
		r := c.do("GET", "/job/a/version", "")
		got := ""
		for _, v := range r.data.([]any) {
			v := v.(map[string]any)
			got += fmt.Sprintf("%v %v:", v["version"], v["state"])
			for _, d := range v["changes"].([]any) {
				d := d.(map[string]any)
				got += fmt.Sprintf(" %v %v->%v %v;", d["field"], d["from"], d["to"], d["secret"])
			}
			got += "\n"
		}
		if want := `4 enabled: state paused->enabled false;
3 paused: state enabled->paused false;
2 enabled: schedules [map[cron:30 2 * * *]]->[map[every:1h]] false; target.headers.Authorization <nil>-><nil> true; target.headers.X-Plain 1->2 false; timeout 30s->1m false;
1 enabled:
`; got != want || r.message != "List of versions of job a" {
			t.Errorf("got\n%s", got)
		}
		if strings.Contains(string(r.body), "hunter") {
			t.Errorf("a secret is told: %s", r.body)
		}
	})
	t.Run("pages have the same changes", func(t *testing.T) {
		whole := c.do("GET", "/job/a/version", "").data.([]any)
		for _, size := range []int{1, 2, 3} {
			var paged []any
			for target := fmt.Sprintf("/job/a/version?limit=%d", size); target != ""; {
				r := c.do("GET", target, "")
				paged = append(paged, r.data.([]any)...)
				target = nextOf(t, r)
			}
			if fmt.Sprint(paged) != fmt.Sprint(whole) {
				t.Errorf("%d a page: got %v", size, paged)
			}
		}
	})
	t.Run("large definitions make short pages", func(t *testing.T) {
		body := strings.Repeat("x", 200<<10)
		for i := range 24 {
			if r := c.do("PUT", "/job/large", fmt.Sprintf(`{"target":{"url":"https://example.com/","body":"%d%s"}}`, i, body)); r.status >= 300 {
				t.Fatalf("got %.500s", r.body)
			}
		}
		n, pages := 0, 0
		for target := "/job/large/version?limit=500"; target != ""; pages++ {
			r := c.do("GET", target, "")
			n += len(r.data.([]any))
			target = nextOf(t, r)
		}
		if n != 24 || pages != 2 {
			t.Errorf("got %d versions on %d pages", n, pages)
		}
	})
	t.Run("one version shows the job as it was", func(t *testing.T) {
		r := c.do("GET", "/job/a/version/1", "")
		if r.status != 200 || r.message != "Version 1 of job a" || r.text("job.version") != "1" || r.text("job.timeout") != "30s" ||
			r.text("job.target.headers") != "map[X-Plain:1]" || r.text("changes") != "[]" || strings.Contains(string(r.body), "hunter") {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("GET", "/job/a/version/3", ""); r.text("state") != "paused" || r.text("changes.0.field") != "state" || r.text("job.next_at") != "" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a restored version is a new one, with its secrets", func(t *testing.T) {
		r := c.do("POST", "/job/a/version/1/restore", "", "If-Match", `"4"`)
		if r.status != 200 || r.message != "Version 1 of job a has been restored successfully!" || r.text("version") != "5" || r.header.Get("Etag") != `"5"` ||
			r.text("timeout") != "30s" || r.text("target.headers") != "map[X-Plain:1]" {
			t.Errorf("got %s", r.body)
		}
		job, err := s.store.Job(context.Background(), 1)
		if err != nil || job.Definition.Target.Headers["Authorization"] != "hunter2" {
			t.Errorf("got %v, %v", job.Definition.Target.Headers, err)
		}
	})
	t.Run("what is in force already is not restored anew", func(t *testing.T) {
		before := s.digest()
		if r := c.do("POST", "/job/a/version/1/restore", ""); r.status != 200 || r.text("version") != "5" || s.digest() != before {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("the name comes back too, unless it is taken", func(t *testing.T) {
		c.do("PATCH", "/job/a", `{"name":"b"}`)
		c.createJob("a")
		if r := c.do("POST", "/job/b/version/1/restore", ""); r.status != 409 || r.code != "name_taken" {
			t.Errorf("got %s", r.body)
		}
		c.do("DELETE", "/job/a", "")
		if r := c.do("POST", "/job/b/version/1/restore", ""); r.status != 200 || r.text("name") != "a" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a paused job stays paused", func(t *testing.T) {
		c.do("POST", "/job/a/pause", "")
		if r := c.do("POST", "/job/a/version/2/restore", ""); r.status != 200 || r.text("state") != "paused" || r.text("timeout") != "1m" {
			t.Errorf("got %s", r.body)
		}
	})
}

func TestVersionsThatAreNotKept(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	for minutes := range 4 {
		c.do("PUT", "/job/a", fmt.Sprintf(`{"schedules":[{"cron":"30 2 * * *"}],"target":{"url":"https://example.com/"},"timeout":"%dm"}`, minutes+1))
	}
	later := time.Now().Add(100 * 24 * time.Hour)
	if s.url != "" { // its days of history go by its own clock, and versions with them
		s.execute(fmt.Sprintf("INSERT INTO meta (key, value) VALUES ('history_from', '%d') ON CONFLICT (key) DO UPDATE SET value = excluded.value", later.UnixMicro()))
	}
	for range 2 { // versions go once no run names them
		if _, err := s.store.Retain(context.Background(), later, store.Retention{History: time.Hour, Failures: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	var listed []any
	for _, v := range c.do("GET", "/job/a/version", "").data.([]any) {
		listed = append(listed, v.(map[string]any)["version"], len(v.(map[string]any)["changes"].([]any)))
	}
	if got := fmt.Sprint(listed); got != "[4 0]" {
		t.Errorf("listed: %s", got)
	}
	if r := c.do("GET", "/job/a/version/4", ""); r.status != 200 || len(r.data.(map[string]any)["changes"].([]any)) != 0 {
		t.Errorf("the first that is kept: %s", r.body)
	}
	for _, target := range []string{"/job/a/version/3", "/job/a/version/1"} {
		if r := c.do("GET", target, ""); r.status != 404 {
			t.Errorf("%s: %s", target, r.body)
		}
	}
	if r := c.do("POST", "/job/a/version/3/restore", ""); r.status != 404 {
		t.Errorf("restore: %s", r.body)
	}
}
