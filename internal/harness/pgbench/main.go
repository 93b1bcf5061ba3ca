// Command pgbench measures how the store commits batches of outcomes on
// PostgreSQL, beside other ways to write the same rows: on a private server with
// a real disk under it. It prints runs a second, processor time a run of client
// and server, and what a run adds to the write-ahead log.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/store"
)

type options struct {
	rows, fillfactor int
	sizes, conns     []int
	only             string
	turn             time.Duration
	held, free       bool
}

func main() {
	var o options
	var sizes, conns, held string
	flag.IntVar(&o.rows, "rows", 300_000, "cursors")
	flag.IntVar(&o.fillfactor, "fillfactor", 85, "of the cursors")
	flag.StringVar(&sizes, "sizes", "20,100,500", "runs a batch")
	flag.StringVar(&conns, "conns", "1", "connections that commit at once")
	flag.StringVar(&o.only, "only", "", "only the ways with this in their names")
	flag.DurationVar(&o.turn, "turn", 4*time.Second, "length of a measurement")
	flag.StringVar(&held, "held", "no,yes", "is a long transaction held open meanwhile")
	flag.Parse()
	o.sizes, o.conns = numbers(sizes), numbers(conns)
	o.free, o.held = strings.Contains(held, "no"), strings.Contains(held, "yes")
	if err := run(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "pgbench:", err)
		os.Exit(1)
	}
}

func numbers(list string) (all []int) {
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "pgbench: %q is no number from 1\n", word)
			os.Exit(2)
		}
		all = append(all, n)
	}
	return all
}

// bench is a server with cursors, and how far they are.
type bench struct {
	server *harness.Postgres
	store  *store.Store
	admin  *pgx.Conn
	next   []int64 // of each job, whose id is one more than the index
	turn   int     // batches taken, of all
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "jadwal-pgbench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	b := &bench{server: &harness.Postgres{Dir: dir + "/server"}}
	if err := b.server.Start("shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min"); err != nil {
		return err
	}
	defer b.server.Stop()
	if b.admin, err = b.connect(ctx); err != nil {
		return err
	}
	if b.store, err = store.Open(ctx, store.Options{URL: b.server.URL(), Log: slog.New(slog.DiscardHandler)}); err != nil {
		return err
	}
	defer b.store.Close()
	if _, err := b.store.Begin(ctx); err != nil {
		return err
	}
	if err := fill(ctx, b.admin, o.rows, o.fillfactor); err != nil {
		return err
	}
	b.next = make([]int64, o.rows)
	for i := range b.next {
		b.next[i] = firstDue + int64(i+1)*7919%60000*1000
	}
	// One pass over all cursors first: the pages' first changes after a
	// checkpoint go to the log whole.
	if _, err := b.measure(ctx, ways[0], 1000, 2, (o.rows+999)/1000, 0); err != nil {
		return err
	}
	fmt.Printf("%d cursors, fill factor %d\n", o.rows, o.fillfactor)
	fmt.Println("way                           | long tx | conns | batch |  runs/s | client µs | server µs | WAL bytes | full pages")
	for _, held := range []bool{false, true} {
		if held && !o.held || !held && !o.free {
			continue
		}
		for _, w := range ways {
			if !strings.Contains(w.name, o.only) {
				continue
			}
			if err := b.compare(ctx, w, held, o); err != nil {
				return fmt.Errorf("%s: %w", w.name, err)
			}
		}
	}
	return nil
}

func (b *bench) connect(ctx context.Context) (*pgx.Conn, error) {
	c, err := pgx.Connect(ctx, b.server.URL())
	if err != nil {
		return nil, err
	}
	_, err = c.Exec(ctx, "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off")
	return c, err
}

// compare measures a way with all sizes and numbers of connections.
func (b *bench) compare(ctx context.Context, w way, held bool, o options) error {
	if _, err := b.admin.Exec(ctx, "TRUNCATE run, run_output, open_run"); err != nil {
		return err
	}
	if _, err := b.admin.Exec(ctx, "VACUUM cursor"); err != nil {
		return err
	}
	for _, sql := range w.sql {
		if err := checkPlan(ctx, b.admin, sql); err != nil {
			return err
		}
	}
	if held {
		long, err := b.connect(ctx)
		if err != nil {
			return err
		}
		defer long.Close(ctx)
		if _, err := long.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ"); err != nil {
			return err
		}
		if _, err := long.Exec(ctx, "SELECT FROM cursor LIMIT 1"); err != nil {
			return err
		}
	}
	for _, conns := range o.conns {
		for _, size := range o.sizes {
			m, err := b.measure(ctx, w, size, conns, 0, o.turn)
			if err != nil {
				return err
			}
			fmt.Printf("%v | %-7v | %5d | %5d | %7.0f | %9.1f | %9.1f | %9.0f | %10.2f\n", w, held, conns, size,
				float64(m.runs)/m.wall.Seconds(), m.each(m.client), m.each(m.server), float64(m.wal)/float64(m.runs), float64(m.pages)/float64(m.runs))
		}
	}
	return nil
}

// checkPlan looks at the plan that the statement will always have: it must
// find its rows by an index.
func checkPlan(ctx context.Context, c *pgx.Conn, sql string) error {
	if _, err := c.Prepare(ctx, "looked_at", sql); err != nil {
		return err
	}
	defer c.Deallocate(ctx, "looked_at")
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", parameters(sql)), ", ")
	rows, err := c.Query(ctx, "EXPLAIN EXECUTE looked_at("+nulls+")", pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return err
	}
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	text := strings.Join(plan, "\n")
	if os.Getenv("PLANS") != "" {
		fmt.Println(text)
	}
	for _, bad := range []string{"Seq Scan on cursor", "Seq Scan on open_run", "Seq Scan on run", " on job"} {
		if strings.Contains(text, bad) {
			return fmt.Errorf("%s in the plan:\n%s", bad, text)
		}
	}
	return nil
}

// parameters is the highest $n in a statement.
func parameters(sql string) int {
	for n := 60; n > 0; n-- {
		if strings.Contains(sql, "$"+strconv.Itoa(n)) {
			return n
		}
	}
	return 0
}

type measured struct {
	runs, wal, pages     int64
	wall, client, server time.Duration
}

// each is a part of d for one run, in µs.
func (m measured) each(d time.Duration) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(m.runs)
}

// measure commits batches on several connections for that long, or so many.
func (b *bench) measure(ctx context.Context, w way, size, conns, batches int, long time.Duration) (measured, error) {
	all := make([]*conn, conns)
	for i := range all {
		c, err := b.connect(ctx)
		if err != nil {
			return measured{}, err
		}
		defer c.Close(ctx)
		all[i] = &conn{Conn: c, store: b.store}
		if err := c.QueryRow(ctx, "SELECT id FROM node").Scan(&all[i].node); err != nil {
			return measured{}, err
		}
		if err := b.commit(ctx, w, all[i], i, conns, size, 0); err != nil { // prepares
			return measured{}, err
		}
	}
	before, err := b.read(ctx)
	if err != nil {
		return measured{}, err
	}
	began := time.Now()
	failed := make(chan error, conns)
	done := make([]int64, conns)
	for i, c := range all {
		go func() {
			for n := 1; batches == 0 && time.Since(began) < long || n <= batches/conns; n++ {
				if err := b.commit(ctx, w, c, i, conns, size, n); err != nil {
					failed <- err
					return
				}
				done[i] += int64(size)
			}
			failed <- nil
		}()
	}
	for range all {
		if e := <-failed; e != nil {
			err = e
		}
	}
	wall := time.Since(began)
	if err != nil {
		return measured{}, err
	}
	m, err := b.read(ctx)
	m.wall, m.client, m.server, m.wal, m.pages = wall, m.client-before.client, m.server-before.server, m.wal-before.wal, m.pages-before.pages
	for _, n := range done {
		m.runs += n
	}
	b.turn++
	return m, err
}

func (b *bench) read(ctx context.Context) (m measured, err error) {
	if err := b.admin.QueryRow(ctx, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, wal_fpi FROM pg_stat_wal").Scan(&m.wal, &m.pages); err != nil {
		return m, err
	}
	if m.server, err = b.server.CPU(); err != nil {
		return m, err
	}
	m.client, err = harness.ProcessorTime(os.Getpid())
	return m, err
}

// commit takes the n-th batch of connection i, jobs from all over its part of
// the table, and commits it.
func (b *bench) commit(ctx context.Context, w way, c *conn, i, conns, size, n int) error {
	const stride = 7_368_787 // a prime: jobs of a batch are neighbours by instant, not by id
	part := len(b.next) / conns
	batch := make([]*jadwal.Outcome, size)
	outcomes, records := make([]jadwal.Outcome, size), make([]jadwal.Run, size)
	for k := range batch {
		index := (n*size+k+b.turn*1_000_003)*stride%part*conns + i
		at := b.next[index]
		b.next[index] += 60_000_000
		started := time.UnixMicro(at + 700)
		records[k] = jadwal.Run{
			Key: jadwal.RunKey{DueAt: at, JobID: int64(index + 1)}, Version: 1, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule,
			Attempts: 1, StartedAt: started, FinishedAt: started.Add(2 * time.Millisecond), StatusCode: 200,
		}
		outcomes[k] = jadwal.Outcome{JobID: int64(index + 1), Version: 1, At: at, Next: at + 60_000_000, Started: 1, Records: records[k : k+1]}
		batch[k] = &outcomes[k]
	}
	c.now = time.Now().UnixMicro()
	moved, err := w.commit(ctx, c, batch)
	if err == nil && moved != size {
		err = fmt.Errorf("%d of %d outcomes were recorded", moved, size)
	}
	return err
}
