package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/pgtest"
)

func TestIdentitiesOfTwoNodes(t *testing.T) {
	ctx := t.Context()
	url := pgtest.Database(t, current)
	proxy := pgtest.NewProxy(t, url)
	here, there := openURL(t, url), openURL(t, proxy.URL)
	listening, stop := context.WithCancel(context.Background())
	var heard sync.WaitGroup
	heard.Go(func() { there.Listen(listening) })
	t.Cleanup(func() { stop(); heard.Wait() })
	now := time.Now().UTC().Truncate(time.Microsecond)
	admin, err := here.CreateUser(ctx, jadwal.Actor{}, jadwal.NewUser{Username: "admin", Email: "admin@x", PasswordHash: "h", IsSuperuser: true}, now)
	if err != nil {
		t.Fatal(err)
	}
	ani, err := here.CreateUser(ctx, jadwal.Actor{}, jadwal.NewUser{Username: "ani", Email: "ani@x", PasswordHash: "h"}, now)
	if err != nil {
		t.Fatal(err)
	}
	start := func(u jadwal.User) jadwal.Session {
		t.Helper()
		n, err := here.StartSession(ctx, jadwal.Actor{User: u}, now, now.Add(time.Hour), "h")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	// identity is what a node says of a session at once.
	identity := func(s *Store, n jadwal.Session) (jadwal.User, bool) {
		t.Helper()
		u, _, ok, err := s.Identity(ctx, n.ID)
		if err != nil {
			t.Fatal(err)
		}
		return u, ok
	}
	t.Run("a session that began on another node is known at once", func(t *testing.T) {
		for range 20 {
			n := start(ani)
			if u, ok := identity(there, n); !ok || u.ID != ani.ID {
				t.Fatalf("%+v, %v", u, ok)
			}
		}
	})
	t.Run("a session that nobody has is dead", func(t *testing.T) {
		if _, ok := identity(there, jadwal.Session{ID: 4711}); ok {
			t.Error("it lives")
		}
	})
	t.Run("what ends on one node ends on the others", func(t *testing.T) {
		n, other := start(ani), start(ani)
		identity(there, n)
		if err := here.EndSessions(ctx, jadwal.Actor{}, now, n.ID); err != nil {
			t.Fatal(err)
		}
		if _, ok := identity(here, n); ok {
			t.Error("it lives where it was ended")
		}
		eventually(t, "its end", func() bool { _, ok := identity(there, n); return !ok })
		if _, ok := identity(there, other); !ok {
			t.Error("another one has ended")
		}
		if err := here.SetPassword(ctx, jadwal.Actor{}, ani.ID, "h", false, now); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the other's end", func() bool { _, ok := identity(there, other); return !ok })
	})
	t.Run("rights that change on one node change on the others", func(t *testing.T) {
		n := start(ani)
		if _, err := here.UpdateUser(ctx, jadwal.Actor{}, ani.ID, jadwal.UserPatch{IsSuperuser: new(true)}, now); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the promotion", func() bool { u, ok := identity(there, n); return ok && u.IsSuperuser })
		if err := here.DeleteUser(ctx, jadwal.Actor{User: admin}, ani.ID, now); err != nil {
			t.Fatal(err)
		}
		if _, ok := identity(here, n); ok {
			t.Error("a deleted user is known where it was deleted")
		}
		eventually(t, "the deletion", func() bool { _, ok := identity(there, n); return !ok })
		if _, ok := there.UserByID(ani.ID); ok {
			t.Error("the user is still there")
		}
	})
	t.Run("a hint of a change reaches the others", func(t *testing.T) {
		hinted := make(chan jadwal.Hint, 1)
		there.Subscribe(func(h jadwal.Hint) {
			select {
			case hinted <- h:
			default:
			}
		})
		eventually(t, "a hint", func() bool { // it may not listen yet
			here.hintForTest(t)
			select {
			case h := <-hinted:
				return h.Changed
			case <-time.After(100 * time.Millisecond):
				return false
			}
		})
	})
	t.Run("what other transactions hold back is not taken in twice, and not lost", func(t *testing.T) {
		wrote, free := make(chan struct{}), make(chan struct{})
		done := make(chan error)
		late := start(admin)
		identity(there, late)
		go func() {
			done <- here.write(context.Background(), laneBatch, func(t *tx) error { // which no reader's conflict has run again
				if err := here.endSession(t, jadwal.Actor{}, now, late.ID, "session.end"); err != nil {
					return err
				}
				close(wrote)
				<-free
				return nil
			})
		}()
		<-wrote
		early := start(admin)
		identity(there, early)
		if err := here.EndSessions(ctx, jadwal.Actor{}, now, early.ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of the later one", func() bool { _, ok := identity(there, early); return !ok })
		time.Sleep(2 * feedEvery) // the feed has looked again
		close(free)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of the earlier one", func() bool { _, ok := identity(there, late); return !ok })
	})
	t.Run("who has not heard of the database for five seconds knows nothing, until it hears again", func(t *testing.T) {
		n := start(admin)
		identity(there, n)
		proxy.Mute.Store(true)
		eventually(t, "the doubt", func() bool {
			_, _, _, err := there.Identity(ctx, n.ID)
			return jadwal.CodeOf(err) == jadwal.CodeUnavailable
		})
		if _, ok := identity(here, n); !ok {
			t.Error("the other node doubts as well")
		}
		if err := here.EndSessions(ctx, jadwal.Actor{}, now, n.ID); err != nil {
			t.Fatal(err)
		}
		proxy.Mute.Store(false)
		proxy.Cut()
		eventually(t, "the news", func() bool {
			_, _, ok, err := there.Identity(ctx, n.ID)
			return err == nil && !ok
		})
	})
}

// hintForTest gives a hint as a write does.
func (s *Store) hintForTest(t *testing.T) {
	if err := s.write(t.Context(), laneAPI, func(t *tx) error {
		s.tell(t, jadwal.Hint{Changed: true})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAChangeThatAnotherNodeApplies(t *testing.T) {
	url := pgtest.Database(t, current)
	engine := openURL(t, url)
	h := newHot(t, func(t testing.TB) *Store {
		s := openURL(t, url)
		for _, s := range []*Store{s, engine} {
			if _, err := s.Join(t.Context(), jadwal.Node{Address: "test", StartedAt: at(0)}, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		return s
	})
	paused := h.job
	paused.State = jadwal.JobPaused
	_, change, err := h.UpdateJob(t.Context(), h.by, paused, 1, at(1))
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() { waited <- h.WaitApplied(context.Background(), change) }()
	if v, err := engine.Commit(t.Context(), at(1), []*jadwal.Outcome{{
		JobID: h.job.ID, Version: 1, At: us(1), Applied: &jadwal.Applied{ChangeID: change, Version: 2, OwnerID: h.job.OwnerID, EffectiveAt: at(1)},
	}}); err != nil || v[0] != jadwal.Recorded {
		t.Fatal(v, err)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

// Writes of several connections are told in any order.
func TestIdentitiesInAnyOrder(t *testing.T) {
	now := time.Now()
	l := &identities{users: map[int64]jadwal.User{}, sessions: map[int64]jadwal.Session{}, of: map[int64]map[int64]struct{}{}, keys: map[int64]liveKey{}, dead: map[identity]time.Time{}}
	newer, older := jadwal.User{ID: 1, Username: "new", UpdatedAt: now}, jadwal.User{ID: 1, Username: "old", UpdatedAt: now.Add(-time.Second)}
	l.putUser(newer)
	l.putUser(older)
	if l.users[1] != newer {
		t.Error("an older user has replaced a newer one")
	}
	l.putSession(jadwal.Session{ID: 5, UserID: 1, Generation: 3})
	l.putSession(jadwal.Session{ID: 5, UserID: 1, Generation: 2})
	if l.sessions[5].Generation != 3 {
		t.Error("a session went back")
	}
	l.dropSession(5)
	l.putSession(jadwal.Session{ID: 5, UserID: 1, Generation: 4})
	if _, _, known := l.find(5); !known || len(l.sessions)+len(l.of) != 0 {
		t.Error("a dead session came back, or is forgotten")
	}
	key := func(id int64) liveKey { return liveKey{key: &jadwal.Key{ID: id, UserID: 1}} }
	l.putKey(key(7))
	l.dropKey(7)
	l.putKey(key(7))
	if _, _, known := l.findKey(7); !known || len(l.keys) != 0 {
		t.Error("a dead key came back, or is forgotten")
	}
	l.putKey(key(8))
	l.dropUser(1)
	l.putUser(newer)
	l.putSession(jadwal.Session{ID: 6, UserID: 1, Generation: 1})
	l.putKey(key(9))
	if len(l.users)+len(l.sessions)+len(l.of)+len(l.keys) != 0 {
		t.Error("a dead user came back, or the key of one")
	}
	l.bury(now.Add(deadFor / 2))
	if len(l.dead) != 3 {
		t.Error("the dead are forgotten too early")
	}
	l.bury(now.Add(2 * deadFor))
	if len(l.dead) != 0 {
		t.Error("the dead are never forgotten")
	}
}
