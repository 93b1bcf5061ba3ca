package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal/internal/harness"
)

// A server that lacks the master key which another one has sealed with leaves
// its jobs to that one, and is not ready; alone it fires what needs no secret.
func TestAServerWithoutTheMasterKeyInUse(t *testing.T) {
	for name, key := range map[string]string{"it has none": "", "it has another one": "JADWAL_MASTER_KEY=" + strings.Repeat("t", 32)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testWithoutTheMasterKey(t, key)
		})
	}
}

func testWithoutTheMasterKey(t *testing.T, other string) {
	const authorization, secret = "Bearer of a header", "value-of-a-secret"
	var mu sync.Mutex
	good := map[string]int{} // deliveries with what they need, by path
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.URL.Path == "/plain", r.URL.Path == "/header" && r.Header.Get("Authorization") == authorization, r.URL.Path == "/secret" && r.Header.Get("X-Auth") == secret:
			good[r.URL.Path]++
		default:
			t.Errorf("delivered to %s without what it needs: %v", r.URL.Path, r.Header)
		}
	}))
	defer sink.Close()
	more := func(what string, paths ...string) {
		t.Helper()
		mu.Lock()
		before := map[string]int{}
		for _, path := range paths {
			before[path] = good[path]
		}
		mu.Unlock()
		eventually(t, what, func() bool {
			mu.Lock()
			defer mu.Unlock()
			for _, path := range paths {
				if good[path] < before[path]+3 {
					return false
				}
			}
			return true
		})
	}

	database := newDatabase(t)
	data := filepath.Join(t.TempDir(), "data")
	env := []string{"JADWAL_DATABASE_URL=" + database, sharedSecret, "JADWAL_UNSAFE=yes"}
	keyed := append(env[:len(env):len(env)], "JADWAL_MASTER_KEY="+strings.Repeat("k", 32))
	if other != "" {
		env = append(env, other)
	}
	without := startServer(t, data, env)
	there := without.mustSignIn("admin", "admin123")
	with := startServer(t, data, keyed)
	here := with.mustSignIn("admin", "admin123")
	shares := func(c *harness.Client, want ...int) {
		t.Helper()
		eventually(t, "the shares", func() bool {
			all := nodesAt(t, c)
			if len(all) != len(want) {
				return false
			}
			for i, n := range all {
				if n.Shards != want[i] {
					return false
				}
			}
			return true
		})
	}
	ready := func(c *harness.Client, want int) {
		t.Helper()
		eventually(t, "readiness", func() bool {
			a, err := c.Call("GET", "/health/ready", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			return a.Status == want
		})
	}
	shares(here, 512, 512) // the first 512 jobs are the first server's
	ready(there, http.StatusOK)
	body := func(path string, headers map[string]string) map[string]any {
		return map[string]any{
			"name": path[1:], "schedules": []any{map[string]string{"every": "1s"}},
			"target": map[string]any{"url": sink.URL + path, "headers": headers},
		}
	}
	call(t, there, http.StatusCreated, "POST", "/job", body("/plain", map[string]string{}), nil)
	more("deliveries of what needs no secret", "/plain")

	call(t, here, http.StatusCreated, "POST", "/secret", map[string]any{"name": "token", "value": secret, "origins": []string{sink.URL}}, nil)
	shares(here, 0, 1024)
	ready(there, http.StatusServiceUnavailable)
	ready(here, http.StatusOK)
	if all := nodesAt(t, here); !all[0].Locked || all[0].Leaving || all[1].Locked {
		t.Errorf("nodes: %+v", all)
	}
	call(t, here, http.StatusCreated, "POST", "/job", body("/secret", map[string]string{"X-Auth": `{{secret "token"}}`}), nil)
	call(t, here, http.StatusCreated, "POST", "/job", body("/header", map[string]string{"Authorization": authorization}), nil)
	call(t, there, http.StatusConflict, "POST", "/job", body("/refused", map[string]string{"Authorization": authorization}), nil)
	more("deliveries with secrets", "/plain", "/secret", "/header")
	failed := func() (n int) {
		t.Helper()
		var runs []struct{ Reason string }
		call(t, there, http.StatusOK, "GET", "/run?state=failed", nil, &runs)
		for _, run := range runs {
			if run.Reason != "target_refused" {
				t.Errorf("failed: %s", run.Reason)
			}
		}
		return len(runs)
	}
	if n := failed(); n > 0 {
		t.Errorf("%d runs failed", n)
	}

	with.stop() // alone now
	shares(there, 1024)
	more("deliveries of what needs no secret", "/plain")
	eventually(t, "runs that need a secret to fail", func() bool { return failed() > 4 })
	ready(there, http.StatusServiceUnavailable)
	if n := strings.Count(without.stderr.String(), "this server does not have the master key that is in use"); n != 1 {
		t.Errorf("said %d times", n)
	}

	if other == "" { // the key is lost
		c, err := pgx.Connect(t.Context(), database)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(t.Context())
		if _, err := c.Exec(t.Context(), "DELETE FROM meta WHERE key LIKE 'master:%'"); err != nil {
			t.Fatal(err)
		}
		ready(there, http.StatusOK)
		without.stop()
		return
	}
	// The others go over to its key.
	with = startServer(t, data, append(env, "JADWAL_RETIRING_MASTER_KEY="+strings.Repeat("k", 32)))
	ready(there, http.StatusOK)
	shares(there, 512, 512)
	with.stop()
	shares(there, 1024)
	more("deliveries with secrets", "/plain", "/secret", "/header")
	without.stop()
}
