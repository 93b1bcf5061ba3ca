// Command smoke runs the commands that README.md shows, those very lines, against
// a fresh server and a fresh target, and holds what they print against what
// README.md says that they print: the same members, the same types, the same
// messages. So the first thing that a newcomer tries is known to work.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// The addresses that README.md uses; the ones used here are free ones.
const (
	readmeServer = "127.0.0.1:8080"
	readmeSink   = "127.0.0.1:9000"
)

// patience is how long a command that only reads is repeated until it prints
// what is expected: a job of every second takes a second to run.
const patience = 10 * time.Second

func main() {
	dir, err := os.MkdirTemp("", "jadwal-smoke-")
	if err == nil {
		err = run(dir)
	}
	os.RemoveAll(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "smoke:", err)
		os.Exit(1)
	}
}

func run(dir string) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		return err
	}
	sink, err := harness.ListenSink("127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	defer sink.Close()
	address, err := harness.FreeAddress()
	if err != nil {
		return err
	}
	binary, err := harness.Build(dir)
	if err != nil {
		return err
	}
	server := &harness.Server{Binary: binary, Dir: dir, Address: address}
	begun := time.Now()
	if err := server.Start(); err != nil {
		return err
	}
	if err := server.Ready(20 * time.Second); err != nil {
		return err
	}
	fmt.Printf("smoke: a fresh server answers after %v\n", time.Since(begun).Round(time.Millisecond))

	text := strings.NewReplacer(readmeServer, address, readmeSink, strings.TrimPrefix(sink.URL(), "http://")).Replace(string(readme))
	steps := stepsOf(text)
	if len(steps) < 5 {
		return fmt.Errorf("README.md shows only %d commands with curl", len(steps))
	}
	sh, err := startShell()
	if err != nil {
		return err
	}
	defer sh.stop()
	for i, s := range steps {
		if err := s.try(sh); err != nil {
			return errors.Join(fmt.Errorf("command %d of README.md:\n%s\n%w", i+1, s.command, err), server.Stop(30*time.Second))
		}
		fmt.Printf("  ok: %s\n", s.title())
	}
	printed := map[string]bool{}
	for line := range strings.Lines(server.LogTail(64 << 10)) {
		printed[formOf(strings.TrimSuffix(line, "\n"))] = true
	}
	for _, d := range sink.Deliveries() {
		printed[formOf(d.String())] = true
	}
	lines := linesOf(text)
	for _, line := range lines {
		if !printed[formOf(line)] {
			err = errors.Join(err, fmt.Errorf("README.md shows this line, which nobody printed:\n%s", line))
		}
	}
	if err == nil {
		fmt.Printf("  ok: %d lines of the server and the target\n", len(lines))
	}
	return errors.Join(err, server.Stop(30*time.Second))
}

// shell is one running shell, as in a terminal: what a command assigns, the
// next ones see.
type shell struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startShell() (*shell, error) {
	sh := &shell{cmd: exec.Command("sh")}
	sh.cmd.Stderr = os.Stderr
	in, err1 := sh.cmd.StdinPipe()
	out, err2 := sh.cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	sh.in, sh.out = in, bufio.NewReader(out)
	return sh, sh.cmd.Start()
}

func (sh *shell) stop() {
	sh.in.Close()
	sh.cmd.Wait()
}

// mark ends what a command prints; the exit status follows it.
const mark = "-- the end: "

// run runs a command and returns what it printed. A status other than 0 is an error.
func (sh *shell) run(command string) (string, error) {
	if _, err := fmt.Fprintf(sh.in, "%s\nprintf '\\n%s%%d\\n' $?\n", command, mark); err != nil {
		return "", err
	}
	printed := ""
	for {
		line, err := sh.out.ReadString('\n')
		if err != nil {
			return printed, err
		}
		if status, ended := strings.CutPrefix(line, mark); ended {
			if status = strings.TrimSpace(status); status != "0" {
				return printed, fmt.Errorf("exit status %s", status)
			}
			return strings.TrimSpace(printed), nil
		}
		printed += line
	}
}

// try runs the command and compares; a command that only reads may be tried again.
func (s step) try(sh *shell) error {
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		out, err := sh.run(s.command)
		if err == nil && s.output != "" {
			err = sameShape(s.output, out)
		}
		if err == nil {
			return nil
		}
		if !s.reads() || time.Now().After(end) {
			return fmt.Errorf("printed\n%s\n%w", out, err)
		}
	}
}
