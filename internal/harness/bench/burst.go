package main

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

const (
	burst = 10_000  // jobs that fall due at one instant
	some  = 100_000 // jobs that are registered besides
)

// benchBurst measures a burst where nothing else is registered, and where a
// number of jobs are that are not due.
func benchBurst(b *bench) error {
	if err := b.burstAt(onSQLite); err != nil {
		return err
	}
	return b.onFilled(some, func(s *harness.Server) error { return b.bursts(&servers{all: []*harness.Server{s}}, onSQLite, some) })
}

// benchPostgresBurst measures a burst on PostgreSQL, where nothing else is
// registered.
func benchPostgresBurst(b *bench) error {
	if err := b.burstAt(1); err != nil {
		return err
	}
	return b.burstAt(3)
}

func (b *bench) burstAt(p place) error {
	return b.at(p, func(s *servers) error { return b.bursts(s, p, 0) })
}

// benchBurstAmongMany measures a burst where as many jobs are registered as a
// big measure has.
func benchBurstAmongMany(b *bench) error {
	if err := b.fillMany(); err != nil {
		return err
	}
	return b.onServer(b.full, func(s *harness.Server) error { return b.bursts(&servers{all: []*harness.Server{s}}, onSQLite, b.many) })
}

// bursts measures 10,000 jobs that are due at one instant, each delivered and
// durably recorded, beside heapFloor.
func (b *bench) bursts(s *servers, p place, others int) error {
	session, err := s.admin()
	if err != nil {
		return err
	}
	clients, err := s.dial(64)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	// How long the jobs of a burst take to make, from a tenth as many.
	begun := time.Now()
	if err := makeJobs(clients, session.Access, burst/10, func(i int) string {
		return fmt.Sprintf(`{"name":"making-%d","schedules":[{"cron":"0 0 1 1 *"}],"target":{"type":"http","method":"POST","url":"%s/burst"}}`, i, b.sink.URL())
	}); err != nil {
		return err
	}
	making := 10 * time.Since(begun)
	ours := side{name: "jobs at one instant"}
	bare := side{name: "heap and net/http, no record"}
	done, void := make([]total, 2), 0
	worst := []time.Duration{}
	for i := -1; i < min(b.turns, 3); {
		machine := harness.ReadStolen()
		mine, err := b.burstOfJobs(s, session.Access, clients, &making, "")
		if err != nil {
			return err
		}
		theirs, err := b.burstOfHeap()
		if err != nil {
			return err
		}
		if harness.ReadStolen().Since(machine) > maxStolen && void < 5 {
			void++
			continue
		}
		if i >= 0 {
			for k, t := range []total{mine, theirs} {
				done[k].ops, done[k].wall, done[k].cpu = done[k].ops+t.ops, done[k].wall+t.wall, done[k].cpu+t.cpu
			}
			worst = append(worst, mine.wall)
		}
		i++
	}
	aim := "ratio 0.67, 60 µs"
	if p != onSQLite {
		aim = "ratio 0.5"
	}
	report(fmt.Sprintf("burst of %d fires on %v, %d other jobs registered", burst, p, others), aim, []side{ours, bare}, done, void)
	fmt.Printf("  the last of a burst was %v late at worst\n", slices.Max(worst).Round(time.Millisecond))
	return nil
}

// makeJobs makes n jobs by the API, job i from what body returns.
func makeJobs(clients []*client, token string, n int, body func(i int) string) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, len(clients))
	for _, c := range clients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				c.request = harness.AppendRequest(c.request[:0], "POST", "/job", token, body(i))
				if _, err := c.send(201); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// burstOfJobs makes jobs that are all due at one instant, and takes the time
// from that instant until the last one has arrived. The processor time goes on
// until they are recorded too. making is how long their making is expected to
// take, and then how long it took; more are members of their targets.
func (b *bench) burstOfJobs(s *servers, token string, clients []*client, making *time.Duration, more string) (total, error) {
	begun := time.Now()
	due := begun.Add(2**making + 3*time.Second).UTC().Truncate(time.Second)
	from := b.seen.count.Load()
	if err := makeJobs(clients, token, burst, func(i int) string {
		return fmt.Sprintf(`{"name":"burst-%d-%d","schedules":[{"cron":%q}],"target":{"type":"http","method":"POST","url":"%s/burst"%s}}`,
			due.Unix(), i, due.Format("5 4 15 * * *"), b.sink.URL(), more) // every day at that second
	}); err != nil {
		return total{}, err
	}
	*making = time.Since(begun)
	if time.Until(due) < 500*time.Millisecond {
		return total{}, fmt.Errorf("%d jobs could not be made in time", burst)
	}
	time.Sleep(time.Until(due) - 200*time.Millisecond)
	before, err := s.CPU()
	if err != nil {
		return total{}, err
	}
	if err := b.seen.wait(from + burst); err != nil {
		return total{}, err
	}
	wall := time.Unix(0, b.seen.last.Load()).Sub(due)
	time.Sleep(time.Second)
	after, err := s.CPU()
	return total{ops: burst, wall: wall, cpu: after - before}, err
}

// burstOfHeap lets the floor make as many calls.
func (b *bench) burstOfHeap() (total, error) {
	from := b.seen.count.Load()
	due, wait, err := heapFloor{url: b.sink.URL(), jobs: burst}.start()
	if err != nil {
		return total{}, err
	}
	used, err := wait()
	if err != nil {
		return total{}, err
	}
	if err := b.seen.wait(from + burst); err != nil {
		return total{}, err
	}
	return total{ops: burst, wall: time.Unix(0, b.seen.last.Load()).Sub(due), cpu: used}, nil
}
