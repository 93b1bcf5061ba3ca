package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/teknohole/jadwal"
)

// quiet is a ResponseWriter that keeps nothing.
type quiet struct{ h http.Header }

func (q *quiet) Header() http.Header         { return q.h }
func (q *quiet) Write(b []byte) (int, error) { return len(b), nil }
func (q *quiet) WriteHeader(int)             {}

// bare answers GET /user/me for the token of one user and does nothing else
// that a server should: it is the floor.
func bare(s *server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || r.URL.Path != "/user/me" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		claims, err := s.api.tokens.ParseAccess(token, time.Now())
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		user, _, ok, _ := s.store.Identity(context.Background(), claims.SessionID)
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"success":true,"status":200,"message":"Welcome %s!","path":"/user/me","timestamp":"2025-12-09T06:58:02Z","data":{"id":%d,"username":"%s","email":"%s","is_superuser":%t,"created_at":"2025-12-09T03:01:40.912343Z","updated_at":"2025-12-11T13:41:00.158809Z"}}`,
			user.Username, user.ID, user.Username, user.Email, user.IsSuperuser)
	})
}

// BenchmarkGetMe is the handler alone, without a network, beside the floor.
func BenchmarkGetMe(b *testing.B) {
	s := newServer(b)
	c := s.asUser("arbath", false)
	for name, h := range map[string]http.Handler{"ours": s.api, "bare": bare(s)} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/user/me", nil)
			r.Header.Set("Authorization", "Bearer "+c.access)
			w := &quiet{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				h.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkGetMeOverTCP is one connection that asks again and again, in turns
// with the floor, and tells the ratio.
func BenchmarkGetMeOverTCP(b *testing.B) {
	s := newServer(b)
	c := s.asUser("arbath", false)
	floor := httptest.NewServer(bare(s))
	defer floor.Close()
	var spent [2]time.Duration
	var conns [2]net.Conn
	var readers [2]*bufio.Reader
	for i, addr := range []string{s.addr, floor.Listener.Addr().String()} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		conns[i], readers[i] = conn, bufio.NewReader(conn)
	}
	request := []byte("GET /user/me HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + c.access + "\r\n\r\n")
	const turn = 200
	n := 0
	for b.Loop() {
		for i := range conns {
			begin := time.Now()
			for range turn {
				conns[i].Write(request)
				resp, err := http.ReadResponse(readers[i], nil)
				if err != nil || resp.StatusCode != 200 {
					b.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
			}
			spent[i] += time.Since(begin)
		}
		n += turn
	}
	b.ReportMetric(float64(spent[0].Nanoseconds())/float64(n), "ns/ours")
	b.ReportMetric(float64(spent[1].Nanoseconds())/float64(n), "ns/bare")
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
}

// BenchmarkReadJob is the strict reader on an ordinary job.
func BenchmarkReadJob(b *testing.B) {
	text := []byte(`{"name":"invoice-nightly","tags":["billing"],"schedules":[{"cron":"30 2 * * *"}],"timezone":"Asia/Jakarta","target":{"method":"POST","url":"https://example.com/invoices","headers":{"Authorization":"x"},"body":{"a":[1,2,3]}},"timeout":"30s"}`)
	b.ReportAllocs()
	for b.Loop() {
		var body jobBody
		if err := readJSON(text, &body, nullsRefused); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListOfJobs is the answer of a full page.
func BenchmarkListOfJobs(b *testing.B) {
	d := jadwal.DefaultDefinition()
	d.Name, d.Target.URL = "invoice-nightly", "https://example.com/invoices"
	views := make([]jobView, jadwal.MaxPage)
	for i := range views {
		views[i] = viewJob(jadwal.Job{ID: int64(i), Definition: d, State: jadwal.JobEnabled, NextAt: someTime, CreatedAt: someTime, UpdatedAt: someTime}, someTime)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := appendEnvelope(nil, "/job", someTime, &answer{status: 200, data: &views}); err != nil {
			b.Fatal(err)
		}
	}
}
