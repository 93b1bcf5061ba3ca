package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestPostgres(t *testing.T) {
	p := &Postgres{Dir: filepath.Join(t.TempDir(), "server")}
	for _, dir := range []string{filepath.Dir(p.Dir), filepath.Dir(filepath.Dir(p.Dir))} { // it is not root that must get there
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Start("no_such_setting=1"); err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Fatalf("error %v", err)
	}
	p.Dir += "2"
	if err := p.Start("shared_buffers=16MB"); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), p.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	var safe bool
	if err := c.QueryRow(t.Context(), `SELECT bool_and(setting = 'on') AND count(*) = 3 FROM pg_settings
		WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')`).Scan(&safe); err != nil || !safe {
		t.Errorf("what is committed may not be on disk: %v", err)
	}
	before, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 2000000)"); err != nil {
		t.Fatal(err)
	}
	if after, err := p.CPU(); err != nil || after <= before {
		t.Errorf("processor time %v and then %v, %v", before, after, err)
	}
	if _, err := c.Exec(t.Context(), "CREATE TABLE kept ()"); err != nil {
		t.Fatal(err)
	}
	if err := p.Crash(); err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err == nil {
		t.Error("it crashed and answers")
	}
	if err := p.Restart(); err != nil {
		t.Fatal(err)
	}
	if c, err = pgx.Connect(t.Context(), p.URL("postgres")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "SELECT FROM kept"); err != nil {
		t.Errorf("what was committed is gone: %v", err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := p.CPU(); err == nil {
		t.Error("a server that has ended has processor time")
	}
}
