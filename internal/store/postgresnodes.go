package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/teknohole/jadwal"
)

// Nodes and shards. All times of leases are the database's: no machine's clock
// decides whether another one lives.

// errAlone says that a method is for a database that nodes share.
var errAlone = errors.New("SQLite has no nodes: its server has everything")

func (s *Store) shared() (*postgresDB, error) {
	d, ok := s.db.(*postgresDB)
	if !ok {
		return nil, errAlone
	}
	return d, nil
}

// Shared tells whether other nodes may work on the same database.
func (s *Store) Shared() bool {
	_, err := s.shared()
	return err == nil
}

const clockSQL = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

// Join adds a node, whose lease lasts for lease, and returns its id, which no
// node ever had. This process commits outcomes as that node from now on. It is
// refused, and OnFatal is told, when a newer jadwal works on the database beside
// which this one may not live.
func (s *Store) Join(ctx context.Context, n jadwal.Node, lease time.Duration) (id int64, err error) {
	d, err := s.shared()
	if err != nil {
		return 0, err
	}
	err = s.write(ctx, laneAPI, func(t *tx) error {
		if err := refuseOutdated(t, d.known); err != nil {
			return err
		}
		_, err := t.one(`INSERT INTO node (address, version, started_at, lease_until, leaving, locked) VALUES ($1, $2, $3, `+clockSQL+` + $4, $5, $5) RETURNING id`,
			func(r row) { id = r.int(0) }, n.Address, n.Version, n.StartedAt, lease.Microseconds(), n.Locked)
		return err
	})
	if errors.Is(err, errOutdated) && d.onFatal != nil {
		d.outdated.Do(func() { d.onFatal(fmt.Errorf("database %s: %w", d.name(), err)) })
	}
	if err != nil {
		return 0, err
	}
	d.node.Store(id)
	d.hints.say(wordShards)
	return id, nil
}

// Renew extends a node's lease, counted from now, and says whether it leaves,
// and whether it is locked. ErrFenced: somebody has removed it, since its lease
// had ended.
//
// In the table a locked node leaves, too: for nodes of a version that does not
// know of locked ones, which would leave it its share.
func (s *Store) Renew(ctx context.Context, node int64, lease time.Duration, leaving, locked bool) error {
	return s.write(ctx, laneAPI, func(t *tx) error {
		n, err := t.exec("UPDATE node SET lease_until = "+clockSQL+" + $2, leaving = $3, locked = $4 WHERE id = $1",
			node, lease.Microseconds(), leaving || locked, locked && !leaving)
		if err == nil && n == 0 {
			err = jadwal.ErrFenced
		}
		return err
	})
}

// Cluster returns all nodes, by id, and all shards.
func (s *Store) Cluster(ctx context.Context) (*jadwal.Cluster, error) {
	var c *jadwal.Cluster
	err := s.read(ctx, func(t *tx) error {
		c = new(jadwal.Cluster)
		if _, err := t.one("SELECT "+clockSQL, func(r row) { c.Now = r.time(0) }); err != nil {
			return err
		}
		if err := t.query("SELECT id, address, version, started_at, lease_until, leaving, locked FROM node ORDER BY id", func(r row) error {
			c.Nodes = append(c.Nodes, jadwal.Node{
				ID: r.int(0), Address: r.text(1), Version: r.text(2), StartedAt: r.time(3), LeaseUntil: r.time(4),
				Leaving: r.bool(5) && !r.bool(6), Locked: r.bool(6),
			})
			return nil
		}); err != nil {
			return err
		}
		return t.query("SELECT shard, owner, epoch FROM shard", func(r row) error {
			c.Shards[r.int(0)] = jadwal.ShardOwner{Node: r.int(1), Epoch: r.int(2)}
			return nil
		})
	})
	return c, err
}

// Bury removes a node whose lease has ended, and tells whether it has; one that
// has renewed it meanwhile stays. So does one of which a batch is on its way: that
// of a node that was cut off may stay for idleTimeout, and whoever waited for it
// would not renew its own lease in time.
func (s *Store) Bury(ctx context.Context, node int64) (gone bool, err error) {
	return s.removeNode(ctx, "DELETE FROM node WHERE id = (SELECT id FROM node WHERE id = $1 AND lease_until < "+clockSQL+" FOR UPDATE SKIP LOCKED)", node)
}

// Leave removes a node, after a batch of it that is on its way.
func (s *Store) Leave(ctx context.Context, node int64) error {
	_, err := s.removeNode(ctx, "DELETE FROM node WHERE id = $1", node)
	return err
}

func (s *Store) removeNode(ctx context.Context, text string, node int64) (gone bool, err error) {
	d, err := s.shared()
	if err != nil {
		return false, err
	}
	if err := s.write(ctx, laneAPI, func(t *tx) error {
		n, err := t.exec(text, node)
		gone = n > 0
		return err
	}); err != nil {
		return false, err
	}
	if gone {
		d.hints.say(wordShards)
	}
	return gone, nil
}

// Take gives a node those shards, as far as they are nobody's, still in the epoch
// that seen has, and not held by another transaction, which may be that of a node
// that was cut off. It returns those that it got, each in its next epoch.
// ErrFenced: the node is none any more.
func (s *Store) Take(ctx context.Context, node int64, shards jadwal.ShardSet, seen *jadwal.Cluster) (*jadwal.Holding, error) {
	var got *jadwal.Holding
	list := shardList(shards)
	epochs := make([]int64, len(list))
	for i, shard := range list {
		epochs[i] = seen.Shards[shard].Epoch
	}
	err := s.write(ctx, laneAPI, func(t *tx) error {
		got = new(jadwal.Holding)
		alive, err := t.one("SELECT 1 FROM node WHERE id = $1 AND lease_until > "+clockSQL+" FOR KEY SHARE", func(row) {}, node)
		if err != nil {
			return err
		}
		if !alive {
			return jadwal.ErrFenced
		}
		return t.query(`WITH free AS MATERIALIZED (
				SELECT s.shard FROM shard s JOIN unnest($2::bigint[], $3::bigint[]) AS x (shard, epoch) ON s.shard = x.shard AND s.epoch = x.epoch
				WHERE s.owner IS NULL OR NOT EXISTS (SELECT 1 FROM node WHERE node.id = s.owner)
				FOR UPDATE OF s SKIP LOCKED)
			UPDATE shard SET owner = $1, epoch = shard.epoch + 1 FROM free WHERE shard.shard = free.shard
			RETURNING shard.shard, shard.epoch`, func(r row) error {
			got[r.int(0)] = r.int(1)
			return nil
		}, node, list, epochs)
	})
	return got, err
}

// Give makes shards of a node nobody's.
func (s *Store) Give(ctx context.Context, node int64, shards jadwal.ShardSet) error {
	d, err := s.shared()
	if err != nil {
		return err
	}
	if err := s.write(ctx, laneAPI, func(t *tx) error {
		_, err := t.exec("UPDATE shard SET owner = NULL WHERE owner = $1 AND shard = ANY($2::bigint[])", node, shardList(shards))
		return err
	}); err != nil {
		return err
	}
	d.hints.say(wordShards)
	return nil
}

// SubscribeShards has fn called when another node has said that shards are free
// or wanted, or that a master key has been named. It must not block and must not
// use the store.
func (s *Store) SubscribeShards(fn func()) {
	s.meet.mu.Lock()
	defer s.meet.mu.Unlock()
	s.meet.shards = append(s.meet.shards, fn)
}

func (m *meeting) shardsMove() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, fn := range m.shards {
		fn()
	}
}
