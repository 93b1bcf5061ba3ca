package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/teknohole/jadwal"
)

// sessionView is a sign-in in an answer.
type sessionView struct {
	ID         string `json:"id" doc:"Public; it gives nobody access." example:"4611686018427387904"`
	UserID     int64  `json:"user_id" example:"1"`
	CreatedAt  stamp  `json:"created_at"`
	LastUsedAt stamp  `json:"last_used_at" doc:"Within a minute."`
	ExpiresAt  stamp  `json:"expires_at" doc:"When it ends unless it is refreshed before."`
	Source     string `json:"source" doc:"The address that it was started from." example:"192.0.2.1"`
	UserAgent  string `json:"user_agent" doc:"What the client that started it called itself." example:"curl/8.14.1"`
	Current    bool   `json:"current" doc:"Whether it is the one that asks."`
}

type listSessionsInput struct {
	User ofUser `query:"user"`
}

// listSessions answers GET /session with the live sessions of the caller, or,
// for a superuser, of another user.
func (s *Server) listSessions(ctx context.Context, in *listSessionsInput) (*reply[[]sessionView], error) {
	c := callOf(ctx)
	userID, err := s.userMeant(c, in.User, jadwal.ActionOwnSession)
	if err != nil {
		return nil, err
	}
	sessions, err := s.store.Sessions(ctx, userID)
	if err != nil {
		return nil, err
	}
	views := []sessionView{}
	for _, n := range sessions {
		end := s.tokens.RefreshEnd(n)
		if !c.now.Before(end) {
			continue
		}
		views = append(views, sessionView{
			ID: strconv.FormatInt(n.ID, 10), UserID: n.UserID, CreatedAt: stamp(n.CreatedAt), LastUsedAt: stamp(n.UsedAt), ExpiresAt: stamp(end),
			Source: n.Source, UserAgent: n.UserAgent, Current: n.ID == c.session.ID,
		})
	}
	return ok(views, "List of sessions"), nil
}

var errNoUser = jadwal.Errorf(jadwal.CodeNotFound, "There is no such user")

// userMeant is the user that a list is asked of: the caller unless another one
// is named, who must be there and not be out of the caller's sight.
func (s *Server) userMeant(c *call, user ofUser, action jadwal.Action) (int64, error) {
	if user == 0 {
		return c.user.ID, nil
	}
	err := jadwal.Allow(c.by(), action, jadwal.Object{OwnerID: int64(user)})
	if _, there := s.store.UserByID(int64(user)); err == nil && there {
		return int64(user), nil
	}
	if err == nil || jadwal.CodeOf(err) == jadwal.CodeNotFound {
		err = errNoUser
	}
	return 0, err
}

type sessionInput struct {
	ID sessionRef `path:"id"`
}

// deleteSession answers DELETE /session/{id}: a session of the caller's, or,
// for a superuser, of anybody's, is dead.
func (s *Server) deleteSession(ctx context.Context, in *sessionInput) (*reply[none], error) {
	c := callOf(ctx)
	if err := s.store.EndSession(ctx, c.actor(), int64(in.ID), c.now); err != nil {
		return nil, err
	}
	return done("Session with id %d has been ended successfully!", int64(in.ID)), nil
}

// userAgent is what a client calls itself, as it is kept.
func userAgent(h http.Header) string {
	name := h.Get("User-Agent")
	return strings.ToValidUTF8(name[:min(len(name), jadwal.MaxUserAgent)], "")
}
