package api

import (
	"context"
	"strconv"

	"github.com/teknohole/jadwal"
)

// secretView is a secret in an answer: without its value, which nothing tells.
type secretView struct {
	ID        int64    `json:"id" example:"3"`
	OwnerID   int64    `json:"owner_id" example:"1"`
	Name      string   `json:"name" example:"billing-token"`
	Origins   []string `json:"origins" doc:"Where it may be sent to."`
	Version   int64    `json:"version" doc:"Raised by every new value."`
	CreatedAt stamp    `json:"created_at"`
	UpdatedAt stamp    `json:"updated_at"`
}

func viewSecret(n jadwal.Secret) secretView {
	return secretView{n.ID, n.OwnerID, n.Name, n.Origins, n.Version, stamp(n.CreatedAt), stamp(n.UpdatedAt)}
}

var errNoSecret = jadwal.Errorf(jadwal.CodeNotFound, "There is no such secret")

// findSecret returns the secret that a path means, if the caller may do that to
// it.
func (s *Server) findSecret(c *call, ref secretRef, action jadwal.Action) (n jadwal.Secret, err error) {
	if ref.name != "" {
		n, err = s.store.SecretByName(c, c.user.ID, ref.name)
	} else {
		n, err = s.store.Secret(c, ref.id)
	}
	if err == nil {
		err = jadwal.Allow(c.by(), action, jadwal.Object{OwnerID: n.OwnerID})
	}
	if jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoSecret // whether it is there or not
	}
	return n, err
}

type listSecretsInput struct {
	User ofUser `query:"user"`
}

// listSecrets answers GET /secret with the secrets of the caller, or, for a
// superuser, of another user.
func (s *Server) listSecrets(ctx context.Context, in *listSecretsInput) (*reply[[]secretView], error) {
	userID, err := s.userMeant(callOf(ctx), in.User, jadwal.ActionReadSecret)
	if err != nil {
		return nil, err
	}
	all, err := s.store.Secrets(ctx, userID)
	if err != nil {
		return nil, err
	}
	views := make([]secretView, len(all))
	for i, n := range all {
		views[i] = viewSecret(n)
	}
	return ok(views, "List of secrets"), nil
}

type secretInput struct {
	Secret secretRef `path:"secret"`
}

// getSecret answers GET /secret/{secret}.
func (s *Server) getSecret(ctx context.Context, in *secretInput) (*reply[secretView], error) {
	n, err := s.findSecret(callOf(ctx), in.Secret, jadwal.ActionReadSecret)
	if err != nil {
		return nil, err
	}
	return ok(viewSecret(n), "Secret %s", n.Name), nil
}

type createSecretInput struct {
	Body secretBody
}

type secretBody struct {
	Name    string   `json:"name" doc:"Unique among the owner's secrets." example:"billing-token" pattern:"^[a-z][a-z0-9._-]{0,62}$"`
	Value   string   `json:"value" doc:"Told here, and never again." minLength:"4" maxLength:"65536"`
	Origins []string `json:"origins" doc:"Where it may be sent to: scheme, host and port, each exactly." minItems:"1" maxItems:"16"`
}

// createSecret answers POST /secret with 201 and the secret without its value.
func (s *Server) createSecret(ctx context.Context, in *createSecretInput) (*reply[secretView], error) {
	c, body := callOf(ctx), &in.Body
	origins, wrongOrigins := jadwal.CheckOrigins(body.Origins)
	var wrong []jadwal.FieldError
	wrong = appendWrong(wrong, jadwal.CheckSecretName(body.Name))
	wrong = appendWrong(wrong, jadwal.CheckSecretValue(body.Value))
	if err := invalid(append(wrong, wrongOrigins...)); err != nil {
		return nil, err
	}
	n, err := s.store.CreateSecret(ctx, c.actor(), jadwal.Secret{Name: body.Name, Origins: origins}, body.Value, c.now)
	if err != nil {
		return nil, err
	}
	return created(viewSecret(n), "Secret %s has been created successfully!", n.Name).with("Location", "/secret/"+strconv.FormatInt(n.ID, 10)), nil
}

type patchSecretInput struct {
	Secret secretRef `path:"secret"`
	Body   secretPatch
}

type secretPatch struct {
	Value   *string   `json:"value,omitempty" doc:"The new value." minLength:"4" maxLength:"65536"`
	Origins *[]string `json:"origins,omitempty" doc:"In the place of those that it has. With a new one among them the value must be sent, too." minItems:"1" maxItems:"16"`
}

// patchSecret answers PATCH /secret/{secret} with the secret as it is from now
// on: no request gets the old value any more.
func (s *Server) patchSecret(ctx context.Context, in *patchSecretInput) (*reply[secretView], error) {
	c, body := callOf(ctx), &in.Body
	var origins []string
	var wrong, wrongOrigins []jadwal.FieldError
	if body.Value != nil {
		wrong = appendWrong(wrong, jadwal.CheckSecretValue(*body.Value))
	}
	if body.Origins != nil {
		origins, wrongOrigins = jadwal.CheckOrigins(*body.Origins)
	}
	if err := invalid(append(wrong, wrongOrigins...)); err != nil {
		return nil, err
	}
	n, err := s.findSecret(c, in.Secret, jadwal.ActionWriteSecret)
	if err == nil {
		n, err = s.store.UpdateSecret(ctx, c.actor(), n.ID, body.Value, origins, c.now)
	}
	if err != nil {
		return nil, err
	}
	return ok(viewSecret(n), "Secret %s updated successfully!", n.Name), nil
}

// deleteSecret answers DELETE /secret/{secret}, unless a job of its owner's
// names it.
func (s *Server) deleteSecret(ctx context.Context, in *secretInput) (*reply[none], error) {
	c := callOf(ctx)
	n, err := s.findSecret(c, in.Secret, jadwal.ActionWriteSecret)
	if err == nil {
		err = s.store.DeleteSecret(ctx, c.actor(), n.ID, c.now)
	}
	if err != nil {
		return nil, err
	}
	return done("Secret %s has been deleted successfully!", n.Name), nil
}
