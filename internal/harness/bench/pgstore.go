package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// cursors is how many jobs the table has that batches take theirs from.
const cursors = 300_000

// minute is how long a turn of the cursors is, in microseconds: each job is due
// once in it, the one in place i of cursors at its i-th part. Jobs that are due
// one after another are far from each other in the table: stride is a prime.
const (
	minute = 60_000_000
	stride = 7_368_787
)

// benchPostgresStore measures the record alone on PostgreSQL, beside the same
// while somebody holds a transaction open from the first turn to the last:
// vacuum can remove nothing of what the batches leave behind then. A node sends
// one batch at a time; two are what two nodes would.
func benchPostgresStore(b *bench) error {
	if err := b.startPostgres(); err != nil {
		return err
	}
	var both [2]*table
	for i := range both {
		t, err := b.newTable()
		if err != nil {
			return err
		}
		defer t.close()
		both[i] = t
	}
	if err := both[1].hold(); err != nil {
		return err
	}
	for _, committers := range []int{1, 2} {
		sides := []side{
			{name: "transaction held open", cpu: b.storeCPU, turn: both[1].turn(committers)},
			{name: "none held", cpu: b.storeCPU, turn: both[0].turn(committers)},
		}
		done, void, err := duel(b.turns, max(b.turn, 4*time.Second), sides...)
		if err != nil {
			return err
		}
		report(fmt.Sprintf("runs recorded on PostgreSQL, %d a commit, %d cursors, %d at once", batch, cursors, committers),
			"40,000/s, ratio 0.9", sides, done, void)
	}
	return nil
}

// storeCPU is the processor time of this process and of the database.
func (b *bench) storeCPU() (time.Duration, error) {
	own, err1 := ownCPU()
	theirs, err2 := b.postgres.CPU()
	return own + theirs, errors.Join(err1, err2)
}

// table is a database full of cursors, and the store that moves them.
type table struct {
	url   string
	store *store.Store
	drop  func() error
	held  *pgx.Conn
	first int64        // the minute that all cursors were in at first
	next  atomic.Int64 // batches taken
}

func (b *bench) newTable() (t *table, err error) {
	ctx := context.Background()
	t = &table{first: time.Now().Add(time.Hour).Truncate(time.Minute).UnixMicro()}
	if t.url, t.drop, err = b.newDatabase(); err != nil {
		return nil, err
	}
	if t.store, err = store.Open(ctx, store.Options{URL: t.url, Log: slog.New(slog.DiscardHandler)}); err != nil {
		return nil, errors.Join(err, t.drop())
	}
	if _, err = t.store.Join(ctx, jadwal.Node{Address: "bench", StartedAt: time.Now()}, 24*time.Hour); err == nil {
		err = t.fill(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *table) close() error {
	if t.held != nil {
		t.held.Close(context.Background())
	}
	return errors.Join(t.store.Close(), t.drop())
}

// fill writes the rows of jobs past the store, which would take minutes.
func (t *table) fill(ctx context.Context) error {
	c, err := pgx.Connect(ctx, t.url)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO job (id, owner_id, name, definition, state, version, created_at, updated_at)
			SELECT i, 1, 'j' || i, repeat('d', 300), 'enabled', 1, 0, 0 FROM generate_series(1, %d) i`, cursors),
		fmt.Sprintf(`INSERT INTO cursor (job_id, owner_id, version, next_at)
			SELECT i * %d %% %d + 1, 1, 1, %d + i * %d / %d / 1000 * 1000 FROM (SELECT generate_series(0, %d)::bigint AS i) AS x ORDER BY 1`,
			stride, cursors, t.first, minute, cursors, cursors-1),
		"VACUUM ANALYZE",
		"CHECKPOINT",
	} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%.40s: %w", sql, err)
		}
	}
	return nil
}

// hold begins a transaction that sees the cursors as they are now, until close.
func (t *table) hold() (err error) {
	ctx := context.Background()
	if t.held, err = pgx.Connect(ctx, t.url); err != nil {
		return err
	}
	if _, err = t.held.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ"); err == nil {
		_, err = t.held.Exec(ctx, "SELECT FROM cursor LIMIT 1")
	}
	return err
}

// turn commits batches, so many at once.
func (t *table) turn(committers int) func(time.Duration) (int, error) {
	return func(d time.Duration) (int, error) {
		var (
			wg     sync.WaitGroup
			done   atomic.Int64
			failed atomic.Pointer[error]
			end    = time.Now().Add(d)
		)
		for range committers {
			wg.Go(func() {
				for failed.Load() == nil && time.Now().Before(end) {
					if err := t.commit(); err != nil {
						failed.Store(&err)
						return
					}
					done.Add(batch)
				}
			})
		}
		wg.Wait()
		if err := failed.Load(); err != nil {
			return 0, *err
		}
		return int(done.Load()), nil
	}
}

// commit records the next batch, as an engine does: runs in the order in which
// they were due, of jobs from all over the table, each of which is due again a
// minute later.
func (t *table) commit() error {
	from := (t.next.Add(1) - 1) * batch
	outcomes := make([]*jadwal.Outcome, batch)
	for i := range outcomes {
		place := from + int64(i)
		job := place%cursors*stride%cursors + 1
		at := t.first + place%cursors*minute/cursors/1000*1000 + place/cursors*minute
		started := time.UnixMicro(at + 700).UTC()
		outcomes[i] = &jadwal.Outcome{
			JobID: job, Version: 1, At: at, Next: at + minute, Started: 1,
			Records: []jadwal.Run{{
				Key: jadwal.RunKey{DueAt: at, JobID: job}, Version: 1, State: jadwal.RunSucceeded, Trigger: jadwal.TriggerSchedule,
				Attempts: 1, StartedAt: started, FinishedAt: started.Add(2 * time.Millisecond), StatusCode: 200,
			}},
		}
	}
	verdicts, err := t.store.Commit(context.Background(), time.Now(), outcomes)
	if err != nil {
		return err
	}
	for i, v := range verdicts {
		if v != jadwal.Recorded {
			return fmt.Errorf("the outcome of job %d was not recorded", outcomes[i].JobID)
		}
	}
	return nil
}
