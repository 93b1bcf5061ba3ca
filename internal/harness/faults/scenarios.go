//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// mount gives the data directory a file system of its own.
func (w *world) mount(size string) error {
	if err := os.Mkdir(w.data(), 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", w.data(), "tmpfs", 0, "mode=0700,size="+size); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	return nil
}

func (w *world) remount(flags uintptr, options string) error {
	if err := syscall.Mount("tmpfs", w.data(), "tmpfs", flags|syscall.MS_REMOUNT, options); err != nil {
		return fmt.Errorf("remount with %q: %w", options, err)
	}
	return nil
}

func (w *world) unmount() error { return syscall.Unmount(w.data(), 0) }

// fill takes all the room that is left, and returns what gives it back.
func (w *world) fill() (free func() error, err error) {
	name := w.file("filler")
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return nil, fmt.Errorf("fill the file system: %w", err)
	}
	return func() error { return os.Remove(name) }, nil
}

func fullAtTheStart(w *world) error {
	if err := w.mount("4k"); err != nil {
		return err
	}
	for _, size := range []string{"4k", "32k", "96k", "160k"} {
		if err := w.remount(0, "size="+size); err != nil {
			return err
		}
		if err := w.start(); err != nil {
			return err
		}
		if err := w.refused("jadwal: --data (JADWAL_DATA): "); err != nil {
			return fmt.Errorf("with %s: %w", size, err)
		}
	}
	if err := w.remount(0, "size=16m"); err != nil {
		return err
	}
	return inTurn(w.start, w.ready, w.settle, w.stop, w.verdict, w.unmount)
}

func fullFileSystem(w *world) error {
	if err := w.mount("16m"); err != nil {
		return err
	}
	if err := w.prepare(); err != nil {
		return err
	}
	free, err := w.fill()
	if err != nil {
		return err
	}
	if err := inTurn(w.writesAreRefused, w.readsGoOn); err != nil {
		return err
	}
	if a, err := w.client.Call("GET", "/health/ready", nil, nil); err != nil || a.Status != 503 {
		return fmt.Errorf("readiness: %v, %w", a, err)
	}
	if err := eventually("nothing new to start", func() (bool, error) {
		before := len(w.sink.Deliveries())
		time.Sleep(2500 * time.Millisecond) // of jobs that are due each second
		return len(w.sink.Deliveries()) == before, nil
	}); err != nil {
		return err
	}
	if err := free(); err != nil {
		return err
	}
	if err := w.settle(); err != nil {
		return fmt.Errorf("with room again: %w", err)
	}
	return inTurn(w.stop, w.verdict, w.unmount)
}

// writesAreRefused makes jobs until one is refused, and looks at how.
func (w *world) writesAreRefused() error {
	return eventually("a write to be refused", func() (bool, error) {
		a, err := w.create()
		if err != nil || a.OK() {
			return false, err
		}
		return true, unavailable(a)
	})
}

func readOnlyAtTheStart(w *world) error {
	if err := w.mount("16m"); err != nil {
		return err
	}
	if err := inTurn(w.prepare, w.stop); err != nil {
		return err
	}
	if err := w.remount(syscall.MS_RDONLY, ""); err != nil {
		return err
	}
	if err := w.start(); err != nil {
		return err
	}
	if err := w.refused("jadwal: --data (JADWAL_DATA): "); err != nil {
		return err
	}
	if n := len(w.lines()); n != 1 {
		return fmt.Errorf("the refusal takes %d lines", n)
	}
	if err := w.remount(0, ""); err != nil {
		return err
	}
	return inTurn(w.verdict, w.unmount)
}

// prepare makes a database with jobs on a good disk.
func (w *world) prepare() error {
	return inTurn(w.start, w.ready, w.settle)
}

// onFiles are the options of strace for errors in place of the results of some
// system calls on the database and its log. strace counts calls by thread.
func (w *world) onFiles(inject string) []string {
	return []string{"-P", w.file("jadwal.db"), "-P", w.file("jadwal.db-wal"), "-e", "inject=" + inject}
}

func unconfirmed(w *world) error {
	if err := inTurn(w.prepare, w.stop); err != nil {
		return err
	}
	if err := w.startWith(w.onFiles("fsync,fdatasync:error=EIO:when=20+")...); err != nil {
		return err
	}
	if err := w.ready(); err != nil {
		return err
	}
	if err := eventually("the server to end", func() (bool, error) {
		a, err := w.create()
		if err == nil && !a.OK() {
			return false, unavailable(a)
		}
		return w.server.ended(), nil // without an answer it has gone, as it should
	}); err != nil {
		return err
	}
	if err := w.refused("jadwal: the store cannot go on: the disk did not confirm a write: "); err != nil {
		return err
	}
	w.told = "after " + fmt.Sprint(len(w.confirmed)) + " jobs"
	return w.verdict()
}

func readOnly(w *world) error {
	if err := inTurn(w.prepare, w.stop); err != nil {
		return err
	}
	if err := w.startWith(w.onFiles("pwrite64,ftruncate:error=EROFS:when=60+")...); err != nil {
		return err
	}
	if err := inTurn(w.ready, w.writesAreRefused, w.readsGoOn); err != nil {
		return err
	}
	w.server.kill()
	return w.verdict()
}

func unreadable(w *world) error {
	if err := w.prepare(); err != nil {
		return err
	}
	w.server.kill() // and leave a log, so that there is much to read
	if err := w.startWith(w.onFiles("pread64:error=EIO:when=300+")...); err != nil {
		return err
	}
	if err := w.ready(); err != nil {
		return err
	}
	failed := 0
	if err := eventually("a read to fail", func() (bool, error) {
		for _, path := range []string{"/job", "/job/job1", "/run", "/job/job2/run", "/job/job3/ledger", "/user"} {
			a, err := w.client.Call("GET", path, nil, nil)
			if err != nil {
				return false, fmt.Errorf("GET %s: %w", path, err)
			}
			if !a.OK() {
				failed++
				if err := unavailable(a); err != nil {
					return false, fmt.Errorf("GET %s: %w", path, err)
				}
			}
		}
		a, err := w.create()
		if err == nil && !a.OK() {
			err = unavailable(a)
		}
		return failed > 0, err
	}); err != nil {
		return err
	}
	w.server.kill()
	return w.verdict()
}

func killedInRecovery(w *world) error {
	if err := w.prepare(); err != nil {
		return err
	}
	w.server.kill()
	killed := 0
	for _, read := range []int{1, 2, 3, 5, 10, 20, 30} {
		if err := w.startWith("-P", w.file("jadwal.db-wal"), "-e", fmt.Sprintf("inject=pread64:signal=SIGKILL:when=%d", read)); err != nil {
			return err
		}
		status, err := w.server.end()
		if err != nil {
			return err
		}
		if status == -1 {
			killed++
		}
	}
	if killed == 0 {
		return errors.New("it was never killed")
	}
	if err := inTurn(w.start, w.ready, w.settle, w.stop); err != nil {
		return err
	}
	w.told = fmt.Sprintf("killed %d times", killed)
	return w.verdict()
}
