package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
	"github.com/teknohole/jadwal/internal/store/storetest"
)

// forEachBackend runs a suite of rules on every database that a store can be.
func forEachBackend(t *testing.T, suite func(t *testing.T, open func(testing.TB) *store.Store)) {
	for name, open := range storetest.Databases {
		t.Run(name, func(t *testing.T) { suite(t, open) })
	}
}

// rule is a sentence that is true of every store, with its proof.
type rule struct {
	name  string
	prove func(*testing.T, *world)
}

// world is a store with a superuser, admin, and two users, ani and budi.
type world struct {
	*store.Store
	t                *testing.T
	admin, ani, budi jadwal.User
}

func prove(t *testing.T, rules []rule) {
	forEachBackend(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		for _, r := range rules {
			t.Run(r.name, func(t *testing.T) {
				w := &world{Store: open(t), t: t}
				w.admin, w.ani, w.budi = newUser(t, w.Store, "admin", true), newUser(t, w.Store, "ani", false), newUser(t, w.Store, "budi", false)
				r.prove(t, w)
			})
		}
	})
}

func by(u jadwal.User) jadwal.Actor { return jadwal.Actor{User: u} }

// want fails the test when err has another code; "" means no error.
func want(t *testing.T, err error, code jadwal.Code) {
	t.Helper()
	if got := jadwal.CodeOf(err); got != code {
		t.Fatalf("got %q (%v), want %q", got, err, code)
	}
}

func (w *world) session(u jadwal.User) jadwal.Session {
	w.t.Helper()
	n, err := w.StartSession(w.t.Context(), by(u), start, start.Add(30*24*time.Hour), "hash")
	want(w.t, err, "")
	return n
}

func (w *world) job(owner jadwal.User, name string) jadwal.Job {
	w.t.Helper()
	j, err := w.CreateJob(w.t.Context(), by(owner), newJob(owner.ID, name, start.Add(time.Hour)), start)
	want(w.t, err, "")
	w.welcome()
	return j
}

// welcome applies the changes that make new jobs known, where there are any.
func (w *world) welcome() {
	w.t.Helper()
	news, err := w.Poll(w.t.Context(), jadwal.AllShards(), start, 0, 0)
	want(w.t, err, "")
	for _, c := range news.Changes {
		if c.Kind == jadwal.ChangeCreate {
			w.commit(&jadwal.Outcome{JobID: c.JobID, Version: 1, At: c.Cursor.NextAt, Next: c.Cursor.NextAt, Applied: &jadwal.Applied{ChangeID: c.ID}})
		}
	}
}

func (w *world) alive(n jadwal.Session) bool {
	_, _, ok, err := w.Identity(w.t.Context(), n.ID)
	want(w.t, err, "")
	return ok
}

func TestUserRules(t *testing.T) {
	ctx := t.Context()
	prove(t, []rule{
		{"users are listed by id, and a new one has updated_at equal to created_at", func(t *testing.T, w *world) {
			users, err := w.Users(ctx)
			want(t, err, "")
			if !slices.Equal(users, []jadwal.User{w.admin, w.ani, w.budi}) || users[0].ID != 1 {
				t.Errorf("users: %+v", users)
			}
			if !w.ani.CreatedAt.Equal(start) || !w.ani.UpdatedAt.Equal(start) {
				t.Errorf("times: %v, %v", w.ani.CreatedAt, w.ani.UpdatedAt)
			}
			if n, err := w.CountUsers(ctx); n != 3 || err != nil {
				t.Errorf("count: %d, %v", n, err)
			}
			u, err := w.User(ctx, w.ani.ID)
			if live, ok := w.UserByID(w.ani.ID); err != nil || u != w.ani || !ok || live != w.ani {
				t.Errorf("by id: %+v, %+v, %v", u, live, err)
			}
		}},
		{"a username and an email are taken in any case, and both are named", func(t *testing.T, w *world) {
			for _, c := range []struct {
				username, email string
				fields          []string
			}{
				{"ANI", "new@example.com", []string{"username"}},
				{"new", "Ani@Example.COM", []string{"email"}},
				{"aNi", "ANI@example.com", []string{"username", "email"}},
				{"ani", "budi@example.com", []string{"username", "email"}},
			} {
				_, err := w.CreateUser(ctx, by(w.admin), jadwal.NewUser{Username: c.username, Email: c.email, PasswordHash: "h"}, start)
				want(t, err, jadwal.CodeValidation)
				e, _ := errors.AsType[*jadwal.Error](err)
				var fields []string
				for _, f := range e.Fields {
					fields = append(fields, f.Field)
					if f.Code != "taken" {
						t.Errorf("code %q", f.Code)
					}
				}
				if !slices.Equal(fields, c.fields) {
					t.Errorf("%s, %s: fields %v, want %v", c.username, c.email, fields, c.fields)
				}
			}
			if n, _ := w.CountUsers(ctx); n != 3 {
				t.Errorf("%d users", n)
			}
		}},
		{"of a hundred who want the same name at once, one gets it", func(t *testing.T, w *world) {
			var wg sync.WaitGroup
			errs := make([]error, 100)
			for i := range errs {
				wg.Go(func() {
					_, errs[i] = w.CreateUser(ctx, by(w.admin), jadwal.NewUser{Username: "New", Email: fmt.Sprintf("n%d@example.com", i), PasswordHash: "h"}, start)
				})
			}
			wg.Wait()
			made := 0
			for _, err := range errs {
				if err == nil {
					made++
				} else {
					want(t, err, jadwal.CodeValidation)
				}
			}
			if made != 1 {
				t.Errorf("%d were made", made)
			}
		}},
		{"credentials are found by username or email in any case of ASCII letters, and by nothing else", func(t *testing.T, w *world) {
			for _, id := range []string{"ani", "ANI", "ani@example.com", "Ani@EXAMPLE.com"} {
				c, err := w.Credentials(ctx, id)
				if err != nil || c.User != w.ani || c.PasswordHash != "hash" || c.Bootstrap {
					t.Errorf("%q: %+v, %v", id, c, err)
				}
			}
			for _, id := range []string{"", "an", "ani ", "nobody", "a@b", "%", "ani\x00", "nı@example.com"} {
				_, err := w.Credentials(ctx, id)
				want(t, err, jadwal.CodeNotFound)
			}
			_, err := w.CreateUser(ctx, by(w.admin), jadwal.NewUser{Username: "kim", Email: "kim@example.com", PasswordHash: "h", Bootstrap: true}, start)
			want(t, err, "")
			if c, err := w.Credentials(ctx, "KIM"); err != nil || !c.Bootstrap {
				t.Errorf("bootstrap: %+v, %v", c, err)
			}
			_, err = w.Credentials(ctx, "\u212Aim") // the Kelvin sign, whose lower case in Unicode is k
			want(t, err, jadwal.CodeNotFound)
		}},
		{"only superusers make and delete users, by their rights of now and not of when they signed in", func(t *testing.T, w *world) {
			n := jadwal.NewUser{Username: "new", Email: "new@example.com", PasswordHash: "h"}
			_, err := w.CreateUser(ctx, by(w.ani), n, start)
			want(t, err, jadwal.CodeForbidden)
			want(t, w.DeleteUser(ctx, by(w.ani), w.budi.ID, start), jadwal.CodeForbidden)
			want(t, w.DeleteUser(ctx, by(w.ani), 99, start), jadwal.CodeForbidden)
			stale := w.ani
			stale.IsSuperuser = true // as the caller was a moment ago
			_, err = w.CreateUser(ctx, by(stale), n, start)
			want(t, err, jadwal.CodeForbidden)
			want(t, w.DeleteUser(ctx, by(stale), w.budi.ID, start), jadwal.CodeForbidden)
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start), "")
			_, err = w.CreateUser(ctx, by(stale), n, start)
			want(t, err, jadwal.CodeInvalidToken)
			_, err = w.UpdateUser(ctx, by(stale), stale.ID, jadwal.UserPatch{}, start)
			want(t, err, jadwal.CodeInvalidToken)
		}},
		{"an update changes what it names, all of it or nothing", func(t *testing.T, w *world) {
			u, err := w.UpdateUser(ctx, by(w.ani), w.ani.ID, jadwal.UserPatch{Username: new("Ani2")}, start.Add(time.Hour))
			want(t, err, "")
			wanted := w.ani
			wanted.Username, wanted.UpdatedAt = "Ani2", start.Add(time.Hour)
			if u != wanted {
				t.Errorf("got %+v, want %+v", u, wanted)
			}
			if live, _ := w.UserByID(u.ID); live != u {
				t.Errorf("in memory: %+v", live)
			}
			_, err = w.UpdateUser(ctx, by(w.ani), w.ani.ID, jadwal.UserPatch{Username: new("ani3"), Email: new("BUDI@example.com")}, start.Add(2*time.Hour))
			want(t, err, jadwal.CodeValidation)
			_, err = w.UpdateUser(ctx, by(w.ani), w.ani.ID, jadwal.UserPatch{Username: new("ani3"), IsSuperuser: new(true)}, start.Add(2*time.Hour))
			want(t, err, jadwal.CodeForbidden)
			if stored, err := w.User(ctx, w.ani.ID); err != nil || stored != u {
				t.Errorf("stored: %+v, %v", stored, err)
			}
		}},
		{"a user may keep their own name in another case, and the flag as it is", func(t *testing.T, w *world) {
			u, err := w.UpdateUser(ctx, by(w.ani), w.ani.ID, jadwal.UserPatch{Username: new("ANI"), IsSuperuser: new(false)}, start)
			if err != nil || u.Username != "ANI" || u.IsSuperuser {
				t.Errorf("%+v, %v", u, err)
			}
			_, err = w.UpdateUser(ctx, by(w.admin), w.admin.ID, jadwal.UserPatch{IsSuperuser: new(true)}, start)
			want(t, err, "")
		}},
		{"updated_at is later after every update, even with an equal or earlier clock, and an empty one changes nothing", func(t *testing.T, w *world) {
			last := w.ani.UpdatedAt
			for _, now := range []time.Time{start, start.Add(-time.Hour), start.Add(time.Nanosecond), start.Add(time.Second)} {
				u, err := w.UpdateUser(ctx, by(w.ani), w.ani.ID, jadwal.UserPatch{Email: &w.ani.Email}, now)
				want(t, err, "")
				if !u.UpdatedAt.After(last) {
					t.Errorf("at %v: %v is not after %v", now, u.UpdatedAt, last)
				}
				if stored, _ := w.User(ctx, u.ID); stored != u {
					t.Errorf("stored %+v, answered %+v", stored, u)
				}
				last = u.UpdatedAt
			}
			u, err := w.UpdateUser(ctx, by(w.ani), w.ani.ID, jadwal.UserPatch{}, start.Add(time.Hour))
			if err != nil || !u.UpdatedAt.Equal(last) {
				t.Errorf("an empty update: %+v, %v", u, err)
			}
		}},
		{"nobody but a superuser or the operator changes somebody else", func(t *testing.T, w *world) {
			_, err := w.UpdateUser(ctx, by(w.ani), w.budi.ID, jadwal.UserPatch{Username: new("x")}, start)
			want(t, err, jadwal.CodeForbidden)
			want(t, w.SetPassword(ctx, by(w.ani), w.budi.ID, "h2", false, start), jadwal.CodeForbidden)
			_, err = w.UpdateUser(ctx, by(w.admin), w.budi.ID, jadwal.UserPatch{IsSuperuser: new(true)}, start)
			want(t, err, "")
			_, err = w.UpdateUser(ctx, jadwal.Actor{}, w.budi.ID, jadwal.UserPatch{IsSuperuser: new(false)}, start)
			want(t, err, "")
			_, err = w.UpdateUser(ctx, by(w.admin), 99, jadwal.UserPatch{Username: new("x")}, start)
			want(t, err, jadwal.CodeNotFound)
			want(t, w.SetPassword(ctx, by(w.admin), 99, "h", false, start), jadwal.CodeNotFound)
			_, err = w.User(ctx, 99)
			want(t, err, jadwal.CodeNotFound)
		}},
		{"the last superuser can be neither demoted nor deleted", func(t *testing.T, w *world) {
			_, err := w.UpdateUser(ctx, by(w.admin), w.admin.ID, jadwal.UserPatch{Username: new("root"), IsSuperuser: new(false)}, start)
			want(t, err, jadwal.CodeLastSuperuser)
			want(t, w.DeleteUser(ctx, jadwal.Actor{}, w.admin.ID, start), jadwal.CodeLastSuperuser)
			if u, _ := w.User(ctx, w.admin.ID); u != w.admin {
				t.Errorf("stored: %+v", u)
			}
			if live, _ := w.UserByID(w.admin.ID); live != w.admin {
				t.Errorf("in memory: %+v", live)
			}
		}},
		{"of superusers who all demote themselves, or each other, at once, one stays", func(t *testing.T, w *world) {
			for round := range 20 {
				var supers []jadwal.User
				for i := range 8 {
					supers = append(supers, newUser(t, w.Store, fmt.Sprintf("s%d-%d", round, i), true))
				}
				supers = append(supers, w.admin)
				var wg sync.WaitGroup
				for i, u := range supers {
					victim := u
					if round%2 == 1 {
						victim = supers[(i+1)%len(supers)]
					}
					wg.Go(func() {
						if round%4 == 3 {
							_ = w.DeleteUser(ctx, by(u), victim.ID, start)
						} else {
							_, _ = w.UpdateUser(ctx, by(u), victim.ID, jadwal.UserPatch{IsSuperuser: new(false)}, start)
						}
					})
				}
				wg.Wait()
				users, err := w.Users(ctx)
				want(t, err, "")
				left := 0
				for _, u := range users {
					if live, ok := w.UserByID(u.ID); !ok || live != u {
						t.Fatalf("in memory %+v, stored %+v", live, u)
					}
					if u.IsSuperuser {
						left++
					}
				}
				if left < 1 || round%2 == 0 && left != 1 {
					t.Fatalf("round %d: %d superusers left", round, left)
				}
				// The next round begins with one.
				if _, ok := w.UserByID(w.admin.ID); !ok {
					w.admin = newUser(t, w.Store, fmt.Sprintf("admin%d", round), true)
				}
				for _, u := range append([]jadwal.User{w.admin}, users...) {
					_, err := w.UpdateUser(ctx, jadwal.Actor{}, u.ID, jadwal.UserPatch{IsSuperuser: new(u.ID == w.admin.ID)}, start)
					want(t, err, "")
				}
			}
		}},
		{"nobody deletes themselves, and an unknown user comes before that", func(t *testing.T, w *world) {
			want(t, w.DeleteUser(ctx, by(w.admin), w.admin.ID, start), jadwal.CodeOwnAccount)
			want(t, w.DeleteUser(ctx, by(w.admin), 99, start), jadwal.CodeNotFound)
		}},
		{"an id is never used again", func(t *testing.T, w *world) {
			want(t, w.DeleteUser(ctx, by(w.admin), w.budi.ID, start), "")
			if u := newUser(t, w.Store, "budi", false); u.ID != w.budi.ID+1 {
				t.Errorf("the id %d came after %d", u.ID, w.budi.ID)
			}
			j := w.job(w.ani, "a")
			_, err := w.DeleteJob(ctx, by(w.ani), j.ID, start)
			want(t, err, "")
			if again := w.job(w.ani, "a"); again.ID <= j.ID {
				t.Errorf("the id %d came after %d", again.ID, j.ID)
			}
		}},
		{"a deleted user is gone with all sessions before the answer", func(t *testing.T, w *world) {
			a, b, other := w.session(w.ani), w.session(w.ani), w.session(w.budi)
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start), "")
			if w.alive(a) || w.alive(b) || !w.alive(other) {
				t.Error("sessions")
			}
			if _, ok := w.UserByID(w.ani.ID); ok {
				t.Error("the user is in memory")
			}
			_, err := w.User(ctx, w.ani.ID)
			want(t, err, jadwal.CodeNotFound)
			_, err = w.Credentials(ctx, "ani")
			want(t, err, jadwal.CodeNotFound)
			n, r, err := w.RotateSession(ctx, a.ID, 1, start)
			if err != nil || r != jadwal.RotationDead || n != (jadwal.Session{}) {
				t.Errorf("rotation: %+v, %v, %v", n, r, err)
			}
		}},
		{"a new password ends the user's sessions and no others", func(t *testing.T, w *world) {
			a, other := w.session(w.ani), w.session(w.budi)
			want(t, w.SetPassword(ctx, by(w.ani), w.ani.ID, "hash2", true, start), "")
			if w.alive(a) || !w.alive(other) {
				t.Error("sessions")
			}
			c, err := w.Credentials(ctx, "ani")
			if err != nil || c.PasswordHash != "hash2" || !c.Bootstrap || !c.UpdatedAt.After(start) {
				t.Errorf("%+v, %v", c, err)
			}
		}},
	})
}

func TestInheritanceRules(t *testing.T) {
	ctx := t.Context()
	prove(t, []rule{
		{"a deleted user's jobs are paused and go to the deleting superuser, as a new version with a change", func(t *testing.T, w *world) {
			hinted := make(chan jadwal.Hint, 10)
			w.Subscribe(func(h jadwal.Hint) { hinted <- h })
			j := w.job(w.ani, "report")
			<-hinted
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start.Add(time.Minute)), "")
			if h := <-hinted; !h.Changed {
				t.Error("no hint")
			}
			got, err := w.Job(ctx, j.ID)
			want(t, err, "")
			if got.OwnerID != w.admin.ID || got.State != jadwal.JobPaused || got.PauseReason != "owner_deleted" || got.Version != 2 ||
				!got.EgressLimited || !got.UpdatedAt.Equal(start.Add(time.Minute)) || got.Definition.Name != "report" {
				t.Errorf("%+v", got)
			}
			if byName, err := w.JobByName(ctx, w.admin.ID, "report"); err != nil || byName.ID != j.ID {
				t.Errorf("%+v, %v", byName, err)
			}
			if jobs, _, _ := w.Jobs(ctx, store.JobQuery{OwnerID: w.ani.ID, Limit: 10}); len(jobs) != 0 {
				t.Errorf("left behind: %+v", jobs)
			}
		}},
		{"a name that is taken gets the suffix of the user, cut to fit, and the definition has it too", func(t *testing.T, w *world) {
			long := strings.Repeat("n", 63)
			almost := strings.Repeat("n", 60)
			for _, name := range []string{"report", "report.u2", long, almost, almost + "aa"} {
				w.job(w.admin, name)
			}
			ids := map[string]int64{}
			for _, name := range []string{"report", "other", long, almost, almost + "aa"} {
				ids[name] = w.job(w.ani, name).ID
			}
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start), "")
			for name, wanted := range map[string]string{
				"report": "report.u2.2", "other": "other",
				long: long[:60] + ".u2", almost: almost[:58] + ".u2.2", almost + "aa": almost[:58] + ".u2.3",
			} {
				j, err := w.Job(ctx, ids[name])
				want(t, err, "")
				if j.Definition.Name != wanted {
					t.Errorf("%s became %s, want %s", name, j.Definition.Name, wanted)
				}
				if found, err := w.JobByName(ctx, w.admin.ID, wanted); err != nil || found.ID != j.ID {
					t.Errorf("by name %s: %+v, %v", wanted, found, err)
				}
			}
		}},
		{"jobs of a superuser keep no egress rules, jobs that had them do", func(t *testing.T, w *world) {
			boss := newUser(t, w.Store, "boss", true)
			own := w.job(boss, "own")
			inherited := w.job(w.ani, "inherited")
			want(t, w.DeleteUser(ctx, by(boss), w.ani.ID, start), "")
			want(t, w.DeleteUser(ctx, jadwal.Actor{}, boss.ID, start), "") // by the operator: to the first superuser
			for id, limited := range map[int64]bool{own.ID: false, inherited.ID: true} {
				if j, err := w.Job(ctx, id); err != nil || j.EgressLimited != limited || j.OwnerID != w.admin.ID {
					t.Errorf("%+v, %v", j, err)
				}
			}
		}},
		{"inherited egress rules stay over a pause and end with an edit", func(t *testing.T, w *world) {
			id := w.job(w.ani, "a").ID
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start), "")
			j, _ := w.Job(ctx, id)
			j.State, j.PauseReason = jadwal.JobEnabled, ""
			j, _, err := w.UpdateJob(ctx, by(w.admin), j, j.Version, start)
			if err != nil || !j.EgressLimited {
				t.Fatalf("%+v, %v", j, err)
			}
			j.Definition.Description = "mine now"
			j, _, err = w.UpdateJob(ctx, by(w.admin), j, j.Version, start)
			if err != nil || j.EgressLimited {
				t.Fatalf("%+v, %v", j, err)
			}
		}},
		{"deleted jobs of a deleted user stay as they are", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			_, err := w.DeleteJob(ctx, by(w.ani), j.ID, start)
			want(t, err, "")
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start), "")
			got, err := w.AnyJob(ctx, j.ID)
			if err != nil || got.OwnerID != w.ani.ID || got.Version != 2 {
				t.Errorf("%+v, %v", got, err)
			}
		}},
	})
}

func TestSessionRules(t *testing.T) {
	ctx := t.Context()
	prove(t, []rule{
		{"a session starts in generation 1 with a random positive id, and is known at once", func(t *testing.T, w *world) {
			seen := map[int64]bool{}
			for range 50 {
				n := w.session(w.ani)
				u, live, ok, _ := w.Identity(ctx, n.ID)
				if !ok || u != w.ani || live != n || n.Generation != 1 || n.ID <= 0 || seen[n.ID] || !n.RotatedAt.Equal(start) || n.UserID != w.ani.ID {
					t.Fatalf("%+v, %+v, %v", n, live, ok)
				}
				seen[n.ID] = true
			}
		}},
		{"a session does not start with an old password's hash, or for a user who is gone", func(t *testing.T, w *world) {
			_, err := w.StartSession(ctx, by(w.ani), start, start.Add(time.Hour), "old")
			want(t, err, jadwal.CodeInvalidLogin)
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start), "")
			_, err = w.StartSession(ctx, by(w.ani), start, start.Add(time.Hour), "hash")
			want(t, err, jadwal.CodeInvalidLogin)
		}},
		{"refreshing rotates; the token before is repeated within the grace, and theft after it", func(t *testing.T, w *world) {
			n := w.session(w.ani)
			at := start
			for range 3 {
				at = at.Add(time.Hour)
				next, r, err := w.RotateSession(ctx, n.ID, n.Generation, at)
				if err != nil || r != jadwal.RotationNext || next.Generation != n.Generation+1 || !next.RotatedAt.Equal(at) || !next.ExpiresAt.Equal(n.ExpiresAt) {
					t.Fatalf("%+v, %v, %v", next, r, err)
				}
				if _, live, ok, _ := w.Identity(ctx, n.ID); !ok || live != next {
					t.Fatalf("in memory: %+v", live)
				}
				n = next
			}
			same, r, err := w.RotateSession(ctx, n.ID, n.Generation-1, at.Add(jadwal.RotationGrace))
			if err != nil || r != jadwal.RotationRepeat || same != n {
				t.Errorf("repeat: %+v, %v, %v", same, r, err)
			}
			_, r, err = w.RotateSession(ctx, n.ID, n.Generation+1, at)
			if err != nil || r != jadwal.RotationDead || !w.alive(n) {
				t.Errorf("never given out: %v, %v", r, err)
			}
			_, r, err = w.RotateSession(ctx, n.ID, n.Generation-1, at.Add(jadwal.RotationGrace+time.Microsecond))
			if err != nil || r != jadwal.RotationTheft || w.alive(n) {
				t.Errorf("theft: %v, %v", r, err)
			}
			_, r, err = w.RotateSession(ctx, n.ID, n.Generation, at)
			if err != nil || r != jadwal.RotationDead {
				t.Errorf("after theft: %v, %v", r, err)
			}
		}},
		{"a session past its end does not rotate", func(t *testing.T, w *world) {
			n := w.session(w.ani)
			_, r, err := w.RotateSession(ctx, n.ID, 1, n.ExpiresAt)
			if err != nil || r != jadwal.RotationDead {
				t.Errorf("%v, %v", r, err)
			}
		}},
		{"of a hundred refreshes with one token at once, one rotates and the others get the same successor", func(t *testing.T, w *world) {
			n := w.session(w.ani)
			var mu sync.Mutex
			counts := map[jadwal.Rotation]int{}
			var wg sync.WaitGroup
			for range 100 {
				wg.Go(func() {
					next, r, err := w.RotateSession(ctx, n.ID, 1, start.Add(time.Minute))
					if err != nil || next.Generation != 2 || !next.RotatedAt.Equal(start.Add(time.Minute)) {
						t.Errorf("%+v, %v", next, err)
					}
					mu.Lock()
					defer mu.Unlock()
					counts[r]++
				})
			}
			wg.Wait()
			if counts[jadwal.RotationNext] != 1 || counts[jadwal.RotationRepeat] != 99 {
				t.Errorf("%v", counts)
			}
		}},
		{"ended sessions are dead at once, and unknown ones are no error", func(t *testing.T, w *world) {
			a, b, c := w.session(w.ani), w.session(w.ani), w.session(w.ani)
			want(t, w.EndSessions(ctx, by(w.ani), start, a.ID, 12345, b.ID), "")
			if w.alive(a) || w.alive(b) || !w.alive(c) {
				t.Error("sessions")
			}
			want(t, w.EndSessions(ctx, by(w.ani), start), "")
		}},
		{"sessions past their end are swept out as new ones start", func(t *testing.T, w *world) {
			var old []jadwal.Session
			for range 20 {
				n, err := w.StartSession(ctx, by(w.ani), start, start.Add(time.Hour), "hash")
				want(t, err, "")
				old = append(old, n)
			}
			for range 3 {
				_, err := w.StartSession(ctx, by(w.budi), start.Add(time.Hour), start.Add(2*time.Hour), "hash")
				want(t, err, "")
			}
			for _, n := range old {
				if w.alive(n) {
					t.Error("one is still there")
				}
			}
		}},
	})
}
