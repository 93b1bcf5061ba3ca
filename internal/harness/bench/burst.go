package main

import (
	"container/heap"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// burst is how many jobs fall due at one instant.
const burst = 10_000

// arrivals counts what reaches the sink.
type arrivals struct {
	count atomic.Int64
	last  atomic.Int64 // Unix nanoseconds
}

func (a *arrivals) seen(d harness.Delivery) {
	a.last.Store(d.At.UnixNano())
	a.count.Add(1)
}

// wait returns when n have arrived in all, or when nothing has for five seconds.
func (a *arrivals) wait(n int64) error {
	before, since := int64(-1), time.Now()
	for a.count.Load() < n {
		if now := a.count.Load(); now != before {
			before, since = now, time.Now()
		} else if time.Since(since) > 5*time.Second {
			return fmt.Errorf("only %d of %d calls arrived", now, n)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return nil
}

// benchBurst measures 10,000 jobs that are due at one instant, each delivered
// and durably recorded, beside the least that could be called a scheduler: a
// heap in memory and net/http's client, without any record.
func benchBurst(s *harness.Server, turns int, _ time.Duration) error {
	session, err := admin(s)
	if err != nil {
		return err
	}
	clients, err := dial(s.Address, 64)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	var a arrivals
	sink, err := harness.ListenSink("127.0.0.1:0", a.seen)
	if err != nil {
		return err
	}
	defer sink.Close()

	ours := side{name: "jobs at one instant"}
	bare := side{name: "heap and net/http, no record"}
	done, void := make([]total, 2), 0
	worst := []time.Duration{}
	for i := -1; i < min(turns, 3); {
		machine := harness.ReadStolen()
		mine, err := burstOfJobs(s, session.Access, clients, sink.URL(), &a)
		if err != nil {
			return err
		}
		theirs, err := burstOfHeap(sink.URL(), &a)
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
	report(fmt.Sprintf("burst of %d fires", burst), "ratio 0.67, 60 µs", []side{ours, bare}, done, void)
	fmt.Printf("  the last of a burst was %v late at worst\n", slices.Max(worst).Round(time.Millisecond))
	return nil
}

// burstOfJobs makes jobs that are all due at one instant, and takes the time
// from that instant until the last one has arrived. The processor time goes on
// until they are recorded too.
func burstOfJobs(s *harness.Server, token string, clients []*client, sink string, a *arrivals) (total, error) {
	due := time.Now().Add(8 * time.Second).UTC().Truncate(time.Second)
	cron := due.Format("5 4 15 * * *") // every day at that second
	var next atomic.Int64
	next.Store(a.count.Load()) // so that no name comes twice
	first, from := next.Load(), a.count.Load()
	var wg sync.WaitGroup
	failed := make(chan error, len(clients))
	for _, c := range clients {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > first+burst {
					return
				}
				c.request = harness.AppendRequest(c.request[:0], "POST", "/job", token, fmt.Sprintf(
					`{"name":"burst-%d","schedules":[{"cron":%q}],"target":{"type":"http","method":"POST","url":"%s/burst"}}`, n, cron, sink))
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
		return total{}, err
	default:
	}
	if time.Until(due) < 500*time.Millisecond {
		return total{}, fmt.Errorf("%d jobs could not be made in time", burst)
	}
	time.Sleep(time.Until(due) - 200*time.Millisecond)
	before, err := s.CPU()
	if err != nil {
		return total{}, err
	}
	if err := a.wait(from + burst); err != nil {
		return total{}, err
	}
	wall := time.Unix(0, a.last.Load()).Sub(due)
	time.Sleep(time.Second)
	after, err := s.CPU()
	return total{ops: burst, wall: wall, cpu: after - before}, err
}

// burstOfHeap lets a process of its own (serveHeap) make as many calls.
func burstOfHeap(sink string, a *arrivals) (total, error) {
	self, err := os.Executable()
	if err != nil {
		return total{}, err
	}
	from := a.count.Load()
	cmd := exec.Command(self, "-heap", sink+"/burst")
	cmd.Stderr = os.Stderr
	printed, err := cmd.Output()
	if err != nil {
		return total{}, err
	}
	if err := a.wait(from + burst); err != nil {
		return total{}, err
	}
	due, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(printed)))
	if err != nil {
		return total{}, err
	}
	state := cmd.ProcessState
	return total{ops: burst, wall: time.Unix(0, a.last.Load()).Sub(due), cpu: state.UserTime() + state.SystemTime()}, nil
}

type dueHeap []time.Time

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].Before(h[j]) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(time.Time)) }
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// callHeap is the floor of a burst: it prints the instant, and calls url for
// each entry of a heap, 256 at a time.
func callHeap(url string) error {
	due := time.Now().Add(200 * time.Millisecond)
	h := &dueHeap{}
	for range burst {
		heap.Push(h, due)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256}, Timeout: 30 * time.Second}
	calls := make(chan struct{})
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for range 256 {
		wg.Go(func() {
			for range calls {
				resp, err := client.Post(url, "application/json", nil)
				if err != nil {
					failed.Store(&err)
					continue
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	fmt.Println(due.Format(time.RFC3339Nano))
	for h.Len() > 0 {
		time.Sleep(time.Until(heap.Pop(h).(time.Time)))
		calls <- struct{}{}
	}
	close(calls)
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
