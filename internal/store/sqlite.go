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
	"sync/atomic"
	"time"
)

// The files of a data directory. SQLite adds -wal and -shm beside the first.
const (
	fileName = "jadwal.db"
)

// busyTimeout is how long a write waits for another process (the
// operator's command line, a backup) to let go of the database.
const busyTimeout = 5 * time.Second

// pollInterval is how often the store looks for commits of other processes.
const pollInterval = time.Second

// sqliteDB is the database of one server: a file in its data directory, one
// goroutine that groups the writes of many callers into one commit, and a pool
// of readers.
type sqliteDB struct {
	log     *slog.Logger
	path    string   // of the database file
	lock    *os.File // of the data directory; nil: offline
	onFatal func(error)
	notice  func(*tx) error // another process has committed something

	lanes   [2]chan *write
	stop    <-chan struct{} // closed: no more writes are taken
	stopped chan struct{}   // closed: the writer has ended
	fatal   atomic.Bool     // nothing may be written any more
	failing atomic.Bool     // the disk failed, and nothing was written since
	readers chan *conn      // nil: a connection that is yet to be opened
	writer  *conn
}

// openSQLite opens the database file of o.Dir, which lock is of, and makes it
// and its schema as far as they are missing.
func openSQLite(ctx context.Context, o Options, lock *os.File, migrating bool) (*sqliteDB, error) {
	d := &sqliteDB{
		log:     o.Log,
		path:    filepath.Join(o.Dir, fileName),
		lock:    lock,
		onFatal: o.OnFatal,
		lanes:   [2]chan *write{make(chan *write, 2*maxGroup), make(chan *write, 2*maxGroup)},
		stopped: make(chan struct{}),
	}
	if err := makeFile(d.path); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	c, err := openConn(d.path, writing)
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", d.path, err)
	}
	if err := migrate(ctx, c, migrating); err != nil {
		return nil, errors.Join(fmt.Errorf("database %s: %w", d.path, err), c.close())
	}
	pool := max(4, 2*runtime.GOMAXPROCS(0))
	d.readers = make(chan *conn, pool)
	for range pool {
		d.readers <- nil
	}
	d.writer = c
	return d, nil
}

// start loads what s holds in memory and starts the writer.
func (d *sqliteDB) start(s *Store) error {
	d.stop, d.notice = s.stop, s.noticeForeign
	if err := s.loadIdentities(&tx{c: d.writer}); err != nil {
		return errors.Join(fmt.Errorf("database %s: %w", d.path, err), d.writer.close())
	}
	w, err := newWriter(d, d.writer)
	if err != nil {
		return errors.Join(fmt.Errorf("database %s: %w", d.path, err), d.writer.close())
	}
	go w.run()
	return nil
}

func (d *sqliteDB) close() error {
	<-d.stopped
	errs := make([]error, 0, 4)
	for range cap(d.readers) {
		if r := <-d.readers; r != nil {
			errs = append(errs, r.close())
		}
	}
	errs = append(errs, d.writer.close())
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
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

// read runs fn in one read transaction on a connection of the pool: all that
// it sees is of one moment. It waits for a free connection as long as ctx
// lives; a query that has begun looks at ctx now and then.
func (d *sqliteDB) read(ctx context.Context, fn func(*tx) error) error {
	c, err := d.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { d.readers <- c }()
	t := &tx{c: c, ctx: ctx}
	if _, err := t.exec("BEGIN"); err != nil {
		return d.judge("read", err)
	}
	defer c.rollback() // there is nothing to commit
	return d.judge("read", fn(t))
}

// single is read for an fn of one statement, which needs no transaction around
// it.
func (d *sqliteDB) single(ctx context.Context, fn func(*tx) error) error {
	c, err := d.reader(ctx)
	if err != nil {
		return err
	}
	defer func() { d.readers <- c }()
	return d.judge("read", fn(&tx{c: c, ctx: ctx}))
}

func (d *sqliteDB) reader(ctx context.Context) (*conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	select {
	case <-d.stop:
		return nil, errClosing()
	default:
	}
	var c *conn
	select {
	case c = <-d.readers:
	case <-d.stop:
		return nil, errClosing()
	case <-ctx.Done():
		return nil, fmt.Errorf("read: %w", ctx.Err())
	}
	if c != nil {
		return c, nil
	}
	c, err := openConn(d.path, reading)
	if err != nil {
		d.readers <- nil
		return nil, d.judge("read", err)
	}
	return c, nil
}
