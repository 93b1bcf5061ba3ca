package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// errAgain says that somebody else has just committed what this transaction
// cannot see, so that it is to run again.
var errAgain = errors.New("another transaction came first")

// sqlState is the code of an error that PostgreSQL itself has answered
// (PostgreSQL manual, appendix A); "" for any other.
func sqlState(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// isConflict tells whether a transaction may succeed when it runs again.
func isConflict(err error) bool {
	switch sqlState(err) {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	}
	return errors.Is(err, errAgain)
}

// isBroken tells whether err is about the connection, and not what the
// database has answered to a statement.
func isBroken(err error) bool {
	switch state := sqlState(err); state {
	case "":
		_, connecting := errors.AsType[*pgconn.ConnectError](err)
		return connecting || pgconn.Timeout(err) || pgconn.SafeToRetry(err) || isNetwork(err)
	default:
		return strings.HasPrefix(state, "08") || state == "57P01" || state == "57P02" || state == "57P03" || state == "57P05" || state == "25P03"
	}
}

func isNetwork(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// passes tells whether what err says may be over in a moment.
func passes(err error) bool {
	if isBroken(err) || isConflict(err) || errors.Is(err, errReadOnly) {
		return true
	}
	switch state := sqlState(err); {
	case strings.HasPrefix(state, "53"), // resources: disk, memory, connections
		strings.HasPrefix(state, "58"), // I/O
		state == "25006",               // read-only: it has become a standby
		state == "55P03",               // a lock was waited for too long
		state == "57014":               // a statement took too long
		return true
	}
	return false
}

// judge turns faults that pass into CodeUnavailable, and logs them.
func (d *postgresDB) judge(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, ctx.Err())
	case sqlState(err) == "25006":
		d.reset() // the primary is another one by now
	case !passes(err):
		return err
	}
	d.log.Error("database unavailable", "during", what, "error", err)
	return errUnavailable()
}
