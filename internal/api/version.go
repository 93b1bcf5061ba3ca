package api

import (
	"context"
	"strconv"

	"github.com/teknohole/jadwal"
)

// versionView is a version of a job in a list.
type versionView struct {
	Version     int64            `json:"version"`
	State       jadwal.JobState  `json:"state" enum:"enabled,paused,completed"`
	EffectiveAt stamp            `json:"effective_at" doc:"Its instants are those after this one, up to the next version's."`
	Changes     []differenceView `json:"changes" doc:"What is not as in the version before; empty for the first that is kept."`
}

// pastView is one version of a job.
type pastView struct {
	Version     int64            `json:"version"`
	State       jadwal.JobState  `json:"state" enum:"enabled,paused,completed"`
	EffectiveAt stamp            `json:"effective_at" doc:"Its instants are those after this one, up to the next version's."`
	Changes     []differenceView `json:"changes" doc:"What is not as in the version before; empty for the first that is kept."`
	Job         jobView          `json:"job" doc:"The job as it was; next_at and last_run are null."`
}

type differenceView struct {
	Field  string         `json:"field" example:"target.url"`
	From   jadwal.RawJSON `json:"from" doc:"Null where it was not there."`
	To     jadwal.RawJSON `json:"to" doc:"Null where it is not there any more."`
	Secret bool           `json:"secret" doc:"Its values are never shown: only that it differs is told."`
}

// changesBetween is what differs in two versions of a job.
func changesBetween(before, after *jadwal.JobVersion) ([]differenceView, error) {
	views := []differenceView{}
	if before == nil {
		return views, nil
	}
	differences, err := jadwal.Differences(&before.Definition, &after.Definition)
	if err != nil {
		return nil, err
	}
	for _, d := range differences {
		views = append(views, differenceView(d))
	}
	if before.State != after.State {
		views = append(views, differenceView{Field: "state", From: quoted(before.State), To: quoted(after.State)})
	}
	return views, nil
}

func quoted(state jadwal.JobState) jadwal.RawJSON {
	return jadwal.RawJSON(appendString(nil, string(state)))
}

type listVersionsInput struct {
	Job    jobRef `path:"job"`
	Limit  limit  `query:"limit"`
	Cursor after  `query:"cursor"`
}

// listVersions answers GET /job/{job}/version with what changed in each
// version, newest first.
func (s *Server) listVersions(ctx context.Context, in *listVersionsInput) (*reply[[]versionView], error) {
	c := callOf(ctx)
	job, err := s.findJob(c, in.Job, jadwal.ActionReadJob)
	if err != nil {
		return nil, err
	}
	// One more than is shown: what the last one is compared with.
	versions, more, err := s.store.Versions(ctx, job.ID, int64(in.Cursor), in.Limit.size()+1)
	if err != nil {
		return nil, err
	}
	shown := len(versions)
	if more || shown > in.Limit.size() {
		shown--
	}
	views := make([]versionView, shown)
	for i := range views {
		v, before := &versions[i], (*jadwal.JobVersion)(nil)
		if i+1 < len(versions) {
			before = &versions[i+1]
		}
		changes, err := changesBetween(before, v)
		if err != nil {
			return nil, err
		}
		views[i] = versionView{v.Version, v.State, stamp(v.EffectiveAt), changes}
	}
	r := ok(views, "List of versions of job %s", job.Definition.Name)
	if shown < len(versions) {
		linkNext(r, c, strconv.FormatInt(versions[shown-1].Version, 10))
	}
	return r, nil
}

type versionInput struct {
	Job     jobRef     `path:"job"`
	Version versionRef `path:"n"`
}

// getVersion answers GET /job/{job}/version/{n} with the job as it was then.
func (s *Server) getVersion(ctx context.Context, in *versionInput) (*reply[pastView], error) {
	job, err := s.findJob(callOf(ctx), in.Job, jadwal.ActionReadJob)
	if err != nil {
		return nil, err
	}
	v, err := s.store.Version(ctx, job.ID, int64(in.Version))
	if err != nil {
		return nil, err
	}
	var before *jadwal.JobVersion
	b, err := s.store.Version(ctx, job.ID, v.Version-1)
	switch {
	case err == nil:
		before = &b
	case jadwal.CodeOf(err) != jadwal.CodeNotFound:
		return nil, err
	}
	changes, err := changesBetween(before, &v)
	if err != nil {
		return nil, err
	}
	past := jadwal.Job{
		ID: job.ID, OwnerID: job.OwnerID, Definition: v.Definition, State: v.State, Version: v.Version,
		CreatedAt: job.CreatedAt, UpdatedAt: v.EffectiveAt,
	}
	return ok(pastView{v.Version, v.State, stamp(v.EffectiveAt), changes, viewJob(past, s.now())},
		"Version %d of job %s", v.Version, job.Definition.Name), nil
}

type restoreInput struct {
	Job     jobRef       `path:"job"`
	Version versionRef   `path:"n"`
	IfMatch precondition `header:"If-Match"`
}

// restoreVersion answers POST /job/{job}/version/{n}/restore once the old
// definition, secret headers included, is in force again as a new version. The
// state stays.
func (s *Server) restoreVersion(ctx context.Context, in *restoreInput) (*reply[jobView], error) {
	c := callOf(ctx)
	job, err := s.changeJob(c, in.Job, jadwal.ActionEditJob, in.IfMatch, func(job *jadwal.Job) error {
		v, err := s.store.Version(c, job.ID, int64(in.Version))
		if err != nil {
			return err
		}
		return redefine(c, job, v.Definition)
	})
	if err != nil {
		return nil, err
	}
	return ok(viewJob(job, s.now()), "Version %d of job %s has been restored successfully!", int64(in.Version), job.Definition.Name).
		with("Etag", etag(job.Version)), nil
}
