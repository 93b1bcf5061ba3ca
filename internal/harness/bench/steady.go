package main

import (
	"fmt"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

const (
	steadyTurn  = 10 // seconds that count
	steadyTurns = 2
	warm        = 2 // seconds before them: connections and definitions are new
)

// benchSteady measures how late calls are when so many are due each second,
// spread over it, beside a heap with the same instants.
func benchSteady(b *bench) error {
	for _, rate := range []int{1000, 2000, 5000} {
		if err := b.steady(onSQLite, rate); err != nil {
			return err
		}
	}
	return nil
}

// benchPostgresSteady measures the same on PostgreSQL.
func benchPostgresSteady(b *bench) error {
	for _, p := range []place{1, 3} {
		for _, rate := range []int{1000, 2000} {
			if err := b.steady(p, rate); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) steady(p place, rate int) error {
	sides := []struct {
		name string
		turn func(rate int) (punctuality, time.Duration, error)
		punctuality
		cpu time.Duration
	}{
		{name: "jobs every second", turn: func(rate int) (punctuality, time.Duration, error) { return b.steadyJobs(p, rate) }},
		{name: "heap and net/http, no record", turn: b.steadyHeap},
	}
	void := 0
	for i := 0; i < steadyTurns; {
		machine := harness.ReadStolen()
		var got [2]punctuality
		var used [2]time.Duration
		for k := range sides {
			k = (k + i) % 2 // nobody always goes first
			var err error
			if got[k], used[k], err = sides[k].turn(rate); err != nil {
				return fmt.Errorf("%s: %w", sides[k].name, err)
			}
		}
		if harness.ReadStolen().Since(machine) > maxStolen && void < 5 {
			void++
			continue
		}
		for k := range sides {
			sides[k].add(got[k])
			sides[k].cpu += used[k]
		}
		i++
	}
	fmt.Printf("steady %d fires a second on %v (aim p50 2 ms, p99 3 times the floor's, none early, none missed)\n", rate, p)
	for _, s := range sides {
		fmt.Printf("  %-28s %v; %.1f µs of processor time each\n", s.name, s.punctuality, float64(s.cpu.Microseconds())/float64(max(1, len(s.late))))
	}
	mine, floor := spread(sides[0].late).quantile(0.99), spread(sides[1].late).quantile(0.99)
	fmt.Printf("  p99 %.2f times the floor's\n", float64(mine)/float64(max(1, floor)))
	tellVoid(void)
	return nil
}

// steadyJobs lets servers without other jobs fire each second as many.
func (b *bench) steadyJobs(where place, rate int) (p punctuality, used time.Duration, err error) {
	var from, to time.Time
	err = b.at(where, func(s *servers) error {
		session, err := s.admin()
		if err != nil {
			return err
		}
		clients, err := s.dial(64)
		if err != nil {
			return err
		}
		defer closeAll(clients)
		first := time.Now().Add(3*time.Second + time.Duration(rate)*time.Millisecond).UTC().Truncate(time.Second)
		if err := makeJobs(clients, session.Access, rate, func(i int) string {
			return fmt.Sprintf(`{"name":"steady-%d","schedules":[{"every":"1s"}],"start_at":%q,"target":{"type":"http","method":"POST","url":"%s/%d"}}`,
				i, first.Add(offset(i, rate)).Format(time.RFC3339Nano), b.sink.URL(), i)
		}); err != nil {
			return err
		}
		if time.Until(first) < 500*time.Millisecond {
			return fmt.Errorf("%d jobs could not be made in time", rate)
		}
		b.seen.keep(rate * (warm + steadyTurn + 10))
		from, to = first.Add(warm*time.Second), first.Add((warm+steadyTurn)*time.Second)
		time.Sleep(time.Until(from))
		before, err := s.CPU()
		if err != nil {
			return err
		}
		time.Sleep(time.Until(to))
		after, err := s.CPU()
		used = after - before
		time.Sleep(2 * time.Second) // whoever is late may still come
		return err
	})
	if err != nil {
		return p, 0, err
	}
	return judge(b.seen.drop(), rate, steadyTurn, from, to), used, nil
}

// steadyHeap lets the floor make the same calls.
func (b *bench) steadyHeap(rate int) (p punctuality, used time.Duration, err error) {
	const seconds = warm + steadyTurn
	b.seen.keep(rate * seconds)
	first, wait, err := heapFloor{url: b.sink.URL(), jobs: rate, seconds: seconds}.start()
	if err != nil {
		return p, 0, err
	}
	if used, err = wait(); err != nil {
		return p, 0, err
	}
	p = judge(b.seen.drop(), rate, steadyTurn, first.Add(warm*time.Second), first.Add(seconds*time.Second))
	return p, used * steadyTurn / seconds, nil
}
