package store

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/teknohole/jadwal"
)

// detail is what a line of the audit log tells besides who did what to what.
// Under "changes" is a list of what is not as it was.
type detail map[string]any

// changed is a member that is not as it was. Of secrets, and of values that are
// long, only that is told.
type changed struct {
	Field  string `json:"field"`
	From   any    `json:"from,omitempty"`
	To     any    `json:"to,omitempty"`
	Secret bool   `json:"secret,omitempty"`
	Long   bool   `json:"long,omitempty"`
}

// The longest values that a line tells, in bytes: of one member, old and new
// together, and of all.
const (
	maxChanged     = 1 << 10
	maxChangedLine = 16 << 10
)

// changedJob is what is not as it was in a job, without what may not be told.
func changedJob(before, after *jadwal.Job) ([]changed, error) {
	differences, err := jadwal.Differences(&before.Definition, &after.Definition)
	if err != nil {
		return nil, err
	}
	all, room := []changed{}, maxChangedLine
	for _, d := range differences {
		c := changed{Field: d.Field, Secret: d.Secret}
		if size := len(d.From) + len(d.To); size > min(maxChanged, room) {
			c.Long = true
		} else {
			room -= size
			c.From, c.To = raw(d.From), raw(d.To) // neither, of a secret
		}
		all = append(all, c)
	}
	if before.State != after.State {
		all = append(all, changed{Field: "state", From: before.State, To: after.State})
	}
	if before.PauseReason != after.PauseReason {
		all = append(all, changed{Field: "pause.reason", From: before.PauseReason, To: after.PauseReason})
	}
	return all, nil
}

// raw is JSON as it is; nil for none.
func raw(text jadwal.RawJSON) any {
	if len(text) == 0 {
		return nil
	}
	return json.RawMessage(text)
}

// instantText writes an instant as answers do.
func instantText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// audited writes one line of the audit log into the transaction of the write
// that it tells of. object is what was written, such as "user/5"; d is
// what changed and never holds a secret. Nothing about an actor is looked up
// later: the line tells the name that it had then.
func audited(t *tx, by jadwal.Actor, now time.Time, action, object string, d detail) error {
	text := "{}"
	if len(d) > 0 {
		b, err := json.Marshal(d)
		if err != nil {
			return fmt.Errorf("audit %s: %w", action, err)
		}
		text = string(b)
	}
	actor := by.User.Username
	if actor == "" {
		actor = "server"
	}
	_, err := t.exec(`INSERT INTO audit (at, actor_id, actor, action, object, detail, source, request_id, means)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, now, by.User.ID, actor, action, object, text, sourceOf(by), by.RequestID, meansOf(by))
	return err
}

// sourceOf is the address that somebody asks from; "" for none.
func sourceOf(by jadwal.Actor) string {
	if !by.Source.IsValid() {
		return ""
	}
	return by.Source.String()
}

// meansOf is by what somebody asks.
func meansOf(by jadwal.Actor) string {
	switch {
	case by.Key != nil:
		return keyObject(by.Key.ID)
	case by.SessionID != 0:
		return object("session", by.SessionID)
	}
	return by.Means
}

// object names what a line of the audit log is about: "user/5".
func object(kind string, id int64) string { return kind + "/" + strconv.FormatInt(id, 10) }

// allowed asks jadwal.Allow with the caller's rights as they are in this
// transaction: a demotion that was committed first wins. An actor without a
// user is the operator or the server itself, who may do everything. A caller
// who is deleted or disabled, or whose session or key has ended since the
// request began, gets CodeInvalidToken.
func allowed(t *tx, by jadwal.Actor, action jadwal.Action, on jadwal.Object) error {
	if by.User.ID == 0 {
		return nil
	}
	u, found, err := userByID(t, by.User.ID)
	if err != nil {
		return err
	}
	if found && by.SessionID != 0 {
		found, err = t.one("SELECT 1 FROM session WHERE id = $1 AND user_id = $2", func(row) {}, by.SessionID, u.ID)
		if err != nil {
			return err
		}
	}
	if found && by.Key != nil {
		found, err = t.one("SELECT 1 FROM api_key WHERE id = $1 AND user_id = $2", func(row) {}, by.Key.ID, u.ID)
		if err != nil {
			return err
		}
	}
	if !found || !u.DisabledAt.IsZero() {
		return jadwal.Errorf(jadwal.CodeInvalidToken, "The token is not valid")
	}
	by.User = u
	return jadwal.Allow(by, action, on)
}
