package store

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/teknohole/jadwal"
)

// audited writes one line of the audit log into the transaction of the write
// that it tells of. object is what was written, such as "user/5"; detail is
// what changed and never holds a secret. Nothing about an actor is looked up
// later: the line tells the name that it had then.
func audited(t *tx, by jadwal.Actor, now time.Time, action, object string, detail map[string]any) error {
	text := "{}"
	if len(detail) > 0 {
		b, err := json.Marshal(detail)
		if err != nil {
			return fmt.Errorf("audit %s: %w", action, err)
		}
		text = string(b)
	}
	actor, source := by.User.Username, ""
	if by.User.ID == 0 {
		actor = "operator"
	}
	if by.Source.IsValid() {
		source = by.Source.String()
	}
	_, err := t.exec(`INSERT INTO audit (at, actor_id, actor, action, object, detail, source, request_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, now, by.User.ID, actor, action, object, text, source, by.RequestID)
	return err
}
