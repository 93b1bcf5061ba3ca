package store

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/teknohole/jadwal"
	"zombiezen.com/go/sqlite"
)

// lane says which writes go first when both wait.
type lane int

const (
	laneAPI   lane = iota // somebody waits for the answer
	laneBatch             // many records at once
)

// maxGroup bounds how many writes share one commit, and with it how long the
// first of them waits for the others.
const maxGroup = 512

// write is one unit that is stored whole or not at all.
type write struct {
	ctx   context.Context
	do    func(*tx) error
	done  chan error // buffered: the writer never waits for who asked
	err   error
	hooks []func()
}

// writer owns the one connection that writes. Whatever waits when it is free
// becomes one transaction, each write in a savepoint of its own, so that a
// commit's cost is shared and a failing write takes nothing else with it.
// There is no delay when nothing else waits.
type writer struct {
	c       *conn
	api     chan *write
	batch   chan *write
	stop    chan struct{}
	stopped chan struct{}
	log     *slog.Logger
	fatal   func(error)
	foreign func(*tx) // another process has written
	version int64     // data_version when last looked at
	wal     string    // path of the write-ahead log
}

var errClosed = jadwal.Errorf(jadwal.CodeUnavailable, "The server is shutting down")

// write runs do in the single writer and returns when it is durable, or not
// stored. do sees only its tx; it may run again when the group must be
// repeated. A ctx that ends before do has begun takes it out; after that do
// runs to its end, and write returns its real outcome.
func (s *Store) write(ctx context.Context, l lane, do func(*tx) error) error {
	w := &write{ctx: ctx, do: do, done: make(chan error, 1)}
	in := s.w.api
	if l == laneBatch {
		in = s.w.batch
	}
	select {
	case in <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.w.stop:
		return errClosed
	}
	select {
	case err := <-w.done:
		return err
	case <-s.w.stopped:
		select {
		case err := <-w.done:
			return err
		default:
			return errClosed
		}
	}
}

// run serves writes until stop is closed and what was waiting then is done.
func (w *writer) run() {
	defer close(w.stopped)
	poll := time.NewTicker(time.Second)
	defer poll.Stop()
	var group []*write
	for {
		group = group[:0]
		select {
		case first := <-w.api:
			group = append(group, first)
		default:
			select {
			case first := <-w.api:
				group = append(group, first)
			case first := <-w.batch:
				group = append(group, first)
			case <-poll.C:
				w.idle()
				continue
			case <-w.stop:
				if group = w.waiting(group); len(group) == 0 {
					return
				}
			}
		}
		group = w.waiting(group)
		w.commit(group)
	}
}

// waiting adds what waits now, the API's writes first.
func (w *writer) waiting(group []*write) []*write {
	for _, in := range []chan *write{w.api, w.batch} {
		for len(group) < maxGroup {
			select {
			case next := <-in:
				group = append(group, next)
				continue
			default:
			}
			break
		}
	}
	return group
}

// commit stores a group and gives each of its writes its answer.
func (w *writer) commit(group []*write) {
	err := w.transact(group)
	if err != nil {
		err = w.fault(err)
	}
	for _, one := range group {
		if err != nil && one.err == nil {
			one.err = err
		}
		if one.err == nil {
			for _, hook := range one.hooks {
				hook()
			}
		}
	}
	for i, one := range group {
		one.done <- one.err
		group[i] = nil
	}
}

// transact runs the group as one transaction. A returned error means that
// nothing was stored of any of them.
func (w *writer) transact(group []*write) (err error) {
	t := &tx{c: w.c}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil && !w.c.raw.AutocommitEnabled() {
			t.exec("ROLLBACK")
		}
	}()
	stored := 0
	for _, one := range group {
		if one.err = one.ctx.Err(); one.err != nil {
			continue
		}
		if err := w.savepoint(t, one); err != nil {
			return err
		}
		if one.err == nil {
			stored++
		}
	}
	if stored == 0 {
		_, err = t.exec("ROLLBACK")
		return err
	}
	_, err = t.exec("COMMIT")
	return err
}

// savepoint runs one write. Its own failure goes into one.err; a returned
// error is the whole transaction's.
func (w *writer) savepoint(t *tx, one *write) error {
	if _, err := t.exec("SAVEPOINT one"); err != nil {
		return err
	}
	t.hooks = nil
	one.err = guarded(one.do, t)
	if one.err != nil {
		if w.c.raw.AutocommitEnabled() { // SQLite itself rolled everything back (disk full, I/O)
			return one.err
		}
		if _, err := t.exec("ROLLBACK TO one"); err != nil {
			return err
		}
		if storageFault(one.err) {
			one.err = w.fault(one.err)
		}
	}
	one.hooks = t.hooks
	_, err := t.exec("RELEASE one")
	return err
}

// guarded turns a panic of one write into its error: the others of the group
// must not suffer.
func guarded(do func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("write panicked: %v", p)
		}
	}()
	return do(t)
}

// storageFault tells whether err is the disk's doing, or another process's.
func storageFault(err error) bool {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultBusy, sqlite.ResultLocked, sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultNoMem:
		return true
	}
	return false
}

// fault turns what the disk did into what callers can react to. A failed fsync
// is fatal: what the kernel holds and what the disk holds may differ from then
// on, and only a fresh start reads the truth (Rebello and others, "Can
// Applications Recover from fsync Failures?", USENIX ATC 2020).
func (w *writer) fault(err error) error {
	switch sqlite.ErrCode(err) {
	case sqlite.ResultIOErrFsync, sqlite.ResultIOErrDirFsync:
		w.fatal(fmt.Errorf("fsync: %w", err))
	}
	if !storageFault(err) {
		return err
	}
	w.log.Error("a write was not stored", "err", err)
	return unavailable()
}

func unavailable() *jadwal.Error {
	return &jadwal.Error{Code: jadwal.CodeUnavailable, Message: "The server cannot store anything at the moment; nothing was changed", RetryAfter: time.Second}
}

// idle looks whether another process has written, and shortens the log.
func (w *writer) idle() {
	t := &tx{c: w.c}
	var version int64
	_, err := t.one("PRAGMA data_version", func(r row) { version = r.int(0) })
	if err != nil {
		w.log.Error("data_version", "err", err)
		return
	}
	if version != w.version {
		w.version = version
		w.foreign(t)
	}
	w.truncate(false)
}
