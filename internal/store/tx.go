package store

import (
	"context"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/teknohole/jadwal/internal/vault"
)

// tx is a transaction: a reader's, or a write's. It has one arm for each
// database, and not an interface, so that arguments stay on their callers'
// stacks where SQLite reads them.
//
// SQL is the same for both wherever it can be. It has its parameters as
// $1 … $n, each argument an int64, int, string, []byte, float64, bool (0 or 1),
// time.Time (Unix microseconds; zero: NULL) or nil (NULL). A LIMIT is
// CAST($n AS BIGINT): SQLite prepares a statement anew at each binding of a
// parameter that stands there alone.
type tx struct {
	c     *conn           // SQLite's
	pg    *session        // PostgreSQL's; nil: SQLite's
	ctx   context.Context // of a reader; nil: a writer's, which is never interrupted
	hooks []func()
	wrote bool         // something was changed, or may have been; of SQLite's
	vault *vault.Vault // nil: there is no master key
	named bool         // its active key is, for what this write seals

	renamed bool // and was not before
}

// exec runs one statement and returns how many rows it inserted, changed or
// deleted, without those of cascades.
func (t *tx) exec(sql string, args ...any) (int, error) {
	if t.pg != nil {
		return t.pg.exec(sql, args)
	}
	n, err := t.c.exec(sql, args)
	t.wrote = t.wrote || n > 0
	return n, err
}

// query runs one statement and calls fn for each row of its answer, which must
// not run another one. An error of fn ends the query and is returned as it is.
func (t *tx) query(sql string, fn func(row) error, args ...any) error {
	if t.pg != nil {
		return t.pg.query(sql, fn, args)
	}
	return t.c.query(t, sql, fn, args)
}

// one is query for an answer of at most one row; it tells whether there was one.
func (t *tx) one(sql string, scan func(row), args ...any) (found bool, err error) {
	err = t.query(sql, func(r row) error {
		found = true
		scan(r)
		return nil
	}, args...)
	return found, err
}

// may runs fn, of one statement, which a constraint may refuse: then nothing of
// fn stays, and the transaction goes on. PostgreSQL would end it.
func (t *tx) may(fn func() error) error {
	if t.pg == nil {
		return fn() // a statement that fails undoes itself
	}
	return t.pg.may(fn)
}

// after has hook run when this write is committed, before its caller is told:
// on SQLite in the order of commits, on PostgreSQL in any. It must not block,
// and must not use the store.
func (t *tx) after(hook func()) { t.hooks = append(t.hooks, hook) }

// row is the present row of a query, of one database or the other. Columns
// count from 0.
type row struct {
	st *sqlite.Stmt
	pg *answer // nil: SQLite's
}

// int reads a whole number; NULL is 0.
func (r row) int(col int) int64 {
	if r.pg != nil {
		return r.pg.int(col)
	}
	return r.st.ColumnInt64(col)
}

func (r row) float(col int) float64 {
	if r.pg != nil {
		return r.pg.float(col)
	}
	return r.st.ColumnFloat(col)
}

// text reads a text; NULL is "".
func (r row) text(col int) string {
	if r.pg != nil {
		return r.pg.text(col)
	}
	return r.st.ColumnText(col)
}

func (r row) bool(col int) bool { return r.int(col) != 0 }

func (r row) null(col int) bool {
	if r.pg != nil {
		return r.pg.raw[col] == nil
	}
	return r.st.ColumnIsNull(col)
}

// len is the length of a text or a blob, in bytes.
func (r row) len(col int) int {
	if r.pg != nil {
		return len(r.pg.raw[col])
	}
	return r.st.ColumnLen(col)
}

// bytes copies a blob or a text; nil for an empty one and for NULL.
func (r row) bytes(col int) []byte {
	n := r.len(col)
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	if r.pg != nil {
		copy(b, r.pg.raw[col])
	} else {
		r.st.ColumnBytes(col, b)
	}
	return b
}

// append adds a blob or a text to b.
func (r row) append(b []byte, col int) []byte {
	if r.pg != nil {
		return append(b, r.pg.raw[col]...)
	}
	n := len(b)
	b = slices.Grow(b, r.st.ColumnLen(col))
	return b[:n+r.st.ColumnBytes(col, b[n:cap(b)])]
}

// time reads Unix microseconds as a time in UTC; NULL is the zero time.
func (r row) time(col int) time.Time {
	if r.null(col) {
		return time.Time{}
	}
	return time.UnixMicro(r.int(col)).UTC()
}
