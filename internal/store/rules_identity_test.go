package store_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store"
)

func (w *world) key(owner jadwal.User, id int64) (jadwal.Key, []byte) {
	w.t.Helper()
	hash := bytes.Repeat([]byte{byte(id)}, 32)
	k, err := w.CreateKey(w.t.Context(), by(owner), jadwal.Key{ID: id, Name: "k", Scopes: jadwal.Scopes, ExpiresAt: start.Add(time.Hour)}, hash, start)
	want(w.t, err, "")
	return k, hash
}

func TestKeyRules(t *testing.T) {
	ctx := t.Context()
	prove(t, []rule{
		{"a key is known at once by its hash, and by no other", func(t *testing.T, w *world) {
			k, hash := w.key(w.ani, 7)
			u, live, ok, err := w.KeyIdentity(ctx, 7, hash)
			if !ok || err != nil || u != w.ani || live.ID != 7 || !slices.Equal(live.Scopes, jadwal.Scopes) || !live.ExpiresAt.Equal(k.ExpiresAt) || live.UserID != w.ani.ID {
				t.Errorf("%+v, %+v, %v", u, live, ok)
			}
			for _, other := range [][]byte{nil, hash[:31], bytes.Repeat([]byte{8}, 32)} {
				if _, _, ok, err := w.KeyIdentity(ctx, 7, other); ok || err != nil {
					t.Errorf("known by %x", other)
				}
			}
			if _, _, ok, err := w.KeyIdentity(ctx, 8, hash); ok || err != nil {
				t.Error("known by another id")
			}
		}},
		{"what a key began it does not end when it was deleted meanwhile", func(t *testing.T, w *world) {
			k, hash := w.key(w.ani, 7)
			actor := jadwal.Actor{User: w.ani, Key: &k}
			_, err := w.CreateJob(ctx, actor, newJob(w.ani.ID, "a", start.Add(time.Hour)), start)
			want(t, err, "")
			want(t, w.DeleteKey(ctx, by(w.ani), 7, start), "")
			_, err = w.CreateJob(ctx, actor, newJob(w.ani.ID, "b", start.Add(time.Hour)), start)
			want(t, err, jadwal.CodeInvalidToken)
			if _, _, ok, err := w.KeyIdentity(ctx, 7, hash); ok || err != nil {
				t.Error("it is alive")
			}
		}},
		{"a disabled user's key is dead and lives again, a deleted user's does not", func(t *testing.T, w *world) {
			_, hash := w.key(w.ani, 7)
			alive := func() bool {
				_, _, ok, err := w.KeyIdentity(ctx, 7, hash)
				want(t, err, "")
				return ok
			}
			want(t, w.DisableUser(ctx, by(w.admin), w.ani.ID, true, start), "")
			if alive() {
				t.Error("alive while disabled")
			}
			want(t, w.DisableUser(ctx, by(w.admin), w.ani.ID, false, start), "")
			if !alive() {
				t.Error("dead when enabled")
			}
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start), "")
			if keys, err := w.Keys(ctx, w.ani.ID); alive() || len(keys) != 0 || err != nil {
				t.Errorf("of a deleted user: %v, %v", keys, err)
			}
		}},
		{"a user deletes no other user's key, a superuser does", func(t *testing.T, w *world) {
			w.key(w.ani, 7)
			want(t, w.DeleteKey(ctx, by(w.budi), 7, start), jadwal.CodeNotFound)
			want(t, w.DeleteKey(ctx, by(w.admin), 7, start), "")
			want(t, w.DeleteKey(ctx, by(w.admin), 7, start), jadwal.CodeNotFound)
		}},
		{"of many made at once at most 50 are stored", func(t *testing.T, w *world) {
			var wg sync.WaitGroup
			for i := range jadwal.MaxKeys + 20 {
				wg.Go(func() {
					_, err := w.CreateKey(ctx, by(w.ani), jadwal.Key{ID: int64(i + 1), Name: "k", Scopes: jadwal.Scopes}, bytes.Repeat([]byte{1}, 32), start)
					if code := jadwal.CodeOf(err); code != "" && code != jadwal.CodeConflict {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if keys, err := w.Keys(ctx, w.ani.ID); len(keys) != jadwal.MaxKeys || err != nil {
				t.Errorf("%d, %v", len(keys), err)
			}
		}},
		{"a use is stored, and an older one does not replace it", func(t *testing.T, w *world) {
			n := w.session(w.ani)
			w.key(w.ani, 7)
			for _, at := range []time.Duration{2 * time.Hour, time.Hour} {
				w.SessionUsed(n.ID, start.Add(at))
				w.KeyUsed(7, start.Add(at))
				want(t, w.WriteUsage(ctx), "")
			}
			keys, err := w.Keys(ctx, w.ani.ID)
			want(t, err, "")
			sessions, err := w.Sessions(ctx, w.ani.ID)
			want(t, err, "")
			if at := start.Add(2 * time.Hour); !keys[0].UsedAt.Equal(at) || !sessions[0].UsedAt.Equal(at) {
				t.Errorf("%v, %v", keys[0].UsedAt, sessions[0].UsedAt)
			}
		}},
	})
}

func TestPasswordRules(t *testing.T) {
	ctx := t.Context()
	code := bytes.Repeat([]byte{1}, 32)
	prove(t, []rule{
		{"a change of the password keeps the session that asks for it, and wants the hash that is stored", func(t *testing.T, w *world) {
			a, b := w.session(w.ani), w.session(w.ani)
			actor := jadwal.Actor{User: w.ani, SessionID: a.ID}
			want(t, w.ChangePassword(ctx, actor, "old", "hash2", start), jadwal.CodeWrongPassword)
			want(t, w.ChangePassword(ctx, actor, "hash", "hash2", start), "")
			if !w.alive(a) || w.alive(b) {
				t.Error("sessions")
			}
			want(t, w.ChangePassword(ctx, jadwal.Actor{User: w.ani, SessionID: b.ID}, "hash2", "hash3", start), jadwal.CodeInvalidToken)
		}},
		{"of many who use a code at once one sets the password", func(t *testing.T, w *world) {
			n := w.session(w.ani)
			want(t, w.StartReset(ctx, by(w.admin), w.ani.ID, code, start.Add(time.Hour), start), "")
			var wg sync.WaitGroup
			var mu sync.Mutex
			set := 0
			for range 20 {
				wg.Go(func() {
					err := w.RedeemReset(ctx, by(w.ani), code, "hash2", start)
					mu.Lock()
					defer mu.Unlock()
					switch jadwal.CodeOf(err) {
					case "":
						set++
					case jadwal.CodeInvalidLogin:
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if set != 1 || w.alive(n) {
				t.Errorf("%d set it", set)
			}
		}},
		{"a code is for superusers to make, and not of themselves", func(t *testing.T, w *world) {
			want(t, w.StartReset(ctx, by(w.ani), w.budi.ID, code, start.Add(time.Hour), start), jadwal.CodeForbidden)
			want(t, w.StartReset(ctx, by(w.admin), 999, code, start.Add(time.Hour), start), jadwal.CodeNotFound)
			want(t, w.StartReset(ctx, by(w.admin), w.admin.ID, code, start.Add(time.Hour), start), jadwal.CodeOwnAccount)
		}},
		{"superusers who disable, demote and delete each other at once leave one", func(t *testing.T, w *world) {
			other := newUser(t, w.Store, "other", true)
			var wg sync.WaitGroup
			no := false
			wg.Go(func() { _ = w.DisableUser(ctx, by(w.admin), other.ID, true, start) })
			wg.Go(func() { _ = w.DisableUser(ctx, by(other), w.admin.ID, true, start) })
			wg.Go(func() { _, _ = w.UpdateUser(ctx, by(other), other.ID, jadwal.UserPatch{IsSuperuser: &no}, start) })
			wg.Go(func() { _ = w.DeleteUser(ctx, by(other), w.admin.ID, start) })
			wg.Wait()
			users, err := w.Users(ctx)
			want(t, err, "")
			if left := slices.DeleteFunc(users, func(u jadwal.User) bool { return !u.IsSuperuser || !u.DisabledAt.IsZero() }); len(left) == 0 {
				t.Error("none is left")
			}
		}},
	})
}

func TestGrantRules(t *testing.T) {
	ctx := t.Context()
	prove(t, []rule{
		{"a grant that was taken away meanwhile changes nothing any more", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			_, created, err := w.SetGrant(ctx, by(w.ani), j.ID, w.budi.ID, jadwal.LevelEditor, start)
			if err != nil || !created {
				t.Fatalf("%v, %v", created, err)
			}
			j.Definition.Description = "by budi"
			j, _, err = w.UpdateJob(ctx, by(w.budi), j, j.Version, start)
			want(t, err, "")
			want(t, w.RemoveGrant(ctx, by(w.ani), j.ID, w.budi.ID, start), "")
			j.Definition.Description = "by budi again"
			_, _, err = w.UpdateJob(ctx, by(w.budi), j, j.Version, start)
			want(t, err, jadwal.CodeNotFound)
			_, err = w.RunNow(ctx, by(w.budi), j.ID, start)
			want(t, err, jadwal.CodeNotFound)
		}},
		{"a level that is too low is forbidden, and whoever has one shares nothing", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			_, _, err := w.SetGrant(ctx, by(w.ani), j.ID, w.budi.ID, jadwal.LevelViewer, start)
			want(t, err, "")
			_, err = w.RunNow(ctx, by(w.budi), j.ID, start)
			want(t, err, jadwal.CodeForbidden)
			_, created, err := w.SetGrant(ctx, by(w.ani), j.ID, w.budi.ID, jadwal.LevelEditor, start)
			if err != nil || created {
				t.Fatalf("%v, %v", created, err)
			}
			_, _, err = w.SetGrant(ctx, by(w.budi), j.ID, w.admin.ID, jadwal.LevelViewer, start)
			want(t, err, jadwal.CodeForbidden)
			_, _, err = w.HandOver(ctx, by(w.budi), j.ID, w.budi.ID, start)
			want(t, err, jadwal.CodeForbidden)
			_, err = w.DeleteJob(ctx, by(w.budi), j.ID, start)
			want(t, err, "")
		}},
		{"what is shared is listed by id among one's own, and counted", func(t *testing.T, w *world) {
			var all []int64
			for i, owner := range []jadwal.User{w.ani, w.budi, w.ani, w.budi, w.ani} {
				j := w.job(owner, string(rune('a'+i)))
				if i == 2 {
					continue // not shared
				}
				all = append(all, j.ID)
				if owner == w.ani {
					_, _, err := w.SetGrant(ctx, by(w.ani), j.ID, w.budi.ID, jadwal.LevelViewer, start)
					want(t, err, "")
				}
			}
			q := store.JobQuery{SeenBy: w.budi.ID, Limit: 2}
			var got []int64
			for {
				page, _, err := w.Jobs(ctx, q)
				want(t, err, "")
				for _, j := range page {
					got = append(got, j.ID)
				}
				if len(page) < q.Limit {
					break
				}
				q.AfterID = got[len(got)-1]
			}
			n, exact, err := w.CountJobs(ctx, q)
			ids, errIDs := w.JobIDs(ctx, w.budi.ID, 100)
			slices.Sort(ids)
			if !slices.Equal(got, all) || n != len(all) || !exact || err != nil || !slices.Equal(ids, all) || errIDs != nil {
				t.Errorf("%v, %d, %v; want %v", got, n, ids, all)
			}
		}},
		{"a job that came to a user who has a grant for it is one of that user's own, and listed once", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			_, _, err := w.SetGrant(ctx, by(w.ani), j.ID, w.admin.ID, jadwal.LevelViewer, start)
			want(t, err, "")
			want(t, w.DeleteUser(ctx, by(w.admin), w.ani.ID, start), "")
			q := store.JobQuery{SeenBy: w.admin.ID, Limit: 10}
			var jobs []jadwal.Job
			for range 1000 {
				if jobs, _, err = w.Jobs(ctx, q); err != nil || len(jobs) > 0 && jobs[0].OwnerID == w.admin.ID {
					break
				}
				time.Sleep(time.Millisecond)
			}
			n, _, errCount := w.CountJobs(ctx, q)
			ids, errIDs := w.JobIDs(ctx, w.admin.ID, 10)
			if len(jobs) != 1 || n != 1 || len(ids) != 1 || err != nil || errCount != nil || errIDs != nil {
				t.Errorf("%d, %d, %v", len(jobs), n, ids)
			}
		}},
		{"a job that is given away has its owner on the cursor's next version, and no grant of the new owner's", func(t *testing.T, w *world) {
			j := w.job(w.ani, "a")
			_, _, err := w.SetGrant(ctx, by(w.ani), j.ID, w.budi.ID, jadwal.LevelViewer, start)
			want(t, err, "")
			given, change, err := w.HandOver(ctx, by(w.ani), j.ID, w.budi.ID, start)
			if err != nil || change == 0 || given.OwnerID != w.budi.ID || given.Version != 2 || !given.EgressLimited {
				t.Errorf("%+v, %d, %v", given, change, err)
			}
			if grants, err := w.Grants(ctx, j.ID); len(grants) != 0 || err != nil {
				t.Errorf("%v, %v", grants, err)
			}
			_, change, err = w.HandOver(ctx, by(w.budi), j.ID, w.budi.ID, start)
			if err != nil || change != 0 {
				t.Errorf("to the same: %d, %v", change, err)
			}
			_, _, err = w.HandOver(ctx, by(w.ani), j.ID, w.ani.ID, start)
			want(t, err, jadwal.CodeNotFound)
		}},
	})
}
