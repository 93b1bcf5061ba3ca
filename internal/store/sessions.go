package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/teknohole/jadwal"
)

const sessionColumns = "id, user_id, generation, created_at, rotated_at, expires_at"

func scanSession(r row) jadwal.Session {
	return jadwal.Session{
		ID: r.int(0), UserID: r.int(1), Generation: r.int(2),
		CreatedAt: r.time(3), RotatedAt: r.time(4), ExpiresAt: r.time(5),
	}
}

const (
	rotateSQL = "UPDATE session SET generation = $3, rotated_at = $4 WHERE id = $1 AND generation = $2"
	sweepSQL  = "SELECT id FROM session WHERE expires_at <= $1 ORDER BY expires_at LIMIT CAST($2 AS BIGINT)"
)

// sweepOnStart bounds how many sessions past their end a new one takes out:
// more than one, so that they never pile up.
const sweepOnStart = 8

// StartSession signs by.User in until expiresAt at the latest, in generation 1.
// It is CodeInvalidLogin when the user is gone or disabled, or when
// passwordHash is no longer the stored one: then the password that was verified
// is an old one.
func (s *Store) StartSession(ctx context.Context, by jadwal.Actor, now, expiresAt time.Time, passwordHash string) (n jadwal.Session, err error) {
	err = s.write(ctx, laneAPI, func(t *tx) error {
		hash, disabled := "", false
		found, err := t.one("SELECT password_hash, disabled_at FROM account WHERE id = $1", func(r row) {
			hash, disabled = r.text(0), !r.null(1)
		}, by.User.ID)
		if err != nil {
			return err
		}
		if !found || disabled || hash != passwordHash {
			return jadwal.Errorf(jadwal.CodeInvalidLogin, "Invalid credentials")
		}
		if err := s.sweepSessions(t, now); err != nil {
			return err
		}
		_, err = t.one(`INSERT INTO session (id, user_id, generation, created_at, rotated_at, expires_at)
			VALUES ($1, $2, 1, $3, $3, $4) RETURNING `+sessionColumns,
			func(r row) { n = scanSession(r) }, newSessionID(), by.User.ID, now, expiresAt)
		if err != nil {
			return err
		}
		if err := s.sessionStarted(t, n); err != nil {
			return err
		}
		return audited(t, by, now, "session.start", object("session", n.ID), nil)
	})
	return n, err
}

// newSessionID returns a random id from 1 to 2^63 - 1.
func newSessionID() int64 {
	var b [8]byte
	for {
		rand.Read(b[:]) // never fails: crypto/rand, func Read
		if id := int64(binary.BigEndian.Uint64(b[:]) >> 1); id > 0 {
			return id
		}
	}
}

// sweepSessions takes out a few sessions that are past their end.
func (s *Store) sweepSessions(t *tx, now time.Time) error {
	var gone []int64
	if err := t.query(sweepSQL, func(r row) error {
		gone = append(gone, r.int(0))
		return nil
	}, now, sweepOnStart); err != nil {
		return err
	}
	for _, id := range gone {
		if _, err := t.exec("DELETE FROM session WHERE id = $1", id); err != nil {
			return err
		}
		if err := s.sessionGone(t, id); err != nil {
			return err
		}
	}
	return nil
}

// RotateSession uses the refresh token of that generation at now, and returns
// the session as it is then. jadwal.Session.Rotate decides; a theft ends the
// session and is audited. A session that is not there, or whose user is
// disabled, is RotationDead with a zero Session.
func (s *Store) RotateSession(ctx context.Context, id, generation int64, now time.Time) (n jadwal.Session, r jadwal.Rotation, err error) {
	now = now.Truncate(time.Microsecond).UTC()
	err = s.write(ctx, laneAPI, func(t *tx) error {
		var err error
		// Mostly what is in memory is also what is stored, and then one UPDATE
		// by primary key, which is refused otherwise, does it all.
		if user, known, _ := s.live.find(id); user.ID != 0 && user.DisabledAt.IsZero() && known.Rotate(generation, now) == jadwal.RotationNext {
			n, r = known, jadwal.RotationNext
			if ok, err := s.rotate(t, &n, now); ok || err != nil {
				return err
			}
		}
		found, err := t.one(`SELECT s.id, s.user_id, s.generation, s.created_at, s.rotated_at, s.expires_at
			FROM session s JOIN account a ON a.id = s.user_id WHERE s.id = $1 AND a.disabled_at IS NULL`,
			func(r row) { n = scanSession(r) }, id)
		if err != nil {
			return err
		}
		if !found {
			n, r = jadwal.Session{}, jadwal.RotationDead
			return nil
		}
		switch r = n.Rotate(generation, now); r {
		case jadwal.RotationNext:
			_, err = s.rotate(t, &n, now)
		case jadwal.RotationTheft:
			err = s.endSession(t, jadwal.Actor{}, now, id, "session.theft")
		}
		return err
	})
	return n, r, err
}

// rotate moves a session on by one generation, in n too, provided that the
// stored one is still n's.
func (s *Store) rotate(t *tx, n *jadwal.Session, now time.Time) (ok bool, err error) {
	changed, err := t.exec(rotateSQL,
		n.ID, n.Generation, n.Generation+1, now)
	if err != nil || changed == 0 {
		return false, err
	}
	n.Generation++
	n.RotatedAt = now
	next := *n
	t.after(func() { s.live.putSession(next) })
	return true, nil
}

// EndSessions ends those sessions that there are, each audited.
func (s *Store) EndSessions(ctx context.Context, by jadwal.Actor, now time.Time, ids ...int64) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		for _, id := range ids {
			if err := s.endSession(t, by, now, id, "session.end"); err != nil {
				return err
			}
		}
		return nil
	})
}

// endSession removes a session, if it is there, and audits that as action.
func (s *Store) endSession(t *tx, by jadwal.Actor, now time.Time, id int64, action string) error {
	var user int64
	found, err := t.one("DELETE FROM session WHERE id = $1 RETURNING user_id", func(r row) { user = r.int(0) }, id)
	if err != nil || !found {
		return err
	}
	if err := s.sessionGone(t, id); err != nil {
		return err
	}
	return audited(t, by, now, action, object("session", id), detail{"user_id": user})
}
