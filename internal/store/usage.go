package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	usageStep  = time.Minute // how exactly it is known when something was last used
	usageBatch = 500         // rows of one write
)

// usage is when things were last used, by their ids. A use costs no write: what
// is new is written once a minute.
type usage struct {
	mu sync.RWMutex
	at map[int64]time.Time // of what was used since that was last written
}

// mark notes that something is used at now.
func (u *usage) mark(id int64, now time.Time) {
	u.mu.RLock()
	last, known := u.at[id]
	u.mu.RUnlock()
	if known && now.Sub(last) < usageStep {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at == nil {
		u.at = map[int64]time.Time{}
	}
	u.at[id] = now.Truncate(time.Microsecond).UTC()
}

// latest is when something was last used, stored being what is stored of that.
func (u *usage) latest(id int64, stored time.Time) time.Time {
	u.mu.RLock()
	defer u.mu.RUnlock()
	if at, known := u.at[id]; known && at.After(stored) {
		return at
	}
	return stored
}

// SessionUsed notes that a session makes a request at now.
func (s *Store) SessionUsed(id int64, now time.Time) { s.usedSessions.mark(id, now) }

// KeyUsed notes that an API key makes a request at now.
func (s *Store) KeyUsed(id int64, now time.Time) { s.usedKeys.mark(id, now) }

// WriteUsage stores when sessions and keys were last used, as far as that is
// not stored yet. Keep calls it once a minute and at its end.
func (s *Store) WriteUsage(ctx context.Context) error {
	return errors.Join(s.writeUsage(ctx, &s.usedSessions, "session"), s.writeUsage(ctx, &s.usedKeys, "api_key"))
}

// lastUsage is WriteUsage at the end, which nothing waits for: only a minute of
// it is lost.
func (s *Store) lastUsage(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = s.WriteUsage(ctx)
}

func (s *Store) writeUsage(ctx context.Context, u *usage, table string) error {
	u.mu.RLock()
	ids := make([]int64, 0, len(u.at))
	for id := range u.at {
		ids = append(ids, id)
	}
	u.mu.RUnlock()
	for len(ids) > 0 {
		batch := ids[:min(len(ids), usageBatch)]
		ids = ids[len(batch):]
		written := make(map[int64]time.Time, len(batch))
		u.mu.RLock()
		for _, id := range batch {
			written[id] = u.at[id]
		}
		u.mu.RUnlock()
		if err := s.write(ctx, laneBatch, func(t *tx) error { return storeUsage(t, table, batch, written) }); err != nil {
			return err
		}
		u.mu.Lock()
		for id, at := range written {
			if u.at[id].Equal(at) {
				delete(u.at, id)
			}
		}
		u.mu.Unlock()
	}
	return nil
}

// storeUsage stores when rows of a table were used, unless it has a later use:
// on PostgreSQL by one statement, so that locks are not held over round trips.
func storeUsage(t *tx, table string, ids []int64, at map[int64]time.Time) error {
	if t.pg != nil {
		times := make([]int64, len(ids))
		for i, id := range ids {
			times[i] = at[id].UnixMicro()
		}
		_, err := t.exec("UPDATE "+table+` SET used_at = u.at FROM unnest($1::bigint[], $2::bigint[]) AS u (id, at)
			WHERE `+table+".id = u.id AND (used_at IS NULL OR used_at < u.at)", ids, times)
		return err
	}
	for _, id := range ids {
		if _, err := t.exec("UPDATE "+table+" SET used_at = $2 WHERE id = $1 AND (used_at IS NULL OR used_at < $2)", id, at[id]); err != nil {
			return err
		}
	}
	return nil
}
