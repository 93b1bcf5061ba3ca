package api

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSignatureKeys(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	s := newServer(t, calling)
	admin, ani, budi := s.login("admin", adminPassword), s.asUser("ani", true), s.asUser("budi", false)
	made := ani.do("POST", "/job", `{"name":"mine","target":{"url":"`+srv.URL+`"}}`)
	if made.status != 201 {
		t.Fatal(string(made.body))
	}
	job := made.text("id")
	signatures := func() int {
		t.Helper()
		r := ani.do("POST", "/job/mine/test", "")
		if r.status != 200 || r.text("response.status") != "404" {
			t.Fatal(string(r.body))
		}
		return len(strings.Fields(valueIn(r, "request", "Webhook-Signature")))
	}
	form := regexp.MustCompile(`^whsec_[0-9A-Za-z+/]{43}=$`)

	t.Run("a key is told once, and signs", func(t *testing.T) {
		if n := signatures(); n != 0 {
			t.Errorf("%d signatures without a key", n)
		}
		r := ani.do("POST", "/signature-key", "")
		if r.status != 201 || !form.MatchString(r.text("key")) || r.text("state") != "active" || r.text("user_id") != ani.id() || r.text("job_id") != "" || r.text("retires_at") != "" {
			t.Fatal(string(r.body))
		}
		if list := ani.do("GET", "/signature-key", ""); list.text("0.id") != r.text("id") || strings.Contains(string(list.body), "whsec_") || list.text("1.id") != "" {
			t.Error(string(list.body))
		}
		if n := signatures(); n != 1 {
			t.Errorf("%d signatures", n)
		}
	})
	t.Run("the next one takes its place, and both sign for a while", func(t *testing.T) {
		r := ani.do("POST", "/signature-key", `{"overlap":"1h"}`)
		if r.status != 201 {
			t.Fatal(string(r.body))
		}
		list := ani.do("GET", "/signature-key", "")
		if list.text("0.id") != r.text("id") || list.text("0.state") != "active" || list.text("1.state") != "retiring" || list.text("1.retires_at") == "" {
			t.Error(string(list.body))
		}
		if n := signatures(); n != 2 {
			t.Errorf("%d signatures", n)
		}
		if r := ani.do("POST", "/signature-key", `{}`); r.status != 409 || r.code != "conflict" || !strings.Contains(r.message, "The former key, "+list.text("1.id")+", signs until ") || !strings.Contains(r.message, "; delete it first, or wait") {
			t.Error(string(r.body))
		}
		if r := ani.do("DELETE", "/signature-key/"+list.text("1.id"), ""); r.status != 200 || r.message != "Signature key with id "+list.text("1.id")+" has been deleted successfully!" {
			t.Error(string(r.body))
		}
		if n := signatures(); n != 1 {
			t.Errorf("%d signatures", n)
		}
	})
	t.Run("a job may have a key of its own", func(t *testing.T) {
		r := ani.do("POST", "/signature-key", `{"job":"mine"}`)
		if r.status != 201 || r.text("job_id") != job || r.text("user_id") != "" {
			t.Fatal(string(r.body))
		}
		for _, c := range []*session{ani, admin} {
			if list := c.do("GET", "/signature-key?job="+job, ""); list.text("0.id") != r.text("id") || list.text("1.id") != "" {
				t.Error(string(list.body))
			}
		}
		if list := admin.do("GET", "/signature-key?user="+ani.id(), ""); list.text("0.user_id") != ani.id() || list.text("1.id") != "" {
			t.Error(string(list.body))
		}
	})
	for _, tt := range []struct {
		rule, method, path, body string
		status                   int
		code                     string
	}{
		{"an overlap has a limit", "POST", "/signature-key", `{"overlap":"721h"}`, 400, "validation_failed"},
		{"an overlap is not negative", "POST", "/signature-key", `{"overlap":"-1s"}`, 400, "validation_failed"},
		{"a job has a name or an id", "POST", "/signature-key", `{"job":"No Job"}`, 400, "validation_failed"},
		{"another user's job is not known", "POST", "/signature-key", `{"job":"` + job + `"}`, 404, "not_found"},
		{"nor are its keys", "GET", "/signature-key?job=" + job, "", 404, "not_found"},
		{"nor another user's", "GET", "/signature-key?user=1", "", 404, "not_found"},
		{"one of both", "GET", "/signature-key?user=1&job=1", "", 400, "validation_failed"},
		{"an id has a form", "DELETE", "/signature-key/7", "", 400, "validation_failed"},
		{"and is that of a key", "DELETE", "/signature-key/0000000000a", "", 404, "not_found"},
		{"an unknown member", "POST", "/signature-key", `{"key":"whsec_"}`, 400, "validation_failed"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if r := budi.do(tt.method, tt.path, tt.body); r.status != tt.status || r.code != tt.code {
				t.Error(string(r.body))
			}
		})
	}
	t.Run("a rotation ends by itself", func(t *testing.T) {
		if r := budi.do("POST", "/signature-key", ""); r.status != 201 {
			t.Fatal(string(r.body))
		}
		if r := budi.do("POST", "/signature-key", ""); r.status != 201 {
			t.Fatal(string(r.body))
		}
		s.pass(25 * time.Hour)
		defer s.pass(-25 * time.Hour)
		budi := s.login("budi", userPassword)
		if list := budi.do("GET", "/signature-key", ""); list.text("0.state") != "active" || list.text("1.id") != "" {
			t.Error(string(list.body))
		}
	})
}
