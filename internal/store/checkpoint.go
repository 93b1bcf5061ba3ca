package store

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// SQLite copies the log into the file by itself at the end of the commit that
// brings the log to autoCheckpoint pages, and begins the log anew when no
// reader needs it: https://www.sqlite.org/wal.html#ckpt. Readers that overlap
// without a pause would keep it growing; so beyond largeLog bytes the readers
// are held for a moment. A log of more than idleLog bytes is cut when nothing
// is going on.
const (
	autoCheckpoint = 4096 // pages of 4 KiB
	largeLog       = 128 << 20
	idleLog        = 8 << 20
	holdReaders    = 250 * time.Millisecond // at most, for those that have begun
	holdForeign    = 100 * time.Millisecond // at most, for those of other processes
)

// trim cuts the log when it is too large, or worth it while the store is idle.
func (w *writer) trim(idle bool) error {
	info, err := os.Stat(w.s.path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	size := info.Size()
	if size <= idleLog || (size <= largeLog && !idle) {
		return nil
	}
	held := w.hold()
	defer func() {
		for _, c := range held {
			w.s.readers <- c
		}
	}()
	if len(held) < cap(w.s.readers) {
		return nil // a long read goes on; the next tick tries again
	}
	w.c.raw.SetBusyTimeout(holdForeign)
	defer w.c.raw.SetBusyTimeout(0)
	// A first column of 1 says that another process reads; then the next tick
	// tries again.
	return (&tx{c: w.c}).query("PRAGMA wal_checkpoint(TRUNCATE)", func(row) error { return nil })
}

// hold takes the readers' connections out of the pool as they come free.
func (w *writer) hold() []*conn {
	held := make([]*conn, 0, cap(w.s.readers))
	timeout := time.NewTimer(holdReaders)
	defer timeout.Stop()
	for len(held) < cap(held) {
		select {
		case c := <-w.s.readers:
			held = append(held, c)
		case <-timeout.C:
			return held
		}
	}
	return held
}
