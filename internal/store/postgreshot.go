package store

import (
	"context"
	"math"
	"os"
	"time"

	"github.com/teknohole/jadwal"
)

// The texts of the hot path that are PostgreSQL's own.
const (
	loadPostgres = `SELECT job_id, owner_id, next_at, version FROM cursor
		WHERE shard = ANY($4::integer[]) AND next_at >= $1 AND next_at < $2 AND xid < $3 ORDER BY next_at, job_id`

	// Whatever is below it was committed, or never will be.
	seenPostgres = `SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint`

	createdPostgres = `SELECT c.job_id, c.owner_id, c.next_at, c.version FROM job j JOIN cursor c ON c.job_id = j.id
		WHERE j.xid >= $1 AND c.next_at < $2 ORDER BY c.job_id`

	cursorsSQL = `SELECT c.job_id, c.owner_id, c.version, c.next_at, c.started
		FROM unnest($1::bigint[]) WITH ORDINALITY AS w (id, place) JOIN cursor c ON c.job_id = w.id ORDER BY w.place`

	definitionsSQL = `SELECT j.owner_id, j.state, j.version, j.egress_limited, j.created_at, j.definition, c.started, j.id, w.place
		FROM unnest($1::bigint[]) WITH ORDINALITY AS w (id, place)
		JOIN job j ON j.id = w.id AND j.deleted_at IS NULL JOIN cursor c ON c.job_id = j.id ORDER BY w.place`

	fenceSQL = "SELECT 1 FROM node WHERE id = $1 FOR KEY SHARE"
)

const shardCount = 1024

// allShards is every shard there is.
var allShards = func() []int64 {
	all := make([]int64, shardCount)
	for i := range all {
		all[i] = int64(i)
	}
	return all
}()

// begin makes this process the owner of all shards, and fences off whoever was
// before. It waits for a batch of theirs that is on its way.
func (d *postgresDB) begin(ctx context.Context, now time.Time) (epoch int64, err error) {
	name, err := os.Hostname()
	if err != nil {
		return 0, err
	}
	node := int64(0)
	err = d.write(ctx, laneAPI, func(t *tx) error {
		if _, err := t.exec("DELETE FROM node"); err != nil {
			return err
		}
		if _, err := t.one("INSERT INTO node (address, started_at, lease_until) VALUES ($1, $2, $3) RETURNING id",
			func(r row) { node = r.int(0) }, name, now, int64(math.MaxInt64)); err != nil {
			return err
		}
		if _, err := t.exec("UPDATE shard SET owner = $1, epoch = (SELECT max(epoch) + 1 FROM shard)", node); err != nil {
			return err
		}
		_, err := t.one("SELECT max(epoch) FROM shard", func(r row) { epoch = r.int(0) })
		return err
	})
	if err == nil {
		d.node.Store(node)
	}
	return epoch, err
}

// fenced holds this node's row until t ends, so that nobody takes over before.
// ErrFenced: somebody has. SQLite has one owner only.
func (s *Store) fenced(t *tx) error {
	d, shared := s.db.(*postgresDB)
	if !shared {
		return nil
	}
	stands, err := t.one(fenceSQL, func(row) {}, d.node.Load())
	if err == nil && !stands {
		err = jadwal.ErrFenced
	}
	return err
}

// stands returns ErrFenced when another node has taken over since this one has
// begun.
func (s *Store) stands(t *tx) error {
	d, shared := s.db.(*postgresDB)
	if !shared || d.node.Load() == 0 {
		return nil
	}
	stands, err := t.one("SELECT 1 FROM node WHERE id = $1", func(row) {}, d.node.Load())
	if err == nil && !stands {
		err = jadwal.ErrFenced
	}
	return err
}

// cursorsPostgres is Cursors: in three statements, however many there are.
func cursorsPostgres(t *tx, ids []int64) ([]jadwal.Cursor, error) {
	if len(ids) == 0 {
		if err := t.query("SELECT job_id FROM open_run GROUP BY job_id ORDER BY min(due_at), job_id", func(r row) error {
			ids = append(ids, r.int(0))
			return nil
		}); err != nil || len(ids) == 0 {
			return nil, err
		}
	}
	var found []jadwal.Cursor
	places := map[int64]int{}
	if err := t.query(cursorsSQL, func(r row) error {
		places[r.int(0)] = len(found)
		found = append(found, jadwal.Cursor{JobID: r.int(0), OwnerID: r.int(1), Version: r.int(2), NextAt: r.int(3), Started: int(r.int(4))})
		return nil
	}, ids); err != nil {
		return nil, err
	}
	err := t.query("SELECT "+openRunColumns+" FROM open_run WHERE job_id = ANY($1) ORDER BY due_at, n", func(r row) error {
		open := scanOpen(r)
		if at, ok := places[open.Key.JobID]; ok {
			found[at].Open = append(found[at].Open, open)
		}
		return nil
	}, ids)
	return found, err
}

// definitionsPostgres is Definitions in one statement.
func definitionsPostgres(t *tx, ids []int64, bytes int) (jobs []jadwal.Job, considered int, err error) {
	considered = len(ids)
	var text []byte
	err = t.query(definitionsSQL, func(r row) error {
		bytes -= r.len(5)
		var job jadwal.Job
		var err error
		if job, text, err = scanDefinition(r, r.int(7), text); err != nil {
			return err
		}
		if jobs = append(jobs, job); bytes < 0 {
			considered = int(r.int(8))
			return errEnough
		}
		return nil
	}, ids)
	if err == errEnough {
		err = nil
	}
	return jobs, considered, err
}
