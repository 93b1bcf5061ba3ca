package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// quota sets how many requests a minute a user, and a source, may make.
func quota(users, sources int) serverOption {
	return func(o *settings) { o.api.UserRequests, o.api.SourceRequests = users, sources }
}

// stands tells a client's standing as the answer does: "user 4/6 20s".
func stands(r *response) string {
	policy, left := r.header.Get("Ratelimit-Policy"), r.header.Get("Ratelimit")
	if policy == "" && left == "" {
		return ""
	}
	var name, other string
	var q, w, n, t int
	if _, err := fmt.Sscanf(strings.NewReplacer(";", " ", "=", " ").Replace(policy), "%q q %d w %d", &name, &q, &w); err != nil || w != 60 {
		return policy
	}
	if _, err := fmt.Sscanf(strings.NewReplacer(";", " ", "=", " ").Replace(left), "%q r %d t %d", &other, &n, &t); err != nil || name != other {
		return left
	}
	return fmt.Sprintf("%s %d/%d %ds", name, n, q, t)
}

func TestRequestsOfAUserAreLimited(t *testing.T) {
	s := newServer(t, quota(6, 0), idle)
	s.addUser("ani", userPassword, "ani@example.com", false, false)
	s.addUser("budi", userPassword, "budi@example.com", false, false)
	admin, ani, again, budi := s.login("admin", adminPassword), s.login("ani", userPassword), s.login("ani", userPassword), s.login("budi", userPassword)
	s.stop()
	want := func(what string, r *response, status int, standing string) {
		t.Helper()
		if r.status != status || stands(r) != standing {
			t.Errorf("%s: %d %q, want %d %q", what, r.status, stands(r), status, standing)
		}
	}
	want("the first one", ani.do("GET", "/user/me", ""), 200, "user 5/6 10s")
	made := ani.do("POST", "/key", `{"name":"k","scopes":["job:read"]}`)
	want("one with a body counts once", made, 201, "user 4/6 20s")
	key := &session{s: s, access: made.text("key")}
	want("a key counts for its owner", key.do("GET", "/job", ""), 200, "user 3/6 30s")
	want("and so does another session", again.do("GET", "/job", ""), 200, "user 2/6 40s")
	want("what is refused counts", ani.do("GET", "/user", ""), 403, "user 1/6 50s")
	want("what is not found counts", ani.do("GET", "/job/nothing", ""), 404, "user 0/6 60s")
	for what, c := range map[string]*session{"beyond it": ani, "with a key": key, "in another session": again} {
		r := c.do("GET", "/job", "")
		want(what, r, 429, "user 0/6 60s")
		if r.code != "rate_limited" || r.header.Get("Retry-After") != "10" || r.message != "Too many requests, try again in 10 seconds" {
			t.Errorf("%s: %s %q", what, r.code, r.header)
		}
	}
	want("the quota comes before the rights", ani.do("GET", "/user", ""), 429, "user 0/6 60s")
	want("but not before the path", ani.do("GET", "/nowhere", ""), 404, "")
	want("another user does not notice", budi.do("GET", "/job", ""), 200, "user 5/6 10s")
	want("nor does whoever is not signed in", s.do("GET", "/", ""), 200, "")
	for range 20 {
		want("a superuser is not counted", admin.do("GET", "/user", ""), 200, "")
	}
	s.pass(9 * time.Second)
	if r := ani.do("GET", "/job", ""); r.message != "Too many requests, try again in 1 second" || r.header.Get("Retry-After") != "1" {
		t.Errorf("got %s", r.body)
	}
	s.pass(time.Second)
	want("one comes back", ani.do("GET", "/job", ""), 200, "user 0/6 60s")
	s.pass(time.Minute)
	want("all of them are back", ani.do("GET", "/job", ""), 200, "user 5/6 10s")
}

func TestRequestsOfNobodyAreLimitedBySource(t *testing.T) {
	s := newServer(t, quota(0, 3), idle, trusting("127.0.0.1/32"))
	s.addUser("ani", userPassword, "ani@example.com", false, false)
	from := func(source string, method, target, body string) *response {
		return s.do(method, target, body, "X-Forwarded-For", source)
	}
	ani := s.login("ani", userPassword) // from 127.0.0.1
	s.stop()
	login := `{"identifier":"ani","password":"` + userPassword + `"}`
	want := func(what string, r *response, status int, standing string) {
		t.Helper()
		if r.status != status || stands(r) != standing {
			t.Errorf("%s: %d %q, want %d %q", what, r.status, stands(r), status, standing)
		}
	}
	want("a public route", from("192.0.2.1", "GET", "/", ""), 200, "source 2/3 20s")
	want("a sign-in counts once", from("192.0.2.1", "POST", "/login", login), 200, "source 1/3 40s")
	want("so does a call without a token", from("192.0.2.1", "GET", "/job", ""), 401, "source 0/3 60s")
	for target, method := range map[string]string{"/": "GET", "/login": "POST", "/job": "GET"} {
		r := from("192.0.2.1", method, target, login)
		want(target, r, 429, "source 0/3 60s")
		if r.code != "rate_limited" || r.header.Get("Retry-After") != "20" {
			t.Errorf("%s: %s %q", target, r.code, r.header)
		}
	}
	want("a token that is no good is guessed no further", s.do("GET", "/job", "", "X-Forwarded-For", "192.0.2.1", "Authorization", "Bearer x"), 429, "source 0/3 60s")
	want("whoever is signed in does not notice", ani.do("GET", "/job", "", "X-Forwarded-For", "192.0.2.1"), 200, "")
	for range 10 {
		want("nor does a load balancer", from("192.0.2.1", "GET", "/health/live", ""), 200, "")
	}
	want("another source", from("192.0.2.2", "POST", "/login", login), 200, "source 2/3 20s")
	for i := range 3 {
		from(fmt.Sprintf("2001:db8:0:1::%d", i), "GET", "/", "")
	}
	want("a subscriber's whole network is one source", from("2001:db8:0:1:ffff::1", "GET", "/", ""), 429, "source 0/3 60s")
	want("and the next one another", from("2001:db8:0:2::1", "GET", "/", ""), 200, "source 2/3 20s")
}

func TestManyAtOnceGetNoMoreThanTheQuota(t *testing.T) {
	s := newServer(t, quota(10, 0), idle)
	s.addUser("ani", userPassword, "ani@example.com", false, false)
	ani := s.login("ani", userPassword)
	s.stop()
	var wg sync.WaitGroup
	status := make([]int, 40)
	for i := range status {
		wg.Go(func() { status[i] = ani.do("GET", "/user/me", "").status })
	}
	wg.Wait()
	got := map[int]int{}
	for _, n := range status {
		got[n]++
	}
	if got[200] != 10 || got[429] != 30 {
		t.Errorf("got %v", got)
	}
}

func TestWithoutLimitsNothingIsCounted(t *testing.T) {
	s := newServer(t, idle)
	if r := s.do("GET", "/", ""); stands(r) != "" {
		t.Errorf("got %q", r.header)
	}
	if s.api.rates.users != nil || s.api.rates.sources != nil {
		t.Error("something is counted")
	}
}
