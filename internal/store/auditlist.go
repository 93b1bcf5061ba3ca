package store

import (
	"context"
	"math"
	"time"

	"github.com/teknohole/jadwal"
)

// AuditQuery asks for a page of the audit log. Empty members ask for any.
type AuditQuery struct {
	ByActor  bool  // only what ActorID did; 0: the operator and the server
	ActorID  int64 // a user
	Action   string
	Object   string
	From, To time.Time // at From or later, and before To
	Before   AuditPlace
	Limit    int
}

// AuditPlace is a line's place in the order of the log; the zero AuditPlace is
// behind the newest.
type AuditPlace struct{ At, ID int64 } // At in Unix microseconds

const (
	auditColumns = "id, at, actor_id, actor, means, action, object, detail, source, request_id"
	auditOrder   = " AND (at, id) < ($1, $2) AND at >= $3 ORDER BY at DESC, id DESC LIMIT CAST($4 AS BIGINT)"

	auditOfAllSQL    = "SELECT " + auditColumns + " FROM audit WHERE (at, id) < ($1, $2) AND at >= $3 ORDER BY at DESC, id DESC LIMIT CAST($4 AS BIGINT)"
	auditOfActorSQL  = "SELECT " + auditColumns + " FROM audit WHERE actor_id = $5" + auditOrder
	auditOfObjectSQL = "SELECT " + auditColumns + " FROM audit WHERE object = $5" + auditOrder
)

// Audit returns a page of the audit log, newest first, and the place that the
// next page begins before, zero when there is none. Where few of many lines are
// asked for a page ends early: it looks at 20,000 lines at most.
func (s *Store) Audit(ctx context.Context, q AuditQuery) (lines []jadwal.AuditLine, next AuditPlace, err error) {
	text, args := auditOfAllSQL, []any{}
	switch {
	case q.Object != "":
		text, args = auditOfObjectSQL, []any{q.Object}
	case q.ByActor:
		text, args = auditOfActorSQL, []any{q.ActorID}
	}
	before, from := q.Before, int64(math.MinInt64)
	if before == (AuditPlace{}) {
		before = AuditPlace{math.MaxInt64, 0}
	}
	if to := q.To.UnixMicro(); !q.To.IsZero() && to <= before.At {
		before = AuditPlace{to, 0}
	}
	if !q.From.IsZero() {
		from = q.From.UnixMicro()
	}
	err = s.read(ctx, func(t *tx) error {
		lines, next = lines[:0], AuditPlace{}
		place, at, scanned := before, before, 0
		for piece := min(q.Limit+1, maxPiece); ; piece = min(2*piece, maxPiece) {
			read := 0
			err := t.query(text, func(r row) error {
				read++
				scanned++
				at = AuditPlace{r.int(1), r.int(0)}
				if len(lines) <= q.Limit && q.wants(r) {
					lines = append(lines, scanAudit(r))
				}
				return nil
			}, append([]any{place.At, place.ID, from, piece}, args...)...)
			switch {
			case err != nil:
				return err
			case len(lines) > q.Limit:
				lines = lines[:q.Limit]
				last := lines[q.Limit-1]
				next = AuditPlace{last.At.UnixMicro(), last.ID}
				return nil
			case read < piece:
				return nil
			case scanned >= maxScan:
				next = at
				return nil
			}
			place = at
		}
	})
	return lines, next, err
}

// wants tells whether a line is asked for, besides what its query sees to.
func (q *AuditQuery) wants(r row) bool {
	return (!q.ByActor || r.int(2) == q.ActorID) && (q.Action == "" || r.text(5) == q.Action)
}

func scanAudit(r row) jadwal.AuditLine {
	return jadwal.AuditLine{
		ID: r.int(0), At: r.time(1), ActorID: r.int(2), Actor: r.text(3), Means: r.text(4), Action: r.text(5), Object: r.text(6),
		Detail: jadwal.RawJSON(r.text(7)), Source: r.text(8), RequestID: r.text(9),
	}
}
