// Package store keeps everything that must survive the process: users,
// sessions, the audit trail, jobs, cursors and runs. It is SQLite in one file,
// with one goroutine that groups the writes of many callers into one commit,
// and a pool of readers.
//
// What a write method confirmed is durable. Errors that a caller can react to
// are *jadwal.Error; every method may answer CodeUnavailable, with RetryAfter,
// when the disk is full or fails, another process holds the database for too
// long, or the store is closing. Any other error is a defect of ours.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal"
)

// Options say where the store is.
type Options struct {
	Dir string       // the data directory
	Log *slog.Logger // nil: slog.Default()

	// OnFatal is told, once, that the disk did not confirm a write, or that the
	// database is no longer where it was: what the file holds is then unknown to
	// this process, which should end. The store refuses all writes from then on.
	// It must not block.
	OnFatal func(error)
}

// The files of a data directory. SQLite adds -wal and -shm beside the first.
const (
	fileName = "jadwal.db"
)

// busyTimeout is how long a write waits for another process (the
// operator's command line, a backup) to let go of the database.
const busyTimeout = 5 * time.Second

// pollInterval is how often the store looks for commits of other processes.
const pollInterval = time.Second

// Store is one open database. Its methods may be used by many goroutines.
type Store struct {
	log     *slog.Logger
	path    string // of the database file
	lock    *os.File
	onFatal func(error)
	offline bool

	lanes   [2]chan *write
	stop    chan struct{} // closed: no more writes are taken
	stopped chan struct{} // closed: the writer has ended
	fatal   atomic.Bool   // nothing may be written any more
	failing atomic.Bool   // the disk failed, and nothing was written since
	readers chan *conn    // nil: a connection that is yet to be opened
	close   func() error

	live  identities
	meet  meeting
	sweep sweep
}

// Open opens the database in the data directory for a server: it makes what is
// missing, takes the lock file, and brings the schema up to date. Its errors
// are for the operator and name what is in the way: another process that holds
// the directory, a schema newer than this program, the file system.
func Open(ctx context.Context, o Options) (*Store, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	s, err := open(ctx, o, lock, true)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// OpenOffline opens the database for the operator's command line, beside a
// running server or without one. It takes no lock, makes no database, and
// brings the schema up to date only when no server is running. A running server
// notices what it commits within about a second.
func OpenOffline(ctx context.Context, o Options) (*Store, error) {
	if _, err := os.Stat(filepath.Join(o.Dir, fileName)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("data directory %s: no database in it", o.Dir)
	} else if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := lockDir(o.Dir)
	if err != nil && !errors.Is(err, errLocked) {
		return nil, fmt.Errorf("data directory %s: %w", o.Dir, err)
	}
	s, err := open(ctx, o, nil, lock != nil)
	if lock != nil {
		err = errors.Join(err, lock.Close())
	}
	if err != nil && s != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, err
}

func open(ctx context.Context, o Options, lock *os.File, migrating bool) (*Store, error) {
	s := &Store{
		log:     o.Log,
		path:    filepath.Join(o.Dir, fileName),
		lock:    lock,
		onFatal: o.OnFatal,
		offline: lock == nil,
		lanes:   [2]chan *write{make(chan *write, 2*maxGroup), make(chan *write, 2*maxGroup)},
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if err := makeFile(s.path); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	c, err := openConn(s.path, writing)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", s.path, err)
	}
	if err := migrate(ctx, c, migrating); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", s.path, err), c.close())
	}
	pool := max(4, 2*runtime.GOMAXPROCS(0))
	s.readers = make(chan *conn, pool)
	for range pool {
		s.readers <- nil
	}
	if err := s.loadIdentities(&tx{c: c}); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", s.path, err), c.close())
	}
	w, err := newWriter(s, c)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", s.path, err), c.close())
	}
	s.close = sync.OnceValue(func() error {
		close(s.stop)
		<-s.stopped
		errs := make([]error, 0, 4)
		for range cap(s.readers) {
			if r := <-s.readers; r != nil {
				errs = append(errs, r.close())
			}
		}
		errs = append(errs, c.close())
		if s.lock != nil {
			errs = append(errs, s.lock.Close())
		}
		return errors.Join(errs...)
	})
	go w.run()
	return s, nil
}

// makeFile makes the database file, which SQLite would make as the umask says.
// One that exists is not opened: closing it again would drop the locks of every
// connection that this process has to it (fcntl(2), "Record locking").
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// Close ends the store: writes that wait are still committed, later ones
// answer CodeUnavailable, and reads that have begun are waited for. The last
// process to close the database leaves one file, without a log beside it.
func (s *Store) Close() error { return s.close() }

// read runs fn in one read transaction on a connection of the pool: all that
// it sees is of one moment. It waits for a free connection as long as ctx
// lives; a query that has begun looks at ctx now and then.
func (s *Store) read(ctx context.Context, fn func(*tx) error) error {
	c, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { s.readers <- c }()
	t := &tx{c: c, ctx: ctx}
	if _, err := t.exec("BEGIN"); err != nil {
		return s.judge("read", err)
	}
	defer c.rollback() // there is nothing to commit
	return s.judge("read", fn(t))
}

func (s *Store) reader(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	select {
	case <-s.stop:
		return nil, errClosing()
	default:
	}
	var c *conn
	select {
	case c = <-s.readers:
	case <-s.stop:
		return nil, errClosing()
	case <-ctx.Done():
		return nil, fmt.Errorf("read: %w", ctx.Err())
	}
	if c != nil {
		return c, nil
	}
	c, err := openConn(s.path, reading)
	if err != nil {
		s.readers <- nil
		return nil, s.judge("read", err)
	}
	return c, nil
}

func errClosing() error {
	return &jadwal.Error{Code: jadwal.CodeUnavailable, Message: "The server is stopping", RetryAfter: time.Second}
}
