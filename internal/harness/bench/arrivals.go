package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal/internal/harness"
)

// arrivals takes in what reaches the sink.
type arrivals struct {
	count atomic.Int64
	last  atomic.Int64 // Unix nanoseconds
	kept  atomic.Pointer[keeping]
}

// keeping has room for a number of arrivals that is known beforehand.
type keeping struct {
	taken atomic.Int64
	all   []arrival
}

// An arrival is what is kept of a call.
type arrival struct {
	job int       // the number that is the path of its target; -1: none
	due time.Time // zero: it did not say
	at  time.Time
}

// late is negative for a call that came too early.
func (a arrival) late() time.Duration { return a.at.Sub(a.due) }

func (a *arrivals) take(d harness.Delivery) {
	if k := a.kept.Load(); k != nil {
		if i := k.taken.Add(1) - 1; i < int64(len(k.all)) {
			k.all[i] = arrival{number(d.Path), d.DueAt, d.At}
		}
	}
	a.last.Store(d.At.UnixNano())
	a.count.Add(1)
}

func number(path string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(path, "/"))
	if err != nil {
		return -1
	}
	return n
}

// keep keeps the next n arrivals, until drop returns them.
func (a *arrivals) keep(n int) { a.kept.Store(&keeping{all: make([]arrival, n)}) }

// drop returns what was kept. Nothing may be on its way any more.
func (a *arrivals) drop() []arrival {
	k := a.kept.Swap(nil)
	return k.all[:min(k.taken.Load(), int64(len(k.all)))]
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

// punctuality is how late calls were, and what was wrong with them.
type punctuality struct {
	late                  []time.Duration
	missed, early, doubly int
}

// judge compares what arrived with what was to: jobs 0 to jobs-1, times times
// each, at instants not before from and before to. Others do not count.
func judge(seen []arrival, jobs, times int, from, to time.Time) punctuality {
	type instant struct {
		job int
		due int64
	}
	var p punctuality
	known := make(map[instant]bool, jobs*times)
	for _, a := range seen {
		if a.job < 0 || a.job >= jobs || a.due.Before(from) || !a.due.Before(to) {
			continue
		}
		i := instant{a.job, a.due.UnixMicro()}
		if known[i] {
			p.doubly++
			continue
		}
		known[i] = true
		if a.late() < 0 {
			p.early++
		}
		p.late = append(p.late, a.late())
	}
	p.missed = jobs*times - len(known)
	return p
}

func (p *punctuality) add(q punctuality) {
	p.late = append(p.late, q.late...)
	p.missed, p.early, p.doubly = p.missed+q.missed, p.early+q.early, p.doubly+q.doubly
}

func (p punctuality) String() string {
	return fmt.Sprintf("late %v; %d early, %d missed, %d twice", spread(p.late), p.early, p.missed, p.doubly)
}

// spread tells of durations by their middle and their end.
type spread []time.Duration

func (s spread) String() string {
	return fmt.Sprintf("p50 %s, p99 %s, at most %s", ms(s.quantile(0.5)), ms(s.quantile(0.99)), ms(s.quantile(1)))
}

// quantile returns the least value that a share q of all does not exceed; 0
// when there are none.
func (s spread) quantile(q float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[max(0, min(len(sorted)-1, int(q*float64(len(sorted))+0.999999)-1))]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1e3) }
