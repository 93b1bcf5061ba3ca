package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/pgtest"
)

// A node of before the schema that is needed, as it is in the table.
func formerNode(id int, lease time.Duration) string {
	return fmt.Sprintf("INSERT INTO node (id, address, version, started_at, lease_until) VALUES (%d, '10.0.0.%d:8080', '0.0.%d', 1, %s + %d)",
		id, id, id, clockSQL, lease.Microseconds())
}

func TestTheSchemaGrowsBesideNoServerThatItWouldLeaveBehind(t *testing.T) {
	all, err := migrations("postgres")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		rule   string
		steps  int
		nodes  []string
		living string // in the refusal; "": it is opened
		left   int64  // nodes
	}{
		{"one that does not know the step that is needed lives", neededStep - 1, []string{formerNode(4, time.Hour), formerNode(7, -time.Hour)}, "node 4 at 10.0.0.4:8080 (jadwal 0.0.4)", 2},
		{"all of them are named", neededStep - 3, []string{formerNode(7, time.Hour), formerNode(4, time.Hour)}, "node 4 at 10.0.0.4:8080 (jadwal 0.0.4), node 7 at 10.0.0.7:8080 (jadwal 0.0.7);", 2},
		{"its lease has ended: it is none any more, and cannot go on", neededStep - 1, []string{formerNode(4, -time.Millisecond)}, "", 0},
		{"nobody lives", neededStep - 1, nil, "", 0},
		{"one that knows the step that is needed, and not the next one, lives", neededStep, []string{formerNode(4, time.Hour)}, "", 1},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			url := agedPostgres(t, tt.steps, tt.nodes...)
			s, err := Open(t.Context(), quietly(url))
			if err == nil {
				err = s.Close()
			}
			switch {
			case tt.living == "" && err != nil:
				t.Error(err)
			case tt.living != "" && (err == nil || !strings.Contains(err.Error(), tt.living) || !strings.Contains(err.Error(), "stop them all first, then start this one")):
				t.Errorf("got %v; want it to tell of %q", err, tt.living)
			}
			c, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close(t.Context())
			var version, needed, nodes, want int64
			if want = int64(len(all)); tt.living != "" {
				want = int64(tt.steps)
			}
			if err := c.QueryRow(t.Context(), `SELECT (SELECT value::bigint FROM meta WHERE key = 'schema'),
					(SELECT COALESCE(max(value::bigint), 0) FROM meta WHERE key = 'needed'), (SELECT count(*) FROM node)`).Scan(&version, &needed, &nodes); err != nil {
				t.Fatal(err)
			}
			if version != want || nodes != tt.left || (needed == neededStep) != (tt.living == "") {
				t.Errorf("the schema is version %d, want %d; step %d is needed; there are %d nodes, want %d", version, want, needed, nodes, tt.left)
			}
		})
	}
}

// Whoever has opened the database, and is no node at the moment, when a newer
// server changes its schema.
func TestAServerThatWasLeftBehindIsNoNodeAnyMore(t *testing.T) {
	url := pgtest.Database(t, current)
	var told []error
	o := quietly(url)
	o.OnFatal = func(err error) { told = append(told, err) }
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	known := s.db.(*postgresDB).known
	execute(t, url, fmt.Sprintf("INSERT INTO meta (key, value) VALUES ('needed', '%d') ON CONFLICT (key) DO UPDATE SET value = excluded.value", known))
	node := jadwal.Node{Address: "here", StartedAt: time.Now()}
	id, err := s.Join(t.Context(), node, time.Hour)
	if err != nil || len(told) > 0 {
		t.Fatalf("one that knows all that is needed: %v, %v", err, told)
	}
	if err := s.Leave(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	execute(t, url, fmt.Sprintf("UPDATE meta SET value = '%d' WHERE key = 'needed'", known+1))
	for range 2 {
		_, err = s.Join(t.Context(), node, time.Hour)
		if !errors.Is(err, errOutdated) || !strings.Contains(err.Error(), "use the newer jadwal") {
			t.Errorf("got %v", err)
		}
	}
	if len(told) != 1 || !errors.Is(told[0], errOutdated) {
		t.Errorf("the process was told %v", told)
	}
	if c, err := s.Cluster(t.Context()); err != nil || len(c.Nodes) > 0 {
		t.Errorf("%+v, %v", c.Nodes, err)
	}
}

func TestNobodyBecomesANodeWhileTheSchemaLeavesItBehind(t *testing.T) {
	steps, err := migrations("postgres")
	if err != nil {
		t.Fatal(err)
	}
	// begin has another connection give the database of s a step, with that one as
	// the newest that all must know, and returns when one is at what.
	begin := func(t *testing.T, s *Store, url, step string, needed int, what string) (grown chan error) {
		c, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(context.Background()) })
		grown = make(chan error, 1)
		go func() { grown <- migrateWith(context.Background(), c, append(steps, step), needed, true) }()
		eventually(t, "the migration at "+what, func() bool {
			at := false
			if err := s.single(t.Context(), func(t *tx) (err error) {
				at, err = t.one("SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = $2", func(row) {}, int64(c.PgConn().PID()), what)
				return err
			}); err != nil {
				t.Error(err)
			}
			return at
		})
		return grown
	}
	t.Run("when the schema grows first", func(t *testing.T) {
		url := agedPostgres(t, len(steps))
		s := openURL(t, url)
		grown := begin(t, s, url, "SELECT pg_sleep(1)", len(steps)+1, "Timeout")
		if _, err := s.Join(t.Context(), jadwal.Node{Address: "here", StartedAt: time.Now()}, time.Hour); !errors.Is(err, errOutdated) {
			t.Errorf("it became a node: %v", err)
		}
		if err := <-grown; err != nil {
			t.Error(err)
		}
	})
	// first has somebody become a node, who goes on when the migration waits.
	first := func(t *testing.T, needed int, step string) (joined, grown error) {
		url := agedPostgres(t, len(steps))
		s := openURL(t, url)
		asked, wait, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		goOn := sync.OnceFunc(func() { close(wait) })
		t.Cleanup(goOn)
		times := 0
		go func() {
			done <- s.write(context.Background(), laneAPI, func(t *tx) error {
				if err := refuseOutdated(t, len(steps)); err != nil {
					return err
				}
				if times++; times == 1 {
					close(asked)
					<-wait
				}
				_, err := t.exec(formerNode(9, time.Hour))
				return err
			})
		}()
		<-asked
		end := begin(t, s, url, step, needed, "Lock")
		goOn()
		joined, grown = <-done, <-end
		if times > 1 {
			t.Errorf("it took %d turns to become a node", times)
		}
		return joined, grown
	}
	t.Run("and the schema does not grow when the node comes first", func(t *testing.T) {
		joined, grown := first(t, len(steps)+1, "SELECT 1")
		if joined != nil || grown == nil || !strings.Contains(grown.Error(), "node 9 at 10.0.0.9:8080 (jadwal 0.0.9)") {
			t.Errorf("%v; the schema grew beside it: %v", joined, grown)
		}
	})
	t.Run("a step that need not be known waits for it", func(t *testing.T) {
		if joined, grown := first(t, neededStep, "ALTER TABLE node ADD COLUMN shoe_size INTEGER"); joined != nil || grown != nil {
			t.Errorf("%v, %v", joined, grown)
		}
	})
}
