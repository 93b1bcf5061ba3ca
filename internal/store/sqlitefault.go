package store

import (
	"fmt"
	"os"
	"syscall"

	"github.com/teknohole/jadwal"
	"zombiezen.com/go/sqlite"
)

// isUnsynced tells whether err says that the disk did not confirm a write.
func isUnsynced(err error) bool {
	if err == nil {
		return false
	}
	code := sqlite.ErrCode(err)
	return code == sqlite.ResultIOErrFsync || code == sqlite.ResultIOErrDirFsync
}

// judge turns the database's faults that may pass (a full disk, an I/O error, a
// lock held by another process) into CodeUnavailable, and logs them. A disk
// that does not confirm a write ends the store's writing.
func (d *sqliteDB) judge(what string, err error) error {
	if err == nil {
		return nil
	}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultBusy, sqlite.ResultLocked,
		sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultNoMem,
		sqlite.ResultCorrupt: // so SQLite calls an EIO of read(2) too: rescode.html#ioerr_corruptfs
	default:
		return err
	}
	d.log.Error("database unavailable", "during", what, "error", err)
	d.failing.Store(true)
	if isUnsynced(err) {
		d.fail(fmt.Errorf("the disk did not confirm a write: %w", err))
	}
	return errUnavailable()
}

// lost is judge for a group whose transaction did not commit: whatever the
// reason, its writers may try again.
func (d *sqliteDB) lost(err error) error {
	if judged := d.judge("commit", err); jadwal.CodeOf(judged) == jadwal.CodeUnavailable {
		return judged
	}
	d.log.Error("commit", "error", err)
	return errUnavailable()
}

// astray is the end of a store whose files are no longer in their place: what
// was written to them would be gone with the process.
func (d *sqliteDB) astray(err error) error {
	d.fail(err)
	return errUnavailable()
}

// fail ends the store's writing for good and tells the owner of the process.
func (d *sqliteDB) fail(err error) {
	if d.fatal.CompareAndSwap(false, true) && d.onFatal != nil {
		d.onFatal(err)
	}
}

// files are the database and its log as they were when the store was opened. A
// file that was deleted, or replaced by a copy, goes on to take all that is
// written to it, and nobody ever finds it again: unlink(2).
type files struct {
	names [2]string
	nodes [2]node
}

// node tells files apart: inode(7).
type node struct{ device, number uint64 }

func nodeOf(path string) (node, error) {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return node{}, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return node{uint64(st.Dev), st.Ino}, nil
}

func findFiles(path string) (f files, err error) {
	f.names = [2]string{path, path + "-wal"}
	for i, name := range f.names {
		if f.nodes[i], err = nodeOf(name); err != nil {
			return f, err
		}
	}
	return f, nil
}

// inPlace returns an error unless the files are still where they were.
func (f *files) inPlace() error {
	for i, name := range f.names {
		switch now, err := nodeOf(name); {
		case err != nil:
			return fmt.Errorf("the database was removed while it was in use: %w", err)
		case now != f.nodes[i]:
			return fmt.Errorf("the database was replaced while it was in use: %s is another file", name)
		}
	}
	return nil
}
