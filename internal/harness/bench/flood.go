package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

const (
	floodClients = 200
	floodRate    = 200 // fires a second meanwhile
	floodPhase   = 10  // seconds of each phase
	floodGap     = 3   // seconds between them, which do not count
)

// benchFlood measures what a flood of sign-ins does to a server that fires
// jobs: its memory and the lateness of the calls beside both at rest. The
// clients come from one address with a password that is right, which is never
// limited; each is let in, or told to come back. First they come back when they
// were told to, then at once.
func benchFlood(b *bench) error {
	return b.onFresh(func(s *harness.Server) error {
		session, err := admin(s)
		if err != nil {
			return err
		}
		guest := map[string]string{"username": "guest", "email": "guest@example.com", "password": harness.AdminPassword}
		if a, err := session.Call("POST", "/user", guest, nil); err != nil || a.Status != 201 {
			return fmt.Errorf("guest: %v, %v", a, err)
		}
		makers, err := dial(s.Address, 64)
		if err != nil {
			return err
		}
		first := time.Now().Add(3 * time.Second).UTC().Truncate(time.Second)
		err = makeJobs(makers, session.Access, floodRate, func(i int) string {
			return fmt.Sprintf(`{"name":"flood-%d","schedules":[{"every":"1s"}],"start_at":%q,"target":{"type":"http","method":"POST","url":"%s/%d"}}`,
				i, first.Add(offset(i, floodRate)).Format(time.RFC3339Nano), b.sink.URL(), i)
		})
		closeAll(makers)
		if err != nil {
			return err
		}
		phases := []struct {
			name  string
			flood func(*client, time.Time, *floodCount) error
		}{
			{"at rest", nil},
			{"200 clients who come back when told", politely},
			{"200 clients who come back at once", atOnce},
		}
		b.seen.keep(floodRate * (len(phases)*(floodPhase+floodGap) + 10))
		var starts []time.Time
		var told []string
		for i, phase := range phases {
			from := first.Add(time.Duration(floodGap+i*(floodPhase+floodGap)) * time.Second)
			time.Sleep(time.Until(from))
			resident, count, err := overPhase(s, phase.flood)
			if err != nil {
				return fmt.Errorf("%s: %w", phase.name, err)
			}
			starts = append(starts, from)
			told = append(told, fmt.Sprintf("%d MB resident at most; %d let in, %d told to come back", resident>>20, count.in.Load(), count.back.Load()))
		}
		time.Sleep(2 * time.Second) // whoever is late may still come
		_, peak, err := s.Memory()
		if err != nil {
			return err
		}
		seen := b.seen.drop()
		fmt.Printf("a flood of %d sign-ins at once, while %d jobs fire each second; each hash takes 19 MB, and %d are made at once\n", floodClients, floodRate, runtime.NumCPU())
		for i, phase := range phases {
			p := judge(seen, floodRate, floodPhase, starts[i], starts[i].Add(floodPhase*time.Second))
			fmt.Printf("  %-36s %v\n  %-36s %s\n", phase.name, p, "", told[i])
		}
		fmt.Printf("  %d MB resident at most since the start\n", peak>>20)
		return nil
	})
}

// floodCount is what became of sign-ins.
type floodCount struct{ in, back atomic.Int64 }

// overPhase looks at the server's memory for a phase, with a flood or without,
// and returns the most that there was of it, in bytes.
func overPhase(s *harness.Server, flood func(*client, time.Time, *floodCount) error) (most int64, count *floodCount, err error) {
	count = &floodCount{}
	end := time.Now().Add(floodPhase * time.Second)
	var wg sync.WaitGroup
	failed := make(chan error, floodClients)
	if flood != nil {
		clients, err := dial(s.Address, floodClients) // now, since the server closes connections that say nothing
		if err != nil {
			return 0, nil, err
		}
		defer closeAll(clients)
		for _, c := range clients {
			c.request = harness.Request("POST", "/login", "", `{"identifier":"guest","password":"`+harness.AdminPassword+`"}`)
			wg.Go(func() {
				if err := flood(c, end, count); err != nil {
					failed <- err
				}
			})
		}
	}
	for time.Now().Before(end) {
		resident, _, err := s.Memory()
		if err != nil {
			return 0, nil, err
		}
		most = max(most, resident)
		time.Sleep(50 * time.Millisecond)
	}
	wg.Wait()
	select {
	case err := <-failed:
		return 0, nil, err
	default:
		return most, count, nil
	}
}

// atOnce signs in again and again, whatever is answered.
func atOnce(c *client, end time.Time, count *floodCount) error {
	for time.Now().Before(end) {
		if _, err := c.signIn(count); err != nil {
			return err
		}
	}
	return nil
}

// politely waits for the second that it is told to when there is no room.
func politely(c *client, end time.Time, count *floodCount) error {
	for time.Now().Before(end) {
		in, err := c.signIn(count)
		if err != nil {
			return err
		}
		if !in {
			time.Sleep(time.Second)
		}
	}
	return nil
}

func (c *client) signIn(count *floodCount) (in bool, err error) {
	status, body, err := c.conn.Do(c.request)
	switch {
	case err != nil:
		return false, err
	case status == 200:
		count.in.Add(1)
		return true, nil
	case status == 503:
		count.back.Add(1)
		return false, nil
	}
	return false, fmt.Errorf("answered %d: %s", status, body)
}
