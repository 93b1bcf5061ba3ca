package api

import (
	"context"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// runView is a run in an answer.
type runView struct {
	ID         string          `json:"id" doc:"The same at every delivery: the Idempotency-Key that the target gets."`
	JobID      int64           `json:"job_id"`
	Version    int64           `json:"version" doc:"Of the job, that this run was made from."`
	State      jadwal.RunState `json:"state" doc:"An attempt is seen as running after a second: before that the run is queued, or, of a planned instant, in no list yet." enum:"queued,running,cancelling,succeeded,failed,cancelled,skipped,missed"`
	Reason     *jadwal.Reason  `json:"reason" doc:"Why it ended so; null for a success and while it is open."`
	Trigger    jadwal.Trigger  `json:"trigger" enum:"schedule,manual,retry,backfill"`
	DueAt      stamp           `json:"due_at"`
	ThroughAt  *stamp          `json:"through_at" doc:"Set on the record of a stretch of instants: the last of them."`
	StartedAt  *stamp          `json:"started_at"`
	FinishedAt *stamp          `json:"finished_at"`
	LatenessMS *int64          `json:"lateness_ms"`
	Attempts   int             `json:"attempts"`

	NextAttemptAt *stamp  `json:"next_attempt_at" doc:"When it is attempted again, at the earliest; null unless it waits for that."`
	RetryOf       *string `json:"retry_of" doc:"The run that this one repeats; null unless somebody asked for that."`

	StatusCode *int    `json:"status_code" doc:"The HTTP status that the target answered with."`
	Message    string  `json:"message" doc:"What went wrong, for people."`
	Output     *string `json:"output,omitzero" doc:"What the target answered, as kept; bytes that are not UTF-8 are replaced. Only in the answer for one run."`
}

func viewRun(run jadwal.Run) runView {
	v := runView{
		ID: run.Key.ID(), JobID: run.Key.JobID, Version: run.Version, State: run.State, Trigger: run.Trigger,
		DueAt: stamp(time.UnixMicro(run.Key.DueAt)), ThroughAt: stampOf(run.ThroughAt),
		StartedAt: stampOf(run.StartedAt), FinishedAt: stampOf(run.FinishedAt), LatenessMS: latenessOf(run),
		Attempts: run.Attempts, NextAttemptAt: stampOf(run.NextAttemptAt), Message: strings.ToValidUTF8(run.Message, "\uFFFD"),
	}
	if run.Reason != "" {
		v.Reason = &run.Reason
	}
	if run.StatusCode != 0 {
		v.StatusCode = &run.StatusCode
	}
	if run.RetryOf != (jadwal.RunKey{}) {
		id := run.RetryOf.ID()
		v.RetryOf = &id
	}
	return v
}

type listRunsInput struct {
	Job     jobRef      `path:"job"`
	State   runStates   `query:"state"`
	Reason  runReasons  `query:"reason"`
	Trigger runTriggers `query:"trigger"`
	From    queryTime   `query:"from"`
	To      queryTime   `query:"to"`
	Limit   limit       `query:"limit"`
	Cursor  before      `query:"cursor"`
}

// query is what in asks the store for.
func (in *listRunsInput) query() (store.RunQuery, error) {
	q := store.RunQuery{
		Before: jadwal.RunKey(in.Cursor), From: time.Time(in.From), To: time.Time(in.To),
		States: in.State, Reasons: in.Reason, Triggers: in.Trigger, Limit: in.Limit.size(),
	}
	if !q.To.IsZero() && !q.From.Before(q.To) {
		return q, jadwal.Invalid("to", "out_of_range", "to must be later than from")
	}
	return q, nil
}

// listRuns answers GET /job/{job}/run with a page of the job's runs, newest
// first.
func (s *Server) listRuns(ctx context.Context, in *listRunsInput) (*reply[[]runView], error) {
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	job, err := s.findJob(c, in.Job, jadwal.ActionReadRun)
	if err != nil {
		return nil, err
	}
	q.JobIDs = []int64{job.ID}
	return s.pageOfRuns(c, q, "List of runs of job "+job.Definition.Name)
}

type listAllRunsInput struct {
	Job     jobRef      `query:"job"`
	State   runStates   `query:"state"`
	Reason  runReasons  `query:"reason"`
	Trigger runTriggers `query:"trigger"`
	From    queryTime   `query:"from"`
	To      queryTime   `query:"to"`
	Limit   limit       `query:"limit"`
	Cursor  before      `query:"cursor"`
}

// listAllRuns answers GET /run with a page of the runs of the caller's jobs,
// of all jobs for a superuser, newest first. A job named by its id may be a
// deleted one.
func (s *Server) listAllRuns(ctx context.Context, in *listAllRunsInput) (*reply[[]runView], error) {
	q, err := (*listRunsInput)(in).query()
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	switch {
	case in.Job != jobRef{}:
		job, err := s.findJob(c, in.Job, jadwal.ActionReadRun)
		if jadwal.CodeOf(err) == jadwal.CodeNotFound && in.Job.name == "" {
			job, err = s.findDeleted(c, in.Job.id)
		}
		if err != nil {
			return nil, err
		}
		q.JobIDs = []int64{job.ID}
	case c.user.IsSuperuser:
		q.All = true
	default:
		if q.JobIDs, err = s.store.JobIDs(ctx, c.user.ID, jadwal.MaxMergedJobs+1); err != nil {
			return nil, err
		}
		if len(q.JobIDs) > jadwal.MaxMergedJobs {
			return nil, jadwal.Invalid("job", "required", "job is required, since you have more than %d jobs", jadwal.MaxMergedJobs)
		}
	}
	return s.pageOfRuns(c, q, "List of runs")
}

// findDeleted returns a job that may be deleted, if the caller may know of it.
func (s *Server) findDeleted(c *call, id int64) (jadwal.Job, error) {
	job, err := s.store.AnyJob(c, id)
	if err == nil {
		err = s.allowJob(c, jadwal.ActionReadRun, job)
	}
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoJob
	}
	return job, err
}

func (s *Server) pageOfRuns(c *call, q store.RunQuery, message string) (*reply[[]runView], error) {
	runs, next, err := s.store.ListRuns(c, q)
	if err != nil {
		return nil, err
	}
	views := make([]runView, len(runs))
	for i, run := range runs {
		views[i] = viewRun(run)
	}
	r := ok(views, "%s", message)
	if next != (jadwal.RunKey{}) {
		linkNext(r, c, next.ID())
	}
	return r, nil
}

type runInput struct {
	ID runRef `path:"id"`
}

var errNoRun = jadwal.Errorf(jadwal.CodeNotFound, "There is no such run")

// getRun answers GET /run/{id}. A planned instant that has fallen due and has
// no record yet is queued.
func (s *Server) getRun(ctx context.Context, in *runInput) (*reply[runView], error) {
	key := jadwal.RunKey(in.ID)
	run, err := s.findRun(callOf(ctx), key)
	if err != nil {
		return nil, err
	}
	view := viewRun(run)
	output := strings.ToValidUTF8(string(run.Output), "\uFFFD")
	view.Output = &output
	return ok(view, "Run %s", key.ID()), nil
}

// queuedRun is the run of an instant that is due and lies at or after the
// cursor of an enabled job: nothing of it is recorded yet. The error has
// CodeNotFound when key names no such instant.
func queuedRun(job jadwal.Job, key jadwal.RunKey, now time.Time) (jadwal.Run, error) {
	due := time.UnixMicro(key.DueAt)
	if key.N != 0 || job.State != jadwal.JobEnabled || job.NextAt.IsZero() || due.Before(job.NextAt) || due.After(now) {
		return jadwal.Run{}, errNoRun
	}
	if !due.Equal(job.NextAt) {
		plan, err := job.Definition.Plan(job.CreatedAt, job.ID)
		if err != nil {
			return jadwal.Run{}, err
		}
		if at, ok := plan.Next(due.Add(-time.Microsecond)); !ok || !at.Equal(due) {
			return jadwal.Run{}, errNoRun
		}
	}
	return jadwal.Run{Key: key, Version: job.Version, State: jadwal.RunQueued, Trigger: jadwal.TriggerSchedule}, nil
}
