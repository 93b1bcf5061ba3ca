package store

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
)

const grantColumns = "job_id, user_id, level, granted_by, created_at, updated_at"

func scanGrant(r row) jadwal.Grant {
	return jadwal.Grant{
		JobID: r.int(0), UserID: r.int(1), Level: jadwal.Level(r.text(2)), GrantedBy: r.int(3),
		CreatedAt: r.time(4), UpdatedAt: r.time(5),
	}
}

// Level returns what a user may do with a job, deleted or not, that is another
// user's: "" nothing.
func (s *Store) Level(ctx context.Context, jobID, userID int64) (level jadwal.Level, err error) {
	err = s.single(ctx, func(t *tx) error {
		level, err = levelOf(t, jobID, userID)
		return err
	})
	return level, err
}

func levelOf(t *tx, jobID, userID int64) (level jadwal.Level, err error) {
	_, err = t.one("SELECT level FROM job_grant WHERE job_id = $1 AND user_id = $2", func(r row) { level = jadwal.Level(r.text(0)) }, jobID, userID)
	return level, err
}

// allowedJob is allowed for something that is done to a job, by its owner or by
// whoever has a grant.
func allowedJob(t *tx, by jadwal.Actor, action jadwal.Action, job jadwal.Job) error {
	on := jadwal.Object{OwnerID: job.OwnerID}
	if by.User.ID != 0 && by.User.ID != job.OwnerID {
		var err error
		if on.Level, err = levelOf(t, job.ID, by.User.ID); err != nil {
			return err
		}
	}
	return allowed(t, by, action, on)
}

// levelOrNull is a level, nil for none.
func levelOrNull(l jadwal.Level) any {
	if l == "" {
		return nil
	}
	return l
}

// Grants returns the grants of a job, by user.
func (s *Store) Grants(ctx context.Context, jobID int64) (grants []jadwal.Grant, err error) {
	err = s.single(ctx, func(t *tx) error {
		grants = grants[:0]
		return t.query("SELECT "+grantColumns+" FROM job_grant WHERE job_id = $1 ORDER BY user_id", func(r row) error {
			grants = append(grants, scanGrant(r))
			return nil
		}, jobID)
	})
	return grants, err
}

// SetGrant gives a user a level for a job, in the place of one that the user
// had; created tells that there was none. CodeNotFound: there is no such job
// (or the caller may not know of it) or user; CodeValidation: the user owns the
// job; CodeConflict: the job has jadwal.MaxGrants.
func (s *Store) SetGrant(ctx context.Context, by jadwal.Actor, jobID, userID int64, level jadwal.Level, now time.Time) (g jadwal.Grant, created bool, err error) {
	err = s.write(ctx, laneAPI, func(t *tx) error {
		job, err := oneJob(t, jobByID, jobID)
		if err != nil {
			return err
		}
		if err := allowedJob(t, by, jadwal.ActionShareJob, job); err != nil {
			return err
		}
		if _, err := oneUser(t, userID); err != nil {
			return err
		}
		if userID == job.OwnerID {
			return jadwal.Invalid("user", "invalid", "user must be another one than the job's owner, who needs no grant")
		}
		old, err := levelOf(t, jobID, userID)
		if err != nil {
			return err
		}
		if created = old == ""; created {
			have := 0
			if _, err := t.one("SELECT COUNT(*) FROM job_grant WHERE job_id = $1", func(r row) { have = int(r.int(0)) }, jobID); err != nil {
				return err
			}
			if have >= jadwal.MaxGrants {
				return jadwal.Errorf(jadwal.CodeConflict, "The job has %d grants already", have)
			}
		}
		if _, err := t.one(`INSERT INTO job_grant (job_id, user_id, level, granted_by, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)
			ON CONFLICT (job_id, user_id) DO UPDATE SET level = excluded.level, granted_by = excluded.granted_by, updated_at = excluded.updated_at
			RETURNING `+grantColumns, func(r row) { g = scanGrant(r) }, jobID, userID, string(level), by.User.ID, now); err != nil {
			return err
		}
		return audited(t, by, now, "grant.set", object("job", jobID), detail{"user_id": userID, "changes": []changed{{Field: "level", From: levelOrNull(old), To: level}}})
	})
	return g, created, err
}

// RemoveGrant takes a user's grant for a job away. CodeNotFound: there is no
// such job (or the caller may not know of it) or grant.
func (s *Store) RemoveGrant(ctx context.Context, by jadwal.Actor, jobID, userID int64, now time.Time) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		job, err := oneJob(t, jobByID, jobID)
		if err != nil {
			return err
		}
		if err := allowedJob(t, by, jadwal.ActionShareJob, job); err != nil {
			return err
		}
		old, err := levelOf(t, jobID, userID)
		if err != nil {
			return err
		}
		if old == "" {
			return jadwal.Errorf(jadwal.CodeNotFound, "User with id %d has no grant for this job", userID)
		}
		if _, err := t.exec("DELETE FROM job_grant WHERE job_id = $1 AND user_id = $2", jobID, userID); err != nil {
			return err
		}
		return audited(t, by, now, "grant.remove", object("job", jobID), detail{"user_id": userID, "changes": []changed{{Field: "level", From: old}}})
	})
}

// HandOver gives a job to another user as its next version, and returns the job
// and the id of the change that puts that into force (WaitApplied); 0 when the
// user has it already. What an owner without a superuser's rights wrote keeps
// that owner's egress rules until it is edited. CodeNotFound: there is no such
// job, or the caller may not know of it; CodeValidation: there is no such user,
// or the user is disabled; CodeNameTaken: the user has a job of that name;
// CodeQuotaExceeded: the user has as many jobs as one may.
func (s *Store) HandOver(ctx context.Context, by jadwal.Actor, jobID, to int64, now time.Time) (job jadwal.Job, change int64, err error) {
	err = s.write(ctx, laneAPI, func(t *tx) error {
		var definition string
		if job, definition, err = jobWithText(t, jobID); err != nil {
			return err
		}
		if err := allowedJob(t, by, jadwal.ActionShareJob, job); err != nil {
			return err
		}
		heir, found, err := userByID(t, to)
		if err != nil {
			return err
		}
		if !found || !heir.DisabledAt.IsZero() {
			return jadwal.Invalid("owner", "unknown", "owner must be the id of a user who is enabled")
		}
		from := job.OwnerID
		if change = 0; from == to {
			return nil
		}
		if err := s.roomForJob(t, to, "The new owner has"); err != nil {
			return err
		}
		giver, _, err := userByID(t, from)
		if err != nil {
			return err
		}
		job.OwnerID, job.EgressLimited = to, job.EgressLimited || !giver.IsSuperuser
		if _, err := t.exec("UPDATE job SET owner_id = $2 WHERE id = $1", jobID, to); err != nil {
			return nameTaken(err, job.Definition.Name)
		}
		if _, err := t.exec("DELETE FROM job_grant WHERE job_id = $1 AND user_id = $2", jobID, to); err != nil {
			return err
		}
		if change, err = s.storeVersion(t, &job, definition, jadwal.Change{Kind: jadwal.ChangeEdit}, now); err != nil {
			return err
		}
		return audited(t, by, now, "job.owner", object("job", jobID),
			detail{"name": job.Definition.Name, "version": job.Version, "changes": []changed{{Field: "owner_id", From: from, To: to}}})
	})
	return job, change, err
}
