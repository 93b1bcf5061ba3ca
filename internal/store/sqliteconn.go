package store

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
)

type access int

const (
	reading access = iota
	writing
)

// conn is one connection with its prepared statements. One goroutine uses it
// at a time.
type conn struct {
	raw   *sqlite.Conn
	stmts map[string]*stmt
}

// stmt is a prepared statement. SQLite takes $1 for a name and numbers names
// by where they first stand, so order tells which argument each one is.
type stmt struct {
	*sqlite.Stmt
	order []int // of the parameter at i+1: the index of its argument
	args  int   // how many arguments it takes
	busy  bool  // its rows are being read
	reads bool  // it changes nothing
}

func openConn(path string, a access) (*conn, error) {
	raw, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	c := &conn{raw: raw, stmts: make(map[string]*stmt, 64)}
	raw.SetBusyTimeout(busyTimeout)
	t := &tx{c: c}
	for _, pragma := range pragmas[a] {
		if err := t.query(pragma, func(row) error { return nil }); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", pragma, err), c.close())
		}
	}
	return c, nil
}

// The settings of a connection: https://www.sqlite.org/pragma.html
var pragmas = [...][]string{
	reading: {
		"PRAGMA query_only = 1",
		"PRAGMA temp_store = memory",
		"PRAGMA cache_size = -8192", // KiB
	},
	writing: {
		"PRAGMA journal_mode = wal",
		"PRAGMA synchronous = full",
		"PRAGMA foreign_keys = 1",
		"PRAGMA wal_autocheckpoint = " + strconv.Itoa(autoCheckpoint),
		"PRAGMA temp_store = memory",
		"PRAGMA cache_size = -32768", // KiB; of 300,000 cursors a commit cost 55 µs a row with 2 MiB, 47 with 16, 46 with 64
	},
}

func (c *conn) close() error {
	clear(c.stmts)
	return c.raw.Close()
}

// prepare returns the statement of that text. Texts are constants of this
// package, so that the cache is bounded.
func (c *conn) prepare(sql string) (*stmt, error) {
	if st := c.stmts[sql]; st != nil {
		if st.busy {
			return nil, fmt.Errorf("sql %q: its rows are still being read", sql)
		}
		return st, nil
	}
	prepared, err := c.raw.Prepare(sql)
	if err != nil {
		return nil, err
	}
	st := &stmt{Stmt: prepared, reads: strings.HasPrefix(sql, "SELECT ") || strings.HasPrefix(sql, "PRAGMA ")}
	for i := range prepared.BindParamCount() {
		name := prepared.BindParamName(i + 1)
		n, err := strconv.Atoi(name[min(1, len(name)):])
		if err != nil || name[0] != '$' || n < 1 {
			return nil, errors.Join(fmt.Errorf("sql %q: parameter %q is not of the form $1", sql, name), prepared.Finalize())
		}
		st.order = append(st.order, n-1)
		st.args = max(st.args, n)
	}
	c.stmts[sql] = st
	return st, nil
}

// rollback ends whatever transaction there is; that there is none any more,
// since SQLite itself has ended it, is fine.
func (c *conn) rollback() {
	if c.raw.AutocommitEnabled() {
		return
	}
	if st, err := c.prepare("ROLLBACK"); err == nil {
		_, _ = st.Step() // fails only when there is no transaction
		_ = st.Reset()
	}
}

// exec is tx.exec on SQLite.
func (c *conn) exec(sql string, args []any) (int, error) {
	st, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	if err := st.bind(sql, args); err != nil {
		return 0, err
	}
	for {
		more, err := st.Step()
		if err != nil {
			return 0, err
		}
		if !more {
			break
		}
	}
	n := c.raw.Changes() // of the last statement that changes rows, which this may not be
	return n, st.Reset()
}

// query is tx.query on SQLite.
func (c *conn) query(t *tx, sql string, fn func(row) error, args []any) error {
	st, err := c.prepare(sql)
	if err != nil {
		return err
	}
	if err := st.bind(sql, args); err != nil {
		return err
	}
	st.busy = true
	defer func() {
		st.busy = false
		_ = st.Reset() // tells again what the last step told
	}()
	for n := 1; ; n++ {
		more, err := st.Step()
		t.wrote = t.wrote || err == nil && !st.reads // a statement that fails undoes itself
		if err != nil || !more {
			return err
		}
		if n%256 == 0 && t.ctx != nil && t.ctx.Err() != nil {
			return t.ctx.Err()
		}
		if err := fn(row{st: st.Stmt}); err != nil {
			return err
		}
	}
}

// bind sets all parameters. No argument escapes from here, so that callers'
// arguments stay on their stacks.
func (st *stmt) bind(sql string, args []any) error {
	if len(args) != st.args {
		return fmt.Errorf("sql %q: %d arguments for %d parameters", sql, len(args), st.args)
	}
	for i, n := range st.order {
		switch v := args[n].(type) {
		case int64:
			st.BindInt64(i+1, v)
		case int:
			st.BindInt64(i+1, int64(v))
		case string:
			st.BindText(i+1, v)
		case time.Time:
			if v.IsZero() {
				st.BindNull(i + 1)
			} else {
				st.BindInt64(i+1, v.UnixMicro())
			}
		case bool:
			st.BindBool(i+1, v)
		case []byte:
			st.BindBytes(i+1, v)
		case float64:
			st.BindFloat(i+1, v)
		case nil:
			st.BindNull(i + 1)
		default:
			return fmt.Errorf("sql %q: argument $%d is a %s", sql, n+1, reflect.TypeOf(v).String())
		}
	}
	return nil
}
