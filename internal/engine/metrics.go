package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/teknohole/jadwal"
)

// The upper bounds of the histograms' buckets.
var (
	latenessBounds = []float64{0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600}
	commitBounds   = []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
	batchBounds    = []float64{1, 2, 5, 10, 25, 50, 100, 250, 500}
)

// Histogram counts values by size: Counts[i] is how many were at most
// Bounds[i], and above the bound before; the last of Counts is of those above
// all bounds.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	Sum    float64
}

func (h *Histogram) observe(v float64) {
	i, _ := slices.BinarySearch(h.Bounds, v)
	h.Counts[i]++
	h.Sum += v
}

func newHistogram(bounds []float64) Histogram {
	return Histogram{Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
}

func (h *Histogram) clone() Histogram {
	return Histogram{h.Bounds, slices.Clone(h.Counts), h.Sum}
}

// Ending is how a record ended.
type Ending struct {
	State  jadwal.RunState
	Reason jadwal.Reason // "" for a success
}

// Metrics is what an engine has measured since it was made.
type Metrics struct {
	Counts
	Lateness   Histogram         // seconds from when a planned run was to start to its first attempt
	CommitTime Histogram         // seconds from sending a batch to the store's answer
	BatchSize  Histogram         // outcomes in a batch
	Endings    map[Ending]uint64 // records of runs; one of a range is one
	InFlight   int64             // attempts now
	Unrecorded int64             // records that are not committed, now
}

// metrics is written by the owner of the engine's state, and read by others.
type metrics struct {
	mu         sync.Mutex
	lateness   Histogram
	commitTime Histogram
	batchSize  Histogram
	endings    map[Ending]uint64

	inFlight   atomic.Int64
	unrecorded atomic.Int64
	turnedAt   atomic.Int64 // the last turn, Unix microseconds; 0: none yet
	behind     atomic.Bool  // results wait for the store for too long
}

func newMetrics() metrics {
	return metrics{
		lateness:   newHistogram(latenessBounds),
		commitTime: newHistogram(commitBounds),
		batchSize:  newHistogram(batchBounds),
		endings:    map[Ending]uint64{},
	}
}

// started takes note of an attempt that begins. Only the first one of a
// planned run has a lateness that is the engine's: since its instant, or, with
// jitter, since it was to start.
func (m *metrics) started(f *flight, now time.Time) {
	if f.key.N != 0 || f.attempt != 1 || f.redelivery {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lateness.observe(max(0, now.Sub(f.ready).Seconds()))
}

// committed takes note of a batch that the store has answered.
func (m *metrics) committed(batch []*step, verdicts []jadwal.Verdict, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.commitTime.observe(took.Seconds())
	m.batchSize.observe(float64(len(batch)))
	for i, s := range batch {
		if verdicts[i] != jadwal.Rejected {
			m.recorded(s)
		}
	}
}

// found takes note of an outcome whose batch was stored and not answered.
func (m *metrics) found(s *step) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.recorded(s)
}

func (m *metrics) recorded(s *step) {
	for i := range s.Records {
		m.endings[Ending{s.Records[i].State, s.Records[i].Reason}]++
	}
}

// turned takes note of where the engine stands after a turn.
func (m *metrics) turned(e *Engine, now time.Time) {
	m.inFlight.Store(int64(e.inFlight))
	m.unrecorded.Store(int64(e.commits.records))
	m.behind.Store(e.commits.age(now) > unwellAfter)
	m.turnedAt.Store(now.UnixMicro())
}

// unwellAfter is how long the engine may be stuck, or a result may wait for the
// store, before it is no longer well.
const unwellAfter = 5 * time.Second

// Metrics returns what the engine has measured. It may be called from
// anywhere.
func (e *Engine) Metrics() Metrics {
	m := &e.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	return Metrics{
		Counts:   e.Counts(),
		Lateness: m.lateness.clone(), CommitTime: m.commitTime.clone(), BatchSize: m.batchSize.clone(),
		Endings:  maps.Clone(m.endings),
		InFlight: m.inFlight.Load(), Unrecorded: m.unrecorded.Load(),
	}
}

// Health returns why the engine is not well, nil when it is: it has not begun,
// it has not turned for 5 s, or a result has waited for the store for as long. It may be called from anywhere.
func (e *Engine) Health(now time.Time) error {
	m := &e.metrics
	turned := m.turnedAt.Load()
	switch {
	case turned == 0:
		return errors.New("the engine has not begun")
	case now.Sub(instant(turned)) > unwellAfter:
		return fmt.Errorf("the engine has not turned since %s", instant(turned).Format(time.RFC3339))
	case m.behind.Load():
		return fmt.Errorf("%d results wait to be recorded", m.unrecorded.Load())
	}
	return nil
}
