package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/teknohole/jadwal/internal/harness"
	"github.com/teknohole/jadwal/internal/store"
)

// phase is how long the nodes are left alone before and after they are restarted.
const phase = 20 * time.Second

// roll disturbs the nodes one after another under that many fires a second, and
// tells how late these were before, during and after. That a run is lost is an
// error; after planned ends, that one is missed, skipped or failed, too.
func roll(dir string, fires int, d disturbance, rng *rand.Rand) error {
	fmt.Printf("%s, of three nodes in turn: %d jobs, each every second\n", d.kind, fires)
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
	if err := c.fill(sink.URL(), fires); err != nil {
		return err
	}
	time.Sleep(5 * time.Second)
	marks := []time.Time{time.Now()}
	time.Sleep(phase)
	marks = append(marks, time.Now())
	for _, n := range c.nodes {
		if err := d.strike(c, n, rng); err != nil {
			return err
		}
		time.Sleep(3 * time.Second) // until it has its share
	}
	marks = append(marks, time.Now())
	time.Sleep(phase)
	marks = append(marks, time.Now())
	for _, n := range c.nodes {
		if err := n.Stop(40 * time.Second); err != nil {
			return err
		}
	}
	deliveries := sink.Deliveries()
	for i, name := range []string{"before", "during", "after"} {
		late, again := lateness(deliveries, marks[i], marks[i+1])
		if len(late) == 0 {
			return fmt.Errorf("nothing arrived %s", name)
		}
		at := func(p int) time.Duration { return late[(len(late)-1)*p/100].Round(100 * time.Microsecond) }
		fmt.Printf("  %-6s %3.0fs, %4.0f fires/s, late by %v (median), %v (99 %%), %v (worst); delivered again: %d\n",
			name, marks[i+1].Sub(marks[i]).Seconds(), float64(len(late))/marks[i+1].Sub(marks[i]).Seconds(), at(50), at(99), at(100), again)
	}
	return c.complete(d.kind == planned)
}

// fill makes that many jobs.
func (c *cluster) fill(sink string, jobs int) error {
	client := &harness.Client{Base: "http://cluster", HTTP: c.client()}
	if err := client.SignIn("admin", harness.AdminPassword); err != nil {
		return err
	}
	var group sync.WaitGroup
	failed := make(chan error, jobs)
	const hands = 8
	for hand := range hands {
		group.Go(func() {
			for i := hand; i < jobs; i += hands {
				a, err := client.Call("POST", "/job", map[string]any{
					"name": fmt.Sprintf("each-second-%d", i), "schedules": []any{map[string]string{"every": "1s"}}, "target": map[string]any{"url": sink},
				}, nil)
				if err == nil && !a.OK() {
					err = fmt.Errorf("job %d could not be made: %v", i, a)
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(failed)
	return <-failed
}

// lateness is how late the first deliveries of runs were that arrived from one
// moment to another, sorted, and how many more there were of the same runs.
func lateness(deliveries []harness.Delivery, from, to time.Time) (late []time.Duration, again int) {
	seen := map[string]bool{}
	for _, d := range deliveries {
		switch inside := !d.At.Before(from) && d.At.Before(to); {
		case inside && seen[d.RunID]:
			again++
		case inside:
			late = append(late, d.At.Sub(d.DueAt))
		}
		seen[d.RunID] = true
	}
	slices.Sort(late)
	return late, again
}

// complete returns an error unless every instant is recorded, and when all must
// have run, unless each has succeeded.
func (c *cluster) complete(all bool) error {
	ctx := context.Background()
	st, err := store.Open(ctx, store.Options{URL: c.postgres.URL("postgres"), Log: silent})
	if err != nil {
		return err
	}
	broken, err := st.Check(ctx, time.Now())
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, c.postgres.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var runs, other, open, gaps int
	if err := conn.QueryRow(ctx, `SELECT count(*), count(*) FILTER (WHERE state <> 'succeeded'), (SELECT count(*) FROM open_run),
		(SELECT count(*) FROM (SELECT 1 FROM run GROUP BY job_id HAVING sum((COALESCE(through_at, due_at) - due_at) / 1000000 + 1) <> (max(COALESCE(through_at, due_at)) - min(due_at)) / 1000000 + 1) AS x) FROM run`).
		Scan(&runs, &other, &open, &gaps); err != nil {
		return err
	}
	fmt.Printf("  recorded: %d; not succeeded: %d; open: %d; jobs with a gap: %d; broken invariants: %d\n", runs, other, open, gaps, len(broken))
	if gaps+len(broken) > 0 || all && other+open > 0 {
		return fmt.Errorf("not every instant is as it must be: %v", broken)
	}
	return nil
}
