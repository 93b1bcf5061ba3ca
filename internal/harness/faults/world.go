//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/store"
)

// patience is how long anything may take that must come.
const patience = 30 * time.Second

// A world is a server with its directory, a target, and what the API confirmed.
type world struct {
	binary, dir string
	sink        *harness.Sink
	client      *harness.Client
	server      *process // nil: none was started
	confirmed   map[int64]string
	tried       int
	told        string // what a scenario found, for the line about it
}

func newWorld(binary, dir string) (*world, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	sink, err := harness.ListenSink("127.0.0.1:0", nil)
	if err != nil {
		return nil, err
	}
	return &world{binary: binary, dir: dir, sink: sink, confirmed: map[int64]string{}}, nil
}

func (w *world) leave() {
	if w.server != nil {
		w.server.kill()
	}
	w.sink.Close()
}

func (w *world) data() string         { return filepath.Join(w.dir, "data") }
func (w *world) file(s string) string { return filepath.Join(w.data(), s) }

func (w *world) log() string {
	b, err := os.ReadFile(filepath.Join(w.dir, "log"))
	if err != nil {
		return ""
	}
	return string(b[max(0, len(b)-4<<10):])
}

// process is a server, which may run under strace.
type process struct {
	cmd  *exec.Cmd
	url  string
	done chan struct{} // closed: it has ended
}

// start starts the server on a good disk.
func (w *world) start() error { return w.startWith() }

// startWith starts the server; faults, unless there are none, are options of strace
// that say which of its system calls on files of the data directory go wrong.
func (w *world) startWith(faults ...string) error {
	address, err := harness.FreeAddress()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(w.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{w.binary, "serve", "--listen", address, "--data", w.data()}
	if len(faults) > 0 {
		args = append(append([]string{"strace", "-f", "-qq", "-o", filepath.Join(w.dir, "trace")}, faults...), args...)
	}
	p := &process{cmd: exec.Command(args[0], args[1:]...), url: "http://" + address, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), harness.AdminEnv)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// One group, so that strace and the server are signalled together; and none of
	// them outlives this program.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() {
		_ = p.cmd.Wait() // the status says it
		close(p.done)
	}()
	w.server = p
	return nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) kill() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	<-p.done
}

// end waits for the end of the server and returns its exit status, which strace
// hands on; -1 is a signal.
func (p *process) end() (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(patience):
		return 0, fmt.Errorf("the server has not ended within %v", patience)
	}
}

// stop ends the server as an operator does.
func (w *world) stop() error {
	if err := syscall.Kill(-w.server.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		return err
	}
	status, err := w.server.end()
	if err == nil && status != 0 {
		err = fmt.Errorf("the server ended with status %d after SIGTERM", status)
	}
	return err
}

// lines are what the server has printed so far.
func (w *world) lines() []string {
	b, err := os.ReadFile(filepath.Join(w.dir, "log"))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// refused waits until the server has ended by itself with status 1 and a last
// line that begins so.
func (w *world) refused(line string) error {
	status, err := w.server.end()
	if err != nil {
		return err
	}
	all := w.lines()
	if last := all[len(all)-1]; status != 1 || !strings.HasPrefix(last, line) {
		return fmt.Errorf("status %d, and the last line is %q; want 1 and %q", status, last, line)
	}
	return nil
}

// ready waits until the server answers, and signs in.
func (w *world) ready() error {
	w.client = harness.NewClient(w.server.url)
	return eventually("the server to answer", func() (bool, error) {
		if w.server.ended() {
			return false, errors.New("the server has ended")
		}
		return w.client.SignIn("admin", harness.AdminPassword) == nil, nil
	})
}

// inTurn takes steps up to the first that fails.
func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// eventually waits until what holds.
func eventually(what string, holds func() (bool, error)) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok, err := holds(); ok || err != nil {
			return err
		}
	}
	return fmt.Errorf("waited %v for %s", patience, what)
}

// create makes a job that calls the target each second, and remembers it when
// that is confirmed. No answer is no confirmation.
func (w *world) create() (harness.Answer, error) {
	w.tried++
	name := fmt.Sprintf("job%d", w.tried)
	var job struct{ ID int64 }
	a, err := w.client.Call("POST", "/job", map[string]any{
		"name":      name,
		"schedules": []any{map[string]string{"every": "1s"}},
		"target":    map[string]string{"type": "http", "method": "POST", "url": w.sink.URL()},
	}, &job)
	if err == nil && a.OK() {
		w.confirmed[job.ID] = name
	}
	return a, err
}

// settle makes some jobs and waits until they have run.
func (w *world) settle() error {
	for range 5 {
		if a, err := w.create(); err != nil || !a.OK() {
			return fmt.Errorf("a job on a good disk: %v, %w", a, err)
		}
	}
	return w.runs(10)
}

// runs waits for so many more deliveries.
func (w *world) runs(more int) error {
	before := len(w.sink.Deliveries())
	return eventually("runs", func() (bool, error) { return len(w.sink.Deliveries()) >= before+more, nil })
}

// unavailable tells whether an answer is what a failing disk must give: 503 in
// the envelope, with Retry-After.
func unavailable(a harness.Answer) error {
	if a.Status != 503 || a.Code() != string(jadwal.CodeUnavailable) || a.Header.Get("Retry-After") == "" {
		return fmt.Errorf("answered %v with Retry-After %q, want 503 unavailable", a, a.Header.Get("Retry-After"))
	}
	return nil
}

// readsGoOn reads what needs no write.
func (w *world) readsGoOn() error {
	for _, path := range []string{"/", "/health/live", "/user/me", "/user", "/job", "/job/job1", "/job/job1/run", "/job/job1/ledger"} {
		if a, err := w.client.Call("GET", path, nil, nil); err != nil || a.Status != 200 {
			return fmt.Errorf("GET %s: %v, %w", path, a, err)
		}
	}
	return nil
}

// verdict opens the store of a server that has ended: every job that was
// confirmed is there, every run that reached the target has one record or waits
// for another delivery, and no invariant is broken.
func (w *world) verdict() error {
	ctx := context.Background()
	var st *store.Store
	if err := eventually("the server to let go of its directory", func() (ok bool, err error) {
		st, err = store.Open(ctx, store.Options{Dir: w.data(), Log: slog.New(slog.DiscardHandler)})
		if err != nil && strings.Contains(err.Error(), "another jadwal server is using it") {
			err = nil // strace has gone before it
		}
		return st != nil, err
	}); err != nil {
		return err
	}
	defer st.Close()
	var bad []error
	violations, err := st.Check(ctx, time.Now())
	if err != nil {
		return err
	}
	for _, v := range violations {
		bad = append(bad, errors.New(v.String()))
	}
	next := map[int64]time.Time{}
	for _, id := range slices.Sorted(maps.Keys(w.confirmed)) {
		job, err := st.Job(ctx, id)
		if err != nil || job.Definition.Name != w.confirmed[id] {
			bad = append(bad, fmt.Errorf("job %d, %s, was confirmed and is %q: %w", id, w.confirmed[id], job.Definition.Name, err))
		}
		next[id] = job.NextAt
	}
	records := 0
	for _, d := range w.sink.Deliveries() {
		key, ok := jadwal.ParseRunID(d.RunID)
		if !ok {
			return fmt.Errorf("%s is no run id", d.RunID)
		}
		run, err := st.Run(ctx, key)
		waits := jadwal.CodeOf(err) == jadwal.CodeNotFound && !next[key.JobID].IsZero() && !time.UnixMicro(key.DueAt).Before(next[key.JobID])
		switch {
		case waits: // not recorded, and the cursor has not passed it
		case err != nil:
			bad = append(bad, fmt.Errorf("run %s was delivered: %w", d.RunID, err))
		case run.State != jadwal.RunSucceeded && run.State.Final():
			bad = append(bad, fmt.Errorf("run %s was delivered and is %s", d.RunID, run.State))
		default:
			records++
		}
	}
	w.told = strings.TrimPrefix(fmt.Sprintf("%s; %d jobs confirmed, %d deliveries, %d of them recorded", w.told, len(w.confirmed), len(w.sink.Deliveries()), records), "; ")
	return errors.Join(bad...)
}
