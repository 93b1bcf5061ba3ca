package main

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// trial is how many jobs tell how long the registration of many will take.
const trial = 50_000

// benchDrain measures many jobs that are all due within one minute: how long
// they take, and what reads of the API feel of it.
func benchDrain(b *bench) error {
	if err := b.roomForMany(); err != nil {
		return err
	}
	dir, err := b.prepare()
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := b.fill(dir, "trial", trial, far()); err != nil {
		return err
	}
	// The larger the tree, the slower it grows, and others may want the disk.
	needed := time.Since(begun) * time.Duration(b.many/trial+1) * 5 / 2
	first := time.Now().Add(needed + 20*time.Second).Truncate(time.Second)
	fmt.Printf("drain: registering %d jobs, due within a minute from %s\n", b.many, first.Format(time.TimeOnly))
	begun = time.Now()
	if err := b.fill(dir, "drain", b.many, func(i int) time.Time { return first.Add(time.Duration(i*7919%60000) * time.Millisecond) }); err != nil {
		return err
	}
	fmt.Printf("  registered in %v by the store alone\n", time.Since(begun).Round(time.Second))
	if time.Until(first) < 15*time.Second {
		return fmt.Errorf("%d jobs could not be registered in time", b.many)
	}
	b.full = dir
	return b.onServer(dir, func(s *harness.Server) error { return b.drain(s, first) })
}

func (b *bench) drain(s *harness.Server, first time.Time) error {
	begin := make(chan struct{})
	time.AfterFunc(time.Until(first)-time.Second, func() { close(begin) })
	rest, err := probe(s, begin)
	if err != nil {
		return err
	}
	from := b.seen.count.Load()
	b.seen.keep(b.many)
	var (
		wg    sync.WaitGroup
		busy  probes
		wrong error
	)
	time.Sleep(time.Until(first))
	before, err := s.CPU()
	if err != nil {
		return err
	}
	over := make(chan struct{})
	wg.Go(func() { busy, wrong = probe(s, over) })
	err = b.seen.wait(from + int64(b.many))
	close(over)
	wg.Wait()
	if err == nil {
		err = wrong
	}
	if err != nil {
		return err
	}
	took := time.Unix(0, b.seen.last.Load()).Sub(first)
	time.Sleep(2 * time.Second) // until all is recorded
	after, err := s.CPU()
	if err != nil {
		return err
	}
	_, peak, err := s.Memory()
	if err != nil {
		return err
	}
	all := b.seen.drop()
	p := judge(all, b.many, 1, first, first.Add(time.Minute))
	lasting := make(spread, 0, len(all)/100+1)
	for _, a := range all[len(all)-len(all)/100-1:] {
		lasting = append(lasting, a.late())
	}
	report(fmt.Sprintf("%d jobs due within a minute", b.many), "", []side{{name: "delivered and recorded"}},
		[]total{{ops: b.many, wall: took, cpu: after - before}}, 0)
	fmt.Printf("  drained in %v, %d MB resident at most\n", took.Round(100*time.Millisecond), peak>>20)
	fmt.Printf("  %v; the last hundredth %v late\n", p, lasting.quantile(0.5).Round(time.Millisecond))
	fmt.Printf("  GET /job meanwhile %v; GET /user/me %v\n", busy.jobs, busy.me)
	fmt.Printf("  GET /job at rest   %v; GET /user/me %v\n", rest.jobs, rest.me)
	return nil
}

// probes are how long answers took.
type probes struct {
	jobs spread // of GET /job
	me   spread // of GET /user/me, which reads nothing from the database
}

// probe reads the first page of jobs, and the floor beside it, 50 times a
// second each, until done is closed.
func probe(s *harness.Server, done <-chan struct{}) (p probes, err error) {
	session, err := admin(s)
	if err != nil {
		return p, err
	}
	clients, err := dial(s.Address, 2)
	if err != nil {
		return p, err
	}
	defer closeAll(clients)
	var wg sync.WaitGroup
	var errs [2]error
	for i, path := range []string{"/job", "/user/me"} {
		c, took := clients[i], []*spread{&p.jobs, &p.me}[i]
		c.request = harness.Request("GET", path, session.Access, "")
		wg.Go(func() { errs[i] = c.repeat(took, done) })
	}
	wg.Wait()
	return p, errors.Join(errs[:]...)
}

// repeat sends the client's request every 20 ms. What waits for its answer
// longer than that counts from when it should have been sent.
func (c *client) repeat(took *spread, done <-chan struct{}) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case begun := <-tick.C:
			if _, err := c.send(200); err != nil {
				return err
			}
			*took = append(*took, time.Since(begun))
		}
	}
}
