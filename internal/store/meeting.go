package store

import (
	"context"
	"sync"
	"time"

	"github.com/teknohole/jadwal"
)

// meeting is where the API and the engine meet: hints one way, word of applied
// changes the other.
type meeting struct {
	mu      sync.Mutex
	tell    []func(jadwal.Hint)
	shards  []func()
	waiting map[int64][]chan struct{} // by change
}

// Subscribe has fn called with every hint, after the commit that it is about.
// fn must not block and must not use the store.
func (s *Store) Subscribe(fn func(jadwal.Hint)) {
	s.meet.mu.Lock()
	defer s.meet.mu.Unlock()
	s.meet.tell = append(s.meet.tell, fn)
}

// tell gives a hint when t is committed: here, and to the other nodes. Of what
// other nodes create as well, only a poll tells the whole.
func (s *Store) tell(t *tx, h jadwal.Hint) {
	d, shared := s.db.(*postgresDB)
	if shared {
		h = jadwal.Hint{Changed: true}
	}
	t.after(func() {
		s.meet.hint(h)
		if shared {
			d.hints.say(wordChanged)
		}
	})
}

// applied wakes who waits for a change, here and at the other nodes.
func (s *Store) applied(changeID int64) {
	s.meet.applied(changeID)
	if d, shared := s.db.(*postgresDB); shared {
		d.hints.say(wordApplied, changeID)
	}
}

func (m *meeting) hint(h jadwal.Hint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, fn := range m.tell {
		fn(h)
	}
}

// applied wakes who waits for a change; hot commits call it in a hook.
func (m *meeting) applied(changeID int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, ch := range m.waiting[changeID] {
		close(ch)
	}
	delete(m.waiting, changeID)
}

// WaitApplied returns nil when the change has been applied by the engine. When
// ctx ends first it returns CodeNotYetApplied: the change is stored and
// certain to be applied.
func (s *Store) WaitApplied(ctx context.Context, changeID int64) error {
	ch := make(chan struct{})
	m := &s.meet
	m.mu.Lock()
	if m.waiting == nil {
		m.waiting = map[int64][]chan struct{}{}
	}
	m.waiting[changeID] = append(m.waiting[changeID], ch)
	m.mu.Unlock()
	defer m.forget(changeID, ch)

	var again <-chan time.Time // another node may apply it, and its word be lost
	if _, shared := s.db.(*postgresDB); shared {
		ticker := time.NewTicker(appliedEvery)
		defer ticker.Stop()
		again = ticker.C
	}
	for {
		pending := false // it may have been applied before we began to wait
		if err := s.single(ctx, func(t *tx) error {
			var err error
			pending, err = t.one("SELECT 1 FROM change WHERE id = $1", func(row) {}, changeID)
			return err
		}); err != nil && ctx.Err() == nil {
			return err
		} else if err == nil && !pending {
			return nil
		}
		select {
		case <-ch:
			return nil
		case <-again:
		case <-s.stop:
			return errClosing()
		case <-ctx.Done():
			return &jadwal.Error{
				Code:       jadwal.CodeNotYetApplied,
				Message:    "The change is stored and will be applied, but has not been yet",
				RetryAfter: time.Second,
			}
		}
	}
}

// appliedEvery is how often PostgreSQL is asked whether a change is applied.
const appliedEvery = 200 * time.Millisecond

// LastChange returns the id of the newest change of a job that the engine has
// not applied yet; 0: it has applied them all.
func (s *Store) LastChange(ctx context.Context, jobID int64) (id int64, err error) {
	err = s.single(ctx, func(t *tx) error {
		_, err := t.one("SELECT COALESCE(max(id), 0) FROM change WHERE job_id = $1", func(r row) { id = r.int(0) }, jobID)
		return err
	})
	return id, err
}

func (m *meeting) forget(changeID int64, ch chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rest := m.waiting[changeID][:0]
	for _, c := range m.waiting[changeID] {
		if c != ch {
			rest = append(rest, c)
		}
	}
	if len(rest) == 0 {
		delete(m.waiting, changeID)
		return
	}
	m.waiting[changeID] = rest
}
