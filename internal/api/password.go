package api

import (
	"context"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
)

type changePasswordInput struct {
	Body passwordChange
}

type passwordChange struct {
	CurrentPassword string `json:"current_password" example:"arbath123"`
	NewPassword     string `json:"new_password" doc:"8 to 1024 bytes, not the current one." example:"correct horse"`
}

var (
	errWrongPassword = jadwal.Errorf(jadwal.CodeWrongPassword, "The current password is wrong")
	errBadCode       = jadwal.Errorf(jadwal.CodeInvalidLogin, "The code is not valid, has expired or was used")
)

// changePassword answers POST /user/me/password: the password is another one
// and all other sessions of the caller's are dead. A wrong current password
// counts as a failed sign-in does, so that nobody guesses it with a token.
func (s *Server) changePassword(ctx context.Context, in *changePasswordInput) (*reply[none], error) {
	c, body := callOf(ctx), &in.Body
	if err := required("current_password", body.CurrentPassword, "new_password", body.NewPassword); err != nil {
		return nil, err
	}
	if err := checkNewPassword(body.NewPassword, c.user); err != nil {
		return nil, err
	}
	stored, err := s.store.Credentials(ctx, c.user.Username)
	if jadwal.CodeOf(err) == jadwal.CodeNotFound || err == nil && stored.ID != c.user.ID {
		return nil, errBadToken // renamed or deleted since the request began
	}
	if err != nil {
		return nil, err
	}
	attempt, err := s.limiter.Begin(ctx, c.source(), stored.Username, c.now)
	if err != nil {
		return nil, err
	}
	if err = s.verify(c, stored, body.CurrentPassword); jadwal.CodeOf(err) == jadwal.CodeInvalidLogin {
		attempt.Fail(s.now())
		return nil, errWrongPassword
	}
	attempt.Release(s.now())
	if err != nil {
		return nil, err
	}
	if body.NewPassword == body.CurrentPassword {
		return nil, jadwal.Invalid("new_password", "unchanged", "new_password must not be the current one")
	}
	hash, err := s.hasher.Hash(ctx, body.NewPassword)
	if err != nil {
		return nil, err
	}
	if err := s.store.ChangePassword(ctx, c.actor(), stored.PasswordHash, hash, c.now); err != nil {
		return nil, err
	}
	return done("Password changed successfully!"), nil
}

// checkNewPassword returns what is wrong with a new password of a user.
func checkNewPassword(password string, u jadwal.User) error {
	e := jadwal.CheckPassword(password, u.Username, u.Email)
	if e == nil {
		return nil
	}
	return jadwal.Invalid("new_password", e.Code, "new_%s", e.Message)
}

// resetView is a code that sets a password.
type resetView struct {
	Code      string `json:"code" doc:"Shown once." pattern:"^jdr_[0-9A-Za-z]{49}$"`
	ExpiresAt stamp  `json:"expires_at"`
}

// startReset answers POST /user/{id}/password/reset with a code that sets the
// user's password once. The old password is good until then, so that a code
// that is never used locks nobody out; who must be out at once is disabled.
func (s *Server) startReset(ctx context.Context, in *userIDInput) (*reply[resetView], error) {
	c, id := callOf(ctx), int64(in.ID)
	code, hash := auth.NewResetCode(id)
	expires := c.now.Add(s.resetLifetime)
	if err := s.store.StartReset(ctx, c.actor(), id, hash, expires, c.now); err != nil {
		return nil, err
	}
	return created(resetView{code, stamp(expires)}, "A code for user with id %d has been created successfully!", id), nil
}

type redeemResetInput struct {
	Body passwordReset
}

type passwordReset struct {
	Code        string `json:"code" doc:"As the superuser was given it."`
	NewPassword string `json:"new_password" doc:"8 to 1024 bytes." example:"correct horse"`
}

// redeemReset answers POST /user/password/reset: the password is another one
// and all sessions of the code's user are dead. A code that is wrong costs no
// hash of a password.
func (s *Server) redeemReset(ctx context.Context, in *redeemResetInput) (*reply[none], error) {
	c, body := callOf(ctx), &in.Body
	if err := required("code", body.Code, "new_password", body.NewPassword); err != nil {
		return nil, err
	}
	id, codeHash, ok := auth.ParseResetCode(body.Code)
	if !ok {
		return nil, errBadCode
	}
	user, err := s.store.ResetUser(ctx, id, codeHash, c.now)
	if jadwal.CodeOf(err) == jadwal.CodeInvalidLogin {
		return nil, errBadCode
	}
	if err != nil {
		return nil, err
	}
	if err := checkNewPassword(body.NewPassword, user); err != nil {
		return nil, err
	}
	hash, err := s.hasher.Hash(ctx, body.NewPassword)
	if err != nil {
		return nil, err
	}
	c.user = user
	by := c.actor()
	by.Means = "code"
	err = s.store.RedeemReset(ctx, by, codeHash, hash, c.now)
	if jadwal.CodeOf(err) == jadwal.CodeInvalidLogin {
		return nil, errBadCode // somebody was quicker
	}
	if err != nil {
		return nil, err
	}
	return done("Password reset successfully!"), nil
}
