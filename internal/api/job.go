package api

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// editTries is how often an edit without If-Match begins again when somebody
// else's came in between.
const editTries = 5

type createJobInput struct {
	Body jobBody
}

// createJob answers POST /job with 201 and the stored job.
func (s *Server) createJob(ctx context.Context, in *createJobInput) (*reply[jobView], error) {
	d, err := in.Body.create()
	if err != nil {
		return nil, err
	}
	return s.createFrom(callOf(ctx), jadwal.Job{Definition: d, State: jadwal.JobEnabled})
}

type listJobsInput struct {
	Limit  limit   `query:"limit"`
	Cursor after   `query:"cursor"`
	Count  boolean `query:"count"`
	Owner  ofOwner `query:"owner"`

	State jobStates `query:"state"`
	Tag   jobTags   `query:"tag"`
}

// listJobs answers GET /job with a page of the jobs that the caller may see, by
// id: for a superuser all.
func (s *Server) listJobs(ctx context.Context, in *listJobsInput) (*reply[[]jobView], error) {
	c := callOf(ctx)
	q := store.JobQuery{
		OwnerID: int64(in.Owner), SeenBy: c.user.ID, States: in.State, Tags: in.Tag, AfterID: int64(in.Cursor), Limit: in.Limit.size(),
	}
	if c.user.IsSuperuser {
		q.SeenBy = 0
		if _, there := s.store.UserByID(q.OwnerID); q.OwnerID != 0 && !there {
			return nil, errNoUser
		}
	}
	jobs, next, err := s.store.Jobs(ctx, q)
	if err != nil {
		return nil, err
	}
	views := make([]jobView, len(jobs))
	for i, job := range jobs {
		views[i] = viewJob(job, s.now())
	}
	r := ok(views, "List of jobs")
	if next != 0 {
		linkNext(r, c, strconv.FormatInt(next, 10))
	}
	if in.Count {
		total, exact, err := s.store.CountJobs(ctx, q)
		if err != nil {
			return nil, err
		}
		r.with("X-Total-Count", strconv.Itoa(total))
		if !exact {
			r.with("X-Total-Count-Exact", "false")
		}
	}
	return r, nil
}

type jobInput struct {
	Job jobRef `path:"job"`
}

// getJob answers GET /job/{job}.
func (s *Server) getJob(ctx context.Context, in *jobInput) (*reply[jobView], error) {
	job, err := s.findJob(callOf(ctx), in.Job, jadwal.ActionReadJob)
	if err != nil {
		return nil, err
	}
	return ok(viewJob(job, s.now()), "Job %s", job.Definition.Name).with("Etag", etag(job.Version)), nil
}

// findJob returns the job that a path means, if the caller may do that to it.
func (s *Server) findJob(c *call, ref jobRef, action jadwal.Action) (job jadwal.Job, err error) {
	if ref.name != "" {
		job, err = s.store.JobByName(c, c.user.ID, ref.name)
	} else {
		job, err = s.store.Job(c, ref.id)
	}
	if err == nil {
		err = s.allowJob(c, action, job)
	}
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoJob // whether it is there or not
	}
	return job, err
}

// allowJob asks whether the caller may do that to a job, as its owner or by a
// grant. CodeNotFound: the caller may not know of it.
func (s *Server) allowJob(c *call, action jadwal.Action, job jadwal.Job) error {
	on := jadwal.Object{OwnerID: job.OwnerID}
	if job.OwnerID != c.user.ID && !c.user.IsSuperuser {
		var err error
		if on.Level, err = s.store.Level(c, job.ID, c.user.ID); err != nil {
			return err
		}
	}
	return jadwal.Allow(c.by(), action, on)
}

var (
	errNoJob        = jadwal.Errorf(jadwal.CodeNotFound, "There is no such job")
	errBusyJob      = jadwal.Errorf(jadwal.CodeConflict, "The job was changed by others again and again; try later")
	errStaleVersion = jadwal.Errorf(jadwal.CodeVersionMismatch, "The job is not at the version that If-Match names; read it again")
)

type patchJobInput struct {
	Job     jobRef       `path:"job"`
	IfMatch precondition `header:"If-Match"`
	Body    jobPatch
}

// patchJob answers PATCH /job/{job} with the job as stored, once no run can
// start from the old definition any more.
func (s *Server) patchJob(ctx context.Context, in *patchJobInput) (*reply[jobView], error) {
	c := callOf(ctx)
	job, err := s.changeJob(c, in.Job, jadwal.ActionEditJob, in.IfMatch, func(job *jadwal.Job) error {
		if in.Body.isEmpty() {
			return errNoChange
		}
		after, err := in.Body.apply(job)
		if err != nil {
			return err
		}
		return redefine(c, job, after)
	})
	if err != nil {
		return nil, err
	}
	return ok(viewJob(job, s.now()), "Job %s updated successfully!", job.Definition.Name).with("Etag", etag(job.Version)), nil
}

// errNoChange is what an edit returns that changes nothing.
var errNoChange = errors.New("no change")

// changeJob reads a job, changes it by edit, stores it, and waits until the
// engine has applied it. Without a precondition it begins again when somebody
// else's change came in between.
func (s *Server) changeJob(c *call, ref jobRef, action jadwal.Action, match precondition, edit func(*jadwal.Job) error) (jadwal.Job, error) {
	return s.changeJobAndCatchUp(c, ref, action, match, jadwal.CatchupNone, edit)
}

// changeJobAndCatchUp is changeJob where catchup says what becomes of the
// instants of a pause that the edit ends.
func (s *Server) changeJobAndCatchUp(c *call, ref jobRef, action jadwal.Action, match precondition, catchup jadwal.Catchup, edit func(*jadwal.Job) error) (jadwal.Job, error) {
	for try := 1; ; try++ {
		job, err := s.findJob(c, ref, action)
		if err != nil {
			return job, err
		}
		if !match.allows(job.Version) {
			return job, errStaleVersion
		}
		from := job.Version
		if err := edit(&job); err == errNoChange {
			if err := s.settled(c, job.ID); err != nil {
				return job, err
			}
			return s.store.Job(c, job.ID)
		} else if err != nil {
			return job, err
		}
		job, change, err := s.store.ResumeJob(c, c.actor(), job, from, catchup, c.now)
		if jadwal.CodeOf(err) == jadwal.CodeVersionMismatch {
			switch {
			case match.given:
				return job, errStaleVersion
			case try == editTries:
				return job, errBusyJob
			}
			continue
		}
		if err != nil {
			return job, err
		}
		if err := s.waitApplied(c, change); err != nil {
			return job, err
		}
		return s.store.Job(c, job.ID)
	}
}

// settled waits until the engine has applied what was asked of a job so far:
// who repeats a change because its answer was lost is told no sooner than the
// first one would have been.
func (s *Server) settled(ctx context.Context, jobID int64) error {
	change, err := s.store.LastChange(ctx, jobID)
	if err != nil || change == 0 {
		return err
	}
	return s.waitApplied(ctx, change)
}

func (s *Server) waitApplied(ctx context.Context, changeID int64) error {
	ctx, cancel := context.WithTimeout(ctx, s.applyWait)
	defer cancel()
	return s.store.WaitApplied(ctx, changeID)
}

type deleteJobInput struct {
	Job     jobRef       `path:"job"`
	IfMatch precondition `header:"If-Match"`
}

// deleteJob answers DELETE /job/{job} once no run of it can start any more.
func (s *Server) deleteJob(ctx context.Context, in *deleteJobInput) (*reply[none], error) {
	c := callOf(ctx)
	job, err := s.findJob(c, in.Job, jadwal.ActionEditJob)
	if err != nil {
		return nil, err
	}
	if !in.IfMatch.allows(job.Version) {
		return nil, errStaleVersion
	}
	version := int64(0)
	if in.IfMatch.given && !in.IfMatch.any {
		version = job.Version
	}
	change, err := s.store.DeleteJobAt(ctx, c.actor(), job.ID, version, c.now)
	switch jadwal.CodeOf(err) {
	case "":
	case jadwal.CodeNotFound:
		return nil, errNoJob
	case jadwal.CodeVersionMismatch:
		return nil, errStaleVersion
	default:
		return nil, err
	}
	if err := s.waitApplied(ctx, change); err != nil {
		return nil, err
	}
	return done("Job %s has been deleted successfully!", job.Definition.Name), nil
}

type pauseJobInput struct {
	Job  jobRef `path:"job"`
	Body *pauseBody
}

type pauseBody struct {
	Reason string   `json:"reason,omitempty" doc:"Why, for people." maxLength:"512"`
	Until  *instant `json:"until,omitempty" doc:"When the job is resumed by itself; instants from then on are planned again."`
}

// pauseJob answers POST /job/{job}/pause once nothing of the job starts any
// more. A paused job may be paused again for another reason or until another
// time.
func (s *Server) pauseJob(ctx context.Context, in *pauseJobInput) (*reply[jobView], error) {
	c := callOf(ctx)
	reason, until := "", time.Time{}
	if in.Body != nil {
		reason = in.Body.Reason
		if in.Body.Until != nil {
			until = time.Time(*in.Body.Until).UTC().Truncate(time.Microsecond)
			if !until.After(c.now) {
				return nil, jadwal.Invalid("until", "in_past", "until must lie in the future")
			}
		}
	}
	if len(reason) > jadwal.MaxPauseReason {
		return nil, jadwal.Invalid("reason", "too_long", "reason must have at most %d bytes, got %d", jadwal.MaxPauseReason, len(reason))
	}
	job, err := s.changeJob(c, in.Job, jadwal.ActionOperateJob, precondition{}, func(job *jadwal.Job) error {
		if job.State == jadwal.JobPaused && job.PauseReason == reason && job.PauseUntil.Equal(until) {
			return errNoChange
		}
		job.State, job.PauseReason, job.PausedBy, job.PauseUntil = jadwal.JobPaused, reason, c.user.ID, until
		return nil
	})
	if err != nil {
		return nil, err
	}
	return ok(viewJob(job, s.now()), "Job %s has been paused successfully!", job.Definition.Name).with("Etag", etag(job.Version)), nil
}

type resumeJobInput struct {
	Job  jobRef `path:"job"`
	Body *resumeBody
}

type resumeBody struct {
	Catchup jadwal.Catchup `json:"catchup,omitempty" doc:"Which of the instants of the pause run after all: none, the latest, or all, of which there are at most 100, one after the other." enum:"none,latest,all"`
}

func (b *resumeBody) preset() { b.Catchup = jadwal.CatchupNone }

// resumeJob answers POST /job/{job}/resume once the job is planned again. What
// was due during the pause is recorded as skipped, unless it is to be made up
// for.
func (s *Server) resumeJob(ctx context.Context, in *resumeJobInput) (*reply[jobView], error) {
	c := callOf(ctx)
	catchup := jadwal.CatchupNone
	if in.Body != nil {
		catchup = in.Body.Catchup
	}
	switch catchup {
	case jadwal.CatchupNone, jadwal.CatchupLatest, jadwal.CatchupAll:
	default:
		return nil, jadwal.Invalid("catchup", "invalid", "catchup must be one of none, latest, all")
	}
	job, err := s.changeJobAndCatchUp(c, in.Job, jadwal.ActionOperateJob, precondition{}, catchup, func(job *jadwal.Job) (err error) {
		if job.State != jadwal.JobPaused {
			return errNoChange
		}
		job.State, err = job.Definition.StateAfterEdit(jadwal.JobEnabled, job.CreatedAt, c.now, job.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ok(viewJob(job, s.now()), "Job %s has been resumed successfully!", job.Definition.Name).with("Etag", etag(job.Version)), nil
}

// linkNext tells where the next page of a list begins (RFC 8288); next is ""
// on the last page.
func linkNext[T any](r *reply[T], c *call, next string) {
	if next == "" {
		return
	}
	query := c.request.URL.Query()
	query.Set("cursor", next)
	r.with("Link", "<"+c.path+"?"+query.Encode()+`>; rel="next"`)
}
