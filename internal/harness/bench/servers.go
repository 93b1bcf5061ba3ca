package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
)

// place is where servers keep everything: how many nodes on PostgreSQL, or 0,
// one server on SQLite.
type place int

const onSQLite place = 0

func (p place) String() string {
	switch p {
	case onSQLite:
		return "SQLite"
	case 1:
		return "PostgreSQL, one node"
	}
	return fmt.Sprintf("PostgreSQL, %d nodes", int(p))
}

// servers is who is measured together.
type servers struct {
	all      []*harness.Server
	database *harness.Postgres // nil: SQLite
}

// CPU is the processor time of all of them, and of the database.
func (s *servers) CPU() (sum time.Duration, err error) {
	for _, one := range s.all {
		used, err := one.CPU()
		if err != nil {
			return 0, err
		}
		sum += used
	}
	if s.database == nil {
		return sum, nil
	}
	used, err := s.database.CPU()
	return sum + used, err
}

// admin is the first user's session, which is good at each of them.
func (s *servers) admin() (*harness.Client, error) { return admin(s.all[0]) }

// dial makes n connections, as many to each as to the others.
func (s *servers) dial(n int) (clients []*client, err error) {
	for i := range n {
		more, err := dial(s.all[i%len(s.all)].Address, 1)
		if err != nil {
			closeAll(clients)
			return nil, err
		}
		more[0].id = i
		clients = append(clients, more...)
	}
	return clients, nil
}

// at gives do servers without any job.
func (b *bench) at(p place, do func(*servers) error) error {
	if p == onSQLite {
		return b.onFresh(func(s *harness.Server) error { return do(&servers{all: []*harness.Server{s}}) })
	}
	if err := b.startPostgres(); err != nil {
		return err
	}
	url, drop, err := b.newDatabase()
	if err != nil {
		return err
	}
	env := []string{"JADWAL_DATABASE_URL=" + url}
	all := &servers{database: b.postgres}
	var add func(left int) error
	add = func(left int) error {
		if left == 0 {
			if err := shared(all); err != nil {
				return err
			}
			return do(all)
		}
		dir, err := os.MkdirTemp(b.dir, "node-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		return b.onServer(dir, func(s *harness.Server) error {
			all.all = append(all.all, s)
			return add(left - 1)
		}, env...)
	}
	return errors.Join(add(int(p)), drop())
}

// shared waits until each node has its share of the shards.
func shared(s *servers) error {
	c, err := s.admin()
	if err != nil {
		return err
	}
	share := jadwal.Shards / len(s.all)
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var nodes []struct{ Shards int }
		if a, err := c.Call("GET", "/node", nil, &nodes); err != nil || !a.OK() {
			return fmt.Errorf("GET /node: %v, %w", a, err)
		}
		even, sum := len(nodes) == len(s.all), 0
		for _, n := range nodes {
			even = even && n.Shards >= share-len(s.all)
			sum += n.Shards
		}
		if even && sum == jadwal.Shards {
			return nil
		}
	}
	return errors.New("the nodes have not shared out the shards within 30s")
}

// startPostgres starts the PostgreSQL of all measures, unless it runs.
func (b *bench) startPostgres() error {
	if b.postgres != nil {
		return nil
	}
	p := &harness.Postgres{Dir: filepath.Join(b.dir, "postgres")}
	if err := os.Chmod(b.dir, 0o755); err != nil { // it is not root that must get there
		return err
	}
	if err := p.Start("shared_buffers=512MB", "max_wal_size=4GB", "checkpoint_timeout=15min", "max_connections=200"); err != nil {
		return err
	}
	b.postgres = p
	return nil
}

// newDatabase makes an empty database and returns its URL.
func (b *bench) newDatabase() (url string, drop func() error, err error) {
	b.databases++
	name := fmt.Sprintf("bench_%d", b.databases)
	do := func(sql string) error {
		ctx := context.Background()
		c, err := pgx.Connect(ctx, b.postgres.URL("postgres"))
		if err != nil {
			return err
		}
		_, err = c.Exec(ctx, sql)
		return errors.Join(err, c.Close(ctx))
	}
	return b.postgres.URL(name), func() error { return do("DROP DATABASE " + name + " WITH (FORCE)") }, do("CREATE DATABASE " + name + " TEMPLATE template0")
}
