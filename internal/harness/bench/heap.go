package main

import (
	"container/heap"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// heapFloor is the least that could be called a scheduler, in a process of its
// own: a heap in memory and net/http's client, without any record.
type heapFloor struct {
	url     string
	jobs    int
	seconds int // 0: all jobs are due once, at one instant; else each once a second, spread over it
}

// start starts the process of h. first is when its first job is due; wait
// returns the processor time that it has used when all calls are made.
func (h heapFloor) start() (first time.Time, wait func() (time.Duration, error), err error) {
	self, err := os.Executable()
	if err != nil {
		return first, nil, err
	}
	cmd := exec.Command(self, "-heap", h.url, "-heap-jobs", strconv.Itoa(h.jobs), "-heap-seconds", strconv.Itoa(h.seconds))
	cmd.Stderr = os.Stderr
	printed, err := cmd.StdoutPipe()
	if err != nil {
		return first, nil, err
	}
	if err := cmd.Start(); err != nil {
		return first, nil, err
	}
	var line string
	if _, err = fmt.Fscanln(printed, &line); err == nil {
		first, err = time.Parse(time.RFC3339Nano, strings.TrimSpace(line))
	}
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return first, nil, fmt.Errorf("the floor told no instant: %w", err)
	}
	return first, func() (time.Duration, error) {
		err := cmd.Wait()
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), err
	}, nil
}

type heapEntry struct {
	due  time.Time
	job  int
	left int // calls after this one
}

type dueHeap []heapEntry

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)        { *h = append(*h, x.(heapEntry)) }
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// offset is where in a second the instant of job i of so many lies, in whole
// milliseconds.
func offset(i, jobs int) time.Duration {
	return time.Duration(i*1000/jobs) * time.Millisecond
}

// run prints the first instant and calls for each entry of the heap, 256 at a
// time.
func (f heapFloor) run() error {
	first := time.Now().Add(200 * time.Millisecond)
	h := &dueHeap{}
	for i := range f.jobs {
		e := heapEntry{due: first, job: i}
		if f.seconds > 0 {
			e.due, e.left = first.Add(offset(i, f.jobs)), f.seconds-1
		}
		heap.Push(h, e)
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256}, Timeout: 30 * time.Second}
	calls := make(chan heapEntry)
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	for range 256 {
		wg.Go(func() {
			for e := range calls {
				if err := f.call(client, e); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	fmt.Println(first.Format(time.RFC3339Nano))
	for h.Len() > 0 {
		e := heap.Pop(h).(heapEntry)
		time.Sleep(time.Until(e.due))
		calls <- e
		if e.left > 0 {
			heap.Push(h, heapEntry{e.due.Add(time.Second), e.job, e.left - 1})
		}
	}
	close(calls)
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// call makes the call of an entry; it tells the instant only where lateness is
// measured.
func (f heapFloor) call(client *http.Client, e heapEntry) error {
	req, err := http.NewRequest("POST", f.url+"/"+strconv.Itoa(e.job), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if f.seconds > 0 {
		req.Header.Set("Jadwal-Due-At", e.due.Format(time.RFC3339Nano))
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	io.Copy(io.Discard, resp.Body)
	return resp.Body.Close()
}
