package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// lane is a queue in front of the writer.
type lane int

// The lanes. What people wait for goes ahead of the engine's batches.
const (
	laneAPI lane = iota
	laneBatch
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
	done  chan error
}

// write runs fn in the writer's next transaction and returns after its COMMIT.
// fn sees what was written before it in the same group; if it returns an error
// or panics, nothing of it stays, and the others' parts do. fn may run again
// from its beginning, so it sets what it hands out and adds to nothing. An
// error of fn is returned as it is; a failed COMMIT fails every part of its
// group.
//
// When ctx ends before fn has begun, fn never runs; after that, ctx means
// nothing, and write returns what became of fn.
func (s *Store) write(ctx context.Context, l lane, fn func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	w := &write{fn: fn, done: make(chan error, 1)}
	select {
	case <-s.stop:
		return errClosing()
	default:
	}
	select {
	case s.lanes[l] <- w:
	case <-s.stop:
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
	case <-s.stopped:
	}
	select {
	case err := <-w.done:
		return err
	case <-s.stopped:
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
	s       *Store
	c       *conn
	version int64 // of the data, as PRAGMA data_version has it
	group   []*write
	commits int // since the last tick
}

func newWriter(s *Store, c *conn) (*writer, error) {
	w := &writer{s: s, c: c}
	var err error
	w.version, err = w.dataVersion()
	return w, err
}

// run commits groups until the store stops, and then what waits.
func (w *writer) run() {
	defer close(w.s.stopped)
	var tick <-chan time.Time
	if !w.s.offline {
		ticker := time.NewTicker(pollInterval)
		defer ticker.Stop()
		tick = ticker.C
	}
	api, batch := w.s.lanes[laneAPI], w.s.lanes[laneBatch]
	for {
		w.group = w.group[:0]
		select {
		case <-tick:
			w.idle()
		default:
		}
		select {
		case first := <-api:
			w.group = append(w.group, first)
		default:
			select {
			case first := <-api:
				w.group = append(w.group, first)
			case first := <-batch:
				w.commit(first)
				continue
			case <-tick:
				w.idle()
				continue
			case <-w.s.stop:
				if len(api) == 0 && len(batch) == 0 {
					return
				}
				continue
			}
		}
		w.commit(nil)
	}
}

// commit gathers a group, beginning with what is in w.group and the batch if
// there is one, runs it in one transaction, and answers.
func (w *writer) commit(batch *write) {
	api, batches := w.s.lanes[laneAPI], w.s.lanes[laneBatch]
	for len(w.group) < maxGroup {
		select {
		case next := <-api:
			w.group = append(w.group, next)
			continue
		default:
		}
		break
	}
	_, err := w.exec("BEGIN IMMEDIATE")
	if err == nil {
		for _, part := range w.group {
			if err = w.run1(part); err != nil {
				break
			}
		}
		for n := 0; err == nil && n < maxBatches && (n == 0 || len(api) == 0); n++ {
			if batch == nil {
				select {
				case batch = <-batches:
				default:
				}
			}
			if batch == nil {
				break
			}
			w.group = append(w.group, batch)
			err = w.run1(batch)
			batch = nil
		}
	} else if batch != nil {
		w.group = append(w.group, batch)
	}
	if err == nil && w.s.fatal.Load() {
		err = errUnavailable()
	}
	if err == nil {
		_, err = w.exec("COMMIT")
	}
	if err != nil {
		w.c.rollback()
		err = w.s.lost(err)
	}
	for _, part := range w.group {
		if err != nil {
			part.err = err
			continue
		}
		if part.err != nil {
			continue
		}
		for _, hook := range part.hooks {
			hook()
		}
	}
	for i, part := range w.group {
		part.done <- part.err
		w.group[i] = nil
	}
	w.commits++
}

// run1 runs one part of the group in a savepoint of its own. Its error says
// that the whole transaction is lost; what befell the part alone is part.err.
func (w *writer) run1(part *write) error {
	if !part.state.CompareAndSwap(waiting, begun) {
		return nil // its caller is gone
	}
	if _, err := w.exec("SAVEPOINT part"); err != nil {
		return err
	}
	t := &tx{c: w.c}
	err := protect(part.fn, t)
	if w.c.raw.AutocommitEnabled() {
		// SQLite has rolled everything back: https://www.sqlite.org/lang_transaction.html,
		// "Response To Errors Within A Transaction".
		return fmt.Errorf("transaction lost: %w", err)
	}
	if err == nil {
		part.hooks = t.hooks
		_, err := w.exec("RELEASE part")
		return err
	}
	if isUnsynced(err) {
		return err
	}
	if p, ok := errors.AsType[*panicked](err); ok {
		w.s.log.Error("write panicked", "panic", p.value, "stack", p.stack)
	}
	part.err = w.s.judge("write", err)
	if _, err := w.exec("ROLLBACK TO part"); err != nil {
		return err
	}
	_, err = w.exec("RELEASE part")
	return err
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
	version, err := w.dataVersion()
	if err != nil {
		_ = w.s.judge("poll", err)
		return
	}
	if version != w.version {
		if err := w.s.noticeForeign(&tx{c: w.c}); err != nil {
			_ = w.s.judge("poll", err)
			return // and look again
		}
		w.version = version
	}
	if err := w.trim(w.commits == 0); err != nil {
		_ = w.s.judge("checkpoint", err)
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
