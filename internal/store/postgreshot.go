package store

import "github.com/teknohole/jadwal"

// The texts of the hot path that are PostgreSQL's own.
const (
	loadPostgres = `SELECT job_id, owner_id, next_at, version FROM cursor
		WHERE shard = ANY($3::bigint[]) AND next_at >= $1 AND next_at < $2
			AND NOT EXISTS (SELECT 1 FROM change WHERE change.job_id = cursor.job_id AND kind = 'create')
		ORDER BY next_at, job_id`

	cursorsSQL = `SELECT c.job_id, c.owner_id, c.version, c.next_at, c.started, j.version
		FROM unnest($1::bigint[]) WITH ORDINALITY AS w (id, place) JOIN cursor c ON c.job_id = w.id JOIN job j ON j.id = w.id ORDER BY w.place`

	definitionsSQL = `SELECT j.owner_id, j.state, j.version, j.egress_limited, j.created_at, j.definition, c.started, j.id, w.place
		FROM unnest($1::bigint[]) WITH ORDINALITY AS w (id, place)
		JOIN job j ON j.id = w.id AND j.deleted_at IS NULL JOIN cursor c ON c.job_id = j.id ORDER BY w.place`
)

// shardList is a set as an argument.
func shardList(set jadwal.ShardSet) []int64 {
	list := make([]int64, 0, set.Len())
	for shard := range set.Each() {
		list = append(list, int64(shard))
	}
	return list
}

// cursorsPostgres is Cursors: in three statements, however many there are.
func cursorsPostgres(t *tx, ids []int64) ([]jadwal.Cursor, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var found []jadwal.Cursor
	places := map[int64]int{}
	if err := t.query(cursorsSQL, func(r row) error {
		places[r.int(0)] = len(found)
		found = append(found, jadwal.Cursor{JobID: r.int(0), OwnerID: r.int(1), Version: r.int(2), NextAt: r.int(3), Started: int(r.int(4)), Stored: r.int(5)})
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
	var reader definitionReader
	err = t.query(definitionsSQL, func(r row) error {
		bytes -= r.len(5)
		job, err := reader.scan(t, r, r.int(7))
		if err != nil {
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
