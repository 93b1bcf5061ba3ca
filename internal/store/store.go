// Package store keeps everything that must survive: users, sessions, jobs,
// runs, and where each job's cursor stands. It is SQLite, used through one
// connection that writes in groups and a few that read.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/teknohole/jadwal"
	"zombiezen.com/go/sqlite"
)

// Options say where the store is and whom it tells.
type Options struct {
	Dir     string       // the data directory; made with mode 0700 when absent
	Log     *slog.Logger // nil: slog.Default()
	Readers int          // connections that read; 0: 4
	// OnFatal is called when the disk can no longer be trusted (a failed
	// fsync). It should end the process. nil: panic.
	OnFatal func(error)
}

// Store is an open database. All its methods may be called at once.
type Store struct {
	w       *writer
	readers chan *conn
	opened  int // connections in readers, or lent from it
	lock    *os.File
	log     *slog.Logger
	close   sync.Once
	live    identities
	meet    meeting
}

const (
	fileName = "jadwal.db"
	lockName = "jadwal.lock"
)

// Open opens or makes the database in the data directory and holds it: a
// second process is refused for as long as this one lives. It brings the
// schema up to date; a newer one is refused.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := hold(filepath.Join(o.Dir, lockName))
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, o)
	if err != nil {
		lock.Close()
		return nil, err
	}
	s.lock = lock
	return s, nil
}

// OpenOffline opens an existing database without holding it, beside a server
// that may be running: for the operator's command line. The server notices
// what is written here within about a second.
func OpenOffline(ctx context.Context, o Options) (*Store, error) {
	if _, err := os.Stat(filepath.Join(o.Dir, fileName)); err != nil {
		return nil, fmt.Errorf("no database in the data directory %s: %w", o.Dir, err)
	}
	return open(ctx, o)
}

// hold takes the lock file until it is closed or the process ends (flock(2)).
func hold(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is in use by another process", filepath.Dir(path))
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

func open(ctx context.Context, o Options) (_ *Store, err error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Readers == 0 {
		o.Readers = 4
	}
	if o.OnFatal == nil {
		o.OnFatal = func(err error) { panic(err) }
	}
	path := filepath.Join(o.Dir, fileName)
	// SQLite would make the file with the umask's mode; the log and the shared
	// memory beside it take the file's.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	f.Close()

	c, err := connect(path)
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	s := &Store{log: o.Log, readers: make(chan *conn, o.Readers)}
	defer func() {
		if err != nil {
			c.close()
			s.closeReaders()
		}
	}()
	if err := migrate(c); err != nil {
		return nil, err
	}
	for range o.Readers {
		r, err := connect(path)
		if err != nil {
			return nil, fmt.Errorf("database: %w", err)
		}
		s.readers <- r
		s.opened++
		if _, err := (&tx{c: r}).exec("PRAGMA query_only = 1"); err != nil {
			return nil, fmt.Errorf("database: %w", err)
		}
	}
	if err := s.loadIdentities(&tx{c: c}); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	s.w = &writer{
		c: c, log: o.Log, fatal: o.OnFatal, wal: path + "-wal",
		api: make(chan *write, maxGroup), batch: make(chan *write, 64),
		stop: make(chan struct{}), stopped: make(chan struct{}),
		foreign: s.noticeForeign,
	}
	if _, err := (&tx{c: c}).one("PRAGMA data_version", func(r row) { s.w.version = r.int(0) }); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	go s.w.run()
	return s, nil
}

// connect opens one connection. WAL with synchronous=FULL: a commit is on the
// disk before it is acknowledged (sqlite.org/pragma.html#pragma_synchronous).
func connect(path string) (*conn, error) {
	raw, err := sqlite.OpenConn(path, sqlite.OpenReadWrite|sqlite.OpenWAL)
	if err != nil {
		return nil, err
	}
	raw.SetBusyTimeout(busyTimeout)
	c := &conn{raw: raw, stmts: map[string]*stmt{}}
	t := &tx{c: c}
	for _, pragma := range []string{
		"PRAGMA synchronous = FULL",
		"PRAGMA foreign_keys = 1",
		"PRAGMA temp_store = MEMORY",
		"PRAGMA cache_size = -32768",
		fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", walPages),
	} {
		if err := t.query(pragma, func(row) error { return nil }); err != nil {
			c.close()
			return nil, fmt.Errorf("%s: %w", pragma, err)
		}
	}
	return c, nil
}

// read runs do on a connection that reads, in one transaction: everything it
// sees is of one moment. It ends with ctx.
func (s *Store) read(ctx context.Context, do func(*tx) error) error {
	var c *conn
	select {
	case c = <-s.readers:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.w.stopped:
		return errClosed
	}
	defer func() {
		c.raw.SetInterrupt(nil)
		s.readers <- c
	}()
	c.raw.SetInterrupt(ctx.Done())
	t := &tx{c: c}
	if _, err := t.exec("BEGIN"); err != nil {
		return readError(ctx, err)
	}
	err := do(t)
	c.raw.SetInterrupt(nil)
	if _, end := t.exec("ROLLBACK"); end != nil && err == nil {
		err = end
	}
	return readError(ctx, err)
}

func readError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && sqlite.ErrCode(err) == sqlite.ResultInterrupt:
		return ctx.Err()
	case storageFault(err):
		return &jadwal.Error{Code: jadwal.CodeUnavailable, Message: "The server cannot read at the moment", RetryAfter: time.Second}
	}
	return err
}

// Close waits for the writes that were accepted, shortens the log, and closes
// everything. Later calls fail.
func (s *Store) Close() error {
	var err error
	s.close.Do(func() {
		close(s.w.stop)
		<-s.w.stopped
		s.w.truncate(true)
		s.closeReaders()
		err = s.w.c.close()
		if s.lock != nil {
			err = errors.Join(err, s.lock.Close())
		}
	})
	return err
}

// closeReaders closes the connections that read, each when its read has ended.
func (s *Store) closeReaders() {
	for range s.opened {
		(<-s.readers).close()
	}
}
