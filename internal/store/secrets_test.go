package store

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// keeper is a store with a superuser and two users, and the secret token of ani's.
type keeper struct {
	*Store
	admin, ani, budi jadwal.User
	token            jadwal.Secret
}

func newKeeper(t *testing.T, s *Store) *keeper {
	t.Helper()
	k := &keeper{Store: s}
	for name, into := range map[string]*jadwal.User{"admin": &k.admin, "ani": &k.ani, "budi": &k.budi} {
		u, err := s.CreateUser(t.Context(), jadwal.Actor{}, jadwal.NewUser{Username: name, Email: name + "@x", PasswordHash: "h", IsSuperuser: name == "admin"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		*into = u
	}
	k.token = k.secret(t, k.ani, "token", "canary-of-ani")
	return k
}

func (k *keeper) secret(t *testing.T, u jadwal.User, name, value string) jadwal.Secret {
	t.Helper()
	n, err := k.CreateSecret(t.Context(), jadwal.Actor{User: u}, jadwal.Secret{Name: name, Origins: []string{"https://api.example.com"}}, value, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ids are those of a job of ani's that names the secret token.
func (k *keeper) ids() []jadwal.SecretID {
	return []jadwal.SecretID{{Name: "token", ID: k.token.ID}}
}

// value is what ani's job gets for the secret token: "locked", or "" for none.
func (k *keeper) value(t *testing.T) string {
	t.Helper()
	values, err := k.OpenSecrets(t.Context(), k.ids())
	if err != nil || len(values) != 1 || values[0].Name != "token" {
		t.Fatalf("%+v, %v", values, err)
	}
	if values[0].Locked {
		return "locked"
	}
	return values[0].Value
}

// uses makes a job of a user's that names the secret token.
func (k *keeper) uses(t *testing.T, u jadwal.User, name string) jadwal.Job {
	t.Helper()
	d := jadwal.DefaultDefinition()
	d.Name, d.Target.URL, d.Target.Body = name, "https://api.example.com/", jadwal.RawJSON(`"{{secret \"token\"}}"`)
	job, err := k.CreateJob(t.Context(), jadwal.Actor{User: u}, jadwal.Job{OwnerID: u.ID, State: jadwal.JobEnabled, Definition: d}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// bound is the id that a job has for the secret token, as the engine reads it.
func (k *keeper) bound(t *testing.T, jobID int64) int64 {
	t.Helper()
	jobs, _, err := k.Definitions(t.Context(), []int64{jobID}, 1<<20)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%+v, %v", jobs, err)
	}
	for _, secret := range jobs[0].Definition.Target.Secrets {
		if secret.Name == "token" {
			return secret.ID
		}
	}
	return 0
}

func TestStoredSecrets(t *testing.T) {
	for name, open := range sealing {
		t.Run(name, func(t *testing.T) { testStoredSecrets(t, func() *keeper { return newKeeper(t, open(t)) }) })
	}
}

func testStoredSecrets(t *testing.T, open func() *keeper) {
	t.Run("another value counts at once, and the former one does not come back", func(t *testing.T) {
		k := open()
		if got := k.value(t) + k.value(t); got != "canary-of-anicanary-of-ani" {
			t.Errorf("got %q", got)
		}
		next := "canary-again"
		if _, err := k.UpdateSecret(t.Context(), jadwal.Actor{User: k.ani}, k.token.ID, &next, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := k.value(t); got != next {
			t.Errorf("got %q", got)
		}
		// Somebody who had read the former one before, and puts it in afterwards.
		_, _, at := k.opened.get(nil)
		k.opened.drop(99)
		k.opened.put(k.ids(), []jadwal.SecretValue{{Name: "token", OwnerID: k.ani.ID, Value: "canary-of-ani"}}, at)
		if got := k.value(t); got != next {
			t.Errorf("got %q", got)
		}
	})
	t.Run("what could not be read is an error once, and is not kept as one that cannot be opened", func(t *testing.T) {
		k := open()
		k.opened.dropAll()
		run(t, k.Store, "ALTER TABLE secret RENAME COLUMN sealed TO away")
		if values, err := k.OpenSecrets(t.Context(), k.ids()); err == nil {
			t.Errorf("%+v", values)
		}
		run(t, k.Store, "ALTER TABLE secret RENAME COLUMN away TO sealed")
		if got := k.value(t); got != "canary-of-ani" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("who wants it while it is read waits for that, but not for what began to be read before a change", func(t *testing.T) {
		k := open()
		k.opened.dropAll()
		begin := func(value string) {
			began, ended := make(chan struct{}), make(chan struct{})
			_, _, at := k.opened.get(k.ids())
			go k.opened.reads.Do(readOf(at, k.ids()), func() (any, error) {
				close(began)
				<-ended
				return []jadwal.SecretValue{{Name: "token", OwnerID: k.ani.ID, Value: value}}, nil
			})
			<-began
			time.AfterFunc(200*time.Millisecond, func() { close(ended) })
		}
		begin("read by another")
		if got := k.value(t); got != "read by another" {
			t.Errorf("got %q", got)
		}
		begin("canary-of-ani")
		next := "canary-again"
		if _, err := k.UpdateSecret(t.Context(), jadwal.Actor{User: k.ani}, k.token.ID, &next, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := k.value(t); got != next {
			t.Errorf("after a change: %q", got)
		}
	})
	t.Run("sealed, it is another's nowhere, nor another version's, nor for another origin", func(t *testing.T) {
		k := open()
		other := k.secret(t, k.ani, "other", "canary-of-another")
		var sealed []byte
		if err := k.read(t.Context(), func(t *tx) error {
			_, err := t.one("SELECT sealed FROM secret WHERE id = $1", func(r row) { sealed = r.bytes(0) }, k.token.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(sealed, []byte("canary")) {
			t.Error("it is in clear")
		}
		for rule, sql := range map[string]string{
			"another row":     "UPDATE secret SET sealed = (SELECT o.sealed FROM secret o WHERE o.id = $2) WHERE id = $1",
			"another version": "UPDATE secret SET version = version + $2 WHERE id = $1",
			"another origin":  "UPDATE secret SET origins = 'https://evil.example.com' WHERE id = $1 AND $2 > 0",
		} {
			run(t, k.Store, "UPDATE secret SET sealed = $2, version = 1, origins = 'https://api.example.com' WHERE id = $1", k.token.ID, sealed)
			k.opened.dropAll()
			if got := k.value(t); got != "canary-of-ani" {
				t.Fatalf("before: %q", got)
			}
			if strings.Contains(sql, "AND $2") {
				run(t, k.Store, strings.TrimSuffix(sql, " AND $2 > 0"), k.token.ID)
			} else {
				run(t, k.Store, sql, k.token.ID, other.ID)
			}
			k.opened.dropAll()
			if got := k.value(t); got != "locked" {
				t.Errorf("%s: %q", rule, got)
			}
		}
		if _, err := k.UpdateSecret(t.Context(), jadwal.Actor{User: k.ani}, k.token.ID, nil, []string{"https://evil.example.com"}, time.Now()); jadwal.CodeOf(err) != jadwal.CodeConflict && err != nil {
			t.Errorf("got %v", err)
		}
		next := "canary-again"
		if _, err := k.UpdateSecret(t.Context(), jadwal.Actor{User: k.ani}, k.token.ID, &next, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := k.value(t); got != next {
			t.Errorf("sent again: %q", got)
		}
	})
	t.Run("it is opened when its master key has retired", func(t *testing.T) {
		k := open()
		unlock(t, k.Store, testVault(t, "n", "k"))
		if err := k.retireMaster(t.Context()); err != nil {
			t.Fatal(err)
		}
		unlock(t, k.Store, testVault(t, "n", ""))
		k.opened.dropAll()
		if got := k.value(t); got != "canary-of-ani" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("a job that is given away does not get the new owner's of that name", func(t *testing.T) {
		k := open()
		budis := k.secret(t, k.budi, "token", "canary-of-budi")
		job := k.uses(t, k.ani, "given")
		if got := k.bound(t, job.ID); got != k.token.ID {
			t.Errorf("bound to %d", got)
		}
		if _, _, err := k.HandOver(t.Context(), jadwal.Actor{User: k.ani}, job.ID, k.budi.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := k.bound(t, job.ID); got != k.token.ID {
			t.Errorf("given away, bound to %d", got)
		}
		if err := k.DeleteSecret(t.Context(), jadwal.Actor{User: k.ani}, k.token.ID, time.Now()); err != nil {
			t.Errorf("the former owner's is not held by it: %v", err)
		}
		edited, err := k.Job(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		edited.Definition.Description = "edited"
		if _, _, err := k.UpdateJob(t.Context(), jadwal.Actor{User: k.budi}, edited, edited.Version, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := k.bound(t, job.ID); got != budis.ID {
			t.Errorf("edited, bound to %d", got)
		}
		if err := k.DeleteSecret(t.Context(), jadwal.Actor{User: k.budi}, budis.ID, time.Now()); jadwal.CodeOf(err) != jadwal.CodeConflict {
			t.Errorf("the new owner's is held by it: %v", err)
		}
	})
	t.Run("a pause keeps what a job is bound to, and an edit without a secret ends it", func(t *testing.T) {
		k := open()
		job := k.uses(t, k.ani, "paused")
		job.State = jadwal.JobPaused
		job, _, err := k.UpdateJob(t.Context(), jadwal.Actor{User: k.ani}, job, 1, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if got := k.bound(t, job.ID); got != k.token.ID {
			t.Errorf("bound to %d", got)
		}
		job.Definition.Target.Body = nil
		if _, _, err := k.UpdateJob(t.Context(), jadwal.Actor{User: k.ani}, job, 2, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := k.bound(t, job.ID); got != 0 {
			t.Errorf("bound to %d", got)
		}
		if err := k.DeleteSecret(t.Context(), jadwal.Actor{User: k.ani}, k.token.ID, time.Now()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a deleted user's go with the user", func(t *testing.T) {
		k := open()
		job := k.uses(t, k.ani, "orphan")
		if err := k.DeleteUser(t.Context(), jadwal.Actor{User: k.admin}, k.ani.ID, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := k.value(t); got != "" {
			t.Errorf("got %q", got)
		}
		found, err := k.Job(t.Context(), job.ID)
		if err != nil || found.OwnerID != k.admin.ID {
			t.Fatalf("%+v, %v", found, err)
		}
		found.Definition.Description = "edited"
		if _, _, err := k.UpdateJob(t.Context(), jadwal.Actor{User: k.admin}, found, found.Version, time.Now()); jadwal.CodeOf(err) != jadwal.CodeValidation {
			t.Errorf("edited without one: %v", err)
		}
	})
}

// What one server stores is what the other one's requests get a moment later.
func TestSecretsOfAnotherNode(t *testing.T) {
	p := newPair(t)
	unlock(t, p.here, testVault(t, "k", ""))
	unlock(t, p.there, testVault(t, "k", ""))
	there := &keeper{Store: p.there, ani: p.ani}
	here := &keeper{Store: p.here, ani: p.ani}
	there.token = here.secret(t, p.ani, "token", "canary-1")
	listening, stop := context.WithCancel(context.Background())
	var heard sync.WaitGroup
	heard.Go(func() { p.there.Listen(listening) })
	t.Cleanup(func() { stop(); heard.Wait() })
	if got := there.value(t); got != "canary-1" {
		t.Fatalf("got %q", got)
	}
	next := "canary-2"
	if _, err := here.UpdateSecret(t.Context(), jadwal.Actor{User: p.ani}, there.token.ID, &next, nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new value", func() bool { return there.value(t) == next })
	if err := here.DeleteSecret(t.Context(), jadwal.Actor{User: p.ani}, there.token.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end", func() bool { return there.value(t) == "" })
}
