package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/teknohole/jadwal/internal/engine"
)

func TestMetricsAreInTheTextFormat(t *testing.T) {
	var b strings.Builder
	if err := newMetrics(engine.New(engine.Options{}), func() bool { return true }, nil)(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`jadwal_build_info{version="0.1.0"} 1`,
		"# TYPE jadwal_lateness_seconds histogram",
		`jadwal_lateness_seconds_bucket{le="0.001"} 0`,
		`jadwal_lateness_seconds_bucket{le="+Inf"} 0`,
		"jadwal_commit_seconds_count 0",
		"jadwal_commit_outcomes_sum 0",
		"# TYPE jadwal_attempts_total counter",
		"jadwal_in_flight 0",
		"jadwal_history_misplaced 1",
		"# TYPE go_goroutines gauge",
	} {
		if !strings.Contains(b.String(), line+"\n") {
			t.Errorf("there is no line %s", line)
		}
	}
	if strings.Contains(b.String(), "certificate") {
		t.Error("without TLS there is a certificate")
	}
}

func TestAServerIsReadyAndMeasures(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), nil)
	get := func(path string) (int, string) {
		r, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(body)
	}
	eventually(t, "the engine to begin", func() bool {
		status, _ := get("/health/ready")
		return status == http.StatusOK
	})
	for path, want := range map[string]int{"/health/live": 200, "/health/ready": 200, "/metrics": 401} {
		if status, body := get(path); status != want {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
}
