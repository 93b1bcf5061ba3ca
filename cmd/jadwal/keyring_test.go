package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/teknohole/jadwal/internal/auth"
	"github.com/teknohole/jadwal/internal/harness"
)

// crew is clients that work without a pause, on one server after another, each
// in a session of its own: they call and they refresh.
type crew struct {
	t         *testing.T
	stopped   atomic.Bool
	wg        sync.WaitGroup
	refreshes []atomic.Int64
	calls     atomic.Int64
	mu        sync.Mutex
	refused   []string
}

func startCrew(t *testing.T, size int, password string, servers ...*server) *crew {
	t.Helper()
	c := &crew{t: t, refreshes: make([]atomic.Int64, size)}
	for i := range size {
		clients := make([]*harness.Client, len(servers))
		clients[0] = servers[0].mustSignIn("admin", password)
		for j := range clients {
			clients[j] = clientFor(servers[j], clients[0])
		}
		c.wg.Go(func() { c.work(i, clients) })
	}
	t.Cleanup(c.stop)
	return c
}

func (c *crew) work(me int, clients []*harness.Client) {
	for n := 0; !c.stopped.Load(); n++ {
		at := clients[(n+n/4)%len(clients)]
		c.expect(at.Call("GET", "/user/me", nil, nil))
		if n%4 != 0 {
			continue
		}
		var pair harness.Tokens
		if c.expect(at.Call("POST", "/refresh/token", map[string]string{"refresh_token": at.Refresh}, &pair)) {
			for _, client := range clients {
				client.Access, client.Refresh = pair.Access, pair.Refresh
			}
			c.refreshes[me].Add(1)
		}
	}
}

func (c *crew) expect(a harness.Answer, err error) bool {
	c.calls.Add(1)
	if err == nil && a.Status == http.StatusOK {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = append(c.refused, fmt.Sprint(a, err))
	return false
}

// settle waits until nobody holds a token from before.
func (c *crew) settle() {
	c.t.Helper()
	for i := range c.refreshes {
		before := c.refreshes[i].Load()
		eventually(c.t, "two refreshes", func() bool { return c.refreshes[i].Load() >= before+2 || c.failed() })
	}
}

func (c *crew) failed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.refused) > 0
}

func (c *crew) stop() {
	c.t.Helper()
	c.stopped.Store(true)
	c.wg.Wait()
	if c.failed() {
		c.t.Errorf("%d of %d calls were refused: %s", len(c.refused), c.calls.Load(), c.refused[0])
	}
	c.refused = nil
}

func rotate(t *testing.T, env []string, args ...string) result {
	t.Helper()
	return execute(t, "", env, append([]string{"secret", "rotate"}, args...)...)
}

func mustRotate(t *testing.T, env []string, args ...string) {
	t.Helper()
	if r := rotate(t, env, args...); r.status != 0 || r.stdout != "" || !strings.HasPrefix(r.stderr, "The secret is ") {
		t.Fatalf("status %d\nstdout %s\nstderr %s", r.status, r.stdout, r.stderr)
	}
}

const signs = "a new secret signs"

func (s *server) logged(text string) int { return strings.Count(s.stderr.String(), text) }

func status(t *testing.T, c *harness.Client) int {
	t.Helper()
	a, err := c.Call("GET", "/user/me", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return a.Status
}

// setSince has the secret of a server that is stopped have signed since then.
func setSince(t *testing.T, data string, since time.Time) {
	t.Helper()
	db, err := sqlite.OpenConn(filepath.Join(data, "jadwal.db"), sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	err = sqlitex.ExecuteTransient(db, fmt.Sprintf("UPDATE meta SET value = '%d' WHERE key = 'secret_since'", since.UnixMicro()), nil)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestRotateSecret(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	active, retiring := filepath.Join(data, auth.KeyFile), filepath.Join(data, auth.RetiringKeyFile)
	read := func(name string) string {
		t.Helper()
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	start := func() *server { return startServer(t, data, nil) } // to the end of the whole test
	s := start()
	first := read(active)
	old := s.mustSignIn("admin", "admin123")
	once := func() (status int, replayed bool) {
		t.Helper()
		r, err := http.NewRequest("POST", s.url+"/user", strings.NewReader(`{"username": "ani", "email": "ani@example.com", "password": "correct horse"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Idempotency-Key": {"k"}, "Content-Type": {"application/json"}, "Authorization": {"Bearer " + old.Access}}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode, answer.Header.Get("Idempotent-Replayed") == "true"
	}
	if status, replayed := once(); status != http.StatusCreated || replayed {
		t.Fatal(status, replayed)
	}

	t.Run("beside a running server: nobody notices", func(t *testing.T) {
		crew := startCrew(t, 4, "admin123", s)
		mustRotate(t, nil, "--data", data)
		eventually(t, "the server to sign with it", func() bool { return s.logged(signs) == 1 })
		crew.settle()
		crew.stop()
		if read(retiring) != first || read(active) == first {
			t.Error("the files are not as they should be")
		}
		for _, name := range []string{active, retiring} {
			if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v", name, info.Mode(), err)
			}
		}
		if status(t, old) != http.StatusOK {
			t.Error("a token from before is not good any more")
		}
	})
	t.Run("a request from before is still known to be the same", func(t *testing.T) {
		if status, replayed := once(); status != http.StatusCreated || !replayed {
			t.Error(status, replayed)
		}
	})
	t.Run("another rotation has to wait", func(t *testing.T) {
		before := read(active)
		r := rotate(t, []string{"JADWAL_DATA=" + data})
		if r.status != 1 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "the secret before is still accepted") || !strings.Contains(r.stderr, "--sign-out") || read(active) != before {
			t.Errorf("status %d\n%s", r.status, r.stderr)
		}
	})
	t.Run("what was signed before is good after a restart too", func(t *testing.T) {
		s.stop()
		s = start()
		old = clientFor(s, old)
		if got := status(t, old); got != http.StatusOK {
			t.Errorf("status %d", got)
		}
	})
	t.Run("a key file that is no good changes nothing, and is told of", func(t *testing.T) {
		good := read(active)
		for text, mode := range map[string]os.FileMode{"short\n": 0o600, good: 0o644} {
			if err := errors.Join(os.WriteFile(active, []byte(text), 0o600), os.Chmod(active, mode)); err != nil {
				t.Fatal(err)
			}
			want := map[os.FileMode]string{0o600: "jadwal.key: has 5 bytes", 0o644: "lets everybody read the secret"}[mode]
			eventually(t, want, func() bool { return s.logged("the secret stays as it was") > 0 && s.logged(want) == 1 })
			if got := status(t, old); got != http.StatusOK {
				t.Errorf("%s: status %d", want, got)
			}
		}
		if err := errors.Join(os.WriteFile(active, []byte(good), 0o600), os.Chmod(active, 0o600)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("the secret before is dropped when nothing is good any more that it signed", func(t *testing.T) {
		fresh := s.mustSignIn("admin", "admin123")
		s.stop()
		setSince(t, data, time.Now().Add(-7*24*time.Hour-2*time.Minute))
		s = start()
		eventually(t, "its end", func() bool { return s.logged("the secret before is dropped") == 1 })
		if status(t, clientFor(s, old)) != http.StatusUnauthorized || status(t, clientFor(s, fresh)) != http.StatusOK {
			t.Error("the wrong one was dropped")
		}
		eventually(t, "an empty file", func() bool { return read(retiring) == "" })
		mustRotate(t, nil, "--data", data)
	})
	t.Run("everybody is signed out when that is asked for", func(t *testing.T) {
		eventually(t, "the rotation before", func() bool { return s.logged(signs) == 1 })
		c := s.mustSignIn("admin", "admin123")
		eventually(t, "the rotation before", func() bool { return s.logged("may be good until") == 1 })
		mustRotate(t, nil, "--data", data, "--sign-out")
		eventually(t, "the end of the session", func() bool { return status(t, c) == http.StatusUnauthorized })
		if status(t, s.mustSignIn("admin", "admin123")) != http.StatusOK {
			t.Error("nor can anybody sign in")
		}
		eventually(t, "the end of all sessions in the log", func() bool { return s.logged("a new secret signs, and nothing is good any more") == 1 })
		if n := s.logged("may be good until"); n != 1 {
			t.Errorf("the log tells %d times, not once, that something before may be good\n%s", n, &s.stderr)
		}
	})
	t.Run("the audit log tells of each", func(t *testing.T) {
		var lines []struct{ Actor, Object string }
		call(t, s.mustSignIn("admin", "admin123"), http.StatusOK, "GET", "/audit?action=signing.rotate", nil, &lines)
		if len(lines) != 3 || lines[0].Actor != "server" || !strings.HasPrefix(lines[0].Object, "signing/") {
			t.Errorf("got %+v", lines)
		}
	})
}

func TestSecretRotation(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	lifetimes := []string{"--secret-rotation", "24h", "--refresh-lifetime", "1h"}
	s := startServer(t, data, nil, lifetimes...)
	c := s.mustSignIn("admin", "admin123")
	time.Sleep(2 * keysEvery)
	if n := s.logged(signs); n != 0 {
		t.Fatalf("it rotated at once\n%s", &s.stderr)
	}
	s.stop()
	setSince(t, data, time.Now().Add(-25*time.Hour))
	s = startServer(t, data, nil, lifetimes...)
	crew := startCrew(t, 2, "admin123", s)
	eventually(t, "a rotation", func() bool { return s.logged(signs) == 1 })
	crew.settle()
	crew.stop()
	if got := status(t, clientFor(s, c)); got != http.StatusOK {
		t.Errorf("a token from before: %d", got)
	}
	if text, err := os.ReadFile(filepath.Join(data, auth.RetiringKeyFile)); err != nil || len(text) == 0 {
		t.Errorf("nothing retires: %v", err)
	}
}

func TestSecretsThatAreNotRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	for _, tt := range []struct {
		name   string
		env    []string
		args   []string
		status int
		want   string
	}{
		{"there is no server's data", nil, nil, 1, "is not the data directory of a server: name the one that the server has"},
		{"there is none to sign out of", nil, []string{"--sign-out"}, 1, "is not the data directory of a server: name the one that the server has"},
		{"there is no file of that name", []string{"JADWAL_SECRET_FILE=" + file, "JADWAL_RETIRING_SECRET_FILE=" + file}, nil, 1, "JADWAL_SECRET_FILE: open " + file + ": no such file or directory; name the file that the server reads"},
		{"one that is a variable", []string{sharedSecret}, nil, 2, "JADWAL_SECRET: the variables of a running server cannot be changed"},
		{"there is no place for the one before", []string{"JADWAL_SECRET_FILE=" + file}, nil, 2, "JADWAL_RETIRING_SECRET_FILE: must name the file"},
		{"a file that all servers have is not changed under their feet", []string{"JADWAL_SECRET_FILE=" + file, "JADWAL_RETIRING_SECRET_FILE=" + file}, []string{"--sign-out"}, 2, "--sign-out: is about the data directory"},
		{"that of servers on PostgreSQL is in no data directory", []string{"JADWAL_DATABASE_URL=postgres://db/x"}, nil, 2, "JADWAL_SECRET_FILE: must name the file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := rotate(t, append(tt.env, "JADWAL_DATA="+t.TempDir()), tt.args...)
			if r.status != tt.status || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, tt.want) {
				t.Errorf("status %d\nstdout %s\nstderr %s", r.status, r.stdout, r.stderr)
			}
		})
	}
}

// secretFiles is the files of one server's secrets.
type secretFiles struct{ active, retiring string }

func newSecretFiles(t *testing.T, secret string) secretFiles {
	t.Helper()
	dir := t.TempDir()
	f := secretFiles{filepath.Join(dir, "secret"), filepath.Join(dir, "retiring")}
	f.set(t, secret, "")
	return f
}

// set replaces both files, each as a whole.
func (f secretFiles) set(t *testing.T, active, retiring string) {
	t.Helper()
	for name, text := range map[string]string{f.active: active, f.retiring: retiring} {
		if err := errors.Join(os.WriteFile(name+".new", []byte(text), 0o600), os.Rename(name+".new", name)); err != nil {
			t.Fatal(err)
		}
	}
}

func (f secretFiles) env() []string {
	return []string{"JADWAL_SECRET_FILE=" + f.active, "JADWAL_RETIRING_SECRET_FILE=" + f.retiring}
}

// Two servers get new secrets in whichever order, again and again, while
// clients that hold tokens of both call both.
func TestServersGetANewSecretInAnyOrder(t *testing.T) {
	data := t.TempDir()
	shared := []string{"JADWAL_DATABASE_URL=" + newDatabase(t), "JADWAL_UNSAFE=yes"}
	secret := func(n int) string { return fmt.Sprintf("the secret of all servers, number %d", n) }
	f1, f2 := newSecretFiles(t, secret(0)), newSecretFiles(t, secret(0))
	s1 := startServer(t, data, slices.Concat(shared, f1.env()))
	s2 := startServer(t, data, slices.Concat(shared, f2.env()))
	crew := startCrew(t, 4, "admin123", s1, s2)
	both := func(n int) func() bool {
		return func() bool { return s1.logged(signs) == n && s2.logged(signs) == n || crew.failed() }
	}

	// A server that is told first waits for the other one.
	f1.set(t, secret(1), secret(0))
	eventually(t, "the first server to wait", func() bool { return s1.logged("as soon as every server knows it") == 1 })
	time.Sleep(2 * keysEvery)
	if s1.logged(signs)+s2.logged(signs) > 0 {
		t.Fatal("a secret signs that a server does not know")
	}
	f2.set(t, secret(1), secret(0))
	eventually(t, "both to sign with it", both(1))
	crew.settle()
	// The other one first, and by the command, on the files of one of them.
	if err := os.WriteFile(f2.retiring, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRotate(t, f2.env())
	made, err := os.ReadFile(f2.active)
	if err != nil {
		t.Fatal(err)
	}
	f1.set(t, string(made), secret(1))
	eventually(t, "both to sign with it", both(2))
	crew.settle()
	// The new one in the second place first, as one that is only accepted.
	f1.set(t, string(made), secret(3))
	f2.set(t, secret(3), string(made))
	eventually(t, "both to sign with it", both(3))
	crew.settle()
	// Together.
	f1.set(t, secret(4), secret(3))
	f2.set(t, secret(4), secret(3))
	eventually(t, "both to sign with it", both(4))
	crew.settle()
	// A file that has the new one alone is not followed.
	f2.set(t, secret(5), "")
	eventually(t, "a complaint", func() bool { return s2.logged("JADWAL_RETIRING_SECRET_FILE has not the one that signs") == 1 })
	crew.settle()
	f2.set(t, secret(4), "")
	f1.set(t, secret(4), "")
	crew.settle()
	crew.stop()
	t.Run("a server that has ended holds nothing up", func(t *testing.T) {
		s2.stop()
		f1.set(t, secret(6), secret(4))
		eventually(t, "the other one to sign", func() bool { return s1.logged(signs) == 5 })
		refused(t, "JADWAL_SECRET: the servers on this database have another one", data, slices.Concat(shared, f2.env()))
	})
}
