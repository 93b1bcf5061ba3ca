package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// side is one side of a measure: turn works for about d and returns how many
// operations that were; cpu is the processor time used so far by whoever
// serves them.
type side struct {
	name string
	turn func(d time.Duration) (int, error)
	cpu  func() (time.Duration, error)
}

// total is what a side did in all its valid turns.
type total struct {
	ops  int
	wall time.Duration
	cpu  time.Duration
}

func (t total) perSecond() float64 { return float64(t.ops) / t.wall.Seconds() }
func (t total) cpuPerOp() time.Duration {
	if t.ops == 0 {
		return 0
	}
	return t.cpu / time.Duration(t.ops)
}

func (t total) String() string {
	return fmt.Sprintf("%8.0f/s, %7.1f µs of processor time each", t.perSecond(), float64(t.cpuPerOp().Nanoseconds())/1e3)
}

// maxStolen is the share of the machine beyond which a turn is void.
const maxStolen = 0.05

// duel lets the sides take turns, after one that does not count, and returns
// what each did, with the number of void turns.
func duel(turns int, d time.Duration, sides ...side) (done []total, void int, err error) {
	done = make([]total, len(sides))
	for i := -1; i < turns; i++ {
		for k := range sides {
			k = (k + max(i, 0)) % len(sides) // nobody always goes first
			for {
				t, stolen, err := takeTurn(sides[k], d)
				if err != nil {
					return nil, void, fmt.Errorf("%s: %w", sides[k].name, err)
				}
				if stolen > maxStolen && void < 5*turns {
					void++
					continue
				}
				if i >= 0 {
					done[k].ops, done[k].wall, done[k].cpu = done[k].ops+t.ops, done[k].wall+t.wall, done[k].cpu+t.cpu
				}
				break
			}
		}
	}
	return done, void, nil
}

func takeTurn(s side, d time.Duration) (t total, stolen float64, err error) {
	before, err := s.cpu()
	if err != nil {
		return t, 0, err
	}
	machine, begun := harness.ReadStolen(), time.Now()
	if t.ops, err = s.turn(d); err != nil {
		return t, 0, err
	}
	t.wall, stolen = time.Since(begun), harness.ReadStolen().Since(machine)
	after, err := s.cpu()
	t.cpu = after - before
	return t, stolen, err
}

// report prints a measure: its aim if there is one, ours, the floor if there is
// one, and the ratio.
func report(title, aim string, sides []side, done []total, void int) {
	if aim != "" {
		title += " (aim " + aim + ")"
	}
	fmt.Println(title)
	for i, t := range done {
		fmt.Printf("  %-28s %v\n", sides[i].name, t)
	}
	if len(done) == 2 {
		fmt.Printf("  ratio %.2f by throughput", done[0].perSecond()/done[1].perSecond())
		if done[0].cpu > 0 && done[1].cpu > 0 {
			fmt.Printf(", %.2f by processor time", float64(done[1].cpuPerOp())/float64(done[0].cpuPerOp()))
		}
		fmt.Println()
	}
	tellVoid(void)
}

func tellVoid(void int) {
	if void > 0 {
		fmt.Printf("  %d turns were void: the host took more than %.0f %% of the processors\n", void, maxStolen*100)
	}
}

// load lets each client repeat its call for d and returns how many calls that
// were. The first error ends it.
func load[C any](d time.Duration, clients []C, call func(C) error) (int, error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		ops   int
		first error
		end   = time.Now().Add(d)
	)
	for _, c := range clients {
		wg.Go(func() {
			n := 0
			var err error
			for err == nil && time.Now().Before(end) {
				if err = call(c); err == nil {
					n++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			ops += n
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	return ops, first
}

// ownCPU is the processor time of this process.
func ownCPU() (time.Duration, error) { return harness.ProcessorTime(os.Getpid()) }

// maxOthers is the share of the machine that other programs may have before it
// is told.
const maxOthers = 0.1

// familyCPU is the processor time of this process and of its children that
// have ended (getrusage(2)).
func familyCPU() (used time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err == nil {
			used += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return used
}

// used is familyCPU with that of the database, which outlives a measure.
func (b *bench) used() time.Duration {
	sum := familyCPU()
	if b.postgres != nil {
		if theirs, err := b.postgres.CPU(); err == nil {
			sum += theirs
		}
	}
	return sum
}

// diskSyncs returns how many times a second a small append can be made durable
// in dir, one after another: what a server that does not group its writes
// would be bound by.
func diskSyncs(dir string) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "syncs"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	page := make([]byte, 4<<10)
	begun, n := time.Now(), 0
	for ; time.Since(begun) < 500*time.Millisecond; n++ {
		if _, err := f.Write(page); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}
