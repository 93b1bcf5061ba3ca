package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/store"
)

// limitFiles bounds how large the server's process may make any file, in bytes:
// a write beyond it fails as it does on a full disk (EFBIG of write(2) instead
// of ENOSPC). It changes the soft limit only, which needs no privilege and can
// be undone: prlimit(2), RLIMIT_FSIZE.
func (s *server) limitFiles(bytes uint64) {
	s.t.Helper()
	limit := syscall.Rlimit{Cur: bytes, Max: ^uint64(0)}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(s.cmd.Process.Pid), syscall.RLIMIT_FSIZE,
		uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
		s.t.Fatalf("limit the files of process %d: %v", s.cmd.Process.Pid, errno)
	}
}

// fillDisk leaves the server no room, unfillDisk gives it back.
func (s *server) fillDisk(data string) {
	s.t.Helper()
	log, err := os.Stat(filepath.Join(data, "jadwal.db-wal"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.limitFiles(uint64(log.Size()))
}

func (s *server) unfillDisk() { s.limitFiles(^uint64(0)) }

func aJob(name, url string) map[string]any {
	return map[string]any{
		"name":      name,
		"schedules": []any{map[string]string{"every": "1s"}},
		"target":    map[string]string{"type": "http", "method": "POST", "url": url},
	}
}

func TestAFullDisk(t *testing.T) {
	r := newReceiver(t, 0)
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, nil)
	c := s.mustSignIn("admin", "admin123")
	confirmed := map[int64]string{}
	create := func(name string) harness.Answer {
		var job struct{ ID int64 }
		a, err := c.Call("POST", "/job", aJob(name, r.URL), &job)
		if err != nil {
			t.Fatal(err)
		}
		if a.OK() {
			confirmed[job.ID] = name
		}
		return a
	}
	for i := range 5 {
		if a := create(fmt.Sprintf("before%d", i)); !a.OK() {
			t.Fatal(a)
		}
	}
	eventually(t, "the first deliveries", func() bool { return len(r.deliveries()) > 5 })

	s.fillDisk(data)
	eventually(t, "a write to be refused", func() bool { return !create(fmt.Sprintf("during%d", len(confirmed))).OK() })
	for _, write := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/job", aJob("refused", r.URL)},
		{"POST", "/job/before0/run", nil},
		{"POST", "/job/before0/pause", nil},
		{"DELETE", "/job/before1", nil},
		{"POST", "/user", map[string]string{"username": "ani", "email": "ani@example.com", "password": "correct horse"}},
		{"POST", "/login", map[string]string{"identifier": "admin", "password": "admin123"}},
	} {
		a := call(t, c, http.StatusServiceUnavailable, write.method, write.path, write.body, nil)
		if a.Header.Get("Retry-After") == "" || a.Code() != string(jadwal.CodeUnavailable) || a.Message == "" {
			t.Errorf("%s %s: %v, Retry-After %q", write.method, write.path, a, a.Header.Get("Retry-After"))
		}
	}
	for _, path := range []string{"/", "/health/live", "/user/me", "/user", "/job", "/job/before0", "/job/before0/run", "/job/before0/ledger"} {
		call(t, c, http.StatusOK, "GET", path, nil, nil)
	}
	call(t, c, http.StatusServiceUnavailable, "GET", "/health/ready", nil, nil)
	eventually(t, "nothing new to start", func() bool {
		before := len(r.deliveries())
		time.Sleep(2500 * time.Millisecond) // of jobs that are due each second
		return len(r.deliveries()) == before
	})
	held := len(r.deliveries())

	s.unfillDisk()
	eventually(t, "runs to start again", func() bool { return len(r.deliveries()) > held+10 })
	if a := create("after"); a.Status != http.StatusCreated {
		t.Error(a)
	}
	call(t, c, http.StatusOK, "GET", "/health/ready", nil, nil)
	s.stop()
	checkNothingLost(t, data, confirmed, r)
}

// checkNothingLost looks into the store of a server that has stopped and never
// crashed: every job that was confirmed is there, and every run that reached
// its target did so once and has one record.
func checkNothingLost(t *testing.T, data string, confirmed map[int64]string, r *receiver) {
	t.Helper()
	ctx := context.Background()
	st, err := store.Open(ctx, store.Options{Dir: data, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	violations, err := st.Check(ctx, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range violations {
		t.Error(v)
	}
	for id, name := range confirmed {
		job, err := st.Job(ctx, id)
		if err != nil || job.Definition.Name != name {
			t.Errorf("job %d, %s, was confirmed and is %q: %v", id, name, job.Definition.Name, err)
		}
	}
	recorded := map[string]int{}
	for before := (jadwal.RunKey{}); ; {
		runs, next, err := st.ListRuns(ctx, store.RunQuery{All: true, Before: before, States: []jadwal.RunState{jadwal.RunSucceeded}, Limit: jadwal.MaxPage})
		if err != nil {
			t.Fatal(err)
		}
		for _, run := range runs {
			recorded[run.Key.ID()]++
		}
		if before = next; before == (jadwal.RunKey{}) {
			break
		}
	}
	delivered := map[string]int{}
	for _, d := range r.deliveries() {
		delivered[d.Get("Jadwal-Run-Id")]++
	}
	for id, n := range delivered {
		if n != 1 || recorded[id] != 1 {
			t.Errorf("run %s was delivered %d times and is recorded %d times", id, n, recorded[id])
		}
	}
	if len(recorded) != len(delivered) {
		t.Errorf("%d runs are recorded as succeeded, %d were delivered", len(recorded), len(delivered))
	}
}

func TestAFullDiskAtTheStart(t *testing.T) {
	// The limit is counted in blocks of 512 bytes, and what it lowers stays low:
	// POSIX.1-2024, ulimit. Each of these ends the start at another point.
	for _, blocks := range []int{0, 8, 64, 128, 192, 256} {
		t.Run(fmt.Sprintf("with room for %d KiB it says so and ends, and with room it starts as if nothing had been", blocks/2), func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			cmd := exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprintf(`ulimit -f %d && exec "$0" "$@"`, blocks),
				binary, "serve", "--listen", "127.0.0.1:0", "--data", data)
			var stdout, stderr output
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer time.AfterFunc(patience, func() { cmd.Process.Kill() }).Stop()
			_ = cmd.Wait() // the status says it
			lines := strings.Split(strings.TrimSuffix(stderr.String(), "\n"), "\n")
			last := lines[len(lines)-1]
			if status := cmd.ProcessState.ExitCode(); status != 1 || stdout.String() != "" || !strings.HasPrefix(last, "jadwal: --data (JADWAL_DATA): ") ||
				len(lines) != 1+strings.Count(stderr.String(), "database unavailable") {
				t.Errorf("status %d\nstdout %s\nstderr %s", status, &stdout, &stderr)
			}
			s := startServer(t, data, nil)
			if !strings.Contains(s.stdout.String(), "First start: sign in as admin / admin123") {
				t.Errorf("banner\n%s", &s.stdout)
			}
		})
	}
}

func TestADatabaseThatIsTakenAway(t *testing.T) {
	replace := func(name string) error {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(name+".copy", b, 0o600)
		}
		if err == nil {
			err = os.Rename(name+".copy", name)
		}
		return err
	}
	for _, tt := range []struct {
		rule, file string
		take       func(string) error
		want       string
	}{
		{"a server whose database is deleted confirms nothing more, says so and ends", "jadwal.db", os.Remove, "removed"},
		{"nor does one whose log is deleted", "jadwal.db-wal", os.Remove, "removed"},
		{"nor one whose database is replaced, though by a copy", "jadwal.db", replace, "replaced"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			s := startServer(t, data, nil)
			c := s.mustSignIn("admin", "admin123")
			if err := tt.take(filepath.Join(data, tt.file)); err != nil {
				t.Fatal(err)
			}
			a, err := c.Call("POST", "/job", aJob("lost", s.url), nil)
			if err == nil && a.Status != http.StatusServiceUnavailable {
				t.Errorf("a job was answered with %v", a)
			}
			if status := s.end(); status != 1 {
				t.Errorf("status %d", status)
			}
			lines := strings.Split(strings.TrimSuffix(s.stderr.String(), "\n"), "\n")
			if last := lines[len(lines)-1]; !strings.HasPrefix(last, "jadwal: the store cannot go on: the database was "+tt.want+" while it was in use: ") {
				t.Errorf("log\n%s", &s.stderr)
			}
		})
	}
}
