//go:build linux

// Command faults gives a real server a bad disk and looks for what it confirmed
// and lost all the same: a file system that is full, or may not be written, a
// disk that does not confirm a write, fails to read or fails to write, and a
// SIGKILL while the log of an earlier crash is being recovered.
//
// The file system is a tmpfs in a mount namespace of its own, for which a user
// that is not root needs user namespaces (user_namespaces(7)). The errors are
// those that strace(1) puts in the place of a system call's result. Where either
// cannot be had, it says so and ends with status 1: nothing is left out in
// silence.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// scenarios are run one after the other, each in a directory of its own.
var scenarios = []struct {
	rule string
	run  func(*world) error
}{
	{"a first start on a full file system is refused, and made good when there is room", fullAtTheStart},
	{"on a full file system writes are refused, reads go on, and all resumes by itself", fullFileSystem},
	{"a start on a file system that may not be written is refused", readOnlyAtTheStart},
	{"a disk that does not confirm a write ends the server", unconfirmed},
	{"a file system that becomes read-only: writes are refused, reads go on", readOnly},
	{"a disk that fails to read is told as such", unreadable},
	{"a server that is killed while it recovers recovers the next time", killedInRecovery},
}

func main() {
	runtime.LockOSThread() // what it starts gets a signal when the thread ends: prctl(2), PR_SET_PDEATHSIG
	if len(os.Args) == 3 && os.Args[1] == inside {
		if err := run(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "faults:", err)
			os.Exit(1)
		}
		return
	}
	dir, err := os.MkdirTemp("", "jadwal-faults-")
	if err == nil {
		err = enter(dir)
	}
	os.RemoveAll(dir)
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		fmt.Fprintln(os.Stderr, "faults:", err)
	}
	if err != nil {
		os.Exit(1)
	}
}

// inside is the first argument of the program where it runs in its namespace.
const inside = "inside"

// enter builds the server and runs this program again in a mount namespace
// where it may mount what it likes, and nobody else sees it.
func enter(dir string) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return fmt.Errorf("strace is missing: %w", err)
	}
	if _, err := harness.Build(dir); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, inside, dir)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("a mount namespace cannot be had here (%w): run this as root, or allow user namespaces", err)
	}
	return cmd.Wait()
}

func run(dir string) error {
	if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	for i, s := range scenarios {
		begun := time.Now()
		w, err := newWorld(filepath.Join(dir, "jadwal"), filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return err
		}
		err = s.run(w)
		w.leave()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", s.rule, err, w.log())
		}
		fmt.Printf("faults: %s: %s (%v)\n", s.rule, w.told, time.Since(begun).Round(10*time.Millisecond))
	}
	return nil
}
