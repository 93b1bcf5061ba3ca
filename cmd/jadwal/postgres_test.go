package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/store/pgtest"
)

// newDatabase is the URL of an empty database of PostgreSQL, without a schema.
func newDatabase(t *testing.T) string {
	t.Helper()
	return pgtest.Database(t, pgtest.Kind{Name: "empty", Prepare: func(string) error { return nil }})
}

const sharedSecret = "JADWAL_SECRET=a secret that all servers have, for ever"

func TestPostgres(t *testing.T) {
	database := newDatabase(t)
	data := filepath.Join(t.TempDir(), "data")
	env := []string{"JADWAL_DATABASE_URL=" + database, sharedSecret, "JADWAL_UNSAFE=yes"}
	sink, err := harness.ListenSink("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()

	s := startServer(t, data, env)
	if banner := s.stdout.String(); !strings.Contains(banner, "(new, PostgreSQL)") || !strings.Contains(banner, "sign in as admin / admin123 (works from this machine only; change it: jadwal user reset-password admin with JADWAL_DATABASE_URL set as for the server)") {
		t.Errorf("banner\n%s", banner)
	}
	admin := s.mustSignIn("admin", "admin123")
	t.Run("a job fires, and its run is recorded", func(t *testing.T) {
		var job struct {
			ID int64 `json:"id"`
		}
		call(t, admin, http.StatusCreated, "POST", "/job", map[string]any{
			"name": "each-second", "schedules": []any{map[string]string{"every": "1s"}}, "target": map[string]any{"url": sink.URL() + "/ok"},
		}, &job)
		eventually(t, "two deliveries", func() bool { return len(sink.Deliveries()) >= 2 })
		var runs []struct {
			State string `json:"state"`
		}
		eventually(t, "a record", func() bool {
			call(t, admin, http.StatusOK, "GET", "/job/each-second/run?state=succeeded", nil, &runs)
			return len(runs) >= 2
		})
		call(t, admin, http.StatusOK, "POST", "/job/each-second/pause", nil, nil)
		before := len(sink.Deliveries())
		time.Sleep(1500 * time.Millisecond)
		if after := len(sink.Deliveries()); after > before {
			t.Errorf("paused, it was fired %d times more", after-before)
		}
	})
	t.Run("the data directory is not made", func(t *testing.T) {
		if _, err := os.Stat(data); !os.IsNotExist(err) {
			t.Errorf("stat: %v", err)
		}
	})
	t.Run("a password is set beside a running server, which ends the sessions", func(t *testing.T) {
		r := execute(t, "correct horse\n", nil, "user", "reset-password", "admin", "--database-url", database)
		if r.status != 0 || !strings.Contains(r.stderr, "The password of admin is set") {
			t.Fatalf("status %d\n%s", r.status, r.stderr)
		}
		eventually(t, "the session to end", func() bool {
			a, err := admin.Call("GET", "/user/me", nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			return a.Status == http.StatusUnauthorized
		})
		s.mustSignIn("admin", "correct horse")
		if r := execute(t, "correct horse\n", nil, "user", "reset-password", "nobody", "--database-url", database); r.status != 3 {
			t.Errorf("status %d\n%s", r.status, r.stderr)
		}
	})
	t.Run("a server with another secret is refused", func(t *testing.T) {
		refused(t, "JADWAL_SECRET: the servers on this database have another one", data, append(env, "JADWAL_SECRET="+strings.Repeat("x", 32)))
	})
	t.Run("a second server shares the work, and has all of it when the first one stops", func(t *testing.T) {
		next := startServer(t, data, env)
		there := next.mustSignIn("admin", "correct horse")
		eventually(t, "both to have half of the shards, and to tell which one answers", func() bool {
			a, b := nodesAt(t, s.mustSignIn("admin", "correct horse")), nodesAt(t, there)
			return len(a) == 2 && len(b) == 2 && a[0].Shards == 512 && a[1].Shards == 512 && a[0].This && !a[1].This && !b[0].This && b[1].This
		})
		t.Run("a key that was made here is good there, until it is deleted here", func(t *testing.T) {
			here := s.mustSignIn("admin", "correct horse")
			var made struct{ ID, Key string }
			call(t, here, http.StatusCreated, "POST", "/key", map[string]any{"name": "k", "scopes": []string{"job:read"}}, &made)
			program := harness.NewClient(there.Base)
			program.Access = made.Key
			call(t, program, http.StatusOK, "GET", "/job", nil, nil)
			call(t, program, http.StatusForbidden, "GET", "/run", nil, nil)
			call(t, here, http.StatusOK, "DELETE", "/key/"+made.ID, nil, nil)
			eventually(t, "its end", func() bool {
				a, err := program.Call("GET", "/job", nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				return a.Status == http.StatusUnauthorized
			})
		})
		call(t, there, http.StatusOK, "POST", "/job/each-second/resume", nil, nil)
		s.stop()
		before := len(sink.Deliveries())
		eventually(t, "a delivery", func() bool { return len(sink.Deliveries()) > before })
		if all := nodesAt(t, there); len(all) != 1 || !all[0].This || all[0].Shards != 1024 || all[0].LeaseUntil == nil {
			t.Errorf("nodes: %+v", all)
		}
		next.stop()
	})
}

type nodeRow struct {
	ID         int64   `json:"id"`
	Address    string  `json:"address"`
	LeaseUntil *string `json:"lease_until"`
	Shards     int     `json:"shards"`
	Leaving    bool    `json:"leaving"`
	Locked     bool    `json:"locked"`
	This       bool    `json:"this"`
}

func nodesAt(t *testing.T, c *harness.Client) (all []nodeRow) {
	t.Helper()
	call(t, c, http.StatusOK, "GET", "/node", nil, &all)
	return all
}

// PostgreSQL may take long to notice that a server is gone: its transaction stays
// open, and with it the row of its node is held.
func TestATransactionThatADeadServerLeftOpenHoldsNoOtherServerUp(t *testing.T) {
	database := newDatabase(t)
	env := []string{"JADWAL_DATABASE_URL=" + database, sharedSecret, "JADWAL_UNSAFE=yes"}
	data := filepath.Join(t.TempDir(), "data")
	dead, other := startServer(t, data, env), startServer(t, data, env)
	admin := other.mustSignIn("admin", "admin123")
	var former int64
	eventually(t, "both to have half of the shards", func() bool {
		all := nodesAt(t, admin)
		for _, n := range all {
			if !n.This {
				former = n.ID
			}
		}
		return len(all) == 2 && all[0].Shards == 512 && all[1].Shards == 512
	})
	c, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	open, err := c.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open.Exec(t.Context(), "SELECT 1 FROM node WHERE id = $1 FOR KEY SHARE", former); err != nil {
		t.Fatal(err)
	}
	dead.signal(syscall.SIGKILL)
	dead.end()
	for end := time.Now().Add(jadwal.LeaseFor + jadwal.LeaseTrusted + 2*jadwal.LeaseRenewal); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(other.url + "/health/ready")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("the other server answers %s", resp.Status)
		}
	}
	if log := other.stderr.String(); !strings.Contains(log, "a transaction of it has not") || strings.Contains(log, "level=ERROR") {
		t.Errorf("log\n%s", log)
	}
	if err := open.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other server to have all shards", func() bool {
		all := nodesAt(t, admin)
		return len(all) == 1 && all[0].Shards == 1024
	})
}

// A server that others took for dead, and that goes on when a newer one has
// changed the schema, in a way that this one may not live with.
func TestAServerThatANewerOneHasLeftBehindEnds(t *testing.T) {
	database := newDatabase(t)
	env := []string{"JADWAL_DATABASE_URL=" + database, sharedSecret, "JADWAL_UNSAFE=yes"}
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data, env)
	admin := s.mustSignIn("admin", "admin123")
	eventually(t, "it to be a node", func() bool { return len(nodesAt(t, admin)) == 1 })
	c, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if _, err := c.Exec(t.Context(), "UPDATE meta SET value = '999'; DELETE FROM node", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if status := s.end(); status != 1 {
		t.Errorf("status %d", status)
	}
	lines := strings.Split(strings.TrimSuffix(s.stderr.String(), "\n"), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "jadwal: the store cannot go on: database ") || !strings.HasSuffix(last, ": use the newer jadwal that brought it there") {
		t.Errorf("log\n%s", &s.stderr)
	}
	refused(t, "use the newer jadwal that wrote it", data, env)
}

func TestOnSQLiteTheServerIsTheOnlyNode(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), nil)
	defer s.stop()
	all := nodesAt(t, s.mustSignIn("admin", "admin123"))
	if len(all) != 1 || all[0].ID != 1 || !all[0].This || all[0].Shards != 1024 || all[0].LeaseUntil != nil || !strings.HasPrefix(all[0].Address, "127.0.0.1:") {
		t.Errorf("nodes: %+v", all)
	}
}

func TestAServerThatCannotUsePostgresSaysWhy(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	t.Run("fsync is off", func(t *testing.T) {
		refused(t, "fsync is off, so a power failure would lose what was confirmed; set it on, or say --unsafe", data, []string{"JADWAL_DATABASE_URL=" + newDatabase(t), sharedSecret})
	})
	t.Run("nobody is there, and the password is not told", func(t *testing.T) {
		where := "postgres://jadwal:hunter2@127.0.0.1:1/jadwal"
		r := execute(t, "", []string{"JADWAL_DATABASE_URL=" + where, sharedSecret}, "serve", "--listen", "127.0.0.1:0", "--data", data)
		if r.status != 1 || !strings.Contains(r.stderr, "database jadwal on 127.0.0.1:1: ") || strings.Contains(r.stderr, "hunter2") {
			t.Errorf("status %d\n%s", r.status, r.stderr)
		}
	})
	for name, tt := range map[string]struct {
		url    string
		status int
		want   string
	}{
		"it is no URL of PostgreSQL":         {"mysql://u:hunter2@db/x", 2, "jadwal: --database-url (JADWAL_DATABASE_URL): is not of the form postgres://user@host:5432/name"},
		"its port is none":                   {"postgres://u:hunter2@db:x/y", 1, "database URL: it is not of the form"},
		"its password has to be escaped":     {"postgres://u:hunter2%zz@db/y", 1, "database URL: it is not of the form"},
		"it has a setting that there is not": {"postgres://u:hunter2@db/y?sslmode=often", 1, "database URL: "},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "url")
			if err := os.WriteFile(file, []byte(tt.url+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			r := execute(t, "", []string{"JADWAL_DATABASE_URL_FILE=" + file, sharedSecret}, "serve", "--listen", "127.0.0.1:0", "--data", data)
			if r.status != tt.status || !strings.Contains(r.stderr, tt.want) || strings.Contains(r.stderr, "hunter2") {
				t.Errorf("status %d\n%s", r.status, r.stderr)
			}
		})
	}
	t.Run("the secret that all servers share is missing", func(t *testing.T) {
		r := execute(t, "", []string{"JADWAL_DATABASE_URL=postgres://db/x"}, "serve", "--data", data)
		if r.status != 2 || !strings.Contains(r.stderr, "jadwal: JADWAL_SECRET: must be set where a PostgreSQL database is") {
			t.Errorf("status %d\n%s", r.status, r.stderr)
		}
	})
	t.Run("unsafe is about PostgreSQL", func(t *testing.T) {
		if r := execute(t, "", nil, "serve", "--unsafe", "--data", data); r.status != 2 || !strings.Contains(r.stderr, "--unsafe (JADWAL_UNSAFE): is about PostgreSQL") {
			t.Errorf("status %d\n%s", r.status, r.stderr)
		}
	})
	t.Run("the database is not there", func(t *testing.T) {
		u, err := url.Parse(newDatabase(t))
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/nowhere"
		refused(t, `database "nowhere" does not exist`, data, []string{"JADWAL_DATABASE_URL=" + u.String(), sharedSecret})
	})
}
