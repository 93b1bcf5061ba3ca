package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResetPassword(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	env := []string{"JADWAL_DATA=" + data}
	s := startServer(t, data, nil)
	admin := s.mustSignIn("admin", "admin123")
	call(t, admin, http.StatusCreated, "POST", "/user", map[string]any{"username": "arbath", "email": "arbath@teknohole.com", "password": "arbath123"}, nil)
	arbath := s.mustSignIn("arbath", "arbath123")

	t.Run("beside a running server it sets the password and ends that user's sessions", func(t *testing.T) {
		r := execute(t, "correct horse\n", env, "user", "reset-password", "ARBATH@teknohole.com")
		if r.status != 0 || r.stdout != "" || r.stderr != "The password of arbath is set; all of that user's sessions have ended.\n" {
			t.Fatalf("status %d\nstdout %s\nstderr %s", r.status, r.stdout, r.stderr)
		}
		eventually(t, "the session to end", func() bool {
			a, err := arbath.Call("GET", "/user/me", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			return a.Status == http.StatusUnauthorized
		})
		if a, err := arbath.Call("POST", "/refresh/token", map[string]string{"refresh_token": arbath.Refresh}, nil); err != nil || a.Status != http.StatusUnauthorized {
			t.Errorf("refresh: %v, %v", a, err)
		}
		if _, status := s.signIn("arbath", "arbath123"); status != http.StatusUnauthorized {
			t.Errorf("the old password: %d", status)
		}
		s.mustSignIn("arbath", "correct horse")
		call(t, admin, http.StatusOK, "GET", "/user/me", nil, nil) // nobody else's
	})
	for _, tt := range []struct {
		name, user, stdin string
		status            int
		want              string
	}{
		{"there is no such user", "nobody", "correct horse\n", 3, `no user has the name or email "nobody" in ` + data},
		{"a password is too short", "arbath", "short\n", 2, "password must have at least 8 bytes"},
		{"a password is the email", "arbath", "Arbath@Teknohole.com\n", 2, "password must not be the username or the email"},
		{"a password heads every list", "arbath", "password1\n", 2, "password is one of the most used ones"},
		{"a password is too long", "arbath", strings.Repeat("x", 1<<20), 2, "password must have at most 1024 bytes"},
		{"nothing is there to read", "arbath", "", 2, "no password on standard input"},
		{"an empty line is no password", "arbath", "\n", 2, "password is required"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := execute(t, tt.stdin, env, "user", "reset-password", tt.user)
			if r.status != tt.status || r.stdout != "" || r.stderr != "jadwal: "+strings.TrimPrefix(r.stderr, "jadwal: ") || !strings.Contains(r.stderr, tt.want) || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("status %d\nstdout %s\nstderr %s", r.status, r.stdout, r.stderr)
			}
			s.mustSignIn("arbath", "correct horse")
		})
	}
	t.Run("only the first line counts, and nothing of it is trimmed but its end", func(t *testing.T) {
		if r := execute(t, "  spaces stay  \r\nsecond line\n", env, "user", "reset-password", "arbath"); r.status != 0 {
			t.Fatalf("status %d\n%s", r.status, r.stderr)
		}
		s.mustSignIn("arbath", "  spaces stay  ")
	})
	s.stop()
	t.Run("without a server, and it clears the well-known password", func(t *testing.T) {
		r := execute(t, "battery staple", env, "user", "reset-password", "admin")
		if r.status != 0 {
			t.Fatalf("status %d\n%s", r.status, r.stderr)
		}
		s := startServer(t, data, nil, "--listen", "0.0.0.0:0") // refused while it is in use
		s.mustSignIn("admin", "battery staple")
		s.stop()
		if strings.Contains(s.stderr.String(), "first start") {
			t.Errorf("log\n%s", &s.stderr)
		}
	})
	t.Run("a directory without a database is not made into one", func(t *testing.T) {
		for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "nowhere")} {
			r := execute(t, "correct horse\n", nil, "user", "reset-password", "admin", "--data", dir)
			if r.status != 1 && r.status != 3 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, dir) {
				t.Errorf("status %d\n%s", r.status, r.stderr)
			}
			if files, _ := os.ReadDir(dir); len(files) > 0 {
				t.Errorf("made %v", files)
			}
		}
	})
}
