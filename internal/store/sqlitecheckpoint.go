package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// SQLite copies the log into the file by itself at the end of the commit that
// brings the log to autoCheckpoint pages, and begins the log anew when no
// reader needs it: https://www.sqlite.org/wal.html#ckpt. Readers that overlap
// without a pause keep it growing; so beyond largeLog bytes the writer waits
// for the readers of the moment (new ones no longer need the log then). A log
// of more than idleLog bytes is cut when nothing is going on.
//
// The longer the log, the more commits change a page before it is copied: of
// runs of 100,000 jobs that are due all over a minute each cost 14.6 kB and 28 µs
// of processor time with 4,096 pages, 10.4 kB and 23 µs with 16,384, and 9.9 kB
// with 32,768.
const (
	autoCheckpoint = 16_384 // pages of 4 KiB
	largeLog       = 128 << 20
	idleLog        = 8 << 20
	trimTimeout    = 100 * time.Millisecond // for each of the few marks that readers hold
)

// rewrite writes the database anew, without free pages, and cuts the log: so
// that neither holds what was deleted or replaced. Meanwhile it takes as much
// room as the database has twice: in the log, and where SQLite has its temporary
// files. Nobody else uses the database.
// https://www.sqlite.org/lang_vacuum.html
func (d *sqliteDB) rewrite(ctx context.Context) error {
	c, err := openConn(d.path, writing)
	if err != nil {
		return err
	}
	c.raw.SetInterrupt(ctx.Done())
	t := &tx{c: c}
	busy := false
	_, err = t.exec("PRAGMA temp_store = file") // and not in memory, however large it is
	if err == nil {
		_, err = t.exec("VACUUM")
	}
	if err == nil {
		_, err = t.one("PRAGMA wal_checkpoint(TRUNCATE)", func(r row) { busy = r.bool(0) })
	}
	if err == nil && busy {
		err = errors.New("the log could not be cut: another process reads the database")
	}
	return errors.Join(err, c.close())
}

// trim cuts the log when it is too large, or worth it while the store is idle.
// When readers stay in the way, the next tick tries again.
func (w *writer) trim(idle bool) error {
	info, err := os.Stat(w.d.path + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	size := info.Size()
	if size <= idleLog || size <= largeLog && !idle {
		return nil
	}
	w.c.raw.SetBusyTimeout(trimTimeout)
	defer w.c.raw.SetBusyTimeout(0)
	return (&tx{c: w.c}).query("PRAGMA wal_checkpoint(TRUNCATE)", func(row) error { return nil })
}
