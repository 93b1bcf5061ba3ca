package store

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/dirtest"
	"github.com/teknohole/jadwal/internal/vault"
)

const (
	canary    = "Bearer canary-7d1f3c"
	canaryKey = "canary-of-a-client-key"
)

// testVault seals with one master key, of one letter, and knows the other; "":
// none.
func testVault(t testing.TB, active, retiring string) *vault.Vault {
	t.Helper()
	v, err := vault.New([]byte(strings.Repeat(active, jadwal.MinServerSecret)), []byte(strings.Repeat(retiring, jadwal.MinServerSecret)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func unlock(t testing.TB, s *Store, v *vault.Vault) {
	t.Helper()
	if err := s.Unlock(context.Background(), v); err != nil {
		t.Fatal(err)
	}
}

// sealing are stores that have sealed nothing, with the master key "k".
var sealing = map[string]func(testing.TB) *Store{
	"sqlite":   func(t testing.TB) *Store { s := openSQLiteTest(t); unlock(t, s, testVault(t, "k", "")); return s },
	"postgres": func(t testing.TB) *Store { s := openPostgresTest(t); unlock(t, s, testVault(t, "k", "")); return s },
}

// secretive is a job with a secret header and a client key.
func secretive(name string) jadwal.Job {
	d := jadwal.DefaultDefinition()
	d.Name, d.Target.URL = name, "https://api.example.com/invoices"
	d.Target.Headers = map[string]string{"Authorization": canary, "X-Kind": "invoice"}
	d.Target.TLS = jadwal.TargetTLS{ClientCert: "of the client", ClientKey: canaryKey}
	return jadwal.Job{OwnerID: 1, State: jadwal.JobEnabled, Definition: d}
}

func create(t testing.TB, s *Store, job jadwal.Job) jadwal.Job {
	t.Helper()
	job, err := s.CreateJob(t.Context(), jadwal.Actor{}, job, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// texts are all definitions as they are stored.
func texts(t testing.TB, s *Store) (all []string) {
	t.Helper()
	if err := s.read(t.Context(), func(t *tx) error {
		all = nil
		return t.query("SELECT definition FROM job UNION ALL SELECT definition FROM job_version", func(r row) error {
			all = append(all, r.text(0))
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// run runs statements on the database itself.
func run(t testing.TB, s *Store, sql string, args ...any) {
	t.Helper()
	if err := s.write(t.Context(), laneAPI, func(t *tx) error { _, err := t.exec(sql, args...); return err }); err != nil {
		t.Fatal(err)
	}
}

// authorization is the value of a job's secret header, and whether it is locked.
// The client key is there when the header is.
func authorization(t testing.TB, s *Store, id int64) (string, bool) {
	t.Helper()
	jobs, _, err := s.Definitions(t.Context(), []int64{id}, 1<<20)
	if err != nil || len(jobs) != 1 {
		t.Fatalf("%d jobs, %v", len(jobs), err)
	}
	target := jobs[0].Definition.Target
	if value := target.Headers["Authorization"]; (value != "") != (target.TLS.ClientKey == canaryKey) {
		t.Errorf("the header is %q, the client key %q", value, target.TLS.ClientKey)
	}
	return target.Headers["Authorization"], target.Locked
}

func TestSecretHeadersAreSealed(t *testing.T) {
	for name, open := range sealing {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			job := create(t, s, secretive("invoices"))
			other := create(t, s, secretive("reminders"))
			stored := func(rule string, want int) {
				t.Helper()
				all := texts(t, s)
				if len(all) != want {
					t.Errorf("%s: %d definitions", rule, len(all))
				}
				for _, text := range all {
					if strings.Contains(text, "canary") || !strings.Contains(text, `"Authorization":""`) || !strings.Contains(text, `"X-Kind":"invoice"`) {
						t.Errorf("%s: %s", rule, text)
					}
				}
			}
			stored("new", 4)
			if got, locked := authorization(t, s, job.ID); got != canary || locked {
				t.Errorf("got %q, locked %v", got, locked)
			}

			paused := job
			paused.State = jadwal.JobPaused
			paused, _, err := s.UpdateJob(t.Context(), jadwal.Actor{}, paused, 1, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			edited := paused
			edited.Definition.Description = "edited"
			edited, _, err = s.UpdateJob(t.Context(), jadwal.Actor{}, edited, 2, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			stored("paused and edited", 6)
			for version := range int64(3) {
				v, err := s.Version(t.Context(), job.ID, version+1)
				if err != nil || v.Definition.Target.Headers["Authorization"] != canary || v.Definition.Target.TLS.ClientKey != canaryKey || v.Definition.Target.Locked {
					t.Errorf("version %d: %+v, %v", version+1, v.Definition.Target, err)
				}
			}

			t.Run("a header may have the name under which a client key is sealed", func(t *testing.T) {
				for _, key := range []string{"", canaryKey} {
					job := secretive("named" + strconv.Itoa(len(key)))
					job.Definition.Target.Headers[jadwal.ClientKeyField], job.Definition.Target.TLS.ClientKey = "of the headers", key
					id := create(t, s, job).ID
					found, err := s.Job(t.Context(), id)
					if err != nil || !maps.Equal(found.Definition.Target.Headers, job.Definition.Target.Headers) || found.Definition.Target.TLS.ClientKey != key {
						t.Errorf("%+v, %v", found.Definition.Target, err)
					}
				}
			})
			t.Run("a changed bit anywhere locks them", func(t *testing.T) {
				text := ""
				if err := s.read(t.Context(), func(t *tx) error {
					_, err := t.one("SELECT definition FROM job WHERE id = $1", func(r row) { text = r.text(0) }, job.ID)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				var shape struct{ Sealed sealedHeaders }
				if err := json.Unmarshal([]byte(text), &shape); err != nil || len(shape.Sealed.Text) == 0 {
					t.Fatalf("%v in %s", err, text)
				}
				tx := &tx{vault: s.vault}
				for i := range 8 * len(shape.Sealed.Text) {
					bad := bytes.Clone(shape.Sealed.Text)
					bad[i/8] ^= 1 << (i % 8)
					was, _ := json.Marshal(shape.Sealed.Text)
					is, _ := json.Marshal(bad)
					var d jadwal.Definition
					err := tx.decode(job.ID, []byte(strings.Replace(text, string(was), string(is), 1)), &d)
					if err != nil || !d.Target.Locked || d.Target.Headers["Authorization"] != "" || d.Target.TLS.ClientKey != "" {
						t.Fatalf("bit %d: %q, %v", i, d.Target.Headers["Authorization"], err)
					}
				}
			})
			t.Run("the headers of one job are not those of another", func(t *testing.T) {
				run(t, s, "UPDATE job SET definition = (SELECT o.definition FROM job o WHERE o.id = $2) WHERE id = $1", other.ID, job.ID)
				if got, locked := authorization(t, s, other.ID); got != "" || !locked {
					t.Errorf("got %q, locked %v", got, locked)
				}
			})
			t.Run("in the database they cannot be pointed at another origin", func(t *testing.T) {
				run(t, s, "UPDATE job SET definition = replace(definition, 'api.example.com', 'evil.example.com') WHERE id = $1", job.ID)
				if got, locked := authorization(t, s, job.ID); got != "" || !locked {
					t.Errorf("got %q, locked %v", got, locked)
				}
			})
			t.Run("locked, they are not stored as empty, and can be sent again", func(t *testing.T) {
				found, err := s.Job(t.Context(), job.ID)
				if err != nil {
					t.Fatal(err)
				}
				found.Definition.Description = "edited again"
				if _, _, err := s.UpdateJob(t.Context(), jadwal.Actor{}, found, 3, time.Now()); jadwal.CodeOf(err) != jadwal.CodeValidation {
					t.Errorf("edited: %v", err)
				}
				found.Definition.Target.Headers["Authorization"] = "Bearer another"
				if _, _, err := s.UpdateJob(t.Context(), jadwal.Actor{}, found, 3, time.Now()); jadwal.CodeOf(err) != jadwal.CodeValidation {
					t.Errorf("with the header, without the client key: %v", err)
				}
				found.Definition.Target.TLS.ClientKey = canaryKey
				if _, _, err := s.UpdateJob(t.Context(), jadwal.Actor{}, found, 3, time.Now()); err != nil {
					t.Errorf("with both: %v", err)
				}
				if got, locked := authorization(t, s, job.ID); got != "Bearer another" || locked {
					t.Errorf("got %q, locked %v", got, locked)
				}
				copied := secretive("copy")
				copied.Definition.Target.Headers["Authorization"], copied.Definition.Target.Locked = "", true
				if _, err := s.CreateJob(t.Context(), jadwal.Actor{}, copied, time.Now()); jadwal.CodeOf(err) != jadwal.CodeValidation {
					t.Errorf("copied: %v", err)
				}
			})
		})
	}
}

func TestWithoutAMasterKey(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *Store{"sqlite": openSQLiteTest, "postgres": openPostgresTest} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			if _, err := s.CreateJob(t.Context(), jadwal.Actor{}, secretive("invoices"), time.Now()); jadwal.CodeOf(err) != jadwal.CodeNoMasterKey {
				t.Errorf("a job with a secret header: %v", err)
			}
			plain := secretive("plain")
			delete(plain.Definition.Target.Headers, "Authorization")
			plain.Definition.Target.TLS.ClientKey = ""
			plain = create(t, s, plain)
			plain.Definition.Target.Headers["X-Api-Key"] = "key"
			if _, _, err := s.UpdateJob(t.Context(), jadwal.Actor{}, plain, 1, time.Now()); jadwal.CodeOf(err) != jadwal.CodeNoMasterKey {
				t.Errorf("an edit that brings one in: %v", err)
			}
			delete(plain.Definition.Target.Headers, "X-Api-Key")
			plain.Definition.Target.TLS.ClientKey = canaryKey
			if _, _, err := s.UpdateJob(t.Context(), jadwal.Actor{}, plain, 1, time.Now()); jadwal.CodeOf(err) != jadwal.CodeNoMasterKey {
				t.Errorf("an edit that brings a client key in: %v", err)
			}
			if err := s.write(t.Context(), laneAPI, func(t *tx) error { _, err := t.seal(vault.Place{Table: "secret"}, nil); return err }); jadwal.CodeOf(err) != jadwal.CodeNoMasterKey {
				t.Errorf("another secret: %v", err)
			}
		})
	}
}

// clearly makes jobs as they were stored before there were master keys.
func clearly(t testing.TB, s *Store, jobs int) (ids []int64) {
	t.Helper()
	for i := range jobs {
		plain := secretive("old" + string(rune('a'+i)))
		plain.Definition.Target.Headers, plain.Definition.Target.TLS.ClientKey = nil, ""
		plain.Definition.Target.Body = jadwal.RawJSON(`{"headers":{}}`) // which looks as if there were none
		ids = append(ids, create(t, s, plain).ID)
	}
	for _, table := range []string{"job", "job_version"} {
		run(t, s, "UPDATE "+table+" SET definition = replace(replace(definition, '\"headers\":null', '\"headers\":{\"Authorization\":\""+canary+"\"}'),"+
			" '\"client_cert\":', '\"client_key\":\""+canaryKey+"\",\"client_cert\":')")
	}
	return ids
}

func TestWhatLiesInClearIsSealed(t *testing.T) {
	for name, open := range map[string]func(testing.TB) *Store{"sqlite": openSQLiteTest, "postgres": openPostgresTest} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			ids := clearly(t, s, 3)
			if got, locked := authorization(t, s, ids[0]); got != canary || locked {
				t.Errorf("before: %q, locked %v", got, locked)
			}
			unlock(t, s, testVault(t, "k", ""))
			for _, text := range texts(t, s) {
				if strings.Contains(text, "canary") {
					t.Errorf("in clear: %s", text)
				}
			}
			for _, id := range ids {
				if got, locked := authorization(t, s, id); got != canary || locked {
					t.Errorf("got %q, locked %v", got, locked)
				}
			}
			if v, err := s.Version(t.Context(), ids[1], 1); err != nil || v.Definition.Target.Headers["Authorization"] != canary {
				t.Errorf("the version: %+v, %v", v.Definition.Target, err)
			}
		})
	}
	t.Run("and is in no free page and no log of SQLite", func(t *testing.T) {
		dir := dirtest.New(t)
		s := openTest(t, dir, nil)
		ids := clearly(t, s, 20)
		for _, id := range ids[1:] {
			run(t, s, "DELETE FROM job WHERE id = $1", id)
			run(t, s, "DELETE FROM job_version WHERE job_id = $1", id)
		}
		holds := func() bool {
			found := false
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || len(files) == 0 {
				t.Fatal(err)
			}
			for _, file := range files {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				found = found || bytes.Contains(b, []byte("canary"))
			}
			return found
		}
		if !holds() {
			t.Fatal("it was nowhere before")
		}
		unlock(t, s, testVault(t, "k", ""))
		if holds() {
			t.Error("it is still there")
		}
		if got, _ := authorization(t, s, ids[0]); got != canary {
			t.Errorf("got %q", got)
		}
	})
}

func TestTheMasterKeyRotates(t *testing.T) {
	for name, open := range sealing {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			var ids []int64
			for _, name := range []string{"a", "b", "c"} {
				ids = append(ids, create(t, s, secretive(name)).ID)
			}
			holder := jadwal.SignatureHolder{JobID: ids[0]}
			if _, err := s.CreateSignatureKey(t.Context(), jadwal.Actor{}, holder, make([]byte, jadwal.SignatureKeyBytes), 0, time.Now()); err != nil {
				t.Fatal(err)
			}
			unlock(t, s, testVault(t, "n", "k"))
			// As far as it came before a crash.
			if _, _, err := s.resealTable(t.Context(), sealedTables[0]); err != nil {
				t.Fatal(err)
			}
			late := create(t, s, secretive("late"))
			if err := s.retireMaster(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.retireMaster(t.Context()); err != nil {
				t.Errorf("a second time: %v", err)
			}
			unlock(t, s, testVault(t, "n", ""))
			if signer := s.Signer(ids[0], 1); signer == nil || signer.Locked() {
				t.Error("the signature key is locked")
			}
			for _, id := range append(ids, late.ID) {
				if got, locked := authorization(t, s, id); got != canary || locked {
					t.Errorf("got %q, locked %v", got, locked)
				}
				if v, err := s.Version(t.Context(), id, 1); err != nil || v.Definition.Target.Locked || v.Definition.Target.Headers["Authorization"] != canary {
					t.Errorf("the version: %+v, %v", v.Definition.Target, err)
				}
			}
			t.Run("one that still seals with the former key is not forgotten", func(t *testing.T) {
				s.vault = testVault(t, "k", "n")
				create(t, s, secretive("with the former key"))
				if err := s.Unlock(t.Context(), testVault(t, "n", "")); err == nil {
					t.Error("it is")
				}
			})
			t.Run("a text that cannot be opened keeps the retiring key", func(t *testing.T) {
				s.vault = testVault(t, "n", "k")
				if err := s.retireMaster(t.Context()); err != nil {
					t.Fatal(err)
				}
				s.vault = testVault(t, "m", "n")
				run(t, s, "UPDATE job SET definition = replace(definition, 'api.example.com', 'evil.example.com') WHERE id = $1", ids[0])
				if err := s.retireMaster(t.Context()); err != nil {
					t.Fatal(err)
				}
				if named := namesOf(t, s); !slices.Contains(named, "-"+idOf(t, "n")) {
					t.Errorf("named are %v", named)
				}
			})
		})
	}
}
