package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

const (
	starts  = 3 // of the server on the full data directory
	restFor = time.Minute
)

// benchIdle measures a server that has many jobs and nothing to do: how soon
// after its start it fires what is due, and what it takes while it waits.
func benchIdle(b *bench) error {
	if err := b.fillMany(); err != nil {
		return err
	}
	var fired []time.Duration
	for i := range starts {
		overdue := time.Now().Truncate(time.Millisecond)
		if err := b.fill(b.full, fmt.Sprintf("overdue-%d", i), 1, func(int) time.Time { return overdue }); err != nil {
			return err
		}
		from, begun := b.seen.count.Load(), time.Now()
		if err := b.onServer(b.full, func(s *harness.Server) error {
			if err := b.seen.wait(from + 1); err != nil {
				return err
			}
			fired = append(fired, time.Unix(0, b.seen.last.Load()).Sub(begun))
			if i < starts-1 {
				return nil
			}
			return b.rest(s)
		}); err != nil {
			return err
		}
	}
	fmt.Printf("  first fire %v after the start at worst, of %d starts (aim 2 s)\n", slices.Max(fired).Round(time.Millisecond), starts)
	return nil
}

// rest measures a server that nobody calls.
func (b *bench) rest(s *harness.Server) error {
	time.Sleep(5 * time.Second) // the start is over
	before, err := s.CPU()
	if err != nil {
		return err
	}
	from := b.seen.count.Load()
	time.Sleep(restFor)
	after, err := s.CPU()
	if err != nil {
		return err
	}
	resident, peak, err := s.Memory()
	if err != nil {
		return err
	}
	size, err := sizeOf(dataIn(b.full))
	if err != nil {
		return err
	}
	fmt.Printf("idle, %d jobs registered, %d MB on disk\n", b.many, size>>20)
	fmt.Printf("  %d MB resident (aim 150 MB), %d MB at most; %.2f %% of a core over %v (aim 0.1 %%), %d fires meanwhile\n",
		resident>>20, peak>>20, 100*(after-before).Seconds()/restFor.Seconds(), restFor, b.seen.count.Load()-from)
	return nil
}
