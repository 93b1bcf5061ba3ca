package api

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
)

// signatureKeyView is a signature key in a list.
type signatureKeyView struct {
	ID        string `json:"id" pattern:"^[0-9A-Za-z]{11}$"`
	UserID    *int64 `json:"user_id" doc:"Whose jobs it signs for; null: it is a job's own."`
	JobID     *int64 `json:"job_id" doc:"The job that it is the own one of; null: it is a user's."`
	State     string `json:"state" doc:"A retiring one signs beside the active one." enum:"active,retiring"`
	CreatedAt stamp  `json:"created_at"`
	RetiresAt *stamp `json:"retires_at" doc:"From then on it signs no more; null: it is active."`
}

// newSignatureKeyView is a signature key when it was made.
type newSignatureKeyView struct {
	ID        string `json:"id" pattern:"^[0-9A-Za-z]{11}$"`
	UserID    *int64 `json:"user_id" doc:"Whose jobs it signs for; null: it is a job's own."`
	JobID     *int64 `json:"job_id" doc:"The job that it is the own one of; null: it is a user's."`
	State     string `json:"state" enum:"active"`
	CreatedAt stamp  `json:"created_at"`
	RetiresAt *stamp `json:"retires_at"`
	Key       string `json:"key" doc:"Shown once. What receivers verify with." example:"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" pattern:"^whsec_[0-9A-Za-z+/]{43}=$"`
}

func viewSignatureKey(k jadwal.SignatureKey) signatureKeyView {
	v := signatureKeyView{ID: jadwal.FormatKeyID(k.ID), State: "active", CreatedAt: stamp(k.CreatedAt), RetiresAt: stampOf(k.RetiresAt)}
	if !k.RetiresAt.IsZero() {
		v.State = "retiring"
	}
	if k.Of.JobID != 0 {
		v.JobID = &k.Of.JobID
	} else {
		v.UserID = &k.Of.UserID
	}
	return v
}

type listSignatureKeysInput struct {
	Job  jobRef `query:"job"`
	User ofUser `query:"user"`
}

// listSignatureKeys answers GET /signature-key with the keys of the caller, of a
// job, or, for a superuser, of another user.
func (s *Server) listSignatureKeys(ctx context.Context, in *listSignatureKeysInput) (*reply[[]signatureKeyView], error) {
	c := callOf(ctx)
	if in.Job != (jobRef{}) && in.User != 0 {
		return nil, jadwal.Invalid("user", "invalid", "user and job exclude each other")
	}
	of, err := s.signatureHolder(c, in.Job)
	if err == nil && in.User != 0 {
		of.UserID, err = s.userMeant(c, in.User, jadwal.ActionOwnSignature)
	}
	if err != nil {
		return nil, err
	}
	keys, err := s.store.SignatureKeys(ctx, of, c.now)
	if err != nil {
		return nil, err
	}
	views := make([]signatureKeyView, len(keys))
	for i, k := range keys {
		views[i] = viewSignatureKey(k)
	}
	return ok(views, "List of signature keys"), nil
}

// signatureHolder is a job, if the caller may see to its signature keys, or the
// caller, when none is given.
func (s *Server) signatureHolder(c *call, ref jobRef) (jadwal.SignatureHolder, error) {
	if ref == (jobRef{}) {
		return jadwal.SignatureHolder{UserID: c.user.ID}, nil
	}
	job, err := s.findJob(c, ref, jadwal.ActionOwnSignature)
	return jadwal.SignatureHolder{JobID: job.ID}, err
}

type createSignatureKeyInput struct {
	Body *signatureKeyBody
}

type signatureKeyBody struct {
	Job     string          `json:"job,omitempty" doc:"The id or the name of a job that is to have a key of its own; left out: it is for all jobs of the caller." example:"invoice-nightly"`
	Overlap jadwal.Duration `json:"overlap,omitempty" doc:"How much longer the key that was active signs beside the new one, up to 720h." example:"24h"`
}

func (b *signatureKeyBody) preset() { b.Overlap = jadwal.Duration(jadwal.DefaultSignatureOverlap) }

// createSignatureKey answers POST /signature-key with 201 and the key, which nothing
// tells again.
func (s *Server) createSignatureKey(ctx context.Context, in *createSignatureKeyInput) (*reply[newSignatureKeyView], error) {
	c, ref := callOf(ctx), jobRef{}
	var body signatureKeyBody
	if body.preset(); in.Body != nil {
		body = *in.Body
	}
	if body.Job != "" {
		if err := ref.read("job", body.Job); err != nil {
			return nil, err
		}
	}
	overlap := time.Duration(body.Overlap)
	if overlap < 0 || overlap > jadwal.MaxSignatureOverlap {
		return nil, jadwal.Invalid("overlap", "out_of_range", "overlap must be from 0s to %s", jadwal.Duration(jadwal.MaxSignatureOverlap))
	}
	of, err := s.signatureHolder(c, ref)
	if err != nil {
		return nil, err
	}
	key := auth.NewSignatureKey()
	k, err := s.store.CreateSignatureKey(ctx, c.actor(), of, key, overlap, c.now)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoJob
	}
	if err != nil {
		return nil, err
	}
	v := viewSignatureKey(k)
	view := newSignatureKeyView{v.ID, v.UserID, v.JobID, v.State, v.CreatedAt, v.RetiresAt, jadwal.FormatSignatureKey(key)}
	return created(view, "Signature key %s has been created successfully!", v.ID), nil
}

type signatureKeyInput struct {
	ID signatureRef `path:"id"`
}

// deleteSignatureKey answers DELETE /signature-key/{id}: the key signs nothing any
// more.
func (s *Server) deleteSignatureKey(ctx context.Context, in *signatureKeyInput) (*reply[none], error) {
	c := callOf(ctx)
	if err := s.store.DeleteSignatureKey(ctx, c.actor(), int64(in.ID), c.now); err != nil {
		return nil, err
	}
	return done("Signature key with id %s has been deleted successfully!", jadwal.FormatKeyID(int64(in.ID))), nil
}
