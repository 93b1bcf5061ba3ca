package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/teknohole/jadwal"
)

const sessionColumns = "session.id, user_id, generation, session.created_at, rotated_at, expires_at, used_at, source, user_agent"

func scanSession(r row) jadwal.Session {
	n := jadwal.Session{
		ID: r.int(0), UserID: r.int(1), Generation: r.int(2),
		CreatedAt: r.time(3), RotatedAt: r.time(4), ExpiresAt: r.time(5), UsedAt: r.time(6),
		Source: r.text(7), UserAgent: r.text(8),
	}
	if n.UsedAt.Before(n.RotatedAt) {
		n.UsedAt = n.RotatedAt
	}
	return n
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
// is an old one. Of more than jadwal.MaxSessions of the user, those that were
// refreshed least recently end.
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
		_, err = t.one(`INSERT INTO session (id, user_id, generation, created_at, rotated_at, expires_at, source, user_agent)
			VALUES ($1, $2, 1, $3, $3, $4, $5, $6) RETURNING `+sessionColumns,
			func(r row) { n = scanSession(r) }, newSessionID(), by.User.ID, now, expiresAt, sourceOf(by), by.UserAgent)
		if err != nil {
			return err
		}
		if err := s.sessionStarted(t, n); err != nil {
			return err
		}
		if err := s.evictSessions(t, by, now, n.ID); err != nil {
			return err
		}
		return audited(t, by, now, "session.start", object("session", n.ID), nil)
	})
	return n, err
}

const oldSessionsSQL = `SELECT id FROM session WHERE user_id = $1 AND id <> $2
	ORDER BY rotated_at DESC, created_at DESC, id DESC LIMIT 100 OFFSET CAST($3 AS BIGINT)`

// evictSessions ends the sessions of by that are too many beside the one that
// has just started.
func (s *Store) evictSessions(t *tx, by jadwal.Actor, now time.Time, started int64) error {
	var gone []int64
	if err := t.query(oldSessionsSQL, func(r row) error {
		gone = append(gone, r.int(0))
		return nil
	}, by.User.ID, started, jadwal.MaxSessions-1); err != nil {
		return err
	}
	for _, id := range gone {
		if err := s.endSession(t, by, now, id, "session.evict"); err != nil {
			return err
		}
	}
	return nil
}

// Sessions returns a user's sessions that have not been swept out, newest
// first.
func (s *Store) Sessions(ctx context.Context, userID int64) (sessions []jadwal.Session, err error) {
	err = s.single(ctx, func(t *tx) error {
		sessions = sessions[:0]
		return t.query("SELECT "+sessionColumns+" FROM session WHERE user_id = $1 ORDER BY created_at DESC, id DESC", func(r row) error {
			sessions = append(sessions, scanSession(r))
			return nil
		}, userID)
	})
	for i := range sessions {
		sessions[i].UsedAt = s.usedSessions.latest(sessions[i].ID, sessions[i].UsedAt)
	}
	return sessions, err
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
		found, err := t.one(`SELECT `+sessionColumns+` FROM session JOIN account a ON a.id = user_id WHERE session.id = $1 AND a.disabled_at IS NULL`,
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
	if n.UsedAt.Before(now) {
		n.UsedAt = now
	}
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

// EndSession ends a session of the caller's, or, for a superuser, of anybody's.
// CodeNotFound: there is none, or the caller may not know of it.
func (s *Store) EndSession(ctx context.Context, by jadwal.Actor, id int64, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		var user int64
		found, err := t.one("SELECT user_id FROM session WHERE id = $1", func(r row) { user = r.int(0) }, id)
		if err != nil {
			return err
		}
		none := jadwal.Errorf(jadwal.CodeNotFound, "There is no such session")
		if !found {
			return none
		}
		if err := allowed(t, by, jadwal.ActionOwnSession, jadwal.Object{OwnerID: user}); jadwal.CodeOf(err) == jadwal.CodeNotFound {
			return none
		} else if err != nil {
			return err
		}
		return s.endSession(t, by, now, id, "session.end")
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
