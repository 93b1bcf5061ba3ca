package api

import (
	"context"
	"strconv"

	"github.com/teknohole/jadwal"
)

// userView is a user in an answer.
type userView struct {
	ID          int64  `json:"id" example:"1"`
	Username    string `json:"username" example:"admin"`
	Email       string `json:"email" example:"admin@teknohole.com"`
	IsSuperuser bool   `json:"is_superuser"`
	CreatedAt   stamp  `json:"created_at"`
	UpdatedAt   stamp  `json:"updated_at"`
}

func viewUser(u jadwal.User) userView {
	return userView{u.ID, u.Username, u.Email, u.IsSuperuser, stamp(u.CreatedAt), stamp(u.UpdatedAt)}
}

func (v *userView) appendJSON(b []byte) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, v.ID, 10)
	b = append(b, `,"username":`...)
	b = appendString(b, v.Username)
	b = append(b, `,"email":`...)
	b = appendString(b, v.Email)
	b = append(b, `,"is_superuser":`...)
	b = strconv.AppendBool(b, v.IsSuperuser)
	b = append(b, `,"created_at":"`...)
	b = v.CreatedAt.append(b)
	b = append(b, `","updated_at":"`...)
	b = v.UpdatedAt.append(b)
	return append(b, `"}`...)
}

// userViews is a list of users in an answer.
type userViews []userView

func (l *userViews) appendJSON(b []byte) []byte {
	b = append(b, '[')
	for i := range *l {
		if i > 0 {
			b = append(b, ',')
		}
		b = (*l)[i].appendJSON(b)
	}
	return append(b, ']')
}

// getMe answers GET /user/me with the user who asks, without a query.
func (s *Server) getMe(ctx context.Context, _ *none) (*reply[userView], error) {
	user := callOf(ctx).user
	return ok(viewUser(user), "Welcome %s!", user.Username), nil
}

type patchMeInput struct {
	Body userPatch
}

// userPatch is what users may change of themselves.
type userPatch struct {
	Username    *string `json:"username,omitempty" doc:"The new name. It is unique without regard to case." pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"`
	Email       *string `json:"email,omitempty" doc:"The new address. It is unique without regard to case." maxLength:"254"`
	IsSuperuser *bool   `json:"is_superuser,omitempty" doc:"Only a superuser may send true."`
}

// patchMe answers PATCH /user/me with the user as stored. A body without
// members changes nothing.
func (s *Server) patchMe(ctx context.Context, in *patchMeInput) (*reply[userView], error) {
	c := callOf(ctx)
	patch := jadwal.UserPatch(in.Body)
	if err := checkUserPatch(patch); err != nil {
		return nil, err
	}
	user, err := s.store.UpdateUser(ctx, c.actor(), c.user.ID, patch, c.now)
	if err != nil {
		return nil, err
	}
	return ok(viewUser(user), "Profile updated successfully!"), nil
}

func checkUserPatch(p jadwal.UserPatch) error {
	var wrong []jadwal.FieldError
	if p.Username != nil {
		wrong = appendWrong(wrong, jadwal.CheckUsername(*p.Username))
	}
	if p.Email != nil {
		wrong = appendWrong(wrong, jadwal.CheckEmail(*p.Email))
	}
	return invalid(wrong)
}

func appendWrong(wrong []jadwal.FieldError, e *jadwal.FieldError) []jadwal.FieldError {
	if e == nil {
		return wrong
	}
	return append(wrong, *e)
}

// invalid is the error of all that is wrong, nil when nothing is.
func invalid(wrong []jadwal.FieldError) error {
	if len(wrong) == 0 {
		return nil
	}
	return jadwal.InvalidFields(wrong...)
}

// listUsers answers GET /user with all users, by id.
func (s *Server) listUsers(ctx context.Context, _ *none) (*reply[userViews], error) {
	users, err := s.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	views := make(userViews, len(users))
	for i, u := range users {
		views[i] = viewUser(u)
	}
	return ok(views, "List of all users"), nil
}

type createUserInput struct {
	Body newUser
}

type newUser struct {
	Username    string `json:"username" example:"arbath" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"`
	Password    string `json:"password" doc:"8 to 1024 bytes; never comes back." example:"arbath123"`
	Email       string `json:"email" example:"arbath@teknohole.com" maxLength:"254"`
	IsSuperuser bool   `json:"is_superuser,omitempty" doc:"Left out: false."`
}

// createUser answers POST /user with 201 and the stored user.
func (s *Server) createUser(ctx context.Context, in *createUserInput) (*reply[userView], error) {
	c, body := callOf(ctx), &in.Body
	var wrong []jadwal.FieldError
	wrong = appendWrong(wrong, jadwal.CheckUsername(body.Username))
	wrong = appendWrong(wrong, jadwal.CheckEmail(body.Email))
	wrong = appendWrong(wrong, jadwal.CheckPassword(body.Password, body.Username, body.Email))
	if err := invalid(wrong); err != nil {
		return nil, err
	}
	hash, err := s.hasher.Hash(ctx, body.Password)
	if err != nil {
		return nil, err
	}
	answer := func(user jadwal.User) *reply[userView] {
		return created(viewUser(user), "User %s has been created successfully!", user.Username)
	}
	user, err := s.store.CreateUser(ctx, once(c, answer), jadwal.NewUser{
		Username: body.Username, Email: body.Email, PasswordHash: hash, IsSuperuser: body.IsSuperuser,
	}, c.now)
	if err != nil {
		return nil, err
	}
	return answer(user), nil
}

type userIDInput struct {
	ID id `path:"id"`
}

// deleteUser answers DELETE /user/{id}. The user's jobs go to the caller.
func (s *Server) deleteUser(ctx context.Context, in *userIDInput) (*reply[none], error) {
	c := callOf(ctx)
	if err := s.store.DeleteUser(ctx, c.actor(), int64(in.ID), c.now); err != nil {
		return nil, err
	}
	return done("User with id %d has been deleted successfully!", int64(in.ID)), nil
}

// getUser answers GET /user/{id}.
func (s *Server) getUser(ctx context.Context, in *userIDInput) (*reply[userView], error) {
	user, err := s.store.User(ctx, int64(in.ID))
	if err != nil {
		return nil, err
	}
	return ok(viewUser(user), "User %s", user.Username), nil
}

type patchUserInput struct {
	ID   id `path:"id"`
	Body userPatch
}

// patchUser answers PATCH /user/{id} with the user as stored. A body without
// members changes nothing.
func (s *Server) patchUser(ctx context.Context, in *patchUserInput) (*reply[userView], error) {
	c := callOf(ctx)
	patch := jadwal.UserPatch(in.Body)
	if err := checkUserPatch(patch); err != nil {
		return nil, err
	}
	user, err := s.store.UpdateUser(ctx, c.actor(), int64(in.ID), patch, c.now)
	if err != nil {
		return nil, err
	}
	return ok(viewUser(user), "User with id %d updated successfully!", user.ID), nil
}

// userStatusView is what the fixed user object does not tell.
type userStatusView struct {
	UserID         int64  `json:"user_id" example:"5"`
	DisabledAt     *stamp `json:"disabled_at" doc:"Since when the user has no rights; null: the user is enabled."`
	Sessions       int    `json:"sessions" doc:"How many sign-ins are alive."`
	Keys           int    `json:"keys" doc:"How many API keys have not expired."`
	ResetExpiresAt *stamp `json:"reset_expires_at" doc:"Until when a code can set the password; null: there is none."`
}

// viewStatus reads and shows a user's status.
func (s *Server) viewStatus(c *call, userID int64) (userStatusView, error) {
	st, err := s.store.UserStatus(c, userID, s.tokens.IdleSince(c.now), c.now)
	return userStatusView{userID, stampOf(st.DisabledAt), st.Sessions, st.Keys, stampOf(st.ResetUntil)}, err
}

// getUserStatus answers GET /user/{id}/status.
func (s *Server) getUserStatus(ctx context.Context, in *userIDInput) (*reply[userStatusView], error) {
	view, err := s.viewStatus(callOf(ctx), int64(in.ID))
	if err != nil {
		return nil, err
	}
	return ok(view, "Status of user with id %d", view.UserID), nil
}

// disableUser answers POST /user/{id}/disable with the user's status.
func (s *Server) disableUser(ctx context.Context, in *userIDInput) (*reply[userStatusView], error) {
	return s.setDisabled(callOf(ctx), int64(in.ID), true, "disabled")
}

// enableUser answers POST /user/{id}/enable with the user's status.
func (s *Server) enableUser(ctx context.Context, in *userIDInput) (*reply[userStatusView], error) {
	return s.setDisabled(callOf(ctx), int64(in.ID), false, "enabled")
}

func (s *Server) setDisabled(c *call, userID int64, disabled bool, word string) (*reply[userStatusView], error) {
	if err := s.store.DisableUser(c, c.actor(), userID, disabled, c.now); err != nil {
		return nil, err
	}
	view, err := s.viewStatus(c, userID)
	if err != nil {
		return nil, err
	}
	return ok(view, "User with id %d has been %s successfully!", userID, word), nil
}
