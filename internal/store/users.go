package store

import (
	"context"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
)

const userColumns = "id, username, email, is_superuser, disabled_at, created_at, updated_at"

func scanUser(r row) jadwal.User {
	return jadwal.User{
		ID: r.int(0), Username: r.text(1), Email: r.text(2), IsSuperuser: r.bool(3),
		DisabledAt: r.time(4), CreatedAt: r.time(5), UpdatedAt: r.time(6),
	}
}

func userByID(t *tx, id int64) (u jadwal.User, found bool, err error) {
	found, err = t.one("SELECT "+userColumns+" FROM account WHERE id = $1", func(r row) { u = scanUser(r) }, id)
	return u, found, err
}

// oneUser is userByID for a user who must be there: CodeNotFound.
func oneUser(t *tx, id int64) (jadwal.User, error) {
	u, found, err := userByID(t, id)
	if err == nil && !found {
		err = noUser(id)
	}
	return u, err
}

func noUser(id int64) error {
	return jadwal.Errorf(jadwal.CodeNotFound, "User with id %d does not exist", id)
}

// CountUsers returns how many users there are.
func (s *Store) CountUsers(ctx context.Context) (n int, err error) {
	err = s.single(ctx, func(t *tx) error {
		_, err := t.one("SELECT count(*) FROM account", func(r row) { n = int(r.int(0)) })
		return err
	})
	return n, err
}

// Users returns all users by id.
func (s *Store) Users(ctx context.Context) (users []jadwal.User, err error) {
	err = s.single(ctx, func(t *tx) error {
		users = nil
		return t.query("SELECT "+userColumns+" FROM account ORDER BY id", func(r row) error {
			users = append(users, scanUser(r))
			return nil
		})
	})
	return users, err
}

// User returns one user, or CodeNotFound.
func (s *Store) User(ctx context.Context, id int64) (u jadwal.User, err error) {
	err = s.single(ctx, func(t *tx) error {
		var found bool
		if u, found, err = userByID(t, id); err == nil && !found {
			err = noUser(id)
		}
		return err
	})
	return u, err
}

// Credentials returns the user of that name or email, in any case of ASCII
// letters, with what a sign-in is checked against; or CodeNotFound.
func (s *Store) Credentials(ctx context.Context, identifier string) (c jadwal.Credentials, err error) {
	// No username has an at sign, and every email has one.
	sql := "SELECT " + userColumns + ", password_hash, bootstrap FROM account WHERE lower(username) = $1"
	if strings.Contains(identifier, "@") {
		sql = "SELECT " + userColumns + ", password_hash, bootstrap FROM account WHERE lower(email) = $1"
	}
	err = s.single(ctx, func(t *tx) error {
		found, err := t.one(sql, func(r row) {
			c = jadwal.Credentials{User: scanUser(r), PasswordHash: r.text(7), Bootstrap: r.bool(8)}
		}, lowerASCII(identifier))
		if err == nil && !found {
			err = jadwal.Errorf(jadwal.CodeNotFound, "No such user")
		}
		return err
	})
	return c, err
}

// CreateUser stores a new user, enabled, with updated_at equal to created_at.
// A username or email that is taken, in any case, is CodeValidation with a
// field error of code "taken" for each.
func (s *Store) CreateUser(ctx context.Context, by jadwal.Actor, n jadwal.NewUser, now time.Time) (u jadwal.User, err error) {
	err = s.write(ctx, laneAPI, func(t *tx) error {
		if err := allowed(t, by, jadwal.ActionCreateUser, jadwal.Object{}); err != nil {
			return err
		}
		err := t.may(func() error {
			_, err := t.one(`INSERT INTO account (username, email, password_hash, is_superuser, bootstrap, created_at, updated_at)
				VALUES ($1, $2, $3, $4, $5, $6, $6) RETURNING `+userColumns,
				func(r row) { u = scanUser(r) },
				n.Username, n.Email, n.PasswordHash, n.IsSuperuser, n.Bootstrap, now)
			return err
		})
		if isUnique(err) {
			return taken(t, 0, n.Username, n.Email)
		}
		if err != nil {
			return err
		}
		if err := s.userChanged(t, u); err != nil {
			return err
		}
		if err := saveAnswer(t, by, u, now); err != nil {
			return err
		}
		return audited(t, by, now, "user.create", object("user", u.ID),
			detail{"username": u.Username, "email": u.Email, "is_superuser": u.IsSuperuser})
	})
	return u, err
}

// taken finds out which of a username and an email the unique indexes have
// just refused to a user (0: a new one).
func taken(t *tx, id int64, username, email string) error {
	var fields []jadwal.FieldError
	for _, f := range []struct{ name, value, sql string }{
		{"username", username, "SELECT 1 FROM account WHERE lower(username) = $1 AND id <> $2"},
		{"email", email, "SELECT 1 FROM account WHERE lower(email) = $1 AND id <> $2"},
	} {
		found, err := t.one(f.sql, func(row) {}, lowerASCII(f.value), id)
		if err != nil {
			return err
		}
		if found {
			fields = append(fields, jadwal.FieldError{Field: f.name, Code: "taken", Message: f.name + " is already taken"})
		}
	}
	if len(fields) == 0 {
		return errAgain
	}
	return jadwal.InvalidFields(fields...)
}

// UpdateUser changes what p names of a user, all of it or nothing, and sets
// updated_at to now, in any case later than it was; an empty p changes nothing.
// Users change themselves; only superusers and the operator change others, and
// make superusers (CodeForbidden). Errors besides: CodeNotFound,
// CodeValidation with "taken" as CreateUser has it, CodeLastSuperuser.
func (s *Store) UpdateUser(ctx context.Context, by jadwal.Actor, id int64, p jadwal.UserPatch, now time.Time) (u jadwal.User, err error) {
	err = s.write(ctx, laneAPI, func(t *tx) error {
		old, found, err := userByID(t, id)
		if err != nil {
			return err
		}
		action := jadwal.ActionOwnAccount
		if by.User.ID != id || p.IsSuperuser != nil && *p.IsSuperuser && !old.IsSuperuser {
			action = jadwal.ActionEditUser
		}
		if err := allowed(t, by, action, jadwal.Object{}); err != nil {
			return err
		}
		if !found {
			return noUser(id)
		}
		u = old
		if p.IsZero() {
			return nil
		}
		changes := []changed{}
		if p.Username != nil && *p.Username != old.Username {
			u.Username = *p.Username
			changes = append(changes, changed{Field: "username", From: old.Username, To: u.Username})
		}
		if p.Email != nil && *p.Email != old.Email {
			u.Email = *p.Email
			changes = append(changes, changed{Field: "email", From: old.Email, To: u.Email})
		}
		if p.IsSuperuser != nil && *p.IsSuperuser != old.IsSuperuser {
			u.IsSuperuser = *p.IsSuperuser
			changes = append(changes, changed{Field: "is_superuser", From: old.IsSuperuser, To: u.IsSuperuser})
		}
		u.UpdatedAt = later(now, old.UpdatedAt)
		err = t.may(func() error {
			_, err := t.exec("UPDATE account SET username = $2, email = $3, is_superuser = $4, updated_at = $5 WHERE id = $1",
				id, u.Username, u.Email, u.IsSuperuser, u.UpdatedAt)
			return err
		})
		if isUnique(err) {
			return taken(t, id, u.Username, u.Email)
		}
		if err != nil {
			return err
		}
		if old.IsSuperuser && !u.IsSuperuser {
			if err := anotherSuperuser(t, id); err != nil {
				return err
			}
		}
		if err := s.userChanged(t, u); err != nil {
			return err
		}
		return audited(t, by, now, "user.update", object("user", id), detail{"changes": changes})
	})
	return u, err
}

// lowerASCII is lower() of both databases: it changes ASCII letters only.
func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// later returns now in whole microseconds, UTC, or the microsecond after than
// if that is not before now.
func later(now, than time.Time) time.Time {
	now = now.Truncate(time.Microsecond).UTC()
	if !now.After(than) {
		return than.Add(time.Microsecond)
	}
	return now
}

// anotherSuperuser returns CodeLastSuperuser when no enabled superuser besides
// id exists. It holds under concurrency since writes are serial: SQLite has one
// writer, and PostgreSQL's are SERIALIZABLE.
func anotherSuperuser(t *tx, id int64) error {
	_, err := heir(t, id)
	return err
}

// heir returns the lowest id of an enabled superuser besides id.
func heir(t *tx, id int64) (other int64, err error) {
	found, err := t.one("SELECT id FROM account WHERE is_superuser = 1 AND disabled_at IS NULL AND id <> $1 ORDER BY id LIMIT 1",
		func(r row) { other = r.int(0) }, id)
	if err == nil && !found {
		err = jadwal.Errorf(jadwal.CodeLastSuperuser, "The last superuser cannot be demoted or deleted")
	}
	return other, err
}

// DeleteUser removes a user with all sessions. Jobs are paused for the reason
// owner_deleted and go to the deleting superuser (from the operator: to the
// first one); a name that is taken there gets the suffix .u{id}; they keep the
// egress rules of an owner who was no superuser. They go in many small writes.
// Nothing fires of those that have not gone yet, since their owner is no more;
// when ctx ends or the database fails on the way, Keep sees to the rest. Errors,
// in this order: CodeForbidden, CodeNotFound, CodeOwnAccount, CodeLastSuperuser.
func (s *Store) DeleteUser(ctx context.Context, by jadwal.Actor, id int64, now time.Time) error {
	if err := s.deleteUser(ctx, by, id, now); err != nil {
		return err
	}
	if err := s.inherit(ctx, now); err != nil {
		s.log.Warn("the jobs of a deleted user are still on their way", "user", id, "error", err)
	}
	return nil
}

func (s *Store) deleteUser(ctx context.Context, by jadwal.Actor, id int64, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		if err := allowed(t, by, jadwal.ActionDeleteUser, jadwal.Object{}); err != nil {
			return err
		}
		u, err := oneUser(t, id)
		if err != nil {
			return err
		}
		if by.User.ID == id {
			return jadwal.Errorf(jadwal.CodeOwnAccount, "You cannot delete your own account")
		}
		to, err := heir(t, id)
		if err != nil {
			return err
		}
		if by.User.ID != 0 {
			to = by.User.ID
		}
		jobs, err := bequeath(t, u, to)
		if err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM account WHERE id = $1", id); err != nil { // and, by cascade, the sessions
			return err
		}
		if err := s.userGone(t, id); err != nil {
			return err
		}
		return audited(t, by, now, "user.delete", object("user", id),
			detail{"username": u.Username, "email": u.Email, "jobs": jobs, "jobs_to": to})
	})
}

// SetPassword stores the hash of a new password and ends all sessions of the
// user. Errors: CodeForbidden unless it is the caller's own account, the caller
// is a superuser, or the operator; CodeNotFound.
func (s *Store) SetPassword(ctx context.Context, by jadwal.Actor, id int64, hash string, bootstrap bool, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		action := jadwal.ActionOwnAccount
		if by.User.ID != id {
			action = jadwal.ActionEditUser
		}
		if err := allowed(t, by, action, jadwal.Object{}); err != nil {
			return err
		}
		u, err := oneUser(t, id)
		if err != nil {
			return err
		}
		return s.setPassword(t, by, u, hash, bootstrap, 0, now)
	})
}
