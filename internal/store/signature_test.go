package store

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/vault"
)

func unlockTest(t testing.TB, stores ...*Store) {
	t.Helper()
	for _, s := range stores {
		v, err := vault.New(masterOf("m"), nil)
		if err == nil {
			err = s.Unlock(t.Context(), v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// masterOf is a master key of one letter.
func masterOf(letter string) []byte { return []byte(strings.Repeat(letter, jadwal.MinServerSecret)) }

// signers is a store with a superuser, two users and a job of the first one.
type signers struct {
	*Store
	admin, ani, budi jadwal.User
	job              int64
	now              time.Time
}

func newSigners(t *testing.T, s *Store) *signers {
	t.Helper()
	unlockTest(t, s)
	w := &signers{Store: s, now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	user := func(name string, superuser bool) jadwal.User {
		u, err := s.CreateUser(t.Context(), jadwal.Actor{}, jadwal.NewUser{Username: name, Email: name + "@x", PasswordHash: "h", IsSuperuser: superuser}, w.now)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	w.admin, w.ani, w.budi = user("admin", true), user("ani", false), user("budi", false)
	w.job = w.newJob(t, "a")
	return w
}

func (w *signers) newJob(t *testing.T, name string) int64 {
	t.Helper()
	d := jadwal.DefaultDefinition()
	d.Name, d.Target.URL = name, "https://example.com/"
	job, err := w.CreateJob(t.Context(), jadwal.Actor{User: w.ani}, jadwal.Job{OwnerID: w.ani.ID, Definition: d, State: jadwal.JobEnabled}, w.now)
	if err != nil {
		t.Fatal(err)
	}
	return job.ID
}

// keyOf is a key of one letter.
func keyOf(letter string) []byte { return []byte(strings.Repeat(letter, jadwal.SignatureKeyBytes)) }

// make makes a key of one letter.
func (w *signers) make(t *testing.T, by jadwal.User, of jadwal.SignatureHolder, letter string, overlap time.Duration) jadwal.SignatureKey {
	t.Helper()
	k, err := w.CreateSignatureKey(t.Context(), jadwal.Actor{User: by}, of, keyOf(letter), overlap, w.now)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// letters are the keys of one letter that sign what a job of a user sends.
func letters(s *Store, job, user int64, now time.Time) (found string) {
	signer := s.Signer(job, user)
	if signer.Locked() {
		return "locked"
	}
	_, got := signer.Sign("id", now, nil)
	for signature := range strings.FieldsSeq(got) {
		for _, letter := range []string{"a", "b", "c", "j"} {
			var one *jadwal.Signer
			if _, want := one.With(keyOf(letter), time.Time{}).Sign("id", now, nil); signature == want {
				found += letter
			}
		}
	}
	return found
}

func TestSignatureKeys(t *testing.T) {
	for name, open := range databases {
		t.Run(name, func(t *testing.T) { testSignatureKeys(t, open) })
	}
}

func testSignatureKeys(t *testing.T, open func(testing.TB) *Store) {
	user := func(w *signers) jadwal.SignatureHolder { return jadwal.SignatureHolder{UserID: w.ani.ID} }
	expect := func(t *testing.T, w *signers, want string) {
		t.Helper()
		if got := letters(w.Store, w.job, w.ani.ID, w.now); got != want {
			t.Errorf("signed with %q, want %q", got, want)
		}
	}
	t.Run("a key signs at once, a second one beside it, until the first retires", func(t *testing.T) {
		w := newSigners(t, open(t))
		expect(t, w, "")
		first := w.make(t, w.ani, user(w), "a", 0)
		expect(t, w, "a")
		second := w.make(t, w.ani, user(w), "b", time.Hour)
		expect(t, w, "ba")
		keys, err := w.SignatureKeys(t.Context(), user(w), w.now)
		if err != nil || len(keys) != 2 || keys[0] != second || keys[1].ID != first.ID || !keys[1].RetiresAt.Equal(w.now.Add(time.Hour)) {
			t.Errorf("%+v, %v", keys, err)
		}
		if _, err := w.CreateSignatureKey(t.Context(), jadwal.Actor{User: w.ani}, user(w), keyOf("c"), 0, w.now); jadwal.CodeOf(err) != jadwal.CodeConflict {
			t.Errorf("a third one: %v", err)
		}
		w.now = w.now.Add(time.Hour)
		expect(t, w, "b")
		if keys, err := w.SignatureKeys(t.Context(), user(w), w.now); err != nil || len(keys) != 1 {
			t.Errorf("%+v, %v", keys, err)
		}
		w.make(t, w.ani, user(w), "c", 0)
		expect(t, w, "c")
	})
	t.Run("the rotation is taken back by deleting the newer one", func(t *testing.T) {
		w := newSigners(t, open(t))
		w.make(t, w.ani, user(w), "a", 0)
		second := w.make(t, w.ani, user(w), "b", time.Hour)
		if err := w.DeleteSignatureKey(t.Context(), jadwal.Actor{User: w.ani}, second.ID, w.now); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(2 * time.Hour)
		expect(t, w, "a")
	})
	t.Run("and ended by deleting the former one; without a key nothing is signed", func(t *testing.T) {
		w := newSigners(t, open(t))
		first := w.make(t, w.ani, user(w), "a", 0)
		second := w.make(t, w.ani, user(w), "b", time.Hour)
		for _, k := range []struct {
			jadwal.SignatureKey
			left string
		}{{first, "b"}, {second, ""}} {
			if err := w.DeleteSignatureKey(t.Context(), jadwal.Actor{User: w.ani}, k.ID, w.now); err != nil {
				t.Fatal(err)
			}
			expect(t, w, k.left)
		}
	})
	t.Run("a job's own key takes the place of its owner's", func(t *testing.T) {
		w := newSigners(t, open(t))
		other := w.newJob(t, "b")
		w.make(t, w.ani, user(w), "a", 0)
		own := w.make(t, w.ani, jadwal.SignatureHolder{JobID: w.job}, "j", 0)
		expect(t, w, "j")
		if got := letters(w.Store, other, w.ani.ID, w.now); got != "a" {
			t.Errorf("another job: %q", got)
		}
		if err := w.DeleteSignatureKey(t.Context(), jadwal.Actor{User: w.admin}, own.ID, w.now); err != nil {
			t.Fatal(err)
		}
		expect(t, w, "a")
	})
	t.Run("only who owns it may, and others know of nothing", func(t *testing.T) {
		w := newSigners(t, open(t))
		own, of := w.make(t, w.ani, user(w), "a", 0), w.make(t, w.ani, jadwal.SignatureHolder{JobID: w.job}, "j", 0)
		for _, id := range []int64{own.ID, of.ID, 7} {
			if err := w.DeleteSignatureKey(t.Context(), jadwal.Actor{User: w.budi}, id, w.now); jadwal.CodeOf(err) != jadwal.CodeNotFound {
				t.Errorf("delete: %v", err)
			}
		}
		for _, of := range []jadwal.SignatureHolder{user(w), {JobID: w.job}, {JobID: 99}} {
			if _, err := w.CreateSignatureKey(t.Context(), jadwal.Actor{User: w.budi}, of, keyOf("c"), 0, w.now); jadwal.CodeOf(err) != jadwal.CodeNotFound {
				t.Errorf("create: %v", err)
			}
		}
		if _, _, err := w.SetGrant(t.Context(), jadwal.Actor{User: w.ani}, w.job, w.budi.ID, jadwal.LevelEditor, w.now); err != nil {
			t.Fatal(err)
		}
		if _, err := w.CreateSignatureKey(t.Context(), jadwal.Actor{User: w.budi}, jadwal.SignatureHolder{JobID: w.job}, keyOf("c"), 0, w.now); jadwal.CodeOf(err) != jadwal.CodeForbidden {
			t.Errorf("an editor: %v", err)
		}
		expect(t, w, "j")
	})
	t.Run("a deleted user's keys are gone, and a deleted job's, and old ones are swept", func(t *testing.T) {
		w := newSigners(t, open(t))
		w.make(t, w.ani, user(w), "a", 0)
		w.make(t, w.ani, user(w), "b", time.Hour)
		w.make(t, w.ani, jadwal.SignatureHolder{JobID: w.job}, "j", 0)
		w.now = w.now.Add(time.Hour)
		if err := w.DeleteUser(t.Context(), jadwal.Actor{User: w.admin}, w.budi.ID, w.now); err != nil {
			t.Fatal(err)
		}
		if _, err := w.DeleteJobAt(t.Context(), jadwal.Actor{User: w.ani}, w.job, 0, w.now); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Retain(t.Context(), w.now, Retention{History: 1000 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		if n := count(t, w.Store, "SELECT count(*) FROM signature_key"); n != 1 {
			t.Errorf("%d keys are left", n)
		}
		expect(t, w, "b")
		if err := w.DeleteUser(t.Context(), jadwal.Actor{User: w.admin}, w.ani.ID, w.now); err != nil {
			t.Fatal(err)
		}
		if n := count(t, w.Store, "SELECT count(*) FROM signature_key"); n != 0 {
			t.Errorf("%d keys are left", n)
		}
		expect(t, w, "")
	})
	t.Run("the lines of the audit log tell no key", func(t *testing.T) {
		w := newSigners(t, open(t))
		first := w.make(t, w.ani, user(w), "a", 0)
		second := w.make(t, w.ani, user(w), "b", time.Hour)
		if err := w.DeleteSignatureKey(t.Context(), jadwal.Actor{User: w.ani}, second.ID, w.now); err != nil {
			t.Fatal(err)
		}
		lines, _, err := w.Audit(t.Context(), AuditQuery{Limit: 3})
		if err != nil || len(lines) != 3 {
			t.Fatalf("%+v, %v", lines, err)
		}
		id, former := jadwal.FormatKeyID(second.ID), jadwal.FormatKeyID(first.ID)
		for i, want := range []string{
			`signature-key.delete signature-key/` + id + ` {"active":"` + former + `","of":"user/2"}`,
			`signature-key.create signature-key/` + id + ` {"former":"` + former + `","of":"user/2","retires_at":"2026-11-28T13:00:00.000000Z"}`,
			`signature-key.create signature-key/` + former + ` {"of":"user/2"}`,
		} {
			if got := lines[i].Action + " " + lines[i].Object + " " + string(lines[i].Detail); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
	t.Run("keys are sealed, for their place: nothing is signed, nor sent, when they cannot be opened", func(t *testing.T) {
		w := newSigners(t, open(t))
		w.make(t, w.ani, user(w), "a", 0)
		w.make(t, w.budi, jadwal.SignatureHolder{UserID: w.budi.ID}, "b", 0)
		sealed := func(of int64) (b []byte) {
			if err := w.read(t.Context(), func(t *tx) error {
				_, err := t.one("SELECT sealed FROM signature_key WHERE user_id = $1", func(r row) { b = r.bytes(0) }, of)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return b
		}
		if bytes.Contains(sealed(w.ani.ID), keyOf("a")) {
			t.Error("it is stored in clear")
		}
		for what, text := range map[string][]byte{"moved": sealed(w.budi.ID), "changed": func() []byte {
			b := sealed(w.ani.ID)
			b[len(b)-1] ^= 1
			return b
		}()} {
			if err := w.write(t.Context(), laneAPI, func(tx *tx) error {
				_, err := tx.exec("UPDATE signature_key SET sealed = $2 WHERE user_id = $1", w.ani.ID, text)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			unlockTest(t, w.Store) // as a start does
			expect(t, w, "locked")
			if got := letters(w.Store, 0, w.budi.ID, w.now); got != "b" {
				t.Errorf("%s: another user's: %q", what, got)
			}
		}
		keys, err := w.SignatureKeys(t.Context(), user(w), w.now)
		if err != nil || len(keys) != 1 {
			t.Fatalf("%+v, %v", keys, err)
		}
		w.make(t, w.ani, user(w), "c", time.Hour)
		expect(t, w, "locked")
		if err := w.DeleteSignatureKey(t.Context(), jadwal.Actor{User: w.ani}, keys[0].ID, w.now); err != nil {
			t.Fatal(err)
		}
		expect(t, w, "c")
	})
	t.Run("they are sealed anew when the master key retires", func(t *testing.T) {
		w := newSigners(t, open(t))
		w.make(t, w.ani, user(w), "a", 0)
		w.make(t, w.ani, jadwal.SignatureHolder{JobID: w.newJob(t, "b")}, "j", 0)
		for _, retiring := range [][]byte{masterOf("m"), nil} {
			v, err := vault.New(masterOf("n"), retiring)
			if err == nil {
				err = w.Unlock(t.Context(), v)
			}
			if err == nil {
				err = w.retireMaster(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			expect(t, w, "a")
		}
	})
	t.Run("without a master key there are none", func(t *testing.T) {
		s := open(t)
		w := newSigners(t, s)
		s.vault = nil
		if _, err := w.CreateSignatureKey(t.Context(), jadwal.Actor{User: w.ani}, user(w), keyOf("a"), 0, w.now); jadwal.CodeOf(err) != jadwal.CodeNoMasterKey {
			t.Errorf("%v", err)
		}
	})
	t.Run("a start brings them back", func(t *testing.T) {
		w := newSigners(t, open(t))
		w.make(t, w.ani, user(w), "a", 0)
		w.make(t, w.ani, user(w), "b", time.Hour)
		unlockTest(t, w.Store)
		expect(t, w, "ba")
	})
}

// What one server makes and takes away is in force on the other a moment later.
func TestSignatureKeysOfAnotherNode(t *testing.T) {
	p := newPair(t)
	unlockTest(t, p.here, p.there)
	w := &signers{Store: p.here, admin: p.admin, ani: p.ani, now: p.now}
	w.job = w.newJob(t, "a")
	listening, stop := context.WithCancel(context.Background())
	var heard sync.WaitGroup
	heard.Go(func() { p.there.Listen(listening) })
	t.Cleanup(func() { stop(); heard.Wait() })
	within := func(want string) {
		t.Helper()
		from := time.Now()
		eventually(t, want, func() bool { return letters(p.there, w.job, w.ani.ID, w.now) == want })
		if took := time.Since(from); took > time.Second {
			t.Errorf("%s took %s", want, took)
		}
	}
	within("")
	first := w.make(t, w.ani, jadwal.SignatureHolder{UserID: w.ani.ID}, "a", 0)
	within("a")
	w.make(t, w.ani, jadwal.SignatureHolder{UserID: w.ani.ID}, "b", time.Hour)
	within("ba")
	if err := w.DeleteSignatureKey(t.Context(), jadwal.Actor{User: w.ani}, first.ID, w.now); err != nil {
		t.Fatal(err)
	}
	within("b")
	own := w.make(t, w.ani, jadwal.SignatureHolder{JobID: w.job}, "j", 0)
	within("j")
	if err := w.DeleteSignatureKey(t.Context(), jadwal.Actor{User: w.ani}, own.ID, w.now); err != nil {
		t.Fatal(err)
	}
	within("b")
	if err := w.DeleteUser(t.Context(), jadwal.Actor{User: w.admin}, w.ani.ID, w.now); err != nil {
		t.Fatal(err)
	}
	within("")
}
