// Package store keeps everything that must survive the process: users,
// sessions, the audit trail, jobs, cursors and runs. It is SQLite in one file,
// with one goroutine that groups the writes of many callers into one commit,
// and a pool of readers (sqlite*.go); or PostgreSQL, which many servers may
// share (postgres*.go). The other files are of both: one text of SQL for what
// people do, and two where each run counts.
//
// What a write method confirmed is durable. Errors that a caller can react to
// are *jadwal.Error; every method may answer CodeUnavailable, with RetryAfter,
// when the disk is full or fails, another process holds the database for too
// long, the database server is away, or the store is closing. Any other error is a defect of ours.
package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/vault"
)

// Options say where the store is.
type Options struct {
	Dir string       // the data directory, of SQLite
	URL string       // of a PostgreSQL database: postgres://user@host:5432/name; "": SQLite in Dir
	Log *slog.Logger // nil: slog.Default()

	// MaxJobs is how many jobs a user who is no superuser may have, whatever
	// their state, without deleted ones; 0: any number.
	MaxJobs int

	// Unsafe allows a PostgreSQL that does not survive a power failure.
	Unsafe bool

	// OnFatal is told, once, that the disk did not confirm a write, or that the
	// database is no longer where it was: what the file holds is then unknown to
	// this process, which should end. The store refuses all writes from then on.
	// Of PostgreSQL it is told that a newer jadwal has taken the database over,
	// beside which this process may not live. It must not block.
	OnFatal func(error)
}

// Store is one open database. Its methods may be used by many goroutines.
type Store struct {
	log  *slog.Logger
	db   database
	stop chan struct{} // closed: the store is closing

	vault  *vault.Vault // nil: there is no master key
	lacked atomic.Bool  // one that is in use, when Lacks was last asked
	opened opened

	close        func() error
	maxJobs      int
	live         identities
	usedSessions usage
	usedKeys     usage
	meet         meeting
	sweep        sweep

	lookingUp     chan struct{} // a place for each look-up of a session
	lookingUpKeys chan struct{} // and of a key
}

// database is what a store keeps everything in: SQLite in a file (sqlite.go),
// or PostgreSQL (postgres.go).
type database interface {
	// start loads what s holds in memory, and starts what keeps it so.
	start(s *Store) error

	// read runs fn in one read transaction: all that it sees is of one moment.
	// fn may run again from its beginning. It waits for a free connection as
	// long as ctx lives; a query that has begun looks at ctx now and then.
	read(ctx context.Context, fn func(*tx) error) error

	// single is read for an fn of one statement, which needs no transaction
	// around it.
	single(ctx context.Context, fn func(*tx) error) error

	// write runs fn in a transaction and returns after its COMMIT. If fn
	// returns an error or panics, nothing of it stays. fn may run again from
	// its beginning, so it sets what it hands out and adds to nothing. An error
	// of fn is returned as it is, but for the database's own.
	//
	// When ctx ends before fn has begun, fn never runs; after that, ctx means
	// nothing, and write returns what became of fn.
	write(ctx context.Context, l lane, fn func(*tx) error) error

	// close waits for what has begun and lets go of the database.
	close() error
}

// lane says for whom a write is.
type lane int

// The lanes. What people wait for goes ahead of the engine's batches.
const (
	laneAPI lane = iota
	laneBatch
)

// stepLane is that of a write which is one of many that change jobs. On
// PostgreSQL only the transactions of laneAPI see one another's effects on jobs.
func (s *Store) stepLane() lane {
	if s.Shared() {
		return laneAPI
	}
	return laneBatch
}

// Open opens the database in the data directory for a server: it makes what is
// missing, takes the lock file, and brings the schema up to date. Its errors
// are for the operator and name what is in the way: another process that holds
// the directory, a schema newer than this program, the file system.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.URL != "" {
		return openShared(ctx, o, false)
	}
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
	if o.URL != "" {
		return openShared(ctx, o, true)
	}
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
	if o.Log == nil {
		o.Log = slog.Default()
	}
	db, err := openSQLite(ctx, o, lock, migrating)
	if err != nil {
		return nil, err
	}
	return newStore(o, db)
}

// openShared opens a PostgreSQL database.
func openShared(ctx context.Context, o Options, offline bool) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	db, err := openPostgres(ctx, o, offline)
	if err != nil {
		return nil, err
	}
	return newStore(o, db)
}

func newStore(o Options, db database) (*Store, error) {
	s := &Store{log: o.Log, db: db, maxJobs: o.MaxJobs, stop: make(chan struct{}), lookingUp: make(chan struct{}, lookUps), lookingUpKeys: make(chan struct{}, keyLookUps)}
	if err := db.start(s); err != nil {
		return nil, err
	}
	s.close = sync.OnceValue(func() error {
		close(s.stop)
		return db.close()
	})
	return s, nil
}

// Close ends the store: writes that wait are still committed, later ones
// answer CodeUnavailable, and reads that have begun are waited for. The last
// process to close the database leaves one file, without a log beside it.
func (s *Store) Close() error { return s.close() }

// read, single and write are the database's, with the vault at hand.

func (s *Store) read(ctx context.Context, fn func(*tx) error) error {
	return s.db.read(ctx, s.withVault(fn))
}

func (s *Store) single(ctx context.Context, fn func(*tx) error) error {
	return s.db.single(ctx, s.withVault(fn))
}

func (s *Store) write(ctx context.Context, l lane, fn func(*tx) error) error {
	return s.db.write(ctx, l, s.withVault(func(t *tx) error {
		err := fn(t)
		if d, shared := s.db.(*postgresDB); shared && t.renamed {
			t.after(func() { d.hints.say(wordShards) }) // a node without that key is to make room at once
		}
		return err
	}))
}

func (s *Store) withVault(fn func(*tx) error) func(*tx) error {
	return func(t *tx) error {
		t.vault = s.vault
		return fn(t)
	}
}

func errClosing() error {
	return &jadwal.Error{Code: jadwal.CodeUnavailable, Message: "The server is stopping", RetryAfter: time.Second}
}
