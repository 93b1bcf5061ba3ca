package api

import (
	"context"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
)

// tokens is the pair that a client works with.
type tokens struct {
	AccessToken  string `json:"access_token" doc:"Sent as Authorization: Bearer. Keep it safe."`
	RefreshToken string `json:"refresh_token" doc:"Traded once for a new pair. Keep it safe."`
}

func (t *tokens) appendJSON(b []byte) []byte {
	b = append(b, `{"access_token":`...)
	b = appendString(b, t.AccessToken)
	b = append(b, `,"refresh_token":`...)
	b = appendString(b, t.RefreshToken)
	return append(b, '}')
}

// pair makes the tokens of a session as it stands.
func (s *Server) pair(c *call, session jadwal.Session) tokens {
	access, refresh := s.tokens.Pair(session, c.now)
	return tokens{access, refresh}
}

type loginInput struct {
	Body credentials
}

type credentials struct {
	Identifier string `json:"identifier" doc:"A username or an email, in any case." example:"admin"`
	Password   string `json:"password" example:"admin123"`
}

// errInvalidLogin is the answer to every sign-in that fails, whatever the
// reason.
var errInvalidLogin = jadwal.Errorf(jadwal.CodeInvalidLogin, "Invalid credentials")

// login answers POST /login with a pair of tokens.
func (s *Server) login(ctx context.Context, in *loginInput) (*reply[tokens], error) {
	c, body := callOf(ctx), &in.Body
	if err := required("identifier", body.Identifier, "password", body.Password); err != nil {
		return nil, err
	}
	stored, err := s.store.Credentials(ctx, body.Identifier)
	known := err == nil
	if !known && jadwal.CodeOf(err) != jadwal.CodeNotFound {
		return nil, err
	}
	account := body.Identifier
	if known { // its username and its email are one account
		account = stored.Username
	}
	attempt, err := s.limiter.Begin(ctx, c.source(), account, c.now)
	if err != nil {
		return nil, err
	}
	failed := false
	defer func() {
		if failed {
			attempt.Fail(s.now())
		} else {
			attempt.Release(s.now())
		}
	}()
	session, err := s.startSession(c, stored, known, body.Password)
	if failed = jadwal.CodeOf(err) == jadwal.CodeInvalidLogin; failed {
		return nil, errInvalidLogin
	}
	if err != nil {
		return nil, err
	}
	return ok(s.pair(c, session), "Login success!"), nil
}

// startSession checks a password and starts a session. Its error has
// CodeInvalidLogin for a wrong password, an unknown name, a disabled user, and
// the password of a first start from elsewhere: all after one hash.
func (s *Server) startSession(c *call, stored jadwal.Credentials, known bool, password string) (jadwal.Session, error) {
	if !known {
		if err := s.hasher.VerifyNobody(c, password); err != nil {
			return jadwal.Session{}, err
		}
		return jadwal.Session{}, errInvalidLogin
	}
	if err := s.verify(c, stored, password); err != nil {
		return jadwal.Session{}, err
	}
	c.user = stored.User
	by := c.actor()
	by.UserAgent, by.Means = userAgent(c.request.Header), "password"
	return s.store.StartSession(c, by, c.now, s.tokens.SessionEnd(c.now), stored.PasswordHash)
}

// verify checks a user's password. CodeInvalidLogin: it is wrong, or no good
// for this user or from here.
func (s *Server) verify(c *call, stored jadwal.Credentials, password string) error {
	right, err := s.hasher.Verify(c, stored.PasswordHash, password)
	switch {
	case err != nil:
		return err
	case !right, !stored.DisabledAt.IsZero(), stored.Bootstrap && !auth.BootstrapAllowed(c.peer(), c.request):
		return errInvalidLogin
	}
	return nil
}

// required refuses the first of pairs of name and value that is empty.
func required(pairs ...string) error {
	var wrong []jadwal.FieldError
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			wrong = append(wrong, jadwal.FieldError{Field: pairs[i], Code: "required", Message: pairs[i] + " is required"})
		}
	}
	return invalid(wrong)
}

type refreshInput struct {
	Body refreshToken
}

type refreshToken struct {
	RefreshToken string `json:"refresh_token"`
}

var errBadRefresh = jadwal.Errorf(jadwal.CodeInvalidToken, "The refresh token is not valid or has expired")

// refresh answers POST /refresh/token with a new pair of tokens.
func (s *Server) refresh(ctx context.Context, in *refreshInput) (*reply[tokens], error) {
	c := callOf(ctx)
	if err := required("refresh_token", in.Body.RefreshToken); err != nil {
		return nil, err
	}
	claims, err := s.tokens.ParseRefresh(in.Body.RefreshToken, c.now)
	if err != nil {
		return nil, errBadRefresh
	}
	session, rotation, err := s.store.RotateSession(ctx, claims.SessionID, claims.Generation, c.now)
	switch {
	case jadwal.CodeOf(err) == jadwal.CodeNotFound:
		return nil, errBadRefresh
	case err != nil:
		return nil, err
	case rotation != jadwal.RotationNext && rotation != jadwal.RotationRepeat:
		return nil, errBadRefresh
	}
	return ok(s.pair(c, session), "Refresh success!"), nil
}

// logout answers POST /logout: the caller's session dies, and that of the
// refresh token, when it is another one of the caller's.
func (s *Server) logout(ctx context.Context, in *refreshInput) (*reply[none], error) {
	c := callOf(ctx)
	if err := required("refresh_token", in.Body.RefreshToken); err != nil {
		return nil, err
	}
	claims, err := s.tokens.ParseRefresh(in.Body.RefreshToken, c.now)
	if err != nil {
		return nil, errBadRefresh
	}
	user, session, live, err := s.store.Identity(ctx, claims.SessionID)
	switch {
	case err != nil:
		return nil, err
	case !live || user.ID != claims.UserID || !c.now.Before(session.ExpiresAt):
		return nil, errBadRefresh
	case user.ID != c.user.ID:
		return nil, jadwal.Errorf(jadwal.CodeForbidden, "The refresh token belongs to another user")
	}
	ids := []int64{c.session.ID}
	if session.ID != c.session.ID {
		ids = append(ids, session.ID)
	}
	if err := s.store.EndSessions(ctx, c.actor(), c.now, ids...); err != nil {
		return nil, err
	}
	return done("Logout successful!"), nil
}
