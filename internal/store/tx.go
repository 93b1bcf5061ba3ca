package store

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
)

// conn is one connection with its prepared statements. Only one goroutine may
// use it at a time.
type conn struct {
	raw   *sqlite.Conn
	stmts map[string]*stmt
}

type stmt struct {
	*sqlite.Stmt
	busy bool // a query is reading its rows
}

// prepare returns the statement of text, whose parameters are $1, $2, … . The
// texts are constants of this package, so that the cache is bounded.
func (c *conn) prepare(text string) (*stmt, error) {
	if s, ok := c.stmts[text]; ok && !s.busy {
		return s, nil
	}
	// SQLite numbers $1 by its place in the text; ?1 is parameter 1.
	raw, _, err := c.raw.PrepareTransient(strings.ReplaceAll(text, "$", "?"))
	if err != nil {
		return nil, err
	}
	s := &stmt{Stmt: raw}
	if _, ok := c.stmts[text]; !ok {
		c.stmts[text] = s
	}
	return s, nil
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Finalize())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// tx is what a write or a read sees of the database, for as long as its
// closure runs.
type tx struct {
	c     *conn
	hooks []func()
}

// after has f called when the transaction is durable, before its answer is
// given, in the order of the commits. f must not block and must not use the
// store.
func (t *tx) after(f func()) { t.hooks = append(t.hooks, f) }

// exec runs a statement that answers no rows and returns how many rows it
// changed. Arguments are int, int64, string, []byte, float64, bool (1 or 0),
// time.Time (Unix microseconds; the zero time is NULL) and nil.
func (t *tx) exec(text string, args ...any) (int, error) {
	s, err := t.c.prepare(text)
	if err != nil {
		return 0, err
	}
	if err := s.bind(args); err != nil {
		return 0, err
	}
	for {
		more, err := s.Step()
		if err != nil {
			s.Reset()
			return 0, err
		}
		if !more {
			break
		}
	}
	n := t.c.raw.Changes()
	return n, s.Reset()
}

// query calls each with every row of the answer until it returns an error.
// The row is good only during the call.
func (t *tx) query(text string, each func(row) error, args ...any) error {
	s, err := t.c.prepare(text)
	if err != nil {
		return err
	}
	if err := s.bind(args); err != nil {
		return err
	}
	cached := t.c.stmts[text] == s
	s.busy = true
	err = s.rows(each)
	s.busy = false
	if !cached {
		return errors.Join(err, s.Finalize())
	}
	return errors.Join(err, s.Reset())
}

// one is query for an answer of at most one row; found tells whether there was.
func (t *tx) one(text string, scan func(row), args ...any) (found bool, err error) {
	err = t.query(text, func(r row) error {
		found = true
		scan(r)
		return nil
	}, args...)
	return found, err
}

func (s *stmt) rows(each func(row) error) error {
	for {
		more, err := s.Step()
		if err != nil || !more {
			return err
		}
		if err := each(row{s.Stmt}); err != nil {
			return err
		}
	}
}

func (s *stmt) bind(args []any) error {
	for i, arg := range args {
		switch v := arg.(type) {
		case int64:
			s.BindInt64(i+1, v)
		case int:
			s.BindInt64(i+1, int64(v))
		case string:
			s.BindText(i+1, v)
		case []byte:
			s.BindBytes(i+1, v)
		case float64:
			s.BindFloat(i+1, v)
		case bool:
			s.BindBool(i+1, v)
		case time.Time:
			if v.IsZero() {
				s.BindNull(i + 1)
			} else {
				s.BindInt64(i+1, v.UnixMicro())
			}
		case nil:
			s.BindNull(i + 1)
		default:
			return errors.New("parameter $" + strconv.Itoa(i+1) + " has a type that cannot be stored")
		}
	}
	return nil
}

// row is one row of an answer. Columns count from 0.
type row struct{ s *sqlite.Stmt }

func (r row) int(col int) int64     { return r.s.ColumnInt64(col) }
func (r row) text(col int) string   { return r.s.ColumnText(col) }
func (r row) bool(col int) bool     { return r.s.ColumnInt64(col) != 0 }
func (r row) null(col int) bool     { return r.s.ColumnType(col) == sqlite.TypeNull }
func (r row) float(col int) float64 { return r.s.ColumnFloat(col) }

// time reads Unix microseconds; NULL is the zero time.
func (r row) time(col int) time.Time {
	if r.null(col) {
		return time.Time{}
	}
	return time.UnixMicro(r.s.ColumnInt64(col)).UTC()
}

func (r row) bytes(col int) []byte {
	b := make([]byte, r.s.ColumnLen(col))
	r.s.ColumnBytes(col, b)
	return b
}
