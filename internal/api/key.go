package api

import (
	"context"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/auth"
)

// keyView is an API key in a list.
type keyView struct {
	ID         string         `json:"id" doc:"Public: what follows jdw_ in the key itself." pattern:"^[0-9A-Za-z]{11}$"`
	UserID     int64          `json:"user_id" example:"1"`
	Name       string         `json:"name" example:"deploy"`
	Scopes     []jadwal.Scope `json:"scopes" enum:"job:read,job:write,run:read,run:write,secret:read,secret:write,audit:read,user:read,metrics:read"`
	CreatedAt  stamp          `json:"created_at"`
	ExpiresAt  *stamp         `json:"expires_at" doc:"Null: never."`
	LastUsedAt *stamp         `json:"last_used_at" doc:"Within a minute; null: never."`
}

// newKeyView is an API key when it was made.
type newKeyView struct {
	ID         string         `json:"id" doc:"Public: what follows jdw_ in the key itself." pattern:"^[0-9A-Za-z]{11}$"`
	UserID     int64          `json:"user_id" example:"1"`
	Name       string         `json:"name" example:"deploy"`
	Scopes     []jadwal.Scope `json:"scopes" enum:"job:read,job:write,run:read,run:write,secret:read,secret:write,audit:read,user:read,metrics:read"`
	CreatedAt  stamp          `json:"created_at"`
	ExpiresAt  *stamp         `json:"expires_at" doc:"Null: never."`
	LastUsedAt *stamp         `json:"last_used_at" doc:"Within a minute; null: never."`
	Key        string         `json:"key" doc:"Shown once. Keep it safe." pattern:"^jdw_[0-9A-Za-z]{49}$"`
}

func viewKey(k jadwal.Key) keyView {
	return keyView{jadwal.FormatKeyID(k.ID), k.UserID, k.Name, k.Scopes, stamp(k.CreatedAt), stampOf(k.ExpiresAt), stampOf(k.UsedAt)}
}

type listKeysInput struct {
	User ofUser `query:"user"`
}

// listKeys answers GET /key with the keys of the caller, or, for a superuser,
// of another user.
func (s *Server) listKeys(ctx context.Context, in *listKeysInput) (*reply[[]keyView], error) {
	userID, err := s.userMeant(callOf(ctx), in.User, jadwal.ActionOwnKey)
	if err != nil {
		return nil, err
	}
	keys, err := s.store.Keys(ctx, userID)
	if err != nil {
		return nil, err
	}
	views := make([]keyView, len(keys))
	for i, k := range keys {
		views[i] = viewKey(k)
	}
	return ok(views, "List of API keys"), nil
}

type createKeyInput struct {
	Body keyBody
}

type keyBody struct {
	Name      string         `json:"name" doc:"For people; need not be unique." example:"deploy" maxLength:"100"`
	Scopes    []jadwal.Scope `json:"scopes" enum:"job:read,job:write,run:read,run:write,secret:read,secret:write,audit:read,user:read,metrics:read"`
	ExpiresAt expiry         `json:"expires_at,omitzero" doc:"Left out: in 90 days. Null: never, where the server allows that."`
}

// expiry is an instant, null, or left out, as JSON.
type expiry struct{ text string }

// UnmarshalJSON keeps the text of any value; keyEnd judges it.
func (e *expiry) UnmarshalJSON(b []byte) error {
	e.text = string(b)
	return nil
}

// createKey answers POST /key with 201 and the key, which nothing tells again.
func (s *Server) createKey(ctx context.Context, in *createKeyInput) (*reply[newKeyView], error) {
	c, body := callOf(ctx), &in.Body
	wrong := jadwal.CheckKey(body.Name, body.Scopes)
	expires, e := s.keyEnd(body.ExpiresAt, c.now)
	if err := invalid(appendWrong(wrong, e)); err != nil {
		return nil, err
	}
	id, text, hash := auth.NewKey()
	k, err := s.store.CreateKey(ctx, c.actor(), jadwal.Key{ID: id, Name: body.Name, Scopes: body.Scopes, ExpiresAt: expires}, hash, c.now)
	if err != nil {
		return nil, err
	}
	v := viewKey(k)
	view := newKeyView{v.ID, v.UserID, v.Name, v.Scopes, v.CreatedAt, v.ExpiresAt, v.LastUsedAt, text}
	return created(view, "API key %s has been created successfully!", k.Name), nil
}

// keyEnd is when a new key expires, zero for never, as its body says.
func (s *Server) keyEnd(e expiry, now time.Time) (time.Time, *jadwal.FieldError) {
	longest := s.maxKeyLife
	switch {
	case e.text == "" && longest == 0:
		return now.Add(jadwal.DefaultKeyLifetime), nil
	case e.text == "":
		return now.Add(min(jadwal.DefaultKeyLifetime, longest)), nil
	case e.text == "null" && longest == 0:
		return time.Time{}, nil
	case e.text == "null":
		return time.Time{}, &jadwal.FieldError{Field: "expires_at", Code: "out_of_range", Message: "expires_at must not be null: keys expire on this server"}
	}
	var at instant
	if err := json.Unmarshal([]byte(e.text), &at); err != nil {
		return time.Time{}, &jadwal.FieldError{Field: "expires_at", Code: "invalid", Message: "expires_at must be an instant such as 2026-12-31T23:00:00Z"}
	}
	end := time.Time(at).UTC().Truncate(time.Microsecond)
	switch {
	case !end.After(now):
		return time.Time{}, &jadwal.FieldError{Field: "expires_at", Code: "in_past", Message: "expires_at must lie in the future"}
	case longest != 0 && end.After(now.Add(longest)):
		return time.Time{}, &jadwal.FieldError{Field: "expires_at", Code: "out_of_range", Message: "expires_at must be at most " + jadwal.Duration(longest).String() + " from now"}
	}
	return end, nil
}

type keyInput struct {
	ID keyRef `path:"id"`
}

// deleteKey answers DELETE /key/{id}: a key of the caller's, or, for a
// superuser, of anybody's, is dead.
func (s *Server) deleteKey(ctx context.Context, in *keyInput) (*reply[none], error) {
	c := callOf(ctx)
	if err := s.store.DeleteKey(ctx, c.actor(), int64(in.ID), c.now); err != nil {
		return nil, err
	}
	return done("API key with id %s has been deleted successfully!", jadwal.FormatKeyID(int64(in.ID))), nil
}
