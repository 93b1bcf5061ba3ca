package api

import (
	"context"
	"strings"

	"github.com/teknohole/jadwal"
)

// runJob answers POST /job/{job}/run with a new run that starts as soon as the
// job's running run has ended, even while the job is paused or completed.
func (s *Server) runJob(ctx context.Context, in *jobInput) (*reply[runView], error) {
	c := callOf(ctx)
	job, err := s.findJob(c, in.Job, jadwal.ActionOperateRun)
	if err != nil {
		return nil, err
	}
	answer := func(run jadwal.Run) *reply[runView] {
		return created(viewRun(run), "Run %s of job %s has been created successfully!", run.Key.ID(), job.Definition.Name).
			with("Location", "/run/"+run.Key.ID())
	}
	run, err := s.store.RunNow(ctx, once(c, answer), job.ID, c.now)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoJob
	}
	if err != nil {
		return nil, err
	}
	return answer(run), nil
}

// retryRun answers POST /run/{id}/retry with a new run that repeats one that
// has ended.
func (s *Server) retryRun(ctx context.Context, in *runInput) (*reply[runView], error) {
	c, key := callOf(ctx), jadwal.RunKey(in.ID)
	answer := func(run jadwal.Run) *reply[runView] {
		return created(viewRun(run), "Run %s has been created successfully!", run.Key.ID()).with("Location", "/run/"+run.Key.ID())
	}
	run, err := s.store.RetryRun(ctx, once(c, answer), key, c.now)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoRun
	}
	if err != nil {
		return nil, err
	}
	return answer(run), nil
}

// cancelRun answers POST /run/{id}/cancel once the run has been told to end.
// One that ended by itself meanwhile stays as it ended.
func (s *Server) cancelRun(ctx context.Context, in *runInput) (*reply[runView], error) {
	c, key := callOf(ctx), jadwal.RunKey(in.ID)
	change, err := s.store.CancelRun(ctx, c.actor(), key, c.now)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoRun
	}
	if err != nil {
		return nil, err
	}
	if err := s.waitApplied(ctx, change); err != nil {
		return nil, err
	}
	run, err := s.store.Run(ctx, key)
	if err != nil {
		return nil, err
	}
	switch {
	case run.State == jadwal.RunCancelled:
		return ok(viewRun(run), "Run %s has been cancelled successfully!", key.ID()), nil
	case run.State.Final():
		return ok(viewRun(run), "Run %s ended before it could be cancelled: it has %s", key.ID(), run.State), nil
	}
	return ok(viewRun(run), "Run %s is being cancelled", key.ID()), nil
}

// attemptView is one attempt of a run in an answer.
type attemptView struct {
	Attempt    int            `json:"attempt"`
	Version    int64          `json:"version" doc:"Of the job, that it ran under."`
	Reason     *jadwal.Reason `json:"reason" doc:"Why it failed; null for a success and while it runs."`
	StatusCode *int           `json:"status_code" doc:"The HTTP status that the target answered with."`
	Message    string         `json:"message" doc:"What went wrong, for people."`
	StartedAt  *stamp         `json:"started_at" doc:"Null for the last of several attempts: only the run's first start is kept."`
	FinishedAt *stamp         `json:"finished_at"`
}

func viewAttempt(a jadwal.Attempt) attemptView {
	v := attemptView{
		Attempt: a.Attempt, Version: a.Version, Message: strings.ToValidUTF8(a.Message, "\uFFFD"),
		StartedAt: stampOf(a.StartedAt), FinishedAt: stampOf(a.FinishedAt),
	}
	if a.Reason != "" {
		v.Reason = &a.Reason
	}
	if a.StatusCode != 0 {
		v.StatusCode = &a.StatusCode
	}
	return v
}

// listAttempts answers GET /run/{id}/attempt with the attempts of a run, the
// first one first. The last one is told by the run itself.
func (s *Server) listAttempts(ctx context.Context, in *runInput) (*reply[[]attemptView], error) {
	c, key := callOf(ctx), jadwal.RunKey(in.ID)
	run, err := s.findRun(c, key)
	if err != nil {
		return nil, err
	}
	attempts, err := s.store.Attempts(ctx, key)
	if err != nil {
		return nil, err
	}
	if len(attempts) < run.Attempts {
		last := jadwal.Attempt{
			Attempt: run.Attempts, Version: run.Version, Reason: run.Reason, StatusCode: run.StatusCode,
			Message: run.Message, FinishedAt: run.FinishedAt,
		}
		if run.Attempts == 1 {
			last.StartedAt = run.StartedAt
		}
		attempts = append(attempts, last)
	}
	views := make([]attemptView, len(attempts))
	for i, a := range attempts {
		views[i] = viewAttempt(a)
	}
	return ok(views, "List of attempts of run %s", key.ID()), nil
}

// findRun returns a run, if the caller may know of it.
func (s *Server) findRun(c *call, key jadwal.RunKey) (jadwal.Run, error) {
	job, err := s.store.AnyJob(c, key.JobID)
	if err == nil {
		err = s.allowJob(c, jadwal.ActionReadRun, job)
	}
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		return jadwal.Run{}, errNoRun
	}
	if err != nil {
		return jadwal.Run{}, err
	}
	run, err := s.store.Run(c, key)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		run, err = queuedRun(job, key, c.now)
	}
	return run, err
}
