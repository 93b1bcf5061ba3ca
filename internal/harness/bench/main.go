// Command bench measures the server from outside, a real process with a real
// disk under it, beside the floor of each measure in the same run: the least
// that any server in Go would have to do. The two take turns, because the
// speed of a machine changes from minute to minute; what counts is the ratio.
// A turn during which the machine's host gave more than 5 % of the processors
// to others is void and repeated. It asserts nothing.
//
// The measures whose names begin with pg do on a private PostgreSQL, with fsync
// on, what those without it do on SQLite: one node and three. Their processor
// time is that of all nodes and of PostgreSQL.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// secret signs the tokens of the server and of the floor that reads the same ones.
const secret = "a secret for the benchmarks only, 32 bytes or more"

// bench is one run of the measures. They work in dir, which goes with it.
type bench struct {
	dir    string
	binary string
	turns  int
	turn   time.Duration
	many   int // jobs that a big measure registers
	sink   *harness.Sink
	seen   arrivals
	full   string // where a server with so many jobs works; "": no big measure has needed it yet

	postgres  *harness.Postgres // nil: no measure has needed it yet
	databases int               // made on it
}

// A measure that is big takes minutes and gigabytes.
type measure struct {
	name string
	big  bool
	run  func(*bench) error
}

// The order matters: drain fills a data directory with jobs that are due soon,
// and the other big ones take what it leaves.
var measures = []measure{
	{"me", false, fresh(benchMe)},
	{"refresh", false, fresh(benchRefresh)},
	{"login", false, fresh(benchLogin)},
	{"timing", false, benchTiming},
	{"flood", false, benchFlood},
	{"create", false, fresh(benchCreate)},
	{"burst", false, benchBurst},
	{"guarded", false, benchGuarded},
	{"steady", false, benchSteady},
	{"store", false, benchStore},
	{"pgburst", false, benchPostgresBurst},
	{"pgsteady", false, benchPostgresSteady},
	{"pgstore", false, benchPostgresStore},
	{"drain", true, benchDrain},
	{"idle", true, benchIdle},
	{"million", true, benchBurstAmongMany},
}

// names are the measures of one size, for the help text.
func names(big bool) string {
	var n []string
	for _, m := range measures {
		if m.big == big {
			n = append(n, m.name)
		}
	}
	return strings.Join(n, ", ")
}

// wanted returns the measures that were asked for.
func wanted(only string, all bool) ([]measure, error) {
	chosen := strings.FieldsFunc(only, func(r rune) bool { return r == ',' || r == ' ' })
	for _, name := range chosen {
		if !slices.ContainsFunc(measures, func(m measure) bool { return m.name == name }) {
			return nil, fmt.Errorf("there is no measure %q; there are %s and, big, %s", name, names(false), names(true))
		}
	}
	var w []measure
	for _, m := range measures {
		if slices.Contains(chosen, m.name) || len(chosen) == 0 && (all || !m.big) {
			w = append(w, m)
		}
	}
	return w, nil
}

func main() {
	b := &bench{}
	flag.IntVar(&b.turns, "turns", 6, "turns of each side of a measure")
	flag.DurationVar(&b.turn, "turn", time.Second, "length of a turn")
	flag.IntVar(&b.many, "jobs", 1_000_000, "jobs that the big measures register: about 1 KB of disk each, in $TMPDIR")
	only := flag.String("only", "", "measure only these, separated by commas: "+names(false)+", "+names(true))
	all := flag.Bool("all", false, "measure the big ones too, which take 15 minutes more: "+names(true))
	floor := flag.String("floor", "", "be the floor of GET /user/me at this address (used by bench itself)")
	var h heapFloor
	flag.StringVar(&h.url, "heap", "", "be the floor of fires, calling this URL (used by bench itself)")
	flag.IntVar(&h.jobs, "heap-jobs", burst, "jobs of that floor (used by bench itself)")
	flag.IntVar(&h.seconds, "heap-seconds", 0, "their instants are spread over so many seconds, one in each; 0: all are due once, at one instant (used by bench itself)")
	flag.Parse()
	var err error
	switch {
	case *floor != "":
		err = serveFloor(*floor)
	case h.url != "":
		err = h.run()
	default:
		err = b.run(*only, *all)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(only string, all bool) (err error) {
	chosen, err := wanted(only, all)
	if err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "jadwal-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	go removeOnSignal(b.dir)
	syncs, err := diskSyncs(b.dir)
	if err != nil {
		return err
	}
	fmt.Printf("bench: turns of %v, %d a side; this disk does %.0f fdatasync/s, one after another\n", b.turn, b.turns, syncs)
	if b.binary, err = harness.Build(b.dir); err != nil {
		return err
	}
	if b.sink, err = harness.ListenSink("127.0.0.1:0", b.seen.take); err != nil {
		return err
	}
	defer b.sink.Close()
	defer func() {
		if b.postgres != nil {
			err = errors.Join(err, b.postgres.Stop())
		}
	}()
	for _, m := range chosen {
		machine, used := harness.ReadStolen(), b.used()
		if err := m.run(b); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if others := harness.ReadStolen().Others(machine, b.used()-used); others > maxOthers {
			fmt.Printf("  other programs had %.0f %% of the processors meanwhile: only ratios mean anything, and they little\n", 100*others)
		}
	}
	return nil
}

// removeOnSignal lets nothing big stay behind when a person has had enough.
func removeOnSignal(dir string) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	<-signals
	os.RemoveAll(dir)
	os.Exit(130)
}

// fresh is a measure that needs nothing but an empty server.
func fresh(measure func(*harness.Server, int, time.Duration) error) func(*bench) error {
	return func(b *bench) error {
		return b.onFresh(func(s *harness.Server) error { return measure(s, b.turns, b.turn) })
	}
}

// onFresh gives do a server on an empty data directory, which goes in the end,
// with env besides.
func (b *bench) onFresh(do func(*harness.Server) error, env ...string) error {
	dir, err := os.MkdirTemp(b.dir, "fresh-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	return b.onServer(dir, do, env...)
}

// onServer gives do a server that works in dir, with env besides, and stops it in
// the end.
func (b *bench) onServer(dir string, do func(*harness.Server) error, env ...string) error {
	address, err := harness.FreeAddress()
	if err != nil {
		return err
	}
	s := &harness.Server{
		Binary: b.binary, Dir: dir, Address: address,
		Env: append([]string{harness.AdminEnv, "JADWAL_SECRET=" + secret, "JADWAL_LOG_LEVEL=warn"}, env...),
	}
	if err := s.Start(); err != nil {
		return err
	}
	if err = s.Ready(20 * time.Second); err == nil {
		err = do(s)
	}
	if err != nil {
		err = fmt.Errorf("%w; the server's log ends with:\n%s", err, s.LogTail(2000))
	}
	if stopped := s.Stop(30 * time.Second); err == nil {
		err = stopped
	}
	return err
}

// dataIn is the data directory of a server that works in dir.
func dataIn(dir string) string { return filepath.Join(dir, "jadwal-data") }
