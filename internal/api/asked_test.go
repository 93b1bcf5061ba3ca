package api

import (
	"strings"
	"testing"
)

func TestRunsThatSomebodyAskedFor(t *testing.T) {
	s := newServer(t)
	c, other := s.asUser("arbath", false), s.asUser("other", false)
	c.do("PUT", "/job/hand", `{`+hook+`}`)
	ended := func(id string) *response {
		return eventually(t, func() (*response, bool) {
			r := c.do("GET", "/run/"+id, "")
			return r, r.text("finished_at") != ""
		})
	}
	first := ""
	t.Run("a job runs at once, and only once for one key", func(t *testing.T) {
		r := c.do("POST", "/job/hand/run", "", "Idempotency-Key", "now")
		first = r.text("id")
		if r.status != 201 || r.message != "Run "+first+" of job hand has been created successfully!" || r.header.Get("Location") != "/run/"+first ||
			r.text("state") != "queued" || r.text("trigger") != "manual" {
			t.Fatalf("got %s", r.body)
		}
		again := c.do("POST", "/job/hand/run", "", "Idempotency-Key", "now")
		if cutTimestamp(again.body) != cutTimestamp(r.body) || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("got %s", again.body)
		}
		if r := ended(first); r.text("state") != "succeeded" || r.text("attempts") != "1" {
			t.Errorf("got %s", r.body)
		}
		if got := runsOf(t, c, "/job/hand/run?trigger=manual"); len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("even while it is paused", func(t *testing.T) {
		c.do("POST", "/job/hand/pause", "")
		r := c.do("POST", "/job/hand/run", "")
		if r := ended(r.text("id")); r.text("state") != "succeeded" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a run that has ended is repeated as a new one", func(t *testing.T) {
		r := c.do("POST", "/run/"+first+"/retry", "", "Idempotency-Key", "again")
		id := r.text("id")
		if r.status != 201 || id == first || r.text("trigger") != "retry" || r.text("retry_of") != first || r.message != "Run "+id+" has been created successfully!" {
			t.Fatalf("got %s", r.body)
		}
		if r := c.do("POST", "/run/"+first+"/retry", "", "Idempotency-Key", "again"); r.text("id") != id || r.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("got %s", r.body)
		}
		if r := ended(id); r.text("state") != "succeeded" || r.text("retry_of") != first {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a run that has ended cannot be cancelled", func(t *testing.T) {
		if r := c.do("POST", "/run/"+first+"/cancel", ""); r.status != 409 || r.code != "conflict" || r.message != "The run has ended already" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("a run that waits for its next attempt is not repeated, but cancelled", func(t *testing.T) {
		id := aWaitingRun(t, c)
		if r := c.do("POST", "/run/"+id+"/retry", ""); r.status != 409 || r.message != "The run has not ended yet" {
			t.Errorf("got %s", r.body)
		}
		r := c.do("GET", "/run/"+id+"/attempt", "")
		if r.status != 200 || len(r.data.([]any)) != 1 || r.text("0.attempt") != "1" || r.text("0.reason") != "http_status" || r.text("0.status_code") != "503" || r.text("0.started_at") == "" {
			t.Errorf("got %s", r.body)
		}
		r = c.do("POST", "/run/"+id+"/cancel", "")
		if r.status != 200 || r.message != "Run "+id+" has been cancelled successfully!" || r.text("state") != "cancelled" || r.text("reason") != "requested" {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("the attempt of a run that had one is that of the run", func(t *testing.T) {
		r := c.do("GET", "/run/"+first+"/attempt", "")
		if r.status != 200 || len(r.data.([]any)) != 1 || r.text("0.attempt") != "1" || r.text("0.status_code") != "200" || r.text("0.finished_at") != c.do("GET", "/run/"+first, "").text("finished_at") {
			t.Errorf("got %s", r.body)
		}
		if r.message != "List of attempts of run "+first {
			t.Errorf("got %s", r.body)
		}
	})
	t.Run("others do not know of it", func(t *testing.T) {
		before := s.column("SELECT count(*) FROM run")
		for _, target := range []string{"/run/" + first + "/retry", "/run/" + first + "/cancel", "/job/1/run", "/job/hand/run"} {
			if r := other.do("POST", target, ""); r.status != 404 || !strings.HasPrefix(r.message, "There is no such") {
				t.Errorf("%s: got %s", target, r.body)
			}
		}
		if r := other.do("GET", "/run/"+first+"/attempt", ""); r.status != 404 {
			t.Errorf("got %s", r.body)
		}
		if s.column("SELECT count(*) FROM run") != before {
			t.Error("something ran")
		}
	})
	t.Run("a run of a deleted job is not repeated", func(t *testing.T) {
		c.do("DELETE", "/job/hand", "")
		if r := c.do("POST", "/run/"+first+"/retry", ""); r.status != 404 || r.message != "There is no such run" {
			t.Errorf("got %s", r.body)
		}
	})
}
