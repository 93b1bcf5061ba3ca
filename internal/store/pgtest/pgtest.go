// Package pgtest gives tests a PostgreSQL of their own: one private server for
// the process, on a socket in a temporary directory, and a database for each
// test. It ends with the process, however that ends.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal/internal/pgserver"
)

// Server is a private PostgreSQL.
type Server struct {
	dir   string
	stdin io.Closer // its end is the server's

	mu        sync.Mutex
	admin     *pgx.Conn
	databases int
	templates map[string]string
	idle      map[string][]string // clean databases, by the name of their template
}

// quick is the server that tests share. It does without what only a power
// failure needs, and without autovacuum, which would make what they see depend
// on when it runs.
var quick = sync.OnceValues(func() (*Server, error) {
	return start("fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off", "max_connections=400", "shared_buffers=64MB", "max_wal_size=2GB")
})

// Kind is a kind of databases.
type Kind struct {
	Name    string
	Prepare func(url string) error // makes an empty database one of this kind, once

	// Clean makes one that a test has used as it was; "": they are used once.
	// A copy of a database costs a second where the machine is busy.
	Clean string
}

// CleanSchema is Kind.Clean for a store's database: it leaves the schema and an
// id of 1 for whatever comes next.
const CleanSchema = `DO $$
	DECLARE r record;
	BEGIN
		FOR r IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
			AND relkind IN ('r', 'p') AND NOT relispartition AND relname NOT IN ('meta', 'shard') LOOP
			EXECUTE 'DELETE FROM ' || r.relname;
		END LOOP;
		FOR r IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'S' LOOP
			PERFORM setval(r.relname::regclass, 1, false);
		END LOOP;
		DELETE FROM meta WHERE key <> 'schema';
		UPDATE shard SET owner = NULL, epoch = 0 WHERE owner IS NOT NULL;
	END $$`

// Database returns the URL of a database of that kind, which the test has for
// itself.
func Database(t testing.TB, kind Kind) string {
	t.Helper()
	s, err := quick()
	if err != nil {
		t.Fatalf("PostgreSQL for the tests: %v", err)
	}
	return s.Database(t, kind)
}

// Start starts another server with those settings, for the test alone. It is
// as safe as PostgreSQL is by itself.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	s, err := start(settings...)
	if err != nil {
		t.Fatalf("PostgreSQL for the test: %v", err)
	}
	t.Cleanup(func() { s.stdin.Close() })
	return s
}

// Database is like the function of that name, on s.
func (s *Server) Database(t testing.TB, kind Kind) string {
	t.Helper()
	database, err := s.take(kind)
	if err != nil {
		t.Fatalf("database for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := s.giveBack(database, kind); err != nil {
			t.Errorf("give back the database: %v", err)
		}
	})
	return s.URL(database)
}

func (s *Server) take(kind Kind) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if idle := s.idle[kind.Name]; len(idle) > 0 {
		s.idle[kind.Name] = idle[:len(idle)-1]
		return idle[len(idle)-1], nil
	}
	template, ok := s.templates[kind.Name]
	if !ok {
		template = fmt.Sprintf("template_%d", len(s.templates))
		if err := s.exec("CREATE DATABASE " + template + " ENCODING 'UTF8' TEMPLATE template0"); err != nil {
			return "", err
		}
		if err := kind.Prepare(s.URL(template)); err != nil {
			return "", errors.Join(err, s.exec("DROP DATABASE "+template))
		}
		s.templates[kind.Name] = template
	}
	s.databases++
	database := fmt.Sprintf("test_%d", s.databases)
	return database, s.exec("CREATE DATABASE " + database + " TEMPLATE " + template)
}

// giveBack drops a database, or cleans it for the next test.
func (s *Server) giveBack(database string, kind Kind) error {
	if kind.Clean == "" {
		return s.Exec("DROP DATABASE IF EXISTS " + database + " WITH (FORCE)")
	}
	if err := Clean(s.URL(database), kind.Clean); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle[kind.Name] = append(s.idle[kind.Name], database)
	return nil
}

// Clean makes a database as it was, with what Kind.Clean says.
func Clean(url, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	_, err = c.Exec(ctx, sql)
	return errors.Join(err, c.Close(ctx))
}

// URL is that of a database of s.
func (s *Server) URL(database string) string {
	return "postgres:///" + database + "?user=postgres&host=" + url.QueryEscape(s.dir)
}

// Exec runs a statement as the server's superuser, outside of any test's
// database.
func (s *Server) Exec(sql string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exec(sql)
}

func (s *Server) exec(sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if s.admin == nil || s.admin.IsClosed() {
		c, err := pgx.Connect(ctx, s.URL("postgres"))
		if err != nil {
			return err
		}
		s.admin = c
	}
	_, err := s.admin.Exec(ctx, sql)
	return err
}

// life starts the server, and ends it and removes its directory as soon as the
// standard input ends: with the process that started it.
const life = `"$1" -D "$2/data" >"$2/log" 2>&1 </dev/null & pid=$!
read line
kill -QUIT $pid
wait $pid
rm -rf "$2"`

func start(settings ...string) (*Server, error) {
	dir, err := os.MkdirTemp("", "jadwal-pg")
	if err != nil {
		return nil, err
	}
	cluster, err := pgserver.Init(dir, "postgres", "--no-sync")
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(cluster.Data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	for _, line := range append([]string{"listen_addresses=''", "unix_socket_directories='" + dir + "'", "log_min_messages=warning"}, settings...) {
		name, value, _ := strings.Cut(line, "=")
		fmt.Fprintf(f, "%s = '%s'\n", name, strings.Trim(value, "'"))
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	cmd := cluster.Command("/bin/sh", "-c", life, "sh", cluster.Program("postgres"), dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go cmd.Wait()
	s := &Server{dir: dir, stdin: stdin, templates: map[string]string{}, idle: map[string][]string{}}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err = s.Exec("SELECT 1"); err == nil {
			return s, nil
		}
		if time.Now().After(end) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			stdin.Close()
			return nil, fmt.Errorf("it does not answer: %w\n%s", err, log)
		}
	}
}
