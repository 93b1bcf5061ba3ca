package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/teknohole/jadwal"
)

// jobColumns are read from job j, left-joined with its cursor c. A tombstone's
// cursor stays until the engine has applied the deletion.
const (
	jobColumns = `j.id, j.owner_id, j.definition, j.state, j.pause_reason, j.version, j.egress_limited, j.created_at, j.updated_at,
		c.next_at, c.last_due_at, c.last_n, c.last_state, c.last_started_at, c.last_finished_at,
		j.paused_by, j.pause_until, c.started, c.last_ready_at`
	jobTables = `job j LEFT JOIN cursor c ON c.job_id = j.id`
	jobByID   = `SELECT ` + jobColumns + ` FROM ` + jobTables + ` WHERE j.id = $1 AND j.deleted_at IS NULL`
	jobByName = `SELECT ` + jobColumns + ` FROM ` + jobTables + ` WHERE j.owner_id = $1 AND j.name = $2 AND j.deleted_at IS NULL`
)

func scanJob(t *tx, r row) (jadwal.Job, error) {
	job := jadwal.Job{
		ID: r.int(0), OwnerID: r.int(1), State: jadwal.JobState(r.text(3)), PauseReason: r.text(4),
		Version: r.int(5), EgressLimited: r.bool(6), CreatedAt: r.time(7), UpdatedAt: r.time(8), NextAt: r.time(9),
		PausedBy: r.int(15), PauseUntil: r.time(16), Started: int(r.int(17)),
	}
	if job.State != jadwal.JobEnabled {
		job.NextAt = time.Time{}
	}
	if !r.null(10) {
		job.LastRun = &jadwal.LastRun{
			Key:       jadwal.RunKey{DueAt: r.int(10), JobID: job.ID, N: uint16(r.int(11))},
			State:     jadwal.RunState(r.text(12)),
			StartedAt: r.time(13), FinishedAt: r.time(14), ReadyAt: r.time(18),
		}
	}
	return job, t.decode(job.ID, r.bytes(2), &job.Definition)
}

func errNoJob() error { return jadwal.Errorf(jadwal.CodeNotFound, "There is no such job") }

// CreateJob stores a new job with its first version and its cursor, which is
// job.NextAt, or, when that is zero, the first instant of its schedules: some
// depend on the id. A paused one has none. It sets ID, Version and the times.
// CodeNameTaken: the owner has a job of that name; CodeQuotaExceeded: as many
// as one may.
func (s *Store) CreateJob(ctx context.Context, by jadwal.Actor, job jadwal.Job, now time.Time) (jadwal.Job, error) {
	if err := keepLocked(&job.Definition, &job.Definition); err != nil {
		return job, err
	}
	now = now.Truncate(time.Microsecond).UTC()
	job.Version, job.CreatedAt, job.UpdatedAt = 1, now, now
	err := s.write(ctx, laneAPI, func(t *tx) error {
		if err := allowed(t, by, jadwal.ActionCreateJob, jadwal.Object{OwnerID: job.OwnerID}); err != nil {
			return err
		}
		if err := s.roomForJob(t, job.OwnerID, "You have"); err != nil {
			return err
		}
		if _, err := s.bind(t, by, new(jadwal.Definition), &job, now); err != nil {
			return err
		}
		definition, err := insertJob(t, &job, now)
		if err != nil {
			return err
		}
		next := job.NextAt
		if next.IsZero() && job.State != jadwal.JobPaused {
			var err error
			if next, err = job.Definition.First(now, job.ID); err != nil {
				return err
			}
		}
		if _, err := t.exec(`INSERT INTO job_version (job_id, version, definition, state, effective_at)
			VALUES ($1, 1, $2, $3, $4)`, job.ID, definition, string(job.State), now); err != nil {
			return err
		}
		if err := s.putCursor(t, job, next, now); err != nil {
			return err
		}
		made := job
		made.NextAt = next
		if err := saveAnswer(t, by, made, now); err != nil {
			return err
		}
		if err := audited(t, by, now, "job.create", object("job", job.ID), detail{"name": job.Definition.Name}); err != nil {
			return err
		}
		t.after(func() { job.NextAt = next })
		return nil
	})
	return job, err
}

// insertJob stores the row of a new job and sets its id. It returns the
// definition as it is stored. What is sealed in it needs the id first.
func insertJob(t *tx, job *jadwal.Job, now time.Time) (definition string, err error) {
	shown, secret := job.Definition, len(job.Definition.Target.SecretValues()) > 0
	if secret {
		shown.Target = shown.Target.Shown()
	}
	if definition, err = t.encode(&shown, 0, 1); err != nil {
		return "", err
	}
	if _, err := t.one(`INSERT INTO job (owner_id, name, definition, state, egress_limited, paused_by, version, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $6, $7, 1, $5, $5) RETURNING id`, func(r row) { job.ID = r.int(0) },
		job.OwnerID, job.Definition.Name, definition, string(job.State), now, job.EgressLimited, job.PausedBy); err != nil {
		return "", nameTaken(err, job.Definition.Name)
	}
	if err := noteTags(t, job.ID, nil, job.Definition.Tags); err != nil {
		return "", err
	}
	if err := noteSecrets(t, job.ID, nil, job.Definition.Target.Secrets); err != nil || !secret {
		return definition, err
	}
	if definition, err = t.encode(&job.Definition, job.ID, 1); err != nil {
		return "", err
	}
	_, err = t.exec("UPDATE job SET definition = $2 WHERE id = $1", job.ID, definition)
	return definition, err
}

// roomForJob is CodeQuotaExceeded when a user has as many jobs as one may.
// whoHas begins the sentence that says so.
func (s *Store) roomForJob(t *tx, ownerID int64, whoHas string) error {
	if s.maxJobs <= 0 {
		return nil
	}
	owner, found, err := userByID(t, ownerID)
	if err != nil || !found || owner.IsSuperuser {
		return err
	}
	have := 0
	if _, err := t.one(countOfOwnerSQL, func(r row) { have = int(r.int(0)) }, s.maxJobs, ownerID); err != nil {
		return err
	}
	if have >= s.maxJobs {
		return jadwal.Errorf(jadwal.CodeQuotaExceeded, "%s %d jobs, as many as a user may have here; delete one first", whoHas, have)
	}
	return nil
}

// putCursor stores the cursor of a new job and tells the owner of its shard.
// SQLite's engine sees by the ids of jobs which are new. PostgreSQL's do not
// follow the order of commits: there a change makes certain that it is seen.
func (s *Store) putCursor(t *tx, job jadwal.Job, next, now time.Time) error {
	if _, err := t.exec("INSERT INTO cursor (job_id, owner_id, version, next_at) VALUES ($1, $2, 1, $3)", job.ID, job.OwnerID, next); err != nil {
		return err
	}
	created := jadwal.Due{JobID: job.ID, OwnerID: job.OwnerID, Version: 1}
	if !next.IsZero() {
		created.At = next.UnixMicro()
	}
	switch {
	case t.pg == nil:
		s.tell(t, jadwal.Hint{Created: &created})
	case created.At != 0:
		_, err := s.addChange(t, jadwal.Change{JobID: job.ID, Kind: jadwal.ChangeCreate, Version: 1}, now)
		return err
	}
	return nil
}

func nameTaken(err error, name string) error {
	if isUnique(err) {
		e := jadwal.Errorf(jadwal.CodeNameTaken, "There is a job named %s already", name)
		e.Fields = []jadwal.FieldError{{Field: "name", Code: "taken", Message: e.Message}}
		return e
	}
	return err
}

// Job returns a job that is not deleted. CodeNotFound: there is none.
func (s *Store) Job(ctx context.Context, id int64) (jadwal.Job, error) {
	return s.job(ctx, jobByID, id)
}

// JobByName returns the owner's job of that name. CodeNotFound: there is none.
func (s *Store) JobByName(ctx context.Context, ownerID int64, name string) (jadwal.Job, error) {
	return s.job(ctx, jobByName, ownerID, name)
}

// AnyJob returns a job, deleted or not: history outlives its job.
// CodeNotFound: there never was one.
func (s *Store) AnyJob(ctx context.Context, id int64) (jadwal.Job, error) {
	return s.job(ctx, `SELECT `+jobColumns+` FROM `+jobTables+` WHERE j.id = $1`, id)
}

func (s *Store) job(ctx context.Context, text string, args ...any) (job jadwal.Job, err error) {
	err = s.single(ctx, func(t *tx) error {
		job, err = oneJob(t, text, args...)
		return err
	})
	return job, err
}

func oneJob(t *tx, text string, args ...any) (job jadwal.Job, err error) {
	found := false
	err = t.query(text, func(r row) error {
		found = true
		job, err = scanJob(t, r)
		return err
	}, args...)
	if err == nil && !found {
		err = errNoJob()
	}
	return job, err
}

const countOfOwnerSQL = `SELECT COUNT(*) FROM (SELECT 1 FROM job WHERE owner_id = $2 AND deleted_at IS NULL LIMIT CAST($1 AS BIGINT)) AS counted`

// UpdateJob stores a new definition or state of a job as its next version,
// with a change for the engine, and returns the job and the change's id. The
// cursor is the engine's: it moves when the change is applied (WaitApplied).
// The owner stays. A new definition ends the egress rules that are inherited
// from an owner before, unless it is written by neither the owner nor a
// superuser: then they begin. CodeNotFound: the job is gone, or not the caller's to
// know of; CodeVersionMismatch: the job is not at fromVersion; CodeNameTaken:
// the owner has another job of that name.
func (s *Store) UpdateJob(ctx context.Context, by jadwal.Actor, job jadwal.Job, fromVersion int64, now time.Time) (jadwal.Job, int64, error) {
	return s.ResumeJob(ctx, by, job, fromVersion, jadwal.CatchupNone, now)
}

// ResumeJob is UpdateJob where catchup says which of the instants of a pause
// that it ends run after all, one after the other. The others are skipped.
func (s *Store) ResumeJob(ctx context.Context, by jadwal.Actor, job jadwal.Job, fromVersion int64, catchup jadwal.Catchup, now time.Time) (jadwal.Job, int64, error) {
	change := int64(0)
	err := s.write(ctx, laneAPI, func(t *tx) error {
		before, definition, err := jobWithText(t, job.ID)
		if err != nil {
			return err
		}
		same, err := sameDefinition(&before.Definition, &job.Definition)
		if err != nil {
			return err
		}
		kind := changeKind(before.State, job.State)
		action := jadwal.ActionOperateJob
		if !same || kind == jadwal.ChangeEdit {
			action = jadwal.ActionEditJob
		}
		if err := allowedJob(t, by, action, before); err != nil {
			return err
		}
		if before.Version != fromVersion {
			return versionMismatch(before.Version, fromVersion)
		}
		if !same {
			if err := keepLocked(&before.Definition, &job.Definition); err != nil {
				return err
			}
			job.OwnerID = before.OwnerID
			if _, err := s.bind(t, by, &before.Definition, &job, now); err != nil {
				return err
			}
			if err := noteTags(t, job.ID, before.Definition.Tags, job.Definition.Tags); err != nil {
				return err
			}
			if err := noteSecrets(t, job.ID, before.Definition.Target.Secrets, job.Definition.Target.Secrets); err != nil {
				return err
			}
			if definition, err = t.encode(&job.Definition, job.ID, before.Version+1); err != nil {
				return err
			}
		}
		job.UpdatedAt, job.Version, job.Started = before.UpdatedAt, before.Version, before.Started
		job.OwnerID, job.CreatedAt, job.NextAt, job.LastRun = before.OwnerID, before.CreatedAt, before.NextAt, before.LastRun
		if job.EgressLimited, err = limitedBy(t, by, before, !same); err != nil {
			return err
		}
		if job.State != jadwal.JobPaused {
			job.PauseReason, job.PausedBy, job.PauseUntil = "", 0, time.Time{}
		}
		c := jadwal.Change{Kind: kind}
		if kind == jadwal.ChangeResume {
			c.Catchup = catchup
		}
		change, err = s.putVersion(t, by, before, &job, definition, c, now)
		return err
	})
	return job, change, err
}

// limitedBy tells whether a job, after an edit of its definition or of its
// state alone, has the egress rules of a normal user whoever owns it: nobody
// gets a superuser's by a grant for a superuser's job.
func limitedBy(t *tx, by jadwal.Actor, before jadwal.Job, edited bool) (bool, error) {
	if !edited {
		return before.EgressLimited, nil
	}
	if by.User.ID == 0 || by.User.ID == before.OwnerID {
		return false, nil
	}
	u, _, err := userByID(t, by.User.ID)
	return !u.IsSuperuser, err
}

// putVersion stores a version of a job as storeVersion does, audited with what
// is not as before.
func (s *Store) putVersion(t *tx, by jadwal.Actor, before jadwal.Job, job *jadwal.Job, definition string, c jadwal.Change, now time.Time) (change int64, err error) {
	if change, err = s.storeVersion(t, job, definition, c, now); err != nil {
		return 0, err
	}
	changes, err := changedJob(&before, job)
	if err != nil {
		return 0, err
	}
	return change, audited(t, by, now, "job."+string(c.Kind), object("job", job.ID),
		detail{"name": job.Definition.Name, "version": job.Version, "changes": changes})
}

// storeVersion stores job, whose definition as text is given, as its next
// version, with the change that puts it into force, and returns the change's
// id.
func (s *Store) storeVersion(t *tx, job *jadwal.Job, definition string, c jadwal.Change, now time.Time) (change int64, err error) {
	job.Version, job.UpdatedAt = job.Version+1, later(now, job.UpdatedAt)
	if _, err := t.exec(`UPDATE job SET name = $2, definition = $3, state = $4, pause_reason = $5, version = $6, egress_limited = $7, updated_at = $8,
			paused_by = $9, pause_until = $10
		WHERE id = $1`, job.ID, job.Definition.Name, definition, string(job.State), job.PauseReason, job.Version, job.EgressLimited, job.UpdatedAt,
		job.PausedBy, job.PauseUntil); err != nil {
		return 0, nameTaken(err, job.Definition.Name)
	}
	if _, err := t.exec(`INSERT INTO job_version (job_id, version, definition, state, effective_at) VALUES ($1, $2, $3, $4, $5)`,
		job.ID, job.Version, definition, string(job.State), now); err != nil {
		return 0, err
	}
	c.JobID, c.Version = job.ID, job.Version
	return s.addChange(t, c, now)
}

// jobWithText returns a job with its definition as it is stored.
func jobWithText(t *tx, id int64) (job jadwal.Job, definition string, err error) {
	if job, err = oneJob(t, jobByID, id); err != nil {
		return job, "", err
	}
	_, err = t.one("SELECT definition FROM job WHERE id = $1", func(r row) { definition = r.text(0) }, id)
	return job, definition, err
}

// changeKind names what a new version means to the engine.
func changeKind(before, after jadwal.JobState) jadwal.ChangeKind {
	switch {
	case after == jadwal.JobPaused && before != jadwal.JobPaused:
		return jadwal.ChangePause
	case after != jadwal.JobPaused && before == jadwal.JobPaused:
		return jadwal.ChangeResume
	}
	return jadwal.ChangeEdit
}

// payload is what a change says besides its kind, as it is stored.
type payload struct {
	Run     string         `json:"run,omitempty"`
	Catchup jadwal.Catchup `json:"catchup,omitempty"`
	Until   int64          `json:"until,omitempty"` // Unix microseconds
}

func readPayload(text []byte, c *jadwal.Change) error {
	var p payload
	if err := json.Unmarshal(text, &p); err != nil {
		return fmt.Errorf("payload of change %d: %w", c.ID, err)
	}
	c.Run, c.Catchup = runKey(p.Run), p.Catchup
	if p.Until != 0 {
		c.Until = time.UnixMicro(p.Until).UTC()
	}
	return nil
}

// addChange stores a change of c's job, kind, version and so on.
func (s *Store) addChange(t *tx, c jadwal.Change, now time.Time) (id int64, err error) {
	p := payload{Catchup: c.Catchup}
	if c.Run != (jadwal.RunKey{}) {
		p.Run = c.Run.ID()
	}
	if !c.Until.IsZero() {
		p.Until = c.Until.UnixMicro()
	}
	text, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	if _, err := t.one(`INSERT INTO change (job_id, kind, version, at, payload) VALUES ($1, $2, $3, $4, $5) RETURNING id`,
		func(r row) { id = r.int(0) }, c.JobID, string(c.Kind), c.Version, now, string(text)); err != nil {
		return 0, err
	}
	s.tell(t, jadwal.Hint{Changed: true})
	return id, nil
}

// DeleteJob makes a job a tombstone: its name is free at once, its history
// stays. It returns the id of the change that stops it (WaitApplied).
// CodeNotFound: there is no such job.
func (s *Store) DeleteJob(ctx context.Context, by jadwal.Actor, id int64, now time.Time) (int64, error) {
	return s.DeleteJobAt(ctx, by, id, 0, now)
}

// DeleteJobAt is DeleteJob for a job at that version; 0 is any.
// CodeVersionMismatch: it is at another one.
func (s *Store) DeleteJobAt(ctx context.Context, by jadwal.Actor, id, fromVersion int64, now time.Time) (int64, error) {
	change := int64(0)
	err := s.write(ctx, laneAPI, func(t *tx) (err error) {
		change, err = s.removeJob(t, by, id, fromVersion, now)
		return err
	})
	return change, err
}

func (s *Store) removeJob(t *tx, by jadwal.Actor, id, fromVersion int64, now time.Time) (change int64, err error) {
	before, err := oneJob(t, jobByID, id)
	if err != nil {
		return 0, err
	}
	if err := allowedJob(t, by, jadwal.ActionEditJob, before); err != nil {
		return 0, err
	}
	if fromVersion != 0 && before.Version != fromVersion {
		return 0, versionMismatch(before.Version, fromVersion)
	}
	name, version := before.Definition.Name, before.Version+1
	if _, err := t.exec("UPDATE job SET deleted_at = $2, updated_at = $3, version = $4 WHERE id = $1",
		id, now, later(now, before.UpdatedAt), version); err != nil {
		return 0, err
	}
	if err := noteTags(t, id, before.Definition.Tags, nil); err != nil {
		return 0, err
	}
	if change, err = s.addChange(t, jadwal.Change{JobID: id, Kind: jadwal.ChangeDelete, Version: version}, now); err != nil {
		return 0, err
	}
	return change, audited(t, by, now, "job.delete", object("job", id), detail{"name": name})
}

// resumeElapsed ends the pauses that last until now, as a user would: at most
// 500, the oldest first. Their instants from then on are planned again.
func (s *Store) resumeElapsed(ctx context.Context, now time.Time) error {
	found := false
	err := s.single(ctx, func(t *tx) (err error) {
		found, err = t.one("SELECT 1 FROM job WHERE pause_until <= $1 AND deleted_at IS NULL LIMIT 1", func(row) {}, now)
		return err
	})
	if err != nil || !found {
		return err
	}
	return s.write(ctx, laneAPI, func(t *tx) error {
		var ids []int64
		if err := t.query("SELECT id FROM job WHERE pause_until <= $1 AND deleted_at IS NULL ORDER BY pause_until LIMIT 500", func(r row) error {
			ids = append(ids, r.int(0))
			return nil
		}, now); err != nil {
			return err
		}
		for _, id := range ids {
			job, definition, err := jobWithText(t, id)
			if err != nil {
				return err
			}
			before, c := job, jadwal.Change{Kind: jadwal.ChangeResume, Until: job.PauseUntil}
			job.State, job.PauseReason, job.PausedBy, job.PauseUntil = jadwal.JobEnabled, "", 0, time.Time{}
			if _, err := s.putVersion(t, jadwal.Actor{}, before, &job, definition, c, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func versionMismatch(is, want int64) error {
	return jadwal.Errorf(jadwal.CodeVersionMismatch, "The job is at version %d, not at %d", is, want)
}
