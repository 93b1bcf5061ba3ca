package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// AdminPassword is the password of user admin on a server with AdminEnv.
const (
	AdminPassword = "correct horse battery"
	AdminEnv      = "JADWAL_ADMIN_PASSWORD=" + AdminPassword
)

// Root returns the directory of this module, found from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("run this inside the repository")
		}
		dir = filepath.Dir(dir)
	}
}

// Build builds the real binary into dir and returns its path.
func Build(dir string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "jadwal")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/jadwal")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/jadwal: %w\n%s", err, out)
	}
	return binary, nil
}

// FreeAddress returns an address of loopback that nobody listens on just now.
// Its port is none of those that systems choose from for a connection, or for
// who asks for any (32768 and more on Linux, 49152 and more elsewhere): nobody
// else gets it while the server that has it is down.
func FreeAddress() (string, error) {
	for {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(10_000)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return "", err
		}
		return l.Addr().String(), l.Close()
	}
}

// Server is a jadwal serve in a process of its own. It works in the directory
// Dir, where its data directory has the default name and the file server.log
// gets what it prints.
type Server struct {
	Binary  string
	Dir     string
	Address string   // host:port to listen on
	Env     []string // besides the environment

	cmd  *exec.Cmd
	log  *os.File
	done chan error // gets the end of the process
}

// URL is where the server answers, without a slash at its end.
func (s *Server) URL() string { return "http://" + s.Address }

// Data is the data directory.
func (s *Server) Data() string { return filepath.Join(s.Dir, "jadwal-data") }

// Start starts the server. It does not wait until it answers.
func (s *Server) Start() error {
	log, err := os.OpenFile(s.logName(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s.log = log
	s.cmd = exec.Command(s.Binary, "serve", "--listen", s.Address)
	s.cmd.Dir = s.Dir
	s.cmd.Env = append(os.Environ(), s.Env...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		log.Close()
		return err
	}
	s.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(s.cmd, s.done)
	return nil
}

// Ready waits until the server answers GET /. The error tells the end of the
// log when the process ended instead.
func (s *Server) Ready(timeout time.Duration) error {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(timeout); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		select {
		case err := <-s.done:
			s.done <- err
			return fmt.Errorf("the server ended by itself: %v\n%s", err, s.LogTail(4<<10))
		default:
		}
		resp, err := client.Get(s.URL() + "/")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("no answer from the server within %v\n%s", timeout, s.LogTail(4<<10))
}

// Kill ends the server with SIGKILL and waits until it is gone.
func (s *Server) Kill() {
	s.cmd.Process.Signal(syscall.SIGKILL)
	<-s.done
	s.cmd = nil
	s.log.Close()
}

// Pause stops the server's process with SIGSTOP, without its noticing; Continue
// lets it go on.
func (s *Server) Pause() { s.cmd.Process.Signal(syscall.SIGSTOP) }

// Continue ends what Pause began.
func (s *Server) Continue() { s.cmd.Process.Signal(syscall.SIGCONT) }

// End is Kill if the server was started and has not been ended.
func (s *Server) End() {
	if s.cmd != nil {
		s.Kill()
	}
}

// Stop ends the server with SIGTERM. It is an error when it does not end by
// itself within timeout, or not with status 0.
func (s *Server) Stop(timeout time.Duration) error {
	defer s.log.Close()
	defer func() { s.cmd = nil }()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		if err != nil {
			return fmt.Errorf("the server did not end well: %w\n%s", err, s.LogTail(4<<10))
		}
		return nil
	case <-time.After(timeout):
		s.cmd.Process.Signal(syscall.SIGKILL)
		<-s.done
		return fmt.Errorf("the server had not ended %v after SIGTERM\n%s", timeout, s.LogTail(4<<10))
	}
}

// CPU is the processor time that the server's process has used.
func (s *Server) CPU() (time.Duration, error) { return ProcessorTime(s.cmd.Process.Pid) }

// Memory is what the server's process holds in memory, in bytes: now, and at most
// since it was started.
func (s *Server) Memory() (resident, peak int64, err error) { return Memory(s.cmd.Process.Pid) }

// LogTail returns the last n bytes of the log.
func (s *Server) LogTail(n int64) string {
	f, err := os.Open(s.logName())
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > n {
		f.Seek(-n, io.SeekEnd)
	}
	b, _ := io.ReadAll(f)
	return string(b)
}

func (s *Server) logName() string { return filepath.Join(s.Dir, "server.log") }

// ticks is how many clock ticks a second /proc counts in: USER_HZ, 100 on
// every Linux there is (time(7)).
const ticks = 100

// ProcessorTime is the user and system time of a process (proc_pid_stat(5),
// fields 14 and 15), to 10 ms.
func ProcessorTime(pid int) (time.Duration, error) { return processorTime(pid, false) }

// processorTime adds, if it is asked to, that of the children that have ended
// (fields 16 and 17).
func processorTime(pid int, children bool) (time.Duration, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // from field 3 on
	if len(fields) < 15 {
		return 0, fmt.Errorf("/proc/%d/stat: only %d fields", pid, len(fields))
	}
	fields = fields[11:15] // user and system, the same of children
	if !children {
		fields = fields[:2]
	}
	sum := int64(0)
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// Memory is what a process holds in memory, in bytes: now, and at most since it
// began (proc_pid_status(5), VmRSS and VmHWM).
func Memory(pid int) (resident, peak int64, err error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, 0, err
	}
	kib := func(name string) (int64, error) {
		_, rest, _ := strings.Cut(string(b), "\n"+name+":")
		line, _, _ := strings.Cut(rest, "\n")
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(line), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/status: %s: %w", pid, name, err)
		}
		return n << 10, nil
	}
	resident, err1 := kib("VmRSS")
	peak, err2 := kib("VmHWM")
	return resident, peak, errors.Join(err1, err2)
}

// Stolen is a reading of how much processor time the machine's host gave to
// others (proc_stat(5), steal), how much was idle, and of all the time there
// was, in ticks.
type Stolen struct{ steal, idle, all int64 }

// ReadStolen reads it now; on a machine that does not tell, it reads zeros.
func ReadStolen() Stolen {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Stolen{}
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var s Stolen
	for i, f := range strings.Fields(line) {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil || i > 8 { // guest time is part of user time
			continue
		}
		s.all += n
		switch i {
		case 4, 5: // iowait is idle time too
			s.idle += n
		case 8:
			s.steal = n
		}
	}
	return s
}

// Others returns the share of the time from before to s, 0 to 1, that other
// programs of the machine had, when own is what the caller and its children had.
func (s Stolen) Others(before Stolen, own time.Duration) float64 {
	if s.all == before.all {
		return 0
	}
	busy := s.all - s.idle - s.steal - (before.all - before.idle - before.steal)
	return max(0, (float64(busy)-own.Seconds()*ticks)/float64(s.all-before.all))
}

// Since returns the share of the time from before to s that was stolen, 0 to 1.
func (s Stolen) Since(before Stolen) float64 {
	if s.all == before.all {
		return 0
	}
	return float64(s.steal-before.steal) / float64(s.all-before.all)
}
