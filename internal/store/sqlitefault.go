package store

import (
	"fmt"

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

// judge turns the database's faults that pass (a full disk, an I/O error, a
// lock held by another process) into CodeUnavailable, and logs them. A disk
// that does not confirm a write ends the store's writing.
func (d *sqliteDB) judge(what string, err error) error {
	if err == nil {
		return nil
	}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultIOErr, sqlite.ResultBusy, sqlite.ResultLocked,
		sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultNoMem:
	default:
		return err
	}
	d.log.Error("database unavailable", "during", what, "error", err)
	if isUnsynced(err) {
		d.fail(err)
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

// fail ends the store's writing for good and tells the owner of the process.
func (d *sqliteDB) fail(err error) {
	if d.fatal.CompareAndSwap(false, true) && d.onFatal != nil {
		d.onFatal(fmt.Errorf("the disk did not confirm a write: %w", err))
	}
}
