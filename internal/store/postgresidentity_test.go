package store

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/pgtest"
)

// pair is two servers on one database, with a superuser and a user.
type pair struct {
	here, there *Store
	admin, ani  jadwal.User
	now         time.Time
	keys        int64
}

func newPair(t *testing.T) *pair {
	t.Helper()
	url := pgtest.Database(t, current)
	p := &pair{here: openURL(t, url), there: openURL(t, url), now: time.Now().UTC().Truncate(time.Microsecond)}
	p.admin, p.ani = p.user(t, "admin", true), p.user(t, "ani", false)
	return p
}

func (p *pair) user(t *testing.T, name string, superuser bool) jadwal.User {
	t.Helper()
	u, err := p.here.CreateUser(t.Context(), jadwal.Actor{}, jadwal.NewUser{Username: name, Email: name + "@x", PasswordHash: "h", IsSuperuser: superuser}, p.now)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (p *pair) session(t *testing.T, u jadwal.User) jadwal.Session {
	t.Helper()
	n, err := p.here.StartSession(t.Context(), jadwal.Actor{User: u}, p.now, p.now.Add(time.Hour), "h")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (p *pair) key(t *testing.T, u jadwal.User) int64 {
	t.Helper()
	p.keys++
	k, err := p.here.CreateKey(t.Context(), jadwal.Actor{User: u}, jadwal.Key{ID: p.keys, Name: "k", Scopes: jadwal.Scopes, ExpiresAt: p.now.Add(time.Hour)}, keyHash(p.keys), p.now)
	if err != nil {
		t.Fatal(err)
	}
	return k.ID
}

func keyHash(id int64) []byte { return bytes.Repeat([]byte{byte(id)}, 32) }

// settle waits until the other server has taken in all that was written.
func (p *pair) settle(t *testing.T) {
	t.Helper()
	f, from := &p.there.db.(*postgresDB).feed, time.Now()
	select {
	case f.kick <- struct{}{}:
	default:
	}
	eventually(t, "the feed", func() bool { return f.heard.Load().After(from) })
}

// of is what the other server says of a session at once.
func (p *pair) of(t *testing.T, n jadwal.Session) (jadwal.User, bool) {
	t.Helper()
	u, _, ok, err := p.there.Identity(t.Context(), n.ID)
	if err != nil {
		t.Fatal(err)
	}
	return u, ok
}

// ofKey is what the other server says of a key at once.
func (p *pair) ofKey(t *testing.T, id int64) (jadwal.User, bool) {
	t.Helper()
	u, _, ok, err := p.there.KeyIdentity(t.Context(), id, keyHash(id))
	if err != nil {
		t.Fatal(err)
	}
	return u, ok
}

// What is taken away on one server is taken away on the other a moment later,
// whether that hears of it or only polls.
func TestWhatIsTakenAwayOnAnotherNode(t *testing.T) {
	const times = 3
	for _, c := range []struct {
		what string
		// prepare has the other server know what is to be taken away.
		prepare func(t *testing.T, p *pair) (take func() error, gone func() bool)
	}{
		{"a session that was ended is dead", func(t *testing.T, p *pair) (func() error, func() bool) {
			n, other := p.session(t, p.ani), p.session(t, p.ani)
			knows(t, p, other)
			knows(t, p, n)
			return func() error { return p.here.EndSession(t.Context(), jadwal.Actor{User: p.admin}, n.ID, p.now) },
				func() bool { knows(t, p, other); _, ok := p.of(t, n); return !ok }
		}},
		{"a session that gave way to newer ones is dead", func(t *testing.T, p *pair) (func() error, func() bool) {
			u := p.user(t, newName(p), false)
			n := p.session(t, u)
			for range jadwal.MaxSessions - 1 {
				p.now = p.now.Add(time.Millisecond)
				p.session(t, u)
			}
			knows(t, p, n)
			return func() error { p.session(t, u); return nil }, func() bool { _, ok := p.of(t, n); return !ok }
		}},
		{"a session is dead when the password is another", func(t *testing.T, p *pair) (func() error, func() bool) {
			n, kept := p.session(t, p.ani), p.session(t, p.ani)
			knows(t, p, n)
			knows(t, p, kept)
			return func() error {
					return p.here.ChangePassword(t.Context(), jadwal.Actor{User: p.ani, SessionID: kept.ID}, "h", "h", p.now)
				},
				func() bool { knows(t, p, kept); _, ok := p.of(t, n); return !ok }
		}},
		{"a key that was deleted is dead", func(t *testing.T, p *pair) (func() error, func() bool) {
			id, other := p.key(t, p.ani), p.key(t, p.ani)
			knowsKey(t, p, id)
			knowsKey(t, p, other)
			return func() error { return p.here.DeleteKey(t.Context(), jadwal.Actor{User: p.ani}, id, p.now) },
				func() bool { knowsKey(t, p, other); _, ok := p.ofKey(t, id); return !ok }
		}},
		{"a disabled user's session and key are dead", func(t *testing.T, p *pair) (func() error, func() bool) {
			u := p.user(t, newName(p), false)
			n, id := p.session(t, u), p.key(t, u)
			knows(t, p, n)
			knowsKey(t, p, id)
			return func() error {
					return p.here.DisableUser(t.Context(), jadwal.Actor{User: p.admin}, u.ID, true, p.now)
				},
				func() bool {
					_, ok := p.of(t, n)
					_, okKey := p.ofKey(t, id)
					return !ok && !okKey
				}
		}},
		{"a deleted user's session and key are dead", func(t *testing.T, p *pair) (func() error, func() bool) {
			u := p.user(t, newName(p), false)
			n, id := p.session(t, u), p.key(t, u)
			knows(t, p, n)
			knowsKey(t, p, id)
			return func() error { return p.here.DeleteUser(t.Context(), jadwal.Actor{User: p.admin}, u.ID, p.now) },
				func() bool {
					_, ok := p.of(t, n)
					_, okKey := p.ofKey(t, id)
					return !ok && !okKey
				}
		}},
		{"a demoted superuser's session and key have a user's rights", func(t *testing.T, p *pair) (func() error, func() bool) {
			u := p.user(t, newName(p), true)
			n, id := p.session(t, u), p.key(t, u)
			knows(t, p, n)
			knowsKey(t, p, id)
			return func() error {
					_, err := p.here.UpdateUser(t.Context(), jadwal.Actor{User: p.admin}, u.ID, jadwal.UserPatch{IsSuperuser: new(false)}, p.now)
					return err
				},
				func() bool {
					a, ok := p.of(t, n)
					b, okKey := p.ofKey(t, id)
					if !ok || !okKey {
						t.Fatal("the user is not known any more")
					}
					return !a.IsSuperuser && !b.IsSuperuser
				}
		}},
	} {
		t.Run(c.what, func(t *testing.T) {
			for _, how := range []string{"hears", "polls"} {
				t.Run("on a server that "+how, func(t *testing.T) {
					p := newPair(t)
					if how == "hears" {
						listening, stop := context.WithCancel(context.Background())
						var heard sync.WaitGroup
						heard.Go(func() { p.there.Listen(listening) })
						t.Cleanup(func() { stop(); heard.Wait() })
					}
					var took []time.Duration
					for range times {
						take, gone := c.prepare(t, p)
						p.settle(t)
						if gone() {
							t.Fatal("it is gone before it was taken away")
						}
						if err := take(); err != nil {
							t.Fatal(err)
						}
						from := time.Now()
						eventually(t, "it", gone)
						took = append(took, time.Since(from))
					}
					slices.Sort(took)
					t.Logf("after %s at the median, %s at most", took[times/2].Round(time.Millisecond), took[times-1].Round(time.Millisecond))
				})
			}
		})
	}
}

func newName(p *pair) string {
	p.now = p.now.Add(time.Second)
	return "u" + p.now.Format("150405")
}

// knows fails the test unless the other server knows a session.
func knows(t *testing.T, p *pair, n jadwal.Session) {
	t.Helper()
	if u, ok := p.of(t, n); !ok || u.ID != n.UserID {
		t.Fatalf("session of %d: %+v, %v", n.UserID, u, ok)
	}
}

func knowsKey(t *testing.T, p *pair, id int64) {
	t.Helper()
	if u, ok := p.ofKey(t, id); !ok || u.ID == 0 {
		t.Fatalf("key %d: %+v, %v", id, u, ok)
	}
}

func TestKeysOfTwoNodes(t *testing.T) {
	ctx := t.Context()
	p := newPair(t)
	t.Run("a key that was made on another node is known at once, by its hash alone", func(t *testing.T) {
		for range 20 {
			id := p.key(t, p.ani)
			if _, _, ok, err := p.there.KeyIdentity(ctx, id, keyHash(id+1)); ok || err != nil {
				t.Fatalf("by another hash: %v, %v", ok, err)
			}
			knowsKey(t, p, id)
		}
	})
	t.Run("a disabled user's key lives again when the user is enabled", func(t *testing.T) {
		id := p.key(t, p.ani)
		for _, disabled := range []bool{true, false} {
			if err := p.here.DisableUser(ctx, jadwal.Actor{User: p.admin}, p.ani.ID, disabled, p.now); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the change", func() bool { _, ok := p.ofKey(t, id); return ok != disabled })
		}
	})
	t.Run("keys that have expired leave the other node's memory", func(t *testing.T) {
		u := p.user(t, newName(p), false)
		id := p.key(t, u)
		p.settle(t)
		knowsKey(t, p, id)
		before := p.now
		p.now = p.now.Add(2 * time.Hour)
		p.key(t, u)
		p.now = before
		eventually(t, "its end", func() bool { _, ok := p.ofKey(t, id); return !ok })
	})
	t.Run("a server that starts knows all keys", func(t *testing.T) {
		id := p.key(t, p.ani)
		s := openURL(t, p.here.db.(*postgresDB).config.ConnString())
		if _, k, known := s.live.findKey(id); !known || k.key == nil {
			t.Error("it does not")
		}
	})
	t.Run("ids that were made up are not remembered", func(t *testing.T) {
		dead := func() int {
			p.there.live.mu.RLock()
			defer p.there.live.mu.RUnlock()
			return len(p.there.live.dead)
		}
		before := dead()
		for id := range int64(100) {
			if _, _, ok, err := p.there.KeyIdentity(ctx, 1e9+id, keyHash(1)); ok || err != nil {
				t.Fatalf("%v, %v", ok, err)
			}
		}
		if n := dead(); n > before {
			t.Errorf("%d of them are", n-before)
		}
	})
	t.Run("while many look for unknown keys, known ones and sessions are answered", func(t *testing.T) {
		known := p.key(t, p.ani)
		knowsKey(t, p, known)
		for range keyLookUps {
			p.there.lookingUpKeys <- struct{}{}
		}
		soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if _, _, _, err := p.there.KeyIdentity(soon, 1e9, keyHash(1)); jadwal.CodeOf(err) != jadwal.CodeUnavailable {
			t.Errorf("an unknown one: %v", err)
		}
		knowsKey(t, p, known)
		knows(t, p, p.session(t, p.ani))
		for range keyLookUps {
			<-p.there.lookingUpKeys
		}
		if _, ok := p.ofKey(t, 1e9); ok {
			t.Error("an unknown one lives")
		}
	})
	t.Run("when sessions and keys were used is stored by any of the nodes", func(t *testing.T) {
		id, n := p.key(t, p.ani), p.session(t, p.ani)
		at := p.now.Add(time.Minute)
		for _, s := range []*Store{p.there, p.here} {
			s.KeyUsed(id, at)
			s.SessionUsed(n.ID, at)
			if err := s.WriteUsage(ctx); err != nil {
				t.Fatal(err)
			}
			at = at.Add(-time.Second) // an earlier use, told later
		}
		keys, err := p.here.Keys(ctx, p.ani.ID)
		if err != nil {
			t.Fatal(err)
		}
		sessions, err := p.there.Sessions(ctx, p.ani.ID)
		if err != nil {
			t.Fatal(err)
		}
		used := p.now.Add(time.Minute)
		if !slices.ContainsFunc(keys, func(k jadwal.Key) bool { return k.ID == id && k.UsedAt.Equal(used) }) ||
			!slices.ContainsFunc(sessions, func(m jadwal.Session) bool { return m.ID == n.ID && m.UsedAt.Equal(used) }) {
			t.Errorf("%+v, %+v", keys, sessions)
		}
	})
}

// What is in memory of keys is not trusted either when nothing was heard.
func TestKeysWhileTheDatabaseIsNotHeard(t *testing.T) {
	url := pgtest.Database(t, current)
	proxy := pgtest.NewProxy(t, url)
	p := &pair{here: openURL(t, url), there: openURL(t, proxy.URL), now: time.Now().UTC().Truncate(time.Microsecond)}
	p.ani = p.user(t, "ani", false)
	id := p.key(t, p.ani)
	knowsKey(t, p, id)
	proxy.Mute.Store(true)
	eventually(t, "the doubt", func() bool {
		_, _, _, err := p.there.KeyIdentity(t.Context(), id, keyHash(id))
		return jadwal.CodeOf(err) == jadwal.CodeUnavailable
	})
	if err := p.here.DeleteKey(t.Context(), jadwal.Actor{User: p.ani}, id, p.now); err != nil {
		t.Fatal(err)
	}
	proxy.Mute.Store(false)
	proxy.Cut()
	eventually(t, "the news", func() bool {
		_, _, ok, err := p.there.KeyIdentity(t.Context(), id, keyHash(id))
		return err == nil && !ok
	})
}
