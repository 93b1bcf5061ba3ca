package main

import (
	"io"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"github.com/teknohole/jadwal"
	"github.com/teknohole/jadwal/internal/engine"
)

// newMetrics returns what writes all that the server measures in the
// Prometheus text format. certificateEnd is when the first of its certificates
// ends, in Unix seconds, 0 while one is not there; nil: it speaks no TLS.
func newMetrics(eng *engine.Engine, misplaced func() bool, certificateEnd func() int64) func(io.Writer) error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		engineCollector{eng},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "jadwal_history_misplaced", Help: "1 when history was recorded that no partition of PostgreSQL had been made for."},
			func() float64 {
				if misplaced() {
					return 1
				}
				return 0
			}),
	)
	if certificateEnd != nil {
		registry.MustRegister(prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: "jadwal_tls_certificate_expiry_timestamp_seconds", Help: "When the first of the server's own certificates ends, in Unix time; 0: there is none for one of its hosts."},
			func() float64 { return float64(certificateEnd()) }))
	}
	return func(w io.Writer) error {
		families, err := registry.Gather()
		if err != nil {
			return err
		}
		enc := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
		for _, family := range families {
			if err := enc.Encode(family); err != nil {
				return err
			}
		}
		return nil
	}
}

// engineCollector tells what an engine has measured, each time it is asked.
type engineCollector struct{ engine *engine.Engine }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("jadwal_"+name, help, labels, nil)
}

var (
	descBuild       = describe("build_info", "1, with the version.", "version")
	descLateness    = describe("lateness_seconds", "From when a planned run was to start to its first attempt.")
	descCommitTime  = describe("commit_seconds", "From sending a batch of outcomes to the store's answer.")
	descBatchSize   = describe("commit_outcomes", "Outcomes in a batch.")
	descEndings     = describe("runs_total", "Records of runs that ended, by state and reason; a record of many instants counts once.", "state", "reason")
	descInFlight    = describe("in_flight", "Attempts that are being made.")
	descUnrecorded  = describe("unrecorded", "Records of runs that are not committed yet.")
	descStarted     = describe("attempts_total", "Attempts that were begun.")
	descRedelivered = describe("redelivered_total", "Attempts that an earlier process may have made already.")
	descRecorded    = describe("outcomes_recorded_total", "Outcomes that were committed.")
	descRejected    = describe("outcomes_rejected_total", "Outcomes that were dropped, since they were recorded already.")
	descFailed      = describe("store_failures_total", "Commits and reads of the engine that the store failed.")
)

// Describe tells nothing: endings are known only as they come.
func (c engineCollector) Describe(chan<- *prometheus.Desc) {}

// Collect is for prometheus.Collector.
func (c engineCollector) Collect(out chan<- prometheus.Metric) {
	m := c.engine.Metrics()
	histogram := func(desc *prometheus.Desc, h engine.Histogram) {
		buckets, count := make(map[float64]uint64, len(h.Bounds)), uint64(0)
		for i, n := range h.Counts {
			count += n
			if i < len(h.Bounds) {
				buckets[h.Bounds[i]] = count
			}
		}
		out <- prometheus.MustNewConstHistogram(desc, count, h.Sum, buckets)
	}
	value := func(desc *prometheus.Desc, kind prometheus.ValueType, v int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, kind, float64(v), labels...)
	}
	histogram(descLateness, m.Lateness)
	histogram(descCommitTime, m.CommitTime)
	histogram(descBatchSize, m.BatchSize)
	for e, n := range m.Endings {
		value(descEndings, prometheus.CounterValue, int64(n), string(e.State), string(e.Reason))
	}
	value(descBuild, prometheus.GaugeValue, 1, jadwal.Version)
	value(descInFlight, prometheus.GaugeValue, m.InFlight)
	value(descUnrecorded, prometheus.GaugeValue, m.Unrecorded)
	value(descStarted, prometheus.CounterValue, m.Started)
	value(descRedelivered, prometheus.CounterValue, m.Redelivered)
	value(descRecorded, prometheus.CounterValue, m.Recorded)
	value(descRejected, prometheus.CounterValue, m.Rejected)
	value(descFailed, prometheus.CounterValue, m.Failed)
}
