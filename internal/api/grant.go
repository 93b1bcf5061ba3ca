package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/teknohole/jadwal"
)

// grantView is what a user may do with a job.
type grantView struct {
	UserID    int64        `json:"user_id" example:"5"`
	Level     jadwal.Level `json:"level" enum:"viewer,operator,editor"`
	GrantedBy *int64       `json:"granted_by" doc:"Who gave it; null: the operator."`
	CreatedAt stamp        `json:"created_at"`
	UpdatedAt stamp        `json:"updated_at"`
}

func viewGrant(g jadwal.Grant) grantView {
	v := grantView{UserID: g.UserID, Level: g.Level, CreatedAt: stamp(g.CreatedAt), UpdatedAt: stamp(g.UpdatedAt)}
	if g.GrantedBy != 0 {
		v.GrantedBy = &g.GrantedBy
	}
	return v
}

// listGrants answers GET /job/{job}/grant with the grants of a job, by user.
func (s *Server) listGrants(ctx context.Context, in *jobInput) (*reply[[]grantView], error) {
	job, err := s.findJob(callOf(ctx), in.Job, jadwal.ActionShareJob)
	if err != nil {
		return nil, err
	}
	grants, err := s.store.Grants(ctx, job.ID)
	if err != nil {
		return nil, err
	}
	views := make([]grantView, len(grants))
	for i, g := range grants {
		views[i] = viewGrant(g)
	}
	return ok(views, "List of grants of job %s", job.Definition.Name), nil
}

type putGrantInput struct {
	Job  jobRef `path:"job"`
	User id     `path:"user"`
	Body grantBody
}

type grantBody struct {
	Level jadwal.Level `json:"level" enum:"viewer,operator,editor"`
}

// putGrant answers PUT /job/{job}/grant/{user} with 201, or 200 when the user
// had a grant already.
func (s *Server) putGrant(ctx context.Context, in *putGrantInput) (*reply[grantView], error) {
	c, userID := callOf(ctx), int64(in.User)
	if !slices.Contains(jadwal.Levels, in.Body.Level) {
		return nil, jadwal.Invalid("level", "invalid", "level must be one of %s", join(jadwal.Levels))
	}
	job, err := s.findJob(c, in.Job, jadwal.ActionShareJob)
	if err != nil {
		return nil, err
	}
	g, isNew, err := s.store.SetGrant(ctx, c.actor(), job.ID, userID, in.Body.Level, c.now)
	if err != nil {
		return nil, err
	}
	r := ok(viewGrant(g), "User with id %d is %s of job %s now!", userID, g.Level, job.Definition.Name)
	if isNew {
		r.status = http.StatusCreated
	}
	return r, nil
}

type grantInput struct {
	Job  jobRef `path:"job"`
	User id     `path:"user"`
}

// deleteGrant answers DELETE /job/{job}/grant/{user}.
func (s *Server) deleteGrant(ctx context.Context, in *grantInput) (*reply[none], error) {
	c, userID := callOf(ctx), int64(in.User)
	job, err := s.findJob(c, in.Job, jadwal.ActionShareJob)
	if err != nil {
		return nil, err
	}
	if err := s.store.RemoveGrant(ctx, c.actor(), job.ID, userID, c.now); err != nil {
		return nil, err
	}
	return done("Grant of user with id %d for job %s has been deleted successfully!", userID, job.Definition.Name), nil
}

type setOwnerInput struct {
	Job  jobRef `path:"job"`
	Body ownerBody
}

type ownerBody struct {
	Owner int64 `json:"owner" doc:"The id of the user who is to own the job." minimum:"1" example:"5"`
}

// setOwner answers POST /job/{job}/owner with the job, once no run can start
// any more with the rights of the owner before.
func (s *Server) setOwner(ctx context.Context, in *setOwnerInput) (*reply[jobView], error) {
	c := callOf(ctx)
	if in.Body.Owner <= 0 {
		return nil, jadwal.Invalid("owner", "required", "owner is required: the id of a user")
	}
	job, err := s.findJob(c, in.Job, jadwal.ActionShareJob)
	if err != nil {
		return nil, err
	}
	job, change, err := s.store.HandOver(ctx, c.actor(), job.ID, in.Body.Owner, c.now)
	if err != nil {
		return nil, err
	}
	if change != 0 {
		if err := s.waitApplied(ctx, change); err != nil {
			return nil, err
		}
		if job, err = s.store.Job(ctx, job.ID); err != nil {
			return nil, err
		}
	}
	return ok(viewJob(job, s.now()), "Job %s has been given to user with id %d successfully!", job.Definition.Name, job.OwnerID).with("Etag", etag(job.Version)), nil
}
