// Command bench measures the server from outside, a real process with a real
// disk under it, beside the floor of each measure in the same run: the least
// that any server in Go would have to do. The two take turns, because the
// speed of a machine changes from minute to minute; what counts is the ratio.
// A turn during which the machine's host gave more than 5 % of the processors
// to others is void and repeated. It asserts nothing.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// secret signs the tokens of the server and of the floor that reads the same ones.
const secret = "a secret for the benchmarks only, 32 bytes or more"

func main() {
	turns := flag.Int("turns", 6, "turns of each side of a measure")
	turn := flag.Duration("turn", time.Second, "length of a turn")
	only := flag.String("only", "", "measure only what has this in its name: me, refresh, login, create, burst")
	floor := flag.String("floor", "", "be the floor of GET /user/me at this address (used by bench itself)")
	heap := flag.String("heap", "", "be the floor of the burst, calling this URL (used by bench itself)")
	flag.Parse()
	var err error
	switch {
	case *floor != "":
		err = serveFloor(*floor)
	case *heap != "":
		err = callHeap(*heap)
	default:
		err = run(*only, *turns, *turn)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(only string, turns int, turn time.Duration) error {
	dir, err := os.MkdirTemp("", "jadwal-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	syncs, err := diskSyncs(dir)
	if err != nil {
		return err
	}
	fmt.Printf("bench: turns of %v, %d a side; this disk does %.0f fdatasync/s, one after another\n", turn, turns, syncs)
	binary, err := harness.Build(dir)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name    string
		measure func(*harness.Server, int, time.Duration) error
	}{
		{"me", benchMe}, {"refresh", benchRefresh}, {"login", benchLogin}, {"create", benchCreate}, {"burst", benchBurst},
	} {
		if !strings.Contains(m.name, only) {
			continue
		}
		if err := withServer(binary, filepath.Join(dir, m.name), func(s *harness.Server) error { return m.measure(s, turns, turn) }); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

// withServer gives do a fresh server, and stops it in the end.
func withServer(binary, dir string, do func(*harness.Server) error) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	address, err := harness.FreeAddress()
	if err != nil {
		return err
	}
	s := &harness.Server{
		Binary: binary, Dir: dir, Address: address,
		Env: []string{harness.AdminEnv, "JADWAL_SECRET=" + secret, "JADWAL_LOG_LEVEL=warn"},
	}
	if err := s.Start(); err != nil {
		return err
	}
	if err := s.Ready(20 * time.Second); err != nil {
		return err
	}
	err = do(s)
	if stopped := s.Stop(30 * time.Second); err == nil {
		err = stopped
	}
	return err
}
