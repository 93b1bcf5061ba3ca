package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// valueIn is a header field's value in an answer; "null" when it is secret, ""
// when it is not there.
func valueIn(r *response, where, name string) string {
	for i := 0; r.text(fmt.Sprintf("%s.headers.%d.name", where, i)) != ""; i++ {
		at := fmt.Sprintf("%s.headers.%d", where, i)
		if r.text(at+".name") == name {
			if v := r.text(at + ".value"); v != "" {
				return v
			}
			return "null"
		}
	}
	return ""
}

func TestSendingATest(t *testing.T) {
	var mu sync.Mutex
	var got http.Header
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		got = r.Header
		mu.Unlock()
		if r.URL.Path == "/fails" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s\xff", r.Method, r.URL.Path, b)
	}))
	defer srv.Close()
	s := newServer(t, calling)
	admin := s.login("admin", adminPassword)
	make := func(c *session, name, path, rest string) string {
		t.Helper()
		r := c.do("POST", "/job", fmt.Sprintf(`{"name":%q,"target":{"url":%q,"headers":{"Authorization":"Bearer told"}%s}}`, name, srv.URL+path, rest))
		if r.status != 201 {
			t.Fatal(string(r.body))
		}
		return r.text("id")
	}
	id := make(admin, "fine", "/fine", `,"body":{"a":1}`)
	make(admin, "fails", "/fails", "")

	t.Run("the request and its answer are told, and no run is made", func(t *testing.T) {
		s := s.in(t)
		before := s.column("SELECT count(*) FROM run") + s.column("SELECT count(*) FROM open_run") + s.column("SELECT next_at FROM cursor") + s.column("SELECT version FROM job")
		r := admin.do("POST", "/job/fine/test", "")
		if r.status != 200 || r.message != "Test of job fine succeeded" || r.text("state") != "succeeded" || r.text("reason") != "" {
			t.Fatal(string(r.body))
		}
		test := r.text("id")
		if r.text("request.method") != "POST" || r.text("request.url") != srv.URL+"/fine" || r.text("request.body") != `{"a":1}` ||
			valueIn(r, "request", "Webhook-Id") != test || valueIn(r, "request", "Jadwal-Test") != "true" || valueIn(r, "request", "Authorization") != "null" {
			t.Error(string(r.body))
		}
		if r.text("response.status") != "200" || r.text("response.body") != "POST /fine {\"a\":1}\uFFFD" || r.text("response.url") != srv.URL+"/fine" ||
			r.text("response.truncated") != "false" || valueIn(r, "response", "Content-Length") == "" {
			t.Error(string(r.body))
		}
		mu.Lock()
		if got.Get("Idempotency-Key") != test || got.Get("Authorization") != "Bearer told" {
			t.Errorf("%v", got)
		}
		mu.Unlock()
		if after := s.column("SELECT count(*) FROM run") + s.column("SELECT count(*) FROM open_run") + s.column("SELECT next_at FROM cursor") + s.column("SELECT version FROM job"); after != before {
			t.Errorf("%q became %q", before, after)
		}
		if r := admin.do("GET", "/run/"+test, ""); r.status != 400 {
			t.Errorf("the id of a test is one of a run: %s", r.body)
		}
		r = admin.do("GET", "/audit?action=job.test", "")
		if r.text("0.object") != "job/"+id || r.text("0.detail.test") != test || r.text("0.detail.version") != "1" || r.text("1.id") != "" {
			t.Error(string(r.body))
		}
	})
	t.Run("a target that fails is told with its reason", func(t *testing.T) {
		r := admin.do("POST", "/job/fails/test", "")
		if r.status != 200 || r.message != "Test of job fails failed: The target answered 503 Service Unavailable" || r.text("reason") != "http_status" ||
			r.text("response.status") != "503" {
			t.Error(string(r.body))
		}
	})
	t.Run("where no request can be made there is none", func(t *testing.T) {
		admin.newSecret("moved", srv.URL)
		make(admin, "names", "/fine?{{secret \"moved\"}}", "")
		if r := admin.do("PATCH", "/secret/moved", `{"value":"canary","origins":["https://elsewhere.example"]}`); r.status != 200 {
			t.Fatal(string(r.body))
		}
		r := admin.do("POST", "/job/names/test", "")
		if request, there := r.data.(map[string]any)["request"]; r.status != 200 || r.text("reason") != "target_refused" || !there || request != nil || r.text("response") != "" {
			t.Error(string(r.body))
		}
	})
	t.Run("a patch is tested and not stored", func(t *testing.T) {
		r := admin.do("POST", "/job/fine/test", `{"target":{"method":"PUT","body":"new"}}`, "Content-Type", "application/merge-patch+json")
		if r.status != 200 || !strings.HasPrefix(r.text("response.body"), "PUT /fine new") {
			t.Error(string(r.body))
		}
		mu.Lock()
		if got.Get("Authorization") != "Bearer told" {
			t.Errorf("a secret header that is not sent again stays: %v", got)
		}
		mu.Unlock()
		if r := admin.do("GET", "/job/fine", ""); r.text("target.method") != "POST" || r.text("version") != "1" {
			t.Error(string(r.body))
		}
		if r := admin.do("GET", "/audit?action=job.test", ""); r.text("0.detail.changes.0.to") != "PUT" || r.text("0.detail.changes.1.field") != "target.body" {
			t.Error(string(r.body))
		}
	})
	for _, tt := range []struct {
		rule, patch string
		status      int
		field       string
	}{
		{"a patch is as strict as one that is stored", `{"target":{"expect":{"status":"x"}}}`, 400, "target.expect.status"},
		{"an instant that has passed is none of an edit", `{"schedules":[{"at":"2020-01-01T00:00:00Z"}]}`, 400, "schedules[0].at"},
		{"what changes nothing is tested", `{"target":{"method":"POST"}}`, 200, ""},
		{"an unknown member", `{"taget":{}}`, 400, "taget"},
		{"secrets are bound to their origin", `{"target":{"url":"http://elsewhere.example/"}}`, 400, "target.headers.Authorization"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if r := admin.do("POST", "/job/fine/test", tt.patch); r.status != tt.status || r.text("errors.0.field") != tt.field {
				t.Error(string(r.body))
			}
		})
	}

	ani := s.asUser("ani", false)
	share := func(level string) {
		t.Helper()
		if r := admin.do("PUT", "/job/"+id+"/grant/"+ani.id(), `{"level":"`+level+`"}`); r.status/100 != 2 {
			t.Fatal(string(r.body))
		}
	}
	t.Run("the owner's egress rules hold", func(t *testing.T) {
		make(ani, "own", "/fine", "")
		if r := ani.do("POST", "/job/own/test", ""); r.status != 200 || r.text("reason") != "target_refused" || r.text("response") != "" || strings.Contains(r.message, "until") {
			t.Error(string(r.body))
		}
	})
	t.Run("an operator tests the job of a superuser as it is", func(t *testing.T) {
		share("operator")
		if r := ani.do("POST", "/job/"+id+"/test", ""); r.status != 200 || r.text("state") != "succeeded" {
			t.Error(string(r.body))
		}
		if r := ani.do("POST", "/job/"+id+"/test", `{"target":{"method":"PUT"}}`); r.status != 403 {
			t.Error(string(r.body))
		}
	})
	t.Run("what an editor writes has the editor's egress rules", func(t *testing.T) {
		share("editor")
		if r := ani.do("POST", "/job/"+id+"/test", `{"target":{"method":"PUT"}}`); r.status != 200 || r.text("reason") != "target_refused" || !strings.Contains(r.message, "until a superuser edits it") {
			t.Error(string(r.body))
		}
	})
	t.Run("a key that may only run tests nothing but what is", func(t *testing.T) {
		key := &session{s, admin.newKey(jadwal.ScopeWriteRun).text("key"), ""}
		if r := key.do("POST", "/job/"+id+"/test", ""); r.status != 200 {
			t.Error(string(r.body))
		}
		if r := key.do("POST", "/job/"+id+"/test", `{"timeout":"5s"}`); r.status != 403 || r.code != "insufficient_scope" {
			t.Error(string(r.body))
		}
	})
	t.Run("nothing of a disabled owner is sent", func(t *testing.T) {
		if r := admin.do("POST", "/user/"+ani.id()+"/disable", ""); r.status != 200 {
			t.Fatal(string(r.body))
		}
		own := ownJob(s.in(t), "own")
		if r := admin.do("POST", "/job/"+own+"/test", ""); r.status != 409 || r.code != "conflict" {
			t.Error(string(r.body))
		}
	})
}

// ownJob is the id of the one job of that name.
func ownJob(s *server, name string) string {
	return strings.TrimSpace(s.column("SELECT id FROM job WHERE name = '" + name + "'"))
}

func TestSentTestsAreBounded(t *testing.T) {
	release, timeouts := make(chan struct{}), make(chan time.Duration, jadwal.MaxTests+2)
	s := newServer(t, func(o *settings) {
		o.api.Tester = func(ctx context.Context, test jadwal.Test) jadwal.Exchange {
			timeouts <- test.Timeout
			select {
			case <-release:
			case <-ctx.Done():
			}
			return jadwal.Exchange{State: jadwal.RunSucceeded}
		}
	})
	var waiting sync.WaitGroup
	begin := func(c *session, n int) {
		for range n {
			waiting.Go(func() {
				if r := c.do("POST", "/job/a/test", ""); r.status != 200 {
					t.Error(string(r.body))
				}
			})
		}
		for range n {
			if got := <-timeouts; got != jadwal.MaxTestTimeout {
				t.Errorf("a test may take %s", got)
			}
		}
	}
	for i := range jadwal.MaxTests / jadwal.MaxTestsOfUser {
		c := s.asUser(fmt.Sprintf("user%d", i), false)
		if r := c.do("POST", "/job", `{"name":"a","timeout":"1h",`+hook+`}`); r.status != 201 {
			t.Fatal(string(r.body))
		}
		begin(c, jadwal.MaxTestsOfUser)
		if r := c.do("POST", "/job/a/test", ""); r.status != 429 || r.code != "rate_limited" || r.header.Get("Retry-After") != "1" {
			t.Error(string(r.body))
		}
	}
	late := s.asUser("late", false)
	if r := late.do("POST", "/job", `{"name":"a",`+hook+`}`); r.status != 201 {
		t.Fatal(string(r.body))
	}
	if r := late.do("POST", "/job/a/test", ""); r.status != 503 || r.code != "busy" || r.header.Get("Retry-After") != "1" {
		t.Error(string(r.body))
	}
	close(release)
	waiting.Wait()
	if r := late.do("POST", "/job/a/test", ""); r.status != 200 {
		t.Error(string(r.body))
	}
	if len(s.api.tests.of) != 0 || s.api.tests.all != 0 {
		t.Errorf("%+v", s.api.tests.of)
	}
}
