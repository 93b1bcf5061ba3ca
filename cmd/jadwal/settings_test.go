package main

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// asNormal makes a user who is no superuser, and signs in.
func asNormal(t *testing.T, s *server) *harness.Client {
	t.Helper()
	admin := s.mustSignIn("admin", "admin123")
	call(t, admin, http.StatusCreated, "POST", "/user", map[string]string{"username": "ani", "email": "ani@example.com", "password": "correct horse"}, nil)
	return s.mustSignIn("ani", "correct horse")
}

func TestAllowEgress(t *testing.T) {
	t.Run("a normal user's jobs call no loopback address", func(t *testing.T) {
		s := startServer(t, filepath.Join(t.TempDir(), "data"), nil)
		c, r := asNormal(t, s), newReceiver(t, 0)
		id := newTick(t, c, r)
		eventually(t, "a run to fail", func() bool {
			for _, state := range runs(t, c, id) {
				if state == "failed" {
					return true
				}
			}
			return false
		})
		if n := len(r.deliveries()); n != 0 {
			t.Errorf("%d deliveries", n)
		}
	})
	t.Run("but those that are allowed", func(t *testing.T) {
		s := startServer(t, filepath.Join(t.TempDir(), "data"), nil, "--allow-egress", "10.0.0.0/8,127.0.0.1")
		everySecond(t, asNormal(t, s), newReceiver(t, 0))
	})
}

// A refused target is a run that failed, with the reason and a sentence, for a
// superuser too.
func TestDeniedTargets(t *testing.T) {
	address, err := harness.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(address)
	for _, tt := range []struct {
		rule, url string
		flags     []string
		state     string
		message   string
	}{
		{"a denied network", "", []string{"--deny-egress", "127.0.0.0/8"}, "failed", "The target is one that the operator of this server has denied"},
		{"a denied name", "", []string{"--deny-egress", "LOCALHOST", "--allow-egress", "127.0.0.0/8"}, "failed", "The target is one that the operator of this server has denied"},
		{"another port than the denied one", "", []string{"--deny-egress", "127.0.0.0/8:1"}, "succeeded", ""},
		{"the server itself", "http://127.0.0.1:" + port, []string{"--listen", address}, "failed", "The target is this server itself, which no job may call"},
		{"the server itself, where it listens everywhere", "http://127.0.0.3:" + port, []string{"--listen", ":" + port}, "failed", "The target is this server itself, which no job may call"},
		{"the server itself, allowed", "http://127.0.0.1:" + port, []string{"--listen", address, "--allow-egress", address}, "succeeded", ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := startServer(t, filepath.Join(t.TempDir(), "data"), []string{"JADWAL_ADMIN_PASSWORD=admin123"}, tt.flags...)
			c, r := s.mustSignIn("admin", "admin123"), newReceiver(t, 0)
			url := tt.url
			if url == "" {
				url = strings.Replace(r.URL, "127.0.0.1", "localhost", 1)
			}
			var job struct{ ID int64 }
			call(t, c, http.StatusCreated, "POST", "/job", map[string]any{"name": "once", "target": map[string]string{"method": "GET", "url": url}}, &job)
			var run struct{ ID, State, Reason, Message string }
			call(t, c, http.StatusCreated, "POST", fmt.Sprintf("/job/%d/run", job.ID), nil, &run)
			eventually(t, "the run to end", func() bool {
				call(t, c, http.StatusOK, "GET", "/run/"+run.ID, nil, &run)
				return run.State == "failed" || run.State == "succeeded"
			})
			reason := ""
			if tt.state == "failed" {
				reason = "target_refused"
			}
			if run.State != tt.state || run.Reason != reason || run.Message != tt.message {
				t.Errorf("%+v", run)
			}
			s.stop()
		})
	}
}

func TestAccessLifetime(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), nil, "--access-lifetime", "2s")
	var c *harness.Client
	answers := func(status int) bool {
		a, err := c.Call("GET", "/user/me", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return a.Status == status
	}
	eventually(t, "a new access token to be good", func() bool {
		c = s.mustSignIn("admin", "admin123")
		return answers(http.StatusOK)
	})
	eventually(t, "it to expire", func() bool { return answers(http.StatusUnauthorized) })
	c.Access = ""
	call(t, c, http.StatusOK, "POST", "/refresh/token", map[string]string{"refresh_token": c.Refresh}, nil)
}

// What a proxy says of a sign-in's source counts when the proxy is trusted: so
// who has guessed too often there keeps nobody else out.
func TestTrustedProxies(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), nil, "--trusted-proxies", "127.0.0.1")
	guess := func(source string) int {
		r, err := http.NewRequest("POST", s.url+"/login", strings.NewReader(`{"identifier": "nobody", "password": "a guess"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", source)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	eventually(t, "one source to be held off", func() bool { return guess("203.0.113.5") == http.StatusTooManyRequests })
	if status := guess("203.0.113.6"); status != http.StatusUnauthorized {
		t.Errorf("another source: %d", status)
	}
}

// Keys and codes live as long as the settings say, from the moment they are
// made, which their answers tell.
func TestLifetimesOfKeysAndCodes(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), nil, "--max-key-lifetime", "1h", "--reset-lifetime", "2m")
	c := asNormal(t, s)
	admin := s.mustSignIn("admin", "admin123")
	var made struct {
		CreatedAt time.Time `json:"created_at"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	call(t, c, http.StatusCreated, "POST", "/key", map[string]any{"name": "k", "scopes": []string{"job:read"}}, &made)
	if life := made.ExpiresAt.Sub(made.CreatedAt); life != time.Hour {
		t.Errorf("a key lives for %s", life)
	}
	call(t, c, http.StatusBadRequest, "POST", "/key", map[string]any{"name": "k", "scopes": []string{"job:read"}, "expires_at": made.ExpiresAt.Add(time.Hour)}, nil)
	call(t, admin, http.StatusCreated, "POST", "/user/2/password/reset", nil, &made)
	var audit []struct {
		At     time.Time `json:"at"`
		Detail struct {
			ExpiresAt time.Time `json:"expires_at"`
		} `json:"detail"`
	}
	call(t, admin, http.StatusOK, "GET", "/audit?action=user.reset", nil, &audit)
	if len(audit) != 1 || audit[0].Detail.ExpiresAt.Sub(audit[0].At) != 2*time.Minute || !audit[0].Detail.ExpiresAt.Equal(made.ExpiresAt) {
		t.Errorf("a code lives for %+v", audit)
	}
}

func TestLimits(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), nil, "--user-jobs", "2", "--user-fires", "2", "--user-requests", "1000", "--source-requests", "40", "--allow-egress", "127.0.0.1")
	c, r := asNormal(t, s), newReceiver(t, 0)
	admin := s.mustSignIn("admin", "admin123")
	body := map[string]any{"name": "one", "schedules": []any{map[string]string{"every": "1s"}}, "target": map[string]any{"url": r.URL}}
	refuses := func(what string, c *harness.Client, method, path string, body any) {
		t.Helper()
		if a := call(t, c, http.StatusForbidden, method, path, body, nil); a.Code() != "quota_exceeded" || !strings.Contains(a.Message, "2 jobs, as many as a user may have here") {
			t.Errorf("%s: %v", what, a)
		}
	}
	t.Run("jobs of a user, however they come about", func(t *testing.T) {
		var made struct{ ID int64 }
		call(t, c, http.StatusCreated, "POST", "/job", body, &made)
		call(t, c, http.StatusCreated, "PUT", "/job/two", map[string]any{"target": body["target"]}, nil)
		body["name"] = "three"
		refuses("creating", c, "POST", "/job", body)
		refuses("putting a new name", c, "PUT", "/job/three", body)
		refuses("cloning", c, "POST", "/job/one/clone", map[string]string{"name": "three"})
		call(t, c, http.StatusOK, "PUT", "/job/two", map[string]any{"target": body["target"], "description": "another"}, nil)
		for _, name := range []string{"three", "four", "five"} { // a superuser's
			body["name"] = name
			call(t, admin, http.StatusCreated, "POST", "/job", body, nil)
		}
		refuses("being given one", admin, "POST", "/job/three/owner", map[string]int64{"owner": 2})
		call(t, c, http.StatusOK, "DELETE", "/job/two", nil, nil)
		call(t, admin, http.StatusOK, "POST", "/job/three/owner", map[string]int64{"owner": 2}, nil)
	})
	t.Run("planned runs of a user, and each that is too many is recorded", func(t *testing.T) {
		var runs []struct{ State, Reason string }
		eventually(t, "runs above the quota", func() bool {
			call(t, c, http.StatusOK, "GET", "/job/one/run?reason=quota", nil, &runs)
			return len(runs) >= 3
		})
		for _, run := range runs {
			if run.State != "skipped" {
				t.Errorf("%+v", run)
			}
		}
		call(t, admin, http.StatusOK, "GET", "/job/four/run?reason=quota", nil, &runs)
		if len(runs) > 0 {
			t.Errorf("a superuser's: %+v", runs)
		}
	})
	t.Run("requests", func(t *testing.T) {
		a := call(t, c, http.StatusOK, "GET", "/user/me", nil, nil)
		if policy := a.Header.Get("RateLimit-Policy"); policy != `"user";q=1000;w=60` || !strings.HasPrefix(a.Header.Get("RateLimit"), `"user";r=`) {
			t.Errorf("%q", a.Header)
		}
		nobody := harness.NewClient(s.url)
		eventually(t, "the source to have had enough", func() bool {
			a, err := nobody.Call("GET", "/", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			return a.Status == http.StatusTooManyRequests
		})
		call(t, c, http.StatusOK, "GET", "/user/me", nil, nil)
	})
}
