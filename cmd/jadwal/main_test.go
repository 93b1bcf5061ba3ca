package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// binary is the real program, built once.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "jadwal")
	if err != nil {
		panic(err)
	}
	if binary, err = harness.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, e := range os.Environ() { // the tests set their own
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "JADWAL_") {
			os.Unsetenv(name)
		}
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// patience is how long anything may take before a test gives up. No test
// fails for being slower than usual.
const patience = 30 * time.Second

// result is what a command that has ended left behind.
type result struct {
	status         int
	stdout, stderr string
}

// execute runs the program to its end.
func execute(t *testing.T, stdin string, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("jadwal %s did not end\n%s%s", strings.Join(args, " "), &stdout, &stderr)
	}
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// output collects what a process writes, and can be read meanwhile.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// server is a running "jadwal serve".
type server struct {
	t              *testing.T
	cmd            *exec.Cmd
	ended          chan struct{}
	stdout, stderr output
	url            string // without a slash at its end
}

var apiURL = regexp.MustCompile(`(?m)^  API  (https?://\S+)/    Docs`)

// startServer starts a server on a free port of loopback, unless args say otherwise,
// and waits for its banner. It is killed at the test's end.
func startServer(t *testing.T, data string, env []string, args ...string) *server {
	t.Helper()
	s := &server{t: t, ended: make(chan struct{})}
	s.cmd = exec.Command(binary, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, args...)...)
	s.cmd.Env = append(os.Environ(), env...)
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-s.ended
	})
	eventually(t, "the banner", func() bool {
		select {
		case <-s.ended:
			t.Fatalf("the server ended with status %d\n%s%s", s.cmd.ProcessState.ExitCode(), &s.stdout, &s.stderr)
		default:
		}
		m := apiURL.FindStringSubmatch(s.stdout.String())
		if m != nil {
			s.url = m[1]
		}
		return m != nil
	})
	return s
}

// eventually waits until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// end waits for the process and returns its exit status.
func (s *server) end() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(2 * patience):
		s.t.Fatalf("the server did not end\n%s", &s.stderr)
	}
	return s.cmd.ProcessState.ExitCode()
}

// stop ends the server as an operator does.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if status := s.end(); status != 0 {
		s.t.Fatalf("the server ended with status %d\n%s", status, &s.stderr)
	}
}

// signIn signs in and returns the client; status is that of the answer.
func (s *server) signIn(identifier, password string) (c *harness.Client, status int) {
	s.t.Helper()
	c = harness.NewClient(s.url)
	var tokens harness.Tokens
	a, err := c.Call("POST", "/login", map[string]string{"identifier": identifier, "password": password}, &tokens)
	if err != nil {
		s.t.Fatal(err)
	}
	c.Access, c.Refresh = tokens.Access, tokens.Refresh
	return c, a.Status
}

// mustSignIn is signIn where nothing else will do.
func (s *server) mustSignIn(identifier, password string) *harness.Client {
	s.t.Helper()
	c, status := s.signIn(identifier, password)
	if status != http.StatusOK {
		s.t.Fatalf("sign-in as %s: %d\n%s", identifier, status, &s.stderr)
	}
	return c
}

// call makes a call that must have that status.
func call(t *testing.T, c *harness.Client, status int, method, path string, body, out any) harness.Answer {
	t.Helper()
	a, err := c.Call(method, path, body, out)
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != status {
		t.Fatalf("%s %s: %v", method, path, a)
	}
	return a
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string // on stderr, or on stdout when the status is 0
	}{
		{"nothing to do", nil, 2, "jadwal: expected one of \"serve\", \"user\", \"secret\", \"version\"\nSee: jadwal --help\n"},
		{"no such command, with those that there are", []string{"start"}, 2, "jadwal: unknown command start, known: serve, user, secret, version\nSee: jadwal --help\n"},
		{"no such command, with the one that was meant", []string{"servr"}, 2, "jadwal: unknown command servr, did you mean \"serve\"?\nSee: jadwal --help\n"},
		{"no such command of a command", []string{"user", "add"}, 2, "jadwal: unknown command add, known: reset-password\nSee: jadwal user --help\n"},
		{"a flag without its value", []string{"serve", "--listen"}, 2, "jadwal: --listen needs a value\nSee: jadwal serve --help\n"},
		{"a flag with another in the place of its value", []string{"user", "reset-password", "admin", "--data", "--database-url=x"}, 2, "jadwal: --data needs a value\nSee: jadwal user reset-password --help\n"},
		{"no such flag", []string{"serve", "--prot", "80"}, 2, "jadwal: unknown flag --prot"},
		{"a secret is no flag", []string{"serve", "--secret", "x"}, 2, "jadwal: unknown flag --secret"},
		{"nor is a password", []string{"serve", "--admin-password", "x"}, 2, "jadwal: unknown flag --admin-password"},
		{"nor for a reset", []string{"user", "reset-password", "admin", "--password", "x"}, 2, "jadwal: unknown flag --password"},
		{"a reset needs a name", []string{"user", "reset-password"}, 2, "jadwal: expected \"<name>\""},
		{"an argument too many", []string{"version", "please"}, 2, "jadwal: unexpected argument please\nSee: jadwal version --help\n"},
		{"help", []string{"--help"}, 0, "Usage: jadwal <command>"},
		{"help of serve", []string{"serve", "--help"}, 0, "JADWAL_LISTEN"},
		{"version", []string{"version"}, 0, "jadwal 0.1.0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := execute(t, "", nil, tt.args...)
			wanted, other := r.stderr, r.stdout
			if tt.status == 0 {
				wanted, other = r.stdout, r.stderr
			}
			if r.status != tt.status || !strings.Contains(wanted, tt.want) || other != "" {
				t.Errorf("status %d\nstdout %s\nstderr %s", r.status, r.stdout, r.stderr)
			}
		})
	}
}

func TestSettingsAreCheckedBeforeAnythingIsTouched(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  []string
		args []string
		want []string // lines on stderr begin so
	}{
		{"a flag is wrong", nil, []string{"--drain-timeout", "soon"}, []string{`jadwal: --drain-timeout (JADWAL_DRAIN_TIMEOUT): "soon" is not a duration`}},
		{"a variable is wrong", []string{"JADWAL_MAX_IN_FLIGHT=many"}, nil, []string{`jadwal: --max-in-flight (JADWAL_MAX_IN_FLIGHT): "many" must be a number`}},
		{"a flag beats its variable", []string{"JADWAL_MAX_IN_FLIGHT=1"}, []string{"--max-in-flight", "none"}, []string{`jadwal: --max-in-flight (JADWAL_MAX_IN_FLIGHT): "none" must be a number`}},
		{"a secret is too short", []string{"JADWAL_SECRET=hush"}, nil, []string{`jadwal: JADWAL_SECRET: has 4 bytes, needs 32 to 4096`}},
		{"a password is too common", []string{"JADWAL_ADMIN_PASSWORD=12345678"}, nil, []string{`jadwal: JADWAL_ADMIN_PASSWORD: password is one of the most used ones`}},
		{"all of them", []string{"JADWAL_ADMIN_EMAIL=x", "JADWAL_SECRET=hush"}, []string{"--log-level", "loud"}, []string{
			`jadwal: JADWAL_SECRET: has 4`, `jadwal: --admin-email (JADWAL_ADMIN_EMAIL): email must be`, `jadwal: --log-level (JADWAL_LOG_LEVEL): "loud"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			r := execute(t, "", tt.env, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data}, tt.args...)...)
			lines := strings.Split(strings.TrimSuffix(r.stderr, "\n"), "\n")
			if r.status != 2 || r.stdout != "" || len(lines) != len(tt.want) {
				t.Fatalf("status %d\nstdout %s\nstderr %s", r.status, r.stdout, r.stderr)
			}
			for _, want := range tt.want {
				if !strings.Contains("\n"+r.stderr, "\n"+want) {
					t.Errorf("no line %s…\n%s", want, r.stderr)
				}
			}
			if _, err := os.Stat(data); !os.IsNotExist(err) {
				t.Errorf("the data directory was touched: %v", err)
			}
		})
	}
	t.Run("a variable that is no setting is named, and so are settings by their variables", func(t *testing.T) {
		data := filepath.Join(t.TempDir(), "data")
		s := startServer(t, data, []string{"JADWAL_LISTN=:80", "JADWAL_LOG_FORMAT=json", "JADWAL_SERVICE_HOST=10.0.0.1", "JADWAL_DRAIN_TIMEOUT="})
		s.stop()
		if n := strings.Count(s.stderr.String(), "there is no such setting"); n != 1 || !strings.Contains(s.stderr.String(), `"variable":"JADWAL_LISTN"`) {
			t.Errorf("log\n%s", &s.stderr)
		}
		for line := range strings.Lines(s.stderr.String()) {
			if !strings.HasPrefix(line, "{") {
				t.Errorf("not JSON: %s", line)
			}
		}
	})
}
