package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/vault"
)

// resealStep is how many rows one write looks at.
const resealStep = 500

// A sealedTable is one that holds sealed texts. Its rows are gone through in
// the order of two numbers, the first two columns of after.
type sealedTable struct {
	name   string
	after  string // reads the rows after ($1, $2), at most $3
	update string // stores the text $4 in the place of $3 in the row ($1, $2)
	reseal func(t *tx, r row) (resealed, error)
}

// sealedTables are all of them: what is in one that is not here is lost when its
// master key retires.
var sealedTables = []sealedTable{
	{
		name:   "job",
		after:  "SELECT id, 0, definition, version FROM job WHERE id > $1 AND CAST($2 AS BIGINT) >= 0 ORDER BY id LIMIT CAST($3 AS BIGINT)",
		update: "UPDATE job SET definition = $4 WHERE id = $1 AND CAST($2 AS BIGINT) = 0 AND definition = $3",
		reseal: func(t *tx, r row) (resealed, error) { return t.resealDefinition(r.int(0), r.int(3), r.bytes(2)) },
	},
	{
		name: "job_version",
		after: `SELECT job_id, version, definition FROM job_version WHERE job_id > $1 OR job_id = $1 AND version > $2
			ORDER BY job_id, version LIMIT CAST($3 AS BIGINT)`,
		update: "UPDATE job_version SET definition = $4 WHERE job_id = $1 AND version = $2 AND definition = $3",
		reseal: func(t *tx, r row) (resealed, error) { return t.resealDefinition(r.int(0), r.int(1), r.bytes(2)) },
	},
	{
		name:   "signature_key",
		after:  "SELECT id, 0, user_id, job_id, sealed FROM signature_key WHERE id > $1 AND CAST($2 AS BIGINT) >= 0 ORDER BY id LIMIT CAST($3 AS BIGINT)",
		update: "UPDATE signature_key SET sealed = $4 WHERE id = $1 AND CAST($2 AS BIGINT) = 0 AND sealed = $3",
		reseal: func(t *tx, r row) (resealed, error) {
			k := jadwal.SignatureKey{ID: r.int(0), Of: jadwal.SignatureHolder{UserID: r.int(2), JobID: r.int(3)}}
			return t.rewrap(placeOfSignature(k), r.bytes(4)), nil
		},
	},
	{
		name:   "secret",
		after:  "SELECT " + secretColumns + ", sealed FROM secret WHERE id > $1 AND CAST($2 AS BIGINT) >= 0 ORDER BY id LIMIT CAST($3 AS BIGINT)",
		update: "UPDATE secret SET sealed = $4 WHERE id = $1 AND CAST($2 AS BIGINT) > 0 AND sealed = $3",
		reseal: func(t *tx, r row) (resealed, error) {
			n := scanSecret(r)
			return t.rewrap(placeOfSecret(&n), r.bytes(7)), nil
		},
	},
}

// resealed is what becomes of a row: from, which is stored, is to be replaced
// by to, unless nothing changes.
type resealed struct {
	from, to any
	closed   bool // it cannot be opened, so it stays
}

func (r resealed) changed() bool { return r.to != nil }

// rewrap is what becomes of a column that holds a sealed text and nothing else.
func (t *tx) rewrap(at vault.Place, sealed []byte) resealed {
	to, changed, err := t.vault.Rewrap(at, sealed)
	if err != nil || !changed {
		return resealed{closed: err != nil}
	}
	return resealed{from: sealed, to: to}
}

// resealDefinition seals the secret headers of a definition that lie in it in
// clear, as they did before there were master keys, or wraps their key anew.
func (t *tx) resealDefinition(jobID, version int64, text []byte) (resealed, error) {
	if !bytes.Contains(text, []byte(`"sealed"`)) && !bytes.Contains(text, []byte(`"headers":{"`)) {
		return resealed{}, nil // most have neither, and need not be decoded
	}
	var d jadwal.Definition
	stored, err := decodeStored(jobID, text, &d)
	if err != nil {
		return resealed{}, err
	}
	if stored.Sealed != nil {
		sealed, changed, err := t.vault.Rewrap(placeOfHeaders(jobID, stored.Sealed.Version, &d.Target), stored.Sealed.Text)
		if err != nil || !changed {
			return resealed{closed: err != nil}, nil
		}
		stored.Sealed.Text = sealed
		to, err := encodePlain(&stored)
		return resealed{from: string(text), to: to}, err
	}
	values := d.Target.SecretValues()
	if !inClear(values) {
		return resealed{}, nil
	}
	to, err := t.encodeSealed(&d, values, jobID, version)
	return resealed{from: string(text), to: to}, err
}

// inClear tells whether a definition, as it is stored, has the value of a secret
// header in it.
func inClear(values map[string]string) bool {
	for _, value := range values {
		if value != "" {
			return true
		}
	}
	return false
}

// reseal goes through all that is sealed, or should be, and has it sealed with
// the active master key, some rows a write, beside everything else that goes on:
// a row that somebody changes meanwhile is sealed by that. It begins anew when
// it was interrupted. It returns how many rows it has changed, and how many it
// could not open.
func (s *Store) reseal(ctx context.Context) (changed, closed int, err error) {
	for _, table := range sealedTables {
		n, shut, err := s.resealTable(ctx, table)
		changed, closed = changed+n, closed+shut
		if err != nil {
			return changed, closed, fmt.Errorf("sealing in table %s: %w", table.name, err)
		}
	}
	return changed, closed, nil
}

func (s *Store) resealTable(ctx context.Context, table sealedTable) (changed, closed int, err error) {
	type line struct {
		a, b int64
		resealed
	}
	a, b, looked, told := int64(0), int64(0), 0, time.Now()
	for {
		var lines []line
		rows := 0
		if err := s.single(ctx, func(t *tx) error {
			lines, rows = lines[:0], 0
			return t.query(table.after, func(r row) error {
				l := line{a: r.int(0), b: r.int(1)}
				a, b = l.a, l.b
				rows++
				var err error
				if l.resealed, err = table.reseal(t, r); err == nil && (l.changed() || l.closed) {
					lines = append(lines, l)
				}
				return err
			}, a, b, resealStep)
		}); err != nil || rows == 0 {
			return changed, closed, err
		}
		n, shut := 0, 0
		if err := s.write(ctx, s.stepLane(), func(t *tx) error {
			n, shut = 0, 0
			for _, l := range lines {
				if l.closed {
					shut++
					continue
				}
				if err := t.nameMaster(); err != nil {
					return err
				}
				done, err := t.exec(table.update, l.a, l.b, l.from, l.to)
				if err != nil {
					return err
				}
				n += done
			}
			return nil
		}); err != nil {
			return changed, closed, err
		}
		changed, closed, looked = changed+n, closed+shut, looked+rows
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			s.log.Info("sealing with the active master key goes on", "table", table.name, "rows", looked, "changed", changed)
		}
	}
}

// sealedAll is the key of table meta that tells that nothing lies in clear that
// is to be sealed.
const sealedAll = "sealed"

// sealClear seals what was stored before there were master keys, once. On SQLite
// the file is then written anew, so that no free page of it holds what was in
// clear; on PostgreSQL the operator is told how.
func (s *Store) sealClear(ctx context.Context) error {
	if s.vault == nil {
		return nil
	}
	done, jobs := false, false
	if err := s.read(ctx, func(t *tx) (err error) {
		if done, err = t.one("SELECT 1 FROM meta WHERE key = $1", func(row) {}, sealedAll); err != nil || done || t.pg != nil {
			return err
		}
		jobs, err = t.one("SELECT 1 FROM sqlite_sequence WHERE name = 'job'", func(row) {})
		return err
	}); err != nil || done {
		return err
	}
	changed, _, err := s.reseal(ctx)
	if err != nil {
		return err
	}
	if d, own := s.db.(*sqliteDB); own && jobs { // though nothing was changed: jobs may have been deleted
		if err := d.rewrite(ctx); err != nil {
			s.log.Warn("free pages of the database may still hold values of secret headers in clear; the next start tries again to write the file anew", "error", err)
			return nil
		}
	}
	if changed > 0 {
		s.log.Info("the values of secret headers, which were stored in clear, are sealed now", "definitions", changed)
		if s.Shared() {
			s.log.Warn("what was in clear may still be in free space of the database, in its log and in backups: run VACUUM FULL job, job_version, and change those credentials if others can read them")
		}
	}
	return s.write(ctx, laneAPI, func(t *tx) error { return putMeta(t, sealedAll, "1") })
}

// retireMaster has what is sealed with the retiring master key sealed with the
// active one, and tells when nothing is left that needs it. Its name is marked
// before, and goes only if it is still marked after that: what was sealed with
// it before the mark is seen, and what is sealed with it afterwards, by another
// server, takes the mark away.
func (s *Store) retireMaster(ctx context.Context) error {
	if s.vault == nil {
		return nil
	}
	retiring, ok := s.vault.Retiring()
	if !ok {
		return nil
	}
	name := masterKey + retiring.String()
	marked, unmarked := 0, 0
	if err := s.write(ctx, laneAPI, func(t *tx) (err error) {
		marked, err = t.exec("UPDATE meta SET value = $2 WHERE key = $1", name, keyRetires)
		return err
	}); err != nil {
		return err
	}
	changed, closed, err := s.reseal(ctx)
	if err == nil && changed > 0 {
		s.log.Info("secrets were sealed with the retiring master key; they are sealed with the active one now", "rows", changed)
	}
	switch {
	case err != nil:
		return err
	case closed > 0:
		s.log.Error("some secrets cannot be opened: the database was changed by others, or parts of it are from elsewhere", "rows", closed)
		return nil
	}
	if err := s.write(ctx, laneAPI, func(t *tx) error {
		gone, err := t.exec("DELETE FROM meta WHERE key = $1 AND value = $2", name, keyRetires)
		unmarked = marked - gone
		return err
	}); err != nil {
		return err
	}
	if unmarked > 0 {
		return errors.New("another server still seals with the retiring master key")
	}
	s.log.Info("nothing is sealed with the retiring master key any more: when all servers seal with the new one, JADWAL_RETIRING_MASTER_KEY can go")
	return nil
}
