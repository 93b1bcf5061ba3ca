package store

import (
	"time"

	"github.com/teknohole/jadwal"
	"zombiezen.com/go/sqlite"
)

// isUnique tells whether err says that a unique index refused a row.
func isUnique(err error) bool {
	return err != nil && (sqlite.ErrCode(err) == sqlite.ResultConstraintUnique || sqlState(err) == "23505")
}

func errUnavailable() error {
	return &jadwal.Error{Code: jadwal.CodeUnavailable, Message: "The database is unavailable; try again", RetryAfter: time.Second}
}
