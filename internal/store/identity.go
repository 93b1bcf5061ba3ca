package store

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/teknohole/jadwal"
)

// identities is who is signed in and who may do what, in memory, so that a
// request costs no query. Each write changes it after its COMMIT and before the
// answer. On PostgreSQL what other nodes write comes in as well, and in any
// order: so a user is never replaced by an older one, nor a session by an
// earlier generation, and what has died does not come back.
type identities struct {
	mu         sync.RWMutex
	signature  sync.Mutex // held from a read of signature keys until they are in memory, so that a later read is not undone
	users      map[int64]jadwal.User
	sessions   map[int64]jadwal.Session
	of         map[int64]map[int64]struct{} // session ids of a user
	keys       map[int64]liveKey
	signers    map[jadwal.SignatureHolder]*jadwal.Signer // nil: the store is locked
	signerPuts uint64                                    // calls of putSigner
	dead       map[identity]time.Time                    // when it died; ids are never used again. nil: of SQLite, whose writes come in order
}

type identity struct {
	kind string
	id   int64
}

// deadFor is how long the dead are remembered: whatever was read before they
// died has been taken in by then.
const deadFor = time.Minute

// The bounds of looking up a session or a key that is not in memory. Anybody
// can make up the id of a key, but of a session only what has been signed.
const (
	lookUps       = 8
	keyLookUps    = 2
	lookUpTimeout = 2 * time.Second
)

// Identity returns a live session and its user. It is false when either is
// dead or the user is disabled; whether the session has expired is the
// caller's to judge. On PostgreSQL a session that is not known here is looked
// up: another node may have begun it a moment ago. CodeUnavailable: what is in
// memory cannot be trusted, since nothing was heard from the database for 5 s.
func (s *Store) Identity(ctx context.Context, sessionID int64) (jadwal.User, jadwal.Session, bool, error) {
	d, shared := s.db.(*postgresDB)
	if shared && !d.feed.fresh() {
		return jadwal.User{}, jadwal.Session{}, false, errUnavailable()
	}
	user, session, known := s.live.find(sessionID)
	if known || !shared {
		return user, session, user.ID != 0 && user.DisabledAt.IsZero(), nil
	}
	if err := s.lookUpSession(ctx, sessionID); err != nil {
		return jadwal.User{}, jadwal.Session{}, false, err
	}
	user, session, _ = s.live.find(sessionID)
	return user, session, user.ID != 0 && user.DisabledAt.IsZero(), nil
}

// find returns a session and its user, the zero user when either is not in
// memory. known tells whether more is to be had: not of the dead.
func (l *identities) find(sessionID int64) (user jadwal.User, session jadwal.Session, known bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	session, ok := l.sessions[sessionID]
	if !ok {
		_, dead := l.dead[identity{kindSession, sessionID}]
		return jadwal.User{}, jadwal.Session{}, dead
	}
	if user, ok = l.users[session.UserID]; !ok {
		_, dead := l.dead[identity{kindUser, session.UserID}]
		return jadwal.User{}, session, dead
	}
	return user, session, true
}

// lookUp runs fn, a read of what is not in memory, when one of places is free.
func (s *Store) lookUp(ctx context.Context, places chan struct{}, fn func(*tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	case <-ctx.Done():
		return errUnavailable()
	}
	err := s.read(ctx, fn)
	if err != nil && ctx.Err() != nil {
		return errUnavailable()
	}
	return err
}

// lookUpSession reads a session and its user. One that is not there has ended:
// its token was given out after it was stored.
func (s *Store) lookUpSession(ctx context.Context, sessionID int64) error {
	return s.lookUp(ctx, s.lookingUp, func(t *tx) error {
		var n jadwal.Session
		found, err := t.one("SELECT "+sessionColumns+" FROM session WHERE id = $1", func(r row) { n = scanSession(r) }, sessionID)
		if err != nil {
			return err
		}
		if !found {
			s.live.dropSession(sessionID)
			return nil
		}
		u, found, err := userByID(t, n.UserID)
		if err == nil && found {
			s.live.putUser(u)
			s.live.putSession(n)
		}
		return err
	})
}

// UserByID returns a user from memory; false when there is none. A disabled
// user is returned as such.
func (s *Store) UserByID(id int64) (jadwal.User, bool) {
	s.live.mu.RLock()
	defer s.live.mu.RUnlock()
	u, ok := s.live.users[id]
	return u, ok
}

// meetOwners takes in the owners of jobs that are not in memory: another node
// may have made them a moment ago. A deleted user stays unknown.
func (s *Store) meetOwners(ctx context.Context, jobs []jadwal.Job) error {
	for _, job := range jobs {
		if _, ok := s.UserByID(job.OwnerID); ok {
			continue
		}
		if err := s.single(ctx, func(t *tx) error {
			u, found, err := userByID(t, job.OwnerID)
			if found {
				s.live.putUser(u)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
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
	s.opened.dropAll()
	keys, err := loadKeys(t)
	if err != nil {
		return err
	}
	if err := s.reloadSigners(t); err != nil {
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
	for who := range l.dead {
		switch who.kind {
		case kindUser:
			l.forgetUser(who.id)
		case kindSession:
			l.forgetSession(who.id)
		case kindKey:
			delete(l.keys, who.id)
		}
	}
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

// The ways that a write changes identities. Each belongs into the transaction
// that it tells of.

func (s *Store) userChanged(t *tx, u jadwal.User) error {
	return s.identityChanged(t, kindUser, u.ID, func() { s.live.putUser(u) })
}

func (s *Store) userGone(t *tx, id int64) error {
	return s.identityChanged(t, kindUser, id, func() {
		s.live.dropUser(id)
		s.opened.dropAll() // the user's among them
	})
}

func (s *Store) sessionStarted(t *tx, n jadwal.Session) error {
	return s.identityChanged(t, kindSession, n.ID, func() { s.live.putSession(n) })
}

func (s *Store) sessionGone(t *tx, id int64) error {
	return s.identityChanged(t, kindSession, id, func() { s.live.dropSession(id) })
}

func (s *Store) keyMade(t *tx, k liveKey) error {
	return s.identityChanged(t, kindKey, k.key.ID, func() { s.live.putKey(k) })
}

func (s *Store) keyGone(t *tx, id int64) error {
	return s.identityChanged(t, kindKey, id, func() { s.live.dropKey(id) })
}

// identityChanged has memory changed here when t is committed, and the other
// nodes told.
func (s *Store) identityChanged(t *tx, kind string, id int64, here func()) error {
	d, shared := s.db.(*postgresDB)
	if !shared {
		t.after(here)
		return nil
	}
	t.after(func() {
		here()
		d.hints.say(wordIdentity)
	})
	_, err := t.exec("INSERT INTO identity_change (kind, id) VALUES ($1, $2)", kind, id)
	return err
}

func (l *identities) putUser(u jadwal.User) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.users[u.ID]
	if _, dead := l.dead[identity{kindUser, u.ID}]; !dead && (!ok || !u.UpdatedAt.Before(known.UpdatedAt)) {
		l.users[u.ID] = u
	}
}

// dropUser forgets a user and all of its sessions and keys.
func (l *identities) dropUser(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.died(identity{kindUser, id})
	l.forgetUser(id)
}

func (l *identities) putSession(n jadwal.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known, ok := l.sessions[n.ID]
	if _, dead := l.dead[identity{kindSession, n.ID}]; dead || ok && known.Generation > n.Generation {
		return
	}
	if _, dead := l.dead[identity{kindUser, n.UserID}]; dead {
		return
	}
	l.sessions[n.ID] = n
	if l.of[n.UserID] == nil {
		l.of[n.UserID] = map[int64]struct{}{}
	}
	l.of[n.UserID][n.ID] = struct{}{}
}

func (l *identities) dropSession(id int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.died(identity{kindSession, id})
	l.forgetSession(id)
}

// died remembers somebody dead; the caller holds mu.
func (l *identities) died(who identity) {
	if l.dead != nil {
		l.dead[who] = time.Now()
	}
}

// bury forgets who died long ago.
func (l *identities) bury(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for who, at := range l.dead {
		if now.Sub(at) > deadFor {
			delete(l.dead, who)
		}
	}
}

// forgetUser takes a user and its sessions and keys of both kinds out for who holds mu.
func (l *identities) forgetUser(id int64) {
	delete(l.users, id)
	delete(l.signers, jadwal.SignatureHolder{UserID: id})
	maps.DeleteFunc(l.keys, func(_ int64, k liveKey) bool { return k.key.UserID == id })
	for session := range l.of[id] {
		delete(l.sessions, session)
	}
	delete(l.of, id)
}

// forgetSession takes a session out for who holds mu.
func (l *identities) forgetSession(id int64) {
	if n, ok := l.sessions[id]; ok {
		delete(l.sessions, id)
		delete(l.of[n.UserID], id)
		if len(l.of[n.UserID]) == 0 {
			delete(l.of, n.UserID)
		}
	}
}
