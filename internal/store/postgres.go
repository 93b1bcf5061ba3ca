package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/teknohole/jadwal"
)

// The times that PostgreSQL has. Nothing waits for it without a bound.
const (
	connectTimeout   = 5 * time.Second
	statementTimeout = 10 * time.Second
	lockTimeout      = 3 * time.Second
	idleTimeout      = 30 * time.Second // between two statements of a transaction
	readTimeout      = 15 * time.Second
	writeTimeout     = 15 * time.Second // with all its repetitions
	conflictPause    = 50 * time.Millisecond
)

// postgresDB is a PostgreSQL database, which many servers may share.
//
// API writes are SERIALIZABLE transactions on connections of their own, so that
// they never queue behind the engine's batches. Those are REPEATABLE READ:
// each outcome names the rows that it stands on, and the fence holds whoever
// may write them at all. Reads of more than one statement are REPEATABLE READ
// and READ ONLY.
type postgresDB struct {
	log    *slog.Logger
	config *pgxpool.Config
	stop   <-chan struct{}

	known    int // how many steps of the schema this process knows
	outdated sync.Once
	onFatal  func(error) // nil: nobody is told

	reads, api, batch *pgxpool.Pool

	node      atomic.Int64 // this process's row in node; 0: none yet
	misplaced atomic.Bool  // history is where it should not be
	hints     outbox
	feed      feed
	feeding   chan struct{} // closed: the feed has ended; nil: offline
	offline   bool
}

// openPostgres connects to the database of a URL, refuses one that would not
// keep what it confirms, and brings the schema up to date.
func openPostgres(ctx context.Context, o Options, offline bool) (*postgresDB, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", redacted(err))
	}
	if config.ConnConfig.ConnectTimeout == 0 || config.ConnConfig.ConnectTimeout > connectTimeout {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	config.ConnConfig.RuntimeParams["application_name"] = "jadwal"
	config.AfterConnect = prepareSession
	config.MaxConnIdleTime = 10 * time.Minute
	d := &postgresDB{log: o.Log, config: config, onFatal: o.OnFatal, offline: offline}
	if err := d.inspect(ctx, o.Unsafe, offline); err != nil {
		return nil, fmt.Errorf("database %s: %w", d.name(), redacted(err))
	}
	size := int32(max(4, 2*runtime.GOMAXPROCS(0)))
	for _, p := range []struct {
		pool **pgxpool.Pool
		size int32
	}{{&d.reads, size}, {&d.api, size}, {&d.batch, 2}} {
		c := config.Copy()
		c.MaxConns = p.size
		if p.pool == &d.batch {
			c.AfterConnect = prepareBatches
		}
		if *p.pool, err = pgxpool.NewWithConfig(ctx, c); err != nil {
			d.closePools()
			return nil, fmt.Errorf("database %s: %w", d.name(), redacted(err))
		}
	}
	return d, nil
}

// name says which database it is, without its user and password.
func (d *postgresDB) name() string {
	c := d.config.ConnConfig
	return fmt.Sprintf("%s on %s:%d", c.Database, c.Host, c.Port)
}

// redacted keeps what is wrong with a URL or a connection, in one line, and not
// the URL: it may hold a password.
func redacted(err error) error {
	if e, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		if inner := errors.Unwrap(e); inner != nil {
			err = inner
		}
		return fmt.Errorf("it is not of the form postgres://user@host:5432/name: %w", unquoted(err))
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return &connectError{err}
	}
	return err
}

// noTLS is what is wrong with an attempt to connect to a server that has no TLS.
const noTLS = "tls error: server refused TLS connection"

// A connectError tells in one line why none of the addresses can be connected
// to. Each is tried with TLS and, where sslmode lets it, without: what is the
// same for both is told once, and that there is no TLS only where nothing else
// is wrong.
type connectError struct{ err error }

func (e *connectError) Unwrap() error { return e.err }

func (e *connectError) Error() string {
	lines := strings.Split(e.err.Error(), "\n\t")
	var causes []string
	for _, cause := range lines[1:] {
		if !slices.Contains(causes, cause) {
			causes = append(causes, cause)
		}
	}
	others := slices.DeleteFunc(slices.Clone(causes), func(cause string) bool { return strings.HasSuffix(cause, noTLS) })
	switch {
	case len(others) > 0:
		causes = others
	case len(causes) == 0:
		return lines[0]
	}
	return lines[0] + " " + strings.Join(causes, "; ")
}

// unquoted drops what package net/url quotes of a URL that it cannot parse.
func unquoted(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// errReadOnly refuses a standby, and a database that is set to be read only.
var errReadOnly = errors.New("it is read only: a standby, or default_transaction_read_only is on; name the primary")

// prepareSession sets up a new connection. Scans of whole tables are priced out
// of reach: every statement goes by an index wherever there is one, also while
// a table is new and has no statistics; and among SERIALIZABLE transactions a
// scan is in conflict with every write to the table. Such a price would have
// small statements compiled, which takes longer than they do: so jit is off.
func prepareSession(ctx context.Context, c *pgx.Conn) error {
	readOnly := ""
	err := c.QueryRow(ctx, `SELECT current_setting('transaction_read_only'),
			set_config('statement_timeout', $1, false),
			set_config('lock_timeout', $2, false),
			set_config('idle_in_transaction_session_timeout', $3, false),
			set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
			set_config('enable_seqscan', 'off', false),
			set_config('jit', 'off', false),
			set_config('client_encoding', 'UTF8', false)`, pgx.QueryExecModeExec,
		milliseconds(statementTimeout), milliseconds(lockTimeout), milliseconds(idleTimeout)).Scan(&readOnly, nil, nil, nil, nil, nil, nil, nil)
	if err == nil && readOnly == "on" {
		return errReadOnly
	}
	return err
}

// prepareBatches is prepareSession for batches: one plan for all of them, made
// without a look at their size. The plan for a batch of one would do for a
// batch of 500 what grows with the square of it.
func prepareBatches(ctx context.Context, c *pgx.Conn) error {
	if err := prepareSession(ctx, c); err != nil {
		return err
	}
	_, err := c.Exec(ctx, "SET plan_cache_mode = force_generic_plan")
	return err
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// minVersion is PostgreSQL 14, as the server numbers it.
const minVersion = 140000

// inspect refuses a server that is too old, that would lose what it confirmed,
// or that is not ours to use, and brings the schema up to date. An offline
// process leaves the schema as it is.
func (d *postgresDB) inspect(ctx context.Context, unsafe, offline bool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*connectTimeout)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, d.config.ConnConfig)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx))
	var version int
	var encoding, fsync, pages string
	var aurora bool // writes no pages of its own
	if err := c.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),
			current_setting('fsync'), current_setting('full_page_writes'), to_regproc('aurora_version') IS NOT NULL`).
		Scan(&version, &encoding, &fsync, &pages, &aurora); err != nil {
		return err
	}
	switch {
	case version < minVersion:
		return fmt.Errorf("it is PostgreSQL %d, and this jadwal needs 14 or newer", version/10000)
	case encoding != "UTF8":
		return fmt.Errorf("its encoding is %s, and jadwal needs UTF8; make one with: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", encoding)
	case fsync == "off" && !unsafe && !aurora:
		return errors.New("fsync is off, so a power failure would lose what was confirmed; set it on, or say --unsafe where that does not matter")
	case pages == "off" && !unsafe && !aurora:
		return errors.New("full_page_writes is off, so a power failure may destroy the database; set it on, or say --unsafe where that does not matter")
	}
	if err := prepareSession(ctx, c); err != nil {
		return err
	}
	if d.known, err = migratePostgres(ctx, c, !offline); err != nil {
		return err
	}
	if offline {
		return nil
	}
	return makePartitions(ctx, c)
}

func (d *postgresDB) closePools() {
	for _, p := range []*pgxpool.Pool{d.reads, d.api, d.batch} {
		if p != nil {
			p.Close()
		}
	}
}

// reset has every connection made anew when it is free.
func (d *postgresDB) reset() {
	for _, p := range []*pgxpool.Pool{d.reads, d.api, d.batch} {
		p.Reset()
	}
}

func (d *postgresDB) close() error {
	if d.feeding != nil {
		<-d.feeding
	}
	d.closePools()
	return nil
}

func (d *postgresDB) closing() bool {
	select {
	case <-d.stop:
		return true
	default:
		return false
	}
}

func (d *postgresDB) read(ctx context.Context, fn func(*tx) error) error {
	return d.reading(ctx, func(ctx context.Context, c *pgxpool.Conn) (bool, error) {
		t, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return false, err
		}
		s := &session{ctx: ctx, q: t}
		err = fn(&tx{pg: s, ctx: ctx})
		return s.began, errors.Join(err, ended(t.Rollback(ctx), err))
	})
}

func (d *postgresDB) single(ctx context.Context, fn func(*tx) error) error {
	return d.reading(ctx, func(ctx context.Context, c *pgxpool.Conn) (bool, error) {
		s := &session{ctx: ctx, q: c, alone: true}
		err := fn(&tx{pg: s, ctx: ctx})
		return s.began, err
	})
}

// ended is the error of a transaction's end, unless that only repeats why it
// ended.
func ended(err, before error) error {
	if before != nil || errors.Is(err, pgx.ErrTxClosed) {
		return nil
	}
	return err
}

// reading runs use on a connection for reads, and once more on another one when
// the first turns out to be broken before it has brought anything.
func (d *postgresDB) reading(ctx context.Context, use func(context.Context, *pgxpool.Conn) (began bool, err error)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if d.closing() {
		return errClosing()
	}
	bounded, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var err error
	for range 2 {
		var c *pgxpool.Conn
		if c, err = d.reads.Acquire(bounded); err != nil {
			break
		}
		var began bool
		began, err = use(bounded, c)
		c.Release()
		if err == nil || began || !isBroken(err) {
			break
		}
	}
	return d.judge(ctx, "read", err)
}

func (d *postgresDB) write(ctx context.Context, l lane, fn func(*tx) error) error {
	pool, level := d.api, pgx.Serializable
	if l == laneBatch {
		pool, level = d.batch, pgx.RepeatableRead
	}
	return d.writing(ctx, pool, func(ctx context.Context, c *pgxpool.Conn) ([]func(), error) { return transact(ctx, c, level, fn) })
}

// alone is write for an fn of one statement of a batch, which is a transaction
// by itself.
func (d *postgresDB) alone(ctx context.Context, fn func(*tx) error) error {
	return d.writing(ctx, d.batch, func(ctx context.Context, c *pgxpool.Conn) ([]func(), error) {
		err := protect(fn, &tx{pg: &session{ctx: ctx, q: c, alone: true}})
		if isBroken(err) && !pgconn.SafeToRetry(err) {
			err = fmt.Errorf("%w: %w", jadwal.ErrUnknown, err)
		}
		return nil, err
	})
}

// writing runs use on a connection of pool, again after a conflict or when the
// connection turns out to be broken before anything can have been stored.
func (d *postgresDB) writing(ctx context.Context, pool *pgxpool.Pool, use func(context.Context, *pgxpool.Conn) (hooks []func(), err error)) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if d.closing() {
		return errClosing()
	}
	waiting, stop := context.WithTimeout(ctx, writeTimeout)
	defer stop()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	pause := time.Millisecond
	for n := 0; ; n++ {
		c, err := pool.Acquire(waiting)
		if err != nil {
			return d.judge(ctx, "write", err)
		}
		if n == 0 {
			waiting, ctx = bounded, bounded // it has begun
		}
		var hooks []func()
		hooks, err = use(bounded, c)
		c.Release()
		switch {
		case err == nil:
			for _, hook := range hooks {
				hook()
			}
			return nil
		case errors.Is(err, jadwal.ErrUnknown):
			d.log.Error("commit", "error", err)
			return fmt.Errorf("%w: %w", jadwal.ErrUnknown, errUnavailable())
		case bounded.Err() == nil && (isConflict(err) || isBroken(err) && n < 2):
			time.Sleep(rand.N(pause))
			pause = min(2*pause, conflictPause)
			continue
		}
		if p, ok := errors.AsType[*panicked](err); ok {
			d.log.Error("write panicked", "panic", p.value, "stack", p.stack)
		}
		return d.judge(context.Background(), "write", err)
	}
}

// transact runs fn as one transaction, once. ErrUnknown: the answer to its
// COMMIT was lost; any other error means that nothing is stored.
func transact(ctx context.Context, c *pgxpool.Conn, level pgx.TxIsoLevel, fn func(*tx) error) ([]func(), error) {
	pt, err := c.BeginTx(ctx, pgx.TxOptions{IsoLevel: level})
	if err != nil {
		return nil, err
	}
	t := &tx{pg: &session{ctx: ctx, q: pt}}
	if err := protect(fn, t); err != nil {
		_ = pt.Rollback(ctx) // closes the connection when it fails
		return nil, err
	}
	switch err := pt.Commit(ctx); {
	case err == nil:
		return t.hooks, nil
	case errors.Is(err, pgx.ErrTxCommitRollback), sqlState(err) != "" && !isBroken(err):
		return nil, err
	default:
		return nil, fmt.Errorf("%w: %w", jadwal.ErrUnknown, err)
	}
}
