package harness

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/teknohole/jadwal/internal/pgserver"
)

// Postgres is a private PostgreSQL server that listens on a Unix socket in its
// own directory. What is committed is on disk: fsync, full_page_writes and
// synchronous_commit are on.
type Postgres struct {
	Dir string // absolute; made by Start

	settings []string
	cluster  *pgserver.Cluster
	cmd      *exec.Cmd
	done     chan error
}

// Start makes a database cluster in Dir and starts a server on it, with
// settings (name=value) besides its own. PostgreSQL refuses to be root: root gives
// Dir to another user.
func (p *Postgres) Start(settings ...string) error {
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return err
	}
	cluster, err := pgserver.Init(p.Dir, "jadwal")
	if err != nil {
		return err
	}
	p.settings, p.cluster = settings, cluster
	return p.launch()
}

// launch starts the server and waits until it takes connections.
func (p *Postgres) launch() error {
	args := []string{"-D", p.cluster.Data(), "-k", p.Dir, "-c", "listen_addresses="}
	for _, s := range p.settings {
		args = append(args, "-c", s)
	}
	p.cmd = p.cluster.Command(p.cluster.Program("postgres"), args...)
	log, err := os.OpenFile(filepath.Join(p.Dir, "postgres.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.done = make(chan error, 1)
	go func() { p.done <- p.cmd.Wait() }()
	for range 600 {
		if b, err := os.ReadFile(filepath.Join(p.cluster.Data(), "postmaster.pid")); err == nil && strings.HasSuffix(strings.TrimSpace(string(b)), "ready") {
			return nil
		}
		select {
		case err := <-p.done:
			p.done <- err
			b, _ := os.ReadFile(log.Name())
			return fmt.Errorf("postgres ended: %v\n%s", err, b)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return errors.Join(errors.New("postgres is not ready after 30s"), p.Stop())
}

// URL is that of a database of that name; the first one is named postgres.
func (p *Postgres) URL(database string) string {
	return "postgres:///" + database + "?user=jadwal&host=" + url.QueryEscape(p.Dir)
}

// Stop ends the server at once; its clients lose their connections (a fast
// shutdown: SIGINT).
func (p *Postgres) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	return <-p.done
}

// Crash ends the server as pg_ctl stop -m immediate does: its processes abort,
// nothing is written, and the next start recovers.
func (p *Postgres) Crash() error {
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Restart starts a server again that has ended.
func (p *Postgres) Restart() error { return p.launch() }

// CPU is the processor time of the server and all its processes, those that
// have ended included, to 10 ms.
func (p *Postgres) CPU() (time.Duration, error) {
	main := p.cmd.Process.Pid
	sum, err := processorTime(main, true)
	if err != nil {
		return 0, err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", main, main))
	if err != nil {
		return 0, err
	}
	for word := range strings.FieldsSeq(string(children)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return 0, err
		}
		d, err := processorTime(pid, false)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has just ended
		}
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}
