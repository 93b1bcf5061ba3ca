package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"modernc.org/libc"
	"zombiezen.com/go/sqlite"
)

// The bounds of one group, that is, of one COMMIT.
const (
	maxGroup   = 512 // writes of laneAPI
	maxBatches = 4   // writes of laneBatch, and only one while others wait
)

// The states of a write.
const (
	waiting int32 = iota
	begun
	abandoned
)

// write is one caller's part of a group.
type write struct {
	fn    func(*tx) error
	state atomic.Int32
	err   error
	hooks []func()
	wrote bool
	done  chan error
}

// write runs fn in the writer's next transaction and returns after its COMMIT.
// fn sees what was written before it in the same group; if it returns an error
// or panics, nothing of it stays, and the others' parts do. fn may run again
// from its beginning, so it sets what it hands out and adds to nothing. An
// error of fn is returned as it is, but for the database's own (judge); a
// failed COMMIT fails every part of its group.
//
// When ctx ends before fn has begun, fn never runs; after that, ctx means
// nothing, and write returns what became of fn.
func (d *sqliteDB) write(ctx context.Context, l lane, fn func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	w := &write{fn: fn, done: make(chan error, 1)}
	select {
	case <-d.stop:
		return errClosing()
	default:
	}
	select {
	case d.lanes[l] <- w:
	case <-d.stop:
		return errClosing()
	case <-ctx.Done():
		return fmt.Errorf("write: %w", ctx.Err())
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		if w.state.CompareAndSwap(waiting, abandoned) {
			return fmt.Errorf("write: %w", ctx.Err())
		}
	case <-d.stopped:
	}
	select {
	case err := <-w.done:
		return err
	case <-d.stopped:
	}
	select {
	case err := <-w.done: // its last group
		return err
	default: // queued behind the writer's end
		return errClosing()
	}
}

// writer is the one goroutine that changes the database.
type writer struct {
	d       *sqliteDB
	c       *conn
	scratch scratch
	version int64 // of the data, as PRAGMA data_version has it
	files   files
	group   []*write
	commits int // since the last tick
}

func newWriter(d *sqliteDB, c *conn) (*writer, error) {
	w := &writer{d: d, c: c}
	var err error
	if w.version, err = w.dataVersion(); err != nil { // may wait for a server that recovers the log
		return nil, err
	}
	c.raw.SetBusyTimeout(0) // begin waits by itself
	w.files, err = findFiles(d.path)
	return w, err
}

// run commits groups until the store stops, and then what waits.
func (w *writer) run() {
	defer close(w.d.stopped)
	w.scratch.tls = libc.NewTLS()
	defer w.scratch.close()
	var tick <-chan time.Time
	if w.d.lock != nil {
		ticker := time.NewTicker(pollInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	api, batches := w.d.lanes[laneAPI], w.d.lanes[laneBatch]
	for {
		w.group = w.group[:0]
		var batch *write
		select {
		case first := <-api:
			w.group = append(w.group, first)
		case batch = <-batches:
		case <-tick:
			w.idle()
			continue
		case <-w.d.stop:
			if len(api) == 0 && len(batches) == 0 {
				return
			}
		}
		w.gather(batch)
		w.commit()
	}
}

// gather completes the group from what waits, laneAPI first; batch, if there
// is one, was taken from laneBatch already.
func (w *writer) gather(batch *write) {
	w.take(laneAPI, maxGroup-len(w.group))
	more := maxBatches
	if len(w.group) > 0 {
		more = 1
	}
	if batch != nil {
		w.group = append(w.group, batch)
		more--
	}
	w.take(laneBatch, more)
}

func (w *writer) take(l lane, most int) {
	for range most {
		select {
		case next := <-w.d.lanes[l]:
			w.group = append(w.group, next)
		default:
			return
		}
	}
}

// commit stores a group and gives each part its answer.
func (w *writer) commit() {
	w.scratch.renew()
	err := w.transact(false)
	if errors.Is(err, errRepeat) {
		err = w.transact(true)
	}
	if err != nil {
		err = w.d.lost(err)
	} else if err = w.files.inPlace(); err != nil {
		err = w.d.astray(err)
	}
	wrote := false
	for _, part := range w.group {
		wrote = wrote || part.wrote
		switch {
		case err != nil:
			part.err = err
		case part.err != nil:
			if p, ok := errors.AsType[*panicked](part.err); ok {
				w.d.log.Error("write panicked", "panic", p.value, "stack", p.stack)
			}
			part.err = w.d.judge("write", part.err)
		default:
			for _, hook := range part.hooks {
				hook()
			}
		}
	}
	for i, part := range w.group {
		part.done <- part.err
		w.group[i] = nil
	}
	if err == nil && wrote {
		w.d.failing.Store(false)
	}
	w.commits++
}

// errRepeat asks for the group to be run again with savepoints.
var errRepeat = errors.New("a part of the group failed after it had written")

// transact runs the group as one transaction. Its error means that nothing of
// any part is stored.
//
// A savepoint makes SQLite keep a copy of every page that a part touches, which
// took 40 % of the time of a write. So the parts run without one, since those
// that fail mostly do so before they have written; when one fails later, all is
// rolled back, and the group runs again with a savepoint for each.
func (w *writer) transact(savepoints bool) error {
	if w.d.fatal.Load() {
		return errUnavailable()
	}
	if err := w.begin(); err != nil {
		return err
	}
	defer w.c.rollback()
	for _, part := range w.group {
		if part.state.CompareAndSwap(waiting, begun) || part.state.Load() == begun {
			if err := w.part(part, savepoints); err != nil {
				return err
			}
		}
	}
	_, err := w.exec("COMMIT")
	return err
}

// begin begins the transaction. While another process holds the lock, it waits
// for as long as busyTimeout.
func (w *writer) begin() error {
	pause := time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		_, err := w.exec("BEGIN IMMEDIATE")
		if err == nil || sqlite.ErrCode(err).ToPrimary() != sqlite.ResultBusy || waited >= busyTimeout {
			return err
		}
		pause = min(2*pause, 50*time.Millisecond)
		time.Sleep(pause)
	}
}

// part runs one part of the group. Its error ends the whole transaction; what
// befell the part alone is part.err.
func (w *writer) part(part *write, savepoint bool) error {
	if savepoint {
		if _, err := w.exec("SAVEPOINT part"); err != nil {
			return err
		}
	}
	t := &tx{c: w.c}
	part.err = protect(part.fn, t)
	part.hooks, part.wrote = t.hooks, t.wrote
	switch {
	case w.c.raw.AutocommitEnabled():
		// SQLite itself has rolled everything back: lang_transaction.html,
		// "Response To Errors Within A Transaction".
		return fmt.Errorf("transaction lost: %w", part.err)
	case isUnsynced(part.err):
		return part.err
	case part.err != nil && !savepoint:
		if t.wrote {
			return errRepeat
		}
		return nil
	case part.err != nil:
		if _, err := w.exec("ROLLBACK TO part"); err != nil {
			return err
		}
	}
	if savepoint {
		_, err := w.exec("RELEASE part")
		return err
	}
	return nil
}

func (w *writer) exec(sql string) (int, error) { return (&tx{c: w.c}).exec(sql) }

// panicked is the error of a write that panicked.
type panicked struct {
	value any
	stack string
}

func (p *panicked) Error() string { return fmt.Sprintf("write panicked: %v", p.value) }

func protect(fn func(*tx) error, t *tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, string(debug.Stack())}
		}
	}()
	return fn(t)
}

// idle runs about once a second, between groups: it looks for commits of other
// processes and lets the log shrink.
func (w *writer) idle() {
	if err := w.files.inPlace(); err != nil {
		_ = w.d.astray(err)
		return
	}
	version, err := w.dataVersion()
	if err != nil {
		_ = w.d.judge("poll", err)
		return
	}
	if version != w.version {
		if err := w.d.notice(&tx{c: w.c}); err != nil {
			_ = w.d.judge("poll", err)
			return // and look again
		}
		w.version = version
	}
	if err := w.trim(w.commits == 0); err != nil {
		_ = w.d.judge("checkpoint", err)
	}
	w.commits = 0
}

// dataVersion changes when another connection has committed, and never by what
// this one does: https://www.sqlite.org/pragma.html#pragma_data_version.
func (w *writer) dataVersion() (int64, error) {
	var v int64
	_, err := (&tx{c: w.c}).one("PRAGMA data_version", func(r row) { v = r.int(0) })
	return v, err
}
