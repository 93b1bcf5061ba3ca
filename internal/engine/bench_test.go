package engine

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/store/storetest"
	"github.com/teknohole/jadwal/internal/target"
	"github.com/teknohole/jadwal/schedule"
)

// processorTime returns what this process has used (getrusage(2)).
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// allocated returns how many bytes and objects this process has allocated.
func allocated() (bytes, objects uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc, m.Mallocs
}

// receiver answers every request without looking at it; what it costs is in
// both sides of the comparison.
func receiver(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReaderSize(c, 2048); ; {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(bytes.TrimSpace(line)) == 0 {
						if _, err := c.Write(answer); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/"
}

type byTime []time.Time

func (h byTime) Len() int           { return len(h) }
func (h byTime) Less(i, k int) bool { return h[i].Before(h[k]) }
func (h byTime) Swap(i, k int)      { h[i], h[k] = h[k], h[i] }
func (h *byTime) Push(x any)        { *h = append(*h, x.(time.Time)) }
func (h *byTime) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// floor fires n timers of a heap with the standard client, and keeps nothing.
func floor(b *testing.B, client *http.Client, url string, n, inFlight int) {
	var timers byTime
	for range n {
		heap.Push(&timers, time.Now())
	}
	room := make(chan struct{}, inFlight)
	var wg sync.WaitGroup
	for timers.Len() > 0 {
		heap.Pop(&timers)
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			resp, err := client.Post(url, "", nil)
			if err != nil {
				b.Error(err)
				return
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		})
	}
	wg.Wait()
}

// BenchmarkBurst fires 10,000 jobs that are due at the same instant, over real
// HTTP, recorded on the real disk; and beside it, in turns, as many timers of
// a heap in memory with the standard client. The first burst of all is cold:
// connections are made and definitions read. It is not measured.
func BenchmarkBurst(b *testing.B) {
	const n, inFlight, period = 10_000, 1024, 20 * time.Second
	url := receiver(b)
	s := storetest.Open(b)
	ctx := context.Background()
	created := time.Now().UTC()
	owner, err := s.CreateUser(ctx, jadwal.Actor{}, jadwal.NewUser{Username: "root", Email: "root@example.com", PasswordHash: "x", IsSuperuser: true}, created)
	if err != nil {
		b.Fatal(err)
	}
	first := created.Truncate(time.Millisecond).Add(period)
	var wg sync.WaitGroup
	for part := range 64 {
		wg.Go(func() {
			for i := part; i < n; i += 64 {
				def := jadwal.DefaultDefinition()
				def.Name, def.Target.URL = fmt.Sprintf("j%d", i), url
				def.Schedules = []schedule.Spec{{Every: period.String()}}
				if _, err := s.CreateJob(ctx, jadwal.Actor{User: owner}, jadwal.Job{OwnerID: owner.ID, Definition: def, State: jadwal.JobEnabled, NextAt: first}, created); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	sender := target.New(target.Options{})
	e := New(Options{Store: s, Target: sender, Log: slog.New(slog.DiscardHandler), InFlight: inFlight})
	run, stop := context.WithCancel(ctx)
	ended := make(chan error)
	go func() { ended <- e.Run(run) }()
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: inFlight}}

	burst := func(k int) (took, used time.Duration) {
		at := first.Add(time.Duration(k) * period)
		if time.Until(at) < 0 {
			b.Fatal("the bursts take longer than their period")
		}
		time.Sleep(time.Until(at))
		used = processorTime()
		for e.Counts().Recorded < int64(k+1)*n {
			if time.Since(at) > period {
				b.Fatalf("%+v after %s", e.Counts(), period)
			}
			time.Sleep(time.Millisecond)
		}
		return time.Since(at), processorTime() - used
	}
	burst(0)
	floor(b, client, url, n, inFlight)
	var ours, ourCPU, theirs, theirCPU time.Duration
	var ourBytes, ourObjects, theirBytes, theirObjects uint64
	k := 0
	for b.Loop() {
		k++
		bytes0, objects0 := allocated()
		took, used := burst(k)
		bytes1, objects1 := allocated()
		ours, ourCPU = ours+took, ourCPU+used
		begun := time.Now()
		used = processorTime()
		floor(b, client, url, n, inFlight)
		theirs, theirCPU = theirs+time.Since(begun), theirCPU+processorTime()-used
		bytes2, objects2 := allocated()
		ourBytes, ourObjects = ourBytes+bytes1-bytes0, ourObjects+objects1-objects0
		theirBytes, theirObjects = theirBytes+bytes2-bytes1, theirObjects+objects2-objects1
	}
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
	fires := float64(k * n)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(fires/ours.Seconds(), "fires/s")
	b.ReportMetric(fires/theirs.Seconds(), "floor-fires/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "of-floor")
	b.ReportMetric(float64(ourCPU.Microseconds())/fires, "cpu-µs/fire")
	b.ReportMetric(float64(theirCPU.Microseconds())/fires, "floor-cpu-µs/fire")
	b.ReportMetric(float64(ourBytes)/fires, "B/fire")
	b.ReportMetric(float64(ourObjects)/fires, "allocs/fire")
	b.ReportMetric(float64(ourBytes)/float64(theirBytes), "of-floor-B")
	b.ReportMetric(float64(ourObjects)/float64(theirObjects), "of-floor-allocs")
}
