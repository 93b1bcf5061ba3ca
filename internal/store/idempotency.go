package store

import (
	"context"
	"time"

	"github.com/teknohole/jadwal"
)

// sweepOnSave bounds how many saved answers past their time a new one takes
// out: more than one, so that they never pile up.
const sweepOnSave = 8

// SavedAnswer returns what a user's write under an Idempotency-Key was, as a
// keyed hash, and what was answered; found is false when there is none that is
// younger than jadwal.OnceFor.
func (s *Store) SavedAnswer(ctx context.Context, userID int64, key string, now time.Time) (request, answer []byte, found bool, err error) {
	err = s.single(ctx, func(t *tx) error {
		found, err = t.one("SELECT request, answer FROM idempotency WHERE user_id = $1 AND key = $2 AND created_at > $3", func(r row) {
			request, answer = r.bytes(0), r.bytes(1)
		}, userID, key, now.Add(-jadwal.OnceFor))
		return err
	})
	return request, answer, found, err
}

// saveAnswer keeps what a write that happens once has made, in its own
// transaction. CodeKeyInProgress: the key was used meanwhile.
func saveAnswer(t *tx, by jadwal.Actor, made any, now time.Time) error {
	if by.Once == nil {
		return nil
	}
	answer, err := by.Once.Answer(made)
	if err != nil {
		return err
	}
	old := now.Add(-jadwal.OnceFor)
	n, err := t.exec(`INSERT INTO idempotency (user_id, key, request, answer, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (user_id, key) DO UPDATE SET request = excluded.request, answer = excluded.answer, created_at = excluded.created_at
		WHERE idempotency.created_at <= $6`, by.User.ID, by.Once.Key, by.Once.Request, answer, now, old)
	if err != nil {
		return err
	}
	if n == 0 {
		return jadwal.ErrKeyInProgress
	}
	_, err = t.exec(`DELETE FROM idempotency WHERE (user_id, key) IN
		(SELECT user_id, key FROM idempotency WHERE created_at <= $1 ORDER BY created_at LIMIT CAST($2 AS BIGINT))`, old, sweepOnSave)
	return err
}
