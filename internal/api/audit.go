package api

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

// auditView is a line of the audit log in an answer.
type auditView struct {
	ID        int64          `json:"id"`
	At        stamp          `json:"at"`
	ActorID   *int64         `json:"actor_id" doc:"The user who did it; null: the operator or the server itself."`
	Actor     string         `json:"actor" doc:"The user's name then; operator or server." example:"admin"`
	Means     *string        `json:"means" doc:"A session or a key by its id, password, code or command; null: the server itself." example:"session/4611686018427387904"`
	Action    string         `json:"action" example:"job.edit"`
	Object    string         `json:"object" example:"job/5"`
	Detail    jadwal.RawJSON `json:"detail" doc:"An object. Its changes, if any, are what is not as before, each with field, from and to; of secrets, and of long values, only that they changed."`
	Source    *string        `json:"source" doc:"The address it was asked from." example:"192.0.2.1"`
	RequestID *string        `json:"request_id" doc:"Finds the request in the server's log."`
}

func viewAudit(l jadwal.AuditLine) auditView {
	v := auditView{
		ID: l.ID, At: stamp(l.At), Actor: l.Actor, Means: orNone(l.Means), Action: l.Action, Object: l.Object,
		Detail: l.Detail, Source: orNone(l.Source), RequestID: orNone(l.RequestID),
	}
	if l.ActorID != 0 {
		v.ActorID = &l.ActorID
	}
	return v
}

// orNone is s, nil for "".
func orNone(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

type listAuditInput struct {
	Actor  actorRef    `query:"actor"`
	Action actionWord  `query:"action"`
	Object objectWord  `query:"object"`
	From   queryTime   `query:"from"`
	To     queryTime   `query:"to"`
	Limit  limit       `query:"limit"`
	Cursor auditCursor `query:"cursor"`
}

// listAudit answers GET /audit with a page of the audit log, newest first.
func (s *Server) listAudit(ctx context.Context, in *listAuditInput) (*reply[[]auditView], error) {
	from, to := time.Time(in.From), time.Time(in.To)
	if !from.IsZero() && !to.IsZero() && !from.Before(to) {
		return nil, jadwal.Invalid("to", "out_of_range", "to must be later than from")
	}
	lines, next, err := s.store.Audit(ctx, store.AuditQuery{
		ByActor: in.Actor.given, ActorID: in.Actor.id, Action: string(in.Action), Object: string(in.Object),
		From: from, To: to, Before: store.AuditPlace(in.Cursor), Limit: in.Limit.size(),
	})
	if err != nil {
		return nil, err
	}
	views := make([]auditView, len(lines))
	for i, l := range lines {
		views[i] = viewAudit(l)
	}
	r := ok(views, "Audit log")
	if next != (store.AuditPlace{}) {
		linkNext(r, callOf(ctx), fmt.Sprintf("%d.%d", next.At, next.ID))
	}
	return r, nil
}

// actorRef is the id of a user who did something; 0 is the operator and the
// server.
type actorRef struct {
	given bool
	id    int64
}

func (v *actorRef) read(name, text string) error {
	v.given = true
	return (*id)(&v.id).read(name, text)
}

var objectPattern = regexp.MustCompile(`^[a-z-]{1,32}/[0-9A-Za-z]{1,32}$`)

// actionWord is what was done, such as job.edit.
type actionWord string

func (v *actionWord) read(name, text string) error {
	if !slices.Contains(jadwal.AuditActions, text) {
		return jadwal.Invalid(name, "invalid", "there is no action %q%s", clip(text), suggest(clip(text), jadwal.AuditActions))
	}
	*v = actionWord(text)
	return nil
}

// objectWord is what something was done to, such as job/5.
type objectWord string

func (v *objectWord) read(name, text string) error {
	if !objectPattern.MatchString(text) {
		return jadwal.Invalid(name, "invalid", "%s must be one such as job/5", name)
	}
	*v = objectWord(text)
	return nil
}

// auditCursor is where a page of the audit log begins: before that place.
type auditCursor store.AuditPlace

func (v *auditCursor) read(name, text string) error {
	at, lineID, _ := strings.Cut(text, ".")
	n, okAt := parseID(at)
	m, okID := parseID(lineID)
	if !okAt || !okID || m == 0 {
		return jadwal.Invalid(name, "invalid", "%s must be one that a Link header gave", name)
	}
	*v = auditCursor{At: n, ID: m}
	return nil
}
