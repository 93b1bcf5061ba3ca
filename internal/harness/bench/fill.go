package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/store"
)

// bytesAJob is about what a job takes on disk, the log included.
const bytesAJob = 4096

// onFilled gives do a server where n jobs are registered, none of them due today.
func (b *bench) onFilled(n int, do func(*harness.Server) error) error {
	dir, err := b.prepare()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := b.fill(dir, "far", n, far()); err != nil {
		return err
	}
	return b.onServer(dir, do)
}

// fillMany makes the data directory that the big measures share, unless it is
// there.
func (b *bench) fillMany() error {
	if b.full != "" {
		return nil
	}
	if err := b.roomForMany(); err != nil {
		return err
	}
	dir, err := b.prepare()
	if err != nil {
		return err
	}
	b.full = dir
	return b.fill(dir, "far", b.many, far())
}

// roomForMany is an error when the disk is too small for the big measures.
func (b *bench) roomForMany() error {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(b.dir, &disk); err != nil {
		return fmt.Errorf("%s: %w", b.dir, err)
	}
	if free := int64(disk.Bavail) * disk.Bsize; free < int64(b.many)*bytesAJob {
		return fmt.Errorf("%d jobs need about %d MB in %s, and %d MB are free: set TMPDIR, or -jobs", b.many, b.many*bytesAJob>>20, b.dir, free>>20)
	}
	return nil
}

// prepare makes a directory where a server has been once, so that it has its
// first user.
func (b *bench) prepare() (string, error) {
	dir, err := os.MkdirTemp(b.dir, "filled-")
	if err != nil {
		return "", err
	}
	return dir, b.onServer(dir, func(*harness.Server) error { return nil })
}

// far are instants that no measure lives to see.
func far() func(i int) time.Time {
	first := time.Now().Add(12 * time.Hour).Truncate(time.Second)
	return func(i int) time.Time { return first.Add(time.Duration(i%60000) * time.Millisecond) }
}

// fill registers n jobs in the data directory of a server that does not run,
// through the store, since the API would take twice as long. Job i calls the
// sink's path /i every day, first at due(i), in whole milliseconds.
func (b *bench) fill(dir, prefix string, n int, due func(i int) time.Time) error {
	return onStore(dir, func(s *store.Store) error {
		return register(s, b.sink.URL(), prefix, n, due)
	})
}

// onStore gives do the store of a server that does not run.
func onStore(dir string, do func(*store.Store) error) error {
	s, err := store.Open(context.Background(), store.Options{Dir: dataIn(dir), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

// callers is how many write to the store at once: a whole group of its writer.
const callers = 512

func register(s *store.Store, sink, prefix string, n int, due func(i int) time.Time) error {
	owner, ok := s.UserByID(1)
	if !ok {
		return errors.New("no first user in the store")
	}
	def := jadwal.DefaultDefinition()
	if err := json.Unmarshal([]byte(`{"schedules":[{"every":"24h"}]}`), &def); err != nil {
		return err
	}
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	now := time.Now()
	for range callers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				at := due(i).UTC()
				d := def
				d.Name, d.StartAt, d.Target.URL = fmt.Sprintf("%s-%d", prefix, i), &at, fmt.Sprintf("%s/%d", sink, i)
				job := jadwal.Job{OwnerID: owner.ID, Definition: d, State: jadwal.JobEnabled, NextAt: at}
				if _, err := s.CreateJob(context.Background(), jadwal.Actor{User: owner}, job, now); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return fmt.Errorf("register jobs: %w", *err)
	}
	return nil
}

// sizeOf is how many bytes the files of a directory have.
func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}
