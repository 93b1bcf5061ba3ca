package api

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

func TestNodes(t *testing.T) {
	s := newServer(t, idle)
	admin := s.login("admin", adminPassword)
	tr := &transcript{t: t}
	golden := "node-sqlite.txt"
	if s.url != "" {
		golden = "node-postgres.txt"
		ctx := context.Background()
		join := func(address string) int64 {
			id, err := s.store.Join(ctx, jadwal.Node{Address: address, Version: "0.9.0", StartedAt: time.Now()}, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return id
		}
		tr.tell("No server is a node yet", "GET /node", "", admin.do("GET", "/node", ""))
		first, second := join("10.0.0.1:8080"), join("10.0.0.2:8080")
		seen, err := s.store.Cluster(ctx)
		if err != nil {
			t.Fatal(err)
		}
		var few jadwal.ShardSet
		for shard := range 3 {
			few.Add(shard)
		}
		if _, err := s.store.Take(ctx, second, few, seen); err != nil {
			t.Fatal(err)
		}
		if err := s.store.Renew(ctx, first, time.Hour, true, false); err != nil {
			t.Fatal(err)
		}
	}
	tr.tell("All nodes", "GET /node", "", admin.do("GET", "/node", ""))
	tr.tell("It takes no parameters", "GET /node?limit=1", "", admin.do("GET", "/node?limit=1", ""))
	tr.check(golden)
}

func TestNodesThatCannotBeRead(t *testing.T) {
	s := newServer(t, idle, func(o *settings) {
		o.api.Nodes = func(context.Context) (*jadwal.Cluster, int64, error) { return nil, 0, errors.New("no database") }
	})
	if r := s.login("admin", adminPassword).do("GET", "/node", ""); r.status != 500 {
		t.Errorf("got %d %s", r.status, r.body)
	}
}
