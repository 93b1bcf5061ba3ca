package api

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPutJob(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	t.Run("a name that is free creates", func(t *testing.T) {
		r := c.do("PUT", "/job/a", `{"tags":["x"],"schedules":[{"cron":"30 2 * * *"}],`+hook+`}`)
		if r.status != 201 || r.message != "Job a has been created successfully!" || r.header.Get("Location") != "/job/"+r.text("id") ||
			r.header.Get("Etag") != `"1"` || r.text("name") != "a" || r.text("next_at") == "" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("the same again changes nothing", func(t *testing.T) {
		before := s.digest()
		r := c.do("PUT", "/job/a", `{"name":"a","tags":["x"],"schedules":[{"cron":"30 2 * * *"}],`+hook+`}`)
		if r.status != 200 || r.text("version") != "1" || s.digest() != before {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("another body takes the place of all of it", func(t *testing.T) {
		r := c.do("PUT", "/job/a", `{"description":"d",`+hook+`}`)
		if r.status != 200 || r.message != "Job a updated successfully!" || r.text("version") != "2" || r.header.Get("Etag") != `"2"` ||
			r.text("tags") != "[]" || r.text("schedules") != "[]" || r.text("next_at") != "" || r.header.Get("Location") != "" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("by id it may rename, and keeps the name that it leaves out", func(t *testing.T) {
		if r := c.do("PUT", "/job/1", `{"name":"b","description":"d",`+hook+`}`); r.status != 200 || r.text("name") != "b" {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("PUT", "/job/1", `{"description":"e",`+hook+`}`); r.status != 200 || r.text("name") != "b" || r.text("description") != "e" {
			t.Errorf("got %s", r.body)
		}
		c.createJob("taken")
		if r := c.do("PUT", "/job/1", `{"name":"taken",`+hook+`}`); r.status != 409 || r.code != "name_taken" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a paused job stays paused", func(t *testing.T) {
		c.do("POST", "/job/b/pause", "")
		if r := c.do("PUT", "/job/b", `{"schedules":[{"every":"1h"}],`+hook+`}`); r.status != 200 || r.text("state") != "paused" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("secret headers are gone when the body says that none stay", func(t *testing.T) {
		c.do("PUT", "/job/secret", `{"target":{"url":"https://example.com/","headers":{"Authorization":"hunter2"}}}`)
		r := c.do("PUT", "/job/secret", `{"target":{"url":"https://example.com/","headers":{"Authorization":"hunter3"}}}`)
		if r.text("version") != "2" || r.text("target.secret_headers") != "[Authorization]" || strings.Contains(string(r.body), "hunter") {
			t.Errorf("got %s", r.body)
		}
		r = c.do("PUT", "/job/secret", `{"target":{"url":"https://example.com/","secret_headers":[]}}`)
		if r.text("version") != "3" || r.text("target.secret_headers") != "[]" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("an at that has passed is refused in the place of another, and stays where it was", func(t *testing.T) {
		past := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
		if r := c.do("PUT", "/job/b", `{"schedules":[{"at":"`+past+`"}],`+hook+`}`); r.status != 400 || r.text("errors.0.code") != "in_past" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("If-Match and If-None-Match say what must be there", func(t *testing.T) {
		tag := c.do("GET", "/job/b", "").header.Get("Etag")
		for _, w := range []struct {
			target, name, value string
			status              int
		}{
			{"/job/b", "If-Match", tag, 200}, {"/job/b", "If-Match", `"1"`, 412}, {"/job/b", "If-None-Match", "*", 412},
			{"/job/new1", "If-None-Match", "*", 201}, {"/job/new2", "If-Match", "*", 412}, {"/job/new2", "If-Match", `"1"`, 412},
		} {
			if r := c.do("PUT", w.target, `{"description":"matched",`+hook+`}`, w.name, w.value); r.status != w.status {
				t.Errorf("%s with %s %s: got %s", w.target, w.name, w.value, r.body)
			}
		}
	})
	t.Run("of many at once for one free name one creates and the others replace", func(t *testing.T) {
		var wg sync.WaitGroup
		got := make([]*response, 4)
		for i := range got {
			wg.Go(func() { got[i] = c.do("PUT", "/job/race", fmt.Sprintf(`{"description":"%d",%s}`, i, hook)) })
		}
		wg.Wait()
		statuses := map[int]int{}
		for _, r := range got {
			statuses[r.status]++
		}
		if statuses[201] != 1 || statuses[200] != 3 {
			t.Errorf("got %v", statuses)
		}
	})
	t.Run("of many at once with If-None-Match exactly one comes through", func(t *testing.T) {
		var wg sync.WaitGroup
		got := make([]*response, 4)
		for i := range got {
			wg.Go(func() { got[i] = c.do("PUT", "/job/only", `{`+hook+`}`, "If-None-Match", "*") })
		}
		wg.Wait()
		statuses := map[int]int{}
		for _, r := range got {
			statuses[r.status]++
		}
		if statuses[201] != 1 || statuses[412] != 3 {
			t.Errorf("got %v", statuses)
		}
	})
	t.Run("a name is the caller's own: another's job is left alone", func(t *testing.T) {
		admin := s.login("admin", adminPassword)
		if r := admin.do("PUT", "/job/b", `{`+hook+`}`); r.status != 201 || r.text("owner_id") != "1" {
			t.Errorf("got %s", r.body)
		}
	})
}

func TestCloneJob(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	c.do("POST", "/job", `{"name":"a","tags":["x"],"schedules":[{"every":"1h"}],"target":{"url":"https://example.com/","headers":{"Authorization":"hunter2"}}}`)
	t.Run("the clone has the definition, its secrets included, and nothing else", func(t *testing.T) {
		c.do("POST", "/job/a/pause", "")
		r := c.do("POST", "/job/a/clone", `{"name":"b"}`)
		if r.status != 201 || r.message != "Job b has been created successfully!" || r.text("version") != "1" || r.text("state") != "enabled" ||
			r.text("tags") != "[x]" || r.text("target.secret_headers") != "[Authorization]" || r.text("next_at") == "" || r.header.Get("Location") != "/job/2" {
			t.Errorf("got %s", r.body)
		}
		job, err := s.store.Job(context.Background(), 2)
		if err != nil || job.Definition.Target.Headers["Authorization"] != "hunter2" {
			t.Errorf("got %v, %v", job.Definition.Target.Headers, err)
		}
	})
	t.Run("a paused clone waits, and is planned once it is resumed", func(t *testing.T) {
		r := c.do("POST", "/job/a/clone", `{"name":"c","paused":true}`)
		if r.status != 201 || r.text("state") != "paused" || r.text("next_at") != "" || c.do("GET", "/job/c", "").text("pause.by") != "2" {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("POST", "/job/c/resume", ""); r.status != 200 || r.text("state") != "enabled" || r.text("next_at") == "" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("an at that has long passed can only be cloned paused", func(t *testing.T) {
		c.do("POST", "/job", fmt.Sprintf(`{"name":"once","schedules":[{"at":%q}],%s}`, justNow(), hook))
		s.pass(2 * time.Hour)
		c = s.asUser("budi", true)
		if r := c.do("POST", "/job/4/clone", `{"name":"d"}`); r.status != 400 || r.text("errors.0.code") != "in_past" {
			t.Errorf("got %s", r.body)
		}
		if r := c.do("POST", "/job/4/clone", `{"name":"d","paused":true}`); r.status != 201 {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("the clone of another's job is the caller's", func(t *testing.T) {
		r := c.do("POST", "/job/1/clone", `{"name":"mine"}`)
		if r.status != 201 || r.text("owner_id") == "2" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("what a deleted user left keeps that user's egress rules in the clone", func(t *testing.T) {
		admin := s.login("admin", adminPassword)
		gone := s.asUser("gone", false)
		gone.createJob("left")
		admin.do("DELETE", "/user/"+gone.do("GET", "/user/me", "").text("id"), "")
		r := admin.do("POST", "/job/left/clone", `{"name":"copy"}`)
		if r.status != 201 {
			t.Fatalf("got %s", r.body)
		}
		if got := s.column("SELECT egress_limited FROM job WHERE name = 'copy'"); got != "1\n" {
			t.Errorf("egress_limited is %s", got)
		}
	})
}

func TestNextOfJob(t *testing.T) {
	s := newServer(t)
	c := s.asUser("arbath", false)
	c.do("POST", "/job", `{"name":"ny","schedules":[{"cron":"30 2 * * *"}],"timezone":"America/New_York",`+hook+`}`)
	r := c.do("GET", "/job/ny/next?from=2027-03-12T12:00:00Z&count=2", "")
	if r.status != 200 || r.message != "Next occurrences of job ny" || len(r.member("occurrences").([]any)) != 2 ||
		r.text("occurrences.1.at") != "2027-03-14T07:00:00.000000Z" || r.text("occurrences.1.local") != "2027-03-14T03:00:00.000000-04:00" ||
		r.text("occurrences.1.note") != "moved" || r.text("description.en") != "At 02:30 every day" {
		t.Errorf("got %s", r.body)
	}
	r = c.do("GET", "/job/ny/next", "")
	if len(r.member("occurrences").([]any)) != 10 || r.text("occurrences.0.at") != c.do("GET", "/job/ny", "").text("next_at") {
		t.Errorf("got %s", r.body)
	}
	if r := c.do("GET", "/job/ny/next?from=2027-03-12T19:00:00%2B07:00&count=1", ""); r.text("occurrences.0.at") != "2027-03-13T07:30:00.000000Z" {
		t.Errorf("got %s", r.body)
	}
	c.do("POST", "/job/ny/pause", "")
	if r := c.do("GET", "/job/ny/next", ""); r.message != "Next occurrences of job ny, which is paused" || len(r.member("occurrences").([]any)) != 10 {
		t.Errorf("got %s", r.body)
	}
	c.do("PUT", "/job/hand", `{`+hook+`}`)
	if r := c.do("GET", "/job/hand/next", ""); r.status != 200 || r.text("occurrences") != "[]" {
		t.Errorf("got %s", r.body)
	}
}
