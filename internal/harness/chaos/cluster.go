package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

var silent = slog.New(slog.DiscardHandler)

// cluster is the nodes and their database.
type cluster struct {
	postgres *harness.Postgres
	nodes    []*node

	database  sync.Mutex // it is being killed, or must not be
	mu        sync.Mutex
	strikes   []strike // that are over
	counts    map[string]int
	continued []awoken
}

// node is a server with its own wire to the database.
type node struct {
	*harness.Server
	wire *harness.Wire
	busy atomic.Bool // it is being disturbed: whoever can chooses another one
}

// join starts another node in dir.
func (c *cluster) join(binary, dir string) (*node, error) {
	wire, url, err := harness.ListenWire(dir, c.postgres.URL("postgres"))
	if err != nil {
		return nil, err
	}
	address, err := harness.FreeAddress()
	if err != nil {
		return nil, err
	}
	n := &node{wire: wire, Server: &harness.Server{Binary: binary, Dir: dir, Address: address, Env: []string{
		harness.AdminEnv, "JADWAL_DATABASE_URL=" + url, "JADWAL_SECRET=all of the nodes have this one secret",
		"JADWAL_ALLOW_EGRESS=127.0.0.0/8", "JADWAL_ACCESS_LIFETIME=24h", "JADWAL_LOG_LEVEL=info", "JADWAL_DRAIN_TIMEOUT=10s",
	}}}
	return n, errors.Join(n.Start(), n.joined(time.Minute))
}

// joined waits until the node is one among the others.
func (n *node) joined(timeout time.Duration) error {
	if err := n.Ready(timeout); err != nil {
		return err
	}
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for end := time.Now().Add(timeout); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if resp, err := client.Get(n.URL() + "/health/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
	}
	return fmt.Errorf("the node was not ready within %v\n%s", timeout, n.LogTail(4<<10))
}

// again starts the node until it stays, as a supervisor would: one that finds
// no database at its start ends.
func (n *node) again() error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		if err := n.Start(); err != nil {
			return err
		}
		err := n.joined(time.Minute)
		if err == nil || time.Now().After(end) {
			return err
		}
		n.End()
	}
}

func (c *cluster) end() {
	for _, n := range c.nodes {
		n.End()
		n.wire.Close()
	}
	c.postgres.Stop()
}

// client is an HTTP client whose calls go to any node, mostly to one that is
// left alone. It waits for longer than a node is ever stopped, so that what it
// gives up on is not done later.
func (c *cluster) client() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &router{c, &http.Transport{MaxIdleConnsPerHost: 64}}}
}

type router struct {
	*cluster
	next http.RoundTripper
}

// RoundTrip sends a request to one node after another until one takes the
// connection: what was refused has not been read.
func (r *router) RoundTrip(req *http.Request) (*http.Response, error) {
	order := rand.Perm(len(r.nodes))
	if rand.IntN(10) > 0 {
		slices.SortStableFunc(order, func(a, b int) int {
			return cmp.Compare(btoi(r.nodes[a].busy.Load()), btoi(r.nodes[b].busy.Load()))
		})
	}
	var err error
	for _, i := range order {
		to := req.Clone(req.Context())
		to.URL.Host = r.nodes[i].Address
		if req.GetBody != nil {
			if to.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
		var resp *http.Response
		if resp, err = r.next.RoundTrip(to); err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
			return resp, err
		}
	}
	return nil, err
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A disturbance strikes a node, or the database that all have. It returns when
// all is well again.
type disturbance struct {
	kind   string
	weight int
	strike func(c *cluster, n *node, rng *rand.Rand) error
}

const planned = "planned end"

var disturbances = []disturbance{
	{kill, 5, func(_ *cluster, n *node, rng *rand.Rand) error {
		n.Kill()
		if rng.IntN(2) == 0 {
			time.Sleep(between(rng, 6*time.Second, 9*time.Second)) // the others take over
		} else {
			time.Sleep(between(rng, 0, 2*time.Second))
		}
		return n.again()
	}},
	{stop, 3, func(c *cluster, n *node, rng *rand.Rand) error {
		n.Pause()
		if rng.IntN(2) == 0 {
			time.Sleep(between(rng, time.Second, 4500*time.Millisecond)) // it is trusted for 4 s
		} else {
			time.Sleep(between(rng, 5500*time.Millisecond, 9*time.Second)) // its lease lasts for 6 s
		}
		mute := rng.IntN(3) > 0 // then nobody tells it at once what it has missed
		if mute {
			n.wire.Hold()
		}
		c.mu.Lock()
		c.continued = append(c.continued, awoken{n.Address, time.Now()})
		c.mu.Unlock()
		n.Continue()
		if mute {
			time.Sleep(between(rng, 100*time.Millisecond, 1500*time.Millisecond))
			n.wire.Release()
		}
		return n.joined(time.Minute)
	}},
	{planned, 2, func(c *cluster, n *node, rng *rand.Rand) error {
		c.database.Lock() // without it there is no orderly end
		defer c.database.Unlock()
		if err := n.Stop(40 * time.Second); err != nil {
			return err
		}
		time.Sleep(between(rng, 0, 2*time.Second))
		return n.again()
	}},
	{cut, 4, func(_ *cluster, n *node, _ *rand.Rand) error {
		n.wire.Cut()
		return nil
	}},
	{silence, 2, func(_ *cluster, n *node, rng *rand.Rand) error {
		n.wire.Hold()
		time.Sleep(between(rng, 2*time.Second, 10*time.Second))
		n.wire.Release()
		return n.joined(time.Minute)
	}},
	{database, 2, func(c *cluster, _ *node, rng *rand.Rand) error {
		c.database.Lock()
		defer c.database.Unlock()
		if err := c.postgres.Crash(); err != nil {
			return err
		}
		time.Sleep(between(rng, 0, 4*time.Second))
		return c.postgres.Restart()
	}},
}

func kinds() string {
	var names []string
	for _, d := range disturbances {
		names = append(names, d.kind)
	}
	return strings.Join(names, ", ")
}

// choose returns each kind as often as it weighs, or only one.
func choose(only string) ([]disturbance, error) {
	var chosen []disturbance
	for _, d := range disturbances {
		for range d.weight {
			if only == "" || only == d.kind {
				chosen = append(chosen, d)
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("there is no disturbance %q, but: %s", only, kinds())
	}
	return chosen, nil
}

func between(rng *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(rng.Int64N(int64(to-from)))
}

// disturb strikes until end. Two strikes may go on at once, of the database one.
func (c *cluster) disturb(chosen []disturbance, rng *rand.Rand, end time.Time) error {
	var strikes sync.WaitGroup
	failed := make(chan error, 100)
	next := time.Now().Add(time.Minute)
	for time.Now().Before(end) && len(failed) == 0 {
		time.Sleep(between(rng, 200*time.Millisecond, 3*time.Second))
		if time.Now().After(next) {
			next = next.Add(time.Minute)
			fmt.Printf("  %s\n", c.told())
		}
		d, n := chosen[rng.IntN(len(chosen))], c.nodes[rng.IntN(len(c.nodes))]
		mine := rand.New(rand.NewPCG(rng.Uint64(), 0))
		if d.kind == database {
			n = nil
		} else if c.busy() >= 2 || n.busy.Swap(true) {
			continue
		}
		strikes.Go(func() {
			if n != nil {
				defer n.busy.Store(false)
			}
			if err := c.strike(d, n, mine); err != nil {
				failed <- fmt.Errorf("%s: %w", d.kind, err)
			}
		})
	}
	strikes.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func (c *cluster) busy() int {
	n := 0
	for _, other := range c.nodes {
		n += btoi(other.busy.Load())
	}
	return n
}

// strike carries out d and notes when it was.
func (c *cluster) strike(d disturbance, n *node, rng *rand.Rand) error {
	s := strike{kind: d.kind, from: time.Now()}
	if n != nil {
		s.address = n.Address
	}
	c.mu.Lock()
	c.counts[d.kind]++
	c.mu.Unlock()
	err := d.strike(c, n, rng)
	s.to = time.Now()
	c.mu.Lock()
	c.strikes = append(c.strikes, s)
	c.mu.Unlock()
	return err
}

func (c *cluster) told() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(c.counts)) {
		parts = append(parts, fmt.Sprintf("%d × %s", c.counts[kind], kind))
	}
	return strings.Join(parts, ", ")
}

// errors are the lines of the nodes' logs that no disturbance explains.
func (c *cluster) errors() []string {
	var found []string
	for i, n := range c.nodes {
		b, err := os.ReadFile(n.Dir + "/server.log")
		if err != nil {
			found = append(found, err.Error())
		}
		for line := range strings.Lines(string(b)) {
			if unexplained(line, n.Address, c.strikes) {
				found = append(found, fmt.Sprintf("node %d's log: %s", i, strings.TrimSpace(line)))
			}
		}
	}
	return found
}

// aftermath is how long after a disturbance a node may still speak of it: a
// lease ends, and what waited for the database is given up.
const aftermath = 15 * time.Second

// unexplained tells whether a line of a log tells of a mistake of Jadwal's. That
// the database is away is none while it, or the way to it, is disturbed; nor is
// that the lease has ended, when that took long enough.
func unexplained(line, address string, strikes []strike) bool {
	if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
		return true
	}
	if !strings.Contains(line, "level=ERROR") {
		return false
	}
	word, _, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
	at, err := time.Parse(time.RFC3339Nano, word)
	return err != nil || !slices.ContainsFunc(strikes, func(s strike) bool {
		return (s.address == "" || s.address == address) && !at.Before(s.from.Truncate(time.Millisecond)) && at.Before(s.to.Add(aftermath)) &&
			slices.ContainsFunc(explained, func(e explanation) bool {
				return strings.Contains(line, e.says) && slices.Contains(e.kinds, s.kind)
			})
	})
}

// An explanation is a part of what a node logs as an error, and after which
// kinds of disturbances it may.
type explanation struct {
	says  string
	kinds []string
}

const (
	kill     = "kill"
	stop     = "stop"
	cut      = "cut"
	silence  = "silence"
	database = "database"
)

var explained = []explanation{
	{"the answer to a commit was lost", []string{stop, cut, silence, database}},
	{"msg=\"database unavailable\"", []string{stop, cut, silence, database}},
	{"the nodes could not be agreed with", []string{stop, cut, silence, database}},
	{"unavailable: The database is unavailable; try again", []string{stop, cut, silence, database}},
	{"the database is not heard", []string{stop, cut, silence, database}},
	{"lease has ended", []string{stop, silence, database}},
	{"another node has taken over", []string{stop, silence, database}}, // the fence
}
