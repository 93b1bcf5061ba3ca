package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/teknohole/jadwal/internal/auth"
	"github.com/teknohole/jadwal/internal/harness"
)

// refused runs a server that must end by itself with status 1 and one line
// that contains want.
func refused(t *testing.T, want, data string, env []string, args ...string) {
	t.Helper()
	r := execute(t, "", env, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, args...)...)
	if r.status != 1 || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "jadwal: ") || !strings.Contains(r.stderr, want) {
		t.Errorf("want one line with %q, got status %d\nstdout %s\nstderr %s", want, r.status, r.stdout, r.stderr)
	}
}

func TestAServerThatCannotStartSaysWhy(t *testing.T) {
	t.Run("the port is taken", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		data := filepath.Join(t.TempDir(), "data")
		refused(t, l.Addr().String()+" is in use by another program; stop that one, or choose another address with --listen", data, nil, "--listen", l.Addr().String())

		s := startServer(t, data, nil) // and the next start is still the first
		if !strings.Contains(s.stdout.String(), "First start: sign in as admin / admin123") {
			t.Errorf("banner\n%s", &s.stdout)
		}
	})
	t.Run("the address is not of this machine", func(t *testing.T) {
		refused(t, "192.0.2.1:8080 is no address of this machine", filepath.Join(t.TempDir(), "data"), nil, "--listen", "192.0.2.1:8080")
	})
	t.Run("the data directory is a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "data")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, "--data (JADWAL_DATA): data directory: mkdir "+file, file, nil)
	})
	t.Run("the data directory cannot be made", func(t *testing.T) {
		refused(t, "--data (JADWAL_DATA): data directory: mkdir /proc/jadwal", "/proc/jadwal", nil)
	})
	t.Run("the data directory cannot be written", func(t *testing.T) {
		refused(t, "--data (JADWAL_DATA): database: open /proc/self/fdinfo/jadwal.db", "/proc/self/fdinfo", nil)
	})
	t.Run("the database was lost", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		startServer(t, data, nil).stop()
		if err := os.Truncate(filepath.Join(data, "jadwal.db"), 0); err != nil {
			t.Fatal(err)
		}
		refused(t, "the database was lost; restore it from a backup, or, to begin anew, remove "+filepath.Join(data, "jadwal.key"), data, nil)
	})
	t.Run("another server holds the data directory", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		s := startServer(t, data, nil)
		refused(t, "--data (JADWAL_DATA): data directory "+data+": another jadwal server is using it", data, nil)
		s.mustSignIn("admin", "admin123")
	})
	t.Run("a newer jadwal wrote the database", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		startServer(t, data, nil).stop()
		db, err := sqlite.OpenConn(filepath.Join(data, "jadwal.db"), sqlite.OpenReadWrite)
		if err != nil {
			t.Fatal(err)
		}
		err = sqlitex.ExecuteTransient(db, "UPDATE meta SET value = '999' WHERE key = 'schema'", nil)
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		refused(t, "its schema is version 999", data, nil)
		r := execute(t, "correct horse\n", nil, "user", "reset-password", "admin", "--data", data)
		if r.status != 1 || !strings.Contains(r.stderr, "its schema is version 999") || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("reset-password: status %d\n%s", r.status, r.stderr)
		}
	})
	t.Run("the key file is no good", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		startServer(t, data, nil).stop()
		if err := os.WriteFile(filepath.Join(data, auth.KeyFile), []byte("short"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, "jadwal.key: has 5 bytes", data, nil)
	})
}

func TestFirstStart(t *testing.T) {
	const everywhere = "0.0.0.0:0"
	warning := "the password of the first start is still in use"

	t.Run("on loopback it is admin123, with a warning at every start", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		s := startServer(t, data, nil)
		want := regexp.MustCompile(`^Jadwal 0\.1\.0 · data ` + regexp.QuoteMeta(data) + ` \(new, SQLite\) · zone database 20\d\d[a-z]
  API  http://127\.0\.0\.1:\d+/    Docs  http://127\.0\.0\.1:\d+/docs
  First start: sign in as admin / admin123 \(works from this machine only; change it: jadwal user reset-password admin --data '` + regexp.QuoteMeta(data) + `'\)
$`)
		if !want.MatchString(s.stdout.String()) {
			t.Errorf("banner\n%s", &s.stdout)
		}
		c := s.mustSignIn("ADMIN@teknohole.com", "admin123")
		var user struct {
			ID          int64
			Username    string
			Email       string
			IsSuperuser bool `json:"is_superuser"`
		}
		call(t, c, http.StatusOK, "GET", "/user/me", nil, &user)
		if user.ID != 1 || user.Username != "admin" || user.Email != "admin@teknohole.com" || !user.IsSuperuser {
			t.Errorf("user %+v", user)
		}
		s.stop()

		again := startServer(t, data, nil)
		if strings.Contains(again.stdout.String(), "First start") || strings.Contains(again.stdout.String(), "new, SQLite") {
			t.Errorf("banner of the second start\n%s", &again.stdout)
		}
		call(t, clientFor(again, c), http.StatusOK, "GET", "/user/me", nil, nil) // the key was kept
		again.stop()
		for i, log := range []string{s.stderr.String(), again.stderr.String()} {
			if strings.Count(log, warning) != 1 {
				t.Errorf("log of start %d\n%s", i+1, log)
			}
		}
	})
	t.Run("admin123 works from this machine only", func(t *testing.T) {
		s := startServer(t, filepath.Join(t.TempDir(), "data"), nil)
		for name, change := range map[string]func(*http.Request){
			"a proxy":             func(r *http.Request) { r.Header.Set("X-Forwarded-For", "127.0.0.1") },
			"a name that rebinds": func(r *http.Request) { r.Host = "evil.example" },
			"a page elsewhere":    func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
		} {
			r, err := http.NewRequest("POST", s.url+"/login", strings.NewReader(`{"identifier": "admin", "password": "admin123"}`))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			change(r)
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %s", name, answer.Status)
			}
		}
		s.mustSignIn("admin", "admin123")
	})
	t.Run("where others reach the server it is random, printed once", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		s := startServer(t, data, nil, "--listen", everywhere)
		m := regexp.MustCompile(`First start: sign in as admin / (\S{26}) \(shown this once;`).FindStringSubmatch(s.stdout.String())
		if m == nil {
			t.Fatalf("banner\n%s", &s.stdout)
		}
		s.mustSignIn("admin", m[1])
		if _, status := s.signIn("admin", "admin123"); status != http.StatusUnauthorized {
			t.Errorf("admin123: %d", status)
		}
		s.stop()
		again := startServer(t, data, nil, "--listen", everywhere)
		again.mustSignIn("admin", m[1])
		again.stop()
		for _, text := range []string{again.stdout.String(), again.stderr.String(), s.stderr.String()} {
			if strings.Contains(text, m[1]) || strings.Contains(text, warning) {
				t.Errorf("told again, or warned of\n%s", text)
			}
		}
	})
	t.Run("the operator's own is nobody's bootstrap credential, whatever it is", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		s := startServer(t, data, []string{"JADWAL_ADMIN_PASSWORD=admin123", "JADWAL_ADMIN_EMAIL=root@example.com"}, "--listen", everywhere)
		if strings.Contains(s.stdout.String(), "admin123") || !strings.Contains(s.stdout.String(), "with the password of JADWAL_ADMIN_PASSWORD") {
			t.Errorf("banner\n%s", &s.stdout)
		}
		s.mustSignIn("root@example.com", "admin123")
		s.stop()
		again := startServer(t, data, nil, "--listen", everywhere)
		again.mustSignIn("admin", "admin123")
		again.stop()
		if log := s.stderr.String() + again.stderr.String(); strings.Contains(log, warning) || strings.Contains(log, "admin123") {
			t.Errorf("log\n%s", log)
		}
	})
	t.Run("from a file, and a later one changes nothing", func(t *testing.T) {
		dir := t.TempDir()
		data, file := filepath.Join(dir, "data"), filepath.Join(dir, "password")
		if err := os.WriteFile(file, []byte("correct horse\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s := startServer(t, data, []string{"JADWAL_ADMIN_PASSWORD_FILE=" + file})
		s.mustSignIn("admin", "correct horse")
		s.stop()
		again := startServer(t, data, []string{"JADWAL_ADMIN_PASSWORD=battery staple", "JADWAL_ADMIN_EMAIL=other@example.com"})
		again.mustSignIn("admin@teknohole.com", "correct horse")
		if _, status := again.signIn("admin", "battery staple"); status != http.StatusUnauthorized {
			t.Errorf("the later password: %d", status)
		}
	})
	t.Run("admin123 keeps the server from other addresses, until it is replaced", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		s := startServer(t, data, nil)
		c := s.mustSignIn("admin", "admin123")
		call(t, c, http.StatusOK, "PATCH", "/user/me", map[string]string{"username": "boss"}, nil)
		s.stop()
		refused(t, "the password admin123 of the first start is still in use, so listening on", data, nil, "--listen", everywhere)

		s = startServer(t, data, []string{"JADWAL_ADMIN_PASSWORD=correct horse"}, "--listen", everywhere)
		s.mustSignIn("boss", "correct horse")
		if _, status := s.signIn("boss", "admin123"); status != http.StatusUnauthorized {
			t.Errorf("admin123 after it was replaced: %d", status)
		}
		call(t, clientFor(s, c), http.StatusUnauthorized, "GET", "/user/me", nil, nil) // its sessions ended
		s.stop()
		startServer(t, data, nil, "--listen", everywhere).stop()
		if strings.Contains(s.stderr.String(), warning) {
			t.Errorf("log\n%s", &s.stderr)
		}
	})
	t.Run("a first user that was deleted is left alone", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		s := startServer(t, data, nil)
		c := s.mustSignIn("admin", "admin123")
		call(t, c, http.StatusCreated, "POST", "/user", map[string]any{"username": "other", "email": "other@example.com", "password": "correct horse", "is_superuser": true}, nil)
		c = s.mustSignIn("other", "correct horse")
		call(t, c, http.StatusOK, "DELETE", "/user/1", nil, nil)
		s.stop()
		again := startServer(t, data, []string{"JADWAL_ADMIN_PASSWORD=battery staple"}, "--listen", everywhere)
		again.mustSignIn("other", "correct horse")
		if _, status := again.signIn("admin", "battery staple"); status != http.StatusUnauthorized {
			t.Errorf("the deleted user: %d", status)
		}
	})
}

// clientFor is c, with its tokens, at another server.
func clientFor(s *server, c *harness.Client) *harness.Client {
	other := harness.NewClient(s.url)
	other.Access, other.Refresh = c.Access, c.Refresh
	return other
}

func TestSecretsRetire(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, nil)
	c := s.mustSignIn("admin", "admin123")
	s.stop()

	secret := "JADWAL_SECRET=" + strings.Repeat("s", 32)
	s = startServer(t, data, []string{secret, "JADWAL_RETIRING_SECRET_FILE=" + filepath.Join(data, auth.KeyFile)})
	old := clientFor(s, c)
	call(t, old, http.StatusOK, "GET", "/user/me", nil, nil)
	var tokens harness.Tokens
	call(t, old, http.StatusOK, "POST", "/refresh/token", map[string]string{"refresh_token": c.Refresh}, &tokens)
	s.stop()

	s = startServer(t, data, []string{secret})
	call(t, clientFor(s, c), http.StatusUnauthorized, "GET", "/user/me", nil, nil)
	call(t, clientFor(s, &harness.Client{Access: tokens.Access}), http.StatusOK, "GET", "/user/me", nil, nil)
}

// receiver is a job's target that answers after a while, or once the test is
// over, and remembers what it got.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	got []http.Header
}

func newReceiver(t *testing.T, answersAfter time.Duration) *receiver {
	t.Helper()
	over := make(chan struct{})
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, call *http.Request) {
		r.mu.Lock()
		r.got = append(r.got, call.Header)
		r.mu.Unlock()
		select {
		case <-time.After(answersAfter):
		case <-over:
		}
	}))
	t.Cleanup(func() {
		close(over)
		r.Close()
	})
	return r
}

func (r *receiver) deliveries() []http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// everySecond makes a job that calls r each second, and waits for the first
// delivery.
func everySecond(t *testing.T, c *harness.Client, r *receiver) (jobID int64) {
	t.Helper()
	jobID = newTick(t, c, r)
	eventually(t, "the first delivery", func() bool { return len(r.deliveries()) > 0 })
	return jobID
}

// newTick makes a job that calls r each second.
func newTick(t *testing.T, c *harness.Client, r *receiver) (jobID int64) {
	t.Helper()
	var job struct{ ID int64 }
	call(t, c, http.StatusCreated, "POST", "/job", map[string]any{
		"name":      "tick",
		"schedules": []any{map[string]string{"every": "1s"}},
		"target":    map[string]string{"type": "http", "method": "POST", "url": r.URL},
	}, &job)
	return job.ID
}

type runView struct {
	ID    string
	State string
}

func runs(t *testing.T, c *harness.Client, jobID int64) map[string]string {
	t.Helper()
	states := map[string]string{}
	err := harness.List(c, fmt.Sprintf("/job/%d/run", jobID), func(page []runView) {
		for _, r := range page {
			states[r.ID] = r.State
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return states
}

func TestStopping(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run("what runs ends and is recorded after "+sig.String(), func(t *testing.T) {
			r := newReceiver(t, 700*time.Millisecond)
			data := filepath.Join(t.TempDir(), "data")
			s := startServer(t, data, nil)
			c := s.mustSignIn("admin", "admin123")
			id := everySecond(t, c, r)
			s.signal(sig)
			if status := s.end(); status != 0 || !strings.Contains(s.stderr.String(), "msg=stopped") {
				t.Fatalf("status %d\n%s", status, &s.stderr)
			}
			delivered := r.deliveries()
			s = startServer(t, data, nil)
			states := runs(t, clientFor(s, c), id)
			for _, d := range delivered {
				if id := d.Get("Jadwal-Run-Id"); states[id] != "succeeded" {
					t.Errorf("run %s is %q", id, states[id])
				}
			}
		})
	}
	t.Run("what does not end within the drain timeout is delivered again", func(t *testing.T) {
		r := newReceiver(t, 10*time.Second) // within the timeout that is the default
		data := filepath.Join(t.TempDir(), "data")
		s := startServer(t, data, nil, "--drain-timeout", "1s")
		everySecond(t, s.mustSignIn("admin", "admin123"), r)
		s.stop()
		if n := len(r.deliveries()); n != 1 {
			t.Fatalf("%d deliveries", n)
		}
		if log := s.stderr.String(); strings.Count(log, "cut off; the next start") != 1 || !strings.Contains(log, "attempts=1 allowed=1s") {
			t.Errorf("the log does not tell once that an attempt was cut off:\n%s", log)
		}
		startServer(t, data, nil)
		eventually(t, "the second delivery", func() bool { return len(r.deliveries()) > 1 })
		first, again := r.deliveries()[0], r.deliveries()[1]
		for _, name := range []string{"Jadwal-Run-Id", "Idempotency-Key", "Jadwal-Attempt", "Jadwal-Due-At"} {
			if first.Get(name) == "" || first.Get(name) != again.Get(name) {
				t.Errorf("%s: first %q, then %q", name, first.Get(name), again.Get(name))
			}
		}
		if first.Get("Jadwal-Redelivery") != "" || again.Get("Jadwal-Redelivery") != "possible" {
			t.Errorf("redelivery: first %q, then %q", first.Get("Jadwal-Redelivery"), again.Get("Jadwal-Redelivery"))
		}
	})
	t.Run("a second signal ends it at once", func(t *testing.T) {
		r := newReceiver(t, time.Hour)
		s := startServer(t, filepath.Join(t.TempDir(), "data"), nil, "--drain-timeout", "1h")
		everySecond(t, s.mustSignIn("admin", "admin123"), r)
		s.signal(syscall.SIGTERM)
		eventually(t, "the drain to begin", func() bool { return strings.Contains(s.stderr.String(), "stopping") })
		s.signal(syscall.SIGINT)
		if status := s.end(); status != exitInterrupted || !strings.Contains(s.stderr.String(), "jadwal: stopped at once") {
			t.Errorf("status %d\n%s", status, &s.stderr)
		}
	})
	t.Run("a request under way is answered, a new connection is refused", func(t *testing.T) {
		s := startServer(t, filepath.Join(t.TempDir(), "data"), nil)
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		body := `{"identifier": "admin", "password": "admin123"}`
		fmt.Fprintf(conn, "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:10])
		time.Sleep(50 * time.Millisecond) // its header is read by then; if not, it is refused as it should be
		s.signal(syscall.SIGTERM)
		eventually(t, "the listener to close", func() bool {
			other, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
			if err == nil {
				other.Close()
			}
			return err != nil
		})
		fmt.Fprint(conn, body[10:])
		answer := make([]byte, 15)
		if _, err := conn.Read(answer); err != nil || string(answer) != "HTTP/1.1 200 OK" {
			t.Errorf("answer %q, %v", answer, err)
		}
		if status := s.end(); status != 0 {
			t.Errorf("status %d\n%s", status, &s.stderr)
		}
	})
}

func TestTheServerItself(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, nil)
	t.Run("its files are for its user only", func(t *testing.T) {
		err := filepath.WalkDir(data, func(name string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", name, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	raw := func(request string) string {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 64<<10)
		n, err := conn.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	t.Run("OPTIONS * is answered by the API", func(t *testing.T) {
		if answer := raw("OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"); !strings.Contains(answer, "Content-Type: application/json") {
			t.Errorf("answer\n%s", answer)
		}
	})
	t.Run("a header over 32 KiB is refused", func(t *testing.T) {
		answer := raw("GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("x", 40<<10) + "\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
			t.Errorf("answer\n%s", answer)
		}
	})
}

func TestLetHeapGrow(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	for _, tt := range []struct {
		rule string
		env  map[string]string
		want int
	}{
		{"the heap may grow more than Go lets it", nil, heapGrowth},
		{"an empty GOGC is none, as for Go itself", map[string]string{"GOGC": ""}, heapGrowth},
		{"GOGC wins", map[string]string{"GOGC": "50"}, 100},
		{"GOGC wins when it turns the collector off", map[string]string{"GOGC": "off"}, 100},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			debug.SetGCPercent(100)
			letHeapGrow(func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok })
			if got := debug.SetGCPercent(100); got != tt.want {
				t.Errorf("%d %%, want %d", got, tt.want)
			}
		})
	}
}
