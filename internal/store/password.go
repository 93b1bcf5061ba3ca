package store

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/teknohole/jadwal"
)

// setPassword stores the hash of a user's new password, ends the user's
// sessions but for the one to keep (0: all of them), and makes a code that
// could set another password worthless.
func (s *Store) setPassword(t *tx, by jadwal.Actor, u jadwal.User, hash string, bootstrap bool, keep int64, now time.Time) error {
	u.UpdatedAt = later(now, u.UpdatedAt)
	if _, err := t.exec("UPDATE account SET password_hash = $2, bootstrap = $3, updated_at = $4 WHERE id = $1",
		u.ID, hash, bootstrap, u.UpdatedAt); err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM password_reset WHERE user_id = $1", u.ID); err != nil {
		return err
	}
	ended, err := s.endSessionsOf(t, u.ID, keep)
	if err != nil {
		return err
	}
	if err := s.userChanged(t, u); err != nil {
		return err
	}
	return audited(t, by, now, "user.password", object("user", u.ID), detail{"sessions_ended": ended})
}

// endSessionsOf removes the sessions of a user, but for the one to keep, and
// returns how many there were.
func (s *Store) endSessionsOf(t *tx, userID, keep int64) (n int, err error) {
	var ended []int64
	if err := t.query("DELETE FROM session WHERE user_id = $1 AND id <> $2 RETURNING id", func(r row) error {
		ended = append(ended, r.int(0))
		return nil
	}, userID, keep); err != nil {
		return 0, err
	}
	for _, id := range ended {
		if err := s.sessionGone(t, id); err != nil {
			return 0, err
		}
	}
	return len(ended), nil
}

// ChangePassword stores the hash of a new password of the caller's, who has
// shown that the old one is what oldHash was made of, and ends the caller's
// other sessions. CodeWrongPassword: the password is another one by now.
func (s *Store) ChangePassword(ctx context.Context, by jadwal.Actor, oldHash, newHash string, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		if err := allowed(t, by, jadwal.ActionOwnAccount, jadwal.Object{}); err != nil {
			return err
		}
		stored := ""
		if _, err := t.one("SELECT password_hash FROM account WHERE id = $1", func(r row) { stored = r.text(0) }, by.User.ID); err != nil {
			return err
		}
		if stored != oldHash {
			return jadwal.Errorf(jadwal.CodeWrongPassword, "The password was changed at the same time")
		}
		u, _, err := userByID(t, by.User.ID)
		if err != nil {
			return err
		}
		return s.setPassword(t, by, u, newHash, false, by.SessionID, now)
	})
}

// StartReset stores the hash of a code that sets the user's password once,
// until expiresAt, in the place of one that there was. The password is good
// until then. Errors, in this order: CodeForbidden, CodeNotFound,
// CodeOwnAccount.
func (s *Store) StartReset(ctx context.Context, by jadwal.Actor, userID int64, hash []byte, expiresAt, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		if err := allowed(t, by, jadwal.ActionEditUser, jadwal.Object{}); err != nil {
			return err
		}
		if _, err := oneUser(t, userID); err != nil {
			return err
		}
		if by.User.ID == userID {
			return jadwal.Errorf(jadwal.CodeOwnAccount, "You cannot reset your own password: change it")
		}
		if _, err := t.exec(`INSERT INTO password_reset (user_id, hash, created_at, expires_at) VALUES ($1, $2, $3, $4)
			ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, created_at = excluded.created_at, expires_at = excluded.expires_at`,
			userID, hash, now, expiresAt); err != nil {
			return err
		}
		return audited(t, by, now, "user.reset", object("user", userID), detail{"expires_at": instantText(expiresAt)})
	})
}

// ResetUser returns the user whose password a code of that hash sets at now.
// CodeInvalidLogin: there is no such code any more, or the user is disabled.
func (s *Store) ResetUser(ctx context.Context, userID int64, hash []byte, now time.Time) (u jadwal.User, err error) {
	err = s.read(ctx, func(t *tx) error {
		u, err = resetUser(t, userID, hash, now)
		return err
	})
	return u, err
}

func resetUser(t *tx, userID int64, hash []byte, now time.Time) (u jadwal.User, err error) {
	var stored []byte
	if _, err := t.one("SELECT hash FROM password_reset WHERE user_id = $1 AND expires_at > $2", func(r row) { stored = r.bytes(0) }, userID, now); err != nil {
		return u, err
	}
	u, found, err := userByID(t, userID)
	if err == nil && (!found || !u.DisabledAt.IsZero() || subtle.ConstantTimeCompare(stored, hash) != 1) {
		return jadwal.User{}, jadwal.Errorf(jadwal.CodeInvalidLogin, "The code is not valid")
	}
	return u, err
}

// RedeemReset stores the hash of a new password of by.User, who has the code of
// that hash, and ends all of the user's sessions. CodeInvalidLogin: the code is
// worth nothing any more.
func (s *Store) RedeemReset(ctx context.Context, by jadwal.Actor, codeHash []byte, hash string, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		u, err := resetUser(t, by.User.ID, codeHash, now)
		if err != nil {
			return err
		}
		return s.setPassword(t, by, u, hash, false, 0, now)
	})
}

// UserStatus is what of a user is told beside the account itself.
type UserStatus struct {
	DisabledAt time.Time // zero: enabled
	Sessions   int
	Keys       int
	ResetUntil time.Time // zero: no code can set the password
}

// UserStatus returns a user's status at now, or CodeNotFound. Sessions that
// were not refreshed since idleSince, and keys that have expired, do not count.
func (s *Store) UserStatus(ctx context.Context, id int64, idleSince, now time.Time) (st UserStatus, err error) {
	err = s.single(ctx, func(t *tx) error {
		found, err := t.one(`SELECT a.disabled_at,
			(SELECT COUNT(*) FROM session s WHERE s.user_id = a.id AND s.rotated_at > $2 AND s.expires_at > $3),
			(SELECT p.expires_at FROM password_reset p WHERE p.user_id = a.id AND p.expires_at > $3),
			(SELECT COUNT(*) FROM api_key k WHERE k.user_id = a.id AND (k.expires_at IS NULL OR k.expires_at > $3))
			FROM account a WHERE a.id = $1`, func(r row) {
			st = UserStatus{r.time(0), int(r.int(1)), int(r.int(3)), r.time(2)}
		}, id, idleSince, now)
		if err == nil && !found {
			err = noUser(id)
		}
		return err
	})
	return st, err
}

// DisableUser takes all rights from a user, whose sessions and password code
// end, or gives them back. A user who is that already stays as is. Errors, in
// this order: CodeForbidden, CodeNotFound, CodeOwnAccount, CodeLastSuperuser.
func (s *Store) DisableUser(ctx context.Context, by jadwal.Actor, id int64, disabled bool, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		if err := allowed(t, by, jadwal.ActionEditUser, jadwal.Object{}); err != nil {
			return err
		}
		u, err := oneUser(t, id)
		if err != nil {
			return err
		}
		if disabled && by.User.ID == id {
			return jadwal.Errorf(jadwal.CodeOwnAccount, "You cannot disable your own account")
		}
		if disabled != u.DisabledAt.IsZero() {
			return nil
		}
		u.UpdatedAt, u.DisabledAt = later(now, u.UpdatedAt), time.Time{}
		action, d := "user.enable", detail{}
		if disabled {
			u.DisabledAt, action = u.UpdatedAt, "user.disable"
		}
		if _, err := t.exec("UPDATE account SET disabled_at = $2, updated_at = $3 WHERE id = $1", id, u.DisabledAt, u.UpdatedAt); err != nil {
			return err
		}
		if disabled {
			if u.IsSuperuser {
				if err := anotherSuperuser(t, id); jadwal.CodeOf(err) == jadwal.CodeLastSuperuser {
					return jadwal.Errorf(jadwal.CodeLastSuperuser, "The last superuser cannot be disabled")
				} else if err != nil {
					return err
				}
			}
			if _, err := t.exec("DELETE FROM password_reset WHERE user_id = $1", id); err != nil {
				return err
			}
			ended, err := s.endSessionsOf(t, id, 0)
			if err != nil {
				return err
			}
			d["sessions_ended"] = ended
		}
		if err := s.userChanged(t, u); err != nil {
			return err
		}
		return audited(t, by, now, action, object("user", id), d)
	})
}
