package store

import (
	"context"
	"strconv"
	"time"

	"github.com/teknohole/jadwal"
)

// The hot path: what the engine reads and writes for every run. Its texts are
// SQLite's own, and PostgreSQL's are in postgreshot.go; whatever else is in
// this package is common SQL.

// Begin marks the start of an owner and returns what it has from the beginning:
// on SQLite all shards, in an epoch that is one higher than that of the owner
// before; on PostgreSQL none.
func (s *Store) Begin(ctx context.Context) (*jadwal.Holding, error) {
	if _, shared := s.db.(*postgresDB); shared {
		return new(jadwal.Holding), nil
	}
	epoch := int64(0)
	err := s.write(ctx, laneAPI, func(t *tx) error {
		text := ""
		_, err := t.one(`INSERT INTO meta (key, value) VALUES ('epoch', '1')
			ON CONFLICT (key) DO UPDATE SET value = CAST(meta.value AS INTEGER) + 1 RETURNING value`,
			func(r row) { text = r.text(0) })
		if err != nil {
			return err
		}
		epoch, err = strconv.ParseInt(text, 10, 64)
		return err
	})
	return jadwal.HoldAll(epoch), err
}

const loadSQL = `SELECT job_id, owner_id, next_at, version FROM cursor
	WHERE next_at >= $1 AND next_at < $2 AND job_id <= $3 ORDER BY next_at, job_id`

// Load returns the cursors with from <= NextAt < to of jobs of those shards, by
// NextAt. Instants are Unix microseconds, UTC. On SQLite, which tells of new
// jobs in Poll, it leaves out those with an id above through.
func (s *Store) Load(ctx context.Context, shards jadwal.ShardSet, from, to, through int64) ([]jadwal.Due, error) {
	var found []jadwal.Due
	err := s.single(ctx, func(t *tx) error {
		found = nil
		take := func(r row) error {
			if d := scanDue(r); shards.HasJob(d.JobID) {
				found = append(found, d)
			}
			return nil
		}
		if t.pg != nil {
			return t.query(loadPostgres, take, from, to, shardList(shards))
		}
		return t.query(loadSQL, take, from, to, through)
	})
	return found, err
}

func scanDue(r row) jadwal.Due {
	return jadwal.Due{JobID: r.int(0), OwnerID: r.int(1), At: r.int(2), Version: r.int(3)}
}

// The plus keeps SQLite from the index of next_at: new jobs are the last ids.
const createdSQL = `SELECT job_id, owner_id, next_at, version FROM cursor
	WHERE job_id > $1 AND +next_at < $2 ORDER BY job_id`

// The limit stands in the text: SQLite prepares a statement anew whenever a
// parameter is bound that its LIMIT depends on, which costs more than it runs.
const (
	changesSQL      = changesText + `c.id IN (SELECT min(id) FROM change GROUP BY job_id) ORDER BY c.id LIMIT 500`
	changesPostgres = changesText + `c.id IN (SELECT min(id) FROM change WHERE job_id % 1024 = ANY($1::bigint[]) GROUP BY job_id) ORDER BY c.id LIMIT 500`
	changesText     = `SELECT c.id, c.job_id, c.kind, c.version, c.at,
		k.owner_id, k.version, k.next_at,
		o.definition, o.state, o.effective_at,
		v.definition, v.state,
		j.owner_id, j.egress_limited, j.created_at,
		k.started, c.payload
	FROM change c
	JOIN cursor k ON k.job_id = c.job_id
	JOIN job j ON j.id = c.job_id
	JOIN job_version o ON o.job_id = c.job_id AND o.version = k.version
	LEFT JOIN job_version v ON v.job_id = c.job_id AND v.version = c.version
	WHERE `
)

// Poll returns the unapplied changes of those shards: the oldest one of each
// job, 500 at most. Pauses that last until now end first: each is a change of
// its own. On SQLite it returns also the jobs with an id above after, as far as
// they fall due before to (Unix microseconds, UTC), and the highest id there is;
// on PostgreSQL, where numbers do not follow the order of commits, a new job is
// a change, and Load leaves it out before that is applied.
func (s *Store) Poll(ctx context.Context, shards jadwal.ShardSet, now time.Time, after, to int64) (jadwal.News, error) {
	var news jadwal.News
	if err := s.resumeElapsed(ctx, now); err != nil {
		return news, err
	}
	err := s.read(ctx, func(t *tx) error {
		news = jadwal.News{}
		if t.pg == nil {
			if err := readCreated(t, &news, shards, after, to); err != nil {
				return err
			}
		}
		if any, err := t.one("SELECT 1 FROM change LIMIT 1", func(row) {}); err != nil || !any {
			return err
		}
		take := func(r row) error {
			if !shards.HasJob(r.int(1)) {
				return nil
			}
			p, err := scanChange(t, r)
			news.Changes = append(news.Changes, p)
			return err
		}
		if err := readChanges(t, shards, take); err != nil {
			return err
		}
		for i := range news.Changes {
			c := &news.Changes[i].Cursor
			var err error
			if c.Open, err = openRuns(t, c.JobID); err != nil {
				return err
			}
		}
		return nil
	})
	return news, err
}

// readCreated reads the new jobs of SQLite, whose ids rise in the order of the
// commits.
func readCreated(t *tx, news *jadwal.News, shards jadwal.ShardSet, after, to int64) error {
	if _, err := t.one("SELECT max(job_id) FROM cursor", func(r row) { news.Seen = r.int(0) }); err != nil || news.Seen <= after {
		return err
	}
	return t.query(createdSQL, func(r row) error {
		if d := scanDue(r); shards.HasJob(d.JobID) {
			news.Created = append(news.Created, d)
		}
		return nil
	}, after, to)
}

func readChanges(t *tx, shards jadwal.ShardSet, take func(row) error) error {
	if t.pg != nil {
		return t.query(changesPostgres, take, shardList(shards))
	}
	return t.query(changesSQL, take)
}

func scanChange(t *tx, r row) (jadwal.PendingChange, error) {
	p := jadwal.PendingChange{
		Change: jadwal.Change{
			ID: r.int(0), JobID: r.int(1), Kind: jadwal.ChangeKind(r.text(2)), Version: r.int(3), At: r.int(4),
		},
		Cursor:      jadwal.Cursor{JobID: r.int(1), OwnerID: r.int(5), Version: r.int(6), NextAt: r.int(7), Started: int(r.int(16))},
		EffectiveAt: r.time(10),
	}
	p.Old = jadwal.Job{
		ID: p.JobID, OwnerID: p.Cursor.OwnerID, State: jadwal.JobState(r.text(9)), Version: p.Cursor.Version,
		EgressLimited: r.bool(14), CreatedAt: r.time(15),
	}
	if err := readPayload(r.bytes(17), &p.Change); err != nil {
		return p, err
	}
	p.New = p.Old
	p.New.OwnerID, p.New.State, p.New.Version = r.int(13), jadwal.JobState(r.text(12)), p.Version
	if err := t.decode(p.JobID, r.bytes(8), &p.Old.Definition); err != nil {
		return p, err
	}
	switch p.Kind {
	case jadwal.ChangeDelete, jadwal.ChangeRun, jadwal.ChangeCancel, jadwal.ChangeCreate:
		return p, nil // they have no definition of their own
	}
	return p, t.decode(p.JobID, r.bytes(11), &p.New.Definition)
}

const openRunColumns = "due_at, job_id, n, version, state, trigger_by, attempt, ready_at, started_at, retry_of"

func scanOpen(r row) jadwal.OpenRun {
	return jadwal.OpenRun{
		Key:       jadwal.RunKey{DueAt: r.int(0), JobID: r.int(1), N: uint16(r.int(2))},
		Version:   r.int(3),
		State:     jadwal.RunState(r.text(4)),
		Trigger:   jadwal.Trigger(r.text(5)),
		Attempt:   int(r.int(6)),
		ReadyAt:   r.time(7),
		StartedAt: r.time(8),
		RetryOf:   runKey(r.text(9)),
	}
}

// runKey is the key of a run id in a column; NULL: the zero key.
func runKey(id string) jadwal.RunKey {
	key, _ := jadwal.ParseRunID(id)
	return key
}

// idOrNull is the inverse of runKey.
func idOrNull(key jadwal.RunKey) any {
	if key == (jadwal.RunKey{}) {
		return nil
	}
	return key.ID()
}

// openRuns returns the open runs of a job, oldest first.
func openRuns(t *tx, jobID int64) ([]jadwal.OpenRun, error) {
	var open []jadwal.OpenRun
	err := t.query("SELECT "+openRunColumns+" FROM open_run WHERE job_id = $1 ORDER BY due_at, n", func(r row) error {
		open = append(open, scanOpen(r))
		return nil
	}, jobID)
	return open, err
}

// Cursors returns where those jobs stand.
func (s *Store) Cursors(ctx context.Context, ids []int64) (found []jadwal.Cursor, err error) {
	err = s.read(ctx, func(t *tx) error {
		found, err = cursors(t, ids)
		return err
	})
	return found, err
}

// OpenCursors returns where the jobs of those shards stand that have open runs,
// by the oldest of these.
func (s *Store) OpenCursors(ctx context.Context, shards jadwal.ShardSet) (found []jadwal.Cursor, err error) {
	err = s.read(ctx, func(t *tx) error {
		var ids []int64
		if err := t.query("SELECT job_id FROM open_run GROUP BY job_id ORDER BY min(due_at), job_id", func(r row) error {
			if id := r.int(0); shards.HasJob(id) {
				ids = append(ids, id)
			}
			return nil
		}); err != nil {
			return err
		}
		found, err = cursors(t, ids)
		return err
	})
	return found, err
}

func cursors(t *tx, ids []int64) ([]jadwal.Cursor, error) {
	if t.pg != nil {
		return cursorsPostgres(t, ids)
	}
	found := make([]jadwal.Cursor, 0, len(ids))
	for _, id := range ids {
		ok, err := t.one("SELECT c.owner_id, c.version, c.next_at, c.started, j.version FROM cursor c JOIN job j ON j.id = c.job_id WHERE c.job_id = $1", func(r row) {
			found = append(found, jadwal.Cursor{JobID: id, OwnerID: r.int(0), Version: r.int(1), NextAt: r.int(2), Started: int(r.int(3)), Stored: r.int(4)})
		}, id)
		if err != nil {
			return found, err
		}
		if !ok {
			continue
		}
		if found[len(found)-1].Open, err = openRuns(t, id); err != nil {
			return found, err
		}
	}
	return found, nil
}

// Definitions returns those jobs as they are stored now, without deleted ones.
// It stops when their definitions exceed that many bytes: considered is how
// many of ids it got through, at least one. Their owners are known by UserByID
// then, whoever made them a moment ago. Jobs may share parts of their
// definitions, which are not to be changed.
func (s *Store) Definitions(ctx context.Context, ids []int64, bytes int) (jobs []jadwal.Job, considered int, err error) {
	if s.Shared() {
		if err = s.single(ctx, func(t *tx) error {
			jobs, considered, err = definitionsPostgres(t, ids, bytes)
			return err
		}); err == nil {
			err = s.meetOwners(ctx, jobs)
		}
		return jobs, considered, err
	}
	err = s.read(ctx, func(t *tx) error {
		jobs, considered = make([]jadwal.Job, 0, len(ids)), 0
		left := bytes
		var reader definitionReader
		for _, id := range ids {
			var bad error
			if _, err := t.one(`SELECT j.owner_id, j.state, j.version, j.egress_limited, j.created_at, j.definition, c.started
				FROM job j JOIN cursor c ON c.job_id = j.id WHERE j.id = $1 AND j.deleted_at IS NULL`, func(r row) {
				left -= r.len(5)
				var job jadwal.Job
				job, bad = reader.scan(t, r, id)
				jobs = append(jobs, job)
			}, id); err != nil {
				return err
			}
			if bad != nil {
				return bad
			}
			if considered++; left < 0 {
				break
			}
		}
		return nil
	})
	return jobs, considered, err
}

// scan reads a job as Definitions has it.
func (d *definitionReader) scan(t *tx, r row, id int64) (jadwal.Job, error) {
	job := jadwal.Job{
		ID: id, OwnerID: r.int(0), State: jadwal.JobState(r.text(1)), Version: r.int(2),
		EgressLimited: r.bool(3), CreatedAt: r.time(4), Started: int(r.int(6)),
	}
	d.text = r.append(d.text[:0], 5)
	return job, d.decode(t, id, d.text, &job.Definition)
}
