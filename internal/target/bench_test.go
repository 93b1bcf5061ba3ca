package target

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// BenchmarkDo sets a call beside the same request made with a bare net/http
// client, in turns in one run, since the machine's speed changes from minute
// to minute. ratio is the bare client's time over ours (1: as fast, less:
// slower); cpu-µs is processor time a call, the server's included.
func BenchmarkDo(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	h := newHTTP(b, Options{})
	c := callTo(srv.URL)
	c.Job.Target.Headers = map[string]string{"X-Tenant": "a"}
	c.Job.Target.Body = jadwal.RawJSON(`{"invoice": 1}`)
	ours := func() {
		if r := h.Do(context.Background(), c); r.State != jadwal.RunSucceeded {
			b.Errorf("%+v", r)
		}
	}
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096}, Timeout: c.Timeout}
	defer client.CloseIdleConnections()
	bare := func() {
		req, _ := http.NewRequest("POST", srv.URL, strings.NewReader(`{"invoice": 1}`))
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			b.Error(err)
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	const callers, round = 64, 2048
	run := func(call func()) (wall, cpu time.Duration) {
		var wg sync.WaitGroup
		t0, c0 := time.Now(), cpuTime()
		for range callers {
			wg.Go(func() {
				for range round / callers {
					call()
				}
			})
		}
		wg.Wait()
		return time.Since(t0), cpuTime() - c0
	}
	run(ours)
	run(bare)
	var oursWall, oursCPU, bareWall, bareCPU time.Duration
	rounds := 0
	for b.Loop() {
		w, u := run(ours)
		oursWall, oursCPU = oursWall+w, oursCPU+u
		w, u = run(bare)
		bareWall, bareCPU = bareWall+w, bareCPU+u
		rounds++
	}
	n := float64(rounds * round)
	b.ReportMetric(float64(bareWall)/float64(oursWall), "ratio")
	b.ReportMetric(float64(oursCPU.Microseconds())/n, "cpu-µs/call")
	b.ReportMetric(float64(bareCPU.Microseconds())/n, "bare-cpu-µs/call")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkRequest is the making of the request alone.
func BenchmarkRequest(b *testing.B) {
	h := newHTTP(b, Options{DialContext: func(context.Context, string, string) (net.Conn, error) { panic("dialled") }})
	c := callTo("https://api.example.com/v1/invoice?all=1")
	c.Job.Target.Headers = map[string]string{"X-Tenant": "a", "Authorization": "Bearer abc"}
	c.Job.Target.Body = jadwal.RawJSON(`{"invoice": 1}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, wrong := h.request(context.Background(), c, nil); wrong != "" {
			b.Fatal("no request")
		}
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
