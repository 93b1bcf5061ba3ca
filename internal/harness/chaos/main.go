package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/harness/people"
	"github.com/teknohole/jadwal/internal/store"
)

// quiet is how long the nodes are left alone in the end: a lease and its grace,
// then what was open is sent again, fails, and is tried once more.
const quiet = 20 * time.Second

func main() {
	duration := flag.Duration("duration", 10*time.Minute, "for how long the nodes are disturbed")
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random choices")
	only := flag.String("only", "", "one kind of disturbance alone: "+kinds())
	rolling := flag.Int("rolling", 0, "instead, disturb the nodes one after another under so many fires a second, and tell how late these are: planned ends, or -only")
	keep := flag.Bool("keep", false, "leave the directory with the logs behind, and say where")
	flag.Parse()
	dir, err := os.MkdirTemp("", "jadwal-chaos-")
	if err == nil {
		err = os.Chmod(dir, 0o755) // PostgreSQL may run as another user
	}
	switch {
	case err != nil:
	case *rolling > 0:
		if *only == "" {
			*only = planned
		}
		var chosen []disturbance
		if chosen, err = choose(*only); err == nil {
			err = roll(dir, *rolling, chosen[0], rand.New(rand.NewPCG(*seed, 0)))
		}
	default:
		err = run(dir, *duration, *seed, *only)
	}
	if *keep {
		fmt.Println("left behind:", dir)
	} else {
		os.RemoveAll(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(dir string, duration time.Duration, seed uint64, only string) error {
	fmt.Printf("chaos: %v, seed %d\n", duration, seed)
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	sink, err := harness.ListenSink("127.0.0.1:0", nil)
	if err != nil {
		return err
	}
	defer sink.Close()
	c, err := begin(dir)
	if err != nil {
		return err
	}
	defer c.end()
	w, err := watch(c.postgres.URL("postgres"))
	if err != nil {
		return err
	}
	p, err := people.Invite(people.Options{URL: "http://cluster", Sink: sink.URL(), Seed: seed, HTTP: c.client(), Nodes: true, Settle: 2 * time.Second})
	if err != nil {
		return err
	}
	begun := time.Now()
	err = c.disturb(chosen, rand.New(rand.NewPCG(seed, 0)), begun.Add(duration))
	lasted := time.Since(begun)
	p.Leave()
	if err != nil {
		return err
	}
	time.Sleep(quiet)
	now := time.Now()
	live, err := p.Records()
	if err != nil {
		return err
	}
	wrong := w.end()
	for _, n := range c.nodes {
		if err := n.Stop(40 * time.Second); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	deleted, broken, err := people.Inspect(store.Options{URL: c.postgres.URL("postgres")}, p.DeletedJobs())
	if err != nil {
		return err
	}
	wrong = append(wrong, w.judge(sink.Deliveries(), c.continued)...)
	fmt.Printf("  done:      %s\n", c.told())
	return p.Verdict(people.Summary{
		Title: "chaos: three nodes", Nodes: true, Lasted: lasted, Now: now, Live: live, Deleted: deleted,
		Broken: slices.Concat(wrong, broken), Errors: c.errors(), Deliveries: sink.Deliveries(),
		Stale: func(d harness.Delivery) bool {
			_, ok := justContinued(c.continued, d.At)
			return ok && w.replaced(d, false)
		},
	})
}

// begin starts the database and the nodes, and waits until each is ready.
func begin(dir string) (*cluster, error) {
	binary, err := harness.Build(dir)
	if err != nil {
		return nil, err
	}
	c := &cluster{postgres: &harness.Postgres{Dir: filepath.Join(dir, "postgres")}, counts: map[string]int{}}
	if err := c.postgres.Start("max_connections=200", "log_min_messages=warning"); err != nil {
		return nil, err
	}
	for i := range 3 {
		n, err := c.join(binary, filepath.Join(dir, fmt.Sprintf("node%d", i)))
		if err != nil {
			c.end()
			return nil, err
		}
		c.nodes = append(c.nodes, n)
	}
	return c, nil
}

// watcher reads who has which shard, again and again.
type watcher struct {
	st   *store.Store
	stop context.CancelFunc
	done chan struct{}

	now   jadwal.Cluster
	at    time.Time // when it was read
	since [jadwal.Shards][]term
	wrong []string
}

// A term is between which two readings an epoch of a shard began.
type term struct {
	epoch    int64
	from, to time.Time
}

func watch(url string) (*watcher, error) {
	st, err := store.OpenOffline(context.Background(), store.Options{URL: url, Log: silent})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &watcher{st: st, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for ctx.Err() == nil {
			if c, err := st.Cluster(ctx); err == nil {
				w.take(c, time.Now())
			} // else the database is away
			time.Sleep(100 * time.Millisecond)
		}
	}()
	return w, nil
}

// take holds a reading against the one before: epochs never decrease, and an
// owner changes only with the epoch.
func (w *watcher) take(c *jadwal.Cluster, at time.Time) {
	for shard, is := range c.Shards {
		was := w.now.Shards[shard]
		switch {
		case is.Epoch < was.Epoch:
			w.wrong = append(w.wrong, fmt.Sprintf("shard %d went back from epoch %d to %d", shard, was.Epoch, is.Epoch))
		case is.Epoch == was.Epoch && is.Node != was.Node && is.Node != 0:
			w.wrong = append(w.wrong, fmt.Sprintf("shard %d went from node %d to %d within epoch %d", shard, was.Node, is.Node, is.Epoch))
		}
		if is.Epoch > was.Epoch {
			w.since[shard] = append(w.since[shard], term{is.Epoch, w.at, at})
		}
	}
	w.now, w.at = *c, at
}

// end ends the watch and returns what was wrong.
func (w *watcher) end() []string {
	w.stop()
	<-w.done
	if err := w.st.Close(); err != nil {
		w.wrong = append(w.wrong, err.Error())
	}
	return w.wrong
}

// replaced tells whether a delivery may have come from an owner of its shard that
// had been replaced by then, or, if it is to be certain, must have.
func (w *watcher) replaced(d harness.Delivery, certain bool) bool {
	key, ok := jadwal.ParseRunID(d.RunID)
	if !ok {
		return false
	}
	return slices.ContainsFunc(w.since[jadwal.ShardOf(key.JobID)], func(t term) bool {
		began := t.from
		if certain {
			began = t.to.Add(underway)
		}
		return t.epoch > d.Epoch && began.Before(d.At)
	})
}

// underway is how much later than it was sent a call may arrive, and inHand how
// many calls a node may have been about to make when it was stopped.
const (
	underway = 500 * time.Millisecond
	inHand   = 5
)

// judge returns what came from owners that had been replaced, for which there
// is no excuse: the node had not been stopped, or made more calls than it can
// have had in hand.
func (w *watcher) judge(deliveries []harness.Delivery, continued []time.Time) []string {
	var wrong []string
	excused := map[time.Time]int{}
	for _, d := range deliveries {
		if !w.replaced(d, true) {
			continue
		}
		at, ok := justContinued(continued, d.At)
		if excused[at]++; !ok || excused[at] > inHand {
			wrong = append(wrong, fmt.Sprintf("in epoch %d, though another node had its shard: %v", d.Epoch, d))
		}
	}
	return wrong
}
