package store

import (
	"os"
	"time"
)

const (
	// walPages is how many pages the write-ahead log may hold before the
	// commit that passes it copies them into the database (16 MiB of 4 KiB
	// pages): SQLite's own default of 1,000 costs a sync of the database four
	// times as often.
	walPages = 4000

	// walTrunc is the size in bytes from which the file itself is cut. SQLite
	// reuses it from the beginning but never shortens it, and a long reader
	// can make it grow without bound (sqlite.org/wal.html, "Avoiding
	// Excessively Large WAL Files").
	walTrunc = 64 << 20
)

// truncate empties the write-ahead log when it is long, or when always is set,
// unless readers are in the way: then it is tried again later.
func (w *writer) truncate(always bool) {
	info, err := os.Stat(w.wal)
	if err != nil || !always && info.Size() < walTrunc {
		return
	}
	w.c.raw.SetBusyTimeout(0)
	defer w.c.raw.SetBusyTimeout(busyTimeout)
	if err := (&tx{c: w.c}).query("PRAGMA wal_checkpoint(TRUNCATE)", func(row) error { return nil }); err != nil {
		w.log.Debug("the write-ahead log was not cut", "err", err)
	}
}

// busyTimeout is how long a write waits for another process: the operator's
// command line beside a running server.
const busyTimeout = 10 * time.Second
