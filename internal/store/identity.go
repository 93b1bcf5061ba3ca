package store

import (
	"maps"
	"sync"

	"github.com/teknohole/jadwal"
)

// identities is who is signed in and who may do what, in memory, so that a
// request costs no query. The writer changes it after each COMMIT and before
// the answer, in the order of the commits.
type identities struct {
	mu       sync.RWMutex
	users    map[int64]jadwal.User
	sessions map[int64]jadwal.Session
	of       map[int64]map[int64]struct{} // session ids of a user
	keys     map[int64]liveKey
}

// Identity returns a live session and its user. It is false when either is
// dead or the user is disabled; whether the session has expired is the
// caller's to judge.
func (s *Store) Identity(sessionID int64) (jadwal.User, jadwal.Session, bool) {
	l := &s.live
	l.mu.RLock()
	defer l.mu.RUnlock()
	session, ok := l.sessions[sessionID]
	if !ok {
		return jadwal.User{}, jadwal.Session{}, false
	}
	user, ok := l.users[session.UserID]
	return user, session, ok && user.DisabledAt.IsZero()
}

// UserByID returns a user from memory; false when there is none. A disabled
// user is returned as such.
func (s *Store) UserByID(id int64) (jadwal.User, bool) {
	s.live.mu.RLock()
	defer s.live.mu.RUnlock()
	u, ok := s.live.users[id]
	return u, ok
}

// loadIdentities replaces what is in memory by what is stored.
func (s *Store) loadIdentities(t *tx) error {
	users := map[int64]jadwal.User{}
	sessions := map[int64]jadwal.Session{}
	of := map[int64]map[int64]struct{}{}
	if err := t.query("SELECT "+userColumns+" FROM account", func(r row) error {
		u := scanUser(r)
		users[u.ID] = u
		return nil
	}); err != nil {
		return err
	}
	keys, err := loadKeys(t)
	if err != nil {
		return err
	}
	if err := t.query("SELECT "+sessionColumns+" FROM session", func(r row) error {
		n := scanSession(r)
		sessions[n.ID] = n
		if of[n.UserID] == nil {
			of[n.UserID] = map[int64]struct{}{}
		}
		of[n.UserID][n.ID] = struct{}{}
		return nil
	}); err != nil {
		return err
	}
	l := &s.live
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users, l.sessions, l.of, l.keys = users, sessions, of, keys
	return nil
}

// noticeForeign takes in what another process may have changed.
func (s *Store) noticeForeign(t *tx) error {
	if err := s.loadIdentities(t); err != nil {
		return err
	}
	s.meet.hint(jadwal.Hint{Changed: true})
	return nil
}

func (l *identities) putUser(u jadwal.User) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.users[u.ID] = u
}

// dropUser forgets a user and all of its sessions and keys.
func (l *identities) dropUser(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.users, id)
	maps.DeleteFunc(l.keys, func(_ int64, k liveKey) bool { return k.key.UserID == id })
	l.forgetSessionsOf(id)
}

func (l *identities) putSession(n jadwal.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions[n.ID] = n
	if l.of[n.UserID] == nil {
		l.of[n.UserID] = map[int64]struct{}{}
	}
	l.of[n.UserID][n.ID] = struct{}{}
}

func (l *identities) dropSession(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, ok := l.sessions[id]; ok {
		delete(l.sessions, id)
		delete(l.of[n.UserID], id)
		if len(l.of[n.UserID]) == 0 {
			delete(l.of, n.UserID)
		}
	}
}

func (l *identities) dropSessionsOf(userID int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetSessionsOf(userID)
}

// forgetSessionsOf is dropSessionsOf for who holds mu.
func (l *identities) forgetSessionsOf(userID int64) {
	for id := range l.of[userID] {
		delete(l.sessions, id)
	}
	delete(l.of, userID)
}
