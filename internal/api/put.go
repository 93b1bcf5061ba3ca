package api

import (
	"context"
	"strconv"

	"github.com/teknohole/jadwal"
)

// jobPut is a whole job in the place of another. Its name may be left out.
type jobPut jobBody

func (b *jobPut) preset() { (*jobBody)(b).preset() }

type putJobInput struct {
	Job         jobRef       `path:"job"`
	IfMatch     precondition `header:"If-Match"`
	IfNoneMatch onlyNew      `header:"If-None-Match"`
	Body        jobPut
}

var (
	errJobExists  = jadwal.Errorf(jadwal.CodeVersionMismatch, "There is such a job already, and If-None-Match says that there must be none")
	errNoJobMatch = jadwal.Errorf(jadwal.CodeVersionMismatch, "There is no such job yet, and If-Match says that there must be one")
)

// putJob answers PUT /job/{job}: a name that the caller has no job of creates
// one, 201; else the body takes the place of the whole definition, 200, once no
// run can start from the old one. The state stays.
func (s *Server) putJob(ctx context.Context, in *putJobInput) (*reply[jobView], error) {
	c := callOf(ctx)
	body := jobBody(in.Body)
	switch {
	case in.Job.name == "":
	case body.Name == "":
		body.Name = in.Job.name
	case body.Name != in.Job.name:
		return nil, jadwal.Invalid("name", "mismatch", "name must be that of the path, %s; PATCH gives a job another one", in.Job.name)
	}
	if body.Name != "" {
		d := body.definition()
		if keeps := body.Target.TLS.HasClientKey; keeps != nil && *keeps {
			d.Target.TLS.ClientCert = "" // whether they fit is known once the key is there
		}
		if err := d.Validate(); err != nil {
			return nil, err
		}
	}
	for range editTries {
		_, err := s.findJob(c, in.Job, jadwal.ActionEditJob)
		there := err == nil
		switch {
		case err != nil && (jadwal.CodeOf(err) != jadwal.CodeNotFound || in.Job.name == ""):
			return nil, err
		case there && bool(in.IfNoneMatch):
			return nil, errJobExists
		case !there && in.IfMatch.given:
			return nil, errNoJobMatch
		}
		if !there {
			d, err := body.create()
			if err != nil {
				return nil, err
			}
			r, err := s.createFrom(c, jadwal.Job{Definition: d, State: jadwal.JobEnabled})
			if jadwal.CodeOf(err) == jadwal.CodeNameTaken {
				continue // somebody was quicker
			}
			return r, err
		}
		r, err := s.replaceJob(c, in, body)
		if jadwal.CodeOf(err) == jadwal.CodeNotFound && in.Job.name != "" {
			continue // it was deleted meanwhile
		}
		return r, err
	}
	return nil, errBusyJob
}

// createFrom stores a new job of the caller's.
func (s *Server) createFrom(c *call, job jadwal.Job) (*reply[jobView], error) {
	job.OwnerID = c.user.ID
	if err := job.Definition.Validate(); err != nil {
		return nil, err
	}
	if job.State != jadwal.JobPaused {
		if _, err := job.Definition.First(c.now, 0); err != nil {
			return nil, err
		}
	}
	answer := func(job jadwal.Job) *reply[jobView] {
		return created(viewJob(job, s.now()), "Job %s has been created successfully!", job.Definition.Name).
			with("Etag", etag(job.Version)).
			with("Location", "/job/"+strconv.FormatInt(job.ID, 10))
	}
	job, err := s.store.CreateJob(c, once(c, answer), job, c.now)
	if err != nil {
		return nil, err
	}
	return answer(job), nil
}

// replaceJob puts body in the place of a job's definition.
func (s *Server) replaceJob(c *call, in *putJobInput, body jobBody) (*reply[jobView], error) {
	job, err := s.changeJob(c, in.Job, jadwal.ActionEditJob, in.IfMatch, func(job *jadwal.Job) error {
		after, err := body.replace(job)
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

// redefine gives a job another definition, with the state that follows from
// it. It is errNoChange when it is the one that the job has.
func redefine(c *call, job *jadwal.Job, after jadwal.Definition) error {
	if err := after.Validate(); err != nil {
		return err
	}
	differences, err := jadwal.Differences(&job.Definition, &after)
	switch {
	case err != nil:
		return err
	case len(differences) == 0:
		return errNoChange
	}
	if err := after.CheckEdit(&job.Definition, c.now); err != nil {
		return err
	}
	job.State, err = after.StateAfterEdit(job.State, job.CreatedAt, c.now, job.ID)
	job.Definition = after
	return err
}

type cloneJobInput struct {
	Job  jobRef `path:"job"`
	Body cloneBody
}

type cloneBody struct {
	Name   string `json:"name" doc:"Of the new job." pattern:"^[a-z][a-z0-9._-]{0,62}$"`
	Paused bool   `json:"paused,omitempty" doc:"Whether the new job waits to be resumed."`
}

// cloneJob answers POST /job/{job}/clone with a new job of the caller's with
// the same definition, secret headers included. What a deleted user left keeps
// that user's egress rules.
func (s *Server) cloneJob(ctx context.Context, in *cloneJobInput) (*reply[jobView], error) {
	c := callOf(ctx)
	if wrong := jadwal.CheckJobName(in.Body.Name); wrong != nil {
		return nil, jadwal.InvalidFields(*wrong)
	}
	source, err := s.findJob(c, in.Job, jadwal.ActionCloneJob)
	if err != nil {
		return nil, err
	}
	copied := jadwal.Job{Definition: source.Definition, State: jadwal.JobEnabled, EgressLimited: source.EgressLimited}
	copied.Definition.Name = in.Body.Name
	if in.Body.Paused {
		copied.State, copied.PausedBy = jadwal.JobPaused, c.user.ID
	}
	return s.createFrom(c, copied)
}
