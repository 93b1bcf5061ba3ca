package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

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
	f, err := haunt(c.postgres.URL("postgres"))
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
	wrong := append(w.end(), f.leave()...)
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
	wrong = append(wrong, w.hasty(c.strikes, c.continued)...)
	fmt.Printf("  done:      %s; %d batches of a former node refused\n", c.told(), f.refused)
	return p.Verdict(people.Summary{
		Title: "chaos: three nodes", Nodes: true, Lasted: lasted, Now: now, Live: live, Deleted: deleted,
		Broken: slices.Concat(wrong, broken), Errors: c.errors(), Deliveries: sink.Deliveries(),
		Stale: func(d harness.Delivery) bool {
			_, ok := w.excuse(d, c.continued)
			return ok && w.replaced(d, false)
		},
		Well: func(jobID int64, from, to time.Time) time.Duration { return w.well(jobID, from, to, c.strikes) },
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
