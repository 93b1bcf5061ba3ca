package store

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/pgtest"
	"github.com/teknohole/jadwal/internal/vault"
)

func idOf(t testing.TB, letter string) string { return testVault(t, letter, "").Active().String() }

// namesOf are the ids of the master keys that the database names; a "-" is
// before one that retires.
func namesOf(t testing.TB, s *Store) (names []string) {
	t.Helper()
	if err := s.single(t.Context(), func(t *tx) error {
		names = nil
		return masterKeys(t, false, func(id string, retires bool) {
			if retires {
				id = "-" + id
			}
			names = append(names, id)
		})
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// sealings are the writes that seal something, by a user of a store that has
// them. Each leaves nothing behind when it is refused.
var sealings = map[string]func(s *Store, u jadwal.User) error{
	"a secret": func(s *Store, u jadwal.User) error {
		_, err := s.CreateSecret(context.Background(), jadwal.Actor{User: u}, jadwal.Secret{Name: "token", Origins: []string{"https://api.example.com"}}, "value", time.Now())
		return err
	},
	"a job with a secret header": func(s *Store, u jadwal.User) error {
		job := secretive("secretive")
		job.OwnerID = u.ID
		_, err := s.CreateJob(context.Background(), jadwal.Actor{User: u}, job, time.Now())
		return err
	},
	"an edit that brings a secret header in": func(s *Store, u jadwal.User) error {
		jobs, _, err := s.Definitions(context.Background(), []int64{1}, 1<<20)
		if err != nil {
			return err
		}
		jobs[0].Definition.Target.Headers = map[string]string{"X-Api-Key": "key"}
		_, _, err = s.UpdateJob(context.Background(), jadwal.Actor{User: u}, jobs[0], jobs[0].Version, time.Now())
		return err
	},
	"a signature key": func(s *Store, u jadwal.User) error {
		_, err := s.CreateSignatureKey(context.Background(), jadwal.Actor{User: u}, jadwal.SignatureHolder{UserID: u.ID}, keyOf("a"), 0, time.Now())
		return err
	},
}

// rows counts what a write that seals leaves.
func rows(t testing.TB, s *Store) (n int64) {
	t.Helper()
	if err := s.single(t.Context(), func(t *tx) error {
		_, err := t.one("SELECT (SELECT count(*) FROM job_version) + (SELECT count(*) FROM secret) + (SELECT count(*) FROM signature_key) + (SELECT count(*) FROM audit)",
			func(r row) { n = r.int(0) })
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

// What is sealed first has the database name its master key. One that was only
// tried is not in another one's way.
func TestTheMasterKeyIsNamedByWhatItSeals(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *Store{"sqlite": openSQLiteTest, "postgres": openPostgresTest} {
		for what, seal := range sealings {
			t.Run(name+", "+what, func(t *testing.T) {
				s := open(t)
				unlock(t, s, testVault(t, "t", ""))
				w := newSigners(t, s)
				if _, err := s.CreateJob(t.Context(), jadwal.Actor{User: w.ani}, jadwal.Job{OwnerID: w.ani.ID, State: jadwal.JobEnabled, Definition: plainly("plain")}, time.Now()); err != nil {
					t.Fatal(err)
				}
				unlock(t, s, testVault(t, "k", ""))
				if names := namesOf(t, s); len(names) > 0 {
					t.Errorf("before anything is sealed: %v", names)
				}
				if err := seal(s, w.ani); err != nil {
					t.Fatal(err)
				}
				if names := namesOf(t, s); !slices.Equal(names, []string{idOf(t, "k")}) {
					t.Errorf("named are %v", names)
				}
				for letter, v := range map[string]*vault.Vault{"": nil, "t": testVault(t, "t", "")} {
					if err := s.Unlock(t.Context(), v); !errors.Is(err, ErrOtherMaster) {
						t.Errorf("with key %q afterwards: %v", letter, err)
					}
				}
			})
		}
		t.Run(name+", what lay in clear", func(t *testing.T) {
			s := open(t)
			clearly(t, s, 1)
			unlock(t, s, testVault(t, "k", ""))
			if names := namesOf(t, s); !slices.Equal(names, []string{idOf(t, "k")}) {
				t.Errorf("named are %v", names)
			}
		})
	}
}

func plainly(name string) jadwal.Definition {
	d := secretive(name).Definition
	d.Target.Headers, d.Target.TLS = nil, jadwal.TargetTLS{}
	return d
}

// keyPair is two servers on one database, with a user who has a job.
func keyPair(t *testing.T, here, there *vault.Vault) (p *pair, job jadwal.Job) {
	t.Helper()
	p = newPair(t)
	for s, v := range map[*Store]*vault.Vault{p.here: here, p.there: there} {
		if err := s.Unlock(t.Context(), v); err != nil {
			t.Fatal(err)
		}
	}
	job, err := p.here.CreateJob(t.Context(), jadwal.Actor{User: p.ani}, jadwal.Job{OwnerID: p.ani.ID, State: jadwal.JobEnabled, Definition: plainly("plain")}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p.settle(t)
	return p, job
}

func TestOnlyWhoHasTheMasterKeySeals(t *testing.T) {
	for name, there := range map[string]*vault.Vault{"without one": nil, "with another one": testVault(t, "t", "")} {
		t.Run(name, func(t *testing.T) {
			p, job := keyPair(t, testVault(t, "k", ""), there)
			if err := sealings["a signature key"](p.here, p.admin); err != nil {
				t.Fatal(err)
			}
			before := rows(t, p.there)
			for what, seal := range sealings {
				if err := seal(p.there, p.ani); jadwal.CodeOf(err) != jadwal.CodeNoMasterKey || !strings.Contains(err.Error(), "JADWAL_MASTER_KEY") {
					t.Errorf("%s: %v", what, err)
				}
			}
			if after := rows(t, p.there); after != before {
				t.Errorf("something is half done: %d rows, %d before", after, before)
			}
			job.Definition.Description = "edited"
			if _, _, err := p.there.UpdateJob(t.Context(), jadwal.Actor{User: p.ani}, job, job.Version, time.Now()); err != nil {
				t.Errorf("what needs no secret: %v", err)
			}
			if err := sealings["a secret"](p.here, p.ani); err != nil {
				t.Errorf("where the key is: %v", err)
			}
		})
	}
}

// Of two servers whose first master keys differ, and which both seal at once,
// one is refused.
func TestTwoFirstMasterKeys(t *testing.T) {
	url := pgtest.Database(t, current)
	servers := map[string]*Store{"k": openURL(t, url), "t": openURL(t, url)}
	w := newSigners(t, servers["k"])
	for letter, s := range servers {
		unlock(t, s, testVault(t, letter, ""))
	}
	refused := map[string]int{}
	for round := 0; round < 30 || len(refused) < 2 && round < 300; round++ { // who is first is luck
		run(t, w.Store, "DELETE FROM meta WHERE key LIKE 'master:%'")
		run(t, w.Store, "DELETE FROM secret")
		run(t, w.Store, "DELETE FROM signature_key")
		run(t, w.Store, "DELETE FROM job WHERE id > 1")
		does := map[string]string{"k": "a secret", "t": "a signature key"}
		if round%2 == 1 {
			does = map[string]string{"k": "an edit that brings a secret header in", "t": "a secret"}
			run(t, w.Store, "UPDATE job SET definition = (SELECT definition FROM job_version WHERE version = 1)")
		}
		var mu sync.Mutex
		var both sync.WaitGroup
		errs := map[string]error{}
		for letter, s := range servers {
			both.Go(func() {
				err := sealings[does[letter]](s, w.ani)
				mu.Lock()
				defer mu.Unlock()
				errs[letter] = err
			})
		}
		both.Wait()
		names := namesOf(t, w.Store)
		for letter, err := range errs {
			if named := slices.Contains(names, idOf(t, letter)); named != (err == nil) || err != nil && jadwal.CodeOf(err) != jadwal.CodeNoMasterKey {
				t.Errorf("with key %q: %v, and named are %v", letter, err, names)
			}
			if err != nil {
				refused[letter]++
			}
		}
		if len(names) != 1 {
			t.Errorf("named are %v", names)
		}
	}
	if refused["k"] == 0 || refused["t"] == 0 {
		t.Errorf("refused were %v: one was always first", refused)
	}
}

// While one server's key is another one's retiring one, both seal: the name goes
// only when nothing is sealed with it, whatever is on its way.
func TestAMasterKeyRetiresBesideAServerThatSealsWithIt(t *testing.T) {
	p, job := keyPair(t, testVault(t, "k", "n"), testVault(t, "n", "k"))
	seal := func(s *Store, by jadwal.User) {
		t.Helper()
		if err := sealings["a secret"](s, by); err != nil {
			t.Fatal(err)
		}
	}
	seal(p.here, p.admin)
	key := map[string]string{"k": idOf(t, "k"), "n": idOf(t, "n")}

	t.Run("what is not committed yet", func(t *testing.T) {
		sealed, retired := make(chan struct{}), make(chan error)
		go func() {
			<-sealed
			retired <- p.there.retireMaster(context.Background())
		}()
		if err := p.here.write(t.Context(), laneAPI, func(x *tx) error {
			job.Definition.Target.Headers = map[string]string{"Authorization": canary}
			text, err := x.encode(&job.Definition, job.ID, 1)
			if err != nil {
				return err
			}
			close(sealed)
			time.Sleep(500 * time.Millisecond) // for the other one to be as far as it gets
			_, err = x.exec("UPDATE job SET definition = $2 WHERE id = $1", job.ID, text)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if err := <-retired; err != nil {
			t.Error(err)
		}
		if names := namesOf(t, p.here); !slices.Equal(names, []string{key["n"]}) {
			t.Errorf("named are %v", names)
		}
		if got := sealedWith(t, p.here); !slices.Equal(got, []string{key["n"]}) {
			t.Errorf("sealed with %v", got)
		}
	})
	t.Run("what comes after that", func(t *testing.T) {
		seal(p.here, p.ani)
		want := []string{key["k"], key["n"]}
		slices.Sort(want)
		if names := namesOf(t, p.there); !slices.Equal(names, want) {
			t.Errorf("named are %v", names)
		}
	})
	t.Run("what comes meanwhile", func(t *testing.T) {
		run(t, p.here, "UPDATE meta SET value = $2 WHERE key = $1", masterKey+key["k"], keyRetires)
		if _, err := p.here.CreateSignatureKey(t.Context(), jadwal.Actor{User: p.ani}, jadwal.SignatureHolder{UserID: p.ani.ID}, keyOf("a"), 0, time.Now()); err != nil {
			t.Fatal(err)
		}
		if names := namesOf(t, p.here); !slices.Contains(names, key["k"]) {
			t.Errorf("named are %v", names)
		}
	})
	t.Run("all of that, many times", func(t *testing.T) {
		own, err := p.here.SecretByName(t.Context(), p.ani.ID, "token")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		var sealing sync.WaitGroup
		sealing.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				time.Sleep(mathrand.N(3 * time.Millisecond))
				value := "another value"
				if _, err := p.here.UpdateSecret(context.Background(), jadwal.Actor{User: p.ani}, own.ID, &value, nil, time.Now()); err != nil {
					t.Errorf("seal: %v", err)
					return
				}
			}
		})
		retired, still := 0, 0
		for range 2000 {
			switch err := p.there.retireMaster(t.Context()); {
			case err == nil:
				retired++
			case strings.Contains(err.Error(), "another server still seals"):
				still++
			default:
				t.Error(err)
			}
			if min(retired, still) >= 20 {
				break
			}
			sealed := slices.Contains(sealedWith(t, p.there), key["k"]) // nobody but this goroutine takes the name away
			if names := namesOf(t, p.there); sealed && !slices.Contains(names, key["k"]) && !slices.Contains(names, "-"+key["k"]) {
				t.Errorf("something is sealed with a key that is not named: %v", names)
				break
			}
		}
		close(done)
		sealing.Wait()
		if min(retired, still) == 0 {
			t.Errorf("%d times it retired, %d times something was sealed with it meanwhile", retired, still)
		}
	})
	t.Run("at last", func(t *testing.T) {
		if err := p.there.retireMaster(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.here.Unlock(t.Context(), testVault(t, "n", "")); err != nil {
			t.Error(err)
		}
		if got := sealedWith(t, p.here); !slices.Equal(got, []string{key["n"]}) {
			t.Errorf("sealed with %v", got)
		}
	})
}

// sealedWith are the ids of the master keys that something is sealed with, of
// secrets, signature keys and jobs.
func sealedWith(t testing.TB, s *Store) (ids []string) {
	t.Helper()
	see := func(text []byte) {
		id, ok := vault.SealedWith(text)
		if !ok {
			t.Errorf("not sealed: %q", text)
		}
		if !slices.Contains(ids, id.String()) {
			ids = append(ids, id.String())
		}
	}
	if err := s.read(t.Context(), func(t *tx) error {
		ids = nil
		if err := t.query("SELECT sealed FROM secret UNION ALL SELECT sealed FROM signature_key", func(r row) error { see(r.bytes(0)); return nil }); err != nil {
			return err
		}
		return t.query("SELECT id, definition FROM job", func(r row) error {
			stored, err := decodeStored(r.int(0), r.bytes(1), new(jadwal.Definition))
			if err == nil && stored.Sealed != nil {
				see(stored.Sealed.Text)
			}
			return err
		})
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}

// A server without a master key sends nothing unsigned that another one has a
// key for.
func TestWithoutAMasterKeyNothingIsUnsigned(t *testing.T) {
	p, job := keyPair(t, testVault(t, "k", ""), nil)
	listening, stop := context.WithCancel(context.Background())
	var heard sync.WaitGroup
	heard.Go(func() { p.there.Listen(listening) })
	t.Cleanup(func() { stop(); heard.Wait() })
	if err := sealings["a signature key"](p.here, p.ani); err != nil {
		t.Fatal(err)
	}
	eventually(t, "locked", func() bool { return letters(p.there, job.ID, p.ani.ID, p.now) == "locked" })
}

func TestAServerFindsOutThatItLacksTheMasterKey(t *testing.T) {
	for name, there := range map[string]*vault.Vault{"without one": nil, "with another one": testVault(t, "t", "")} {
		t.Run(name, func(t *testing.T) {
			p, job := keyPair(t, testVault(t, "k", ""), there)
			var hears, told atomic.Bool
			p.there.Subscribe(func(jadwal.Hint) { hears.Store(true) })
			p.there.SubscribeShards(func() { told.Store(true) })
			listening, stop := context.WithCancel(context.Background())
			var heard sync.WaitGroup
			heard.Go(func() { p.here.Listen(listening) })
			heard.Go(func() { p.there.Listen(listening) })
			t.Cleanup(func() { stop(); heard.Wait() })
			eventually(t, "the other one to hear", func() bool {
				p.here.db.(*postgresDB).hints.say(wordChanged)
				return hears.Load()
			})
			lacks := func(want string) {
				t.Helper()
				if id, err := p.there.Lacks(t.Context()); err != nil || id != want {
					t.Errorf("lacks %q, %v, want %q", id, err, want)
				}
			}
			lacks("")
			if err := sealings["a signature key"](p.here, p.ani); err != nil {
				t.Fatal(err)
			}
			if err := sealings["a secret"](p.here, p.ani); err != nil {
				t.Fatal(err)
			}
			eventually(t, "word of it", told.Load)
			lacks(idOf(t, "k"))
			eventually(t, "locked", func() bool { return letters(p.there, job.ID, p.ani.ID, p.now) == "locked" })
			own, err := p.there.SecretByName(t.Context(), p.ani.ID, "token")
			if err != nil {
				t.Fatal(err)
			}
			value := func() jadwal.SecretValue {
				t.Helper()
				values, err := p.there.OpenSecrets(t.Context(), []jadwal.SecretID{{Name: "token", ID: own.ID}})
				if err != nil {
					t.Fatal(err)
				}
				return values[0]
			}
			p.settle(t)
			if v := value(); !v.Locked {
				t.Errorf("the secret is %+v", v)
			}
			if there == nil {
				return
			}
			// The former server goes over to the key that this one has.
			if err := p.here.Unlock(t.Context(), testVault(t, "t", "k")); err != nil {
				t.Fatal(err)
			}
			if err := p.here.retireMaster(t.Context()); err != nil {
				t.Fatal(err)
			}
			lacks("")
			if got := letters(p.there, job.ID, p.ani.ID, p.now); got != "a" {
				t.Errorf("signed with %q", got)
			}
			if v := value(); v.Locked || v.Value != "value" {
				t.Errorf("the secret is %+v", v)
			}
		})
	}
}

func TestALockedNodeLeavesForThoseThatDoNotKnowOfIt(t *testing.T) {
	s := openURL(t, pgtest.Database(t, current))
	for _, tt := range []struct {
		rule             string
		leaving, locked  bool // as told
		row              string
		wantGo, wantLock bool // as read
	}{
		{"neither", false, false, "0 0", false, false},
		{"it leaves", true, false, "1 0", true, false},
		{"it is locked", false, true, "1 1", false, true},
		{"it is locked and leaves", true, true, "1 0", true, false},
	} {
		id, err := s.Join(t.Context(), jadwal.Node{Address: "here", StartedAt: time.Now(), Locked: tt.locked}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		node := func() jadwal.Node {
			c, err := s.Cluster(t.Context())
			if err != nil || len(c.Nodes) != 1 {
				t.Fatalf("%+v, %v", c, err)
			}
			return c.Nodes[0]
		}
		if n := node(); n.Locked != tt.locked || n.Leaving {
			t.Errorf("%s: it joined as %+v", tt.rule, n)
		}
		if err := s.Renew(t.Context(), id, time.Hour, tt.leaving, tt.locked); err != nil {
			t.Fatal(err)
		}
		stored := ""
		if err := s.single(t.Context(), func(t *tx) error {
			_, err := t.one("SELECT leaving || ' ' || locked FROM node", func(r row) { stored = r.text(0) })
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if n := node(); stored != tt.row || n.Leaving != tt.wantGo || n.Locked != tt.wantLock {
			t.Errorf("%s: stored as %s, read as %+v", tt.rule, stored, n)
		}
		if err := s.Leave(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
}
