package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

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
