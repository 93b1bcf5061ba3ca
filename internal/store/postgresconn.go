package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// session runs the statements of one transaction of PostgreSQL, or one
// statement alone.
type session struct {
	ctx context.Context
	q   interface {
		Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
		Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	}
	alone bool // there is no transaction around it
	used  bool
	began bool // a row was handed out
}

func (s *session) use() error {
	if s.alone && s.used {
		return errors.New("a second statement in a read of a single one")
	}
	s.used = true
	return nil
}

func (s *session) exec(sql string, args []any) (int, error) {
	own, err := ownArguments(sql, args)
	if err != nil {
		return 0, err
	}
	if err := s.use(); err != nil {
		return 0, err
	}
	tag, err := s.q.Exec(s.ctx, sql, own...)
	if err != nil || !(tag.Insert() || tag.Update() || tag.Delete()) {
		return 0, err
	}
	return int(tag.RowsAffected()), nil
}

func (s *session) query(sql string, fn func(row) error, args []any) error {
	own, err := ownArguments(sql, args)
	if err != nil {
		return err
	}
	if err := s.use(); err != nil {
		return err
	}
	rows, err := s.q.Query(s.ctx, sql, own...)
	if err != nil {
		return err
	}
	defer rows.Close()
	a := answer{}
	for rows.Next() {
		s.began = true
		if a.fields == nil {
			a.fields = rows.FieldDescriptions()
		}
		a.raw = rows.RawValues()
		err := fn(row{pg: &a})
		if err == nil {
			err = a.err
		}
		if err != nil {
			return err
		}
	}
	rows.Close()
	return rows.Err()
}

// may runs fn behind a savepoint.
func (s *session) may(fn func() error) error {
	if _, err := s.q.Exec(s.ctx, "SAVEPOINT may"); err != nil {
		return err
	}
	err := fn()
	then := "RELEASE may"
	if err != nil {
		if then = "ROLLBACK TO may"; !isUnique(err) {
			return err // and with it the transaction ends
		}
	}
	_, undone := s.q.Exec(s.ctx, then)
	return errors.Join(err, undone)
}

// ownArguments copies arguments as the driver takes them: times as Unix
// microseconds, flags as 0 and 1. Nothing of args itself is kept, so that they
// stay on their callers' stacks. What text cannot hold, a NUL or bytes that are
// not UTF-8, becomes U+FFFD.
func ownArguments(sql string, args []any) ([]any, error) {
	own := make([]any, len(args))
	for i, arg := range args {
		switch v := arg.(type) {
		case int64:
			own[i] = v
		case int:
			own[i] = int64(v)
		case string:
			own[i] = strings.Clone(storable(v))
		case time.Time:
			if !v.IsZero() {
				own[i] = v.UnixMicro()
			}
		case bool:
			if v {
				own[i] = int64(1)
			} else {
				own[i] = int64(0)
			}
		case []byte:
			own[i] = append([]byte{}, v...)
		case float64:
			own[i] = v
		case []int64:
			own[i] = append([]int64{}, v...)
		case []string:
			texts := make([]string, len(v))
			for k, text := range v {
				texts[k] = strings.Clone(storable(text))
			}
			own[i] = texts
		case nil:
		default:
			return nil, fmt.Errorf("sql %q: argument $%d is a %s", sql, i+1, reflect.TypeOf(v).String())
		}
	}
	return own, nil
}

func storable(text string) string {
	if utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// answer is a row as PostgreSQL has sent it, until the next one comes.
type answer struct {
	fields []pgconn.FieldDescription
	raw    [][]byte
	err    error // a column is not what it was read as
}

func (a *answer) wrong(col int, as string) {
	a.err = fmt.Errorf("column %s of type %d is read as %s", a.fields[col].Name, a.fields[col].DataTypeOID, as)
}

func (a *answer) int(col int) int64 {
	b := a.raw[col]
	if b == nil {
		return 0
	}
	if a.fields[col].Format == pgx.TextFormatCode {
		n, err := strconv.ParseInt(string(b), 10, 64)
		if err != nil {
			a.wrong(col, "a number")
		}
		return n
	}
	switch a.fields[col].DataTypeOID {
	case pgtype.Int8OID:
		return int64(binary.BigEndian.Uint64(b))
	case pgtype.Int4OID:
		return int64(int32(binary.BigEndian.Uint32(b)))
	case pgtype.Int2OID:
		return int64(int16(binary.BigEndian.Uint16(b)))
	case pgtype.BoolOID:
		return int64(b[0])
	}
	a.wrong(col, "a number")
	return 0
}

func (a *answer) float(col int) float64 {
	if a.raw[col] == nil {
		return 0
	}
	if f := a.fields[col]; f.Format == pgx.BinaryFormatCode && f.DataTypeOID == pgtype.Float8OID {
		return math.Float64frombits(binary.BigEndian.Uint64(a.raw[col]))
	}
	return float64(a.int(col))
}

func (a *answer) text(col int) string {
	switch f := a.fields[col]; {
	case a.raw[col] == nil:
		return ""
	case f.Format == pgx.TextFormatCode, f.DataTypeOID == pgtype.TextOID, f.DataTypeOID == pgtype.NameOID, f.DataTypeOID == pgtype.VarcharOID:
		return string(a.raw[col])
	}
	return strconv.FormatInt(a.int(col), 10)
}
